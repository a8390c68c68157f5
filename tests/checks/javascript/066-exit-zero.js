// Exit with 0 from inside nested calls.
function deep(n) { if (n === 0) { console.log('leaving'); process.exit(0); } deep(n - 1); }
Promise.resolve().then(() => console.log('never'));
deep(5);
