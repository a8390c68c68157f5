const s = require('fs').readFileSync(0, 'utf8'); console.log(s.length, s.trim().split('\n').length, JSON.stringify(s));
