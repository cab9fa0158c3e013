import type { ByType, Drift } from '../drift.js';
import type { TrackId } from '../ids.js';
import type * as Generated from '../native.js';
import type { LiveCodec, StreamKey } from './media.js';

/** What every event of a stream carries. */
interface OfStream {
  /** Which stream. */
  readonly key: StreamKey;
}

/** A publisher holds the key. Comes once per publisher. */
export interface PublishStarted extends OfStream {
  /** The discriminant. */
  readonly type: 'publishStarted';
  /** Over what it came, for example `whip` or `application`. */
  readonly protocol: string;
  /** From where. */
  readonly address?: string;
  /** Who it is, by the authorizer's word. */
  readonly identity?: string;
}

/** A publisher let the key go. Comes once per publisher. */
export interface PublishEnded extends OfStream {
  /** The discriminant. */
  readonly type: 'publishEnded';
  /** Why. */
  readonly reason:
    'completed' | 'disconnected' | 'malformed' | 'replaced' | 'idle' | 'rateLimited' | 'closed';
  /** Frames it brought. */
  readonly frames: number;
  /** Bytes it brought. */
  readonly bytes: number;
}

/** Where the stream's frames come from, or that they do not. */
export interface SourceState extends OfStream {
  /** The discriminant. */
  readonly type: 'sourceState';
  /** `resuming`: the publisher was lost, and the next one is waited for. */
  readonly state: 'live' | 'resuming' | 'ended';
  /** Whose turn it is: 1 for the stream's first publisher, one more for each that follows. */
  readonly epoch: number;
}

/** The stream is over: its readers have what is left. */
export interface StreamEnded extends OfStream {
  /** The discriminant. */
  readonly type: 'streamEnded';
  /** Why. */
  readonly reason: StreamEndReason;
}

/** Why there is nothing more to read. */
export type StreamEndReason = 'completed' | 'publisherLost' | 'idle' | 'closed' | 'evicted';

/** A reader came. */
export interface SubscriberJoined extends OfStream {
  /** The discriminant. */
  readonly type: 'subscriberJoined';
  /** Over what. */
  readonly protocol: string;
}

/** A reader went. */
export interface SubscriberLeft extends OfStream {
  /** The discriminant. */
  readonly type: 'subscriberLeft';
  /** Over what. */
  readonly protocol: string;
  /** Frames it has read. */
  readonly frames: number;
}

/** A reader was too slow and lost frames. */
export interface SubscriberLagged extends OfStream {
  /** The discriminant. */
  readonly type: 'subscriberLagged';
  /** Over what. */
  readonly protocol: string;
  /** Frames it will never see. */
  readonly skipped: number;
  /** How much time they are. */
  readonly lostMs: number;
}

/** A reader was too slow for too long and is closed. */
export interface SubscriberEvicted extends OfStream {
  /** The discriminant. */
  readonly type: 'subscriberEvicted';
  /** Over what. */
  readonly protocol: string;
  /** Time it lost within the window of its policy. */
  readonly lostMs: number;
}

/** The first recorder began, or the last one ended. */
export interface RecordingChanged extends OfStream {
  /** The discriminant. */
  readonly type: 'recording';
  /** It is recorded now. */
  readonly active: boolean;
}

/** A finished file of a recording. */
export interface RecordedFile {
  /** Its path in the recording's directory: `app/stream/<time>.mp4`. */
  readonly name: string;
  /** When its first frame came, in milliseconds since 1970. */
  readonly startedAtMs: number;
  /** When its last frame ended, in milliseconds since 1970. */
  readonly endedAtMs: number;
  /** How long it plays: less than from start to end where the publisher was away. */
  readonly durationMs: number;
  /** Its length. */
  readonly bytes: number;
  /** How its tracks are coded (RFC 6381), as `avc1.42e01f,opus`. */
  readonly codecs: string;
}

/** What every event of a recording carries. */
interface OfRecording extends OfStream {
  /** Which recording: its `id`. */
  readonly recording: number;
}

/**
 * The disk is too slow, and a recording misses parts. Told with the first one, and with the others
 * when it goes on. The stream does not notice.
 */
export interface RecordingGap extends OfRecording {
  /** The discriminant. */
  readonly type: 'recordingGap';
  /** How many since the last such event. */
  readonly parts: number;
  /** How much time they are. */
  readonly lostMs: number;
}

/** A recording cannot go on; `recordingEnded` follows. The stream does not notice. */
export interface RecordingFailed extends OfRecording {
  /** The discriminant. */
  readonly type: 'recordingFailed';
  /** `full`: no room is left; `denied`: it may not be written; `unsupported`: MP4 lacks a codec. */
  readonly reason: 'full' | 'denied' | 'storage' | 'unsupported';
  /** What went wrong, with the directory. */
  readonly message: string;
}

/** A recording is over, and its files are finished. Its last event. */
export interface RecordingEnded extends OfRecording {
  /** The discriminant. */
  readonly type: 'recordingEnded';
  /** What was recorded, the oldest first; of more than 10 000 files the newest. */
  readonly files: readonly RecordedFile[];
  /** Time that is missing because the disk was slow. */
  readonly lostMs: number;
}

