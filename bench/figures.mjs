// Options and spreads.

/** The number after `--name`, or the default. */
export function option(name, fallback) {
  const at = process.argv.indexOf(`--${name}`);
  return at === -1 ? fallback : Number(process.argv[at + 1]);
}

/** Minimum, median and maximum, as text. */
export function spread(values, digits) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted[Math.floor(sorted.length / 2)];
  return [sorted[0], middle, sorted.at(-1)].map((value) => value?.toFixed(digits)).join('/');
}
