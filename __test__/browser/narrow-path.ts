import { createSocket } from 'node:dgram';
import type { RemoteInfo, Socket } from 'node:dgram';
import { once } from 'node:events';

/** What a path does to datagrams on their way to the client; the way back is free. */
export interface Bottleneck {
  readonly bitsPerSecond: number;
  /** Share of datagrams that never arrive, before the queue. */
  readonly loss: number;
}

/** What waits longer is dropped, as a full queue does. */
const QUEUE_MS = 150;
const IP_AND_UDP_BYTES = 28;

/** A path between a client and a server on this machine, free until it is narrowed. */
export class NarrowPath {
  readonly #door: Socket;
  readonly #ways = new Map<string, Socket>();
  readonly #random = lottery(7);
  #server: { readonly address: string; readonly port: number } | undefined;
  #bottleneck: Bottleneck | undefined;
  /** When the link has sent what it has taken. */
  #freeAt = 0;

  private constructor(door: Socket) {
    this.#door = door;
    door.on('message', (datagram, from) => this.#toServer(datagram, from));
  }

  static async open(): Promise<NarrowPath> {
    const door = createSocket('udp4').bind(0);
    await once(door, 'listening');
    return new NarrowPath(door);
  }

  /** Leads a client that reads this description through the path: only its UDP over IPv4 is left. */
  lead(sdp: string): string {
    const candidates = /^a=candidate:\S+ 1 (\S+) \d+ (\S+) (\d+) .*\r\n/gim;
    return sdp.replaceAll(candidates, (line, protocol: string, address: string, port: string) => {
      if (protocol !== 'udp' || address.includes(':')) return '';
      this.#server ??= { address, port: Number(port) };
      return line.replace(`${address} ${port}`, `${address} ${this.#door.address().port}`);
    });
  }

  narrow(bottleneck: Bottleneck | undefined): void {
    this.#bottleneck = bottleneck;
  }

  close(): void {
    for (const socket of [this.#door, ...this.#ways.values()]) socket.close();
    this.#ways.clear();
  }

  #toServer(datagram: Buffer, from: RemoteInfo): void {
    if (this.#server === undefined) return;
    const client = `${from.address}:${from.port}`;
    let way = this.#ways.get(client);
    if (way === undefined) {
      way = createSocket('udp4').bind(0);
      this.#ways.set(client, way);
      way.on('message', (answer) => this.#toClient(answer, from));
    }
    way.send(datagram, this.#server.port, this.#server.address);
  }

  #toClient(datagram: Buffer, { address, port }: RemoteInfo): void {
    const send = () => {
      if (this.#ways.size > 0) this.#door.send(datagram, port, address);
    };
    if (this.#bottleneck === undefined) return send();
    const { bitsPerSecond, loss } = this.#bottleneck;
    const now = performance.now();
    const begin = Math.max(now, this.#freeAt);
    if (this.#random() < loss || begin - now > QUEUE_MS) return;
    this.#freeAt = begin + ((datagram.length + IP_AND_UDP_BYTES) * 8000) / bitsPerSecond;
    setTimeout(send, this.#freeAt - now);
  }
}

/** Numbers from 0 to 1 that are the same in each run (a linear congruence). */
function lottery(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
