// Trampolines, fixed points, church numerals, continuation passing.
const trampoline = (f) => (...a) => { let r = f(...a); while (typeof r === 'function') r = r(); return r; };
const sum = trampoline(function s(n, acc = 0) { return n === 0 ? acc : () => s(n - 1, acc + n); }); console.log(sum(50000));
const Y = (f) => ((x) => x(x))((x) => f((y) => x(x)(y))); console.log(Y((f) => (n) => (n ? n * f(n - 1) : 1))(10));
const zero = () => (x) => x, succ = (n) => (f) => (x) => f(n(f)(x)), add = (a, b) => (f) => (x) => a(f)(b(f)(x)), num = (n) => n((x) => x + 1)(0); const three = succ(succ(succ(zero))); console.log(num(add(three, three)), num(three(three)));
const cps = { add: (a, b, k) => k(a + b), div: (a, b, k, fail) => (b === 0 ? fail('division by zero') : k(a / b)) }; cps.add(1, 2, (r) => cps.div(r, 0, console.log, (e) => console.log('failed', e))); cps.div(9, 3, (r) => console.log('got', r));
const ackermann = (m, n) => (m === 0 ? n + 1 : n === 0 ? ackermann(m - 1, 1) : ackermann(m - 1, ackermann(m, n - 1))); console.log(ackermann(2, 6)); const hanoi = (n, a, b, c) => (n ? [...hanoi(n - 1, a, c, b), a + c, ...hanoi(n - 1, b, a, c)] : []); console.log(hanoi(4, 'A', 'B', 'C').length, hanoi(3, 'A', 'B', 'C').join(' '));
