import type { Kind } from './demo.js';

/** The calls of a peer connection that signaling by WHIP or WHEP needs. */
interface Connection {
  createOffer(): Promise<{ sdp?: string }>;
  setLocalDescription(offer: never): Promise<unknown>;
  readonly localDescription?: { readonly sdp?: string } | null;
  setRemoteDescription(answer: { type: 'answer'; sdp: string }): Promise<unknown>;
}

/** What a foreign stack can do; both give what its connection has received so far. */
interface Program {
  /** Makes a connection that sends a picture and a tone. */
  publish(): Running;
  /** Makes one that receives a video and an audio track. */
  play(): Running;
}

interface Running {
  readonly connection: Connection;
  received(): Promise<Readonly<Record<Kind, number>>>;
}

/**
 * Runs a foreign stack as a program, `publish URL` or `play URL`: a JSON line with the resource's
 * location, then one with what arrived, ten times a second, until it is killed. In a process of its
 * own, because both stacks leave something behind: one never exits, one crashes when it does.
 */
export async function runStack(program: Program): Promise<void> {
  const [, , verb, url = ''] = process.argv;
  const { connection, received } = verb === 'publish' ? program.publish() : program.play();
  print({ location: await negotiate(connection, url) });
  setInterval(async () => print({ received: await received() }), 100);
}

/** Offers by POST and applies the answer (RFC 9725 §4.2). */
async function negotiate(connection: Connection, url: string): Promise<string> {
  await connection.setLocalDescription((await connection.createOffer()) as never);
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/sdp' },
    body: connection.localDescription?.sdp ?? '',
  });
  const sdp = await response.text();
  const location = response.headers.get('location');
  if (response.status !== 201 || location === null) throw new Error(`${response.status}: ${sdp}`);
  await connection.setRemoteDescription({ type: 'answer', sdp });
  return new URL(location, url).href;
}

function print(line: unknown): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
