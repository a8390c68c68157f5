// Timers with arguments, clearing, intervals and nesting.
const log = [];
const skipped = setTimeout(() => log.push('never'), 5);
clearTimeout(skipped);
let ticks = 0;
const interval = setInterval((label) => {
  log.push(label + ++ticks);
  if (ticks === 3) {
    clearInterval(interval);
    setTimeout(() => { log.push('last'); console.log(log); }, 1);
  }
}, 3, 'tick');
setTimeout((a, b) => log.push(a + b), 0, 'x', 'y');
clearTimeout(undefined);
clearTimeout(12345678);
console.log(typeof setTimeout, log.length);
