import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { Server } from 'sluice';
import { annexBFile } from '../../examples/annexb-sink.js';

const run = promisify(execFile);
const PICTURES = 100;

test('a sink in JavaScript writes a file that ffprobe reads', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const server = await Server.start({ udpPort: 0, bindAddress: '127.0.0.1' });
  t.teardown(() => server.close());
  const session = await server.live.publish('live/show');
  const track = await session.byteTrack({ track: 0, codec: 'H264', framesPerSecond: 25 });
  const subscription = await server.live.subscribe('live/show');
  const path = join(folder, 'pictures.h264');
  const driven = subscription.driveTo(await annexBFile(path));

  const source = `testsrc2=size=320x180:rate=25:duration=${PICTURES / 25}`;
  const coding = ['-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '0', '-g', '25'];
  const output = ['-pix_fmt', 'yuv420p', '-f', 'h264', 'pipe:1'];
  const input = ['-v', 'error', '-f', 'lavfi', '-i', source];
  const encoder = spawn('ffmpeg', [...input, ...coding, ...output], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  for await (const chunk of encoder.stdout) await track.write(chunk as Buffer);
  await track.end();
  await session.finish();
  t.is(await driven, 'completed');

  const entries = ['-count_frames', '-show_entries', 'stream=codec_name,width,nb_read_frames'];
  const args = ['-v', 'error', ...entries, '-of', 'csv=p=0', path];
  const { stdout, stderr } = await run('ffprobe', args);
  t.is(stderr, '');
  t.is(stdout.trim(), `h264,320,${PICTURES}`);
});
