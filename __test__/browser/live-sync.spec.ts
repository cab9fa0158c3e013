import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Page } from 'playwright-core';
import { onStage } from './stage.js';

interface Clapper {
  stream(): Promise<MediaStream>;
  skews(video: HTMLVideoElement, beats: number): Promise<readonly number[]>;
}

declare const clapper: Clapper;

const run = promisify(execFile);
const test = onStage();
const script = fileURLToPath(new URL('page/clapper.js', import.meta.url));
/** What people begin to notice: ITU-R BT.1359-1 has 45 ms for sound that is early, 125 ms for late. */
const BOUND_MS = 80;
const BEATS = 9;

test('sound and picture stay together by WHEP and in the parts of HLS', async (t) => {
  const { browser, demo } = t.context;
  const open = async (): Promise<Page> => {
    const page = await browser.newPage();
    await page.addInitScript({ path: script });
    await page.goto(`${demo.url}/live`);
    return page;
  };
  const publisher = await open();
  await publisher.evaluate(async () => {
    const { publish } = (await import('/page/wish.js' as string)) as {
      publish: (url: string, stream: MediaStream, codec: string) => Promise<unknown>;
    };
    const stream = await clapper.stream();
    Object.assign(globalThis, { kept: await publish('/live/live/sync/whip', stream, 'H264') });
  });
  const viewer = await open();
  await viewer.click('#streams li[data-key="live/sync"] button');
  const skews = await viewer.evaluate(
    (beats) => clapper.skews(document.getElementById('whep') as HTMLVideoElement, beats),
    BEATS,
  );
  t.log('WHEP', skews.map(Math.round).join(' '), 'ms');
  // A loaded machine draws and shows single pictures late; what the stream's clocks say shows in most.
  t.true(Math.abs(median(skews)) < BOUND_MS, `WHEP: ${median(skews)} ms`);

  const written = await skewsOf(`${demo.url}/live/live/sync/index.m3u8`);
  t.log('HLS', written.map(Math.round).join(' '), 'ms');
  t.true(written.length >= BEATS / 2, 'each flash has its beep');
  t.true(Math.abs(median(written)) < BOUND_MS, `HLS: ${median(written)} ms`);
  await Promise.all([publisher.close(), viewer.close()]);
});

/** How much later than its flash each beep is written, in milliseconds. */
async function skewsOf(url: string): Promise<readonly number[]> {
  const filters = ['-vf', 'blackdetect=d=0.2:pic_th=0.8', '-af', 'silencedetect=n=-40dB:d=0.3'];
  const read = ['-hide_banner', '-t', String(BEATS), '-i', url];
  const { stderr } = await run('ffmpeg', [...read, ...filters, '-f', 'null', '-'], {
    timeout: 60_000,
  });
  const times = (pattern: RegExp) => [...stderr.matchAll(pattern)].map(([, time]) => Number(time));
  const beeps = times(/silence_end: ([\d.]+)/g);
  return times(/black_end:([\d.]+)/g).flatMap((flash) => {
    const near = beeps.map((beep) => (beep - flash) * 1000).filter((ms) => Math.abs(ms) < 500);
    return near.slice(0, 1);
  });
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
