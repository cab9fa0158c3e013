import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A way in which the server can break one rule. */
export type Flaw =
  | 'contentOnGet'
  | 'noCors'
  | 'noAcceptPost'
  | 'anyType'
  | 'anySdp'
  | 'noAllow'
  | 'noChallenge'
  | 'moved'
  | 'answerIsText'
  | 'wrongDirection'
  | 'anyDirection'
  | 'contentOnSessionGet'
  | 'noCandidates'
  | 'notBundled'
  | 'notMuxed'
  | 'oddIceServer'
  | 'shortId'
  | 'anyPatchType'
  | 'anyFragment'
  | 'weakTag'
  | 'noPrecondition'
  | 'anyTag'
  | 'tricklesOnly'
  | 'tagOnTrickle'
  | 'pickyCandidates'
  | 'sameTag'
  | 'sameCredentials'
  | 'noIceOptions'
  | 'oldTagLives'
  | 'deleteChecksTag'
  | 'conflictOnTwoVideos'
  | 'partialAnswer'
  | 'activeIsActive'
  | 'noHead'
  | 'noRetryAfter'
  | 'streamOutlivesDelete'
  | 'anyEvent'
  | 'streamOutlivesSession'
  | 'noLayersEvent'
  | 'noLayer'
  | 'counterIsText'
  | 'anyAnswer';

/** A WHIP and WHEP server without media, right in everything but its flaw. */
export async function startServer(flaw?: Flaw, token?: string, counterOffers = false) {
  const server = createServer();
  const state = new Model(flaw, token, counterOffers);
  server.on('request', (request, response) => void state.answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: (protocol: 'whip' | 'whep') => `http://127.0.0.1:${port}/${protocol}`,
    /** Sessions that were not ended. */
    left: () => state.sessions.size,
    close: () =>
      new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      }),
  };
}

interface Held {
  ufrag: string;
  restarts: number;
}

const FRAGMENT = 'application/trickle-ice-sdpfrag';
const EXTENSION = 'urn:ietf:params:whep:ext:core';

class Model {
  readonly sessions = new Map<string, Held>();
  readonly #streams = new Map<string, string>();
  readonly #flaw: Flaw | undefined;
  readonly #token: string | undefined;
  /** Whether WHEP offers are countered. */
  readonly #counterOffers: boolean;

