// The gates: each is one row of the final table and fails the run on its own.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { CargoCounts, TapCounts } from './counts.mjs';
import { cargoArguments, cargoEnvironment } from './native.mjs';
import { privateNetwork } from './namespace.mjs';
import { probe, requireAll, root, run } from './process.mjs';
import { absentTools, toolPaths } from './system.mjs';
import { TSC } from './typescript.mjs';

/** Specs in these folders drive browsers and foreign clients: one at a time, with long deadlines. */
const NETWORK = new Set(['browser', 'interop', 'examples']);

const gates = {
  rustfmt: () => cargo('fmt', ['--all', '--check'], 'rustfmt'),
  clippy: () =>
    cargo('clippy', ['--workspace', '--all-targets', ...cargoArguments(), '--', '-D', 'warnings']),
  'cargo test': async () => {
    const counts = new CargoCounts();
    const args = ['test', '--workspace', '--no-fail-fast', ...cargoArguments()];
    const code = await run('cargo', args, {
      env: cargoEnvironment(),
      onOutput: (chunk) => counts.read(chunk),
    });
    return { code, passed: counts.passed, failed: counts.failed };
  },
  rustdoc: () =>
    run(
      'cargo',
      ['doc', '--workspace', '--no-deps', '--document-private-items', ...cargoArguments()],
      {
        env: cargoEnvironment({ RUSTDOCFLAGS: '-D warnings' }),
      },
    ).then((code) => ({ code })),
  'tsc (tests)': () => node(TSC, ['-p', '__test__/tsconfig.json', '--noEmit']),
  oxlint: () => tool('oxlint/bin/oxlint', ['--deny-warnings']),
  prettier: () => tool('prettier/bin/prettier.cjs', ['--check', '--log-level=warn', '.']),
  knip: () => tool('knip/bin/knip.js', ['--no-progress']),
  'binding.d.ts': bindingDrift,
  typedoc: () => tool('typedoc/bin/typedoc', ['--logLevel', 'Warn']),
  'ava (unit)': () =>
    ava(
      specs((folder) => !NETWORK.has(folder)),
      [],
    ),
  'ava (network)': networkSpecs,
  publint: () => tool('publint/src/cli.js', ['run', '--strict', '--pack', 'npm']),
};

/** The gates of `npm test`, in order. */
export function testGates() {
  const order = 'rustfmt, clippy, cargo test, tsc (tests), oxlint, prettier, binding.d.ts, typedoc';
  return [...order.split(', '), 'ava (unit)', 'ava (network)', 'publint'];
}

/** The gates of `npm run lint`: the ones that run nothing. */
export function lintGates() {
  return ['rustfmt', 'clippy', 'tsc (tests)', 'oxlint', 'prettier', 'knip'];
}

/** Runs the gates, or those whose names contain one of `only`. */
export async function runGates(report, names, only) {
  const chosen = names.filter(
    (name) => only.length === 0 || only.some((word) => name.includes(word)),
  );
  if (chosen.length === 0) throw new Error(`no such gate; there are: ${names.join(', ')}`);
  for (const name of chosen) await report.gate(name, gates[name]);
}

async function cargo(subcommand, args, component = subcommand) {
  if (probe('cargo', [subcommand, '--version']) === undefined) {
    return { skipped: `${component} not installed: rustup component add ${component}` };
  }
  return { code: await run('cargo', [subcommand, ...args], { env: cargoEnvironment() }) };
}

function tool(path, args) {
  return node(join(root, 'node_modules', path), args);
}

async function node(path, args) {
  return { code: await run(process.execPath, [path, ...args]) };
}

/** The generated types are committed; a build that changes them must be committed with them. */
async function bindingDrift() {
  const file = 'native/binding.d.ts';
  if (probe('git', ['rev-parse', '--is-inside-work-tree']) === undefined) {
    return { skipped: 'not a git checkout' };
  }
  if (probe('git', ['ls-files', '--error-unmatch', file]) === undefined) {
    console.error(`  ${file} is not committed`);
    return { code: 1 };
  }
  return { code: await run('git', ['--no-pager', 'diff', '--exit-code', '--', file]) };
}

/** A missing browser skips its specs inside ava; where nothing may be skipped, that is a failure. */
async function networkSpecs() {
  const files = specs((folder) => NETWORK.has(folder));
  const outcome = await ava(files, ['--serial', '-c', '1', '--timeout=5m']);
  const absent = absentTools();
  if (!requireAll || absent.length === 0) return outcome;
  console.error(`  not installed: ${absent.join(', ')}`);
  return { ...outcome, code: outcome.code || 1 };
}

async function ava(files, flags) {
  if (files.length === 0) return { skipped: 'no spec files' };
  const counts = new TapCounts();
  const network = privateNetwork();
  if (network === undefined) {
    console.log('  no private network namespace here: the specs use the machine’s own interfaces');
  }
  const cli = join(root, 'node_modules/ava/entrypoints/cli.mjs');
  const command = [...(network ?? []), process.execPath, cli, '--tap', ...flags, ...files];
  const [program, ...args] = command;
  const code = await run(program, args, {
    env: { ...process.env, ...toolPaths() },
    onOutput: (chunk) => counts.read(chunk),
  });
  return { code, passed: counts.passed, failed: counts.failed };
}

function specs(accept) {
  const folder = join(root, '__test__');
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true })
    .filter((name) => name.endsWith('.spec.ts') && accept(name.split(/[/\\]/)[0]))
    .map((name) => join('__test__', name))
    .toSorted();
}
