// The addon: one build command for development, tests and CI.
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { StepError, onInterrupt, root, run } from './process.mjs';
import { hostTriple } from './toolchain.mjs';

const NATIVE = join(root, 'native');

/** Builds `native/`: the addon, its loader and its types. Cargo decides what there is to do. */
export async function buildNative(profile) {
  sweep();
  const forget = onInterrupt(sweep);
  const cli = join(root, 'node_modules/@napi-rs/cli/dist/cli.js');
  const output = '--platform --esm --js binding.js --dts binding.d.ts --output-dir native';
  const args = ['build', '--manifest-path', 'crates/node/Cargo.toml', ...output.split(' ')];
  args.push('--target', hostTriple());
  args.push(...(profile === 'release' ? ['--release'] : ['--profile', profile]));
  args.push('--', '--locked');
  const code = await run(process.execPath, [cli, ...args], { env: cargoEnvironment() });
  forget();
  if (code !== 0) throw new StepError(`napi build ended with ${code}`);
  return undefined;
}

/** What every cargo command of the runner shares, so that none of them rebuilds another's work. */
export function cargoArguments() {
  return ['--target', hostTriple(), '--profile', 'napi-dev', '--locked'];
}

/** The environment for cargo: a set but empty `TYPE_DEF_TMP_PATH` breaks every napi macro. */
export function cargoEnvironment(extra = {}) {
  const { TYPE_DEF_TMP_PATH: _, ...env } = process.env;
  return { CARGO_NET_RETRY: '5', ...env, ...extra };
}

/** The loader takes whichever addon exists, so a stale one must go; so must an interrupted stage. */
function sweep() {
  for (const folder of [root, NATIVE]) {
    if (!existsSync(folder)) continue;
    for (const name of readdirSync(folder)) {
      const stale = folder === NATIVE && name.endsWith('.node');
      if (stale || name.includes('.napi-stage-')) {
        rmSync(join(folder, name), { recursive: true, force: true });
      }
    }
  }
}
