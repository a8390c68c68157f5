// Shortest paths with a binary heap.
class Heap {
  #items = [];
  push(key, value) { const h = this.#items; h.push([key, value]); let i = h.length - 1; while (i > 0 && h[(i - 1) >> 1][0] > h[i][0]) { const p = (i - 1) >> 1; [h[p], h[i]] = [h[i], h[p]]; i = p; } }
  pop() { const h = this.#items, top = h[0], last = h.pop(); if (h.length) { h[0] = last; let i = 0; for (;;) { let c = 2 * i + 1; if (c >= h.length) break; if (c + 1 < h.length && h[c + 1][0] < h[c][0]) c++; if (h[i][0] <= h[c][0]) break; [h[c], h[i]] = [h[i], h[c]]; i = c; } } return top; }
  get size() { return this.#items.length; }
}
const graph = { A: { B: 7, C: 9, F: 14 }, B: { A: 7, C: 10, D: 15 }, C: { A: 9, B: 10, D: 11, F: 2 }, D: { B: 15, C: 11, E: 6 }, E: { D: 6, F: 9 }, F: { A: 14, C: 2, E: 9 }, G: {} };
function dijkstra(start) {
  const dist = Object.fromEntries(Object.keys(graph).map((k) => [k, Infinity])), from = {}, heap = new Heap();
  dist[start] = 0; heap.push(0, start);
  while (heap.size) { const [d, u] = heap.pop(); if (d > dist[u]) continue; for (const [v, w] of Object.entries(graph[u])) if (d + w < dist[v]) { dist[v] = d + w; from[v] = u; heap.push(dist[v], v); } }
  return { dist, path: (to) => { const p = [to]; while (from[p[0]]) p.unshift(from[p[0]]); return p.join('>'); } };
}
const { dist, path } = dijkstra('A');
console.log(dist, path('E'), path('D'));
