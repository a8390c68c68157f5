// The modules of node that there are.
import EventEmitter from 'events';
import * as buffer from 'buffer';
import path from 'path-browserify';
import { assert } from './assert.js';
import { fs, os, timers, performance, StringDecoder } from './small.js';
import { process } from './process.js';
import { readline } from './readline.js';
import { util } from './util.js';
import { url } from './url.js';
import { nodeTest } from '../testing/api.js';

path.posix ??= path;
EventEmitter.EventEmitter ??= EventEmitter;

const modules = {
  assert,
  'assert/strict': assert.strict,
  buffer: { Buffer: buffer.Buffer, kMaxLength: buffer.kMaxLength, constants: { MAX_LENGTH: buffer.kMaxLength }, atob: globalThis.atob, btoa: globalThis.btoa },
  events: EventEmitter,
  fs,
  'fs/promises': fs.promises,
  os,
  path,
  'path/posix': path,
  perf_hooks: { performance },
  process,
  readline,
  'readline/promises': readline.promises,
  string_decoder: { StringDecoder },
  timers,
  'timers/promises': timers.promises,
  url,
  util,
  'util/types': util.types,
};
// These have no name without the prefix.
const prefixed = { test: nodeTest };

/// A module of node, or undefined.
export function builtin(name) {
  if (name.startsWith('node:')) {
    const bare = name.slice(5);
    return Object.hasOwn(modules, bare) ? modules[bare] : Object.hasOwn(prefixed, bare) ? prefixed[bare] : undefined;
  }
  return Object.hasOwn(modules, name) ? modules[name] : undefined;
}
