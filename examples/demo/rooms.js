/** @import { Client, Registry, Server } from 'sluice' */

/** An empty room is forgotten after this long; a page that reloads finds its room again. */
const EMPTY_ROOM_MS = 30_000;

/** The rooms in use: names, and the registry behind each. */
export class Rooms {
  /** @type {Server} */
  #server;
  /** @type {Map<string, { registry: Registry, closeWhenEmpty: () => void }>} */
  #rooms = new Map();

  /** @param {Server} server */
  constructor(server) {
    this.#server = server;
  }

  /** @param {string} name */
  static isName(name) {
    return /^[\w-]{1,64}$/.test(name);
  }

  /**
   * The room to join, opened if need be.
   * @param {string} name
   */
  enter(name) {
    const room = this.#rooms.get(name) ?? this.#open(name);
    room.closeWhenEmpty();
    return room.registry;
  }

  /** What the lobby shows. */
  list() {
    return [...this.#rooms]
      .map(([name, { registry }]) => ({ name, clients: registry.size }))
      .filter(({ clients }) => clients > 0);
  }

  /**
   * Who is in a room, what they publish and what they receive.
   * @param {string} name
   */
  async describe(name) {
    const clients = this.#rooms.get(name)?.registry.clients ?? [];
    const described = await Promise.all(clients.map(describeClient));
    return { room: name, clients: described.filter((client) => client !== undefined) };
  }

  /** @param {string} name */
  #open(name) {
    const registry = this.#server.registry(name);
    /** @type {NodeJS.Timeout | undefined} */
    let timer;
    const closeWhenEmpty = () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        if (registry.size > 0) return;
        this.#rooms.delete(name);
        void registry.close();
      }, EMPTY_ROOM_MS).unref();
    };
    registry.on('clientDisconnected', closeWhenEmpty);
    const room = { registry, closeWhenEmpty };
    this.#rooms.set(name, room);
    return room;
  }
}

/** @param {Client} client */
async function describeClient(client) {
  try {
    return { id: client.id, appData: client.appData, ...(await client.getStats()) };
  } catch {
    return undefined; // it left while we asked
  }
}
