// What the reader sees: which step runs, how long it took, and the table at the end.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { requireAll, root } from './process.mjs';

/** Where the counts of the last `npm test` are left for `.ci/run`. */
const COUNTS = join(root, 'node_modules/.cache/sluice/counts.json');

export class Report {
  #rows = [];
  #started = performance.now();
  #name;

  constructor(name) {
    this.#name = name;
  }

  /** Runs a set-up step under its title; its failure is the command's failure. */
  async step(title, work) {
    console.log(`▸ ${title}`);
    const began = performance.now();
    const note = await work();
    const took = performance.now() - began;
    console.log(`  ${title}: ${note ?? 'done'} in ${seconds(took)}`);
    this.#rows.push({ title, result: note ?? 'done', took });
  }

  /** Runs a gate; `work` resolves to `{ code, passed?, failed?, skipped? }`. */
  async gate(title, work) {
    console.log(`▸ ${title}`);
    const began = performance.now();
    const outcome = await work();
    const took = performance.now() - began;
    const row = { title, took, ...judge(outcome) };
    console.log(`  ${title}: ${row.result} in ${seconds(took)}`);
    this.#rows.push(row);
  }

  /** Prints the table and the counts; returns the exit code. */
  finish() {
    const wide = Math.max(...this.#rows.map((row) => row.title.length));
    console.log(`\n${this.#name}`);
    for (const { title, result, took, bad } of this.#rows) {
      console.log(
        `  ${bad ? '✗' : ' '} ${title.padEnd(wide)}  ${seconds(took).padStart(8)}  ${result}`,
      );
    }
    const total = performance.now() - this.#started;
    console.log(`    ${'total'.padEnd(wide)}  ${seconds(total).padStart(8)}`);
    const passed = sum(this.#rows, 'passed');
    const failed = sum(this.#rows, 'failed');
    keepCounts(passed, failed);
    console.log(`${passed} passed, ${failed} failed`);
    return this.#rows.some((row) => row.bad) ? 1 : 0;
  }

  /** Leaves the counts of a run that could not start. */
  abort() {
    if (this.#name === 'test') keepCounts(0, 1);
  }
}

function judge({ code = 0, passed, failed = 0, skipped }) {
  if (skipped !== undefined) {
    return requireAll
      ? { result: `FAILED: ${skipped}`, bad: true, failed: 1 }
      : { result: `SKIPPED: ${skipped}`, bad: false };
  }
  const bad = code !== 0 || failed > 0;
  const counted = passed === undefined ? '' : `${passed} passed, ${failed} failed`;
  const result = bad ? `FAILED (exit code ${code}) ${counted}`.trim() : counted || 'passed';
  // A gate that counts no tests of its own is one check.
  return { result, bad, passed: passed ?? (bad ? 0 : 1), failed: bad ? Math.max(1, failed) : 0 };
}

function keepCounts(passed, failed) {
  mkdirSync(join(COUNTS, '..'), { recursive: true });
  writeFileSync(COUNTS, `${JSON.stringify({ passed, failed })}\n`);
}

function sum(rows, key) {
  return rows.reduce((total, row) => total + (row[key] ?? 0), 0);
}

function seconds(milliseconds) {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}
