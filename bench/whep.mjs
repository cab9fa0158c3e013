// What the viewers of a live stream cost, beside the same number of clients in a room.
//
// `node bench/whep.mjs [--quick] [--rounds 3]`. Both alternate, so that a change of the machine's mood
// meets both. The stream is kept as frames besides, for whoever plays it otherwise.
import os from 'node:os';
import { buildPrograms, measure, withServer } from './programs.mjs';
import { option, spread } from './figures.mjs';

const quick = process.argv.includes('--quick');
const rounds = Math.max(1, option('rounds', quick ? 1 : 3));
const seconds = quick ? 3 : 10;
const cases = [
  { name: '1→50 × 1000 pps', receivers: 50, pps: 1000 },
  { name: '1→500 × 80 pps', receivers: 500, pps: 80 },
];

await buildPrograms();
for (const { name, receivers, pps } of cases) {
  const runs = [];
  for (let round = 0; round < rounds; round++) {
    const load = (at) =>
      withServer(['examples/demo/server.js'], ({ pid, host }) =>
        measure('load', { host, pid, at, receivers, pps, seconds, 'transport-cc': true }),
      );
    const room = await load('/rooms/bench');
    const live = await load('/live/live/bench');
    runs.push({
      room: room.packetsPerCpuSecond,
      live: live.packetsPerCpuSecond,
      share: live.packetsPerCpuSecond / room.packetsPerCpuSecond,
      lost: live.lost,
    });
  }
  const of = (key, digits) =>
    spread(
      runs.map((run) => run[key]),
      digits,
    );
  console.log(`${name}, 1200 B, frames of 4, with estimator (min/median/max of ${rounds}):`);
  console.log(`  room          ${of('room', 0)} packets per CPU-second`);
  console.log(`  live stream   ${of('live', 0)}, lost ${of('lost', 5)}`);
  console.log(`    share       ${of('share', 2)}, load average ${os.loadavg()[0]?.toFixed(1)}`);
}
