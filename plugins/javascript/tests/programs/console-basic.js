console.log('a', 1, true, null, undefined, 1n, Symbol('s'), -0);
console.log({ a: 1, b: 'x', c: [1, 2], d: { e: { f: { g: 1 } } } });
console.log([], {}, [[]], [[[[1]]]], [undefined, null], '');
console.log('%s is %d years and %i, %f, %j %o %O %%', 'Bob', 42.5, 42.9, '1.5', { a: 1 }, [1], { b: 2 }, 'extra');
console.log(-1.5e21, 1e-7, 0.1 + 0.2, NaN, Infinity, [0, -0]);
