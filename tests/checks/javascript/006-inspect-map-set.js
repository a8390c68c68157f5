// Map and Set as console.log shows them.
console.log(new Map(), new Set());
console.log(new Map([['a', 1], ['b', { c: 2 }], [{ k: 1 }, [1, 2]]]));
console.log(new Set([1, 'two', [3], { four: 4 }]));
console.log(new Map([[1, new Map([[2, new Map([[3, new Map()]])]])]]));
console.log({ m: new Map([['x', new Set([1])]]) });
console.log(new Map([['k', 'v']]).keys(), new Map([['k', 'v']]).values(), new Map([['k', 'v']]).entries());
console.log(new Set(['s']).values(), new Set(['s']).entries());
console.log(new WeakMap(), new WeakSet());
console.log([...new Map([['a', 1]])], [...new Set('hello')].join(''));
