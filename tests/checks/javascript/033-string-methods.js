// Searching, cutting, padding and repeating.
const s = '  The quick brown fox  ';
console.log([s.trim(), s.trimStart(), s.trimEnd()]);
const t = s.trim();
console.log(t.slice(4, 9), t.slice(-3), t.substring(9, 4), t.substr(-3, 2), t.at(-1), t.charAt(99) === '');
console.log(t.indexOf('o'), t.lastIndexOf('o'), t.includes('quick'), t.startsWith('quick', 4), t.endsWith('The', 3));
console.log('5'.padStart(3, '0'), '5'.padEnd(3, 'ab'), 'abc'.padStart(2), 'x'.padStart(6, '123'));
console.log('ab'.repeat(3), 'ab'.repeat(0) === '', 'a-b-c'.replaceAll('-', '+'), 'a-b-c'.replace('-', '+'));
console.log('Hello'.split('').reverse().join(''), 'ÀÉ'.toLowerCase(), 'straße'.toUpperCase(), 'İ'.toLowerCase().length);
console.log('b' > 'a', 'B' > 'a', '10' < '9', '10' < 9, 'a'.concat(1, null, [2, 3]));
console.log('abc'.codePointAt(1), String.fromCodePoint(128512), String.fromCharCode(72, 105), 'z'.charCodeAt(5));
console.log([...'abc'].map((ch) => ch.charCodeAt().toString(2).padStart(8, '0')).join(' '));
console.log('x'.normalize() === 'x', 'é'.normalize('NFD').length, 'e\u0301'.normalize('NFC').length, 'ﬁ'.normalize('NFKC'));
try { 'x'.repeat(-1); } catch (error) { console.log(error.name); }
