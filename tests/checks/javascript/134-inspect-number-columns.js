// Arrays of numbers and short strings are laid out in columns.
console.log(Array.from({ length: 10 }, (_, i) => i));
console.log(Array.from({ length: 25 }, (_, i) => 2 ** i));
console.log(Array.from({ length: 16 }, (_, i) => (i % 2 ? -1 : 1) * i * 1.5));
console.log(Array.from({ length: 27 }, (_, i) => String.fromCharCode(97 + i % 26).repeat(1 + i % 5)));
console.log(Array.from({ length: 8 }, (_, i) => [i, i * i]));
console.log({ values: Array.from({ length: 12 }, (_, i) => i * 100), name: 'x' });
console.log(Array.from({ length: 7 }, (_, i) => i % 2 === 0), Array.from({ length: 7 }, () => null), Array.from({ length: 9 }, (_, i) => BigInt(i) ** 9n));
console.log(new Set(Array.from({ length: 9 }, (_, i) => i)), new Uint8Array(20).map((_, i) => i * 12));
console.log(Array.from({ length: 101 }, (_, i) => i % 7).length, Array.from({ length: 102 }, (_, i) => 'v' + i));
