process.on('exit', (c) => console.log('code', c)); (async () => { await null; throw new Error('r'); })(); setTimeout(() => console.log('never'), 100);
