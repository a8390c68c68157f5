#!/usr/bin/env node
'use strict'

/* global injected */

const fs = require('node:fs')
const { join, resolve: absolute } = require('path')

class Stack {
  #items = []
  static limit = 10
  static { Stack.instances = new WeakSet() }

  constructor(...items) {
    this.#items.push(...items)
    Stack.instances.add(this)
  }

  get size() { return this.#items.length }
  set size(value) { this.#items.length = value }

  *[Symbol.iterator]() { yield* this.#items }
  async first() { return await Promise.resolve(this.#items?.[0] ?? null) }
  has(item) { return #items in this && this.#items.includes(item) }
}

function parse(text, { strict = false, ...rest } = {}) {
  const found = /^(?<name>[\w/]+)\s*=\s*(\d+(?:\.\d+)?)$/u.exec(text)
  if (!found) {
    if (strict) throw new SyntaxError(`cannot read ${JSON.stringify(text)} with ${Object.keys(rest)}`)
    return undefined
  }
  const { groups: { name }, 2: price } = found
  return { name, price: Number(price), [`${name}!`]: true, toString() { return name } }
}

label: for (let i = 0, n = 3; i < n; i++) {
  for (const j of [1, 2, 3]) {
    if (j === i) continue label
    if (i + j > 4) break label
  }
}

switch (typeof injected) {
  case 'undefined':
  case 'function': {
    let hidden = 1
    hidden += 1
    console.log(hidden / 2 / 1, a / b)
    break
  }
  default:
    console.log(injected)
}

var a = 4, b = 2
try {
  fs.readFileSync(join(__dirname, absolute('x')))
} catch {
  process.exitCode = 1
} finally {
  console.log([...new Stack(1, 2)].map(x => x ** 2).reduce((sum, x) => sum + x, 0))
}

const compare = (x, y) => (x < y ? -1 : x > y ? 1 : 0)
let i = 0
do { i++ } while (i < 3)
if ((i = compare(1, 2))) console.log(void 0, i--, 10n ** 20n, 0b11, 0xff, 1_000)

module.exports = { Stack, parse, compare, default: async () => { for await (const x of []) console.log(x) } }
