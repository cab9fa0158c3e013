import {
  MediaStreamTrack,
  RTCPeerConnection,
  RtpHeader,
  RtpPacket,
  useH264,
  useOPUS,
  useVP8,
} from 'werift';
import { runStack } from './whip-client.js';

function connect(): RTCPeerConnection {
  return new RTCPeerConnection({
    codecs: { video: [useVP8(), useH264()], audio: [useOPUS()] },
    iceServers: [],
    iceUseIpv6: false,
  });
}

function packet(
  header: { payloadType: number; marker: boolean; ssrc: number },
  count: number,
  ticks: number,
  payload: Buffer,
): RtpPacket {
  const numbers = { sequenceNumber: count & 0xffff, timestamp: (count * ticks) >>> 0 };
  return new RtpPacket(new RtpHeader({ ...header, ...numbers }), payload);
}

/** One packet a frame: a descriptor that starts a partition (RFC 7741 §4.2), then 320x240. */
const KEYFRAME = Buffer.alloc(600);
KEYFRAME.set([0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xf0, 0x00]);
const DELTA = Buffer.alloc(600);
DELTA.set([0x10, 0x01]);
const OPUS = Buffer.alloc(60, 0x78);

// A stack in TypeScript alone, without codecs: what it sends is only shaped like VP8 and Opus.
await runStack({
  publish() {
    const connection = connect();
    const [video, audio] = [
      new MediaStreamTrack({ kind: 'video' }),
      new MediaStreamTrack({ kind: 'audio' }),
    ];
    connection.addTransceiver(video, { direction: 'sendonly' });
    connection.addTransceiver(audio, { direction: 'sendonly' });
    let [frames, samples] = [0, 0];
    setInterval(() => {
      const payload = frames % 30 === 0 ? KEYFRAME : DELTA;
      video.writeRtp(packet({ payloadType: 96, marker: true, ssrc: 1 }, frames++, 3000, payload));
    }, 33);
    setInterval(() => {
      audio.writeRtp(packet({ payloadType: 111, marker: false, ssrc: 2 }, samples++, 960, OPUS));
    }, 20);
    return { connection, received: async () => ({ video: 0, audio: 0 }) };
  },

  play() {
    const connection = connect();
    const counts = { video: 0, audio: 0 };
    connection.onTrack.subscribe((track) => {
      const kind = track.kind === 'video' ? 'video' : 'audio';
      track.onReceiveRtp.subscribe(() => void counts[kind]++);
    });
    connection.addTransceiver('video', { direction: 'recvonly' });
    connection.addTransceiver('audio', { direction: 'recvonly' });
    return { connection, received: async () => counts };
  },
});
