// `npm publish --dry-run` would really publish the platform packages, so this hook needs a key.
import { join } from 'node:path';
import { root, run } from './process.mjs';

/** Publishes the platform packages before the root package, in the release workflow only. */
export async function prepublish() {
  if (process.env.SLUICE_RELEASE !== '1') {
    console.error('publishing happens in the release workflow; preview with');
    console.error('  npm pack --dry-run --ignore-scripts');
    return 1;
  }
  const cli = join(root, 'node_modules/@napi-rs/cli/dist/cli.js');
  return run(process.execPath, [cli, 'pre-publish', '-t', 'npm', '--no-gh-release']);
}
