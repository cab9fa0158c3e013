import wrtc from '@roamhq/wrtc';
import { runStack } from './whip-client.js';
import { feed, received } from './wrtc-media.js';

const { RTCPeerConnection } = wrtc;

// libwebrtc M106: real encoders and decoders, so that a picture counts when it decoded.
await runStack({
  publish() {
    const connection = new RTCPeerConnection();
    feed(connection);
    return { connection, received: async () => ({ video: 0, audio: 0 }) };
  },

  play() {
    const connection = new RTCPeerConnection();
    connection.addTransceiver('video', { direction: 'recvonly' });
    connection.addTransceiver('audio', { direction: 'recvonly' });
    return { connection, received: () => received(connection) };
  },
});
