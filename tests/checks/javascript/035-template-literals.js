// Nesting, tags, raw strings and cached template objects.
const name = 'World', n = 3;
console.log(`Hello ${name}! ${n > 2 ? `big ${n}` : 'small'} ${[1, 2, 3].map((x) => `<${x}>`).join('')}`);
console.log(`line one
line two \${escaped} \u0041`);
function tag(strings, ...values) { return strings.raw.map((s, i) => s + (i < values.length ? `[${typeof values[i]}:${values[i]}]` : '')).join(''); }
console.log(tag`a${1}b\n${'two'}c${null}`);
console.log(String.raw`C:\new\${1 + 1}`, String.raw({ raw: ['x', 'y', 'z'] }, 1, 2));
const same = (s) => s;
const again = () => same`x${1}y`;
console.log(again() === again(), Object.isFrozen(again()), again(), again().raw);
console.log(`${{}}`, `${[]}`, `${[1, [2]]}`, `${() => 1}`, `${{ toString: () => 'custom' }}`, `${{ valueOf: () => 1, toString: () => 's' }}` );
console.log(((s) => s[0])`\unicode`);
