// Format placeholders of console.log.
console.log('%s is %d years and %i months', 'Ada', 36.5, 7.9);
console.log('%f %f', '3.25', 'x');
console.log('%o', 'text', '%s');
console.log('%j', { a: [1, 2] });
console.log('100%', 'done', '%');
console.log('%% %s', 'after');
console.log('%s %s', 'one');
console.log('%s', 'one', 'two', { three: 3 });
console.log('%s %s %s %s', null, undefined, 5n, Symbol('x'));
console.log('%d %i %d', '42', '42.9', 7n);
console.log('%s', -0, [1, [2, [3]]]);
console.log('%x %q', 1, 2);
console.log('%c styled', 'color: red');
console.log(5, '%s', 'x');
