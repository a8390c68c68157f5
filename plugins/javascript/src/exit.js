// The end of a process, in a place where there is none to end: an exception that nobody is to catch,
// and a mark that it was thrown.
import { closeOutput, flush } from './io.js';
import { stop } from './loop.js';

export class Exit {
  constructor(code) {
    this.code = code;
  }
}

export const state = { code: undefined, exited: false, handler: null };

/// Ends the program. In a test, `handler` decides what comes of it.
export function exit(code) {
  const exit = new Exit(code);
  if (state.handler !== null) state.handler(exit);
  else {
    state.exited = true;
    if (state.code === undefined || code !== undefined) state.code = code;
    flush();
    closeOutput();
    stop();
  }
  throw exit;
}
