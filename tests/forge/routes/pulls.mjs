// Pull requests and their reviews.

import * as shapes from '../shapes.mjs';
import { demandRole } from '../access.mjs';
import { follow, followAll, mergeability, merged, refsMoved, tell, whole } from '../pulls.mjs';
import { Refusal, field, invalid, missing } from '../refusal.mjs';
import { moment } from '../repository.mjs';
import { whyNotMerge } from '../rules.mjs';
import { WEB_FLOW } from '../signing.mjs';
import { openThread, changeThread } from './issues.mjs';
import { demandCommits, paged, pullOf, sorted, threadOf } from './common.mjs';

const R = '/repos/{owner}/{repo}';
const PULL = `${R}/pulls/{pull_number}`;

const custom = (message) => invalid('Validation Failed', [{ resource: 'PullRequest', code: 'custom', message }]);

/** The branch that a head names: `branch` or `owner:branch`. There are no forks. */
function headOf(repository, text) {
  const [, owner, branch] = /^(?:([^:]*):)?(.*)$/.exec(text);
  return owner === undefined || owner.toLowerCase() === repository.owner.login.toLowerCase() ? branch : undefined;
}

async function demandMergeable(at, thread, { sha, merge_method: method = 'merge' }) {
  const { pull } = thread;
  if (pull.merged_at || thread.state !== 'open') throw new Refusal(405, 'Pull Request is not mergeable');
  if (pull.draft) throw new Refusal(405, 'Pull Request is still a draft');
  if (sha && sha !== pull.head_sha) throw new Refusal(409, 'Head branch was modified. Review and try the merge again.');
  const names = { merge: 'Merge commits', squash: 'Squash merges', rebase: 'Rebase merges' };
  if (!shapes.mergeMethods(at.repository)[method]) throw new Refusal(405, `${names[method]} are not allowed on this repository.`);
  const why = await whyNotMerge(at.world, at.repository, at.principal, thread, method);
  if (why) throw new Refusal(405, why);
}

/** Commits of a pull request again, each on the one before. */
async function rebase(at, pull, committer) {
  let tip = pull.base_sha;
  for (const id of await at.git.history(pull.head_sha, { not: pull.base_sha, reverse: true })) {
    const commit = await at.git.readCommit(id);
    if (commit.parents.length !== 1) return undefined;
    const tree = await at.git.mergedTree(tip, id, commit.parents[0]);
    if (!tree) return undefined;
    tip = await at.git.writeCommit({ tree, parents: [tip], author: commit.author, committer, message: commit.message });
  }
  return tip;
}

/** The commit that a merge makes; undefined where the sides conflict. */
async function mergeCommit(at, thread, { commit_title: title, commit_message: message, merge_method: method = 'merge' }) {
  const { pull } = thread;
  const date = moment(Date.now());
  const actor = at.world.actor(at.principal);
  const committer = { name: WEB_FLOW.name, email: WEB_FLOW.email, date };
  if (method === 'rebase') return rebase(at, pull, committer);
  const tree = await at.git.mergedTree(pull.base_sha, pull.head_sha);
  if (!tree) return undefined;
  const squash = method === 'squash';
  const standard = squash ? `${thread.title} (#${thread.number})` : `Merge pull request #${thread.number} from ${at.repository.owner.login}/${pull.head}`;
  const text = [title ?? standard, message ?? (squash ? '' : thread.title)].filter(Boolean).join('\n\n');
  return at.git.writeCommit({
    tree,
    parents: squash ? [pull.base_sha] : [pull.base_sha, pull.head_sha],
    author: { name: actor.name, email: actor.email, date },
    committer,
    message: text,
    sign: (bytes) => at.world.signing.sign(bytes),
  });
}

const unprocessable = (...errors) => invalid('Unprocessable Entity', errors);

