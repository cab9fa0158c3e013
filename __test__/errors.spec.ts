import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import vm from 'node:vm';
import test from 'ava';
import { isSluiceError, parseClientId, parseTrackId, Server, SluiceError } from 'sluice';

const local = { udpPort: 0, bindAddress: '127.0.0.1', shards: 1 } as const;
const root = new URL('../', import.meta.url);

test('an error has a code, a name and its cause', (t) => {
  const cause = new Error('below');
  const error = new SluiceError('ERR_BUSY', 'later', { cause });
  t.is(error.code, 'ERR_BUSY');
  t.is(error.name, 'SluiceError');
  t.is(error.cause, cause);
  t.true(isSluiceError(error));
  t.deepEqual(Object.keys(error).toSorted(), ['code', 'name']);
});

test('isSluiceError knows the errors of another copy of the package, and nothing else', (t) => {
  const foreign: unknown = vm.runInNewContext(
    `Object.defineProperty(new Error('x'), Symbol.for('sluice.SluiceError'), { value: true })`,
  );
  t.false(foreign instanceof SluiceError);
  t.true(isSluiceError(foreign));
  for (const other of [new Error('x'), { code: 'ERR_BUSY' }, undefined, null, 'ERR_BUSY']) {
    t.false(isSluiceError(other));
  }
});

test('a taken port is ERR_ADDRINUSE with the cause of the system and the stack of the caller', async (t) => {
  const first = await Server.start(local);
  const [candidate] = first.candidates;
  const error = await t.throwsAsync(async () => {
    await Server.start({ ...local, udpPort: candidate?.port ?? 0 });
  });
  t.true(isSluiceError(error));
  t.like(error, { code: 'ERR_ADDRINUSE' });
  t.regex(String((error as Error).cause), /in use/i);
  t.regex((error as Error).stack ?? '', /errors\.spec/);
  await first.close();
});

test('an address that is not of this machine is refused', async (t) => {
  const error = await t.throwsAsync(Server.start({ ...local, bindAddress: '203.0.113.7' }));
  t.like(error, { code: 'ERR_INVALID_ARGUMENT' });
});

test('a refused description is ERR_SDP and the client stays', async (t) => {
  const server = await Server.start(local);
  const client = await server.registry('room').insert({ appData: undefined });
  for (const sdp of ['', 'v=0', 'x'.repeat(100_000), 'v=0\r\n\u0000']) {
    await t.throwsAsync(client.acceptOffer(sdp), { code: 'ERR_SDP' });
  }
  await t.throwsAsync(client.acceptAnswer('v=0\r\n'), { code: 'ERR_SDP' });
  t.is(client.registry.size, 1);
  t.like(await client.getStats(), { clientId: client.id, mediaLines: 0 });
  await server.close();
});

test('a bad candidate is ERR_ICE, the end of candidates is none', async (t) => {
  const server = await Server.start(local);
  const client = await server.registry('room').insert({ appData: undefined });
  await t.throwsAsync(client.addIceCandidate('candidate:nonsense'), { code: 'ERR_ICE' });
  for (const end of [null, '', { candidate: '' }, {}]) {
    await t.notThrowsAsync(client.addIceCandidate(end));
  }
  await server.close();
});

test('a full mailbox is ERR_BUSY, and everything else is answered', async (t) => {
  const server = await Server.start(local);
  const client = await server.registry('room').insert({ appData: undefined });
  const calls = Array.from({ length: 20_000 }, async () => client.restartIce());
  const outcomes = await Promise.allSettled(calls);
  const codes = new Set(
    outcomes.map((it) => (it.status === 'rejected' ? (it.reason as SluiceError).code : 'ok')),
  );
  for (const code of codes) t.true(['ok', 'ERR_BUSY'].includes(code), code);
  t.true(codes.has('ok'));
  await t.notThrowsAsync(client.getStats());
  await server.close();
});

test('a missing addon is ERR_NATIVE_LOAD with a hint, at the first use and not at import', async (t) => {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `import { Server } from 'sluice';
       const error = await Server.start().catch((error) => error);
       console.log(JSON.stringify([error.code, error.message, String(error.cause)]));`,
    ],
    { cwd: root, env: { ...process.env, NAPI_RS_NATIVE_LIBRARY_PATH: '/nonexistent/sluice.node' } },
  );
  const [code, message] = JSON.parse(stdout) as [string, string];
  t.is(code, 'ERR_NATIVE_LOAD');
  t.true(message.includes(`${process.platform}-${process.arch}`));
  t.regex(message, /npm install/);
});

test('ids from outside are checked for their form', (t) => {
  t.is(parseClientId('c1ff') as string, 'c1ff');
  t.is(parseTrackId('t1ff0001') as string, 't1ff0001');
  for (const text of ['', 'c', 't1', 'c+1', 'cxyz', 'c11111111111111111', 1, null, undefined, {}]) {
    t.throws(() => parseClientId(text), { instanceOf: TypeError });
  }
});
