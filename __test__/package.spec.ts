import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import test from 'ava';
import { version } from 'sluice';

const root = new URL('../', import.meta.url);
const manifest = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as {
  readonly version: string;
  readonly napi: { readonly targets: readonly string[] };
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly scripts: Readonly<Record<string, string>>;
};

test('version is the one of package.json and of the Rust workspace', (t) => {
  const cargo = readFileSync(new URL('Cargo.toml', root), 'utf8');
  const workspace = /\[workspace\.package\]\s+version = "([^"]+)"/.exec(cargo)?.[1];
  t.is(version, manifest.version);
  t.is(workspace, manifest.version);
});

test('require() of the package works', async (t) => {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['-p', "require('sluice').version"],
    { cwd: root },
  );
  t.is(stdout.trim(), manifest.version);
});

test('nothing runs at install and nothing else is installed', (t) => {
  t.is(manifest.dependencies, undefined);
  for (const hook of ['preinstall', 'install', 'postinstall', 'prepare']) {
    t.false(hook in manifest.scripts, hook);
  }
});

test('the tarball holds the facade and the loader but no addon', async (t) => {
  const { stdout } = await promisify(execFile)(
    'npm',
    ['pack', '--dry-run', '--json', '--ignore-scripts'],
    { cwd: root },
  );
  const [pack] = JSON.parse(stdout) as [{ readonly files: readonly { readonly path: string }[] }];
  const files = pack.files.map(({ path }) => path);
  for (const file of [
    'dist/index.js',
    'dist/index.d.ts',
    'native/binding.d.ts',
    'LICENSE-MIT',
    'LICENSE-APACHE',
  ]) {
    t.true(files.includes(file), file);
  }
  t.deepEqual(
    files.filter((file) => /\.node$|tsbuildinfo|tsconfig|^__test__|^crates/.test(file)),
    [],
  );
});

test('each published platform has its committed manifest', (t) => {
  const abi: Readonly<Record<string, string>> = {
    'x86_64-unknown-linux-gnu': 'linux-x64-gnu',
    'aarch64-unknown-linux-gnu': 'linux-arm64-gnu',
    'x86_64-unknown-linux-musl': 'linux-x64-musl',
    'aarch64-unknown-linux-musl': 'linux-arm64-musl',
    'aarch64-apple-darwin': 'darwin-arm64',
    'x86_64-apple-darwin': 'darwin-x64',
    'x86_64-pc-windows-msvc': 'win32-x64-msvc',
  };
  for (const target of manifest.napi.targets) {
    const platform = abi[target];
    t.truthy(platform, target);
    const committed = JSON.parse(
      readFileSync(new URL(`npm/${platform}/package.json`, root), 'utf8'),
    ) as { readonly name: string; readonly version: string };
    t.is(committed.name, `@sluice-media/sluice-${platform}`);
    t.is(committed.version, manifest.version);
  }
});
