import { call, type WaitOptions } from '../abort.js';
import { checkInteger, checkOptionalString, checkSignal, checkString } from '../check.js';
import { deliver, Emitter, reportTo } from '../emitter.js';
import { SluiceError } from '../errors.js';
import type { ClientConnected, ClientDisconnected, ClientEvent, CloseReason } from '../events.js';
import { parseTrackId, type ClientId, type TrackId } from '../ids.js';
import type { NativeServer } from '../native.js';
import { Settled } from '../settled.js';
import {
  candidateText,
  checkBitrate,
  nativePreferredLayers,
  nativeSubscribeOptions,
  type IceCandidate,
  type PreferredLayers,
  type SubscribeOptions,
} from './options.js';
import type { Registry } from './registry.js';
import { branded, type ClientStats } from './stats.js';
import type { PublishedTrack, SubscribedTrack } from './tracks.js';

/** The events of a client: each {@link ClientEvent} by its `type`, and two short names. */
export type ClientEvents = { [E in ClientEvent as E['type']]: [event: E] } & {
  /** The same as `clientConnected`. */
  connected: [event: ClientConnected];
  /** The same as `clientDisconnected`: the last event of a client. */
  disconnected: [event: ClientDisconnected];
};

/** What a client is made from. */
export interface ClientParts<AppData> {
  readonly id: ClientId;
  readonly appData: AppData;
  readonly registry: Registry<AppData>;
  readonly native: NativeServer;
  readonly report: (error: unknown) => void;
  /** Makes up the event of a closing whose own was not delivered. */
  readonly disconnect: (reason: CloseReason, message: string | undefined) => void;
}

/** Makes a client; only its registry does. */
export let createClient: <AppData>(parts: ClientParts<AppData>) => Client<AppData>;

/** Brings a client up to date with an event, before anyone hears of it; only its registry does. */
export let updateClient: (client: Client, event: ClientEvent) => void;

/** Tells a client's own listeners of an event; only its registry does. */
export let tellClient: (client: Client, event: ClientEvent) => boolean;

/**
 * A peer in a room. Made by `registry.insert()`; attach listeners right after it resolves and no
 * event is missed.
 *
 * Every method rejects with `ERR_CLOSED` once the client is closed, and leaves the client as it was
 * when it rejects, except where it says otherwise.
 *
 * @typeParam AppData - What the application attached at `insert()`.
 */
export class Client<AppData = unknown> extends Emitter<ClientEvents> {
  /** Its id. */
  readonly id: ClientId;
  /** What the application attached at `insert()`. */
  readonly appData: AppData;
  /** The room it is in. */
  readonly registry: Registry<AppData>;
  /** Resolves when the client is gone, to why; never rejects. */
  readonly closed: Promise<CloseReason>;

  readonly #native: NativeServer;
  readonly #disconnect: ClientParts<AppData>['disconnect'];
  readonly #gone = new Settled<CloseReason>();
  readonly #tracks = new Map<TrackId, PublishedTrack>();
  #subscriptions: readonly SubscribedTrack[] = [];
  #connected = false;
  #closing: Promise<void> | undefined;

  static {
    createClient = (parts) => new Client(parts);
    updateClient = (client, event) => client.#update(event);
    tellClient = (client, event) => client.#tell(event);
  }

  private constructor(parts: ClientParts<AppData>) {
    super();
    this.id = parts.id;
    this.appData = parts.appData;
    this.registry = parts.registry;
    this.#native = parts.native;
    this.#disconnect = parts.disconnect;
    this.closed = this.#gone.promise;
    reportTo(this, parts.report);
  }

