process.exitCode = 4; console.log('x'); process.on('beforeExit', () => console.log('before'));
