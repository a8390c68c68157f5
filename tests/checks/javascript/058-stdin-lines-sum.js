// Reads everything at once and adds the numbers of each line.
const text = require('fs').readFileSync(0, 'utf8');
const lines = text.split('\n').filter((line) => line.trim());
console.log(lines.length, 'lines');
let total = 0;
for (const [i, line] of lines.entries()) {
  const numbers = line.trim().split(/\s+/).map(Number);
  const sum = numbers.reduce((a, b) => a + b, 0);
  total += Number.isNaN(sum) ? 0 : sum;
  console.log(`${i + 1}: ${Number.isNaN(sum) ? 'not numbers' : sum}`);
}
console.log('total', total);
