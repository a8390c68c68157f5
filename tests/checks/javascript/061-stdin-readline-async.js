// for await over the lines of standard input.
const { createInterface } = require('node:readline');
(async () => {
  let number = 0;
  for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
    number += 1;
    console.log(String(number).padStart(3), line.toUpperCase());
  }
  console.log('lines', number);
})();
