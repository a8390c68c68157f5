// What protects branches and workflow files: everything that GitHub refuses although the sender may write.

import { demandPermission } from './access.mjs';
import { rank } from './world.mjs';

const WORKFLOWS = '.github/workflows';

/** Whether a person administers a repository whose protection leaves administrators out. */
const exempt = (world, repository, principal, protection) =>
  principal.kind === 'user' && !protection.enforce_admins && rank(world.role(repository, principal.account)) >= rank('admin');

const reviewsNeeded = (protection) => protection.required_pull_request_reviews && (protection.required_pull_request_reviews.required_approving_review_count ?? 1);

const approvals = (count) => `At least ${count} approving review is required by reviewers with write access.`;

function mayPush(world, principal, protection) {
  if (!protection.restrictions) return true;
  if (principal.kind === 'user') return protection.restrictions.users.some((one) => one.toLowerCase() === principal.account.login.toLowerCase());
  return (protection.restrictions.apps ?? []).includes(world.app.slug);
}

/** The word of a status or check run on a commit: `success`, `failure`, `pending`, or undefined where there is none. */
function wordOf(repository, sha, context, app) {
  const run = repository.checks.filter((one) => one.head_sha === sha && one.name === context).at(-1);
  if (run) return run.status !== 'completed' ? 'pending' : ['success', 'neutral', 'skipped'].includes(run.conclusion) ? 'success' : 'failure';
  const status = repository.statuses.filter((one) => one.sha === sha && one.context === context).at(-1);
  // A check that has to come from an App is no status.
  if (!status || app > 0) return undefined;
  return status.state === 'error' ? 'failure' : status.state;
}

/** Why the checks that a branch requires keep a commit away; undefined where they do not. */
function checksMissing(repository, protection, sha) {
  const required = protection.required_status_checks;
  if (!required) return undefined;
  const all = [...(required.contexts ?? []).map((context) => ({ context })), ...(required.checks ?? [])];
  for (const { context, app_id: app } of all) {
    const word = wordOf(repository, sha, context, app);
    if (word === 'success') continue;
    if (word === undefined) return `Required status check "${context}" is expected.`;
    return `Required status check "${context}" is ${word === 'pending' ? 'pending' : 'failing'}.`;
  }
  return undefined;
}

/** Why a protected branch may not be moved; undefined where it may. `after` is undefined where the branch would go. */
export function whyNotPush(world, repository, principal, branch, { before, after, forced }) {
  const protection = repository.protections.get(branch);
  if (!protection) return undefined;
  // These two hold for administrators as well.
  if (!after) return protection.allow_deletions ? undefined : 'Cannot delete this protected branch';
  if (forced && !protection.allow_force_pushes) return 'Cannot force-push to this protected branch';
  if (exempt(world, repository, principal, protection)) return undefined;
  if (protection.lock_branch) return 'Cannot change this locked branch';
  if (!mayPush(world, principal, protection)) return "You're not authorized to push to this branch.";
  if (!before && !protection.block_creations) return undefined;
  const needed = reviewsNeeded(protection);
  if (needed !== null && needed !== undefined) return needed > 0 ? approvals(needed) : 'Changes must be made through a pull request.';
  return checksMissing(repository, protection, after);
}

/** The latest word of each reviewer. */
export function verdicts(thread) {
  const latest = new Map();
  for (const one of thread.pull.reviews) if (['APPROVED', 'CHANGES_REQUESTED', 'DISMISSED'].includes(one.state)) latest.set(one.user.login, one);
  return [...latest.values()];
}

/** Why a pull request may not be merged into a protected branch; undefined where it may. */
export async function whyNotMerge(world, repository, principal, thread, method = 'merge') {
  const protection = repository.protections.get(thread.pull.base);
  if (!protection || exempt(world, repository, principal, protection)) return undefined;
  if (protection.lock_branch) return 'Cannot change this locked branch';
  if (protection.required_linear_history && method === 'merge') return 'This branch must not contain merge commits.';
  if (!mayPush(world, principal, protection)) return "You're not authorized to push to this branch.";
  const needed = reviewsNeeded(protection);
  if (needed !== null && needed !== undefined) {
    const counted = verdicts(thread).filter((one) => one.user.type !== 'User' || rank(world.role(repository, one.user)) >= rank('write'));
    if (counted.some((one) => one.state === 'CHANGES_REQUESTED')) return 'Changes have been requested on this pull request.';
    if (counted.filter((one) => one.state === 'APPROVED').length < needed) return approvals(needed);
  }
  if (protection.required_status_checks?.strict && !(await repository.git.isAncestor(thread.pull.base_sha, thread.pull.head_sha))) return 'Head branch is out of date with the base branch.';
  return checksMissing(repository, protection, thread.pull.head_sha);
}

/** Workflow files of a tree, as `path id`. */
async function workflowsOf(git, treeish) {
  const entries = (await git.entries(treeish, { recursive: true, at: ['--', WORKFLOWS] })) ?? [];
  return entries.filter((one) => one.type === 'blob').map((one) => `${one.path} ${one.sha}`);
}

/** Refuses workflow files that are new to the repository to an App without the permission for them. `files` are as `path id`. */
export async function demandWorkflows(repository, principal, files) {
  if (principal.kind !== 'installation' || files.length === 0) return;
  const heads = await repository.git.references('refs/heads/');
  const known = new Set((await Promise.all(heads.map((one) => workflowsOf(repository.git, one.sha)))).flat());
  if (files.some((one) => !known.has(one))) demandPermission(principal, 'workflows', 'write');
}

export const demandWorkflowsOf = async (repository, principal, treeish) => demandWorkflows(repository, principal, await workflowsOf(repository.git, treeish));

/** Refuses a person or App workflow files by their paths alone, before there are objects. */
export function demandWorkflowPaths(principal, paths) {
  if (paths.some((one) => one.startsWith(`${WORKFLOWS}/`))) demandPermission(principal, 'workflows', 'write');
}
