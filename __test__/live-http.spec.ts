import { once } from 'node:events';
import { createServer, get } from 'node:http';
import type { IncomingMessage, RequestListener, Server as HttpServer } from 'node:http';
import { connect as connectHttp2, createServer as createHttp2 } from 'node:http2';
import { createRequire } from 'node:module';
import { connect, type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { Hono } from 'hono';
import { allowAll, Server, signToken, tokenAuthorizer } from 'sluice';
import type { Authorizer, HandlerOptions, Live } from 'sluice';
import { makeOffer } from '../dist/cli/description.js';
import { play } from './live-media.js';

const SDP = { 'content-type': 'application/sdp' };

/** What is used of express. */
interface Express {
  (): Express & RequestListener;
  use(...handlers: unknown[]): void;
  text(options: { type: string }): unknown;
}

const require = createRequire(import.meta.url);
const express = require('express') as Express;

async function start(t: ExecutionContext, authorizer?: Authorizer, options?: HandlerOptions) {
  const server = await Server.start({ udpPort: 0, bindAddress: '127.0.0.1', shards: 1 });
  const { live } = server;
  if (authorizer !== undefined) live.use(authorizer);
  const origin = await listen(t, createServer(live.httpHandler(options) as RequestListener));
  t.teardown(() => server.close());
  return { server, live, origin };
}

async function listen(t: ExecutionContext, http: HttpServer): Promise<string> {
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  t.teardown(() => {
    http.close();
    http.closeAllConnections();
  });
  return `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
}

function post(
  url: string,
  init: RequestInit = {},
  direction: 'sendonly' | 'recvonly' = 'sendonly',
) {
  const body = makeOffer({ direction }).sdp;
  return fetch(url, { method: 'POST', body, ...init, headers: { ...SDP, ...init.headers } });
}

/** A stream of frames in real time, until the test is over. */
async function broadcast(t: ExecutionContext, live: Live, key: string): Promise<void> {
  const controller = new AbortController();
  const playing = play(await live.publish(key), controller.signal).catch(() => {});
  t.teardown(async () => {
    controller.abort();
    await playing;
  });
}

test('nobody publishes or plays without an authorizer', async (t) => {
  const { live, origin } = await start(t);
  await broadcast(t, live, 'live/show');
  t.is((await post(`${origin}/live/live/new/whip`)).status, 403);
  t.is((await post(`${origin}/live/live/show/whep`, {}, 'recvonly')).status, 403);
  t.is((await fetch(`${origin}/live/live/show/index.m3u8`)).status, 403);
});

test('with allowAll a publisher has a resource until it deletes it', async (t) => {
  const { live, origin } = await start(t, allowAll);
  const response = await post(`${origin}/live/live/show/whip`);
  t.is(response.status, 201);
  t.is(response.headers.get('content-type'), 'application/sdp');
  t.regex(await response.text(), /^v=0\r\n/);
  const location = response.headers.get('location') ?? '';
  t.regex(location, /^\/live\/live\/show\/whip\/[\w-]{20,}$/);
  t.like((await live.streams())[0], { key: 'live/show', protocol: 'whip', state: 'idle' });
  t.is((await fetch(origin + location, { method: 'DELETE' })).status, 200);
  t.is((await fetch(origin + location, { method: 'DELETE' })).status, 404);
  await until(async () => (await live.streams()).length === 0);
});

test('a player finds 409 and Retry-After where nobody publishes, 404 for HLS', async (t) => {
  const { origin } = await start(t, allowAll);
  const response = await post(`${origin}/live/live/none/whep`, {}, 'recvonly');
  t.is(response.status, 409);
  t.true(Number(response.headers.get('retry-after')) > 0);
  t.is((await fetch(`${origin}/live/live/none/index.m3u8`)).status, 404);
});

test('a publisher of another identity finds the key held: 409', async (t) => {
  const { live, origin } = await start(t, allowAll);
  await broadcast(t, live, 'live/show');
  const response = await post(`${origin}/live/live/show/whip`);
  t.is(response.status, 409);
  t.true(Number(response.headers.get('retry-after')) > 0);
});

test('an authorizer that throws or rejects refuses, and is reported', async (t) => {
  for (const authorizer of [
    () => {
      throw new Error('of the application');
    },
    () => Promise.reject(new Error('of the application')),
  ]) {
    const { server, origin } = await start(t, authorizer);
    const errors: Error[] = [];
    server.on('error', (error) => errors.push(error));
    t.is((await post(`${origin}/live/live/show/whip`)).status, 403);
    t.deepEqual(
      errors.map(({ message }) => message),
      ['of the application'],
    );
  }
});

test('an authorizer that says nothing refuses after 5 s, and holds nobody else up', async (t) => {
  const { origin } = await start(t, ({ key }) =>
    (key as string) === 'live/slow' ? new Promise(() => {}) : true,
  );
  const begin = performance.now();
  const slow = post(`${origin}/live/live/slow/whip`);
  t.is((await post(`${origin}/live/live/quick/whip`)).status, 201);
  t.true(performance.now() - begin < 2000);
  t.is((await slow).status, 403);
  const waited = performance.now() - begin;
  t.true(waited > 4500 && waited < 8000, `${waited} ms`);
});

test('the authorizer is asked who wants what of which stream, and from where', async (t) => {
  const asked: unknown[] = [];
  const { live, origin } = await start(t, (request) => {
    asked.push(request);
    return { allow: false, reason: 'badCredentials' };
  });
  await broadcast(t, live, 'live/show');
  const headers = { authorization: 'Bearer a.b' };
  const published = await post(`${origin}/live/live/show/whip`, { headers });
  t.is(published.status, 401);
  t.regex(published.headers.get('www-authenticate') ?? '', /^Bearer/);
  const played = await fetch(`${origin}/live/live/show/index.m3u8?token=c&_HLS_skip=YES`);
  t.is(played.status, 401);
  t.regex(played.headers.get('www-authenticate') ?? '', /^Bearer/);
  const address = '127.0.0.1';
  t.deepEqual(asked, [
    { action: 'publish', key: 'live/show', protocol: 'whip', address, token: 'a.b' },
    { action: 'play', key: 'live/show', protocol: 'hls', address, query: 'token=c' },
  ]);
});

test('a token lets in while it is right', async (t) => {
  const { live, origin } = await start(t, tokenAuthorizer('a secret'));
  await broadcast(t, live, 'live/show');
  const status = async (bearer: string, stream = 'new') => {
    const headers = { authorization: `Bearer ${bearer}` };
    return (await post(`${origin}/live/live/${stream}/whip`, { headers })).status;
  };
  t.is(await status(newToken(60)), 201);
  t.is(await status(newToken(60)), 201, 'the holder of a token takes its stream over');
  t.is(await status(newToken(60), 'other'), 401);
  t.is(await status(newToken(-60)), 401);
  t.is(await status(newToken(60, 'another')), 401);
  t.is(await status(newToken(60).slice(1)), 401);
  t.is((await post(`${origin}/live/live/new/whip`)).status, 401);
  const right = signToken('a secret', 'live/show', new Date(Date.now() + 60_000));
  const query = `?token=${encodeURIComponent(right)}`;
  t.is((await fetch(`${origin}/live/live/show/index.m3u8${query}`)).status, 200);
  t.is((await fetch(`${origin}/live/live/show/index.m3u8?token=x`)).status, 401);
});

test('what is no resource, no method or no offer has its status', async (t) => {
  const { origin } = await start(t, allowAll);
  const whip = `${origin}/live/live/show/whip`;
  for (const path of [
    '/',
    '/live',
    '/live/',
    '/live/live',
    '/live/live/show',
    '/live/live/show/',
    '/other',
    '/live/live/show/whop',
    '/live/live/show/whip/none',
    '/live/live/../whip',
    '/live/live/.hidden/whip',
    '/live/live/a%2Fb/whip',
    `/live/live/${'x'.repeat(65)}/whip`,
    '/live/live/show/../../../etc/passwd',
    '/liveness/live/show/whip',
  ]) {
    t.is((await fetch(origin + path, { method: 'DELETE' })).status, 404, path);
  }
  const put = await fetch(whip, { method: 'PUT' });
  t.is(put.status, 405);
  t.regex(put.headers.get('allow') ?? '', /POST/);
  t.is((await post(whip, { headers: { 'content-type': 'text/plain' } })).status, 415);
  t.is((await post(whip, { body: 'v=0' })).status, 400);
  t.is((await post(whip, { body: '' })).status, 400);
  t.is((await post(whip, { body: 'x'.repeat(100_000) })).status, 413);
  t.is((await post(whip, { body: 'x'.repeat(300_000) })).status, 413);
  const options = await fetch(whip, { method: 'OPTIONS' });
  t.true(options.ok);
  t.is(options.headers.get('accept-post'), 'application/sdp');
  t.is(options.headers.get('access-control-allow-origin'), '*');
  const head = await fetch(`${origin}/live/live/show/whep`, { method: 'HEAD' });
  t.true(head.ok);
  t.is(await head.text(), '');
});

test('a stream of an application that is not open is refused', async (t) => {
  const { origin } = await start(t, allowAll);
  t.is((await post(`${origin}/live/club/show/whip`)).status, 403);
  t.is((await fetch(`${origin}/live/club/show/index.m3u8`)).status, 404);
});

test('an encoder that cannot be heard of any more holds nothing', async (t) => {
  const { live, origin } = await start(t, allowAll);
  const request = fetch(`${origin}/live/live/show/whip`, {
    method: 'POST',
    headers: SDP,
    body: 'v',
  });
  t.is((await request).status, 400);
  t.deepEqual(await live.streams(), []);
});

test('a body that trickles in is cut off, and others are served meanwhile', async (t) => {
  const { origin } = await start(t, allowAll);
  const { hostname, port } = new URL(origin);
  const begin = performance.now();
  const socket = connect(Number(port), hostname);
  socket.on('error', () => {});
  const closed = once(socket, 'close');
  socket.write(
    'POST /live/live/show/whip HTTP/1.1\r\nHost: a\r\nContent-Type: application/sdp\r\nContent-Length: 5000\r\n\r\nv=0',
  );
  const drip = setInterval(() => socket.write('x'), 500);
  t.is((await post(`${origin}/live/live/quick/whip`)).status, 201);
  await closed;
  clearInterval(drip);
  t.true(performance.now() - begin < 13_000);
});

test('the prefix is where the resources stand', async (t) => {
  const { origin } = await start(t, allowAll, { prefix: '/media/v1' });
  const response = await post(`${origin}/media/v1/live/show/whip`);
  t.is(response.status, 201);
  const location = response.headers.get('location') ?? '';
  t.true(location.startsWith('/media/v1/live/show/whip/'), location);
  t.is((await fetch(origin + location, { method: 'DELETE' })).status, 200);
  t.is((await post(`${origin}/live/live/show/whip`)).status, 404);
});

test('LL-HLS: playlists, parts, blocking reload, gzip, CORS and bad questions', async (t) => {
  const { live, origin } = await start(t, allowAll);
  await broadcast(t, live, 'live/show');
  const base = `${origin}/live/live/show`;
  const index = await fetch(`${base}/index.m3u8`);
  t.is(index.status, 200);
  t.is(index.headers.get('content-type'), 'application/vnd.apple.mpegurl');
  t.is(index.headers.get('access-control-allow-origin'), '*');
  const multivariant = await index.text();
  t.regex(multivariant, /CODECS="vp08[^"]*,opus"/i);
  t.regex(multivariant, /RESOLUTION=322x182/);
  const media = multivariant.split('\n').find((line) => line.endsWith('stream.m3u8'))!;
  const url = `${base}/${media}`;
  const first = await (await fetch(url)).text();
  t.regex(first, /#EXT-X-PART:/);
  const [, map] = /#EXT-X-MAP:URI="([^"]+)"/.exec(first) ?? [];
  const part = [...first.matchAll(/#EXT-X-PART:[^\n]*URI="([^"]+)"/g)].at(-1)?.[1];
  for (const name of [map, part]) {
    const response = await fetch(new URL(name!, url));
    t.is(response.status, 200, name);
    t.is(response.headers.get('content-type'), 'video/mp4');
    t.regex(response.headers.get('cache-control') ?? '', /immutable/);
    t.true((await response.arrayBuffer()).byteLength > 100);
  }
  const [, sequence] = /#EXT-X-MEDIA-SEQUENCE:(\d+)/.exec(first) ?? [];
  const next = Number(sequence) + (first.match(/#EXTINF/g)?.length ?? 0) + 1;
  const begin = performance.now();
  const blocked = await fetch(`${url}?_HLS_msn=${next}&_HLS_part=0`);
  t.is(blocked.status, 200);
  t.true(performance.now() - begin > 20);
  t.true((await blocked.text()).length > first.length / 2);
  for (const query of ['_HLS_msn=x', '_HLS_part=0', `_HLS_msn=${next + 1000}`, '_HLS_msn=-1']) {
    t.is((await fetch(`${url}?${query}`)).status, 400, query);
  }
  t.is((await fetch(`${base}/0/stream.m3u8`)).status, 404);
  t.is((await fetch(`${base}/${media.replace('stream.m3u8', 'p99999.0.m4s')}`)).status, 404);
  t.is((await fetch(url, { method: 'POST' })).status, 405);
  const preflight = await fetch(url, { method: 'OPTIONS' });
  t.is(preflight.status, 204);
  t.regex(preflight.headers.get('access-control-allow-methods') ?? '', /GET/);
  const head = await fetch(url, { method: 'HEAD' });
  t.is(head.status, 200);
  t.is(await head.text(), '');
  for (const [accepted, coded] of [
    ['gzip, br', 'gzip'],
    ['*', 'gzip'],
    ['gzip;q=0', undefined],
    ['br', undefined],
  ] as const) {
    const response = await raw(url, { 'accept-encoding': accepted });
    t.is(response.headers['content-encoding'], coded, accepted);
    t.regex(String(response.headers.vary), /accept-encoding/i);
    response.destroy();
  }
});

test('a viewer is told of its stream while it watches', async (t) => {
  const { live, origin } = await start(t, allowAll);
  const first = await live.publish('live/show');
  const watch = () => post(`${origin}/live/live/show/whep`, {}, 'recvonly');
  const session = await watch();
  t.is(session.status, 201);
  const url = origin + (session.headers.get('location') ?? '');
  t.regex(session.headers.get('link') ?? '', /server-sent-events/);
  const json = { 'content-type': 'application/json' };
  const open = (body: string) => fetch(`${url}/sse`, { method: 'POST', headers: json, body });
  t.is((await open('["nonsense"]')).status, 400);
  const made = await open('["active","inactive","layers","viewercount"]');
  t.is(made.status, 201);
  const response = await fetch(origin + (made.headers.get('location') ?? ''));
  t.is(response.headers.get('content-type'), 'text/event-stream');
  const events = textOf(response);
  await events.has('event: active\ndata: {}\n\n');
  await events.has('event: viewercount\ndata: {"viewercount":1}');
  const other = await watch();
  await events.has('{"viewercount":2}');
  await fetch(origin + (other.headers.get('location') ?? ''), { method: 'DELETE' });
  await events.has('{"viewercount":1}', 2);
  await first.finish('disconnected');
  await events.has('event: inactive');
  const second = await live.publish('live/show');
  await events.has('event: active', 2);
  t.is((await fetch(url, { method: 'DELETE' })).status, 200);
  await events.end;
  await second.finish();
});

test('a viewer that hangs up leaves its event stream to be read again', async (t) => {
  const { live, origin } = await start(t, allowAll);
  await using _publisher = await live.publish('live/show');
  const session = await post(`${origin}/live/live/show/whep`, {}, 'recvonly');
  const url = origin + (session.headers.get('location') ?? '');
  const made = await fetch(`${url}/sse`, { method: 'POST' });
  const stream = origin + (made.headers.get('location') ?? '');
  const controller = new AbortController();
  const before = textOf(await fetch(stream, { signal: controller.signal }));
  await before.has('event: active');
  controller.abort();
  await t.throwsAsync(before.end, { any: true });
  const [kept, next] = [textOf(await fetch(stream)), live.end('live/show')];
  await next;
  await kept.end;
  t.is((await fetch(stream)).status, 404);
});

/** What has come of a response so far. */
function textOf(response: Response) {
  const decoder = new TextDecoder();
  let text = '';
  const read = async () => {
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      text += decoder.decode(chunk);
    }
  };
  const end = read();
  end.catch(() => {});
  const has = (part: string, times = 1) =>
    until(() => text.split(part).length > times).catch((error: unknown) => {
      throw new Error(`${part} is not in ${text}`, { cause: error });
    });
  return { end, has };
}

test('node:http2 in clear text', async (t) => {
  const { live } = await start(t, allowAll);
  await broadcast(t, live, 'live/show');
  const http = createHttp2(live.httpHandler());
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const session = connectHttp2(`http://127.0.0.1:${(http.address() as AddressInfo).port}`);
  t.teardown(() => {
    session.destroy();
    http.close();
  });
  const ask = async (headers: Record<string, string>, body = '') => {
    const stream = session.request(headers, { endStream: body === '' });
    if (body !== '') stream.end(body);
    const [answer] = (await once(stream, 'response')) as [Record<string, string | number>];
    let text = '';
    for await (const chunk of stream) text += String(chunk);
    return { status: answer[':status'], answer, text };
  };
  const offer = makeOffer({ direction: 'sendonly' }).sdp;
  const posted = { ':method': 'POST', ':path': '/live/live/new/whip', ...SDP };
  const { status, answer, text } = await ask(posted, offer);
  t.is(status, 201);
  t.regex(text, /^v=0/);
  t.is((await ask({ ':method': 'DELETE', ':path': String(answer['location']) })).status, 200);
  t.is((await ask({ ':path': '/live/live/show/index.m3u8' })).status, 200);
  t.is((await ask({ ':path': '/elsewhere' })).status, 404);
  const watching = makeOffer({ direction: 'recvonly' }).sdp;
  const watched = await ask({ ...posted, ':path': '/live/live/show/whep' }, watching);
  const path = String(watched.answer['location']);
  const made = await ask({ ':method': 'POST', ':path': `${path}/sse` });
  const events = ask({ ':path': String(made.answer['location']) });
  await sleep(100);
  await ask({ ':method': 'DELETE', ':path': path });
  t.regex((await events).text, /event: active/);
});

