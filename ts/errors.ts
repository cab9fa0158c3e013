/**
 * Why an operation was refused. The set is closed within a major version.
 *
 * - `ERR_BUSY`: a bounded queue or a cap is full; nothing happened, try again later.
 * - `ERR_INVALID_ARGUMENT`: a value that only the server can judge, like a track of another client.
 * - `ERR_CLOSED`: the server, registry or client is closed.
 * - `ERR_SDP`: a session description was refused (RFC 9429), or came at the wrong time.
 * - `ERR_ICE`: an ICE candidate was refused (RFC 8839 §5.1).
 * - `ERR_CODEC`: a codec this build cannot carry.
 * - `ERR_STREAM_NOT_FOUND`: nobody publishes that live stream.
 * - `ERR_STREAM_ALREADY_PUBLISHING`: somebody else publishes that live stream.
 * - `ERR_APP_NOT_FOUND`: no such application of live streams is open.
 * - `ERR_APP_ALREADY_REGISTERED`: it is open already.
 * - `ERR_LIMIT`: a bound on live streams is reached; the message names it.
 * - `ERR_ADDRINUSE`: the port is taken.
 * - `ERR_STORAGE`: a directory of recordings cannot be read.
 * - `ERR_AUTH`: the peer may not do that.
 * - `ERR_REMOTE`: a foreign server cannot be reached, or does not do what it should; `cause` has its
 *   words.
 * - `ERR_TIMEOUT`: nothing came in time.
 * - `ERR_INTERNAL`: our fault; please report it.
 * - `ERR_NATIVE_LOAD`: the native addon is missing for this platform.
 */
export type SluiceErrorCode =
  | 'ERR_BUSY'
  | 'ERR_INVALID_ARGUMENT'
  | 'ERR_CLOSED'
  | 'ERR_SDP'
  | 'ERR_ICE'
  | 'ERR_CODEC'
  | 'ERR_STREAM_NOT_FOUND'
  | 'ERR_STREAM_ALREADY_PUBLISHING'
  | 'ERR_APP_NOT_FOUND'
  | 'ERR_APP_ALREADY_REGISTERED'
  | 'ERR_LIMIT'
  | 'ERR_ADDRINUSE'
  | 'ERR_STORAGE'
  | 'ERR_AUTH'
  | 'ERR_REMOTE'
  | 'ERR_TIMEOUT'
  | 'ERR_INTERNAL'
  | 'ERR_NATIVE_LOAD';

const codes: readonly SluiceErrorCode[] = [
  'ERR_BUSY',
  'ERR_INVALID_ARGUMENT',
  'ERR_CLOSED',
  'ERR_SDP',
  'ERR_ICE',
  'ERR_CODEC',
  'ERR_STREAM_NOT_FOUND',
  'ERR_STREAM_ALREADY_PUBLISHING',
  'ERR_APP_NOT_FOUND',
  'ERR_APP_ALREADY_REGISTERED',
  'ERR_LIMIT',
  'ERR_ADDRINUSE',
  'ERR_STORAGE',
  'ERR_AUTH',
  'ERR_REMOTE',
  'ERR_TIMEOUT',
  'ERR_INTERNAL',
  'ERR_NATIVE_LOAD',
];

const brand = Symbol.for('sluice.SluiceError');

/**
 * The one error class of this package. Branch on {@link SluiceError.code | `code`}, show `message`,
 * log `cause`.
 */
export class SluiceError extends Error {
  /** What went wrong, for programs. */
  readonly code: SluiceErrorCode;

  /** Makes an error of the given code. */
  constructor(code: SluiceErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'SluiceError';
    this.code = code;
    Object.defineProperty(this, brand, { value: true });
  }
}

/** Whether `value` is a {@link SluiceError}, of this copy of the package or of another one. */
export function isSluiceError(value: unknown): value is SluiceError {
  return typeof value === 'object' && value !== null && brand in value;
}

/**
 * Whoever closes what is closed already has what it wanted.
 *
 * @internal
 */
export function ignoreClosed(error: unknown): void {
  if (!(isSluiceError(error) && error.code === 'ERR_CLOSED')) throw error;
}

/**
 * What a native call threw, as a {@link SluiceError} whose stack shows the caller.
 *
 * @internal
 */
export function toSluiceError(cause: unknown): SluiceError {
  if (isSluiceError(cause)) return cause;
  if (!(cause instanceof Error)) {
    return new SluiceError('ERR_INTERNAL', String(cause), { cause });
  }
  const code = codes.find((code) => 'code' in cause && cause.code === code) ?? 'ERR_INTERNAL';
  return new SluiceError(code, cause.message, { cause: cause.cause ?? cause });
}
