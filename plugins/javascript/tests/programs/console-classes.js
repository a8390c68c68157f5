class A { constructor() { this.x = 1; } get y() { return 2; } static z = 3; #p = 4; m() {} }
class B extends A { constructor() { super(); this.b = [1]; } }
console.log(new A(), new B(), A, B, [A], { A });
class E {} console.log(new E(), Object.create(null), Object.create({ a: 1 }), Object.create(A.prototype));
console.log(function f() {}, () => {}, function* g() {}, class {}, Math.max, { f() {}, g: () => 1 });
console.log(Object.assign(function named() {}, { a: 1 }));
class Tagged { get [Symbol.toStringTag]() { return 'Tag'; } } console.log(new Tagged());
