// Endless recursion that nobody catches.
console.log('going down');
const down = (n) => down(n + 1) + 1;
try { down(0); } catch (error) { console.log(error.name, error instanceof RangeError); }
down(0);
