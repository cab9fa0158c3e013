// The room alone, in memory: `npm run bench -- core [relay's options]`.
import { runBinary } from './programs.mjs';

await runBinary('relay', process.argv.slice(2));
