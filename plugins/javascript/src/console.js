// `console`, printing as node does where nobody watches.
import { format, formatWithOptions, inspect } from './inspect.js';
import { write } from './io.js';
import { elapsed } from './loop.js';
import { made } from './testing/made.js';

let indent = '';
const counts = new Map();
const started = new Map();

function print(fd, text) {
  const shown = indent === '' ? text : `${indent}${text.replaceAll('\n', `\n${indent}`)}`;
  write(fd, `${shown}\n`);
}

const log = (...args) => print(1, args.length === 1 && typeof args[0] === 'string' ? args[0] : format(...args));
const error = (...args) => print(2, format(...args));

function duration(label) {
  const ms = elapsed() - started.get(label);
  return ms >= 1000 ? `${(ms / 1000).toFixed(3)}s` : `${Number(ms.toFixed(3))}ms`;
}

// How wide a text is on a terminal.
function widthOf(text) {
  let width = 0;
  for (const char of text) {
    const code = char.codePointAt(0);
    if (code < 32 || (code >= 0x300 && code <= 0x36f) || code === 0x200b || code === 0xfe0f) continue;
    width += (code >= 0x1100 && code <= 0x115f) || (code >= 0x2e80 && code <= 0xa4cf) || (code >= 0xac00 && code <= 0xd7a3) || (code >= 0xf900 && code <= 0xfaff) || (code >= 0xfe30 && code <= 0xfe6f) || (code >= 0xff00 && code <= 0xff60) || (code >= 0x1f300 && code <= 0x1faff) ? 2 : 1;
  }
  return width;
}

function renderTable(head, columns) {
  const rows = [];
  const longest = Math.max(...columns.map((column) => column.length));
  const widths = head.map((name, i) => Math.max(widthOf(name), ...columns[i].map(widthOf)) + 2);
  for (let r = 0; r < longest; r++) rows.push(columns.map((column) => column[r] ?? ''));
  const dividers = widths.map((width) => '─'.repeat(width));
  const line = (cells) => `│${cells.map((cell, i) => ` ${cell}${' '.repeat(widths[i] - widthOf(cell) - 1)}`).join('│')}│`;
  return [`┌${dividers.join('┬')}┐`, line(head), `├${dividers.join('┼')}┤`, ...rows.map(line), `└${dividers.join('┴')}┘`].join('\n');
}

function table(data, properties) {
  if (data === null || typeof data !== 'object') return log(data);
  const show = (value) => {
    const depth = value !== null && typeof value === 'object' && !Array.isArray(value) && Object.keys(value).length > 2 ? -1 : 0;
    return inspect(value, { maxArrayLength: 3, breakLength: Infinity, depth });
  };
  if (data instanceof Map) {
    const entries = [...data];
    return log(renderTable(['(iteration index)', 'Key', 'Values'], [entries.map((_, i) => String(i)), entries.map(([key]) => show(key)), entries.map(([, value]) => show(value))]));
  }
  const isSet = data instanceof Set;
  const source = isSet ? [...data] : data;
  const keys = Object.keys(source);
  const columns = new Map((properties ?? []).map((name) => [name, []]));
  const values = [];
  let hasValues = false;
  keys.forEach((key, i) => {
    const item = source[key];
    if (item === null || (typeof item !== 'object' && typeof item !== 'function')) {
      values[i] = show(item);
      hasValues = true;
      return;
    }
    for (const name of properties ?? Object.keys(item)) {
      if (!columns.has(name)) columns.set(name, []);
      if (Object.hasOwn(item, name)) columns.get(name)[i] = show(item[name]);
    }
  });
  const head = [isSet ? '(iteration index)' : '(index)', ...columns.keys()];
  const fill = (list) => keys.map((_, i) => list[i] ?? '');
  const body = [keys, ...[...columns.values()].map(fill)];
  if (hasValues) {
    head.push('Values');
    body.push(fill(values));
  }
  return log(renderTable(head, body));
}

export const console = {
  log,
  warn: error,
  dir: (value, options) => print(1, inspect(value, { customInspect: false, ...options })),
  time(label = 'default') {
    started.set(`${label}`, elapsed());
  },
  timeEnd(label = 'default') {
    if (!started.has(`${label}`)) return;
    log(`${label}: ${duration(`${label}`)}`);
    started.delete(`${label}`);
  },
  timeLog(label = 'default', ...args) {
    if (started.has(`${label}`)) log(`${label}: ${duration(`${label}`)}`, ...args);
  },
  trace(...args) {
    const { stack } = new Error('');
    print(2, `Trace${args.length ? `: ${format(...args)}` : ''}${stack.slice(stack.indexOf('\n') < 0 ? stack.length : stack.indexOf('\n'))}`);
  },
  assert(condition, ...args) {
    made.count++;
    if (condition) return;
    if (typeof args[0] === 'string') args[0] = `Assertion failed: ${args[0]}`;
    else args.unshift('Assertion failed');
    error(...args);
    hooks.assertion?.(format(...args));
  },
  clear() {},
  count(label = 'default') {
    const count = (counts.get(`${label}`) ?? 0) + 1;
    counts.set(`${label}`, count);
    log(`${label}: ${count}`);
  },
  countReset(label = 'default') {
    counts.set(`${label}`, 0);
  },
  group(...args) {
    if (args.length > 0) log(...args);
    indent += '  ';
  },
  groupEnd() {
    indent = indent.slice(2);
  },
  table,
  debug: log,
  info: log,
  dirxml: log,
  error,
};
console.groupCollapsed = console.group;
Object.defineProperty(console, Symbol.toStringTag, { value: 'console', configurable: true });

/// Told of `console.assert` that did not hold: in a test it counts as a failure.
export const hooks = { assertion: null };
export { formatWithOptions };
