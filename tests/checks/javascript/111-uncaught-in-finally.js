// An error in finally replaces the first one.
try { throw new Error('first'); } finally { console.log('finally'); throw new TypeError('second'); }
