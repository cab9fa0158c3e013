/** The smallest room. `node examples/minimal.js`, then open http://127.0.0.1:8080 in two tabs. */
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { basename } from 'node:path';
import { Server, optionsFromEnv } from 'sluice';
import { WebSocketServer } from 'ws';

const room = (await Server.start(optionsFromEnv())).registry('lobby');

const http = createServer(async ({ url = '/' }, response) => {
  const [file, type] = url.endsWith('.js')
    ? [new URL(basename(url), import.meta.resolve('sluice/browser')), 'text/javascript']
    : [new URL('minimal.html', import.meta.url), 'text/html'];
  response.setHeader('Content-Type', type).end(await readFile(file).catch(() => ''));
});

new WebSocketServer({ server: http }).on('connection', async (socket) => {
  const client = await room.insert({ appData: {} });
  const send = (/** @type {object} */ message) => socket.send(JSON.stringify(message));
  client.on('negotiationNeeded', async () => {
    const sdp = await client.createOffer().catch(() => undefined);
    if (sdp) send({ type: 'offer', sdp });
  });
  client.on('subscriptionsChanged', ({ subscriptions }) => {
    const tracks = subscriptions.map((it) => ({
      ...it,
      clientId: it.sourceClientId,
      mid: it.mid ?? null,
    }));
    send({ type: 'subscriptions', subscriptions: tracks });
  });
  socket.on('message', async (data) => {
    try {
      const { type, sdp, candidate } = JSON.parse(String(data));
      if (type === 'offer') send({ type: 'answer', sdp: await client.acceptOffer(sdp) });
      if (type === 'answer') await client.acceptAnswer(sdp);
      if (type === 'candidate') await client.addIceCandidate(candidate);
    } catch {
      socket.close();
    }
  });
  socket.on('close', () => client.close());
  send({ type: 'welcome', clientId: client.id });
});

http.listen(Number(process.env['PORT'] ?? 8080), '127.0.0.1', () => console.log('ready'));
