import type { ByType, Drift, Plain } from './drift.js';
import type { ClientId, TrackId } from './ids.js';
import type * as Generated from './native.js';
import type { ClientStats } from './sfu/stats.js';
import type {
  DtlsState,
  IceState,
  PublishedTrack,
  SrtpProfile,
  SubscribedTrack,
} from './sfu/tracks.js';

/**
 * Why a client, or a registry, is gone.
 *
 * - `application`: `close()`, in its own words.
 * - `peer`: the peer said goodbye (DTLS close_notify or RTCP BYE).
 * - `ice`: ICE never connected, or every pair died.
 * - `dtls`: the DTLS handshake failed.
 * - `timeout`: consent or media stopped for too long (RFC 7675 §5.1).
 * - `sdp`: a negotiation failed half-way and could not be undone.
 * - `registryClosed`, `serverClosed`: what it lived in was closed.
 * - `internal`: our own fault.
 */
export type CloseReason =
  | 'application'
  | 'peer'
  | 'ice'
  | 'dtls'
  | 'timeout'
  | 'sdp'
  | 'registryClosed'
  | 'serverClosed'
  | 'internal';

/** ICE and DTLS are up: media can flow. */
export interface ClientConnected {
  /** The discriminant. */
  readonly type: 'clientConnected';
  /** Who. */
  readonly clientId: ClientId;
}

/** The client is gone and everything it held is freed. Comes exactly once per client. */
export interface ClientDisconnected {
  /** The discriminant. */
  readonly type: 'clientDisconnected';
  /** Who. */
  readonly clientId: ClientId;
  /** Why. */
  readonly reason: CloseReason;
  /** The words given to `close()`, or what went wrong. */
  readonly message?: string;
}

/** A client began to publish a track. */
export interface TrackOpen {
  /** The discriminant. */
  readonly type: 'trackOpen';
  /** The publisher. */
  readonly clientId: ClientId;
  /** What it publishes. */
  readonly track: PublishedTrack;
}

/** A published track ended. */
export interface TrackClose {
  /** The discriminant. */
  readonly type: 'trackClose';
  /** The publisher. */
  readonly clientId: ClientId;
  /** Which. */
  readonly trackId: TrackId;
  /** Its m-line was stopped or rejected by the publisher, or the publisher is gone. */
  readonly reason: 'stopped' | 'clientGone';
}

/** The publisher stopped or resumed sending by negotiation (`a=inactive`, `a=sendonly`). */
export interface TrackMuted {
  /** The discriminant. */
  readonly type: 'trackMuted';
  /** The publisher. */
  readonly clientId: ClientId;
  /** Which. */
  readonly trackId: TrackId;
  /** Whether it is silent now. */
  readonly muted: boolean;
}

/** Codec or layers of a published track are known, or differ from before. */
export interface TrackChanged {
  /** The discriminant. */
  readonly type: 'trackChanged';
  /** The publisher. */
  readonly clientId: ClientId;
  /** The track as it is now. */
  readonly track: PublishedTrack;
}

/** The server has something to offer to this client: call `client.createOffer()`. */
export interface NegotiationNeeded {
  /** The discriminant. */
  readonly type: 'negotiationNeeded';
  /** Who. */
  readonly clientId: ClientId;
}

/** Which tracks this client gets, and in which m-line. Always the complete list. */
export interface SubscriptionsChanged {
  /** The discriminant. */
  readonly type: 'subscriptionsChanged';
  /** The subscriber. */
  readonly clientId: ClientId;
  /** All its subscriptions. */
  readonly subscriptions: readonly SubscribedTrack[];
}

/** A subscriber now gets another layer of a track. */
export interface LayerChanged {
  /** The discriminant. */
  readonly type: 'layerChanged';
  /** The subscriber. */
  readonly clientId: ClientId;
  /** Which track. */
  readonly trackId: TrackId;
  /** The simulcast layer it gets now; none without simulcast. */
  readonly rid?: string;
  /** Spatial layer inside the encoding, 0 lowest. */
  readonly spatial: number;
  /** Temporal layer, 0 lowest. */
  readonly temporal: number;
  /** The first one, asked for by the application, allowed by the estimate, or the old fell silent. */
  readonly cause: 'start' | 'preference' | 'bandwidth' | 'sourceSilent';
}

