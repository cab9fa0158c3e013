import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { Server, type Live } from 'sluice';
import { AUDIO, play, VIDEO } from '../live-media.js';
import { until } from './demo.js';

interface Counts {
  readonly made: number;
  readonly deleted: number;
  readonly patched: number;
  readonly video: number;
  readonly audio: number;
}

/** A foreign server over libwebrtc, in a process of its own. */
async function foreign(t: ExecutionContext) {
  const program = fileURLToPath(new URL('wrtc-server.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import=@oxc-node/core/register', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const { origin } = JSON.parse((await lines.next()).value as string) as { origin: string };
  let counts: Counts = { made: 0, deleted: 0, patched: 0, video: 0, audio: 0 };
  void (async () => {
    for (let line = await lines.next(); line.done !== true; line = await lines.next()) {
      counts = JSON.parse(line.value) as Counts;
    }
  })();
  return { origin, counts: () => counts };
}

async function start(t: ExecutionContext): Promise<Live> {
  const server = await Server.start({ udpPort: 0, shards: 1 });
  t.teardown(() => server.close());
  return server.live;
}

async function arrives(live: Live, key: string): Promise<void> {
  const counts = { [VIDEO]: 0, [AUDIO]: 0 };
  for await (const item of await live.subscribe(key)) {
    if (item.type === 'frame') counts[item.frame.track as typeof VIDEO] += 1;
    if (counts[VIDEO] > 20 && counts[AUDIO] > 20) return;
  }
}

test.serial('libwebrtc decodes what is pushed to it', async (t) => {
  const { origin, counts } = await foreign(t);
  const live = await start(t);
  const controller = new AbortController();
  const playing = play(await live.publish('live/show'), controller.signal);
  const push = await live.push('live/show', { url: `${origin}/whip` });
  await until('20 pictures', () => counts().video >= 20);
  await until('20 packets of sound', () => counts().audio >= 20);
  t.is(push.state, 'connected');
  await push.stop();
  await until('the end', () => counts().deleted === 1);
  controller.abort();
  await playing;
});

test.serial('what is pulled from libwebrtc is a stream', async (t) => {
  const { origin, counts } = await foreign(t);
  const live = await start(t);
  const pull = await live.pull('live/copy', { url: `${origin}/whep` });
  await arrives(live, 'live/copy');
  t.like((await live.streams())[0], { protocol: 'whep', state: 'publishing' });
  await pull.stop();
  await until('the end', () => counts().deleted === 1);
});

test.serial('a counter-offer of libwebrtc is answered', async (t) => {
  const { origin, counts } = await foreign(t);
  const live = await start(t);
  const pull = await live.pull('live/copy', { url: `${origin}/counter` });
  await until('our answer', () => counts().patched === 1);
  await arrives(live, 'live/copy');
  t.is((await live.streams())[0]?.tracks.length, 2);
  await pull.stop();
  await until('the end', () => counts().deleted === 1);
});
