import { once } from 'node:events';
import test, { type ExecutionContext } from 'ava';
import {
  parseStreamKey,
  parseTrackId,
  Server,
  SluiceError,
  type SluiceErrorCode,
  type Propagated,
  type RoomPublisher,
} from 'sluice';
import { announce, picture, play, sound } from './live-media.js';

const local = { udpPort: 0, bindAddress: '127.0.0.1' } as const;

/** A server with a room on the last of its threads, for streams that live on any of them. */
async function stage(t: ExecutionContext, shards = 1) {
  const server = await Server.start({ ...local, shards });
  t.teardown(() => server.close());
  // Rooms go to the thread with the fewest clients: each client pushes the next room on.
  for (let n = 1; n < shards; n += 1) await server.registry(`fill ${n}`).insert({ appData: n });
  const registry = server.registry('room');
  const told: Propagated[] = [];
  registry.observer.on('event', (event) => told.push(event));
  return { server, registry, told };
}

/** A stream that somebody publishes. */
async function publish(t: ExecutionContext, server: Server, key: string) {
  const ending = new AbortController();
  const session = await server.live.publish(key);
  const playing = play(session, ending.signal).catch(() => {});
  const end = async (how?: 'completed' | 'disconnected'): Promise<void> => {
    ending.abort();
    await playing;
    await session.finish(how);
  };
  t.teardown(() => end());
  return end;
}

