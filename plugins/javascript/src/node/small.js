// The small modules: what is left of `fs` and `os` where there are no files and no machine.
import { Buffer } from 'buffer';
import { readAll, write } from '../io.js';
import { Promise } from '../promise.js';
import * as loop from '../loop.js';

const STDIN = new Set([0, '/dev/stdin', '/proc/self/fd/0']);
const OUTPUT = new Map([[1, 1], [2, 2], ['/dev/stdout', 1], ['/dev/stderr', 2]]);

function missing(call, path) {
  const error = new Error(`ENOENT: no such file or directory, ${call} '${path}'`);
  return Object.assign(error, { errno: -2, code: 'ENOENT', syscall: call, path });
}

function encodingOf(options) {
  return typeof options === 'string' ? options : options?.encoding;
}

function readFileSync(path, options) {
  if (!STDIN.has(path)) throw missing('open', path);
  const buffer = Buffer.from(readAll());
  const encoding = encodingOf(options);
  return encoding ? buffer.toString(encoding) : buffer;
}

function writeFileSync(path, data) {
  if (!OUTPUT.has(path)) throw Object.assign(new Error(`EROFS: read-only file system, open '${path}'`), { errno: -30, code: 'EROFS', syscall: 'open', path });
  write(OUTPUT.get(path), typeof data === 'string' || data instanceof Uint8Array ? data : String(data));
}

export const fs = {
  readFileSync,
  writeFileSync,
  appendFileSync: writeFileSync,
  writeSync(fd, data) {
    writeFileSync(fd, data);
    return data.length;
  },
  existsSync: (path) => STDIN.has(path),
  readFile(path, options, callback) {
    const done = typeof options === 'function' ? options : callback;
    loop.setImmediate(() => {
      let data;
      try {
        data = readFileSync(path, typeof options === 'function' ? undefined : options);
      } catch (error) {
        return done(error);
      }
      return done(null, data);
    });
  },
  promises: { readFile: (path, options) => new Promise((resolve) => resolve(readFileSync(path, options))) },
};

export const os = {
  EOL: '\n',
  platform: () => 'linux',
  type: () => 'Linux',
  arch: () => 'wasm32',
  cpus: () => [],
  availableParallelism: () => 1,
  totalmem: () => 0,
  freemem: () => 0,
  hostname: () => 'localhost',
  homedir: () => '/',
  tmpdir: () => '/tmp',
};

export const timers = {
  setTimeout: loop.setTimeout,
  setInterval: loop.setInterval,
  setImmediate: loop.setImmediate,
  clearTimeout: loop.clearTimeout,
  clearInterval: loop.clearInterval,
  clearImmediate: loop.clearImmediate,
  promises: {
    setTimeout: (delay, value) => new Promise((resolve) => loop.setTimeout(() => resolve(value), delay)),
    setImmediate: (value) => new Promise((resolve) => loop.setImmediate(() => resolve(value))),
    setInterval: (delay, value) => ({
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise((resolve) => loop.setTimeout(() => resolve({ value, done: false }), delay)),
        return: () => Promise.resolve({ value: undefined, done: true }),
      }),
    }),
    scheduler: { wait: (delay) => new Promise((resolve) => loop.setTimeout(() => resolve(undefined), delay)) },
  },
};

export const performance = {
  now: () => loop.elapsed(),
  timeOrigin: 0,
  mark: () => ({}),
  measure: () => ({ duration: 0 }),
  toJSON: () => ({}),
};

export class StringDecoder {
  constructor(encoding = 'utf8') {
    this.encoding = encoding;
    Object.defineProperty(this, 'decoder', { value: new TextDecoder(), enumerable: false });
  }
  write(bytes) {
    return this.decoder.decode(bytes, { stream: true });
  }
  end(bytes) {
    return (bytes ? this.write(bytes) : '') + this.decoder.decode();
  }
}
