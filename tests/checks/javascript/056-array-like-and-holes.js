// Holes behave differently per method; generic methods work on array-likes.
const a = [1, , 3];
a.forEach((x, i) => console.log('forEach', i, x));
console.log(a.map((x) => 1), a.filter(() => true), [...a], Object.keys(a), a.indexOf(undefined), a.includes(undefined), a.findIndex((x) => x === undefined));
for (const x of a) console.log('of', x);
for (const i in a) console.log('in', i);
const like = { 0: 'a', 2: 'c', length: 3 };
console.log(Array.prototype.map.call(like, (x) => x + x), Array.from(like), Array.prototype.join.call(like, '-'), [].slice.call('abc'), Array.prototype.concat.call(1, 2).length);
Array.prototype.push.call(like, 'd'); console.log(like);
delete a[0]; console.log(a, a.length, 0 in a, a.flat(), a.reduce((s, x) => s + x), JSON.stringify(a), a.sort());
console.log(Array(3).join('x'), Array.apply(null, Array(2)), Array.from(Array(2)), [,].length, [, ,].length, [undefined, , null].toString());
