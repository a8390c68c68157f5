// What people see of a repository: itself, its commits, branches and files.

import * as shapes from '../shapes.mjs';
import { refsMoved } from '../pulls.mjs';
import { Refusal, invalid, missing } from '../refusal.mjs';
import { wrongPath } from '../repository.mjs';
import { demandWorkflowPaths, whyNotPush } from '../rules.mjs';
import { bytesOf, selves } from './git.mjs';
import { demandCommits, paged, personFor, window } from './common.mjs';

const R = '/repos/{owner}/{repo}';

/** Files that a comparison shows at most. */
const FILES_MAX = 300;

/** Bytes up to which a file's content is in the answer. */
const CONTENT_MAX = 1024 * 1024;

async function commitWithFiles(at, sha) {
  const parents = (await at.git.readCommit(sha)).parents;
  const files = await at.git.diff(parents[0], sha);
  const sum = (name) => files.reduce((total, one) => total + one[name], 0);
  const [additions, deletions] = [sum('additions'), sum('deletions')];
  return {
    ...(await shapes.commit(at, at.repository, sha)),
    stats: { total: additions + deletions, additions, deletions },
    files: files.slice(0, FILES_MAX).map((one) => shapes.fileDiff(at, at.repository, sha, one)),
  };
}

/** One side of a comparison: a branch, tag or commit, perhaps with its owner. */
function sideOf(at, name) {
  const [, owner, rest] = /^(?:([^:]+):)?(?:[^:]+:)?(.+)$/.exec(name) ?? [];
  if (owner && owner.toLowerCase() !== at.repository.owner.login.toLowerCase()) return undefined;
  return at.git.commitOf(rest);
}

function branchProtection(at, name) {
  const protection = at.repository.protections.get(name);
  const url = `${shapes.repositoryApi(at, at.repository)}/branches/${encodeURIComponent(name)}/protection`;
  return { protection, url };
}

const flag = (value) => ({ enabled: Boolean(value) });

/** The protection of a branch as it is asked for alone. */
function protectionShown(at, name) {
  const { protection, url } = branchProtection(at, name);
  const checks = protection.required_status_checks;
  const reviews = protection.required_pull_request_reviews;
  const limits = protection.restrictions;
  const accounts = (logins) => (logins ?? []).map((login) => shapes.account(at, at.world.account(login))).filter(Boolean);
  const named = checks && [...new Set([...(checks.contexts ?? []), ...(checks.checks ?? []).map((one) => one.context)])];
  return {
    url,
    ...(checks
      ? {
          required_status_checks: {
            url: `${url}/required_status_checks`,
            strict: checks.strict,
            contexts: named,
            contexts_url: `${url}/required_status_checks/contexts`,
            checks: named.map((context) => ({ context, app_id: checks.checks?.find((one) => one.context === context)?.app_id ?? null })),
          },
        }
      : {}),
    ...(reviews
      ? {
          required_pull_request_reviews: {
            url: `${url}/required_pull_request_reviews`,
            dismiss_stale_reviews: reviews.dismiss_stale_reviews ?? false,
            require_code_owner_reviews: reviews.require_code_owner_reviews ?? false,
            required_approving_review_count: reviews.required_approving_review_count ?? 1,
            require_last_push_approval: reviews.require_last_push_approval ?? false,
          },
        }
      : {}),
    ...(limits
      ? {
          restrictions: {
            url: `${url}/restrictions`,
            users_url: `${url}/restrictions/users`,
            teams_url: `${url}/restrictions/teams`,
            apps_url: `${url}/restrictions/apps`,
            users: accounts(limits.users),
            teams: [],
            apps: (limits.apps ?? []).filter((slug) => slug === at.world.app.slug).map(() => shapes.app(at)),
          },
        }
      : {}),
    required_signatures: { url: `${url}/required_signatures`, enabled: false },
    enforce_admins: { url: `${url}/enforce_admins`, enabled: Boolean(protection.enforce_admins) },
    required_linear_history: flag(protection.required_linear_history),
    allow_force_pushes: flag(protection.allow_force_pushes),
    allow_deletions: flag(protection.allow_deletions),
    block_creations: flag(protection.block_creations),
    required_conversation_resolution: flag(protection.required_conversation_resolution),
    lock_branch: flag(protection.lock_branch),
    allow_fork_syncing: flag(protection.allow_fork_syncing),
  };
}

