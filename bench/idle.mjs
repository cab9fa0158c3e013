// What connected clients cost to whom nothing is sent.
//
// `node bench/idle.mjs [--receivers 1000] [--seconds 20]`, with and without estimator.
import os from 'node:os';
import { buildPrograms, measure, withServer } from './programs.mjs';
import { option } from './figures.mjs';

const receivers = option('receivers', 1000);
const seconds = option('seconds', 20);

await buildPrograms();
for (const transportCc of [true, false]) {
  const result = await withServer(['examples/demo/server.js'], ({ pid, host }) =>
    measure('load', {
      host,
      pid,
      receivers,
      seconds,
      idle: true,
      video: 7,
      audio: 3,
      'transport-cc': transportCc,
    }),
  );
  console.log(
    `${receivers} idle clients, ${transportCc ? 'with' : 'without'} estimator: ` +
      `${(result.cpuShare * 100).toFixed(1)} % of a core, ` +
      `${result.wakeupsPerSecond.toFixed(0)} shard wake-ups a second, ` +
      `load ${os.loadavg()[0]?.toFixed(1)}`,
  );
}
