import type { LiveDenial, LiveEvent as NativeLiveEvent, NativeServer } from '../native.js';
import type { StreamKey } from './media.js';

/** Somebody's wish to publish, to play or to play recordings back. */
export interface AuthorizeRequest {
  /** What is wanted: to write a stream, to read it, or to read recordings of it. */
  readonly action: 'publish' | 'play' | 'playback';
  /** Of which stream. */
  readonly key: StreamKey;
  /** Over what: `whip`, `whep`, `hls`, `playback`. */
  readonly protocol: string;
  /** The client's IP address, where known. */
  readonly address?: string;
  /** The bearer token, where one was sent. */
  readonly token?: string;
  /** A user name, where one was sent. */
  readonly user?: string;
  /** A password, where one was sent. */
  readonly password?: string;
  /** The query of the URL, where there is one. */
  readonly query?: string;
}

/**
 * What an authorizer says: `true` lets in, `false` refuses. An identity makes a publisher that
 * reconnects take its own stream over; a reason tells the client whether other credentials help.
 */
export type Verdict = boolean | Allowed | Refused;

/** Lets in, by name. */
export interface Allowed {
  /** The discriminant. */
  readonly allow: true;
  /**
   * Who it is. A publisher without identity is the same as no other: it takes no key that is held,
   * and loses its own to the next one after 2 s of silence.
   */
  readonly identity?: string;
}

/** Refuses, with a reason. */
export interface Refused {
  /** The discriminant. */
  readonly allow: false;
  /** `badCredentials` and `expired` ask for others (401), `notAllowed` is final (403). The default. */
  readonly reason?: 'badCredentials' | 'expired' | 'notAllowed';
}

/**
 * Decides who may publish and play. Silent for 5 s, rejecting or throwing is refusing.
 *
 * @example
 * ```ts
 * server.live.use(({ action, token }) => action === 'play' || token === process.env.PUBLISH_TOKEN);
 * ```
 */
export type Authorizer = (request: AuthorizeRequest) => Verdict | Promise<Verdict>;

/** Lets everybody publish and play. For trying things out, and for closed networks. */
export const allowAll: Authorizer = () => true;

/**
 * Asks the authorizer and tells the native side.
 *
 * @internal
 */
export async function decide(
  native: NativeServer,
  authorizer: Authorizer | undefined,
  event: Extract<NativeLiveEvent, { type: 'authorize' }>,
  report: (error: unknown) => void,
): Promise<void> {
  const { type: _, number, ...request } = event;
  let identity: string | undefined;
  let denial: LiveDenial | undefined;
  try {
    const verdict = (await authorizer?.(request as AuthorizeRequest)) ?? false;
    if (verdict === false) denial = 'notAllowed' as LiveDenial;
    else if (verdict !== true) {
      if (verdict.allow) identity = verdict.identity;
      else denial = (verdict.reason ?? 'notAllowed') as LiveDenial;
    }
  } catch (error) {
    denial = 'unavailable' as LiveDenial;
    report(error);
  }
  // Closed meanwhile: there is nobody to let in.
  await native.liveDecide(number, identity, denial).catch(() => {});
}
