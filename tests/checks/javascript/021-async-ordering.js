// Synchronous code first, then microtasks, then timers in order of delay.
console.log('1 sync');
setTimeout(() => console.log('8 timer 10'), 10);
setTimeout(() => console.log('6 timer 0'), 0);
setTimeout(() => { console.log('7 timer 1'); Promise.resolve().then(() => console.log('7b microtask in timer')); }, 1);
Promise.resolve().then(() => console.log('3 then')).then(() => console.log('5 second then'));
queueMicrotask(() => console.log('4 microtask'));
(async () => { console.log('2 async body'); await null; console.log('4b after await'); })();
console.log('2b sync end');
