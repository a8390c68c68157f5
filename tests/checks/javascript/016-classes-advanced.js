// new.target, species of accessors, static blocks, computed names, mixins.
class Shape {
  constructor() {
    if (new.target === Shape) throw new TypeError('abstract');
    this.kind = new.target.name;
  }
  static create(...args) { return new this(...args); }
  toString() { return `<${this.kind} ${this.area()}>`; }
}
class Square extends Shape {
  constructor(side) { super(); this.side = side; }
  area() { return this.side ** 2; }
}
try { new Shape(); } catch (error) { console.log(error.message); }
console.log(`${Square.create(3)}`);
const Named = (Base) => class extends Base { name() { return 'named ' + this.area(); } };
class NamedSquare extends Named(Square) {}
console.log(NamedSquare.create(2).name());
class Config {
  static values = {};
  static { this.values.ready = true; }
  static ['make' + 'It']() { return Object.keys(this.values); }
}
console.log(Config.makeIt());
class A { constructor() { this.init(); } init() { this.v = 'A'; } }
class B extends A { w = 'field'; init() { this.v = 'B'; this.w = 'init'; } }
console.log(new B());
class C extends A { constructor() { try { this.x; } catch (e) { console.log(e.name); } super(); } }
new C();
console.log(typeof A, A.prototype.constructor === A, Object.getOwnPropertyNames(A.prototype));
