// finally wins over return, break and throw.
function f(kind) {
  for (let i = 0; i < 2; i++) {
    try {
      if (kind === 'return') return 'try';
      if (kind === 'throw') throw new Error('try');
      if (kind === 'continue') continue;
    } catch (error) {
      return 'catch ' + error.message;
    } finally {
      console.log('finally', kind, i);
      if (kind === 'return') return 'finally';
    }
  }
  return 'end';
}
console.log(f('return'));
console.log(f('throw'));
console.log(f('continue'));
const steps = [];
try { try { throw 1; } finally { steps.push('inner'); } } catch (e) { steps.push('outer ' + e); }
console.log(steps);
label: { try { break label; } finally { console.log('left the block'); } }
let x = 1;
const g = () => { try { return x; } finally { x = 2; } };
console.log(g(), x);
