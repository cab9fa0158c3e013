import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import test, { type ExecutionContext } from 'ava';
import { Server, type ServerOptions } from 'sluice';
import { until } from './demo.js';
import { Session, wrtc } from './stacks.js';

/** A server of our own and just enough HTTP for WHIP and WHEP; gives the URL. */
async function serve(t: ExecutionContext, options: ServerOptions) {
  const sfu = await Server.start({ udpPort: 0, ...options });
  const answer = async (request: IncomingMessage) => {
    const [, room = '', verb] = (request.url ?? '').split('/');
    const role = verb === 'whip' ? 'publish' : 'subscribe';
    const client = await sfu.registry(room).insert({ appData: {}, role });
    return client.acceptOffer(await text(request));
  };
  const http = createServer((request, response) => {
    void answer(request).then((sdp) =>
      response.writeHead(201, { location: `${request.url}/resource` }).end(sdp),
    );
  }).listen(0, '127.0.0.1');
  await once(http, 'listening');
  t.teardown(async () => {
    http.close();
    await sfu.close();
  });
  return { sfu, url: `http://127.0.0.1:${(http.address() as AddressInfo).port}` };
}

async function start(t: ExecutionContext, verb: 'publish' | 'play', url: string) {
  const session = await Session.start(wrtc, verb, url);
  t.teardown(() => session.kill());
  return session;
}

async function metric(sfu: Server, name: string): Promise<number> {
  const line = (await sfu.metrics()).split('\n').find((it) => it.startsWith(`${name} `));
  return Number(line?.split(' ')[1]);
}

test.serial(
  'rooms on three shards share one port, whichever socket the kernel picks',
  async (t) => {
    const { sfu, url } = await serve(t, { shards: 3, announcedAddresses: ['127.0.0.1'] });
    t.is(sfu.shards, 3);
    const rooms = ['a', 'b', 'c'];
    for (const room of rooms) await start(t, 'publish', `${url}/${room}/whip`);
    const players = [];
    for (const room of rooms) players.push(await start(t, 'play', `${url}/${room}/whep`));
    for (const player of players) {
      await until('30 pictures and 30 sounds', () =>
        Object.values(player.received).every((count) => count >= 30),
      );
    }
    t.true((await metric(sfu, 'sfu_misrouted_datagrams_total')) > 0);
    t.is(await metric(sfu, 'sfu_panics_total'), 0);
  },
);

test.serial('a socket of both families is announced on each', async (t) => {
  const { sfu } = await serve(t, { bindAddress: '::', announcedAddresses: ['::1', '127.0.0.1'] });
  const client = await sfu.registry('both').insert({ appData: {} });
  t.deepEqual(
    sfu.candidates.map((it) => `${it.address} ${it.protocol}`),
    ['::1 udp', '127.0.0.1 udp', '::1 tcp', '127.0.0.1 tcp'],
  );
  await client.close();
});
