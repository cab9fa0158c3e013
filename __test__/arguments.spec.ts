import test from 'ava';
import { optionsFromEnv, Server, type Client, type ServerOptions } from 'sluice';

const local = { udpPort: 0, bindAddress: '127.0.0.1', shards: 1 } as const;

const badServerOptions: readonly (readonly [unknown, typeof TypeError | typeof RangeError])[] = [
  [null, TypeError],
  [[], TypeError],
  ['3478', TypeError],
  [{ udpPort: '3478' }, TypeError],
  [{ udpPort: -1 }, RangeError],
  [{ udpPort: 65_536 }, RangeError],
  [{ udpPort: 1.5 }, RangeError],
  [{ udpPort: Number.NaN }, RangeError],
  [{ bindAddress: 'localhost' }, RangeError],
  [{ bindAddress: 1 }, TypeError],
  [{ announcedAddresses: '203.0.113.7' }, TypeError],
  [{ announcedAddresses: ['203.0.113.7', 'example.com'] }, RangeError],
  [{ tcp: 'yes' }, TypeError],
  [{ shards: 65 }, RangeError],
  [{ gso: 1 }, TypeError],
  [{ signal: {} }, TypeError],
];

for (const [options, instanceOf] of badServerOptions) {
  test(`Server.start(${JSON.stringify(options)}) rejects with a ${instanceOf.name}`, async (t) => {
    await t.throwsAsync(Server.start(options as ServerOptions), { instanceOf });
  });
}

test('methods check what they are given, and leave the client as it was', async (t) => {
  const server = await Server.start(local);
  t.throws(() => server.registry(1 as never), { instanceOf: TypeError });
  const registry = server.registry('room');
  for (const [options, instanceOf] of [
    [undefined, TypeError],
    [{ role: 'viewer' }, RangeError],
    [{ autoSubscribe: 1 }, TypeError],
    [{ slots: { video: 33 } }, RangeError],
    [{ slots: { audio: -1 } }, RangeError],
    [{ maxOutgoingBitrate: -1 }, RangeError],
    [{ signal: 1 }, TypeError],
  ] as const) {
    await t.throwsAsync(registry.insert(options as never), { instanceOf });
  }
  t.is(registry.size, 0);

  const client: Client = await registry.insert({ appData: undefined });
  const track = 't10000' as never;
  const calls: readonly (readonly [
    () => Promise<unknown>,
    typeof TypeError | typeof RangeError,
  ])[] = [
    [() => client.acceptOffer(undefined as never), TypeError],
    [() => client.acceptAnswer({} as never), TypeError],
    [() => client.addIceCandidate(7 as never), TypeError],
    [() => client.subscribe('c1' as never), TypeError],
    [() => client.subscribe(track, { priority: 256 }), RangeError],
    [() => client.subscribe(track, { paused: 1 as never }), TypeError],
    [() => client.setPreferredLayers(track, { spatial: -1 }), RangeError],
    [() => client.setPreferredLayers(track, { rid: 1 as never }), TypeError],
    [() => client.setPreferredLayers(track, undefined as never), TypeError],
    [() => client.setPriority(track, 1.5), RangeError],
    [() => client.setMaxOutgoingBitrate(-1), RangeError],
    [() => client.getStats({ signal: 'now' as never }), TypeError],
    [() => client.close(1 as never), TypeError],
  ];
  for (const [call, instanceOf] of calls) {
    const error = await t.throwsAsync(call(), { instanceOf });
    t.false('code' in (error ?? {}), 'an argument error is no SluiceError');
  }
  t.like(await client.getStats(), { clientId: client.id });
  t.throws(() => registry.events({ highWaterMark: 0 }), { instanceOf: RangeError });
  t.throws(() => registry.events({ types: 'trackOpen' as never }), { instanceOf: TypeError });
  await server.close();
});

test('unknown tracks are the server’s to refuse', async (t) => {
  const server = await Server.start(local);
  const client = await server.registry('room').insert({ appData: undefined });
  await t.throwsAsync(client.subscribe('t9999' as never), { code: 'ERR_INVALID_ARGUMENT' });
  await t.throwsAsync(client.pause('t9999' as never), { code: 'ERR_INVALID_ARGUMENT' });
  await server.close();
});

test('an aborted signal rejects with its reason before anything is done', async (t) => {
  const signal = AbortSignal.abort(new Error('not now'));
  await t.throwsAsync(Server.start({ ...local, signal }), { message: 'not now' });
  const server = await Server.start(local);
  const registry = server.registry('room');
  await t.throwsAsync(registry.insert({ appData: undefined, signal }), { message: 'not now' });
  const client = await registry.insert({ appData: undefined });
  await t.throwsAsync(client.acceptOffer('v=0', { signal }), { message: 'not now' });
  await t.throwsAsync(server.metrics({ signal }), { message: 'not now' });
  t.is(registry.size, 1);
  await server.close();
});

test('a client whose insert is aborted in flight is closed again', async (t) => {
  const server = await Server.start(local);
  const registry = server.registry('room');
  const controller = new AbortController();
  const inserting = registry.insert({ appData: undefined, signal: controller.signal });
  controller.abort(new Error('changed my mind'));
  await t.throwsAsync(inserting, { message: 'changed my mind' });
  const stream = registry.events({ types: ['clientDisconnected'] });
  t.like(await stream.next(), { value: { reason: 'application', message: 'aborted' } });
  t.is(registry.size, 0);
  await server.close();
});

test('appData, role and the absent options arrive as they are', async (t) => {
  const server = await Server.start(local);
  const appData = { user: 'Ada' };
  const registry = server.registry<typeof appData>('room');
  const client = await registry.insert({ appData, role: 'subscribe', slots: {} });
  t.is(client.appData, appData);
  t.is(registry.client(client.id), client);
  t.is(client.registry, registry);
  t.deepEqual(registry.clients, [client]);
  t.is(server.registry('room'), registry as never);
  await server.close();
});

test.serial('optionsFromEnv reads three variables and names a bad one', (t) => {
  const names = ['SFU_UDP_PORT', 'SFU_BIND_ADDRESS', 'SFU_ANNOUNCED_ADDRESSES'] as const;
  const before = names.map((name) => process.env[name]);
  t.teardown(() =>
    names.forEach((name, i) => {
      if (before[i] === undefined) delete process.env[name];
      else process.env[name] = before[i];
    }),
  );
  for (const name of names) delete process.env[name];
  t.like(optionsFromEnv(), { udpPort: 3478, bindAddress: '0.0.0.0', announcedAddresses: [] });
  process.env['SFU_UDP_PORT'] = '4000';
  process.env['SFU_ANNOUNCED_ADDRESSES'] = '203.0.113.7, 2001:db8::7';
  t.like(optionsFromEnv(), {
    udpPort: 4000,
    announcedAddresses: ['203.0.113.7', '2001:db8::7'],
  });
  process.env['SFU_UDP_PORT'] = '70000';
  t.throws(optionsFromEnv, { code: 'ERR_INVALID_ARGUMENT', message: /SFU_UDP_PORT/ });
});
