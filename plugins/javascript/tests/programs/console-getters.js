console.log({ get a() { return 1; }, set a(v) {}, get b() { return 2; }, set c(v) {} });
console.log(Object.defineProperty({}, 'hidden', { value: 1 }), { [Symbol('k')]: 1, 'a-b': 2, 3: 4 });
console.log(Object.freeze([1]), new Number(3), new String('abc'), new Boolean(false), Object(1n), Object(Symbol('q')));
