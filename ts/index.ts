/**
 * Sluice: a WebRTC SFU for Node.js. A Rust core does the media work; this module is its typed face.
 *
 * @packageDocumentation
 */
export { Server, type ServerEvents, type ServerObserverEvents } from './server.js';
export { optionsFromEnv, type LocalCandidate, type ServerOptions } from './options.js';
export { Registry, type RegistryEvents, type RegistryObserverEvents } from './sfu/registry.js';
export { Client, type ClientEvents } from './sfu/client.js';
export type {
  ClientOptions,
  IceCandidate,
  PreferredLayers,
  Role,
  Slots,
  SubscribeOptions,
} from './sfu/options.js';
export type {
  Codec,
  DtlsState,
  IceState,
  MediaKind,
  PublishedTrack,
  SrtpProfile,
  SubscribedTrack,
  SubscriptionState,
} from './sfu/tracks.js';
export type { ClientStats, LayerStats, SubscriptionStats, TrackStats } from './sfu/stats.js';
export {
  Live,
  type LiveEvents,
  type LiveObserverEvents,
  type LiveQos,
  type PublishOptions,
  type PullOptions,
  type StreamInfo,
  type StreamTrack,
} from './live/live.js';
export {
  allowAll,
  type Authorizer,
  type AuthorizeRequest,
  type Allowed,
  type Refused,
  type Verdict,
} from './live/authorizer.js';
export { jwtAuthorizer, signToken, tokenAuthorizer, type JwtRules } from './live/tokens.js';
export {
  parseStreamKey,
  type LiveCodec,
  type LiveFrame,
  type LiveTrack,
  type StreamKey,
} from './live/media.js';
export { ByteTrack } from './live/byte-track.js';
export type { IngestClient, IngestContext, LiveProtocol, ServedProtocol } from './live/protocol.js';
export {
  PublishSession,
  type ByteTrackOptions,
  type FrameInput,
  type TrackConfig,
} from './live/publish-session.js';
export { Push } from './live/push.js';
export { Pull } from './live/pull.js';
export {
  ForeignSession,
  type ForeignEnded,
  type ForeignEndReason,
  type ForeignOptions,
  type ForeignSessionEvents,
  type Reconnecting,
} from './live/foreign-session.js';
export {
  Recording,
  type RecordingEvents,
  type RecordingsFilter,
  type RecordOptions,
} from './live/recording.js';
export {
  RoomPublisher,
  Showing,
  type BridgeEnd,
  type PublishFromOptions,
  type RoomPublisherEvents,
  type RoomSources,
  type ShowingEvents,
} from './live/bridge.js';
export {
  fsStorage,
  type FsStorage,
  type RecordingStorage,
  type StoredEntry,
} from './live/storage.js';
export { Subscription, type StreamItem } from './live/subscription.js';
export type { StreamSink } from './live/stream-sink.js';
export type { HandlerOptions } from './live/exchange.js';
export type { FetchHandler, FetchInfo } from './live/fetch-handler.js';
export type { NodeHandler } from './live/node-handler.js';
export type {
  BridgeDropped,
  BridgeEnded,
  BridgeEndReason,
  BridgeSource,
  BridgeTrackSkipped,
  CodecChanged,
  FrameRejected,
  LayersChanged,
  LiveEvent,
  LiveEventOf,
  PublishEnded,
  PublishStarted,
  RateLimited,
  RecordedFile,
  RecordingChanged,
  RecordingEnded,
  RecordingFailed,
  RecordingGap,
  SourceState,
  StreamEnded,
  StreamEndReason,
  StreamReaped,
  SubscriberEvicted,
  SubscriberJoined,
  SubscriberLagged,
  SubscriberLeft,
  Transcoding,
} from './live/events.js';
export { EventStream, type AnyEvent, type EventStreamOptions } from './event-stream.js';
export { Emitter, type EventMap } from './emitter.js';
export type { WaitOptions } from './abort.js';
export type {
  BandwidthEstimate,
  ClientConnected,
  ClientDisconnected,
  ClientEvent,
  Close,
  CloseReason,
  DtlsStateChanged,
  ErrorEvent,
  EventsDropped,
  IceStateChanged,
  KeyframeRequest,
  LayerChanged,
  NegotiationNeeded,
  Propagated,
  PropagatedOf,
  RtcpStats,
  StreamPaused,
  SubscriptionsChanged,
  TrackChanged,
  TrackClose,
  TrackMuted,
  TrackOpen,
} from './events.js';
export { isSluiceError, SluiceError, type SluiceErrorCode } from './errors.js';
export { parseClientId, parseTrackId, type Brand, type ClientId, type TrackId } from './ids.js';
export { version } from './version.js';
