// When fields, computed keys, static blocks and constructors run.
const log = []; const t = (x) => (log.push(x), x);
class A { [t('key a')] = t('field a'); static [t('static key')] = t('static value'); static { t('static block'); } constructor() { t('A ctor'); this.hook?.(); } [t('key b')] = t('field b'); }
console.log(log.splice(0)); new A(); console.log(log.splice(0));
class B extends A { own = t('B field'); constructor() { t('B before'); super(); t('B after'); } hook() { t('hook sees ' + this.own); } }
log.length = 0; new B(); console.log(log.splice(0));
class C { a = 1; b = this.a + 1; c = () => this.b; static d = 4; static e = this.d + 1; 'quoted key' = 5; 123 = 6; static async *gen() { yield this.e; } get [`dyn${1 + 1}`]() { return 'dyn'; } }
const c = new C(); console.log(c, c.c.call(null), C.e, c.dyn2); (async () => { for await (const x of C.gen()) console.log(x); })();
