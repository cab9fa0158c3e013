import test from 'ava';
import type { ExecutionContext } from 'ava';
import { Demo, until } from './demo.js';
import type { Kind } from './demo.js';
import { Session, gstreamer, isInstalled, werift, wrtc } from './stacks.js';
import type { Stack } from './stacks.js';

const kinds: readonly Kind[] = ['audio', 'video'];
let demo: Demo;

test.before(async () => {
  demo = await Demo.start();
});
test.after.always(async (t) => {
  t.is(await demo?.close(), 0);
});

async function start(
  t: ExecutionContext,
  stack: Stack,
  verb: 'publish' | 'play',
  room: string,
): Promise<Session> {
  const kind = verb === 'publish' ? 'whip' : 'whep';
  const session = await Session.start(stack, verb, demo.url(`/rooms/${room}/${kind}`));
  t.teardown(() => session.kill());
  return session;
}

/** Packets of the first client's track of a kind. */
async function published(room: string, kind: Kind): Promise<number> {
  const [client] = await demo.clients(room);
  const layers = client?.tracks.find(({ track }) => track.kind === kind)?.layers ?? [];
  return layers.reduce((sum, layer) => sum + layer.packets, 0);
}

function publishes(stack: Stack) {
  return async (t: ExecutionContext) => {
    const room = `publish-${stack.name}`;
    await start(t, stack, 'publish', room);
    for (const kind of kinds) {
      await until(`30 packets of ${kind}`, async () => (await published(room, kind)) >= 30);
    }
    const [client] = await demo.clients(room);
    t.is(client?.appData.name, 'WHIP');
    t.is(client?.dtlsState, 'connected');
  };
}

function plays(player: Stack, publisher: Stack) {
  return async (t: ExecutionContext) => {
    const room = `${publisher.name}-${player.name}`;
    await start(t, publisher, 'publish', room);
    await until('both tracks', async () => (await demo.clients(room))[0]?.tracks.length === 2);
    const session = await start(t, player, 'play', room);
    const expected = player.decodes && !publisher.encodes ? ['audio' as const] : kinds;
    for (const kind of expected) {
      await until(`30 of ${kind}`, () => session.received[kind] >= 30);
    }
    t.is(await demo.metric('sfu_panics_total'), 0);
  };
}

for (const publisher of [wrtc, werift]) {
  test.serial(`${publisher.name} publishes by WHIP and is counted`, publishes(publisher));
  for (const player of [wrtc, werift]) {
    const title = `${player.name} plays by WHEP what ${publisher.name} publishes`;
    test.serial(title, plays(player, publisher));
  }

  test.serial(`DELETE makes ${publisher.name} leave`, async (t) => {
    const room = `leave-${publisher.name}`;
    const { location } = await start(t, publisher, 'publish', room);
    t.is((await demo.clients(room)).length, 1);
    t.is((await fetch(location, { method: 'DELETE' })).status, 200);
    t.deepEqual(await demo.clients(room), []);
    t.is((await fetch(location, { method: 'DELETE' })).status, 404);
  });
}

const installed = isInstalled(gstreamer);
const isRequired = process.env['REQUIRE_ALL'] === '1';
if (!installed && !isRequired) {
  const packages =
    'gstreamer1.0-{nice,plugins-{base,good,bad}} gir1.2-gst-plugins-bad-1.0 python3-gi';
  console.warn(`GStreamer's specs are SKIPPED: apt-get install ${packages}`);
}
const withGstreamer = installed || isRequired ? test.serial : test.serial.skip;
withGstreamer('GStreamer publishes by WHIP and is counted', publishes(gstreamer));
withGstreamer('wrtc plays by WHEP what GStreamer publishes', plays(wrtc, gstreamer));
withGstreamer('GStreamer plays by WHEP what wrtc publishes', plays(gstreamer, wrtc));

const sdp = { 'content-type': 'application/sdp' };

for (const endpoint of ['whip', 'whep'] as const) {
  test(`${endpoint}: an offer that does not parse is answered 400 and leaves nobody behind`, async (t) => {
    const url = demo.url(`/rooms/bad-${endpoint}/${endpoint}`);
    for (const body of ['', 'nonsense', 'v=0\r\n', 'v=0\r\nm=audio\r\n', '\0'.repeat(1000)]) {
      const response = await fetch(url, { method: 'POST', headers: sdp, body });
      t.is(response.status, 400, JSON.stringify(body.slice(0, 20)));
      t.not(await response.text(), '');
    }
    t.deepEqual(await demo.clients(`bad-${endpoint}`), []);
  });

  test(`${endpoint}: what is no SDP by its type is answered 415`, async (t) => {
    const url = demo.url(`/rooms/type-${endpoint}/${endpoint}`);
    for (const type of ['text/plain', 'application/json', 'application/sdpx']) {
      const headers = { 'content-type': type };
      const response = await fetch(url, { method: 'POST', headers, body: 'v=0\r\n' });
      t.is(response.status, 415, type);
      t.is(response.headers.get('accept-post'), 'application/sdp');
    }
  });

  test(`${endpoint}: an unknown resource is answered 404`, async (t) => {
    for (const method of ['DELETE', 'PATCH', 'GET', 'POST']) {
      const url = demo.url(`/rooms/none/${endpoint}/c123`);
      t.is((await fetch(url, { method })).status, 404, method);
    }
    t.is((await fetch(demo.url(`/rooms/no%20name/${endpoint}`), { method: 'POST' })).status, 404);
  });

  test(`${endpoint}: the endpoint takes POST and says so`, async (t) => {
    const url = demo.url(`/rooms/methods/${endpoint}`);
    for (const method of ['GET', 'PUT', 'DELETE', 'PATCH']) {
      const response = await fetch(url, { method });
      t.is(response.status, 405, method);
      t.regex(response.headers.get('allow') ?? '', /POST/);
    }
    const options = await fetch(url, { method: 'OPTIONS' });
    t.is(options.status, 200);
    t.is(options.headers.get('accept-post'), 'application/sdp');
  });

  test(`${endpoint}: an offer larger than any is answered 413`, async (t) => {
    const url = demo.url(`/rooms/large-${endpoint}/${endpoint}`);
    const body = `v=0\r\n${'a=x\r\n'.repeat(100_000)}`;
    const status = await fetch(url, { method: 'POST', headers: sdp, body }).then(
      (response) => response.status,
      () => 413, // the server hangs up on the rest of the body
    );
    t.is(status, 413);
  });
}
