import { channel } from 'node:diagnostics_channel';
import { call, type WaitOptions } from '../abort.js';
import { checkOptionalInteger, checkOptionalString, checkOptions, checkSignal } from '../check.js';
import { deliver, Emitter, reportTo } from '../emitter.js';
import { SluiceError } from '../errors.js';
import {
  subject,
  type Close,
  type CloseReason,
  type Propagated,
  type PropagatedOf,
} from '../events.js';
import { EventStream, type EventStreamOptions, type StreamFeed } from '../event-stream.js';
import type { ClientId } from '../ids.js';
import type { NativeRegistry, NativeServer } from '../native.js';
import { Settled } from '../settled.js';
import { createClient, tellClient, updateClient, type Client } from './client.js';
import { nativeClientOptions, type ClientOptions } from './options.js';
import { branded, type ClientStats } from './stats.js';

/** The events of a registry: each {@link Propagated} by its `type`. */
export type RegistryEvents = { [E in Propagated as E['type']]: [event: E] };

/** What a registry tells tools, apart from the application's own listeners. */
export interface RegistryObserverEvents<AppData = unknown> {
  /** A client was inserted. */
  newClient: [client: Client<AppData>];
  /** Anything happened. */
  event: [event: Propagated];
}

/** What a registry needs of its server. */
export interface RegistryParts {
  readonly name: string;
  readonly native: NativeServer;
  readonly report: (error: unknown) => void;
  /** Routes the events of the opened room. */
  readonly opened: (id: number, registry: Registry) => void;
  /** Takes it off the server's list: its name is free again. */
  readonly closing: (registry: Registry) => void;
  /** Ends the routing. */
  readonly gone: (id: number | undefined) => void;
}

/** Makes a registry; only its server does. */
export let createRegistry: <AppData>(parts: RegistryParts) => Registry<AppData>;

/** Hands a registry an event; only its server does. */
export let receive: (registry: Registry, event: Propagated) => void;

/** Ends a registry whose server is closed; only its server does. */
export let endRegistry: (registry: Registry, reason: CloseReason) => void;

/** A way to open a room of this server if it is not open yet; only `Live` takes it. */
export let roomOpener: (registry: Registry, server: NativeServer) => () => Promise<NativeRegistry>;

/** The same for what adds a client that is no peer, whose events then pass; only `Live` takes it. */
export let sourceOpener: (
  registry: Registry,
  server: NativeServer,
) => <Opened extends { readonly clientId: string }>(
  open: (room: NativeRegistry) => Promise<Opened>,
) => Promise<Opened>;

/**
 * A room. Made by `server.registry()`; the first `insert()` opens it on a shard thread.
 *
 * Listen with `on(type, listener)`, or iterate `events()`.
 *
 * @typeParam AppData - What the application attaches to the clients of this room.
 */
export class Registry<AppData = unknown> extends Emitter<RegistryEvents> {
  /** Its name, unique among the open registries of a server. */
  readonly name: string;
  /** A second emitter for tools: what they listen for does not mix with the application's. */
  readonly observer: Emitter<RegistryObserverEvents<AppData>> = new Emitter();
  /** Resolves when the room is closed, to why; never rejects. */
  readonly closed: Promise<CloseReason>;

  readonly #parts: RegistryParts;
  readonly #clients = new Map<ClientId, Client<AppData>>();
  /** Clients that are no peers. */
  readonly #sources = new Set<ClientId>();
  readonly #streams = new Set<StreamFeed>();
  readonly #gone = new Settled<CloseReason>();
  /** Events that came before the `insert()` of their client resolved, and all after them. */
  readonly #held: Propagated[] = [];
  #inserting = 0;
  #id: number | undefined;
  #native: Promise<NativeRegistry> | undefined;
  #closing: Promise<void> | undefined;
  #closeMessage: string | undefined;

