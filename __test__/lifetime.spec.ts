import { spawn } from 'node:child_process';
import test from 'ava';

const root = new URL('../', import.meta.url);
const prelude = `
  import { Server } from 'sluice';
  const local = { udpPort: 0, bindAddress: '127.0.0.1', shards: 1 };
`;

interface Outcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
  readonly seconds: number;
}

/** Runs a program of its own, killed at the deadline. */
async function run(
  program: string,
  seconds: number,
  flags: readonly string[] = [],
): Promise<Outcome> {
  const start = performance.now();
  const child = spawn(
    process.execPath,
    [...flags, '--input-type=module', '-e', prelude + program],
    { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
  const timer = setTimeout(() => child.kill('SIGKILL'), seconds * 1000);
  return new Promise((resolve) => {
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const output = Buffer.concat(chunks).toString();
      resolve({ code, signal, output, seconds: (performance.now() - start) / 1000 });
    });
  });
}

test('a program that closes in order ends by itself', async (t) => {
  const { code, output } = await run(
    `const server = await Server.start(local);
     const client = await server.registry('room').insert({ appData: 1 });
     await client.close();
     await server.close();
     console.log('done');`,
    30,
  );
  t.deepEqual([code, output], [0, 'done\n']);
});

test('forgetting close() does not keep a process alive', async (t) => {
  const { code, signal, output } = await run(
    `const server = await Server.start(local);
     const registry = server.registry('room');
     await registry.insert({ appData: 1 });
     registry.on('clientConnected', () => {});
     console.log('end of program');`,
    30,
  );
  t.deepEqual([code, signal, output], [0, null, 'end of program\n']);
});

test('a waiting reader does not keep a process alive, ref() does until unref()', async (t) => {
  const { code, output } = await run(
    `const server = (await Server.start(local)).ref();
     const at = performance.now();
     setTimeout(() => server.unref(), 300).unref();
     process.on('exit', () => console.log(performance.now() - at >= 290));`,
    30,
  );
  t.deepEqual([code, output], [0, 'true\n']);
});

test('a pending call keeps the process alive until it is answered', async (t) => {
  const { code, output } = await run(
    `Server.start(local)
       .then((server) => server.registry('room').insert({ appData: 1 }))
       .then((client) => client.getStats())
       .then((stats) => console.log(stats.mediaLines));`,
    30,
  );
  t.deepEqual([code, output], [0, '0\n']);
});

for (const when of ['insert', 'close', 'metrics', 'start'] as const) {
  test(`process.exit() in the middle of ${when} is clean`, async (t) => {
    const { code, signal, output } = await run(
      `const server = await Server.start(local);
       const registry = server.registry('room');
       const clients = await Promise.all(Array.from({ length: 50 }, () => registry.insert({ appData: 1 })));
       const work = {
         insert: () => registry.insert({ appData: 1 }),
         close: () => Promise.all(clients.map((client) => client.close())),
         metrics: () => server.metrics(),
         start: () => Server.start(local),
       };
       for (let i = 0; i < 20; i += 1) void work[${JSON.stringify(when)}]().catch(() => {});
       process.exit(7);`,
      30,
    );
    t.deepEqual([code, signal, output], [7, null, '']);
  });
}

test('an uncaught error ends the process with its own report, not a crash of ours', async (t) => {
  const { code, signal, output } = await run(
    `const server = await Server.start(local);
     await server.registry('room').insert({ appData: 1 });
     setTimeout(() => { throw new Error('of the application'); }, 10);
     server.ref();`,
    30,
  );
  t.deepEqual([code, signal], [1, null]);
  t.regex(output, /of the application/);
});

/** Inherits `--input-type=module`. */
const worker = `
  import { parentPort, workerData as how } from 'node:worker_threads';
  import { Server } from 'sluice';
  const server = await Server.start({ udpPort: 0, bindAddress: '127.0.0.1', shards: 1 });
  const registry = server.registry('room');
  const client = await registry.insert({ appData: 1 });
  await registry.insert({ appData: 2 });
  if (how === 'close') await server.close();
  if (how === 'pending') {
    for (let i = 0; i < 20; i += 1) void registry.insert({ appData: 3 }).catch(() => {});
  }
  if (how === 'events') void client.close().catch(() => {});
  parentPort.postMessage('up');
  if (how !== 'close') setInterval(() => {}, 1000);
`;

