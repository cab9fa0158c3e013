/** Runs inside the pages of the demo: a flash and a beep at the same moment, and who measures how far apart they come. */
(() => {
  const BEAT_S = 1;
  const FLASH_S = 0.2;
  const RATE = 30;

  globalThis.clapper = {
    /** A picture that flashes and a sound that beeps, once a second. */
    stream: async () => {
      const audio = new AudioContext();
      await audio.resume();
      const output = audio.createMediaStreamDestination();
      const canvas = Object.assign(document.createElement('canvas'), { width: 640, height: 360 });
      const context = canvas.getContext('2d', { alpha: false });
      let beat = Math.ceil(audio.currentTime) + BEAT_S;
      const schedule = (/** @type {number} */ at) => {
        const tone = audio.createOscillator();
        tone.frequency.value = 1000;
        tone.connect(output);
        tone.start(at);
        tone.stop(at + FLASH_S);
      };
      schedule(beat);
      setInterval(() => {
        const since = audio.currentTime - beat;
        // The edges change with each frame, so that the encoder has something to send.
        context.fillStyle = since >= 0 && since < FLASH_S ? '#fff' : '#000';
        context.fillRect(0, 0, canvas.width, canvas.height);
        context.fillStyle = `hsl(${(performance.now() / 10) % 360} 80% 50%)`;
        context.fillRect(0, 0, canvas.width, 40);
        if (since < FLASH_S) return;
        beat += BEAT_S;
        schedule(beat);
      }, 1000 / RATE);
      const stream = canvas.captureStream(RATE);
      for (const track of output.stream.getAudioTracks()) stream.addTrack(track);
      return stream;
    },

    /**
     * How much later than its flash each beep came, in milliseconds.
     *
     * @param {HTMLVideoElement} video that plays a stream of its own
     * @param {number} beats
     */
    skews: async (video, beats) => {
      await until(() => video.currentTime > 0);
      const audio = new AudioContext();
      await audio.resume();
      const source = audio.createMediaStreamSource(video.srcObject);
      const beeps = await onsetsOf(audio, source);
      const flashes = flashesOf(video);
      await until(() => Math.min(beeps.length, flashes.length) > beats);
      return flashes
        .map((flash) => beeps.map((beep) => beep - flash).toSorted(byDistance)[0])
        .filter((skew) => Math.abs(skew) < (BEAT_S * 1000) / 2);
    },
  };

  /** The times at which silence ends, on the clock of `performance.now()`, as they come. */
  async function onsetsOf(/** @type {AudioContext} */ audio, /** @type {AudioNode} */ source) {
    const module = new Blob([ONSETS], { type: 'text/javascript' });
    await audio.audioWorklet.addModule(URL.createObjectURL(module));
    const node = new AudioWorkletNode(audio, 'onsets');
    /** @type {number[]} */
    const onsets = [];
    node.port.addEventListener('message', ({ data }) => {
      onsets.push(performance.now() - (audio.currentTime - data) * 1000);
    });
    node.port.start();
    source.connect(node);
    return onsets;
  }

  /** The times at which the picture turns white, as they come. */
  function flashesOf(/** @type {HTMLVideoElement} */ video) {
    const context = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
    /** @type {number[]} */
    const flashes = [];
    let wasLight = true;
    const next = () =>
      video.requestVideoFrameCallback((_, { expectedDisplayTime }) => {
        context.drawImage(video, 320, 240, 1, 1, 0, 0, 1, 1);
        const isLight = context.getImageData(0, 0, 1, 1).data[0] > 128;
        if (isLight && !wasLight) flashes.push(expectedDisplayTime);
        wasLight = isLight;
        next();
      });
    next();
    return flashes;
  }

  async function until(/** @type {() => boolean} */ check) {
    while (!check()) await new Promise((resolve) => setTimeout(resolve, 50));
  }

  const ONSETS = `
    registerProcessor('onsets', class extends AudioWorkletProcessor {
      #silentSince = 0;
      process([[channel = new Float32Array()] = []]) {
        const isLoud = channel.some((sample) => Math.abs(sample) > 0.05);
        if (isLoud && currentTime - this.#silentSince > 0.3) this.port.postMessage(currentTime);
        if (isLoud) this.#silentSince = currentTime;
        return true;
      }
    });`;
})();

function byDistance(/** @type {number} */ a, /** @type {number} */ b) {
  return Math.abs(a) - Math.abs(b);
}
