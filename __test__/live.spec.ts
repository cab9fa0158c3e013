import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import test from 'ava';
import { isSluiceError, parseStreamKey, Server } from 'sluice';
import type { LiveEvent, SluiceErrorCode, StreamItem } from 'sluice';
import {
  announce,
  AUDIO,
  picture,
  pictures,
  silence,
  sound,
  take,
  told,
  VIDEO,
  vp9,
} from './live-media.js';

const local = { udpPort: 0, bindAddress: '127.0.0.1', shards: 1 } as const;

async function start(t: { teardown: (done: () => Promise<void>) => void }, shards = 1) {
  const server = await Server.start({ ...local, shards });
  t.teardown(() => server.close());
  return server;
}

const code = (code: SluiceErrorCode) => ({ code });

test('a reader gets configurations once, then frames in order as they were written', async (t) => {
  const { live } = await start(t);
  const session = await live.publish('live/show');
  await announce(session);
  await session.write(picture(0), sound(0), sound(1), picture(1));
  const reader = await live.subscribe('live/show');
  await session.write(sound(2), picture(2), sound(3));
  await session.finish();
  const items = await take(reader);
  t.deepEqual(told(items), ['track 0', '0K', 'track 1', '1K', '1K', '0', '1K', '0', '1K']);
  const tracks = items.flatMap((item) => (item.type === 'track' ? [item.track] : []));
  t.like(tracks[0], { track: VIDEO, codec: 'VP8' });
  t.like(tracks[1], { track: AUDIO, codec: 'opus' });
  const frames = items.flatMap((item) => (item.type === 'frame' ? [item.frame] : []));
  t.deepEqual(
    frames.map(({ track, ptsMs, dtsMs }) => [track, ptsMs, dtsMs]),
    [
      [0, 0, 0],
      [1, 0, 0],
      [1, 20, 20],
      [0, 40, 40],
      [1, 40, 40],
      [0, 80, 80],
      [1, 60, 60],
    ],
  );
  t.true(pictures[0]!.equals(frames[0]!.data));
  t.true(silence.equals(frames[1]!.data));
  t.true(pictures[1]!.equals(frames[3]!.data));
  t.is(reader.endReason, 'completed');
  t.deepEqual(await reader.next(), { done: true, value: undefined });
});

test('a late reader begins at the newest keyframe', async (t) => {
  const { live } = await start(t);
  const session = await live.publish('live/show');
  await announce(session);
  for (let n = 0; n < 60; n += 1) await session.write(picture(n));
  const reader = await live.subscribe('live/show');
  await session.finish();
  const items = await take(reader);
  const [first] = items.flatMap((item) => (item.type === 'frame' ? [item.frame] : []));
  t.like(first, { keyframe: true, ptsMs: 50 * 40 });
  t.is(items.filter(({ type }) => type === 'frame').length, 10);
});

test('a reader waits for what is not there yet', async (t) => {
  const { live } = await start(t);
  const session = await live.publish('live/show');
  const reader = await live.subscribe('live/show');
  const waiting = [reader.next(), reader.next()];
  await sleep(50);
  await announce(session);
  await session.write(picture(0));
  t.deepEqual(told((await Promise.all(waiting)).map(({ value }) => value!)), ['track 0', '0K']);
});

test('a new configuration comes in front of the frames that need it', async (t) => {
  const { live } = await start(t);
  const session = await live.publish('live/show');
  const reader = await live.subscribe('live/show');
  await session.setTrack({ track: VIDEO, codec: 'VP8' });
  await session.write(picture(0), picture(1));
  await session.setTrack({ track: VIDEO, codec: 'VP9' });
  await session.write({ ...picture(2), keyframe: true, data: vp9 });
  await session.finish();
  const items = await take(reader);
  t.deepEqual(told(items), ['track 0', '0K', '0', 'track 0', '0K']);
  const codecs = items.flatMap((item) => (item.type === 'track' ? [item.track.codec] : []));
  t.deepEqual(codecs, ['VP8', 'VP9']);
});

