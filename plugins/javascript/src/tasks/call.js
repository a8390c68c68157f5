// Calls a function of a file with arguments from JSON.
import { Modules, normalize } from '../modules.js';
import * as loop from '../loop.js';
import * as io from '../io.js';
import { parse, apply, ownKeys, isArray } from '../primordials.js';
import { NotJson, toJson } from '../json.js';
import { describeError, errorText } from '../errors.js';
import { settle } from '../testing/run.js';

const failed = (error) => ({ exitCode: 0, value: null, error: errorText(error), errorType: describeError(error).type });

export function callFunction(files, { path, name, arguments: text, named }) {
  const args = fromJson(text, 'arguments');
  if (!isArray(args)) throw 'the arguments are no JSON array';
  if (ownKeys(fromJson(named, 'named arguments')).length > 0) throw 'JavaScript has no named arguments';
  const modules = new Modules(files, loop);
  const file = modules.resolveFile(normalize(path));
  if (file === null) throw `there is no file ${path}`;
  const parts = name.split('.');
  modules.peek = { path: file, name: parts[0], value: undefined };

  const loaded = settle(() => {
    modules.load(file);
    return modules.pendingOf(file) ?? undefined;
  });
  if ('error' in loaded) return finish(failed(loaded.error));
  const found = lookUp(modules, file, parts);
  if (found === null) throw `${file} defines no ${name}`;
  if (typeof found.target !== 'function') throw `${name} of ${file} is no function`;
  const result = settle(() => apply(found.target, found.self, args));
  if ('error' in result) return finish(failed(result.error));
  // A function that returns nothing gives null.
  const { value } = result;
  try {
    return finish({ exitCode: 0, value: value === undefined ? 'null' : toJson(value), error: null, errorType: null });
  } catch (error) {
    const message = error instanceof NotJson ? error.message : 'returned what is no JSON value';
    return finish({ exitCode: 0, value: null, error: `TypeError: ${name} ${message}`, errorType: 'TypeError' });
  }
}

function finish(answer) {
  io.flush();
  return answer;
}

function fromJson(text, what) {
  try {
    return parse(text);
  } catch {
    throw `the ${what} are no JSON`;
  }
}

// By the exports first, then by what stands at the file's top level.
function lookUp(modules, file, parts) {
  const { exports } = modules.load(file);
  const first = parts[0];
  let self;
  let target;
  if (exports !== null && (typeof exports === 'object' || typeof exports === 'function') && first in exports) {
    self = exports;
    target = exports[first];
  } else if (modules.peek.value !== undefined) {
    target = modules.peek.value;
  } else if (typeof exports === 'function' && (exports.name === first || first === 'default')) {
    target = exports;
  } else if (exports?.default !== undefined && (exports.default?.name === first || first in Object(exports.default))) {
    target = exports.default?.name === first ? exports.default : exports.default[first];
    self = target === exports.default ? undefined : exports.default;
  } else {
    return null;
  }
  for (const part of parts.slice(1)) {
    if (target === null || target === undefined) return null;
    self = target;
    target = target[part];
  }
  return target === undefined ? null : { self, target };
}
