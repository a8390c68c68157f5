// A JSON parser by hand compared with the built-in one.
function parse(s) {
  let i = 0;
  const ws = () => { while (' \n\t\r'.includes(s[i]) && i < s.length) i++; };
  const fail = () => { throw new SyntaxError(`at ${i}`); };
  function value() { ws(); const c = s[i]; let v;
    if (c === '{') { v = {}; i++; ws(); if (s[i] === '}') i++; else for (;;) { ws(); const k = string(); ws(); if (s[i++] !== ':') fail(); v[k] = value(); if (s[i] === ',') { i++; continue; } if (s[i++] === '}') break; fail(); } }
    else if (c === '[') { v = []; i++; ws(); if (s[i] === ']') i++; else for (;;) { v.push(value()); if (s[i] === ',') { i++; continue; } if (s[i++] === ']') break; fail(); } }
    else if (c === '"') v = string();
    else { const m = /^(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?)/.exec(s.slice(i)); if (!m) fail(); i += m[0].length; v = { true: true, false: false, null: null }[m[0]]; if (v === undefined) v = Number(m[0]); }
    ws(); return v; }
  function string() { if (s[i] !== '"') fail(); let out = ''; i++; while (s[i] !== '"') { if (i >= s.length) fail(); if (s[i] === '\\') { const e = s[++i]; if (e === 'u') { out += String.fromCharCode(parseInt(s.substr(i + 1, 4), 16)); i += 4; } else out += { n: '\n', t: '\t', r: '\r', b: '\b', f: '\f' }[e] ?? e; i++; } else out += s[i++]; } i++; return out; }
  const v = value(); if (i < s.length) fail(); return v;
}
for (const t of ['{"a":[1,2.5,-3e2,{"b":null}],"c":"x\\n\\u00e9\\"","d":{}}', '[]', ' [ true , false ] ', '"\\\\"', '-0', '{"a" : {"b" : {"c" : [[[]]]}}}']) console.log(JSON.stringify(parse(t)) === JSON.stringify(JSON.parse(t)), parse(t));
for (const t of ['{', '[1,]', '{"a" 1}', 'x', '1 2', '"abc']) { try { parse(t); console.log('accepted', t); } catch (error) { console.log(t, error.message); } }
