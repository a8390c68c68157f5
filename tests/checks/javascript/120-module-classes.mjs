// Accessors, private methods and static inheritance in strict code.
class Base { static #n = 0; static make() { Base.#n++; return new this(); } static get made() { return Base.#n; } #id = Base.#n; get id() { return this.#id; } }
class Derived extends Base { static label = 'derived'; get id() { return `${Derived.label}-${super.id}`; } }
console.log(Base.make().id, Derived.make().id, Derived.made, Object.getOwnPropertyNames(Derived.prototype), new Derived());
const frozen = Object.freeze([1, 2]);
for (const f of [() => frozen.push(3), () => { frozen[0] = 9; }, () => { delete frozen[0]; }, () => { 'text'.length = 1; }, () => { Object.defineProperty({}, 'x', { get() { return 1; } }).x = 2; }]) try { f(); console.log('allowed'); } catch (error) { console.log(error.name); }
