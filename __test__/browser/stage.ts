import anyTest from 'ava';
import type { TestFn } from 'ava';
import type { Browser } from 'playwright-core';
import { chromiumPath, launchChromium } from './chromium.js';
import { startDemo } from './demo.js';
import type { Demo } from './demo.js';
import { Visitor } from './room.js';
import type { Visit } from './room.js';

/** One Chromium and one demo for a spec file. */
export interface Stage {
  readonly browser: Browser;
  readonly demo: Demo;
  /** Joins a room of the demo; whoever is still there when the test ends leaves then. */
  readonly join: (room: string, visit: Visit) => Promise<Visitor>;
}

/** A test that runs where there is a Chromium, alone, with a stage set up once per file. */
export function onStage(flags: readonly string[] = []): TestFn<Stage>['serial'] {
  const test = (anyTest as TestFn<Stage>).serial;
  if (!chromiumPath) return Object.assign(test.skip, test);
  let browser: Browser;
  let demo: Demo;
  const visitors = new Set<Visitor>();
  test.before(async () => {
    [browser, demo] = await Promise.all([launchChromium(flags), startDemo()]);
  });
  test.beforeEach((t) => {
    const join = async (room: string, visit: Visit): Promise<Visitor> => {
      const visitor = await Visitor.join(browser, demo, room, visit);
      visitors.add(visitor);
      return visitor;
    };
    t.context = { browser, demo, join };
  });
  test.afterEach.always(async () => {
    await Promise.all([...visitors].map((visitor) => visitor.close()));
    visitors.clear();
  });
  test.after.always('the demo ends gracefully', async (t) => {
    await browser?.close();
    if (demo) t.is(await demo.stop(), 0);
  });
  return test;
}
