import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import anyTest from 'ava';
import type { Browser, Page } from 'playwright-core';
import { allowAll, Server } from 'sluice';
import type { StreamTrack } from 'sluice';
import { chromiumPath, launchChromium } from './chromium.js';

const test = chromiumPath ? anyTest.serial : anyTest.serial.skip;
const run = promisify(execFile);
const require = createRequire(import.meta.url);
const WISH = new URL('../../examples/demo/public/wish.js', import.meta.url);

/** Sizes of the layers that the page sends. */
const SIZES = { q: 320, h: 640, f: 1280 } as const;

let browser: Browser;
let server: Server;
let url: string;

anyTest.before(async () => {
  if (!chromiumPath) return;
  server = await Server.start({ udpPort: 0, bindAddress: '127.0.0.1', shards: 1 });
  server.live.use(allowAll);
  const handler = server.live.httpHandler() as RequestListener;
  const files: Record<string, [string, URL | string]> = {
    '/': ['text/html', ''],
    '/wish.js': ['text/javascript', WISH],
    '/hls.js': ['text/javascript', require.resolve('hls.js')],
  };
  const http = createServer((request, response) => {
    const file = files[request.url ?? ''];
    if (file === undefined) return handler(request, response);
    const [type, path] = file;
    response.setHeader('content-type', type);
    void (
      path === '' ? Promise.resolve('<!doctype html><video muted autoplay>') : readFile(path)
    ).then((text) => response.end(text));
  }).listen(0, '127.0.0.1');
  await once(http, 'listening');
  http.unref();
  url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  browser = await launchChromium();
});

anyTest.after.always(async () => {
  await browser?.close();
  await server?.close();
});

test('three layers published by WHIP are streams, and renditions that hls.js goes between', async (t) => {
  const publisher = await publish('show');
  await carries('live/show', 'f');
  const streams = await server.live.streams();
  t.deepEqual(streams.map(({ key, layers, tracks }) => [key, layers, widthOf(tracks)]).toSorted(), [
    ['live/show', ['h', 'q'], SIZES.f],
    ['live/show~h', [], SIZES.h],
    ['live/show~q', [], SIZES.q],
  ]);
  const player = await playHls('show');
  const levels = await player.evaluate(() =>
    (globalThis as unknown as Player).hls.levels.map(({ width, height, frameRate, bitrate }) => ({
      width,
      height,
      frameRate,
      bitrate,
    })),
  );
  t.deepEqual(
    levels.map(({ width }) => width).toSorted((a, b) => a - b),
    [320, 640, 1280],
  );
  t.true(levels.every(({ frameRate, bitrate }) => frameRate > 0 && bitrate > 0));
  for (const size of [SIZES.q, SIZES.f, SIZES.h, SIZES.f, SIZES.q]) {
    t.is(await level(player, size), size, `a picture ${size} wide`);
    const before = await clock(player);
    await sleep(3000);
    const after = await clock(player);
    t.true(after - before > 2, `${size} goes on`);
  }
  t.deepEqual(await player.evaluate(() => (globalThis as unknown as Player).fatal), []);
  await Promise.all([publisher.close(), player.close()]);
});

test('the renditions lie on one timeline, and ffprobe finds nothing to say', async (t) => {
  const publisher = await publish('aligned');
  await carries('live/aligned', 'f');
  const index = await text('aligned/index.m3u8');
  const uris = index.split('\n').filter((line) => line.endsWith('stream.m3u8'));
  t.is(uris.length, 3);
  await sleep(6000);
  const playlists = await Promise.all(uris.map((uri) => text(`aligned/${uri}`)));
  const dates = playlists.map(segments);
  const [base, ...others] = dates;
  for (const other of others) {
    const apart = other
      .slice(-4)
      .map(({ at }) => Math.min(...base!.map((b) => Math.abs(b.at - at))));
    t.true(
      apart.every((ms) => ms < 20),
      `${apart.join()} ms apart`,
    );
  }
  for (const [place, playlist] of playlists.entries()) {
    const reports = playlist
      .split('\n')
      .filter((line) => line.startsWith('#EXT-X-RENDITION-REPORT'));
    t.is(reports.length, 2);
    const siblings = uris.filter((_, other) => other !== place);
    for (const uri of siblings) t.true(reports.some((report) => report.includes(`"../${uri}"`)));
  }
  for (const [place, width] of [SIZES.f, SIZES.h, SIZES.q].entries()) {
    const { stdout, stderr } = await probe(`${url}/live/live/aligned/${uris[place]!}`);
    t.is(stderr, '');
    t.regex(stdout, new RegExp(`^h264,${width}$`, 'm'));
    t.regex(stdout, /^opus/m);
  }
  await publisher.close();
});

