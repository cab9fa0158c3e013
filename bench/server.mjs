// The demo's WHIP and WHEP endpoints, with an event loop that can be kept busy.
//
// Environment: as the demo's. `--busy-from N`: from N clients on the loop is blocked for 100 ms of
// every 110, to show that media does not pass through it.
import { createServer } from 'node:http';
import { Server, optionsFromEnv } from 'sluice';
import { Rooms } from '../examples/demo/rooms.js';
import { Whip } from '../examples/demo/whip.js';

const BLOCKED_MS = 100;
const PERIOD_MS = 110;

const host = process.env['HOST'] ?? '127.0.0.1';
const port = Number(process.env['PORT'] ?? 8080);
const at = process.argv.indexOf('--busy-from');
const busyFrom = at === -1 ? Infinity : Number(process.argv[at + 1]);

const sfu = await Server.start({ ...optionsFromEnv(), tcp: false });
const rooms = new Rooms(sfu);
const whip = new Whip(rooms);

const http = createServer((request, response) => {
  const [, , name = '', kind, id] = (request.url ?? '').split('/');
  whip.handle(request, response, name, kind, id).catch((error) => {
    console.error(error);
    response.destroy();
  });
});

setInterval(() => {
  const clients = rooms.list().reduce((sum, room) => sum + room.clients, 0);
  if (clients < busyFrom) return;
  const until = performance.now() + BLOCKED_MS;
  while (performance.now() < until);
}, PERIOD_MS);

process.on('SIGTERM', async () => {
  await sfu.close();
  process.exit(0);
});

http.listen(port, host, () => console.log(`ready http://${host}:${port}`));
