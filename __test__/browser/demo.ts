import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import type { ClientStats } from 'sluice';

/** A client as the room's JSON view shows it. */
export interface DescribedClient extends ClientStats {
  readonly id: string;
  readonly appData: { readonly name: string };
}

/** What the server's process holds after a collection. */
export interface Memory {
  readonly heapBytes: number;
  readonly residentBytes: number;
}

/** The demo, running as a user runs it: its own process, driven through its own doors. */
export interface Demo {
  readonly url: string;
  /** The JSON view of a room. */
  readonly describe: (room: string) => Promise<readonly DescribedClient[]>;
  /** Who has that name in a room; throws if nobody has. */
  readonly client: (room: string, name: string) => Promise<DescribedClient>;
  /** Collects garbage over there, then measures. */
  readonly memory: () => Promise<Memory>;
  /** SIGTERM; resolves to the exit code. */
  readonly stop: () => Promise<number | null>;
}

/** Starts the demo on ports the system chooses. */
export async function startDemo(): Promise<Demo> {
  const server = new URL('../../examples/demo/server.js', import.meta.url);
  const child = spawn(
    process.execPath,
    ['--expose-gc', '--import', COLLECT_AND_REPORT, server.pathname],
    {
      env: { ...process.env, HOST: '127.0.0.1', PORT: '0', SFU_UDP_PORT: '0' },
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    },
  );
  const exited = once(child, 'exit');
  const url = await new Promise<string>((resolve, reject) => {
    createInterface(child.stdout ?? Readable.from([])).on('line', (line) => {
      const ready = /^ready (http:\S+)$/.exec(line)?.[1];
      if (ready !== undefined) resolve(ready);
    });
    void exited.then(([code]) => reject(new Error(`the demo ended with ${String(code)}`)));
  });

  const describe = async (room: string): Promise<readonly DescribedClient[]> => {
    const response = await fetch(`${url}/rooms/${room}`, {
      headers: { Accept: 'application/json' },
    });
    const { clients } = (await response.json()) as { clients: readonly DescribedClient[] };
    return clients;
  };
  return {
    url,
    describe,
    client: async (room, name) => {
      const found = (await describe(room)).find(({ appData }) => appData.name === name);
      if (found === undefined) throw new Error(`${name} is not in ${room}`);
      return found;
    },
    memory: async () => {
      child.send('collect');
      const [heapBytes] = (await once(child, 'message')) as [number];
      const status = await readFile(`/proc/${child.pid}/status`, 'utf8');
      const kibibytes = Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]);
      return { heapBytes, residentBytes: kibibytes * 1024 };
    },
    stop: async () => {
      child.kill('SIGTERM');
      const [code] = (await exited) as [number | null];
      return code;
    },
  };
}

const COLLECT_AND_REPORT =
  'data:text/javascript,' +
  encodeURIComponent(`process.on('message', () => {
    gc(); gc();
    process.send(process.memoryUsage().heapUsed);
  });`);
