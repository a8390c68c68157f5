// How many turns a returned promise takes, and errors inside then.
const log = []; const mark = (x) => () => log.push(x);
Promise.resolve().then(() => Promise.resolve('inner')).then(mark('A'));
Promise.resolve().then(mark(1)).then(mark(2)).then(mark(3)).then(mark(4));
(async () => { await (async () => {})(); log.push('await async'); })();
(async () => { try { await Promise.reject(new Error('r')); } catch { log.push('caught'); } finally { log.push('finally'); } })();
new Promise((r) => { log.push('executor'); r(); }).then(mark('resolved'));
Promise.reject(1).catch(mark('c1')).then(mark('c2'));
queueMicrotask(mark('q'));
setTimeout(() => console.log(log.join(' | ')), 1);
