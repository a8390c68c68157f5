// Each closure keeps its own variables.
function counter(start = 0) {
  let value = start;
  return {
    next: () => ++value,
    reset() { value = start; },
    get value() { return value; },
  };
}
const a = counter();
const b = counter(10);
a.next(); a.next(); b.next();
console.log(a.value, b.value);
a.reset();
console.log(a.value, b.value);
const late = [];
for (var i = 0; i < 3; i++) late.push(() => i);
const early = [];
for (let j = 0; j < 3; j++) early.push(() => j);
console.log(late.map((f) => f()), early.map((f) => f()));
const compose = (...fs) => (x) => fs.reduceRight((acc, f) => f(acc), x);
console.log(compose((x) => x + 1, (x) => x * 2)(5));
