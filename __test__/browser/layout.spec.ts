import { fileURLToPath } from 'node:url';
import type { Visitor } from './room.js';
import { onStage } from './stage.js';

const test = onStage();

test('four fit into a window and onto a phone, without overlap', async (t) => {
  const { join } = t.context;
  const four: Visitor[] = [];
  for (const name of ['Mira Okafor', 'Tom Berger', 'Noor Haddad', 'Ines Costa'])
    four.push(await join('Team-call', { name, height: 360, drawn: true }));
  const [mira] = four as [Visitor];
  await mira.page.setViewportSize({ width: 1280, height: 720 });
  await mira.seesMoving(3);
  await t.notThrowsAsync(mira.page.getByText('4 here').waitFor());
  const desk = await mira.boxes();
  t.is(desk.length, 4);
  t.true(
    desk.every(
      ({ left, top, right, bottom }) => left >= 0 && top >= 0 && right <= 1280 && bottom <= 720,
    ),
  );
  t.deepEqual(overlaps(desk), []);

  // What README shows: SCREENSHOT=1 and the runner's own command for this file.
  if (process.env['SCREENSHOT']) {
    await mira.page.waitForTimeout(12_000); // the plots fill
    const path = fileURLToPath(new URL('../../examples/demo/room.png', import.meta.url));
    await mira.page.screenshot({ path });
  }

  await mira.page.setViewportSize({ width: 390, height: 844 });
  const phone = await mira.until('the layout of a phone', async () => {
    const boxes = await mira.boxes();
    return boxes.every(({ left, right }) => left >= 0 && right <= 390) && boxes;
  });
  t.deepEqual(overlaps(phone), []);
  t.true(phone.every(({ left, right }) => right - left >= 150));
});

function overlaps(boxes: readonly DOMRect[]): readonly (readonly [number, number])[] {
  return boxes.flatMap((a, i) =>
    boxes.flatMap((b, j) =>
      i < j && a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom
        ? [[i, j] as const]
        : [],
    ),
  );
}
