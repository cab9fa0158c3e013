import { createRequire } from 'node:module';
import type * as Binding from '#native';
import { SluiceError } from './errors.js';

export type * from '#native';

let loaded: typeof Binding | undefined;

/**
 * The addon, loaded on first use: importing the package costs nothing and cannot fail.
 *
 * @throws {@link SluiceError} `ERR_NATIVE_LOAD` with platform, architecture and what to do.
 */
export function native(): typeof Binding {
  loaded ??= load();
  return loaded;
}

function load(): typeof Binding {
  try {
    return createRequire(import.meta.url)('#native') as typeof Binding;
  } catch (cause) {
    throw new SluiceError('ERR_NATIVE_LOAD', hint(), { cause });
  }
}

function hint(): string {
  const host = `${process.platform}-${process.arch}${libc()}`;
  return (
    `no native addon of Sluice for ${host} (Node ${process.version}). ` +
    'Reinstall with optional dependencies on this very platform (`npm install --include=optional`; ' +
    'a lockfile made on another one may leave the platform package out), or build it from a ' +
    'clone with `npm run build`. `cause` names every file that was tried.'
  );
}

function libc(): string {
  if (process.platform !== 'linux') return '';
  const { header } = process.report.getReport() as unknown as {
    readonly header: { readonly glibcVersionRuntime?: string };
  };
  return header.glibcVersionRuntime === undefined
    ? ', musl'
    : `, glibc ${header.glibcVersionRuntime}`;
}