/** A published layer fell silent or came back. */
export interface StreamPaused {
  /** The discriminant. */
  readonly type: 'streamPaused';
  /** The publisher. */
  readonly clientId: ClientId;
  /** Which track. */
  readonly trackId: TrackId;
  /** Which simulcast layer; none without simulcast. */
  readonly rid?: string;
  /** Whether it is silent now. */
  readonly paused: boolean;
}

/** A subscriber asked for a keyframe (RFC 4585 §6.3.1, RFC 5104 §4.3.1). */
export interface KeyframeRequest {
  /** The discriminant. */
  readonly type: 'keyframeRequest';
  /** The subscriber. */
  readonly clientId: ClientId;
  /** The publisher it was meant for. */
  readonly sourceClientId: ClientId;
  /** Of which track. */
  readonly trackId: TrackId;
  /** Of which simulcast layer. */
  readonly rid?: string;
  /** How it asked: picture loss indication or full intra request. */
  readonly kind: 'pli' | 'fir';
  /** It rode on an earlier request: nothing was sent to the publisher. */
  readonly merged: boolean;
}

/** What can be sent to this client. */
export interface BandwidthEstimate {
  /** The discriminant. */
  readonly type: 'bandwidthEstimate';
  /** The subscriber. */
  readonly clientId: ClientId;
  /** Payload and overhead. */
  readonly bitsPerSecond: number;
  /** The smallest term: the estimate itself, the receiver's REMB, or `setMaxOutgoingBitrate()`. */
  readonly bindingTerm: 'native' | 'remb' | 'ceiling';
}

/** The receiver reports of one second (RFC 3550 §6.4), while media flows to or from the client. */
export interface RtcpStats {
  /** The discriminant. */
  readonly type: 'rtcpStats';
  /** The subscriber. */
  readonly clientId: ClientId;
  /** Lost share of what was sent, 0 to 1. */
  readonly fractionLost: number;
  /** Round trip, if known. */
  readonly roundTripTimeMs?: number;
  /** Interarrival jitter of what the client sends us. */
  readonly jitterMs: number;
}

/** ICE moved on. */
export interface IceStateChanged {
  /** The discriminant. */
  readonly type: 'iceStateChanged';
  /** Who. */
  readonly clientId: ClientId;
  /** To what. */
  readonly state: IceState;
  /** The peer's address and port in use, once there is one. */
  readonly remoteAddress?: string;
}

/** DTLS moved on. */
export interface DtlsStateChanged {
  /** The discriminant. */
  readonly type: 'dtlsStateChanged';
  /** Who. */
  readonly clientId: ClientId;
  /** To what. */
  readonly state: DtlsState;
  /** The SRTP profile agreed on, when connected. */
  readonly srtpProfile?: SrtpProfile;
}

/**
 * Something went wrong that ended no more than what it names. Without a listener for it the
 * server's `'error'` tells it.
 */
export interface ErrorEvent {
  /** The discriminant. */
  readonly type: 'error';
  /** The client concerned, if it is one. */
  readonly clientId?: ClientId;
  /** What. */
  readonly message: string;
}

/** The registry itself is closed: its last event. */
export interface Close {
  /** The discriminant. */
  readonly type: 'close';
  /** Why. */
  readonly reason: CloseReason;
  /** The words given to `close()`, or what went wrong. */
  readonly message?: string;
}

/**
 * Everything a registry reports, in the order it happened: discriminated by `type`.
 *
 * Minor releases may add members: give a `switch` over `type` a `default` branch.
 */
export type Propagated =
  | ClientConnected
  | ClientDisconnected
  | TrackOpen
  | TrackClose
  | TrackMuted
  | TrackChanged
  | NegotiationNeeded
  | SubscriptionsChanged
  | LayerChanged
  | StreamPaused
  | KeyframeRequest
  | BandwidthEstimate
  | RtcpStats
  | IceStateChanged
  | DtlsStateChanged
  | ErrorEvent
  | Close;

