import type { Page } from 'playwright-core';
import { NarrowPath } from './narrow-path.js';
import { onStage } from './stage.js';

const test = onStage();
test('a WHEP viewer on a narrow, lossy path goes down a layer, and up again when it is free', async (t) => {
  const { browser, demo } = t.context;
  const url = `${demo.url}/live/live/narrow`;
  const path = await NarrowPath.open();
  const publisher = await browser.newPage();
  const viewer = await browser.newPage();
  try {
    await Promise.all([publisher, viewer].map((page) => page.goto(`${demo.url}/live`)));
    await publisher.evaluate(publishThreeLayers, `${url}/whip`);
    await publisher.waitForFunction(allLayersFlow, undefined, { timeout: 60_000, polling: 500 });
    await viewer.route(`${url}/whep`, async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, body: path.lead(await response.text()) });
    });
    await viewer.evaluate(playStream, `${url}/whep`);
    t.true(await becomes(viewer, 'wide', 960, 40_000), 'the top layer on a free path');

    path.narrow({ bitsPerSecond: 1_000_000, loss: 0.05 });
    const narrowed = performance.now();
    t.true(await becomes(viewer, 'narrow', 960, 20_000), 'a lower layer on a narrow path');
    const down = performance.now() - narrowed;
    await viewer.waitForTimeout(8000);
    const { frames, freezes, width } = await watched(viewer);
    t.true(width < 960, 'it stays there');

    path.narrow(undefined);
    const freed = performance.now();
    t.true(await becomes(viewer, 'wide', 960, 40_000), 'the top layer again');
    t.log({ downMs: Math.round(down), upMs: Math.round(performance.now() - freed) });
    t.log({ frames, freezes, width });
  } finally {
    await Promise.all([publisher.close(), viewer.close()]);
    path.close();
  }
});

/** Publishes noise, which costs each layer all it may have: 240, 480 and 960 pixels wide. */
async function publishThreeLayers(url: string): Promise<void> {
  const { negotiate } = (await import('/page/wish.js' as string)) as {
    negotiate: (url: string, peer: RTCPeerConnection) => Promise<unknown>;
  };
  const canvas = Object.assign(document.createElement('canvas'), { width: 960, height: 540 });
  const context = canvas.getContext('2d')!;
  setInterval(() => {
    for (let i = 0; i < 600; i++) {
      context.fillStyle = `hsl(${Math.random() * 360} 80% 50%)`;
      context.fillRect(Math.random() * 960, Math.random() * 540, 40, 40);
    }
  }, 50);
  const stream = canvas.captureStream(20);
  const peer = new RTCPeerConnection();
  peer.addTransceiver(stream.getVideoTracks()[0]!, {
    direction: 'sendonly',
    streams: [stream],
    sendEncodings: [
      { rid: 'q', scaleResolutionDownBy: 4, maxBitrate: 150_000 },
      { rid: 'h', scaleResolutionDownBy: 2, maxBitrate: 500_000 },
      { rid: 'f', maxBitrate: 1_800_000 },
    ],
  });
  await negotiate(url, peer);
  Object.assign(globalThis, { peer, stream });
}

/** Whether the publisher's top layer has come to more than the narrow path takes. */
async function allLayersFlow(): Promise<boolean> {
  const { peer } = globalThis as unknown as { peer: RTCPeerConnection };
  for (const report of (await peer.getStats()).values()) {
    if (report.type === 'outbound-rtp' && report.rid === 'f') {
      return report.frameWidth === 960 && report.targetBitrate > 1_200_000;
    }
  }
  return false;
}

async function playStream(url: string): Promise<void> {
  const { play } = (await import('/page/wish.js' as string)) as {
    play: (url: string, video: HTMLVideoElement) => Promise<{ readonly peer: RTCPeerConnection }>;
  };
  document.getElementById('players')!.hidden = false;
  const { peer } = await play(url, document.getElementById('whep') as HTMLVideoElement);
  Object.assign(globalThis, { peer });
}

/** Whether the picture gets as wide as that, or narrower, in time. */
function becomes(
  page: Page,
  how: 'wide' | 'narrow',
  width: number,
  timeout: number,
): Promise<boolean> {
  return page.waitForFunction(isSo, [how, width] as const, { timeout, polling: 50 }).then(
    () => true,
    () => false,
  );
}

/** Runs in the viewer's page. */
function isSo([how, width]: readonly [string, number]): boolean {
  const { videoWidth } = document.getElementById('whep') as HTMLVideoElement;
  return how === 'wide' ? videoWidth >= width : videoWidth < width;
}

/** What the viewer has seen so far. */
function watched(page: Page): Promise<{
  readonly width: number;
  readonly frames: number;
  readonly freezes: number;
}> {
  return page.evaluate(async () => {
    const { peer } = globalThis as unknown as { peer: RTCPeerConnection };
    const { videoWidth: width } = document.getElementById('whep') as HTMLVideoElement;
    for (const report of (await peer.getStats()).values()) {
      if (report.type === 'inbound-rtp' && report.kind === 'video') {
        return { width, frames: report.framesDecoded, freezes: report.freezeCount };
      }
    }
    return { width, frames: 0, freezes: 0 };
  });
}
