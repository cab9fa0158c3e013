// The room alone, in memory: `npm run bench -- core [relay's options]`, or `-- core --instructions`.
//
// Instructions do not depend on the machine's mood: callgrind counts those of `measured` alone, in a
// build that has kept its symbols.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { cargoEnvironment } from '../scripts/native.mjs';
import { StepError, root, run } from '../scripts/process.mjs';
import { hostTriple } from '../scripts/toolchain.mjs';
import { runBinary } from './programs.mjs';

const args = process.argv.slice(2);
if (args.includes('--instructions')) await instructions();
else await runBinary('relay', args);

async function instructions() {
  const relay = await buildWithSymbols();
  console.log('subscribers  payload  instructions/forwarded');
  for (const subscribers of [1, 10, 50, 500]) {
    const packets = subscribers > 100 ? 40 : 400;
    for (const payload of [160, 1200]) {
      const collected = await count(relay, { subscribers, payload, packets });
      const each = Math.round(collected / (subscribers * packets));
      console.log(
        `${String(subscribers).padStart(11)}  ${String(payload).padStart(7)}  ${String(each).padStart(22)}`,
      );
    }
  }
}

async function buildWithSymbols() {
  const profile = ['--profile', 'release-debug', '--target', hostTriple(), '--locked'];
  const build = ['build', '-p', 'sluice-bench', '--bin', 'relay', ...profile];
  const code = await run('cargo', build, { env: cargoEnvironment() });
  if (code !== 0) throw new StepError(`cargo build ended with ${code}`);
  const target = process.env['CARGO_TARGET_DIR'] ?? join(root, 'target');
  return join(target, hostTriple(), 'release-debug', 'relay');
}

async function count(relay, { subscribers, payload, packets }) {
  const callgrind = ['--tool=callgrind', '--callgrind-out-file=/dev/null'];
  const options = { subscribers, payloads: payload, packets, runs: 1, bwe: 'off' };
  const child = spawn(
    'valgrind',
    [
      ...callgrind,
      '--toggle-collect=*measured*',
      relay,
      ...Object.entries(options).flatMap(([key, value]) => [`--${key}`, String(value)]),
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let text = '';
  child.stderr.on('data', (chunk) => (text += chunk));
  child.on('error', () => {});
  const [code] = await once(child, 'close');
  const collected = /Collected : (\d+)/.exec(text)?.[1];
  if (code !== 0 || collected === undefined) {
    throw new StepError(`valgrind is needed, and ended with ${code}: ${text.slice(-400)}`);
  }
  return Number(collected);
}
