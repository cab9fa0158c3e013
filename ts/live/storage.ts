import { mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { checkOptionalInteger, checkOptions, checkString } from '../check.js';
import { toSluiceError } from '../errors.js';
import { native, type NativeStorage, type StorageAnswer, type StorageCall } from '../native.js';

/** What a storage says of a file or a folder. */
export interface StoredEntry {
  /** Its plain name. */
  readonly name: string;
  /** Its length; a folder needs none. */
  readonly bytes?: number;
}

/**
 * A place for recordings whose files only grow: an object store, or whatever an application has. One
 * server at a time uses it.
 *
 * Names are relative, with `/` between their parts and no part that begins with a dot:
 * `live/show/20261121T191654.123Z.mp4`. A file is asked for one thing at a time; several files may be
 * asked for at once. What rejects or throws ends the recording; an error with the `code` of Node's
 * file system (`ENOENT`, `ENOSPC`, `EACCES`, …) is understood. The stream goes on in any case.
 */
export interface RecordingStorage {
  /** What messages call it. Two storages of the same name are the same place. */
  readonly place: string;
  /** How long an answer may take before the storage counts as gone. 100 ms to 5 min, default 10 s. */
  readonly timeoutMs?: number;
  /**
   * Adds bytes to a file that is `offset` bytes long; makes it when that is 0. Resolves when they are
   * kept: what was acknowledged outlives a crash.
   */
  append(name: string, offset: number, bytes: Uint8Array): Promise<void>;
  /** Nothing more is added: the file is whole. */
  finish(name: string): Promise<void>;
  /** Its bytes from `start` to `end` (not included); fewer where it ends. */
  read(name: string, start: number, end: number): Promise<Uint8Array>;
  /** The files and folders in a folder, `''` for the topmost; none when there is no such folder. */
  list(folder: string): Promise<readonly StoredEntry[]>;
  /** Removes a file, if it is there. */
  remove(name: string): Promise<void>;
}

/** A directory as a storage. */
export interface FsStorage extends RecordingStorage {
  /** Its absolute path. */
  readonly directory: string;
}

/**
 * A directory as a storage: `{ storage: fsStorage(path) }` is `{ directory: path }`, written without
 * JavaScript. Its own methods are for storages that do something besides.
 *
 * @example
 * ```ts
 * const disk = fsStorage('recordings');
 * const counted: RecordingStorage = {
 *   ...disk,
 *   place: 'counted',
 *   append: (name, offset, bytes) => {
 *     written += bytes.length;
 *     return disk.append(name, offset, bytes);
 *   },
 * };
 * ```
 */
export function fsStorage(directory: string): FsStorage {
  checkString('directory', directory);
  if (directory === '') throw new RangeError('directory must not be empty');
  const root = resolve(directory);
  const path = (name: string) => {
    if (!NAME.test(name)) throw new RangeError(`${JSON.stringify(name)} is no name of a recording`);
    return join(root, name);
  };
  const storage: FsStorage = {
    directory: root,
    place: root,
    async append(name, offset, bytes) {
      if (offset === 0) await mkdir(dirname(path(name)), { recursive: true });
      await using file = await open(path(name), offset === 0 ? 'wx' : 'r+');
      for (let written = 0; written < bytes.length;) {
        const rest = bytes.subarray(written);
        written += (await file.write(rest, 0, rest.length, offset + written)).bytesWritten;
      }
    },
    async finish(name) {
      await using file = await open(path(name), 'r+');
      await file.sync();
    },
    async read(name, start, end) {
      await using file = await open(path(name));
      const { buffer, bytesRead } = await file.read(
        Buffer.alloc(end - start),
        0,
        end - start,
        start,
      );
      return buffer.subarray(0, bytesRead);
    },
    async list(folder) {
      const at = folder === '' ? root : path(folder);
      const names = await readdir(at).catch(nothing);
      return Promise.all(
        names.map(async (name) => ({ name, bytes: (await stat(join(at, name))).size })),
      );
    },
    async remove(name) {
      await rm(path(name), { force: true });
    },
  };
  plain.add(storage);
  return storage;
}

/**
 * The native side of a place for recordings. A storage has one as long as it lives.
 *
 * @internal
 */
export function nativeStorage(given: string | RecordingStorage): NativeStorage {
  try {
    if (typeof given === 'string') {
      if (given === '') throw new RangeError('directory must not be empty');
      return native().NativeStorage.directory(resolve(given));
    }
    if (given === undefined) throw new TypeError('directory must be a string, not undefined');
    checkStorage(given);
    const known = natives.get(given);
    if (known !== undefined) return known;
    const made = plain.has(given)
      ? native().NativeStorage.directory((given as FsStorage).directory)
      : asking(given);
    natives.set(given, made);
    return made;
  } catch (error) {
    if (error instanceof TypeError || error instanceof RangeError) throw error;
    throw toSluiceError(error);
  }
}

function asking(storage: RecordingStorage): NativeStorage {
  const made = native().NativeStorage.asking(storage.place, storage.timeoutMs ?? 10_000, (call) => {
    // The storage is the application's: whatever it throws is an answer.
    void answer(storage, call)
      .catch(refusal)
      .then((said) => made.answer(call.number, said));
  });
  return made;
}

async function answer(storage: RecordingStorage, call: StorageCall): Promise<StorageAnswer> {
  const { action, name, start, end, bytes } = call;
  switch (action as `${typeof action}`) {
    case 'append':
      await storage.append(name, start, bytes ?? new Uint8Array());
      return {};
    case 'finish':
      await storage.finish(name);
      return {};
    case 'remove':
      await storage.remove(name);
      return {};
    case 'read': {
      const read: unknown = await storage.read(name, start, end);
      if (!(read instanceof Uint8Array) || read.length > end - start) {
        throw new TypeError(`read(${JSON.stringify(name)}) gave no bytes of that range`);
      }
      return { bytes: read };
    }
    case 'list': {
      const entries: unknown = await storage.list(name);
      if (!Array.isArray(entries) || entries.length > MAX_ENTRIES || !entries.every(isEntry)) {
        throw new TypeError(`list(${JSON.stringify(name)}) gave no entries`);
      }
      return { entries: entries.map(({ name, bytes = 0 }: StoredEntry) => ({ name, bytes })) };
    }
  }
}

function refusal(error: unknown): StorageAnswer {
  const { message, code } = (error ?? {}) as {
    readonly message?: unknown;
    readonly code?: unknown;
  };
  return {
    error: typeof message === 'string' ? message : String(error),
    ...(typeof code === 'string' ? { code } : {}),
  };
}

function isEntry(entry: unknown): entry is StoredEntry {
  if (typeof entry !== 'object' || entry === null) return false;
  const { name, bytes = 0 } = entry as { readonly name?: unknown; readonly bytes?: unknown };
  return typeof name === 'string' && Number.isSafeInteger(bytes) && (bytes as number) >= 0;
}

function checkStorage(storage: RecordingStorage): void {
  checkOptions('storage', storage);
  checkString('storage.place', storage.place);
  checkOptionalInteger('storage.timeoutMs', storage.timeoutMs, 100, 300_000);
  for (const method of ['append', 'finish', 'read', 'list', 'remove'] as const) {
    if (typeof storage[method] !== 'function') {
      throw new TypeError(`storage.${method} must be a function`);
    }
  }
}

function nothing(error: { readonly code?: string }): string[] {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return [];
  throw error;
}

/** The directories that the native side writes itself. */
const plain = new WeakSet<RecordingStorage>();
const natives = new WeakMap<RecordingStorage, NativeStorage>();
const NAME = /^[\w~-][\w.~-]*(\/[\w~-][\w.~-]*)*$/;
/** Files of one stream: more than anybody keeps. */
const MAX_ENTRIES = 100_000;
