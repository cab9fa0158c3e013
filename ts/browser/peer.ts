import type { ByeMessage, ClientMessage, Layer, ServerMessage, Subscription } from './messages.js';
import { Negotiation } from './negotiation.js';
import { Publication, codecPreferences, mediaKind, sendEncodings } from './publication.js';
import type { PublishOptions } from './publication.js';
import { Slots } from './slots.js';
import type { RemoteTrack, SlotChange } from './slots.js';
import { StatsSummary } from './stats.js';
import type { PeerStats } from './stats.js';

/** How a {@link Peer} reaches its server. */
export interface PeerOptions {
  /**
   * Sends one message to the server, over any channel that keeps the order: a WebSocket, a fetch queue.
   * May be called before the connection is up.
   */
  readonly send: (message: ClientMessage) => void;
  /** Passed to `RTCPeerConnection`, for example `iceServers`. Default: one bundled transport. */
  readonly rtcConfiguration?: RTCConfiguration;
  /** Where refused descriptions and candidates are told. Default: nowhere. */
  readonly logger?: Pick<Console, 'debug' | 'warn'>;
}

/** The detail of an `error` event. */
export interface PeerError {
  /** The server's code, `ERR_NEGOTIATION` or `ERR_CONNECTION_FAILED`. */
  readonly code: string;
  /** A sentence for people. */
  readonly message: string;
  /** What the browser threw, where it did. */
  readonly cause?: unknown;
}

/** The events of a {@link Peer}. */
export interface PeerEventMap {
  /** A track of another client can be played. */
  trackadded: CustomEvent<RemoteTrack>;
  /** A track ended, was unsubscribed, or lost its slot. */
  trackremoved: CustomEvent<RemoteTrack>;
  /** A received track changed its slot, state, layer or appData. */
  trackchanged: CustomEvent<RemoteTrack>;
  /** The server's list changed, waiting tracks included. */
  subscriptionschange: CustomEvent<readonly Subscription[]>;
  /** {@link Peer.state} changed. */
  statechange: CustomEvent<RTCPeerConnectionState>;
  /** The server refused something, or the connection could not be brought back. */
  error: CustomEvent<PeerError>;
  /** The server ended the session; the peer is closed. */
  bye: CustomEvent<ByeMessage>;
}

/** Options of {@link Peer.addEventListener}. */
export type ListenerOptions = boolean | AddEventListenerOptions;

/**
 * The browser's end of a Sluice room: publishes tracks, receives those of others, and keeps the
 * connection negotiated and alive. It owns one `RTCPeerConnection` and no signaling channel.
 *
 * @example
 * ```ts
 * const peer = new Peer({ send: (message) => socket.send(JSON.stringify(message)) });
 * socket.onmessage = ({ data }) => peer.handle(JSON.parse(data));
 * peer.addEventListener('trackadded', ({ detail: { track } }) => {
 *   video.srcObject = new MediaStream([track]);
 * });
 * await peer.publish(camera, { codec: 'vp8', simulcast: true });
 * ```
 */
export class Peer extends EventTarget {
  readonly #pc: RTCPeerConnection;
  readonly #options: PeerOptions;
  readonly #negotiation: Negotiation;
  readonly #slots: Slots;
  readonly #stats = new StatsSummary();
  readonly #publications = new Map<RTCRtpTransceiver, Publication>();
  readonly #idle = new Map<RTCRtpTransceiver, string>();
  #clientId: string | undefined;
  #state: RTCPeerConnectionState = 'new';
  #restartTimer: ReturnType<typeof setTimeout> | undefined;
  #restarts = 0;

