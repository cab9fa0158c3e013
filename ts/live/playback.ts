import { call } from '../abort.js';
import { ignoreClosed } from '../errors.js';
import type { LiveRequest, NativePlayback, NativeServer, NativeStorage } from '../native.js';
import { CLOSED, NOT_FOUND, type Reply } from './exchange.js';

/**
 * Answers a request for recordings of a storage.
 *
 * @internal
 */
export async function playback(
  native: NativeServer,
  storage: NativeStorage,
  request: LiveRequest,
): Promise<Reply> {
  const answer = await call(() => native.livePlayback(storage, request)).catch(refuse);
  if (answer === undefined) return CLOSED;
  if (answer === null) return NOT_FOUND;
  const { status, headers } = answer;
  if (answer.streams) return { status, headers, body: undefined, content: content(answer) };
  // 204, 304 and answers to HEAD have none, which is not one of length 0 (RFC 9110 §8.6).
  return { status, headers, body: answer.body.length === 0 ? undefined : answer.body };
}

function content(answer: NativePlayback): NonNullable<Reply['content']> {
  return {
    next: async () => (await call(() => answer.read())) ?? undefined,
    close: () => answer.end(),
  };
}

/** A closed server answers so; anything else is a fault. */
function refuse(error: unknown): undefined {
  ignoreClosed(error);
}