  constructor(flaw: Flaw | undefined, token: string | undefined, counterOffers: boolean) {
    this.#counterOffers = counterOffers;
    this.#flaw = flaw;
    this.#token = token;
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = '';
    for await (const chunk of request) body += String(chunk);
    const [, protocol = '', id, below, stream] = (request.url ?? '').split('/');
    const whip = protocol === 'whip';
    const end = (status: number, headers: Record<string, string | string[]> = {}, text = '') =>
      response.writeHead(status, headers).end(text);

    if (request.method === 'OPTIONS') {
      return void end(200, {
        ...(this.#has('noAcceptPost') ? {} : { 'accept-post': 'application/sdp' }),
        ...(this.#has('noCors') ? {} : { 'access-control-allow-origin': '*' }),
        'access-control-allow-methods': 'POST, PATCH, DELETE',
      });
    }
    if (id === undefined) return void this.#endpoint(request, body, whip, end);
    const session = this.sessions.get(id);
    if (stream !== undefined) {
      if (this.#streams.get(stream) !== id) return void end(404);
      if (request.method === 'GET') return void end(200, { 'content-type': 'text/event-stream' });
      if (!this.#has('streamOutlivesDelete')) this.#streams.delete(stream);
      return void end(200);
    }
    if (session === undefined) return void end(404);
    if (below === 'sse') {
      const known = (JSON.parse(body) as string[]).every((kind) => kind === 'layers');
      if (!known && !this.#has('anyEvent')) return void end(400);
      const name = randomUUID();
      this.#streams.set(name, id);
      return void end(201, { location: `/${protocol}/${id}/sse/${name}` });
    }
    if (below === 'layer') return void end(this.#has('noLayer') ? 500 : 200);
    if (request.method === 'GET') {
      return void end(200, {}, this.#has('contentOnSessionGet') ? 'session' : '');
    }
    if (request.method === 'DELETE') {
      if (this.#has('deleteChecksTag') && request.headers['if-match'] !== undefined) {
        return void end(412);
      }
      this.sessions.delete(id);
      for (const [name, owner] of this.#streams) {
        if (owner === id && !this.#has('streamOutlivesSession')) this.#streams.delete(name);
      }
      return void end(200);
    }
    this.#patch(request, body, id, session, end);
  }

  #endpoint(request: IncomingMessage, body: string, whip: boolean, end: End): void {
    if (request.method === 'HEAD' && !whip) {
      return end(200, this.#has('noHead') ? {} : { 'content-type': 'application/sdp' });
    }
    if (request.method === 'GET') return end(200, {}, this.#has('contentOnGet') ? 'hello' : '');
    if (request.method !== 'POST') return end(405, this.#has('noAllow') ? {} : { allow: 'POST' });
    if (this.#token !== undefined && request.headers.authorization !== `Bearer ${this.#token}`) {
      return end(401, this.#has('noChallenge') ? {} : { 'www-authenticate': 'Bearer' });
    }
    if (this.#has('moved')) return end(302, { location: '/elsewhere' });
    if (this.#has('noRetryAfter') && !whip) return end(409);
    if (request.headers['content-type'] !== 'application/sdp' && !this.#has('anyType')) {
      return end(415);
    }
    if (!body.includes('a=ice-ufrag') && !this.#has('anySdp')) return end(400);
    const backwards = whip ? /a=(recvonly|inactive)/ : /a=(sendonly|inactive)/;
    if (backwards.test(body) && !this.#has('anyDirection')) return end(422);
    if (/m=video[^]*m=video/.test(body)) return end(this.#has('conflictOnTwoVideos') ? 500 : 422);
    if (body.includes('NO-SUCH') && !this.#has('partialAnswer')) return end(422);
    const id = this.#has('shortId') ? String(this.sessions.size) : randomUUID().replaceAll('-', '');
    this.sessions.set(id, { ufrag: /a=ice-ufrag:(.*)/.exec(body)?.[1] ?? '', restarts: 0 });
    const url = `/${whip ? 'whip' : 'whep'}/${id}`;
    const kinds = this.#has('noLayersEvent') ? 'active' : 'active,layers';
    const countered = this.#counterOffers && !whip;
    const isText = this.#has(countered ? 'counterIsText' : 'answerIsText');
    end(
      countered ? 406 : 201,
      {
        location: url,
        etag: this.#tag(id, 0),
        'content-type': isText ? 'text/plain' : 'application/sdp',
        link: [
          `<${this.#has('oddIceServer') ? 'http:x' : 'stun:x'}>; rel="ice-server"`,
          `<${url}/sse>; rel="${EXTENSION}:server-sent-events"; events="${kinds}"`,
          `<${url}/layer>; rel="${EXTENSION}:layer"`,
        ].slice(0, whip ? 1 : 3),
      },
      this.#description(body, whip),
    );
  }

  #patch(request: IncomingMessage, body: string, id: string, session: Held, end: End): void {
    const { 'content-type': type, 'if-match': ifMatch } = request.headers;
    if (type === 'application/sdp' && this.#counterOffers) {
      const ufrag = /a=ice-ufrag:(.*)/.exec(body)?.[1];
      if (ufrag === undefined) return end(this.#has('anyAnswer') ? 204 : 400);
      Object.assign(session, { ufrag });
      return end(body.includes('a=recvonly') ? 204 : 422);
    }
    if (type !== FRAGMENT) return end(this.#has('anyPatchType') ? 204 : 415);
    if (ifMatch === undefined) return end(this.#has('noPrecondition') ? 204 : 428);
    const current = this.#has('oldTagLives') ? this.#tag(id, 0) : this.#tag(id, session.restarts);
    if (ifMatch !== '*' && ifMatch !== current && !this.#has('anyTag')) return end(412);
    const ufrag = /a=ice-ufrag:(.*)/.exec(body)?.[1];
    if (ufrag === undefined) return end(this.#has('anyFragment') ? 204 : 400);
    if (ufrag === session.ufrag) {
      if (this.#has('pickyCandidates') && /sctp|\.local/.test(body)) return end(400);
      return end(204, this.#has('tagOnTrickle') ? { etag: current } : {});
    }
    if (this.#has('tricklesOnly')) return end(500);
    Object.assign(session, { ufrag, restarts: session.restarts + 1 });
    const credentials = this.#has('sameCredentials')
      ? 'a=ice-ufrag:server\r\na=ice-pwd:0123456789012345678901\r\n'
      : `a=ice-ufrag:again${session.restarts}\r\na=ice-pwd:1123456789012345678901\r\n`;
    const options = this.#has('noIceOptions') ? '' : 'a=ice-options:trickle\r\n';
    const etag = this.#tag(id, this.#has('sameTag') ? 0 : session.restarts);
    end(200, { etag, 'content-type': FRAGMENT }, `a=ice-lite\r\n${options}${credentials}`);
  }

  #description(offer: string, whip: boolean): string {
    const active = this.#has('activeIsActive') && offer.includes('setup:active');
    const right = whip ? 'recvonly' : 'sendonly';
    const media = ['audio', 'video'].map((kind, mid) =>
      [
        `m=${kind} 9 UDP/TLS/RTP/SAVPF 111`,
        `a=mid:${mid}`,
        `a=setup:${active ? 'active' : 'passive'}`,
        `a=${this.#has('wrongDirection') ? 'sendrecv' : right}`,
        'a=ice-ufrag:server',
        'a=ice-pwd:0123456789012345678901',
        ...(this.#has('notMuxed') ? [] : ['a=rtcp-mux']),
        ...(this.#has('noCandidates') ? [] : ['a=candidate:1 1 udp 1 192.0.2.9 9 typ host']),
      ].join('\r\n'),
    );
    const group = this.#has('notBundled') ? 'BUNDLE 0' : 'BUNDLE 0 1';
    const session = ['v=0', 'o=- 1 1 IN IP4 0.0.0.0', 's=-', 't=0 0', `a=group:${group}`];
    return [...session, 'a=ice-lite', 'a=ice-options:trickle', ...media, ''].join('\r\n');
  }

  #tag(id: string, restarts: number): string {
    return `${this.#has('weakTag') ? 'W/' : ''}"${id}-${restarts}"`;
  }

  #has(flaw: Flaw): boolean {
    return this.#flaw === flaw;
  }
}

type End = (status: number, headers?: Record<string, string | string[]>, text?: string) => void;
