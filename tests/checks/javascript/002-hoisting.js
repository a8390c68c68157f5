// Function declarations are hoisted, var is undefined before its line, let is not readable.
console.log(typeof hoisted, hoisted());
function hoisted() { return 'ready'; }
console.log(early);
var early = 1;
console.log(early);
try {
  console.log(late);
  let late = 2;
} catch (error) {
  console.log(error instanceof ReferenceError, error.name);
}
console.log(typeof undeclared);
{
  function inBlock() { return 'block'; }
}
console.log(typeof inBlock);
(function named() { console.log(typeof named); })();
console.log(typeof named);
