import test from 'ava';
import { Server, type Client } from 'sluice';

const local = { udpPort: 0, bindAddress: '127.0.0.1', shards: 1 } as const;

function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

test('what a listener throws or rejects with is told by the server and stops nobody else', async (t) => {
  const server = await Server.start(local);
  const registry = server.registry('room');
  const client = await registry.insert({ appData: undefined });
  const errors: string[] = [];
  server.on('error', ({ message }) => errors.push(message));
  const told: string[] = [];
  client.on('disconnected', () => {
    throw new Error('one');
  });
  client.on('disconnected', () => told.push('client'));
  registry.on('clientDisconnected', async () => {
    await Promise.resolve();
    throw new Error('two');
  });
  registry.once('clientDisconnected', () => told.push('registry'));
  await client.close();
  await new Promise(setImmediate);
  t.deepEqual(told, ['client', 'registry']);
  t.deepEqual(errors, ['one', 'two']);
  await server.close();
});

test.serial(
  'without an error listener it becomes a warning, and an error listener that throws too',
  async (t) => {
    const warnings: string[] = [];
    const listener = ({ message }: Error): unknown => warnings.push(message);
    process.on('warning', listener);
    t.teardown(() => process.off('warning', listener));
    const server = await Server.start(local);
    const registry = server.registry('room');
    registry.on('close', () => {
      throw new Error('nobody listens');
    });
    await registry.close();
    server.on('error', () => {
      throw new Error('worse');
    });
    const next = server.registry('room');
    next.on('close', () => {
      throw new Error('someone listens');
    });
    await next.close();
    await new Promise((resolve) => setTimeout(resolve, 20));
    t.deepEqual(
      warnings.filter((it) => /listens|worse/.test(it)),
      ['nobody listens', 'worse'],
    );
    await server.close();
  },
);

test('a listener may re-enter: insert, close itself, its registry, the server', async (t) => {
  const server = await Server.start(local);
  server.on('error', (error) => t.fail(String(error)));
  const registry = server.registry('room');
  const second = new Promise<Client>((resolve, reject) => {
    registry.once('clientDisconnected', () => {
      registry.insert({ appData: 'again' }).then(resolve, reject);
    });
  });
  const first = await registry.insert({ appData: 'first' });
  first.on('disconnected', () => void first.close());
  await first.close();
  const client = await second;
  const closing = new Promise<void>((resolve, reject) => {
    client.on('disconnected', () => {
      void client.close();
      void registry.close();
      server.close().then(resolve, reject);
    });
  });
  await client.close();
  await closing;
  // Both were asked for in one turn: whichever reached the shard first.
  t.true(['registryClosed', 'serverClosed'].includes(await registry.closed));
});

test.serial('a listener that blocks 2 s delays events and loses none', async (t) => {
  const server = await Server.start(local);
  const registry = server.registry('room');
  const clients = await Promise.all(
    Array.from({ length: 200 }, async () => registry.insert({ appData: undefined })),
  );
  const gone: string[] = [];
  registry.once('clientDisconnected', () => block(2000));
  registry.on('clientDisconnected', ({ clientId }) => gone.push(clientId));
  const start = performance.now();
  await Promise.all(clients.map(async (client) => client.close()));
  // A lost event would be made up by the facade, but not before its patience of 5 s has ended.
  t.true(performance.now() - start < 6500);
  t.is(gone.length, 200);
  t.is(new Set(gone).size, 200);
  await server.close();
});

test.serial(
  'while JavaScript is blocked the queue fills, and everything comes once in order',
  async (t) => {
    const server = await Server.start(local);
    const registry = server.registry('room');
    // Sixteen batches of at most 64 fit between the threads: three times as many events are made.
    const clients: Client[] = [];
    for (let i = 0; i < 3072; i += 512) {
      const some = Array.from({ length: 512 }, async () => registry.insert({ appData: undefined }));
      clients.push(...(await Promise.all(some)));
    }
    const gone: string[] = [];
    registry.on('clientDisconnected', ({ clientId }) => gone.push(clientId));
    const closing = clients.map(async (client) => client.close());
    // The calls above are in the mailbox; the shard works through them while nothing runs here.
    block(2000);
    const unblocked = performance.now();
    await Promise.all(closing);
    // A lost event would be made up by the facade, but not before its patience of 5 s has ended.
    t.true(performance.now() - unblocked < 4500);
    t.deepEqual(
      gone,
      clients.map(({ id }) => id),
    );
    await server.close();
  },
);
