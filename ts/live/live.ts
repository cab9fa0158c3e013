import { call, type WaitOptions } from '../abort.js';
import {
  checkOptionalInteger,
  checkOptionalString,
  checkOptions,
  checkSignal,
  checkString,
  present,
} from '../check.js';
import { deliver, Emitter, reportTo } from '../emitter.js';
import { ignoreClosed } from '../errors.js';
import { EventStream, type EventStreamOptions, type StreamFeed } from '../event-stream.js';
import {
  native,
  type LiveAccess,
  type LiveClient,
  type LiveEvent as NativeLiveEvent,
  type NativeServer,
} from '../native.js';
import type { Registry } from '../sfu/registry.js';
import { decide, type Authorizer } from './authorizer.js';
import { Bridges, type PublishFromOptions, type RoomPublisher, type Showing } from './bridge.js';
import { isLiveLifecycle, type LiveEvent, type LiveEventOf, type RecordedFile } from './events.js';
import {
  CLOSED,
  NOT_FOUND,
  type HandlerOptions,
  type Reply,
  type Responder,
  type StreamedBody,
} from './exchange.js';
import { fetchHandler, type FetchHandler } from './fetch-handler.js';
import {
  beginForeign,
  checkForeign,
  closeForeign,
  type ForeignOptions,
  type ForeignSession,
} from './foreign-session.js';
import type { LiveTrack, StreamKey } from './media.js';
import { parseStreamKey } from './media.js';
import { nodeHandler, type NodeHandler } from './node-handler.js';
import type { IngestClient, LiveProtocol, ServedProtocol } from './protocol.js';
import { playback } from './playback.js';
import { createPublishSession, type PublishSession } from './publish-session.js';
import { createPull, type Pull } from './pull.js';
import { createPush, type Push } from './push.js';
import {
  Recordings,
  type Recording,
  type RecordingsFilter,
  type RecordOptions,
} from './recording.js';
import { nativeStorage, type RecordingStorage } from './storage.js';
import { createSubscription, type Subscription } from './subscription.js';

/** The events of the live kernel: each {@link LiveEvent} by its `type`. */
export type LiveEvents = { [E in LiveEvent as E['type']]: [event: E] };

/** What the live kernel tells tools, apart from the application's own listeners. */
export interface LiveObserverEvents {
  /** Anything happened. */
  event: [event: LiveEvent];
}

/** How to publish. */
export interface PublishOptions extends WaitOptions {
  /**
   * Who publishes: whoever holds the key under the same identity goes, and readers are told of the
   * discontinuity. Default nobody else: a key that is held is refused.
   */
  readonly identity?: string;
}

/** How to pull. */
export interface PullOptions extends ForeignOptions {
  /**
   * Who publishes what is pulled: whoever holds the key under the same identity goes. Default nobody
   * else: a key that is held is refused.
   */
  readonly identity?: string;
}

/** What comes in, measured over the last second. */
export interface LiveQos {
  /** Payload, 0 when frames stop. */
  readonly bitsPerSecond: number;
  /** Frames, 0 when they stop. */
  readonly framesPerSecond: number;
  /** Frames since the beginning. */
  readonly frames: number;
  /** Payload bytes since the beginning. */
  readonly bytes: number;
}

/** A track of a live stream as it is now. */
export interface StreamTrack {
  /** The track and how it is coded. */
  readonly track: LiveTrack;
  /** What it brings. */
  readonly qos: LiveQos;
}

/** A live stream as it is now. */
export interface StreamInfo {
  /** Its name. */
  readonly key: StreamKey;
  /** `idle`: a publisher holds the key and has sent nothing; `resuming`: the publisher was lost. */
  readonly state: 'idle' | 'publishing' | 'resuming' | 'ended';
  /** It is recorded. */
  readonly recording: boolean;
  /** It is transcoded. */
  readonly transcoding: boolean;
  /** Over what its publisher came. */
  readonly protocol?: string;
  /** Who its publisher is, by the authorizer's word. */
  readonly identity?: string;
  /** All tracks together. */
  readonly qos: LiveQos;
  /** Its tracks. */
  readonly tracks: readonly StreamTrack[];
  /** Its readers; viewers in its room are not among them. */
  readonly subscribers: number;
  /** Seconds since its first frame. */
  readonly ageSeconds?: number;
  /** Bytes its ring keeps. */
  readonly ringBytes: number;
  /** The names of its layers that are streams of their own, `app/stream~layer`. */
  readonly layers: readonly string[];
  /**
   * Of a stream whose publisher sends layers (simulcast): the one it carries now. It is the best
   * that flows; the highest is no stream of its own, as it is this one.
   */
  readonly carries?: string;
}

