import { checkInteger, checkOptionalString, checkOptions, checkString, present } from '../check.js';
import { toSluiceError } from '../errors.js';
import { native, type LiveAction, type LiveVerdict } from '../native.js';
import type { AuthorizeRequest, Authorizer, Verdict } from './authorizer.js';
import { parseStreamKey } from './media.js';

/** What a JWT must satisfy beyond its signature, its times and its `scope`. */
export interface JwtRules {
  /** Who must have made it (`iss`). Default anybody who has the secret. */
  readonly issuer?: string;
  /** For whom it must be (`aud`). Default: a token that names an audience is refused. */
  readonly audience?: string;
  /** Seconds that clocks may differ by, 0 to 3600. Default 0. */
  readonly leewaySeconds?: number;
}

/**
 * A token for one live stream and its layers: `<expiry>:<hex hmac-sha256(secret, "app/stream:expiry")>`.
 *
 * It does not tell publishing from playing: who wants that uses two secrets, or JWT.
 *
 * @param secret - 32 random bytes or more; a shorter one can be guessed from one token.
 * @param key - The stream; a layer's token is good for the whole stream.
 * @param expiresAt - When it ends, to the second.
 *
 * @example
 * ```ts
 * const token = signToken(secret, 'live/show', new Date(Date.now() + 3_600_000));
 * ```
 */
export function signToken(secret: string | Uint8Array, key: string, expiresAt: Date): string {
  const bytes = secretBytes(secret);
  const name = parseStreamKey(key);
  if (!(expiresAt instanceof Date)) throw new TypeError('expiresAt must be a Date');
  const seconds = Math.floor(expiresAt.getTime() / 1000);
  if (!(seconds >= 0)) throw new RangeError('expiresAt must be a time since 1970');
  return run(() => native().signToken(bytes, name, seconds));
}

/**
 * Lets in who has a token of {@link signToken}, as a bearer token or, where a player cannot send
 * one, as `?token=` in the URL. The holders of a stream's tokens are one publisher to it: an
 * encoder that reconnects takes its stream over.
 */
export function tokenAuthorizer(secret: string | Uint8Array): Authorizer {
  const bytes = secretBytes(secret);
  return (request) => {
    const token = given(request);
    if (token === undefined) return MISSING;
    return told(run(() => native().verifyToken(bytes, request.key, token, now())));
  };
}

/**
 * Lets in who has a JSON Web Token (RFC 7519) signed by HS256 with `exp` and a `scope` that allows
 * it: `publish:live/show`, `play:live/*`, `playback:*`, several with spaces between. Its `sub` is who
 * it is. Taken as {@link tokenAuthorizer} takes its own.
 */
export function jwtAuthorizer(secret: string | Uint8Array, rules: JwtRules = {}): Authorizer {
  const bytes = secretBytes(secret);
  checkOptions('rules', rules);
  const { issuer, audience, leewaySeconds = 0 } = rules;
  checkOptionalString('issuer', issuer);
  checkOptionalString('audience', audience);
  checkInteger('leewaySeconds', leewaySeconds, 0, 3600);
  const checks = present({ issuer, audience, leewaySeconds });
  return (request) => {
    const token = given(request);
    if (token === undefined) return MISSING;
    const action = request.action as LiveAction;
    return told(run(() => native().verifyJwt(bytes, checks, action, request.key, token, now())));
  };
}

function given({ token, query }: AuthorizeRequest): string | undefined {
  return token ?? new URLSearchParams(query).get('token') ?? undefined;
}

function told({ denial, identity }: LiveVerdict): Verdict {
  // The application's own refusals are no verdicts on tokens: these are the three that are.
  if (denial !== undefined) return { allow: false, reason: denial as 'badCredentials' };
  return identity === undefined ? true : { allow: true, identity };
}

function secretBytes(secret: unknown): Uint8Array {
  if (!(secret instanceof Uint8Array)) checkString('secret', secret);
  const bytes = Uint8Array.from(Buffer.from(secret as string));
  if (bytes.length === 0) throw new RangeError('secret must not be empty');
  return bytes;
}

function run<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw toSluiceError(error);
  }
}

function now(): number {
  return Math.floor(Date.now() / 1000);
}

const MISSING: Verdict = { allow: false, reason: 'badCredentials' };
