/**
 * The signaling of the demo: one WebSocket per client, JSON messages as `sluice/browser` types them.
 *
 * @import { Client, Registry, TrackId } from 'sluice'
 * @import { ClientMessage, ServerMessage } from 'sluice/browser'
 * @import { WebSocket } from 'ws'
 */
import { parseTrackId } from 'sluice';

const MAX_WAITING_MESSAGES = 256;
const PING_MS = 15_000;

/**
 * Lets the client behind `socket` into the room and speaks for it until either side leaves.
 * @param {WebSocket} socket
 * @param {Registry} registry
 * @param {{ name: string, role: 'both' | 'subscribe' }} identity
 */
export function signal(socket, registry, { name, role }) {
  /** @param {ServerMessage} message */
  const send = (message) => {
    if (socket.readyState === socket.OPEN) socket.send(JSON.stringify(message));
  };

  const joined = registry.insert({ appData: { name }, role }).then((client) => {
    client.on('negotiationNeeded', () => inOrder(() => offer(client)));
    client.on('subscriptionsChanged', ({ subscriptions }) => {
      send({
        type: 'subscriptions',
        subscriptions: subscriptions.map(({ sourceClientId, mid, ...subscription }) => ({
          ...subscription,
          clientId: sourceClientId,
          mid: mid ?? null,
          appData: describe(subscription.trackId, registry.client(sourceClientId)),
        })),
      });
    });
    client.on('layerChanged', ({ trackId, rid, spatial, temporal }) => {
      send({ type: 'layer', trackId, spatial, temporal, ...(rid !== undefined && { rid }) });
    });
    client.on('clientDisconnected', ({ reason }) => {
      send({ type: 'bye', reason });
      socket.close(1000, 'bye');
    });
    send({ type: 'welcome', clientId: client.id });
    return client;
  });

  /** @param {Client} client */
  const offer = async (client) => {
    const sdp = await client.createOffer();
    if (sdp !== undefined) send({ type: 'offer', sdp });
  };

  /** @param {Client} client @param {ClientMessage} message */
  const handle = async (client, message) => {
    switch (message.type) {
      case 'offer':
        return send({ type: 'answer', sdp: await client.acceptOffer(message.sdp) });
      case 'answer':
        return client.acceptAnswer(message.sdp);
      case 'candidate':
        return client.addIceCandidate(message.candidate);
      case 'layers': {
        const { type: _, trackId, ...layers } = message;
        return client.setPreferredLayers(parseTrackId(trackId), layers);
      }
      case 'pause':
        return client.pause(parseTrackId(message.trackId));
      case 'resume':
        return client.resume(parseTrackId(message.trackId));
      case 'priority':
        return client.setPriority(parseTrackId(message.trackId), message.priority);
      case 'leave':
        return client.close();
      default:
        return undefined; // a newer page; what it says means nothing to us
    }
  };

  // One step after the other: an answer must not overtake the offer before it.
  let waiting = 0;
  /** @type {Promise<unknown>} */
  let queue = joined;
  /** @param {() => Promise<void>} step */
  const inOrder = (step) => {
    waiting += 1;
    if (waiting > MAX_WAITING_MESSAGES) socket.close(1008, 'too many messages');
    queue = queue
      .then(step)
      .catch(({ code = 'ERR_REQUEST', message }) => send({ type: 'error', code, message }))
      .finally(() => (waiting -= 1));
  };

  let alive = true;
  const heartbeat = setInterval(() => {
    if (!alive) socket.terminate();
    alive = false;
    socket.ping();
  }, PING_MS);
  socket.on('pong', () => (alive = true));
  socket.on('message', (data) => {
    inOrder(async () => handle(await joined, JSON.parse(String(data))));
  });
  socket.on('error', () => socket.terminate());
  socket.on('close', () => {
    clearInterval(heartbeat);
    joined.then((client) => client.close()).catch(() => {});
  });
  joined.catch(() => socket.close(1011, 'cannot join'));
}

/** What a tile shows of a track: whose it is, and the simulcast layers to choose from. */
function describe(/** @type {TrackId} */ trackId, /** @type {Client | undefined} */ publisher) {
  const track = publisher?.tracks.find(({ id }) => id === trackId);
  return { ...Object(publisher?.appData), rids: track?.rids ?? [] };
}
