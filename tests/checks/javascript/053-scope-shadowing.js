// Block scope, shadowing, parameters' own scope, catch variables, arguments.
let x = 'global';
{ let x = 'block'; console.log(x); { const x = 'inner'; console.log(x); } }
function f(a, b = () => a, c = a + 1) { var a2 = a; a = 'changed'; return [b(), c, a2]; }
console.log(f(1), x);
try { throw 'thrown'; } catch (x) { console.log(x); var leaked = x; }
console.log(leaked, x);
function args(a) { arguments[0] = 'via arguments'; return a; }
function argsStrict(a) { 'use strict'; arguments[0] = 'no'; return a; }
console.log(args(1), argsStrict(1), (function () { return [...arguments].length; })(1, 2, 3));
try { (() => { y = 1; let y; })(); } catch (error) { console.log(error.name); }
try { const k = 1; k = 2; } catch (error) { console.log(error.name); }
globalThis.made = 5; console.log(made, typeof globalThis.x, typeof x);
const self = function fact(n) { return n < 2 ? 1 : n * fact(n - 1); }; console.log(self(5));
console.log(eval('1 + 1'), new Function('a', 'b', 'return a * b')(3, 4), (() => { var z = 1; return eval('z + 1'); })());
