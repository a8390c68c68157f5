// An uncaught error ends the program with exit code 1 after the output so far.
console.log('start');
function check(age) { if (age < 0) throw new RangeError('age must not be negative'); return age; }
console.log(check(5));
check(-1);
console.log('never');
