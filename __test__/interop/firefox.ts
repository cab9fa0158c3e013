import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { readFile } from 'node:fs/promises';
import { launch } from 'puppeteer-core';
import type { Browser } from 'puppeteer-core';
import type { Demo } from '../browser/demo.js';
import type { Probe, Tile, Transport } from '../browser/room.js';

declare const probe: Probe;

/** Firefox, where this machine has one. */
export const firefoxPath = [
  process.env['FIREFOX_PATH'],
  '/usr/bin/firefox-esr',
  '/usr/bin/firefox',
].find((path) => path !== undefined && existsSync(path));

/** Starts Firefox with a camera and a microphone that need no hardware and no permission. */
export function launchFirefox(prefs: Readonly<Record<string, unknown>> = {}): Promise<Browser> {
  return launch({
    browser: 'firefox',
    executablePath: firefoxPath ?? 'firefox',
    headless: true,
    extraPrefsFirefox: {
      'media.navigator.streams.fake': true,
      'media.navigator.permission.disabled': true,
      'media.autoplay.default': 0,
      'media.peerconnection.ice.obfuscate_host_addresses': false,
      ...prefs,
    },
  });
}

/** What a page of Firefox shows of the others. */
export interface FirefoxVisitor {
  readonly tiles: () => Promise<readonly Tile[]>;
  /** How many pictures change. */
  readonly moving: () => Promise<number>;
  /** Energy heard so far, over all others. */
  readonly energy: () => Promise<number>;
  /** The DTLS version that this browser speaks with itself. */
  readonly highestDtls: () => Promise<string>;
  /** What DTLS and ICE agreed on. */
  readonly transport: () => Promise<Transport>;
  readonly leave: () => Promise<void>;
}

/** Joins a room of the demo. */
export async function joinWithFirefox(
  browser: Browser,
  demo: Demo,
  room: string,
  query: Readonly<Record<string, string>>,
): Promise<FirefoxVisitor> {
  const page = await browser.newPage();
  const probeScript = fileURLToPath(new URL('../browser/page/probe.js', import.meta.url));
  await page.evaluateOnNewDocument(await readFile(probeScript, 'utf8'));
  const parameters = new URLSearchParams({ join: '1', ...query }).toString();
  await page.goto(`${demo.url}/rooms/${room}?${parameters}`);
  await page.waitForSelector('body[data-state=joined]');
  return {
    tiles: () => page.evaluate(() => probe.tiles()),
    moving: () => page.evaluate(() => probe.moving()),
    energy: () =>
      page.evaluate(async () =>
        Object.values(await probe.energy()).reduce((sum, energy) => sum + energy, 0),
      ),
    highestDtls: () => page.evaluate(() => probe.highestDtls()),
    transport: () => page.evaluate(() => probe.transport()),
    leave: () => page.click('#leave'),
  };
}
