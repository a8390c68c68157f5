// process.exit in a module.
import process from 'node:process';
console.log('leaving with five');
await null;
process.exit(5);
console.log('never');
