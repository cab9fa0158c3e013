import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Kind } from './demo.js';

/** A WebRTC stack of others, run as a program that speaks WHIP and WHEP. */
export interface Stack {
  readonly name: string;
  /** Whether its pictures are pictures: a decoder shows nothing of an invented payload. */
  readonly encodes: boolean;
  /** Whether it counts decoded pictures rather than packets. */
  readonly decodes: boolean;
  readonly command: readonly [string, ...string[]];
  /** What follows the verb and the URL. */
  readonly arguments?: readonly string[];
}

const program = (file: string) => fileURLToPath(new URL(file, import.meta.url));
const typescript = '--import=@oxc-node/core/register';

export const wrtc: Stack = {
  name: 'wrtc',
  encodes: true,
  decodes: true,
  command: [process.execPath, typescript, program('wrtc.ts')],
};

export const werift: Stack = {
  name: 'werift',
  encodes: false,
  decodes: false,
  command: [process.execPath, typescript, program('werift.ts')],
};

/** GStreamer's webrtcbin: OpenSSL's DTLS and libnice. */
export const gstreamer: Stack = {
  name: 'GStreamer',
  encodes: true,
  decodes: false,
  command: ['/usr/bin/python3', program('gstreamer.py')],
};

/** FFmpeg 8's WHIP muxer, which lets us say who begins in DTLS. */
export const ffmpeg = (role: 'passive' | 'active'): Stack => ({
  name: `FFmpeg, ${role} in DTLS`,
  encodes: true,
  decodes: false,
  command: ['/usr/bin/python3', program('ffmpeg.py')],
  arguments: [role],
});

/** Whether this machine can run the stack; the system's packages are not ours to bring. */
export function isInstalled({ command: [file, ...args] }: Stack): boolean {
  if (file === process.execPath) return true;
  return spawnSync(file, [...args, 'probe'], { stdio: 'ignore' }).status === 0;
}

/** A foreign stack at a WHIP or WHEP resource. */
export class Session {
  /** Where DELETE goes. */
  readonly location: string;
  /** Packets or pictures that arrived, by kind. Stays at zero for a publisher. */
  received: Readonly<Record<Kind, number>> = { audio: 0, video: 0 };
  readonly #process: ChildProcess;

  private constructor(process: ChildProcess, location: string) {
    this.#process = process;
    this.location = location;
  }

  /** Resolves once the answer is applied. */
  static async start(stack: Stack, verb: 'publish' | 'play', url: string): Promise<Session> {
    const [file, ...args] = stack.command;
    const child = spawn(file, [...args, verb, url, ...(stack.arguments ?? [])], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    const first = await lines.next();
    if (first.done === true) throw new Error(`${stack.name} ended before it was connected`);
    const { location } = JSON.parse(first.value) as { location: string };
    const session = new Session(child, location);
    void session.#listen(lines);
    return session;
  }

  /** Gone without a word, as a crashed publisher is. */
  kill(): void {
    this.#process.kill('SIGKILL');
  }

  async #listen(lines: AsyncIterator<string>): Promise<void> {
    for (let line = await lines.next(); line.done !== true; line = await lines.next()) {
      this.received = (JSON.parse(line.value) as Pick<Session, 'received'>).received;
    }
  }
}
