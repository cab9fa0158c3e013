// Resident memory per connected subscriber: idle, and with one active video slot.
//
// `node bench/memory.mjs [--receivers 1000]`. 7 video and 3 audio m-lines each.
import { buildPrograms, measure, withServer } from './programs.mjs';
import { option } from './figures.mjs';

const receivers = option('receivers', 1000);
const common = { receivers, seconds: 3, video: 7, audio: 3 };

await buildPrograms();
for (const [name, options] of [
  ['idle', { idle: true }],
  ['one video slot, 100 pps', { pps: 100, warm: 6 }],
]) {
  const result = await withServer(['examples/demo/server.js'], ({ pid, host }) =>
    measure('load', { host, pid, ...common, ...options }),
  );
  console.log(`${name}: ${Math.round(result.bytesPerReceiver / 1000)} KB per subscriber`);
}
