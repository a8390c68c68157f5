console.log(new Map([['a', 1], [{ b: 2 }, new Set([1, 'x'])]]), new Set(), new Map(), new WeakMap(), new WeakSet());
console.log(new Map([[1, { a: { b: { c: 1 } } }]]));
console.log([new Map([[1, 2]]).entries(), new Set([5]).values()].length);
console.log(new Set([[1, 2], { a: 1 }]));
