import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { sendText } from './respond.js';

/** The page's own files, the browser module where the package keeps it, and the player of HLS. */
const FOLDERS = {
  page: new URL('./public/', import.meta.url),
  sluice: new URL('./', import.meta.resolve('sluice/browser')),
  hls: new URL('./', import.meta.resolve('hls.js')),
};

/** @type {Readonly<Record<string, string>>} */
const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.map': 'application/json',
};

/**
 * Serves one file of a folder; names with a slash or without a known ending do not exist.
 * @param {import('node:http').ServerResponse} response
 * @param {keyof typeof FOLDERS} folder
 * @param {string} name
 */
export async function sendAsset(response, folder, name) {
  const type = TYPES[extname(name)];
  if (!type || !/^[\w-]+(\.[\w-]+)+$/.test(name)) return sendText(response, 404, 'not found');
  try {
    const body = await readFile(new URL(name, FOLDERS[folder]));
    response.writeHead(200, {
      'Content-Type': type,
      'Cache-Control': 'no-cache',
      'X-Content-Type-Options': 'nosniff',
      'Referrer-Policy': 'same-origin',
    });
    response.end(body);
  } catch {
    sendText(response, 404, 'not found');
  }
}
