// break and continue to labels, switch fall-through, do-while, comma.
outer:
for (let i = 0; i < 4; i++) {
  for (let j = 0; j < 4; j++) {
    if (j === 2) continue outer;
    if (i === 2) break outer;
    console.log(i, j);
  }
}
function kind(x) {
  switch (typeof x) {
    case 'number': if (x > 9) return 'big';
    case 'bigint': return 'numeric';
    default: return 'other';
    case 'string': return x === '' ? 'empty' : 'text';
  }
}
console.log([1, 10, 1n, '', 'a', null].map(kind));
switch (3) { case 1: console.log('one'); default: console.log('default'); case 2: console.log('two'); break; case 4: console.log('four'); }
let n = 5; do { n -= 2; } while (n > 0); console.log(n);
for (let a = 0, b = 10; a < b; a += 3, b -= 2) console.log(a, b);
for (const k in { x: 1, y: 2 }) for (const c of k + '!') console.log(c);
for (const i in [7, 8]) console.log(typeof i, i);
block: { if (n < 0) break block; console.log('not reached'); }
for (var v = 0; v < 2; v++); console.log(v);
