// process.exitCode lets the program end on its own.
process.exitCode = 7;
setTimeout(() => console.log('still runs'), 1);
console.log('set');
