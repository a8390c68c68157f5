// The agent PLUGIN: joins the host's interfaces to `greeting.js`.

import { get } from 'wasi:config/store@0.2.0-rc.1';
import { log } from 'wasi:logging/logging@0.1.0-draft';
import { greet } from './greeting.js';

export function run(invocation) {
  // A string in the agent's settings comes as it is, everything else as JSON.
  const name = get('name') ?? 'world';
  log('info', '', `run ${invocation.runId} greets ${name}`);
  const { summary, problem } = greet(name);
  const findings = problem === undefined ? [] : [{
    rule: 'PLUGIN/no-name',
    level: 'error',
    message: problem,
    help: "set `name` in the agent's settings",
  }];
  return {
    verdict: findings.length > 0 ? 'failed' : 'passed',
    summary,
    findings,
    output: JSON.stringify({ name }),
    effects: [],
  };
}