test.serial('200 worker threads come and go, closed in order or terminated', async (t) => {
  const { code, signal, output, seconds } = await run(
    `import { readdirSync, readFileSync } from 'node:fs';
     import { once } from 'node:events';
     import { Worker } from 'node:worker_threads';
     const source = ${JSON.stringify(worker)};
     const threads = () => readdirSync('/proc/self/task').length;
     const rss = () => Number(/VmRSS:\\s+(\\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) / 1024;
     await (await Server.start(local)).close();
     async function one(how) {
       const it = new Worker(source, { eval: true, workerData: how });
       const exit = once(it, 'exit');
       await once(it, 'message');
       if (how !== 'close') void it.terminate();
       await exit;
     }
     const ways = ['close', 'terminate', 'pending', 'events'];
     for (let i = 0; i < 20; i += 1) await one(ways[i % 4]);
     await new Promise((resolve) => setTimeout(resolve, 200));
     const before = [threads(), rss()];
     for (let i = 0; i < 180; i += 4) await Promise.all(ways.map(one));
     await new Promise((resolve) => setTimeout(resolve, 500));
     console.log(JSON.stringify([before, [threads(), rss()]]));`,
    110,
  );
  t.deepEqual([code, signal], [0, null], output);
  const [[threadsBefore, rssBefore], [threadsAfter, rssAfter]] = JSON.parse(output) as [
    [number, number],
    [number, number],
  ];
  t.log(
    `threads ${threadsBefore} -> ${threadsAfter}, RSS ${rssBefore} -> ${rssAfter} MB, ${seconds} s`,
  );
  t.true(threadsAfter <= threadsBefore, `${threadsBefore} -> ${threadsAfter} threads`);
  t.true(rssAfter - rssBefore < 60, `${rssBefore} -> ${rssAfter} MB`);
});

test.serial('10 000 clients inserted and closed leave a flat heap', async (t) => {
  const { code, output } = await run(
    `const server = await Server.start(local);
     const registry = server.registry('room');
     let gone = 0;
     registry.on('clientDisconnected', () => (gone += 1));
     async function some(count) {
       for (let i = 0; i < count; i += 100) {
         const clients = await Promise.all(
           Array.from({ length: 100 }, (_, n) => registry.insert({ appData: { n, text: 'x'.repeat(1000) } })),
         );
         await Promise.all(clients.map((client) => client.close()));
       }
     }
     const measure = async () => {
       await new Promise((resolve) => setTimeout(resolve, 50));
       gc();
       const { heapUsed, rss } = process.memoryUsage();
       return [heapUsed / 2 ** 20, rss / 2 ** 20];
     };
     await some(1000);
     const before = await measure();
     await some(10000);
     const after = await measure();
     console.log(JSON.stringify([before, after, gone, registry.size]));
     await server.close();`,
    110,
    ['--expose-gc'],
  );
  t.is(code, 0, output);
  const [[heapBefore, rssBefore], [heapAfter, rssAfter], gone, size] = JSON.parse(output) as [
    [number, number],
    [number, number],
    number,
    number,
  ];
  t.log(`heap ${heapBefore} -> ${heapAfter} MB, RSS ${rssBefore} -> ${rssAfter} MB`);
  t.deepEqual([gone, size], [11_000, 0]);
  t.true(heapAfter - heapBefore < 2, `heap ${heapBefore} -> ${heapAfter} MB`);
  t.true(rssAfter - rssBefore < 60, `RSS ${rssBefore} -> ${rssAfter} MB`);
});

test('closed handles are collected; one in its room is not, though nobody else holds it', async (t) => {
  const { code, output } = await run(
    `const server = await Server.start(local);
     async function make() {
       const registry = server.registry('room');
       const closed = await registry.insert({ appData: 1 });
       const open = await registry.insert({ appData: 2 });
       await closed.close();
       const other = server.registry('other');
       await other.insert({ appData: 3 });
       const stream = other.events();
       await other.close();
       return [closed, open, other, stream].map((it) => new WeakRef(it));
     }
     const refs = await make();
     for (let i = 0; i < 20; i += 1) {
       await new Promise((resolve) => setTimeout(resolve, 10));
       gc();
     }
     console.log(JSON.stringify(refs.map((ref) => ref.deref() !== undefined)));
     console.log(server.registry('room').clients[0].appData);
     await server.close();`,
    30,
    ['--expose-gc'],
  );
  t.deepEqual([code, output], [0, '[false,true,false,false]\n2\n']);
});
