import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import anyTest from 'ava';
import type { TestFn } from 'ava';
import type { Browser, Page } from 'playwright-core';
import type { PublishedTrack, Registry, TrackId } from 'sluice';
import { announce, picture, sound } from '../live-media.js';
import {
  attend,
  giveUpTheBest,
  hasWidth,
  hls,
  perform,
  played,
  received,
  shows,
  speak,
  startStudio,
  whep,
  whip,
  type Guest,
  type Studio,
} from './bridge-page.js';
import { chromiumPath, launchChromium } from './chromium.js';

const exec = promisify(execFile);
const test = anyTest as TestFn<Studio>;
const inChromium = chromiumPath ? test.serial : test.serial.skip;
let browser: Browser;

test.before(async () => {
  if (chromiumPath) browser = await launchChromium();
});
test.after.always(() => browser?.close());
test.beforeEach(async (t) => {
  t.context = await startStudio(2);
});
test.afterEach.always(async (t) => {
  await Promise.all(
    browser
      .contexts()
      .flatMap((context) => context.pages())
      .map(close),
  );
  await t.context.close();
});

const close = (page: Page): Promise<void> => page.close();

/** A room on the other thread than the streams `live/a` or `live/b`: one of them, for sure. */
const keys = ['live/a', 'live/b'] as const;

for (const [codec, key] of [
  ['VP8', keys[0]],
  ['H264', keys[1]],
] as const) {
  inChromium(`${codec}: whoever speaks in a room is a stream, played and recorded`, async (t) => {
    const { server } = t.context;
    const registry = server.registry('room');
    const red = await perform(browser, t.context, registry, { colour: 'red', loud: true, codec });
    const blue = await perform(browser, t.context, registry, {
      colour: 'blue',
      loud: false,
      codec,
    });
    const publisher = await server.live.publishFrom(registry, key, {
      video: 'activeSpeaker',
      audio: 'activeSpeaker',
    });
    const seen: (TrackId | undefined)[] = [];
    publisher.on('sourceChanged', ({ video, audio }) => {
      t.log({ video, audio });
      if (video !== seen.at(-1)) seen.push(video);
    });
    const viewer = await whep(browser, t.context, key);
    await shows(viewer, 'red');
    const player = codec === 'H264' ? await hls(browser, t.context, key) : undefined;
    if (player) await shows(player, 'red');
    const directory = await mkdtemp(join(tmpdir(), 'sluice-bridge-'));
    t.teardown(() => rm(directory, { recursive: true }));
    const recording = await server.live.record(key, { directory });
    await viewer.waitForTimeout(2000);
    const before = await received(viewer);
    await speak(blue, true);
    await speak(red, false);
    await shows(viewer, 'blue');
    if (player) await shows(player, 'blue');
    await speak(red, true);
    await speak(blue, false);
    await shows(viewer, 'red');
    if (player) {
      await shows(player, 'red');
      const at = await played(player);
      await player.waitForTimeout(2000);
      t.true((await played(player)) > at + 1, 'hls.js goes on');
      t.deepEqual(await player.evaluate('errors'), []);
    }
    const after = await received(viewer);
    t.true(after.frames > before.frames + 20 && after.energy > before.energy, 'WHEP goes on');
    const [ofRed, ofBlue] = [trackOf(registry, red), trackOf(registry, blue)];
    t.deepEqual(seen.slice(-3), [ofRed, ofBlue, ofRed]);
    const files = await recording.stop();
    await publisher.stop();
    t.is(await publisher.ended, 'stopped');
    t.is(files.length, 1);
    const file = join(directory, files[0]!.name);
    const { stdout, stderr } = await exec('ffprobe', [
      ...['-v', 'error', '-count_frames', '-show_entries', 'stream=codec_type,nb_read_frames'],
      ...['-of', 'csv=p=0', file],
    ]);
    t.is(stderr, '', 'ffprobe has no complaint');
    t.log({ stdout, durationMs: files[0]!.durationMs, seen });
    t.regex(stdout, /video,\d\d/);
    t.regex(stdout, /audio,\d\d\d/);
  });
}

