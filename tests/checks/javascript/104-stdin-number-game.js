// Guesses on standard input until one is right; the exit code tells.
const secret = 37;
const lines = require('fs').readFileSync('/dev/stdin', 'utf8').split('\n');
for (const [i, l] of lines.entries()) {
  const n = parseInt(l, 10);
  if (Number.isNaN(n)) { console.log(`${JSON.stringify(l)} is no number`); continue; }
  if (n === secret) { console.log(`right after ${i + 1}`); process.exit(0); }
  console.log(n < secret ? 'higher' : 'lower');
}
process.exit(4);
