// Many timers with equal and different delays keep their order.
const out = []; const delays = [90, 30, 60, 30, 90, 60, 30];
delays.forEach((d, i) => setTimeout(() => out.push(`${d}#${i}`), d));
setTimeout(() => { out.push('a'); Promise.resolve().then(() => out.push('micro')); process.nextTick(() => out.push('tick')); }, 1);
setTimeout(() => out.push('b'), 1);
setTimeout(() => console.log(out.join(' ')), 150);
const t = setTimeout(() => out.push('cancelled'), 45); setTimeout(() => clearTimeout(t), 3);
