import { Tile } from './tile.js';

/** @import { Peer, PeerStats, RemoteTrack } from 'sluice/browser' */

const SPEAKING_LEVEL = 0.04;
const MIN_TILE_PX = 260;
const GAP_PX = 12;

/**
 * Everything of one client: its pictures and its sound.
 * @typedef {object} Participant
 * @property {Map<string, Tile>} tiles by video track
 * @property {Map<string, HTMLAudioElement>} sounds by audio track
 * @property {Tile | undefined} avatar the tile shown while there is no video
 */

/** The tiles of the room, as large as the window allows. */
export class Stage {
  /** @type {HTMLElement} */
  #element;
  /** @type {Map<string, Participant>} */
  #participants = new Map();
  /** @type {() => void} */
  #onSilenced;

  /** @param {HTMLElement} element @param {() => void} onSilenced the browser wants a click before sound */
  constructor(element, onSilenced) {
    this.#element = element;
    this.#onSilenced = onSilenced;
    new ResizeObserver(() => this.#layout()).observe(element);
    new MutationObserver(() => this.#layout()).observe(element, { childList: true });
  }

  /** Shows what `peer` receives until it closes. @param {Peer} peer */
  follow(peer) {
    peer.addEventListener('trackadded', ({ detail }) => this.#add(peer, detail));
    peer.addEventListener('trackchanged', ({ detail }) => this.#change(detail));
    peer.addEventListener('trackremoved', ({ detail }) => this.#remove(detail));
  }

  get participants() {
    return this.#participants.size;
  }

  /** @param {PeerStats} stats */
  measure({ remote }) {
    for (const track of remote) {
      const participant = this.#participants.get(track.clientId);
      if (track.kind === 'video') participant?.tiles.get(track.trackId)?.measure(track);
      else
        for (const tile of tilesOf(participant)) tile.speaking(track.audioLevel > SPEAKING_LEVEL);
    }
  }

  /** Starts the sound a browser held back until the user's first click. */
  unlockSound() {
    for (const { sounds } of this.#participants.values()) {
      for (const sound of sounds.values()) void sound.play().catch(() => {});
    }
  }

  /** @param {Peer} peer @param {RemoteTrack} remote */
  #add(peer, remote) {
    let participant = this.#participants.get(remote.clientId);
    if (!participant) {
      participant = { tiles: new Map(), sounds: new Map(), avatar: undefined };
      this.#participants.set(remote.clientId, participant);
    }
    if (remote.kind === 'audio') {
      participant.sounds.set(remote.trackId, this.#sound(remote));
      if (tilesOf(participant).length === 0) participant.avatar = this.#tile(peer, remote);
      return;
    }
    const tile = participant.avatar ?? this.#tile(peer, remote);
    participant.avatar = undefined;
    tile.show(remote);
    participant.tiles.set(remote.trackId, tile);
  }

  /** @param {RemoteTrack} remote */
  #change(remote) {
    const participant = this.#participants.get(remote.clientId);
    participant?.tiles.get(remote.trackId)?.show(remote);
    const sound = participant?.sounds.get(remote.trackId);
    if (sound) play(sound, remote.track, this.#onSilenced);
  }

  /** @param {RemoteTrack} remote */
  #remove(remote) {
    const participant = this.#participants.get(remote.clientId);
    if (!participant) return;
    participant.sounds.get(remote.trackId)?.remove();
    participant.sounds.delete(remote.trackId);
    const tile = participant.tiles.get(remote.trackId);
    participant.tiles.delete(remote.trackId);
    tile?.hideVideo();
    if (tile && participant.tiles.size === 0 && participant.sounds.size > 0)
      participant.avatar = tile;
    else tile?.element.remove();
    if (participant.tiles.size > 0 || participant.sounds.size > 0) return;
    participant.avatar?.element.remove();
    this.#participants.delete(remote.clientId);
  }

  /** @param {Peer} peer @param {RemoteTrack} remote */
  #tile(peer, remote) {
    const tile = new Tile(peer, nameOf(remote));
    this.#element.append(tile.element);
    return tile;
  }

  /** @param {RemoteTrack} remote */
  #sound({ clientId, trackId, track }) {
    const sound = document.createElement('audio');
    sound.dataset['clientId'] = clientId;
    sound.dataset['trackId'] = trackId;
    document.body.append(sound);
    play(sound, track, this.#onSilenced);
    return sound;
  }

  /** Chooses the number of columns that gives the largest 16:9 tiles. */
  #layout() {
    const count = [...this.#element.children].filter(
      (child) => !child.hasAttribute('hidden'),
    ).length;
    const { clientWidth: width, clientHeight: height } = this.#element;
    let best = Math.min(width, MIN_TILE_PX);
    for (let columns = 1; columns <= count; columns += 1) {
      const rows = Math.ceil(count / columns);
      const wide = (width - GAP_PX * (columns - 1)) / columns;
      const high = (((height - GAP_PX * (rows - 1)) / rows) * 16) / 9;
      best = Math.max(best, Math.min(wide, high));
    }
    this.#element.style.setProperty('--tile-width', `${Math.floor(best)}px`);
  }
}

/** @param {HTMLAudioElement} sound @param {MediaStreamTrack} track @param {() => void} onSilenced */
function play(sound, track, onSilenced) {
  const playing = sound.srcObject;
  if (playing instanceof MediaStream && playing.getTracks().includes(track)) return;
  sound.srcObject = new MediaStream([track]);
  sound.play().catch((error) => {
    if (error instanceof DOMException && error.name === 'NotAllowedError') onSilenced();
  });
}

/** @param {Participant | undefined} participant */
function tilesOf(participant) {
  if (!participant) return [];
  return participant.avatar ? [participant.avatar] : [...participant.tiles.values()];
}

/** @param {RemoteTrack} remote */
function nameOf({ appData }) {
  if (typeof appData === 'object' && appData && 'name' in appData) return String(appData.name);
  return 'Guest';
}
