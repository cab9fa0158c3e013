import { execFile } from 'node:child_process';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { PublishSession } from 'sluice';

const exec = promisify(execFile);
/** Pictures a second. */
export const FPS = 25;
const START = Buffer.from([0, 0, 1]);

/** One picture of the film. */
export interface Picture {
  readonly keyframe: boolean;
  readonly data: Buffer;
}

/** What a publisher needs of it. */
export interface Film {
  readonly record: Buffer;
  readonly pictures: readonly Picture[];
}

const filmed = new Map<string, Promise<Film>>();

/** Five seconds of a test picture with a keyframe each second, as MP4 and a publisher carry them. */
export function film(size = '320x180'): Promise<Film> {
  const known = filmed.get(size);
  if (known !== undefined) return known;
  const made = (async () => {
    const { stdout } = await exec(
      'ffmpeg',
      [
        ...['-v', 'error', '-f', 'lavfi', '-i', `testsrc2=size=${size}:rate=${FPS}:duration=5`],
        ...['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-g', String(FPS)],
        ...['-threads', '1', '-pix_fmt', 'yuv420p', '-f', 'h264', 'pipe:1'],
      ],
      { encoding: 'buffer', maxBuffer: 1 << 26 },
    );
    return parsed(stdout);
  })();
  filmed.set(size, made);
  return made;
}

const type = (unit: Buffer): number => (unit[0] ?? 0) & 0x1f;
const length = (unit: Buffer): Buffer => Buffer.from([unit.length >> 8, unit.length & 0xff]);

/** Cuts an Annex B stream with one slice per picture. */
function parsed(stream: Buffer): Film {
  const units: Buffer[] = [];
  for (let start = stream.indexOf(START); start >= 0;) {
    const next = stream.indexOf(START, start + 3);
    let end = next < 0 ? stream.length : next;
    while (end > start && stream[end - 1] === 0) end -= 1;
    units.push(stream.subarray(start + 3, end));
    start = next;
  }
  const sps = units.find((unit) => type(unit) === 7);
  const pps = units.find((unit) => type(unit) === 8);
  if (sps === undefined || pps === undefined) throw new Error('no parameter sets');
  const head = Buffer.from([1, ...sps.subarray(1, 4), 0xff, 0xe1]);
  const record = Buffer.concat([head, length(sps), sps, Buffer.from([1]), length(pps), pps]);
  const pictures = units
    .filter((unit) => type(unit) === 1 || type(unit) === 5)
    .map((unit) => {
      const size = Buffer.alloc(4);
      size.writeUInt32BE(unit.length);
      return { keyframe: type(unit) === 5, data: Buffer.concat([size, unit]) };
    });
  return { record, pictures };
}

/** Publishes pictures, as fast as they are taken. */
export async function publish(
  session: PublishSession,
  pictures: readonly Picture[],
  from = 0,
): Promise<void> {
  for (const [at, { keyframe, data }] of pictures.entries()) {
    await session.write({ track: 0, ptsMs: ((from + at) * 1000) / FPS, keyframe, data });
  }
}

/** What ffprobe says of a file. */
export interface Probed {
  /** Pictures that were decoded. */
  readonly frames: number;
  /** The first is a keyframe. */
  readonly keyframe: boolean;
  readonly seconds: number;
  /** What it has to complain about. */
  readonly complaints: string;
}

/** Has ffprobe decode a file; it lies in `directory` meanwhile. */
export async function probed(bytes: Uint8Array, directory: string): Promise<Probed> {
  counter += 1;
  const file = join(directory, `probed-${counter}.mp4`);
  await writeFile(file, bytes);
  try {
    const { stdout, stderr } = await exec('ffprobe', [
      ...['-v', 'error', '-show_frames', '-show_entries', 'frame=key_frame:format=duration'],
      ...['-of', 'json', file],
    ]);
    const { frames, format } = JSON.parse(stdout) as {
      readonly frames: readonly { readonly key_frame: number }[];
      readonly format: { readonly duration: string };
    };
    return {
      frames: frames.length,
      keyframe: frames[0]?.key_frame === 1,
      seconds: Number(format.duration),
      complaints: stderr,
    };
  } finally {
    await rm(file);
  }
}

let counter = 0;
