// Git's hook for pushes over HTTP: asks the stand-in whether a push may be. Only here are its objects to be seen before it is accepted.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const NONE = /^0+$/;

function workflowsOf(id) {
  const said = spawnSync('git', ['ls-tree', '-r', '-z', '--full-tree', id, '--', '.github/workflows'], { encoding: 'utf8' });
  return (said.stdout ?? '').split('\0').filter(Boolean).map((line) => `${line.slice(line.indexOf('\t') + 1)} ${line.split(/[ \t]/)[2]}`);
}

const updates = readFileSync(0, 'utf8').split('\n').filter(Boolean).map((line) => {
  const [before, after, ref] = line.split(' ');
  const both = !NONE.test(before) && !NONE.test(after);
  const forced = both && spawnSync('git', ['merge-base', '--is-ancestor', before, after]).status !== 0;
  return { before, after, ref, forced, workflows: NONE.test(after) ? [] : workflowsOf(after) };
});

const answer = await fetch(process.env.STAND_IN, { method: 'POST', body: JSON.stringify({ push: process.env.STAND_IN_PUSH, updates }) });
const { refused } = await answer.json();
if (refused) {
  process.stderr.write(`error: ${refused}\n`);
  process.exit(1);
}
