/** Argument checks: `TypeError` for the wrong type, `RangeError` for the wrong value. */

/** Checks a string. */
export function checkString(name: string, value: unknown): asserts value is string {
  if (typeof value !== 'string')
    throw new TypeError(`${name} must be a string, not ${kind(value)}`);
}

/** Checks a string that may be left out. */
export function checkOptionalString(name: string, value: unknown): void {
  if (value !== undefined) checkString(name, value);
}

/** Checks a boolean that may be left out. */
export function checkOptionalBoolean(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'boolean') {
    throw new TypeError(`${name} must be a boolean, not ${kind(value)}`);
  }
}

/** Checks a whole number of the given range. */
export function checkInteger(name: string, value: unknown, least: number, most: number): void {
  if (typeof value !== 'number') {
    throw new TypeError(`${name} must be a number, not ${kind(value)}`);
  }
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new RangeError(`${name} must be a whole number of ${least} to ${most}, not ${value}`);
  }
}

/** Checks a number that is one, and not beyond all bounds. */
export function checkFinite(name: string, value: unknown): void {
  if (typeof value !== 'number') {
    throw new TypeError(`${name} must be a number, not ${kind(value)}`);
  }
  if (!Number.isFinite(value)) throw new RangeError(`${name} must be finite, not ${value}`);
}

/** Checks a whole number that may be left out. */
export function checkOptionalInteger(
  name: string,
  value: unknown,
  least: number,
  most: number,
): void {
  if (value !== undefined) checkInteger(name, value, least, most);
}

/** Checks one of a few words. */
export function checkOptionalWord(name: string, value: unknown, words: readonly string[]): void {
  if (value === undefined) return;
  checkString(name, value);
  if (!words.includes(value)) {
    throw new RangeError(
      `${name} must be one of ${words.join(', ')}, not ${JSON.stringify(value)}`,
    );
  }
}

/** Checks an object with named options. */
export function checkOptions(name: string, value: unknown): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new TypeError(`${name} must be an object, not ${kind(value)}`);
  }
}

/** Checks an abort signal that may be left out. */
export function checkSignal(value: unknown): void {
  if (value !== undefined && !(value instanceof AbortSignal)) {
    throw new TypeError(`signal must be an AbortSignal, not ${kind(value)}`);
  }
}

/** Leaves out what is undefined: the native side tells absent from present. */
export function present<T extends object>(
  options: T,
): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>;
  };
}

function kind(value: unknown): string {
  return value === null ? 'null' : Array.isArray(value) ? 'an array' : typeof value;
}
