import { Lines, makeCredentials, makeFragment, makeOffer, valuesOf } from './description.js';
import { expect, Skip, type Rule } from './report.js';
import { isClientError, links, mediaType, FRAGMENT, type Session, type Target } from './target.js';

/** Where the two documents say what both say. */
export interface Sections {
  readonly http: string;
  readonly setUp: string;
  readonly termination: string;
  readonly options: string;
  readonly patch: string;
  readonly trickle: string;
  readonly restart: string;
  readonly bundle: string;
  readonly redirect: string;
  readonly iceServers: string;
  readonly authentication: string;
  readonly security: string;
}

/** The rules of endpoints, before there is a session. */
export function endpointRules(at: Sections): Rule[] {
  return [
    {
      level: 'MUST',
      section: at.http,
      text: 'GET of the endpoint succeeds without content',
      check: async (target) => {
        const { status, body } = await target.request('GET', target.url);
        expect(status >= 200 && status < 300, `GET gives ${status}`);
        expect(body === '', `GET has ${body.length} characters of content`);
      },
    },
    {
      level: 'MUST',
      section: at.options,
      text: 'OPTIONS answers a CORS preflight without a token',
      check: async (target) => {
        const reply = await preflight(target);
        expect(reply.status === 200 || reply.status === 204, `OPTIONS gives ${reply.status}`);
        const origin = reply.headers.get('access-control-allow-origin');
        expect(origin !== null, 'no Access-Control-Allow-Origin');
        const methods = reply.headers.get('access-control-allow-methods') ?? '';
        expect(/POST|\*/.test(methods), `Access-Control-Allow-Methods: ${methods}`);
      },
    },
    {
      level: 'SHOULD',
      section: at.options,
      text: 'OPTIONS says Accept-Post: application/sdp',
      check: async (target) => {
        const reply = await preflight(target);
        expect(reply.status === 200, `OPTIONS gives ${reply.status}`);
        const types = reply.headers.get('accept-post') ?? '';
        expect(types.includes('application/sdp'), `Accept-Post: ${types}`);
      },
    },
    {
      level: 'MUST',
      section: at.setUp,
      text: 'POST of another type than application/sdp is refused by 4xx',
      check: async (target) => {
        const headers = { 'content-type': 'text/plain' };
        const { status } = await target.tried(validOffer(target), { headers });
        expect(isClientError(status), `POST gives ${status}`);
      },
    },
    {
      level: 'MUST',
      section: at.setUp,
      text: 'POST of malformed SDP is refused by 4xx',
      check: async (target) => {
        for (const malformed of ['', 'this is no SDP', 'v=0\r\n\u0000']) {
          const { status } = await target.tried(malformed);
          expect(isClientError(status), `POST gives ${status}`);
        }
      },
    },
    {
      level: 'MUST',
      section: 'RFC 9110 §15.5.6',
      text: 'another method is refused by 405 with Allow',
      check: async (target) => {
        const reply = await target.request('PUT', target.url, { body: 'x' });
        expect(reply.status === 405, `PUT gives ${reply.status}`);
        expect(reply.headers.has('allow'), 'a 405 without Allow');
      },
    },
    {
      level: 'MUST',
      section: at.authentication,
      text: 'without its token POST is refused by 401 with WWW-Authenticate',
      check: async (target) => {
        if (target.token === undefined) throw new Skip('no --token is given');
        const reply = await target.tried(validOffer(target), { authorized: false });
        expect(reply.status === 401, `POST gives ${reply.status}`);
        const challenge = reply.headers.get('www-authenticate') ?? '';
        expect(/^bearer\b/i.test(challenge), `WWW-Authenticate: ${challenge}`);
      },
    },
    {
      level: 'MUST',
      section: at.redirect,
      text: 'POST is not redirected by 301 or 302',
      check: async (target) => {
        const { status } = await target.tried(validOffer(target));
        expect(status !== 301 && status !== 302, `POST gives ${status}`);
      },
    },
  ];
}

