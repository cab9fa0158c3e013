import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import type { Browser, Page } from 'playwright-core';
import { allowAll, Server, type Client, type Registry } from 'sluice';

/** A server of our own with the live routes, for pages that have nothing but WebRTC and a video element. */
export interface Studio {
  readonly server: Server;
  readonly url: string;
  readonly close: () => Promise<void>;
}

/** Starts it. */
export async function startStudio(shards: number): Promise<Studio> {
  const server = await Server.start({ udpPort: 0, bindAddress: '127.0.0.1', shards });
  server.live.use(allowAll);
  const live = server.live.httpHandler();
  const hls = createRequire(import.meta.url).resolve('hls.js/dist/hls.min.js');
  const http = createServer((request, response) => {
    if (request.url === '/hls.js') {
      createReadStream(hls).pipe(response.setHeader('Content-Type', 'text/javascript'));
    } else if (request.url?.startsWith('/live/')) {
      void live(request, response);
    } else {
      response.setHeader('Content-Type', 'text/html').end('<!doctype html><body>');
    }
  }).listen(0, '127.0.0.1');
  await once(http, 'listening');
  return {
    server,
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    close: async () => {
      http.closeAllConnections();
      http.close();
      await server.close();
    },
  };
}

/** What a page sends: a picture of one colour with a moving bar, and a tone or silence. */
export interface Scene {
  readonly colour: 'red' | 'blue';
  readonly loud: boolean;
  readonly codec?: 'VP8' | 'H264';
  /** 640x360 in two layers, `h` and `f`. */
  readonly simulcast?: boolean;
}

/** What a page has on it. */
interface Stage {
  pc: RTCPeerConnection;
  gain?: GainNode;
}

/** A page in a room. */
export interface Guest {
  readonly page: Page;
  readonly client: Client<unknown>;
}

/** A page that publishes into a room, and sees nothing. */
export async function perform(
  browser: Browser,
  { url }: Studio,
  registry: Registry,
  scene: Scene,
): Promise<Guest> {
  const page = await browser.newPage();
  await page.goto(url);
  const client = await registry.insert({ appData: undefined, role: 'publish' });
  await page.exposeFunction('accept', (sdp: string) => client.acceptOffer(sdp));
  await page.evaluate(send, scene);
  return { page, client };
}

/** A page that sees all that is published in a room. */
export async function attend(
  browser: Browser,
  { url }: Studio,
  registry: Registry,
): Promise<Guest> {
  const page = await browser.newPage();
  await page.goto(url);
  const client = await registry.insert({ appData: undefined, role: 'subscribe' });
  await page.exposeFunction('accept', (sdp: string) => client.acceptOffer(sdp));
  await page.evaluate(receive);
  return { page, client };
}

/** A page that publishes a stream by WHIP. */
export async function whip(
  browser: Browser,
  { url }: Studio,
  key: string,
  scene: Scene,
): Promise<Page> {
  const page = await browser.newPage();
  await page.goto(url);
  await page.exposeFunction('accept', (sdp: string) => post(`${url}/live/${key}/whip`, sdp));
  await page.evaluate(send, scene);
  return page;
}

/** A page that plays a stream by WHEP. */
export async function whep(browser: Browser, { url }: Studio, key: string): Promise<Page> {
  const page = await browser.newPage();
  await page.goto(url);
  await page.exposeFunction('accept', (sdp: string) => post(`${url}/live/${key}/whep`, sdp));
  await page.evaluate(receive);
  return page;
}

/** A page that plays a stream with hls.js. */
export async function hls(browser: Browser, { url }: Studio, key: string): Promise<Page> {
  const page = await browser.newPage();
  await page.goto(url);
  await page.addScriptTag({ url: '/hls.js' });
  await page.evaluate((source) => {
    const { Hls } = globalThis as unknown as { Hls: new (options: object) => HlsPlayer };
    const video = Object.assign(document.createElement('video'), { muted: true, autoplay: true });
    document.body.append(video);
    const player = new Hls({ lowLatencyMode: true });
    const errors: string[] = [];
    player.on('hlsError', (_, { fatal, details }) => {
      if (fatal) errors.push(details);
    });
    Object.assign(globalThis, { errors });
    player.loadSource(source);
    player.attachMedia(video);
  }, `${url}/live/${key}/index.m3u8`);
  return page;
}

interface HlsPlayer {
  on(
    event: 'hlsError',
    tell: (name: string, data: { fatal: boolean; details: string }) => void,
  ): void;
  loadSource(url: string): void;
  attachMedia(video: HTMLVideoElement): void;
}

/** Makes a page loud or silent. */
export function speak({ page }: Guest, loud: boolean): Promise<void> {
  return page.evaluate((loud) => {
    const { stage } = globalThis as unknown as { stage: Stage };
    stage.gain!.gain.value = loud ? 0.8 : 0;
  }, loud);
}

