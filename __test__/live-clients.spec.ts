import { once, setMaxListeners } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { allowAll, Server, SluiceError } from 'sluice';
import type {
  ForeignEnded,
  ForeignOptions,
  Live,
  PublishOptions,
  Reconnecting,
  SluiceErrorCode,
} from 'sluice';
import { AUDIO, play, sound, VIDEO } from './live-media.js';

async function start(t: ExecutionContext, shards = 1) {
  const server = await Server.start({ udpPort: 0, bindAddress: '127.0.0.1', shards });
  server.live.use(allowAll);
  t.teardown(() => server.close());
  const origin = await listen(t, server.live.httpHandler() as RequestListener);
  return { server, live: server.live, origin };
}

async function listen(t: ExecutionContext, listener: RequestListener): Promise<string> {
  const http = createServer(listener);
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  t.teardown(() => {
    http.close();
    http.closeAllConnections();
  });
  return `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
}

/** A stream of frames in real time, until the test is over. */
async function broadcast(
  t: ExecutionContext,
  live: Live,
  key = 'live/show',
  options: PublishOptions = {},
) {
  const controller = new AbortController();
  const session = await live.publish(key, options);
  const playing = play(session, controller.signal).catch(() => {});
  t.teardown(async () => {
    controller.abort();
    await playing;
  });
  return session;
}

/** Reads until so many frames of picture and of sound have come. */
async function frames(live: Live, key: string, most: number): Promise<void> {
  const counts = { [VIDEO]: 0, [AUDIO]: 0 };
  for await (const item of await live.subscribe(key, { signal: AbortSignal.timeout(20_000) })) {
    if (item.type !== 'frame') continue;
    counts[item.frame.track as typeof VIDEO] += 1;
    if (Math.min(counts[VIDEO], counts[AUDIO]) >= most) return;
  }
}

/** What a scripted server answers. */
interface Scripted {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

interface Asked {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  readonly at: number;
}

/** A server that answers as it is told and keeps what it was asked. */
async function script(t: ExecutionContext, answer: (asked: Asked) => Scripted | Promise<Scripted>) {
  const requests: Asked[] = [];
  const origin = await listen(t, async (request, response) => {
    let body = '';
    for await (const chunk of request.setEncoding('utf8')) body += chunk as string;
    const { method = '', url = '', headers } = request;
    const asked = { method, url, headers, body, at: performance.now() };
    requests.push(asked);
    const { status, headers: said = {}, body: content = '' } = await answer(asked);
    response.writeHead(status, said).end(content);
  });
  const of = (method: string) => requests.filter((asked) => asked.method === method);
  return { origin, requests, of };
}

/** Hands everything on to a server that may change, as one that moves or comes back. */
async function front(t: ExecutionContext, target: { origin: string }) {
  return script(t, async ({ method, url, headers, body }) => {
    const { authorization = '' } = headers;
    const response = await fetch(`${target.origin}${url}`, {
      method,
      headers: { 'content-type': 'application/sdp', authorization },
      ...(body === '' ? {} : { body }),
    }).catch(() => undefined);
    if (response === undefined) return { status: 502 };
    const location = response.headers.get('location');
    return {
      status: response.status,
      body: await response.text(),
      ...(location === null ? {} : { headers: { location } }),
    };
  });
}

/** UDP sockets of this process. */
function sockets(): number {
  const inodes = new Set(
    readFileSync('/proc/net/udp', 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/)[9]),
  );
  const open = readdirSync('/proc/self/fd').filter((fd) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${fd}`, { encoding: 'utf8' });
      return inodes.has(/^socket:\[(\d+)\]$/.exec(target)?.[1]);
    } catch {
      return false; // closed since it was listed
    }
  });
  return open.length;
}

async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = Date.now() + 20_000; Date.now() < end; await sleep(20)) {
    if (await what()) return;
  }
  throw new Error(`not within 20 s: ${what.toString()}`);
}

