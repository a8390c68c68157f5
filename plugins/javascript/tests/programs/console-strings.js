console.log(['it\'s', "quote\"", `both'"`, 'new\nline', 'tab\t', '\u0001', 'é', '😀']);
console.log({ s: 'a'.repeat(100) }, ['b'.repeat(80)]);
console.log(['x'.repeat(30), 'y'.repeat(30), 'z'.repeat(30)]);
console.log('multi\nline', ['multi\nline']);
