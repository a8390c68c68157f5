(async () => {
console.log(await Promise.all([1, Promise.resolve(2), new Promise((r) => setTimeout(r, 5, 3))]));
console.log(await Promise.allSettled([1, Promise.reject('no')]));
console.log(await Promise.race([new Promise((r) => setTimeout(r, 50, 'slow')), new Promise((r) => setTimeout(r, 5, 'fast'))]));
console.log(await Promise.any([Promise.reject(1), Promise.resolve('any')]));
try { await Promise.any([Promise.reject(1)]); } catch (e) { console.log(e.name, e.message, e.errors); }
try { await Promise.all([Promise.reject(new Error('first'))]); } catch (e) { console.log(e.message); }
const { promise, resolve } = (() => { let resolve; const promise = new Promise((r) => { resolve = r; }); return { promise, resolve }; })();
resolve({ then(r) { r('thenable'); } }); console.log(await promise);
class Sub extends Promise {} const s = Sub.resolve(1); console.log(s instanceof Sub, s.then(() => {}) instanceof Sub, s instanceof Promise);
console.log(await new Promise((r) => r(1)).finally(() => 2));
})();
