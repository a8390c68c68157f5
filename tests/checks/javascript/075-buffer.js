// Buffers: encodings, slices share memory, comparison.
const b = Buffer.from('héllo', 'utf8');
console.log(b.length, b.toString('hex'), b.toString('base64'), b.toString('latin1').length, b);
console.log(Buffer.from('68656c6c6f', 'hex').toString(), Buffer.from('aGk=', 'base64').toString(), Buffer.alloc(3), Buffer.alloc(4, 'ab').toString(), Buffer.concat([Buffer.from('a'), Buffer.from('b')]).toString());
const part = b.subarray(0, 1); part[0] = 72; console.log(b.toString(), b.indexOf('l'), b.includes('llo'), b.equals(Buffer.from('Héllo')), Buffer.compare(Buffer.from('a'), Buffer.from('b')));
const n = Buffer.alloc(8); n.writeUInt32BE(0xdeadbeef, 0); n.writeInt16LE(-2, 4);
console.log(n.toString('hex'), n.readUInt16BE(0), n.readInt16LE(4), [...n.slice(0, 2)], Buffer.byteLength('€'), Buffer.isBuffer(n), JSON.stringify(Buffer.from('ab')));
console.log(btoa('hello'), atob('aGVsbG8='), Buffer.from([256, -1, 1.9]));
