/**
 * A sink: the pictures of a live stream into a file that any player opens, H.264 in Annex B.
 * `node examples/annexb-sink.js live/show pictures.h264`, with a publisher as in `examples/live.js`.
 */
import { open } from 'node:fs/promises';
import { createServer } from 'node:http';
import { pathToFileURL } from 'node:url';
import { Server, allowAll, optionsFromEnv } from 'sluice';

const VIDEO = 0;
const START_CODE = Uint8Array.of(0, 0, 0, 1);

/**
 * @param {string} path
 * @returns {Promise<import('sluice').StreamSink & { pictures: number }>}
 */
export async function annexBFile(path) {
  const file = await open(path, 'w');
  /** @type {Uint8Array[]} */
  let parameterSets = [];
  return {
    pictures: 0,
    async write(item) {
      if (item.type === 'track' && item.track.track === VIDEO) {
        if (item.track.codec !== 'H264') throw new Error(`no H.264 but ${item.track.codec}`);
        parameterSets = setsOf(item.track.record);
      }
      if (item.type !== 'frame' || item.frame.track !== VIDEO) return;
      const units = [...(item.frame.keyframe ? parameterSets : []), ...unitsOf(item.frame.data)];
      await file.writev(units.flatMap((unit) => [START_CODE, unit]));
      this.pictures += 1;
    },
    close: () => file.close(),
    abort: () => file.close(),
  };
}

/** NAL units behind their length in four bytes. @param {Uint8Array} data */
function* unitsOf(data) {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  for (let at = 0; at + 4 <= data.length;) {
    const begin = at + 4;
    at = begin + view.getUint32(at);
    yield data.subarray(begin, at);
  }
}

/** The parameter sets of an `avcC` record (ISO/IEC 14496-15 §5.3.3.1). @param {Uint8Array} record */
function setsOf(record) {
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength);
  const sets = [];
  let at = 5;
  for (const mask of [0x1f, 0xff]) {
    let left = view.getUint8(at) & mask;
    at += 1;
    for (; left > 0; left--) {
      const begin = at + 2;
      at = begin + view.getUint16(at);
      sets.push(record.subarray(begin, at));
    }
  }
  return sets;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [, , key = 'live/show', path = 'pictures.h264'] = process.argv;
  const { live } = await Server.start(optionsFromEnv());
  live.use(allowAll);
  live.on('sourceState', async ({ key: name, state }) => {
    if (name !== key || state !== 'live') return;
    const subscription = await live.subscribe(key);
    await subscription.driveTo(await annexBFile(path));
  });
  createServer(live.httpHandler()).listen(Number(process.env['PORT'] ?? 8080), '127.0.0.1');
}
