// A lazy property replaces itself; a chain of accessors in a hierarchy.
class Lazy {
  get value() {
    console.log('computing');
    const v = [1, 2, 3].reduce((a, b) => a + b);
    Object.defineProperty(this, 'value', { value: v, enumerable: true });
    return v;
  }
}
const l = new Lazy();
console.log(l.value, l.value, l);
class Base { #v = 1; get v() { return this.#v; } set v(n) { if (n < 0) throw new RangeError('neg'); this.#v = n; } }
class Doubled extends Base { get v() { return super.v * 2; } set v(n) { super.v = n + 1; } }
const d = new Doubled(); d.v = 4; console.log(d.v);
try { d.v = -5; } catch (error) { console.log(error.message, d.v); }
class OnlyGet extends Base { get v() { return 'own'; } }
const g = new OnlyGet(); g.v = 3; console.log(g.v, Object.keys(g));
try { Base.prototype.v; } catch (error) { console.log(error.name); }
