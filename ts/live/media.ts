import type { Brand } from '../ids.js';

/** Names a live stream: `app/stream`, or `app/stream~layer` for one layer of it. */
export type StreamKey = string & Brand<'StreamKey'>;

/**
 * Takes a stream's name from outside, for example from a URL.
 *
 * @throws `TypeError` if a part is empty, longer than 64, begins with `.`, or holds anything else
 * than letters, digits, `-`, `_` and `.`.
 */
export function parseStreamKey(text: unknown): StreamKey {
  const part = '[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}';
  if (typeof text === 'string' && new RegExp(`^${part}/${part}(~${part})?$`).test(text)) {
    return text as StreamKey;
  }
  throw new TypeError(`${JSON.stringify(text)} is no name of a live stream: app/stream`);
}

/** Codecs that live streams carry, by the encoding names of SDP where there is one. */
export type LiveCodec =
  | 'H264'
  | 'H265'
  | 'H266'
  | 'VP8'
  | 'VP9'
  | 'AV1'
  | 'opus'
  | 'AAC'
  | 'MP3'
  | 'PCMU'
  | 'PCMA'
  | 'G722';

/** A track of a stream and how its frames are coded. */
export interface LiveTrack {
  /** 0 is the video of a stream and 1 its audio by custom; others may follow. */
  readonly track: number;
  /** Its codec; absent for one this version has no word for. */
  readonly codec?: LiveCodec;
  /** What HTML and HLS call it (RFC 6381), for example `avc1.42e01f`, where there is a name. */
  readonly codecString?: string;
  /**
   * The decoder configuration in the form MP4 carries (`avcC`, `hvcC`, `av1C`, `vpcC`,
   * `AudioSpecificConfig`, `dOps`); empty for codecs that need none.
   */
  readonly record: Uint8Array;
  /** Width of the pictures in pixels, 0 while unknown. */
  readonly width?: number;
  /** Height of the pictures in pixels, 0 while unknown. */
  readonly height?: number;
  /** Samples per second of the sound. */
  readonly sampleRate?: number;
  /** Channels of the sound. */
  readonly channels?: number;
}

/**
 * One access unit: a coded picture, or a packet of coded sound.
 *
 * The form of `data` is, by codec: H.264 and H.265 as NAL units behind their length in four bytes,
 * without parameter sets; AV1 as OBUs with size fields; VP8 and VP9 as the codec writes them; AAC
 * without ADTS; Opus as one packet.
 */
export interface LiveFrame {
  /** Its track. */
  readonly track: number;
  /** When it is shown, in milliseconds on the stream's own timeline. */
  readonly ptsMs: number;
  /** When it is decoded, in milliseconds; never decreases within a track. */
  readonly dtsMs: number;
  /** How long it lasts, where known. */
  readonly durationMs?: number;
  /** A decoder may begin here. */
  readonly keyframe: boolean;
  /** No other frame refers to it. */
  readonly discardable: boolean;
  /** The timeline jumps in front of it: another publisher, or a gap. */
  readonly discontinuity: boolean;
  /** When it was captured by the publisher's clock, in milliseconds since 1970, where known. */
  readonly capturedAtMs?: number;
  /** The coded bytes; a view into a buffer that it shares with its neighbours. */
  readonly data: Uint8Array;
}
