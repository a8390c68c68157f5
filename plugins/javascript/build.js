// Bundles the runner and makes a component of it: `node build.js [OUTPUT]`.
import { build } from 'esbuild';
import { componentize } from 'componentize-qjs';
import { cp, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));

// What the package leaves open about values that only an engine can look into.
const OPENINGS = [
  ['previewEntries:function(t){return[[],!1]}', 'previewEntries:require("PREVIEW").previewEntries'],
  ['isAsyncFunction:function(t){return"function"==typeof t&&Function.prototype.toString.call(t).startsWith("async")}', 'isAsyncFunction:require("PREVIEW").isAsyncFunction'],
  [String.raw`isGeneratorFunction:function(t){return"function"==typeof t&&Function.prototype.toString.call(t).match(/^(async\s+)?function *\*/)}`, 'isGeneratorFunction:require("PREVIEW").isGeneratorFunction'],
  ['isModuleNamespaceObject:function(t){return t&&"object"===n(t)&&"Module"===t[Symbol.toStringTag]}', 'isModuleNamespaceObject:require("PREVIEW").isNamespace'],
  // The prototype of what was an async function is that of all functions.
  ['he(t)&&(a="Async".concat(a));', 'he(t)&&(a="Async".concat(a),"Function"===e&&(e=a));'],
];

const opened = {
  name: 'opened',
  setup(build) {
    build.onLoad({ filter: /node-inspect-extracted[\\/]dist[\\/]inspect\.js$/ }, async ({ path }) => {
      let contents = await readFile(path, 'utf8');
      for (const [from, to] of OPENINGS) {
        if (contents.split(from).length !== 2) throw new Error(`${path} has no place for ${to}`);
        contents = contents.replace(from, () => to.replace('"PREVIEW"', JSON.stringify(join(here, 'src/preview.js'))));
      }
      return { contents, loader: 'js' };
    });
  },
};

/// The runner as one ES module, with the imports of the component left in it.
export async function bundle({ plugins = [], ...options } = {}) {
  const { outputFiles } = await build({
    absWorkingDir: here,
    entryPoints: ['src/main.js'],
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2023',
    platform: 'neutral',
    mainFields: ['module', 'main'],
    inject: ['src/inject.js'],
    // What the host gives.
    external: ['wasi:*', 'infinity:*'],
    define: { 'process.env.NODE_ENV': '"production"', 'process.env.NODE_DEBUG': '""' },
    legalComments: 'none',
    plugins: [opened, ...plugins],
    ...options,
  });
  return outputFiles[0].text;
}

// The contract, its dependencies and those of the streams, in the one folder that the tool wants.
async function gatherWit(target) {
  const contract = join(here, '../../wit/0.1.0');
  await mkdir(join(target, 'deps/agent'), { recursive: true });
  for (const name of await readdir(contract)) {
    if (name.endsWith('.wit')) await cp(join(contract, name), join(target, 'deps/agent', name));
  }
  await cp(join(contract, 'deps'), join(target, 'deps'), { recursive: true });
  await cp(join(here, 'wit'), target, { recursive: true });
}

// The stack is the first MiB of the memory and grows down. The engine is built without a limit on it, so
// that recursion would end in a trap: the limit is put into the snapshot, and what is left below it is
// for the engine itself. All of it takes 3 to 5 times as much of the host's own stack.
const STACK_TOP = 0x100000;
const STACK_LIMIT = 0x30000;

// In the engine's state come an empty list, a flag, the threshold of its collector, the size of the
// stack (0: without a limit), its top as it was at the start, and its limit (0).
function limitStack(component) {
  const found = [];
  for (let at = component.indexOf('\x0f\0', 0, 'latin1'); at >= 0; at = component.indexOf('\x0f\0', at + 1, 'latin1')) {
    const top = at - 2;
    if (top < 20 || top + 8 > component.length) continue;
    const word = (offset) => component.readUInt32LE(top + offset);
    const list = word(-20);
    if (word(0) > STACK_TOP - 0x1000 && word(0) < STACK_TOP && word(4) === 0 && word(-4) === 0 && word(-8) >= 0x40000 && word(-12) === 0 && list > STACK_TOP && word(-16) === list) found.push(top + 4);
  }
  if (found.length !== 1) throw new Error(`the engine's stack limit may be in ${found.length} places`);
  component.writeUInt32LE(STACK_LIMIT, found[0]);
}

async function main() {
  const output = resolve(process.argv[2] ?? join(here, 'dist/javascript.wasm'));
  const wit = await mkdtemp(join(tmpdir(), 'runner-wit-'));
  try {
    await gatherWit(wit);
    const { component } = await componentize({ witPath: wit, jsSource: await bundle({ minifySyntax: true, minifyWhitespace: true }), world: 'runner', sync: true });
    limitStack(component);
    await mkdir(dirname(output), { recursive: true });
    await writeFile(output, component);
    console.log(`${output}: ${component.length} bytes`);
  } finally {
    await rm(wit, { recursive: true, force: true });
  }
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) await main();
