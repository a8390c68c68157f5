// Values pass through, errors skip, finally neither takes nor changes the value.
Promise.resolve(1)
  .then((x) => x + 1)
  .then((x) => { throw new Error('at ' + x); })
  .then(() => console.log('skipped'))
  .catch((error) => { console.log('caught', error.message); return 'recovered'; })
  .finally((...args) => { console.log('finally', args.length); return 'ignored'; })
  .then((x) => console.log(x))
  .then(() => Promise.reject('plain value'))
  .catch((reason) => console.log('reason', reason));
new Promise((resolve, reject) => { resolve('once'); reject('never'); resolve('twice'); }).then(console.log);
const thenable = { then(resolve) { console.log('then called'); resolve('from thenable'); } };
Promise.resolve(thenable).then(console.log);
(async () => { console.log(await thenable); })();
console.log('sync end');
