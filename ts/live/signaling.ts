import { SluiceError, type SluiceErrorCode } from '../errors.js';

/**
 * What a foreign server says to an offer.
 *
 * @internal
 */
export interface Said {
  /** `counterOffer`: the server makes the offer, and waits for our answer (WHEP). */
  readonly type: 'answer' | 'counterOffer';
  readonly sdp: string;
  /** The session's own URL, to be deleted at the end. */
  readonly resource: URL;
}

/**
 * Why a foreign server did not take an offer.
 *
 * @internal
 */
export class Refusal {
  readonly error: SluiceError;
  /** The same request will be refused again. */
  readonly isFinal: boolean;
  /** When the server wants to be asked again. */
  readonly retryAfterMs: number | undefined;
  /** A session that the server made all the same. */
  readonly resource: URL | undefined;

  constructor(
    error: SluiceError,
    {
      isFinal = false,
      retryAfterMs,
      resource,
    }: { isFinal?: boolean; retryAfterMs?: number | undefined; resource?: URL | undefined } = {},
  ) {
    this.error = error;
    this.isFinal = isFinal;
    this.retryAfterMs = retryAfterMs;
    this.resource = resource;
  }
}

/** Where a foreign server is and what it is told with each request. */
interface Target {
  readonly url: URL;
  readonly token: string | undefined;
  readonly headers: Headers;
}

interface Reply {
  readonly url: URL;
  readonly status: number;
  readonly headers: Headers;
  /** Nothing where there was too much of it. */
  readonly text: string | undefined;
}

/**
 * A client's side of WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep-04) over HTTP.
 *
 * Token and headers go to the origin that the application named and to no other, whatever a redirect
 * or a `Location` says; from https nothing leads to http.
 *
 * @internal
 */
export class Signaling {
  readonly #target: Target;

  constructor(target: Target) {
    this.#target = target;
  }

  /**
   * Offers (RFC 9725 §4.2).
   *
   * @throws {@link Refusal}; `signal.reason` when aborted.
   */
  async offer(sdp: string, signal: AbortSignal): Promise<Said> {
    const reply = await this.#send('POST', this.#target.url, sdp, signal);
    const { status, text } = reply;
    const resource = this.#resource(reply);
    const isCounterOffer = status === 406 && isSdp(reply) && resource !== undefined;
    if (status !== 201 && !isCounterOffer) throw refused(reply);
    if (resource === undefined) {
      throw new Refusal(remote(reply, 'it names no session in Location'), { isFinal: true });
    }
    if (text === undefined || !text.startsWith('v=0')) {
      const error = remote(reply, 'its content is no session description');
      throw new Refusal(error, { isFinal: true, resource });
    }
    return { type: isCounterOffer ? 'counterOffer' : 'answer', sdp: text, resource };
  }

  /**
   * Answers a counter-offer (draft-ietf-wish-whep-04 §4.3.2).
   *
   * @throws {@link Refusal}; `signal.reason` when aborted.
   */
  async answer(resource: URL, sdp: string, signal: AbortSignal): Promise<void> {
    const reply = await this.#send('PATCH', resource, sdp, signal);
    if (reply.status < 200 || reply.status > 299) throw refused(reply);
  }

  /** Ends a session (RFC 9725 §4.2). A server that does not hear it forgets the session by itself. */
  async end(resource: URL): Promise<void> {
    await this.#send('DELETE', resource, undefined, undefined, END_TIMEOUT_MS).catch(() => {});
  }