async function branchTip(at) {
  const sha = await at.git.branch(at.path.branch);
  if (!sha) throw missing('Branch not found');
  return sha;
}

function contentEntry(at, entry, ref) {
  const api = shapes.repositoryApi(at, at.repository);
  const html = shapes.repositoryHtml(at, at.repository);
  const name = entry.path.split('/').map(encodeURIComponent).join('/');
  const type = { tree: 'dir', commit: 'submodule' }[entry.type] ?? (entry.mode === '120000' ? 'symlink' : 'file');
  const url = `${api}/contents/${name}?ref=${encodeURIComponent(ref)}`;
  const git = entry.type === 'commit' ? null : `${api}/git/${entry.type}s/${entry.sha}`;
  const page = entry.type === 'commit' ? null : `${html}/${entry.type}/${encodeURIComponent(ref)}/${name}`;
  return {
    name: entry.path.split('/').at(-1),
    path: entry.path,
    sha: entry.sha,
    size: entry.size ?? 0,
    url,
    html_url: page,
    git_url: git,
    download_url: entry.type === 'blob' ? `${html}/raw/${encodeURIComponent(ref)}/${name}` : null,
    type,
    _links: { self: url, git, html: page },
  };
}

/** Writes or removes one file as a commit of its own. */
async function changeFile(at, { sha: given, change, verb }) {
  const { repository, body } = at;
  const name = at.path.path;
  const wrong = wrongPath(name);
  if (wrong) throw invalid(wrong.replace('tree.path', 'path'));
  const empty = await at.git.isEmpty();
  const branch = body.branch ?? (await at.git.defaultBranch());
  const before = await at.git.branch(branch);
  if (!before && !empty) throw missing(`Branch ${branch} not found`);
  const held = before && (await at.git.entry(before, name));
  if (held?.type === 'tree') throw invalid(`${name} is a directory`);
  if (!held && verb === 'delete') throw missing();
  if (held && !given) throw invalid(`Invalid request.\n\n"sha" wasn't supplied.`);
  if (given && held?.sha !== given) throw new Refusal(409, `${name} does not match ${given}`);
  demandWorkflowPaths(at.principal, [name]);
  const root = before && (await at.git.readCommit(before)).tree;
  const made = await at.git.writeTree(root, [{ path: name, ...(await change(held)) }]);
  const ref = `refs/heads/${branch}`;
  const self = selves(at);
  const author = personFor(body.author ?? body.committer, self.author, 'Commit');
  const byGithub = at.principal.kind === 'installation' && !body.author && !body.committer;
  const committer = byGithub ? self.committer : personFor(body.committer, author, 'Commit');
  // No check can have passed on a commit that is not made yet.
  const why = before && whyNotPush(at.world, repository, at.principal, branch, { before, after: 'new' });
  if (why) throw new Refusal(409, `Could not ${verb} file: ${why}`);
  const sha = await at.git.writeCommit({ tree: made.sha, parents: before ? [before] : [], author, committer, message: body.message, sign: byGithub ? (text) => at.world.signing.sign(text) : undefined });
  if (!(await at.git.move(ref, sha, before))) throw new Refusal(409, `${branch} is at another commit by now`);
  await refsMoved(at, repository, [{ ref, before, after: sha }]);
  const written = verb === 'delete' ? null : contentEntry(at, await at.git.entry(sha, name), branch);
  return { status: held || verb === 'delete' ? 200 : 201, body: { content: written, commit: await shapes.gitCommit(at, repository, sha) } };
}

