// Stacks in the form that node gives them, with the files that were handed in. All of a run's
// modules are evaluated from texts without a name, so each begins at a line of its own.
import { slice, startsWith } from './primordials.js';

const regions = [];
let nextLine = 1;

/// Reserves lines for a module and gives back the text to put before it.
export function reserve(path, text) {
  // The head of the module's function stands on a line before.
  const first = nextLine + 1;
  let lines = 1;
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) === 10) lines++;
  nextLine += lines + 3;
  regions.push({ path, first, last: nextLine - 1, lines: null, text });
  return '\n'.repeat(first - 2);
}

function regionOf(line) {
  for (let i = regions.length - 1; i >= 0; i--) if (line >= regions[i].first) return line <= regions[i].last ? regions[i] : null;
  return null;
}

/// A line of a file that was handed in, for messages.
export function sourceLine(path, line) {
  for (const region of regions) {
    if (region.path !== path) continue;
    region.lines ??= region.text.split('\n');
    return region.lines[line - 1];
  }
  return undefined;
}

function headOf(error) {
  try {
    if (typeof error === 'object' && error !== null) {
      const name = error.name === undefined ? 'Error' : String(error.name);
      const message = error.message === undefined ? '' : String(error.message);
      return name && message ? `${name}: ${message}` : name || message;
    }
  } catch {
    // What cannot be named has no name.
  }
  return 'Error';
}

// The engine's words for common mistakes, in those of node: programs print them.
const WORDS = [
  [/^\$(require|exports)__ is not defined$/, (found) => `${found[1]} is not defined`],
  [/^cannot read property 'Symbol.iterator' of (undefined|null)$/, (found) => `${found[1]} is not iterable (cannot read property Symbol(Symbol.iterator))`],
  [/^cannot read property '(.*)' of (undefined|null)$/s, (found) => `Cannot read properties of ${found[2]} (reading '${found[1]}')`],
  [/^cannot set property '(.*)' of (undefined|null)$/s, (found) => `Cannot set properties of ${found[2]} (setting '${found[1]}')`],
  [/^'(.*)' is read-only$/, (found, error) => (error instanceof TypeError && /^[\w$]+$/.test(found[1]) ? 'Assignment to constant variable.' : null)],
  [/^(?:Error: )?(.*) is not initialized$/, (found) => (/^[\w$]+$/.test(found[1]) ? `Cannot access '${found[1].replace(/^\$(require|exports)__$/, '$1')}' before initialization` : null)],
  [/^not a function$/, (found, error, site) => callee(site, (text) => `${text} is not a function`)],
  [/^not a constructor$/, (found, error, site) => callee(site, (text) => `${text.replace(/^new\s+/, '')} is not a constructor`)],
  [/^class constructors must be invoked with 'new'$/, (found, error, site) => callee(site, (text) => `Class constructor ${text} cannot be invoked without 'new'`)],
  [/^empty array$/, () => 'Reduce of empty array with no initial value'],
  [/^cannot convert symbol to string$/, () => 'Cannot convert a Symbol value to a string'],
  [/^cannot convert BigInt to number$/, () => 'Cannot mix BigInt and other types, use explicit conversions'],
  [/^circular reference$/, () => 'Converting circular structure to JSON'],
  [/^(.* in JSON at position \d+) \(line \d+ column \d+\)$/s, (found) => found[1]],
  [/^expecting hex digit$/, () => 'URI malformed'],
  [/^invalid array length$/, () => 'Invalid array length'],
];

