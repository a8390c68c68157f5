// The table of implicit conversions.
const values = [0, '', '0', 'a', null, undefined, true, [], [1], {}, NaN];
for (const v of values) console.log(JSON.stringify(v) ?? String(v), Boolean(v), Number(v), String(v), v == 0, v == '', v == null);
console.log(1 + '2', '3' * '4', '5' - 2, true + true, [] + [], null + 1, undefined + 1, '5' + null, +[], +{}, -'3', !'0', !!NaN);
console.log(1 < 2 < 3, 3 > 2 > 1, '2' > '12', 2 > '12', 'a' < 'B', null >= 0, null > 0, undefined == 0, NaN != NaN, [2] > 1, 'b' + 'a' + +'a' + 'a');
console.log(typeof (1 + 1n.toString()), 1 / '0', '10' / '4', 7 + +'', [] == ![], '\n' == 0, 0 == '0x0', [1, 2] == '1,2');
console.log(1 || 2, 0 || null, 1 && 2, 0 && 1, '' ?? 'x', (null || undefined) ?? 'z', (1, 2), !1 + 1, typeof typeof 1, void 'x');
