/**
 * The live half of the demo: everything below `/live`.
 *
 * @import { Authorizer, Server } from 'sluice'
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';
import { allowAll } from 'sluice';

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
  if (secret) return { words: 'with a token', authorizer: tokens(secret) };
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

/**
 * Tokens `<expiry>:<hex hmac-sha256(secret, "app/stream:expiry")>`, the expiry in seconds since 1970.
 * @param {string} secret
 * @returns {Authorizer}
 */
function tokens(secret) {
  return ({ key, token, query }) => {
    const given = token ?? new URLSearchParams(query).get('token') ?? '';
    const [, expiry = '', signature = ''] = /^(\d{1,12}):([0-9a-f]{64})$/.exec(given) ?? [];
    const wanted = createHmac('sha256', secret).update(`${key}:${expiry}`).digest();
    if (signature === '' || !timingSafeEqual(wanted, Buffer.from(signature, 'hex'))) {
      return { allow: false, reason: 'badCredentials' };
    }
    const valid = Number(expiry) * 1000 > Date.now();
    return valid ? { allow: true, identity: key } : { allow: false, reason: 'expired' };
  };
}
