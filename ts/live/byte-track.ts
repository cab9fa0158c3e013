import { call } from '../abort.js';
import type { NativePublisher } from '../native.js';

/** Makes one; only a publish session does. */
export let createByteTrack: (track: number, native: NativePublisher) => ByteTrack;

/**
 * A track that comes as an encoder writes it to a pipe or a socket. It cuts the bytes into frames,
 * wherever the chunks end.
 */
export class ByteTrack {
  /** Its number in the stream. */
  readonly track: number;
  readonly #native: NativePublisher;

  static {
    createByteTrack = (track, native) => new ByteTrack(track, native);
  }

  private constructor(track: number, native: NativePublisher) {
    this.track = track;
    this.#native = native;
  }

  /**
   * Publishes what these bytes complete. Resolves when the stream has it: wait for it before the
   * next call to read no faster than is taken.
   *
   * @throws {@link SluiceError} `ERR_CLOSED` if the session is over.
   */
  async write(chunk: Uint8Array): Promise<void> {
    await call(() => this.#native.feed(this.track, chunk));
  }

  /** No more bytes follow: the last frame is complete. The session goes on. */
  async end(): Promise<void> {
    await call(() => this.#native.feed(this.track));
  }
}
