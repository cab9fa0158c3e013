import { call } from '../abort.js';
import { checkFinite, checkInteger, checkOptions } from '../check.js';
import { ignoreClosed, SluiceError } from '../errors.js';
import type { LiveCodec as NativeCodec, LiveFinish, NativePublisher } from '../native.js';
import { createByteTrack, type ByteTrack } from './byte-track.js';
import type { LiveCodec, StreamKey } from './media.js';

/** How a published track is coded. */
export interface TrackConfig {
  /** 0 for the video and 1 for the audio of a stream by custom. */
  readonly track: number;
  /** Its codec. */
  readonly codec: LiveCodec;
  /**
   * The decoder configuration in the form MP4 carries; see `LiveTrack.record`. Where it is empty,
   * the keyframes of VP8, VP9, AV1 and MP3 tell it, those of H.264 and H.265 if their parameter
   * sets are left in, and Opus is stereo; AAC cannot do without. Default empty.
   */
  readonly record?: Uint8Array;
  /** Ticks per second in which its times are kept. Default 90 000, and 48 000 for sound. */
  readonly rate?: number;
}

/** How a track comes as bytes. */
export interface ByteTrackOptions {
  /** 0 for the video and 1 for the audio of a stream by custom. */
  readonly track: number;
  /** What the bytes are. */
  readonly codec: 'H264' | 'H265' | 'AAC';
  /** Pictures a second; needed for video. */
  readonly framesPerSecond?: number;
}

/** A frame to publish; see `LiveFrame` for the form of its bytes. */
export interface FrameInput {
  /** Its track, which `setTrack()` has announced. */
  readonly track: number;
  /** When it is shown, in milliseconds on a timeline of your own. */
  readonly ptsMs: number;
  /** When it is decoded. Default `ptsMs`. */
  readonly dtsMs?: number;
  /** How long it lasts. Default until the next one. */
  readonly durationMs?: number;
  /** A decoder may begin here. Sound always can. */
  readonly keyframe: boolean;
  /** No other frame refers to it. Default `false`. */
  readonly discardable?: boolean;
  /** The coded bytes; copied before the call returns. */
  readonly data: Uint8Array;
}

/** Makes a session; only `Live` does. */
export let createPublishSession: (key: StreamKey, native: NativePublisher) => PublishSession;

/**
 * The one publisher of a stream. Nobody else can write it until `finish()`; a session that is
 * forgotten and collected counts as lost.
 */
export class PublishSession {
  /** The stream it writes. */
  readonly key: StreamKey;
  readonly #native: NativePublisher;
  readonly #tracks = new Map<number, { readonly codec: NativeCodec; readonly rate: number }>();
  #finished: Promise<void> | undefined;

  static {
    createPublishSession = (key, native) => new PublishSession(key, native);
  }

  private constructor(key: StreamKey, native: NativePublisher) {
    this.key = key;
    this.#native = native;
  }

  /**
   * Announces a track, or says how its frames are coded from the next one on.
   *
   * @throws {@link SluiceError} `ERR_CODEC` if the record cannot be read, `ERR_CLOSED` if the
   * session is over.
   */
  async setTrack({ track, codec, record, rate }: TrackConfig): Promise<void> {
    checkInteger('track', track, 0, 65_535);
    const ticks = rate ?? (VIDEO.has(codec) ? 90_000 : 48_000);
    checkInteger('rate', ticks, 1, 0xffff_ffff);
    const given = { track, codec: codec as NativeCodec, record: record ?? new Uint8Array() };
    await call(() => this.#native.configure(given));
    this.#tracks.set(track, { codec: given.codec, rate: ticks });
  }

  /**
   * Announces a track that comes as bytes: AAC in ADTS, or H.264 and H.265 with start codes. Bytes
   * carry no times, so frames are counted from 0; video comes at a steady rate and without B-frames.
   *
   * @throws {@link SluiceError} `ERR_CODEC` for a codec that has no such form, `ERR_CLOSED` if the
   * session is over.
   */
  async byteTrack({ track, codec, framesPerSecond }: ByteTrackOptions): Promise<ByteTrack> {
    checkInteger('track', track, 0, 65_535);
    if (framesPerSecond !== undefined && !(framesPerSecond > 0 && framesPerSecond <= 1000)) {
      throw new RangeError(`framesPerSecond must be above 0, at most 1000, not ${framesPerSecond}`);
    }
    await call(() => this.#native.openFeed(track, codec as NativeCodec, framesPerSecond));
    return createByteTrack(track, this.#native);
  }

  /**
   * Publishes frames in order. Resolves when the stream has them: wait for it before the next call
   * to send no faster than they are taken.
   *
   * @throws {@link SluiceError} `ERR_CLOSED` if the session is over, `ERR_INVALID_ARGUMENT` for a
   * frame that is refused; those in front of it are published.
   */
  async write(...frames: readonly FrameInput[]): Promise<void> {
    await call(() => this.#native.push(frames.map((frame) => this.#ticked(frame))));
  }

  /**
   * Ends the stream: its key is free when this resolves.
   *
   * @param how - `disconnected` lets readers wait for the next publisher instead. Default
   * `completed`.
   */
  finish(how: 'completed' | 'disconnected' = 'completed'): Promise<void> {
    this.#finished ??= call(async () => {
      await this.#native.finish(how as LiveFinish);
    }).catch(ignoreClosed);
    return this.#finished;
  }

  /** `finish()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.finish();
  }

  #ticked(frame: FrameInput): Parameters<NativePublisher['push']>[0][number] {
    checkOptions('frame', frame);
    const track = this.#tracks.get(frame.track);
    if (track === undefined) {
      throw new SluiceError(
        'ERR_INVALID_ARGUMENT',
        `track ${frame.track} of ${this.key} was not announced; call setTrack() first`,
      );
    }
    const ticks = (name: string, ms: number): number => {
      checkFinite(name, ms);
      return Math.round((ms * track.rate) / 1000);
    };
    const pts = ticks('ptsMs', frame.ptsMs);
    const duration = frame.durationMs && ticks('durationMs', frame.durationMs);
    if (duration !== undefined) checkInteger('durationMs in ticks', duration, 0, 0xffff_ffff);
    return {
      track: frame.track,
      codec: track.codec,
      rate: track.rate,
      pts,
      dts: frame.dtsMs === undefined ? pts : ticks('dtsMs', frame.dtsMs),
      ...(duration === undefined ? {} : { duration }),
      keyframe: frame.keyframe,
      discardable: frame.discardable ?? false,
      data: frame.data,
    };
  }
}

const VIDEO: ReadonlySet<LiveCodec> = new Set(['H264', 'H265', 'H266', 'VP8', 'VP9', 'AV1']);
