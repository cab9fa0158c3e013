import { toSluiceError } from './errors.js';
import { Settled } from './settled.js';

/** What every method that waits takes. */
export interface WaitOptions {
  /**
   * Stops waiting: the call rejects with `signal.reason`. What the server was told to do by then is
   * not undone, except that a client inserted too late is closed again.
   */
  readonly signal?: AbortSignal;
}

/**
 * Runs a native call so that its failure is a `SluiceError` thrown at the caller's line.
 *
 * @internal
 */
export async function call<T>(
  work: () => Promise<T>,
  signal?: AbortSignal,
  late?: (value: T) => void,
): Promise<T> {
  signal?.throwIfAborted();
  try {
    return await (signal === undefined ? work() : race(work(), signal, late));
  } catch (error) {
    if (signal?.aborted === true && error === signal.reason) throw error;
    throw toSluiceError(error);
  }
}

async function race<T>(
  work: Promise<T>,
  signal: AbortSignal,
  late: ((value: T) => void) | undefined,
): Promise<T> {
  const aborted = new Settled<true>();
  const abort = (): void => aborted.settle(true);
  signal.addEventListener('abort', abort, { once: true });
  try {
    const done = await Promise.race([work.then((value) => ({ value })), aborted.promise]);
    if (done !== true) return done.value;
  } finally {
    signal.removeEventListener('abort', abort);
  }
  // Nobody waits any more: a value is undone where it can be, a failure has nobody to hear of it.
  work.then(late, () => {});
  throw signal.reason;
}
