const SAMPLES = 60;
const FULL_LOSS = 0.1;
const FULL_RATE = 60;

/**
 * The last minute of one track: bit rate as an area, loss as bars from above (full height: 10 %),
 * frames a second as a dashed line (full height: 60).
 */
export class Plot {
  /** @type {HTMLCanvasElement} */
  #canvas;
  /** @type {{ bitsPerSecond: number, packetLoss: number, framesPerSecond?: number }[]} */
  #samples = [];

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.#canvas = canvas;
  }

  /** @param {{ bitsPerSecond: number, packetLoss: number, framesPerSecond?: number }} sample */
  push(sample) {
    this.#samples.push(sample);
    if (this.#samples.length > SAMPLES) this.#samples.shift();
    this.#draw();
  }

  clear() {
    this.#samples = [];
    this.#draw();
  }

  #draw() {
    const canvas = this.#canvas;
    const context = canvas.getContext('2d');
    if (!context) return;
    const scale = devicePixelRatio;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    context.scale(scale, scale);
    const colors = getComputedStyle(canvas);
    const accent = colors.getPropertyValue('--plot-rate');
    const top = Math.max(100_000, ...this.#samples.map((sample) => sample.bitsPerSecond)) * 1.15;
    const step = width / (SAMPLES - 1);
    const start = width - (this.#samples.length - 1) * step;

    const line = new Path2D();
    this.#samples.forEach(({ bitsPerSecond }, i) => {
      line.lineTo(start + i * step, height - (bitsPerSecond / top) * (height - 2) - 1);
    });
    const area = new Path2D(line);
    area.lineTo(width, height);
    area.lineTo(start, height);
    context.fillStyle = accent;
    context.globalAlpha = 0.25;
    // oxlint-disable-next-line unicorn/no-array-fill-with-reference-type -- a canvas, not an array
    context.fill(area);
    context.globalAlpha = 1;
    context.strokeStyle = accent;
    context.lineWidth = 1.5;
    context.stroke(line);
    const frames = new Path2D();
    this.#samples.forEach(({ framesPerSecond }, i) => {
      if (framesPerSecond === undefined) return;
      const y = height - (Math.min(framesPerSecond, FULL_RATE) / FULL_RATE) * (height - 2) - 1;
      frames.lineTo(start + i * step, y);
    });
    context.setLineDash([3, 3]);
    context.strokeStyle = colors.color;
    context.lineWidth = 1;
    context.stroke(frames);
    context.setLineDash([]);
    context.fillStyle = colors.getPropertyValue('--plot-loss');
    this.#samples.forEach(({ packetLoss }, i) => {
      const bar = Math.min(1, packetLoss / FULL_LOSS) * height;
      if (bar > 0) context.fillRect(start + (i - 0.5) * step, 0, step, Math.max(1.5, bar));
    });
  }
}