test('a second publisher is refused, and the key is free when finish() resolves', async (t) => {
  const { live } = await start(t);
  const first = await live.publish('live/show');
  await t.throwsAsync(live.publish('live/show'), code('ERR_STREAM_ALREADY_PUBLISHING'));
  await announce(first);
  await first.write(picture(0));
  await first.finish();
  await first.finish();
  const second = await live.publish('live/show');
  await second.finish();
  await t.throwsAsync(first.write(picture(1)), code('ERR_CLOSED'));
  await t.throwsAsync(first.setTrack({ track: 0, codec: 'VP8' }), code('ERR_CLOSED'));
  await t.throwsAsync(live.subscribe('live/show'), code('ERR_STREAM_NOT_FOUND'));
});

test('readers survive a takeover and are told of the discontinuity', async (t) => {
  const { live } = await start(t);
  const states: (string | (string | number)[])[] = [];
  live.on('sourceState', ({ state, epoch }) => states.push([state, epoch]));
  live.on('publishEnded', ({ reason }) => states.push(reason));
  const first = await live.publish('live/show', { identity: 'encoder' });
  await announce(first);
  await first.write(picture(0), picture(1));
  const reader = await live.subscribe('live/show');
  await t.throwsAsync(
    live.publish('live/show', { identity: 'another' }),
    code('ERR_STREAM_ALREADY_PUBLISHING'),
  );
  const second = await live.publish('live/show', { identity: 'encoder' });
  await t.throwsAsync(first.write(picture(2)), code('ERR_CLOSED'));
  await announce(second);
  await second.write(picture(0), picture(1));
  await second.finish();
  const items = await take(reader);
  t.deepEqual(told(items), ['track 0', '0K', '0', 'discontinuity', '0K', '0']);
  const frames = items.flatMap((item) => (item.type === 'frame' ? [item.frame] : []));
  t.deepEqual(
    frames.map(({ discontinuity }) => discontinuity),
    [false, false, true, false],
  );
  t.deepEqual(
    frames.map(({ dtsMs }) => dtsMs),
    [0, 40, 0, 40],
  );
  await until(() => states.at(-1)?.toString() === 'ended,2');
  t.deepEqual(states, [['live', 1], 'replaced', ['live', 2], 'completed', ['ended', 2]]);
});

test('readers wait for a publisher that was lost, and go on with the next', async (t) => {
  const { live } = await start(t);
  const first = await live.publish('live/show');
  await announce(first);
  await first.write(picture(0));
  const reader = await live.subscribe('live/show');
  await first.finish('disconnected');
  t.like((await live.streams())[0], { key: 'live/show', state: 'resuming' });
  const second = await live.publish('live/show');
  await announce(second);
  await second.write(picture(0));
  await second.finish();
  t.deepEqual(told(await take(reader)), ['track 0', '0K', 'discontinuity', '0K']);
  t.is(reader.endReason, 'completed');
});

test('end() closes the publisher and its readers', async (t) => {
  const { live } = await start(t);
  const session = await live.publish('live/show');
  await announce(session);
  await session.write(picture(0));
  const reader = await live.subscribe('live/show');
  await live.end('live/show');
  t.deepEqual(told(await take(reader)), ['track 0', '0K']);
  t.is(reader.endReason, 'closed');
  await t.throwsAsync(session.write(picture(1)), code('ERR_CLOSED'));
  await t.throwsAsync(live.end('live/show'), code('ERR_STREAM_NOT_FOUND'));
  t.deepEqual(await live.streams(), []);
});

