import { Lines, makeOffer } from './description.js';
import { expect, Skip, type Rule } from './report.js';
import { endpointRules, inSession, sessionRules } from './session-rules.js';
import { isClientError, links, mediaType, type Session, type Target } from './target.js';

const sections = {
  http: '§4.1',
  setUp: '§4.3.4',
  termination: '§4.4',
  options: '§4.4',
  patch: '§4.5.1',
  trickle: '§4.5.2',
  restart: '§4.5.3',
  bundle: '§4.6.1',
  redirect: '§4.7',
  iceServers: '§4.8',
  authentication: '§4.9',
  security: '§5',
} as const;

const JSON_TYPE = { 'content-type': 'application/json' };
const EVENTS = 'urn:ietf:params:whep:ext:core:server-sent-events';
const LAYER = 'urn:ietf:params:whep:ext:core:layer';

/** The rules of draft-ietf-wish-whep-04, and of its extensions (webrtc-http-egress-events). */
export const whepRules: readonly Rule[] = [
  ...endpointRules(sections),
  {
    level: 'SHOULD',
    section: '§4.2',
    text: 'HEAD shows a WHEP endpoint by its content type',
    check: async (target) => {
      const reply = await target.request('HEAD', target.url);
      expect(reply.status === 200, `HEAD gives ${reply.status}`);
      expect(mediaType(reply) === 'application/sdp', `content type ${mediaType(reply)}`);
    },
  },
  {
    level: 'MUST',
    section: '§4.3.1',
    text: 'an offer gives 201 with an SDP answer and a URL',
    check: async (target) => {
      const { reply, url } = await target.open();
      await target.request('DELETE', url);
      if (reply.status === 406) throw new Skip('the server makes a counter-offer');
      expect(mediaType(reply) === 'application/sdp', `content type ${mediaType(reply)}`);
      expect(new Lines(reply.body).session[0] === 'v=0', 'the answer is no SDP');
    },
  },
  {
    level: 'MUST',
    section: '§4.3.2',
    text: 'a counter-offer is a 406 with SDP and a URL that takes an answer by 204',
    check: async (target) => {
      const { url, reply } = await target.open();
      await target.request('DELETE', url);
      if (reply.status !== 406) throw new Skip('the server answers');
      expect(mediaType(reply) === 'application/sdp', `content type ${mediaType(reply)}`);
      expect(new Lines(reply.body).session[0] === 'v=0', 'the counter-offer is no SDP');
    },
  },
  {
    level: 'MUST',
    section: '§4.3.2',
    text: 'a malformed answer to a counter-offer is refused by 4xx',
    check: async (target) => {
      const reply = await target.post(makeOffer({ direction: 'recvonly' }).sdp);
      if (reply.status !== 201 && reply.status !== 406) throw new Skip('there is no session');
      const url = target.locate(reply);
      const headers = { 'content-type': 'application/sdp' };
      const { status } = await target.request('PATCH', url, { headers, body: 'no SDP' });
      await target.request('DELETE', url);
      if (reply.status !== 406) throw new Skip('the server answers');
      expect(isClientError(status), `PATCH gives ${status}`);
    },
  },
  inSession('MUST', '§4.3.5', 'the answer is sendonly', (_, { answer, reply }) => {
    const directions = new Lines(answer).directions();
    // A counter-offer may be sendrecv, an answer may not.
    const allowed = reply.status === 406 ? ['sendonly', 'sendrecv'] : ['sendonly'];
    expect(
      directions.every((direction) => allowed.includes(direction)),
      directions.join(', '),
    );
  }),
  {
    level: 'SHOULD',
    section: '§4.3.5',
    text: 'an offer that is sendonly or inactive is refused',
    check: async (target) => {
      for (const direction of ['sendonly', 'inactive'] as const) {
        const { status } = await target.tried(makeOffer({ direction }).sdp);
        expect(isClientError(status), `${direction} gives ${status}`);
      }
    },
  },
  {
    level: 'MUST',
    section: '§4.3.8',
    text: 'a 409 says Retry-After',
    check: async (target) => {
      const reply = await target.tried(makeOffer({ direction: 'recvonly' }).sdp);
      if (reply.status !== 409) throw new Skip(`POST gives ${reply.status}`);
      const after = reply.headers.get('retry-after');
      expect(after !== null && /^\d+$/.test(after), `Retry-After: ${after}`);
    },
  },
  ...sessionRules(sections),
  inSession('MUST', 'events', 'an event stream is made, read and ended', async (target, s) => {
    const url = await eventStream(target, s, '[]');
    const read = await target.request('GET', url, { read: false });
    expect(read.status === 200, `GET gives ${read.status}`);
    expect(mediaType(read) === 'text/event-stream', `content type ${mediaType(read)}`);
    const ended = await target.request('DELETE', url);
    expect(ended.status >= 200 && ended.status < 300, `DELETE gives ${ended.status}`);
    const again = await target.request('GET', url, { read: false });
    expect(again.status === 404, `GET after DELETE gives ${again.status}`);
  }),
  inSession('MUST', 'events', 'an unknown event is refused by 400', async (target, s) => {
    const body = '["no-such-event"]';
    const reply = await target.request('POST', extension(target, s, EVENTS), {
      headers: JSON_TYPE,
      body,
    });
    expect(reply.status === 400, `POST gives ${reply.status}`);
  }),
  {
    level: 'MUST',
    section: 'events',
    text: 'event streams end with their session',
    check: async (target) => {
      const session = await target.open();
      let url;
      try {
        url = await eventStream(target, session, '[]');
      } finally {
        await target.request('DELETE', session.url);
      }
      const { status } = await target.request('GET', url, { read: false });
      expect(status === 404, `GET gives ${status}`);
    },
  },
  inSession('MUST', 'events, layers', 'layer selection comes with layers events', (target, s) => {
    extension(target, s, LAYER);
    const found = links(s.reply).find(({ rel }) => rel === EVENTS);
    expect(found !== undefined, 'no server-sent events');
    const [, kinds] = /events="([^"]*)"/.exec(found.text) ?? [];
    expect(kinds?.split(',').includes('layers') === true, found.text);
  }),
  inSession('MUST', 'events, layers', 'the automatic layer can be asked for', async (target, s) => {
    const url = extension(target, s, LAYER);
    const { status } = await target.request('POST', url, { headers: JSON_TYPE, body: '{}' });
    expect(status === 200, `POST gives ${status}`);
  }),
];

/** The URL of an extension, or a skip. */
function extension(target: Target, { reply }: Session, wanted: string): string {
  const found = links(reply).find(({ rel }) => rel === wanted);
  if (found === undefined) throw new Skip('the extension is not offered');
  return new URL(found.url, target.url).href;
}

async function eventStream(target: Target, session: Session, kinds: string): Promise<string> {
  const url = extension(target, session, EVENTS);
  const reply = await target.request('POST', url, { headers: JSON_TYPE, body: kinds });
  expect(reply.status === 201, `POST gives ${reply.status}`);
  return target.locate(reply);
}