for (const parsed of [false, true]) {
  test(`express, ${parsed ? 'with its own parser of bodies' : 'as it is'}`, async (t) => {
    const { live } = await start(t, allowAll);
    await broadcast(t, live, 'live/show');
    const app = express();
    if (parsed) app.use(express.text({ type: '*/*' }));
    app.use(live.httpHandler());
    app.use('/mounted', live.httpHandler({ prefix: '/mounted/live' }));
    app.use((_: unknown, response: { status(code: number): { end(text: string): void } }) =>
      response.status(418).end('mine'),
    );
    const origin = await listen(t, createServer(app));
    for (const prefix of ['/live', '/mounted/live']) {
      const response = await post(`${origin}${prefix}/live/new/whip`);
      t.is(response.status, 201);
      const location = response.headers.get('location') ?? '';
      t.true(location.startsWith(`${prefix}/live/new/whip/`), location);
      t.is((await fetch(origin + location, { method: 'DELETE' })).status, 200);
      t.is((await fetch(`${origin}${prefix}/live/show/index.m3u8`)).status, 200);
    }
    for (const path of ['/elsewhere', '/live/live/show/whop', '/live']) {
      const response = await fetch(origin + path, { method: 'POST', body: 'x' });
      t.is(response.status, 418, path);
      t.is(await response.text(), 'mine');
    }
  });
}

