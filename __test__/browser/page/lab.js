/** Runs inside the browser: a Peer against a server side that is itself an RTCPeerConnection. */
// oxlint-disable-next-line import/no-absolute-path -- the address the lab server gives the module
import { Peer } from '/sluice/index.js';

/** @import { ClientMessage, ServerMessage } from '../../../ts/browser/index.js' */

/** The polite side of `sluice/browser`'s protocol, as a Sluice server plays it. */
class PoliteServer {
  pc = new RTCPeerConnection();
  /** @type {ClientMessage[]} */
  received = [];
  droppedOffers = 0;
  #queue = Promise.resolve();
  #send;

  /** @param {(message: ServerMessage) => void} send */
  constructor(send) {
    this.#send = send;
    this.pc.onicecandidate = ({ candidate }) => send({ type: 'candidate', candidate });
  }

  /** @param {ClientMessage} message */
  receive(message) {
    this.received.push(message);
    this.#queue = this.#queue.then(() => this.#handle(message));
  }

  offer() {
    this.#queue = this.#queue.then(() => this.#offer());
  }

  /** @param {ClientMessage} message */
  async #handle(message) {
    if (message.type === 'offer') {
      const mustOfferAgain = this.pc.signalingState === 'have-local-offer';
      if (mustOfferAgain) {
        this.droppedOffers += 1;
        await this.pc.setLocalDescription({ type: 'rollback' });
      }
      await this.pc.setRemoteDescription(message);
      await this.pc.setLocalDescription();
      this.#send({ type: 'answer', sdp: receiveAllRids(message.sdp, this.#sdp()) });
      if (mustOfferAgain) await this.#offer();
    } else if (message.type === 'answer' && this.pc.signalingState === 'have-local-offer') {
      await this.pc.setRemoteDescription(message);
    } else if (message.type === 'candidate' && message.candidate) {
      await this.pc.addIceCandidate(message.candidate);
    }
  }

  async #offer() {
    if (this.pc.signalingState !== 'stable') return;
    await this.pc.setLocalDescription();
    this.#send({ type: 'offer', sdp: this.#sdp() });
  }

  #sdp() {
    return this.pc.localDescription?.sdp ?? '';
  }
}

/** A browser answers a simulcast offer without its rids; an SFU takes them. */
function receiveAllRids(/** @type {string} */ offer, /** @type {string} */ answer) {
  const offered = offer.split(/^(?=m=)/m);
  const sections = answer.split(/^(?=m=)/m);
  return sections
    .map((section, i) => {
      if (!offered[i]?.includes('a=simulcast:send')) return section;
      const extensions =
        offered[i].match(/^a=extmap:\d+ urn:ietf:params:rtp-hdrext:sdes:.*$/gm) ?? [];
      const missing = extensions.filter((line) => !section.includes(line));
      const rids = [...offered[i].matchAll(/^a=rid:(\w+) send/gm)].map(([, rid]) => rid);
      const lines = [
        ...missing,
        ...rids.map((rid) => `a=rid:${rid} recv`),
        `a=simulcast:recv ${rids.join(';')}`,
      ];
      return `${section}${lines.join('\r\n')}\r\n`;
    })
    .join('');
}

/** A peer and its server over a channel that takes `latencyMs` each way and keeps the order. */
export function pair(latencyMs = 0) {
  const events = [];
  const peer = new Peer({
    send: (message) => setTimeout(() => server.receive(message), latencyMs),
  });
  const server = new PoliteServer((message) => setTimeout(() => peer.handle(message), latencyMs));
  for (const type of [
    'trackadded',
    'trackremoved',
    'trackchanged',
    'error',
    'statechange',
    'bye',
  ]) {
    peer.addEventListener(type, ({ detail }) => events.push({ type, detail }));
  }
  return { peer, server, events };
}

export async function camera(width = 640, height = 360) {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { width, height } });
  return stream.getVideoTracks()[0];
}

export async function microphone() {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  return stream.getAudioTracks()[0];
}

/** Waits until `check` gives something truthy, and gives that. */
export async function until(check, what, timeoutMs = 15_000) {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const found = await check();
    if (found) return found;
    if (performance.now() > deadline) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Frames decoded by `pc`, summed over its streams, and the codecs it receives. */
export async function received(pc) {
  const report = [...(await pc.getStats()).values()];
  const inbound = report.filter(({ type }) => type === 'inbound-rtp');
  return {
    frames: inbound.reduce((sum, { framesDecoded = 0 }) => sum + framesDecoded, 0),
    codecs: inbound.map(({ codecId }) => report.find(({ id }) => id === codecId)?.mimeType),
  };
}

/** Whether a video element fed with `track` shows a picture. */
export async function shows(track) {
  const video = Object.assign(document.createElement('video'), { muted: true, autoplay: true });
  video.srcObject = new MediaStream([track]);
  await until(() => video.videoWidth > 0 && video.currentTime > 0, 'a picture');
  return true;
}

Object.assign(globalThis, { lab: { pair, camera, microphone, until, received, shows } });
