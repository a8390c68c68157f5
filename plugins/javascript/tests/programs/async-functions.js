class Base { async hello(n) { return `hello ${n}`; } static async s() { return 's'; } get v() { return 9; } }
class D extends Base { async hello(n) { const b = await super.hello(n); return `${b}! ${super.v}`; } async *stream() { yield 1; yield await Promise.resolve(2); yield* [3, 4]; } arrow = async () => this.constructor.name; async #priv() { return 'priv'; } async callPriv() { return await this.#priv(); } async ['comp' + 1]() { return 'computed'; } }
const o = { async m(a, b = 2, ...rest) { return [a, b, rest, arguments.length]; }, async *g() { try { yield 1; yield 2; } finally { console.log('closed'); } }, async: 5, await: 6 };
function outer() { return (async () => arguments[0])(); }
const single = async x => x * 2, expr = async (x, { y } = { y: 3 }) => ({ x, y });
async function f() {
  const d = new D();
  console.log(await d.hello('w'), await D.s(), await d.arrow(), await d.callPriv(), await d.comp1());
  for await (const v of d.stream()) console.log(v);
  for await (const v of o.g()) { console.log(v); break; }
  outer: for await (const v of [Promise.resolve('a'), 'b']) { for (const w of [1, 2]) { if (w === 2) continue outer; console.log(v, w); } }
  console.log(await o.m(1), await o.m(1, 5, 6, 7), await outer('arg'), await single(4), await expr(1), o.async + o.await);
  const x = 1
  await null
  ;[1].forEach((v) => console.log(v))
  await Promise.resolve(5), console.log('comma')
  console.log((await single(2)) + (await single(3)), -await single(1), await (await (async () => async () => 'deep')())())
  try { await (async () => { throw new Error('inner'); })(); } catch (e) { console.log(e.message) } finally { await null; console.log('fin') }
  return x
}
f().then((v) => console.log('done', v));
(async function named(n) { if (n > 0) { await named(n - 1); } console.log('named', n); })(2);
console.log(f.length, o.m.length, expr.length, f.name, o.m.name, single.name);
