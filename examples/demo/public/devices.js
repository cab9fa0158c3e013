/**
 * What the camera and the microphone gave, and what to tell the user where they gave nothing.
 * @typedef {object} Devices
 * @property {MediaStreamTrack} [audio]
 * @property {MediaStreamTrack} [video]
 * @property {string} [problem]
 */

/**
 * Opens what is wanted; a missing camera does not cost the microphone, nor the other way round.
 * @param {{ audio: boolean, video: boolean, height: number }} wanted
 * @returns {Promise<Devices>}
 */
export async function openDevices({ audio, video, height }) {
  if (!audio && !video) return {};
  if (!navigator.mediaDevices) {
    return {
      problem:
        'This page is not served over HTTPS, so the browser keeps camera and microphone closed.',
    };
  }
  try {
    return await open({ audio, video, height });
  } catch (error) {
    const name = error instanceof DOMException ? error.name : '';
    if (name === 'NotAllowedError') {
      return {
        problem: 'Camera and microphone are blocked for this page. You can watch and listen.',
      };
    }
    if (!audio || !video)
      return { problem: `No ${video ? 'camera' : 'microphone'} could be opened.` };
    const parts = await Promise.all([
      openDevices({ audio: true, video: false, height }),
      openDevices({ audio: false, video: true, height }),
    ]);
    const [{ problem = '' }, { problem: other = '' }] = parts;
    const devices = { ...parts[0], ...parts[1] };
    return { ...devices, problem: `${problem} ${other}`.trim() };
  }
}

/**
 * @param {{ audio: boolean, video: boolean, height: number }} wanted
 * @returns {Promise<Devices>}
 */
async function open({ audio, video, height }) {
  const stream = await navigator.mediaDevices.getUserMedia({
    audio: audio && { echoCancellation: true, noiseSuppression: true, autoGainControl: true },
    video: video && {
      width: { ideal: Math.round((height * 16) / 9) },
      height: { ideal: height },
      frameRate: { ideal: 30 },
      facingMode: 'user',
    },
  });
  const [audioTrack] = stream.getAudioTracks();
  const [videoTrack] = stream.getVideoTracks();
  return { ...(audioTrack && { audio: audioTrack }), ...(videoTrack && { video: videoTrack }) };
}
