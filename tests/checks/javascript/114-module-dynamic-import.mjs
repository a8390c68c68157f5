// import() of built-in modules, by value and by destructuring.
const path = await import('node:path');
console.log(path.join('x', 'y'), typeof path.default.join, path.default.join === path.join);
const { EventEmitter } = await import('events');
const e = new EventEmitter(); e.on('a', (x) => console.log('event', x)); e.emit('a', 1);
try { await import('./no-such-module.mjs'); } catch (error) { console.log(error.code); }
console.log(Object.prototype.toString.call(path), Object.isFrozen(path), Object.isExtensible(path));
