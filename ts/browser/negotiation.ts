import type { ClientMessage } from './messages.js';

/** What {@link Negotiation} tells its owner. */
export interface NegotiationHooks {
  /** Sends one message to the server; messages must arrive in the order given. */
  readonly send: (message: ClientMessage) => void;
  /** A description was applied: transceivers may have appeared. */
  readonly described: () => void;
  /** A description could not be made or applied. The negotiation goes on with the next one. */
  readonly failed: (cause: unknown) => void;
}

/**
 * Offers and answers of one `RTCPeerConnection` with a server that offers too
 * (perfect negotiation, RFC 9429 and the WebRTC specification §10.7).
 *
 * The browser is the impolite side: a server offer that crosses one of ours is ignored. The server then
 * drops it, answers ours and offers again, so neither side ever waits for the other.
 * Every step runs in one queue, hence an offer and the answer to another never interleave.
 */
export class Negotiation {
  readonly #pc: RTCPeerConnection;
  readonly #hooks: NegotiationHooks;
  readonly #early: (RTCIceCandidateInit | null)[] = [];
  #queue: Promise<void> = Promise.resolve();
  #ignoredOffer = false;

  constructor(pc: RTCPeerConnection, hooks: NegotiationHooks) {
    this.#pc = pc;
    this.#hooks = hooks;
    pc.addEventListener('negotiationneeded', () => this.#enqueue(() => this.#offer()));
    // Through the queue, because a candidate must not overtake the description it belongs to.
    pc.addEventListener('icecandidate', ({ candidate }) =>
      this.#enqueue(() =>
        hooks.send({ type: 'candidate', candidate: candidate?.toJSON() ?? null }),
      ),
    );
  }

  /** Takes an offer of the server: answers it, or ignores it when ours is in flight. */
  acceptOffer(sdp: string): void {
    this.#enqueue(async () => {
      this.#ignoredOffer = this.#pc.signalingState !== 'stable';
      if (this.#ignoredOffer) return;
      await this.#pc.setRemoteDescription({ type: 'offer', sdp });
      await this.#pc.setLocalDescription();
      this.#hooks.send({ type: 'answer', sdp: this.#localSdp() });
      await this.#described();
    });
  }

  /** Takes the server's answer to our offer. */
  acceptAnswer(sdp: string): void {
    this.#enqueue(async () => {
      if (this.#pc.signalingState !== 'have-local-offer') return;
      await this.#pc.setRemoteDescription({ type: 'answer', sdp });
      await this.#described();
    });
  }

  /** Takes a candidate of the server; one that comes before its description is kept until then. */
  addCandidate(candidate: RTCIceCandidateInit | null): void {
    this.#enqueue(async () => {
      if (this.#pc.remoteDescription === null) {
        if (this.#early.length < MAX_EARLY_CANDIDATES) this.#early.push(candidate);
        return;
      }
      try {
        await this.#pc.addIceCandidate(candidate);
      } catch (cause) {
        // A candidate of an ignored offer belongs to nothing we know.
        if (!this.#ignoredOffer) throw cause;
      }
    });
  }

  async #offer(): Promise<void> {
    // Not stable: our offer is in flight. The browser asks again once its answer is here.
    if (this.#pc.signalingState !== 'stable') return;
    await this.#pc.setLocalDescription();
    this.#hooks.send({ type: 'offer', sdp: this.#localSdp() });
  }

  async #described(): Promise<void> {
    this.#hooks.described();
    for (const candidate of this.#early.splice(0)) await this.#pc.addIceCandidate(candidate);
  }

  #localSdp(): string {
    return this.#pc.localDescription?.sdp ?? '';
  }

  #enqueue(step: () => Promise<void> | void): void {
    this.#queue = this.#run(this.#queue, step);
  }

  async #run(before: Promise<void>, step: () => Promise<void> | void): Promise<void> {
    await before;
    if (!this.#isOpen()) return;
    try {
      await step();
    } catch (cause) {
      // Closing while a step waits rejects it; that is no failure.
      if (this.#isOpen()) this.#hooks.failed(cause);
    }
  }

  #isOpen(): boolean {
    return this.#pc.signalingState !== 'closed';
  }
}

/** A server sends a handful; more than this before any description is a broken one, and is dropped. */
const MAX_EARLY_CANDIDATES = 64;
