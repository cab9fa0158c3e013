/**
 * The live half of the demo: everything below `/live`.
 *
 * @import { Authorizer, Server } from 'sluice'
 */
import { isIP } from 'node:net';
import { allowAll, tokenAuthorizer } from 'sluice';

/** Who may publish and play here, in words for the page. */
export const access = chosen(process.env, process.env['HOST'] ?? '127.0.0.1');

/** @param {Server} sfu */
export function openLive(sfu) {
  if (access.authorizer) sfu.live.use(access.authorizer);
  return {
    handler: sfu.live.httpHandler(),
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
