// A rejected top-level await ends the program with exit code 1.
console.log('before');
await Promise.reject(new RangeError('top level'));
console.log('never');
