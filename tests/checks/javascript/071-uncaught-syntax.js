// A syntax error: nothing of the program runs.
console.log('never');
const broken = [1, 2;
