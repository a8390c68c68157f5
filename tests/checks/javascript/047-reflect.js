// Reflect mirrors the object operations and returns booleans.
class A { constructor(x) { this.x = x; } get double() { return this.x * 2; } }
class B {}
console.log(Reflect.construct(A, [3]).double, Reflect.construct(A, [3], B) instanceof B, Reflect.apply(Math.max, null, [1, 3, 2]));
const o = { x: 1 };
console.log(Reflect.has(o, 'x'), Reflect.get(A.prototype, 'double', { x: 21 }), Reflect.set(o, 'y', 2), Reflect.ownKeys(o), Reflect.deleteProperty(o, 'x'), o);
console.log(Reflect.defineProperty(Object.freeze({}), 'a', { value: 1 }), Reflect.isExtensible(o), Reflect.preventExtensions(o), Reflect.set(o, 'z', 1), Reflect.getPrototypeOf([]) === Array.prototype, Reflect.setPrototypeOf(o, null));
try { Reflect.ownKeys(1); } catch (error) { console.log(error.name); }
