import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FrameInput, PublishSession, StreamItem, Subscription } from 'sluice';

/** The frames of a committed VP8 stream (IVF): a keyframe, two that refer to it, a keyframe. */
export const pictures: readonly Buffer[] = ivf('vp8-322x182.ivf');

/** A VP9 keyframe. */
export const vp9: Buffer = ivf('vp9-322x182.ivf')[0]!;

/** One Opus packet: 20 ms of CELT silence (RFC 6716 §3.1). */
export const silence = Buffer.from([0xfc, 0xff, 0xfe]);

export const VIDEO = 0;
export const AUDIO = 1;

/** Announces pictures and sound. */
export async function announce(session: PublishSession): Promise<void> {
  await session.setTrack({ track: VIDEO, codec: 'VP8' });
  await session.setTrack({ track: AUDIO, codec: 'opus' });
}

/** The nth picture of an endless stream at 25 a second, with a keyframe every `gop`. */
export function picture(n: number, gop = 25, ptsMs = n * 40): FrameInput {
  const keyframe = n % gop === 0;
  return { track: VIDEO, ptsMs, keyframe, data: pictures[keyframe ? 0 : 1]! };
}

/** The nth packet of sound at 50 a second. */
export function sound(n: number, ptsMs = n * 20): FrameInput {
  return { track: AUDIO, ptsMs, keyframe: true, data: silence };
}

/** Publishes pictures and sound in real time until it is told to stop. */
export async function play(session: PublishSession, signal: AbortSignal): Promise<void> {
  await announce(session);
  for (let n = 0; !signal.aborted; n += 1) {
    await session.write(picture(n), sound(2 * n), sound(2 * n + 1));
    await sleep(40);
  }
}

/** All items until the stream ends, or as many as asked for. */
export async function take(subscription: Subscription, most = Infinity): Promise<StreamItem[]> {
  const items: StreamItem[] = [];
  for (; items.length < most;) {
    const { done, value } = await subscription.next();
    if (done === true) break;
    items.push(value);
  }
  return items;
}

/** Their types in short, frames by track and K for keyframes. */
export function told(items: readonly StreamItem[]): string[] {
  return items.map((item) => {
    if (item.type === 'track') return `track ${item.track.track}`;
    if (item.type !== 'frame') return item.type;
    return `${item.frame.track}${item.frame.keyframe ? 'K' : ''}`;
  });
}

function ivf(name: string): Buffer[] {
  const file = readFileSync(new URL(`../crates/media/tests/data/${name}`, import.meta.url));
  const frames: Buffer[] = [];
  for (let at = file.readUInt16LE(6); at < file.length;) {
    const size = file.readUInt32LE(at);
    frames.push(file.subarray(at + 12, at + 12 + size));
    at += 12 + size;
  }
  return frames;
}
