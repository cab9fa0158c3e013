import { createRequire } from 'node:module';

const manifest = createRequire(import.meta.url)('../package.json') as { readonly version: string };

/** The version of this package, as in its `package.json`. */
export const version: string = manifest.version;
