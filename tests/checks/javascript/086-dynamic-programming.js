// Longest common subsequence, edit distance, knapsack, coins, longest increasing run.
function lcs(a, b) { const t = Array.from({ length: a.length + 1 }, () => Array(b.length + 1).fill('')); for (let i = 1; i <= a.length; i++) for (let j = 1; j <= b.length; j++) t[i][j] = a[i - 1] === b[j - 1] ? t[i - 1][j - 1] + a[i - 1] : t[i - 1][j].length >= t[i][j - 1].length ? t[i - 1][j] : t[i][j - 1]; return t[a.length][b.length]; }
function edit(a, b) { let row = [...Array(b.length + 1).keys()]; for (let i = 1; i <= a.length; i++) { const next = [i]; for (let j = 1; j <= b.length; j++) next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)); row = next; } return row[b.length]; }
const coins = (set, n) => { const w = [1, ...Array(n).fill(0)]; for (const c of set) for (let i = c; i <= n; i++) w[i] += w[i - c]; return w[n]; };
const knapsack = (items, cap) => items.reduce((b, [w, v]) => b.map((x, c) => (c >= w ? Math.max(x, b[c - w] + v) : x)), Array(cap + 1).fill(0))[cap];
const lis = (a) => { const t = []; for (const x of a) { let i = t.findIndex((y) => y >= x); t[i < 0 ? t.length : i] = x; } return t.length; };
console.log(lcs('AGGTABQX', 'GXTXAYBX'), edit('kitten', 'sitting'), edit('', 'abc'), coins([1, 2, 5, 10, 20, 50, 100, 200], 200), knapsack([[12, 4], [2, 2], [1, 1], [1, 2], [4, 10]], 15), lis([10, 9, 2, 5, 3, 7, 101, 18]));
