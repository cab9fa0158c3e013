// Events per second into JavaScript: clients come and go, and every event is counted.
//
// `node bench/events.mjs [--seconds 5]` prints one line of JSON.
import { Server } from 'sluice';

const at = process.argv.indexOf('--seconds');
const seconds = at === -1 ? 5 : Number(process.argv[at + 1]);
const AT_ONCE = 64;

const server = await Server.start({
  udpPort: 0,
  bindAddress: '127.0.0.1',
  announcedAddresses: ['127.0.0.1'],
  tcp: false,
});
const registry = server.registry('events');
const abort = new AbortController();
let events = 0;
const counted = (async () => {
  for await (const _ of registry.events({ signal: abort.signal })) events += 1;
})().catch((error) => {
  if (!abort.signal.aborted) throw error;
});

let clients = 0;
const begin = performance.now();
const end = begin + seconds * 1000;
await Promise.all(
  Array.from({ length: AT_ONCE }, async () => {
    while (performance.now() < end) {
      const client = await registry.insert({ appData: undefined });
      await client.close();
      clients += 1;
    }
  }),
);
const elapsed = (performance.now() - begin) / 1000;
abort.abort();
await counted;
await server.close();
console.log(
  JSON.stringify({
    clientsPerSecond: Math.round(clients / elapsed),
    eventsPerSecond: Math.round(events / elapsed),
  }),
);