/** Makes the live kernel's face; only its server does. */
export let createLive: (native: NativeServer, report: (error: unknown) => void) => Live;

/** Hands it an event; only its server does. */
export let receiveLive: (live: Live, event: NativeLiveEvent) => void;

/** Ends its streams of events; only its server does. */
export let endLive: (live: Live) => void;

/**
 * Live streams: `server.live`. Publishers and players come over HTTP (WHIP, WHEP, LL-HLS) or are
 * this very program.
 *
 * Clients of protocols are refused until `use()` names an authorizer. What the application itself
 * publishes and reads needs none.
 *
 * @example
 * ```ts
 * server.live.use(allowAll);
 * http.createServer(server.live.httpHandler()).listen(8080);
 * // publish to /live/live/show/whip, play /live/live/show/whep or /live/live/show/index.m3u8
 * ```
 */
export class Live extends Emitter<LiveEvents> {
  /** A second emitter for tools: what they listen for does not mix with the application's. */
  readonly observer: Emitter<LiveObserverEvents> = new Emitter();
  readonly #native: NativeServer;
  readonly #report: (error: unknown) => void;
  readonly #streams = new Set<StreamFeed<LiveEvent>>();
  readonly #recordings: Recordings;
  readonly #bridges: Bridges;
  readonly #foreign = new Set<ForeignSession>();
  #authorizer: Authorizer | undefined;
  #ended = false;

  static {
    createLive = (native, report) => new Live(native, report);
    receiveLive = (live, event) => live.#receive(event);
    endLive = (live) => live.#end();
  }

  private constructor(native: NativeServer, report: (error: unknown) => void) {
    super();
    this.#native = native;
    this.#report = report;
    this.#recordings = new Recordings(native, report);
    this.#bridges = new Bridges(native, report);
    reportTo(this, report);
    reportTo(this.observer, report);
  }

