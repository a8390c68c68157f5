// Top-level for await over the lines of standard input.
import * as readline from 'node:readline';
let sum = 0;
for await (const line of readline.createInterface({ input: process.stdin })) {
  const [op, n] = line.split(' ');
  sum = { add: sum + +n, mul: sum * n, neg: -sum }[op] ?? sum;
  console.log(line.padEnd(8), sum);
}
console.log('result', sum);
