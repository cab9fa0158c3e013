/**
 * WHIP (RFC 9725) and WHEP from a page: one POST, one answer, DELETE to leave.
 *
 * @param {string} url
 * @param {RTCPeerConnection} peer
 * @returns {Promise<() => Promise<void>>} ends the session
 */
export async function negotiate(url, peer) {
  await peer.setLocalDescription();
  await gathered(peer);
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/sdp' },
    body: peer.localDescription?.sdp ?? '',
  });
  if (response.status !== 201) {
    peer.close();
    throw new Error(`${response.status} ${await response.text()}`);
  }
  await peer.setRemoteDescription({ type: 'answer', sdp: await response.text() });
  const session = new URL(response.headers.get('Location') ?? '', new URL(url, location.href));
  return async () => {
    peer.close();
    await fetch(session, { method: 'DELETE' }).catch(() => {});
  };
}

/**
 * Publishes a stream by WHIP.
 * @param {string} url
 * @param {MediaStream} stream
 * @param {string} [codec] preferred, for example `H264`
 */
export async function publish(url, stream, codec) {
  const peer = new RTCPeerConnection();
  for (const track of stream.getTracks()) {
    peer.addTransceiver(track, { direction: 'sendonly', streams: [stream] });
  }
  if (codec) prefer(peer, codec);
  return { peer, stop: await negotiate(url, peer) };
}

/**
 * Plays a stream by WHEP.
 * @param {string} url
 * @param {HTMLVideoElement} video
 */
export async function play(url, video) {
  const peer = new RTCPeerConnection();
  const stream = new MediaStream();
  video.srcObject = stream;
  for (const kind of ['video', 'audio']) peer.addTransceiver(kind, { direction: 'recvonly' });
  peer.addEventListener('track', ({ track }) => stream.addTrack(track));
  return { peer, stop: await negotiate(url, peer) };
}

/** @param {RTCPeerConnection} peer @param {string} codec */
function prefer(peer, codec) {
  const wanted = `video/${codec}`.toLowerCase();
  const all = RTCRtpReceiver.getCapabilities('video')?.codecs ?? [];
  const first = all.filter(({ mimeType }) => mimeType.toLowerCase() === wanted);
  for (const transceiver of peer.getTransceivers()) {
    if (transceiver.sender.track?.kind === 'video') {
      transceiver.setCodecPreferences([...first, ...all.filter((one) => !first.includes(one))]);
    }
  }
}

/** @param {RTCPeerConnection} peer */
function gathered(peer) {
  if (peer.iceGatheringState === 'complete') return undefined;
  return new Promise((resolve) => {
    peer.addEventListener('icegatheringstatechange', () => {
      if (peer.iceGatheringState === 'complete') resolve(undefined);
    });
    // Who gathers longer has a network that answers nobody: what is there by then will do.
    setTimeout(resolve, 1000, undefined);
  });
}
