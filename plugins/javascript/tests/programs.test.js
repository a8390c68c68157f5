// Programs print the same here as in node.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { transform } from 'sucrase';
import { runProgram } from './harness.js';

const folder = new URL('programs/', import.meta.url);
const scratch = mkdtempSync(join(tmpdir(), 'programs-'));
const STDIN = '1\n22\nthird line\n';

for (const name of readdirSync(folder).sort()) {
  test(name, async () => {
    const text = readFileSync(new URL(name, folder), 'utf8');
    // Node of this version takes no types; every program without import is CommonJS there.
    const plain = name.endsWith('.ts') ? transform(text, { transforms: ['typescript', 'imports'], disableESTransforms: true }).code : text;
    const real = name.endsWith('.mjs') ? name : `${name.replace(/\.\w+$/, '')}.cjs`;
    writeFileSync(join(scratch, real), plain);
    const node = spawnSync(process.execPath, [real, 'one', 'two'], { cwd: scratch, input: STDIN, encoding: 'utf8', env: { TZ: 'UTC' } });
    const here = await runProgram({ [name]: text }, name, { args: ['one', 'two'], stdin: STDIN });
    assert.equal(here.stdout, node.stdout);
    assert.equal(here.answer.exitCode, node.status);
  });
}
