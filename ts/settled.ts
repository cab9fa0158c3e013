/**
 * A promise that is fulfilled from outside, once, and whose value can be read at any time.
 *
 * @internal
 */
export class Settled<T> {
  readonly promise: Promise<T>;
  #resolve!: (value: T) => void;
  #value: T | undefined;

  constructor() {
    this.promise = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  /** What it was fulfilled with. */
  get value(): T | undefined {
    return this.#value;
  }

  /** Fulfils it; a second time does nothing. */
  settle(value: T): void {
    this.#value ??= value;
    this.#resolve(value);
  }

  /** Whether it is fulfilled within the time; keeps the process alive that long. */
  async within(ms: number): Promise<boolean> {
    if (this.#value !== undefined) return true;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<false>((resolve) => {
      timer = setTimeout(resolve, ms, false);
    });
    const inTime = await Promise.race([this.promise.then(() => true), late]);
    clearTimeout(timer);
    return inTime;
  }
}
