// process.exit ends at once: nothing after it runs, the exit code is kept.
process.on('exit', (code) => console.log('exit handler', code));
setTimeout(() => console.log('never'), 1);
console.log('before');
try { process.exit(3); } finally { console.log('never either'); }
