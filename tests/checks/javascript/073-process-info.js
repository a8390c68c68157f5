// What a program may ask of process without depending on the machine.
console.log(typeof process.argv, process.argv.length, process.argv.slice(2), typeof process.env, process.env.NO_SUCH_VARIABLE, typeof process.version, typeof process.cwd(), typeof process.pid);
process.stdout.write('no newline');
process.stdout.write('\n');
process.stdout.write('two\nlines\n');
console.log(typeof process.hrtime.bigint(), process.uptime() >= 0, typeof process.memoryUsage().heapUsed, typeof performance.now());
console.log(typeof require, typeof module, typeof exports, module.exports === exports, this === exports, require.main === module);
