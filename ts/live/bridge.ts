import { call, type WaitOptions } from '../abort.js';
import { checkOptionalString, checkOptions, checkSignal, present } from '../check.js';
import { deliver, Emitter, reportTo } from '../emitter.js';
import { ignoreClosed } from '../errors.js';
import { parseTrackId, type ClientId, type TrackId } from '../ids.js';
import type { NativeServer } from '../native.js';
import { Settled } from '../settled.js';
import { roomOpener, sourceOpener, type Registry } from '../sfu/registry.js';
import type {
  BridgeDropped,
  BridgeEnded,
  BridgeEndReason,
  BridgeSource,
  BridgeTrackSkipped,
  LiveEvent,
} from './events.js';
import type { StreamKey } from './media.js';

/**
 * What of a room is published. `activeSpeaker` is whoever speaks, and until somebody has spoken
 * whoever came first. A speaker without a camera leaves the picture as it is.
 */
export interface RoomSources {
  /** The picture. Of a track with simulcast the best layer that flows. Default none. */
  readonly video?: TrackId | 'activeSpeaker';
  /** The sound. Sounds are not mixed. Default none. */
  readonly audio?: TrackId | 'activeSpeaker';
}

/** How to publish what a room has: at least one source. */
export interface PublishFromOptions extends RoomSources, WaitOptions {
  /**
   * Who publishes: whoever holds the key under the same identity goes, and readers are told of the
   * discontinuity. Default nobody else: a key that is held is refused.
   */
  readonly identity?: string;
}

/** Why a bridge between a room and a stream has ended. */
export type BridgeEnd = BridgeEndReason | 'serverClosed';

/** The events of what a room publishes; `server.live` tells the same ones. */
export interface RoomPublisherEvents {
  /** Other tracks are seen and heard from here on. */
  sourceChanged: [event: BridgeSource];
  /** A thread was too slow, and frames are missing. */
  dropped: [event: BridgeDropped];
  /** It is over: its last event. Not told when the server closes first. */
  ended: [event: BridgeEnded];
}

/** The events of a stream shown in a room; `server.live` tells the same ones. */
export interface ShowingEvents {
  /** A track of the stream is not shown: no browser takes its codec. */
  trackSkipped: [event: BridgeTrackSkipped];
  /** A thread was too slow, and frames are missing. */
  dropped: [event: BridgeDropped];
  /** It is over: its last event. Not told when the server closes first. */
  ended: [event: BridgeEnded];
}

type BridgeEvent = BridgeSource | BridgeTrackSkipped | BridgeDropped | BridgeEnded;

/** What both kinds have in common. */
interface Line {
  readonly id: number;
  readonly key: StreamKey;
  readonly native: NativeServer;
  readonly ended: Settled<BridgeEnd>;
}

/** Makes a publisher; only `Live` does. */
let createRoomPublisher: (line: Line) => RoomPublisher;

/** Makes a showing; only `Live` does. */
let createShowing: (line: Line, clientId: ClientId) => Showing;

/**
 * What a room has, as a live stream: `server.live.publishFrom()`. It goes on until the room, its
 * tracks or the stream end, or `stop()`, whether or not somebody holds this object.
 */
export class RoomPublisher extends Emitter<RoomPublisherEvents> {
  /** Its number, unique among the bridges of a server: events carry it. */
  readonly id: number;
  /** The stream it writes. */
  readonly key: StreamKey;
  /** Resolves when it is over, to why; never rejects. */
  readonly ended: Promise<BridgeEnd>;
  readonly #line: Line;

  static {
    createRoomPublisher = (line) => new RoomPublisher(line);
  }

  private constructor(line: Line) {
    super();
    this.id = line.id;
    this.key = line.key;
    this.ended = line.ended.promise;
    this.#line = line;
  }

