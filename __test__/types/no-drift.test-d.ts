/** Facts that only the compiler can check: this file compiles, or the types are wrong. */
import type { Client, ClientId, EventStream, Propagated, Registry, TrackId } from 'sluice';
import type { ByType, Drift, Same } from '../../dist/drift.js';

type Expect<T extends true> = T;

type Written =
  | { readonly type: 'open'; readonly id: ClientId; readonly words?: readonly string[] }
  | { readonly type: 'shut'; readonly why: 'peer' | 'ice' };
type Generated =
  { type: 'open'; id: string; words?: Array<string> } | { type: 'shut'; why: 'peer' | 'ice' };
type Changes<G extends { type: string }> = Drift<ByType<G>, ByType<Written>>;

export type Facts = [
  Expect<Same<Changes<Generated>, never>>,
  // Each mutation is caught and names the event it is in.
  Expect<Same<Changes<Generated | { type: 'new' }>, 'new'>>,
  Expect<Same<Changes<Exclude<Generated, { type: 'shut' }>>, 'shut'>>,
  Expect<
    Same<Changes<Exclude<Generated, { type: 'shut' }> | { type: 'shut'; why: 'peer' }>, 'shut'>
  >,
  Expect<
    Same<
      Changes<Exclude<Generated, { type: 'shut' }> | { type: 'shut'; why?: 'peer' | 'ice' }>,
      'shut'
    >
  >,
  Expect<
    Same<Changes<Exclude<Generated, { type: 'shut' }> | { type: 'shut'; why: string }>, 'shut'>
  >,
  Expect<
    Same<
      Changes<
        Exclude<Generated, { type: 'open' }> | { type: 'open'; id: number; words?: string[] }
      >,
      'open'
    >
  >,
  Expect<
    Same<
      Changes<Exclude<Generated, { type: 'open' }> | { type: 'open'; id: string; words: string[] }>,
      'open'
    >
  >,
  Expect<
    Same<
      Changes<
        Exclude<Generated, { type: 'open' }> | { type: 'open'; id: string; words?: number[] }
      >,
      'open'
    >
  >,
  Expect<
    Same<
      Changes<Exclude<Generated, { type: 'open' }> | { type: 'open'; id: string; word?: string[] }>,
      'open'
    >
  >,
  // Ids do not mix, and plain strings are none.
  Expect<Same<ClientId extends TrackId ? true : false, false>>,
  Expect<Same<string extends ClientId ? true : false, false>>,
  Expect<Same<ClientId extends string ? true : false, true>>,
];

export async function narrowing(registry: Registry<{ name: string }>): Promise<void> {
  const client: Client<{ name: string }> = await registry.insert({ appData: { name: 'Ada' } });
  client.on('layerChanged', ({ trackId, rid }) =>
    client.setPreferredLayers(trackId, { ...(rid && { rid }) }),
  );
  client.on('disconnected', ({ reason }) => reason satisfies string);
  registry.on('trackOpen', ({ track }) => track.codec === 'VP8');
  registry.on('close', ({ reason }) => reason === 'serverClosed');
  const some: EventStream<Extract<Propagated, { type: 'trackOpen' | 'trackClose' }>> =
    registry.events({ types: ['trackOpen', 'trackClose'] });
  for await (const event of some) {
    if (event.type === 'trackClose') event.reason satisfies 'stopped' | 'clientGone';
    else event.track satisfies object;
  }
  // @ts-expect-error -- the room says what appData is
  await registry.insert({ appData: { nick: 'Ada' } });
  // @ts-expect-error -- a plain string is no track
  await client.subscribe('t1');
  // @ts-expect-error -- no such event
  client.on('close', () => undefined);
}
