// Git's objects and references.

import * as shapes from '../shapes.mjs';
import { refsMoved } from '../pulls.mjs';
import { Refusal, invalid, missing } from '../refusal.mjs';
import { moment, wrongPath } from '../repository.mjs';
import { demandWorkflowPaths, demandWorkflowsOf, whyNotPush } from '../rules.mjs';
import { WEB_FLOW } from '../signing.mjs';
import { demandCommits, personFor } from './common.mjs';

const R = '/repos/{owner}/{repo}';
const BASE64 = /^[A-Za-z0-9+/\s]*={0,2}\s*$/;

export function bytesOf(content, encoding = 'utf-8') {
  if (encoding !== 'base64') return Buffer.from(content, 'utf8');
  if (!BASE64.test(content)) throw invalid('content is not valid Base64');
  return Buffer.from(content, 'base64');
}

const branchOf = (ref) => /^refs\/heads\/(.+)$/.exec(ref)?.[1];

function demandUnprotected(at, ref, change) {
  const branch = branchOf(ref);
  const why = branch !== undefined && whyNotPush(at.world, at.repository, at.principal, branch, change);
  if (why) throw invalid(`Protected branch update failed for ${ref}. ${why}`);
}

/** Who commits when nobody is named: a person, or the App and GitHub. */
export function selves(at) {
  const actor = at.world.actor(at.principal);
  const date = moment(Date.now());
  const author = { name: actor.name, email: actor.email, date };
  return { author, committer: at.principal.kind === 'installation' ? { name: WEB_FLOW.name, email: WEB_FLOW.email, date } : author };
}

/** What an entry of a new tree asks for. */
function changeOf(entry) {
  const wrong = wrongPath(entry.path);
  if (wrong) throw invalid(wrong);
  if (entry.sha === null) return { path: entry.path, sha: null };
  if ((entry.sha === undefined) === (entry.content === undefined)) throw invalid('Must supply either tree.sha or tree.content');
  const mode = entry.mode ?? '100644';
  const type = { '040000': 'tree', 160000: 'commit' }[mode] ?? 'blob';
  if (entry.type && entry.type !== type) throw invalid('tree.type does not match tree.mode');
  if (entry.content !== undefined && type !== 'blob') throw invalid('tree.content is for blobs');
  return { path: entry.path, mode, type, sha: entry.sha, content: entry.content };
}

