import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import {
  allowAll,
  fsStorage,
  Server,
  type PublishSession,
  type Recording,
  type RecordingFailed,
  type RecordingStorage,
} from 'sluice';
import { film, probed, publish } from './live-film.js';

const local = { udpPort: 0, bindAddress: '127.0.0.1', shards: 1 };

interface Stage {
  readonly server: Server;
  readonly session: PublishSession;
  readonly directory: string;
  /** Publishes pictures of the film. */
  readonly show: (from: number, to: number) => Promise<void>;
}

async function stage(t: ExecutionContext): Promise<Stage> {
  const { record, pictures } = await film();
  const directory = await mkdtemp(join(tmpdir(), 'sluice-storage-'));
  const server = (await Server.start(local)).ref();
  t.teardown(async () => {
    await server.close();
    await rm(directory, { recursive: true, force: true });
  });
  const session = await server.live.publish('live/show');
  await session.setTrack({ track: 0, codec: 'H264', record });
  const show = (from: number, to: number) => publish(session, pictures.slice(from, to), from);
  await show(0, 1);
  return { server, session, directory, show };
}

/** A storage in memory. */
function memory(place = 'memory'): RecordingStorage & {
  readonly files: Map<string, Buffer>;
  readonly finished: Set<string>;
} {
  const files = new Map<string, Buffer>();
  const finished = new Set<string>();
  return {
    files,
    finished,
    place,
    append: async (name, offset, bytes) => {
      const before = files.get(name) ?? Buffer.alloc(0);
      if (before.length !== offset || finished.has(name)) throw new Error(`not the end of ${name}`);
      files.set(name, Buffer.concat([before, bytes]));
    },
    finish: async (name) => void finished.add(name),
    read: async (name, start, end) => {
      const file = files.get(name);
      if (file === undefined) throw Object.assign(new Error('no such file'), { code: 'ENOENT' });
      return file.subarray(start, end);
    },
    list: async (folder) => {
      const prefix = folder === '' ? '' : `${folder}/`;
      const entries = new Map<string, number>();
      for (const [name, { length }] of files) {
        if (!name.startsWith(prefix)) continue;
        const [plain = '', ...rest] = name.slice(prefix.length).split('/');
        entries.set(plain, rest.length === 0 ? length : 0);
      }
      return [...entries].map(([name, bytes]) => ({ name, bytes }));
    },
    remove: async (name) => {
      files.delete(name);
      finished.delete(name);
    },
  };
}

test('a storage of the application gets plain files, the index in front', async (t) => {
  const { server, directory, show } = await stage(t);
  const storage = memory();
  const recording = await server.live.record('live/show', { storage, segmentMs: 2000 });
  t.is(recording.place, 'memory');
  await show(1, 125);
  const files = await recording.stop();
  t.is(files.length, 3);
  t.deepEqual(await server.live.recordings(storage), files);
  t.deepEqual([...storage.files.keys()].toSorted(), [
    ...files.map(({ name }) => name),
    'live/show/index.jsonl',
  ]);
  let frames = 0;
  for (const { name, bytes } of files) {
    const file = storage.files.get(name);
    t.is(file?.length, bytes);
    t.true(storage.finished.has(name));
    t.true((file?.indexOf('moov') ?? 0) < (file?.indexOf('mdat') ?? 0));
    const seen = await probed(file!, directory);
    t.is(seen.complaints, '');
    frames += seen.frames;
  }
  t.is(frames, 125);
});

