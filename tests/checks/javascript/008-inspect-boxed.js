// Boxed primitives, dates, regular expressions, buffers and promises.
console.log(new Number(3), new String('abc'), new Boolean(false), Object(10n), Object(Symbol('q')));
console.log(new Date(0), [new Date(86400000)], { d: new Date(NaN) });
console.log(/a+b/gi, [/x/u]);
console.log(new Uint8Array([1, 2, 3]), new Float64Array(2), new Int16Array([-1, 300]));
console.log(new ArrayBuffer(4));
console.log(Promise.resolve(4), Promise.resolve({ a: 1 }), new Promise(() => {}));
console.log([Math.max, parseInt].map((f) => f.name), JSON[Symbol.toStringTag], globalThis === this);
console.log((function () { return arguments; })(1, 2));
console.log(Symbol.iterator, Symbol.for('shared'));