/** What a push to a scripted server is refused with. */
async function refused(
  t: ExecutionContext,
  live: Live,
  url: string,
  options: Partial<ForeignOptions> = {},
) {
  const error = await t.throwsAsync(live.push('live/show', { url, ...options }), {
    instanceOf: SluiceError,
  });
  const { cause } = error as SluiceError;
  return { code: (error as SluiceError).code, words: cause instanceof Error ? cause.message : '' };
}

test('viewers stay when the program takes over from a WHIP publisher', async (t) => {
  const [server, foreign] = await Promise.all([start(t), start(t)]);
  server.live.use(() => ({ allow: true, identity: 'camera' }));
  await broadcast(t, foreign.live);
  const url = `${server.origin}/live/live/show`;
  const push = await foreign.live.push('live/show', { url: `${url}/whip` });
  // It would take its key back.
  push.once('reconnecting', () => void push.stop());
  const pull = await foreign.live.pull('live/seen', { url: `${url}/whep` });
  pull.on('reconnecting', ({ cause }) => t.fail(cause.message));
  await frames(foreign.live, 'live/seen', 20);
  await broadcast(t, server.live, 'live/show', { identity: 'camera' });
  // More than what was on its way.
  await t.notThrowsAsync(frames(foreign.live, 'live/seen', 120));
});

test('a stream is pushed to a foreign server, and its frames arrive', async (t) => {
  const [here, there] = [await start(t), await start(t)];
  await broadcast(t, here.live, 'live/show');
  const push = await here.live.push('live/show', { url: `${there.origin}/live/live/copy/whip` });
  t.is(push.state, 'connected');
  await frames(there.live, 'live/copy', 20);
  t.like((await there.live.streams())[0], { key: 'live/copy', protocol: 'whip' });
  await push.stop();
  t.is(push.state, 'ended');
});

test('a stream is pulled from a foreign server, and its frames arrive', async (t) => {
  const [here, there] = [await start(t), await start(t)];
  await broadcast(t, there.live, 'live/show');
  const pull = await here.live.pull('live/copy', { url: `${there.origin}/live/live/show/whep` });
  t.is(pull.state, 'connected');
  await frames(here.live, 'live/copy', 20);
  t.like((await here.live.streams())[0], { key: 'live/copy', protocol: 'whep' });
  await pull.stop();
  t.is(pull.state, 'ended');
  t.deepEqual(await here.live.streams(), []);
});

test('two calls to one server are two, on any shard', async (t) => {
  const [here, there] = [await start(t, 2), await start(t, 2)];
  await broadcast(t, here.live, 'live/one');
  await broadcast(t, here.live, 'live/two');
  const calls = await Promise.all([
    here.live.push('live/one', { url: `${there.origin}/live/live/first/whip` }),
    here.live.push('live/two', { url: `${there.origin}/live/live/second/whip` }),
    here.live.push('live/two', { url: `${there.origin}/live/live/third/whip` }),
  ]);
  await Promise.all(['first', 'second', 'third'].map((n) => frames(there.live, `live/${n}`, 20)));
  const back = await here.live.pull('live/back', {
    url: `${there.origin}/live/live/second/whep`,
  });
  await frames(here.live, 'live/back', 20);
  t.is((await there.live.streams()).length, 3);
  await Promise.all([back, ...calls].map((session) => session.stop()));
  await until(async () => (await there.live.streams()).length === 0);
});

test('a push of what nobody publishes, and a pull onto a key that is held, are refused', async (t) => {
  const [here, there] = [await start(t), await start(t)];
  const url = `${there.origin}/live/live/show/whep`;
  await t.throwsAsync(here.live.push('live/show', { url }), { code: 'ERR_STREAM_NOT_FOUND' });
  await broadcast(t, here.live);
  await broadcast(t, there.live);
  await t.throwsAsync(here.live.pull('live/show', { url }), {
    code: 'ERR_STREAM_ALREADY_PUBLISHING',
  });
  await t.throwsAsync(here.live.pull('none/show', { url }), { code: 'ERR_APP_NOT_FOUND' });
  t.is((await there.live.streams())[0]?.state, 'publishing');
});