// What is called at a place, as far as it is a name with parts.
function callee(site, say) {
  const line = site && sourceLine(site.path, site.line);
  if (line === undefined) return null;
  const calls = [...line.matchAll(/(?:new\s+)?[A-Za-z_$][\w$]*(?:\??\.[A-Za-z_$#][\w$]*)*(?=\s*(?:\?\.)?\()/g)].filter((found) => !/^(if|for|while|switch|catch|return|function|typeof|await|async)$/.test(found[0]));
  if (calls.length === 0) return null;
  // The engine counts from 1, and in rewritten text: the last call that begins before is the best guess.
  const before = calls.filter((found) => found.index < site.column);
  const best = calls.length === 1 ? calls[0] : (before.at(-1) ?? calls[0]);
  return say(best[0]);
}

function reword(error, site) {
  if (!(error instanceof TypeError || error instanceof ReferenceError || error instanceof RangeError || error instanceof SyntaxError || error instanceof URIError)) return;
  const own = Object.getOwnPropertyDescriptor(error, 'message');
  if (own === undefined || typeof own.value !== 'string') return;
  for (const [pattern, say] of WORDS) {
    const found = pattern.exec(own.value);
    if (found === null) continue;
    const text = say(found, error, site);
    if (text !== null) Object.defineProperty(error, 'message', { value: text, writable: true, enumerable: false, configurable: true });
    return;
  }
}

// The frames of an error, from the innermost, without those of the runner.
function framesOf(error, sites) {
  let out = '';
  let first = null;
  for (let i = 0; i < sites.length; i++) {
    const site = sites[i];
    const file = site.getFileName();
    const fromText = file === '<input>' || (site.isEval?.() && (file === undefined || file === null));
    if (!fromText) continue;
    const line = site.getLineNumber();
    const region = regionOf(line);
    if (region === null) continue;
    const at = { path: region.path, line: line - region.first + 1, column: site.getColumnNumber() ?? 1 };
    first ??= at;
    const where = `${at.path}:${at.line}:${at.column}`;
    const name = site.getFunctionName();
    out += name && name !== '<anonymous>' && name !== 'anonymous' && name !== '<eval>' ? `\n    at ${name} (${where})` : `\n    at ${where}`;
  }
  return { text: out, first };
}

// Where `stack` is a property of all errors, its first line is made when somebody first looks.
let lazy = false;

export function prepareStackTrace(error, sites) {
  const { text, first } = framesOf(error, sites);
  if (!lazy) return headOf(error) + text;
  reword(error, first);
  return text;
}

const looked = new WeakMap();

/// Where an error comes from: the innermost frame of its stack that is in a file.
export function place(stack) {
  if (typeof stack !== 'string') return null;
  const lines = stack.split('\n');
  for (let i = 0; i < lines.length; i++) {
    if (!startsWith(lines[i], '    at ')) continue;
    const found = /\(?([^()]+):(\d+):(\d+)\)?$/.exec(slice(lines[i], 7));
    if (found) return { path: found[1], line: Number(found[2]), column: Number(found[3]) };
  }
  return null;
}

/// Where the caller of the runner's function is.
export function here() {
  return place(new Error('here').stack);
}

export function install() {
  Error.prepareStackTrace = prepareStackTrace;
  Error.stackTraceLimit = 30;
  const own = Object.getOwnPropertyDescriptor(Error.prototype, 'stack');
  if (own?.get === undefined) return;
  lazy = true;
  Object.defineProperty(Error.prototype, 'stack', {
    get() {
      const known = looked.get(this);
      if (known !== undefined) return known;
      const frames = Reflect.apply(own.get, this, []);
      if (typeof frames !== 'string') return frames;
      const text = headOf(this) + frames;
      looked.set(this, text);
      return text;
    },
    set(value) {
      Object.defineProperty(this, 'stack', { value, writable: true, enumerable: false, configurable: true });
    },
    enumerable: false,
    configurable: true,
  });
  const capture = Error.captureStackTrace;
  Error.captureStackTrace = function captureStackTrace(target, above) {
    capture(target, above);
    const found = Object.getOwnPropertyDescriptor(target, 'stack');
    if (found !== undefined && typeof found.value === 'string') Object.defineProperty(target, 'stack', { ...found, value: headOf(target) + found.value });
  };
}
