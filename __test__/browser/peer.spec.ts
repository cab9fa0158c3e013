import anyTest from 'ava';
import type { TestFn } from 'ava';
import type { Page } from 'playwright-core';
import type { Peer, RemoteTrack, Subscription, VideoCodec } from '../../ts/browser/index.js';
import { chromiumPath } from './chromium.js';
import { startPeerPages } from './peer-page.js';
import type { PeerPages } from './peer-page.js';

/** What page/lab.js puts on the page. */
interface Lab {
  pair(latencyMs?: number): {
    peer: Peer;
    server: {
      pc: RTCPeerConnection;
      received: { type: string; sdp?: string }[];
      droppedOffers: number;
      offer(): void;
    };
    events: { type: string; detail: RemoteTrack }[];
  };
  camera(width?: number, height?: number): Promise<MediaStreamTrack>;
  microphone(): Promise<MediaStreamTrack>;
  until<T>(check: () => T | Promise<T>, what: string, timeoutMs?: number): Promise<T>;
  received(pc: RTCPeerConnection): Promise<{ frames: number; codecs: string[] }>;
  shows(track: MediaStreamTrack): Promise<boolean>;
}
declare const lab: Lab;

const test = anyTest as TestFn<{ page: Page }>;
const inChromium = chromiumPath ? test.serial : test.serial.skip;
let pages: PeerPages | undefined;

test.before(async () => {
  if (chromiumPath) pages = await startPeerPages();
});
test.after.always(() => pages?.close());
test.beforeEach(async (t) => {
  if (pages) t.context.page = await pages.open();
});
test.afterEach.always(async (t) => {
  await t.context.page?.close();
});

const inSlot = (trackId: string): Subscription => ({
  trackId,
  clientId: `of-${trackId}`,
  kind: 'video',
  mid: '0',
  state: 'active',
  rid: 'h',
});

for (const codec of ['vp8', 'h264', 'vp9', 'av1'] satisfies VideoCodec[]) {
  inChromium(`${codec} that was asked for is what is sent`, async (t) => {
    const codecs = await t.context.page.evaluate(async (codec) => {
      const { peer, server } = lab.pair();
      await peer.publish(await lab.camera(320, 180), { codec });
      const decoded = async () => (await lab.received(server.pc)).frames > 3;
      await lab.until(decoded, 'frames at the server');
      return (await lab.received(server.pc)).codecs;
    }, codec);
    t.deepEqual(
      codecs.map((mimeType) => mimeType.toLowerCase()),
      [`video/${codec}`],
    );
  });

  inChromium(`${codec} simulcast sends three sizes`, async (t) => {
    const sizes = await t.context.page.evaluate(async (codec) => {
      const { peer } = lab.pair();
      await peer.publish(await lab.camera(1280, 720), { codec, simulcast: true });
      const active = async () => {
        const { local } = await peer.getStats();
        return local.filter(({ framesEncoded }) => framesEncoded > 3);
      };
      const three = await lab.until(
        async () => ((await active()).length === 3 ? active() : undefined),
        'three encodings',
        30_000,
      );
      return three?.map(({ rid, width }) => [rid, width]).toSorted();
    }, codec);
    t.deepEqual(
      sizes?.map(([rid]) => rid),
      ['f', 'h', 'q'],
    );
    const [f, h, q] = sizes?.map(([, width]) => Number(width)) ?? [];
    t.is(h, Number(f) / 2);
    t.is(q, Number(f) / 4);
  });
}

for (const [width, rids] of [
  [640, ['f', 'h']],
  [320, ['']],
] as const) {
  inChromium(`simulcast of a picture ${width} wide sends its full size`, async (t) => {
    const sent = await t.context.page.evaluate(async (width) => {
      const { peer } = lab.pair();
      await peer.publish(await lab.camera(width, (width * 9) / 16), { simulcast: true });
      const full = async () => {
        const { local } = await peer.getStats();
        return local.some((encoding) => encoding.width === width) ? local : undefined;
      };
      return await lab.until(full, 'the full size', 30_000);
    }, width);
    t.deepEqual(sent?.map(({ rid }) => rid).toSorted(), [...rids]);
  });
}

