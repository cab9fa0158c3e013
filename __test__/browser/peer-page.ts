import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { Page } from 'playwright-core';
import { launchChromium } from './chromium.js';

/** A browser with fake devices and the origin that serves the lab page. */
export interface PeerPages {
  /** Opens a fresh lab page. */
  readonly open: () => Promise<Page>;
  readonly close: () => Promise<void>;
}

/** Starts both. */
export async function startPeerPages(): Promise<PeerPages> {
  const server = createServer(async (request, response) => {
    const [, folder, name = ''] = /^\/(sluice|page)\/([\w-]+\.js)$/.exec(request.url ?? '') ?? [];
    const root = folder === 'sluice' ? '../../dist/browser/' : './page/';
    const body = folder
      ? await readFile(new URL(root + name, import.meta.url)).catch(() => '')
      : '<!doctype html><script type="module" src="/page/lab.js"></script>';
    response.setHeader('Content-Type', folder ? 'text/javascript' : 'text/html').end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  const browser = await launchChromium();
  return {
    open: async () => {
      const page = await browser.newPage();
      await page.goto(`http://127.0.0.1:${port}/`);
      await page.waitForFunction(() => 'lab' in globalThis);
      return page;
    },
    close: async () => {
      await browser.close();
      server.closeAllConnections();
      server.close();
    },
  };
}
