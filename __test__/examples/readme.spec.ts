import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import test from 'ava';
import { chromium } from 'playwright-core';
import { chromiumPath } from '../browser/chromium.js';
import { until } from '../interop/demo.js';
import { Session, wrtc } from '../interop/stacks.js';

const root = new URL('../../', import.meta.url);
const inChromium = chromiumPath ? test.serial : test.serial.skip;

test('the README shows the examples word for word', async (t) => {
  const readme = await readFile(new URL('README.md', root), 'utf8');
  const shown = [...readme.matchAll(/```js\n([^]*?)```/g)].map(([, code]) => code ?? '');
  const files = shown.map((code) => /`node (examples\/\w+\.js)`/.exec(code)?.[1] ?? '');
  t.deepEqual(files, ['examples/minimal.js', 'examples/live.js']);
  for (const [i, file] of files.entries()) {
    t.is(shown[i], await readFile(new URL(file, root), 'utf8'), file);
  }
});

test('a stream published to the live example plays as HLS', async (t) => {
  const port = await freePort();
  const child = spawn(process.execPath, ['examples/live.js'], {
    cwd: root,
    env: { ...process.env, PORT: String(port), SFU_UDP_PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => stop(child));
  await once(child.stdout, 'data');
  const url = `http://127.0.0.1:${port}/live/live/show`;
  t.is((await fetch(`${url}/index.m3u8`)).status, 404, 'nobody publishes yet');
  const publisher = await Session.start(wrtc, 'publish', `${url}/whip`);
  t.teardown(() => publisher.kill());
  const playlist = await until('a playlist', async () => {
    const response = await fetch(`${url}/index.m3u8`);
    return response.ok && response.text();
  });
  t.regex(playlist, /^#EXTM3U\n[^]*CODECS="vp08[^"]*,opus"/);
});

test('every file the README points at exists', async (t) => {
  const readme = await readFile(new URL('README.md', root), 'utf8');
  const targets = [...readme.matchAll(/\]\(([^):]+)\)/g)].map(([, target]) => target ?? '');
  t.true(targets.length > 4);
  for (const target of targets) t.true(existsSync(new URL(target, root)), target);
});

inChromium('two tabs of the README example see each other', async (t) => {
  const port = await freePort();
  const child = spawn(process.execPath, ['examples/minimal.js'], {
    cwd: root,
    env: { ...process.env, PORT: String(port), SFU_UDP_PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => stop(child));
  await once(child.stdout, 'data');

  const browser = await chromium.launch({
    executablePath: chromiumPath ?? '',
    args: [
      '--no-sandbox',
      '--disable-dev-shm-usage',
      '--use-fake-device-for-media-stream',
      '--use-fake-ui-for-media-stream',
      '--autoplay-policy=no-user-gesture-required',
    ],
  });
  t.teardown(() => browser.close());
  const tabs = await Promise.all([browser.newPage(), browser.newPage()]);
  for (const tab of tabs) await tab.goto(`http://127.0.0.1:${port}/`);
  for (const tab of tabs) {
    await tab.waitForFunction(
      () => {
        const video = document.querySelector('video');
        return video !== null && video.getVideoPlaybackQuality().totalVideoFrames > 20;
      },
      undefined,
      { timeout: 30_000 },
    );
    t.is(await tab.locator('audio').count(), 1);
  }
});

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  return port;
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  await exit;
}
