import { Peer } from 'sluice/browser';

const FIRST_RETRY_MS = 500;
const MAX_RETRY_MS = 8000;

/** After any other goodbye (a lost path, a restarted server) we come back. */
const FINAL_REASONS = new Set(['application', 'registryClosed']);

/**
 * @typedef {object} SessionHooks
 * @property {(peer: Peer) => void} onPeer a new connection begins; publish on it
 * @property {(state: 'connecting' | 'reconnecting' | 'ended', detail?: string) => void} onState
 * @property {(message: string) => void} onError
 */

/** Stays in the room over one WebSocket and one peer, and makes new ones when the server is lost. */
export class Session {
  /** @type {string} */
  #url;
  /** @type {SessionHooks} */
  #hooks;
  /** @type {WebSocket | undefined} */
  #socket;
  /** @type {Peer | undefined} */
  #peer;
  #retryMs = FIRST_RETRY_MS;
  #over = false;

  /**
   * @param {{ room: string, name: string, role: 'both' | 'subscribe' }} identity
   * @param {SessionHooks} hooks
   */
  constructor({ room, name, role }, hooks) {
    const query = new URLSearchParams({ name, role });
    const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
    this.#url = `${scheme}://${location.host}/rooms/${encodeURIComponent(room)}/signal?${query}`;
    this.#hooks = hooks;
    this.#connect();
  }

  get peer() {
    return this.#peer;
  }

  leave() {
    this.#end('You left the room.');
  }

  #connect() {
    this.#hooks.onState('connecting');
    const socket = new WebSocket(this.#url);
    const peer = new Peer({
      send: (message) => {
        if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
      },
      logger: console,
    });
    this.#socket = socket;
    this.#peer = peer;
    peer.addEventListener('bye', ({ detail }) => {
      if (FINAL_REASONS.has(detail.reason)) this.#end('You were removed from the room.');
    });
    peer.addEventListener('error', ({ detail }) => {
      if (detail.code === 'ERR_CONNECTION_FAILED') socket.close();
      else this.#hooks.onError(detail.message);
    });
    socket.addEventListener('open', () => {
      this.#retryMs = FIRST_RETRY_MS;
      this.#hooks.onPeer(peer);
    });
    socket.addEventListener('message', ({ data }) => peer.handle(JSON.parse(data)));
    socket.addEventListener('close', () => {
      peer.close();
      if (this.#over) return;
      this.#hooks.onState('reconnecting');
      setTimeout(() => this.#over || this.#connect(), this.#retryMs);
      this.#retryMs = Math.min(MAX_RETRY_MS, this.#retryMs * 2);
    });
  }

  /** @param {string} why */
  #end(why) {
    if (this.#over) return;
    this.#over = true;
    this.#peer?.close();
    this.#socket?.close();
    this.#hooks.onState('ended', why);
  }
}
