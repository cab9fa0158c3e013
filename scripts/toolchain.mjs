// What cannot be installed from here: Node itself, Rust, a C compiler.
import { MissingError, probe } from './process.mjs';

const NODE = [20, 19];
const RUST = [1, 89];

/** Checks the toolchain; every missing thing gets its own line. */
export function requireToolchain() {
  const missing = [];
  if (!atLeast(process.versions.node, NODE)) {
    missing.push(`Node.js ${NODE.join('.')} or newer (this is ${process.versions.node})`);
  }
  const rustc = probe('rustc', ['--version']);
  const version = rustc?.split(' ')[1];
  if (version === undefined || probe('cargo', ['--version']) === undefined) {
    missing.push(`cargo and rustc ${RUST.join('.')} or newer: install Rust from https://rustup.rs`);
  } else if (!atLeast(version, RUST)) {
    missing.push(`rustc ${RUST.join('.')} or newer (this is ${version}): rustup update stable`);
  }
  if (process.platform !== 'win32' && !compiler()) {
    missing.push(
      'a C compiler named cc: apt-get install build-essential, or xcode-select --install',
    );
  }
  if (missing.length > 0) throw new MissingError(missing);
  return `Node ${process.versions.node}, rustc ${version}`;
}

/** The triple that rustc builds for by default, e.g. `x86_64-unknown-linux-gnu`. */
export function hostTriple() {
  const host = /^host: (.+)$/m.exec(probe('rustc', ['-vV']) ?? '')?.[1];
  if (host === undefined) throw new MissingError(['rustc that answers to -vV']);
  return host;
}

function compiler() {
  return [process.env.TARGET_CC, process.env.CC, 'cc'].some(
    (name) => name !== undefined && name !== '' && probe(name, ['--version']) !== undefined,
  );
}

function atLeast(version, [major, minor]) {
  const [a = 0, b = 0] = version.split('.').map(Number);
  return a > major || (a === major && b >= minor);
}
