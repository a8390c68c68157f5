const util = require('util');
console.log(util.format('%s %s', 'a'), util.format('a', 'b', { c: 1 }), util.format('%d', '0x10'), util.format(1, 2, '3'));
console.log(util.inspect('str'), util.inspect([1, [2, [3, [4]]]], { depth: 0 }), util.inspect({ a: 1, b: 2 }, { compact: false }));
console.log(util.inspect(new Map([[1, 2]]), { showHidden: false }), util.isDeepStrictEqual({ a: [1] }, { a: [1] }), util.types.isDate(new Date()));
class P { [util.inspect.custom](d, o) { return `P<${d}>`; } } console.log(new P(), [new P()]);
console.log(util.inspect('a'.repeat(5), { colors: true }));
