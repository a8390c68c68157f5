// `process`, as far as there is one.
import EventEmitter from 'events';
import { nextTick } from '../promise.js';
import { elapsed } from '../loop.js';
import * as io from '../io.js';
import * as ending from '../exit.js';
import { Stdin } from './stdin.js';

class Stream extends EventEmitter {
  constructor(fd) {
    super();
    Object.assign(this, { fd, isTTY: false, writable: true, columns: undefined });
  }
  write(chunk, encoding, callback) {
    if (typeof chunk !== 'string' && !(chunk instanceof Uint8Array)) {
      const received = chunk === null ? 'null' : chunk === undefined ? 'undefined' : typeof chunk === 'object' ? `an instance of ${chunk.constructor?.name}` : `type ${typeof chunk} (${String(chunk)})`;
      const error = new TypeError(`The "chunk" argument must be of type string or an instance of Buffer or Uint8Array. Received ${received}`);
      error.code = 'ERR_INVALID_ARG_TYPE';
      throw error;
    }
    io.write(this.fd, chunk);
    const done = typeof encoding === 'function' ? encoding : callback;
    if (typeof done === 'function') nextTick(() => done());
    return true;
  }
  end(chunk, encoding, callback) {
    if (chunk !== undefined && typeof chunk !== 'function') this.write(chunk);
    const done = [chunk, encoding, callback].find((argument) => typeof argument === 'function');
    nextTick(() => {
      done?.();
      this.emit('finish');
    });
    return this;
  }
  cork() {}
  uncork() {}
  getColorDepth() {
    return 1;
  }
  hasColors() {
    return false;
  }
}

class Process extends EventEmitter {}

export const process = new Process();

function hrtime(previous) {
  const ms = elapsed();
  const now = [Math.floor(ms / 1000), Math.round((ms % 1000) * 1e6)];
  if (!previous) return now;
  let seconds = now[0] - previous[0];
  let nanoseconds = now[1] - previous[1];
  if (nanoseconds < 0) {
    seconds -= 1;
    nanoseconds += 1e9;
  }
  return [seconds, nanoseconds];
}
hrtime.bigint = () => BigInt(Math.round(elapsed() * 1e6));

Object.assign(process, {
  title: 'node',
  argv: ['node'],
  argv0: 'node',
  execArgv: [],
  execPath: 'node',
  env: {},
  pid: 1,
  ppid: 0,
  platform: 'linux',
  arch: 'wasm32',
  version: 'v20.0.0',
  versions: { node: '20.0.0' },
  release: { name: 'node' },
  config: {},
  features: {},
  stdout: new Stream(1),
  stderr: new Stream(2),
  stdin: new Stdin(),
  exitCode: undefined,
  cwd: () => '/',
  chdir: () => {},
  umask: () => 0o22,
  uptime: () => elapsed() / 1000,
  hrtime,
  nextTick(callback, ...args) {
    if (typeof callback !== 'function') {
      const error = new TypeError(`The "callback" argument must be of type function. Received ${callback === undefined ? 'undefined' : typeof callback}`);
      error.code = 'ERR_INVALID_ARG_TYPE';
      throw error;
    }
    nextTick(() => callback(...args));
  },
  memoryUsage: () => ({ rss: 0, heapTotal: 0, heapUsed: 0, external: 0, arrayBuffers: 0 }),
  cpuUsage: () => ({ user: Math.round(elapsed() * 1000), system: 0 }),
  emitWarning(warning) {
    io.write(2, `(node:1) ${typeof warning === 'string' ? `Warning: ${warning}` : warning}\n`);
  },
  exit(code) {
    if (code !== undefined) process.exitCode = code;
    if (!process.exiting) {
      Object.defineProperty(process, 'exiting', { value: true, configurable: true, enumerable: false });
      if (ending.state.handler === null) process.emit('exit', Number(process.exitCode ?? 0));
    }
    ending.exit(Number(process.exitCode ?? 0));
  },
  abort() {
    ending.exit(134);
  },
  reallyExit(code) {
    ending.exit(code);
  },
});
