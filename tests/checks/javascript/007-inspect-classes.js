// Instances carry their class name; accessors and symbols are marked.
class Point { constructor(x, y) { this.x = x; this.y = y; } }
class Point3 extends Point { constructor(x, y, z) { super(x, y); this.z = z; } }
class Empty {}
class Secret { #hidden = 1; shown = 2; static count = 0; }
console.log(new Point(1, 2), new Point3(1, 2, 3), new Empty(), new Secret());
console.log(Point, Point3, Secret, class {});
console.log({ get a() { return 1; }, set b(v) {}, get c() { return 1; }, set c(v) {} });
class Tagged { get [Symbol.toStringTag]() { return 'Label'; } }
console.log(new Tagged(), String(new Tagged()));
console.log(Object.assign(() => {}, { prop: 1 }));
console.log(function () {}, function named() {}, async () => {}, function* gen() {}, async function* agen() {}, async function named2() {});
class Stack extends Array {}
console.log(Stack.from([1, 2]), new (class Dict extends Map {})([['a', 1]]));
