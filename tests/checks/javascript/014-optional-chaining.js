// Optional chaining stops the whole chain; ?? only looks at null and undefined.
const user = { name: 'A', address: { city: 'X' }, greet() { return 'hi ' + this.name; }, zero: 0, empty: '' };
console.log(user?.address?.city, user.phone?.number, user.phone?.number.area.code);
console.log(user.greet?.(), user.shout?.(), user['greet']?.());
console.log(user.zero ?? 1, user.zero || 1, user.empty ?? 'd', user.none ?? 'd');
let evaluated = 0;
null?.[evaluated++];
console.log(evaluated);
console.log(delete user?.zero, 'zero' in user, delete undefined?.x);
let n = null;
n ??= 5; n ||= 6; n &&= 7;
console.log(n);
try { (null)?.a.b; (undefined?.a).b; } catch (error) { console.log(error.name); }