export const git = {
  [`GET ${R}/git/ref/{ref}`]: async (at) => {
    await demandCommits(at.git);
    const [found] = (await at.git.references(`refs/${at.path.ref}`)).filter((one) => one.ref === `refs/${at.path.ref}`);
    if (!found) throw missing();
    return { body: shapes.reference(at, at.repository, found) };
  },

  [`GET ${R}/git/matching-refs/{ref}`]: async (at) => {
    await demandCommits(at.git);
    return { body: (await at.git.references(`refs/${at.path.ref}`)).map((one) => shapes.reference(at, at.repository, one)) };
  },

  [`POST ${R}/git/refs`]: async (at) => {
    const { repository, body } = at;
    await demandCommits(at.git);
    const { ref, sha } = body;
    if (!/^refs\/[^/]+\/./.test(ref) || (await at.git.git(['check-ref-format', ref])).code !== 0) throw invalid(`${ref} is not a valid ref name.`);
    const type = await at.git.typeOf(sha);
    if (!type) throw invalid('Object does not exist');
    if (await at.git.reference(ref)) throw invalid('Reference already exists');
    if ((branchOf(ref) !== undefined && type !== 'commit') || ref.startsWith('refs/pull/')) throw invalid('Reference update failed');
    demandUnprotected(at, ref, { after: sha });
    await demandWorkflowsOf(repository, at.principal, sha);
    if (!(await at.git.move(ref, sha))) throw invalid((await at.git.reference(ref)) ? 'Reference already exists' : 'Reference update failed');
    await refsMoved(at, repository, [{ ref, after: sha }]);
    return { status: 201, body: shapes.reference(at, repository, { ref, sha, type }) };
  },

  [`PATCH ${R}/git/refs/{ref}`]: async (at) => {
    const { repository, body } = at;
    await demandCommits(at.git);
    const ref = `refs/${at.path.ref}`;
    const before = await at.git.reference(ref);
    if (!before) throw invalid('Reference does not exist');
    const type = await at.git.typeOf(body.sha);
    if (!type) throw invalid('Object does not exist');
    if ((branchOf(ref) !== undefined && type !== 'commit') || ref.startsWith('refs/pull/')) throw invalid('Reference update failed');
    const forced = !(await at.git.isAncestor(before, body.sha));
    if (forced && !body.force) throw invalid('Update is not a fast forward');
    if (before !== body.sha) {
      demandUnprotected(at, ref, { before, after: body.sha, forced });
      await demandWorkflowsOf(repository, at.principal, body.sha);
      // A push by another way may have come between the look and this.
      if (!(await at.git.move(ref, body.sha, before))) throw new Refusal(409, 'Reference cannot be updated');
      await refsMoved(at, repository, [{ ref, before, after: body.sha, forced }]);
    }
    return { body: shapes.reference(at, repository, { ref, sha: body.sha, type }) };
  },

  [`DELETE ${R}/git/refs/{ref}`]: async (at) => {
    await demandCommits(at.git);
    const ref = `refs/${at.path.ref}`;
    const before = await at.git.reference(ref);
    if (!before) throw invalid('Reference does not exist');
    if (ref.startsWith('refs/pull/') || branchOf(ref) === (await at.git.defaultBranch())) throw invalid('Reference cannot be deleted');
    demandUnprotected(at, ref, { before });
    if (!(await at.git.move(ref, undefined, before))) throw new Refusal(409, 'Reference cannot be deleted');
    await refsMoved(at, at.repository, [{ ref, before }]);
    return { status: 204 };
  },

  [`POST ${R}/git/blobs`]: async (at) => {
    await demandCommits(at.git);
    const sha = await at.git.writeBlob(bytesOf(at.body.content, at.body.encoding));
    return { status: 201, body: { sha, url: `${shapes.repositoryApi(at, at.repository)}/git/blobs/${sha}` } };
  },

  [`GET ${R}/git/blobs/{file_sha}`]: async (at) => {
    await demandCommits(at.git);
    const sha = at.path.file_sha;
    if (!(await at.git.has(sha, 'blob'))) throw missing();
    const bytes = await at.git.readBlob(sha);
    if (at.media === 'raw') return { bytes };
    return {
      body: {
        sha,
        node_id: Buffer.from(`Blob:${at.repository.id}:${sha}`).toString('base64'),
        size: bytes.length,
        url: `${shapes.repositoryApi(at, at.repository)}/git/blobs/${sha}`,
        content: bytes.toString('base64').replace(/.{60}/g, '$&\n'),
        encoding: 'base64',
      },
    };
  },

  [`POST ${R}/git/trees`]: async (at) => {
    await demandCommits(at.git);
    const { base_tree: base, tree: entries } = at.body;
    if (entries.length === 0 && !base) throw invalid('Invalid tree info');
    if (base && !/^[0-9a-f]{40}$/.test(base)) throw missing();
    // A commit will do: it is its tree.
    const root = base && (await at.git.say(['rev-parse', '--verify', '--quiet', `${base}^{tree}`]));
    if (base && !root) throw missing();
    const changes = entries.map(changeOf);
    const written = changes.filter((one) => one.content !== undefined);
    const blobs = written.length > 0 ? await at.git.writeBlobs(written.map((one) => one.content)) : [];
    written.forEach((one, index) => {
      one.sha = blobs[index];
    });
    const types = await at.git.typesOf(changes.map((one) => one.sha ?? ''));
    changes.forEach(({ sha, type }, index) => {
      // The commit of a submodule is elsewhere.
      const there = type === 'commit' ? /^[0-9a-f]{40}$/.test(sha) : types[index] === type;
      if (sha !== null && !there) throw invalid(`tree.sha ${sha} is not a valid ${type}`);
    });
    const files = new Set(changes.filter((one) => one.sha !== null).map((one) => one.path));
    for (const name of files) {
      for (let slash = name.indexOf('/'); slash > 0; slash = name.indexOf('/', slash + 1)) {
        if (files.has(name.slice(0, slash))) throw invalid(`tree.path ${name.slice(0, slash)} is a file and a folder`);
      }
    }
    const made = await at.git.writeTree(root, changes);
    if (made.wrong !== undefined) throw invalid('GitRPC::BadObjectState');
    if (at.principal.kind === 'installation') {
      demandWorkflowPaths(at.principal, changes.filter((one) => one.sha === null).map((one) => one.path));
      await demandWorkflowsOf(at.repository, at.principal, made.sha);
    }
    return { status: 201, body: shapes.tree(at, at.repository, made.sha, await at.git.entries(made.sha)) };
  },

  [`GET ${R}/git/trees/{tree_sha}`]: async (at) => {
    await demandCommits(at.git);
    const commit = await at.git.commitOf(at.path.tree_sha);
    const sha = await at.git.say(['rev-parse', '--verify', '--quiet', '--end-of-options', `${commit ?? at.path.tree_sha}^{tree}`]);
    if (!sha) throw missing();
    return { body: shapes.tree(at, at.repository, sha, await at.git.entries(sha, { recursive: at.query.has('recursive') })) };
  },

  [`POST ${R}/git/commits`]: async (at) => {
    const { body, repository } = at;
    await demandCommits(at.git);
    if (!(await at.git.has(body.tree, 'tree'))) throw invalid('Tree SHA does not exist');
    const parents = body.parents ?? [];
    for (const parent of parents) if (!(await at.git.has(parent, 'commit'))) throw invalid('Parent SHA does not exist or is not a commit object');
    await demandWorkflowsOf(repository, at.principal, body.tree);
    const self = selves(at);
    // What GitHub commits for an App in its own name it signs, as nobody else can have said it.
    const byGithub = at.principal.kind === 'installation' && !body.author && !body.committer && !body.signature;
    const author = personFor(body.author, self.author, 'Commit');
    const committer = byGithub ? self.committer : personFor(body.committer, author, 'Commit');
    const sign = byGithub ? (text) => at.world.signing.sign(text) : () => body.signature;
    const sha = await at.git.writeCommit({ tree: body.tree, parents, author, committer, message: body.message, sign });
    return { status: 201, body: await shapes.gitCommit(at, repository, sha) };
  },

  [`GET ${R}/git/commits/{commit_sha}`]: async (at) => {
    await demandCommits(at.git);
    if (!(await at.git.has(at.path.commit_sha, 'commit'))) throw missing();
    return { body: await shapes.gitCommit(at, at.repository, at.path.commit_sha) };
  },
};