export const contents = {
  [`GET ${R}`]: async (at) => ({ body: await shapes.fullRepository(at, at.repository) }),

  [`GET ${R}/commits`]: async (at) => {
    await demandCommits(at.git);
    const { query } = at;
    const from = await at.git.commitOf(query.get('sha') ?? (await at.git.defaultBranch()));
    if (!from) throw missing();
    const { size, page, skip } = window(query);
    const author = query.get('author') && (at.world.account(query.get('author'))?.email ?? query.get('author'));
    const choice = { since: query.get('since'), until: query.get('until'), author, paths: query.has('path') ? [query.get('path')] : [] };
    // One more tells whether there is another page.
    const ids = await at.git.history(from, { ...choice, skip, count: size + 1 });
    const all = ids.length > size ? (await at.git.history(from, choice)).length : skip + ids.length;
    return { body: await shapes.commits(at, at.repository, ids.slice(0, size)), page, pages: Math.max(Math.ceil(all / size), 1) };
  },

  [`GET ${R}/commits/{ref}`]: async (at) => {
    await demandCommits(at.git);
    const sha = await at.git.commitOf(at.path.ref);
    if (!sha) throw invalid(`No commit found for SHA: ${at.path.ref}`);
    if (at.media === 'sha') return { bytes: Buffer.from(sha) };
    if (at.media === 'diff') return { bytes: (await at.git.git(['show', '--format=', '--no-color', sha])).bytes };
    return { body: await commitWithFiles(at, sha) };
  },

  [`GET ${R}/compare/{basehead}`]: async (at) => {
    await demandCommits(at.git);
    const sides = at.path.basehead.split('...');
    if (sides.length !== 2) throw missing();
    const [base, head] = await Promise.all(sides.map((one) => sideOf(at, one)));
    if (!base || !head) throw missing();
    const meet = await at.git.mergeBase(base, head);
    if (!meet) throw missing(`No common ancestor between ${sides[0]} and ${sides[1]}.`);
    if (at.media === 'diff') return { bytes: await at.git.patch(meet, head) };
    const [ids, behind] = [await at.git.history(head, { not: base, reverse: true }), await at.git.count(base, head)];
    const { size, page, skip } = window(at.query, 250);
    const files = page === 1 ? (await at.git.diff(meet, head)).slice(0, FILES_MAX) : [];
    const html = `${shapes.repositoryHtml(at, at.repository)}/compare`;
    const spoken = at.path.basehead.split('/').map(encodeURIComponent).join('/');
    return {
      page,
      pages: Math.max(Math.ceil(ids.length / size), 1),
      body: {
        url: `${shapes.repositoryApi(at, at.repository)}/compare/${spoken}`,
        html_url: `${html}/${spoken}`,
        permalink_url: `${html}/${base.slice(0, 12)}...${head.slice(0, 12)}`,
        diff_url: `${html}/${spoken}.diff`,
        patch_url: `${html}/${spoken}.patch`,
        base_commit: await shapes.commit(at, at.repository, base),
        merge_base_commit: await shapes.commit(at, at.repository, meet),
        status: ids.length > 0 ? (behind > 0 ? 'diverged' : 'ahead') : behind > 0 ? 'behind' : 'identical',
        ahead_by: ids.length,
        behind_by: behind,
        total_commits: ids.length,
        commits: await shapes.commits(at, at.repository, ids.slice(skip, skip + size)),
        files: files.map((one) => shapes.fileDiff(at, at.repository, head, one)),
      },
    };
  },

  [`GET ${R}/branches`]: async (at) => {
    const { repository, query } = at;
    const heads = (await at.git.references('refs/heads/')).map(({ ref, sha }) => ({ name: ref.slice('refs/heads/'.length), sha }));
    const wanted = query.get('protected');
    const chosen = heads.filter(({ name }) => wanted === null || String(repository.protections.has(name)) === wanted);
    return paged(query, chosen, ({ name, sha }) => {
      const { protection, url } = branchProtection(at, name);
      return { name, commit: { sha, url: `${shapes.repositoryApi(at, repository)}/commits/${sha}` }, protected: Boolean(protection), protection: { enabled: Boolean(protection) }, protection_url: url };
    });
  },

  [`GET ${R}/branches/{branch}`]: async (at) => {
    const sha = await branchTip(at);
    const name = at.path.branch;
    const { protection, url } = branchProtection(at, name);
    const contexts = protection?.required_status_checks?.contexts ?? [];
    return {
      body: {
        name,
        commit: await shapes.commit(at, at.repository, sha),
        _links: { self: `${shapes.repositoryApi(at, at.repository)}/branches/${encodeURIComponent(name)}`, html: `${shapes.repositoryHtml(at, at.repository)}/tree/${encodeURIComponent(name)}` },
        protected: Boolean(protection),
        protection: {
          enabled: Boolean(protection),
          required_status_checks: {
            enforcement_level: contexts.length === 0 ? 'off' : protection.enforce_admins ? 'everyone' : 'non_admins',
            contexts,
            checks: contexts.map((context) => ({ context, app_id: null })),
          },
        },
        protection_url: url,
      },
    };
  },

  [`GET ${R}/branches/{branch}/protection`]: async (at) => {
    await branchTip(at);
    if (!at.repository.protections.has(at.path.branch)) throw missing('Branch not protected');
    return { body: protectionShown(at, at.path.branch) };
  },

  [`PUT ${R}/branches/{branch}/protection`]: async (at) => {
    await branchTip(at);
    const unknown = (at.body.restrictions?.users ?? []).find((login) => !at.world.account(login));
    if (unknown) throw invalid('Validation Failed', [`Could not find user ${unknown}`]);
    at.repository.protections.set(at.path.branch, at.body);
    return { body: protectionShown(at, at.path.branch) };
  },

  [`DELETE ${R}/branches/{branch}/protection`]: async (at) => {
    await branchTip(at);
    if (!at.repository.protections.delete(at.path.branch)) throw missing('Branch not protected');
    return { status: 204 };
  },

  [`GET ${R}/contents/{path}`]: async (at) => {
    if (await at.git.isEmpty()) throw missing('This repository is empty.');
    const name = at.path.path.replace(/\/+$/, '');
    const ref = at.query.get('ref') ?? (await at.git.defaultBranch());
    const commit = await at.git.commitOf(ref);
    if (!commit) throw missing(`No commit found for the ref ${ref}`);
    const entry = name === '' ? { type: 'tree', sha: `${commit}^{tree}`, path: '' } : await at.git.entry(commit, name);
    if (!entry) throw missing();
    if (entry.type === 'tree') {
      const inside = await at.git.entries(entry.sha);
      return { body: inside.map((one) => contentEntry(at, { ...one, path: name === '' ? one.path : `${name}/${one.path}` }, ref)) };
    }
    const shown = contentEntry(at, entry, ref);
    if (entry.type === 'commit') return { body: { ...shown, submodule_git_url: null } };
    const bytes = await at.git.readBlob(entry.sha);
    if (at.media === 'raw') return { bytes };
    if (shown.type === 'symlink') return { body: { ...shown, target: bytes.toString() } };
    const fits = bytes.length <= CONTENT_MAX;
    return { body: { ...shown, content: fits ? bytes.toString('base64').replace(/.{1,60}/g, '$&\n') : '', encoding: fits ? 'base64' : 'none' } };
  },

  [`PUT ${R}/contents/{path}`]: (at) =>
    changeFile(at, {
      sha: at.body.sha,
      verb: 'update',
      change: async (held) => ({ mode: held?.mode ?? '100644', sha: await at.git.writeBlob(bytesOf(at.body.content, 'base64')) }),
    }),

  [`DELETE ${R}/contents/{path}`]: (at) => changeFile(at, { sha: at.body.sha, verb: 'delete', change: () => ({ sha: null }) }),
};
