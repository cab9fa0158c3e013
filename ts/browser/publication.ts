import type { MediaKind } from './messages.js';

/** The video codecs a peer can be asked to publish. */
export type VideoCodec = 'vp8' | 'h264' | 'vp9' | 'av1';

/** How {@link Peer.publish} sends a track. Everything is optional. */
export interface PublishOptions {
  /** Codec for video. Default `vp8`. A browser without it sends one that both sides know. */
  readonly codec?: VideoCodec;
  /**
   * Send video in up to three sizes: `f` (full), `h` (half, from 480x270) and `q` (a quarter, from 960x540).
   * Default `false`.
   */
  readonly simulcast?: boolean;
  /** Bits per second of the largest encoding. Default: fitting the codec and the size of the picture. */
  readonly maxBitrate?: number;
  /** Frames per second of every encoding. Default: those of the track. */
  readonly maxFramerate?: number;
  /**
   * Scalability mode of every encoding, for example `L1T3` or `L3T3_KEY`.
   * Default: the browser's, but `L1T2` for VP9 and AV1 with `simulcast`.
   */
  readonly scalabilityMode?: string;
  /** A label of the application's own; it is not sent. */
  readonly name?: string;
}

/** A track being sent, made by {@link Peer.publish}. */
export class Publication {
  /** Sound or pictures. */
  readonly kind: MediaKind;
  /** The options it was published with. */
  readonly options: PublishOptions;
  readonly #transceiver: RTCRtpTransceiver;
  readonly #release: (transceiver: RTCRtpTransceiver) => void;
  #track: MediaStreamTrack | null;
  #muted = false;
  #enabled = true;
  #stopped = false;

  /** @internal */
  constructor(
    transceiver: RTCRtpTransceiver,
    track: MediaStreamTrack,
    options: PublishOptions,
    release: (transceiver: RTCRtpTransceiver) => void,
  ) {
    this.kind = mediaKind(track);
    this.options = options;
    this.#transceiver = transceiver;
    this.#track = track;
    this.#release = release;
  }

  /** The m-line that carries it; `null` before the first negotiation. */
  get mid(): string | null {
    return this.#transceiver.mid;
  }

  /** What is being sent; `null` after `replaceTrack(null)` or {@link stop}. */
  get track(): MediaStreamTrack | null {
    return this.#track;
  }

  /** Whether {@link mute} is in force. */
  get muted(): boolean {
    return this.#muted;
  }

  /** `false` after `setEnabled(false)`. */
  get enabled(): boolean {
    return this.#enabled;
  }

