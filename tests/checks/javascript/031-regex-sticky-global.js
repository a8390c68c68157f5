// lastIndex with g and y, and a small tokenizer.
const g = /a/g;
console.log(g.test('aa'), g.lastIndex, g.test('aa'), g.lastIndex, g.test('aa'), g.lastIndex);
const y = /foo/y;
y.lastIndex = 3;
console.log(y.exec('barfoo').index, y.lastIndex, y.test('barfoo'));
function* tokens(text) {
  const re = /\s*(?:(?<num>\d+(?:\.\d+)?)|(?<id>[a-z_]\w*)|(?<op>[-+*\/()=]))/iy;
  while (re.lastIndex < text.length) {
    const at = re.lastIndex;
    const match = re.exec(text);
    if (!match) throw new SyntaxError(`bad character at ${at}`);
    const [kind, value] = Object.entries(match.groups).find(([, v]) => v !== undefined);
    yield `${kind}:${value}`;
  }
}
console.log([...tokens('x1 = 3.14*(y + 42)')].join(' '));
try { [...tokens('a $ b')]; } catch (error) { console.log(error.message); }
console.log(/x/gimsuy.flags, /a.c/s.test('a\nc'), /^b/m.test('a\nb'), String(new RegExp('/', 'g')), /[/]/.source);
