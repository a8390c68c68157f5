// A trie for prefixes and a binary search tree with three traversals.
class Trie { root = {}; add(w) { let n = this.root; for (const c of w) n = n[c] ??= {}; n.$ = true; } *words(p = '', n = [...p].reduce((m, c) => m?.[c], this.root)) { if (!n) return; if (n.$) yield p; for (const k of Object.keys(n).sort()) if (k !== '$') yield* this.words(p + k, n[k]); } }
const t = new Trie(); 'car card care cat dog do'.split(' ').forEach((w) => t.add(w));
console.log([...t.words('car')], [...t.words()], [...t.words('x')], t.root);
const insert = (n, v) => (n ? v < n.v ? { ...n, l: insert(n.l, v) } : { ...n, r: insert(n.r, v) } : { v, l: null, r: null });
const tree = [5, 2, 8, 1, 9, 3].reduce(insert, null);
const walk = (n, o) => (n ? { pre: [n.v, ...walk(n.l, o), ...walk(n.r, o)], in: [...walk(n.l, o), n.v, ...walk(n.r, o)], post: [...walk(n.l, o), ...walk(n.r, o), n.v] }[o] : []);
console.log(walk(tree, 'pre'), walk(tree, 'in'), walk(tree, 'post'), tree);
