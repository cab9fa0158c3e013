/**
 * The time of day inside the picture, so that a player on the same machine can tell how old what it
 * shows is: 24 blocks, light or dark, and four more that sum them up.
 */
const BITS = 24;
const CHECK = 4;
const ROW = 24;

/** @param {CanvasRenderingContext2D} context */
export function drawStamp(context) {
  const time = Date.now() % 2 ** BITS;
  const bits = (time + checksum(time) * 2 ** BITS).toString(2).padStart(BITS + CHECK, '0');
  const width = context.canvas.width / (BITS + CHECK);
  [...bits].forEach((bit, i) => {
    context.fillStyle = bit === '1' ? '#fff' : '#000';
    context.fillRect(Math.round(i * width), 0, Math.ceil(width), ROW);
  });
}

const reader = document.createElement('canvas');
const pixels = reader.getContext('2d', { willReadFrequently: true });

/**
 * How old the picture is, in milliseconds; nothing if it carries no stamp.
 * @param {HTMLVideoElement} video
 */
export function readStamp(video) {
  if (!pixels || video.videoWidth === 0) return undefined;
  reader.width = video.videoWidth;
  reader.height = 1;
  const line = Math.max(1, Math.round((video.videoHeight / 360) * (ROW / 2)));
  pixels.drawImage(video, 0, line, video.videoWidth, 1, 0, 0, video.videoWidth, 1);
  const { data } = pixels.getImageData(0, 0, reader.width, 1);
  const width = reader.width / (BITS + CHECK);
  let value = 0;
  for (let i = 0; i < BITS + CHECK; i++) {
    value = value * 2 + ((data[Math.floor((i + 0.5) * width) * 4 + 1] ?? 0) > 127 ? 1 : 0);
  }
  const time = value % 2 ** BITS;
  if (Math.floor(value / 2 ** BITS) !== checksum(time)) return undefined;
  return (Date.now() - time + 2 ** BITS) % 2 ** BITS;
}

/** @param {number} time */
function checksum(time) {
  let sum = 9;
  for (let rest = time; rest > 0; rest = Math.floor(rest / 16)) sum += (rest % 16) * 3;
  return sum % 16;
}
