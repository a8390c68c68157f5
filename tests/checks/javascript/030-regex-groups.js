// Named groups, back references, replacement patterns.
const date = /(?<year>\d{4})-(?<month>\d\d)-(?<day>\d\d)/;
const m = 'on 2024-03-15 and 2025-01-02'.match(date);
console.log(m.index, m[0], m.groups.year, { ...m.groups });
console.log('2024-03-15'.replace(date, '$<day>/$<month>/$<year>'), 'abc'.replace(/(b)/, '[$1$&$`$\'$$]'));
console.log([...'2024-03-15 2025-01-02'.matchAll(/(?<y>\d{4})-(\d\d)/g)].map((x) => [x.groups.y, x[2], x.index]));
console.log(/(?<q>['"]).*?\k<q>/.exec(`say "it's" now`)[0], /(a)(b)?/.exec('ac'));
console.log('a1b22'.replace(/\d+/g, (d, offset, whole) => `<${d}@${offset}/${whole.length}>`));
console.log('x-y_z'.split(/([-_])/), 'abc'.split(''), 'a,b,,c'.split(',', 2), ''.split(','), ''.split(''));
console.log(m);
console.log('aBc'.match(/[A-Z]/g), 'abc'.match(/z/), 'abc'.match(/z/g), 'abc'.search(/c/));
