import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server as HttpServer } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import {
  allowAll,
  Server,
  type AuthorizeRequest,
  type Authorizer,
  type HandlerOptions,
  type RecordedFile,
} from 'sluice';
import { film, FPS, probed, publish, type Probed } from './live-film.js';

const local = { udpPort: 0, bindAddress: '127.0.0.1', shards: 1 };

interface Stage {
  readonly server: Server;
  readonly directory: string;
  readonly files: readonly RecordedFile[];
  /** Where the stream's recordings are. */
  readonly url: string;
}

/** Serves five seconds of a picture, recorded to files of two seconds. */
async function stage(
  t: ExecutionContext,
  authorizer: Authorizer | null = allowAll,
  segmentMs = 2000,
): Promise<Stage> {
  const { record, pictures } = await film();
  const directory = await mkdtemp(join(tmpdir(), 'sluice-playback-'));
  const server = (await Server.start(local)).ref();
  t.teardown(async () => {
    await server.close();
    await rm(directory, { recursive: true, force: true });
  });
  if (authorizer !== null) server.live.use(authorizer);
  const session = await server.live.publish('live/show');
  await session.setTrack({ track: 0, codec: 'H264', record });
  await publish(session, pictures.slice(0, 1));
  const recording = await server.live.record('live/show', { directory, segmentMs });
  await publish(session, pictures.slice(1), 1);
  const files = await recording.stop();
  const url = await serve(t, server, { recordings: directory });
  return { server, directory, files, url: `${url}/live/live/show/recordings` };
}

