// toString in bases, toFixed, toPrecision, toExponential.
for (const x of [0, -0, 1, 0.1, 0.000001, 0.0000001, 1e21, 123456789, 1 / 3, 2 ** 53, -1.5, 5e-324, 1.7976931348623157e308, NaN, Infinity]) {
  console.log(String(x), x.toFixed(2), x.toPrecision(4), x.toExponential(3));
}
console.log((255).toString(16), (255).toString(2), (-255).toString(36), (0.5).toString(2), (0.1).toString(3), (3.75).toString(8), (1e21).toString(7));
console.log((1.005).toFixed(2), (1.45).toFixed(1), (8.345).toFixed(2), (0.5).toFixed(0), (1.5).toFixed(0), (2.5).toFixed(0), (-1.5).toFixed(0), (1e21).toFixed(2));
console.log((123.456).toPrecision(2), (0.00001).toPrecision(1), (1e-10).toFixed(10), (12345.6789).toExponential(), (0).toExponential(2));
console.log(0.1 * 3, 1 / 3, 100 / 3, 1e16 + 1, 9007199254740993, 4.35 * 100, 1.1 + 2.2);
