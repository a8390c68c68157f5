const path = require('node:path'); console.log(path.resolve('/a', 'b', '../c'), path.basename('/x/y.txt', '.txt'), path.extname('a.b.c'), path.parse('/d/e.f'), path.relative('/a/b', '/a/c'), path.normalize('/a//b/../c'), path.isAbsolute('x'), path.sep);
const u = new URL('https://user:pw@example.com:8080/p/a/t/h?query=string&q=2#hash'); console.log(u.host, u.pathname, u.search, u.hash, u.origin, u.searchParams.get('q'), u.href, u.port, u.username);
u.searchParams.append('z', 'a b&c'); console.log(String(u), new URL('../x?y', 'http://h.com/a/b/c').href, new URL('http://EXAMPLE.com').href);
console.log(new URLSearchParams({ a: 1, b: 'x y' }).toString(), [...new URLSearchParams('a=1&a=2&b')]); try { new URL('nope'); } catch (e) { console.log(e.code, e.message); }
