import { readdirSync, readFileSync } from 'node:fs';
import test from 'ava';

const root = new URL('../', import.meta.url);

function sources(folder: string, suffix: string): readonly (readonly [string, string])[] {
  return readdirSync(new URL(folder, root), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(suffix))
    .map((name) => [name, readFileSync(new URL(`${folder}${name}`, root), 'utf8')]);
}

test('every exported function stops panics before the C frames of Node', (t) => {
  const exported = sources('crates/node/src/', '.rs').flatMap(([file, text]) =>
    [
      ...text.matchAll(
        /#\[napi(?<options>[^\]]*)\]\s+(?:#\[[^\]]*\]\s+)*pub (?:async )?fn (?<name>\w+)/g,
      ),
    ].map(({ groups }) => ({ file, name: groups?.['name'], options: groups?.['options'] ?? '' })),
  );
  t.true(exported.length > 20, 'the pattern finds them');
  for (const { file, name, options } of exported) {
    t.true(options.includes('catch_unwind'), `${file}: ${name}`);
  }
});

test('only ts/native.ts reaches for the addon', (t) => {
  const readers = sources('ts/', '.ts').filter(([, text]) => text.includes("'#native'"));
  t.deepEqual(
    readers.map(([file]) => file),
    ['native.ts'],
  );
});