test('recordings of such a storage are played back', async (t) => {
  const { server, show } = await stage(t);
  const storage = memory();
  const recording = await server.live.record('live/show', { storage });
  await show(1, 125);
  const [file] = await recording.stop();
  server.live.use(allowAll);
  const http = createServer(server.live.httpHandler({ recordings: storage })).listen(
    0,
    '127.0.0.1',
  );
  t.teardown(() => void http.close());
  await once(http, 'listening');
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}/live/live/show/recordings`;
  const address = `${url}/${file!.name.split('/').at(-1)}`;
  const whole = await fetch(address);
  t.deepEqual(Buffer.from(await whole.arrayBuffer()), storage.files.get(file!.name));
  t.is((await fetch(address, { headers: { Range: 'bytes=7-9' } })).status, 206);
  t.is((await fetch(`${address}?start=1&duration=1`)).status, 200);
  // What it gives back is checked, and what it refuses breaks the answer off.
  const { read } = storage;
  const garbage = async (name: string, start: number, end: number) =>
    name.endsWith('.mp4') ? 'garbage' : read(name, start, end);
  Object.assign(storage, { read: garbage });
  t.is((await fetch(`${address}?start=1`)).status, 500);
  await t.throwsAsync(fetch(address).then((response) => response.arrayBuffer()));
  Object.assign(storage, { read });
  t.is((await fetch(address)).status, 200);
});

test('faststart puts the index in front of files on disk', async (t) => {
  const { server, directory, show } = await stage(t);
  const recording = await server.live.record('live/show', {
    storage: fsStorage(directory),
    segmentMs: 2000,
    faststart: true,
  });
  await show(1, 125);
  const files = await recording.stop();
  t.is(files.length, 3);
  for (const { name, bytes } of files) {
    const file = await readFile(join(directory, name));
    t.is(file.length, bytes);
    t.true(file.indexOf('moov') < file.indexOf('mdat'));
    t.is((await probed(file, directory)).complaints, '');
  }
  t.is((await readdir(join(directory, 'live/show'))).length, 4);
  t.deepEqual(await server.live.recordings(directory), files);
});

test('the methods of fsStorage are a storage too', async (t) => {
  const { server, directory, show } = await stage(t);
  const disk = fsStorage(directory);
  let appended = 0;
  const storage: RecordingStorage = {
    ...disk,
    append: (name, offset, bytes) => {
      appended += bytes.length;
      return disk.append(name, offset, bytes);
    },
  };
  const recording = await server.live.record('live/show', { storage });
  await show(1, 75);
  const [file] = await recording.stop();
  t.true(appended > (file?.bytes ?? 0));
  const bytes = await readFile(join(directory, file?.name ?? ''));
  t.like(await probed(bytes, directory), { frames: 75, complaints: '' });
  t.deepEqual(await server.live.recordings(directory), [file]);
  for (const name of ['../x', '/x', 'a//b', '.x', 'a/../../b', '']) {
    await t.throwsAsync(disk.read(name, 0, 1), { instanceOf: RangeError });
  }
});

/** Records to a storage that goes wrong, and shows that the stream does not notice. */
async function ends(
  t: ExecutionContext,
  storage: RecordingStorage,
): Promise<{
  readonly event: RecordingFailed;
  readonly stage: Stage;
  readonly recording: Recording;
}> {
  const here = await stage(t);
  const recording = await here.server.live.record('live/show', { storage });
  const failed = once(recording, 'failed') as Promise<[RecordingFailed]>;
  await here.show(1, 75);
  const [event] = await failed;
  await recording.stop();
  await here.show(75, 125);
  t.like((await here.server.live.streams())[0], { recording: false, qos: { frames: 125 } });
  return { event, stage: here, recording };
}

test('a storage that rejects ends the recording, with its own words', async (t) => {
  const full = Object.assign(new Error('no room left in the bucket'), { code: 'ENOSPC' });
  const { event } = await ends(t, { ...memory(), append: () => Promise.reject(full) });
  t.is(event.reason, 'full');
  t.regex(event.message, /memory: no room left in the bucket/);
});

const thrown = (): never => {
  throw new Error('nothing');
};
const never = (): Promise<never> => new Promise(() => {});

test('a storage that throws ends the recording', async (t) => {
  const { event } = await ends(t, { ...memory(), append: thrown });
  t.is(event.reason, 'storage');
  t.regex(event.message, /nothing/);
});

test('a storage that answers garbage ends the recording', async (t) => {
  for (const list of [undefined, null, 5, [5], [{ name: 5 }], [{ name: 'x', bytes: -1 }]]) {
    const { event } = await ends(t, { ...memory(), list: async () => list as never });
    t.regex(event.message, /list\(.*\) gave no entries/);
  }
});

test('a storage that never answers ends the recording, and the server closes', async (t) => {
  const { event, stage: here } = await ends(t, {
    ...memory('a black hole'),
    timeoutMs: 200,
    append: never,
  });
  t.is(event.reason, 'storage');
  t.regex(event.message, /a black hole: /);
  // Beside it another one is served.
  const storage = memory();
  const other = await here.server.live.record('live/show', { storage });
  const hung = await here.server.live.record('live/show', {
    storage: { ...memory('another'), timeoutMs: 500, append: never },
  });
  const { pictures } = await film();
  await publish(here.session, pictures, 125);
  t.is((await other.stop()).length, 1);
  t.truthy(hung);
  const begin = Date.now();
  await here.server.close();
  t.true(Date.now() - begin < 15_000);
});

test('a slow storage loses nothing it has time for', async (t) => {
  const { server, show, directory } = await stage(t);
  const fast = memory();
  const storage: RecordingStorage = {
    ...fast,
    append: async (...given) => {
      await new Promise((resolve) => setTimeout(resolve, 100));
      return fast.append(...given);
    },
  };
  const recording = await server.live.record('live/show', { storage });
  await show(1, 125);
  const [file] = await recording.stop();
  const seen = await probed(fast.files.get(file?.name ?? '')!, directory);
  t.like(seen, { frames: 125, complaints: '' });
});

test('a crash leaves a journal, which is finished by the next listing', async (t) => {
  const { server, show, directory } = await stage(t);
  const storage = memory();
  let left = 4;
  const dying: RecordingStorage = {
    ...storage,
    append: async (...given) => {
      left -= 1;
      if (left < 0) throw new Error('gone');
      return storage.append(...given);
    },
  };
  const recording = await server.live.record('live/show', { storage: dying });
  await show(1, 125);
  await recording.stop();
  t.true([...storage.files.keys()].some((name) => name.endsWith('.mp4.part')));
  const [file, ...more] = await server.live.recordings(storage);
  t.deepEqual(more, []);
  t.false([...storage.files.keys()].some((name) => name.endsWith('.part')));
  const seen = await probed(storage.files.get(file?.name ?? '')!, directory);
  t.like(seen, { frames: 75, complaints: '' });
});

test('storages are checked before anything happens', async (t) => {
  const { server, directory } = await stage(t);
  for (const [options, error] of [
    [{ directory, storage: memory() }, { instanceOf: TypeError }],
    [{ storage: {} }, { instanceOf: TypeError }],
    [{ storage: { ...memory(), list: undefined } }, { instanceOf: TypeError }],
    [{ storage: { ...memory(), timeoutMs: 1 } }, { instanceOf: RangeError }],
    [{ directory, faststart: 'yes' }, { instanceOf: TypeError }],
  ] as const) {
    await t.throwsAsync(server.live.record('live/show', options as never), error);
  }
  t.throws(() => fsStorage(''), { instanceOf: RangeError });
  t.throws(() => fsStorage(5 as never), { instanceOf: TypeError });
});
