// Prototypes without class syntax.
function Animal(name) { this.name = name; }
Animal.prototype.speak = function () { return this.name + ' makes a sound'; };
function Dog(name) { Animal.call(this, name); }
Dog.prototype = Object.create(Animal.prototype, { constructor: { value: Dog, enumerable: false } });
Dog.prototype.speak = function () { return Animal.prototype.speak.call(this) + ': woof'; };
const d = new Dog('Rex');
console.log(d.speak(), d instanceof Animal, Dog.prototype.isPrototypeOf(d));
for (const key in d) console.log(key, Object.hasOwn(d, key));
console.log(d);
const base = { x: 1 };
const child = Object.setPrototypeOf({ y: 2 }, base);
console.log(child.x, 'x' in child, child.hasOwnProperty('x'), Object.keys(child));
child.x = 5;
console.log(base.x, child.x);
console.log(Object.getPrototypeOf(Object.getPrototypeOf([])) === Object.prototype);
