import { longestGapMs } from './room.js';
import { onStage } from './stage.js';

const test = onStage();

test('an ICE restart changes the credentials and media goes on', async (t) => {
  const { join } = t.context;
  const ann = await join('restart', { name: 'Ann' });
  const bob = await join('restart', { name: 'Bob' });
  await Promise.all([ann.seesMoving(1), bob.seesMoving(1)]);
  const { ufrag } = await bob.transport();
  const since = await bob.now();
  await bob.restartIce();
  await bob.until('new credentials in use', async () => {
    const transport = await bob.transport();
    return transport.ufrag !== ufrag && transport.protocol === 'udp';
  });
  const [tile] = await bob.seesMoving(1);
  await ann.seesMoving(1);
  const gap = longestGapMs(await bob.framesSince(tile?.trackId ?? '', since));
  t.log(`longest gap ${Math.round(gap)} ms`);
  t.true(gap < 1000);
});

test('where UDP leads nowhere, media flows over ICE-TCP', async (t) => {
  const { join } = t.context;
  const ann = await join('tcp', { name: 'Ann' });
  let dropped = 0;
  const bob = await join('tcp', {
    name: 'Bob',
    onSocket: (socket) => {
      const server = socket.connectToServer();
      server.onMessage((data) => {
        const message = JSON.parse(String(data)) as { type: string; sdp?: string };
        const sdp = message.sdp?.replace(/^a=candidate:\S+ \d udp .*\r\n/gim, () => {
          dropped += 1;
          return '';
        });
        socket.send(JSON.stringify({ ...message, ...(sdp !== undefined && { sdp }) }));
      });
    },
  });
  await Promise.all([ann.seesMoving(1), bob.seesMoving(1), bob.hears(1)]);
  t.true(dropped > 0);
  t.is((await bob.transport()).protocol, 'tcp');
  t.is((await ann.transport()).protocol, 'udp');
  await bob.page.getByText('over TCP').waitFor();
});

test('offers of both sides at once end stable, with every track', async (t) => {
  const { demo, join } = t.context;
  const ann = await join('glare', { name: 'Ann', audio: false });
  const held: (string | Buffer)[] = [];
  const told: string[] = [];
  const glare = { armed: false, holding: false };
  const bob = await join('glare', {
    name: 'Bob',
    audio: false,
    onSocket: (socket) => {
      const server = socket.connectToServer();
      socket.onMessage((data) => {
        const { type } = JSON.parse(String(data)) as { type: string };
        told.push(`> ${type}`);
        server.send(data);
        // Ours is on its way; the server's, sent before it, may arrive now.
        if (type === 'offer' && glare.holding) {
          glare.holding = false;
          for (const message of held.splice(0)) socket.send(message);
        }
      });
      server.onMessage((data) => {
        const { type } = JSON.parse(String(data)) as { type: string };
        told.push(`< ${type}`);
        if (glare.armed && type === 'offer') {
          glare.armed = false;
          glare.holding = true;
        }
        if (glare.holding) held.push(data);
        else socket.send(data);
      });
    },
  });
  await Promise.all([ann.seesMoving(1), bob.seesMoving(1)]);
  told.length = 0;
  glare.armed = true;
  const cleo = await join('glare', { name: 'Cleo', audio: false });
  await bob.until('an offer of the server to be under way', async () => glare.holding);
  await bob.publishAgain();
  await Promise.all([bob.seesMoving(2), ann.seesMoving(3), cleo.seesMoving(3)]);
  t.log(told.filter((word) => !word.endsWith('candidate') && !word.endsWith('layer')).join('  '));
  t.is(await bob.signalingState(), 'stable');
  t.is((await demo.client('glare', 'Bob')).tracks.length, 2);
  t.is(await bob.page.locator('#notice').isVisible(), false);
});

test('a browser that speaks DTLS 1.3 agrees on 1.2 with us, and on an AEAD profile', async (t) => {
  const { demo, join } = t.context;
  const ann = await join('dtls', { name: 'Ann', audio: false });
  const bob = await join('dtls', { name: 'Bob', audio: false });
  await Promise.all([ann.seesMoving(1), bob.seesMoving(1)]);
  t.is(await ann.highestDtls(), 'FEFC');
  t.is((await ann.transport()).tlsVersion, 'FEFD');
  t.is((await demo.client('dtls', 'Ann')).srtpProfile, 'SRTP_AEAD_AES_256_GCM');
});
