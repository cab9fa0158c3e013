import { Plot } from './plot.js';

/** @import { Layer, Peer, RemoteTrack, RemoteTrackStats } from 'sluice/browser' */

const LAYER_NAMES = new Map([
  ['', 'Auto'],
  ['f', 'Full'],
  ['h', 'Half'],
  ['q', 'Quarter'],
]);

/** Bits per second; what is left when a camera is off. */
const STILL_BELOW = 1000;

/** One remote picture, or an avatar where there is none. */
export class Tile {
  /** @type {HTMLElement} */
  element;
  /** @type {RemoteTrack | undefined} */
  #remote;
  /** @type {HTMLVideoElement | undefined} */
  #video;
  /** @type {Plot} */
  #plot;
  /** @type {Peer} */
  #peer;
  #stillFor = 0;

  /** @param {Peer} peer @param {string} name */
  constructor(peer, name) {
    this.#peer = peer;
    const template = /** @type {HTMLTemplateElement} */ (document.getElementById('tile'));
    this.element = /** @type {HTMLElement} */ (template.content.firstElementChild?.cloneNode(true));
    this.#find('.name').textContent = name;
    this.#find('.avatar').textContent = initials(name);
    this.element.style.setProperty('--hue', String(hue(name)));
    this.#plot = new Plot(/** @type {HTMLCanvasElement} */ (this.#find('.plot')));
    this.#find('[data-action=layer]').addEventListener('change', () => this.#choose());
    this.#find('[data-action=pause]').addEventListener('click', () => this.#togglePause());
  }

  get hasVideo() {
    return this.#remote !== undefined;
  }

  /** @param {RemoteTrack} remote */
  show(remote) {
    const video = this.#video ?? this.#makeVideo();
    const before = this.#remote;
    this.#remote = remote;
    this.element.classList.add('has-video');
    video.dataset['clientId'] = remote.clientId;
    video.dataset['trackId'] = remote.trackId;
    video.dataset['layer'] = layerName(remote.layer);
    if (before?.track !== remote.track) video.srcObject = new MediaStream([remote.track]);
    const isPaused = remote.state === 'paused';
    this.element.classList.toggle('paused', isPaused);
    const pause = this.#find('[data-action=pause]');
    pause.setAttribute('aria-pressed', String(isPaused));
    pause.title = isPaused ? 'Resume this picture' : 'Pause this picture';
    this.#offerLayers(remote.appData);
  }

  /** The picture is gone; the person may still be here. */
  hideVideo() {
    this.#remote = undefined;
    this.#video?.remove();
    this.#video = undefined;
    this.#plot.clear();
    this.element.classList.remove('has-video', 'paused', 'still');
    this.#find('.meta').textContent = '';
  }

  /** @param {RemoteTrackStats} stats */
  measure(stats) {
    this.#plot.push(stats);
    const { width, height, framesPerSecond, packetLoss } = stats;
    const parts = [
      width > 0 ? `${width}×${height}` : '',
      layerName(this.#remote?.layer ?? {}),
      `${Math.round(framesPerSecond)} fps`,
      bitRate(stats.bitsPerSecond),
      packetLoss > 0 ? `${(packetLoss * 100).toFixed(1)} % lost` : '',
    ];
    this.#stillFor = stats.bitsPerSecond < STILL_BELOW ? this.#stillFor + 1 : 0;
    const isPaused = this.#remote?.state === 'paused';
    const isStill = this.#stillFor > 2 && !isPaused;
    this.element.classList.toggle('still', isStill);
    this.#find('.meta').textContent = isPaused
      ? 'paused'
      : isStill
        ? 'no picture'
        : parts.filter((part) => part !== '').join(' · ');
  }

  /** @param {boolean} isSpeaking */
  speaking(isSpeaking) {
    this.element.classList.toggle('speaking', isSpeaking);
  }

  #makeVideo() {
    const video = document.createElement('video');
    Object.assign(video, { autoplay: true, muted: true, playsInline: true });
    const measure = () => {
      video.dataset['width'] = String(video.videoWidth);
      video.dataset['height'] = String(video.videoHeight);
    };
    video.addEventListener('resize', measure);
    video.addEventListener('loadedmetadata', measure);
    measure();
    this.element.prepend(video);
    this.#video = video;
    return video;
  }

  /** @param {unknown} appData what signal.js said of the track */
  #offerLayers(appData) {
    const select = /** @type {HTMLSelectElement} */ (this.#find('[data-action=layer]'));
    const rids = Object(appData).rids;
    const values = ['', ...(Array.isArray(rids) ? rids.map(String) : [])];
    if (values.join() !== [...select.options].map(({ value }) => value).join()) {
      select.replaceChildren(...values.map((rid) => new Option(LAYER_NAMES.get(rid) ?? rid, rid)));
    }
    select.hidden = values.length < 2;
  }

  #choose() {
    const { value } = /** @type {HTMLSelectElement} */ (this.#find('[data-action=layer]'));
    if (this.#remote)
      this.#peer.setPreferredLayers(this.#remote.trackId, value ? { rid: value } : {});
  }

  #togglePause() {
    if (!this.#remote) return;
    const { trackId, state } = this.#remote;
    if (state === 'paused') this.#peer.resume(trackId);
    else this.#peer.pause(trackId);
  }

  /** @param {string} selector @returns {HTMLElement} */
  #find(selector) {
    const found = this.element.querySelector(selector);
    if (!(found instanceof HTMLElement)) throw new Error(`the tile has no ${selector}`);
    return found;
  }
}

/** @param {number} bitsPerSecond */
export function bitRate(bitsPerSecond) {
  return bitsPerSecond >= 1e6
    ? `${(bitsPerSecond / 1e6).toFixed(1)} Mbit/s`
    : `${Math.round(bitsPerSecond / 1000)} kbit/s`;
}

/** @param {string} name */
export function initials(name) {
  const words = name.trim().split(/\s+/);
  return words
    .slice(0, 2)
    .map((word) => [...word][0] ?? '')
    .join('')
    .toUpperCase();
}

/** A color of one's own, the same on every screen. @param {string} name */
export function hue(name) {
  let sum = 0;
  for (const character of name) sum = (sum * 31 + (character.codePointAt(0) ?? 0)) % 360;
  return sum;
}

/** The rid, else what scalable layers there are above the base. @param {Layer} layer */
function layerName({ rid, spatial = 0, temporal = 0 }) {
  if (rid !== undefined) return rid;
  return spatial + temporal === 0 ? '' : `s${spatial}t${temporal}`;
}
