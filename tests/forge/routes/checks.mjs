// What tools say of a commit: check runs, which Apps alone make, and statuses.

import * as shapes from '../shapes.mjs';
import { Refusal, invalid, missing } from '../refusal.mjs';
import { demandCommits, paged } from './common.mjs';

const R = '/repos/{owner}/{repo}';

/** Statuses of one commit with one context, at most. */
const STATUSES_MAX = 1000;

async function commitOf(at) {
  await demandCommits(at.git);
  const sha = await at.git.commitOf(at.path.ref);
  if (!sha) throw at.operation.template.endsWith('check-runs') ? invalid(`No commit found for SHA: ${at.path.ref}`) : missing();
  return sha;
}

const outputOf = (given) => ({ title: given?.title ?? null, summary: given?.summary ?? null, text: given?.text ?? null });

function runOf(at) {
  const found = at.repository.checks.find((one) => one.id === Number(at.path.check_run_id));
  if (!found) throw missing();
  return found;
}

const tellRun = (at, run, action) => at.world.deliveries.happened(at, at.repository, 'check_run', () => ({ action, check_run: { ...shapes.checkRun(at, at.repository, run), check_suite: suiteOf(at, run) } }));

const suiteOf = (at, run) => ({
  id: run.suite,
  node_id: Buffer.from(`CheckSuite:${run.suite}`).toString('base64'),
  head_branch: null,
  head_sha: run.head_sha,
  status: run.status,
  conclusion: run.conclusion,
  before: null,
  after: run.head_sha,
  pull_requests: [],
  app: shapes.app(at),
  created_at: run.started_at,
  updated_at: run.completed_at ?? run.started_at,
  url: `${shapes.repositoryApi(at, at.repository)}/check-suites/${run.suite}`,
});

/** Says of a run what a request says; a conclusion completes it. */
function say(at, run, body) {
  for (const name of ['name', 'details_url', 'external_id', 'status', 'started_at']) if (body[name] !== undefined) run[name] = body[name];
  if (body.output) {
    run.output = { ...run.output, ...outputOf(body.output) };
    // Each request adds annotations.
    run.annotations.push(...(body.output.annotations ?? []));
  }
  if (body.conclusion) Object.assign(run, { conclusion: body.conclusion, status: 'completed' });
  if (run.status === 'completed') {
    if (!run.conclusion) throw invalid('Invalid request.\n\n"conclusion" wasn\'t supplied.');
    run.completed_at = body.completed_at ?? run.completed_at ?? at.world.now();
  } else {
    Object.assign(run, { conclusion: null, completed_at: null });
  }
}

function demandApp(at) {
  if (at.principal.kind !== 'installation') throw new Refusal(403, 'You must authenticate via a GitHub App.');
}

export const checks = {
  [`POST ${R}/check-runs`]: async (at) => {
    demandApp(at);
    const { repository, body } = at;
    if (!(await at.git.has(body.head_sha, 'commit'))) throw invalid(`No commit found for SHA: ${body.head_sha}`);
    const suite = repository.checks.find((one) => one.head_sha === body.head_sha)?.suite ?? at.world.id();
    const run = { id: at.world.id(), suite, head_sha: body.head_sha, name: body.name, external_id: '', details_url: undefined, status: 'queued', conclusion: null, started_at: at.world.now(), completed_at: null, output: outputOf(), annotations: [] };
    say(at, run, body);
    repository.checks.push(run);
    await tellRun(at, run, 'created');
    if (run.status === 'completed') await tellRun(at, run, 'completed');
    return { status: 201, body: shapes.checkRun(at, repository, run) };
  },

  [`PATCH ${R}/check-runs/{check_run_id}`]: async (at) => {
    demandApp(at);
    const run = runOf(at);
    const was = run.status;
    const next = { ...run, annotations: [...run.annotations] };
    say(at, next, at.body);
    Object.assign(run, next);
    if (run.status === 'completed' && was !== 'completed') await tellRun(at, run, 'completed');
    return { body: shapes.checkRun(at, at.repository, run) };
  },

  [`GET ${R}/check-runs/{check_run_id}`]: async (at) => ({ body: shapes.checkRun(at, at.repository, runOf(at)) }),

  [`GET ${R}/commits/{ref}/check-runs`]: async (at) => {
    const { repository, query } = at;
    const sha = await commitOf(at);
    let found = repository.checks.filter((one) => one.head_sha === sha);
    if (query.has('check_name')) found = found.filter((one) => one.name === query.get('check_name'));
    if (query.has('app_id')) found = found.filter(() => String(at.world.app.id) === query.get('app_id'));
    // The latest of each name, unless all are asked for.
    if ((query.get('filter') ?? 'latest') === 'latest') found = found.filter((one) => !found.some((other) => other.name === one.name && other.id > one.id));
    if (query.has('status')) found = found.filter((one) => one.status === query.get('status'));
    const newest = [...found].reverse();
    return paged(query, newest, (one) => shapes.checkRun(at, repository, one), { wrap: (check_runs) => ({ total_count: found.length, check_runs }) });
  },

  [`POST ${R}/statuses/{sha}`]: async (at) => {
    const { repository, body } = at;
    if (!(await at.git.has(at.path.sha, 'commit'))) throw invalid(`No commit found for SHA: ${at.path.sha}`);
    const context = body.context ?? 'default';
    if (repository.statuses.filter((one) => one.sha === at.path.sha && one.context === context).length >= STATUSES_MAX) {
      throw invalid('Validation Failed', [{ resource: 'Status', code: 'custom', message: 'This SHA and context has reached the maximum number of statuses.' }]);
    }
    const made = { id: at.world.id(), sha: at.path.sha, state: body.state, context, description: body.description ?? null, target_url: body.target_url ?? null, creator: at.world.actor(at.principal), created_at: at.world.now() };
    repository.statuses.push(made);
    return { status: 201, body: shapes.status(at, repository, made) };
  },

  [`GET ${R}/commits/{ref}/status`]: async (at) => {
    const { repository, query } = at;
    const sha = await commitOf(at);
    const said = repository.statuses.filter((one) => one.sha === sha).reverse();
    const latest = said.filter((one, index) => said.findIndex((other) => other.context === one.context) === index);
    const has = (...states) => latest.some((one) => states.includes(one.state));
    const state = has('failure', 'error') ? 'failure' : latest.length === 0 || has('pending') ? 'pending' : 'success';
    const minimal = await shapes.repository(at, repository);
    const url = `${shapes.repositoryApi(at, repository)}/commits/${sha}`;
    return paged(query, latest, (one) => shapes.simpleStatus(at, repository, one), {
      wrap: (statuses) => ({ state, statuses, sha, total_count: latest.length, repository: minimal, commit_url: url, url: `${url}/status` }),
    });
  },

  [`GET ${R}/commits/{ref}/statuses`]: async (at) => {
    const sha = await commitOf(at);
    const said = at.repository.statuses.filter((one) => one.sha === sha).reverse();
    return paged(at.query, said, (one) => shapes.status(at, at.repository, one));
  },
};
