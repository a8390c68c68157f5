// Issues, which pull requests are as well; their comments and labels.

import * as shapes from '../shapes.mjs';
import { demandPermission, demandRole } from '../access.mjs';
import { Refusal, field, missing } from '../refusal.mjs';
import { rank } from '../world.mjs';
import { tell } from '../pulls.mjs';
import { paged, sorted, threadOf } from './common.mjs';

const R = '/repos/{owner}/{repo}';
const ISSUE = `${R}/issues/{issue_number}`;

/** Longest body, in characters. */
const BODY_MAX = 65536;

export function openThread(at, { title, body, labels = [], assignees = [] }) {
  const { world, repository } = at;
  if (body && body.length > BODY_MAX) throw field('Issue', 'body', 'custom', `body is too long (maximum is ${BODY_MAX} characters)`);
  const now = world.now();
  const thread = { id: world.id(), number: repository.threads.length + 1, title, body, user: world.actor(at.principal), labels, assignees, state: 'open', state_reason: null, created_at: now, updated_at: now, closed_at: null, closed_by: null, pull: null };
  repository.threads.push(thread);
  return thread;
}

/** Changes what issues and pull requests have in common; gives what is to be told of it. */
export function changeThread(at, thread, body) {
  const now = at.world.now();
  const told = [];
  const changes = {};
  for (const name of ['title', 'body']) {
    const value = body[name] === undefined ? undefined : name === 'title' ? String(body[name]) : body[name];
    if (value === undefined || value === thread[name]) continue;
    changes[name] = { from: thread[name] ?? '' };
    thread[name] = value;
  }
  if (Object.keys(changes).length > 0) told.push({ action: 'edited', changes });
  if (body.state && body.state !== thread.state) {
    const closed = body.state === 'closed';
    Object.assign(thread, { state: body.state, closed_at: closed ? now : null, closed_by: closed ? at.world.actor(at.principal) : null });
    if (!thread.pull) thread.state_reason = closed ? (body.state_reason ?? 'completed') : 'reopened';
    told.push({ action: closed ? 'closed' : 'reopened' });
  }
  thread.updated_at = now;
  return told;
}

const tellIssue = (at, thread, action, more = {}) =>
  thread.pull
    ? tell(at, at.repository, thread, action, more)
    : at.world.deliveries.happened(at, at.repository, 'issues', () => ({ action, issue: shapes.issue(at, at.repository, thread), ...more }));

/** The thread of a request. A pull request asks an App for either permission, an issue for its own. */
function issueOf(at, access) {
  const thread = threadOf(at.repository, at.path.issue_number);
  if (!thread.pull) demandPermission(at.principal, 'issues', access);
  return thread;
}

const isWriter = (at) => at.principal.kind === 'installation' || rank(at.world.role(at.repository, at.principal.account)) >= rank('triage');

/** Labels by their names; what is not there yet is made. */
function labelsFor(at, given) {
  const names = [];
  for (const one of given ?? []) {
    const name = typeof one === 'string' ? one : one.name;
    if (!name?.trim()) throw field('Label', 'name', 'missing_field');
    const held = [...at.repository.labels.keys()].find((other) => other.toLowerCase() === name.toLowerCase());
    if (!held) at.repository.labels.set(name, { id: at.world.id(), name, color: 'ededed', description: null, default: false });
    if (!names.includes(held ?? name)) names.push(held ?? name);
  }
  return names;
}

function assigneesFor(at, body) {
  const given = body.assignees ?? (body.assignee ? [body.assignee] : []);
  const found = given.map((login) => at.world.account(login));
  if (found.some((one) => !one || at.world.role(at.repository, one) === 'none')) throw field('Issue', 'assignees');
  return found;
}

function commentOf(at, access) {
  const found = at.repository.comments.find((one) => one.id === Number(at.path.comment_id));
  if (!found) throw missing();
  if (!found.thread.pull) demandPermission(at.principal, 'issues', access);
  if (access === 'write' && found.user !== at.world.actor(at.principal)) demandRole(at.world, at.repository, at.principal, 'write');
  return found;
}

function demandBody(text) {
  if (!text.trim()) throw field('IssueComment', 'body', 'missing_field');
  if (text.length > BODY_MAX) throw field('IssueComment', 'body', 'custom', `body is too long (maximum is ${BODY_MAX} characters)`);
}

const tellComment = (at, one, action, more = {}) =>
  at.world.deliveries.happened(at, at.repository, 'issue_comment', () => ({
    action,
    issue: shapes.issue(at, at.repository, one.thread),
    comment: shapes.comment(at, at.repository, one),
    ...more,
  }));

const since = (query, list) => (query.has('since') ? list.filter((one) => Date.parse(one.updated_at) >= Date.parse(query.get('since'))) : list);

