// The one entry behind `npm start`, `npm test` and the other scripts. Node built-ins only: it runs
// on a fresh clone, before anything is installed, and sets up what the command needs.
import { steps } from './steps.mjs';
import { runGates, testGates, lintGates } from './gates.mjs';
import { Report } from './report.mjs';
import { MissingError, StepError, root, runForeground, stopOnSignals } from './process.mjs';
import { listBenches, runBench } from './bench.mjs';
import { format } from './format.mjs';
import { prepublish } from './publish.mjs';

const commands = {
  /** Builds the optimized addon and runs the demo until it is stopped. */
  async start(report) {
    await steps(report, ['toolchain', 'packages', 'native:release', 'typescript']);
    return runForeground(process.execPath, ['examples/demo/server.js', ...rest], { cwd: root });
  },

  /** Sets everything up, runs every gate, prints the table and the counts. */
  async test(report) {
    await steps(report, ['toolchain', 'system', 'packages', 'python', 'native:dev', 'typescript']);
    await runGates(report, testGates(), rest);
    return report.finish();
  },

  /** Builds the optimized addon and the facades. */
  async build(report) {
    await steps(report, ['toolchain', 'packages', 'native:release', 'typescript']);
    return 0;
  },

  /** The gates that need no running server: formatters, linters, types. */
  async lint(report) {
    await steps(report, ['toolchain', 'packages', 'typescript']);
    await runGates(report, lintGates(), rest);
    return report.finish();
  },

  /** The API documentation of both languages. */
  async docs(report) {
    await steps(report, ['toolchain', 'packages']);
    await runGates(report, ['typedoc', 'rustdoc'], []);
    return report.finish();
  },

  /** Rewrites Rust and TypeScript sources into their one format. */
  async format(report) {
    await steps(report, ['toolchain', 'packages']);
    return format();
  },

  /** Runs one benchmark by name against the optimized build, or lists them. */
  async bench(report) {
    if (rest.length === 0) return listBenches();
    await steps(report, ['toolchain', 'packages', 'native:release', 'typescript']);
    return runBench(rest);
  },

  /** Runs from `npm publish`; refuses outside the release workflow. */
  async prepublish() {
    return prepublish();
  },
};

const [name = '', ...rest] = process.argv.slice(2);
const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
if (command === undefined) {
  console.error(`usage: node scripts/run.mjs ${Object.keys(commands).join(' | ')}`);
  process.exit(2);
}

stopOnSignals();
const report = new Report(name);
try {
  process.exitCode = await command(report);
} catch (error) {
  if (error instanceof MissingError)
    for (const line of error.lines) console.error(`missing: ${line}`);
  else if (error instanceof StepError) console.error(`failed: ${error.message}`);
  else throw error;
  report.abort();
  process.exitCode = 1;
}
