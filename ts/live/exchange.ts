import { gzip } from 'node:zlib';
import { promisify } from 'node:util';
import type { RecordingStorage } from './storage.js';

/**
 * One HTTP request, whatever framework it came through.
 *
 * @internal
 */
export interface Exchange {
  readonly method: string;
  /** Path and query as the client wrote them. */
  readonly target: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array | undefined;
  /** The client's IP address, where known. */
  readonly address: string | undefined;
}

/**
 * What to answer.
 *
 * @internal
 */
export interface Reply {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array | undefined;
  /** The content in place of `body` where it comes bit by bit. */
  readonly content?: StreamedBody;
}

/**
 * A content that comes while it is read.
 *
 * @internal
 */
export interface StreamedBody {
  /** What comes next; nothing at the end. Rejects when the rest cannot be had. */
  next(): Promise<string | Uint8Array | undefined>;
  /** The client has hung up. */
  close(): void;
}

/**
 * Answers requests for paths that are ours. Whether one is, is asked before its body is read: what
 * is not ours keeps its body for whoever comes next.
 *
 * @internal
 */
export interface Responder {
  takes(target: string): boolean;
  respond(exchange: Exchange): Promise<Reply>;
}

/** What a handler is made with. */
export interface HandlerOptions {
  /** The path under which `:app/:stream/…` stands. Default `/live`. */
  readonly prefix?: string;
  /**
   * Serves the finished recordings of a directory or storage: `:app/:stream/recordings`. Default none
   * are. The authorizer is asked for `playback`.
   */
  readonly recordings?: string | RecordingStorage;
}

/**
 * A reply's text, gzipped for who takes that (RFC 9110 §12.5.3): a playlist shrinks to a tenth.
 *
 * @internal
 */
export async function encoded(exchange: Exchange, reply: Reply): Promise<Reply> {
  const { body, headers } = reply;
  const type = header(headers, 'content-type');
  if (body === undefined || body.length < WORTHWHILE || !TEXT.test(type ?? '')) return reply;
  const varied = [...headers, ['Vary', 'Accept-Encoding'] as const];
  if (!takesGzip(header(exchange.headers, 'accept-encoding'))) {
    return { ...reply, headers: varied };
  }
  return {
    ...reply,
    headers: [...varied, ['Content-Encoding', 'gzip']],
    body: await compress(body),
  };
}

/**
 * Cuts a body off above this many bytes: a session description is a few kilobytes.
 *
 * @internal
 */
export const MAX_BODY = 256 * 1024;

/**
 * What is said instead of reading on.
 *
 * @internal
 */
export const TOO_LARGE: Reply = { status: 413, headers: [], body: undefined };

/**
 * There is nothing here.
 *
 * @internal
 */
export const NOT_FOUND: Reply = { status: 404, headers: [], body: undefined };

/**
 * The server is closed, or closes.
 *
 * @internal
 */
export const CLOSED: Reply = { status: 503, headers: [['Retry-After', '5']], body: undefined };

function takesGzip(accepted: string | undefined): boolean {
  return /(^|,)\s*(gzip|\*)\s*(?!;\s*q=0(\.0*)?\s*(,|$))(;|,|$)/i.test(accepted ?? '');
}

function header(headers: Exchange['headers'], name: string): string | undefined {
  return headers.find(([given]) => given.toLowerCase() === name)?.[1];
}

const compress = promisify(gzip);
const TEXT = /mpegurl|json|text\//i;
/** Below it the header of gzip eats what is won. */
const WORTHWHILE = 256;
