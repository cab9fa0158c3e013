import { execFile } from 'node:child_process';
import test from 'ava';
import { judge, type Result } from '../dist/cli/report.js';
import { Target, type Protocol } from '../dist/cli/target.js';
import { whepRules } from '../dist/cli/whep.js';
import { whipRules } from '../dist/cli/whip.js';
import { startServer, type Flaw } from './conformance-server.js';

const TOKEN = 'a.b.c';
const cli = new URL('../dist/cli/index.js', import.meta.url).pathname;

/** Each flaw with the rules that must notice it, by the beginning of their text; where both protocols have them. */
const flaws: Readonly<Partial<Record<Flaw, readonly string[]>>> = {
  contentOnGet: ['GET of the endpoint'],
  noCors: ['OPTIONS answers a CORS preflight'],
  noAcceptPost: ['OPTIONS says Accept-Post'],
  anyType: ['POST of another type'],
  anySdp: ['POST of malformed SDP'],
  noAllow: ['another method'],
  noChallenge: ['without its token'],
  answerIsText: ['an offer gives 201'],
  contentOnSessionGet: ['GET of a session'],
  noCandidates: ['the answer has all candidates'],
  notBundled: ['the answer bundles'],
  notMuxed: ['the answer multiplexes'],
  oddIceServer: ['ice-server links'],
  shortId: ['session URLs'],
  anyPatchType: ['PATCH of another type'],
  anyFragment: ['a malformed fragment'],
  weakTag: ['the ETag is strong'],
  noPrecondition: ['PATCH without If-Match'],
  anyTag: ['a stale If-Match', 'the ETag before a restart'],
  tricklesOnly: [
    'the half that is unsupported',
    'an ICE restart gives',
    'a restart gives new',
    'a restart repeats',
    'the ETag before a restart',
  ],
  tagOnTrickle: ['a trickled candidate'],
  pickyCandidates: ['candidates of no use'],
  sameTag: ['an ICE restart gives'],
  sameCredentials: ['a restart gives new'],
  noIceOptions: ['a restart repeats'],
  oldTagLives: ['the ETag before a restart'],
  deleteChecksTag: ['DELETE ends a session'],
};

const whipFlaws: typeof flaws = {
  wrongDirection: ['the answer is recvonly', 'an offer may be sendrecv'],
  anyDirection: ['an offer that is recvonly'],
  conflictOnTwoVideos: ['two tracks of a kind'],
  partialAnswer: ['an offer that can be had in part'],
  activeIsActive: ['setup:active'],
};

const whepFlaws: typeof flaws = {
  wrongDirection: ['the answer is sendonly'],
  anyDirection: ['an offer that is sendonly'],
  noHead: ['HEAD shows'],
  streamOutlivesDelete: ['an event stream is made'],
  anyEvent: ['an unknown event'],
  streamOutlivesSession: ['event streams end'],
  noLayersEvent: ['layer selection comes'],
  noLayer: ['the automatic layer'],
};

for (const protocol of ['whip', 'whep'] as const) {
  test(`a ${protocol} server without a flaw breaks no rule and keeps no session`, async (t) => {
    const { results, left } = await verdicts(protocol);
    t.deepEqual(
      results.filter(({ verdict }) => verdict === 'fail'),
      [],
    );
    t.true(results.filter(({ verdict }) => verdict === 'pass').length > 25);
    t.is(left, 0);
  });

  const own = protocol === 'whip' ? whipFlaws : whepFlaws;
  for (const [flaw, texts] of Object.entries({ ...flaws, ...own })) {
    test(`${protocol}: ${flaw} breaks the rule that is about it`, async (t) => {
      const { results } = await verdicts(protocol, flaw as Flaw);
      const broken = results.filter(({ verdict }) => verdict === 'fail').map(({ text }) => text);
      t.is(broken.length, texts.length, broken.join('\n'));
      for (const text of texts)
        t.true(
          broken.some((other) => other.startsWith(text)),
          text,
        );
    });
  }
}

test('a redirect by 302 is told', async (t) => {
  const { results } = await verdicts('whip', 'moved');
  const broken = results.filter(({ verdict }) => verdict === 'fail').map(({ section }) => section);
  t.true(broken.includes('§4.5'));
});

test('a WHEP endpoint without a publisher is judged by what is left', async (t) => {
  const { results } = await verdicts('whep', 'noRetryAfter');
  const broken = results.filter(({ verdict }) => verdict === 'fail').map(({ text }) => text);
  t.deepEqual(broken, ['a 409 says Retry-After']);
});

test('a WHEP endpoint that makes counter-offers is judged in full', async (t) => {
  const { results, left } = await verdicts('whep', undefined, true);
  const passed = results.filter(({ verdict }) => verdict === 'pass').length;
  t.deepEqual(
    results.filter(({ verdict }) => verdict === 'fail'),
    [],
  );
  t.true(passed > 30);
  t.is(left, 0);
});

for (const [flaw, text] of Object.entries({
  counterIsText: 'a counter-offer is',
  anyAnswer: 'a malformed answer',
})) {
  test(`whep with counter-offers: ${flaw} breaks the rule that is about it`, async (t) => {
    const { results } = await verdicts('whep', flaw as Flaw, true);
    const broken = results.filter(({ verdict }) => verdict === 'fail').map(({ text }) => text);
    t.is(broken.length, 1, broken.join('\n'));
    t.true(broken[0]?.startsWith(text));
  });
}

test('every rule is seen to fail, here or in a test of its own', (t) => {
  for (const [rules, own] of [
    [whipRules, whipFlaws],
    [whepRules, whepFlaws],
  ] as const) {
    const told = Object.values({ ...flaws, ...own }).flat();
    const untold = rules.filter(({ text }) => !told.some((start) => text.startsWith(start)));
    const known = /^(POST is not redirected|a counter-offer|a malformed answer|a 409 says)/;
    t.deepEqual(
      untold.map(({ text }) => text).filter((text) => !known.test(text)),
      [],
    );
  }
});

test('the exit code says whether a MUST is broken', async (t) => {
  for (const [flaw, code] of [
    [undefined, 0],
    ['noAcceptPost', 0],
    ['noCors', 1],
  ] as const) {
    const server = await startServer(flaw);
    t.is((await run(['whip-conformance', server.url('whip')])).code, code, flaw);
    await server.close();
  }
  for (const args of [
    [],
    ['whip-conformance'],
    ['nonsense', 'http://a'],
    ['whip-conformance', 'a'],
  ])
    t.is((await run(args)).code, 2, args.join(' '));
});

test('--json gives the results as JSON', async (t) => {
  const server = await startServer(undefined, TOKEN);
  const args = ['whep-conformance', server.url('whep'), '--token', TOKEN, '--json'];
  const results = JSON.parse((await run(args)).stdout) as Result[];
  t.is(results.length, whepRules.length);
  await server.close();
});

async function verdicts(protocol: Protocol, flaw?: Flaw, counterOffers = false) {
  const server = await startServer(flaw, TOKEN, counterOffers);
  const rules = protocol === 'whip' ? whipRules : whepRules;
  const results: Result[] = [];
  for await (const result of judge(rules, new Target(server.url(protocol), protocol, TOKEN))) {
    results.push(result);
  }
  const left = server.left();
  await server.close();
  return { results, left };
}

function run(args: readonly string[]): Promise<{ code: number; stdout: string }> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [cli, ...args], (_, stdout) => {
      resolve({ code: child.exitCode ?? -1, stdout });
    });
  });
}
