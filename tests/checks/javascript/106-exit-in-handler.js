// The exit event may change the code; beforeExit may start more work once.
let again = true;
process.on('beforeExit', (code) => { console.log('beforeExit', code); if (again) { again = false; setTimeout(() => console.log('more work'), 1); } });
process.on('exit', (code) => { console.log('exit', code); process.exitCode = 9; });
console.log('main');
