// Reshaping of nested data without changing the source.
const orders = JSON.parse('[{"id":1,"customer":{"name":"Ann","tags":["vip"]},"lines":[{"sku":"a","qty":2,"price":3.5},{"sku":"b","qty":1,"price":10}]},{"id":2,"customer":{"name":"Bob","tags":[]},"lines":[{"sku":"a","qty":5,"price":3.5}]},{"id":3,"customer":{"name":"Ann","tags":["vip"]},"lines":[]}]');
const total = ({ lines }) => lines.reduce((s, { qty, price }) => s + qty * price, 0);
console.log(orders.map(({ id, customer: { name }, ...rest }) => ({ id, name, total: total(rest), count: rest.lines.length })));
const grouped = orders.reduce((g, o) => ({ ...g, [o.customer.name]: [...(g[o.customer.name] ?? []), o.id] }), {});
console.log(grouped, orders.flatMap((o) => o.lines).reduce((m, { sku, qty }) => m.set(sku, (m.get(sku) ?? 0) + qty), new Map()));
const deepMap = (v, f) => (Array.isArray(v) ? v.map((x) => deepMap(x, f)) : v && typeof v === 'object' ? Object.fromEntries(Object.entries(v).map(([k, x]) => [k.toUpperCase(), deepMap(x, f)])) : f(v));
console.log(JSON.stringify(deepMap(orders[1], (x) => (typeof x === 'number' ? -x : x))));
console.log(orders);