test('a slow reader is told how much it lost, goes on at a keyframe, and costs no memory', async (t) => {
  const { live } = await start(t);
  const lagged: LiveEvent[] = [];
  live.on('subscriberLagged', (event) => lagged.push(event));
  const session = await live.publish('live/show');
  await announce(session);
  const data = Buffer.concat([pictures[0]!, Buffer.alloc(100_000)]);
  await session.write(picture(0));
  const reader = await live.subscribe('live/show');
  t.deepEqual(told(await take(reader, 2)), ['track 0', '0K']);
  const before = process.memoryUsage.rss();
  // 200 MB through a ring of 16.
  for (let n = 1; n <= 2000; n += 1) await session.write({ ...picture(n), data });
  const [stream] = await live.streams();
  t.true(stream!.ringBytes <= 20 * 2 ** 20, `${stream!.ringBytes} bytes in the ring`);
  const grown = process.memoryUsage.rss() - before;
  t.true(grown < 120 * 2 ** 20, `${grown} bytes`);
  await session.finish();
  const items = await take(reader);
  const [first, second] = items;
  t.is(first?.type, 'lagged');
  const frames = items.flatMap((item) => (item.type === 'frame' ? [item.frame] : []));
  t.true(frames.length < 300, `${frames.length} frames`);
  t.like(second, { type: 'frame', frame: { keyframe: true } });
  t.is((first as StreamItem & { skipped: number }).skipped, 2000 - frames.length);
  t.log(first);
  t.true((first as StreamItem & { lostMs: number }).lostMs > 0);
  await until(() => lagged.length > 0);
  t.like(lagged[0], { type: 'subscriberLagged', key: 'live/show', protocol: 'application' });
});

test('an aborted signal stops waiting and closes the reader', async (t) => {
  const { live } = await start(t);
  const session = await live.publish('live/show');
  const controller = new AbortController();
  const reader = await live.subscribe('live/show', { signal: controller.signal });
  const waiting = reader.next();
  await sleep(20);
  controller.abort(new Error('enough'));
  await t.throwsAsync(waiting, { message: 'enough' });
  t.deepEqual(await reader.next(), { done: true, value: undefined });
  await until(async () => (await live.streams())[0]?.subscribers === 0);
  const aborted = AbortSignal.abort(new Error('before'));
  await t.throwsAsync(live.publish('live/other', { signal: aborted }), { message: 'before' });
  await t.throwsAsync(live.subscribe('live/show', { signal: aborted }), { message: 'before' });
  await t.throwsAsync(live.streams({ signal: aborted }), { message: 'before' });
  const late = new AbortController();
  const publishing = live.publish('live/late', { signal: late.signal });
  late.abort(new Error('late'));
  await t.throwsAsync(publishing, { message: 'late' });
  // What was made too late is undone.
  await until(async () => {
    const late = (await live.streams()).find(({ key }) => key === 'live/late');
    return late?.state !== 'idle';
  });
  const again = await live.publish('live/late');
  await Promise.all([again.finish(), session.finish()]);
});

test('leaving a for await closes the reader', async (t) => {
  const { live } = await start(t);
  const session = await live.publish('live/show');
  await announce(session);
  await session.write(picture(0), picture(1));
  const reader = await live.subscribe('live/show');
  for await (const item of reader) if (item.type === 'frame') break;
  t.is(reader.endReason, undefined);
  t.is((await live.streams())[0]?.subscribers, 0);
  await reader.close();
});

test('200 publishers come and go and leave nothing, on several shards', async (t) => {
  const { live } = await start(t, 2);
  let [started, ended, over] = [0, 0, 0];
  live.on('publishStarted', () => (started += 1));
  live.on('publishEnded', () => (ended += 1));
  live.on('streamEnded', () => (over += 1));
  const all = Array.from({ length: 200 }, async (_, n) => {
    const session = await live.publish(`live/churn-${n}`);
    await announce(session);
    const reader = await live.subscribe(session.key);
    await session.write(picture(0), sound(0));
    if (n % 2 === 0) await session.finish();
    else await live.end(session.key);
    t.is((await take(reader)).length, 4);
  });
  await Promise.all(all);
  t.deepEqual(await live.streams(), []);
  await until(() => started === 200 && ended === 200 && over === 200);
});

