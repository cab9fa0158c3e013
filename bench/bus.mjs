// The frame bus against a broadcast channel and arcly-stream, in process: fan-out, publish, joins.
import { cargoEnvironment } from '../scripts/native.mjs';
import { run } from '../scripts/process.mjs';
import { hostTriple } from '../scripts/toolchain.mjs';

const args = ['run', '--release', '--locked', '--target', hostTriple()];
const what = ['-p', 'sluice-live', '--example', 'bus'];
process.exitCode = await run('cargo', [...args, ...what], { env: cargoEnvironment() });
