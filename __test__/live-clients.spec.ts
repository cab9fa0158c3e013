import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { allowAll, Server, type Live } from 'sluice';
import { AUDIO, play, VIDEO } from './live-media.js';

async function start(t: ExecutionContext, options: { readonly shards?: number } = {}) {
  const server = await Server.start({
    udpPort: 0,
    bindAddress: '127.0.0.1',
    shards: options.shards ?? 1,
  });
  server.live.use(allowAll);
  const http = createServer(server.live.httpHandler() as RequestListener);
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  t.teardown(async () => {
    http.close();
    http.closeAllConnections();
    await server.close();
  });
  const origin = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  return { server, live: server.live, origin };
}

/** A stream of frames in real time, until the test is over. */
async function broadcast(t: ExecutionContext, live: Live, key: string) {
  const controller = new AbortController();
  const session = await live.publish(key);
  const playing = play(session, controller.signal).catch(() => {});
  t.teardown(async () => {
    controller.abort();
    await playing;
  });
  return session;
}

/** Reads until so many frames of picture and of sound have come. */
async function frames(live: Live, key: string, most: number): Promise<void> {
  const counts = { [VIDEO]: 0, [AUDIO]: 0 };
  for await (const item of await live.subscribe(key, { signal: AbortSignal.timeout(20_000) })) {
    if (item.type !== 'frame') continue;
    counts[item.frame.track as typeof VIDEO] += 1;
    if (Math.min(counts[VIDEO], counts[AUDIO]) >= most) return;
  }
}

test('a stream is pushed to a foreign server, and its frames arrive', async (t) => {
  const [here, there] = [await start(t), await start(t)];
  await broadcast(t, here.live, 'live/show');
  const push = await here.live.push('live/show', { url: `${there.origin}/live/live/copy/whip` });
  t.is(push.state, 'connected');
  await frames(there.live, 'live/copy', 20);
  t.like((await there.live.streams())[0], { key: 'live/copy', protocol: 'whip' });
  await push.stop();
  t.is(push.state, 'ended');
});

test('a stream is pulled from a foreign server, and its frames arrive', async (t) => {
  const [here, there] = [await start(t), await start(t)];
  await broadcast(t, there.live, 'live/show');
  const pull = await here.live.pull('live/copy', { url: `${there.origin}/live/live/show/whep` });
  t.is(pull.state, 'connected');
  await frames(here.live, 'live/copy', 20);
  t.like((await here.live.streams())[0], { key: 'live/copy', protocol: 'whep' });
  await pull.stop();
  t.is(pull.state, 'ended');
  t.deepEqual(await here.live.streams(), []);
});
