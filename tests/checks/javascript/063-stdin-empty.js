// Nothing on standard input is an empty text and not an error.
const text = require('fs').readFileSync(0, 'utf8');
console.log(JSON.stringify(text), text.length, text.split('\n').length);
process.stdin.on('end', () => console.log('end'));
process.stdin.resume();