test('streams() tells what is live', async (t) => {
  const { live } = await start(t);
  const session = await live.publish('live/show', { identity: 'me' });
  t.like((await live.streams())[0], { key: 'live/show', state: 'idle', subscribers: 0 });
  await announce(session);
  await session.write(picture(0), sound(0), picture(1));
  const reader = await live.subscribe('live/show');
  const [stream] = await live.streams();
  t.like(stream, {
    state: 'publishing',
    protocol: 'application',
    identity: 'me',
    subscribers: 1,
    recording: false,
    transcoding: false,
  });
  t.is(stream!.qos.frames, 3);
  t.is(stream!.tracks.length, 2);
  t.like(stream!.tracks[0], { track: { track: 0, codec: 'VP8' }, qos: { frames: 2 } });
  t.true(stream!.ageSeconds! >= 0);
  await reader.close();
});

test('events tell a stream’s life once and in order, the observer after the application', async (t) => {
  const { live } = await start(t);
  const events: string[] = [];
  live.observer.on('event', ({ type, key }) => {
    t.is(key as string, 'live/show');
    events.push(type);
  });
  const session = await live.publish('live/show');
  await announce(session);
  await session.write(picture(0));
  const reader = await live.subscribe('live/show');
  await reader.close();
  await session.finish();
  await until(() => events.includes('streamEnded'));
  t.deepEqual(
    events.filter((type) => type !== 'sourceState'),
    [
      'publishStarted',
      'codecChanged',
      'codecChanged',
      'subscriberJoined',
      'subscriberLeft',
      'publishEnded',
      'streamEnded',
    ],
  );
});

test('a frame that is refused throws and tells why; those in front of it are published', async (t) => {
  const { live } = await start(t);
  const session = await live.publish('live/show');
  const rejected: LiveEvent[] = [];
  live.on('frameRejected', (event) => rejected.push(event));
  await t.throwsAsync(session.write(picture(0)), code('ERR_INVALID_ARGUMENT'));
  await announce(session);
  await t.throwsAsync(session.write(picture(1)), code('ERR_INVALID_ARGUMENT'));
  const reader = await live.subscribe('live/show');
  const empty = { ...picture(1), data: new Uint8Array() };
  await t.throwsAsync(session.write(picture(0), empty, picture(2)), code('ERR_INVALID_ARGUMENT'));
  t.deepEqual(told(await take(reader, 2)), ['track 0', '0K']);
  await until(() => rejected.length > 0);
  t.like(rejected[0], { type: 'frameRejected', key: 'live/show' });
  for (const wrong of [
    { ...picture(3), ptsMs: Number.NaN },
    { ...picture(3), ptsMs: Infinity },
    { ...picture(3), dtsMs: -Infinity },
    { ...picture(3), durationMs: -1 },
    { ...picture(3), data: 'text' },
    { ...picture(3), track: 7 },
    undefined,
  ]) {
    const error = await t.throwsAsync(session.write(wrong as never));
    t.true(error instanceof TypeError || error instanceof RangeError || isSluiceError(error));
  }
  await session.write(picture(3));
  t.deepEqual(told(await take(reader, 1)), ['0']);
});

test('setTrack() refuses what it cannot read', async (t) => {
  const { live } = await start(t);
  const session = await live.publish('live/show');
  const record = Buffer.from('no avcC');
  await t.throwsAsync(session.setTrack({ track: 0, codec: 'H264', record }), code('ERR_CODEC'));
  await t.throwsAsync(session.setTrack({ track: -1, codec: 'VP8' }), { instanceOf: RangeError });
  await t.throwsAsync(session.setTrack({ track: 0.5, codec: 'VP8' }), { instanceOf: RangeError });
  await t.throwsAsync(session.setTrack({ track: 0, codec: 'VP8', rate: 0 }), {
    instanceOf: RangeError,
  });
  const error = await t.throwsAsync(session.setTrack({ track: 0, codec: 'Theora' as never }));
  t.true(isSluiceError(error));
});

