// Before a release: the folders below npm/ hold exactly the addons they promise, each for the
// machine it is named after, within its size, and needing no newer glibc than 2.17.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './process.mjs';

const LARGEST_BYTES = 16 * 1024 * 1024;
const GLIBC = [2, 17];

/** The machine word of each file format, by the `cpu` of the platform's manifest. */
const MACHINES = {
  linux: { offset: () => 18, words: { x64: 0x3e, arm64: 0xb7 } },
  darwin: { offset: () => 4, words: { x64: 0x0007, arm64: 0x000c } },
  win32: { offset: (file) => file.readUInt32LE(0x3c) + 4, words: { x64: 0x8664, arm64: 0xaa64 } },
};

/** What is wrong with one platform's folder; nothing if all is well. */
function problems(platform) {
  const folder = join(root, 'npm', platform);
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const addons = readdirSync(folder).filter((name) => name.endsWith('.node'));
  const path = join(folder, manifest.main);
  if (!existsSync(path)) return [`${manifest.main} is missing`];
  const found = addons
    .filter((name) => name !== manifest.main)
    .map((name) => `${name} does not belong here`);
  const file = readFileSync(path);
  const { offset, words } = MACHINES[manifest.os[0]];
  const word = file.readUInt16LE(offset(file));
  if (word !== words[manifest.cpu[0]]) found.push(`built for machine 0x${word.toString(16)}`);
  if (file.length > LARGEST_BYTES) found.push(`${file.length} bytes, over ${LARGEST_BYTES}`);
  if (manifest.libc?.includes('glibc')) found.push(...newerGlibc(file));
  return found;
}

function newerGlibc(file) {
  const versions = [...file.toString('latin1').matchAll(/GLIBC_(\d+)\.(\d+)/g)];
  const newer = versions.filter(
    ([, major, minor]) => Number(major) > GLIBC[0] || Number(minor) > GLIBC[1],
  );
  return [...new Set(newer.map(([name]) => `needs ${name}`))];
}

let failed = false;
for (const platform of readdirSync(join(root, 'npm'))) {
  const found = problems(platform);
  failed ||= found.length > 0;
  console.log(`${platform}: ${found.length === 0 ? 'ok' : found.join('; ')}`);
}
process.exitCode = failed ? 1 : 0;
