import { createRequire } from 'node:module';
import test from 'ava';
import { dispatcher, isLifecycle, noDrift, subject } from '../dist/events.js';
import { noLiveDrift } from '../dist/live/events.js';
import type { EventsDropped, LiveEvent, Propagated } from 'sluice';
import type * as Native from '../native/binding.js';

const { __eventSamples: samples } = createRequire(import.meta.url)(
  '../native/binding.js',
) as typeof Native;

test('each variant that Rust can send comes through the dispatcher as documented', (t) => {
  const told: Propagated[] = [];
  const lost: EventsDropped[] = [];
  const live: LiveEvent[] = [];
  const dispatch = dispatcher({
    registry: (id) => (id === 1 ? (event) => told.push(event) : undefined),
    live: (event) => live.push(event as unknown as LiveEvent),
    dropped: (event) => lost.push(event),
    report: (error) => t.fail(String(error)),
  });
  dispatch(samples());
  t.snapshot(lost);
  t.snapshot(told);
  t.is(new Set(told.map(({ type }) => type)).size, told.length, 'one sample per variant');
  t.is(told.length, 17, 'a new variant needs its sample, its interface and its place here');
  t.snapshot(live);
  t.is(new Set(live.map(({ type }) => type)).size, live.length, 'one sample per live variant');
  t.is(live.length, 16, 'fifteen that listeners hear, and the question to the authorizer');
});

test('an event names the client it concerns; only close concerns none', (t) => {
  const events = samples().flatMap((delivery) =>
    delivery.registryId === undefined ? [] : (delivery.events as unknown as Propagated[]),
  );
  for (const event of events) {
    t.is(
      subject(event) as string | undefined,
      event.type === 'close' ? undefined : 'c1',
      event.type,
    );
  }
  t.deepEqual(
    events.filter(isLifecycle).map(({ type }) => type),
    [
      'clientConnected',
      'trackOpen',
      'negotiationNeeded',
      'error',
      'trackClose',
      'clientDisconnected',
      'close',
    ],
  );
});

test('absent is undefined, never null', (t) => {
  const text = JSON.stringify(samples());
  t.false(text.includes('null'));
});

test('a target that throws is reported and the rest of the batch goes on', (t) => {
  const told: string[] = [];
  const errors: unknown[] = [];
  const dispatch = dispatcher({
    registry: () => (event) => {
      if (event.type === 'trackOpen') throw new Error('target');
      told.push(event.type);
    },
    live: () => undefined,
    dropped: () => undefined,
    report: (error) => errors.push(error),
  });
  dispatch(samples());
  t.is(errors.length, 1);
  t.is(told.length, 16);
});

test('an event of a registry that is gone, or of a newer addon, harms nobody', (t) => {
  const errors: unknown[] = [];
  const dispatch = dispatcher({
    registry: (id) => (id === 2 ? (event) => subject(event) : undefined),
    live: () => undefined,
    dropped: () => undefined,
    report: (error) => errors.push(error),
  });
  dispatch([
    { registryId: 1, events: [{ type: 'clientConnected', clientId: 'c1' }], liveEvents: [] },
    { registryId: 2, events: [{ type: 'fromTheFuture' } as never], liveEvents: [] },
  ]);
  t.deepEqual(errors, []);
});

test('the compile-time equalities are functions nobody can call', (t) => {
  t.is(noDrift.length, 1);
  t.is(noLiveDrift.length, 1);
});
