// process.nextTick runs before promise jobs, setImmediate after them.
setImmediate(() => console.log('immediate'));
process.nextTick(() => console.log('tick 1'));
Promise.resolve().then(() => { console.log('promise 1'); process.nextTick(() => console.log('tick 2')); }).then(() => console.log('promise 2'));
process.nextTick((a, b) => console.log('tick with', a, b), 1, 2);
console.log('sync');
