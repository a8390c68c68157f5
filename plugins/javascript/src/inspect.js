// `util.inspect` as node prints, with the promises of this runner.
import util from 'node-inspect-extracted';
import { Promise, promiseDetails } from './promise.js';

export const { inspect, format, formatWithOptions, stripVTControlCharacters } = util;
/// A Proxy that `inspect` can look through without running its traps.
export const { Proxy: TransparentProxy } = util;
export const inspectCustom = Symbol.for('nodejs.util.inspect.custom');

Object.defineProperty(Promise.prototype, inspectCustom, {
  value(depth, options, inspectWith) {
    const { state, value } = promiseDetails(this);
    const name = this.constructor?.name ?? 'Promise';
    const extra = Object.keys(this).map((key) => `${key}: ${inspectWith(this[key], options)}`);
    if (depth !== null && depth < 0) return options.stylize(`[${name}]`, 'special');
    const shown = state === 'pending' ? '<pending>' : `${state === 'rejected' ? '<rejected> ' : ''}${inspectWith(value, { ...options, depth: options.depth === null ? null : options.depth })}`;
    const parts = [shown, ...extra];
    const flat = `${name} { ${parts.join(', ')} }`;
    if (!flat.includes('\n') && flat.length <= 76) return flat;
    return `${name} {\n  ${parts.join(',\n').replaceAll('\n', '\n  ')}\n}`;
  },
  enumerable: false,
  configurable: true,
  writable: true,
});
