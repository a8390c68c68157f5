console.log('1 sync');
setTimeout(() => console.log('8 timeout 0'), 0);
setImmediate(() => console.log('9 immediate'));
setTimeout(() => console.log('10 timeout 20'), 20);
Promise.resolve().then(() => console.log('4 micro')).then(() => console.log('6 micro 2'));
process.nextTick(() => console.log('3 tick'));
queueMicrotask(() => console.log('5 queued'));
(async () => { console.log('2 async start'); await null; console.log('5b after await'); await null; console.log('7 after second'); })();
