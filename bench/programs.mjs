// Builds and runs the bench programs of crates/bench, and the server under test.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { cargoEnvironment } from '../scripts/native.mjs';
import { StepError, root, run } from '../scripts/process.mjs';
import { hostTriple } from '../scripts/toolchain.mjs';

/** Builds `relay`, `floor`, `bare` and `load`, unless BENCH_PROGRAMS names the folder they are in. */
export async function buildPrograms() {
  if (process.env['BENCH_PROGRAMS'] !== undefined) return;
  const target = ['--target', hostTriple(), '--release', '--locked'];
  // With the addon in one command, so that the two agree on features and share what they depend on.
  const packages = ['-p', 'sluice-bench', '-p', 'sluice-node'];
  const code = await run('cargo', ['build', ...packages, ...target], { env: cargoEnvironment() });
  if (code !== 0) throw new StepError(`cargo build ended with ${code}`);
}

/** Runs a program to its end, showing what it prints. */
export async function runBinary(name, args) {
  await buildPrograms();
  process.exitCode = await run(path(name), args);
}

/** Runs a program that prints one line of JSON. */
export async function measure(name, options) {
  const args = Object.entries(options).flatMap(([key, value]) => {
    if (value === false) return [];
    return value === true ? [`--${key}`] : [`--${key}`, String(value)];
  });
  let text = '';
  const code = await run(path(name), args, { onOutput: (chunk) => (text += chunk) });
  if (code !== 0) throw new StepError(`${name} ${args.join(' ')} ended with ${code}`);
  return JSON.parse(text);
}

/** Starts a server program, runs `use` with its process id and address, and stops it. */
export async function withServer(args, use) {
  const port = 20_000 + Math.floor(Math.random() * 10_000);
  const child = spawn(process.execPath, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...process.env,
      HOST: '127.0.0.1',
      PORT: String(port),
      SFU_UDP_PORT: '0',
      SFU_BIND_ADDRESS: '127.0.0.1',
      SFU_ANNOUNCED_ADDRESSES: '127.0.0.1',
    },
  });
  const exited = once(child, 'exit');
  try {
    const ready = (async () => {
      for await (const line of createInterface({ input: child.stdout })) {
        if (line.startsWith('ready ')) return true;
      }
      return false;
    })();
    if (!(await ready)) throw new StepError(`${args.join(' ')} did not start`);
    return await use({ pid: child.pid, host: `127.0.0.1:${port}` });
  } finally {
    child.kill('SIGTERM');
    await exited;
  }
}

function path(name) {
  const target = process.env['CARGO_TARGET_DIR'] ?? join(root, 'target');
  const folder = process.env['BENCH_PROGRAMS'] ?? join(target, hostTriple(), 'release');
  return join(folder, name);
}
