// Loops with await, break, continue and try inside.
const wait = (v) => new Promise((r) => setTimeout(r, 1, v));
(async () => {
  outer: for (let i = 0; i < 3; i++) { for (const j of [0, 1, 2]) { const v = await wait(i * 10 + j); if (v === 1) continue outer; if (v === 11) break outer; console.log(v); } }
  let n = 0; while (await wait(n < 3)) { n++; try { if (n === 2) continue; await wait(); if (n === 3) throw new Error('three'); } catch (e) { console.log('caught', e.message); } finally { console.log('n', n); } }
  const fs = [1, 2, 3].map((x) => async () => x * (await wait(2))); const r = []; for (const f of fs) r.push(await f()); console.log(r);
  console.log(await [1, 2, 3].reduce(async (acc, x) => (await acc) + (await wait(x)), Promise.resolve(0)), await Promise.all([3, 1, 2].map(async (x) => { await wait(); return x; })));
  console.log(await (async () => { try { return await wait('returned'); } finally { console.log('finally first'); } })(), typeof (async () => {})().then);
})();