export const issues = {
  [`GET ${R}/issues`]: async (at) => {
    const { repository, query } = at;
    const state = query.get('state') ?? 'open';
    const labels = (query.get('labels') ?? '').split(',').filter(Boolean).map((one) => one.toLowerCase());
    const is = (one, login) => one?.login.toLowerCase() === login.toLowerCase();
    const found = since(query, repository.threads)
      .filter((one) => state === 'all' || one.state === state)
      .filter((one) => labels.every((name) => one.labels.some((held) => held.toLowerCase() === name)))
      .filter((one) => !query.has('creator') || is(one.user, query.get('creator')))
      .filter((one) => {
        const wanted = query.get('assignee');
        if (wanted === null) return true;
        return wanted === 'none' ? one.assignees.length === 0 : wanted === '*' ? one.assignees.length > 0 : one.assignees.some((held) => is(held, wanted));
      });
    const count = (one) => repository.comments.filter((other) => other.thread === one).length;
    const key = { updated: (one) => one.updated_at, comments: count }[query.get('sort')] ?? ((one) => one.number);
    return paged(query, sorted(query, found, key), (one) => shapes.issue(at, repository, one));
  },

  [`POST ${R}/issues`]: async (at) => {
    const { repository, body } = at;
    if (!String(body.title).trim()) throw field('Issue', 'title', 'missing_field');
    // Who may not write opens issues without labels and assignees; GitHub says nothing of it.
    const more = isWriter(at) ? { labels: labelsFor(at, body.labels), assignees: assigneesFor(at, body) } : {};
    const thread = openThread(at, { title: String(body.title), body: body.body ?? null, ...more });
    await tellIssue(at, thread, 'opened');
    return { status: 201, body: shapes.issue(at, repository, thread) };
  },

  [`GET ${ISSUE}`]: async (at) => ({ body: shapes.issue(at, at.repository, issueOf(at, 'read')) }),

  [`PATCH ${ISSUE}`]: async (at) => {
    const { repository, body = {} } = at;
    const thread = issueOf(at, 'write');
    if (at.world.actor(at.principal) !== thread.user) demandRole(at.world, repository, at.principal, 'triage');
    if (thread.pull?.merged_at && body.state === 'open') throw field('Issue', 'state');
    const may = isWriter(at);
    if (may && body.labels) thread.labels = labelsFor(at, body.labels);
    if (may && (body.assignees || body.assignee !== undefined)) thread.assignees = assigneesFor(at, body);
    for (const { action, changes } of changeThread(at, thread, body)) await tellIssue(at, thread, action, changes ? { changes } : {});
    return { body: shapes.issue(at, repository, thread) };
  },

  [`GET ${ISSUE}/comments`]: async (at) => {
    const thread = issueOf(at, 'read');
    const found = at.repository.comments.filter((one) => one.thread === thread);
    return paged(at.query, since(at.query, found), (one) => shapes.comment(at, at.repository, one));
  },

  [`POST ${ISSUE}/comments`]: async (at) => {
    const thread = issueOf(at, 'write');
    demandBody(at.body.body);
    const now = at.world.now();
    const made = { id: at.world.id(), thread, user: at.world.actor(at.principal), body: at.body.body, created_at: now, updated_at: now };
    at.repository.comments.push(made);
    thread.updated_at = now;
    await tellComment(at, made, 'created');
    return { status: 201, body: shapes.comment(at, at.repository, made) };
  },

  [`GET ${R}/issues/comments/{comment_id}`]: async (at) => ({ body: shapes.comment(at, at.repository, commentOf(at, 'read')) }),

  [`PATCH ${R}/issues/comments/{comment_id}`]: async (at) => {
    const found = commentOf(at, 'write');
    demandBody(at.body.body);
    const from = found.body;
    Object.assign(found, { body: at.body.body, updated_at: at.world.now() });
    await tellComment(at, found, 'edited', { changes: { body: { from } } });
    return { body: shapes.comment(at, at.repository, found) };
  },

  [`DELETE ${R}/issues/comments/{comment_id}`]: async (at) => {
    const found = commentOf(at, 'write');
    at.repository.comments.splice(at.repository.comments.indexOf(found), 1);
    await tellComment(at, found, 'deleted');
    return { status: 204 };
  },

  [`GET ${ISSUE}/labels`]: async (at) => paged(at.query, shapes.labelsOf(at, at.repository, issueOf(at, 'read'))),

  [`POST ${ISSUE}/labels`]: async (at) => {
    const thread = issueOf(at, 'write');
    const given = Array.isArray(at.body) ? at.body : (at.body?.labels ?? []);
    if (given.length === 0) throw new Refusal(422, 'Validation Failed', { errors: [{ resource: 'Label', field: 'labels', code: 'missing_field' }] });
    thread.labels = [...new Set([...thread.labels, ...labelsFor(at, given)])];
    thread.updated_at = at.world.now();
    return { body: shapes.labelsOf(at, at.repository, thread) };
  },

  [`GET ${R}/labels`]: async (at) => paged(at.query, [...at.repository.labels.values()], (one) => shapes.label(at, at.repository, one)),
};
