// Surrogate pairs, well-formedness, escapes and comparison by code unit.
const s = 'a😀é';
console.log(s.length, [...s].length, s.charCodeAt(1), s.codePointAt(1), s.codePointAt(2));
console.log(s.split(''), Array.from(s));
console.log('\u{1F468}\u200D\u{1F469}\u200D\u{1F467}'.length, '\x41\u0042\u{43}\103'.length === 4 ? 'ok' : 'no');
console.log(encodeURIComponent(s), decodeURIComponent('%F0%9F%98%80'), encodeURI('http://x/y z?q=é&r=1#h'), escape('é ü'), unescape('%u0107%20'));
try { encodeURIComponent('\ud800'); } catch (error) { console.log(error.name); }
console.log(['z', 'a', 'Z', 'é', 'A', '😀', '\uffff'].sort().map((c) => c.codePointAt(0).toString(16)));
console.log('\ud83d' + '\ude00', ['\ud83d'], JSON.stringify('\ud83d'), 'I'.toLowerCase(), 'ß'.toUpperCase(), 'Σ'.toLowerCase(), 'ΑΣ'.toLowerCase());
console.log(new TextEncoder().encode('é😀'), new TextDecoder().decode(new Uint8Array([226, 130, 172, 255])));