/** The events of the given types. */
export type PropagatedOf<Type extends Propagated['type']> = Propagated & {
  /** One of the given types. */
  readonly type: Type;
};

/** The events of a registry that concern one client. */
export type ClientEvent = Exclude<Propagated, Close>;

/** Events were lost because the process was too slow to take them. Lifecycle events never are. */
export interface EventsDropped {
  /** The discriminant. */
  readonly type: 'eventsDropped';
  /** `state`: over 4096 keys were waiting; `telemetry`: over 4096 events were. */
  readonly lane: 'lifecycle' | 'state' | 'telemetry';
  /** How many since the last such event. */
  readonly count: number;
}

/**
 * Fails to compile, naming the event, when the types above differ from those that Rust generates.
 *
 * @internal
 */
export const noDrift = (
  difference:
    | Drift<ByType<Generated.Event>, ByType<Propagated | EventsDropped>>
    | Drift<{ stats: Plain<Generated.ClientStats> }, { stats: Plain<ClientStats> }>,
): never => difference;

/**
 * The client an event concerns, if it is one.
 *
 * @internal
 */
export function subject(event: Propagated): ClientId | undefined {
  switch (event.type) {
    case 'clientConnected':
    case 'clientDisconnected':
    case 'trackOpen':
    case 'trackClose':
    case 'trackMuted':
    case 'trackChanged':
    case 'negotiationNeeded':
    case 'subscriptionsChanged':
    case 'layerChanged':
    case 'streamPaused':
    case 'keyframeRequest':
    case 'bandwidthEstimate':
    case 'rtcpStats':
    case 'iceStateChanged':
    case 'dtlsStateChanged':
    case 'error':
      return event.clientId;
    case 'close':
      return undefined;
    default:
      return unknownEvent(event);
  }
}

/**
 * Events that no reader may lose, because nothing later repeats what they tell.
 *
 * @internal
 */
export function isLifecycle({ type }: { readonly type: string }): boolean {
  return lifecycle.has(type);
}

const lifecycle: ReadonlySet<string> = new Set<Propagated['type']>([
  'clientConnected',
  'clientDisconnected',
  'trackOpen',
  'trackClose',
  'negotiationNeeded',
  'error',
  'close',
]);

/**
 * Where the events of one server go.
 *
 * @internal
 */
export interface EventTargets {
  /** The receiver of a registry's events; none when it is closed here already. */
  readonly registry: (id: number) => ((event: Propagated) => void) | undefined;
  /** Takes what happened to a live stream. */
  readonly live: (event: Generated.LiveEvent) => void;
  /** Takes a loss. */
  readonly dropped: (event: EventsDropped) => void;
  /** Takes what a target threw. */
  readonly report: (error: unknown) => void;
}

/**
 * The function that the native side calls with each batch. It never throws: a throw there would
 * end the process.
 *
 * @internal
 */
export function dispatcher(targets: EventTargets): (batch: readonly Generated.Delivery[]) => void {
  const one = (registryId: number | undefined, event: Generated.Event): void => {
    try {
      if (event.type === 'eventsDropped') targets.dropped(event);
      // The ids are ours: the brand is only a type. `noDrift` holds the rest to the same shape.
      else if (registryId !== undefined) targets.registry(registryId)?.(event as Propagated);
    } catch (error) {
      targets.report(error);
    }
  };
  const live = (event: Generated.LiveEvent): void => {
    try {
      targets.live(event);
    } catch (error) {
      targets.report(error);
    }
  };
  return (batch) => {
    for (const { registryId, events, liveEvents } of batch) {
      for (const event of events) one(registryId, event);
      for (const event of liveEvents) live(event);
    }
  };
}

/** A newer addon under an older facade: tell what can be told. */
function unknownEvent(event: never): ClientId | undefined {
  return (event as { readonly clientId?: ClientId }).clientId;
}
