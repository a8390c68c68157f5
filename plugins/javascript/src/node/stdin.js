// Standard input as a stream of events and as an async iterator. It is read when somebody asks.
import EventEmitter from 'events';
import { Buffer } from 'buffer';
import { readSome, readAll } from '../io.js';
import { setImmediate } from '../loop.js';
import { Promise } from '../promise.js';
import { TextDecoder } from '../text.js';

export class Stdin extends EventEmitter {
  constructor() {
    super();
    this.fd = 0;
    this.isTTY = false;
    this.readable = true;
    Object.defineProperty(this, 'state', { value: { flowing: false, paused: false, ended: false, decoder: null, scheduled: false, queue: [] }, enumerable: false });
  }

  on(event, listener) {
    super.on(event, listener);
    if (event === 'data' && !this.state.paused) this.resume();
    if (event === 'readable') setImmediate(() => this.emit('readable'));
    return this;
  }
  addListener(event, listener) {
    return this.on(event, listener);
  }
  setEncoding() {
    this.state.decoder = new TextDecoder();
    return this;
  }
  take() {
    const bytes = readSome();
    const { decoder } = this.state;
    if (bytes === null) {
      const rest = decoder ? decoder.decode() : '';
      return rest === '' ? null : rest;
    }
    return decoder ? decoder.decode(bytes, { stream: true }) : Buffer.from(bytes);
  }
  read() {
    if (this.state.ended) return null;
    const chunk = this.take();
    if (chunk === null) this.finish();
    return chunk;
  }
  finish() {
    if (this.state.ended) return;
    this.state.ended = true;
    this.readable = false;
    setImmediate(() => {
      this.emit('end');
      this.emit('close');
    });
  }
  resume() {
    this.state.flowing = true;
    this.state.paused = false;
    this.schedule();
    return this;
  }
  pause() {
    this.state.flowing = false;
    this.state.paused = true;
    return this;
  }
  schedule() {
    if (this.state.scheduled || this.state.ended) return;
    this.state.scheduled = true;
    setImmediate(() => {
      this.state.scheduled = false;
      if (!this.state.flowing || this.state.ended) return;
      const chunk = this.take();
      if (chunk === null) return this.finish();
      if (chunk.length > 0) this.emit('data', chunk);
      this.schedule();
    });
  }
  pipe(target) {
    this.on('data', (chunk) => target.write(chunk));
    return target;
  }
  unpipe() {
    return this;
  }
  ref() {
    return this;
  }
  unref() {
    return this;
  }
  destroy() {
    this.finish();
    return this;
  }
  /// All the rest at once, for readline.
  rest() {
    this.state.ended = true;
    return readAll();
  }
  [Symbol.asyncIterator]() {
    const stream = this;
    return {
      next: () =>
        new Promise((resolve) => {
          setImmediate(() => {
            let chunk = stream.state.ended ? null : stream.take();
            while (chunk !== null && chunk.length === 0) chunk = stream.take();
            if (chunk === null) stream.finish();
            resolve(chunk === null ? { value: undefined, done: true } : { value: chunk, done: false });
          });
        }),
      return: (value) => Promise.resolve({ value, done: true }),
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }
}
