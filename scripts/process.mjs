// Child processes: one foreground child at a time, its output shown, signals and exit codes passed on.
import { spawn, spawnSync } from 'node:child_process';
import { constants } from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's root folder. */
export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Whether a skipped gate counts as a failure: in CI, and where `REQUIRE_ALL=1` asks for it. */
export const requireAll = ['CI', 'REQUIRE_ALL'].some((name) => {
  const value = process.env[name] ?? '';
  return value !== '' && value !== '0' && value !== 'false';
});

/** Something the machine lacks; each line names one thing and its remedy. */
export class MissingError extends Error {
  constructor(lines) {
    super(lines.join('\n'));
    this.lines = lines;
  }
}

/** A step whose command ended with a failure. */
export class StepError extends Error {}

let current;
const cleanups = new Set();

/** Registers work for an interrupted run; returns the function that takes it back. */
export function onInterrupt(cleanup) {
  cleanups.add(cleanup);
  return () => cleanups.delete(cleanup);
}

/**
 * Passes SIGINT and SIGTERM to the running child and waits for it; without a child, ends at once.
 * A terminal sends Ctrl-C to the whole foreground group, so there the child already has it.
 */
export function stopOnSignals() {
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.on(signal, () => {
      const code = 128 + constants.signals[signal];
      interrupted ??= code;
      if (current === undefined) {
        runCleanups();
        process.exit(code);
      }
      if (!(signal === 'SIGINT' && process.stdin.isTTY)) current.kill(signal);
    });
  }
}

let interrupted;

function runCleanups() {
  for (const cleanup of cleanups) cleanup();
  cleanups.clear();
}

/**
 * Runs a command to its end and resolves to its exit code.
 * @param {(chunk: string) => void} [options.onOutput] receives stdout instead of the terminal
 */
export async function run(command, args, { cwd = root, env = process.env, onOutput } = {}) {
  const code = await runForeground(command, args, { cwd, env, onOutput });
  if (interrupted !== undefined) {
    runCleanups();
    process.exit(interrupted);
  }
  return code;
}

/** As `run`, but an interrupt ends in the child's own exit code: for the demo, which closes cleanly. */
export function runForeground(command, args, { cwd = root, env = process.env, onOutput } = {}) {
  return new Promise((resolve) => {
    const stdout = onOutput === undefined ? 'inherit' : 'pipe';
    const child = spawn(command, args, { cwd, env, stdio: ['inherit', stdout, 'inherit'] });
    current = child;
    if (onOutput !== undefined) child.stdout.setEncoding('utf8').on('data', onOutput);
    child.on('error', (error) => {
      current = undefined;
      console.error(`${command}: ${error.message}`);
      resolve(127);
    });
    child.on('close', (code, signal) => {
      current = undefined;
      resolve(code ?? 128 + (constants.signals[signal] ?? 0));
    });
  });
}

/** The trimmed stdout of a quick command, or `undefined` where it is absent or fails. */
export function probe(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, encoding: 'utf8', ...options });
  return result.status === 0 ? result.stdout.trim() : undefined;
}
