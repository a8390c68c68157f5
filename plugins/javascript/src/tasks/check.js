// Calls `check(submission)` of a script.
import { Modules, normalize } from '../modules.js';
import * as loop from '../loop.js';
import * as io from '../io.js';
import { put } from '../primordials.js';
import { settle } from '../testing/run.js';
import { describeError, errorText } from '../errors.js';

const LEVELS = ['note', 'warning', 'error'];
const MOST = 10000;

export function runCheck(files, script) {
  const modules = new Modules([script], loop);
  const file = normalize(script.path);
  if (file === null) throw `${script.path} is no path of a script`;
  modules.peek = { path: file, name: 'check', value: undefined };
  const loaded = settle(() => {
    modules.load(file);
    return modules.pendingOf(file) ?? undefined;
  });
  const failed = (error) => ({ answer: { exitCode: 0, value: null, error: errorText(error), errorType: describeError(error).type }, findings: [] });
  if ('error' in loaded) return failed(loaded.error);
  const { exports } = modules.load(file);
  const check = [exports?.check, exports?.default?.check, exports?.default, modules.peek.value, globalThis.check, exports].find((value) => typeof value === 'function');
  if (check === undefined) throw `${script.path} defines no function check`;
  const texts = {};
  for (const { path, text } of files) put(texts, path, text);
  const result = settle(() => check({ files: texts }));
  if ('error' in result) return failed(result.error);
  const found = [];
  const collected = settle(() => {
    const { value } = result;
    if (value === undefined || value === null) return;
    if (typeof value !== 'object' || typeof value[Symbol.iterator] !== 'function') throw `check returned ${typeof value === 'object' ? 'an object' : `a ${typeof value}`}, not a list of findings`;
    for (const item of value) {
      found.push(toFinding(item, found.length, script.path));
      if (found.length > MOST) throw `check found more than ${MOST} things`;
    }
  });
  io.flush();
  if ('error' in collected) {
    if (typeof collected.error === 'string') throw collected.error;
    return failed(collected.error);
  }
  return { answer: { exitCode: 0, value: null, error: null, errorType: null }, findings: found };
}

function toFinding(item, index, script) {
  const wrong = (why) => `finding ${index + 1} of ${script}: ${why}`;
  const stem = script.replace(/^.*\//, '').replace(/\.\w+$/, '');
  if (typeof item === 'string') return { rule: `check/${stem}`, level: 'error', message: item, location: null, help: null };
  if (item === null || typeof item !== 'object') throw wrong(`it is ${item === null ? 'null' : `a ${typeof item}`}, not an object or a text`);
  const { rule = `check/${stem}`, level = 'error', message, path, line, column, help } = item;
  if (typeof rule !== 'string' || rule === '') throw wrong('its rule is no text');
  if (!LEVELS.includes(level)) throw wrong('its level is none of note, warning and error');
  if (typeof message !== 'string' || message === '') throw wrong('its message is no text');
  const number = (value, name) => {
    if (value === undefined || value === null) return null;
    if (!Number.isInteger(value) || value < 1 || value > 0x7fffffff) throw wrong(`its ${name} is no number from 1`);
    return value;
  };
  const textOrNone = (value, name) => {
    if (value === undefined || value === null) return null;
    if (typeof value !== 'string') throw wrong(`its ${name} is no text`);
    return value.toWellFormed();
  };
  const file = textOrNone(path, 'path');
  const lineNumber = number(line, 'line');
  const columnNumber = number(column, 'column');
  if (file === null && (lineNumber !== null || columnNumber !== null)) throw wrong('it has a line and no path');
  const location = file === null ? null : { repository: null, path: file, line: lineNumber, column: columnNumber };
  return { rule: rule.toWellFormed(), level, message: message.toWellFormed(), location, help: textOrNone(help, 'help') };
}
