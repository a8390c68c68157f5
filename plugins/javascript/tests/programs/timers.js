let n = 0; const t = setInterval(() => { console.log('tick', ++n); if (n === 3) clearInterval(t); }, 10);
setTimeout((a, b) => console.log('args', a, b), 15, 1, 2);
const c = setTimeout(() => console.log('never'), 5); clearTimeout(c);
const i = setImmediate(() => console.log('never')); clearImmediate(i);
setTimeout(() => { console.log('outer'); setTimeout(() => console.log('inner'), 0); Promise.resolve().then(() => console.log('micro in timer')); }, 150);
setTimeout(() => console.log('same time'), 150);
