import { randomBytes } from 'node:crypto';

/** What a description can deviate in. */
export interface OfferOptions {
  readonly direction: 'sendonly' | 'recvonly' | 'sendrecv' | 'inactive';
  /** One section each. Default one audio and one video. */
  readonly kinds?: readonly ('audio' | 'video')[];
  /** Default `actpass`. */
  readonly setup?: 'actpass' | 'active';
  /** Default VP8. */
  readonly videoCodec?: string;
}

/** An offer of a peer that will never send a packet: valid, with credentials and a fingerprint of its own. */
export interface Offer {
  readonly sdp: string;
  readonly ufrag: string;
  readonly pwd: string;
}

/** Writes an offer as JSEP would (RFC 9429 §5.2.1), without candidates. */
export function makeOffer(options: OfferOptions): Offer {
  const { direction, kinds = ['audio', 'video'], setup = 'actpass', videoCodec = 'VP8' } = options;
  const { ufrag, pwd } = makeCredentials();
  const fingerprint = makeFingerprint();
  const stream = hex(8);
  const sections = kinds.map((kind, mid) => [
    `m=${kind} 9 UDP/TLS/RTP/SAVPF ${kind === 'audio' ? 111 : 96}`,
    'c=IN IP4 0.0.0.0',
    'a=rtcp:9 IN IP4 0.0.0.0',
    `a=ice-ufrag:${ufrag}`,
    `a=ice-pwd:${pwd}`,
    'a=ice-options:trickle',
    `a=fingerprint:sha-256 ${fingerprint}`,
    `a=setup:${setup}`,
    `a=mid:${mid}`,
    'a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid',
    `a=${direction}`,
    ...(direction.startsWith('send') ? [`a=msid:${stream} ${hex(8)}`] : []),
    'a=rtcp-mux',
    'a=rtcp-mux-only',
    'a=rtcp-rsize',
    ...(kind === 'audio'
      ? ['a=rtpmap:111 opus/48000/2', 'a=fmtp:111 minptime=10;useinbandfec=1']
      : [`a=rtpmap:96 ${videoCodec}/90000`, 'a=rtcp-fb:96 nack', 'a=rtcp-fb:96 nack pli']),
  ]);
  const session = [
    'v=0',
    `o=- ${randomBytes(4).readUInt32BE()} 2 IN IP4 127.0.0.1`,
    's=-',
    't=0 0',
    `a=group:BUNDLE ${kinds.map((_, mid) => mid).join(' ')}`,
    'a=extmap-allow-mixed',
    'a=msid-semantic: WMS *',
  ];
  return { sdp: text([...session, ...sections.flat()]), ufrag, pwd };
}

/** Writes an answer to a server's offer that takes all of it (RFC 9429 §5.3.1). */
export function makeAnswer(offer: string): Offer {
  const { ufrag, pwd } = makeCredentials();
  const fingerprint = makeFingerprint();
  const { session, media } = new Lines(offer);
  const sections = media.map((part) => [
    part[0] ?? '',
    'c=IN IP4 0.0.0.0',
    `a=ice-ufrag:${ufrag}`,
    `a=ice-pwd:${pwd}`,
    'a=ice-options:trickle',
    `a=fingerprint:sha-256 ${fingerprint}`,
    `a=setup:${valuesOf(part, 'setup')[0] === 'active' ? 'passive' : 'active'}`,
    ...(part[0]?.startsWith('m=application') === true ? [] : ['a=recvonly', 'a=rtcp-mux']),
    ...part.filter((line) => /^a=(mid|rtpmap|fmtp|rtcp-fb|sctp-port):/.test(line)),
  ]);
  const group = session.filter((line) => line.startsWith('a=group:BUNDLE'));
  const head = ['v=0', `o=- ${randomBytes(4).readUInt32BE()} 2 IN IP4 127.0.0.1`, 's=-', 't=0 0'];
  return { sdp: text([...head, ...group, ...sections.flat()]), ufrag, pwd };
}

/** Credentials of a new ICE session. */
export function makeCredentials(): Pick<Offer, 'ufrag' | 'pwd'> {
  return { ufrag: hex(4), pwd: hex(12) };
}

/** A fragment (RFC 8840 §9) with one candidate at an address of documentation (RFC 5737). */
export function makeFragment(
  { ufrag, pwd }: Pick<Offer, 'ufrag' | 'pwd'>,
  candidate = '1 1 udp 2122260223 192.0.2.1 61764 typ host',
): string {
  return text([
    'a=ice-options:trickle',
    'a=group:BUNDLE 0 1',
    'm=audio 9 UDP/TLS/RTP/SAVPF 111',
    'a=mid:0',
    `a=ice-ufrag:${ufrag}`,
    `a=ice-pwd:${pwd}`,
    `a=candidate:${candidate}`,
  ]);
}

/** A description or fragment by its lines. */
export class Lines {
  readonly session: readonly string[];
  /** Per section, `m=` first. */
  readonly media: readonly (readonly string[])[];

  constructor(sdp: string) {
    const parts = sdp.split(/\r?\n(?=m=)/).map((part) => part.split(/\r?\n/).filter(Boolean));
    this.session = sdp.startsWith('m=') ? [] : (parts.shift() ?? []);
    this.media = parts;
  }

  /** The values of an attribute, anywhere; `''` for a flag. */
  values(name: string): string[] {
    return [this.session, ...this.media].flatMap((part) => valuesOf(part, name));
  }

  /** The direction of each section that is not rejected. */
  directions(): string[] {
    return this.accepted().map(
      (part) => directionOf(part) ?? directionOf(this.session) ?? 'sendrecv',
    );
  }

  /** The sections whose port is not 0, or that are `bundle-only` (RFC 9143 §6). */
  accepted(): (readonly string[])[] {
    return this.media.filter(
      (part) => part[0]?.split(' ')[1] !== '0' || part.includes('a=bundle-only'),
    );
  }
}

/** The values of an attribute in a section. */
export function valuesOf(part: readonly string[], name: string): string[] {
  return part
    .filter((line) => line === `a=${name}` || line.startsWith(`a=${name}:`))
    .map((line) => line.slice(name.length + 3));
}

function directionOf(part: readonly string[]): string | undefined {
  return ['sendonly', 'recvonly', 'sendrecv', 'inactive'].find((name) =>
    part.includes(`a=${name}`),
  );
}

function makeFingerprint(): string {
  return hex(32).toUpperCase().match(/../g)?.join(':') ?? '';
}

function hex(bytes: number): string {
  return randomBytes(bytes).toString('hex');
}

function text(lines: readonly string[]): string {
  return lines.map((line) => `${line}\r\n`).join('');
}
