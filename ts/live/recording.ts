import { resolve } from 'node:path';
import { call, type WaitOptions } from '../abort.js';
import {
  checkOptionalBoolean,
  checkOptionalInteger,
  checkOptions,
  checkSignal,
  checkString,
  present,
} from '../check.js';
import { deliver, Emitter, reportTo } from '../emitter.js';
import {
  native,
  type NativeServer,
  type NativeStorage,
  type RecordOptions as NativeOptions,
} from '../native.js';
import { Settled } from '../settled.js';
import type {
  LiveEvent,
  RecordedFile,
  RecordingEnded,
  RecordingFailed,
  RecordingGap,
} from './events.js';
import type { StreamKey } from './media.js';
import { nativeStorage, type RecordingStorage } from './storage.js';

/** How a stream is recorded. */
export interface RecordOptions extends WaitOptions {
  /**
   * Where to: files are `<directory>/<app>/<stream>/<time>.mp4`. It is made when the first frame is
   * written, and no link in it is followed. Either this or `storage`.
   */
  readonly directory?: string;
  /** Where to, in place of `directory`. What is not {@link fsStorage} always has `faststart`. */
  readonly storage?: RecordingStorage;
  /**
   * Finished files have their index in front, so that players start without reading to the end. It
   * costs a copy of each file. Default false.
   */
  readonly faststart?: boolean;
  /** A file ends with the first keyframe beyond. 1 s to 24 h, default one hour. */
  readonly segmentMs?: number;
  /** Files of this stream that ended longer before the newest are removed. Default never. */
  readonly keepMs?: number;
  /** The oldest files of this stream are removed beyond so many bytes. Default never. */
  readonly keepBytes?: number;
}

/** Which recordings to list. */
export interface RecordingsFilter extends WaitOptions {
  /** Those of one application. */
  readonly app?: string;
  /** Those of streams of this name, with `~layer` where it is one. */
  readonly stream?: string;
}

/** The events of a recording; `server.live` tells the same ones. */
export interface RecordingEvents {
  /** The disk is too slow, and parts are missing. */
  gap: [event: RecordingGap];
  /** It cannot go on; `ended` follows. */
  failed: [event: RecordingFailed];
  /** It is over: its last event. Not told when the server closes first. */
  ended: [event: RecordingEnded];
}

type RecordingEvent = RecordingGap | RecordingFailed | RecordingEnded;

/** What a recording is made of. */
interface Made {
  readonly id: number;
  readonly key: StreamKey;
  readonly place: string;
  readonly native: NativeServer;
  readonly report: (error: unknown) => void;
}

/** Makes a recording; only `Live` does. */
let createRecording: (made: Made) => Recording;

/** Hands it an event; only its stream's side does. */
let receiveRecording: (recording: Recording, event: RecordingEvent) => void;

/**
 * A stream on its way to disk: `server.live.record()`. It goes on until the stream ends or `stop()`,
 * whether or not somebody holds this object.
 *
 * A crash of the process costs at most the second that was being written: the file is finished when
 * its directory is used next. A disk that is slow or full never reaches the stream.
 */
export class Recording extends Emitter<RecordingEvents> {
  /** Its number, unique in the server: events carry it. */
  readonly id: number;
  /** What it records. */
  readonly key: StreamKey;
  /** Where to: a directory's absolute path, or what its storage calls itself. */
  readonly place: string;
  readonly #native: NativeServer;
  readonly #ended = new Settled<readonly RecordedFile[]>();

  static {
    createRecording = (made) => new Recording(made);
    receiveRecording = (recording, event) => recording.#receive(event);
  }

  private constructor({ id, key, place, native, report }: Made) {
    super();
    this.id = id;
    this.key = key;
    this.place = place;
    this.#native = native;
    reportTo(this, report);
  }

