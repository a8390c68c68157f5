// Six sorting algorithms agree with the built-in one.
let seed = 42;
const rand = () => (seed = (seed * 1103515245 + 12345) % 2147483648);
const data = Array.from({ length: 200 }, () => rand() % 1000 - 500);
const bubble = (a) => { for (let i = a.length; i--;) for (let j = 0; j < i; j++) if (a[j] > a[j + 1]) [a[j], a[j + 1]] = [a[j + 1], a[j]]; return a; };
const insertion = (a) => { for (let i = 1; i < a.length; i++) { const v = a[i]; let j = i - 1; while (j >= 0 && a[j] > v) a[j + 1] = a[j--]; a[j + 1] = v; } return a; };
const selection = (a) => { for (let i = 0; i < a.length; i++) { let m = i; for (let j = i + 1; j < a.length; j++) if (a[j] < a[m]) m = j; [a[i], a[m]] = [a[m], a[i]]; } return a; };
const merge = (a) => { if (a.length < 2) return a; const h = a.length >> 1, l = merge(a.slice(0, h)), r = merge(a.slice(h)), out = []; while (l.length && r.length) out.push(l[0] <= r[0] ? l.shift() : r.shift()); return [...out, ...l, ...r]; };
const quick = (a) => (a.length < 2 ? a : [...quick(a.slice(1).filter((x) => x < a[0])), a[0], ...quick(a.slice(1).filter((x) => x >= a[0]))]);
const heap = (a) => { const down = (i, n) => { for (;;) { let c = 2 * i + 1; if (c >= n) return; if (c + 1 < n && a[c + 1] > a[c]) c++; if (a[i] >= a[c]) return; [a[i], a[c]] = [a[c], a[i]]; i = c; } }; for (let i = a.length >> 1; i--;) down(i, a.length); for (let n = a.length - 1; n > 0; n--) { [a[0], a[n]] = [a[n], a[0]]; down(0, n); } return a; };
const expected = [...data].sort((a, b) => a - b).join();
for (const f of [bubble, insertion, selection, merge, quick, heap]) console.log(f.name, f([...data]).join() === expected);
console.log(expected.slice(0, 40));
