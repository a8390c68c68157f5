const log = [];
async function a() { log.push('a1'); await b(); log.push('a2'); }
async function b() { log.push('b1'); }
Promise.resolve().then(() => log.push('p1')).then(() => log.push('p2')).then(() => log.push('p3'));
a().then(() => log.push('a3'));
(async () => { const x = await new Promise((r) => r(Promise.resolve('nested'))); log.push(x); })();
async function ret() { return Promise.resolve('ret'); }
ret().then((v) => log.push(v));
Promise.reject(1).catch(() => log.push('c1')).finally(() => log.push('f1'));
setTimeout(() => console.log(log.join(' ')), 5);