test('a pull takes over from one of the same identity', async (t) => {
  const [here, there] = [await start(t), await start(t)];
  await broadcast(t, there.live);
  const options = { url: `${there.origin}/live/live/show/whep`, identity: 'relay' };
  const first = await here.live.pull('live/copy', options);
  const ended = once(first, 'ended') as Promise<[ForeignEnded]>;
  const second = await here.live.pull('live/copy', options);
  t.is((await ended)[0].reason, 'streamEnded');
  await frames(here.live, 'live/copy', 20);
  await second.stop();
});

test('a stream of sound alone goes there and comes back', async (t) => {
  const [here, there] = [await start(t), await start(t)];
  const session = await here.live.publish('live/radio');
  await session.setTrack({ track: AUDIO, codec: 'opus' });
  const controller = new AbortController();
  const playing = (async () => {
    for (let n = 0; !controller.signal.aborted; n += 1) {
      await session.write(sound(n));
      await sleep(20);
    }
  })();
  const push = await here.live.push('live/radio', { url: `${there.origin}/live/live/radio/whip` });
  const pull = await here.live.pull('live/back', { url: `${there.origin}/live/live/radio/whep` });
  let heard = 0;
  for await (const { type } of await here.live.subscribe('live/back')) {
    if (type === 'frame' && ++heard >= 20) break;
  }
  t.is((await here.live.streams()).find(({ key }) => key.endsWith('back'))?.tracks.length, 1);
  await Promise.all([push.stop(), pull.stop()]);
  controller.abort();
  await playing;
});

test('a push waits for the first frames of its stream, or until it is no longer wanted', async (t) => {
  const [here, there] = [await start(t), await start(t)];
  const { origin, of } = await front(t, there);
  const url = `${origin}/live/live/copy/whip`;
  const session = await here.live.publish('live/show');
  const signal = AbortSignal.timeout(300);
  const given = here.live.push('live/show', { url, signal });
  t.is(await t.throwsAsync(given, { any: true }), signal.reason);
  const push = here.live.push('live/show', { url });
  await sleep(300);
  t.is(of('POST').length, 0);
  const controller = new AbortController();
  const playing = play(session, controller.signal);
  await (await push).stop();
  t.is(of('POST').length, 1);
  controller.abort();
  await playing;
});

// No other test of this process opens sockets meanwhile.
test.serial('calls come and go and leave nothing', async (t) => {
  const { server, live } = await start(t);
  await broadcast(t, live);
  const { origin } = await script(t, () => ({ status: 403 }));
  await refused(t, live, origin);
  const before = sockets();
  for (let round = 0; round < 40; round += 1) await refused(t, live, origin);
  await Promise.all(
    Array.from({ length: 40 }, (_, n) => t.throwsAsync(live.pull(`live/${n}`, { url: origin }))),
  );
  await until(() => sockets() <= before);
  t.regex(await server.metrics(), /^\w*live_calls 0$/m);
});

test('a shard makes 127 calls at once and refuses the next', async (t) => {
  const { live } = await start(t);
  const { origin, requests } = await script(t, () => new Promise(() => {}));
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  const call = (n: number) =>
    live.pull(`live/${n}`, { url: origin, signal: controller.signal }).catch(() => {});
  const calls = Array.from({ length: 127 }, (_, n) => call(n));
  await until(() => requests.length === 127);
  await t.throwsAsync(live.pull('live/more', { url: origin }), { code: 'ERR_BUSY' });
  controller.abort();
  await Promise.all(calls);
});

test('a server that says nothing is given up after 10 s', async (t) => {
  const { live } = await start(t);
  await broadcast(t, live);
  const { origin } = await script(t, () => new Promise(() => {}));
  t.is((await refused(t, live, origin)).code, 'ERR_TIMEOUT');
});