async function until(what: string, check: () => boolean): Promise<void> {
  for (let n = 0; !check(); n += 1) {
    if (n > 1000) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

for (const shards of [1, 2]) {
  for (const key of ['live/a', 'live/b']) {
    test(`${key} is shown in a room as a client of its own; ${shards} threads`, async (t) => {
      const { server, registry, told } = await stage(t, shards);
      const end = await publish(t, server, key);
      const showing = await server.live.showIn(registry, key);
      t.is(showing.key, parseStreamKey(key));
      await until('two tracks', () => told.filter((e) => e.type === 'trackOpen').length === 2);
      const opened = told.filter((e) => e.type === 'trackOpen');
      t.deepEqual(opened.map(({ track }) => track.codec).toSorted(), ['VP8', 'opus']);
      t.true(opened.every(({ clientId }) => clientId === showing.clientId));
      t.is(registry.size, 0, 'it is no client of the application');
      t.is(registry.client(showing.clientId), undefined);
      const ended = once(showing, 'ended');
      await end();
      t.is(await showing.ended, 'streamEnded');
      const [event] = await ended;
      t.like(event, { type: 'bridgeEnded', bridge: showing.id, key, reason: 'streamEnded' });
      await until('both to close', () => told.filter((e) => e.type === 'trackClose').length === 2);
      await until('its end', () => told.some((e) => e.type === 'clientDisconnected'));
      await showing.stop();
    });

    test(`a room publishes ${key} until it is stopped; ${shards} threads`, async (t) => {
      const { server, registry } = await stage(t, shards);
      const publisher = await server.live.publishFrom(registry, key, { video: 'activeSpeaker' });
      t.is(publisher.key, parseStreamKey(key));
      await refused(t, 'ERR_STREAM_ALREADY_PUBLISHING', () => server.live.publish(key));
      const ended = once(publisher, 'ended');
      await publisher.stop();
      t.is(await publisher.ended, 'stopped');
      t.like((await ended)[0], { type: 'bridgeEnded', bridge: publisher.id, key });
      const session = await server.live.publish(key);
      await session.finish();
      await publisher.stop();
      await refused(t, 'ERR_CLOSED', () => publisher.setSources({ audio: 'activeSpeaker' }));
    });
  }
}

async function refused(t: ExecutionContext, code: SluiceErrorCode, work: () => Promise<unknown>) {
  const error = await t.throwsAsync(work, { instanceOf: SluiceError });
  t.is(error?.code, code);
}

test('a stream that is not there, and tracks that are not, are refused', async (t) => {
  const { server, registry } = await stage(t, 2);
  const { live } = server;
  await refused(t, 'ERR_STREAM_NOT_FOUND', () => live.showIn(registry, 'live/nobody'));
  await refused(t, 'ERR_APP_NOT_FOUND', () => live.showIn(registry, 'other/nobody'));
  const track = parseTrackId('t123');
  await refused(t, 'ERR_INVALID_ARGUMENT', () =>
    live.publishFrom(registry, 'live/x', { video: track }),
  );
  // Nothing of the refused is left behind.
  const session = await live.publish('live/x');
  await session.finish();
  await registry.close();
  await refused(t, 'ERR_CLOSED', () =>
    live.publishFrom(registry, 'live/x', { audio: 'activeSpeaker' }),
  );
  await refused(t, 'ERR_CLOSED', () => live.showIn(registry, 'live/x'));
});

test('arguments are checked before anything happens', async (t) => {
  const { server, registry } = await stage(t);
  const { live } = server;
  const other = await Server.start(local);
  t.teardown(() => other.close());
  const wrong = [
    () => live.publishFrom(registry, 'live/x', {}),
    () => live.publishFrom(registry, 'live/x', { video: 'loudest' as never }),
    () => live.publishFrom({} as never, 'live/x', { video: 'activeSpeaker' }),
    () => live.publishFrom(other.registry('room'), 'live/x', { video: 'activeSpeaker' }),
    () => live.publishFrom(registry, 'live/x', { video: 'activeSpeaker', identity: 1 as never }),
    () => live.showIn(registry, 'live/x', { signal: 1 as never }),
    () => live.showIn(undefined as never, 'live/x'),
    () => live.showIn(registry, 'no key'),
  ];
  for (const work of wrong) await t.throwsAsync(work, { instanceOf: TypeError });
});

test('a publisher of the same identity takes over, and the room hears of it', async (t) => {
  const { server, registry } = await stage(t, 2);
  const options = { audio: 'activeSpeaker', identity: 'studio' } as const;
  const first = await server.live.publishFrom(registry, 'live/show', options);
  const second = await server.live.publishFrom(registry, 'live/show', options);
  t.is(await first.ended, 'replaced');
  const session = await server.live.publish('live/show', { identity: 'studio' });
  t.is(await second.ended, 'replaced');
  await session.finish();
});

test('a room, a stream and a server that end each end their bridges', async (t) => {
  const { server, registry } = await stage(t, 2);
  const { live } = server;
  await publish(t, server, 'live/film');
  const publishers: RoomPublisher[] = [];
  for (const key of ['live/a', 'live/b']) {
    publishers.push(await live.publishFrom(registry, key, { audio: 'activeSpeaker' }));
  }
  const showing = await live.showIn(registry, 'live/film');
  await live.end('live/a');
  t.is(await publishers[0]!.ended, 'streamEnded');
  await registry.close();
  t.is(await publishers[1]!.ended, 'roomClosed');
  t.is(await showing.ended, 'roomClosed');
  const last = await live.showIn(server.registry('another'), 'live/film');
  await server.close();
  t.true(['streamEnded', 'serverClosed'].includes(await last.ended));
});

test('sound that no browser takes is told, and the picture is shown', async (t) => {
  const { server, registry, told } = await stage(t);
  const session = await server.live.publish('live/film');
  await announce(session);
  const record = Buffer.from([0x11, 0x90]);
  await session.setTrack({ track: 2, codec: 'AAC', record });
  await session.write(picture(0), sound(0));
  await session.write({ track: 2, ptsMs: 0, keyframe: true, data: Buffer.from([1, 2, 3]) });
  const showing = await server.live.showIn(registry, 'live/film');
  const [event] = await once(showing, 'trackSkipped');
  t.like(event, { track: 2, codec: 'AAC', bridge: showing.id });
  await until('two tracks', () => told.filter((e) => e.type === 'trackOpen').length === 2);
});

test('the tracks stay while the stream waits for its next publisher', async (t) => {
  const { server, registry, told } = await stage(t, 2);
  const end = await publish(t, server, 'live/film');
  const showing = await server.live.showIn(registry, 'live/film');
  const opened = () => told.filter((e) => e.type === 'trackOpen').length;
  await until('two tracks', () => opened() === 2);
  await end('disconnected');
  await publish(t, server, 'live/film');
  await new Promise((resolve) => setTimeout(resolve, 300));
  t.is(opened(), 2, 'the same ones');
  t.false(told.some((e) => e.type === 'trackClose'));
  await showing.stop();
  await until('both to close', () => told.filter((e) => e.type === 'trackClose').length === 2);
});

test('who gives up waiting leaves nothing behind', async (t) => {
  const { server, registry, told } = await stage(t, 2);
  await publish(t, server, 'live/film');
  const { live } = server;
  const gone = AbortSignal.abort(new Error('gone'));
  await t.throwsAsync(live.showIn(registry, 'live/film', { signal: gone }), { message: 'gone' });
  const leaving = new AbortController();
  const showing = live.showIn(registry, 'live/film', { signal: leaving.signal });
  const publishing = live.publishFrom(registry, 'live/x', {
    audio: 'activeSpeaker',
    signal: leaving.signal,
  });
  leaving.abort(new Error('left'));
  await t.throwsAsync(showing, { message: 'left' });
  await t.throwsAsync(publishing, { message: 'left' });
  for (let n = 0; ; n += 1) {
    const session = await live.publish('live/x').catch(() => undefined);
    if (session) {
      await session.finish();
      break;
    }
    t.true(n < 200, 'the key is free again');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const count = (type: string) => told.filter((e) => e.type === type).length;
  await until('its end', () => count('trackOpen') === count('trackClose'));
});
