import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import wrtc from '@roamhq/wrtc';
import { feed, received } from './wrtc-media.js';

/**
 * A small WHIP and WHEP server over libwebrtc M106, a full ICE agent: `/whip` takes a stream, `/whep`
 * gives one, `/counter` gives one by an offer of its own (406). As a program, for the library may crash
 * when it ends: a JSON line with its origin, then one with what happened, ten times a second.
 */
const sessions = new Map<string, { connection: wrtc.RTCPeerConnection; stop(): void }>();
const counts = { made: 0, deleted: 0, patched: 0, video: 0, audio: 0 };

const http = createServer(async (request, response) => {
  let body = '';
  for await (const chunk of request.setEncoding('utf8')) body += chunk as string;
  const { method, url = '' } = request;
  const session = sessions.get(url);
  if (method === 'DELETE' && session !== undefined) {
    sessions.delete(url);
    session.stop();
    session.connection.close();
    counts.deleted += 1;
    response.writeHead(200).end();
  } else if (method === 'PATCH' && session !== undefined) {
    await session.connection.setRemoteDescription({ type: 'answer', sdp: body });
    counts.patched += 1;
    response.writeHead(204).end();
  } else if (method === 'POST' && ['/whip', '/whep', '/counter'].includes(url)) {
    const connection = new wrtc.RTCPeerConnection();
    const stop = url === '/whip' ? () => {} : feed(connection);
    const isCounter = url === '/counter';
    if (!isCounter) await connection.setRemoteDescription({ type: 'offer', sdp: body });
    const made = isCounter ? await connection.createOffer() : await connection.createAnswer();
    await connection.setLocalDescription(made);
    while (connection.iceGatheringState !== 'complete') {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    counts.made += 1;
    const location = `/sessions/${counts.made}`;
    sessions.set(location, { connection, stop });
    const headers = { location, 'content-type': 'application/sdp', etag: '"one"' };
    response.writeHead(isCounter ? 406 : 201, headers).end(connection.localDescription?.sdp);
  } else {
    response.writeHead(404).end();
  }
});
http.listen(0, '127.0.0.1');
await once(http, 'listening');
print({ origin: `http://127.0.0.1:${(http.address() as AddressInfo).port}` });
setInterval(async () => {
  for (const { connection } of sessions.values()) Object.assign(counts, await received(connection));
  print(counts);
}, 100);

function print(line: unknown): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