test('wrong arguments are refused before anything is done', async (t) => {
  const { live } = await start(t);
  for (const key of [
    undefined,
    7,
    '',
    'live',
    'live/',
    '/show',
    'a/b/c',
    'live/../x',
    'live/.x',
    'live/a b',
    'live/ä',
    `live/${'x'.repeat(65)}`,
    'live/show~',
    'live/show~a~b',
    'live/show\n',
  ]) {
    t.throws(() => parseStreamKey(key), { instanceOf: TypeError }, String(key));
    await t.throwsAsync(live.publish(key as never), { instanceOf: TypeError });
    await t.throwsAsync(live.subscribe(key as never), { instanceOf: TypeError });
    await t.throwsAsync(live.end(key as never), { instanceOf: TypeError });
  }
  for (const key of ['live/show', 'a/b', 'live/show~hi', `live/${'x'.repeat(64)}`, 'a.b/c.d~e']) {
    t.is(parseStreamKey(key) as string, key);
  }
  t.throws(() => live.use('all' as never), { instanceOf: TypeError });
  t.throws(() => live.httpHandler({ prefix: 'live' }), { instanceOf: RangeError });
  t.throws(() => live.fetchHandler({ prefix: '/live/' }), { instanceOf: RangeError });
  await t.throwsAsync(live.publish('live/x', { identity: 7 as never }), { instanceOf: TypeError });
  await t.throwsAsync(live.publish('live/x', null as never), { instanceOf: TypeError });
  await t.throwsAsync(live.subscribe('live/x', { signal: 7 as never }), { instanceOf: TypeError });
});

test('an application is opened once, by name', async (t) => {
  const { live } = await start(t, 2);
  await t.throwsAsync(live.publish('club/a'), code('ERR_APP_NOT_FOUND'));
  await t.throwsAsync(live.subscribe('club/a'), code('ERR_APP_NOT_FOUND'));
  await live.application('club');
  await t.throwsAsync(live.application('club'), code('ERR_APP_ALREADY_REGISTERED'));
  await t.throwsAsync(live.application('a/b'), code('ERR_INVALID_ARGUMENT'));
  await (await live.publish('club/a')).finish();
});

test('closing the server settles everything that is open', async (t) => {
  const server = await Server.start(local);
  const { live } = server;
  const session = await live.publish('live/show');
  await announce(session);
  await session.write(picture(0));
  const reader = await live.subscribe('live/show');
  await take(reader, 2);
  const waiting = reader.next();
  const ended: string[] = [];
  live.on('publishEnded', ({ reason }) => ended.push(reason));
  await server.close();
  const outcome = await Promise.race([waiting, sleep(2000, 'never', { ref: false })]).catch(
    (error: unknown) => error,
  );
  t.not(outcome, 'never');
  t.deepEqual(outcome, { done: true, value: undefined });
  t.is(reader.endReason, 'closed');
  t.deepEqual(ended, ['closed']);
  await t.throwsAsync(session.write(picture(1)), code('ERR_CLOSED'));
  await t.throwsAsync(live.publish('live/other'), code('ERR_CLOSED'));
  await t.throwsAsync(live.subscribe('live/show'), code('ERR_CLOSED'));
  await t.throwsAsync(live.streams(), code('ERR_CLOSED'));
  await reader.close();
  await session.finish();
});

test('a forgotten publisher frees its key, and a forgotten reader is gone', async (t) => {
  const program = `
    import { Server } from 'sluice';
    const server = await Server.start({ udpPort: 0, bindAddress: '127.0.0.1', shards: 1 });
    const { live } = server;
    const ended = [];
    live.on('publishEnded', ({ reason }) => ended.push(reason));
    const held = await live.publish('live/held');
    await (async () => {
      await live.publish('live/show');
      await live.subscribe('live/held');
    })();
    for (let i = 0; i < 50 && ended.length === 0; i += 1) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      gc();
    }
    const [{ subscribers }] = (await live.streams()).filter(({ key }) => key === 'live/held');
    await (await live.publish('live/show')).finish();
    await held.finish();
    console.log(JSON.stringify([ended[0], subscribers]));
    await server.close();`;
  const flags = ['--expose-gc', '--input-type=module', '-e', program];
  const { stdout } = await promisify(execFile)(process.execPath, flags, {
    cwd: new URL('../', import.meta.url),
  });
  t.deepEqual(JSON.parse(stdout), ['disconnected', 0]);
});

async function until(done: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 5000;
  while (!(await done())) {
    if (Date.now() > deadline) throw new Error(`never: ${String(done)}`);
    await sleep(10);
  }
}
