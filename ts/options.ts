import { isIP } from 'node:net';
import type { WaitOptions } from './abort.js';
import {
  checkOptionalBoolean,
  checkOptionalInteger,
  checkOptions,
  checkSignal,
  checkString,
  present,
} from './check.js';
import { toSluiceError } from './errors.js';
import { native, type ServerOptions as NativeServerOptions } from './native.js';

/** What a server is started with. */
export interface ServerOptions extends WaitOptions {
  /**
   * The one UDP port for all rooms, and the ICE-TCP port. 0 lets the system choose; see
   * `server.candidates`. Default 3478.
   */
  readonly udpPort?: number;
  /** Where to bind: `0.0.0.0` for IPv4, `::` for both families. Default `0.0.0.0`. */
  readonly bindAddress?: string;
  /**
   * The IP addresses that peers are told. Behind NAT: the public one, with the port forwarded.
   * Default: those of the interfaces in use.
   */
  readonly announcedAddresses?: readonly string[];
  /** Whether ICE-TCP is listened for, for peers whose UDP is blocked. Default `true`. */
  readonly tcp?: boolean;
  /** Threads that move media, 0 to 64; 0: one less than there are cores. Default 0. */
  readonly shards?: number;
  /** Whether UDP segmentation offload is used where the system has it. Default `true`. */
  readonly gso?: boolean;
}

/** An address that peers are told to send to (a host candidate, RFC 8839 §5.1). */
export interface LocalCandidate {
  /** IP address. */
  readonly address: string;
  /** Port. */
  readonly port: number;
  /** UDP, or ICE-TCP with us passive (RFC 6544). */
  readonly protocol: 'udp' | 'tcp';
}

/**
 * Reads `SFU_UDP_PORT`, `SFU_BIND_ADDRESS` and `SFU_ANNOUNCED_ADDRESSES` (comma-separated) of the
 * process environment; what is absent has its default.
 *
 * @throws {@link SluiceError} `ERR_INVALID_ARGUMENT` naming the variable that does not parse.
 */
export function optionsFromEnv(): ServerOptions {
  const { serverOptionsFromEnv } = native();
  try {
    return serverOptionsFromEnv();
  } catch (error) {
    throw toSluiceError(error);
  }
}

/**
 * Checks the options of `Server.start()` and gives them the form of the native side.
 *
 * @internal
 */
export function nativeServerOptions(options: ServerOptions): NativeServerOptions {
  checkOptions('options', options);
  const { udpPort, bindAddress, announcedAddresses, tcp, shards, gso, signal } = options;
  checkOptionalInteger('udpPort', udpPort, 0, 65_535);
  checkOptionalInteger('shards', shards, 0, 64);
  checkOptionalBoolean('tcp', tcp);
  checkOptionalBoolean('gso', gso);
  checkSignal(signal);
  if (bindAddress !== undefined) checkAddress('bindAddress', bindAddress);
  if (announcedAddresses !== undefined && !Array.isArray(announcedAddresses)) {
    throw new TypeError('announcedAddresses must be an array of IP addresses');
  }
  announcedAddresses?.forEach((address, i) => checkAddress(`announcedAddresses[${i}]`, address));
  return present({
    udpPort,
    bindAddress,
    announcedAddresses: announcedAddresses && [...announcedAddresses],
    tcp,
    shards,
    gso,
  });
}

function checkAddress(name: string, value: unknown): void {
  checkString(name, value);
  if (isIP(value) === 0) {
    throw new RangeError(`${name} must be an IP address, not ${JSON.stringify(value)}`);
  }
}
