import anyTest from 'ava';
import type { TestFn } from 'ava';
import type { Browser } from 'playwright-core';
import { chromiumPath, launchChromium } from '../browser/chromium.js';
import { startDemo } from '../browser/demo.js';
import type { Demo } from '../browser/demo.js';
import { Visitor } from '../browser/room.js';
import { firefoxPath, joinWithFirefox, launchFirefox } from './firefox.js';

const test = (anyTest as TestFn).serial;
const inBoth = chromiumPath && firefoxPath ? test : test.skip;
let chromium: Browser;
let demo: Demo;

test.before(async () => {
  if (!chromiumPath || !firefoxPath) return;
  [chromium, demo] = await Promise.all([launchChromium(), startDemo()]);
});
test.after.always(async () => {
  await chromium?.close();
  await demo?.stop();
});

for (const [title, version, prefs] of [
  ['Firefox and Chromium see and hear each other', 'FEFC', {}],
  [
    'a Firefox limited to DTLS 1.2 does as well',
    'FEFD',
    { 'media.peerconnection.dtls.version.max': 0x303 },
  ],
] as const) {
  inBoth(title, async (t) => {
    const firefox = await launchFirefox(prefs);
    const room = `firefox-${version}`;
    try {
      const ann = await Visitor.join(chromium, demo, room, { name: 'Ann' });
      const fay = await joinWithFirefox(firefox, demo, room, {
        name: 'Fay',
        simulcast: '0',
        height: '180',
      });
      await Promise.all([ann.seesMoving(1), ann.hears(1)]);
      await ann.until('Firefox to see and hear', async () => {
        const [tile] = await fay.tiles();
        return (tile?.frames ?? 0) > 5 && (await fay.moving()) === 1 && (await fay.energy()) > 0;
      });
      const { tracks, srtpProfile } = await demo.client(room, 'Fay');
      t.deepEqual(tracks.map(({ track }) => track.codec).toSorted(), ['VP8', 'opus']);
      t.is(srtpProfile, 'SRTP_AEAD_AES_256_GCM');
      t.is((await fay.transport()).tlsVersion, 'FEFD');
      t.is(await fay.highestDtls(), version);
      await fay.leave();
      await ann.hasTiles(0);
      await ann.close();
    } finally {
      await firefox.close();
    }
  });
}
