// The module object and built-in modules.
const path = require('path');
const { EventEmitter } = require('events');
const util = require('node:util');
const assert = require('assert');
console.log(path.join('a', '..', 'b', './c.txt'), path.basename('/x/y.tar.gz', '.gz'), path.extname('f.js'), path.dirname('/a/b/c'), path.resolve('/a', '../b'), path.parse('/home/u/f.txt'), path.relative('/a/b/c', '/a/d'), path.isAbsolute('x'), path.normalize('/a//b/../c/.'));
const e = new EventEmitter();
e.on('x', (v) => console.log('on', v)); e.once('x', (v) => console.log('once', v));
console.log(e.emit('x', 1), e.emit('x', 2), e.emit('y'), e.listenerCount('x'));
console.log(util.format('%s-%d', 'a', 1), util.inspect({ a: [1, { b: { c: {} } }] }, { depth: 0 }), util.isDeepStrictEqual({ a: [1] }, { a: [1] }), util.types.isRegExp(/x/));
try { assert.strictEqual(1, 2, 'not the same'); } catch (error) { console.log(error.name, error.message, error.code); }
assert.deepStrictEqual({ a: [1, 2] }, { a: [1, 2] });
try { require('./no-such-file'); } catch (error) { console.log(error.code); }
console.log(require('path') === path);
