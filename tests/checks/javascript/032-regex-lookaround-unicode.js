// Lookahead, lookbehind, unicode properties and code points.
console.log('price $42, cost €17'.match(/(?<=\$)\d+/g), 'price $42, cost €17'.match(/(?<!\$|\d)\d+/g));
console.log('foobar foobaz'.match(/foo(?=baz)/).index, 'foobar foobaz'.match(/foo(?!bar)/).index);
console.log('1234567.891'.replace(/\B(?=(\d{3})+(?!\d|$)(?=\.))/g, ','), '1234567'.replace(/\B(?=(\d{3})+$)/g, ','));
console.log('a😀b'.match(/./g).length, 'a😀b'.match(/./gu).length, /^.$/u.test('😀'), /\u{1F600}/u.test('😀'));
console.log('Ünïcödé Ωμέγα 日本'.match(/\p{L}+/gu), 'aB1٣'.match(/\p{N}/gu), 'aΩ'.match(/\p{Script=Greek}/u)[0]);
console.log(/[^\x00-\x7f]/.test('plain'), 'ſ'.match(/s/i), 'ſ'.match(/s/iu)?.[0], /\w/u.test('é'));
console.log('camelCaseStringHere'.replace(/(?<!^)([A-Z])/g, '_$1').toLowerCase());
console.log('aaa'.match(/a{2}?/)[0], 'aaa'.match(/a*?$/)[0], '<<a>>'.match(/<.+?>/)[0], 'abab'.match(/^(?:ab)+$/)[0]);
