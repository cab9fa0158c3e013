import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { Server, type LiveEvent, type PublishSession } from 'sluice';
import { film, publish, type Picture } from './live-film.js';

const exec = promisify(execFile);
const local = { udpPort: 0, bindAddress: '127.0.0.1', shards: 1 };
interface Stage {
  readonly server: Server;
  readonly session: PublishSession;
  readonly pictures: readonly Picture[];
  readonly directory: string;
  readonly events: LiveEvent[];
}

async function stage(t: ExecutionContext): Promise<Stage> {
  const { record, pictures } = await film();
  const directory = await mkdtemp(join(tmpdir(), 'sluice-record-'));
  const server = (await Server.start(local)).ref();
  t.teardown(async () => {
    await server.close();
    await rm(directory, { recursive: true, force: true });
  });
  const events: LiveEvent[] = [];
  server.live.observer.on('event', (event) => events.push(event));
  const session = await server.live.publish('live/show');
  await session.setTrack({ track: 0, codec: 'H264', record });
  return { server, session, pictures, directory, events };
}

/** Packets and seconds of a file, and what ffprobe has to complain about. */
async function probed(
  file: string,
): Promise<{ readonly frames: number; readonly seconds: number; readonly complaints: string }> {
  const { stdout, stderr } = await exec('ffprobe', [
    ...['-v', 'error', '-count_frames', '-show_entries', 'stream=nb_read_frames'],
    ...['-show_entries', 'format=duration', '-of', 'json', file],
  ]);
  const { streams, format } = JSON.parse(stdout) as {
    readonly streams: readonly { readonly nb_read_frames: string }[];
    readonly format: { readonly duration: string };
  };
  return {
    frames: Number(streams[0]?.nb_read_frames),
    seconds: Number(format.duration),
    complaints: stderr,
  };
}

test('a recording is a plain file with every frame', async (t) => {
  const { server, session, pictures, directory, events } = await stage(t);
  await publish(session, pictures.slice(0, 1));
  const recording = await server.live.record('live/show', { directory });
  t.is(recording.key as string, 'live/show');
  t.is(recording.place, directory);
  const [stream] = await server.live.streams();
  t.true(stream?.recording);
  await publish(session, pictures.slice(1, 75), 1);
  const files = await recording.stop();
  t.deepEqual(await recording.stop(), files, 'a second stop() says the same');
  t.is(files.length, 1);
  const [file] = files;
  t.like(file, { durationMs: 3000 });
  t.regex(file?.name ?? '', /^live\/show\/\d{8}T\d{6}\.\d{3}Z\.mp4$/);
  t.true(Math.abs(Date.now() - (file?.startedAtMs ?? 0)) < 60_000);
  t.deepEqual(await probed(join(directory, file?.name ?? '')), {
    frames: 75,
    seconds: 3,
    complaints: '',
  });
  t.deepEqual(await server.live.recordings(directory), files);
  t.deepEqual(await server.live.recordings(directory, { app: 'live', stream: 'show' }), files);
  t.deepEqual(await server.live.recordings(directory, { app: 'other' }), []);
  const told = events.filter(({ type }) => type.startsWith('recording')).map(({ type }) => type);
  t.deepEqual(told, ['recording', 'recording', 'recordingEnded']);
});

test('files are cut at keyframes, and the oldest ones go', async (t) => {
  const { server, session, pictures, directory } = await stage(t);
  await publish(session, pictures.slice(0, 1));
  const recording = await server.live.record('live/show', {
    directory,
    segmentMs: 1000,
    keepMs: 2500,
  });
  await publish(session, pictures.slice(1), 1);
  const files = await recording.stop();
  t.is(files.length, 5);
  const kept = await server.live.recordings(directory);
  t.deepEqual(kept, files.slice(2));
  for (const file of kept) {
    const { frames, complaints } = await probed(join(directory, file.name));
    t.deepEqual([frames, complaints], [25, '']);
  }
  const names = await readdir(join(directory, 'live/show'));
  t.is(names.length, kept.length + 1, 'nothing lies there but files and their index');
});

test('a publisher that comes back goes on in the file, one of another size begins the next', async (t) => {
  const { server, session, pictures, directory } = await stage(t);
  await publish(session, pictures.slice(0, 1));
  const recording = await server.live.record('live/show', { directory });
  await publish(session, pictures.slice(1, 50), 1);
  await session.finish('disconnected');
  const again = await server.live.publish('live/show');
  const { record } = await film();
  await again.setTrack({ track: 0, codec: 'H264', record });
  await publish(again, pictures.slice(0, 50));
  const other = await film('480x270');
  await again.setTrack({ track: 0, codec: 'H264', record: other.record });
  await publish(again, other.pictures.slice(0, 25), 50);
  const files = await recording.stop();
  const seen = await Promise.all(files.map(({ name }) => probed(join(directory, name))));
  t.deepEqual(
    seen.map(({ frames, complaints }) => [frames, complaints]),
    [
      [100, ''],
      [25, ''],
    ],
  );
});

