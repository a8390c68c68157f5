// Palindromes, anagrams, caesar, run lengths, roman numerals, KMP.
const pal = (s) => { const t = s.toLowerCase().replace(/[^a-z0-9]/g, ''); return t === [...t].reverse().join(''); };
console.log(pal('A man, a plan, a canal: Panama'), pal('nope'), pal(''));
console.log(Object.values(['eat', 'tea', 'tan', 'ate', 'nat', 'bat'].reduce((g, w) => { const k = [...w].sort().join(''); (g[k] ??= []).push(w); return g; }, {})));
const caesar = (s, k) => s.replace(/[a-z]/gi, (c) => String.fromCharCode((c.charCodeAt() % 32 - 1 + k + 26) % 26 + (c < 'a' ? 65 : 97)));
console.log(caesar('Hello, World!', 3), caesar(caesar('Hello, World!', 3), -3));
const rle = (s) => s.replace(/(.)\1*/g, (r, c) => (r.length > 1 ? r.length : '') + c), unrle = (s) => s.replace(/(\d+)(.)/g, (_, n, c) => c.repeat(n));
console.log(rle('aaabccddddd'), unrle(rle('aaabccddddd')));
const roman = (n) => [[1000, 'M'], [900, 'CM'], [500, 'D'], [400, 'CD'], [100, 'C'], [90, 'XC'], [50, 'L'], [40, 'XL'], [10, 'X'], [9, 'IX'], [5, 'V'], [4, 'IV'], [1, 'I']].reduce((r, [v, s]) => { while (n >= v) { r += s; n -= v; } return r; }, '');
console.log([1, 4, 9, 14, 40, 90, 400, 1994, 2024, 3999].map(roman).join(' '));
function kmp(text, p) { const f = [0]; for (let i = 1, k = 0; i < p.length; i++) { while (k && p[i] !== p[k]) k = f[k - 1]; if (p[i] === p[k]) k++; f[i] = k; } const at = []; for (let i = 0, k = 0; i < text.length; i++) { while (k && text[i] !== p[k]) k = f[k - 1]; if (text[i] === p[k]) k++; if (k === p.length) { at.push(i - k + 1); k = f[k - 1]; } } return at; }
console.log(kmp('abababcababab', 'abab'), kmp('aaaa', 'b'));
