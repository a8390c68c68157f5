interface P { a: number; b?: string }
enum Color { Red, Green = 5, Blue }
type T<K extends string> = Record<K, number>;
abstract class Shape<T> { constructor(protected readonly name: string, private tag?: T) {} abstract area(): number; describe(): string { return `${this.name} ${this.area().toFixed(2)}`; } }
class Circle extends Shape<number> { constructor(private r: number) { super('circle', 1); } area() { return Math.PI * this.r ** 2; } }
function id<T>(x: T): T { return x as T; }
const p: P = { a: 1 }; console.log(p!.a, Color.Blue, Color[5], new Circle(2).describe(), id<string>('s'), (p satisfies P));
namespace N { export const v = 3; } console.log(N.v); async function f(this: void, x?: number): Promise<number> { return (await Promise.resolve(x ?? 1)) * 2; } f().then((n: number) => console.log(n));
const g = async <T,>(x: T): Promise<T[]> => [x]; g(1).then(console.log); let u: unknown = 5; console.log(<number>u + 1); export {};
