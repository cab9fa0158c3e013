import type { MediaKind } from './messages.js';
import type { RemoteTrack } from './slots.js';

/** How one received track does. Rates are of the time since the previous {@link Peer.getStats}. */
export interface RemoteTrackStats {
  /** The track. */
  readonly trackId: string;
  /** The client that publishes it. */
  readonly clientId: string;
  /** Sound or pictures. */
  readonly kind: MediaKind;
  /** The m-line. */
  readonly mid: string;
  /** Payload received. */
  readonly bitsPerSecond: number;
  /** Share of packets lost, 0 to 1. */
  readonly packetLoss: number;
  /** Interarrival jitter (RFC 3550 §6.4.1). */
  readonly jitterMs: number;
  /** Frames in the last second. */
  readonly framesPerSecond: number;
  /** Pixels; 0 before the first frame and for audio. */
  readonly width: number;
  /** Pixels; 0 before the first frame and for audio. */
  readonly height: number;
  /** Frames decoded in this slot, over all tracks it has carried. */
  readonly framesDecoded: number;
  /** Times the picture stood still noticeably. */
  readonly freezeCount: number;
  /** 0 (silence) to 1. */
  readonly audioLevel: number;
}

/** How one encoding of a published track does. */
export interface LocalEncodingStats {
  /** The m-line. */
  readonly mid: string;
  /** Sound or pictures. */
  readonly kind: MediaKind;
  /** Simulcast encoding, empty without simulcast. */
  readonly rid: string;
  /** Payload sent. */
  readonly bitsPerSecond: number;
  /** Frames in the last second. */
  readonly framesPerSecond: number;
  /** Frames encoded since the beginning. */
  readonly framesEncoded: number;
  /** Pixels; 0 before the first frame and for audio. */
  readonly width: number;
  /** Pixels; 0 before the first frame and for audio. */
  readonly height: number;
}

/** A snapshot of the connection, made by {@link Peer.getStats}. */
export interface PeerStats {
  /** The tracks being received. */
  readonly remote: readonly RemoteTrackStats[];
  /** What is being sent, one entry per encoding. */
  readonly local: readonly LocalEncodingStats[];
  /** Of the selected candidate pair; `undefined` before the first answer. */
  readonly roundTripTimeMs: number | undefined;
  /** What carries the media: `tcp` where UDP is blocked. */
  readonly protocol: 'udp' | 'tcp' | undefined;
  /** The browser's estimate of what it may send, in bits per second. */
  readonly availableOutgoingBitrate: number | undefined;
}

/** Counters of one RTP stream at the previous snapshot. */
interface Baseline {
  readonly atMs: number;
  readonly bytes: number;
  readonly packets: number;
  readonly lost: number;
}

/** Turns the browser's counters into rates. */
export class StatsSummary {
  #baselines: ReadonlyMap<string, Baseline> = new Map();

  /** Summarises one report; `remotes` names the tracks in the slots. */
  read(report: RTCStatsReport, remotes: Iterable<RemoteTrack>): PeerStats {
    const bySlot = new Map([...remotes].map((remote) => [remote.mid, remote]));
    const baselines = new Map<string, Baseline>();
    const remote: RemoteTrackStats[] = [];
    const local: LocalEncodingStats[] = [];
    for (const inbound of ofType<RTCInboundRtpStreamStats>(report, 'inbound-rtp')) {
      const slot = bySlot.get(inbound.mid ?? '');
      if (!slot) continue;
      const now: Baseline = {
        atMs: inbound.timestamp,
        bytes: inbound.bytesReceived ?? 0,
        packets: inbound.packetsReceived ?? 0,
        lost: inbound.packetsLost ?? 0,
      };
      // A re-bound slot starts its rates anew.
      const key = `${inbound.id} ${slot.trackId}`;
      baselines.set(key, now);
      const before = this.#baselines.get(key) ?? now;
      const lost = Math.max(0, now.lost - before.lost);
      const expected = lost + Math.max(0, now.packets - before.packets);
      remote.push({
        trackId: slot.trackId,
        clientId: slot.clientId,
        kind: slot.kind,
        mid: slot.mid,
        bitsPerSecond: rate(before, now),
        packetLoss: expected === 0 ? 0 : lost / expected,
        jitterMs: (inbound.jitter ?? 0) * 1000,
        framesPerSecond: inbound.framesPerSecond ?? 0,
        width: inbound.frameWidth ?? 0,
        height: inbound.frameHeight ?? 0,
        framesDecoded: inbound.framesDecoded ?? 0,
        freezeCount: inbound.freezeCount ?? 0,
        audioLevel: inbound.audioLevel ?? 0,
      });
    }
    for (const outbound of ofType<RTCOutboundRtpStreamStats>(report, 'outbound-rtp')) {
      const now: Baseline = {
        atMs: outbound.timestamp,
        bytes: outbound.bytesSent ?? 0,
        packets: outbound.packetsSent ?? 0,
        lost: 0,
      };
      baselines.set(outbound.id, now);
      local.push({
        mid: outbound.mid ?? '',
        kind: outbound.kind === 'audio' ? 'audio' : 'video',
        rid: outbound.rid ?? '',
        bitsPerSecond: rate(this.#baselines.get(outbound.id) ?? now, now),
        framesPerSecond: outbound.framesPerSecond ?? 0,
        framesEncoded: outbound.framesEncoded ?? 0,
        width: outbound.frameWidth ?? 0,
        height: outbound.frameHeight ?? 0,
      });
    }
    this.#baselines = baselines;
    return { remote, local, ...path(report) };
  }
}

function path(
  report: RTCStatsReport,
): Pick<PeerStats, 'roundTripTimeMs' | 'protocol' | 'availableOutgoingBitrate'> {
  const pairs = ofType<RTCIceCandidatePairStats>(report, 'candidate-pair');
  const pair = pairs.find(({ nominated, state }) => nominated === true && state === 'succeeded');
  const candidates = ofType<RTCStats & { protocol?: string }>(report, 'local-candidate');
  const protocol = candidates.find(({ id }) => id === pair?.localCandidateId)?.protocol;
  const seconds = pair?.currentRoundTripTime;
  return {
    roundTripTimeMs: seconds === undefined ? undefined : seconds * 1000,
    protocol: protocol === 'udp' || protocol === 'tcp' ? protocol : undefined,
    availableOutgoingBitrate: pair?.availableOutgoingBitrate,
  };
}

function rate(before: Baseline, now: Baseline): number {
  const elapsedMs = now.atMs - before.atMs;
  return elapsedMs <= 0 ? 0 : Math.max(0, ((now.bytes - before.bytes) * 8000) / elapsedMs);
}

function ofType<T extends RTCStats>(report: RTCStatsReport, type: RTCStatsType): T[] {
  const found: T[] = [];
  report.forEach((entry: T) => {
    if (entry.type === type) found.push(entry);
  });
  return found;
}
