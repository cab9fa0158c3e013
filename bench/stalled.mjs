// What one reader that stops reading costs the server: 8 Mbit/s, 60 seconds.
//
// `node bench/stalled.mjs [--seconds 60]`. The reader takes its first batch and then nothing. The ring
// it reads from is bounded (16 MiB, 12 s); nothing else may grow.
import { spawn } from 'node:child_process';
import { memoryUsage } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { Server } from 'sluice';
import { option } from './figures.mjs';

const seconds = option('seconds', 60);
const RATE = 30;
const BITS = 8_000_000;
const WARM_S = 15;

const server = await Server.start({ udpPort: 0 });
const session = await server.live.publish('live/bench');
const video = await session.byteTrack({ track: 0, codec: 'H264', framesPerSecond: RATE });
const source = `testsrc2=size=1280x720:rate=${RATE},noise=alls=40:allf=t`;
const bitrate = ['-b:v', `${BITS}`, '-minrate', `${BITS}`, '-maxrate', `${BITS}`];
const coding = ['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-bf', '0'];
const ffmpeg = spawn(
  'ffmpeg',
  [
    ...['-v', 'error', '-re', '-f', 'lavfi', '-i', source, ...coding, ...bitrate],
    ...['-bufsize', `${BITS / 4}`, '-g', String(RATE * 2), '-f', 'h264', 'pipe:1'],
  ],
  { stdio: ['ignore', 'pipe', 'inherit'] },
);
void (async () => {
  for await (const chunk of ffmpeg.stdout) await video.write(chunk);
})();
// One that reads keeps what reading costs out of the difference.
const reader = await server.live.subscribe('live/bench');
void (async () => {
  for await (const frame of reader) if (frame === undefined) break;
})();

const stalled = (await server.live.subscribe('live/bench'))[Symbol.asyncIterator]();
await stalled.next();
await sleep(WARM_S * 1000);
const before = memoryUsage().rss;
let [ring, resident] = [0, 0];
for (let second = 0; second < seconds; second++) {
  await sleep(1000);
  const [stream] = await server.live.streams();
  ring = Math.max(ring, stream?.ringBytes ?? 0);
  resident = Math.max(resident, memoryUsage().rss);
}
const [stream] = await server.live.streams();
console.log(
  `stalled for ${seconds} s at ${((stream?.qos.bitsPerSecond ?? 0) / 1e6).toFixed(1)} Mbit/s:`,
);
console.log(`  ring at most ${(ring / 2 ** 20).toFixed(1)} MiB of 16`);
console.log(
  `  resident ${(before / 2 ** 20).toFixed(0)} MiB after ${WARM_S} s, at most ` +
    `${(resident / 2 ** 20).toFixed(0)} since: ${((resident / before - 1) * 100).toFixed(1)} %`,
);
ffmpeg.kill();
await server.close();
process.exit(0);
