// Reads pass and fail counts out of what cargo test and ava print.

/** Sums the "test result" lines of cargo test, one per test binary. */
export class CargoCounts {
  passed = 0;
  failed = 0;
  #rest = '';

  /** Takes a piece of output and shows it. */
  read(chunk) {
    process.stdout.write(chunk);
    const lines = (this.#rest + chunk).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      const found = /^test result: \w+\. (\d+) passed; (\d+) failed;/.exec(line);
      if (found === null) continue;
      this.passed += Number(found[1]);
      this.failed += Number(found[2]);
    }
  }
}

/** Reads ava's TAP: one line per test on the screen, the whole diagnosis of each failure. */
export class TapCounts {
  passed = 0;
  failed = 0;
  #rest = '';
  #failing = false;

  /** Takes a piece of output and shows its human form. */
  read(chunk) {
    const lines = (this.#rest + chunk).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#line(line);
  }

  #line(line) {
    const test = /^(not )?ok \d+ - (.*)$/.exec(line);
    if (test !== null) {
      const [, not, title] = test;
      const skipped = /# (SKIP|TODO)\b/.test(title);
      this.#failing = not !== undefined && !skipped;
      if (this.#failing) this.failed += 1;
      else if (!skipped) this.passed += 1;
      console.log(`  ${this.#failing ? '✗' : skipped ? '-' : '✓'} ${title}`);
      return;
    }
    if (/^(TAP version|1\.\.\d+|# (tests|pass|fail|skip)\b|# .* › )/.test(line)) return;
    // A passing test's block holds only its duration.
    if (/^ {2,}/.test(line) && !this.#failing && !line.startsWith('    # ')) return;
    if (line.trim() !== '') console.log(line);
  }
}