export const pulls = {
  [`GET ${R}/pulls`]: async (at) => {
    const { repository, query } = at;
    await followAll(repository);
    const state = query.get('state') ?? 'open';
    const head = query.has('head') ? headOf(repository, query.get('head')) : undefined;
    const found = repository.threads
      .filter((one) => one.pull && (state === 'all' || one.state === state))
      // GitHub passes over a head without an owner.
      .filter((one) => !query.get('head')?.includes(':') || one.pull.head === head)
      .filter((one) => !query.has('base') || one.pull.base === query.get('base'));
    const key = query.get('sort') === 'updated' ? (one) => one.updated_at : (one) => one.number;
    const standard = ['updated', 'created', null].includes(query.get('sort')) ? 'desc' : 'asc';
    return paged(query, sorted(query, found, key, standard), (one) => shapes.pull(at, repository, one));
  },

  [`POST ${R}/pulls`]: async (at) => {
    const { repository, body } = at;
    await demandCommits(at.git);
    const head = headOf(repository, body.head);
    const [headSha, baseSha] = [head && (await at.git.branch(head)), await at.git.branch(body.base)];
    if (!headSha) throw field('PullRequest', 'head');
    if (!baseSha) throw field('PullRequest', 'base');
    const there = repository.threads.find((one) => one.pull && one.state === 'open' && one.pull.head === head && one.pull.base === body.base);
    if (there) throw custom(`A pull request already exists for ${repository.owner.login}:${head}.`);
    if (await at.git.isAncestor(headSha, baseSha)) throw custom(`No commits between ${body.base} and ${head}`);
    if (!(await at.git.mergeBase(headSha, baseSha))) throw custom(`The ${head} branch has no history in common with ${body.base}`);
    const issue = body.issue === undefined ? undefined : threadOf(repository, body.issue);
    if (issue?.pull || (!issue && !body.title)) throw field('PullRequest', issue ? 'issue' : 'title', issue ? 'invalid' : 'missing_field');
    const pull = { head, base: body.base, head_sha: headSha, base_sha: baseSha, draft: body.draft ?? false, requested: [], reviews: [], merged_at: null, merged_by: null, merge_commit_sha: null };
    const thread = issue ?? openThread(at, { title: body.title, body: body.body ?? null });
    thread.pull = pull;
    await follow(repository, thread);
    await tell(at, repository, thread, 'opened');
    return { status: 201, body: await whole(at, repository, thread) };
  },

  [`GET ${PULL}`]: async (at) => {
    const thread = pullOf(at.repository, at.path.pull_number);
    if (at.media === 'diff') {
      await follow(at.repository, thread);
      const { head_sha: head, base_sha: base } = thread.pull;
      return { bytes: await at.git.patch((await at.git.mergeBase(base, head)) ?? base, head) };
    }
    return { body: await whole(at, at.repository, thread) };
  },

  [`PATCH ${PULL}`]: async (at) => {
    const { repository, body = {} } = at;
    const thread = pullOf(repository, at.path.pull_number);
    if (at.world.actor(at.principal) !== thread.user) demandRole(at.world, repository, at.principal, 'write');
    if (body.state === 'open' && thread.state === 'closed') {
      if (thread.pull.merged_at) throw field('PullRequest', 'state', 'invalid', 'A merged pull request cannot be reopened.');
      if (!(await at.git.branch(thread.pull.head))) throw field('PullRequest', 'state', 'invalid', `state cannot be changed. The ${thread.pull.head} branch has been deleted.`);
    }
    if (body.base !== undefined) {
      if (!(await at.git.branch(body.base))) throw field('PullRequest', 'base');
      thread.pull.base = body.base;
    }
    const actions = changeThread(at, thread, body);
    for (const { action, changes } of actions) await tell(at, repository, thread, action, changes ? { changes } : {});
    return { body: await whole(at, repository, thread) };
  },

  [`GET ${PULL}/files`]: async (at) => {
    const thread = pullOf(at.repository, at.path.pull_number);
    await follow(at.repository, thread);
    const { head_sha: head, base_sha: base } = thread.pull;
    const files = await at.git.diff((await at.git.mergeBase(base, head)) ?? base, head);
    return paged(at.query, files, (one) => shapes.fileDiff(at, at.repository, head, one));
  },

  [`GET ${PULL}/commits`]: async (at) => {
    const thread = pullOf(at.repository, at.path.pull_number);
    await follow(at.repository, thread);
    const ids = await at.git.history(thread.pull.head_sha, { not: thread.pull.base_sha, reverse: true });
    return paged(at.query, ids.slice(0, 250), (id) => shapes.commit(at, at.repository, id));
  },

  [`GET ${PULL}/merge`]: async (at) => {
    if (!pullOf(at.repository, at.path.pull_number).pull.merged_at) throw missing();
    return { status: 204 };
  },

  [`PUT ${PULL}/merge`]: async (at) => {
    const { repository, body = {} } = at;
    const thread = pullOf(repository, at.path.pull_number);
    await follow(repository, thread);
    await demandMergeable(at, thread, body);
    const { pull } = thread;
    const sha = (await mergeability(at, repository, thread)).mergeable ? await mergeCommit(at, thread, body) : undefined;
    if (!sha) throw new Refusal(405, 'Pull Request is not mergeable');
    const ref = `refs/heads/${pull.base}`;
    const before = pull.base_sha;
    if (!(await at.git.move(ref, sha, before))) throw new Refusal(409, 'Base branch was modified. Review and try the merge again.');
    await merged(at, repository, thread, sha);
    await refsMoved(at, repository, [{ ref, before, after: sha }]);
    return { body: { sha, merged: true, message: 'Pull Request successfully merged' } };
  },

  [`GET ${PULL}/reviews`]: async (at) => {
    const thread = pullOf(at.repository, at.path.pull_number);
    // What is not submitted yet is seen by its author alone.
    const seen = thread.pull.reviews.filter((one) => one.state !== 'PENDING' || one.user === at.world.actor(at.principal));
    return paged(at.query, seen, (one) => shapes.review(at, at.repository, thread, one));
  },

  [`POST ${PULL}/reviews`]: async (at) => {
    const { repository, body = {} } = at;
    const thread = pullOf(repository, at.path.pull_number);
    await follow(repository, thread);
    const user = at.world.actor(at.principal);
    const own = user === thread.user;
    if (own && body.event === 'APPROVE') throw unprocessable('Can not approve your own pull request');
    if (own && body.event === 'REQUEST_CHANGES') throw unprocessable('Can not request changes on your own pull request');
    if (['COMMENT', 'REQUEST_CHANGES'].includes(body.event) && !body.body && !body.comments?.length) throw unprocessable('Body can not be blank');
    const commit = body.commit_id ?? thread.pull.head_sha;
    const known = await at.git.history(thread.pull.head_sha, { not: thread.pull.base_sha });
    if (![thread.pull.head_sha, ...known].includes(commit)) throw unprocessable('commit_id is not part of the pull request');
    if (!body.event && thread.pull.reviews.some((one) => one.user === user && one.state === 'PENDING')) throw unprocessable('User can only have one pending review per pull request');
    const state = { APPROVE: 'APPROVED', REQUEST_CHANGES: 'CHANGES_REQUESTED', COMMENT: 'COMMENTED' }[body.event] ?? 'PENDING';
    const made = { id: at.world.id(), user, body: body.body ?? '', state, commit_id: commit, submitted_at: body.event ? at.world.now() : undefined };
    thread.pull.reviews.push(made);
    if (body.event) {
      thread.updated_at = made.submitted_at;
      thread.pull.requested = thread.pull.requested.filter((one) => one !== user);
      await at.world.deliveries.happened(at, repository, 'pull_request_review', async () => ({
        action: 'submitted',
        review: { ...shapes.review(at, repository, thread, made), state: made.state.toLowerCase(), body: made.body || null },
        pull_request: await shapes.pull(at, repository, thread),
      }));
    }
    return { body: shapes.review(at, repository, thread, made) };
  },

  [`POST ${PULL}/requested_reviewers`]: async (at) => {
    const { repository, body = {} } = at;
    const thread = pullOf(repository, at.path.pull_number);
    const wanted = (body.reviewers ?? []).map((login) => at.world.account(login));
    const stranger = wanted.some((one) => !one || one.type !== 'User' || at.world.role(repository, one) === 'none' || !Object.keys(repository.collaborators).concat(repository.owner.login).some((login) => at.world.account(login) === one));
    if (stranger || (body.team_reviewers ?? []).length > 0) {
      throw invalid(`Reviews may only be requested from collaborators. One or more of the users or teams you specified is not a collaborator of the ${repository.full_name} repository.`);
    }
    if (wanted.includes(thread.user)) throw invalid('Review cannot be requested from pull request author.');
    for (const one of wanted) if (!thread.pull.requested.includes(one)) thread.pull.requested.push(one);
    thread.updated_at = at.world.now();
    return { status: 201, body: await shapes.pull(at, repository, thread) };
  },
};
