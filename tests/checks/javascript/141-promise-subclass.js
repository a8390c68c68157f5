// A subclass of Promise, unhandled then handled, species and static methods.
class Traced extends Promise { then(a, b) { Traced.count = (Traced.count ?? 0) + 1; return super.then(a, b); } static delay(ms, v) { return new this((r) => setTimeout(r, ms, v)); } }
const p = Traced.delay(1, 'v'); console.log(p instanceof Traced, p.then((x) => x) instanceof Traced, Traced.resolve(1) instanceof Traced, Traced.all([]) instanceof Traced);
(async () => { console.log(await p, await Traced.all([1, Traced.delay(1, 2)]), Traced.count > 0); console.log(await Promise.race([Traced.delay(5, 'slow'), 'now'])); })();
const { promise, resolve } = (() => { let resolve; return { promise: new Promise((r) => { resolve = r; }), resolve: (v) => resolve(v) }; })(); promise.then((v) => console.log('external', v)); resolve('ok');
const late = Promise.reject(new Error('late')); setTimeout(() => {}, 2); late.catch((e) => console.log('handled', e.message));
try { Promise(); } catch (e) { console.log(e.name); } try { new Promise(); } catch (e) { console.log(e.name); } new Promise(() => { throw new Error('in executor'); }).catch((e) => console.log(e.message));
const self = new Promise((r) => setTimeout(() => r(self), 1)); self.catch((e) => console.log(e.name));