  static {
    createRegistry = (parts) => new Registry(parts);
    receive = (registry, event) => registry.#receive(event);
    endRegistry = (registry, reason) => registry.#end(reason);
    roomOpener = (registry, server) => {
      const room = roomOf(registry, server);
      return () => room.#open();
    };
    sourceOpener = (registry, server) => {
      const room = roomOf(registry, server);
      return (open) => room.#openSource(open);
    };
    const roomOf = (registry: Registry, server: NativeServer): Registry => {
      if (!(registry instanceof Registry && registry.#parts.native === server)) {
        throw new TypeError('registry must be a room of this server');
      }
      registry.#assertOpen();
      return registry;
    };
  }

  private constructor(parts: RegistryParts) {
    super();
    this.name = parts.name;
    this.#parts = parts;
    this.closed = this.#gone.promise;
    reportTo(this, parts.report);
    reportTo(this.observer, parts.report);
  }

  /** The clients in it, in order of insertion. */
  get clients(): readonly Client<AppData>[] {
    return [...this.#clients.values()];
  }

  /** How many clients are in it. */
  get size(): number {
    return this.#clients.size;
  }

  /** The client of that id, if it is in this room. */
  client(id: ClientId): Client<AppData> | undefined {
    return this.#clients.get(id);
  }

  /**
   * Adds a client.
   *
   * @throws {@link SluiceError} `ERR_CLOSED` if the room is closed, `ERR_BUSY` if it is full.
   */
  async insert(options: ClientOptions<AppData>): Promise<Client<AppData>> {
    const given = nativeClientOptions(options);
    const { signal, appData } = options;
    signal?.throwIfAborted();
    this.#assertOpen();
    return call(
      () =>
        this.#hold(() =>
          this.#open()
            .then((room) => room.insert(given))
            .then((id) => this.#adopt(id as ClientId, appData)),
        ),
      signal,
      (client) => void client.close('aborted').catch(this.#parts.report),
    );
  }

  /**
   * The events from now on, as an async iterator. It ends when the room is closed.
   *
   * @example
   * ```ts
   * for await (const event of registry.events({ signal, types: ['trackOpen', 'trackClose'] })) {
   *   console.log(event.type, event.clientId);
   * }
   * ```
   */
  events<Type extends Propagated['type'] = Propagated['type']>(
    options: EventStreamOptions<Type> = {},
  ): EventStream<PropagatedOf<Type>> {
    checkOptions('options', options);
    checkSignal(options.signal);
    checkOptionalInteger('highWaterMark', options.highWaterMark, 1, Number.MAX_SAFE_INTEGER);
    if (options.types !== undefined && !Array.isArray(options.types)) {
      throw new TypeError('types must be an array of event types');
    }
    return new EventStream(options, (stream) => {
      if (this.#gone.value !== undefined) return undefined;
      this.#streams.add(stream);
      return () => this.#streams.delete(stream);
    });
  }

  /** Measures every client, in order of insertion. */
  async getStats({ signal }: WaitOptions = {}): Promise<readonly ClientStats[]> {
    checkSignal(signal);
    this.#assertOpen();
    const opened = this.#native;
    if (opened === undefined) return [];
    return (await call(async () => (await opened).stats(), signal)).map(branded);
  }

  /**
   * Closes the room and its clients (reason `registryClosed`); resolves after `close` was told. Its
   * name is free for a new room at once. Does nothing more when it is closed already.
   *
   * @param reason - Told as `message` of `close`.
   */
  async close(reason?: string): Promise<void> {
    checkOptionalString('reason', reason);
    this.#closing ??= this.#close(reason);
    await this.#closing;
  }

  /** `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(reason: string | undefined): Promise<void> {
    if (this.#gone.value !== undefined) return;
    this.#closeMessage = reason;
    this.#parts.closing(this as Registry);
    const opened = this.#native;
    if (opened === undefined) {
      this.#end('application');
      return;
    }
    try {
      await call(async () => (await opened).close());
    } catch (error) {
      // Closed by the server meanwhile, or never opened: either way there is nothing left to close.
      if (!(error instanceof SluiceError && error.code === 'ERR_CLOSED')) this.#parts.report(error);
    }
    if (!(await this.#gone.within(PATIENCE_MS))) this.#end('application');
  }

  #assertOpen(): void {
    if (this.#closing !== undefined || this.#gone.value !== undefined) {
      throw new SluiceError(
        'ERR_CLOSED',
        `registry ${JSON.stringify(this.name)} is closed; server.registry() makes a new one`,
      );
    }
  }

  #open(): Promise<NativeRegistry> {
    this.#native ??= this.#parts.native.openRegistry().then(
      (room) => {
        this.#id = room.id;
        this.#parts.opened(room.id, this as Registry);
        return room;
      },
      (error: unknown) => {
        this.#native = undefined;
        throw error;
      },
    );
    return this.#native;
  }

  async #openSource<Opened extends { readonly clientId: string }>(
    open: (room: NativeRegistry) => Promise<Opened>,
  ): Promise<Opened> {
    return this.#hold(async () => {
      const opened = await open(await this.#open());
      this.#sources.add(opened.clientId as ClientId);
      return opened;
    });
  }

  /** Whatever becomes of an insertion, what was held for it goes on: after the caller had its turn. */
  #hold<T>(insertion: () => Promise<T>): Promise<T> {
    this.#inserting += 1;
    return insertion().finally(() => {
      this.#inserting -= 1;
      if (this.#held.length > 0) setImmediate(() => this.#release());
    });
  }

  #adopt(id: ClientId, appData: AppData): Client<AppData> {
    if (this.#gone.value !== undefined) {
      throw new SluiceError('ERR_CLOSED', `registry ${JSON.stringify(this.name)} was closed`);
    }
    const { native, report } = this.#parts;
    const client = createClient<AppData>({
      id,
      appData,
      registry: this,
      native,
      report,
      disconnect: (reason, message) => this.#disconnect(id, reason, message),
    });
    this.#clients.set(id, client);
    deliver(this.observer, 'newClient', client);
    return client;
  }

  #receive(event: Propagated): void {
    if (this.#held.length > 0 || this.#isEarly(event)) this.#held.push(event);
    else this.#dispatch(event);
  }

  #release(): void {
    for (let event = this.#held[0]; event !== undefined; event = this.#held[0]) {
      if (this.#isEarly(event)) return;
      this.#held.shift();
      this.#dispatch(event);
    }
  }

  /** Whether an event concerns a client whose `insert()` has not resolved yet. */
  #isEarly(event: Propagated): boolean {
    const id = subject(event);
    return id !== undefined && this.#inserting > 0 && !this.#knows(id);
  }

  #knows(id: ClientId): boolean {
    return this.#clients.has(id) || this.#sources.has(id);
  }

  #dispatch(event: Propagated): void {
    if (this.#gone.value !== undefined) return;
    if (event.type === 'close') {
      this.#finish(event);
      return;
    }
    const id = subject(event);
    const client = id === undefined ? undefined : this.#clients.get(id);
    // Of a client that is closed here already: everything about it was told.
    if (id !== undefined && !this.#knows(id)) return;
    if (client !== undefined) updateClient(client as Client, event);
    if (event.type === 'clientDisconnected') {
      this.#clients.delete(event.clientId);
      this.#sources.delete(event.clientId);
    }
    const heard = client !== undefined && tellClient(client as Client, event);
    this.#tell(event, heard);
    if (event.type === 'clientConnected') connected.publish({ client, registry: this });
    if (event.type === 'clientDisconnected') {
      disconnected.publish({ client, registry: this, reason: event.reason });
    }
  }

  #tell(event: Propagated, heard: boolean): void {
    const heardHere = (deliver as Deliver)(this, event.type, event);
    deliver(this.observer, 'event', event);
    for (const stream of this.#streams) stream.feed(event);
    if (event.type === 'error' && !heard && !heardHere) {
      this.#parts.report(new SluiceError('ERR_INTERNAL', event.message));
    }
  }

  #disconnect(clientId: ClientId, reason: CloseReason, message: string | undefined): void {
    this.#dispatch({
      type: 'clientDisconnected',
      clientId,
      reason,
      ...(message === undefined ? {} : { message }),
    });
  }

  #end(reason: CloseReason): void {
    if (this.#gone.value !== undefined) return;
    // What is held tells more than we could make up.
    for (const event of this.#held.splice(0)) this.#dispatch(event);
    if (this.#gone.value === undefined) this.#finish({ type: 'close', reason });
  }

  #finish(told: Close): void {
    const below = told.reason === 'serverClosed' ? 'serverClosed' : 'registryClosed';
    for (const id of [...this.#clients.keys(), ...this.#sources]) {
      this.#disconnect(id, below, undefined);
    }
    const message = told.message ?? this.#closeMessage;
    const event = message === undefined ? told : { ...told, message };
    this.#closing ??= this.closed.then(() => undefined);
    this.#parts.closing(this as Registry);
    this.#parts.gone(this.#id);
    this.#gone.settle(event.reason);
    this.#tell(event, false);
    for (const stream of this.#streams) stream.finish();
  }
}

/** `type` and event always belong together; TypeScript cannot see that through the union. */
type Deliver = (registry: object, type: string, event: Propagated) => boolean;

const connected = channel('sluice:client:connected');
const disconnected = channel('sluice:client:disconnected');

/** How long `close()` waits for the event that tells of it, should this thread have been blocked. */
const PATIENCE_MS = 5000;
