// A calculator with variables on standard input; errors set the exit code.
const vars = Object.create(null); let errors = 0;
require('fs').readFileSync(0).toString().split('\n').forEach((line, i) => {
  if (!line.trim() || line.startsWith('#')) return;
  try {
    const m = /^\s*([a-z]\w*)\s*=\s*(.+)$/i.exec(line); const expression = m ? m[2] : line;
    if (!/^[\w\s.+\-*\/()%]+$/.test(expression)) throw new SyntaxError('bad character');
    const value = Function(...Object.keys(vars), `return (${expression})`)(...Object.values(vars));
    if (m) vars[m[1]] = value; console.log(`${i + 1}: ${m ? m[1] + ' = ' : ''}${value}`);
  } catch (error) { errors++; console.log(`${i + 1}: ${error.name}`); }
});
console.log(vars, errors); process.exitCode = errors;
