import wrtc from '@roamhq/wrtc';

const { MediaStream, nonstandard } = wrtc;
const { RTCAudioSource, RTCVideoSource } = nonstandard;

/** Adds a picture that moves and a tone to a connection; stops them when told. */
export function feed(connection: wrtc.RTCPeerConnection): () => void {
  const [picture, tone] = [new RTCVideoSource(), new RTCAudioSource()];
  const stream = new MediaStream();
  connection.addTrack(picture.createTrack(), stream);
  connection.addTrack(tone.createTrack(), stream);
  let count = 0;
  const timers = [
    setInterval(() => picture.onFrame(frame(count++)), 33),
    setInterval(() => tone.onData(sine), 10),
  ];
  return () => timers.forEach(clearInterval);
}

/** What a connection has received: pictures decoded, packets of sound. */
export async function received(
  connection: wrtc.RTCPeerConnection,
): Promise<{ video: number; audio: number }> {
  const counts = { video: 0, audio: 0 };
  for (const report of (await connection.getStats()).values()) {
    if (report.type !== 'inbound-rtp') continue;
    if (report.kind === 'video') counts.video = report.framesDecoded ?? 0;
    else counts.audio = report.packetsReceived;
  }
  return counts;
}

/** A gradient that moves, in I420. */
function frame(count: number) {
  const [width, height] = [320, 240];
  const data = new Uint8Array(width * height * 1.5).fill(128);
  for (let i = 0; i < width * height; i++) data[i] = (i + count * 4) & 255;
  return { width, height, data };
}

const sine = {
  samples: Int16Array.from({ length: 480 }, (_, i) => Math.sin(i / 10) * 8000),
  sampleRate: 48_000,
  bitsPerSample: 16,
  channelCount: 1,
  numberOfFrames: 480,
};
