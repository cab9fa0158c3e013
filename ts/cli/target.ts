import { setTimeout as sleep } from 'node:timers/promises';
import { makeAnswer, makeOffer, type Offer, type OfferOptions } from './description.js';
import { Skip, expect } from './report.js';

/** Which protocol the endpoint speaks. */
export type Protocol = 'whip' | 'whep';

/** What a request carries beyond its method and URL. */
export interface Extra {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Whether the bearer token goes along. Default true. */
  readonly authorized?: boolean;
  /** Whether the response's content is awaited. Default true. */
  readonly read?: boolean;
}

/** A response that has been read. */
export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
}

/** A session that the server has made. */
export interface Session {
  readonly url: string;
  /** The entity tag, where there is one. */
  readonly tag: string | null;
  /** Our description: an offer, or the answer to a counter-offer. */
  readonly offer: Offer;
  /** The server's description: its answer, or its counter-offer. */
  readonly answer: string;
  readonly reply: Reply;
}

/** The endpoint under test. */
export class Target {
  readonly url: string;
  readonly protocol: Protocol;
  readonly token: string | undefined;

  constructor(url: string, protocol: Protocol, token?: string) {
    this.url = url;
    this.protocol = protocol;
    this.token = token;
  }

  /** Sends a request; waits and asks again where the server says that it was asked too often. */
  async request(method: string, url: string, extra: Extra = {}): Promise<Reply> {
    const { headers = {}, body, authorized = true, read = true } = extra;
    const bearer =
      authorized && this.token !== undefined ? { authorization: `Bearer ${this.token}` } : {};
    for (let attempt = 0; ; attempt += 1) {
      const response = await fetch(url, {
        method,
        headers: { ...headers, ...bearer },
        redirect: 'manual',
        signal: AbortSignal.timeout(TIMEOUT_MS),
        ...(body === undefined ? {} : { body: Buffer.from(body) }),
      });
      const reply = {
        status: response.status,
        headers: response.headers,
        body: read ? await response.text() : '',
      };
      if (!read) await response.body?.cancel();
      if (reply.status !== 429 || attempt === 5) return reply;
      await sleep(retryAfterMs(reply));
    }
  }

  /** POSTs an offer to the endpoint, and again where a redirect says so. */
  async post(offer: string, extra: Extra = {}): Promise<Reply> {
    let { url } = this;
    const headers = { 'content-type': 'application/sdp', ...extra.headers };
    for (let hop = 0; ; hop += 1) {
      const reply = await this.request('POST', url, { ...extra, headers, body: offer });
      if ((reply.status !== 307 && reply.status !== 308) || hop === 5) return reply;
      url = new URL(reply.headers.get('location') ?? '', url).href;
    }
  }

  /** Opens a session with the direction that the protocol wants. */
  async open(options: Partial<OfferOptions> = {}): Promise<Session> {
    const direction = this.protocol === 'whip' ? 'sendonly' : 'recvonly';
    const offer = makeOffer({ direction, ...options });
    let reply = await this.post(offer.sdp);
    for (let attempt = 0; reply.status === 409 && this.protocol === 'whip' && attempt < 3;) {
      // The session before is not gone yet.
      attempt += 1;
      await sleep(retryAfterMs(reply));
      reply = await this.post(offer.sdp);
    }
    if (reply.status === 409) throw new Skip('409: the stream is not to be had now');
    const { body: answer } = reply;
    if (reply.status === 406 && this.protocol === 'whep') return this.#agree(reply);
    expect(reply.status === 201, `POST gives ${reply.status}: ${answer.slice(0, 200)}`);
    return { url: this.locate(reply), tag: reply.headers.get('etag'), offer, answer, reply };
  }

  /** Opens a session, uses it and ends it. That none can be had is the failure of one rule, not of all. */
  async session(use: (session: Session) => Promise<void>, options?: Partial<OfferOptions>) {
    const session = await this.open(options).catch((cause: unknown) => {
      throw new Skip('there is no session', { cause });
    });
    try {
      await use(session);
    } finally {
      await this.request('DELETE', session.url);
    }
  }

  /** Completes a session by the answer to a counter-offer (WHEP §4.3.2). */
  async #agree(reply: Reply): Promise<Session> {
    const url = this.locate(reply);
    const offer = makeAnswer(reply.body);
    const headers = { 'content-type': 'application/sdp' };
    const { status } = await this.request('PATCH', url, { headers, body: offer.sdp });
    expect(status === 204, `PATCH with an answer gives ${status}`);
    return { url, tag: reply.headers.get('etag'), offer, answer: reply.body, reply };
  }

  /** POSTs what may be refused; a session that comes of it is ended. */
  async tried(offer: string, extra: Extra = {}): Promise<Reply> {
    const reply = await this.post(offer, extra);
    if (reply.status === 201 || reply.status === 406) {
      await this.request('DELETE', this.locate(reply));
    }
    return reply;
  }

  /** PATCHes a session by a fragment. */
  patch(session: Session, fragment: string, ifMatch: string | null): Promise<Reply> {
    const headers = {
      'content-type': FRAGMENT,
      ...(ifMatch === null ? {} : { 'if-match': ifMatch }),
    };
    return this.request('PATCH', session.url, { headers, body: fragment });
  }

  /** The absolute URL in `Location`. */
  locate(reply: Reply): string {
    const location = reply.headers.get('location');
    expect(location !== null, `a ${reply.status} without Location`);
    return new URL(location, this.url).href;
  }
}

/** The media type of a response without its parameters. */
export function mediaType(reply: Reply): string {
  return (reply.headers.get('content-type') ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
}

/** Whether a status refuses the client's request. */
export function isClientError(status: number): boolean {
  return status >= 400 && status < 500;
}

/** The links of a response by their `rel`. */
export function links(reply: Reply): { url: string; rel: string; text: string }[] {
  const values = reply.headers.get('link')?.split(/,\s*(?=<)/) ?? [];
  return values.flatMap((text) => {
    const [, url] = /^<([^>]*)>/.exec(text) ?? [];
    const [, rel] = /;\s*rel="?([^";]+)"?/.exec(text) ?? [];
    return url === undefined || rel === undefined ? [] : [{ url, rel, text }];
  });
}

function retryAfterMs(reply: Reply): number {
  const seconds = Number(reply.headers.get('retry-after') ?? 1);
  return Math.min(Number.isFinite(seconds) ? seconds : 1, 10) * 1000;
}

/** The media type of a fragment (RFC 8840 §9.2). */
export const FRAGMENT = 'application/trickle-ice-sdpfrag';

/** Longer than a server may take to ask its authorizer. */
const TIMEOUT_MS = 20_000;
