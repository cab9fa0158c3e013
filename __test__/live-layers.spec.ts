import { once } from 'node:events';
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { allowAll, Server } from 'sluice';
import type { Authorizer, LiveEvent } from 'sluice';
import { makeOffer, type OfferOptions } from '../dist/cli/description.js';
import { play, sound, take, told, VIDEO, vp9 } from './live-media.js';

async function start(t: ExecutionContext, authorizer: Authorizer = allowAll) {
  const server = await Server.start({ udpPort: 0, bindAddress: '127.0.0.1', shards: 2 });
  t.teardown(() => server.close());
  const { live } = server;
  live.use(authorizer);
  const events: LiveEvent[] = [];
  live.observer.on('event', (event) => events.push(event));
  const http = createServer(live.httpHandler() as RequestListener).listen(0, '127.0.0.1');
  await once(http, 'listening');
  t.teardown(() => {
    http.close();
    http.closeAllConnections();
  });
  const origin = `http://127.0.0.1:${(http.address() as AddressInfo).port}/live`;
  const post = (path: string, options: Partial<OfferOptions> = {}) =>
    fetch(`${origin}/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/sdp' },
      body: makeOffer({ direction: 'sendonly', ...options }).sdp,
    });
  return { server, live, events, origin, post };
}

/** Publishes streams in real time until the test is over. */
async function broadcast(t: ExecutionContext, { live }: Server, ...keys: string[]): Promise<void> {
  const controller = new AbortController();
  const sessions = await Promise.all(keys.map((key) => live.publish(key)));
  const playing = sessions.map((session) => play(session, controller.signal).catch(() => {}));
  t.teardown(async () => {
    controller.abort();
    await Promise.all(playing);
  });
}

test('an offer that is refused after its publisher was let in leaves nothing', async (t) => {
  const { live, events, post } = await start(t);
  const refused = await post('live/show/whip', { videoCodec: 'NO-SUCH' });
  t.is(refused.status, 422);
  t.deepEqual(await live.streams(), []);
  await sleep(50);
  t.deepEqual(
    events.map(({ type }) => type),
    ['publishStarted', 'publishEnded', 'sourceState', 'streamEnded'],
  );
  t.is((await post('live/show/whip')).status, 201, 'the key is free');
});

test('the layers of a WHIP publisher are its own', async (t) => {
  const { live, origin, post } = await start(t);
  const before = await live.publish('live/show~h');
  const published = await post('live/show/whip');
  t.is(published.status, 201);
  await t.throwsAsync(before.setTrack({ track: VIDEO, codec: 'VP8' }), { code: 'ERR_CLOSED' });
  const code = 'ERR_STREAM_ALREADY_PUBLISHING';
  await t.throwsAsync(live.publish('live/show~h'), { code });
  await t.throwsAsync(live.publish('live/show~any'), { code });
  t.is((await post('live/show~h/whip')).status, 404, 'a layer is not published by its name');
  const location = new URL(published.headers.get('location') ?? '', origin);
  t.is((await fetch(location, { method: 'DELETE' })).status, 200);
  await t.notThrowsAsync(live.publish('live/show~h'));
});

test('a program may publish layers of a stream: they are told, and read like any stream', async (t) => {
  const { server, live, events } = await start(t);
  await broadcast(t, server, 'live/show');
  const high = await live.publish('live/show~h');
  await high.setTrack({ track: VIDEO, codec: 'VP9' });
  await high.write({ track: VIDEO, ptsMs: 0, keyframe: true, data: vp9 });
  const streams = await live.streams();
  t.deepEqual(streams.map(({ key, layers }) => [key as string, layers]).toSorted(), [
    ['live/show', ['h']],
    ['live/show~h', []],
  ]);
  const reader = await live.subscribe('live/show~h');
  t.deepEqual(told(await take(reader, 2)), [`track ${VIDEO}`, `${VIDEO}K`]);
  await live.end('live/show~h');
  t.deepEqual(
    (await live.streams()).map(({ layers }) => layers),
    [[]],
  );
  const changes = events.filter((event) => event.type === 'layersChanged');
  t.deepEqual(
    changes.map(({ key, layers }) => [key as string, layers]),
    [
      ['live/show', ['h']],
      ['live/show', []],
    ],
  );
});

test('the index of a stream lists its layers, and one verdict covers them', async (t) => {
  const asked: string[] = [];
  const { live, origin } = await start(t, ({ key }) => {
    asked.push(key);
    return true;
  });
  const controller = new AbortController();
  const playing = ['live/show', 'live/show~h', 'live/show~q'].map(async (key) => {
    const session = await live.publish(key);
    await session.setTrack({ track: VIDEO, codec: 'VP9' });
    await session.setTrack({ track: 1, codec: 'opus' });
    for (let n = 0; !controller.signal.aborted; n += 1) {
      await session.write(
        { track: VIDEO, ptsMs: n * 40, keyframe: true, data: vp9 },
        sound(2 * n),
        sound(2 * n + 1),
      );
      await sleep(40);
    }
  });
  t.teardown(async () => {
    controller.abort();
    await Promise.all(playing.map((one) => one.catch(() => {})));
  });
  await sleep(300);
  const index = await (await fetch(`${origin}/live/show/index.m3u8`)).text();
  const uris = index.split('\n').filter((line) => line.endsWith('.m3u8'));
  t.deepEqual(
    uris.map((uri) => uri.replace(/^[\da-f]+/, 'run')),
    ['run/stream.m3u8', 'run~h/stream.m3u8', 'run~q/stream.m3u8'],
  );
  const attributes = index.split('\n').filter((line) => line.startsWith('#EXT-X-STREAM-INF'));
  t.true(
    attributes.every((line) => /RESOLUTION=322x182,FRAME-RATE=\d\d\.000/.test(line)),
    index,
  );
  for (const uri of uris) {
    const playlist = await (await fetch(`${origin}/live/show/${uri}`)).text();
    const reports = [...playlist.matchAll(/RENDITION-REPORT:URI="..\/([^"]+)"/g)];
    t.deepEqual(
      reports.map(([, sibling]) => sibling).toSorted(),
      uris.filter((other) => other !== uri).toSorted(),
    );
    const part = /URI="(p\d+\.\d+\.m4s)"/.exec(playlist)?.[1] ?? '';
    t.is((await fetch(`${origin}/live/show/${uri.replace('stream.m3u8', part)}`)).status, 200);
  }
  t.deepEqual(asked, ['live/show'], 'who may play the stream may play its layers');
  const own = await (await fetch(`${origin}/live/show~h/index.m3u8`)).text();
  t.is(own.split('\n').filter((line) => line.endsWith('.m3u8')).length, 1);
  t.deepEqual(asked, ['live/show', 'live/show~h']);
  t.is((await fetch(`${origin}/live/show/${uris[1]!.replace('~h', '~none')}`)).status, 404);
  t.is((await fetch(`${origin}/live/show~q/${uris[1]!}`)).status, 404, 'not by a sibling');
});

test('a layer without pictures is not listed further before its next one', async (t) => {
  const { live, origin } = await start(t);
  const controller = new AbortController();
  let shows = true;
  const playing = ['live/show', 'live/show~h'].map(async (key) => {
    const session = await live.publish(key);
    await session.setTrack({ track: VIDEO, codec: 'VP9' });
    await session.setTrack({ track: 1, codec: 'opus' });
    for (let n = 0; !controller.signal.aborted; n += 1) {
      if (shows || key === 'live/show') {
        await session.write({ track: VIDEO, ptsMs: n * 40, keyframe: true, data: vp9 });
      }
      await session.write(sound(2 * n), sound(2 * n + 1));
      await sleep(40);
    }
  });
  t.teardown(async () => {
    controller.abort();
    await Promise.all(playing.map((one) => one.catch(() => {})));
  });
  await sleep(300);
  const index = await (await fetch(`${origin}/live/show/index.m3u8`)).text();
  const uris = index.split('\n').filter((line) => line.endsWith('.m3u8'));
  const [own, layer] = uris.map((uri) => async () => {
    const text = await (await fetch(`${origin}/live/show/${uri}`)).text();
    const last = Number(/s(\d+)\.m4s\n(?![^]*\ns\d)/.exec(text)?.[1]);
    return { last, target: /TARGETDURATION:(\d+)/.exec(text)?.[1], text };
  });
  await layer!();
  shows = false;
  await sleep(3000);
  const stopped = await layer!();
  await sleep(3000);
  const still = await layer!();
  t.is(still.last, stopped.last);
  t.true(Number(still.target) <= 4, `a target of ${still.target} s`);
  t.true((await own!()).last > stopped.last, 'the stream itself goes on');
  shows = true;
  await sleep(2000);
  const back = await layer!();
  t.true(back.last > still.last, 'and so does the layer');
  t.regex(back.text, /#EXT-X-DISCONTINUITY\n/);
});

test('a layer of the program is watched by WHEP, one that is not there is not', async (t) => {
  const { server, post } = await start(t);
  await broadcast(t, server, 'live/show', 'live/show~h');
  t.is((await post('live/show~h/whep', { direction: 'recvonly' })).status, 201);
  t.is((await post('live/show~none/whep', { direction: 'recvonly' })).status, 409);
});
