// What the server adds on the way from the publisher's send to a receiver's read.
//
// `node bench/latency.mjs [--quick] [--rounds 3] [--receivers 50] [--pps 1000]`. The event loop is
// blocked for 100 ms of every 110, which must change nothing. Both ends share one clock.
import os from 'node:os';
import { buildPrograms, measure, withServer } from './programs.mjs';
import { option, spread } from './figures.mjs';

const quick = process.argv.includes('--quick');
const rounds = option('rounds', quick ? 1 : 3);
const receivers = option('receivers', 50);
const pps = option('pps', 1000);
const seconds = quick ? 3 : 10;
const server = ['bench/server.mjs', '--busy-from', String(receivers + 1)];

await buildPrograms();
const runs = [];
for (let round = 0; round < rounds; round++) {
  runs.push(
    await withServer(server, ({ pid, host }) =>
      measure('load', { host, pid, receivers, pps, seconds, latency: true }),
    ),
  );
}
console.log(`1→${receivers} × ${pps} pps, loop blocked (min/median/max of ${rounds}):`);
for (const key of ['p50Ms', 'p99Ms', 'p999Ms']) {
  console.log(
    `  ${key.padEnd(8)}${spread(
      runs.map((run) => run[key]),
      2,
    )}`,
  );
}
console.log(
  `  lost    ${spread(
    runs.map((run) => run.lost),
    5,
  )}`,
);
console.log(`  load    ${os.loadavg()[0]?.toFixed(1)}`);
