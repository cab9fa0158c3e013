import { SluiceError } from './errors.js';
import { isLifecycle, type Propagated } from './events.js';

/** Which events a stream gives, and how many may wait in it. */
export interface EventStreamOptions<Type extends string = Propagated['type']> {
  /** Ends the stream: the pending or next `next()` rejects with `signal.reason`. */
  readonly signal?: AbortSignal;
  /** Only these types. Default: all. */
  readonly types?: readonly Type[];
  /**
   * Most events that wait for the reader. Over it the oldest state or telemetry event goes and
   * {@link EventStream.dropped} counts it; if only lifecycle events wait, the stream ends with
   * `ERR_BUSY` rather than hide a gap. Default 4096.
   */
  readonly highWaterMark?: number;
}

/** Anything that is told by its type. */
export interface AnyEvent {
  /** The discriminant. */
  readonly type: string;
}

/**
 * What feeds a stream.
 *
 * @internal
 */
export interface StreamFeed<E extends AnyEvent = Propagated> {
  /** Gives it an event. */
  readonly feed: (event: E) => void;
  /** Ends it after what waits in it. */
  readonly finish: () => void;
}

/**
 * The events of a registry, or of live streams, from the moment of the call, as an async iterator. It
 * ends with what it is of. Each call of `events()` gives an independent one.
 */
export class EventStream<E extends AnyEvent> implements AsyncIterableIterator<E> {
  readonly #types: ReadonlySet<string> | undefined;
  readonly #highWaterMark: number;
  readonly #detach: () => void;
  readonly #keeps: (event: AnyEvent) => boolean;
  readonly #waiting: E[] = [];
  readonly #readers: Reader<E>[] = [];
  #dropped = 0;
  #end: { readonly error?: unknown } | undefined;

  /**
   * @param attach - Starts the feed and returns how to stop it; nothing if there is none any more.
   * @param keeps - Which events must not be dropped.
   *
   * @internal
   */
  constructor(
    { signal, types, highWaterMark = 4096 }: EventStreamOptions<string>,
    attach: (stream: StreamFeed<AnyEvent>) => (() => void) | undefined,
    keeps: (event: AnyEvent) => boolean = isLifecycle,
  ) {
    this.#keeps = keeps;
    this.#types = types && new Set(types);
    this.#highWaterMark = highWaterMark;
    if (signal?.aborted === true) {
      this.#detach = () => {};
      this.#end = { error: signal.reason };
      return;
    }
    const abort = (): void => {
      this.#waiting.length = 0;
      this.#finish({ error: signal?.reason });
    };
    const stop = attach({
      feed: (event) => this.#feed(event),
      finish: () => this.#finish({}),
    });
    if (stop === undefined) this.#end = {};
    else signal?.addEventListener('abort', abort, { once: true });
    this.#detach = () => {
      signal?.removeEventListener('abort', abort);
      stop?.();
    };
  }

  /** How many state and telemetry events this reader was too slow for. */
  get dropped(): number {
    return this.#dropped;
  }

  /** The next event. Several calls may wait; they are served in order. */
  next(): Promise<IteratorResult<E, undefined>> {
    const event = this.#waiting.shift();
    if (event !== undefined) return Promise.resolve({ done: false, value: event });
    if (this.#end !== undefined) return this.#last(this.#end);
    return new Promise((resolve, reject) => {
      this.#readers.push({ resolve, reject });
    });
  }

  /** Ends the stream; `break` in a `for await` does this. */
  return(): Promise<IteratorResult<E, undefined>> {
    this.#waiting.length = 0;
    this.#finish({});
    return Promise.resolve({ done: true, value: undefined });
  }

  /** The stream itself. */
  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Ends the stream, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  #feed(event: AnyEvent): void {
    if (this.#end !== undefined || this.#types?.has(event.type) === false) return;
    // `types` has just said that it is one of E.
    const mine = event as E;
    const reader = this.#readers.shift();
    if (reader !== undefined) {
      reader.resolve({ done: false, value: mine });
      return;
    }
    this.#waiting.push(mine);
    if (this.#waiting.length > this.#highWaterMark) this.#makeRoom();
  }

  #makeRoom(): void {
    const oldest = this.#waiting.findIndex((event) => !this.#keeps(event));
    if (oldest >= 0) {
      this.#waiting.splice(oldest, 1);
      this.#dropped += 1;
      return;
    }
    const error = new SluiceError(
      'ERR_BUSY',
      `${this.#waiting.length} lifecycle events wait for a reader; read faster or raise highWaterMark`,
    );
    this.#waiting.length = 0;
    this.#finish({ error });
  }

  #finish(end: { readonly error?: unknown }): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.#detach();
    for (const reader of this.#readers.splice(0)) {
      this.#last(end).then(reader.resolve, reader.reject);
    }
  }

  #last(end: { readonly error?: unknown }): Promise<IteratorResult<E, undefined>> {
    if (!('error' in end)) return Promise.resolve({ done: true, value: undefined });
    // An error is told once; after it the stream is over, as the iterator protocol has it.
    this.#end = {};
    return Promise.reject(end.error as Error);
  }
}

interface Reader<E> {
  readonly resolve: (result: IteratorResult<E, undefined>) => void;
  readonly reject: (error: unknown) => void;
}
