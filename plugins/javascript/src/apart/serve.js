// The code's side: does what the tests ask.
import { Modules, normalize } from '../modules.js';
import * as loop from '../loop.js';
import * as ending from '../exit.js';
import { setSink } from '../io.js';
import { hooks } from '../promise.js';
import { inspect } from '../inspect.js';
import { apply, construct, defineProperty, deleteProperty, get, getOwnPropertyDescriptor, getPrototypeOf, has, ownKeys, set } from '../primordials.js';
import { Ended, Link } from './link.js';

export function serveCode(files) {
  const modules = new Modules(files, loop);
  const link = new Link('c', (request) => doAsTold(request, link, modules));
  link.onTime = loop.advance;
  setSink((text) => link.print(text));
  hooks.uncaught = (error) => link.strays.push(asError(error));
  hooks.unhandled = hooks.uncaught;
  ending.state.handler = (exit) => link.strays.push(asError(exit));
  try {
    let message = link.exchange(null);
    for (;;) message = link.respond(message);
  } catch (error) {
    if (!(error instanceof Ended)) throw error;
  }
  return { exitCode: 0, value: null, error: null, errorType: null };
}

function asError(error) {
  return error instanceof ending.Exit ? new Error(`process.exit(${error.code}) was called`) : error;
}

// As the language does it.
function primitive(object, hint) {
  const exotic = object[Symbol.toPrimitive];
  if (exotic !== undefined && exotic !== null) return apply(exotic, object, [hint]);
  const names = hint === 'string' ? ['toString', 'valueOf'] : ['valueOf', 'toString'];
  for (let i = 0; i < names.length; i++) {
    const method = object[names[i]];
    if (typeof method !== 'function') continue;
    const value = apply(method, object, []);
    if (value === null || (typeof value !== 'object' && typeof value !== 'function')) return value;
  }
  throw new TypeError('Cannot convert object to primitive value');
}

function doAsTold({ q, h, k, self, a, until }, link, modules) {
  const own = () => link.codec.own(h);
  try {
    switch (q) {
      case 'load': {
        const file = modules.resolveFile(normalize(a[0]));
        if (file === null) throw modules.notFound(a[0], '');
        const module = modules.load(file);
        const pending = modules.pendingOf(file);
        return pending === null ? module.exports : pending.then(() => module.exports);
      }
      case 'pump':
        loop.runUntil(until);
        return undefined;
      case 'call':
        return apply(own(), self, a);
      case 'new':
        return construct(own(), a);
      case 'get':
        return get(own(), k);
      case 'set':
        return set(own(), k, a[0]);
      case 'has':
        return has(own(), k);
      case 'del':
        return deleteProperty(own(), k);
      case 'keys':
        return ownKeys(own());
      case 'desc': {
        const found = getOwnPropertyDescriptor(own(), k);
        if (found === undefined) return undefined;
        return 'value' in found ? [found.enumerable, false, found.value] : [found.enumerable, true];
      }
      case 'def':
        return defineProperty(own(), k, { value: a[0], enumerable: a[1], writable: true, configurable: true });
      case 'proto':
        return getPrototypeOf(own());
      case 'prim':
        return primitive(own(), a[0]);
      case 'show':
        return inspect(own());
      default:
        throw new Error(`there is no request ${q}`);
    }
  } catch (error) {
    throw asError(error);
  }
}
