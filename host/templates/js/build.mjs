// Makes the component: the bundle of `app.js`, and an engine to run it.

import { componentize } from '@bytecodealliance/componentize-js';
import { build } from 'esbuild';
import { writeFile } from 'node:fs/promises';

const bundle = await build({
  entryPoints: ['app.js'],
  bundle: true,
  format: 'esm',
  external: ['wasi:*', 'infinity:*'],
  write: false,
});
const { component } = await componentize(bundle.outputFiles[0].text, {
  sourceName: 'app.js',
  witPath: 'wit',
  worldName: 'agent',
  disableFeatures: ['http', 'fetch-event'],
});
await writeFile('PLUGIN.wasm', component);
