import type { Visitor } from './room.js';
import { longestGapMs } from './room.js';
import { onStage } from './stage.js';

const test = onStage();

for (const [video, codec] of [
  ['vp8', 'VP8'],
  ['h264', 'H264'],
  ['vp9', 'VP9'],
  ['av1', 'AV1'],
] as const) {
  test(`${codec} plays both ways`, async (t) => {
    const { demo, join } = t.context;
    const ann = await join(video, { name: 'Ann', video, audio: false });
    const bob = await join(video, { name: 'Bob', video, audio: false });
    await Promise.all([ann.seesMoving(1), bob.seesMoving(1)]);
    for (const { tracks } of await demo.describe(video)) {
      t.deepEqual(
        tracks.map(({ track }) => track.codec),
        [codec],
      );
    }
  });

  test(`${codec} simulcast plays, and a forced layer shows within 1.5 s without a freeze`, async (t) => {
    const { join } = t.context;
    const room = `${video}-simulcast`;
    await join(room, { name: 'Ann', video, audio: false, simulcast: true, height: 360 });
    const bob = await join(room, { name: 'Bob', device: false });
    const trackId = await settled(bob, 640);
    for (const [rid, width] of [
      ['h', 320],
      ['f', 640],
      ['h', 320],
    ] as const) {
      const { switchedMs, freezeMs } = await force(bob, trackId, rid, width);
      t.log(`${rid}: ${width} wide after ${switchedMs} ms, longest gap ${freezeMs} ms`);
      t.true(switchedMs <= 1500, `${rid} took ${switchedMs} ms`);
      t.true(freezeMs <= 500, `${rid} froze for ${freezeMs} ms`);
    }
    await bob.seesMoving(1);
  });
}

test('1280x720 is reached without being asked for, and its three layers arrive at their sizes', async (t) => {
  const { join } = t.context;
  await join('720', { name: 'Ann', audio: false, simulcast: true, height: 720 });
  const bob = await join('720', { name: 'Bob', device: false });
  const trackId = await settled(bob, 1280);
  for (const [rid, width] of [
    ['q', 320],
    ['h', 640],
    ['f', 1280],
    ['q', 320],
  ] as const) {
    const { switchedMs, freezeMs } = await force(bob, trackId, rid, width);
    t.log(`${rid}: ${width} wide after ${switchedMs} ms, longest gap ${freezeMs} ms`);
    t.true(switchedMs <= 1500, `${rid} took ${switchedMs} ms`);
    t.true(freezeMs <= 500, `${rid} froze for ${freezeMs} ms`);
  }
});

/** Waits until the picture has kept that width for two seconds: the publisher's ramp-up is over. */
async function settled(visitor: Visitor, width: number): Promise<string> {
  return visitor.until(`a lasting width of ${width}`, async () => {
    const [tile] = await visitor.tiles();
    const trackId = tile?.trackId ?? '';
    const now = await visitor.now();
    const frames = await visitor.framesSince(trackId, now - 2000);
    const isSteady = frames.length > 20 && frames.every((frame) => frame.width === width);
    return isSteady && trackId;
  });
}

/** Asks for a layer as a tile's menu does and measures on the page's own frames. */
async function force(
  visitor: Visitor,
  trackId: string,
  rid: string,
  width: number,
): Promise<{ switchedMs: number; freezeMs: number }> {
  // The picture before the wish, so that a gap at the switch has two ends.
  const before = await visitor.now();
  await visitor.watch(trackId, 300);
  const askedAt = await visitor.now();
  await visitor.page.locator('[data-action=layer]').selectOption(rid, { force: true });
  const first = await visitor.until(`layer ${rid}`, async () => {
    const frames = await visitor.framesSince(trackId, askedAt);
    const isNew = frames.at(-1)?.width === width;
    return isNew && frames.find((frame) => frame.width === width);
  });
  await visitor.watch(trackId, 800);
  return {
    switchedMs: Math.round(first.at - askedAt),
    freezeMs: Math.round(longestGapMs(await visitor.framesSince(trackId, before))),
  };
}
