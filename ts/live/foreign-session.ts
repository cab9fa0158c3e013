import { setTimeout as sleep } from 'node:timers/promises';
import { call, type WaitOptions } from '../abort.js';
import { checkOptionalString, checkOptions, checkSignal, checkString } from '../check.js';
import { deliver, Emitter, reportTo } from '../emitter.js';
import { SluiceError, toSluiceError } from '../errors.js';
import type { CloseReason, LiveFinish, NativeCall, NativeServer } from '../native.js';
import { Settled } from '../settled.js';
import { parseStreamKey, type StreamKey } from './media.js';
import { Refusal, Signaling } from './signaling.js';

/** Where a foreign server is. */
export interface ForeignOptions extends WaitOptions {
  /** The URL of its WHIP or WHEP endpoint, `https:` or `http:`. */
  readonly url: string | URL;
  /** The bearer token it wants. No other origin ever gets it. */
  readonly token?: string;
  /** What else each request carries, for that origin alone. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** A connection was lost, or not made again; the next attempt follows after 1 to 30 s. */
export interface Reconnecting {
  /** 1 after a connection that held. */
  readonly attempt: number;
  /** Why. */
  readonly cause: SluiceError;
}

/**
 * Why a push or pull is over.
 *
 * - `stopped`: by `stop()`.
 * - `streamEnded`: the stream ended here, or, of a pull, somebody else took its key.
 * - `refused`: the foreign server will not have it; `cause` says why.
 * - `serverClosed`: this server was closed.
 */
export type ForeignEndReason = 'stopped' | 'streamEnded' | 'refused' | 'serverClosed';

/** A push or pull is over. */
export interface ForeignEnded {
  /** Why. */
  readonly reason: ForeignEndReason;
  /** What the foreign server said, or what failed. */
  readonly cause?: SluiceError;
}

/** The events of a push or pull. */
export interface ForeignSessionEvents {
  /** Media flows, for the first time or again. Told after `push()` or `pull()` has resolved. */
  connected: [];
  /** It does not, and is being connected again. */
  reconnecting: [event: Reconnecting];
  /** It is over: its last event. */
  ended: [event: ForeignEnded];
}

/**
 * What a session is made of.
 *
 * @internal
 */
export interface ForeignMade {
  readonly key: StreamKey;
  readonly options: ForeignOptions;
  readonly native: NativeServer;
  readonly report: (error: unknown) => void;
}

/** How one connection went. */
interface Over {
  readonly error: SluiceError;
  /** Trying again will not help. */
  readonly reason?: ForeignEndReason;
  readonly retryAfterMs?: number | undefined;
  /** How long it held; 0 for one that was not made. */
  readonly heldMs: number;
}

/** Waits until a session is connected for the first time; only this package holds it. */
export let beginForeign: (session: ForeignSession, signal?: AbortSignal) => Promise<void>;

/** Ends it with the server. */
export let closeForeign: (session: ForeignSession) => void;

/**
 * A stream that goes to, or comes from, a foreign server. It is connected again whenever that is
 * lost, until `stop()`, whether or not somebody holds this object.
 */
export abstract class ForeignSession extends Emitter<ForeignSessionEvents> {
  /** The stream here. */
  readonly key: StreamKey;
  /** The endpoint there. */
  readonly url: string;
  readonly #native: NativeServer;
  readonly #signaling: Signaling;
  readonly #pullAs: string | undefined;
  readonly #ending = new AbortController();
  readonly #ended = new Settled<ForeignEnded>();
  readonly #begun = new Settled<SluiceError | true>();
  #state: 'connecting' | 'connected' | 'reconnecting' | 'ended' = 'connecting';

  static {
    beginForeign = (session, signal) => session.#begin(signal);
    closeForeign = (session) => session.#ending.abort('serverClosed');
  }

  /** @internal */
  protected constructor({ key, options, native, report }: ForeignMade, pullAs?: string) {
    super();
    const { token } = options;
    const url = new URL(options.url);
    this.key = key;
    this.url = url.href;
    this.#native = native;
    this.#pullAs = pullAs;
    this.#signaling = new Signaling({ url, token, headers: new Headers(options.headers) });
    reportTo(this, report);
  }

  /** What it is doing. */
  get state(): 'connecting' | 'connected' | 'reconnecting' | 'ended' {
    return this.#state;
  }