/** Waits until a page shows this colour, and pictures that move. */
export async function shows(page: Page, colour: Scene['colour'], timeout = 20_000): Promise<void> {
  await page.waitForFunction(
    (colour) => {
      const video = document.querySelector('video');
      if (!video || video.readyState < 2) return false;
      const canvas = new OffscreenCanvas(8, 8);
      const context = canvas.getContext('2d')!;
      // The bar moves through the lower half.
      context.drawImage(video, 0, 0, video.videoWidth, video.videoHeight / 2, 0, 0, 8, 8);
      const [red = 0, , blue = 0] = context.getImageData(4, 4, 1, 1).data;
      return colour === 'red' ? red > 150 && blue < 90 : blue > 150 && red < 90;
    },
    colour,
    { timeout, polling: 50 },
  );
}

/** Seconds that the page's player has played. */
export function played(page: Page): Promise<number> {
  return page.evaluate(() => document.querySelector('video')!.currentTime);
}

/** Frames that the page's peer has decoded, and the energy of the sound it got. */
export function received(page: Page): Promise<{ frames: number; energy: number }> {
  return page.evaluate(async () => {
    const { stage } = globalThis as unknown as { stage: Stage };
    const sum = { frames: 0, energy: 0 };
    for (const report of (await stage.pc.getStats()).values()) {
      if (report.type !== 'inbound-rtp') continue;
      sum.frames += report.framesDecoded ?? 0;
      sum.energy += report.totalAudioEnergy ?? 0;
    }
    return sum;
  });
}

async function post(url: string, offer: string): Promise<string> {
  const headers = { 'Content-Type': 'application/sdp' };
  for (let n = 0; ; n += 1) {
    const response = await fetch(url, { method: 'POST', headers, body: offer });
    if (response.status === 201) return response.text();
    if (n > 50) throw new Error(`${url}: ${response.status}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Stops sending the better layer. */
export function giveUpTheBest({ page }: Guest): Promise<void> {
  return page.evaluate(async () => {
    const { stage } = globalThis as unknown as { stage: Stage };
    const sender = stage.pc.getSenders().find(({ track }) => track?.kind === 'video')!;
    const parameters = sender.getParameters();
    parameters.encodings.find(({ rid }) => rid === 'f')!.active = false;
    await sender.setParameters(parameters);
  });
}

/** Waits until a page's picture has this width. */
export async function hasWidth(page: Page, width: number): Promise<void> {
  await page.waitForFunction(
    (width) => document.querySelector('video')?.videoWidth === width,
    width,
    { timeout: 20_000, polling: 50 },
  );
}

async function send({ colour, loud, codec = 'VP8', simulcast = false }: Scene): Promise<void> {
  const { accept } = globalThis as unknown as { accept: (sdp: string) => Promise<string> };
  const canvas = Object.assign(document.createElement('canvas'), { width: 320, height: 180 });
  if (simulcast) Object.assign(canvas, { width: 640, height: 360 });
  document.body.append(canvas);
  const context = canvas.getContext('2d')!;
  let n = 0;
  const draw = (): void => {
    context.fillStyle = colour;
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.fillStyle = 'white';
    context.fillRect((n += 4) % canvas.width, canvas.height * 0.7, 20, canvas.height * 0.3);
  };
  draw();
  setInterval(draw, 40);
  const audio = new AudioContext();
  const gain = new GainNode(audio, { gain: loud ? 0.8 : 0 });
  const tone = new OscillatorNode(audio, { frequency: 440 });
  const output = audio.createMediaStreamDestination();
  tone.connect(gain).connect(output);
  tone.start();
  const pc = new RTCPeerConnection();
  const [sound] = output.stream.getAudioTracks();
  const [picture] = canvas.captureStream(25).getVideoTracks();
  pc.addTransceiver(sound!, { direction: 'sendonly' });
  const transceiver = pc.addTransceiver(picture!, {
    direction: 'sendonly',
    ...(simulcast && {
      sendEncodings: [{ rid: 'h', scaleResolutionDownBy: 2 }, { rid: 'f' }],
    }),
  });
  const { codecs } = RTCRtpSender.getCapabilities('video')!;
  transceiver.setCodecPreferences(
    codecs.filter(({ mimeType }) => [`video/${codec}`, 'video/rtx'].includes(mimeType)),
  );
  Object.assign(globalThis, { stage: { pc, gain } satisfies Stage });
  await pc.setLocalDescription();
  await pc.setRemoteDescription({ type: 'answer', sdp: await accept(pc.localDescription!.sdp) });
}

async function receive(): Promise<void> {
  const { accept } = globalThis as unknown as { accept: (sdp: string) => Promise<string> };
  const video = Object.assign(document.createElement('video'), { autoplay: true });
  document.body.append(video);
  const stream = new MediaStream();
  video.srcObject = stream;
  const pc = new RTCPeerConnection();
  pc.ontrack = ({ track }) => stream.addTrack(track);
  pc.addTransceiver('audio', { direction: 'recvonly' });
  pc.addTransceiver('video', { direction: 'recvonly' });
  Object.assign(globalThis, { stage: { pc } satisfies Stage });
  await pc.setLocalDescription();
  await pc.setRemoteDescription({ type: 'answer', sdp: await accept(pc.localDescription!.sdp) });
}
