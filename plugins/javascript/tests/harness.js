// Runs the runner's own bundle in contexts of this process, with the host played by functions.
import { createContext, Script } from 'node:vm';
import { Worker, MessageChannel, receiveMessageOnPort, isMainThread, workerData } from 'node:worker_threads';
import { fileURLToPath } from 'node:url';
import { bundle } from '../build.js';

const played = {
  name: 'host',
  setup(build) {
    build.onResolve({ filter: /^(wasi|infinity):/ }, ({ path }) => ({ path: path.replace(/@.*/, ''), namespace: 'host' }));
    build.onLoad({ filter: /.*/, namespace: 'host' }, ({ path }) => ({ contents: `export default globalThis.__host[${JSON.stringify(path)}]` }));
  },
};

let text = null;

export async function bundleText() {
  text ??= await bundle({ format: 'iife', globalName: '__runner', external: [], plugins: [played] });
  return text;
}

function output(sink) {
  return { blockingWriteAndFlush: (bytes) => sink.push(...bytes) };
}

/// A fresh instance: gives back `run` and what it wrote.
export function instantiate(source, { stdin = '', exchange = () => null, begin = () => {}, end = () => {} } = {}) {
  const stdout = [];
  const stderr = [];
  let input = Buffer.from(stdin);
  const stream = {
    blockingRead(size) {
      if (input.length === 0) throw new Error('closed');
      const chunk = new Uint8Array(input.subarray(0, Number(size)));
      input = input.subarray(Number(size));
      return chunk;
    },
  };
  const context = createContext({
    __host: {
      'wasi:cli/stdin': { getStdin: () => stream },
      'wasi:cli/stdout': { getStdout: () => output(stdout) },
      'wasi:cli/stderr': { getStderr: () => output(stderr) },
      'infinity:agent/testing': { begin, end },
      'infinity:agent/peer': { exchange },
    },
    atob,
    btoa,
  });
  new Script(source, { filename: 'runner.js' }).runInContext(context);
  const run = new Script('__runner.code.run').runInContext(context);
  const utf8 = (bytes) => Buffer.from(bytes).toString();
  return { run, stdout: () => utf8(stdout), stderr: () => utf8(stderr) };
}

export const files = (texts) => Object.entries(texts).map(([path, text]) => ({ path, text }));

export async function runProgram(texts, path, { args = [], stdin } = {}) {
  const instance = instantiate(await bundleText(), { stdin });
  const [answer] = instance.run(files(texts), { tag: 'run-program', val: { path, arguments: args } });
  return { answer, stdout: instance.stdout(), stderr: instance.stderr() };
}

export async function call(texts, path, name, args, named = '{}') {
  const instance = instantiate(await bundleText());
  const [answer] = instance.run(files(texts), { tag: 'call-function', val: { path, name, arguments: args, named } });
  return { ...answer, stdout: instance.stdout() };
}

export async function runTests(code, tests) {
  const seen = [];
  const begun = [];
  const instance = instantiate(await bundleText(), { begin: (name) => begun.push(name), end: (test) => seen.push(test) });
  instance.run(files(code), { tag: 'run-tests', val: files(tests) });
  return { seen, begun, byName: Object.fromEntries(seen.map((test) => [test.name, test])) };
}

export async function check(submission, script) {
  const [answer, findings] = instantiate(await bundleText()).run(files(submission), { tag: 'run-check', val: { path: 'check.js', text: script } });
  return { answer, findings };
}

/// Tests here, the code in a worker; `rogue` plays the code's instance by hand instead.
export async function runApart(code, tests, { rogue } = {}) {
  const source = await bundleText();
  const seen = [];
  const listed = Object.keys(code).map((path) => ({ path, text: '' }));
  let exchange;
  let worker = null;
  if (rogue) {
    exchange = (message) => {
      const answer = rogue(message === null ? null : JSON.parse(Buffer.from(message).toString()));
      return answer === null ? null : new Uint8Array(Buffer.from(typeof answer === 'string' ? answer : JSON.stringify(answer)));
    };
  } else {
    const { port1, port2 } = new MessageChannel();
    const signal = new Int32Array(new SharedArrayBuffer(8));
    worker = new Worker(fileURLToPath(import.meta.url), { workerData: { source, files: files(code), port: port2, signal }, transferList: [port2] });
    // An instance that fails ends; the tests are told so by its last message.
    worker.on('error', () => {});
    exchange = speak(port1, signal, 0);
  }
  const instance = instantiate(source, { exchange, end: (test) => seen.push(test) });
  try {
    instance.run(listed, { tag: 'run-tests-apart', val: files(tests) });
  } finally {
    if (worker) await worker.terminate();
  }
  return { seen, byName: Object.fromEntries(seen.map((test) => [test.name, test])), instance };
}

// One end of a conversation: says something to the other end and sleeps until it answers.
function speak(port, signal, mine) {
  const other = 1 - mine;
  return (message) => {
    if (message !== null) {
      port.postMessage(message);
      Atomics.add(signal, other, 1);
      Atomics.notify(signal, other);
    }
    while (Atomics.load(signal, mine) === 0) if (Atomics.wait(signal, mine, 0, 20000) === 'timed-out') return null;
    Atomics.sub(signal, mine, 1);
    return receiveMessageOnPort(port)?.message ?? null;
  };
}

if (!isMainThread && workerData?.source) {
  const { source, files: texts, port, signal } = workerData;
  const instance = instantiate(source, { exchange: speak(port, signal, 1) });
  try {
    instance.run(texts, { tag: 'serve-code' });
  } finally {
    port.postMessage(null);
    Atomics.add(signal, 0, 1);
    Atomics.notify(signal, 0);
  }
}
