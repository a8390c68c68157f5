// The iteration protocol by hand, with return called on early exit.
class Range {
  constructor(from, to) { this.from = from; this.to = to; }
  [Symbol.iterator]() {
    let at = this.from; const { to } = this;
    return {
      next: () => (at < to ? { value: at++, done: false } : { value: undefined, done: true }),
      return(value) { console.log('closed at', at); return { value, done: true }; },
    };
  }
}
const r = new Range(1, 6);
console.log([...r], Math.max(...r), Array.from(r, (x) => x * x), new Set(r).size);
for (const x of r) if (x === 3) break;
const [first, second] = r;
console.log(first, second);
outer: for (const x of r) for (const y of r) if (x + y === 4) break outer;
try { for (const x of r) throw new Error('stop'); } catch (error) { console.log(error.message); }
console.log(Object.fromEntries(new Map([['a', 1]])), [...'ab'].entries().next());
try { for (const x of 5); } catch (error) { console.log(error.name); }
