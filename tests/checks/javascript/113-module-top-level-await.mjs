// await outside of functions; the order with timers and microtasks.
console.log('start');
setTimeout(() => console.log('timer'), 0);
Promise.resolve().then(() => console.log('microtask'));
const value = await new Promise((resolve) => setTimeout(resolve, 5, 'awaited'));
console.log(value);
for await (const x of (async function* () { yield 1; yield 2; })()) console.log(x);
const results = await Promise.allSettled([Promise.reject(new Error('no')), 5]);
console.log(results.map((r) => r.status), await (await 1 + await 2));
try { await Promise.reject(new TypeError('caught here')); } catch (error) { console.log(error.message); }
console.log('end');
