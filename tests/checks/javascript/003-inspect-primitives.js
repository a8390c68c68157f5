// How console.log shows primitives alone and inside containers.
console.log('text', 1, -0, 0, NaN, Infinity, true, null, undefined, 10n, Symbol('s'));
console.log(['text', 1, -0, 0, NaN, -Infinity, false, null, undefined, 10n, Symbol('s'), Symbol()]);
console.log({ a: 'it\'s', b: "say \"hi\"", c: 'both \' and "', d: 'all \' " `', e: 'line\nbreak\ttab' });
console.log('line\nbreak');
console.log(['\u0000', '\u001b[0m', '\\', '\u007f', 'é', '日本', '😀']);
console.log('');
console.log([]);
console.log(['']);
console.log();
console.log(1e21, 1e-7, 123456789012345680000, 0.1 + 0.2);
