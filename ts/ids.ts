declare const brand: unique symbol;

/** Tells strings of different meaning apart; it exists in types only. */
export interface Brand<Name extends string> {
  /** What the string means. */
  readonly [brand]: Name;
}

/** A client, unique in its server and never used again. An opaque string. */
export type ClientId = string & Brand<'ClientId'>;

/** A published track, unique in its server and never used again. An opaque string. */
export type TrackId = string & Brand<'TrackId'>;

/**
 * Takes a client id from outside, for example from a message of the client's page.
 *
 * @throws `TypeError` if it has not the form of one. Whether it exists only the registry knows.
 */
export function parseClientId(text: unknown): ClientId {
  return parse(text, 'c') as ClientId;
}

/**
 * Takes a track id from outside, for example from a message of the client's page.
 *
 * @throws `TypeError` if it has not the form of one. Whether it exists only the registry knows.
 */
export function parseTrackId(text: unknown): TrackId {
  return parse(text, 't') as TrackId;
}

function parse(text: unknown, prefix: string): string {
  if (typeof text === 'string' && text.startsWith(prefix) && /^.[0-9a-f]{1,16}$/.test(text)) {
    return text;
  }
  throw new TypeError(`${JSON.stringify(text)} is no id that starts with "${prefix}"`);
}
