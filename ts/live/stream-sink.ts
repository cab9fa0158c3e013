import type { StreamItem } from './subscription.js';

/**
 * Where the items of a stream go: `subscription.driveTo(sink)`. It is given the next item when it has
 * dealt with the one before, so a slow one makes nothing queue up.
 */
export interface StreamSink {
  /** Takes the next item. `false` ends it: it has enough. */
  write(item: StreamItem): void | boolean | Promise<void | boolean>;
  /** There is no more to come: the stream has ended, the subscription was closed, or it had enough. */
  close?(): void | Promise<void>;
  /** Reading or `write` has failed; `close` is not called. */
  abort?(error: unknown): void | Promise<void>;
}

/**
 * Brings items to a sink until either has enough; whether there were no more.
 *
 * @internal
 */
export async function drive(items: AsyncIterable<StreamItem>, sink: StreamSink): Promise<boolean> {
  let all = true;
  try {
    for await (const item of items) {
      all = (await sink.write(item)) !== false;
      if (!all) break;
    }
  } catch (error) {
    await sink.abort?.(error);
    throw error;
  }
  await sink.close?.();
  return all;
}