/** The rules of sessions. */
export function sessionRules(at: Sections): Rule[] {
  return [
    inSession('MUST', at.http, 'GET of a session succeeds without content', async (target, s) => {
      const { status, body } = await target.request('GET', s.url);
      expect(status >= 200 && status < 300, `GET gives ${status}`);
      expect(body === '', `GET has ${body.length} characters of content`);
    }),
    inSession('MUST', at.trickle, 'the answer has all candidates of the server', (_, s) => {
      expect(new Lines(s.answer).values('candidate').length > 0, 'the answer has no candidate');
    }),
    inSession('MUST', at.bundle, 'the answer bundles all sections', (_, { answer }) => {
      const lines = new Lines(answer);
      const [group = ''] = valuesOf(lines.session, 'group');
      const mids = lines.accepted().flatMap((part) => valuesOf(part, 'mid'));
      const bundled = group.split(' ').slice(1);
      expect(mids.length === lines.accepted().length, 'a section has no mid');
      expect(
        mids.every((mid) => bundled.includes(mid)),
        `a=group:${group}`,
      );
    }),
    // RFC 9725 §4.4.1 wants `rtcp-mux-only` of both sides "per Section 3 of RFC 8858", whose §4.3 forbids it in answers.
    inSession('MUST', at.bundle, 'the answer multiplexes RTP and RTCP', (_, { answer }) => {
      const [tagged = []] = new Lines(answer).accepted();
      const muxed = tagged.some((line) => line === 'a=rtcp-mux' || line === 'a=rtcp-mux-only');
      expect(muxed, `${tagged[0]} has no a=rtcp-mux`);
    }),
    inSession('MUST', at.iceServers, 'ice-server links name STUN or TURN servers', (_, s) => {
      const servers = links(s.reply).filter(({ rel }) => rel === 'ice-server');
      if (servers.length === 0) throw new Skip('no ice-server links');
      for (const { url } of servers) expect(/^(stun|turn)s?:/.test(url), url);
    }),
    inSession('SHOULD', at.security, 'session URLs cannot be guessed', (_, s) => {
      const { pathname, search } = new URL(s.url);
      const longest = `${pathname}${search}`.split(/[/?&=]/).map((part) => part.length);
      // 22 characters of base64url or 32 of hexadecimal are 128 bits.
      expect(Math.max(...longest) >= 22, 'no part of the URL has 128 bits');
    }),
    inSession('MUST', at.patch, 'PATCH of another type is refused by 4xx', async (target, s) => {
      const headers = { 'content-type': 'text/plain', 'if-match': s.tag ?? '*' };
      const { status } = await target.request('PATCH', s.url, { headers, body: 'x' });
      expect(isClientError(status), `PATCH gives ${status}`);
    }),
    inSession('MUST', at.patch, 'a malformed fragment is refused by 4xx', async (target, s) => {
      const { status } = await target.patch(s, 'this is no fragment', s.tag ?? '*');
      expect(isClientError(status), `PATCH gives ${status}`);
    }),
    inSession('MUST', at.patch, 'the ETag is strong', (_, { tag }) => {
      if (tag === null) throw new Skip('no ETag, so no ICE restarts');
      expect(/^"[^"]*"$/.test(tag), `ETag: ${tag}`);
    }),
    inSession('MUST', at.patch, 'PATCH without If-Match is refused by 428', async (target, s) => {
      if (s.tag === null) throw new Skip('no ETag');
      const { status } = await target.patch(s, makeFragment(s.offer), null);
      skipUnsupported(status);
      expect(status === 428, `PATCH gives ${status}`);
    }),
    inSession('MUST', at.patch, 'a stale If-Match is refused by 412', async (target, s) => {
      if (s.tag === null) throw new Skip('no ETag');
      const { status } = await target.patch(s, makeFragment(s.offer), '"no-such-ice-session"');
      skipUnsupported(status);
      expect(status === 412, `PATCH gives ${status}`);
    }),
    inSession('MUST', at.patch, 'the half that is unsupported gives 422', async (target, s) => {
      const trickle = await target.patch(s, makeFragment(s.offer), s.tag ?? '*');
      const restart = await target.patch(s, makeFragment(makeCredentials()), '*');
      const [first, second] = [trickle.status === 204, restart.status === 200];
      if (first === second) throw new Skip(first ? 'both are supported' : 'neither is supported');
      const other = first ? restart : trickle;
      expect(other.status === 422, `PATCH gives ${other.status}`);
    }),
    inSession('MUST', at.trickle, 'a trickled candidate gives 204, no ETag', async (target, s) => {
      const reply = await target.patch(s, makeFragment(s.offer), s.tag);
      skipUnsupported(reply.status);
      expect(reply.status === 204, `PATCH gives ${reply.status}`);
      expect(reply.body === '', 'a 204 with content');
      expect(!reply.headers.has('etag'), `ETag: ${reply.headers.get('etag')}`);
    }),
    inSession('MUST', at.trickle, 'candidates of no use are discarded', async (target, s) => {
      const plain = await target.patch(s, makeFragment(s.offer), s.tag);
      skipUnsupported(plain.status);
      for (const candidate of [
        '1 1 sctp 1 192.0.2.1 1 typ host',
        '1 1 udp 1 6b1e2a34-9c1f-4a5e-8f0d-1d2c3b4a5968.local 1 typ host',
      ]) {
        const { status } = await target.patch(s, makeFragment(s.offer, candidate), s.tag);
        expect(status === 204, `PATCH of "${candidate}" gives ${status}`);
      }
    }),
    inSession('MUST', at.restart, 'an ICE restart gives 200 and a new ETag', async (target, s) => {
      const reply = await restarted(target, s);
      const tag = reply.headers.get('etag');
      expect(tag !== null && tag !== s.tag, `ETag: ${tag}, before: ${s.tag}`);
      expect(mediaType(reply) === FRAGMENT, `content type ${mediaType(reply)}`);
    }),
    inSession('MUST', at.restart, 'a restart gives new ICE credentials', async (target, s) => {
      const fragment = new Lines((await restarted(target, s)).body);
      for (const name of ['ice-ufrag', 'ice-pwd']) {
        const [now] = fragment.values(name);
        expect(now !== undefined, `no a=${name}`);
        expect(!new Lines(s.answer).values(name).includes(now), `the same a=${name}`);
      }
    }),
    inSession('MUST', at.restart, 'a restart repeats the ICE attributes', async (target, s) => {
      const [answer, fragment] = [
        new Lines(s.answer),
        new Lines((await restarted(target, s)).body),
      ];
      for (const name of ['ice-lite', 'ice-options', 'ice-pacing']) {
        const [before, after] = [answer.values(name)[0], fragment.values(name)[0]];
        expect(before === after, `a=${name} is "${after}", in the answer "${before}"`);
      }
    }),
    inSession('MUST', at.restart, 'the ETag before a restart is stale', async (target, s) => {
      await restarted(target, s);
      const { status } = await target.patch(s, makeFragment(s.offer), s.tag);
      expect(status === 412, `PATCH gives ${status}`);
    }),
    {
      level: 'MUST',
      section: at.termination,
      text: 'DELETE ends a session, whatever the entity tag',
      check: async (target) => {
        const session = await target.open();
        const headers = { 'if-match': '"no-such-ice-session"' };
        const { status } = await target.request('DELETE', session.url, { headers });
        expect(status === 200, `DELETE gives ${status}`);
        const again = await target.patch(session, makeFragment(session.offer), session.tag ?? '*');
        expect(isClientError(again.status), `PATCH after DELETE gives ${again.status}`);
      },
    },
  ];
}

/** A rule that is looked at in a session of its own. */
export function inSession(
  level: Rule['level'],
  section: string,
  text: string,
  check: (target: Target, session: Session) => Promise<void> | void,
): Rule {
  return {
    level,
    section,
    text,
    check: (target) => target.session(async (session) => check(target, session)),
  };
}

/** Skips where the server does not do what a PATCH asks. */
function skipUnsupported(status: number): void {
  if (status === 422 || status === 405 || status === 501) throw new Skip(`PATCH gives ${status}`);
}

async function restarted(target: Target, session: Session) {
  const reply = await target.patch(session, makeFragment(makeCredentials()), '*');
  skipUnsupported(reply.status);
  expect(reply.status === 200, `PATCH gives ${reply.status}`);
  return reply;
}

function preflight(target: Target) {
  const headers = {
    origin: 'https://conformance.example',
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'authorization,content-type',
  };
  return target.request('OPTIONS', target.url, { headers, authorized: false });
}

function validOffer({ protocol }: Target): string {
  return makeOffer({ direction: protocol === 'whip' ? 'sendonly' : 'recvonly' }).sdp;
}
