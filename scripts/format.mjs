// `npm run format`: the writing twin of the rustfmt and prettier gates.
import { join } from 'node:path';
import { root, run } from './process.mjs';

/** Formats everything in place. */
export async function format() {
  const rust = await run('cargo', ['fmt', '--all']);
  const prettier = join(root, 'node_modules/prettier/bin/prettier.cjs');
  return rust || run(process.execPath, [prettier, '--write', '--log-level=warn', '.']);
}
