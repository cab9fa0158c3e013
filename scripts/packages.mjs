// `npm ci` from inside an npm script: once at a time, with the outer npm's own settings kept out.
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { StepError, onInterrupt, root, run } from './process.mjs';

const LOCK = join(root, '.npm-ci.lock');
const STAMP = join(root, 'node_modules/.package-lock.json');
// Under NODE_ENV=production npm leaves a valid stamp and none of the tools.
const TOOL = join(root, 'node_modules/@napi-rs/cli/package.json');
const LOCKFILE = join(root, 'package-lock.json');

/** Installs `node_modules` if the lockfile changed since it was installed. */
export async function installPackages() {
  if (isInstalled()) return 'up to date';
  const unlock = await lock();
  try {
    if (isInstalled()) return 'installed by another run';
    const [command, ...args] = npmCommand();
    const flags = ['--no-audit', '--no-fund', '--ignore-scripts'];
    const include = ['--include=dev', '--include=optional'];
    const code = await run(command, [...args, 'ci', ...flags, ...include], {
      env: cleanEnvironment(),
    });
    if (code !== 0 || !isInstalled()) throw new StepError(`npm ci ended with ${code}`);
    return 'installed';
  } finally {
    unlock();
  }
}

function isInstalled() {
  if (!existsSync(STAMP) || !existsSync(TOOL)) return false;
  return statSync(STAMP).mtimeMs >= statSync(LOCKFILE).mtimeMs;
}

async function lock() {
  for (;;) {
    try {
      mkdirSync(LOCK);
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
      if (ownerIsGone()) rmSync(LOCK, { recursive: true, force: true });
      else await sleep(500);
    }
  }
  writeFileSync(join(LOCK, 'pid'), String(process.pid));
  const unlock = () => rmSync(LOCK, { recursive: true, force: true });
  const forget = onInterrupt(unlock);
  return () => {
    forget();
    unlock();
  };
}

function ownerIsGone() {
  try {
    const pid = Number(readFileSync(join(LOCK, 'pid'), 'utf8'));
    process.kill(pid, 0);
    return false;
  } catch (error) {
    if (error.code === 'ESRCH') return true;
    // Between mkdir and the pid file the owner is young; an old folder without one is abandoned.
    if (error.code === 'ENOENT') return ageMs(LOCK) > 10_000;
    return false;
  }
}

function ageMs(path) {
  return existsSync(path) ? Date.now() - statSync(path).mtimeMs : 0;
}

function npmCommand() {
  const path = process.env.npm_execpath;
  return path?.endsWith('.js') && existsSync(path) ? [process.execPath, path] : ['npm'];
}

/** The outer `npm start` exports its settings, which would bend the inner `npm ci`. */
function cleanEnvironment() {
  const keep = /proxy|registry|cache|auth|cafile|userconfig|strict_ssl/i;
  const drop = /^npm_(lifecycle_|package_|command$)|^INIT_CWD$|^TYPE_DEF_TMP_PATH$/;
  return Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !drop.test(name) && (!/^npm_config_/i.test(name) || keep.test(name)),
    ),
  );
}
