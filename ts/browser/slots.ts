import type { Layer, MediaKind, Subscription } from './messages.js';

/** A track of another client that this peer receives: the detail of the track events. */
export interface RemoteTrack {
  /** The track, unique in its room. */
  readonly trackId: string;
  /** The client that publishes it. */
  readonly clientId: string;
  /** Sound or pictures. */
  readonly kind: MediaKind;
  /** What to play. It belongs to the slot: a later track in the same slot comes with the same object. */
  readonly track: MediaStreamTrack;
  /** The receive slot that carries it. */
  readonly mid: string;
  /** Whether the server forwards it now. */
  readonly state: 'active' | 'waiting' | 'paused';
  /** The layer being forwarded, as far as the server told. */
  readonly layer: Layer;
  /** What the application attached to the publisher. */
  readonly appData?: unknown;
}

/** How the set of received tracks changed. */
export interface SlotChange {
  readonly type: 'trackadded' | 'trackremoved' | 'trackchanged';
  readonly remote: RemoteTrack;
}

/**
 * Which track sits in which receive slot. A track counts as received while it has a slot that exists here:
 * the server's list and its offer may come in either order.
 */
export class Slots {
  readonly #trackOf: (mid: string) => MediaStreamTrack | undefined;
  #subscriptions: readonly Subscription[] = [];
  #remotes: ReadonlyMap<string, RemoteTrack> = new Map();
  readonly #layers = new Map<string, Layer>();

  constructor(trackOf: (mid: string) => MediaStreamTrack | undefined) {
    this.#trackOf = trackOf;
  }

  /** The server's last list, waiting tracks included. */
  get subscriptions(): readonly Subscription[] {
    return this.#subscriptions;
  }

  /** The tracks being received, by track id. */
  get remotes(): ReadonlyMap<string, RemoteTrack> {
    return this.#remotes;
  }

  /** Takes the server's complete list. */
  update(subscriptions: readonly Subscription[]): SlotChange[] {
    this.#subscriptions = subscriptions;
    const listed = new Set(subscriptions.map(({ trackId }) => trackId));
    for (const trackId of this.#layers.keys())
      if (!listed.has(trackId)) this.#layers.delete(trackId);
    for (const { trackId, rid } of subscriptions) {
      if (rid !== undefined && this.#layers.get(trackId)?.rid !== rid)
        this.#layers.set(trackId, { rid });
    }
    return this.refresh();
  }

  /** Notes the layer now forwarded of one track. */
  setLayer(trackId: string, layer: Layer): SlotChange[] {
    if (this.#subscriptions.some((subscription) => subscription.trackId === trackId)) {
      this.#layers.set(trackId, layer);
    }
    return this.refresh();
  }

  /** Compares the list with the slots that exist now; removals come first, so a re-bound slot is free. */
  refresh(): SlotChange[] {
    const remotes = new Map<string, RemoteTrack>();
    for (const subscription of this.#subscriptions) {
      const remote = this.#bind(subscription);
      if (remote) remotes.set(remote.trackId, remote);
    }
    const changes: SlotChange[] = [];
    for (const [trackId, remote] of this.#remotes) {
      if (!remotes.has(trackId)) changes.push({ type: 'trackremoved', remote });
    }
    for (const [trackId, remote] of remotes) {
      const before = this.#remotes.get(trackId);
      if (!before) changes.push({ type: 'trackadded', remote });
      else if (differs(before, remote)) changes.push({ type: 'trackchanged', remote });
    }
    this.#remotes = remotes;
    return changes;
  }

  #bind({ trackId, clientId, kind, mid, state, appData }: Subscription): RemoteTrack | undefined {
    const track = mid === null ? undefined : this.#trackOf(mid);
    if (mid === null || !track) return undefined;
    const layer = this.#layers.get(trackId) ?? {};
    return {
      trackId,
      clientId,
      kind,
      track,
      mid,
      state,
      layer,
      ...(appData !== undefined && { appData }),
    };
  }
}

function differs(a: RemoteTrack, b: RemoteTrack): boolean {
  return (
    a.track !== b.track ||
    a.mid !== b.mid ||
    a.state !== b.state ||
    a.layer.rid !== b.layer.rid ||
    a.layer.spatial !== b.layer.spatial ||
    a.layer.temporal !== b.layer.temporal ||
    JSON.stringify(a.appData) !== JSON.stringify(b.appData)
  );
}
