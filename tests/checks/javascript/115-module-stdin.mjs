// Standard input in a module.
import { readFileSync } from 'node:fs';
const words = readFileSync(0, 'utf8').split(/\s+/).filter(Boolean);
const longest = words.reduce((a, b) => (b.length > a.length ? b : a), '');
console.log(words.length, longest, [...new Set(words.map((w) => w.length))].sort((a, b) => a - b));