test('a path that is not ours keeps its body for whoever comes next', async (t) => {
  const { live } = await start(t, allowAll);
  const app = express();
  app.use(live.httpHandler());
  app.use(express.text({ type: '*/*' }));
  app.use((request: { body: string }, response: { end(text: string): void }) =>
    response.end(request.body),
  );
  const origin = await listen(t, createServer(app));
  const body = 'x'.repeat(300_000).slice(0, 90_000);
  t.is(await (await fetch(`${origin}/mine`, { method: 'POST', body })).text(), body);
});

test('hono', async (t) => {
  const { live } = await start(t, allowAll);
  await broadcast(t, live, 'live/show');
  const handle = live.fetchHandler();
  const app = new Hono();
  app.use(async (context, next) => {
    const response = await handle(context.req.raw, { address: '192.0.2.1' });
    return response ?? next();
  });
  app.all('*', (context) => context.text('mine', 418));
  const ask = (path: string, init?: RequestInit) => app.request(`http://a${path}`, init);
  const body = makeOffer({ direction: 'sendonly' }).sdp;
  const response = await ask('/live/live/new/whip', { method: 'POST', headers: SDP, body });
  t.is(response.status, 201);
  t.regex(await response.text(), /^v=0/);
  const location = response.headers.get('location') ?? '';
  t.is((await ask(location, { method: 'DELETE' })).status, 200);
  const index = await ask('/live/live/show/index.m3u8');
  t.is(index.status, 200);
  t.is((await ask('/live/live/show/whep', { method: 'OPTIONS' })).ok, true);
  const watching = makeOffer({ direction: 'recvonly' }).sdp;
  const watch = { method: 'POST', headers: SDP, body: watching };
  const path = (await ask('/live/live/show/whep', watch)).headers.get('location') ?? '';
  const made = await ask(`${path}/sse`, { method: 'POST' });
  const stream = (await ask(made.headers.get('location') ?? '')).body?.getReader();
  t.regex(Buffer.from((await stream?.read())?.value ?? []).toString(), /^event: active/);
  await stream?.cancel();
  const large = { method: 'POST', headers: SDP, body: 'x'.repeat(300_000) };
  t.is((await ask('/live/live/new/whip', large)).status, 413);
  t.is((await ask('/elsewhere', { method: 'POST', body: 'x' })).status, 418);
  t.is((await ask('/live/live/show/index.m3u8', { method: 'DELETE' })).status, 405);
});

