import { call, type WaitOptions } from '../abort.js';
import { ignoreClosed, isSluiceError } from '../errors.js';
import type { LiveBatch, LiveRead, NativeReader } from '../native.js';
import type { StreamEndReason } from './events.js';
import type { LiveFrame, LiveTrack, StreamKey } from './media.js';
import { drive, type StreamSink } from './stream-sink.js';

/** One thing a reader of a stream is told. */
export type StreamItem =
  | {
      /** Frames of this track are coded like this from here on. */
      readonly type: 'track';
      /** The track. */
      readonly track: LiveTrack;
    }
  | {
      /** The next frame. */
      readonly type: 'frame';
      /** The frame. */
      readonly frame: LiveFrame;
    }
  | {
      /** The reader was slow: frames were lost, and it goes on at a keyframe. */
      readonly type: 'lagged';
      /** Frames it will never see. */
      readonly skipped: number;
      /** How much time they are. */
      readonly lostMs: number;
    }
  | {
      /** Timestamps begin anew in front of the next frame: another publisher, or a jump. */
      readonly type: 'discontinuity';
    };

/** Makes a subscription; only `Live` does. */
export let createSubscription: (
  key: StreamKey,
  native: NativeReader,
  options: WaitOptions,
) => Subscription;

/**
 * A reader of a live stream, as an async iterator. It begins at the newest keyframe and ends with
 * the stream.
 *
 * What it has not asked for waits in the stream's own ring, not in a queue of its own: a slow
 * reader costs no memory, and when the ring has let go of what it would read next, it is told so
 * and goes on at a keyframe.
 */
export class Subscription implements AsyncIterableIterator<StreamItem> {
  /** The stream it reads. */
  readonly key: StreamKey;
  readonly #native: NativeReader;
  readonly #signal: AbortSignal | undefined;
  #items: StreamItem[] = [];
  #reading: Promise<void> | undefined;
  #end: StreamEndReason | undefined;
  #closed = false;

  static {
    createSubscription = (key, native, options) => new Subscription(key, native, options);
  }

  private constructor(key: StreamKey, native: NativeReader, { signal }: WaitOptions) {
    this.key = key;
    this.#native = native;
    this.#signal = signal;
  }

  /** Why it ended; `undefined` while it has not, and when it was closed from here. */
  get endReason(): StreamEndReason | undefined {
    return this.#end;
  }

  /** The next item. Calls that overlap are served in order. */
  async next(): Promise<IteratorResult<StreamItem, undefined>> {
    for (;;) {
      const item = this.#items.shift();
      if (item !== undefined) return { done: false, value: item };
      if (this.#closed || this.#end !== undefined) return { done: true, value: undefined };
      this.#reading ??= this.#read().finally(() => {
        this.#reading = undefined;
      });
      await this.#reading;
    }
  }

  /**
   * Brings all items to a sink, one when it has dealt with the one before, until the stream ends or the
   * sink has enough. Resolves to why the stream ended; `undefined` if it has not.
   *
   * @example
   * ```ts
   * const subscription = await live.subscribe('live/show');
   * await subscription.driveTo({ write: (item) => item.type !== 'lagged' });
   * ```
   *
   * @throws what the sink has thrown, after its `abort`; the subscription is closed then.
   */
  async driveTo(sink: StreamSink): Promise<StreamEndReason | undefined> {
    if (typeof sink?.write !== 'function') throw new TypeError('a sink has a method write()');
    return (await drive(this, sink)) ? this.#end : undefined;
  }

  /** Ends it; `break` in a `for await` does this. */
  async return(): Promise<IteratorResult<StreamItem, undefined>> {
    await this.close();
    return { done: true, value: undefined };
  }

  /** Ends it. Does nothing more when it is closed already. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#items = [];
    await call(async () => {
      await this.#native.close();
    }).catch(ignoreClosed);
  }

  /** The subscription itself. */
  [Symbol.asyncIterator](): this {
    return this;
  }

  /** `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #read(): Promise<void> {
    try {
      const batch = await call(() => this.#native.read(), this.#signal);
      this.#items = items(batch);
      this.#end = batch.end;
    } catch (error) {
      if (this.#closed && isSluiceError(error) && error.code === 'ERR_CLOSED') return;
      await this.close();
      throw error;
    }
  }
}

/** The frames of a batch share its one buffer. */
function items({ items, data }: LiveBatch): StreamItem[] {
  let at = 0;
  return items.map((read) => {
    if (read.type !== 'frame') return other(read);
    const bytes = data.subarray(at, at + read.size);
    at += read.size;
    return { type: 'frame', frame: frame(read, bytes) };
  });
}

function other(read: Exclude<LiveRead, { type: 'frame' }>): StreamItem {
  switch (read.type) {
    case 'config':
      return { type: 'track', track: read.track };
    case 'lagged':
      return { type: 'lagged', skipped: read.skipped, lostMs: read.lostMs };
    case 'discontinuity':
      return { type: 'discontinuity' };
  }
}

function frame(read: Extract<LiveRead, { type: 'frame' }>, data: Uint8Array): LiveFrame {
  const ms = (ticks: number): number => (ticks * 1000) / read.rate;
  return {
    track: read.track,
    ptsMs: ms(read.pts),
    dtsMs: ms(read.dts),
    ...(read.duration === undefined ? {} : { durationMs: ms(read.duration) }),
    keyframe: read.keyframe,
    discardable: read.discardable,
    discontinuity: read.discontinuity,
    ...(read.capturedAtMs === undefined ? {} : { capturedAtMs: read.capturedAtMs }),
    data,
  };
}
