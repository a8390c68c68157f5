// Number, parseInt and parseFloat on odd input.
for (const t of ['', ' ', '42', ' 42\n', '4_2', '0x1F', '0b101', '0o17', '1e3', '-0', '+5', '.5', '5.', '1,000', 'Infinity', 'infinity', 'abc', '12px', '0x', '--1', '1e1000', '\u00a07']) {
  console.log(JSON.stringify(t), Number(t), parseInt(t), parseFloat(t));
}
console.log(parseInt('101', 2), parseInt('zz', 36), parseInt('9', 8), parseInt('0x1f', 16), parseInt('12', 1), parseInt(null, 36), parseInt(0.0000005), parseInt('123', 37));
console.log(Number(null), Number(undefined), Number(true), Number([]), Number([7]), Number([1, 2]), Number({}), Number(new Date(5)), Number('12n'), Number(12n));
console.log(Number.isInteger(5.0), Number.isSafeInteger(2 ** 53), Number.isNaN('x'), isNaN('x'), Number.isFinite('1'), isFinite('1'), Number.EPSILON > 0, Number.MAX_SAFE_INTEGER);
console.log(['1', '2', '3'].map(parseInt), ['10', '10', '10'].map(Number));
