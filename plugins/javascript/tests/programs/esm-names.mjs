// What ES modules have and have not.
console.log(typeof module, join('a', 'b'));
import {
  join, // the one
  basename,
} from 'node:path';
import { createRequire } from 'node:module';
const require = createRequire(import.meta.url);
console.log(require('path').join('x', 'y'), basename('/a/b.c'));
const o = { require, exports: 1 }; console.log(typeof o.require, o.exports);
const __filename = 'f', __dirname = 'd'; console.log(__filename, __dirname);
try { exports.x = 1; } catch (e) { console.log(e.name); }
function f({ exports = 2 } = {}) { return exports; } console.log(f(), f({ exports: 3 }));
try { await import('./nope.mjs'); } catch (e) { console.log(e.code, e.name); }
try { await import('nope'); } catch (e) { console.log(e.code, e.message.split(' imported')[0]); }
console.log((await import('path')).join === join, this);
const text = `
import { x } from 'y'
`; console.log(text.length);
export { f as require }; export { o as exports };
console.log(typeof (await import('events')).EventEmitter);
const later = await import('node:util/types'); console.log(typeof later.isDate);
process.on('beforeExit', () => console.log('before'));
process.once('beforeExit', () => setTimeout(() => console.log('late')));
