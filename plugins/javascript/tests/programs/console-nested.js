console.log({ a: { b: { c: { d: 1 } } }, arr: [[[[1]]]], m: new Map([['k', { a: { b: { c: 1 } } }]]) });
console.log({ long1: 'aaaaaaaaaaaaaaaaaaaaaaaa', long2: 'bbbbbbbbbbbbbbbbbbbbbbbbbbbb', long3: 'cccccccccccccccccccccc', n: 1 });
console.log([{ id: 1, name: 'one', tags: ['a', 'b'] }, { id: 2, name: 'two', tags: [] }]);
console.dir({ a: { b: { c: { d: { e: 1 } } } } }, { depth: 0 }); console.dir({ a: { b: { c: { d: { e: 1 } } } } }, { depth: null });
