import { readFile } from 'node:fs/promises'
import type { Stats } from 'fs'

export type Shape = { kind: 'circle'; radius: number } | { kind: 'square'; side: number }
export interface Named<T extends object = {}> { readonly name: string; value?: T; [key: string]: unknown }
export enum Color { Red = 1, Green = Red << 1, Blue }
declare const VERSION: string
declare global { interface Window { own: string } }

namespace Inner {
  export const one = 1
  export function two(): number { return one + 1 }
}

abstract class Base<T> implements Named {
  name = 'base'
  protected constructor(private readonly item: T, public other?: Partial<Record<keyof T, string>>) {}
  abstract area(): number
  get it(): T { return this.item! }
  [key: string]: unknown
}

function area(shape: Shape): number
function area(shape: Shape, scale: number): number
function area(shape: Shape, scale = 1): number {
  switch (shape.kind) {
    case 'circle':
      return Math.PI * shape.radius ** 2 * scale
    case 'square':
      return shape.side * shape.side * scale
    default: {
      const never: never = shape
      throw new TypeError(`unknown ${never as string}`)
    }
  }
}

const isNamed = (it: unknown): it is Named => typeof it === 'object' && it !== null && 'name' in it
const identity = <T,>(it: T): T => it
type Unwrap<T> = T extends Promise<infer U> ? Unwrap<U> : T

export function View({ items, onPick }: { items: Named[]; onPick?: (it: Named) => void }) {
  return (
    <>
      <ul className="list" data-x={1} {...{ id: 'a' }}>
        {items.filter(isNamed).map((it) => (
          <li key={it.name} onClick={() => onPick?.(it)}>
            don't {it.name} &amp; {`${identity(it.value)}`}
          </li>
        ))}
      </ul>
      <input disabled />
    </>
  )
}

export default async function load(path: string): Promise<Stats | Unwrap<Promise<string>>> {
  const text = await readFile(path, 'utf8')
  console.log(area({ kind: 'square', side: 2 }), Inner.two(), Color.Red, VERSION, Base, <T,>(x: T) => x)
  return text satisfies string
}