test('a layer is watched by WHEP under its own name', async (t) => {
  const publisher = await publish('watched');
  await carries('live/watched', 'f');
  for (const [layer, size] of Object.entries(SIZES)) {
    const viewer = await browser.newPage();
    await viewer.goto(url);
    await viewer.evaluate(async (from) => {
      const { play } = (await import('/wish.js' as string)) as {
        play: (url: string, video: HTMLVideoElement) => Promise<unknown>;
      };
      await play(from, document.querySelector('video')!);
    }, `${url}/live/live/watched~${layer}/whep`);
    t.true(await shows(viewer, size), layer);
    const before = await clock(viewer);
    await sleep(2000);
    t.true((await clock(viewer)) - before > 1, `${layer} goes on`);
    t.is(await viewer.evaluate(() => document.querySelector('video')!.videoWidth), size);
    await viewer.close();
  }
  await publisher.close();
});

test('the stream itself and a layer are recorded', async (t) => {
  const publisher = await publish('kept');
  await carries('live/kept', 'f');
  const directory = await mkdtemp(join(tmpdir(), 'layers-'));
  t.teardown(() => rm(directory, { recursive: true }));
  const keys = ['live/kept', 'live/kept~q'];
  const recordings = await Promise.all(keys.map((key) => server.live.record(key, { directory })));
  await sleep(4000);
  const files = await Promise.all(recordings.map((recording) => recording.stop()));
  for (const [place, width] of [SIZES.f, SIZES.q].entries()) {
    const [file] = files[place]!;
    const { stdout, stderr } = await probe(join(directory, file!.name));
    t.is(stderr, '');
    t.regex(stdout, new RegExp(`^h264,${width}$`, 'm'));
    t.true(file!.durationMs > 2500, `${file!.durationMs} ms`);
  }
  await publisher.close();
});

test('the stream goes on with the best layer that flows, and back up', async (t) => {
  const publisher = await publish('thin');
  await carries('live/thin', 'f');
  const directory = await mkdtemp(join(tmpdir(), 'layers-'));
  t.teardown(() => rm(directory, { recursive: true }));
  const player = await playHls('thin');
  t.is(await level(player, SIZES.f), SIZES.f);
  const recording = await server.live.record('live/thin', { directory });
  await send(publisher, { f: false });
  await carries('live/thin', 'h');
  t.true(await shows(player, SIZES.h), 'the same rendition goes on with the smaller picture');
  await send(publisher, { f: false, h: false });
  await carries('live/thin', 'q');
  await send(publisher, {});
  await carries('live/thin', 'f');
  t.true(await shows(player, SIZES.f), 'and back');
  const before = await clock(player);
  await sleep(3000);
  t.true((await clock(player)) - before > 2, 'it goes on');
  t.deepEqual(await player.evaluate(() => (globalThis as unknown as Player).fatal), []);
  const index = await text('thin/index.m3u8');
  for (const uri of index.split('\n').filter((line) => line.endsWith('stream.m3u8'))) {
    t.notRegex(await text(`thin/${uri}`), /EXT-X-DISCONTINUITY\n/, 'times and tracks go on');
  }
  const files = await recording.stop();
  t.true(files.length >= 4, `${files.length} files: each size has its own`);
  for (const { name } of files) t.is((await probe(join(directory, name))).stderr, '');
  await Promise.all([publisher.close(), player.close()]);
});

test('who plays a layer stays when its publisher is replaced', async (t) => {
  const first = await publish('again');
  await carries('live/again', 'f');
  const player = await playHls('again');
  t.is(await level(player, SIZES.h), SIZES.h);
  await first.close();
  // Without identity it is a stranger, who gets the key when its holder has fallen silent.
  await sleep(2500);
  const second = await publish('again');
  await carries('live/again', 'f');
  await sleep(4000);
  const before = await clock(player);
  await sleep(3000);
  t.true((await clock(player)) - before > 2, 'it goes on');
  t.true(await shows(player, SIZES.h));
  t.deepEqual(await player.evaluate(() => (globalThis as unknown as Player).fatal), []);
  const index = await text('again/index.m3u8');
  const uris = index.split('\n').filter((line) => line.endsWith('stream.m3u8'));
  const playlists = await Promise.all(uris.map((uri) => text(`again/${uri}`)));
  const dates = playlists.map(segments);
  for (const other of dates.slice(1)) {
    const apart = other
      .slice(-3)
      .map(({ at }) => Math.min(...dates[0]!.map((b) => Math.abs(b.at - at))));
    t.true(
      apart.every((ms) => ms < 20),
      `${apart.join()} ms apart`,
    );
  }
  const breaks = playlists.map((playlist) => playlist.match(/EXT-X-DISCONTINUITY\n/g)?.length);
  t.deepEqual(breaks, [1, 1, 1]);
  await Promise.all([second.close(), player.close()]);
});

/** What the page of a player holds. */
interface Player {
  readonly hls: {
    readonly levels: readonly {
      readonly width: number;
      readonly height: number;
      readonly frameRate: number;
      readonly bitrate: number;
    }[];
    currentLevel: number;
  };
  readonly fatal: readonly string[];
}

