// A recursive descent parser with precedence, unary minus, power and errors.
function evaluate(text) {
  const tokens = text.match(/\d+(\.\d+)?|[-+*\/^()%]|\S/g) ?? []; let at = 0;
  const peek = () => tokens[at], take = () => tokens[at++];
  const primary = () => { const t = take(); if (t === '(') { const v = sum(); if (take() !== ')') throw new SyntaxError('expected )'); return v; } if (t === '-') return -power(); if (/^\d/.test(t ?? '')) return Number(t); throw new SyntaxError(t === undefined ? 'unexpected end' : `unexpected ${t}`); };
  const power = () => { const b = primary(); return peek() === '^' ? (take(), b ** power()) : b; };
  const product = () => { let v = power(); while ('*/%'.includes(peek() ?? '?')) { const o = take(), r = power(); v = o === '*' ? v * r : o === '/' ? v / r : v % r; } return v; };
  const sum = () => { let v = product(); while (peek() === '+' || peek() === '-') v = take() === '+' ? v + product() : v - product(); return v; };
  const v = sum(); if (at < tokens.length) throw new SyntaxError(`unexpected ${peek()}`); return v;
}
for (const e of ['1 + 2 * 3', '(1 + 2) * 3', '2 ^ 3 ^ 2', '-2 ^ 2', '10 / 4 - 1', '7 % 4 * 2', '1 / 0', '2 * (3 + (4 - 1)) / 9', '', '1 +', '(1', '1 2', 'a + 1', '0.1 + 0.2']) {
  try { console.log(e, '=', evaluate(e)); } catch (error) { console.log(e, '!', error.message); }
}