test('a server that drains takes no new sessions and keeps those it has', async (t) => {
  const { live, origin } = await start(t, allowAll);
  const first = await post(`${origin}/live/live/show/whip`);
  t.is(first.status, 201);
  await live.drain();
  const refused = await post(`${origin}/live/live/other/whip`);
  t.is(refused.status, 503);
  t.regex(refused.headers.get('retry-after') ?? '', /^\d+$/);
  const resource = new URL(first.headers.get('location') ?? '', origin);
  t.is((await fetch(resource, { method: 'DELETE' })).status, 200);
  await live.drain(false);
  t.is((await post(`${origin}/live/live/other/whip`)).status, 201);
  await t.throwsAsync(live.drain('yes' as never), { instanceOf: TypeError });
});

test('after close() the handler says 503', async (t) => {
  const { server, origin } = await start(t, allowAll);
  await server.close();
  const response = await post(`${origin}/live/live/show/whip`);
  t.is(response.status, 503);
});

function raw(url: string, headers: Record<string, string>) {
  return new Promise<IncomingMessage>((resolve, reject) => {
    get(url, { headers }, resolve).on('error', reject);
  });
}

async function until(done: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 5000;
  while (!(await done())) {
    if (Date.now() > deadline) throw new Error(`never: ${String(done)}`);
    await sleep(10);
  }
}

function newToken(seconds: number, secret = 'a secret'): string {
  return signToken(secret, 'live/new', new Date(Date.now() + seconds * 1000));
}
