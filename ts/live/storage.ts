import { resolve } from 'node:path';
import { toSluiceError } from '../errors.js';
import { native, type NativeStorage } from '../native.js';

/**
 * The native side of a place for recordings.
 *
 * @internal
 */
export function nativeStorage(directory: string): NativeStorage {
  if (directory === '') throw new RangeError('directory must not be empty');
  try {
    return native().NativeStorage.directory(resolve(directory));
  } catch (error) {
    throw toSluiceError(error);
  }
}
