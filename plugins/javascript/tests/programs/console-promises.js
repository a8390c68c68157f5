console.log(Promise.resolve(1), Promise.resolve({ a: [1] }), new Promise(() => {}), [Promise.resolve('s')]);
const r = Promise.reject(new Error('x')); r.catch(() => {}); console.log(Promise.resolve());
console.log(typeof Promise, Promise.name, Promise.length, Object.prototype.toString.call(Promise.resolve()));
