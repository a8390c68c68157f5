let s = ''; for await (const c of process.stdin) s += c; console.log(s.toUpperCase());
