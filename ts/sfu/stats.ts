import type { ClientId } from '../ids.js';
import type { ClientStats as Generated } from '../native.js';
import type {
  DtlsState,
  IceState,
  PublishedTrack,
  SrtpProfile,
  SubscribedTrack,
} from './tracks.js';

/** One client, measured. Counters are absolute and never reset. */
export interface ClientStats {
  /** Who. */
  readonly clientId: ClientId;
  /** ICE now. */
  readonly iceState: IceState;
  /** DTLS now. */
  readonly dtlsState: DtlsState;
  /** What protects its media. */
  readonly srtpProfile?: SrtpProfile;
  /** The peer's address and port in use. */
  readonly remoteAddress?: string;
  /** Smoothed round trip. */
  readonly roundTripTimeMs?: number;
  /** Lost share of what was sent to it, 0 to 1. */
  readonly fractionLost?: number;
  /** Interarrival jitter of what it sends, the worst of its streams (RFC 3550 §6.4.1). */
  readonly jitterMs: number;
  /** What can be sent to it. */
  readonly availableOutgoingBitsPerSecond?: number;
  /** RTP bytes received since the start. */
  readonly bytesReceived: number;
  /** RTP bytes sent since the start. */
  readonly bytesSent: number;
  /** m-lines negotiated, in all states. */
  readonly mediaLines: number;
  /** What it publishes. */
  readonly tracks: readonly TrackStats[];
  /** What it gets. */
  readonly subscriptions: readonly SubscriptionStats[];
}

/** One published track, measured. */
export interface TrackStats {
  /** The track. */
  readonly track: PublishedTrack;
  /** Its layers, lowest first; one without `rid` when there is no simulcast. */
  readonly layers: readonly LayerStats[];
  /** Subscribers that have it in a slot. */
  readonly subscribers: number;
}

/** One published layer, measured. */
export interface LayerStats {
  /** Simulcast rid. */
  readonly rid?: string;
  /** Whether packets came lately. */
  readonly active: boolean;
  /** Payload bits over the last second. */
  readonly bitsPerSecond: number;
  /** Packets since the start. */
  readonly packets: number;
  /** Payload bytes since the start. */
  readonly bytes: number;
  /** Keyframes since the start. */
  readonly keyframes: number;
  /** Keyframe requests sent to the publisher. */
  readonly keyframeRequests: number;
  /** Picture width in pixels, where the codec tells it. */
  readonly width?: number;
  /** Picture height in pixels, where the codec tells it. */
  readonly height?: number;
}

/** One subscription, measured. */
export interface SubscriptionStats {
  /** The subscription. */
  readonly subscription: SubscribedTrack;
  /** Its priority, 0 to 255. */
  readonly priority: number;
  /** Payload bits over the last second. */
  readonly bitsPerSecond: number;
  /** Packets forwarded since it was bound to its slot. */
  readonly packets: number;
  /** Payload bytes forwarded since it was bound to its slot. */
  readonly bytes: number;
  /** Layer switches since it was bound to its slot. */
  readonly switches: number;
}

/**
 * The ids are ours: their brand is only a type. `noDrift` holds the rest to the same shape.
 *
 * @internal
 */
export function branded(stats: Generated): ClientStats {
  return stats as unknown as ClientStats;
}
