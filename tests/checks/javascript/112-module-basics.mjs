// Modules are strict, have no this, and imports are hoisted.
console.log(typeof this, typeof require, typeof module, typeof exports, typeof __filename);
console.log(join('a', 'b'), basename('/x/y.js', '.js'));
import { join, basename } from 'node:path';
try { undeclared = 1; } catch (error) { console.log(error.name); }
console.log((function () { return this === undefined; })(), typeof import.meta, typeof import.meta.url);
export const exported = 1;
export default class Thing {}
console.log(exported, Thing.name);
