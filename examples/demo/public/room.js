import { openDevices } from './devices.js';
import { Plot } from './plot.js';
import { Session } from './session.js';
import { Stage } from './stage.js';
import { bitRate, hue, initials } from './tile.js';

/** @import { Peer, Publication } from 'sluice/browser' */
/** @import { Devices } from './devices.js' */

const CODECS = /** @type {const} */ (['vp8', 'h264', 'vp9', 'av1']);

const query = new URLSearchParams(location.search);
const room = decodeURIComponent(location.pathname.split('/')[2] ?? '');
const settings = {
  name: query.get('name') ?? localStorage.getItem('name') ?? '',
  video: query.get('video') ?? 'vp8',
  audio: query.get('audio') !== '0',
  simulcast: query.get('simulcast') !== '0',
  device: query.get('device') !== '0',
  height: Number(query.get('height')) || 720,
};

/** @type {Session | undefined} */
let session;
/** @type {Devices} */
let devices = {};
/** @type {Publication | undefined} */
let microphone;
/** @type {Publication | undefined} */
let camera;
let micOn = true;
let cameraOn = true;

const stage = new Stage($('stage'), () => ($('sound').hidden = false));
const self = /** @type {HTMLVideoElement} */ ($('self'));
const selfPlot = new Plot(/** @type {HTMLCanvasElement} */ ($('self-plot')));

$('room-name').textContent = room;
document.title = `${room} · Sluice`;
field('name').value = settings.name;
field('video').value = CODECS.some((codec) => codec === settings.video) ? settings.video : 'none';
/** @type {HTMLInputElement} */ (field('audio')).checked = settings.audio;
/** @type {HTMLInputElement} */ (field('simulcast')).checked = settings.simulcast;

$('prejoin').addEventListener('submit', (event) => {
  event.preventDefault();
  settings.name = field('name').value.trim();
  settings.video = field('video').value;
  settings.audio = /** @type {HTMLInputElement} */ (field('audio')).checked;
  settings.simulcast = /** @type {HTMLInputElement} */ (field('simulcast')).checked;
  localStorage.setItem('name', settings.name);
  void join();
});
$('mute').addEventListener('click', toggleMicrophone);
$('camera').addEventListener('click', () => void toggleCamera());
$('leave').addEventListener('click', () => session?.leave());
$('rejoin').addEventListener('click', () => void join());
$('sound').addEventListener('click', () => {
  $('sound').hidden = true;
  stage.unlockSound();
});
for (const button of document.querySelectorAll('[data-action=copy]')) {
  button.addEventListener('click', async () => {
    await navigator.clipboard.writeText(`${location.origin}${location.pathname}`);
    notify('Link copied.');
  });
}
addEventListener('pagehide', () => session?.leave());
setInterval(() => void measure(), 1000);
show('idle');
if (query.get('join') === '1') void join();

async function join() {
  if (document.body.dataset['state'] === 'opening') return;
  show('opening');
  const name = settings.name || 'Guest';
  devices = settings.device
    ? await openDevices({
        audio: settings.audio,
        video: settings.video !== 'none',
        height: settings.height,
      })
    : {};
  if (devices.problem) notify(devices.problem);
  [micOn, cameraOn] = [devices.audio !== undefined, devices.video !== undefined];
  $('self-name').textContent = `${name} (you)`;
  $('self-avatar').textContent = initials(name);
  $('self-tile').style.setProperty('--hue', String(hue(name)));
  showSelf();
  const role = devices.audio || devices.video ? 'both' : 'subscribe';
  session = new Session(
    { room, name, role },
    {
      onPeer: (peer) => void publish(peer).catch((error) => notify(String(error))),
      onState: (state, detail) => {
        if (state === 'ended') stopDevices();
        if (detail) $('ended-text').textContent = detail;
        show(state);
      },
      onError: notify,
    },
  );
}

/** @param {Peer} peer */
async function publish(peer) {
  // For the browser's console: `peer.getStats()`, `peer.peerConnection`.
  Object.assign(globalThis, { peer });
  stage.follow(peer);
  peer.addEventListener('statechange', update);
  peer.addEventListener('subscriptionschange', update);
  show('joined');
  microphone = devices.audio && (await peer.publish(devices.audio, { name: 'microphone' }));
  if (!micOn) microphone?.mute();
  camera = devices.video && (await publishCamera(peer, devices.video));
}

/** @param {Peer} peer @param {MediaStreamTrack} track */
function publishCamera(peer, track) {
  const codec = CODECS.find((known) => known === settings.video) ?? 'vp8';
  return peer.publish(track, { codec, simulcast: settings.simulcast, name: 'camera' });
}

function toggleMicrophone() {
  micOn = !micOn;
  if (micOn) microphone?.unmute();
  else microphone?.mute();
  showSelf();
}

