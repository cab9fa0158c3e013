import { Lines, makeOffer, valuesOf } from './description.js';
import { expect, Skip, type Rule } from './report.js';
import { endpointRules, inSession, sessionRules } from './session-rules.js';
import { isClientError, mediaType } from './target.js';

const sections = {
  http: '§4.1',
  setUp: '§4.2',
  termination: '§4.2',
  options: '§4.2',
  patch: '§4.3.1',
  trickle: '§4.3.2',
  restart: '§4.3.3',
  bundle: '§4.4.1',
  redirect: '§4.5',
  iceServers: '§4.6',
  authentication: '§4.7',
  security: '§5',
} as const;

/** The rules of RFC 9725. */
export const whipRules: readonly Rule[] = [
  ...endpointRules(sections),
  {
    level: 'MUST',
    section: '§4.2',
    text: 'an offer gives 201 with an SDP answer and a URL',
    check: async (target) => {
      const { reply, url } = await target.open();
      await target.request('DELETE', url);
      expect(mediaType(reply) === 'application/sdp', `content type ${mediaType(reply)}`);
      expect(new Lines(reply.body).session[0] === 'v=0', 'the answer is no SDP');
    },
  },
  inSession('MUST', '§4.2', 'the answer is recvonly', (_, { answer }) => {
    const directions = new Lines(answer).directions();
    expect(
      directions.every((direction) => direction === 'recvonly'),
      directions.join(', '),
    );
  }),
  {
    level: 'MUST',
    section: '§4.2',
    text: 'an offer may be sendrecv; the answer is recvonly',
    check: (target) =>
      target.session(
        async ({ answer }) => {
          const directions = new Lines(answer).directions();
          expect(
            directions.every((direction) => direction === 'recvonly'),
            directions.join(', '),
          );
        },
        { direction: 'sendrecv' },
      ),
  },
  {
    level: 'SHOULD',
    section: '§4.2',
    text: 'an offer that is recvonly or inactive is refused',
    check: async (target) => {
      for (const direction of ['recvonly', 'inactive'] as const) {
        const { status } = await target.tried(makeOffer({ direction }).sdp);
        expect(isClientError(status), `${direction} gives ${status}`);
      }
    },
  },
  ...sessionRules(sections),
  {
    level: 'MUST',
    section: '§4.4.2',
    text: 'two tracks of a kind are taken whole or refused by 400 or 422',
    check: async (target) => {
      const kinds = ['audio', 'video', 'video'] as const;
      const { status, body } = await target.tried(makeOffer({ direction: 'sendonly', kinds }).sdp);
      if (status === 201) {
        expect(new Lines(body).accepted().length === 3, 'a section of the answer is rejected');
      } else {
        expect(status === 400 || status === 422, `POST gives ${status}`);
      }
    },
  },
  {
    level: 'SHOULD',
    section: '§4.4.3',
    text: 'an offer that can be had in part only is refused by 400 or 422',
    check: async (target) => {
      const offer = makeOffer({ direction: 'sendonly', videoCodec: 'X-NO-SUCH-CODEC' });
      const { status } = await target.tried(offer.sdp);
      expect(status === 400 || status === 422, `POST gives ${status}`);
    },
  },
  {
    level: 'SHOULD',
    section: '§4.4.4',
    text: 'setup:active is taken, or refused by 400 or 422',
    check: async (target) => {
      const offer = makeOffer({ direction: 'sendonly', setup: 'active' });
      const { status, body } = await target.tried(offer.sdp);
      if (status === 409) throw new Skip('409: the stream is not to be had now');
      if (status !== 201) {
        expect(status === 400 || status === 422, `POST gives ${status}`);
        return;
      }
      const setup = new Lines(body).accepted().flatMap((part) => valuesOf(part, 'setup'));
      expect(
        setup.every((role) => role === 'passive'),
        `a=setup:${setup.join(', ')}`,
      );
    },
  },
];