/** What every event of a bridge carries. */
interface OfBridge extends OfStream {
  /** Which bridge: its `id`. */
  readonly bridge: number;
}

/** Other tracks of a room are published as this stream from here on. */
export interface BridgeSource extends OfBridge {
  /** The discriminant. */
  readonly type: 'bridgeSource';
  /** Whose picture is seen. */
  readonly video?: TrackId;
  /** Whose sound is heard. */
  readonly audio?: TrackId;
}

/** A track of the stream is not shown in the room: no browser takes its codec. */
export interface BridgeTrackSkipped extends OfBridge {
  /** The discriminant. */
  readonly type: 'bridgeTrackSkipped';
  /** Which track of the stream. */
  readonly track: number;
  /** Its codec; absent for one this version has no word for. */
  readonly codec?: LiveCodec;
}

/** Frames are missing between a room and a stream because a thread was too slow for them. */
export interface BridgeDropped extends OfBridge {
  /** The discriminant. */
  readonly type: 'bridgeDropped';
  /** How many since the last such event. */
  readonly frames: number;
}

/** A bridge between a room and a stream is over. Its last event. */
export interface BridgeEnded extends OfBridge {
  /** The discriminant. */
  readonly type: 'bridgeEnded';
  /** Why. */
  readonly reason: BridgeEndReason;
}

/**
 * Why a bridge between a room and a stream has ended.
 *
 * - `stopped`: by `stop()`.
 * - `roomClosed`, `streamEnded`: one of its sides is gone.
 * - `trackClosed`: all tracks that it was to publish are.
 * - `replaced`: another publisher took the stream.
 * - `idle`: nothing came of the room for too long.
 * - `rateLimited`: the room sent more than the stream's application allows.
 * - `internal`: our fault; please report it.
 */
export type BridgeEndReason =
  | 'stopped'
  | 'roomClosed'
  | 'trackClosed'
  | 'replaced'
  | 'idle'
  | 'rateLimited'
  | 'streamEnded'
  | 'internal';

/** The first transcoder began, or the last one ended. */
export interface Transcoding extends OfStream {
  /** The discriminant. */
  readonly type: 'transcoding';
  /** It is transcoded now. */
  readonly active: boolean;
}

/** A track is new, or is coded in another way from here on. */
export interface CodecChanged extends OfStream {
  /** The discriminant. */
  readonly type: 'codecChanged';
  /** Which track. */
  readonly track: number;
  /** Its codec; absent for one this version has no word for. */
  readonly codec?: LiveCodec;
  /** Its configuration's number, from 1. */
  readonly revision: number;
}

/** A layer of this stream came or went. */
export interface LayersChanged extends OfStream {
  /** The discriminant. */
  readonly type: 'layersChanged';
  /** The names of all layers that are live. */
  readonly layers: readonly string[];
}

/** A publisher sent more than it may; its turn ends. */
export interface RateLimited extends OfStream {
  /** The discriminant. */
  readonly type: 'rateLimited';
  /** The limit. */
  readonly bytesPerSecond: number;
}

/** A publisher sent nothing for too long; the stream ends. */
export interface StreamReaped extends OfStream {
  /** The discriminant. */
  readonly type: 'streamReaped';
}

/** Frames of a publisher were refused. At most one such event a second and stream. */
export interface FrameRejected extends OfStream {
  /** The discriminant. */
  readonly type: 'frameRejected';
  /** Why the newest was. */
  readonly message: string;
  /** How many since the last such event. */
  readonly count: number;
}

/** Something that happened to a live stream. A later version may add types: ignore unknown ones. */
export type LiveEvent =
  | PublishStarted
  | PublishEnded
  | SourceState
  | StreamEnded
  | SubscriberJoined
  | SubscriberLeft
  | SubscriberLagged
  | SubscriberEvicted
  | RecordingChanged
  | RecordingGap
  | RecordingFailed
  | RecordingEnded
  | BridgeSource
  | BridgeTrackSkipped
  | BridgeDropped
  | BridgeEnded
  | Transcoding
  | CodecChanged
  | LayersChanged
  | RateLimited
  | StreamReaped
  | FrameRejected;

/** The events of the given types. */
export type LiveEventOf<Type extends LiveEvent['type']> = LiveEvent & {
  /** One of the given types. */
  readonly type: Type;
};

/**
 * Fails to compile, naming the event, when the types above differ from those that Rust generates.
 *
 * @internal
 */
export const noLiveDrift = (
  difference: Drift<ByType<Exclude<Generated.LiveEvent, { type: 'authorize' }>>, ByType<LiveEvent>>,
): never => difference;

/**
 * Events that no reader may lose, because nothing later repeats what they tell.
 *
 * @internal
 */
export function isLiveLifecycle({ type }: { readonly type: string }): boolean {
  return type !== 'subscriberLagged' && type !== 'frameRejected' && type !== 'bridgeDropped';
}
