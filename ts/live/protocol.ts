import type { PublishSession } from './publish-session.js';

/** Who a client of a protocol is, for the authorizer. */
export interface IngestClient {
  /** Its IP address. */
  readonly address?: string;
  /** A bearer token. */
  readonly token?: string;
  /** A user name. */
  readonly user?: string;
  /** A password. */
  readonly password?: string;
}

/** What a protocol is served with. */
export interface IngestContext {
  /**
   * Publishes for a client of the protocol. The authorizer decides.
   *
   * @throws {@link SluiceError} `ERR_AUTH` if it refuses, `ERR_STREAM_ALREADY_PUBLISHING` if
   * somebody else holds the key, `ERR_APP_NOT_FOUND` if there is no such application.
   */
  readonly openPublish: (key: string, client?: IngestClient) => Promise<PublishSession>;
}

/** A way for streams to come in that the application speaks itself. */
export interface LiveProtocol {
  /** What the authorizer, events and lists call it; at most 32 characters. */
  readonly name: string;
  /**
   * Listens, and publishes what comes, until the signal is aborted. What it throws is told by the
   * server's `error` event.
   */
  readonly serve: (context: IngestContext, signal: AbortSignal) => void | Promise<void>;
}

/** A protocol that is being served. */
export interface ServedProtocol {
  /** Aborts its signal; resolves when `serve` has returned. */
  readonly close: () => Promise<void>;
  /** `close()`, for `await using`. */
  readonly [Symbol.asyncDispose]: () => Promise<void>;
}
