import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import test from 'ava';
import { chromiumPath, launchChromium } from '../browser/chromium.js';
import { until } from '../interop/demo.js';

const run = promisify(execFile);
const root = new URL('../../', import.meta.url);

test.serial('what ffmpeg sends over TCP plays as HLS and by WHEP', async (t) => {
  const [http, video, audio] = await Promise.all([freePort(), freePort(), freePort()]);
  const server = spawn(process.execPath, ['examples/tcp-ingest.js'], {
    cwd: root,
    env: {
      ...process.env,
      PORT: String(http),
      VIDEO_PORT: String(video),
      AUDIO_PORT: String(audio),
      SFU_UDP_PORT: '0',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => stop(server));
  await once(server.stdout, 'data');
  const encoder = spawn('ffmpeg', [
    ...['-v', 'error', '-re', '-f', 'lavfi', '-i', 'testsrc2=size=640x360:rate=25'],
    ...['-re', '-f', 'lavfi', '-i', 'sine=sample_rate=48000', '-t', '60'],
    ...['-map', '0:v', '-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency'],
    ...['-pix_fmt', 'yuv420p', '-bf', '0', '-g', '25', '-f', 'h264', `tcp://127.0.0.1:${video}`],
    ...['-map', '1:a', '-c:a', 'aac', '-f', 'adts', `tcp://127.0.0.1:${audio}`],
  ]);
  t.teardown(() => stop(encoder));

  const url = `http://127.0.0.1:${http}/live/live/camera`;
  await until('a playlist', async () => (await fetch(`${url}/index.m3u8`)).ok);
  const entries = 'stream=codec_name,width,sample_rate,nb_read_packets';
  const { stdout, stderr } = await run(
    'ffprobe',
    [
      ...['-v', 'error', '-show_entries', entries, '-count_packets', '-read_intervals', '%+4'],
      ...['-of', 'json', `${url}/index.m3u8`],
    ],
    { timeout: 40_000 },
  );
  t.is(stderr, '');
  const { streams } = JSON.parse(stdout) as {
    streams: readonly {
      codec_name: string;
      width?: number;
      sample_rate?: string;
      nb_read_packets: string;
    }[];
  };
  t.like(
    streams.find(({ codec_name }) => codec_name === 'h264'),
    { width: 640 },
  );
  t.like(
    streams.find(({ codec_name }) => codec_name === 'aac'),
    { sample_rate: '48000' },
  );
  for (const { nb_read_packets } of streams) t.true(Number(nb_read_packets) >= 50);

  if (chromiumPath === undefined) return;
  const browser = await launchChromium();
  t.teardown(() => browser.close());
  const page = await browser.newPage();
  const width = await page.evaluate(async (whep) => {
    const peer = new RTCPeerConnection();
    peer.addTransceiver('video', { direction: 'recvonly' });
    const stream = new MediaStream();
    peer.addEventListener('track', ({ track }) => stream.addTrack(track));
    await peer.setLocalDescription();
    const response = await fetch(whep, {
      method: 'POST',
      headers: { 'Content-Type': 'application/sdp' },
      body: peer.localDescription?.sdp ?? '',
    });
    await peer.setRemoteDescription({ type: 'answer', sdp: await response.text() });
    const video = Object.assign(document.createElement('video'), { muted: true });
    video.srcObject = stream;
    void video.play();
    for (let frames = 0; frames < 25; frames++) {
      await new Promise((resolve) => video.requestVideoFrameCallback(resolve));
    }
    return video.videoWidth;
  }, `${url}/whep`);
  t.is(width, 640, 'the frames of a publisher without WebRTC reach a WebRTC viewer');
});

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  return port;
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}
