// What is told of an error, whatever it is that was thrown.
import { inspect } from './inspect.js';
import { getPrototypeOf, ownData, slice, NativeString, startsWith } from './primordials.js';
import { place, sourceLine } from './stack.js';

const LIMIT = 20000;

function cut(text) {
  return text.length > LIMIT ? `${slice(text, 0, LIMIT)}…` : text;
}

function read(value, key) {
  try {
    const found = value[key];
    return typeof found === 'string' ? found : undefined;
  } catch {
    return undefined;
  }
}

export function isErrorLike(value) {
  try {
    return value instanceof Error || (value !== null && typeof value === 'object' && typeof read(value, 'stack') === 'string');
  } catch {
    return false;
  }
}

/// The name of a value's class, without calling anything of it.
export function className(value) {
  for (let at = value; at !== null && at !== undefined; at = getPrototypeOf(at)) {
    const constructor = ownData(at, 'constructor');
    if (typeof constructor === 'function') {
      const name = ownData(constructor, 'name');
      if (typeof name === 'string' && name !== '') return name;
    }
  }
  return 'Object';
}

function shown(value) {
  try {
    return inspect(value);
  } catch {
    return 'a value that cannot be shown';
  }
}

/// Type, message, stack and place of what was thrown.
export function describeError(value) {
  if (!isErrorLike(value)) {
    const type = value === null || typeof value !== 'object' ? typeof value : safeClass(value);
    const text = cut(typeof value === 'string' ? value : shown(value));
    return { type, message: `${type}: ${text}`, stack: `Uncaught ${text}`, place: null };
  }
  const name = read(value, 'name') ?? 'Error';
  const own = safeClass(value);
  // A class that forgot to name its errors still has a name.
  const type = name === 'Error' ? own : name;
  const message = read(value, 'message') ?? '';
  const stack = cut(read(value, 'stack') ?? `${name}: ${message}`);
  const line = message === '' ? type : `${type}: ${firstLines(message)}`;
  return { type, message: cut(line), stack: withCause(value, stack), place: place(stack) };
}

function safeClass(value) {
  try {
    return className(value);
  } catch {
    return 'Object';
  }
}

// One line of a message: the titles of assertions say little without the next lines.
function firstLines(message) {
  const lines = message.split('\n').filter((line) => line.trim() !== '');
  if (lines.length > 1 && lines[0].endsWith(':')) {
    const rest = lines.slice(1, 7).map((line) => line.trim());
    return `${lines[0]} ${rest.filter((line) => line !== '+ actual - expected').join(' ')}`;
  }
  return lines[0] ?? '';
}

function withCause(error, stack) {
  try {
    const cause = ownData(error, 'cause');
    return cause instanceof Error ? cut(`${stack}\n[cause]: ${read(cause, 'stack') ?? ''}`) : stack;
  } catch {
    return stack;
  }
}

/// The form in which an answer carries an error: the last line names it.
export function errorText(value) {
  const { stack, message } = describeError(value);
  return stack.includes('\n    at ') ? `${stack}\n${message}` : stack;
}

/// What node prints for an error that nobody caught.
export function uncaughtText(value) {
  const at = isErrorLike(value) ? describeError(value).place : null;
  const source = at === null ? undefined : sourceLine(at.path, at.line);
  const head = source === undefined ? '' : `${at.path}:${at.line}\n${source}\n${' '.repeat(Math.max(0, Math.min(at.column, source.length + 1) - 1))}^\n\n`;
  const body = isErrorLike(value) ? shown(value) : `Uncaught ${shown(value)}\n(Use \`node --trace-uncaught ...\` to show where the exception was thrown)`;
  return `${head}${body}\n\nNode.js v20.0.0\n`;
}

export { NativeString, startsWith };