test('the end of the stream ends the recording', async (t) => {
  const { server, session, pictures, directory } = await stage(t);
  await publish(session, pictures.slice(0, 1));
  const recording = await server.live.record('live/show', { directory });
  const ended = once(recording, 'ended');
  await publish(session, pictures.slice(1, 50), 1);
  await session.finish();
  const [event] = (await ended) as [{ readonly files: readonly { readonly name: string }[] }];
  t.deepEqual(event.files, await recording.stop());
  const { frames } = await probed(join(directory, event.files[0]?.name ?? ''));
  t.is(frames, 50);
  await t.throwsAsync(server.live.record('live/show', { directory }), {
    code: 'ERR_STREAM_NOT_FOUND',
  });
});

test('a directory that cannot be written is told, and the stream goes on', async (t) => {
  const { server, session, pictures, directory, events } = await stage(t);
  const taken = join(directory, 'taken');
  await writeFile(taken, '');
  await publish(session, pictures.slice(0, 1));
  const recording = await server.live.record('live/show', { directory: taken });
  const failed = once(recording, 'failed');
  const ended = once(recording, 'ended');
  await publish(session, pictures.slice(1, 60), 1);
  const [event] = (await failed) as [{ readonly reason: string; readonly message: string }];
  t.is(event.reason, 'storage');
  t.true(event.message.includes(taken));
  await ended;
  t.deepEqual(await recording.stop(), []);
  t.true(events.some(({ type }) => type === 'recordingFailed'));
  await publish(session, pictures.slice(60, 70), 60);
  t.like((await server.live.streams())[0], { recording: false, qos: { frames: 70 } });
});

test('a crash costs a second at most, and the next listing finishes the file', async (t) => {
  const { directory, server } = await stage(t);
  const { record, pictures } = await film();
  const frames = pictures.map(({ keyframe, data }) => [keyframe, data.toString('base64')]);
  await writeFile(
    join(directory, 'film.json'),
    JSON.stringify([record.toString('base64'), frames]),
  );
  const program = `
    import { readFileSync } from 'node:fs';
    import { Server } from 'sluice';
    const [record, frames] = JSON.parse(readFileSync(process.env.FILM));
    const server = await Server.start({ udpPort: 0, bindAddress: '127.0.0.1', shards: 1 });
    const session = await server.live.publish('live/show');
    const base = (text) => Buffer.from(text, 'base64');
    await session.setTrack({ track: 0, codec: 'H264', record: base(record) });
    for (const [at, [keyframe, data]] of frames.entries()) {
      await session.write({ track: 0, ptsMs: at * 40, keyframe, data: base(data) });
      if (at === 0) await server.live.record('live/show', { directory: process.env.INTO });
    }
    // The last whole part is with the system a moment later.
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), 500);
  `;
  const into = join(directory, 'into');
  const env = { ...process.env, FILM: join(directory, 'film.json'), INTO: into };
  const cwd = new URL('../', import.meta.url);
  const child = exec(process.execPath, ['--input-type=module', '-e', program], { env, cwd });
  await t.throwsAsync(child, { message: /Command failed/ });
  const left = await readdir(join(into, 'live/show'));
  t.true(left.some((name) => name.endsWith('.mp4.part')));
  const [file, ...more] = await server.live.recordings(into);
  t.deepEqual(more, []);
  const { frames: kept, complaints } = await probed(join(into, file?.name ?? ''));
  t.is(complaints, '');
  t.is(kept, 100, 'four whole seconds of five');
  const index = await readFile(join(into, 'live/show/index.jsonl'), 'utf8');
  t.is((JSON.parse(index) as { readonly bytes?: number }).bytes, file?.bytes);
});

test('a directory without recordings lists none, one that cannot be read says so', async (t) => {
  const { server, directory } = await stage(t);
  t.deepEqual(await server.live.recordings(join(directory, 'nothing')), []);
  t.deepEqual(await server.live.recordings(directory), []);
  await mkdir(join(directory, 'live/show/index.jsonl'), { recursive: true });
  const error = await t.throwsAsync(server.live.recordings(directory), { code: 'ERR_STORAGE' });
  t.true(error?.message.includes(directory));
});

test('arguments are checked before anything happens', async (t) => {
  const { server, session, pictures, directory } = await stage(t);
  await publish(session, pictures.slice(0, 1));
  const bad: readonly [unknown, object][] = [
    [undefined, { instanceOf: TypeError }],
    [{}, { instanceOf: TypeError }],
    [{ directory: '' }, { instanceOf: RangeError }],
    [{ directory, segmentMs: 999 }, { instanceOf: RangeError }],
    [{ directory, keepBytes: -1 }, { instanceOf: RangeError }],
  ];
  for (const [options, error] of bad) {
    await t.throwsAsync(server.live.record('live/show', options as never), error);
  }
  await t.throwsAsync(server.live.record('../show', { directory }), { instanceOf: TypeError });
  await using recording = await server.live.record('live/show', { directory });
  t.is(typeof recording.id, 'number');
  await t.throwsAsync(server.live.record('live/show', { directory }), {
    code: 'ERR_INVALID_ARGUMENT',
  });
});