  /** What it publishes, as far as events have told. */
  get tracks(): readonly PublishedTrack[] {
    return [...this.#tracks.values()];
  }

  /** What it gets, as far as events have told. */
  get subscriptions(): readonly SubscribedTrack[] {
    return this.#subscriptions;
  }

  /** Whether ICE and DTLS are up. */
  get connected(): boolean {
    return this.#connected && this.#gone.value === undefined;
  }

  /**
   * Applies a remote offer and resolves to the answer (RFC 9429 §5.3). If an offer of ours is in
   * flight, that one is given up and made again after.
   *
   * @throws {@link SluiceError} `ERR_SDP` if the offer is refused. What fails half-way closes the
   * client with reason `sdp`.
   */
  async acceptOffer(offerSdp: string, options: WaitOptions = {}): Promise<string> {
    checkString('offerSdp', offerSdp);
    return this.#call((id) => this.#native.acceptOffer(id, offerSdp), options);
  }

  /**
   * Makes an offer; resolves to `undefined` if there is nothing to negotiate, or if an offer is in
   * flight already (the next one is asked for by `negotiationNeeded`).
   */
  async createOffer(options: WaitOptions = {}): Promise<string | undefined> {
    return (await this.#call((id) => this.#native.createOffer(id), options)) ?? undefined;
  }

  /**
   * Applies the answer to our offer in flight.
   *
   * @throws {@link SluiceError} `ERR_SDP` if it is refused, or if no offer of ours waits for it.
   */
  async acceptAnswer(answerSdp: string, options: WaitOptions = {}): Promise<void> {
    checkString('answerSdp', answerSdp);
    await this.#call((id) => this.#native.acceptAnswer(id, answerSdp), options);
  }

  /**
   * Adds a trickled candidate (RFC 8840). `null` or an empty one ends them and does nothing.
   *
   * @throws {@link SluiceError} `ERR_ICE` if it does not parse.
   */
  async addIceCandidate(
    candidate: string | IceCandidate | null,
    options: WaitOptions = {},
  ): Promise<void> {
    const text = candidateText(candidate);
    await this.#call((id) => this.#native.addIceCandidate(id, text), options);
  }

  /** Makes the next offer an ICE restart (RFC 9429 §4.1.20) and asks for it by `negotiationNeeded`. */
  async restartIce(options: WaitOptions = {}): Promise<void> {
    await this.#call((id) => this.#native.restartIce(id), options);
  }

  /**
   * Subscribes to a track, or changes the options of a subscription.
   *
   * @throws {@link SluiceError} `ERR_INVALID_ARGUMENT` if the room has no such track.
   */
  async subscribe(trackId: TrackId, options: SubscribeOptions & WaitOptions = {}): Promise<void> {
    const track = parseTrackId(trackId);
    const given = nativeSubscribeOptions(options);
    await this.#call((id) => this.#native.subscribe(id, track, given), options);
  }

  /** Ends a subscription; its slot is free for the next waiting one. */
  async unsubscribe(trackId: TrackId, options: WaitOptions = {}): Promise<void> {
    const track = parseTrackId(trackId);
    await this.#call((id) => this.#native.unsubscribe(id, track), options);
  }

  /** Bounds the layers this client gets of a track. The switch lands on a keyframe. */
  async setPreferredLayers(trackId: TrackId, layers: PreferredLayers & WaitOptions): Promise<void> {
    const track = parseTrackId(trackId);
    const given = nativePreferredLayers(layers);
    await this.#call((id) => this.#native.setPreferredLayers(id, track, given), layers);
  }

  /** Holds a subscription back; it keeps its slot. */
  async pause(trackId: TrackId, options: WaitOptions = {}): Promise<void> {
    const track = parseTrackId(trackId);
    await this.#call((id) => this.#native.setPaused(id, track, true), options);
  }

  /** Lets a paused subscription flow again, from a keyframe. */
  async resume(trackId: TrackId, options: WaitOptions = {}): Promise<void> {
    const track = parseTrackId(trackId);
    await this.#call((id) => this.#native.setPaused(id, track, false), options);
  }

  /** Orders this client's subscriptions when bandwidth is short: higher first, 0 to 255. */
  async setPriority(trackId: TrackId, priority: number): Promise<void> {
    const track = parseTrackId(trackId);
    checkInteger('priority', priority, 0, 255);
    await this.#call((id) => this.#native.setPriority(id, track, priority));
  }

  /** Asks the publisher of a track for a keyframe, merged and at most once a second per layer. */
  async requestKeyFrame(trackId: TrackId, options: WaitOptions = {}): Promise<void> {
    const track = parseTrackId(trackId);
    await this.#call((id) => this.#native.requestKeyFrame(id, track), options);
  }

  /** Bounds what is sent to this client; `undefined` lifts the bound. */
  async setMaxOutgoingBitrate(
    bitsPerSecond: number | undefined,
    options: WaitOptions = {},
  ): Promise<void> {
    checkBitrate('bitsPerSecond', bitsPerSecond);
    await this.#call((id) => this.#native.setMaxOutgoingBitrate(id, bitsPerSecond), options);
  }

  /** Measures this client. */
  async getStats(options: WaitOptions = {}): Promise<ClientStats> {
    return branded(await this.#call((id) => this.#native.clientStats(id), options));
  }

  /**
   * Says goodbye to the peer (RTCP BYE, DTLS close_notify) and frees everything; resolves after
   * `disconnected` was told. Does nothing more when it is closed already.
   *
   * @param reason - Told as `message` of `clientDisconnected`.
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
    try {
      await call(() => this.#native.closeClient(this.id, reason ?? ''));
    } catch (error) {
      // It was faster than we: its own event tells why.
      if (!(error instanceof SluiceError && error.code === 'ERR_CLOSED')) {
        this.#closing = undefined;
        throw error;
      }
    }
    if (!(await this.#gone.within(PATIENCE_MS))) this.#disconnect('application', reason);
  }

  async #call<T>(work: (id: ClientId) => Promise<T>, { signal }: WaitOptions = {}): Promise<T> {
    checkSignal(signal);
    if (this.#closing !== undefined || this.#gone.value !== undefined) {
      throw new SluiceError('ERR_CLOSED', `client ${this.id} is closed; insert a new one`);
    }
    return call(() => work(this.id), signal);
  }

  #update(event: ClientEvent): void {
    switch (event.type) {
      case 'clientConnected':
        this.#connected = true;
        break;
      case 'clientDisconnected':
        this.#gone.settle(event.reason);
        this.#tracks.clear();
        this.#subscriptions = [];
        break;
      case 'trackOpen':
      case 'trackChanged':
        this.#tracks.set(event.track.id, event.track);
        break;
      case 'trackClose':
        this.#tracks.delete(event.trackId);
        break;
      case 'trackMuted': {
        const track = this.#tracks.get(event.trackId);
        if (track !== undefined) this.#tracks.set(track.id, { ...track, muted: event.muted });
        break;
      }
      case 'subscriptionsChanged':
        this.#subscriptions = event.subscriptions;
        break;
      default:
    }
  }

  #tell(event: ClientEvent): boolean {
    const heard = (deliver as Deliver)(this, event.type, event);
    if (event.type === 'clientConnected') deliver(this, 'connected', event);
    if (event.type === 'clientDisconnected') deliver(this, 'disconnected', event);
    return heard;
  }
}

/** `type` and event always belong together; TypeScript cannot see that through the union. */
type Deliver = (client: object, type: string, event: ClientEvent) => boolean;

/** How long `close()` waits for the event that tells of it, should this thread have been blocked. */
const PATIENCE_MS = 5000;
