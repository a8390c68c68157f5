console.log(new Uint8Array([1, 2, 3]), new Float32Array(2), new ArrayBuffer(4), new BigInt64Array([1n]));
console.log(Buffer.from('héllo'), Buffer.from('68656c6c6f', 'hex').toString(), Buffer.from('hi').toString('base64'));
console.log(new Uint8Array(200));