test('a push ends with its stream', async (t) => {
  const [here, there] = [await start(t), await start(t)];
  const session = await broadcast(t, here.live);
  const { origin, of } = await front(t, there);
  const push = await here.live.push('live/show', { url: `${origin}/live/live/copy/whip` });
  const ended = once(push, 'ended') as Promise<[ForeignEnded]>;
  await session.finish();
  t.is((await ended)[0].reason, 'streamEnded');
  t.is(push.state, 'ended');
  await until(() => of('DELETE').length === 1);
  await until(async () => (await there.live.streams()).length === 0);
});

test('a server that is closed ends its pushes and pulls', async (t) => {
  const [here, there] = [await start(t), await start(t)];
  await broadcast(t, here.live);
  const push = await here.live.push('live/show', { url: `${there.origin}/live/live/copy/whip` });
  const ended = once(push, 'ended') as Promise<[ForeignEnded]>;
  await here.server.close();
  t.is((await ended)[0].reason, 'serverClosed');
  await push.stop();
});

test('a pull whose server vanishes is connected again, and readers stay', async (t) => {
  const [here, there, later] = [await start(t), await start(t), await start(t)];
  await broadcast(t, there.live);
  await broadcast(t, later.live);
  const target = { origin: there.origin };
  const { origin, of } = await front(t, target);
  const pull = await here.live.pull('live/copy', { url: `${origin}/live/live/show/whep` });
  const told: string[] = [];
  pull.on('reconnecting', ({ attempt, cause }: Reconnecting) => {
    told.push(`reconnecting ${attempt}`);
    t.is(cause.code, attempt === 1 ? 'ERR_REMOTE' : cause.code);
  });
  pull.on('connected', () => void told.push('connected'));
  const reader = await here.live.subscribe('live/copy');
  const items: string[] = [];
  const reading = (async () => {
    for await (const { type } of reader) items.push(type);
  })();
  await until(() => items.length > 20);
  target.origin = later.origin;
  await there.server.close();
  await until(() => told.at(-1) === 'connected' && told.length > 1);
  await until(() => items.includes('discontinuity'));
  const before = items.length;
  await until(() => items.length > before + 20);
  t.is(pull.state, 'connected');
  t.deepEqual(told.slice(0, 2), ['connected', 'reconnecting 1']);
  await pull.stop();
  await reading;
  t.is(reader.endReason, 'completed');
  t.is(of('DELETE').length, of('POST').filter(({ url }) => url.endsWith('whep')).length);
});

test('while nobody answers the stream waits no longer than for any publisher', async (t) => {
  const [here, there] = [await start(t), await start(t)];
  await broadcast(t, there.live);
  const target = { origin: there.origin };
  const { origin } = await front(t, target);
  const pull = await here.live.pull('live/copy', { url: `${origin}/live/live/show/whep` });
  await frames(here.live, 'live/copy', 5);
  const states: string[] = [];
  here.live.on('sourceState', ({ state }) => void states.push(state));
  await there.server.close();
  await until(() => pull.state === 'reconnecting');
  await sleep(4000);
  t.deepEqual(states, ['resuming'], 'an attempt that fails takes no key');
  await pull.stop();
});

test('what a server refuses with is an error by its status, with its words', async (t) => {
  const { live } = await start(t);
  await broadcast(t, live);
  const codes: Readonly<Record<number, SluiceErrorCode>> = {
    200: 'ERR_REMOTE',
    302: 'ERR_REMOTE',
    400: 'ERR_SDP',
    401: 'ERR_AUTH',
    403: 'ERR_AUTH',
    404: 'ERR_STREAM_NOT_FOUND',
    405: 'ERR_REMOTE',
    406: 'ERR_SDP',
    409: 'ERR_BUSY',
    415: 'ERR_SDP',
    422: 'ERR_SDP',
    429: 'ERR_BUSY',
    500: 'ERR_REMOTE',
    503: 'ERR_BUSY',
  };
  const { origin, of } = await script(t, ({ url }) => ({
    status: Number(url.slice(1)),
    headers: { location: '/elsewhere' },
    body: 'because of the weather',
  }));
  for (const [status, code] of Object.entries(codes)) {
    const { code: given, words } = await refused(t, live, `${origin}/${status}`);
    t.is(given, code, status);
    t.is(words, `status ${status}: because of the weather`);
  }
  t.is(of('POST').length, Object.keys(codes).length, 'each is asked once');
  t.is(of('DELETE').length, 0);
});

