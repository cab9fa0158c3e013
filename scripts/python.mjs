// Python packages that only the specs use, beside `node_modules` and gone with it.
import { existsSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { probe, requireAll, root } from './process.mjs';

const REQUIREMENTS = join(root, '__test__/interop/requirements.txt');
const FOLDER = join(root, 'node_modules/.cache/sluice/python');
// Debian's own: the packages of `system.mjs` are for this one.
const PYTHON = '/usr/bin/python3';

/** Installs what `requirements.txt` names if it changed since; the specs that need it skip without. */
export async function installPythonPackages() {
  if (isInstalled()) return 'up to date';
  rmSync(FOLDER, { recursive: true, force: true });
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps'];
  const wheels = ['--only-binary', ':all:', '--require-hashes', '--requirement', REQUIREMENTS];
  const done = probe(PYTHON, [...pip, ...wheels, '--target', FOLDER], { timeout: TIMEOUT_MS });
  if (done !== undefined) return 'installed';
  // pip may have been stopped half way.
  rmSync(FOLDER, { recursive: true, force: true });
  console.warn(`  ! FFmpeg 8 is not installed; its specs ${requireAll ? 'FAIL' : 'are SKIPPED'}.`);
  return 'none';
}

function isInstalled() {
  return existsSync(FOLDER) && statSync(FOLDER).mtimeMs >= statSync(REQUIREMENTS).mtimeMs;
}

const TIMEOUT_MS = 300_000;
