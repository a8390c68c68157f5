import assert from 'node:assert';
import { test } from 'node:test';
import { greet } from './greeting.js';

test('greets a name', () => {
  assert.deepStrictEqual(greet('you'), { summary: 'hello you' });
});

test('finds an empty name', () => {
  assert.strictEqual(greet(' ').problem, 'the name is empty');
});
