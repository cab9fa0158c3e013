// Set-up steps, each idempotent: a second run finds its work done and says so.
import { requireToolchain } from './toolchain.mjs';
import { installSystemPackages } from './system.mjs';
import { installPackages } from './packages.mjs';
import { installPythonPackages } from './python.mjs';
import { buildNative } from './native.mjs';
import { buildTypeScript } from './typescript.mjs';

const all = {
  toolchain: ['toolchain', requireToolchain],
  system: ['system packages', installSystemPackages],
  packages: ['npm ci', installPackages],
  python: ['python packages', installPythonPackages],
  'native:dev': ['native build (napi-dev)', () => buildNative('napi-dev')],
  'native:release': ['native build (release)', () => buildNative('release')],
  typescript: ['tsc', buildTypeScript],
};

/** Runs the named steps in order; the first that fails ends the command. */
export async function steps(report, names) {
  for (const name of names) {
    const [title, work] = all[name];
    await report.step(title, work);
  }
}
