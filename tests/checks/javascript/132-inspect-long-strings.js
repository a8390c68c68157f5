// Long strings in arrays and objects, multi-line strings, quotes chosen.
console.log({ text: 'x'.repeat(100), n: 1 });
console.log(['a'.repeat(40), 'b'.repeat(40)]);
console.log({ multi: 'line one\nline two\nline three is a bit longer than the others so it breaks', z: 1 });
console.log([["it's"], ['"'], ['`'], ['\'"'], ['\'"`'], ['\\n'], ['\n']]);
console.log('x'.repeat(200).length, { ['key with space']: 1, "quote'key": 2, 'üñí': 3, $ok: 4, '1a': 5, 'a-b': 6 });
console.log({ a: 'short', b: ['medium length text here', 'and one more'], c: { d: 'deep text', e: 'more deep text value' } });
console.log(['one', 'two', 'three'].map((s) => s.repeat(12)));
