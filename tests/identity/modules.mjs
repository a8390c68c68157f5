// Where the packages are: they are installed elsewhere, so that this folder holds sources alone.

import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const folder = path.resolve(process.env.INFINITY_NODE_MODULES ?? path.dirname(fileURLToPath(import.meta.url)));

/** A file of a package, by its path: `import` by name would look beside this file alone. */
export const load = (file) => import(pathToFileURL(path.join(folder, 'node_modules', file)));