inChromium('a track in an offered slot is added once the slot exists, and plays', async (t) => {
  const added = await t.context.page.evaluate(async () => {
    const { peer, server, events } = lab.pair();
    const track = await lab.camera(320, 180);
    const transceiver = server.pc.addTransceiver(track, { direction: 'sendonly' });
    peer.handle({
      type: 'subscriptions',
      subscriptions: [
        {
          trackId: 't1',
          clientId: 'c1',
          kind: 'video',
          mid: '0',
          state: 'active',
          appData: { name: 'Ann' },
        },
        { trackId: 't2', clientId: 'c2', kind: 'video', mid: null, state: 'waiting' },
      ],
    });
    const before = events.length;
    server.offer();
    const event = await lab.until(
      () => events.find(({ type }) => type === 'trackadded'),
      'trackadded',
    );
    const { track: remote, ...rest } = event?.detail ?? {};
    return {
      before,
      rest,
      mid: transceiver.mid,
      plays: remote && (await lab.shows(remote)),
      remotes: peer.remoteTracks.size,
      subscriptions: peer.subscriptions.length,
    };
  });
  t.is(added.before, 0);
  t.like(added.rest, {
    trackId: 't1',
    clientId: 'c1',
    kind: 'video',
    mid: '0',
    appData: { name: 'Ann' },
  });
  t.is(added.mid, '0');
  t.true(added.plays);
  t.is(added.remotes, 1);
  t.is(added.subscriptions, 2);
});

inChromium(
  'a re-bound slot removes the old track first and keeps its MediaStreamTrack',
  async (t) => {
    const seen = await t.context.page.evaluate(
      async ([a, b]) => {
        const { peer, server, events } = lab.pair();
        server.pc.addTransceiver(await lab.camera(320, 180), { direction: 'sendonly' });
        peer.handle({ type: 'subscriptions', subscriptions: a });
        server.offer();
        await lab.until(() => events.some(({ type }) => type === 'trackadded'), 'trackadded');
        peer.handle({ type: 'layer', trackId: 'a', rid: 'f' });
        peer.handle({ type: 'subscriptions', subscriptions: b });
        const tracks = events.filter(({ type }) => type.startsWith('track'));
        return {
          order: tracks.map(({ type, detail }) => `${type} ${detail.trackId} ${detail.layer.rid}`),
          isSame: tracks[0]?.detail.track === tracks.at(-1)?.detail.track,
        };
      },
      [[inSlot('a')], [inSlot('b')]] as const,
    );
    t.deepEqual(seen.order, [
      'trackadded a h',
      'trackchanged a f',
      'trackremoved a f',
      'trackadded b h',
    ]);
    t.true(seen.isSame);
  },
);

inChromium('offers of both sides at once lose neither track', async (t) => {
  const result = await t.context.page.evaluate(async () => {
    const { peer, server, events } = lab.pair(60);
    const [ours, theirs] = [await lab.camera(320, 180), await lab.camera(320, 180)];
    for (let round = 0; round < 5; round += 1) {
      // Both offers leave before either arrives.
      server.pc.addTransceiver(theirs, { direction: 'sendonly' });
      server.offer();
      await peer.publish(ours, { codec: 'vp8' });
      await lab.until(
        () =>
          peer.peerConnection.signalingState === 'stable' &&
          server.pc.signalingState === 'stable' &&
          peer.peerConnection.getTransceivers().filter(({ mid }) => mid !== null).length ===
            2 * round + 2,
        `round ${round} to settle`,
      );
    }
    const flows = async () =>
      (await lab.received(server.pc)).frames > 5 &&
      (await lab.received(peer.peerConnection)).frames > 5;
    await lab.until(flows, 'frames both ways');
    const directions = peer.peerConnection
      .getTransceivers()
      .map(({ currentDirection }) => currentDirection);
    return {
      dropped: server.droppedOffers,
      directions: directions.toSorted(),
      errors: events.filter(({ type }) => type === 'error').length,
    };
  });
  t.is(result.dropped, 5);
  t.is(result.errors, 0);
  t.deepEqual(result.directions, [...Array(5).fill('recvonly'), ...Array(5).fill('sendonly')]);
});

inChromium('twenty publications one after the other use one m-line', async (t) => {
  const result = await t.context.page.evaluate(async () => {
    const { peer, server } = lab.pair();
    const track = await lab.camera(320, 180);
    for (let i = 0; i < 20; i += 1) {
      const publication = await peer.publish(track, { codec: 'vp8' });
      await lab.until(
        () => server.pc.getTransceivers()[0]?.currentDirection === 'recvonly',
        'the server to receive',
      );
      if (i === 19) break;
      await publication.stop();
      await publication.stop();
      await lab.until(
        () => server.pc.getTransceivers()[0]?.currentDirection === 'inactive',
        'the server to see it stop',
      );
    }
    const { frames } = await lab.received(server.pc);
    await lab.until(
      async () => (await lab.received(server.pc)).frames > frames + 3,
      'frames again',
    );
    return {
      mLines: peer.peerConnection.localDescription?.sdp.match(/^m=/gm)?.length,
      publications: peer.publications.length,
    };
  });
  t.deepEqual(result, { mLines: 1, publications: 1 });
});

