// Bytes on standard input that are not all ASCII.
const data = require('fs').readFileSync(0);
console.log(data.length, data, data.toString('hex'), [...data].filter((b) => b > 127).length);
console.log(JSON.stringify(data.toString()), data.toString('latin1').length, data.reduce((a, b) => (a + b) % 65536, 0), [...data.toString()].map((c) => c.codePointAt(0).toString(16)).join(' '));
