import { call, type WaitOptions } from './abort.js';
import { checkSignal, checkString } from './check.js';
import { deliver, Emitter, reportTo, warn } from './emitter.js';
import { SluiceError } from './errors.js';
import { dispatcher, type EventsDropped } from './events.js';
import { createLive, endLive, receiveLive, type Live } from './live/live.js';
import { native, type Delivery, type NativeServer } from './native.js';
import { nativeServerOptions, type LocalCandidate, type ServerOptions } from './options.js';
import { createRegistry, endRegistry, receive, type Registry } from './sfu/registry.js';

/** The events of a server. */
export interface ServerEvents {
  /**
   * A listener threw, or something went wrong that nobody else listened for. Without a listener
   * it becomes a process warning; it never ends the process.
   */
  error: [error: Error];
  /** Events were lost because the process was too slow to take them. */
  eventsDropped: [event: EventsDropped];
  /** The server is closed: its last event. */
  close: [];
}

/** What a server tells tools, apart from the application's own listeners. */
export interface ServerObserverEvents {
  /** A room was made. */
  newRegistry: [registry: Registry];
  /** The server is closed. */
  close: [];
}

/**
 * A running SFU: one UDP port, its threads, its rooms.
 *
 * It does not keep the process alive by itself: your HTTP server does, or `ref()`.
 *
 * @example
 * ```ts
 * const server = await Server.start({ udpPort: 3478, announcedAddresses: ['203.0.113.7'] });
 * const registry = server.registry('lobby');
 * const client = await registry.insert({ appData: { name: 'Ada' } });
 * const answer = await client.acceptOffer(offerSdp);
 * ```
 */
export class Server extends Emitter<ServerEvents> {
  /** Where peers are told to send to, with the port that was bound. */
  readonly candidates: readonly LocalCandidate[];
  /** How many threads move media. */
  readonly shards: number;
  /** A second emitter for tools: what they listen for does not mix with the application's. */
  readonly observer: Emitter<ServerObserverEvents> = new Emitter();
  /** Resolves when the server is closed; rejects if it could not be closed in order. */
  readonly closed: Promise<void>;

  /** Live streams: WHIP, WHEP, LL-HLS, and what this program publishes and reads itself. */
  readonly live: Live;

  readonly #native: NativeServer;
  readonly #byName = new Map<string, Registry>();
  readonly #byId = new Map<number, Registry>();
  #ended!: (outcome: Promise<void>) => void;
  #closing: Promise<void> | undefined;
  #keepAlive: NodeJS.Timeout | undefined;

  /**
   * Binds the port and starts the threads.
   *
   * @throws {@link SluiceError} `ERR_ADDRINUSE` if the port is taken, `ERR_INVALID_ARGUMENT` if the
   * address is not of this machine, `ERR_NATIVE_LOAD` if there is no addon for this platform.
   */
  static async start(options: ServerOptions = {}): Promise<Server> {
    const given = nativeServerOptions(options);
    const { NativeServer } = native();
    const route: { dispatch?: (batch: Delivery[]) => void } = {};
    const handle = await call(
      () => NativeServer.start(given, (batch) => route.dispatch?.(batch)),
      options.signal,
      (late) => void late.close().catch(warn),
    );
    const server = new Server(handle);
    route.dispatch = server.#dispatcher();
    return server;
  }

  private constructor(handle: NativeServer) {
    super();
    this.#native = handle;
    this.candidates = handle.candidates();
    this.shards = handle.shards();
    this.live = createLive(handle, (error) => this.#report(error));
    this.closed = new Promise((resolve) => {
      this.#ended = resolve;
    });
    // Who does not look at it has called `close()` and hears of a failure there.
    this.closed.catch(() => {});
    reportTo(this, warn);
    reportTo(this.observer, (error) => this.#report(error));
  }

  /** The open rooms, in order of creation. */
  get registries(): readonly Registry[] {
    return [...this.#byName.values()];
  }

  /**
   * The room of that name, made on first use. After it is closed, the same name makes a new one.
   *
   * @typeParam AppData - What you attach to the clients of this room.
   * @throws {@link SluiceError} `ERR_CLOSED` if the server is closed.
   */
  registry<AppData = unknown>(name: string): Registry<AppData> {
    checkString('name', name);
    this.#assertOpen();
    const existing = this.#byName.get(name);
    if (existing !== undefined) return existing as Registry<AppData>;
    const registry = createRegistry<AppData>({
      name,
      native: this.#native,
      report: (error) => this.#report(error),
      opened: (id, registry) => this.#byId.set(id, registry),
      closing: (registry) => {
        if (this.#byName.get(name) === registry) this.#byName.delete(name);
      },
      gone: (id) => {
        if (id !== undefined) this.#byId.delete(id);
      },
    });
    this.#byName.set(name, registry as Registry);
    deliver(this.observer, 'newRegistry', registry as Registry);
    return registry;
  }

  /** All metrics as Prometheus text, format 0.0.4. */
  async metrics({ signal }: WaitOptions = {}): Promise<string> {
    checkSignal(signal);
    this.#assertOpen();
    return call(() => this.#native.metrics(), signal);
  }

  /**
   * Closes every room, then the sockets; resolves when the threads have ended and every closing was
   * told. Does nothing more when it is closed already.
   */
  close(): Promise<void> {
    if (this.#closing === undefined) {
      this.#closing = this.#close();
      this.#ended(this.#closing);
    }
    return this.#closing;
  }

  /** `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Keeps the process alive until `unref()` or `close()`. */
  ref(): this {
    if (this.#closing === undefined) this.#keepAlive ??= setInterval(() => {}, 2 ** 31 - 1);
    return this;
  }

  /** Lets the process end when nothing else keeps it alive: how a server starts. */
  unref(): this {
    clearInterval(this.#keepAlive);
    this.#keepAlive = undefined;
    return this;
  }

  async #close(): Promise<void> {
    this.unref();
    const rooms = new Set([...this.#byName.values(), ...this.#byId.values()]);
    try {
      await call(() => this.#native.close());
    } finally {
      // The last batches were sent before; one turn of the loop brings them.
      await new Promise(setImmediate);
      for (const room of [...rooms, ...this.#byName.values()]) endRegistry(room, 'serverClosed');
      this.#native.endEvents();
      endLive(this.live);
      deliver(this, 'close');
      deliver(this.observer, 'close');
    }
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) {
      throw new SluiceError('ERR_CLOSED', 'the server is closed; Server.start() makes a new one');
    }
  }

  #dispatcher(): (batch: readonly Delivery[]) => void {
    return dispatcher({
      registry: (id) => {
        const registry = this.#byId.get(id);
        return registry && ((event) => receive(registry, event));
      },
      live: (event) => receiveLive(this.live, event),
      dropped: (event) => void deliver(this, 'eventsDropped', event),
      report: (error) => this.#report(error),
    });
  }

  #report(error: unknown): void {
    const told = error instanceof Error ? error : new Error(String(error), { cause: error });
    if (!deliver(this, 'error', told)) warn(told);
  }
}
