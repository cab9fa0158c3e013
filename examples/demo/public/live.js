import { Hls } from 'hls.js';
import { Plot } from './plot.js';
import { drawStamp, readStamp } from './stamp.js';
import { play, publish } from './wish.js';

const REFRESH_MS = 1000;
const LATENCY_MS = 250;

/** @template {HTMLElement} T @param {string} id @returns {T} */
const element = (id) => /** @type {T} */ (document.getElementById(id));

const form = /** @type {HTMLFormElement} */ (element('start'));
const button = /** @type {HTMLButtonElement} */ (form.querySelector('button'));
const error = element('error');
const self = /** @type {HTMLVideoElement} */ (element('self'));
const players = element('players');
const whep = /** @type {HTMLVideoElement} */ (element('whep'));
const recorded = /** @type {HTMLVideoElement} */ (element('recorded'));
const hls = /** @type {HTMLVideoElement} */ (element('hls'));
/** @type {Map<string, { item: HTMLElement, rate: HTMLElement, recording: HTMLButtonElement, plot: Plot }>} */
const rows = new Map();

/** @type {(() => Promise<void>) | undefined} */
let unpublish;
/** @type {(() => Promise<void>) | undefined} */
let stopPlaying;
/** @type {AbortController | undefined} */
let played;

form.addEventListener('submit', (event) => {
  event.preventDefault();
  toggle().catch(show);
});

async function toggle() {
  error.hidden = true;
  button.disabled = true;
  try {
    if (unpublish) {
      await unpublish();
      unpublish = undefined;
      self.hidden = true;
    } else {
      const data = new FormData(form);
      const stream = await stampedCamera();
      const started = await publish(
        `/live/live/${data.get('stream')}/whip`,
        stream,
        String(data.get('codec')),
      );
      self.srcObject = stream;
      self.hidden = false;
      unpublish = async () => {
        for (const track of stream.getTracks()) track.stop();
        await started.stop();
      };
    }
  } finally {
    button.disabled = false;
    button.textContent = unpublish ? 'Stop' : 'Publish by WHIP';
  }
}

/** The camera with the time of day in its top row, and the microphone. */
async function stampedCamera() {
  const camera = await navigator.mediaDevices.getUserMedia({
    video: { width: 640, height: 360, frameRate: 30 },
    audio: true,
  });
  const source = Object.assign(document.createElement('video'), { muted: true, srcObject: camera });
  await source.play();
  const canvas = Object.assign(document.createElement('canvas'), { width: 640, height: 360 });
  const context = canvas.getContext('2d', { alpha: false });
  if (!context) throw new Error('no canvas');
  const stream = canvas.captureStream(30);
  const timer = setInterval(() => {
    context.drawImage(source, 0, 0, canvas.width, canvas.height);
    drawStamp(context);
  }, 1000 / 30);
  const [track] = stream.getVideoTracks();
  const stop = track?.stop.bind(track);
  if (track && stop) {
    track.stop = () => {
      clearInterval(timer);
      for (const one of camera.getTracks()) one.stop();
      stop();
    };
  }
  for (const sound of camera.getAudioTracks()) stream.addTrack(sound);
  return stream;
}

/** @param {string} key */
async function watch(key) {
  error.hidden = true;
  await stopPlaying?.();
  players.hidden = false;
  const viewer = await play(`/live/${key}/whep`, whep);
  const player = new Hls({ lowLatencyMode: true, backBufferLength: 10 });
  player.loadSource(`/live/${key}/index.m3u8`);
  player.attachMedia(hls);
  Object.assign(globalThis, { player, viewer });
  const pace = setInterval(() => catchUp(player, hls), LATENCY_MS);
  stopPlaying = async () => {
    clearInterval(pace);
    player.destroy();
    await viewer.stop();
  };
}

/**
 * Plays a little faster while there is more between the picture and live than the playlist asks
 * for: what the start took. hls.js itself does so only with a second of buffer ahead.
 * @param {Hls} player
 * @param {HTMLVideoElement} video
 */
function catchUp(player, video) {
  const { buffered, currentTime } = video;
  const ahead = buffered.length > 0 ? buffered.end(buffered.length - 1) - currentTime : 0;
  const late = player.latency - (player.targetLatency ?? Infinity) > 0.05;
  video.playbackRate = late && ahead > 0.35 ? 1.1 : 1;
}

