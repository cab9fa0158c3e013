import type { ClientId, TrackId } from '../ids.js';

/** Audio or video. */
export type MediaKind = 'audio' | 'video';

/** Codecs by the encoding names of SDP. Minor releases may add some. */
export type Codec = 'opus' | 'VP8' | 'VP9' | 'H264' | 'H265' | 'AV1';

/** ICE, as the W3C names its states; `disconnected`: no pair works at the moment. */
export type IceState = 'new' | 'checking' | 'connected' | 'completed' | 'disconnected';

/** DTLS, as the W3C names its states. */
export type DtlsState = 'connecting' | 'connected' | 'closed';

/** SRTP protection profiles by their IANA names (RFC 5764 §4.1.2, RFC 7714 §14.2). */
export type SrtpProfile =
  'SRTP_AES128_CM_HMAC_SHA1_80' | 'SRTP_AEAD_AES_128_GCM' | 'SRTP_AEAD_AES_256_GCM';

/** A track as its publisher sends it. */
export interface PublishedTrack {
  /** Its id. */
  readonly id: TrackId;
  /** Its publisher. */
  readonly clientId: ClientId;
  /** The publisher's m-line (RFC 8843 §15). */
  readonly mid: string;
  /** Audio or video. */
  readonly kind: MediaKind;
  /** Known from the first packet on. */
  readonly codec?: Codec;
  /** Simulcast rids in the publisher's order, lowest first; empty without simulcast. */
  readonly rids: readonly string[];
  /** Silent by negotiation. */
  readonly muted: boolean;
}

/**
 * Whether a subscription flows: forwarded, waiting for a free slot, or held back by the
 * application.
 */
export type SubscriptionState = 'active' | 'waiting' | 'paused';

/** A track as one subscriber has it. */
export interface SubscribedTrack {
  /** Which track. */
  readonly trackId: TrackId;
  /** Its publisher. */
  readonly sourceClientId: ClientId;
  /** Audio or video. */
  readonly kind: MediaKind;
  /** The subscriber's m-line it plays in; none while it waits. */
  readonly mid?: string;
  /** Whether it flows. */
  readonly state: SubscriptionState;
  /** The simulcast layer that flows. */
  readonly rid?: string;
}
