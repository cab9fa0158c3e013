import { createSocket } from 'node:dgram';
import { randomBytes, randomFillSync } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { Server, isSluiceError } from 'sluice';
import type { Registry, SluiceErrorCode } from 'sluice';
import { Demo, until } from './interop/demo.js';
import { Session, werift } from './interop/stacks.js';
import { offers } from './hostile-offers.js';

const local = { udpPort: 0, bindAddress: '127.0.0.1', shards: 1 } as const;

/** What a stranger can make: noise, and the beginnings of each protocol on the port (RFC 7983 §7). */
const strangers: Readonly<Record<string, () => Buffer>> = {
  unknown_protocol: () => {
    const bytes = randomBytes(40 + Math.floor(Math.random() * 1100));
    bytes[0] = 100;
    return bytes;
  },
  malformed_stun: () => {
    const bytes = randomBytes(60);
    bytes.writeUInt16BE(0x0001, 0);
    return bytes;
  },
  unknown_ufrag: () => {
    const username = Buffer.from(`${randomBytes(8).toString('hex')}:abcd`);
    const padded = Buffer.concat([username, Buffer.alloc(-username.length & 3)]);
    const bytes = Buffer.alloc(24 + padded.length);
    bytes.writeUInt16BE(0x0001, 0);
    bytes.writeUInt16BE(4 + padded.length, 2);
    bytes.writeUInt32BE(0x2112a442, 4);
    randomFillSync(bytes, 8, 12);
    bytes.writeUInt16BE(0x0006, 20);
    bytes.writeUInt16BE(username.length, 22);
    padded.copy(bytes, 24);
    return bytes;
  },
  unknown_address: () => {
    const bytes = randomBytes(1200);
    // RTP, then the head of a DTLS ClientHello.
    if (Math.random() < 0.5) bytes[0] = 0x80;
    else bytes.set([22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0]);
    return bytes;
  },
};

const series = (cause: string) => `sfu_unclaimed_datagrams_total{cause="${cause}"}`;

/** Where the server listens, as its answers tell. */
async function udpPort(demo: Demo): Promise<number> {
  const response = await fetch(demo.url('/rooms/port/whip'), {
    method: 'POST',
    headers: { 'content-type': 'application/sdp' },
    body: offers['a good one'] ?? '',
  });
  const port = / 127\.0\.0\.1 (\d+) typ host/.exec(await response.text())?.[1];
  await fetch(demo.url(response.headers.get('location') ?? ''), { method: 'DELETE' });
  return Number(port);
}

test.serial(
  'a flood of strangers is counted by cause and a good client does not notice',
  async (t) => {
    const demo = await Demo.start();
    t.teardown(() => demo.close());
    const publisher = await Session.start(werift, 'publish', demo.url('/rooms/flood/whip'));
    t.teardown(() => publisher.kill());
    await until('both tracks', async () => (await demo.clients('flood'))[0]?.tracks.length === 2);
    const player = await Session.start(werift, 'play', demo.url('/rooms/flood/whep'));
    t.teardown(() => player.kill());
    await until('media', () => player.received.video > 5 && player.received.audio > 5);

    const before = new Map<string, number>();
    for (const cause of Object.keys(strangers)) {
      before.set(cause, await demo.metric(series(cause)));
    }
    let [longestGap, last, seen] = [0, Date.now(), player.received.video];
    const watch = setInterval(() => {
      if (player.received.video > seen) [seen, last] = [player.received.video, Date.now()];
      else longestGap = Math.max(longestGap, Date.now() - last);
    }, 20);
    t.teardown(() => clearInterval(watch));

    const port = await udpPort(demo);
    const socket = createSocket('udp4');
    await new Promise<void>((resolve) => void socket.connect(port, '127.0.0.1', resolve));
    const makers = Object.values(strangers);
    for (let batch = 0; batch < 500; batch++) {
      await Promise.all(
        Array.from({ length: 100 }, async (_, n) => {
          const datagram = makers[n % makers.length]?.() ?? Buffer.of();
          return new Promise((resolve) => void socket.send(datagram, resolve));
        }),
      );
      // The kernel's buffer holds a few thousand: what it drops would prove nothing.
      await sleep(5);
    }
    socket.close();

    for (const cause of Object.keys(strangers)) {
      await until(`12500 of ${cause}`, async () => {
        return (await demo.metric(series(cause))) - (before.get(cause) ?? 0) >= 12_500;
      });
    }
    await sleep(500);
    clearInterval(watch);
    t.true(longestGap < 1000, `no picture for ${longestGap} ms`);
    t.is(await demo.metric('sfu_panics_total'), 0);
  },
);

