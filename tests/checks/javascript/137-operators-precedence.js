// Precedence and evaluation order, shown with tracing operands.
const log = []; const t = (x) => (log.push(x), x);
console.log(t(1) + t(2) * t(3), (t(4) - t(5)) ** t(2), t(0) && t(9), t(0) || t(8), t(null) ?? t(7), log.join());
const o = { get a() { log.push('get'); return 1; }, set a(v) { log.push('set' + v); } };
log.length = 0; o.a += t(5); o.a++; o[(t('a'))] = t('v'); console.log(log.join());
let i = 1; console.log(i++ + ++i, i, i-- - --i, i, -(i ** 2), 2 + 3 + 'x' + 2 + 3, !0 + !0, typeof typeof 0, +!![], - -1, 1 - -1);
console.log(1 + 2 << 1, 5 & 3 == 1, 1 | 2 ^ 3 & 2, true ? false ? 1 : 2 : 3, (1, 2, 3), 3 > 2 >= 1, 'a' + 1 - 1, 2 * '3' + '4', 7 % 4 * 2, 2 ** 3 ** 0);
var x = 1; x += (x = 10, 5); console.log(x); let a = [1, 2, 3], k = 0; a[k++] = a[k++] + 10; console.log(a, k); const f = () => (log.push('f'), { g: () => (log.push('g'), 1) }); log.length = 0; f().g(t('arg')); console.log(log.join());