  /** Follows redirects that keep method and content (RFC 9725 §4.5). */
  async #send(
    method: string,
    to: URL,
    sdp: string | undefined,
    signal?: AbortSignal,
    timeoutMs = TIMEOUT_MS,
  ): Promise<Reply> {
    const timeout = AbortSignal.timeout(timeoutMs);
    const both = signal === undefined ? timeout : AbortSignal.any([signal, timeout]);
    let url = to;
    try {
      for (let redirects = 0; ; redirects += 1) {
        const response = await fetch(url, {
          method,
          headers: this.#headers(url, sdp !== undefined),
          redirect: 'manual',
          signal: both,
          ...(sdp === undefined ? {} : { body: sdp }),
        });
        const { status, headers } = response;
        const text = await capped(response);
        const reply: Reply = { url, status, headers, text };
        if (status !== 307 && status !== 308) return reply;
        const next = this.#follow(reply);
        if (next === undefined || redirects === MAX_REDIRECTS) {
          const why =
            next === undefined ? 'it redirects to no place to go' : 'it redirects for ever';
          throw new Refusal(remote(reply, why), { isFinal: true });
        }
        url = next;
      }
    } catch (error) {
      if (error instanceof Refusal) throw error;
      signal?.throwIfAborted();
      if (timeout.aborted) {
        const message = `${url.href} says nothing for ${timeoutMs / 1000} s`;
        throw new Refusal(new SluiceError('ERR_TIMEOUT', message, { cause: error }));
      }
      // `fetch` says only that it failed; why is what it names as the cause.
      const cause = error instanceof Error ? (error.cause ?? error) : error;
      const message = `${url.href} cannot be reached`;
      throw new Refusal(new SluiceError('ERR_REMOTE', message, { cause }));
    }
  }

  #headers(url: URL, hasContent: boolean): Headers {
    const isOurs = url.origin === this.#target.url.origin;
    const headers = new Headers(isOurs ? this.#target.headers : undefined);
    if (isOurs && this.#target.token !== undefined) {
      headers.set('Authorization', `Bearer ${this.#target.token}`);
    }
    headers.set('Accept', 'application/sdp');
    if (hasContent) headers.set('Content-Type', 'application/sdp');
    return headers;
  }

  #resource(reply: Reply): URL | undefined {
    return this.#follow(reply);
  }

  /** Where `Location` leads (RFC 9110 §10.2.2), if one may go there. */
  #follow({ url, headers }: Reply): URL | undefined {
    const location = headers.get('location');
    if (location === null || !URL.canParse(location, url.href)) return undefined;
    const next = new URL(location, url);
    const isHttp = next.protocol === 'https:' || next.protocol === 'http:';
    const isDowngrade = this.#target.url.protocol === 'https:' && next.protocol !== 'https:';
    const isPlain = next.username === '' && next.password === '';
    return isHttp && !isDowngrade && isPlain ? next : undefined;
  }
}

/** A body's text; nothing if it is longer than any session description. */
async function capped(response: Response): Promise<string | undefined> {
  if (response.body === null) return '';
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    // Leaving the loop cancels the rest.
    if (bytes > MAX_BODY_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function isSdp({ headers }: Reply): boolean {
  return /^application\/sdp\s*(;|$)/i.test(headers.get('content-type') ?? '');
}

/** What a status means (RFC 9725 §4.2, §4.5, §4.4.3). */
function refused(reply: Reply): Refusal {
  const { status } = reply;
  const retryAfterMs = LATER.has(status) ? retryAfter(reply.headers) : undefined;
  const [code, what] = MEANINGS[status] ?? ['ERR_REMOTE', 'it does not do what it should'];
  const isFinal = status >= 400 && status < 500 && !LATER.has(status) && status !== 408;
  return new Refusal(said(reply, code, what), { isFinal, retryAfterMs });
}

function remote(reply: Reply, what: string): SluiceError {
  return said(reply, 'ERR_REMOTE', what);
}

/** An error that keeps the server's words. */
function said({ url, status, text }: Reply, code: SluiceErrorCode, what: string): SluiceError {
  const words = text === undefined ? 'without end' : text.slice(0, MAX_WORDS).trim();
  const cause = new Error(words === '' ? `status ${status}` : `status ${status}: ${words}`);
  return new SluiceError(code, `${url.href} answers ${status}: ${what}`, { cause });
}

/** Seconds or a date (RFC 9110 §10.2.3). */
function retryAfter(headers: Headers): number | undefined {
  const value = headers.get('retry-after');
  if (value === null) return undefined;
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), MAX_RETRY_AFTER_MS);
}

/** A server that says so may be asked again. */
const LATER: ReadonlySet<number> = new Set([409, 429, 503]);

const MEANINGS: Readonly<Record<number, readonly [code: SluiceErrorCode, what: string]>> = {
  400: ['ERR_SDP', 'it cannot read the offer'],
  401: ['ERR_AUTH', 'it wants a token, or another one'],
  403: ['ERR_AUTH', 'it does not allow this'],
  404: ['ERR_STREAM_NOT_FOUND', 'there is no such endpoint'],
  405: ['ERR_REMOTE', 'this is no such endpoint'],
  406: ['ERR_SDP', 'it does not take the offer'],
  409: ['ERR_BUSY', 'the stream is not there, or held by another'],
  410: ['ERR_STREAM_NOT_FOUND', 'the endpoint is gone'],
  413: ['ERR_SDP', 'the offer is too large for it'],
  415: ['ERR_SDP', 'it does not take session descriptions'],
  422: ['ERR_SDP', 'it cannot do what the offer says'],
  429: ['ERR_BUSY', 'it was asked too often'],
  503: ['ERR_BUSY', 'it has no room now'],
};
const MAX_REDIRECTS = 5;
const MAX_BODY_BYTES = 64 * 1024;
/** Of a server's words, in an error. */
const MAX_WORDS = 1024;
const TIMEOUT_MS = 10_000;
const END_TIMEOUT_MS = 5000;
const MAX_RETRY_AFTER_MS = 3_600_000;
