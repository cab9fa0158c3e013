/**
 * `sluice/browser`: the browser's end of a Sluice room. No dependencies; any signaling channel.
 *
 * @packageDocumentation
 */
export { Peer } from './peer.js';
export type { ListenerOptions, PeerError, PeerEventMap, PeerOptions } from './peer.js';
export { Publication } from './publication.js';
export type { PublishOptions, VideoCodec } from './publication.js';
export type { RemoteTrack } from './slots.js';
export type { LocalEncodingStats, PeerStats, RemoteTrackStats } from './stats.js';
export type {
  ByeMessage,
  CandidateMessage,
  ClientMessage,
  DescriptionMessage,
  ErrorMessage,
  Layer,
  LayerMessage,
  LayersMessage,
  LeaveMessage,
  MediaKind,
  PauseMessage,
  PriorityMessage,
  ServerMessage,
  Subscription,
  SubscriptionsMessage,
  WelcomeMessage,
} from './messages.js';
