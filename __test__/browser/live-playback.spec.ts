import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { onStage } from './stage.js';

const directory = mkdtempSync(join(tmpdir(), 'sluice-demo-'));
process.env['RECORDINGS'] = directory;

const test = onStage();
test.after.always('nothing is left', (t) => {
  rmSync(directory, { recursive: true, force: true });
  t.pass();
});

interface Recorded {
  readonly name: string;
  readonly startedAtMs: number;
  readonly durationMs: number;
  readonly codecs: string;
}

for (const codec of ['H264', 'VP9'] as const) {
  test(`${codec} from a browser is recorded, sought by ranges and played from anywhere`, async (t) => {
    const { browser, demo } = t.context;
    const stream = `taped-${codec}`;
    const page = await browser.newPage();
    await page.goto(`${demo.url}/live`);
    await page.fill('input[name=stream]', stream);
    await page.selectOption('select[name=codec]', codec);
    await page.click('#start button');
    const row = `#streams li[data-key="live/${stream}"]`;
    await page.click(`${row} .record`, { timeout: 15_000 });
    await page.waitForSelector(`${row} .record[data-on=true]`);
    await page.waitForTimeout(14_000);
    await page.click(`${row} .record`);
    const item = `#recordings li[data-name^="live/${stream}/"]`;
    await page.waitForSelector(item, { timeout: 15_000 });
    await page.click('#start button');

    const response = await fetch(`${demo.url}/recordings`);
    const { recordings } = (await response.json()) as { readonly recordings: readonly Recorded[] };
    const file = recordings.find(({ name }) => name.startsWith(`live/${stream}/`));
    t.true((file?.durationMs ?? 0) > 10_000, JSON.stringify(file));
    t.regex(file?.codecs ?? '', codec === 'H264' ? /^avc1\..*opus/ : /^vp09\..*opus/);

    const partial: string[] = [];
    page.on('response', (answer) => {
      const range = answer.headers()['content-range'];
      if (answer.status() === 206 && range !== undefined) partial.push(range);
    });
    await page.click(`${item} button`);
    for (const seconds of [9, 2, 6.5]) {
      const shownAt = await shown(page, '#recorded', seconds);
      const late = shownAt - (file!.startedAtMs + seconds * 1000);
      t.log({ codec, seconds, late });
      t.true(Math.abs(late) < 700, `${late} ms beside`);
    }
    t.true(partial.length > 0, 'the player asked for ranges');
    t.deepEqual(
      await page.evaluate(() => document.querySelector<HTMLVideoElement>('#recorded')?.error),
      null,
    );

    const address = `/live/${file!.name.replace(/\/([^/]+)$/, '/recordings/$1')}`;
    const excerpt = await page.evaluate(async (src) => {
      const video = Object.assign(document.createElement('video'), { muted: true, id: 'cut' });
      document.body.append(video);
      video.src = src;
      await video.play();
      return video.duration;
    }, `${address}?start=7&duration=3`);
    // From the keyframe before: they are five seconds apart at most.
    t.true(excerpt >= 2.9 && excerpt < 9, String(excerpt));
    const end = await shown(page, '#cut', excerpt - 0.5);
    t.true(Math.abs(end - (file!.startedAtMs + 9500)) < 700, `${end - file!.startedAtMs}`);
    await page.close();
  });
}

/** When the picture was taken that a player shows at a time, by the stamp in it. */
async function shown(page: Page, player: string, seconds: number): Promise<number> {
  return page.evaluate(
    async ([player, seconds]) => {
      const { readStamp } = (await import('/page/stamp.js' as string)) as {
        readonly readStamp: (video: HTMLVideoElement) => number | undefined;
      };
      const video = document.querySelector<HTMLVideoElement>(player)!;
      video.pause();
      const sought = new Promise((resolve) =>
        video.addEventListener('seeked', resolve, { once: true }),
      );
      video.currentTime = seconds;
      await sought;
      await new Promise((resolve) => setTimeout(resolve, 300));
      const age = readStamp(video);
      return age === undefined ? Number.NaN : Date.now() - age;
    },
    [player, seconds] as const,
  );
}