  /**
   * Publishes other tracks of the room from now on. What was published goes on until the new
   * picture has its keyframe.
   *
   * @throws {@link SluiceError} `ERR_INVALID_ARGUMENT` if the room has no such track, `ERR_CLOSED`
   * if it is over; the sources stay as they were.
   */
  async setSources(sources: RoomSources, { signal }: WaitOptions = {}): Promise<void> {
    const given = nativeSources(sources);
    checkSignal(signal);
    await call(() => this.#line.native.liveBridgeSources(this.id, given), signal);
  }

  /** Ends the stream: its key is free when this resolves. Does nothing when it is over already. */
  stop(options: WaitOptions = {}): Promise<void> {
    return stop(this.#line, options);
  }

  /** `stop()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/**
 * A live stream in a room: `server.live.showIn()`. It goes on over its publishers' comings and
 * goings until the stream or the room ends, or `stop()`, whether or not somebody holds this object.
 */
export class Showing extends Emitter<ShowingEvents> {
  /** Its number, unique among the bridges of a server: events carry it. */
  readonly id: number;
  /** The stream it shows. */
  readonly key: StreamKey;
  /** Whose tracks the stream's are in the room: that of `trackOpen`. It is none of its `clients`. */
  readonly clientId: ClientId;
  /** Resolves when it is over, to why; never rejects. */
  readonly ended: Promise<BridgeEnd>;
  readonly #line: Line;

  static {
    createShowing = (line, clientId) => new Showing(line, clientId);
  }

  private constructor(line: Line, clientId: ClientId) {
    super();
    this.id = line.id;
    this.key = line.key;
    this.clientId = clientId;
    this.ended = line.ended.promise;
    this.#line = line;
  }

  /** Takes it out of the room: its tracks are gone when this resolves. */
  stop(options: WaitOptions = {}): Promise<void> {
    return stop(this.#line, options);
  }

  /** `stop()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/**
 * The bridges of one server, by number.
 *
 * @internal
 */
export class Bridges {
  readonly #native: NativeServer;
  readonly #report: (error: unknown) => void;
  readonly #running = new Map<number, Running>();
  /** Events of bridges whose opening has not resolved yet. */
  readonly #early: BridgeEvent[] = [];
  #opening = 0;

  constructor(native: NativeServer, report: (error: unknown) => void) {
    this.#native = native;
    this.#report = report;
  }

  async publishFrom(
    registry: Registry,
    key: StreamKey,
    options: PublishFromOptions,
  ): Promise<RoomPublisher> {
    checkOptions('options', options);
    const { identity, signal } = options;
    const sources = nativeSources(options);
    checkOptionalString('identity', identity);
    checkSignal(signal);
    const room = roomOpener(registry, this.#native);
    return this.#open(async () => {
      const id = await call(
        async () => (await room()).publishFrom(key, sources, identity),
        signal,
        (late) => this.#stop(late),
      );
      const line = this.#line(id, key);
      const publisher = createRoomPublisher(line);
      reportTo(publisher, this.#report);
      this.#adopt(line, (event) => {
        if (event.type === 'bridgeSource') deliver(publisher, 'sourceChanged', event);
        if (event.type === 'bridgeDropped') deliver(publisher, 'dropped', event);
        if (event.type === 'bridgeEnded') deliver(publisher, 'ended', event);
      });
      return publisher;
    });
  }

  async showIn(registry: Registry, key: StreamKey, { signal }: WaitOptions): Promise<Showing> {
    checkSignal(signal);
    const insert = sourceOpener(registry, this.#native);
    return this.#open(async () => {
      const { bridge, clientId } = await call(
        () => insert((room) => room.show(key)),
        signal,
        (late) => this.#stop(late.bridge),
      );
      const line = this.#line(bridge, key);
      const showing = createShowing(line, clientId as ClientId);
      reportTo(showing, this.#report);
      this.#adopt(line, (event) => {
        if (event.type === 'bridgeTrackSkipped') deliver(showing, 'trackSkipped', event);
        if (event.type === 'bridgeDropped') deliver(showing, 'dropped', event);
        if (event.type === 'bridgeEnded') deliver(showing, 'ended', event);
      });
      return showing;
    });
  }

  /** Takes an event, if it is one of a bridge. */
  receive(event: LiveEvent): void {
    if (!('bridge' in event)) return;
    const running = this.#running.get(event.bridge);
    if (running === undefined) {
      if (this.#opening > 0) this.#early.push(event);
      return;
    }
    if (event.type === 'bridgeEnded') {
      this.#running.delete(event.bridge);
      running.ended.settle(event.reason);
    }
    running.tell(event);
  }

  /** The server is closed. */
  end(): void {
    for (const { ended } of this.#running.values()) ended.settle('serverClosed');
    this.#running.clear();
  }

  async #open<T>(work: () => Promise<T>): Promise<T> {
    this.#opening += 1;
    try {
      return await work();
    } finally {
      this.#opening -= 1;
      if (this.#opening === 0) {
        setImmediate(() => {
          if (this.#opening === 0) this.#early.length = 0;
        });
      }
    }
  }

  #line(id: number, key: StreamKey): Line {
    return { id, key, native: this.#native, ended: new Settled() };
  }

  #adopt(line: Line, tell: (event: BridgeEvent) => void): void {
    this.#running.set(line.id, { ended: line.ended, tell });
    // Listeners are added by the caller, which goes on first.
    setImmediate(() => {
      for (const event of this.#early.filter((event) => event.bridge === line.id)) {
        this.receive(event);
      }
    });
  }

  #stop(id: number): void {
    call(() => this.#native.liveStopBridge(id))
      .catch(ignoreClosed)
      .catch(this.#report);
  }
}

/** A bridge as its server's side keeps it. */
interface Running {
  readonly ended: Settled<BridgeEnd>;
  readonly tell: (event: BridgeEvent) => void;
}

async function stop({ id, native, ended }: Line, { signal }: WaitOptions): Promise<void> {
  checkSignal(signal);
  if (ended.value !== undefined) return;
  await call(async () => {
    await native.liveStopBridge(id);
    // The event is under way.
    await ended.promise;
  }, signal).catch(ignoreClosed);
}

function nativeSources({ video, audio }: RoomSources): { video?: string; audio?: string } {
  checkOptions('sources', { video, audio });
  if (video === undefined && audio === undefined) {
    throw new TypeError('sources must name a video, an audio or both');
  }
  for (const source of [video, audio]) {
    if (source !== undefined && source !== 'activeSpeaker') parseTrackId(source);
  }
  return present({ video, audio });
}
