// Lines of standard input.
import EventEmitter from 'events';
import { setImmediate } from '../loop.js';
import { Promise } from '../promise.js';
import { decode } from '../text.js';
import { write } from '../io.js';
import { process } from './process.js';

class Interface extends EventEmitter {
  constructor(options) {
    super();
    this.terminal = false;
    this.line = '';
    const hidden = { input: options.input, output: options.output, lines: null, closed: false, paused: false, prompt: options.prompt ?? '> ', questions: [], scheduled: false, iterating: false };
    Object.defineProperty(this, 'state', { value: hidden, enumerable: false });
    this.schedule();
  }
  get closed() {
    return this.state.closed;
  }
  lines() {
    const { state } = this;
    if (state.lines === null) {
      const { input } = state;
      const text = input === process.stdin || !input ? decode(process.stdin.rest()) : String(input.read?.() ?? '');
      state.lines = text.split(/\r\n|\n|\r/);
      if (state.lines.at(-1) === '') state.lines.pop();
      state.lines.reverse();
    }
    return state.lines;
  }
  schedule() {
    const { state } = this;
    if (state.scheduled || state.closed) return;
    state.scheduled = true;
    setImmediate(() => {
      state.scheduled = false;
      this.pump();
    });
  }
  // Gives out what is wanted: an answer to each question, else a line to who listens.
  pump() {
    const { state } = this;
    while (!state.closed && !state.paused && !state.iterating) {
      if (state.questions.length === 0 && this.listenerCount('line') === 0 && this.listenerCount('close') === 0 && state.asked) return;
      const lines = this.lines();
      if (lines.length === 0) return this.close();
      const line = lines.pop();
      if (state.questions.length > 0) {
        state.questions.shift()(line);
        return this.schedule();
      }
      this.emit('line', line);
    }
  }
  question(query, options, callback) {
    const answer = typeof options === 'function' ? options : callback;
    if (this.state.output) write(1, query);
    this.state.asked = true;
    this.state.questions.push(answer);
    this.schedule();
  }
  setPrompt(prompt) {
    this.state.prompt = prompt;
  }
  getPrompt() {
    return this.state.prompt;
  }
  prompt() {
    if (this.state.output) write(1, this.state.prompt);
    this.state.paused = false;
    this.schedule();
  }
  write() {}
  pause() {
    this.state.paused = true;
    this.emit('pause');
    return this;
  }
  resume() {
    this.state.paused = false;
    this.schedule();
    return this;
  }
  close() {
    if (this.state.closed) return;
    this.state.closed = true;
    this.emit('close');
  }
  [Symbol.asyncIterator]() {
    const { state } = this;
    state.iterating = true;
    return {
      next: () =>
        new Promise((resolve) => {
          setImmediate(() => {
            const lines = this.lines();
            if (state.closed || lines.length === 0) {
              this.close();
              resolve({ value: undefined, done: true });
            } else {
              resolve({ value: lines.pop(), done: false });
            }
          });
        }),
      return: (value) => {
        this.close();
        return Promise.resolve({ value, done: true });
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }
}

export function createInterface(input, output) {
  const options = input && (input.input !== undefined || input.output !== undefined) ? input : { input, output };
  return new Interface(options);
}

class PromisesInterface extends Interface {
  question(query) {
    return new Promise((resolve) => super.question(query, resolve));
  }
}

export const readline = {
  createInterface,
  Interface,
  clearLine: () => true,
  cursorTo: () => true,
  moveCursor: () => true,
  emitKeypressEvents() {},
  promises: {
    createInterface: (input, output) => new PromisesInterface(input && input.input !== undefined ? input : { input, output }),
    Interface: PromisesInterface,
  },
};
