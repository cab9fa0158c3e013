import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';

/** What the demo says of a published or a received track. */
export interface Described {
  readonly id: string;
  readonly appData: { readonly name: string };
  readonly dtlsState: string;
  readonly tracks: readonly {
    readonly track: { readonly kind: Kind };
    readonly layers: readonly { readonly packets: number }[];
  }[];
}

export type Kind = 'audio' | 'video';

/** The demo server as its own process: what `npm start` runs, on free ports of the loopback. */
export class Demo {
  readonly #process;
  readonly #origin: string;

  private constructor(process: ReturnType<typeof spawn>, origin: string) {
    this.#process = process;
    this.#origin = origin;
  }

  static async start(): Promise<Demo> {
    const script = fileURLToPath(new URL('../../examples/demo/server.js', import.meta.url));
    const child = spawn(process.execPath, [script], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: {
        ...process.env,
        HOST: '127.0.0.1',
        PORT: '0',
        SFU_UDP_PORT: '0',
        SFU_ANNOUNCED_ADDRESSES: '127.0.0.1',
      },
    });
    for await (const line of createInterface(child.stdout)) {
      const origin = /^ready (\S+)$/.exec(line)?.[1];
      if (origin !== undefined) return new Demo(child, origin);
    }
    throw new Error('the demo ended before it was ready');
  }

  url(path: string): string {
    return this.#origin + path;
  }

  async clients(room: string): Promise<readonly Described[]> {
    const response = await fetch(this.url(`/rooms/${room}`), {
      headers: { accept: 'application/json' },
    });
    return ((await response.json()) as { clients: Described[] }).clients;
  }

  /** A sample of `/metrics` by its name and labels. */
  async metric(series: string): Promise<number> {
    const text = await (await fetch(this.url('/metrics'))).text();
    const line = text.split('\n').find((line) => line.startsWith(`${series} `));
    return Number(line?.slice(series.length));
  }

  async close(): Promise<number | null> {
    this.#process.kill('SIGTERM');
    const [code] = (await once(this.#process, 'exit')) as [number | null];
    return code;
  }
}

/** Waits until `check` gives something, and tells what was missing when it never does. */
export async function until<T>(
  what: string,
  check: () => T | undefined | false | Promise<T | undefined | false>,
  timeoutMs = 20_000,
): Promise<T> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const found = await check();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > end) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await sleep(100);
  }
}
