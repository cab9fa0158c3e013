import { onStage } from './stage.js';

const test = onStage();

test('a page that joins and leaves 20 times costs the others no m-line and the server no memory', async (t) => {
  const { demo, join } = t.context;
  const ann = await join('churn', { name: 'Ann' });
  const bob = await join('churn', { name: 'Bob' });
  const measure = async (): Promise<{ mLines: number; server: number }> => ({
    mLines: await ann.mLines(),
    server: (await demo.client('churn', 'Ann')).mediaLines,
  });
  await ann.seesMoving(1);
  const lines = await measure();
  let before = await demo.memory();
  for (let cycle = 1; cycle <= CYCLES; cycle += 1) {
    await bob.press('leave');
    await ann.hasTiles(0);
    await bob.press('rejoin');
    await ann.shows(1);
    // The first cycles fill pools and compile code.
    if (cycle === CYCLES / 4) before = await demo.memory();
  }
  await Promise.all([ann.seesMoving(1), bob.seesMoving(1), ann.hears(1)]);
  t.deepEqual(await measure(), lines);
  const after = await demo.memory();
  const heap = after.heapBytes - before.heapBytes;
  const resident = after.residentBytes - before.residentBytes;
  t.log(lines, `heap ${heap} B, resident ${resident} B in ${(CYCLES * 3) / 4} cycles`);
  t.true(heap < 512 * 1024, `the heap grew by ${heap} B`);
  t.true(resident < 8 * 1024 * 1024, `the process grew by ${resident} B`);
});

const CYCLES = 20;
