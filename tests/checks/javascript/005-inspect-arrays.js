// Arrays: grouping of more than six elements, holes, extra keys, the limit of one hundred.
console.log([1, 2, 3]);
console.log([1, 2, 3, 4, 5, 6, 7]);
console.log(Array.from({ length: 30 }, (_, i) => i * i));
console.log(Array.from({ length: 120 }, (_, i) => i));
console.log(['apple', 'banana', 'cherry', 'dragonfruit', 'elderberry', 'fig', 'grape', 'honeydew']);
console.log([, 1, , , 2, ,]);
console.log(new Array(5));
const extra = [1, 2];
extra.label = 'pair';
extra[-1] = 'minus';
console.log(extra);
console.log([undefined, null]);
console.log([[1, 2], [3, 4], [5, [6, [7, [8]]]]]);
console.log([1.5, -2.25, 1000000, 1e100, 0.1, 7, 8]);
