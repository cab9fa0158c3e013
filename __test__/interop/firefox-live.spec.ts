import anyTest from 'ava';
import type { TestFn } from 'ava';
import type { Browser } from 'playwright-core';
import { chromiumPath, launchChromium } from '../browser/chromium.js';
import { startDemo } from '../browser/demo.js';
import type { Demo } from '../browser/demo.js';
import { until } from './demo.js';
import { firefoxPath, launchFirefox } from './firefox.js';

const test = (anyTest as TestFn).serial;
const inBoth = chromiumPath && firefoxPath ? test : test.skip;
let chromium: Browser;
let demo: Demo;

test.before(async () => {
  if (!chromiumPath || !firefoxPath) return;
  [chromium, demo] = await Promise.all([launchChromium(), startDemo()]);
});
test.after.always(async () => {
  await chromium?.close();
  await demo?.stop();
});

for (const codec of ['VP8', 'VP9', 'AV1'] as const) {
  inBoth(`Firefox plays by WHEP what Chromium publishes as ${codec}`, async (t) => {
    const publisher = await chromium.newPage();
    await publisher.goto(`${demo.url}/live`);
    await publisher.evaluate(publishCamera, [`/live/live/chromium-${codec}/whip`, codec] as const);
    const firefox = await launchFirefox();
    try {
      const viewer = await firefox.newPage();
      await viewer.goto(`${demo.url}/live`);
      await viewer.evaluate(playStream, `/live/live/chromium-${codec}/whep`);
      const shown = await until('a moving picture and sound', async () => {
        const now = await viewer.evaluate(watched);
        return now.seconds > 2 && now.audioPackets > 100 && now;
      });
      t.true(shown.width >= 320, `${shown.width} pixels wide`);
    } finally {
      await firefox.close();
      await publisher.close();
    }
  });
}

inBoth('Chromium plays by WHEP what Firefox publishes', async (t) => {
  const firefox = await launchFirefox();
  try {
    const publisher = await firefox.newPage();
    await publisher.goto(`${demo.url}/live`);
    await publisher.evaluate(publishCamera, ['/live/live/firefox/whip', 'VP8'] as const);
    const viewer = await chromium.newPage();
    await viewer.goto(`${demo.url}/live`);
    await viewer.evaluate(playStream, '/live/live/firefox/whep');
    const shown = await until('a moving picture and sound', async () => {
      const now = await viewer.evaluate(watched);
      return now.seconds > 2 && now.audioPackets > 100 && now;
    });
    t.true(shown.width >= 320, `${shown.width} pixels wide`);
    await viewer.close();
  } finally {
    await firefox.close();
  }
});

/** Runs in a page of the demo: publishes its camera and microphone. */
async function publishCamera([url, codec]: readonly [string, string]): Promise<void> {
  const { publish } = (await import('/page/wish.js' as string)) as {
    publish: (url: string, stream: MediaStream, codec: string) => Promise<unknown>;
  };
  const video = { width: 640, height: 360 };
  const stream = await navigator.mediaDevices.getUserMedia({ video, audio: true });
  Object.assign(globalThis, { published: await publish(url, stream, codec) });
}

/** Runs in a page of the demo: plays a stream in its WHEP player. */
async function playStream(url: string): Promise<void> {
  const { play } = (await import('/page/wish.js' as string)) as {
    play: (url: string, video: HTMLVideoElement) => Promise<{ readonly peer: RTCPeerConnection }>;
  };
  document.getElementById('players')!.hidden = false;
  const { peer } = await play(url, document.getElementById('whep') as HTMLVideoElement);
  Object.assign(globalThis, { peer });
}

async function watched(): Promise<{
  readonly seconds: number;
  readonly width: number;
  readonly audioPackets: number;
}> {
  const { peer } = globalThis as unknown as { peer: RTCPeerConnection };
  const video = document.getElementById('whep') as HTMLVideoElement;
  let audioPackets = 0;
  for (const report of (await peer.getStats()).values()) {
    if (report.type === 'inbound-rtp' && report.kind === 'audio') {
      audioPackets += report.packetsReceived;
    }
  }
  return { seconds: video.currentTime, width: video.videoWidth, audioPackets };
}
