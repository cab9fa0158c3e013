// A server with one stream of ffmpeg's, for the benches that play it.
//
// Environment: HOST, PORT, as the demo's.
import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { Server, allowAll, optionsFromEnv } from 'sluice';

const RATE = 30;

const server = await Server.start(optionsFromEnv());
server.live.use(allowAll);
const session = await server.live.publish('live/bench');
const video = await session.byteTrack({ track: 0, codec: 'H264', framesPerSecond: RATE });
const source = ['-re', '-f', 'lavfi', '-i', `testsrc2=size=320x180:rate=${RATE}`];
const coding = ['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-bf', '0'];
const ffmpeg = spawn(
  'ffmpeg',
  ['-v', 'error', ...source, ...coding, '-g', String(RATE), '-f', 'h264', 'pipe:1'],
  { stdio: ['ignore', 'pipe', 'inherit'] },
);
void (async () => {
  for await (const chunk of ffmpeg.stdout) await video.write(chunk);
})();

process.on('SIGTERM', async () => {
  ffmpeg.kill();
  await server.close();
  process.exit(0);
});

const host = process.env['HOST'] ?? '127.0.0.1';
const port = Number(process.env['PORT'] ?? 8080);
const http = createServer(server.live.httpHandler());
http.listen(port, host, 4096, () => console.log(`ready http://${host}:${port}`));
