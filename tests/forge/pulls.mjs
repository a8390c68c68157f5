// Pull requests between their requests: they follow their branches, however these are moved.

import * as shapes from './shapes.mjs';
import { whyNotMerge } from './rules.mjs';

const isOpen = (thread) => thread.pull && thread.state === 'open';

/** Lets pull requests see their branches as they are. A closed one keeps what it saw last. */
async function see(repository, threads) {
  const open = threads.filter(isOpen);
  if (open.length === 0) return;
  const refs = new Map((await repository.git.references('refs/')).map((one) => [one.ref, one.sha]));
  for (const { number, pull } of open) {
    const head = refs.get(`refs/heads/${pull.head}`);
    pull.base_sha = refs.get(`refs/heads/${pull.base}`) ?? pull.base_sha;
    if (!head) continue;
    pull.head_sha = head;
    const ref = `refs/pull/${number}/head`;
    if (refs.get(ref) !== head) await repository.git.move(ref, head, refs.get(ref));
  }
}

export const follow = (repository, thread) => see(repository, [thread]);
export const followAll = (repository) => see(repository, repository.threads);

/** Whether a pull request can be merged, as its reader sees it. */
export async function mergeability(at, repository, thread) {
  if (!isOpen(thread)) return { mergeable: null, mergeable_state: 'unknown' };
  const tree = await repository.git.mergedTree(thread.pull.base_sha, thread.pull.head_sha);
  if (!tree) return { mergeable: false, mergeable_state: 'dirty' };
  if (thread.pull.draft) return { mergeable: true, mergeable_state: 'draft' };
  if (await whyNotMerge(at.world, repository, at.principal, thread)) return { mergeable: true, mergeable_state: 'blocked' };
  return { mergeable: true, mergeable_state: 'clean' };
}

/** A pull request as it is shown alone. */
export async function whole(at, repository, thread) {
  await follow(repository, thread);
  const { git } = repository;
  const { head_sha: head, base_sha: base } = thread.pull;
  const meet = (await git.mergeBase(base, head)) ?? base;
  const files = await git.diff(meet, head, { patches: false });
  const sum = (name) => files.reduce((total, one) => total + one[name], 0);
  const state = await mergeability(at, repository, thread);
  return {
    ...(await shapes.pull(at, repository, thread)),
    merged: thread.pull.merged_at !== null,
    ...state,
    rebaseable: state.mergeable,
    merged_by: shapes.account(at, thread.pull.merged_by),
    comments: repository.comments.filter((one) => one.thread === thread).length,
    review_comments: 0,
    maintainer_can_modify: false,
    commits: await git.count(head, base),
    additions: sum('additions'),
    deletions: sum('deletions'),
    changed_files: files.length,
  };
}

/** Tells of a pull request. */
export const tell = (at, repository, thread, action, more = {}) =>
  at.world.deliveries.happened(at, repository, 'pull_request', async () => ({ action, number: thread.number, pull_request: await whole(at, repository, thread), ...more }));

/** Closes a pull request whose commits came to its base, by a merge or by a push. */
export async function merged(at, repository, thread, sha) {
  const now = at.world.now();
  const actor = at.world.actor(at.principal);
  Object.assign(thread, { state: 'closed', closed_at: now, updated_at: now, closed_by: actor });
  Object.assign(thread.pull, { merged_at: now, merged_by: actor, merge_commit_sha: sha });
  await tell(at, repository, thread, 'closed');
}

/** Everything that follows from references that were moved: each with `ref`, `before`, `after`, `forced`. */
export async function refsMoved(at, repository, moves) {
  for (const move of moves) {
    repository.pushed_at = at.world.now();
    await at.world.deliveries.pushed(at, repository, move);
    const branch = /^refs\/heads\/(.+)$/.exec(move.ref)?.[1];
    if (branch === undefined) continue;
    for (const thread of repository.threads.filter(isOpen)) {
      if (thread.pull.head === branch) await headMoved(at, repository, thread, move);
      else if (thread.pull.base === branch && move.after && (await repository.git.isAncestor(thread.pull.head_sha, move.after))) await merged(at, repository, thread, move.after);
    }
  }
}

async function headMoved(at, repository, thread, { before, after }) {
  if (!after) {
    const now = at.world.now();
    Object.assign(thread, { state: 'closed', closed_at: now, updated_at: now, closed_by: at.world.actor(at.principal) });
    await tell(at, repository, thread, 'closed');
    return;
  }
  await follow(repository, thread);
  thread.updated_at = at.world.now();
  if (repository.protections.get(thread.pull.base)?.required_pull_request_reviews?.dismiss_stale_reviews) {
    for (const one of thread.pull.reviews) if (one.state === 'APPROVED' && one.commit_id !== after) one.state = 'DISMISSED';
  }
  if (before) await tell(at, repository, thread, 'synchronize', { before, after });
}
