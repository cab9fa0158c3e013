import { ForeignSession, type ForeignMade } from './foreign-session.js';

/** Makes one; only `Live` does. */
export let createPush: (made: ForeignMade) => Push;

/**
 * A stream on its way to a foreign server by WHIP: `server.live.push()`.
 *
 * It has the tracks and codecs that the stream had when it was connected. While the publisher is lost
 * it stays connected; when the stream ends it ends.
 */
export class Push extends ForeignSession {
  static {
    createPush = (made) => new Push(made);
  }

  private constructor(made: ForeignMade) {
    super(made);
  }
}
