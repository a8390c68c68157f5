// From the text of a file to what the engine evaluates.
import { transform as sucrase } from 'sucrase';
import { hideNames, hoistImports } from './esm.js';
import { lower, needsLowering } from './lower.js';

const TYPED = /\.(ts|mts|cts|tsx)$/;
const MODULE = /(^|[\n;}])\s*(import\s*["'{*\w$]|export\s*[{*\w])/;
const JSX = /\.(jsx|tsx)$/;

/// Gives back CommonJS, and whether it was an ES module and awaits at its top level.
export function compile(path, source) {
  let text = source.charCodeAt(0) === 0xfeff ? source.slice(1) : source;
  if (text.startsWith('#!')) text = `//${text.slice(2)}`;
  const typed = TYPED.test(path);
  const module = /\.m[jt]s$/.test(path) || (!/\.c[jt]s$/.test(path) && (MODULE.test(text) || /\bimport\.meta\b/.test(text)));
  const jsx = JSX.test(path);
  const strict = /\.mjs$/.test(path);
  if (typed || module || jsx) {
    const transforms = [];
    if (typed) transforms.push('typescript');
    if (module || typed) transforms.push('imports');
    if (jsx) transforms.push('jsx');
    try {
      if (module && !typed && !jsx) text = hoistImports(text);
      if (strict) text = hideNames(text);
      text = sucrase(text, { transforms, disableESTransforms: true, preserveDynamicImport: true, production: true, filePath: path }).code;
    } catch (error) {
      throw located(error, path);
    }
  }
  let topLevelAwait = false;
  if (needsLowering(text)) {
    try {
      const lowered = lower(text, { module });
      text = lowered.text;
      topLevelAwait = lowered.topLevelAwait;
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      throw located(error, path);
    }
  }
  return { text, module, strict, topLevelAwait };
}

function located(error, path) {
  const message = String(error.message).replace(/^Error transforming [^:]*: /, '');
  const found = /\((\d+):(\d+)\)/.exec(message);
  const plain = message.replace(/\s*\(\d+:\d+\)\s*$/, '');
  const syntax = new SyntaxError(plain);
  const where = found ? `${path}:${found[1]}:${Number(found[2]) + 1}` : `${path}:1:1`;
  syntax.stack = `SyntaxError: ${plain}\n    at ${where}`;
  return syntax;
}
