/**
 * The live half of the demo: everything below `/live`, and `/recordings`.
 *
 * @import { IncomingMessage, ServerResponse } from 'node:http'
 * @import { Authorizer, Recording, Server, StreamKey } from 'sluice'
 */
import { isIP } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { allowAll, isSluiceError, parseStreamKey, tokenAuthorizer } from 'sluice';
import { sendJson, sendText } from './respond.js';

/** Who may publish and play here, in words for the page. */
export const access = chosen(process.env, process.env['HOST'] ?? '127.0.0.1');

/** Where recordings go. */
const directory = process.env['RECORDINGS'] ?? join(tmpdir(), 'sluice-recordings');

/** @param {Server} sfu */
export function openLive(sfu) {
  if (access.authorizer) sfu.live.use(access.authorizer);
  /** @type {Map<StreamKey, Recording>} */
  const running = new Map();
  return {
    handler: sfu.live.httpHandler({ recordings: directory }),

    /**
     * `POST /live/:app/:stream/record` begins a recording, `DELETE` ends it.
     * @param {IncomingMessage} request
     * @param {ServerResponse} response
     * @param {string} name
     */
    async record(request, response, name) {
      const key = parseStreamKey(name);
      // Who may publish a stream may record it.
      const token = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1];
      const asked = { action: /** @type {const} */ ('publish'), key, protocol: 'record' };
      const verdict = await access.authorizer?.(token ? { ...asked, token } : asked);
      if (verdict !== true && !(typeof verdict === 'object' && verdict.allow)) {
        return sendText(response, 403, 'not allowed');
      }
      if (request.method === 'DELETE') {
        const files = (await running.get(key)?.stop()) ?? [];
        return sendJson(response, { files });
      }
      if (request.method !== 'POST') {
        return sendText(response, 405, 'method not allowed', { Allow: 'POST, DELETE' });
      }
      if (running.has(key)) return sendText(response, 409, 'it is being recorded');
      try {
        const recording = await sfu.live.record(key, { directory, faststart: true });
        running.set(key, recording);
        recording.on('ended', () => running.delete(key));
        recording.on('failed', ({ message }) => console.error(message));
        return sendJson(response, { key });
      } catch (error) {
        if (!isSluiceError(error) || error.code !== 'ERR_STREAM_NOT_FOUND') throw error;
        return sendText(response, 404, 'nobody publishes it');
      }
    },

    /**
     * `GET /recordings`: all there are, where everybody may play them.
     * @param {ServerResponse} response
     */
    async recordings(response) {
      if (access.authorizer !== allowAll) return sendText(response, 403, 'ask for one stream');
      return sendJson(response, { recordings: await sfu.live.recordings(directory) });
    },

    async list() {
      const streams = await sfu.live.streams();
      return {
        access: access.words,
        streams: streams.map(({ tracks, ...stream }) => ({
          ...stream,
          // The page plots numbers; a decoder's configuration is none.
          tracks: tracks.map(({ track, qos }) => ({ ...track, record: undefined, qos })),
        })),
      };
    },
  };
}

/**
 * @param {NodeJS.ProcessEnv} env
 * @param {string} host
 * @returns {{ words: string, authorizer?: Authorizer }}
 */
function chosen(env, host) {
  const secret = env['LIVE_SECRET'];
  if (secret) return { words: 'with a token', authorizer: tokenAuthorizer(secret) };
  const open = env['LIVE_ALLOW_ALL'] === '1';
  if (open || (env['LIVE_ALLOW_ALL'] === undefined && isLoopback(host))) {
    return {
      words: 'everybody, as this is a loopback host or was asked for',
      authorizer: allowAll,
    };
  }
  return { words: 'nobody: set LIVE_SECRET, or LIVE_ALLOW_ALL=1' };
}

/** @param {string} host */
function isLoopback(host) {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}
