import test from 'ava';
import { Server, type ClientId, type Propagated } from 'sluice';
import { EventStream, type EventStreamOptions, type StreamFeed } from '../dist/event-stream.js';

function make(options: EventStreamOptions = {}): {
  stream: EventStream<Propagated>;
  feed: StreamFeed;
  detached: () => number;
} {
  let feed: StreamFeed | undefined;
  let detached = 0;
  const stream = new EventStream<Propagated>(options, (it) => {
    feed = it;
    return () => (detached += 1);
  });
  if (feed === undefined) throw new Error('not attached');
  return { stream, feed, detached: () => detached };
}

const connected = (id: string): Propagated => ({
  type: 'clientConnected',
  clientId: id as ClientId,
});
const estimate = (bitsPerSecond: number): Propagated => ({
  type: 'bandwidthEstimate',
  clientId: 'c1' as ClientId,
  bitsPerSecond,
  bindingTerm: 'native',
});

test('events come in order, those from before the first next() too', async (t) => {
  const { stream, feed } = make();
  feed.feed(connected('c1'));
  feed.feed(connected('c2'));
  t.like(await stream.next(), { done: false, value: { clientId: 'c1' } });
  const [second, third] = [stream.next(), stream.next()];
  feed.feed(connected('c3'));
  t.like(await second, { value: { clientId: 'c2' } });
  t.like(await third, { value: { clientId: 'c3' } });
});

test('the end comes after what waits, and stays', async (t) => {
  const { stream, feed, detached } = make();
  feed.feed(connected('c1'));
  feed.finish();
  feed.feed(connected('c2'));
  t.like(await stream.next(), { value: { clientId: 'c1' } });
  t.deepEqual(await stream.next(), { done: true, value: undefined });
  t.deepEqual(await stream.next(), { done: true, value: undefined });
  t.is(detached(), 1);
});

test('types choose', async (t) => {
  const { stream, feed } = make({ types: ['bandwidthEstimate'] });
  feed.feed(connected('c1'));
  feed.feed(estimate(7));
  t.like(await stream.next(), { value: { bitsPerSecond: 7 } });
});

test('an abort rejects whoever waits with the reason, throws away the rest, and lets go', async (t) => {
  const controller = new AbortController();
  const { stream, feed, detached } = make({ signal: controller.signal });
  const waiting = stream.next();
  controller.abort(new Error('enough'));
  await t.throwsAsync(waiting, { message: 'enough' });
  feed.feed(connected('c1'));
  t.deepEqual(await stream.next(), { done: true, value: undefined });
  t.is(detached(), 1);
});

test('a signal that is aborted already attaches nothing', async (t) => {
  const stream = new EventStream<Propagated>(
    { signal: AbortSignal.abort(new Error('before')) },
    () => t.fail() as never,
  );
  await t.throwsAsync(stream.next(), { message: 'before' });
  t.deepEqual(await stream.next(), { done: true, value: undefined });
});

test('break ends the stream and frees its place', async (t) => {
  const { stream, feed, detached } = make();
  feed.feed(connected('c1'));
  for await (const _ of stream) break;
  t.is(detached(), 1);
  t.deepEqual(await stream.next(), { done: true, value: undefined });
});

test('over the high water mark the oldest state goes and is counted, a lifecycle event never', async (t) => {
  const { stream, feed } = make({ highWaterMark: 3 });
  feed.feed(connected('c1'));
  for (const rate of [1, 2, 3]) feed.feed(estimate(rate));
  feed.feed(connected('c2'));
  t.is(stream.dropped, 2);
  feed.finish();
  const kept = [];
  for await (const event of stream) kept.push(event);
  t.deepEqual(kept, [connected('c1'), estimate(3), connected('c2')]);
});

test('a reader too slow for lifecycle events is told so instead of seeing a gap', async (t) => {
  const { stream, feed, detached } = make({ highWaterMark: 2 });
  for (const id of ['c1', 'c2', 'c3']) feed.feed(connected(id));
  t.is(detached(), 1);
  await t.throwsAsync(stream.next(), { code: 'ERR_BUSY' });
  t.deepEqual(await stream.next(), { done: true, value: undefined });
});

test('several readers of one room each get everything, until it closes', async (t) => {
  const server = await Server.start({ udpPort: 0, bindAddress: '127.0.0.1', shards: 1 });
  const registry = server.registry('room');
  const read = async (): Promise<string[]> => {
    const types: string[] = [];
    for await (const { type } of registry.events({ types: ['clientDisconnected', 'close'] })) {
      types.push(type);
    }
    return types;
  };
  const readers = [read(), read(), read()];
  for (let i = 0; i < 3; i += 1) await registry.insert({ appData: i });
  await registry.close();
  const expected = [...Array.from({ length: 3 }, () => 'clientDisconnected'), 'close'];
  for (const types of await Promise.all(readers)) t.deepEqual(types, expected);
  t.deepEqual(await registry.events().next(), { done: true, value: undefined });
  await server.close();
});
