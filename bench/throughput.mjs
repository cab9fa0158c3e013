// Packets per CPU-second of the whole Node process, and what share of the floor that is.
//
// `node bench/throughput.mjs [--quick] [--rounds 3]`. Floor, str0m alone (no room, nothing received:
// the ceiling of `Egress::Str0m`) and server alternate, so that a change of the machine's mood meets
// all. Loads end by themselves.
import os from 'node:os';
import { buildPrograms, measure, withServer } from './programs.mjs';
import { option, spread } from './figures.mjs';

const quick = process.argv.includes('--quick');
const rounds = Math.max(1, option('rounds', quick ? 1 : 3));
const seconds = quick ? 3 : 10;
const demo = ['examples/demo/server.js'];
const cases = [
  { name: '1→50 × 1000 pps', receivers: 50, pps: 1000, goal: 0.5 },
  { name: '1→500 × 80 pps', receivers: 500, pps: 80, goal: 0.4 },
];

await buildPrograms();
const [cpu] = os.cpus();
console.log(`${os.cpus().length} × ${cpu?.model ?? 'unknown processor'}, Linux ${os.release()}`);
for (const { name, receivers, pps, goal } of cases) {
  const runs = [];
  for (let round = 0; round < rounds; round++) {
    const floor = await measure('floor', { receivers, pps, seconds });
    const bare = await measure('bare', { receivers, pps, seconds });
    const load = (options) =>
      withServer(demo, ({ pid, host }) =>
        measure('load', { host, pid, receivers, pps, seconds, ...options }),
      );
    const ours = await load({});
    const estimated = await load({ 'transport-cc': true });
    runs.push({
      floor: floor.packetsPerCpuSecond,
      bare: bare.packetsPerCpuSecond,
      bareShare: bare.packetsPerCpuSecond / floor.packetsPerCpuSecond,
      ours: ours.packetsPerCpuSecond,
      shareOfBare: ours.packetsPerCpuSecond / bare.packetsPerCpuSecond,
      share: ours.packetsPerCpuSecond / floor.packetsPerCpuSecond,
      lost: ours.lost,
      estimated: estimated.packetsPerCpuSecond,
      estimatedShare: estimated.packetsPerCpuSecond / floor.packetsPerCpuSecond,
      estimatedLost: estimated.lost,
      load: os.loadavg()[0],
    });
  }
  const of = (key, digits) =>
    spread(
      runs.map((run) => run[key]),
      digits,
    );
  console.log(`${name}, 1200 B, frames of 4 (min/median/max of ${rounds}):`);
  console.log(`  floor                    ${of('floor', 0)} packets per CPU-second`);
  console.log(`  str0m alone              ${of('bare', 0)}`);
  console.log(`    share of the floor     ${of('bareShare', 2)}`);
  console.log(`  without estimator        ${of('ours', 0)}`);
  console.log(`    share of the floor     ${of('share', 2)} (goal ${goal}), lost ${of('lost', 5)}`);
  console.log(`    share of str0m alone   ${of('shareOfBare', 2)}`);
  console.log(`  with estimator           ${of('estimated', 0)}`);
  console.log(
    `    share of the floor     ${of('estimatedShare', 2)}, lost ${of('estimatedLost', 5)}`,
  );
  console.log(`  load average             ${of('load', 1)}`);
}
