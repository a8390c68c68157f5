import fs, { readFileSync } from 'node:fs';
import * as path from 'path';
import { EventEmitter } from 'node:events';
import assert, { strictEqual } from 'node:assert';
export const x = 1; export default function main() { return path.join('a', '..', 'b'); }
const { format } = await import('node:util');
console.log(main(), typeof readFileSync, fs.readFileSync === readFileSync, format('%s', 'f'), typeof EventEmitter, assert.strictEqual === strictEqual);
const v = await Promise.resolve(7); console.log(v, this === undefined, import.meta.url.startsWith('file://'));
export { v as w };
