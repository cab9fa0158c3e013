import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { Server } from 'sluice';
import type { StreamItem, StreamSink } from 'sluice';
import { announce, picture, sound } from './live-media.js';

/** A stream of ten pictures that has ended, and one who reads it from the beginning. */
async function ended(t: ExecutionContext) {
  const { live, ...server } = await start(t);
  const session = await live.publish('live/show');
  await announce(session);
  await session.write(picture(0), sound(0));
  const subscription = await live.subscribe('live/show');
  for (let n = 1; n < 10; n += 1) await session.write(picture(n));
  await session.finish();
  return { ...server, subscription };
}

async function start(t: ExecutionContext) {
  const server = await Server.start({ udpPort: 0, bindAddress: '127.0.0.1' });
  t.teardown(() => server.close());
  return { live: server.live };
}

/** A sink that keeps what happens to it. */
function recorder(write: (item: StreamItem) => boolean | void | Promise<boolean | void>) {
  const told: string[] = [];
  const sink: StreamSink = {
    write: async (item) => {
      told.push(item.type);
      return write(item);
    },
    close: () => void told.push('close'),
    abort: (error) => void told.push(`abort: ${(error as Error).message}`),
  };
  return { told, sink };
}

test('a sink gets every item, one after the other, and is closed at the end', async (t) => {
  const { subscription } = await ended(t);
  let running = 0;
  const { told, sink } = recorder(async () => {
    running += 1;
    t.is(running, 1, 'one at a time');
    await sleep(1);
    running -= 1;
  });
  t.is(await subscription.driveTo(sink), 'completed');
  t.is(told.filter((type) => type === 'frame').length, 11);
  t.is(told.at(-1), 'close');
});

test('a sink that has enough ends the subscription', async (t) => {
  const { subscription } = await ended(t);
  const { told, sink } = recorder(({ type }) => type !== 'frame');
  t.is(await subscription.driveTo(sink), undefined);
  t.deepEqual(told.slice(-2), ['frame', 'close']);
  t.true((await subscription.next()).done);
});

test('a sink that fails is aborted, and the caller is told', async (t) => {
  const { subscription } = await ended(t);
  const { told, sink } = recorder(() => {
    throw new Error('disk full');
  });
  await t.throwsAsync(subscription.driveTo(sink), { message: 'disk full' });
  t.is(told.at(-1), 'abort: disk full');
  t.true((await subscription.next()).done, 'nothing is left open');
});

test('what is no sink is refused, and the subscription goes on', async (t) => {
  const { subscription } = await ended(t);
  await t.throwsAsync(subscription.driveTo({} as StreamSink), { instanceOf: TypeError });
  t.false((await subscription.next()).done);
});
