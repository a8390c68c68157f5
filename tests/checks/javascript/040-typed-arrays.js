// Conversion on store, views on one buffer, endianness.
const u8 = new Uint8Array([1, 256, -1, 3.7, NaN]);
console.log(u8, new Uint8ClampedArray([300, -5, 1.5, 2.5]), new Int8Array([200]), new Uint32Array([-1]));
const buffer = new ArrayBuffer(8);
const view = new DataView(buffer);
view.setUint16(0, 0x1234); view.setUint16(2, 0x1234, true); view.setFloat32(4, 1.5);
console.log(new Uint8Array(buffer), view.getInt8(0), view.getUint32(0).toString(16), view.getFloat32(4));
const words = new Uint16Array(buffer, 2, 1);
words[0] = 7; words[5] = 9;
console.log(words.length, words.byteOffset, words[5], new Uint8Array(buffer).slice(0, 4));
const f = Float32Array.of(1.1, 2.2);
console.log(f[0] === 1.1, f[0].toFixed(4), Array.from(f, (x) => Math.round(x)), f.map((x) => x * 2).length);
const sub = u8.subarray(1, 3); sub[0] = 99;
console.log(u8[1], [...sub], u8.join('-'), u8.indexOf(99), u8.includes(0), [...u8.entries()][0]);
console.log(new Float64Array([3, -0, NaN, 1, -Infinity]).sort(), new Int16Array([5, 1, 4]).toString(), new BigInt64Array([1n, -1n]), new BigUint64Array([-1n]));
u8.set([7, 8], 3); u8.copyWithin(0, 3); u8.fill(5, 4);
console.log(u8, buffer.slice(0, 2).byteLength, ArrayBuffer.isView(view));
try { new Uint16Array(buffer, 1); } catch (error) { console.log(error.name); }
try { view.getInt32(6); } catch (error) { console.log(error.name); }
