// An error in a timer stops the timers that come later.
setTimeout(() => console.log('first'), 1);
setTimeout(() => { throw new TypeError('in timer'); }, 5);
setTimeout(() => console.log('never'), 30);
