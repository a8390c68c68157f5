// Pseudo-random numbers by integer arithmetic; the estimate is always the same.
function* mulberry(a) { while (true) { a = (a + 0x6d2b79f5) | 0; let t = Math.imul(a ^ (a >>> 15), 1 | a); t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t; yield ((t ^ (t >>> 14)) >>> 0) / 4294967296; } }
const r = mulberry(2024); const next = () => r.next().value;
let inside = 0; for (let i = 0; i < 50000; i++) { const x = next(), y = next(); if (x * x + y * y < 1) inside++; }
console.log(inside, (4 * inside / 50000).toFixed(4));
const rolls = Array(11).fill(0); for (let i = 0; i < 20000; i++) rolls[Math.floor(next() * 6) + Math.floor(next() * 6)]++;
console.log(rolls, Math.max(...rolls) === rolls[5]);
const deck = [...Array(10).keys()]; for (let i = 9; i > 0; i--) { const j = Math.floor(next() * (i + 1)); [deck[i], deck[j]] = [deck[j], deck[i]]; } console.log(deck.join());
