/** Runs inside every page of the demo before its own scripts: notes each remote frame as it is shown. */
(() => {
  const MAX_FRAMES = 5000;
  /** By track id. */
  const seen = new Map();

  const watch = (/** @type {HTMLVideoElement} */ video) => {
    const { trackId } = video.dataset;
    if (trackId === undefined || seen.get(trackId)?.video === video) return;
    const record = { video, addedAt: performance.now(), frames: [] };
    seen.set(trackId, record);
    const next = () =>
      video.requestVideoFrameCallback((_, { presentationTime, width, height }) => {
        if (seen.get(video.dataset.trackId) !== record) return;
        record.frames.push({ at: presentationTime, width, height });
        if (record.frames.length > MAX_FRAMES) record.frames.shift();
        next();
      });
    next();
  };

  new MutationObserver(() => {
    for (const video of document.querySelectorAll('video[data-track-id]')) watch(video);
  }).observe(document, { childList: true, subtree: true, attributeFilter: ['data-track-id'] });

  globalThis.probe = {
    /** The remote pictures on the page now. */
    tiles: () =>
      shown().map((video) => {
        const { addedAt, frames } = seen.get(video.dataset.trackId) ?? { addedAt: 0, frames: [] };
        return {
          trackId: video.dataset.trackId,
          clientId: video.dataset.clientId,
          layer: video.dataset.layer,
          width: Number(video.dataset.width),
          height: Number(video.dataset.height),
          frames: frames.length,
          firstFrameMs: frames.length > 0 ? frames[0].at - addedAt : undefined,
        };
      }),

    /** The frames of one track shown since `at`, on the clock of `performance.now()`. */
    frames: (trackId, at = 0) =>
      (seen.get(trackId)?.frames ?? []).filter((frame) => frame.at >= at),

    now: () => performance.now(),

    /** How many of the shown pictures change within `ms`: pixels that differ clearly. */
    moving: async (ms = 400) => {
      const before = shown().map((video) => [video, pixels(video)]);
      await new Promise((resolve) => setTimeout(resolve, ms));
      return before.filter(([video, old]) => {
        const current = pixels(video);
        return old.some((value, i) => Math.abs(value - current[i]) > 24);
      }).length;
    },

    /** Energy heard so far, by m-line. */
    energy: async () => {
      const report = [...(await globalThis.peer.peerConnection.getStats()).values()];
      const heard = report.filter(({ type, kind }) => type === 'inbound-rtp' && kind === 'audio');
      return Object.fromEntries(
        heard.map(({ mid, totalAudioEnergy = 0 }) => [mid, totalAudioEnergy]),
      );
    },

    /** What DTLS and ICE agreed on. */
    transport: async () => {
      const report = await globalThis.peer.peerConnection.getStats();
      const transport = [...report.values()].find(({ type }) => type === 'transport');
      const pair = report.get(transport?.selectedCandidatePairId);
      return {
        tlsVersion: transport?.tlsVersion,
        srtpCipher: transport?.srtpCipher,
        protocol: report.get(pair?.localCandidateId)?.protocol,
        ufrag: transport?.iceLocalUsernameFragment,
      };
    },

    /** The DTLS version two connections of this browser agree on. */
    highestDtls: async () => {
      const [a, b] = [new RTCPeerConnection(), new RTCPeerConnection()];
      try {
        a.onicecandidate = ({ candidate }) => b.addIceCandidate(candidate);
        b.onicecandidate = ({ candidate }) => a.addIceCandidate(candidate);
        a.createDataChannel('');
        await a.setLocalDescription();
        await b.setRemoteDescription(a.localDescription);
        await b.setLocalDescription();
        await a.setRemoteDescription(b.localDescription);
        for (;;) {
          const report = [...(await a.getStats()).values()];
          const transport = report.find(({ type }) => type === 'transport');
          if (transport?.dtlsState === 'connected') return transport.tlsVersion;
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      } finally {
        a.close();
        b.close();
      }
    },

    mLines: () => globalThis.peer.peerConnection.getTransceivers().length,
  };
})();

/** A small copy of the picture. */
function pixels(/** @type {HTMLVideoElement} */ video) {
  const canvas = new OffscreenCanvas(64, 36);
  const context = canvas.getContext('2d');
  context.drawImage(video, 0, 0, canvas.width, canvas.height);
  return context.getImageData(0, 0, canvas.width, canvas.height).data;
}

/** The remote pictures on the page. */
function shown() {
  return [...document.querySelectorAll('video[data-track-id]')];
}
