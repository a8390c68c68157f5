// Modules that live in memory.
import { create, defineProperty, mapDelete, mapGet, mapHas, mapSet, put } from './primordials.js';
import { reserve } from './stack.js';
import { compile } from './transform.js';
import * as async from './async.js';
import { HELPER } from './lower.js';
import { isPromise, promiseDetails, Promise, markHandled } from './promise.js';
import { markNamespace } from './preview.js';
import { builtin } from './node/index.js';

const EXTENSIONS = ['.js', '.mjs', '.cjs', '.ts', '.mts', '.cts', '.jsx', '.tsx', '.json'];
// TypeScript imports a file by the name that it will have.
const TYPED = { '.js': ['.ts', '.tsx', '.jsx'], '.mjs': ['.mts'], '.cjs': ['.cts'] };

const evaluate = eval;

/// Takes `.` and `..` out of a path; null where it leads out of the root.
export function normalize(path) {
  const parts = [];
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue;
    if (part !== '..') parts.push(part);
    else if (parts.length === 0) return null;
    else parts.pop();
  }
  return parts.join('/');
}

function dirname(path) {
  const at = path.lastIndexOf('/');
  return at < 0 ? '' : path.slice(0, at);
}

export class Modules {
  constructor(files, loop) {
    this.files = new Map();
    for (const { path, text } of files) {
      const normal = normalize(path);
      if (normal !== null) mapSet(this.files, normal, text);
    }
    this.loop = loop;
    this.cache = new Map();
    /// The files that others asked for.
    this.required = new Map();
    /// Set where modules are elsewhere: gives what one exports, or undefined for those that are here.
    this.remote = null;
    /// Where the value of a name at the top level of one file is to be put.
    this.peek = null;
    this.main = null;
  }

  /// What awaits the end of a module's loading; null where nothing does.
  pendingOf(path) {
    return mapGet(this.cache, path)?.pending ?? null;
  }

  resolveFile(path) {
    if (path === null) return null;
    if (mapHas(this.files, path)) return path;
    for (const extension of EXTENSIONS) if (mapHas(this.files, path + extension)) return path + extension;
    for (const from in TYPED) {
      if (!path.endsWith(from)) continue;
      for (const to of TYPED[from]) {
        const other = path.slice(0, -from.length) + to;
        if (mapHas(this.files, other)) return other;
      }
    }
    return null;
  }