const refusals: readonly SluiceErrorCode[] = ['ERR_SDP', 'ERR_CODEC'];

async function works(registry: Registry): Promise<boolean> {
  const client = await registry.insert({ appData: undefined });
  const answer = await client.acceptOffer(offers['a good one'] ?? '');
  await client.close();
  return answer.startsWith('v=0');
}

test.serial('every hostile offer is answered or refused, and the next client works', async (t) => {
  const server = await Server.start(local);
  t.teardown(() => server.close());
  const registry = server.registry('torture');
  t.true(Object.keys(offers).length >= 60);
  const outcomes = new Map<string, string>();
  for (const [name, offer] of Object.entries(offers)) {
    const client = await registry.insert({ appData: undefined });
    const outcome = await client.acceptOffer(offer).then(
      (answer) => (answer.startsWith('v=0') ? 'answered' : `answered: ${answer}`),
      (error: unknown) => {
        if (!isSluiceError(error)) return `threw ${String(error)}`;
        return refusals.includes(error.code) ? 'refused' : `${error.code}: ${error.message}`;
      },
    );
    outcomes.set(name, outcome);
    t.true(['answered', 'refused'].includes(outcome), `${name}: ${outcome}`);
    await client.close();
    t.true(await works(registry), `after: ${name}`);
  }
  t.is(outcomes.get('a good one'), 'answered');
  t.is(outcomes.get('nothing'), 'refused');
  t.regex(await server.metrics(), /^sfu_panics_total 0$/m);
});

test.serial('a hostile second offer closes its client at most', async (t) => {
  const server = await Server.start(local);
  t.teardown(() => server.close());
  const registry = server.registry('torture');
  for (const [name, offer] of Object.entries(offers)) {
    const client = await registry.insert({ appData: undefined });
    await client.acceptOffer(offers['a good one'] ?? '');
    const code = await client.acceptOffer(offer).then(
      () => undefined,
      (error: unknown) => (isSluiceError(error) ? error.code : String(error)),
    );
    t.true(code === undefined || refusals.some((refusal) => refusal === code), `${name}: ${code}`);
    await client.close();
  }
  t.true(await works(registry));
  t.regex(await server.metrics(), /^sfu_panics_total 0$/m);
});

test.serial('hostile candidates and answers are refused by code', async (t) => {
  const server = await Server.start(local);
  t.teardown(() => server.close());
  const registry = server.registry('torture');
  const client = await registry.insert({ appData: undefined });
  await client.acceptOffer(offers['a good one'] ?? '');
  for (const candidate of [
    'candidate:',
    'nonsense',
    'candidate:1 1 udp 1 127.0.0.1 99999 typ host',
    'candidate:1 1 udp -1 127.0.0.1 9 typ host',
    'candidate:1 1 udp 1 999.0.0.1 9 typ host',
    'candidate:1 1 udp 1 127.0.0.1 9 typ nothing',
    `candidate:${'1'.repeat(100_000)} 1 udp 1 127.0.0.1 9 typ host`,
    'candidate:1 1 udp 1 127.0.0.1 9 typ host \0\u{1f4a9}',
  ]) {
    const code = await client.addIceCandidate(candidate).then(
      () => undefined,
      (error: unknown) => (isSluiceError(error) ? error.code : String(error)),
    );
    t.true(code === undefined || code === 'ERR_ICE', `${candidate.slice(0, 60)}: ${code}`);
  }
  for (const answer of Object.values(offers)) {
    await t.throwsAsync(client.acceptAnswer(answer), { code: 'ERR_SDP' });
  }
  t.true(await works(registry));
  t.regex(await server.metrics(), /^sfu_panics_total 0$/m);
});
