// CPU per datagram of strangers, of the whole Node process, by number of clients in the tables.
//
// `node bench/strangers.mjs [--datagrams 50000]` prints a table. User time is what is spent beyond the
// kernel's receive; system time is that receive. What the kernel dropped is not counted.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { Server } from 'sluice';
import { option, spread } from './figures.mjs';

const ROUNDS = 5;
const MAX_DATAGRAMS = 50_000;

if (process.argv.includes('--flood')) await flood(option('flood', 0), option('datagrams', 0));
else await measure(Math.min(option('datagrams', MAX_DATAGRAMS), MAX_DATAGRAMS));

async function measure(datagrams) {
  console.log('clients  received  user ns per datagram  system ns per datagram');
  for (const clients of [1, 10, 100, 1000]) {
    const server = await Server.start({ udpPort: 0, bindAddress: '127.0.0.1', shards: 1 });
    const registry = server.registry('room');
    for (let n = 0; n < clients; n++) await registry.insert({ appData: undefined });
    const [user, system] = [[], []];
    let received = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const before = await unclaimed(server);
      const cost = await cpu(() => floodFrom(server.candidates[0].port, datagrams));
      const got = (await unclaimed(server)) - before;
      // Timers, the child's end, this measurement: the same wait without a datagram.
      const idle = await cpu(() => sleep(cost.milliseconds));
      user.push(((cost.user - idle.user) * 1000) / got);
      system.push(((cost.system - idle.system) * 1000) / got);
      received += got;
    }
    const share = `${Math.round((100 * received) / ROUNDS / datagrams)} %`;
    console.log(
      `${clients}`.padEnd(9) + share.padEnd(10) + spread(user, 0).padEnd(22) + spread(system, 0),
    );
    await server.close();
  }
}

/** What the process spends while `during` runs, in microseconds. */
async function cpu(during) {
  const [begin, start] = [performance.now(), process.cpuUsage()];
  await during();
  return { ...process.cpuUsage(start), milliseconds: performance.now() - begin };
}

async function unclaimed(server) {
  const samples = (await server.metrics()).matchAll(
    /^sfu_unclaimed_datagrams_total\{.*\} (\d+)$/gm,
  );
  return [...samples].reduce((sum, [, count]) => sum + Number(count), 0);
}

/** Another process sends, so that its cost is not ours. */
async function floodFrom(port, datagrams) {
  const args = [fileURLToPath(import.meta.url), '--flood', port, '--datagrams', datagrams];
  await once(spawn(process.execPath, args.map(String), { stdio: 'inherit' }), 'exit');
  await sleep(50);
}

/** Noise, DTLS, RTP and STUN in turn, 100 at a time, so that the receiver's buffer holds them. */
async function flood(port, datagrams) {
  const heads = [[100], [22, 254, 253], [0x80, 96], [0, 1, 0, 80, 0x21, 0x12, 0xa4, 0x42]];
  const makers = heads.map((head, n) => {
    const bytes = randomBytes(n === 3 ? 100 : 1200);
    bytes.set(head);
    return bytes;
  });
  const socket = createSocket('udp4');
  await new Promise((resolve) => socket.connect(port, '127.0.0.1', resolve));
  for (let sent = 0; sent < datagrams; sent += 100) {
    const batch = Array.from({ length: 100 }, (_, n) => makers[n % makers.length]);
    await Promise.all(batch.map((bytes) => new Promise((done) => socket.send(bytes, done))));
    await sleep(1);
  }
  socket.close();
}