test('the offer of a push is what WHIP wants', async (t) => {
  const { live } = await start(t);
  await broadcast(t, live);
  const { origin, requests } = await script(t, () => ({ status: 403 }));
  const headers = { 'x-tenant': 'seven' };
  await refused(t, live, `${origin}/whip`, { token: 'secret', headers });
  const [{ headers: sent, body }] = requests as [Asked];
  t.like(sent, {
    'content-type': 'application/sdp',
    authorization: 'Bearer secret',
    'x-tenant': 'seven',
  });
  t.is(body.match(/^a=sendonly/gm)?.length, 2);
  t.is(body.match(/^a=bundle-only/gm)?.length, 1);
  t.true(body.includes('VP8/90000') && body.includes('opus/48000'));
  t.false(/H264|VP9|AV1|ice-lite/.test(body));
});

test('a token stays with its origin', async (t) => {
  const { live } = await start(t);
  await broadcast(t, live);
  const other = await script(t, () => ({ status: 403, body: 'who are you' }));
  const first = await script(t, ({ url }) => {
    const location = url === '/whip' ? '/here' : `${other.origin}/there`;
    return { status: url === '/whip' ? 307 : 308, headers: { location } };
  });
  const headers = { 'x-key': 'of the house' };
  const error = await refused(t, live, `${first.origin}/whip`, { token: 'secret', headers });
  t.deepEqual(error, { code: 'ERR_AUTH', words: 'status 403: who are you' });
  const sent = first.requests.map((r) => [r.url, r.headers.authorization, r.headers['x-key']]);
  t.deepEqual(sent, [
    ['/whip', 'Bearer secret', 'of the house'],
    ['/here', 'Bearer secret', 'of the house'],
  ]);
  const [{ headers: leaked, body, method }] = other.requests as [Asked];
  t.deepEqual([leaked.authorization, leaked['x-key']], [undefined, undefined]);
  t.is(method, 'POST');
  t.true(body.startsWith('v=0'), 'the offer is repeated');
});

test('redirects are followed a few times, and to http and https alone', async (t) => {
  const { live } = await start(t);
  await broadcast(t, live);
  const { origin, requests } = await script(t, ({ url }) => ({
    status: 307,
    headers: { location: url === '/round' ? '/round' : decodeURIComponent(url.slice(1)) },
  }));
  t.is((await refused(t, live, `${origin}/round`)).code, 'ERR_REMOTE');
  t.is(requests.length, 6);
  for (const to of ['file:///etc/passwd', 'data:text/plain,v=0', 'http://a:b@127.0.0.1/', '//']) {
    const { code } = await refused(t, live, `${origin}/${encodeURIComponent(to)}`);
    t.is(code, 'ERR_REMOTE', to);
  }
});

test('Retry-After is obeyed, and waiting for it can be given up', async (t) => {
  const { live } = await start(t);
  await broadcast(t, live);
  const { origin, requests } = await script(t, () =>
    requests.length === 1
      ? { status: 503, headers: { 'retry-after': '2' } }
      : { status: 403, body: 'never' },
  );
  t.is((await refused(t, live, origin)).code, 'ERR_AUTH');
  t.is(requests.length, 2);
  t.true(requests[1]!.at - requests[0]!.at > 1900);
  const patient = await script(t, () => ({ status: 409, headers: { 'retry-after': '3600' } }));
  const signal = AbortSignal.timeout(300);
  const push = live.push('live/show', { url: patient.origin, signal });
  t.is(await t.throwsAsync(push, { any: true }), signal.reason);
  t.is(patient.requests.length, 1);
});

test('a body without end is left', async (t) => {
  const { live } = await start(t);
  await broadcast(t, live);
  let closed = false;
  const origin = await listen(t, (_, response) => {
    response.writeHead(201, { location: '/session' });
    const timer = setInterval(() => response.write('v=0 '.repeat(4096)), 1);
    response.once('close', () => {
      clearInterval(timer);
      closed = true;
    });
  });
  t.is((await refused(t, live, `${origin}/whip`)).code, 'ERR_REMOTE');
  await until(() => closed);
});

