import type { Page } from 'playwright-core';
import { onStage } from './stage.js';
import type { Stage } from './stage.js';

const test = onStage();

for (const codec of ['H264', 'VP9', 'AV1'] as const) {
  test(`${codec} published by WHIP plays by WHEP and LL-HLS, live`, async (t) => {
    const publisher = await publish(t.context, `show-${codec}`, codec);
    // Browsers send one keyframe at the beginning: whoever comes later joins a long GOP.
    await publisher.waitForTimeout(5000);
    const viewer = await watch(t.context, `show-${codec}`);
    t.true(await ages(viewer, 'whep', 400, 10_000), 'WHEP is live');
    t.true(await ages(viewer, 'hls', 2500, 15_000), 'LL-HLS is live');
    const before = await times(viewer);
    await viewer.waitForTimeout(3000);
    const after = await times(viewer);
    t.log(codec, await latencies(viewer), { before, after });
    t.true(after.whep - before.whep > 2, 'WHEP goes on');
    t.true(after.hls - before.hls > 2, 'LL-HLS goes on');
    await Promise.all([publisher.close(), viewer.close()]);
  });
}

test('VP8 plays by WHEP', async (t) => {
  const publisher = await publish(t.context, 'show-VP8', 'VP8');
  const viewer = await watch(t.context, 'show-VP8');
  t.true(await ages(viewer, 'whep', 400, 10_000));
  await Promise.all([publisher.close(), viewer.close()]);
});

test('a viewer of a long GOP sees a picture at once, and the publisher is not asked', async (t) => {
  const publisher = await publish(t.context, 'long', 'VP8');
  await publisher.waitForTimeout(4000);
  const viewer = await t.context.browser.newPage();
  await viewer.goto(`${t.context.demo.url}/live`);
  const firstFrameMs = await viewer.evaluate(async () => {
    const { play } = (await import('/page/wish.js' as string)) as {
      play: (url: string, video: HTMLVideoElement) => Promise<unknown>;
    };
    const video = document.getElementById('whep') as HTMLVideoElement;
    document.getElementById('players')!.hidden = false;
    const begin = performance.now();
    const first = new Promise((resolve) => video.requestVideoFrameCallback(resolve));
    await play('/live/live/long/whep', video);
    await first;
    return performance.now() - begin;
  });
  t.log({ firstFrameMs });
  t.true(firstFrameMs < 1000);
  t.is(await publisher.evaluate(keyframesAsked), 0);
  await Promise.all([publisher.close(), viewer.close()]);
});

test('a video element alone plays the playlist', async (t) => {
  const publisher = await publish(t.context, 'native', 'H264');
  const viewer = await t.context.browser.newPage();
  await viewer.goto(`${t.context.demo.url}/live`);
  await viewer.evaluate(async () => {
    const video = Object.assign(document.createElement('video'), { muted: true, id: 'native' });
    document.body.append(video);
    video.src = '/live/live/native/index.m3u8';
    await video.play();
  });
  await viewer.waitForFunction(nativePlays, undefined, { timeout: 20_000 });
  const shown = await viewer.evaluate(() => {
    const video = document.getElementById('native') as HTMLVideoElement;
    const { totalVideoFrames } = video.getVideoPlaybackQuality();
    return { width: video.videoWidth, frames: totalVideoFrames };
  });
  t.is(shown.width, 640);
  t.true(shown.frames > 60, `${shown.frames} pictures in 4 s`);
  await Promise.all([publisher.close(), viewer.close()]);
});

test('a stream ends with its publisher, and its resource with DELETE', async (t) => {
  const { url } = t.context.demo;
  const publisher = await publish(t.context, 'short', 'VP8');
  t.true((await list(url)).includes('live/short'));
  await publisher.click('#start button');
  await publisher.waitForSelector('#streams li[data-key="live/short"]', { state: 'detached' });
  t.false((await list(url)).includes('live/short'));
  await publisher.close();
});

function nativePlays(): boolean {
  return (document.getElementById('native') as HTMLVideoElement).currentTime > 4;
}

async function publish({ browser, demo }: Stage, stream: string, codec: string): Promise<Page> {
  const page = await browser.newPage();
  await page.addInitScript(() => {
    const { RTCPeerConnection: Peer } = globalThis;
    globalThis.RTCPeerConnection = class extends Peer {
      constructor(configuration?: RTCConfiguration) {
        super(configuration);
        Object.assign(globalThis, { peer: this });
      }
    };
  });
  await page.goto(`${demo.url}/live`);
  await page.fill('input[name=stream]', stream);
  await page.selectOption('select[name=codec]', codec);
  await page.click('#start button');
  await page.waitForSelector(`#streams li[data-key="live/${stream}"]`, { timeout: 15_000 });
  return page;
}

async function watch({ browser, demo }: Stage, stream: string): Promise<Page> {
  const page = await browser.newPage();
  await page.goto(`${demo.url}/live`);
  await page.click(`#streams li[data-key="live/${stream}"] button`);
  return page;
}

/** Whether the picture gets as young as that in time. */
async function ages(page: Page, player: string, ms: number, timeout: number): Promise<boolean> {
  return page.waitForFunction(isYoung, [player, ms] as const, { timeout }).then(
    () => true,
    () => false,
  );
}

function isYoung([id, limit]: readonly [string, number]): boolean {
  const age = document.getElementById(`${id}-latency`)?.dataset['ms'];
  return age !== undefined && Number(age) < limit;
}

function latencies(page: Page): Promise<unknown> {
  return page.evaluate(() =>
    ['whep', 'hls'].map((id) => document.getElementById(`${id}-latency`)?.textContent),
  );
}

function times(page: Page): Promise<{ readonly whep: number; readonly hls: number }> {
  return page.evaluate(() => {
    const [whep, hls] = document.querySelectorAll<HTMLVideoElement>('#whep, #hls');
    return { whep: whep!.currentTime, hls: hls!.currentTime };
  });
}

async function keyframesAsked(): Promise<number> {
  const { peer } = globalThis as unknown as { peer: RTCPeerConnection };
  let asked = 0;
  for (const report of (await peer.getStats()).values()) {
    if (report.type === 'outbound-rtp') asked += (report.pliCount ?? 0) + (report.firCount ?? 0);
  }
  return asked;
}

/** The names of all live streams. */
async function list(url: string): Promise<readonly string[]> {
  const response = await fetch(`${url}/live`, { headers: { Accept: 'application/json' } });
  const { streams } = (await response.json()) as { streams: readonly { key: string }[] };
  return streams.map(({ key }) => key);
}