  /**
   * Ends it and takes leave of the foreign server, for which it waits 5 s at most. One that has
   * ended is no error.
   */
  async stop({ signal }: WaitOptions = {}): Promise<void> {
    checkSignal(signal);
    this.#ending.abort('stopped');
    await call(() => this.#ended.promise, signal);
  }

  /** `stop()`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #begin(signal: AbortSignal | undefined): Promise<void> {
    void this.#run().then((ended) => this.#end(ended));
    try {
      const begun = await call(() => this.#begun.promise, signal);
      if (begun !== true) throw begun;
    } catch (error) {
      this.#ending.abort('stopped');
      throw error;
    }
  }

  #end(ended: ForeignEnded): void {
    this.#state = 'ended';
    this.#begun.settle(ended.cause ?? new SluiceError('ERR_CLOSED', `${this.key} was stopped`));
    this.#ended.settle(ended);
    deliver(this, 'ended', ended);
  }

  /** One connection after the other. */
  async #run(): Promise<ForeignEnded> {
    const { signal } = this.#ending;
    for (let attempt = 1; ; attempt += 1) {
      const { error, reason, retryAfterMs, heldMs } = await this.#connect(signal);
      if (signal.aborted) return { reason: signal.reason as ForeignEndReason };
      if (reason !== undefined) return { reason, cause: error };
      const isFirst = this.#begun.value === undefined;
      if (isFirst && retryAfterMs === undefined) return { reason: 'refused', cause: error };
      if (heldMs > HELD_MS) attempt = 1;
      if (!isFirst) {
        this.#state = 'reconnecting';
        deliver(this, 'reconnecting', { attempt, cause: error });
      }
      const waitMs = Math.max(backOff(attempt), retryAfterMs ?? 0);
      await sleep(waitMs, undefined, { signal }).catch(() => {});
    }
  }

  /** One connection, from the offer to its end. */
  async #connect(signal: AbortSignal): Promise<Over> {
    let native: NativeCall | undefined;
    let resource: URL | undefined;
    let connectedAt: number | undefined;
    try {
      native = await call(
        () => this.#native.liveCall(this.key, this.#pullAs),
        signal,
        (late) => void late.end('disconnected' as LiveFinish).catch(() => {}),
      );
      const said = await this.#signaling.offer(native.offer, signal);
      ({ resource } = said);
      await this.#take(native, said.type, said.sdp, resource, signal);
      await news(native, signal);
      connectedAt = performance.now();
      this.#connected();
      await news(native, signal);
      throw new SluiceError('ERR_INTERNAL', 'a connection is connected twice');
    } catch (error) {
      if (error instanceof Refusal) resource ??= error.resource;
      const heldMs = connectedAt === undefined ? 0 : performance.now() - connectedAt;
      return { ...this.#over(error, native !== undefined), heldMs };
    } finally {
      const isDone = signal.aborted && signal.reason === 'stopped';
      const how = isDone ? 'completed' : 'disconnected';
      const end = async () => native?.end(how as LiveFinish).catch(() => {});
      // Whoever publishes says why before it goes silent, there or here: else the stream would wait
      // for it to come back.
      if (this.#pullAs !== undefined) await end();
      if (resource !== undefined) await this.#signaling.end(resource);
      await end();
    }
  }

  async #take(
    native: NativeCall,
    type: 'answer' | 'counterOffer',
    sdp: string,
    resource: URL,
    signal: AbortSignal,
  ): Promise<void> {
    if (type === 'answer') {
      await call(() => native.answer(sdp), signal);
      return;
    }
    const answer = await call(() => native.counterOffer(sdp), signal);
    await this.#signaling.answer(resource, answer, signal);
  }

  #connected(): void {
    const isFirst = this.#begun.value === undefined;
    this.#state = 'connected';
    this.#begun.settle(true);
    // Who waits for `push()` or `pull()` is to listen before the first event.
    if (isFirst) setImmediate(() => deliver(this, 'connected'));
    else deliver(this, 'connected');
  }