async function refresh() {
  const response = await fetch('/live', { headers: { Accept: 'application/json' } });
  /** @type {{ access: string, streams: { key: string, state: string, recording: boolean, protocol?: string, qos: { bitsPerSecond: number, framesPerSecond: number }, tracks: { codec?: string, width?: number, height?: number }[] }[] }} */
  const { access, streams } = await response.json();
  element('access').textContent = access;
  element('none').hidden = streams.length > 0;
  for (const [key, { item }] of rows) {
    if (streams.some((stream) => stream.key === key)) continue;
    item.remove();
    rows.delete(key);
  }
  for (const stream of streams) {
    const row = rows.get(stream.key) ?? addRow(stream.key);
    const { bitsPerSecond, framesPerSecond } = stream.qos;
    const codecs = stream.tracks.map(({ codec }) => codec).join(' + ');
    row.rate.textContent = `${stream.state} · ${codecs} · ${(bitsPerSecond / 1e6).toFixed(2)} Mbit/s · ${framesPerSecond.toFixed(0)} frames/s`;
    row.plot.push({ bitsPerSecond, packetLoss: 0, framesPerSecond });
    row.recording.textContent = stream.recording ? 'Stop recording' : 'Record';
    row.recording.dataset['on'] = String(stream.recording);
  }
}

/** @param {string} key */
function addRow(key) {
  const item = document.createElement('li');
  item.dataset['key'] = key;
  const name = Object.assign(document.createElement('strong'), { textContent: key });
  const watching = Object.assign(document.createElement('button'), { textContent: 'Watch' });
  watching.addEventListener('click', () => void watch(key).catch(show));
  const rate = Object.assign(document.createElement('span'), { className: 'note' });
  const canvas = document.createElement('canvas');
  const recording = document.createElement('button');
  recording.className = 'record';
  recording.addEventListener('click', () => void record(key, recording).catch(show));
  item.append(name, watching, recording, rate, canvas);
  element('streams').append(item);
  const row = { item, rate, recording, plot: new Plot(canvas) };
  rows.set(key, row);
  return row;
}

/** @param {string} key @param {HTMLButtonElement} pressed */
async function record(key, pressed) {
  pressed.disabled = true;
  try {
    const method = pressed.dataset['on'] === 'true' ? 'DELETE' : 'POST';
    const response = await fetch(`/live/${key}/record`, { method });
    if (!response.ok) throw new Error(await response.text());
    await Promise.all([refresh(), refreshRecordings()]);
  } finally {
    pressed.disabled = false;
  }
}

/** @typedef {{ name: string, startedAtMs: number, durationMs: number, bytes: number, codecs: string }} Recorded */

async function refreshRecordings() {
  const response = await fetch('/recordings');
  if (!response.ok) return;
  /** @type {{ recordings: Recorded[] }} */
  const { recordings } = await response.json();
  element('unrecorded').hidden = recordings.length > 0;
  element('recordings').replaceChildren(...recordings.toReversed().map(recordedItem));
}

/** @param {Recorded} file */
function recordedItem(file) {
  const item = document.createElement('li');
  item.dataset['name'] = file.name;
  const [app, stream, plain] = file.name.split('/');
  const name = Object.assign(document.createElement('strong'), {
    textContent: `${app}/${stream}`,
  });
  const playing = Object.assign(document.createElement('button'), { textContent: 'Play' });
  playing.addEventListener('click', () => {
    const address = `/live/${app}/${stream}/recordings/${plain}`;
    const from = /** @type {HTMLInputElement} */ (element('from'));
    const excerpt = /** @type {HTMLAnchorElement} */ (element('excerpt'));
    const point = () => (excerpt.href = `${address}?start=${from.value}&duration=10`);
    from.max = String(file.durationMs / 1000);
    from.value = '0';
    point();
    played?.abort();
    played = new AbortController();
    const sought = () => {
      recorded.currentTime = Number(from.value);
      point();
    };
    from.addEventListener('input', sought, { signal: played.signal });
    element('recorded-name').textContent = file.name;
    element('player').hidden = false;
    recorded.src = address;
    void recorded.play().catch(show);
  });
  const about = Object.assign(document.createElement('span'), {
    className: 'note',
    textContent: `${new Date(file.startedAtMs).toLocaleString()} · ${(file.durationMs / 1000).toFixed(1)} s · ${(file.bytes / 1e6).toFixed(2)} MB · ${file.codecs}`,
  });
  item.append(name, playing, about);
  return item;
}

/** @param {unknown} why */
function show(why) {
  error.textContent = why instanceof Error ? why.message : String(why);
  error.hidden = false;
}

setInterval(() => {
  for (const [video, output] of /** @type {const} */ ([
    [whep, element('whep-latency')],
    [hls, element('hls-latency')],
  ])) {
    const age = players.hidden ? undefined : readStamp(video);
    output.textContent = age === undefined ? '' : `${age} ms glass to glass`;
    if (age !== undefined) output.dataset['ms'] = String(age);
  }
}, LATENCY_MS);

void refresh().catch(show);
void refreshRecordings().catch(show);
setInterval(() => void refresh().catch(show), REFRESH_MS);
