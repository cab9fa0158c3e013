import { randomUUID } from 'node:crypto';
import { ForeignSession, type ForeignMade } from './foreign-session.js';

/** Makes one; only `Live` does. */
export let createPull: (made: ForeignMade, identity?: string) => Pull;

/**
 * A stream that comes from a foreign server by WHEP: `server.live.pull()`.
 *
 * It is published here as from a publisher of protocol `whep`. While the connection is lost the stream
 * waits as for any lost publisher: who reads it stays, and is told of a discontinuity.
 */
export class Pull extends ForeignSession {
  static {
    createPull = (made, identity) => new Pull(made, identity);
  }

  private constructor(made: ForeignMade, identity: string = `pull ${randomUUID()}`) {
    super(made, identity);
  }
}