  /**
   * Ends it and resolves to its files when they are finished. One that has ended gives the same
   * again.
   *
   * @throws {@link SluiceError} `ERR_CLOSED` if the server was closed first; the files are finished
   * all the same.
   */
  async stop({ signal }: WaitOptions = {}): Promise<readonly RecordedFile[]> {
    checkSignal(signal);
    if (this.#ended.value !== undefined) return this.#ended.value;
    const files = await call(() => this.#native.liveStopRecording(this.id), signal);
    return files ?? call(() => this.#ended.promise, signal);
  }

  /** `stop()`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #receive(event: RecordingEvent): void {
    switch (event.type) {
      case 'recordingGap':
        deliver(this, 'gap', event);
        return;
      case 'recordingFailed':
        deliver(this, 'failed', event);
        return;
      case 'recordingEnded':
        this.#ended.settle(event.files);
        deliver(this, 'ended', event);
    }
  }
}

/**
 * The recordings of one server, by number.
 *
 * @internal
 */
export class Recordings {
  readonly #native: NativeServer;
  readonly #report: (error: unknown) => void;
  readonly #running = new Map<number, Recording>();
  /** Events of recordings whose `record()` has not resolved yet. */
  readonly #early: RecordingEvent[] = [];
  #opening = 0;

  constructor(native: NativeServer, report: (error: unknown) => void) {
    this.#native = native;
    this.#report = report;
  }

  async record(key: StreamKey, options: RecordOptions): Promise<Recording> {
    const { given, storage, place } = nativeOptions(options);
    this.#opening += 1;
    try {
      const id = await call(
        () => this.#native.liveRecord(key, storage, given),
        options.signal,
        (late) => void this.#native.liveStopRecording(late).catch(this.#report),
      );
      const made = { id, key, place, native: this.#native, report: this.#report };
      const recording = createRecording(made);
      this.#running.set(id, recording);
      // Listeners are added by the caller, which goes on first.
      setImmediate(() => {
        for (const event of this.#early.filter((event) => event.recording === id)) {
          this.receive(event);
        }
      });
      return recording;
    } finally {
      this.#opening -= 1;
      if (this.#opening === 0) setImmediate(() => this.#forget());
    }
  }

  async list(
    place: string | RecordingStorage,
    options: RecordingsFilter,
  ): Promise<readonly RecordedFile[]> {
    const storage = nativeStorage(place);
    checkOptions('options', options);
    const { app, stream, signal } = options;
    checkSignal(signal);
    return call(() => native().liveRecordings(storage, app, stream), signal);
  }

  /** Takes an event, if it is one of a recording. */
  receive(event: LiveEvent): void {
    if (!('recording' in event)) return;
    const recording = this.#running.get(event.recording);
    if (recording === undefined) {
      if (this.#opening > 0) this.#early.push(event);
      return;
    }
    if (event.type === 'recordingEnded') this.#running.delete(event.recording);
    receiveRecording(recording, event);
  }

  #forget(): void {
    if (this.#opening === 0) this.#early.length = 0;
  }
}

function nativeOptions(options: RecordOptions): {
  readonly given: NativeOptions;
  readonly storage: NativeStorage;
  readonly place: string;
} {
  checkOptions('options', options);
  const { directory, storage, segmentMs, keepMs, keepBytes, faststart, signal } = options;
  if (storage === undefined) checkString('directory', directory);
  else if (directory !== undefined) throw new TypeError('either directory or storage, not both');
  checkOptionalInteger('segmentMs', segmentMs, 1000, 24 * 3600 * 1000);
  checkOptionalInteger('keepMs', keepMs, 0, Number.MAX_SAFE_INTEGER);
  checkOptionalInteger('keepBytes', keepBytes, 0, Number.MAX_SAFE_INTEGER);
  checkOptionalBoolean('faststart', faststart);
  checkSignal(signal);
  return {
    given: present({ segmentMs, keepMs, keepBytes, faststart }),
    storage: nativeStorage(storage ?? (directory as string)),
    place: storage?.place ?? resolve(directory as string),
  };
}