  /** `true` once {@link stop} was called; publish the track again to send it again. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /**
   * Sends another track of the same kind instead, without negotiation: another camera, or the screen.
   * `null` sends nothing until the next call and keeps the publication.
   * @throws {TypeError} if the kind differs.
   */
  async replaceTrack(track: MediaStreamTrack | null): Promise<void> {
    if (this.#stopped) throw new DOMException('this publication is stopped', 'InvalidStateError');
    await this.#transceiver.sender.replaceTrack(track);
    this.#track = track;
    if (track && this.#muted) track.enabled = false;
  }

  /** Sends silence or black frames. At once, without negotiation; the device stays open. */
  mute(): void {
    this.#muted = true;
    if (this.#track) this.#track.enabled = false;
  }

  /** Takes {@link mute} back. */
  unmute(): void {
    this.#muted = false;
    if (this.#track) this.#track.enabled = true;
  }

  /** `false` stops the packets but keeps the publication: receivers keep the last picture. */
  async setEnabled(enabled: boolean): Promise<void> {
    if (this.#stopped) return;
    const { sender } = this.#transceiver;
    const parameters = sender.getParameters();
    for (const encoding of parameters.encodings) encoding.active = enabled;
    await sender.setParameters(parameters);
    this.#enabled = enabled;
  }

  /**
   * Unpublishes. The m-line becomes inactive and serves the next publication of the same kind, codec and
   * simulcast, so the session description does not grow. The track itself is not stopped. Idempotent.
   */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#track = null;
    this.#release(this.#transceiver);
    await this.#transceiver.sender.replaceTrack(null);
  }
}

/** The encodings that send `track` as `options` ask. */
export function sendEncodings(
  track: MediaStreamTrack,
  options: PublishOptions,
): RTCRtpEncodingParameters[] {
  const { maxFramerate } = options;
  if (track.kind === 'audio') {
    return [{ ...(options.maxBitrate !== undefined && { maxBitrate: options.maxBitrate }) }];
  }
  const codec = options.codec ?? 'vp8';
  const top = options.maxBitrate ?? defaultBitrate(track, codec);
  const scalabilityMode =
    options.scalabilityMode ?? (options.simulcast ? SIMULCAST_MODE[codec] : undefined);
  const shared = {
    ...(maxFramerate !== undefined && { maxFramerate }),
    ...(scalabilityMode !== undefined && { scalabilityMode }),
  };
  const layers = simulcastLayers(options.simulcast ? pixels(track) : 0);
  return layers.map((layer) => {
    const maxBitrate = Math.round(top * perPixels(1 / layer.scaleResolutionDownBy ** 2));
    return Object.assign({ maxBitrate }, layer, shared);
  });
}

/**
 * `codecs` without the other video codecs, the most widely decoded profile of the wanted one first; all of
 * them where it is missing. Its place in the order alone would not do: an answer may come in another order
 * (RFC 3264 §6.1 only recommends the same), and the browser sends what the answer names first.
 */
export function codecPreferences(codecs: readonly RTCRtpCodec[], codec: VideoCodec): RTCRtpCodec[] {
  const isWanted = ({ mimeType }: RTCRtpCodec): boolean => {
    return mimeType.toLowerCase() === `video/${codec}`;
  };
  if (!codecs.some(isWanted)) return [...codecs];
  const rank = (one: RTCRtpCodec): number => {
    if (!isWanted(one)) return 2;
    return BASE_PROFILE[codec].test(one.sdpFmtpLine ?? '') ? 0 : 1;
  };
  return codecs
    .filter((one) => isWanted(one) || REPAIR.test(one.mimeType))
    .toSorted((a, b) => rank(a) - rank(b));
}

/** The kind of a track in our words. */
export function mediaKind({ kind }: MediaStreamTrack): MediaKind {
  return kind === 'audio' ? 'audio' : 'video';
}

/**
 * libwebrtc sends fewer layers of a small picture, and the largest are the ones it drops (seen in
 * Chromium 156: `f` of a 640x360 camera never leaves). So we ask for no more than it gives.
 */
function simulcastLayers(
  pixels: number,
): readonly { rid?: string; scaleResolutionDownBy: number }[] {
  if (pixels >= 960 * 540) return [QUARTER, HALF, FULL];
  if (pixels >= 480 * 270) return [HALF, FULL];
  return [{ scaleResolutionDownBy: 1 }];
}

function defaultBitrate(track: MediaStreamTrack, codec: VideoCodec): number {
  return Math.max(200_000, BITRATE_720P[codec] * perPixels(pixels(track) / (1280 * 720)));
}

function pixels(track: MediaStreamTrack): number {
  const { width = 1280, height = 720 } = track.getSettings();
  return width * height;
}

/** Bit rate grows a little slower than the number of pixels. */
function perPixels(ratio: number): number {
  return ratio ** 0.9;
}

const BITRATE_720P: Readonly<Record<VideoCodec, number>> = {
  vp8: 2_500_000,
  h264: 2_500_000,
  vp9: 1_800_000,
  av1: 1_500_000,
};

const QUARTER = { rid: 'q', scaleResolutionDownBy: 4 };
const HALF = { rid: 'h', scaleResolutionDownBy: 2 };
const FULL = { rid: 'f', scaleResolutionDownBy: 1 };

/** Without a mode on every encoding, Chromium (seen in 156) sends only the lowest rid of VP9 and AV1. */
const SIMULCAST_MODE: Readonly<Record<VideoCodec, string | undefined>> = {
  vp8: undefined,
  h264: undefined,
  vp9: 'L1T2',
  av1: 'L1T2',
};

/** Formats that accompany a codec. */
const REPAIR = /\/(rtx|red|ulpfec|flexfec.*)$/i;

/** What every decoder of that codec takes; H.264: constrained baseline in packetization mode 1 (RFC 6184). */
const BASE_PROFILE: Readonly<Record<VideoCodec, RegExp>> = {
  vp8: /^/,
  h264: /^(?=.*packetization-mode=1)(?=.*profile-level-id=42e0)/i,
  vp9: /profile-id=0|^$/,
  av1: /profile=0|^(?!.*profile=)/,
};