async function serve(
  t: ExecutionContext,
  server: Server,
  options: HandlerOptions,
): Promise<string> {
  const http: HttpServer = createServer(server.live.httpHandler(options));
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  t.teardown(() => {
    http.close();
    http.closeAllConnections();
  });
  return `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
}

const plain = ({ name }: RecordedFile): string => name.split('/').at(-1) ?? '';

test('the list says what there is', async (t) => {
  const { url, files } = await stage(t);
  const response = await fetch(url);
  t.is(response.status, 200);
  t.is(response.headers.get('content-type'), 'application/json');
  t.is(response.headers.get('access-control-allow-origin'), '*');
  const { recordings } = (await response.json()) as { readonly recordings: readonly object[] };
  t.deepEqual(
    recordings,
    files.map((file) => ({
      name: plain(file),
      start: new Date(file.startedAtMs).toISOString(),
      duration: file.durationMs / 1000,
      size: file.bytes,
      codecs: file.codecs,
    })),
  );
  t.is(files.length, 3);
  t.regex(files[0]?.codecs ?? '', /^avc1\.[0-9a-f]{6}$/);
  const other = await fetch(url.replace('show', 'other'));
  t.deepEqual(await other.json(), { recordings: [] });
});

test('a file is served whole and by ranges, as RFC 9110 says', async (t) => {
  const { url, files, directory } = await stage(t);
  const [file] = files;
  if (file === undefined) throw new Error('nothing was recorded');
  const address = `${url}/${plain(file)}`;
  const bytes = await readFile(join(directory, file.name));
  const whole = await fetch(address);
  t.is(whole.status, 200);
  t.deepEqual(Buffer.from(await whole.arrayBuffer()), bytes);
  const tag = whole.headers.get('etag') ?? '';
  const modified = whole.headers.get('last-modified') ?? '';
  t.regex(tag, /^"[^"]+"$/);
  t.is(new Date(modified).getTime(), Math.floor(file.endedAtMs / 1000) * 1000);
  t.is(whole.headers.get('accept-ranges'), 'bytes');
  t.is(whole.headers.get('content-type'), 'video/mp4');
  t.is(whole.headers.get('content-length'), String(bytes.length));
  t.is(whole.headers.get('cache-control'), 'private, max-age=3600, immutable');

  const size = bytes.length;
  const part = async (headers: Record<string, string>, method = 'GET') => {
    const response = await fetch(address, { headers, method });
    const body = Buffer.from(await response.arrayBuffer());
    return { status: response.status, range: response.headers.get('content-range'), body };
  };
  for (const [range, from, to] of [
    ['bytes=0-0', 0, 1],
    ['bytes=10-19', 10, 20],
    ['bytes=-7', size - 7, size],
    [`bytes=${size - 3}-`, size - 3, size],
    [`bytes=100-${size * 2}`, 100, size],
  ] as const) {
    t.deepEqual(await part({ Range: range }), {
      status: 206,
      range: `bytes ${from}-${to - 1}/${size}`,
      body: bytes.subarray(from, to),
    });
  }
  for (const range of [`bytes=${size}-`, 'bytes=-0']) {
    t.like(await part({ Range: range }), { status: 416, range: `bytes */${size}` });
  }
  for (const range of ['bytes=0-0,5-6', 'lines=1-2', 'bytes=9-1']) {
    const got = await part({ Range: range });
    t.deepEqual([got.status, got.body.length], [200, size], range);
  }
  t.like(await part({ Range: 'bytes=0-0', 'If-Range': tag }), { status: 206 });
  t.like(await part({ Range: 'bytes=0-0', 'If-Range': modified }), { status: 206 });
  t.like(await part({ Range: 'bytes=0-0', 'If-Range': '"other"' }), { status: 200 });
  t.like(await part({ 'If-None-Match': `"other", W/${tag}` }), { status: 304 });
  t.like(await part({ 'If-Modified-Since': modified }), { status: 304 });
  t.like(await part({ 'If-Match': '"other"' }), { status: 412 });

  const head = await fetch(address, { method: 'HEAD', headers: { Range: 'bytes=0-0' } });
  t.is(head.status, 200);
  t.is(head.headers.get('content-length'), String(size));
  t.is(await head.text(), '');
  const preflight = await fetch(address, { method: 'OPTIONS' });
  t.is(preflight.status, 204);
  t.regex(preflight.headers.get('access-control-allow-headers') ?? '', /Range/);
  const post = await fetch(address, { method: 'POST', body: 'x' });
  t.deepEqual([post.status, post.headers.get('allow')], [405, 'GET, HEAD, OPTIONS']);
});

async function played(t: ExecutionContext, url: string, directory: string): Promise<Probed> {
  const response = await fetch(url);
  t.is(response.status, 200);
  return probed(Buffer.from(await response.arrayBuffer()), directory);
}

test('a stretch of time begins at the keyframe before, and goes on over the border of files', async (t) => {
  const { url, files, directory } = await stage(t);
  const address = `${url}/${plain(files[0]!)}`;
  // Keyframes are a second apart, files two.
  for (const [query, frames] of [
    ['start=1.5&duration=0.5', FPS],
    ['start=0.9&duration=0.1', FPS],
    ['start=1&duration=0.2', 5],
    ['start=1.2', FPS],
    ['start=1.5&duration=1.5', 2 * FPS],
    ['start=0&duration=60', 5 * FPS],
  ] as const) {
    const seen = await played(t, `${address}?${query}`, directory);
    t.deepEqual(seen, { frames, keyframe: true, seconds: frames / FPS, complaints: '' }, query);
  }
});

const at = (ms: number): string => encodeURIComponent(new Date(ms).toISOString());

test('a stretch of time may be named by the clock', async (t) => {
  const { url, files, directory } = await stage(t);
  const [first, second] = files;
  const begin = first!.startedAtMs;
  const seen = await played(t, `${url}.mp4?start=${at(begin + 500)}&duration=1`, directory);
  t.deepEqual([seen.keyframe, seen.complaints], [true, '']);
  t.true(seen.frames > 0);
  const later = await played(t, `${url}.mp4?start=${at(second!.startedAtMs)}`, directory);
  t.deepEqual([later.keyframe, later.complaints], [true, '']);
  for (const [path, status] of [
    [`${url}.mp4?start=${at(begin - 3_600_000)}&duration=1`, 404],
    [`${url}.mp4?start=${at(Date.now() + 3_600_000)}`, 404],
    [`${url}.mp4`, 400],
    [`${url}.mp4?start=5`, 400],
    [`${url}/${plain(first!)}?start=soon`, 400],
    [`${url}/${plain(first!)}?start=0&duration=0`, 400],
  ] as const) {
    t.is((await fetch(path)).status, status, path);
  }
});

test('a stretch of time is a file like any other: ranges, tags', async (t) => {
  const { url, files } = await stage(t);
  const address = `${url}/${plain(files[0]!)}?start=1&duration=2`;
  const whole = await fetch(address);
  const bytes = Buffer.from(await whole.arrayBuffer());
  t.is(whole.headers.get('content-length'), String(bytes.length));
  const tag = whole.headers.get('etag') ?? '';
  const rest = await fetch(address, { headers: { Range: 'bytes=1000-', 'If-Range': tag } });
  t.is(rest.status, 206);
  t.deepEqual(Buffer.from(await rest.arrayBuffer()), bytes.subarray(1000));
  const again = await fetch(address, { headers: { 'If-None-Match': tag } });
  t.is(again.status, 304);
  const other = await fetch(`${url}/${plain(files[0]!)}?start=0&duration=2`, { method: 'HEAD' });
  t.not(other.headers.get('etag'), tag);
});

test('nobody plays back whom the authorizer does not let, and it is asked for playback', async (t) => {
  const asked: AuthorizeRequest[] = [];
  const { url, files } = await stage(t, (request) => {
    asked.push(request);
    return (
      request.query?.includes('token=right') === true || { allow: false, reason: 'badCredentials' }
    );
  });
  const address = `${url}/${plain(files[0]!)}`;
  const refused = await fetch(address, { headers: { Authorization: 'Bearer wrong' } });
  t.is(refused.status, 401);
  t.like(asked.at(-1), {
    action: 'playback',
    key: 'live/show',
    protocol: 'playback',
    address: '127.0.0.1',
    token: 'wrong',
  });
  t.is((await fetch(url)).status, 401);
  t.is((await fetch(`${address}?token=right`)).status, 200);
  t.is((await fetch(`${address}?token=right&start=1`)).status, 200);
});

test('without an authorizer nobody plays back', async (t) => {
  const { url, files } = await stage(t, null);
  for (const path of [url, `${url}/${plain(files[0]!)}`, `${url}.mp4?start=2026-01-01T00:00:00Z`]) {
    t.is((await fetch(path)).status, 403);
  }
});

test('a name is never a path', async (t) => {
  const { server, directory, url, files } = await stage(t);
  await writeFile(join(directory, 'secret.mp4'), 'secret');
  await writeFile(join(directory, 'live', 'secret.mp4'), 'secret');
  await writeFile(join(directory, 'live/show/20260101T000000.000Z.mp4'), 'not listed');
  const port = Number(new URL(url).port);
  for (const name of [
    '../secret.mp4',
    '../../secret.mp4',
    '..%2f..%2fsecret.mp4',
    '%2e%2e/secret.mp4',
    'index.jsonl',
    '20260101T000000.000Z.mp4',
    `${plain(files[0]!)}.part`,
    `${plain(files[0]!)}%00`,
    `${plain(files[0]!)}/`,
    '.mp4',
  ]) {
    const answer = await raw(port, `GET /live/live/show/recordings/${name} HTTP/1.1`);
    t.regex(answer, /^HTTP\/1\.1 404 /, name);
    t.false(answer.includes('secret'));
  }
  // A handler that was given no recordings has none.
  const without = await serve(t, server, {});
  t.is((await fetch(`${without}/live/live/show/recordings`)).status, 404);
});

/** A request as it stands: `fetch` would tidy the path up. */
async function raw(port: number, request: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.write(`${request}\r\nHost: x\r\nConnection: close\r\n\r\n`);
  const chunks: Buffer[] = [];
  for await (const chunk of socket as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

test('a file that goes away while it is sent breaks the response off', async (t) => {
  const { url, files, directory } = await stage(t, allowAll, 3_600_000);
  const [file] = files;
  // More than one read.
  t.true(file!.bytes > 300_000, String(file!.bytes));
  const response = await fetch(`${url}/${plain(file!)}`);
  t.is(response.status, 200);
  await rm(join(directory, file!.name));
  const again = await fetch(`${url}/${plain(file!)}`);
  t.is(again.status, 404);
  await response.arrayBuffer().catch((error: unknown) => t.true(error instanceof TypeError));
});

test('the fetch handler streams the same bytes', async (t) => {
  const { server, directory, files } = await stage(t);
  const handler = server.live.fetchHandler({ recordings: directory });
  const [file] = files;
  const address = `http://x/live/live/show/recordings/${plain(file!)}`;
  const response = await handler(new Request(address, { headers: { Range: 'bytes=5-' } }));
  t.is(response?.status, 206);
  const bytes = await readFile(join(directory, file!.name));
  t.deepEqual(Buffer.from(await response!.arrayBuffer()), bytes.subarray(5));
  t.is(await handler(new Request('http://x/live/live/show/records')), undefined);
});

test('a closed server plays nothing back', async (t) => {
  const { server, url } = await stage(t);
  await server.close();
  t.is((await fetch(url)).status, 503);
});

test('options are checked', (t) => {
  const bad = { recordings: 5 } as never;
  return stage(t).then(({ server }) => {
    t.throws(() => server.live.httpHandler(bad), { instanceOf: TypeError });
    t.throws(() => server.live.httpHandler({ recordings: '' }), { instanceOf: RangeError });
  });
});
