// Two async functions take turns at every await.
const order = [];
async function worker(name, steps) {
  for (let i = 0; i < steps; i++) {
    order.push(name + i);
    await undefined;
  }
  return name;
}
Promise.all([worker('a', 3), worker('b', 2), worker('c', 4)]).then((names) => {
  console.log(order.join(' '));
  console.log(names);
});
async function returnsPromise() { return Promise.resolve('inner'); }
async function returnsValue() { return 'value'; }
const seen = [];
returnsPromise().then((v) => seen.push(v));
returnsValue().then((v) => seen.push(v));
Promise.resolve().then(() => seen.push('1')).then(() => seen.push('2')).then(() => seen.push('3')).then(() => console.log(seen));