test('a session whose answer cannot be used is deleted, once', async (t) => {
  const { live } = await start(t);
  await broadcast(t, live);
  for (const [body, code] of [
    ['<html>welcome</html>', 'ERR_REMOTE'],
    ['v=0\r\nnothing else', 'ERR_SDP'],
    [`v=0\r\n${'a='.repeat(20_000)}`, 'ERR_SDP'],
  ] as const) {
    const { origin, of } = await script(t, ({ method }) =>
      method === 'DELETE'
        ? { status: 200 }
        : { status: 201, headers: { location: 'sessions/1' }, body },
    );
    const error = await refused(t, live, `${origin}/a/whip`, { token: 'secret' });
    t.is(error.code, code);
    await until(() => of('DELETE').length > 0);
    t.deepEqual(
      of('DELETE').map(({ url, headers }) => [url, headers.authorization]),
      [['/a/sessions/1', 'Bearer secret']],
      'Location is relative to the endpoint (RFC 9725 §4.2)',
    );
  }
  const { origin } = await script(t, () => ({ status: 201, body: 'v=0' }));
  t.is((await refused(t, live, origin)).code, 'ERR_REMOTE', 'there is no Location');
});

test('a server that answers and is not there is given up, and its session deleted', async (t) => {
  const [here, there] = [await start(t), await start(t)];
  await broadcast(t, here.live);
  const { origin, of } = await script(t, async ({ method, url, body }) => {
    if (method === 'DELETE') return { status: 200 };
    const headers = { 'content-type': 'application/sdp' };
    const post = { method: 'POST', headers, body };
    const response = await fetch(`${there.origin}${url}`, post);
    const answer = (await response.text()).replace(/^a=candidate:.*\r\n/gm, '');
    return { status: 201, headers: { location: '/session' }, body: answer };
  });
  const reason = new Error('no longer wanted');
  const controller = new AbortController();
  const push = here.live.push('live/show', {
    url: `${origin}/live/live/copy/whip`,
    signal: controller.signal,
  });
  await until(() => of('POST').length === 1);
  await sleep(300);
  controller.abort(reason);
  t.is(await t.throwsAsync(push), reason);
  await until(() => of('DELETE').length === 1);
  await sleep(300);
  t.is(of('DELETE').length, 1);
});

test('a server that cannot be reached is an error with the reason', async (t) => {
  const { live } = await start(t);
  await broadcast(t, live);
  const error = await refused(t, live, 'http://127.0.0.1:1/whip');
  t.is(error.code, 'ERR_REMOTE');
  t.regex(error.words, /ECONNREFUSED|bad port/);
});

test('what cannot be called is refused before anybody is', async (t) => {
  const { live } = await start(t);
  const url = 'http://127.0.0.1/whip';
  for (const [key, options, error] of [
    ['live/show', { url: 7 }, TypeError],
    ['live/show', { url: '/whip' }, RangeError],
    ['live/show', { url: 'ftp://127.0.0.1/' }, RangeError],
    ['live/show', { url: 'http://me:secret@127.0.0.1/' }, RangeError],
    ['live/show', { url, token: 7 }, TypeError],
    ['live/show', { url, token: 'a b' }, RangeError],
    ['live/show', { url, headers: { 'a b': 'c' } }, TypeError],
    ['live/show', { url, signal: {} }, TypeError],
    ['live/show~hi', { url }, RangeError],
    ['show', { url }, TypeError],
  ] as const) {
    for (const method of ['push', 'pull'] as const) {
      const called = live[method](key, options as unknown as ForeignOptions);
      await t.throwsAsync(called, { instanceOf: error }, JSON.stringify([key, options]));
    }
  }
  const identity = live.pull('live/show', { url, identity: 7 as never });
  await t.throwsAsync(identity, { instanceOf: TypeError });
});
