// A name that was never declared.
console.log('line one');
(function outer() { (function inner() { console.log(neverDeclared); })(); })();
