import type { Visitor } from './room.js';
import { onStage } from './stage.js';

const test = onStage();

test('two see and hear each other, and pause one picture', async (t) => {
  const { demo, join } = t.context;
  const ann = await join('two', { name: 'Ann' });
  const bob = await join('two', { name: 'Bob' });
  await Promise.all([ann.seesMoving(1), bob.seesMoving(1), ann.hears(1), bob.hears(1)]);

  const [tile] = await bob.tiles();
  const trackId = tile?.trackId ?? '';
  const state = async (): Promise<string | undefined> =>
    (await demo.client('two', 'Bob')).subscriptions.find(
      ({ subscription }) => subscription.trackId === trackId,
    )?.subscription.state;
  await bob.page.locator('[data-action=pause]').click();
  await bob.until('the pause', async () => (await state()) === 'paused');
  await bob.watch(trackId, 300); // what was under way arrives
  t.deepEqual(await bob.watch(trackId, 700), []);
  await ann.seesMoving(1);
  await bob.hears(1);

  const resumedAt = await bob.now();
  await bob.page.locator('[data-action=pause]').click();
  await bob.seesMoving(1);
  const [first] = await bob.framesSince(trackId, resumedAt);
  t.is(await state(), 'active');
  t.log(`picture ${Math.round((first?.at ?? 0) - resumedAt)} ms after resume`);
  t.true((first?.at ?? Infinity) - resumedAt < 1000);
});

test('who joins mid-call has every picture within a second', async (t) => {
  const { join } = t.context;
  const pair = [await join('late', { name: 'Ann' }), await join('late', { name: 'Bob' })];
  await Promise.all(pair.map((one) => one.seesMoving(1)));

  const eve = await join('late', { name: 'Eve', device: false, click: true });
  await eve.seesMoving(2);
  const waits = await firstFrames(eve);
  t.log(`first frames of a joiner mid-call after ${waits.join(', ')} ms`);
  t.true(Math.max(...waits) <= 1000);
});

test('four see and hear each other; joining, reloading and leaving shows on every page', async (t) => {
  const { demo, join } = t.context;
  const names = ['Ann', 'Bob', 'Cleo', 'Dan'];
  const four = [];
  for (const name of names) four.push(await join('four', { name }));
  await Promise.all(four.flatMap((one) => [one.seesMoving(3), one.hears(3)]));
  const [ann, bob, cleo, dan] = four as [
    (typeof four)[0],
    (typeof four)[0],
    (typeof four)[0],
    (typeof four)[0],
  ];

  const eve = await join('four', { name: 'Eve', device: false, click: true });
  await eve.seesMoving(4);
  t.log(`first frames of a fifth, mid-call, after ${(await firstFrames(eve)).join(', ')} ms`);
  await eve.press('leave');

  const before = new Set((await ann.hasTiles(3)).map(({ clientId }) => clientId));
  await dan.page.reload();
  await dan.seesMoving(3);
  const after = await ann.until('the reloaded page alone to be new', async () => {
    const ids = (await ann.tiles()).map(({ clientId }) => clientId);
    return ids.length === 3 && ids.filter((id) => !before.has(id)).length === 1 && ids;
  });
  t.is(after.length, 3);
  await ann.seesMoving(3);

  await bob.close();
  await cleo.press('leave');
  await ann.seesMoving(1);
  await dan.seesMoving(1);
  t.deepEqual((await demo.describe('four')).map(({ appData }) => appData.name).toSorted(), [
    'Ann',
    'Dan',
  ]);
});

/** Milliseconds from each tile to its first frame. */
async function firstFrames(visitor: Visitor): Promise<number[]> {
  const tiles = await visitor.tiles();
  return tiles.map(({ firstFrameMs }) => Math.round(firstFrameMs ?? Infinity));
}
