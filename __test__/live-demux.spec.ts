import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { BufferSource, EncodedPacketSink, Input, MP4 } from 'mediabunny';
import { allowAll, Server } from 'sluice';
import { film, FPS, publish } from './live-film.js';

/** What mediabunny, a demuxer that takes nothing on trust, reads of a file's pictures. */
async function demuxed(bytes: Uint8Array): Promise<{
  readonly codec: string | null;
  readonly size: readonly [number, number];
  readonly packets: readonly {
    readonly key: boolean;
    readonly bytes: number;
    readonly at: number;
  }[];
  readonly seconds: number;
}> {
  const input = new Input({ formats: [MP4], source: new BufferSource(bytes) });
  const track = await input.getPrimaryVideoTrack();
  if (track === null) throw new Error('no pictures');
  const packets = [];
  for await (const packet of new EncodedPacketSink(track).packets()) {
    packets.push({ key: packet.type === 'key', bytes: packet.byteLength, at: packet.timestamp });
  }
  return {
    codec: await track.getCodecParameterString(),
    size: [track.codedWidth, track.codedHeight],
    packets,
    seconds: await track.computeDuration(),
  };
}

async function start(t: ExecutionContext): Promise<Server> {
  const server = (await Server.start({ udpPort: 0, bindAddress: '127.0.0.1', shards: 1 })).ref();
  t.teardown(() => server.close());
  return server;
}

for (const faststart of [false, true]) {
  test(`mediabunny reads every picture of a recording${faststart ? ' with faststart' : ''}`, async (t) => {
    const server = await start(t);
    const directory = await mkdtemp(join(tmpdir(), 'sluice-demux-'));
    t.teardown(() => rm(directory, { recursive: true, force: true }));
    const { record, pictures } = await film();
    const session = await server.live.publish('live/show');
    await session.setTrack({ track: 0, codec: 'H264', record });
    await publish(session, pictures.slice(0, 1));
    const recording = await server.live.record('live/show', { directory, faststart });
    await publish(session, pictures.slice(1), 1);
    const [file] = await recording.stop();
    const seen = await demuxed(await readFile(join(directory, file!.name)));
    t.is(seen.codec, file!.codecs);
    t.deepEqual(seen.size, [320, 180]);
    t.deepEqual(
      seen.packets.map(({ key, bytes }) => [key, bytes]),
      pictures.map(({ keyframe, data }) => [keyframe, data.length]),
    );
    t.true(seen.packets.every(({ at }, i) => Math.abs(at - i / FPS) < 1e-4));
    t.is(seen.seconds, pictures.length / FPS);
  });
}

test('mediabunny reads an init segment and the part behind it', async (t) => {
  const server = await start(t);
  server.live.use(allowAll);
  const http = createServer(server.live.httpHandler()).listen(0, '127.0.0.1');
  t.teardown(() => void http.close());
  await once(http, 'listening');
  const base = `http://127.0.0.1:${(http.address() as AddressInfo).port}/live/live/show/`;
  const { record, pictures } = await film();
  const session = await server.live.publish('live/show');
  await session.setTrack({ track: 0, codec: 'H264', record });
  await publish(session, pictures.slice(0, 1));
  const asked = fetch(`${base}index.m3u8`);
  await publish(session, pictures.slice(1), 1);
  const index = await (await asked).text();
  const uri = /^[^#].*m3u8$/m.exec(index)?.[0];
  const playlistUrl = new URL(uri ?? '', base);
  const playlist = await (await fetch(playlistUrl)).text();
  const init = /#EXT-X-MAP:URI="([^"]+)"/.exec(playlist)?.[1];
  const part = /#EXT-X-PART:(?=.*INDEPENDENT=YES).*URI="([^"]+)"/.exec(playlist)?.[1];
  const [head, body] = await Promise.all(
    [init, part].map(async (name) =>
      Buffer.from(await (await fetch(new URL(name ?? '', playlistUrl))).arrayBuffer()),
    ),
  );
  const seen = await demuxed(Buffer.concat([head!, body!]));
  t.regex(seen.codec ?? '', /^avc1\./);
  t.true(seen.packets.length > 0 && seen.packets[0]!.key);
  const sizes = pictures.map(({ data }) => data.length).join();
  t.true(sizes.includes(seen.packets.map(({ bytes }) => bytes).join()));
});
