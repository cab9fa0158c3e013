/** Whether a track carries sound or pictures. */
export type MediaKind = 'audio' | 'video';

/** A layer of a published track, named the way its publisher and codec name it. */
export interface Layer {
  /** Simulcast encoding (RFC 8851), for example `q`, `h` or `f`. */
  readonly rid?: string;
  /** Spatial layer of an SVC stream, from 0. */
  readonly spatial?: number;
  /** Temporal layer, from 0. */
  readonly temporal?: number;
}

/** One track this peer is subscribed to, as the server sees it now. */
export interface Subscription {
  /** The track, unique in its room. */
  readonly trackId: string;
  /** The client that publishes it. */
  readonly clientId: string;
  /** Sound or pictures. */
  readonly kind: MediaKind;
  /** The receive slot that carries it; `null` while it waits for one. */
  readonly mid: string | null;
  /** `waiting` has no slot yet; `paused` keeps its slot but nothing is sent on it. */
  readonly state: 'active' | 'waiting' | 'paused';
  /** The simulcast encoding being forwarded, where there is one. */
  readonly rid?: string;
  /** Whatever the application attaches to the publisher, for example its display name. */
  readonly appData?: unknown;
}

/** A session description, in either direction (RFC 9429). */
export interface DescriptionMessage {
  /** `offer` or `answer`. */
  readonly type: 'offer' | 'answer';
  /** The description itself. */
  readonly sdp: string;
}

/** A trickled candidate, in either direction (RFC 8838). */
export interface CandidateMessage {
  /** `candidate`. */
  readonly type: 'candidate';
  /** The candidate; `null` says there are no more. */
  readonly candidate: RTCIceCandidateInit | null;
}

/** The server let this client into the room. */
export interface WelcomeMessage {
  /** `welcome`. */
  readonly type: 'welcome';
  /** This client's id. */
  readonly clientId: string;
}

/** The tracks this client receives, always the complete list: what is absent is gone. */
export interface SubscriptionsMessage {
  /** `subscriptions`. */
  readonly type: 'subscriptions';
  /** In the order in which slots are given. */
  readonly subscriptions: readonly Subscription[];
}

/** The server forwards another layer of a track now. */
export interface LayerMessage extends Layer {
  /** `layer`. */
  readonly type: 'layer';
  /** The track. */
  readonly trackId: string;
}

/** The server refused something this client sent. */
export interface ErrorMessage {
  /** `error`. */
  readonly type: 'error';
  /** A code for programs. */
  readonly code: string;
  /** A sentence for people. */
  readonly message: string;
}

/** The server ended the session. */
export interface ByeMessage {
  /** `bye`. */
  readonly type: 'bye';
  /** Why. */
  readonly reason: string;
}

/** A wish for a layer; without `rid`, `spatial` and `temporal` the server chooses again. */
export interface LayersMessage extends Layer {
  /** `layers`. */
  readonly type: 'layers';
  /** The track. */
  readonly trackId: string;
}

/** Stops and restarts the forwarding of one track. */
export interface PauseMessage {
  /** `pause` or `resume`. */
  readonly type: 'pause' | 'resume';
  /** The track. */
  readonly trackId: string;
}

/** How much a track matters when bandwidth is short. */
export interface PriorityMessage {
  /** `priority`. */
  readonly type: 'priority';
  /** The track. */
  readonly trackId: string;
  /** Higher is served first. */
  readonly priority: number;
}

/** This client leaves. */
export interface LeaveMessage {
  /** `leave`. */
  readonly type: 'leave';
}

/**
 * What the server's side of the signaling channel sends. Pass each to {@link Peer.handle}.
 * Minor releases may add members; a peer ignores a `type` it does not know.
 */
export type ServerMessage =
  | WelcomeMessage
  | DescriptionMessage
  | CandidateMessage
  | SubscriptionsMessage
  | LayerMessage
  | ErrorMessage
  | ByeMessage;

/** What a {@link Peer} sends to the server's side of the signaling channel. */
export type ClientMessage =
  | DescriptionMessage
  | CandidateMessage
  | LayersMessage
  | PauseMessage
  | PriorityMessage
  | LeaveMessage;