  /** Names who decides what clients may do, in place of who decided before. */
  use(authorizer: Authorizer): this {
    if (typeof authorizer !== 'function') throw new TypeError('an authorizer is a function');
    this.#authorizer = authorizer;
    call(() => this.#native.liveAccess('listener' as LiveAccess))
      .catch(ignoreClosed)
      .catch(this.#report);
    return this;
  }

  /**
   * Opens a namespace of streams: the keys that begin with `name/`. `live` is there from the
   * beginning.
   *
   * @throws {@link SluiceError} `ERR_APP_ALREADY_REGISTERED` if it is open already.
   */
  async application(name: string, { signal }: WaitOptions = {}): Promise<void> {
    checkString('name', name);
    checkSignal(signal);
    await call(() => this.#native.liveRegister(name), signal);
  }

  /**
   * Publishes a stream from this program.
   *
   * @throws {@link SluiceError} `ERR_STREAM_ALREADY_PUBLISHING` if somebody else holds the key,
   * `ERR_APP_NOT_FOUND` if there is no such application, `ERR_LIMIT` at a bound.
   */
  async publish(key: string, options: PublishOptions = {}): Promise<PublishSession> {
    checkOptions('options', options);
    const { identity, signal } = options;
    checkOptionalString('identity', identity);
    checkSignal(signal);
    return this.#publish(key, { ...present({ identity }) }, signal);
  }

  /**
   * Serves a protocol that this program speaks itself. It publishes by its context, for clients that
   * the authorizer lets in.
   *
   * @example
   * ```ts
   * live.protocol({
   *   name: 'tcp-h264',
   *   serve: ({ openPublish }, signal) => {
   *     net.createServer(async (socket) => {
   *       const session = await openPublish('live/camera', { address: socket.remoteAddress });
   *       const video = await session.byteTrack({ track: 0, codec: 'H264', framesPerSecond: 25 });
   *       for await (const chunk of socket) await video.write(chunk);
   *       await session.finish();
   *     }).listen({ port: 9000, signal });
   *   },
   * });
   * ```
   */
  protocol({ name, serve }: LiveProtocol): ServedProtocol {
    checkString('name', name);
    const ending = new AbortController();
    const openPublish = (key: string, client: IngestClient = {}): Promise<PublishSession> =>
      this.#publish(key, { client: { protocol: name, ...present(client) } }, ending.signal);
    const served = (async () => serve({ openPublish }, ending.signal))().catch((error: unknown) => {
      if (!ending.signal.aborted) this.#report(error);
    });
    const close = async (): Promise<void> => {
      ending.abort();
      await served;
    };
    return { close, [Symbol.asyncDispose]: close };
  }

  /**
   * Reads a stream in this program, from its newest keyframe on.
   *
   * @throws {@link SluiceError} `ERR_STREAM_NOT_FOUND` if nobody publishes it.
   */
  async subscribe(key: string, options: WaitOptions = {}): Promise<Subscription> {
    const name = parseStreamKey(key);
    checkOptions('options', options);
    checkSignal(options.signal);
    const native = await call(
      () => this.#native.liveSubscribe(name),
      options.signal,
      (late) => void late.close().catch(() => {}),
    );
    return createSubscription(name, native, options);
  }

  /**
   * Records a stream from its newest keyframe on, over its publishers' comings and goings, until it
   * ends or the recording is stopped.
   *
   * @example
   * ```ts
   * await using recording = await server.live.record('live/show', { directory: 'recordings' });
   * recording.on('failed', ({ message }) => console.error(message));
   * ```
   *
   * @throws {@link SluiceError} `ERR_STREAM_NOT_FOUND` if nobody publishes it,
   * `ERR_INVALID_ARGUMENT` if it is being recorded to this directory already.
   */
  async record(key: string, options: RecordOptions): Promise<Recording> {
    return this.#recordings.record(parseStreamKey(key), options);
  }

  /**
   * The finished recordings of a directory or storage, by stream and time. What a crash has left there is
   * finished first.
   *
   * @throws {@link SluiceError} `ERR_STORAGE` if it cannot be read.
   */
  async recordings(
    directory: string | RecordingStorage,
    options: RecordingsFilter = {},
  ): Promise<readonly RecordedFile[]> {
    return this.#recordings.list(directory, options);
  }

  /**
   * Publishes what a room has as a stream: tracks of it, or whoever speaks. It can be read, played
   * and recorded like any other.
   *
   * @example
   * ```ts
   * const stage = await server.live.publishFrom(registry, 'live/show', {
   *   video: 'activeSpeaker',
   *   audio: 'activeSpeaker',
   * });
   * stage.on('sourceChanged', ({ video }) => console.log('on air:', video));
   * ```
   *
   * @throws {@link SluiceError} `ERR_INVALID_ARGUMENT` if the room has no such track,
   * `ERR_STREAM_ALREADY_PUBLISHING` if somebody else holds the key, `ERR_CLOSED` if the room is
   * closed, `ERR_BUSY` at 1000 bridges of one thread.
   */
  async publishFrom(
    registry: Registry,
    key: string,
    options: PublishFromOptions,
  ): Promise<RoomPublisher> {
    return this.#bridges.publishFrom(registry, parseStreamKey(key), options);
  }

  /**
   * Shows a stream in a room: its tracks are told by `trackOpen` and subscribed to as those of any
   * client, and begin with a picture at once. Sound that no browser takes (AAC) is left out.
   *
   * @example
   * ```ts
   * await using film = await server.live.showIn(registry, 'live/film');
   * film.on('trackSkipped', ({ codec }) => console.log('not for browsers:', codec));
   * ```
   *
   * @throws {@link SluiceError} `ERR_STREAM_NOT_FOUND` if nobody publishes it, `ERR_CLOSED` if the
   * room is closed, `ERR_BUSY` at 1000 bridges of one thread.
   */
  async showIn(registry: Registry, key: string, options: WaitOptions = {}): Promise<Showing> {
    checkOptions('options', options);
    return this.#bridges.showIn(registry, parseStreamKey(key), options);
  }

  /**
   * Pushes a stream to a foreign server by WHIP (RFC 9725), until the stream ends or `stop()`. Resolves
   * when media flows. A server that says when to come again (`Retry-After`) is asked again then, until
   * `signal` aborts; after that first time a lost connection is made anew by itself.
   *
   * @example
   * ```ts
   * const push = await server.live.push('live/show', { url: 'https://example.com/whip', token });
   * push.on('reconnecting', ({ cause }) => console.warn(cause.message));
   * ```
   *
   * @throws {@link SluiceError} `ERR_STREAM_NOT_FOUND` if nobody publishes it or there is no such
   * endpoint, `ERR_AUTH`, `ERR_SDP`, `ERR_BUSY` or `ERR_REMOTE` as the server answers, with its words in
   * `cause`; `ERR_ICE` if there is no way to it, `ERR_CODEC` if no track is one that WebRTC carries.
   */
  async push(key: string, options: ForeignOptions): Promise<Push> {
    const made = { key: checkForeign(key, options), options };
    const push = createPush({ ...made, native: this.#native, report: this.#report });
    return this.#begin(push, options.signal);
  }

  /**
   * Pulls a stream from a foreign server by WHEP (draft-ietf-wish-whep) and publishes it here, until
   * `stop()`. Resolves when media flows, as `push()` does.
   *
   * @throws {@link SluiceError} `ERR_STREAM_ALREADY_PUBLISHING` if somebody else holds the key;
   * otherwise as `push()`.
   */
  async pull(key: string, options: PullOptions): Promise<Pull> {
    const made = { key: checkForeign(key, options), options };
    checkOptionalString('identity', options.identity);
    const pull = createPull(
      { ...made, native: this.#native, report: this.#report },
      options.identity,
    );
    return this.#begin(pull, options.signal);
  }

  /** All live streams. */
  async streams({ signal }: WaitOptions = {}): Promise<readonly StreamInfo[]> {
    checkSignal(signal);
    return (await call(() => this.#native.liveStreams(), signal)) as unknown as StreamInfo[];
  }

  /**
   * Before this server goes: new WHIP and WHEP sessions are refused with 503 and `Retry-After`, while
   * those that are go on. `false` takes it back.
   */
  async drain(draining = true, { signal }: WaitOptions = {}): Promise<void> {
    if (typeof draining !== 'boolean') throw new TypeError('draining is a boolean');
    checkSignal(signal);
    await call(() => this.#native.liveDrain(draining), signal);
  }

  /**
   * Ends a stream: its publisher is closed, its readers get what is left.
   *
   * @throws {@link SluiceError} `ERR_STREAM_NOT_FOUND` if there is none.
   */
  async end(key: string, { signal }: WaitOptions = {}): Promise<void> {
    const name = parseStreamKey(key);
    checkSignal(signal);
    await call(() => this.#native.liveEndStream(name), signal);
  }

  /**
   * What happens to live streams from now on, as an async iterator. It ends with the server.
   *
   * @example
   * ```ts
   * for await (const { type, key } of live.events({ types: ['publishStarted', 'streamEnded'] })) {
   *   console.log(type, key);
   * }
   * ```
   */
  events<Type extends LiveEvent['type'] = LiveEvent['type']>(
    options: EventStreamOptions<Type> = {},
  ): EventStream<LiveEventOf<Type>> {
    checkOptions('options', options);
    checkSignal(options.signal);
    checkOptionalInteger('highWaterMark', options.highWaterMark, 1, Number.MAX_SAFE_INTEGER);
    return new EventStream(
      options,
      (stream) => {
        if (this.#ended) return undefined;
        this.#streams.add(stream);
        return () => this.#streams.delete(stream);
      },
      isLiveLifecycle,
    );
  }

  /**
   * Serves WHIP (RFC 9725), WHEP and LL-HLS below `<prefix>/:app/:stream/`: `whip`, `whep`,
   * `index.m3u8`; with `recordings` also `recordings` (which there are, as JSON),
   * `recordings/<name>` (one of them, by ranges of bytes), and with `?start=…&duration=…` a stretch
   * of time that begins at the keyframe before. For `node:http`, `node:http2` and express.
   */
  httpHandler(options: HandlerOptions = {}): NodeHandler {
    return nodeHandler(this.#responder(options), this.#report);
  }

  /** The same for frameworks that speak `Request` and `Response`, as hono. */
  fetchHandler(options: HandlerOptions = {}): FetchHandler {
    return fetchHandler(this.#responder(options));
  }

  async #publish(
    key: string,
    { identity, client }: { readonly identity?: string; readonly client?: LiveClient },
    signal: AbortSignal | undefined,
  ): Promise<PublishSession> {
    const name = parseStreamKey(key);
    const native = await call(
      () => this.#native.livePublish(name, identity, client),
      signal,
      (late) => void late.finish('disconnected' as never).catch(() => {}),
    );
    return createPublishSession(name, native);
  }

  async #begin<Session extends ForeignSession>(
    session: Session,
    signal: AbortSignal | undefined,
  ): Promise<Session> {
    signal?.throwIfAborted();
    this.#foreign.add(session);
    session.once('ended', () => this.#foreign.delete(session));
    await beginForeign(session, signal);
    return session;
  }

  #responder({ prefix = '/live', recordings }: HandlerOptions): Responder {
    if (!/^(\/[\w.~-]+)*$/.test(prefix)) {
      throw new RangeError(`prefix must be a path like /live, not ${JSON.stringify(prefix)}`);
    }
    const split = (target: string) => {
      const [path = '', query = ''] = target.split(/\?(.*)/s, 2);
      const behind = path.startsWith(`${prefix}/`) ? path.slice(prefix.length + 1) : '';
      return { path: behind, query };
    };
    const storage = recordings === undefined ? undefined : nativeStorage(recordings);
    const isPlayback = (path: string) => storage !== undefined && native().isPlaybackPath(path);
    return {
      takes: (target) => {
        const { path } = split(target);
        return native().isLivePath(path) || isPlayback(path);
      },
      respond: async ({ method, target, headers, body, address }) => {
        const request = {
          method,
          prefix,
          ...split(target),
          headers: headers.map(([name, value]): [string, string] => [name, value]),
          ...(body === undefined ? {} : { body }),
          ...(address === undefined ? {} : { address }),
        };
        if (storage !== undefined && isPlayback(request.path)) {
          return playback(this.#native, storage, request);
        }
        const reply = await call(() => this.#native.liveRequest(request)).catch(refuse);
        if (reply === null || reply === undefined) return NOT_FOUND;
        if (!('events' in reply) || typeof reply.events !== 'number') return reply as Reply;
        return { ...reply, body: undefined, content: this.#events(reply.events) };
      },
    };
  }

  #events(id: number): StreamedBody {
    return {
      next: async () =>
        (await call(() => this.#native.liveEvents(id)).catch(ignoreClosed)) ?? undefined,
      close: () => void call(() => this.#native.liveEventsEnd(id)).catch(ignoreClosed),
    };
  }

  #receive(event: NativeLiveEvent): void {
    if (event.type === 'authorize') {
      void decide(this.#native, this.#authorizer, event, this.#report);
      return;
    }
    // The keys are ours: the brand is only a type. `noLiveDrift` holds the rest to the same shape.
    const told = event as unknown as LiveEvent;
    (deliver as Deliver)(this, told.type, told);
    deliver(this.observer, 'event', told);
    this.#recordings.receive(told);
    this.#bridges.receive(told);
    for (const stream of this.#streams) stream.feed(told);
  }

  #end(): void {
    this.#ended = true;
    this.#bridges.end();
    for (const session of this.#foreign) closeForeign(session);
    for (const stream of this.#streams) stream.finish();
  }
}

/** `type` and event always belong together; TypeScript cannot see that through the union. */
type Deliver = (live: object, type: string, event: LiveEvent) => boolean;

/** A closed server answers so; anything else is a fault. */
function refuse(error: unknown): Reply {
  ignoreClosed(error);
  return CLOSED;
}
