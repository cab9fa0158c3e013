// `npm run bench -- NAME ...`: the programs of bench/, against the optimized build.
import { root, run } from './process.mjs';

/** What there is to measure; the other files of bench/ serve these. */
const BENCHES = [
  ...['core', 'throughput', 'latency', 'memory', 'idle', 'events', 'strangers'],
  ...['bus', 'hls', 'stalled'],
];

/** Runs the named bench with the remaining arguments. */
export async function runBench([name, ...args]) {
  if (!BENCHES.includes(name)) {
    listBenches();
    return 2;
  }
  return run(process.execPath, [`bench/${name}.mjs`, ...args], { cwd: root });
}

/** Names what there is to measure, without building anything. */
export function listBenches() {
  console.log(`npm run bench -- NAME, where NAME is one of: ${BENCHES.join(', ')}`);
  return 0;
}
