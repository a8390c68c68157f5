// The component's export. Everything is loaded before, at the top level, so that an instance starts
// from a snapshot that has it all.
import './prelude.js';
import { install } from './globals.js';
import { runProgram } from './tasks/program.js';
import { callFunction } from './tasks/call.js';
import { runTests } from './tasks/tests.js';
import { runCheck } from './tasks/check.js';
import { runTestsApart } from './apart/tests.js';
import { serveCode } from './apart/serve.js';
import { describeError } from './errors.js';
import { flush } from './io.js';

install();

const well = (text) => (text === null ? null : text.toWellFormed());

function dispatch(files, { tag, val }) {
  switch (tag) {
    case 'run-program':
      return { answer: runProgram(files, val), findings: [] };
    case 'call-function':
      return { answer: callFunction(files, val), findings: [] };
    case 'run-tests':
      return { answer: runTests(files, val), findings: [] };
    case 'run-tests-apart':
      return { answer: runTestsApart(files, val), findings: [] };
    case 'serve-code':
      return { answer: serveCode(files), findings: [] };
    case 'run-check':
      return runCheck(files, val);
    default:
      throw `there is no task ${tag}`;
  }
}

export const code = {
  run(files, task) {
    try {
      const { answer, findings } = dispatch(files, task);
      return [{ ...answer, value: well(answer.value), error: well(answer.error), errorType: well(answer.errorType) }, findings];
    } catch (error) {
      // A text is the runner's own word; anything else is a fault of the runner.
      throw typeof error === 'string' ? error.toWellFormed() : `the runner failed: ${describeError(error).stack}`.toWellFormed();
    } finally {
      flush();
    }
  },
};