  /** Whether there is a next time after what ended a connection. */
  #over(
    thrown: unknown,
    hasBegun: boolean,
  ): { error: SluiceError; reason?: ForeignEndReason; retryAfterMs?: number } {
    if (thrown instanceof Refusal) {
      const { error, isFinal, retryAfterMs } = thrown;
      // A stream that was there will be there again; all else is for good.
      const mayCome = this.#begun.value === true && error.code === 'ERR_STREAM_NOT_FOUND';
      return {
        error,
        ...(isFinal && !mayCome && { reason: 'refused' as const }),
        ...(retryAfterMs !== undefined && { retryAfterMs }),
      };
    }
    if (thrown instanceof Lost) {
      const { error, isOurs } = thrown;
      return { error, ...(isOurs && { reason: 'streamEnded' as const }) };
    }
    const error = toSluiceError(thrown);
    // A call that closes is lost; where none begins, the server is closed.
    const reason = error.code === 'ERR_CLOSED' && hasBegun ? undefined : REASONS[error.code];
    return { error, ...(reason !== undefined && { reason }) };
  }
}

/**
 * Checks what a session is called with.
 *
 * @internal
 */
export function checkForeign(key: string, options: ForeignOptions): StreamKey {
  const name = parseStreamKey(key);
  if (name.includes('~')) throw new RangeError(`key must name a whole stream, not ${key}`);
  checkOptions('options', options);
  const { url, token, headers, signal } = options;
  if (!(url instanceof URL)) checkString('url', url);
  checkOptionalString('token', token);
  if (headers !== undefined) checkOptions('headers', headers);
  checkSignal(signal);
  if (!URL.canParse(String(url))) throw new RangeError('url must be an absolute URL');
  const { protocol, username, password } = new URL(url);
  if (protocol !== 'https:' && protocol !== 'http:') {
    throw new RangeError(`url must begin with https: or http:, not ${protocol}`);
  }
  if (username !== '' || password !== '') {
    throw new RangeError('url must carry no credentials; give a token, or an Authorization header');
  }
  if (token !== undefined && !/^[\w.~+/:=-]+$/.test(token)) {
    throw new RangeError('token must be of the characters of a bearer token (RFC 6750 §2.1)');
  }
  return name;
}

/** A connection that is over. */
class Lost {
  readonly error: SluiceError;
  /** This side ended it. */
  readonly isOurs: boolean;

  constructor(error: SluiceError, isOurs: boolean) {
    this.error = error;
    this.isOurs = isOurs;
  }
}

/** Resolves when a call is connected; throws when it is over. */
async function news(native: NativeCall, signal: AbortSignal): Promise<void> {
  const { ended, message } = await call(() => native.next(), signal);
  if (ended === undefined || ended === null) return;
  const [code, what] = ENDINGS[ended] ?? ['ERR_INTERNAL', 'it failed here'];
  const words = message === undefined || message === null ? what : `${what}: ${message}`;
  throw new Lost(new SluiceError(code, words), ended === ('application' as CloseReason));
}

/** 1 s at first, up to 30 s; by chance, so that a thousand do not come back at once. */
function backOff(attempt: number): number {
  const most = Math.min(LEAST_WAIT_MS * 2 ** (attempt - 1), MOST_WAIT_MS);
  return LEAST_WAIT_MS + Math.random() * (most - LEAST_WAIT_MS);
}

/** What ends a session for good although the foreign server has nothing to do with it. */
const REASONS: Partial<Record<string, ForeignEndReason>> = {
  ERR_CLOSED: 'serverClosed',
  ERR_STREAM_NOT_FOUND: 'streamEnded',
  ERR_STREAM_ALREADY_PUBLISHING: 'streamEnded',
  ERR_APP_NOT_FOUND: 'refused',
  ERR_CODEC: 'refused',
  ERR_SDP: 'refused',
};

const ENDINGS: Partial<
  Record<string, readonly [code: ConstructorParameters<typeof SluiceError>[0], what: string]>
> = {
  application: ['ERR_CLOSED', 'it was ended here'],
  peer: ['ERR_REMOTE', 'the foreign server closed the connection'],
  ice: ['ERR_ICE', 'there is no way to the foreign server'],
  dtls: ['ERR_REMOTE', 'the handshake with the foreign server failed'],
  timeout: ['ERR_TIMEOUT', 'nothing comes from the foreign server'],
  sdp: ['ERR_SDP', 'the answer of the foreign server was refused'],
  registryClosed: ['ERR_CLOSED', 'it was ended here'],
  serverClosed: ['ERR_CLOSED', 'this server is closed'],
};

/** A connection that held so long was a good one. */
const HELD_MS = 10_000;
const LEAST_WAIT_MS = 1000;
const MOST_WAIT_MS = 30_000;
