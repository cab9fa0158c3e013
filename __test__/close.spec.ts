import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import test from 'ava';
import { Server } from 'sluice';

const local = { udpPort: 0, bindAddress: '127.0.0.1', shards: 1 } as const;

test('a client is told of once, with the words of close(), and refuses everything after', async (t) => {
  const server = await Server.start(local);
  const registry = server.registry('room');
  const client = await registry.insert({ appData: undefined });
  const told: unknown[] = [];
  client.on('clientDisconnected', (event) => told.push(['client', event]));
  client.on('disconnected', (event) => told.push(['short', event]));
  registry.on('clientDisconnected', (event) => told.push(['registry', event, registry.size]));
  await Promise.all([client.close('bye'), client.close('again')]);
  await client.close();
  const event = {
    type: 'clientDisconnected',
    clientId: client.id,
    reason: 'application',
    message: 'bye',
  };
  t.deepEqual(told, [
    ['client', event],
    ['short', event],
    ['registry', event, 0],
  ]);
  t.is(await client.closed, 'application');
  t.is(registry.client(client.id), undefined);
  const refused = [
    client.acceptOffer('v=0'),
    client.createOffer(),
    client.acceptAnswer('v=0'),
    client.addIceCandidate(null),
    client.restartIce(),
    client.subscribe('t1' as never),
    client.unsubscribe('t1' as never),
    client.setPreferredLayers('t1' as never, {}),
    client.pause('t1' as never),
    client.resume('t1' as never),
    client.setPriority('t1' as never, 1),
    client.requestKeyFrame('t1' as never),
    client.setMaxOutgoingBitrate(undefined),
    client.getStats(),
  ];
  for (const outcome of await Promise.allSettled(refused)) {
    t.like(outcome, { status: 'rejected', reason: { code: 'ERR_CLOSED' } });
  }
  await server.close();
});

test('a registry closes its clients first, then says so, and frees its name', async (t) => {
  const server = await Server.start(local);
  const registry = server.registry('room');
  const clients = await Promise.all(
    Array.from({ length: 5 }, async () => registry.insert({ appData: undefined })),
  );
  const order: string[] = [];
  for (const client of clients) client.on('disconnected', ({ reason }) => order.push(reason));
  registry.on('close', ({ reason, message }) => order.push(`${reason}: ${message}`));
  const closing = registry.close('tea time');
  const next = server.registry('room');
  t.not(next, registry);
  await t.throwsAsync(registry.insert({ appData: undefined }), { code: 'ERR_CLOSED' });
  await t.throwsAsync(registry.getStats(), { code: 'ERR_CLOSED' });
  await closing;
  t.deepEqual(order, [...clients.map(() => 'registryClosed'), 'registryClosed: tea time']);
  t.is(await registry.closed, 'registryClosed');
  t.is(registry.size, 0);
  t.deepEqual(server.registries, [next]);
  await next.insert({ appData: undefined });
  await server.close();
});

test('a registry nobody entered closes without the native side', async (t) => {
  const server = await Server.start(local);
  const registry = server.registry('room');
  t.deepEqual(await registry.getStats(), []);
  await registry.close();
  t.is(await registry.closed, 'application');
  await server.close();
});

test('a server closes everything, in order, and refuses everything after', async (t) => {
  const server = await Server.start(local);
  const [one, two] = [server.registry('one'), server.registry('two')];
  const client = await one.insert({ appData: undefined });
  const order: string[] = [];
  client.on('disconnected', ({ reason }) => order.push(`client ${reason}`));
  one.on('close', ({ reason }) => order.push(`one ${reason}`));
  two.on('close', ({ reason }) => order.push(`two ${reason}`));
  server.on('close', () => order.push('server'));
  const closing = server.close();
  t.is(server.close(), closing);
  t.throws(() => server.registry('three'), { code: 'ERR_CLOSED' });
  await t.throwsAsync(server.metrics(), { code: 'ERR_CLOSED' });
  await closing;
  await server.closed;
  t.deepEqual(order, ['client serverClosed', 'one serverClosed', 'two serverClosed', 'server']);
  await t.throwsAsync(one.insert({ appData: undefined }), { code: 'ERR_CLOSED' });
  await t.throwsAsync(client.getStats(), { code: 'ERR_CLOSED' });
  await t.notThrowsAsync(client.close());
  await t.notThrowsAsync(one.close());
});

test('the port is free when close() resolves', async (t) => {
  const first = await Server.start(local);
  const udpPort = first.candidates[0]?.port ?? 0;
  await first.close();
  const second = await Server.start({ ...local, udpPort });
  t.is(second.candidates[0]?.port, udpPort);
  await second.close();
});

test('inserts in flight while the registry or the server closes settle one way or the other', async (t) => {
  for (const what of ['registry', 'server'] as const) {
    const server = await Server.start(local);
    const registry = server.registry('room');
    const inserting = Array.from({ length: 50 }, async () =>
      registry.insert({ appData: undefined }),
    );
    await (what === 'registry' ? registry : server).close();
    for (const outcome of await Promise.allSettled(inserting)) {
      if (outcome.status === 'rejected') t.like(outcome.reason, { code: 'ERR_CLOSED' });
      else t.truthy(await outcome.value.closed);
    }
    await server.close();
  }
});

test('await using closes', async (t) => {
  const server = await Server.start(local);
  const registry = server.registry('room');
  const client = await registry.insert({ appData: undefined });
  await client[Symbol.asyncDispose]();
  t.is(await client.closed, 'application');
  await registry[Symbol.asyncDispose]();
  t.is(await registry.closed, 'registryClosed');
  await server[Symbol.asyncDispose]();
  await t.notThrowsAsync(server.closed);
});

test('tools see rooms, clients and closings apart from the application', async (t) => {
  const server = await Server.start(local);
  const seen: string[] = [];
  server.observer.on('newRegistry', (registry) => {
    seen.push(`room ${registry.name}`);
    registry.observer.on('newClient', () => seen.push('client'));
    registry.observer.on('event', ({ type }) => seen.push(type));
  });
  server.observer.on('close', () => seen.push('end'));
  const closed: unknown[] = [];
  const listener = (message: unknown): unknown => closed.push(message);
  subscribe('sluice:client:disconnected', listener);
  t.teardown(() => unsubscribe('sluice:client:disconnected', listener));
  const registry = server.registry('lab');
  const client = await registry.insert({ appData: 'x' });
  await client.close();
  await server.close();
  t.deepEqual(
    seen.filter((it) => it !== 'subscriptionsChanged'),
    ['room lab', 'client', 'clientDisconnected', 'close', 'end'],
  );
  t.true(closed.some((it) => (it as { client: unknown }).client === client));
});

test('metrics are Prometheus text', async (t) => {
  const server = await Server.start(local);
  await server.registry('room').insert({ appData: undefined });
  const text = await server.metrics();
  t.regex(text, /^# TYPE sfu_\w+ (gauge|counter|histogram)$/m);
  t.regex(text, /^sfu_active_participants 1$/m);
  await server.close();
});
