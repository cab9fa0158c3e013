import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2';
import {
  encoded,
  MAX_BODY,
  NOT_FOUND,
  TOO_LARGE,
  type Exchange,
  type Reply,
  type Responder,
  type StreamedBody,
} from './exchange.js';

/**
 * Handles requests of `node:http`, `node:http2` and frameworks of connect's kind, as express: what
 * is none of its paths goes to `next()`, or gets 404 where there is none.
 */
export type NodeHandler = (
  request: IncomingMessage | Http2ServerRequest,
  response: ServerResponse | Http2ServerResponse,
  next?: (error?: unknown) => void,
) => void;

/**
 * Makes the handler.
 *
 * @internal
 */
export function nodeHandler(responder: Responder, report: (error: unknown) => void): NodeHandler {
  return (request, response, next) => {
    // Express cuts off what the handler is mounted under; `Location` needs it back.
    const target = (request as { originalUrl?: string }).originalUrl ?? request.url ?? '/';
    if (responder.takes(target)) void serve(target, request, response, next);
    else if (next === undefined) write(request, response, NOT_FOUND);
    else next();
  };

  async function serve(
    target: string,
    ...[request, response, next]: Parameters<NodeHandler>
  ): Promise<void> {
    try {
      write(request, response, await handle(target, request, responder));
    } catch (error) {
      if (request.destroyed || response.destroyed) return;
      if (next === undefined) {
        report(error);
        write(request, response, FAILED);
      } else {
        next(error);
      }
    }
  }
}

async function handle(
  target: string,
  request: IncomingMessage | Http2ServerRequest,
  responder: Responder,
): Promise<Reply> {
  const body = await read(request);
  if (body === TOO_LARGE) return TOO_LARGE;
  const exchange: Exchange = {
    method: request.method ?? 'GET',
    target,
    headers: listed(request.headers),
    body: body as Uint8Array | undefined,
    address: request.socket.remoteAddress,
  };
  return encoded(exchange, await responder.respond(exchange));
}

/** A body that somebody in front has read already is taken as it is. */
async function read(
  request: IncomingMessage | Http2ServerRequest,
): Promise<Uint8Array | Reply | undefined> {
  const parsed = (request as { body?: unknown }).body;
  if (typeof parsed === 'string') return Buffer.from(parsed);
  if (parsed instanceof Uint8Array) return parsed;
  if (request.readableEnded || request.method === 'GET' || request.method === 'HEAD') {
    return undefined;
  }
  const deadline = setTimeout(() => request.destroy(), SLOWEST);
  try {
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of request as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > MAX_BODY) return TOO_LARGE;
      chunks.push(chunk);
    }
    return size === 0 ? undefined : Buffer.concat(chunks);
  } finally {
    clearTimeout(deadline);
  }
}

function listed(headers: IncomingMessage['headers']): [string, string][] {
  return Object.entries(headers).flatMap(([name, value]) =>
    value === undefined || name.startsWith(':') ? [] : [[name, [value].flat().join(', ')]],
  );
}

function write(
  request: IncomingMessage | Http2ServerRequest,
  response: ServerResponse | Http2ServerResponse,
  { status, headers, body, content }: Reply,
): void {
  if (response.destroyed || response.headersSent) {
    content?.close();
    return;
  }
  response.statusCode = status;
  for (const [name, value] of headers) {
    const before = response.getHeader(name);
    // `Link` comes several times.
    response.setHeader(name, before === undefined ? value : [before, value].flat().map(String));
  }
  if (content !== undefined) {
    void stream(response as ServerResponse, content);
    return;
  }
  if (body !== undefined) response.setHeader('Content-Length', body.length);
  // The two kinds of response take the same arguments, which their types do not say together.
  if (request.method === 'HEAD' || body === undefined) (response as ServerResponse).end();
  else (response as ServerResponse).end(body);
}

async function stream(response: ServerResponse, content: StreamedBody): Promise<void> {
  response.on('close', () => content.close());
  response.flushHeaders();
  try {
    for (;;) {
      const chunk = await content.next();
      if (chunk === undefined || response.destroyed) break;
      // The next is asked for when this one is on its way, however slow the client is.
      if (!response.write(chunk)) {
        await new Promise<void>((resolve) => {
          response.once('drain', resolve);
          response.once('close', resolve);
        });
      }
    }
    response.end();
  } catch {
    // The status is out: only a broken connection tells that the rest is missing.
    response.destroy();
  }
}

const FAILED: Reply = { status: 500, headers: [], body: undefined };
/** Who takes longer for a few kilobytes is none to wait for. */
const SLOWEST = 10_000;
