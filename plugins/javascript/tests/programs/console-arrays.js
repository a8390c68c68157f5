console.log(Array.from({ length: 30 }, (_, i) => i * 3));
console.log(Array.from({ length: 120 }, (_, i) => i));
console.log(['apple', 'banana', 'cherry', 'dragonfruit', 'elderberry', 'fig', 'grape', 'honeydew']);
console.log([1, , 3, , , 6], new Array(5), [1.5, 2.25, -3, 100, 7, 8, 9]);
const a = [1, 2]; a.x = 'y'; a[-1] = 0; console.log(a);
console.log([['a', 1], ['b', 2]], [{ a: 1 }, { a: 2 }]);
