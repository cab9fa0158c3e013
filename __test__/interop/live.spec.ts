import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { Demo, until } from './demo.js';
import { Session, ffmpeg, gstreamer, isInstalled, werift, wrtc } from './stacks.js';
import type { Stack } from './stacks.js';

const run = promisify(execFile);
let demo: Demo;

test.before(async () => {
  demo = await Demo.start();
});
test.after.always(async (t) => {
  t.is(await demo?.close(), 0);
});

/** A stream as `GET /live` shows it. */
interface Listed {
  readonly key: string;
  readonly state: string;
  readonly protocol?: string;
  readonly tracks: readonly { readonly codec?: string; readonly width?: number }[];
}

async function start(
  t: ExecutionContext,
  stack: Stack,
  verb: 'publish' | 'play',
  stream: string,
): Promise<Session> {
  const kind = verb === 'publish' ? 'whip' : 'whep';
  const session = await Session.start(stack, verb, demo.url(`/live/live/${stream}/${kind}`));
  t.teardown(() => session.kill());
  return session;
}

async function listed(stream: string): Promise<Listed | undefined> {
  const response = await fetch(demo.url('/live'), { headers: { accept: 'application/json' } });
  const { streams } = (await response.json()) as { streams: readonly Listed[] };
  return streams.find(({ key }) => key === `live/${stream}`);
}

/** The stream once it has sound and pictures. */
function published(stream: string): Promise<Listed> {
  return until('both tracks', async () => {
    const found = await listed(stream);
    return found?.tracks.length === 2 && found;
  });
}

function isLive(stack: Stack, playerStack: Stack, codec: 'VP8' | 'H264') {
  const stream = stack.name.replaceAll(/\W+/g, '-');
  return async (t: ExecutionContext) => {
    await start(t, stack, 'publish', stream);
    const { state, protocol, tracks } = await published(stream);
    t.deepEqual({ state, protocol }, { state: 'publishing', protocol: 'whip' });
    t.deepEqual(tracks.map((track) => track.codec).toSorted(), [codec, 'opus']);

    const player = await start(t, playerStack, 'play', stream);
    for (const kind of ['audio', 'video'] as const) {
      await until(`30 of ${kind}`, () => player.received[kind] >= 30);
    }

    t.true((await demo.metric('live_viewers')) >= 1);
    const url = demo.url(`/live/live/${stream}/index.m3u8`);
    const probe = ['-v', 'error', '-show_entries', 'stream=codec_name,nb_read_packets'];
    const args = [...probe, '-count_packets', '-read_intervals', '%+3', '-of', 'json', url];
    const { stdout, stderr } = await run('ffprobe', args, { timeout: 40_000 });
    t.is(stderr, '', 'a strict demuxer is silent');
    const { streams } = JSON.parse(stdout) as {
      streams: readonly { codec_name: string; nb_read_packets: string }[];
    };
    const named = streams.map(({ codec_name }) => codec_name);
    t.deepEqual(named.toSorted(), ['opus', codec.toLowerCase()].toSorted());
    for (const { codec_name, nb_read_packets } of streams) {
      t.true(Number(nb_read_packets) > 30, `${nb_read_packets} packets of ${codec_name}`);
    }
  };
}

for (const [publisher, player, codec] of [
  [wrtc, wrtc, 'VP8'],
  [gstreamer, wrtc, 'VP8'],
  // Neither role is the other's mirror: who begins waits for the other's socket to be read.
  [ffmpeg('passive'), werift, 'H264'],
  [ffmpeg('active'), werift, 'H264'],
] as const) {
  const runs = isInstalled(publisher) || process.env['REQUIRE_ALL'] === '1';
  (runs ? test.serial : test.serial.skip)(
    `what ${publisher.name} publishes by WHIP plays by WHEP, and ffprobe reads as HLS`,
    isLive(publisher, player, codec),
  );
}

test.serial('viewers stay when their publisher is killed and another takes over', async (t) => {
  const first = await start(t, wrtc, 'publish', 'taken');
  await published('taken');
  const viewer = await start(t, wrtc, 'play', 'taken');
  await until('pictures', () => viewer.received.video >= 30);
  first.kill();
  // Nobody knows that it is the same one: the first must have been silent for 2 s.
  await sleep(2500);
  await start(t, wrtc, 'publish', 'taken');
  const { video, audio } = viewer.received;
  await until('pictures of the second', () => viewer.received.video >= video + 60);
  await until('sound of the second', () => viewer.received.audio >= audio + 60);
  t.is((await listed('taken'))?.state, 'publishing');
});

test.serial('nobody to play is 409, and the client is told when to come back', async (t) => {
  const response = await fetch(demo.url('/live/live/nobody/whep'), {
    method: 'POST',
    headers: { 'content-type': 'application/sdp' },
    body: OFFER,
  });
  t.is(response.status, 409);
  t.regex(response.headers.get('retry-after') ?? '', /^\d+$/);
  t.is((await fetch(demo.url('/live/live/nobody/index.m3u8'))).status, 404);
});

const OFFER = `v=0
o=- 1 1 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0
m=video 9 UDP/TLS/RTP/SAVPF 96
c=IN IP4 0.0.0.0
a=mid:0
a=recvonly
a=rtcp-mux
a=setup:actpass
a=ice-ufrag:abcd
a=ice-pwd:abcdefghijklmnopqrstuv
a=fingerprint:sha-256 ${Array(32).fill('AB').join(':')}
a=rtpmap:96 VP8/90000
`.replaceAll('\n', '\r\n');
