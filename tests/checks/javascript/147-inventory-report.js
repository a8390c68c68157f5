// A longer ordinary program: classes, validation, grouping and a report.
class StockError extends Error { constructor(sku, wanted, left) { super(`only ${left} of ${sku}, ${wanted} wanted`); Object.assign(this, { name: 'StockError', sku, wanted, left }); } }
class Inventory {
  #items = new Map(); #log = [];
  add(sku, qty, price) { const item = this.#items.get(sku) ?? { qty: 0, price }; item.qty += qty; item.price = price ?? item.price; this.#items.set(sku, item); this.#log.push(['add', sku, qty]); return this; }
  remove(sku, qty) { const item = this.#items.get(sku); if (!item) throw new ReferenceError(`no ${sku}`); if (item.qty < qty) throw new StockError(sku, qty, item.qty); item.qty -= qty; if (!item.qty) this.#items.delete(sku); this.#log.push(['remove', sku, qty]); return item.price * qty; }
  get value() { return [...this.#items.values()].reduce((s, { qty, price }) => s + qty * price, 0); }
  *[Symbol.iterator]() { for (const [sku, { qty, price }] of this.#items) yield { sku, qty, price }; }
  get log() { return this.#log.map((l) => l.join(' ')); }
}
const inv = new Inventory().add('bolt', 100, 0.25).add('nut', 250, 0.1).add('gear', 4, 19.99);
for (const [sku, n] of [['bolt', 30], ['gear', 5], ['cog', 1], ['nut', 250]]) try { console.log(sku, inv.remove(sku, n)); } catch (error) { console.log(error.name, error.message, error instanceof StockError ? [error.wanted, error.left] : ''); }
console.log([...inv], inv.value.toFixed(2), inv.log, inv);
