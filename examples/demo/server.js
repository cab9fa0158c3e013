/**
 * A video meeting on Sluice: rooms in the browser, WHIP and WHEP for everything else.
 *
 * Environment: HOST (127.0.0.1), PORT (8080), SFU_UDP_PORT (3478), SFU_BIND_ADDRESS,
 * SFU_ANNOUNCED_ADDRESSES (default: the addresses of the interfaces in use), LIVE_SECRET or
 * LIVE_ALLOW_ALL=1 (the default on a loopback host): who may publish and play below `/live`;
 * RECORDINGS: where recordings go (a folder of the system's temporary one).
 */
import { createServer } from 'node:http';
import { Server, optionsFromEnv } from 'sluice';
import { WebSocketServer } from 'ws';
import { sendJson, sendText } from './respond.js';
import { Rooms } from './rooms.js';
import { signal } from './signal.js';
import { sendAsset } from './assets.js';
import { openLive } from './live.js';
import { Whip } from './whip.js';

const host = process.env['HOST'] ?? '127.0.0.1';
const port = Number(process.env['PORT'] ?? 8080);

const sfu = await Server.start({ ...optionsFromEnv(), tcp: true });
const rooms = new Rooms(sfu);
const whip = new Whip(rooms);
const live = openLive(sfu);
const sockets = new WebSocketServer({ noServer: true, maxPayload: 256 * 1024 });

const http = createServer((request, response) => {
  route(request, response).catch((error) => {
    console.error(`${request.method} ${request.url}:`, error);
    if (response.headersSent) response.destroy();
    else sendText(response, 500, 'internal error');
  });
});

/**
 * @param {import('node:http').IncomingMessage} request
 * @param {import('node:http').ServerResponse} response
 */
async function route(request, response) {
  const { pathname } = new URL(request.url ?? '/', 'http://localhost');
  const [, top = '', name = '', ...rest] = pathname.split('/');

  if (top === 'rooms' && name !== '') {
    if (!Rooms.isName(name)) return sendText(response, 404, 'no such room');
    if (rest[0] === 'whip' || rest[0] === 'whep') {
      return whip.handle(request, response, name, rest[0], rest[1]);
    }
    if (rest.length > 0) return sendText(response, 404, 'not found');
  }
  if (top === 'live' && rest.length === 2 && rest[1] === 'record') {
    return live.record(request, response, `${name}/${rest[0]}`);
  }
  if (top === 'live' && rest.length > 0) return live.handler(request, response);
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return sendText(response, 405, 'method not allowed', { Allow: 'GET, HEAD' });
  }
  const wantsJson = request.headers.accept?.includes('application/json') ?? false;
  if (top === 'rooms' && name !== '') {
    if (wantsJson) return sendJson(response, await rooms.describe(name));
    return sendAsset(response, 'page', 'room.html');
  }
  if (pathname === '/live') {
    return wantsJson
      ? sendJson(response, await live.list())
      : sendAsset(response, 'page', 'live.html');
  }
  if (pathname === '/recordings') return live.recordings(response);
  if (pathname === '/rooms') return sendJson(response, rooms.list());
  if (pathname === '/metrics') {
    return sendText(response, 200, await sfu.metrics(), {
      'Content-Type': 'text/plain; version=0.0.4; charset=utf-8',
    });
  }
  if (pathname === '/health') {
    return sendJson(response, { status: 'ok', uptimeSeconds: Math.round(process.uptime()) });
  }
  if (pathname === '/') return sendAsset(response, 'page', 'lobby.html');
  if (top === 'page' || top === 'sluice' || top === 'hls')
    return sendAsset(response, top, [name, ...rest].join('/'));
  return sendText(response, 404, 'not found');
}

http.on('upgrade', (request, socket, head) => {
  const url = new URL(request.url ?? '/', 'http://localhost');
  const [, top, name = '', last, ...more] = url.pathname.split('/');
  const isSignal = top === 'rooms' && Rooms.isName(name) && last === 'signal' && more.length === 0;
  // A page of another site must not open microphones into our rooms.
  const { origin, host: ours } = request.headers;
  const isForeign =
    origin !== undefined && (!URL.canParse(origin) || new URL(origin).host !== ours);
  if (!isSignal || isForeign) {
    socket.end(
      `HTTP/1.1 ${isSignal ? '403 Forbidden' : '404 Not Found'}\r\nConnection: close\r\n\r\n`,
    );
    return;
  }
  sockets.handleUpgrade(request, socket, head, (webSocket) => {
    signal(webSocket, rooms.enter(name), {
      name: (url.searchParams.get('name') ?? '').slice(0, 60) || 'Guest',
      role: url.searchParams.get('role') === 'subscribe' ? 'subscribe' : 'both',
    });
  });
});

let stopping = false;
for (const name of /** @type {const} */ (['SIGINT', 'SIGTERM'])) {
  process.on(name, async () => {
    if (stopping) return;
    stopping = true;
    http.close();
    await sfu.close();
    for (const socket of sockets.clients) socket.close(1001, 'server stopping');
    http.closeAllConnections();
    process.exit(0);
  });
}

http.listen(port, host, () => {
  const address = http.address();
  const actual = typeof address === 'object' && address ? address.port : port;
  console.log(`ready http://${host.includes(':') ? `[${host}]` : host}:${actual}`);
});
