// Runs a file as `node PATH args` does.
import { Modules, normalize } from '../modules.js';
import * as loop from '../loop.js';
import * as ending from '../exit.js';
import * as io from '../io.js';
import { hooks, promiseDetails, markHandled, whenSettled } from '../promise.js';
import { process } from '../node/process.js';
import { describeError, errorText, uncaughtText } from '../errors.js';

export function runProgram(files, { path, arguments: args }) {
  const modules = new Modules(files, loop);
  const main = modules.resolveFile(normalize(path));
  if (main === null) throw `there is no file ${path}`;
  process.argv = ['node', `/${main}`, ...args];
  let failure = null;

  const uncaught = (error, origin) => {
    if (error instanceof ending.Exit || ending.state.exited) return;
    if (process.listenerCount('uncaughtException') > 0) {
      process.emit('uncaughtException', error, origin);
      return;
    }
    failure = { error };
    io.write(2, uncaughtText(error));
    process.exitCode = 1;
    process.emit('exit', 1);
    stopHere(1);
  };
  hooks.uncaught = (error) => uncaught(error, 'uncaughtException');
  hooks.unhandled = (error, promise) => {
    if (process.listenerCount('unhandledRejection') > 0) {
      process.emit('unhandledRejection', error, promise);
      return;
    }
    uncaught(error instanceof Error ? error : unhandledReason(error), 'unhandledRejection');
  };

  attempt(() => {
    const module = modules.load(main);
    const pending = modules.pendingOf(main);
    if (pending !== null) whenSettled(pending, () => {}, (error) => uncaught(error, 'uncaughtException'));
    return module;
  }, uncaught);
  loop.runAll();
  const pending = modules.pendingOf(main);
  const unsettled = pending && promiseDetails(pending).state === 'pending';
  if (!ending.state.exited) {
    attempt(() => {
      // As often as somebody schedules more in it.
      do {
        loop.runAll();
        process.emit('beforeExit', Number(process.exitCode ?? 0));
      } while (!ending.state.exited && loop.isAlive());
    }, uncaught);
  }
  if (!ending.state.exited) {
    if (unsettled) {
      // Node's own code for a top-level await that nothing will end.
      process.exitCode ??= 13;
      io.write(2, 'Warning: Detected unsettled top-level await\n');
    }
    attempt(() => process.emit('exit', Number(process.exitCode ?? 0)), uncaught);
  }
  io.flush();
  const code = ending.state.exited ? ending.state.code : process.exitCode;
  const number = Number(code ?? 0);
  return {
    exitCode: Number.isFinite(number) ? number & 0xff : 1,
    value: null,
    error: failure === null ? null : errorText(failure.error),
    errorType: failure === null ? null : describeError(failure.error).type,
  };
}

function attempt(fn, uncaught) {
  try {
    fn();
  } catch (error) {
    uncaught(error, 'uncaughtException');
  }
}

function stopHere(code) {
  ending.state.exited = true;
  ending.state.code = code;
  io.flush();
  io.closeOutput();
  loop.stop();
}

function unhandledReason(reason) {
  let text;
  try {
    text = typeof reason === 'object' && reason !== null ? '#<Object>' : String(reason);
  } catch {
    text = 'something';
  }
  const error = new Error(`This error originated either by throwing inside of an async function without a catch block, or by rejecting a promise which was not handled with .catch(). The promise rejected with the reason "${text}".`);
  error.code = 'ERR_UNHANDLED_REJECTION';
  error.stack = `[UnhandledPromiseRejection: ${error.message}]`;
  return error;
}

export { markHandled };
