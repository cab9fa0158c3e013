// ts/ -> dist/, by plain incremental tsc.
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { StepError, root, run } from './process.mjs';

const DIST = join(root, 'dist');
const SOURCES = join(root, 'ts');
export const TSC = join(root, 'node_modules/typescript/bin/tsc');

/** Compiles both projects and removes what no source stands behind any more. */
export async function buildTypeScript() {
  // tsc trusts its build record even where the output is gone.
  const missing = ['index.js', 'browser/index.js'].some((name) => !existsSync(join(DIST, name)));
  const code = await run(process.execPath, [TSC, '-b', ...(missing ? ['--force'] : [])]);
  if (code !== 0) throw new StepError(`tsc ended with ${code}`);
  removeOrphans();
  return undefined;
}

/** A deleted source must not live on in the published package. */
function removeOrphans() {
  if (!existsSync(DIST)) return;
  for (const name of readdirSync(DIST, { recursive: true })) {
    const source = name.replace(/(\.d\.ts|\.js)(\.map)?$/, '.ts');
    if (source !== name && !existsSync(join(SOURCES, source))) rmSync(join(DIST, name));
  }
}
