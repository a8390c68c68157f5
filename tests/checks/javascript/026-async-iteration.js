// Async generators and for await over promises.
const sleep = (ms) => new Promise((r) => setTimeout(r, ms));
async function* ticker(n) {
  try {
    for (let i = 0; i < n; i++) { await sleep(1); yield i; }
  } finally {
    console.log('ticker closed');
  }
}
(async () => {
  for await (const t of ticker(3)) console.log('t', t);
  for await (const t of ticker(10)) { if (t === 1) break; }
  for await (const v of [Promise.resolve('p'), 'plain', sleep(1).then(() => 'slept')]) console.log(v);
  const it = ticker(2);
  console.log(await Promise.all([it.next(), it.next(), it.next()]));
  const manual = { [Symbol.asyncIterator]() { let n = 0; return { next: async () => ({ value: n, done: n++ >= 2 }) }; } };
  for await (const v of manual) console.log('manual', v);
  console.log(Object.prototype.toString.call(it));
})();
