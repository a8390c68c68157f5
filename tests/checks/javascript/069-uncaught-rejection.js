// A rejection without handler ends the program with exit code 1.
process.on('exit', (code) => console.log('exit', code));
(async () => { await null; console.log('in async'); throw new Error('rejected late'); })();
setTimeout(() => console.log('never'), 20);
console.log('sync');
