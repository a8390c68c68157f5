console.log(new Date(0), [new Date(86400000)], new Date(NaN), { d: new Date(1e12) });
console.log(/a+b/gi, [/x/], new Date(0).toISOString(), JSON.stringify(new Date(0)));
console.log(new Date(2020, 1, 29, 12, 30).toString().slice(0, 24));