  /** Makes a peer; nothing is sent before {@link publish} or an offer of the server. */
  constructor(options: PeerOptions) {
    super();
    this.#options = options;
    this.#pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle', ...options.rtcConfiguration });
    this.#slots = new Slots((mid) => this.#transceiver(mid)?.receiver.track);
    this.#negotiation = new Negotiation(this.#pc, {
      send: (message) => this.#send(message),
      described: () => this.#announce(this.#slots.refresh()),
      failed: (cause) => this.#fail('ERR_NEGOTIATION', String(cause), cause),
    });
    this.#pc.addEventListener('connectionstatechange', () => this.#connectionChanged());
  }

  /** This peer's id in the room; `undefined` until the server's welcome. */
  get clientId(): string | undefined {
    return this.#clientId;
  }

  /** State of the connection, as `RTCPeerConnection.connectionState`. */
  get state(): RTCPeerConnectionState {
    return this.#state;
  }

  /** The tracks being received, by track id. */
  get remoteTracks(): ReadonlyMap<string, RemoteTrack> {
    return this.#slots.remotes;
  }

  /** Everything subscribed, tracks that wait for a slot included. */
  get subscriptions(): readonly Subscription[] {
    return this.#slots.subscriptions;
  }

  /** What this peer sends. */
  get publications(): readonly Publication[] {
    return [...this.#publications.values()];
  }

  /** The connection underneath, for what this class does not cover. Leave its negotiation alone. */
  get peerConnection(): RTCPeerConnection {
    return this.#pc;
  }

  /** Takes one message of the server. Call it in the order of arrival; unknown types are ignored. */
  handle(message: ServerMessage): void {
    if (this.#state === 'closed') return;
    switch (message.type) {
      case 'welcome':
        this.#clientId = message.clientId;
        break;
      case 'offer':
        this.#negotiation.acceptOffer(message.sdp);
        break;
      case 'answer':
        this.#negotiation.acceptAnswer(message.sdp);
        break;
      case 'candidate':
        this.#negotiation.addCandidate(message.candidate);
        break;
      case 'subscriptions':
        this.#announce(this.#slots.update(message.subscriptions));
        this.#emit('subscriptionschange', message.subscriptions);
        break;
      case 'layer': {
        const { type: _, trackId, ...layer } = message;
        this.#announce(this.#slots.setLayer(trackId, layer));
        break;
      }
      case 'error':
        this.#fail(message.code, message.message);
        break;
      case 'bye':
        this.#close();
        this.#emit('bye', message);
        break;
    }
  }

  /**
   * Sends a track to the room. An m-line left by {@link Publication.stop} is used again where it fits.
   * @throws {DOMException} `InvalidStateError` once closed; what the browser throws for bad encodings.
   */
  async publish(track: MediaStreamTrack, options: PublishOptions = {}): Promise<Publication> {
    const encodings = sendEncodings(track, options);
    const key = settingsKey(track, options, encodings);
    const transceiver = await this.#sendTransceiver(track, encodings, options, key);
    const publication = new Publication(transceiver, track, options, (released) => {
      this.#publications.delete(released);
      if (this.#state === 'closed') return;
      this.#idle.set(released, key);
      released.direction = 'inactive';
    });
    this.#publications.set(transceiver, publication);
    return publication;
  }

  /** Wishes for a layer of a track; an empty wish leaves the choice to the server again. */
  setPreferredLayers(trackId: string, layer: Layer): void {
    this.#send({ type: 'layers', trackId, ...layer });
  }

  /** Stops receiving a track; its slot is kept. */
  pause(trackId: string): void {
    this.#send({ type: 'pause', trackId });
  }

  /** Takes {@link pause} back; the picture starts on a keyframe. */
  resume(trackId: string): void {
    this.#send({ type: 'resume', trackId });
  }

  /** Says how much a track matters when bandwidth is short; higher is served first. */
  setPriority(trackId: string, priority: number): void {
    this.#send({ type: 'priority', trackId, priority });
  }

  /** Looks for a new network path at once; also done by itself when the path fails. */
  restartIce(): void {
    this.#pc.restartIce();
  }

  /** Measures the connection. Rates span the time since the previous call; the first gives 0. */
  async getStats(): Promise<PeerStats> {
    return this.#stats.read(await this.#pc.getStats(), this.#slots.remotes.values());
  }

  /** Leaves the room. Published tracks are not stopped, they belong to the application. Idempotent. */
  close(): void {
    if (this.#state === 'closed') return;
    this.#send({ type: 'leave' });
    this.#close();
  }

  /** Listens to one of {@link PeerEventMap}. */
  override addEventListener<T extends keyof PeerEventMap>(
    type: T,
    listener: (event: PeerEventMap[T]) => void,
    options?: ListenerOptions,
  ): void;
  override addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: ListenerOptions,
  ): void;
  override addEventListener(type: string, listener: unknown, options?: ListenerOptions): void {
    super.addEventListener(type, listener as EventListener | null, options);
  }

  async #sendTransceiver(
    track: MediaStreamTrack,
    encodings: RTCRtpEncodingParameters[],
    options: PublishOptions,
    key: string,
  ): Promise<RTCRtpTransceiver> {
    const reused = [...this.#idle].find(([, idleKey]) => idleKey === key)?.[0];
    if (reused) {
      this.#idle.delete(reused);
      await reused.sender.replaceTrack(track);
      const parameters = reused.sender.getParameters();
      parameters.encodings.forEach((encoding, i) =>
        Object.assign(encoding, encodings[i], { active: true }),
      );
      await reused.sender.setParameters(parameters);
      reused.direction = 'sendonly';
      return reused;
    }
    const transceiver = this.#pc.addTransceiver(track, {
      direction: 'sendonly',
      sendEncodings: encodings,
    });
    if (track.kind === 'video') {
      const codecs = RTCRtpReceiver.getCapabilities('video')?.codecs ?? [];
      transceiver.setCodecPreferences(codecPreferences(codecs, options.codec ?? 'vp8'));
    }
    return transceiver;
  }

  #transceiver(mid: string): RTCRtpTransceiver | undefined {
    return this.#pc.getTransceivers().find((transceiver) => transceiver.mid === mid);
  }

  #connectionChanged(): void {
    clearTimeout(this.#restartTimer);
    const state = this.#pc.connectionState;
    if (state === 'connected') this.#restarts = 0;
    // A short loss of the path heals by itself; a restart would only cost a round trip.
    if (state === 'disconnected')
      this.#restartTimer = setTimeout(() => this.#restart(), DISCONNECTED_MS);
    if (state === 'failed') this.#restart();
    this.#setState(state);
  }

  #restart(): void {
    if (this.#restarts >= MAX_RESTARTS) {
      this.#fail(
        'ERR_CONNECTION_FAILED',
        `no path to the server after ${MAX_RESTARTS} ICE restarts`,
      );
      return;
    }
    this.#restarts += 1;
    this.#options.logger?.debug(`sluice: ICE restart ${this.#restarts}`);
    this.#pc.restartIce();
  }

  #close(): void {
    clearTimeout(this.#restartTimer);
    this.#pc.close();
    this.#announce(this.#slots.update([]));
    this.#setState('closed');
  }

  #setState(state: RTCPeerConnectionState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#emit('statechange', state);
  }

  #announce(changes: readonly SlotChange[]): void {
    for (const { type, remote } of changes) this.#emit(type, remote);
  }

  #fail(code: string, message: string, cause?: unknown): void {
    this.#options.logger?.warn(`sluice: ${code}: ${message}`);
    this.#emit('error', { code, message, ...(cause !== undefined && { cause }) });
  }

  #send(message: ClientMessage): void {
    try {
      this.#options.send(message);
    } catch (cause) {
      this.#options.logger?.warn('sluice: the signaling channel refused a message', cause);
    }
  }

  #emit<T extends keyof PeerEventMap>(type: T, detail: PeerEventMap[T]['detail']): void {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/** Publications that agree on this may share an m-line, one after the other. */
function settingsKey(
  track: MediaStreamTrack,
  { codec = 'vp8' }: PublishOptions,
  encodings: readonly RTCRtpEncodingParameters[],
): string {
  if (mediaKind(track) === 'audio') return 'audio';
  return `video ${codec} ${encodings.map(({ rid = '' }) => rid).join()}`;
}

const DISCONNECTED_MS = 2000;
const MAX_RESTARTS = 5;
