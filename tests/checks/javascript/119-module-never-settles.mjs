// A top-level await that nothing can settle ends with exit code 13.
console.log('waiting for nothing');
await new Promise(() => {});
console.log('never');