  resolve(request, from) {
    if (!/^(\.{1,2}(\/|$)|\/|file:\/\/)/.test(request)) return null;
    const absolute = request.replace(/^file:\/\//, '');
    const path = absolute.startsWith('/') ? normalize(absolute) : normalize(`${dirname(from)}/${absolute}`);
    if (path === null) return null;
    const file = request.endsWith('/') || path === '' ? null : this.resolveFile(path);
    if (file !== null) return file;
    const prefix = path === '' ? '' : `${path}/`;
    const manifest = mapGet(this.files, `${prefix}package.json`);
    if (manifest !== undefined) {
      try {
        const { main } = JSON.parse(manifest);
        const entry = typeof main === 'string' ? this.resolveFile(normalize(prefix + main)) : null;
        if (entry !== null) return entry;
      } catch {
        // A broken manifest names no entry.
      }
    }
    return this.resolveFile(`${prefix}index`);
  }

  notFound(request, from) {
    const error = new Error(`Cannot find module '${request}'${from ? `\nRequire stack:\n- /${from}` : ''}`);
    error.code = 'MODULE_NOT_FOUND';
    return error;
  }

  moduleModule() {
    const createRequire = (from) => {
      const path = normalize(String(from).replace(/^file:\/\//, '')) ?? '';
      return (request) => this.require(request, path);
    };
    return { createRequire, isBuiltin: (name) => builtin(name) !== undefined };
  }

  // The same in the words of ES modules.
  import(request, from) {
    try {
      return this.require(request, from);
    } catch (error) {
      if (error?.code !== 'MODULE_NOT_FOUND' || !error.message.startsWith(`Cannot find module '${request}'`)) throw error;
      const isPath = /^(\.{0,2}\/|file:)/.test(request);
      const named = isPath ? `module '/${normalize(`${request.startsWith('.') ? dirname(from) : ''}/${request.replace(/^file:\/\//, '')}`) ?? request}'` : `package '${request}'`;
      const missing = new Error(`Cannot find ${named} imported from /${from}`);
      missing.code = 'ERR_MODULE_NOT_FOUND';
      throw missing;
    }
  }

  require(request, from) {
    if (typeof request !== 'string') {
      const error = new TypeError(`The "id" argument must be of type string. Received ${request === null ? 'null' : `type ${typeof request}`}`);
      error.code = 'ERR_INVALID_ARG_TYPE';
      throw error;
    }
    if (request === 'module' || request === 'node:module') return this.moduleModule();
    const known = builtin(request);
    if (known !== undefined) return known;
    const path = this.resolve(request, from);
    if (path === null) throw this.notFound(request, from);
    mapSet(this.required, path, true);
    return this.load(path).exports;
  }

  /// Loads a file as the main module of a process of its own.
  loadMain(path) {
    if (!mapHas(this.cache, path)) this.main = null;
    return this.load(path);
  }

  isRequired(path) {
    return mapHas(this.required, path);
  }

  load(path) {
    const found = mapGet(this.cache, path);
    if (found) return found.module;
    const module = { id: path, filename: `/${path}`, path: `/${dirname(path)}`, exports: {}, loaded: false, children: [], paths: [] };
    const entry = { module, pending: null };
    mapSet(this.cache, path, entry);
    if (this.main === null) {
      this.main = module;
      module.id = '.';
    }
    try {
      const remote = this.remote?.(path);
      if (remote !== undefined) module.exports = remote.exports;
      else if (path.endsWith('.json')) module.exports = JSON.parse(mapGet(this.files, path));
      else this.evaluate(path, module, entry);
    } catch (error) {
      mapDelete(this.cache, path);
      throw error;
    }
    module.loaded = true;
    return module;
  }

  evaluate(path, module, entry) {
    const { text, module: isModule, strict, topLevelAwait } = compile(path, mapGet(this.files, path));
    const lead = reserve(path, mapGet(this.files, path));
    const kind = topLevelAwait ? 'function*' : 'function';
    const { peek } = this;
    const look = peek?.path === path && /^[A-Za-z_$][\w$]*$/.test(peek.name) ? `\n;if(typeof ${peek.name}!=='undefined')${HELPER}.peek.value=${peek.name};` : '';
    // What was an ES module has only what its imports and exports became.
    const names = strict ? 'exports,require' : 'exports,require,module,__filename,__dirname';
    const code = `${lead}(${HELPER}=>${kind}(${names}){\n${text}${look}\n})`;
    const outer = evaluate(code);
    const require = (request) => (strict ? this.import(request, path) : this.require(request, path));
    require.resolve = (request) => {
      const file = this.resolve(request, path);
      if (file === null) throw this.notFound(request, path);
      return `/${file}`;
    };
    require.cache = {};
    require.main = this.main;
    const helper = {
      ...async,
      peek,
      load: (request) => new Promise((resolve) => resolve(this.namespace(this.import(String(request), path)))),
      meta: { url: `file:///${path}`, filename: module.filename, dirname: module.path, resolve: (request) => `file://${require.resolve(request)}` },
    };
    const self = isModule ? undefined : module.exports;
    const args = [module.exports, require, module, module.filename, module.path];
    const wrapper = outer(helper);
    if (!topLevelAwait) {
      wrapper.apply(self, args);
      return;
    }
    entry.pending = async.run(self, args, wrapper);
    // Who imports this module needs it whole. The main module may take its time.
    if (this.main !== module) {
      markHandled(entry.pending);
      this.loop.until(() => promiseDetails(entry.pending).state !== 'pending');
      const { state, value } = promiseDetails(entry.pending);
      if (state === 'rejected') throw value;
    }
  }

  // What `import()` gives: a module's exports, with those of CommonJS as the default too.
  namespace(exports) {
    if (exports !== null && typeof exports === 'object' && exports.__esModule) return exports;
    if (isPromise(exports)) return { default: exports };
    if (this.remote !== null) return this.lazyNamespace(exports);
    const out = create(null);
    const isObject = exports !== null && (typeof exports === 'object' || typeof exports === 'function');
    const names = isObject ? Object.keys(exports).filter((key) => key !== 'default') : [];
    for (const key of [...names, 'default'].sort()) put(out, key, key === 'default' ? exports : exports[key]);
    defineProperty(out, Symbol.toStringTag, { __proto__: null, value: 'Module' });
    return markNamespace(Object.seal(out));
  }

  // Where the exports are elsewhere, each look at one may ask there.
  lazyNamespace(exports) {
    const out = {};
    if (exports !== null && (typeof exports === 'object' || typeof exports === 'function')) {
      for (const key of Object.keys(exports)) if (key !== 'default') Object.defineProperty(out, key, { enumerable: true, get: () => exports[key] });
    }
    out.default = exports;
    return out;
  }
}