inChromium('named tracks are a stream, and others when the application says so', async (t) => {
  const { server, url } = t.context;
  const registry = server.registry('room');
  const red = await perform(browser, t.context, registry, { colour: 'red', loud: true });
  const blue = await perform(browser, t.context, registry, { colour: 'blue', loud: true });
  const [ofRed, ofBlue] = [await trackOfSoon(registry, red), await trackOfSoon(registry, blue)];
  for (const key of keys) {
    const publisher = await server.live.publishFrom(registry, key, { video: ofRed });
    const viewer = await whep(browser, t.context, key);
    await shows(viewer, 'red');
    await publisher.setSources({ video: ofBlue });
    await shows(viewer, 'blue');
    const { stdout, stderr } = await exec('ffprobe', [
      ...['-v', 'error', '-show_entries', 'stream=codec_type', '-of', 'csv=p=0'],
      `${url}/live/${key}/index.m3u8`,
    ]).catch((error: { stdout: string; stderr: string }) => error);
    t.is(stderr, '', 'ffprobe has no complaint');
    t.regex(stdout, /^video/);
    await viewer.close();
    if (key === keys[0]) await publisher.stop();
    else {
      await blue.client.close();
      t.is(await publisher.ended, 'trackClosed');
    }
  }
});

inChromium('of a track with simulcast the best layer that flows is the stream', async (t) => {
  const { server } = t.context;
  const registry = server.registry('room');
  const red = await perform(browser, t.context, registry, {
    colour: 'red',
    loud: true,
    simulcast: true,
  });
  const publisher = await server.live.publishFrom(registry, keys[0], {
    video: await trackOfSoon(registry, red),
    audio: 'activeSpeaker',
  });
  const viewer = await whep(browser, t.context, keys[0]);
  await hasWidth(viewer, 640);
  await giveUpTheBest(red);
  await hasWidth(viewer, 320);
  await shows(viewer, 'red');
  await publisher.stop();
  t.is(await publisher.ended, 'stopped');
});

inChromium('a stream is shown in a room, whoever publishes it', async (t) => {
  const { server } = t.context;
  const registry = server.registry('room');
  const [ofWhip, ofProgram] = keys;
  await whip(browser, t.context, ofWhip, { colour: 'blue', loud: true });
  for (;;) {
    const streams = await server.live.streams();
    if (streams.some(({ key, state }) => key === ofWhip && state === 'publishing')) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const showing = await server.live.showIn(registry, ofWhip);
  const guest = await attend(browser, t.context, registry);
  await shows(guest.page, 'blue');
  const before = await received(guest.page);
  await guest.page.waitForTimeout(1500);
  const after = await received(guest.page);
  t.true(after.frames > before.frames + 15, 'it goes on');
  t.true(after.energy > before.energy, 'with its sound');
  await showing.stop();
  t.is(await showing.ended, 'stopped');

  // Nobody can be asked for a keyframe here: it begins with the one that was.
  const session = await server.live.publish(ofProgram);
  await announce(session);
  const film = await server.live.showIn(registry, ofProgram);
  let n = 0;
  const playing = setInterval(() => {
    void session.write(picture(n, 1000), sound(2 * n), sound(2 * n + 1)).catch(() => {});
    n += 1;
  }, 40);
  t.teardown(() => clearInterval(playing));
  await guest.page.waitForTimeout(4000);
  const late = await attend(browser, t.context, registry);
  const begun = Date.now();
  for (;;) {
    const { frames } = await received(late.page);
    if (frames > 0) break;
    t.true(Date.now() - begun < 5000, 'a picture at once');
    await late.page.waitForTimeout(50);
  }
  clearInterval(playing);
  await session.finish();
  t.is(await film.ended, 'streamEnded');
});

function trackOf(registry: Registry, guest: Guest): TrackId | undefined {
  return videoOf(registry, guest)?.id;
}

async function trackOfSoon(registry: Registry, guest: Guest): Promise<TrackId> {
  for (;;) {
    const id = trackOf(registry, guest);
    if (id) return id;
    await guest.page.waitForTimeout(50);
  }
}

function videoOf(registry: Registry, { client }: Guest): PublishedTrack | undefined {
  return registry.client(client.id)?.tracks.find(({ kind }) => kind === 'video');
}