/** Off closes the device, so that its light goes out. */
async function toggleCamera() {
  cameraOn = !cameraOn;
  devices.video?.stop();
  delete devices.video;
  showSelf();
  await camera?.replaceTrack(null);
  if (!cameraOn) return;
  const opened = await openDevices({ audio: false, video: true, height: settings.height });
  if (opened.problem) notify(opened.problem);
  cameraOn = opened.video !== undefined;
  if (opened.video) {
    devices.video = opened.video;
    await camera?.replaceTrack(opened.video);
  }
  showSelf();
}

function stopDevices() {
  devices.audio?.stop();
  devices.video?.stop();
  devices = {};
  self.srcObject = null;
}

function showSelf() {
  const track = devices.video;
  self.srcObject = track ? new MediaStream([track]) : null;
  $('self-tile').hidden = !settings.device;
  $('self-tile').classList.toggle('has-video', track !== undefined);
  $('self-tile').classList.toggle('muted', !micOn);
  toggle($('mute'), micOn, 'microphone', settings.device && settings.audio);
  toggle($('camera'), cameraOn, 'camera', settings.device && settings.video !== 'none');
}

/** @param {HTMLElement} button @param {boolean} isOn @param {string} what @param {boolean} isUsable */
function toggle(button, isOn, what, isUsable) {
  button.setAttribute('aria-pressed', String(!isOn));
  button.setAttribute('aria-label', `Turn ${what} ${isOn ? 'off' : 'on'}`);
  button.hidden = !isUsable;
}

async function measure() {
  const peer = session?.peer;
  if (!peer || peer.state === 'closed') return;
  const stats = await peer.getStats();
  stage.measure(stats);
  const sent = stats.local.filter(({ kind }) => kind === 'video');
  const bitsPerSecond = sent.reduce((sum, encoding) => sum + encoding.bitsPerSecond, 0);
  if (sent.length > 0) selfPlot.push({ bitsPerSecond, packetLoss: 0 });
  const layers = sent
    .filter((encoding) => encoding.bitsPerSecond > 0)
    .map(({ height }) => `${height}p`);
  $('self-meta').textContent =
    layers.length > 0 ? `${layers.join(' + ')} · ${bitRate(bitsPerSecond)}` : '';
  const path = [
    stats.protocol === 'tcp' ? 'over TCP' : '',
    stats.roundTripTimeMs === undefined ? '' : `${Math.round(stats.roundTripTimeMs)} ms`,
  ];
  $('path').textContent = path.filter(Boolean).join(' · ');
  update();
}

function update() {
  const peer = session?.peer;
  const isAlone = peer !== undefined && peer.subscriptions.length === 0;
  const isJoined = document.body.dataset['state'] === 'joined';
  $('empty').hidden = !isAlone || !isJoined;
  const waiting = peer?.subscriptions.filter(({ state }) => state === 'waiting').length ?? 0;
  $('waiting').hidden = waiting === 0;
  $('waiting').textContent = `${waiting} more not shown`;
  if (isJoined) $('status').textContent = statusOf(peer);
}

/** @param {Peer | undefined} peer */
function statusOf(peer) {
  if (!peer) return '';
  if (peer.state === 'connected') {
    return stage.participants === 0 ? 'Connected' : `${stage.participants + 1} here`;
  }
  if (peer.state === 'disconnected' || peer.state === 'failed') return 'Looking for a path…';
  return peer.state === 'new' && peer.publications.length === 0
    ? 'Waiting for others'
    : 'Connecting…';
}

/** @param {'idle' | 'opening' | 'connecting' | 'joined' | 'reconnecting' | 'ended'} state */
function show(state) {
  document.body.dataset['state'] = state;
  const texts = {
    idle: '',
    opening: 'Opening camera and microphone…',
    connecting: 'Connecting…',
    joined: 'Connecting…',
    reconnecting: 'Connection lost. Reconnecting…',
    ended: '',
  };
  $('status').textContent = texts[state];
  $('prejoin').hidden = state !== 'idle';
  $('ended').hidden = state !== 'ended';
  update();
}

/** @param {string} text */
function notify(text) {
  const notice = $('notice');
  notice.textContent = text;
  notice.hidden = false;
  setTimeout(() => {
    if (notice.textContent === text) notice.hidden = true;
  }, 6000);
}

/** @param {string} id @returns {HTMLElement} */
function $(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
}

/** @param {string} name @returns {HTMLInputElement | HTMLSelectElement} */
function field(name) {
  return /** @type {HTMLInputElement | HTMLSelectElement} */ (
    /** @type {HTMLFormElement} */ ($('prejoin')).elements.namedItem(name)
  );
}