inChromium('mute, setEnabled and replaceTrack act without negotiation', async (t) => {
  const result = await t.context.page.evaluate(async () => {
    const { peer, server } = lab.pair();
    const [first, second] = [await lab.camera(320, 180), await lab.camera(320, 180)];
    const publication = await peer.publish(first, { codec: 'vp8' });
    const frames = async () => (await lab.received(server.pc)).frames;
    await lab.until(async () => (await frames()) > 3, 'frames');
    const offers = () => server.received.filter(({ type }) => type === 'offer').length;
    const before = offers();
    publication.mute();
    const isMuted = !first.enabled;
    await publication.replaceTrack(second);
    const staysMuted = !second.enabled;
    publication.unmute();
    await publication.setEnabled(false);
    await new Promise((resolve) => setTimeout(resolve, 500));
    const stopped = await frames();
    await new Promise((resolve) => setTimeout(resolve, 500));
    const silent = (await frames()) === stopped;
    await publication.setEnabled(true);
    await lab.until(async () => (await frames()) > stopped, 'frames again');
    return { isMuted, staysMuted, silent, offers: offers() - before };
  });
  t.deepEqual(result, { isMuted: true, staysMuted: true, silent: true, offers: 0 });
});

inChromium('a lost path is looked for anew by an ICE restart', async (t) => {
  const result = await t.context.page.evaluate(async () => {
    const { peer, server } = lab.pair();
    await peer.publish(await lab.camera(320, 180));
    await lab.until(() => peer.state === 'connected', 'connected');
    const ufrag = () => peer.peerConnection.localDescription?.sdp.match(/a=ice-ufrag:(.*)/)?.[1];
    const before = ufrag();
    server.pc.close();
    await lab.until(() => ufrag() !== before, 'an ICE restart', 20_000);
    return server.received.filter(({ type }) => type === 'offer').length;
  });
  t.true(result >= 2);
});

inChromium('stats name the remote track and measure it', async (t) => {
  const [stat] = await t.context.page.evaluate(async () => {
    const { peer, server } = lab.pair();
    server.pc.addTransceiver(await lab.camera(320, 180), { direction: 'sendonly' });
    peer.handle({
      type: 'subscriptions',
      subscriptions: [{ trackId: 'x', clientId: 'y', kind: 'video', mid: '0', state: 'active' }],
    });
    server.offer();
    const measured = async () => {
      const { remote } = await peer.getStats();
      return remote.some(({ bitsPerSecond, width }) => bitsPerSecond > 1000 && width > 0)
        ? remote
        : undefined;
    };
    return (await lab.until(measured, 'a measured track')) ?? [];
  });
  t.like(stat, {
    trackId: 'x',
    clientId: 'y',
    kind: 'video',
    mid: '0',
    width: 320,
    height: 180,
    packetLoss: 0,
  });
  t.true((stat?.framesDecoded ?? 0) > 0);
});

inChromium('close says leave, removes every track and is idempotent', async (t) => {
  const result = await t.context.page.evaluate(async () => {
    const { peer, server, events } = lab.pair();
    server.pc.addTransceiver(await lab.camera(320, 180), { direction: 'sendonly' });
    peer.handle({
      type: 'subscriptions',
      subscriptions: [{ trackId: 'x', clientId: 'y', kind: 'video', mid: '0', state: 'active' }],
    });
    server.offer();
    await lab.until(() => events.some(({ type }) => type === 'trackadded'), 'trackadded');
    peer.close();
    peer.close();
    await lab.until(() => server.received.some(({ type }) => type === 'leave'), 'leave');
    return {
      last: events.slice(-2).map(({ type }) => type),
      leaves: server.received.filter(({ type }) => type === 'leave').length,
      state: peer.state,
    };
  });
  t.deepEqual(result, { last: ['trackremoved', 'statechange'], leaves: 1, state: 'closed' });
});

inChromium('messages of another version and bad descriptions do not stop a peer', async (t) => {
  const result = await t.context.page.evaluate(async () => {
    const { peer, server, events } = lab.pair();
    peer.handle(JSON.parse('{"type":"weather","rain":true}'));
    peer.handle({ type: 'offer', sdp: 'not a description' });
    peer.handle({ type: 'answer', sdp: 'late' });
    await peer.publish(await lab.microphone());
    await lab.until(() => peer.state === 'connected', 'connected');
    return {
      errors: events.filter(({ type }) => type === 'error').length,
      offers: server.received.length > 0,
    };
  });
  t.deepEqual(result, { errors: 1, offers: true });
});
