/**
 * A protocol in twenty lines: H.264 and AAC as an encoder writes them, over two TCP connections.
 * `node examples/tcp-ingest.js`, then
 *
 *     ffmpeg -re -i film.mp4 -map 0:v -c:v libx264 -bf 0 -r 25 -g 50 -f h264 tcp://127.0.0.1:9000 \
 *                            -map 0:a -c:a aac -f adts tcp://127.0.0.1:9001
 *
 * and open http://127.0.0.1:8080/live/live/camera/index.m3u8 in a player.
 */
import { createServer } from 'node:http';
import net from 'node:net';
import { Server, allowAll, optionsFromEnv } from 'sluice';

const { live } = await Server.start(optionsFromEnv());
live.use(allowAll);

live.protocol({
  name: 'tcp',
  async serve({ openPublish }, signal) {
    /** The two connections share one session: whoever comes first opens it. @type {Promise<import('sluice').PublishSession> | undefined} */
    let session;
    /** @param {number} port @param {import('sluice').ByteTrackOptions} options */
    const listen = (port, options) =>
      net
        .createServer(async (socket) => {
          try {
            session ??= openPublish('live/camera', { address: socket.remoteAddress ?? '' });
            const track = await (await session).byteTrack(options);
            for await (const chunk of socket) await track.write(chunk);
            await track.end();
            await (await session).finish();
          } catch (error) {
            console.error(error);
            socket.destroy();
          }
          session = undefined;
        })
        .listen({ port, host: '127.0.0.1', signal });
    listen(Number(process.env['VIDEO_PORT'] ?? 9000), {
      track: 0,
      codec: 'H264',
      framesPerSecond: 25,
    });
    listen(Number(process.env['AUDIO_PORT'] ?? 9001), { track: 1, codec: 'AAC' });
  },
});

createServer(live.httpHandler()).listen(Number(process.env['PORT'] ?? 8080), '127.0.0.1', () => {
  console.log('ready');
});
