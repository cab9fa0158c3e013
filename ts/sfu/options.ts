import type { WaitOptions } from '../abort.js';
import {
  checkOptionalBoolean,
  checkOptionalInteger,
  checkOptionalString,
  checkOptionalWord,
  checkOptions,
  checkSignal,
  present,
} from '../check.js';
import type {
  ClientOptions as NativeClientOptions,
  PreferredLayers as NativePreferredLayers,
  SubscribeOptions as NativeSubscribeOptions,
} from '../native.js';

/** Which way a client's media may go: both ways, only to us, or only from us. */
export type Role = 'both' | 'publish' | 'subscribe';

/** How many m-lines the server opens towards a client at most. */
export interface Slots {
  /** Video m-lines, 0 to 32. Default 8. */
  readonly video?: number;
  /** Audio m-lines, 0 to 32. Default 4. */
  readonly audio?: number;
}

/** What a client is inserted with. */
export interface ClientOptions<AppData> extends WaitOptions {
  /** Anything of the application's own; the server never looks at it. */
  readonly appData: AppData;
  /** Which way media may go. Default `both`. */
  readonly role?: Role;
  /**
   * Whether every track of the room is subscribed to by itself: all while slots last, the rest wait
   * and move up. With `false` only `client.subscribe()` does. Default `true`.
   */
  readonly autoSubscribe?: boolean;
  /** Most m-lines towards this client. */
  readonly slots?: Slots;
  /** Upper bound of what is sent to this client, in bits per second. Default none. */
  readonly maxOutgoingBitrate?: number;
}

/** Upper bounds of what a subscriber gets of a track; what is left out is not bounded. */
export interface PreferredLayers {
  /** The highest simulcast layer, by rid. One that is not sent stands for the highest that is. */
  readonly rid?: string;
  /** The highest spatial layer, 0 lowest; without `rid`, the index into the simulcast layers. */
  readonly spatial?: number;
  /** The highest temporal layer, 0 lowest. */
  readonly temporal?: number;
}

/** How a subscription starts. */
export interface SubscribeOptions extends PreferredLayers {
  /** Start without forwarding until `client.resume()`. Default `false`. */
  readonly paused?: boolean;
  /** Higher is served first when bandwidth or slots are short, 0 to 255. Default 0. */
  readonly priority?: number;
}

/** A candidate as `RTCPeerConnection` gives it (`event.candidate.toJSON()`). */
export interface IceCandidate {
  /** The candidate-attribute of RFC 8839 §5.1; empty for the end of candidates. */
  readonly candidate?: string;
  /** Not needed: all media is bundled on one transport. */
  readonly sdpMid?: string | null;
  /** Not needed. */
  readonly sdpMLineIndex?: number | null;
  /** Not needed. */
  readonly usernameFragment?: string | null;
}

/** @internal */
export function nativeClientOptions(options: ClientOptions<unknown>): NativeClientOptions {
  checkOptions('options', options);
  const { role, autoSubscribe, slots = {}, maxOutgoingBitrate, signal } = options;
  checkOptionalWord('role', role, ['both', 'publish', 'subscribe']);
  checkOptionalBoolean('autoSubscribe', autoSubscribe);
  checkOptions('slots', slots);
  checkOptionalInteger('slots.video', slots.video, 0, 32);
  checkOptionalInteger('slots.audio', slots.audio, 0, 32);
  checkBitrate('maxOutgoingBitrate', maxOutgoingBitrate);
  checkSignal(signal);
  return present({
    role,
    autoSubscribe,
    videoSlots: slots.video,
    audioSlots: slots.audio,
    maxOutgoingBitrate,
  });
}

/** @internal */
export function nativeSubscribeOptions(options: SubscribeOptions): NativeSubscribeOptions {
  const layers = nativePreferredLayers(options);
  const { paused, priority } = options;
  checkOptionalBoolean('paused', paused);
  checkOptionalInteger('priority', priority, 0, 255);
  return { ...present({ paused, priority }), layers };
}

/** @internal */
export function nativePreferredLayers(layers: PreferredLayers): NativePreferredLayers {
  checkOptions('layers', layers);
  const { rid, spatial, temporal } = layers;
  checkOptionalString('rid', rid);
  checkOptionalInteger('spatial', spatial, 0, 255);
  checkOptionalInteger('temporal', temporal, 0, 255);
  return present({ rid, spatial, temporal });
}

/** @internal */
export function checkBitrate(name: string, bitsPerSecond: number | undefined): void {
  checkOptionalInteger(name, bitsPerSecond, 0, Number.MAX_SAFE_INTEGER);
}

/** @internal */
export function candidateText(candidate: string | IceCandidate | null): string {
  if (candidate === null) return '';
  if (typeof candidate === 'string') return candidate;
  checkOptions('candidate', candidate);
  checkOptionalString('candidate.candidate', candidate.candidate);
  return candidate.candidate ?? '';
}