async function playHls(stream: string): Promise<Page> {
  const page = await browser.newPage();
  await page.goto(url);
  await page.addScriptTag({ url: '/hls.js' });
  await page.evaluate((from) => {
    const { Hls } = globalThis as unknown as { Hls: HlsConstructor };
    const hls = new Hls({ lowLatencyMode: true });
    const fatal: string[] = [];
    hls.on('hlsError', (_, { fatal: isFatal, details }) => {
      if (isFatal) fatal.push(details);
    });
    hls.loadSource(from);
    hls.attachMedia(document.querySelector('video')!);
    Object.assign(globalThis, { hls, fatal });
  }, `${url}/live/live/${stream}/index.m3u8`);
  await page.waitForFunction(() => (document.querySelector('video')?.currentTime ?? 0) > 0.5);
  return page;
}

/** What is used of hls.js. */
type HlsConstructor = new (config: object) => {
  on(
    type: string,
    listener: (type: string, data: { fatal: boolean; details: string }) => void,
  ): void;
  loadSource(url: string): void;
  attachMedia(video: HTMLVideoElement): void;
};

/** Goes to the level of a width, and says how wide the picture is in the end. */
async function level(page: Page, width: number): Promise<number> {
  await page.evaluate((wanted) => {
    const { hls } = globalThis as unknown as Player;
    hls.currentLevel = hls.levels.findIndex((one) => one.width === wanted);
  }, width);
  await shows(page, width);
  return page.evaluate(() => document.querySelector('video')!.videoWidth);
}

function isWide(wanted: number): boolean {
  return document.querySelector('video')?.videoWidth === wanted;
}

/** Whether the picture gets that wide in time. */
async function shows(page: Page, width: number): Promise<boolean> {
  return page.waitForFunction(isWide, width, { timeout: 10_000 }).then(
    () => true,
    () => false,
  );
}

/** Says which layers the page sends; those not named it does. */
async function send(page: Page, layers: Readonly<Record<string, boolean>>): Promise<void> {
  await page.evaluate(async (active) => {
    const { peer } = globalThis as unknown as { peer: RTCPeerConnection };
    const sender = peer.getSenders().find(({ track }) => track?.kind === 'video')!;
    const parameters = sender.getParameters();
    for (const one of parameters.encodings) one.active = active[one.rid ?? ''] ?? true;
    await sender.setParameters(parameters);
  }, layers);
}

function clock(page: Page): Promise<number> {
  return page.evaluate(() => document.querySelector('video')!.currentTime);
}

/** Waits until a stream carries a layer. */
async function carries(key: string, layer: string): Promise<void> {
  for (const end = Date.now() + 15_000; Date.now() < end; await sleep(100)) {
    const streams = await server.live.streams();
    if (streams.some((stream) => (stream.key as string) === key && stream.carries === layer))
      return;
  }
  throw new Error(`${key} never carried ${layer}`);
}

function widthOf(tracks: readonly StreamTrack[]): number | undefined {
  return tracks.find(({ track }) => track.width !== undefined)?.track.width;
}

async function text(path: string): Promise<string> {
  const response = await fetch(`${url}/live/live/${path}`);
  return response.text();
}

/** When the complete segments of a playlist begin, and how long they last. */
function segments(playlist: string): { readonly at: number; readonly seconds: number }[] {
  const found: { at: number; seconds: number }[] = [];
  let at = 0;
  for (const line of playlist.split('\n')) {
    const [tag, value = ''] = line.split(/:(.*)/s);
    if (tag === '#EXT-X-PROGRAM-DATE-TIME') at = Date.parse(value);
    if (tag === '#EXTINF') found.push({ at, seconds: parseFloat(value) });
  }
  return found;
}

function probe(input: string) {
  const entries = ['-show_entries', 'stream=codec_name,width', '-of', 'csv=p=0'];
  return run('ffprobe', ['-v', 'error', ...entries, input]);
}

async function publish(stream: string): Promise<Page> {
  const page = await browser.newPage();
  await page.goto(url);
  await page.evaluate(async (to) => {
    const { negotiate } = (await import('/wish.js' as string)) as {
      negotiate: (url: string, peer: RTCPeerConnection) => Promise<unknown>;
    };
    const media = await navigator.mediaDevices.getUserMedia({
      audio: true,
      video: { width: 1280, height: 720 },
    });
    const peer = new RTCPeerConnection();
    const [video] = media.getVideoTracks();
    const [audio] = media.getAudioTracks();
    const transceiver = peer.addTransceiver(video!, {
      direction: 'sendonly',
      streams: [media],
      sendEncodings: [
        { rid: 'q', scaleResolutionDownBy: 4, maxBitrate: 200_000 },
        { rid: 'h', scaleResolutionDownBy: 2, maxBitrate: 600_000 },
        { rid: 'f', maxBitrate: 1_500_000 },
      ],
    });
    const { codecs } = RTCRtpReceiver.getCapabilities('video')!;
    const wanted = codecs.filter(({ mimeType }) => mimeType === 'video/H264');
    transceiver.setCodecPreferences([...wanted, ...codecs.filter((one) => !wanted.includes(one))]);
    peer.addTransceiver(audio!, { direction: 'sendonly', streams: [media] });
    Object.assign(globalThis, { peer, stop: await negotiate(to, peer) });
  }, `${url}/live/live/${stream}/whip`);
  return page;
}
