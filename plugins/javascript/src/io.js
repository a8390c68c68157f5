// The standard streams.
import stdinApi from 'wasi:cli/stdin@0.2.12';
import stdoutApi from 'wasi:cli/stdout@0.2.12';
import stderrApi from 'wasi:cli/stderr@0.2.12';
import { decode, encode } from './text.js';

// A stream takes this much at a time.
const CHUNK = 4096;
// The first pieces go out at once, so that a program that is stopped has shown how far it came;
// one that prints much is written in blocks.
const EAGER = 256;

class Output {
  constructor(open) {
    this.open = open;
    this.stream = null;
    this.pending = '';
    this.writes = 0;
    this.closed = false;
  }

  write(text) {
    if (this.closed) return;
    this.pending += text;
    if (this.writes++ < EAGER || this.pending.length >= CHUNK) this.flush();
  }

  flush() {
    if (this.pending === '') return;
    const bytes = encode(this.pending);
    this.pending = '';
    this.writeBytes(bytes);
  }

  writeBytes(bytes) {
    if (this.closed) return;
    try {
      this.stream ??= this.open();
      for (let at = 0; at < bytes.length; at += CHUNK) this.stream.blockingWriteAndFlush(bytes.slice(at, at + CHUNK));
    } catch {
      // Nobody reads it any more.
      this.closed = true;
    }
  }
}

const outputs = { 1: new Output(() => stdoutApi.getStdout()), 2: new Output(() => stderrApi.getStderr()) };

/// Where output goes while a test runs; null for the streams.
let sink = null;

export function setSink(next) {
  const before = sink;
  sink = next;
  return before;
}

export function write(fd, chunk) {
  const text = typeof chunk === 'string' ? chunk : null;
  if (sink !== null) {
    sink(text ?? decode(chunk));
  } else if (text !== null) {
    outputs[fd].write(text);
  } else {
    outputs[fd].flush();
    outputs[fd].writeBytes(chunk);
  }
}

export function flush() {
  outputs[1].flush();
  outputs[2].flush();
}

/// Takes no output any more: the process has ended.
export function closeOutput() {
  flush();
  outputs[1].closed = true;
  outputs[2].closed = true;
}

let stdinStream = null;
let stdinEnded = false;

/// Some bytes of standard input; null at its end.
export function readSome() {
  if (stdinEnded) return null;
  try {
    stdinStream ??= stdinApi.getStdin();
    for (;;) {
      const bytes = stdinStream.blockingRead(65536);
      if (bytes.length > 0) return bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes);
    }
  } catch {
    stdinEnded = true;
    return null;
  }
}

/// All that is left of standard input.
export function readAll() {
  const chunks = [];
  let size = 0;
  for (let chunk = readSome(); chunk !== null; chunk = readSome()) {
    chunks.push(chunk);
    size += chunk.length;
  }
  const out = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    out.set(chunk, at);
    at += chunk.length;
  }
  return out;
}
