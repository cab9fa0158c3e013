import {
  encoded,
  MAX_BODY,
  TOO_LARGE,
  type Exchange,
  type Reply,
  type Responder,
  type StreamedBody,
} from './exchange.js';

/** What a `Request` does not tell. */
export interface FetchInfo {
  /** The client's IP address, for limits per address. */
  readonly address?: string;
}

/**
 * Handles requests of the fetch kind, as hono, fastify's adapters and Bun-like servers have them.
 * Resolves to nothing if the path is none of its own.
 */
export type FetchHandler = (request: Request, info?: FetchInfo) => Promise<Response | undefined>;

/**
 * Makes the handler.
 *
 * @internal
 */
export function fetchHandler(responder: Responder): FetchHandler {
  return async (request, info = {}) => {
    const { pathname, search } = new URL(request.url);
    const target = pathname + search;
    if (!responder.takes(target)) return undefined;
    const body = await read(request);
    if (body === TOO_LARGE) return response(TOO_LARGE);
    const exchange: Exchange = {
      method: request.method,
      target,
      headers: [...request.headers],
      body: body as Uint8Array | undefined,
      address: info.address,
    };
    return response(await encoded(exchange, await responder.respond(exchange)));
  };
}

async function read(request: Request): Promise<Uint8Array | Reply | undefined> {
  if (request.body === null) return undefined;
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body as unknown as AsyncIterable<Uint8Array>) {
    size += chunk.length;
    if (size > MAX_BODY) return TOO_LARGE;
    chunks.push(chunk);
  }
  return size === 0 ? undefined : Buffer.concat(chunks);
}

function response({ status, headers, body, content }: Reply): Response {
  const list = new Headers();
  for (const [name, value] of headers) list.append(name, value);
  if (content !== undefined) return new Response(streamed(content), { status, headers: list });
  // A `Uint8Array` over shared memory is no body; ours never are.
  return new Response((body as Uint8Array<ArrayBuffer> | undefined) ?? null, {
    status,
    headers: list,
  });
}

function streamed(content: StreamedBody): ReadableStream<Uint8Array> {
  return new ReadableStream({
    async pull(controller) {
      const chunk = await content.next();
      if (chunk === undefined) controller.close();
      else controller.enqueue(typeof chunk === 'string' ? Buffer.from(chunk) : chunk);
    },
    cancel: () => content.close(),
  });
}
