// Tests of the stand-in itself: `INFINITY_NODE_MODULES=… node --test github.test.mjs`.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash, createHmac, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { after, before, test } from 'node:test';
import { ANN, BOB, CYD, DAN, EVENTS, OAUTH, PERMISSIONS, SECRET, git, jwt, start, until } from './started.mjs';

const NONE = '0'.repeat(40);
const OPS = '/repos/acme/ops';
let github;
let app;
let ask;

before(async () => {
  github = await start();
  ask = github.ask;
  for (const name of ['ops', 'second', 'elsewhere', 'open']) github.commit(name, 'main', { 'README.md': '# Read me\n', 'src/a.txt': 'a\n', 'src/b.txt': 'b\n' });
  app = await github.token();
});

// Whatever the tests above did: nothing but what they did wrong on purpose is not as described.
after(async () => {
  const { violations } = await github.record();
  await github.stop();
  assert.deepEqual(violations, []);
});

async function is(expected, asked, words) {
  const answer = await asked;
  assert.equal(answer.status, expected, JSON.stringify(answer.body));
  if (words) assert.match(answer.body.message + JSON.stringify(answer.body.errors ?? ''), words);
  if (expected >= 400 && answer.body) assert.ok(answer.body.documentation_url, JSON.stringify(answer.body));
  return answer.body;
}

/** What is not as described because of a test; it is taken out of the record. */
async function violationsOf(what) {
  assert.deepEqual((await github.record()).violations, []);
  await what();
  const { violations } = await github.record();
  await github.own('DELETE', 'record');
  return violations;
}

const main = () => github.in('ops', 'rev-parse', 'main');

/** A commit through the API on top of another. */
async function commitOver(token, parent, files, more = {}) {
  const tree = Object.entries(files).map(([name, content]) => (content === null ? { path: name, mode: '100644', type: 'blob', sha: null } : { path: name, mode: '100644', type: 'blob', content }));
  const made = await is(201, ask(token, 'POST', `${OPS}/git/trees`, { base_tree: parent, tree }));
  return is(201, ask(token, 'POST', `${OPS}/git/commits`, { message: 'Change', tree: made.sha, parents: [parent], ...more }));
}

async function branchWith(name, files, token = app) {
  const commit = await commitOver(token, main(), files);
  await is(201, ask(token, 'POST', `${OPS}/git/refs`, { ref: `refs/heads/${name}`, sha: commit.sha }));
  return commit.sha;
}

test('JSON web tokens are checked', async () => {
  const now = Math.floor(Date.now() / 1000);
  for (const claims of [{}, { iss: 7 }, { iss: 'Iv1.test' }, { exp: now + 600 }, { iat: now + 50 }]) await is(200, ask(jwt(claims), 'GET', '/app'));
  for (const claims of [{ iss: '8' }, { exp: now - 1 }, { exp: now + 700 }, { iat: now + 120 }, { iat: undefined }, { exp: undefined }]) await is(401, ask(jwt(claims), 'GET', '/app'));
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  await is(401, ask(jwt({}, { key: privateKey }), 'GET', '/app'), /could not be decoded/);
  await is(401, ask(jwt({}, { alg: 'none' }), 'GET', '/app'));
  await is(401, ask('a.b.c', 'GET', '/app'));
  for (const token of [undefined, app, ANN]) await is(401, ask(token, 'GET', '/app'));
  await is(401, ask(jwt(), 'GET', OPS));
  assert.equal((await is(200, ask(jwt(), 'GET', `${OPS}/installation`))).id, 11);
  await is(404, ask(jwt(), 'GET', '/repos/acme/elsewhere/installation'));
  assert.equal((await is(200, ask(jwt(), 'GET', '/orgs/acme/installation'))).id, 11);
  await is(404, ask(jwt(), 'GET', '/users/acme/installation'));
  assert.equal((await is(200, ask(jwt(), 'GET', '/app/installations'))).length, 1);
});

test('tokens of an installation are narrowed, revoked, suspended', async () => {
  const create = (body) => ask(jwt(), 'POST', '/app/installations/11/access_tokens', body);
  const narrow = await is(201, create({ repositories: ['second'], permissions: { contents: 'read' } }));
  assert.match(narrow.token, /^ghs_/);
  assert.ok(Math.abs(Date.parse(narrow.expires_at) - Date.now() - 3600_000) < 5000);
  assert.deepEqual(narrow.repositories.map((one) => one.full_name), ['acme/second']);
  await is(200, ask(narrow.token, 'GET', '/repos/acme/second/branches'));
  await is(404, ask(narrow.token, 'GET', `${OPS}/branches`));
  await is(403, ask(narrow.token, 'GET', '/repos/acme/second/issues'), /not accessible by integration/);
  await is(422, create({ repositories: ['elsewhere'] }));
  await is(422, create({ permissions: { administration: 'write' } }));
  await is(404, ask(jwt(), 'POST', '/app/installations/12/access_tokens'));
  assert.equal((await is(200, ask(narrow.token, 'GET', '/installation/repositories'))).total_count, 1);
  assert.equal((await is(200, ask(app, 'GET', '/installation/repositories'))).total_count, 3);
  await is(204, ask(narrow.token, 'DELETE', '/installation/token'));
  await is(401, ask(narrow.token, 'GET', '/repos/acme/second/branches'), /Bad credentials/);
  await is(204, ask(jwt(), 'PUT', '/app/installations/11/suspended'));
  await is(401, ask(app, 'GET', OPS));
  await is(403, create(), /suspended/);
  assert.ok((await is(200, ask(jwt(), 'GET', `${OPS}/installation`))).suspended_at);
  await is(204, ask(jwt(), 'DELETE', '/app/installations/11/suspended'));
  await is(200, ask(app, 'GET', OPS));
});

test('tokens expire when they are said to', async () => {
  const other = await start({ installation_token_seconds: 1 });
  const token = await other.token();
  assert.equal((await other.ask(token, 'GET', OPS)).status, 200);
  await wait(1100);
  assert.equal((await other.ask(token, 'GET', OPS)).status, 401);
  await other.stop();
});

test('people may what their roles are', async () => {
  await is(401, ask(undefined, 'GET', OPS));
  await is(401, ask('ghp_nobody', 'GET', OPS), /Bad credentials/);
  await is(404, ask(DAN, 'GET', OPS));
  await is(200, ask(CYD, 'GET', OPS));
  await is(200, ask(undefined, 'GET', '/repos/acme/open'));
  await is(401, ask(undefined, 'POST', '/repos/acme/open/git/blobs', { content: 'x' }));
  await is(404, ask(app, 'GET', '/repos/acme/elsewhere'));
  await is(200, ask(app, 'GET', '/repos/acme/open'));
  await is(403, ask(CYD, 'POST', `${OPS}/git/blobs`, { content: 'x' }), /push access/);
  await is(201, ask(BOB, 'POST', `${OPS}/git/blobs`, { content: 'x' }));
  const protection = { required_status_checks: null, enforce_admins: null, required_pull_request_reviews: null, restrictions: null };
  await is(403, ask(BOB, 'PUT', `${OPS}/branches/main/protection`, protection), /admin rights/);
  await is(403, ask(app, 'PUT', `${OPS}/branches/main/protection`, protection), /not accessible by integration/);
  await is(404, ask(BOB, 'GET', `${OPS}/hooks`));
  assert.equal((await ask(undefined, 'GET', '/user', undefined, { authorization: `token ${ANN}` })).body.login, 'ann');
  await is(403, ask(app, 'GET', '/user'));
  await is(401, ask(undefined, 'GET', '/user'));
  assert.deepEqual((await is(200, ask(BOB, 'GET', OPS))).permissions, { admin: false, maintain: false, push: true, triage: true, pull: true });
});

test('the API is also below /api/v3, and its addresses are', async () => {
  const here = await is(200, ask(app, 'GET', OPS));
  const there = await is(200, ask(app, 'GET', `/api/v3${OPS}`));
  assert.equal(here.url, `${github.base}${OPS}`);
  assert.equal(there.url, `${github.base}/api/v3${OPS}`);
  assert.equal(here.default_branch, 'main');
});

test('references move from where they are', async () => {
  const head = main();
  const refs = `${OPS}/git/refs`;
  const [one, other] = [await commitOver(app, head, { x: '1' }), await commitOver(app, head, { x: '2' })];
  assert.equal((await is(201, ask(app, 'POST', refs, { ref: 'refs/heads/a/b', sha: one.sha }))).object.sha, one.sha);
  assert.equal(github.in('ops', 'rev-parse', 'a/b'), one.sha);
  await is(422, ask(app, 'POST', refs, { ref: 'refs/heads/a/b', sha: one.sha }), /already exists/);
  await is(422, ask(app, 'POST', refs, { ref: 'refs/heads/a', sha: one.sha }), /update failed/);
  await is(422, ask(app, 'POST', refs, { ref: 'heads/c', sha: one.sha }), /not a valid ref name/);
  await is(422, ask(app, 'POST', refs, { ref: 'refs/heads/c..d', sha: one.sha }));
  await is(422, ask(app, 'POST', refs, { ref: 'refs/heads/c', sha: '1'.repeat(40) }), /Object does not exist/);
  await is(422, ask(app, 'PATCH', `${refs}/heads/a/b`, { sha: other.sha }), /not a fast forward/);
  await is(422, ask(app, 'PATCH', `${refs}/heads/a/b`, { sha: '1'.repeat(40) }), /Object does not exist/);
  await is(422, ask(app, 'PATCH', `${refs}/heads/none`, { sha: one.sha }), /Reference does not exist/);
  const next = await commitOver(app, one.sha, { x: '3' });
  await is(200, ask(app, 'PATCH', `${refs}/heads/a/b`, { sha: next.sha, force: false }));
  await is(200, ask(app, 'PATCH', `${refs}/heads%2Fa%2Fb`, { sha: other.sha, force: true }));
  assert.equal((await is(200, ask(app, 'GET', `${OPS}/git/ref/heads/a/b`))).object.sha, other.sha);
  await is(404, ask(app, 'GET', `${OPS}/git/ref/heads/a`));
  assert.deepEqual((await is(200, ask(app, 'GET', `${OPS}/git/matching-refs/heads/a`))).map((found) => found.ref), ['refs/heads/a/b']);
  await is(204, ask(app, 'DELETE', `${refs}/heads/a/b`));
  await is(422, ask(app, 'DELETE', `${refs}/heads/a/b`), /does not exist/);
  // Of many who move a branch from the same commit, one does.
  await is(201, ask(app, 'POST', refs, { ref: 'refs/heads/race', sha: head }));
  const rivals = await Promise.all([1, 2, 3, 4, 5].map((x) => commitOver(app, head, { x: String(x) })));
  const answers = await Promise.all(rivals.map(({ sha }) => ask(app, 'PATCH', `${refs}/heads/race`, { sha })));
  assert.equal(answers.filter((answer) => answer.status === 200).length, 1);
  // A push by path is seen at once.
  const pushed = github.commit('ops', 'by-path', { y: '1' });
  assert.equal((await is(200, ask(app, 'GET', `${OPS}/git/ref/heads/by-path`))).object.sha, pushed);
});

test('trees are made of changes', async () => {
  const head = main();
  const bytes = Buffer.from([0, 255, 10, 13, 128]);
  const blob = await is(201, ask(app, 'POST', `${OPS}/git/blobs`, { content: bytes.toString('base64'), encoding: 'base64' }));
  assert.deepEqual(Buffer.from((await is(200, ask(app, 'GET', `${OPS}/git/blobs/${blob.sha}`))).content, 'base64'), bytes);
  await is(422, ask(app, 'POST', `${OPS}/git/blobs`, { content: '%%%', encoding: 'base64' }), /Base64/);
  await is(404, ask(app, 'GET', `${OPS}/git/blobs/${head}`));
  const trees = (tree, base_tree = head) => ask(app, 'POST', `${OPS}/git/trees`, { base_tree, tree });
  const file = (name, more) => ({ path: name, mode: '100644', type: 'blob', ...more });
  const made = await is(201, trees([file('bin', { sha: blob.sha }), file('src/a.txt', { sha: null }), file('src/deep/ü c.txt', { content: 'ü\n' }), { path: 'run', mode: '100755', type: 'blob', content: '#!/bin/sh\n' }]));
  const listed = await is(200, ask(app, 'GET', `${OPS}/git/trees/${made.sha}?recursive=1`));
  assert.deepEqual(listed.tree.map((one) => `${one.mode} ${one.path}`), ['100644 README.md', '100644 bin', '100755 run', '040000 src', '100644 src/b.txt', '040000 src/deep', '100644 src/deep/ü c.txt']);
  assert.equal((await is(200, ask(app, 'GET', `${OPS}/git/trees/main`))).tree.length, 2);
  // The last file of a folder takes the folder with it.
  const without = await is(201, trees([file('src/a.txt', { sha: null }), file('src/b.txt', { sha: null })]));
  assert.deepEqual(without.tree.map((one) => one.path), ['README.md']);
  // A file takes the place of a folder, and a folder that of a file.
  const swapped = await is(201, trees([file('src/a.txt', { sha: null }), file('src/b.txt', { sha: null }), file('src', { content: 'x' }), file('README.md', { sha: null }), file('README.md/a', { content: 'y' })]));
  assert.deepEqual(swapped.tree.map((one) => `${one.type} ${one.path}`), ['tree README.md', 'blob src']);
  await is(422, trees([file('x', { content: 'x' }), file('x/y', { content: 'y' })]), /a file and a folder/);
  // A folder can be put somewhere else as a whole.
  const src = (await is(200, ask(app, 'GET', `${OPS}/git/trees/main`))).tree.find((one) => one.path === 'src');
  const copied = await is(201, trees([{ path: 'copy', mode: '040000', type: 'tree', sha: src.sha }]));
  assert.equal(github.in('ops', 'rev-parse', `${copied.sha}:copy/a.txt`), github.in('ops', 'rev-parse', 'main:src/a.txt'));
  for (const name of ['../x', 'a/../b', '.git/config', 'a/.GIT/x', '/etc/passwd', 'a//b', 'a/', './a', 'git~1/x']) await is(422, trees([file(name, { content: 'x' })]), /tree\.path/);
  await is(422, trees([file('x', { sha: '1'.repeat(40) })]), /not a valid blob/);
  await is(422, trees([file('x', { sha: head })]), /not a valid blob/);
  await is(422, trees([file('x', { sha: blob.sha, content: 'x' })]));
  await is(422, trees([file('none', { sha: null })]), /BadObjectState/);
  await is(404, trees([file('x', { content: 'x' })], '1'.repeat(40)));
  await is(404, ask(app, 'GET', `${OPS}/git/trees/${'1'.repeat(40)}`));
  await is(422, ask(app, 'POST', `${OPS}/git/commits`, { message: 'x', tree: '1'.repeat(40) }), /Tree SHA/);
  await is(422, ask(app, 'POST', `${OPS}/git/commits`, { message: 'x', tree: made.sha, parents: [blob.sha] }), /Parent SHA/);
  await is(404, ask(app, 'GET', `${OPS}/git/commits/${blob.sha}`));
  for (const [method, where, body] of [['POST', 'git/blobs', { content: 'x' }], ['POST', 'git/refs', { ref: 'refs/heads/x', sha: head }], ['GET', 'git/ref/heads/main'], ['GET', 'commits']]) {
    await is(409, ask(app, method, `/repos/acme/empty/${where}`, body), /empty/);
  }
});

/** A key of ssh-keygen. */
function key() {
  const folder = mkdtempSync(path.join(github.folder, 'key-'));
  const file = path.join(folder, 'key');
  spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', file]);
  return { file, public: readFileSync(`${file}.pub`, 'utf8').trim() };
}

function signed({ file }, text) {
  const to = path.join(path.dirname(file), `text-${Math.random()}`);
  writeFileSync(to, text);
  spawnSync('ssh-keygen', ['-q', '-Y', 'sign', '-n', 'git', '-f', file, to]);
  return readFileSync(`${to}.sig`, 'utf8');
}

test('signatures are judged from the bytes of commits', async () => {
  const head = main();
  const tree = github.in('ops', 'rev-parse', 'main^{tree}');
  const commit = (token, more) => is(201, ask(token, 'POST', `${OPS}/git/commits`, { message: 'Sign\n\nthis ü\n', tree, parents: [head], ...more }));
  // By the App, in GitHub's name.
  const byGithub = await commit(app);
  assert.deepEqual([byGithub.verification.verified, byGithub.verification.reason], [true, 'valid']);
  assert.deepEqual([byGithub.author.name, byGithub.committer.name, byGithub.committer.email], ['infinity-test[bot]', 'GitHub', 'noreply@github.com']);
  assert.match(byGithub.author.email, /^\d+\+infinity-test\[bot\]@users\.noreply\.github\.com$/);
  assert.match(byGithub.verification.signature, /^-----BEGIN SSH SIGNATURE-----/);
  // In somebody's name: nobody signs it.
  const date = '2026-01-02T03:04:05Z';
  const ann = { name: 'Ann', email: 'ann@example.com', date };
  assert.equal((await commit(app, { author: ann })).verification.reason, 'unsigned');
  const plain = await commit(ANN);
  assert.deepEqual([plain.verification.reason, plain.author.email, plain.committer.email], ['unsigned', 'ann@example.com', 'ann@example.com']);
  // By a key.
  const mine = key();
  const text = (person, message = 'Sign\n\nthis ü\n') => `tree ${tree}\nparent ${head}\nauthor ${person.name} <${person.email}> 1767323045 +0000\ncommitter ${person.name} <${person.email}> 1767323045 +0000\n\n${message}`;
  const signature = signed(mine, text(ann));
  const known = { author: ann, committer: ann, signature };
  assert.equal((await commit(ANN, known)).verification.reason, 'unknown_key');
  await is(422, ask(ANN, 'POST', '/user/ssh_signing_keys', { title: 'x', key: 'ssh-ed25519 AAAA' }));
  await is(201, ask(ANN, 'POST', '/user/ssh_signing_keys', { title: 'x', key: mine.public }));
  await is(422, ask(BOB, 'POST', '/user/ssh_signing_keys', { title: 'x', key: mine.public }), /already in use/);
  assert.equal((await is(200, ask(ANN, 'GET', '/user/ssh_signing_keys'))).length, 1);
  assert.equal((await is(200, ask(BOB, 'GET', '/user/ssh_signing_keys'))).length, 0);
  const valid = await commit(ANN, known);
  assert.deepEqual([valid.verification.verified, valid.verification.reason, valid.verification.payload], [true, 'valid', text(ann)]);
  assert.equal(valid.author.date, date);
  // What git itself says of the same object.
  const allowed = path.join(github.folder, 'allowed');
  writeFileSync(allowed, `ann@example.com ${mine.public}\n`);
  assert.equal(git(['-C', github.directory('ops'), '-c', `gpg.ssh.allowedSignersFile=${allowed}`, 'verify-commit', valid.sha]).code, 0);
  // A date with a zone stays as it is.
  const zoned = { ...ann, date: '2026-01-02T05:04:05+02:00' };
  const withZone = signed(mine, text(ann).replaceAll('+0000', '+0200'));
  assert.equal((await commit(ANN, { author: zoned, committer: zoned, signature: withZone })).verification.reason, 'valid');
  assert.equal((await commit(ANN, { ...known, message: 'Something else' })).verification.reason, 'invalid');
  assert.equal((await commit(ANN, { ...known, signature: signature.replace(/\n.{20}/, '\nAAAAAAAAAAAAAAAAAAAA') })).verification.reason, 'invalid');
  const bob = { name: 'Bob', email: 'bob@example.com', date };
  assert.equal((await commit(ANN, { author: bob, committer: bob, signature: signed(mine, text(bob)) })).verification.reason, 'bad_email');
  assert.equal((await is(200, ask(CYD, 'GET', `${OPS}/commits/${valid.sha}`))).commit.verification.reason, 'valid');
});

test('commits, comparisons and files are read', async () => {
  const first = main();
  const second = await branchWith('read', { 'src/a.txt': 'a\nb\n', 'new.txt': 'new\n', 'src/b.txt': null });
  const listed = await is(200, ask(app, 'GET', `${OPS}/commits?sha=read`));
  assert.equal(listed[0].sha, second);
  assert.deepEqual((await is(200, ask(app, 'GET', `${OPS}/commits?sha=read&path=new.txt`))).map((one) => one.sha), [second]);
  assert.equal((await is(200, ask(app, 'GET', `${OPS}/commits?sha=read&since=2100-01-01T00:00:00Z`))).length, 0);
  assert.equal((await is(200, ask(app, 'GET', `${OPS}/commits?sha=read&until=2000-01-01T00:00:00Z`))).length, 0);
  await is(404, ask(app, 'GET', `${OPS}/commits?sha=none`));
  await is(422, ask(app, 'GET', `${OPS}/commits/none`), /No commit found/);
  const one = await is(200, ask(app, 'GET', `${OPS}/commits/read`));
  assert.deepEqual(one.files.map((file) => `${file.status} ${file.filename}`), ['added new.txt', 'modified src/a.txt', 'removed src/b.txt']);
  assert.deepEqual(one.stats, { total: 3, additions: 2, deletions: 1 });
  assert.equal(one.files[1].patch, '@@ -1 +1,2 @@\n a\n+b');
  assert.equal((await ask(app, 'GET', `${OPS}/commits/read`, undefined, { accept: 'application/vnd.github.sha' })).body, second);
  const ahead = await is(200, ask(app, 'GET', `${OPS}/compare/main...acme:read`));
  assert.deepEqual([ahead.status, ahead.ahead_by, ahead.behind_by, ahead.files.length, ahead.merge_base_commit.sha], ['ahead', 1, 0, 3, first]);
  assert.equal((await is(200, ask(app, 'GET', `${OPS}/compare/read...main`))).status, 'behind');
  assert.equal((await is(200, ask(app, 'GET', `${OPS}/compare/main...main`))).status, 'identical');
  await is(404, ask(app, 'GET', `${OPS}/compare/main...none`));
  const shown = await is(200, ask(app, 'GET', `${OPS}/contents/src/a.txt?ref=read`));
  assert.equal(Buffer.from(shown.content, 'base64').toString(), 'a\nb\n');
  assert.equal((await ask(app, 'GET', `${OPS}/contents/src/a.txt?ref=read`, undefined, { accept: 'application/vnd.github.raw+json' })).body, 'a\nb\n');
  assert.deepEqual((await is(200, ask(app, 'GET', `${OPS}/contents/?ref=read`))).map((entry) => `${entry.type} ${entry.path}`), ['file README.md', 'file new.txt', 'dir src']);
  assert.deepEqual((await is(200, ask(app, 'GET', `${OPS}/contents/src?ref=read`))).map((entry) => entry.path), ['src/a.txt']);
  await is(404, ask(app, 'GET', `${OPS}/contents/none`));
  await is(404, ask(app, 'GET', `${OPS}/contents/src/a.txt?ref=none`));
  assert.ok((await is(200, ask(app, 'GET', `${OPS}/branches?per_page=100`))).some((branch) => branch.name === 'read' && branch.commit.sha === second));
  await is(404, ask(app, 'GET', `${OPS}/branches/none`), /Branch not found/);
});

test('files are written one at a time', async () => {
  const put = (name, body, token = app) => ask(token, 'PUT', `${OPS}/contents/${name}`, { message: 'Write', branch: 'files', ...body });
  const text = (content) => Buffer.from(content).toString('base64');
  await is(404, put('a.txt', { content: text('x') }), /Branch files not found/);
  await is(201, ask(app, 'POST', `${OPS}/git/refs`, { ref: 'refs/heads/files', sha: main() }));
  const made = await is(201, put('deep/new.txt', { content: text('x') }));
  assert.deepEqual([made.commit.verification.reason, made.content.path], ['valid', 'deep/new.txt']);
  assert.equal(github.in('ops', 'show', 'files:deep/new.txt'), 'x');
  await is(422, put('deep/new.txt', { content: text('y') }), /wasn't supplied/);
  await is(409, put('deep/new.txt', { content: text('y'), sha: '1'.repeat(40) }), /does not match/);
  assert.equal((await is(200, put('deep/new.txt', { content: text('y'), sha: made.content.sha }, BOB))).commit.verification.reason, 'unsigned');
  await is(422, put('.git/x', { content: text('y') }), /malformed/);
  const { sha } = await is(200, ask(app, 'GET', `${OPS}/contents/deep/new.txt?ref=files`));
  await is(409, ask(app, 'DELETE', `${OPS}/contents/deep/new.txt`, { message: 'Remove', branch: 'files', sha: made.content.sha }));
  assert.equal((await is(200, ask(app, 'DELETE', `${OPS}/contents/deep/new.txt`, { message: 'Remove', branch: 'files', sha }))).content, null);
  assert.equal(github.in('ops', 'ls-tree', 'files', 'deep'), '');
  // The first commit of a repository is made like this.
  await is(201, ask(app, 'PUT', '/repos/acme/empty/contents/README.md', { message: 'Begin', content: text('# New\n') }));
  assert.equal(github.in('empty', 'show', 'main:README.md'), '# New');
});

test('workflow files take a permission of their own', async () => {
  const where = '.github/workflows/build.yml';
  const head = main();
  const tree = (token) => ask(token, 'POST', `${OPS}/git/trees`, { base_tree: head, tree: [{ path: where, mode: '100644', type: 'blob', content: 'on: push\n' }] });
  await is(403, tree(app), /not accessible by integration/);
  const { sha } = await is(201, tree(BOB));
  await is(403, ask(app, 'POST', `${OPS}/git/commits`, { message: 'x', tree: sha, parents: [head] }));
  const commit = await is(201, ask(BOB, 'POST', `${OPS}/git/commits`, { message: 'x', tree: sha, parents: [head] }));
  const refused = await ask(app, 'POST', `${OPS}/git/refs`, { ref: 'refs/heads/flow', sha: commit.sha });
  assert.deepEqual([refused.status, refused.headers.get('x-accepted-github-permissions')], [403, 'workflows=write']);
  await is(403, ask(app, 'PUT', `${OPS}/contents/${where}`, { message: 'x', content: '' }));
  // What a branch has already is nothing new.
  await is(201, ask(BOB, 'POST', `${OPS}/git/refs`, { ref: 'refs/heads/flow', sha: commit.sha }));
  await is(201, ask(app, 'POST', `${OPS}/git/refs`, { ref: 'refs/heads/flow-too', sha: commit.sha }));
  for (const name of ['flow', 'flow-too']) await is(204, ask(BOB, 'DELETE', `${OPS}/git/refs/heads/${name}`));
});

test('a pull request from its beginning to its merge', async () => {
  const open = (body, token = app) => ask(token, 'POST', `${OPS}/pulls`, { title: 'Change', base: 'main', ...body });
  await is(422, open({ head: 'none' }), /"field":"head"/);
  await is(422, open({ head: 'main', base: 'none' }), /"field":"base"/);
  await is(422, open({ head: 'main' }), /No commits between/);
  const head = await branchWith('change', { 'one.txt': '1\n' });
  await is(422, open({ head: 'somebody:change' }));
  const pull = await is(201, open({ head: 'acme:change', body: 'Because.' }));
  await is(422, open({ head: 'change' }), /already exists/);
  // Of many who open the same one, none does twice.
  await is(201, ask(app, 'POST', `${OPS}/git/refs`, { ref: 'refs/heads/twice', sha: head }));
  const rivals = await Promise.all([1, 2, 3, 4].map(() => open({ head: 'twice' })));
  assert.deepEqual(rivals.map((one) => one.status).sort(), [201, 422, 422, 422]);
  await is(200, ask(app, 'PATCH', `${OPS}/pulls/${rivals.find((one) => one.status === 201).body.number}`, { state: 'closed' }));
  const path = `${OPS}/pulls/${pull.number}`;
  assert.deepEqual([pull.head.sha, pull.base.ref, pull.commits, pull.changed_files, pull.mergeable], [head, 'main', 1, 1, true]);
  assert.equal(github.in('ops', 'rev-parse', `refs/pull/${pull.number}/head`), head);
  assert.deepEqual((await is(200, ask(app, 'GET', `${OPS}/pulls?head=acme:change&base=main`))).map((one) => one.number), [pull.number]);
  assert.equal((await is(200, ask(app, 'GET', `${OPS}/pulls?head=acme:none`))).length, 0);
  assert.ok((await is(200, ask(app, 'GET', `${OPS}/pulls?state=closed`))).every((one) => one.state === 'closed'));
  assert.equal((await is(200, ask(app, 'GET', `${OPS}/issues/${pull.number}`))).pull_request.merged_at, null);
  assert.equal((await is(200, ask(app, 'PATCH', path, { title: 'Another title' }))).title, 'Another title');
  await is(403, ask(CYD, 'PATCH', path, { title: 'Mine' }));
  assert.deepEqual((await is(200, ask(app, 'GET', `${path}/files`))).map((one) => one.filename), ['one.txt']);
  assert.deepEqual((await is(200, ask(app, 'GET', `${path}/commits`))).map((one) => one.sha), [head]);
  await is(404, ask(app, 'GET', `${path}/merge`));
  // Reviewers and reviews.
  await is(422, ask(app, 'POST', `${path}/requested_reviewers`, { reviewers: ['nobody'] }), /collaborators/);
  await is(422, ask(app, 'POST', `${path}/requested_reviewers`, { reviewers: ['dan'] }));
  await is(422, ask(app, 'POST', `${path}/requested_reviewers`, { team_reviewers: ['team'] }));
  assert.deepEqual((await is(201, ask(app, 'POST', `${path}/requested_reviewers`, { reviewers: ['bob', 'ann'] }))).requested_reviewers.map((one) => one.login), ['bob', 'ann']);
  const review = (token, body) => ask(token, 'POST', `${path}/reviews`, body);
  await is(422, review(app, { event: 'APPROVE' }), /own pull request/);
  await is(422, review(BOB, { event: 'REQUEST_CHANGES' }), /blank/);
  await is(422, review(BOB, { event: 'APPROVE', commit_id: '1'.repeat(40) }));
  // What protects the base.
  const protect = { required_status_checks: { strict: false, contexts: ['test'] }, enforce_admins: true, required_pull_request_reviews: { required_approving_review_count: 1, dismiss_stale_reviews: true }, restrictions: null };
  await is(404, ask(ANN, 'GET', `${OPS}/branches/main/protection`), /not protected/);
  await is(200, ask(ANN, 'PUT', `${OPS}/branches/main/protection`, protect));
  assert.equal((await is(200, ask(ANN, 'GET', `${OPS}/branches/main/protection`))).required_pull_request_reviews.required_approving_review_count, 1);
  assert.equal((await is(200, ask(app, 'GET', `${OPS}/branches/main`))).protected, true);
  assert.deepEqual((await is(200, ask(app, 'GET', `${OPS}/branches?protected=true`))).map((one) => one.name), ['main']);
  await is(422, ask(app, 'PATCH', `${OPS}/git/refs/heads/main`, { sha: head }), /Protected branch.*approving review/);
  await is(422, ask(ANN, 'PATCH', `${OPS}/git/refs/heads/main`, { sha: head }), /Protected branch/);
  await is(409, ask(app, 'PUT', `${OPS}/contents/x`, { message: 'x', content: '' }), /approving review/);
  const merge = (body = {}, token = app) => ask(token, 'PUT', `${path}/merge`, body);
  await is(405, merge(), /approving review/);
  assert.equal((await is(200, ask(app, 'GET', path))).mergeable_state, 'blocked');
  await is(200, review(CYD, { event: 'APPROVE' }));
  await is(405, merge(), /approving review/);
  await is(200, review(BOB, { event: 'REQUEST_CHANGES', body: 'No.' }));
  await is(405, merge(), /Changes have been requested/);
  await is(200, review(BOB, { event: 'APPROVE' }));
  assert.deepEqual((await is(200, ask(app, 'GET', path))).requested_reviewers.map((one) => one.login), ['ann']);
  await is(405, merge(), /"test\\*" is expected/);
  await is(201, ask(app, 'POST', `${OPS}/check-runs`, { name: 'test', head_sha: head, conclusion: 'failure' }));
  await is(405, merge(), /failing/);
  await is(201, ask(app, 'POST', `${OPS}/check-runs`, { name: 'test', head_sha: head, conclusion: 'success' }));
  await is(409, merge({ sha: main() }), /Head branch was modified/);
  // A push makes an approval old.
  const next = await commitOver(app, head, { 'two.txt': '2\n' });
  await is(200, ask(app, 'PATCH', `${OPS}/git/refs/heads/change`, { sha: next.sha }));
  await is(405, merge(), /approving review/);
  assert.ok((await is(200, ask(app, 'GET', `${path}/reviews`))).some((one) => one.state === 'DISMISSED'));
  await is(200, review(BOB, { event: 'APPROVE' }));
  await is(201, ask(app, 'POST', `${OPS}/check-runs`, { name: 'test', head_sha: next.sha, conclusion: 'success' }));
  await is(403, merge({}, CYD));
  const before = main();
  const merged = await is(200, merge({ sha: next.sha }));
  assert.equal(main(), merged.sha);
  const commit = await is(200, ask(app, 'GET', `${OPS}/git/commits/${merged.sha}`));
  assert.deepEqual([commit.verification.reason, commit.committer.name, commit.author.name, commit.parents.map((one) => one.sha)], ['valid', 'GitHub', 'infinity-test[bot]', [before, next.sha]]);
  assert.match(commit.message, new RegExp(`^Merge pull request #${pull.number} from acme/change\n\nAnother title$`));
  const done = await is(200, ask(app, 'GET', path));
  assert.deepEqual([done.merged, done.state, done.merge_commit_sha, done.merged_by.login, done.commits], [true, 'closed', merged.sha, 'infinity-test[bot]', 2]);
  await is(204, ask(app, 'GET', `${path}/merge`));
  await is(405, merge(), /not mergeable/);
  await is(422, ask(app, 'PATCH', path, { state: 'open' }));
  await is(204, ask(ANN, 'DELETE', `${OPS}/branches/main/protection`));
});

test('pull requests that conflict, are drafts, or are merged otherwise', async () => {
  const open = (head, more = {}) => is(201, ask(app, 'POST', `${OPS}/pulls`, { title: head, head, base: 'main', ...more }));
  const merge = (pull, body) => ask(app, 'PUT', `${OPS}/pulls/${pull.number}/merge`, body);
  await branchWith('conflict-1', { c: '1\n' });
  await branchWith('conflict-2', { c: '2\n' });
  const [one, two] = [await open('conflict-1'), await open('conflict-2')];
  const squashed = await is(200, merge(one, { merge_method: 'squash', commit_title: 'Title', commit_message: 'Text' }));
  assert.equal(github.in('ops', 'log', '-1', '--format=%P|%B', squashed.sha).trim(), `${github.in('ops', 'rev-parse', 'main^')}|Title\n\nText`);
  assert.deepEqual(await is(200, ask(app, 'GET', `${OPS}/pulls/${two.number}`)).then((pull) => [pull.mergeable, pull.mergeable_state]), [false, 'dirty']);
  await is(405, merge(two), /not mergeable/);
  await is(200, ask(app, 'PATCH', `${OPS}/pulls/${two.number}`, { state: 'closed' }));
  await is(405, merge(two));
  await is(200, ask(app, 'PATCH', `${OPS}/pulls/${two.number}`, { state: 'open' }));
  await branchWith('draft', { d: '1\n' });
  await is(405, merge(await open('draft', { draft: true })), /draft/);
  await branchWith('rebased', { r: '1\n' });
  const rebased = await open('rebased');
  github.commit('ops', 'main', { between: '1\n' });
  await is(200, merge(rebased, { merge_method: 'rebase' }));
  assert.equal(github.in('ops', 'show', 'main:r'), '1');
  assert.equal(github.in('ops', 'show', 'main:between'), '1');
  // A branch that is deleted closes its pull request; what a push brings to the base is merged.
  await is(204, ask(app, 'DELETE', `${OPS}/git/refs/heads/conflict-2`));
  assert.equal((await is(200, ask(app, 'GET', `${OPS}/pulls/${two.number}`))).state, 'closed');
  const head = await branchWith('pushed', { p: '1\n' });
  const pushed = await open('pushed');
  await is(200, ask(app, 'PATCH', `${OPS}/git/refs/heads/main`, { sha: head }));
  assert.equal((await is(200, ask(app, 'GET', `${OPS}/pulls/${pushed.number}`))).merged, true);
});

test('issues, comments and labels', async () => {
  const issue = await is(201, ask(app, 'POST', `${OPS}/issues`, { title: 'A matter', body: 'Look', labels: ['bug', 'fresh'], assignees: ['bob'] }));
  assert.deepEqual([issue.labels.map((one) => one.name), issue.assignees[0].login, issue.user.type], [['bug', 'fresh'], 'bob', 'Bot']);
  assert.deepEqual((await is(201, ask(CYD, 'POST', `${OPS}/issues`, { title: 'Mine', labels: ['bug'] }))).labels, []);
  await is(422, ask(app, 'POST', `${OPS}/issues`, { title: ' ' }), /missing_field/);
  const where = `${OPS}/issues/${issue.number}`;
  assert.deepEqual((await is(200, ask(app, 'POST', `${where}/labels`, { labels: ['Fresh', 'other'] }))).map((one) => one.name), ['bug', 'fresh', 'other']);
  assert.equal((await is(200, ask(app, 'GET', `${where}/labels`))).length, 3);
  assert.ok((await is(200, ask(app, 'GET', `${OPS}/labels`))).some((one) => one.name === 'fresh'));
  assert.ok((await is(200, ask(app, 'GET', `${OPS}/issues?labels=fresh,bug&creator=infinity-test[bot]&assignee=bob`))).some((one) => one.number === issue.number));
  assert.equal((await is(200, ask(app, 'GET', `${OPS}/issues?since=2100-01-01T00:00:00Z`))).length, 0);
  const comment = await is(201, ask(app, 'POST', `${where}/comments`, { body: 'Seen.' }));
  await is(422, ask(app, 'POST', `${where}/comments`, { body: ' ' }));
  await is(404, ask(app, 'POST', `${OPS}/issues/4711/comments`, { body: 'x' }));
  assert.equal((await is(200, ask(app, 'PATCH', `${OPS}/issues/comments/${comment.id}`, { body: 'Seen!' }))).body, 'Seen!');
  await is(403, ask(CYD, 'DELETE', `${OPS}/issues/comments/${comment.id}`));
  assert.equal((await is(200, ask(app, 'GET', `${OPS}/issues/comments/${comment.id}`))).body, 'Seen!');
  assert.equal((await is(200, ask(app, 'GET', `${where}/comments`))).length, 1);
  await is(204, ask(app, 'DELETE', `${OPS}/issues/comments/${comment.id}`));
  await is(404, ask(app, 'GET', `${OPS}/issues/comments/${comment.id}`));
  assert.deepEqual(await is(200, ask(app, 'PATCH', where, { state: 'closed', state_reason: 'not_planned' })).then((one) => [one.state, one.state_reason, one.closed_by.login]), ['closed', 'not_planned', 'infinity-test[bot]']);
  await is(403, ask(CYD, 'PATCH', where, { state: 'open' }));
  // An App with the permission for pull requests alone may say something of these, not of issues.
  const narrow = await github.token({ permissions: { pull_requests: 'write' } });
  await is(403, ask(narrow, 'POST', `${where}/comments`, { body: 'x' }));
  await is(201, ask(narrow, 'POST', `${OPS}/issues/1/comments`, { body: 'On a pull request' }));
});

test('check runs and statuses', async () => {
  const head = main();
  const run = (body, token = app) => ask(token, 'POST', `${OPS}/check-runs`, { name: 'build', head_sha: head, ...body });
  await is(403, run({}, ANN), /GitHub App/);
  await is(422, run({ head_sha: '1'.repeat(40) }), /No commit found/);
  const first = await is(201, run({ external_id: 'one', output: { title: 'T', summary: 'S' } }));
  assert.deepEqual([first.status, first.conclusion, first.app.slug], ['queued', null, 'infinity-test']);
  assert.equal((await is(200, ask(app, 'PATCH', `${OPS}/check-runs/${first.id}`, { conclusion: 'failure' }))).status, 'completed');
  const second = await is(201, run({ conclusion: 'success' }));
  const listed = await is(200, ask(app, 'GET', `${OPS}/commits/main/check-runs?check_name=build`));
  assert.deepEqual([listed.total_count, listed.check_runs[0].id], [1, second.id]);
  assert.equal((await is(200, ask(app, 'GET', `${OPS}/commits/${head}/check-runs?check_name=build&filter=all`))).total_count, 2);
  assert.equal((await is(200, ask(app, 'GET', `${OPS}/commits/${head}/check-runs?app_id=8`))).total_count, 0);
  await is(422, ask(app, 'GET', `${OPS}/commits/none/check-runs`));
  assert.equal((await is(200, ask(app, 'GET', `${OPS}/check-runs/${first.id}`))).external_id, 'one');
  const status = (body, sha = head) => ask(BOB, 'POST', `${OPS}/statuses/${sha}`, body);
  assert.equal((await is(200, ask(app, 'GET', `${OPS}/commits/main/status`))).state, 'pending');
  await is(201, status({ state: 'pending', context: 'lint' }));
  await is(201, status({ state: 'success', context: 'lint', description: 'fine' }));
  await is(422, status({ state: 'success' }, '1'.repeat(40)), /No commit found/);
  const combined = await is(200, ask(app, 'GET', `${OPS}/commits/main/status`));
  assert.deepEqual([combined.state, combined.total_count, combined.statuses[0].description], ['success', 1, 'fine']);
  await is(201, status({ state: 'error', context: 'other' }));
  assert.equal((await is(200, ask(app, 'GET', `${OPS}/commits/main/status`))).state, 'failure');
  assert.deepEqual((await is(200, ask(app, 'GET', `${OPS}/commits/main/statuses`))).map((one) => one.state), ['error', 'success', 'pending']);
});

test('each permission is asked for', async () => {
  const head = main();
  const without = async (name) => github.token({ permissions: Object.fromEntries(Object.entries(PERMISSIONS).filter(([held]) => held !== name)) });
  const asks = {
    contents: [['GET', 'commits'], ['POST', 'git/blobs', { content: 'x' }], ['PUT', 'pulls/1/merge', {}]],
    pull_requests: [['GET', 'pulls'], ['POST', 'pulls', { title: 'x', head: 'x', base: 'main' }]],
    issues: [['GET', 'issues'], ['POST', 'issues', { title: 'x' }]],
    checks: [['GET', `commits/${head}/check-runs`], ['POST', 'check-runs', { name: 'x', head_sha: head }]],
    statuses: [['GET', `commits/${head}/status`], ['POST', `statuses/${head}`, { state: 'success' }]],
  };
  for (const [permission, requests] of Object.entries(asks)) {
    const token = await without(permission);
    for (const [method, where, body] of requests) {
      const refused = await ask(token, method, `${OPS}/${where}`, body);
      const access = method === 'GET' ? 'read' : 'write';
      assert.deepEqual([refused.status, refused.headers.get('x-accepted-github-permissions')], [403, `${permission}=${access}`], `${method} ${where}`);
    }
  }
  const reader = await github.token({ permissions: { contents: 'read' } });
  await is(200, ask(reader, 'GET', `${OPS}/commits`));
  await is(403, ask(reader, 'POST', `${OPS}/git/blobs`, { content: 'x' }));
  const seen = (await github.record()).requests.filter((one) => one.principal === 'installation');
  assert.ok(seen.some((one) => one.operation === '/repos/{owner}/{repo}/git/blobs' && one.permission.name === 'contents' && one.permission.access === 'write' && one.body_bytes > 0));
});

test('lists are in pages with links', async () => {
  for (let at = 0; at < 5; at += 1) await is(201, ask(app, 'POST', '/repos/acme/second/issues', { title: `Issue ${at}` }));
  const links = (answer) => Object.fromEntries((answer.headers.get('link') ?? '').split(', ').filter(Boolean).map((one) => /<(.*)>; rel="(.*)"/.exec(one).slice(1).reverse()));
  const first = await ask(app, 'GET', '/repos/acme/second/issues?per_page=2');
  assert.deepEqual(Object.keys(links(first)), ['next', 'last']);
  const seen = first.body.map((one) => one.title);
  let next = links(first).next;
  while (next) {
    const answer = await ask(app, 'GET', next);
    seen.push(...answer.body.map((one) => one.title));
    next = links(answer).next;
    if (!next) assert.deepEqual(Object.keys(links(answer)), ['prev', 'first']);
  }
  assert.deepEqual(seen, [4, 3, 2, 1, 0].map((at) => `Issue ${at}`));
  assert.equal((await ask(app, 'GET', '/repos/acme/second/issues?per_page=1000')).headers.get('link'), null);
  const commits = await ask(app, 'GET', `/api/v3${OPS}/commits?per_page=1`);
  assert.match(links(commits).next, /\/api\/v3\/repos\/acme\/ops\/commits\?per_page=1&page=2$/);
});

test('what did not change is not sent and not counted', async () => {
  const first = await ask(app, 'GET', OPS);
  const tag = first.headers.get('etag');
  const again = await ask(app, 'GET', OPS, undefined, { 'if-none-match': tag });
  assert.deepEqual([again.status, again.body, again.headers.get('x-ratelimit-remaining')], [304, undefined, first.headers.get('x-ratelimit-remaining')]);
  const other = await ask(app, 'GET', `${OPS}/git/ref/heads/main`);
  github.commit('ops', 'main', { counter: String(Date.now()) });
  const changed = await ask(app, 'GET', `${OPS}/git/ref/heads/main`, undefined, { 'if-none-match': other.headers.get('etag') });
  assert.equal(changed.status, 200);
  assert.ok(changed.headers.get('x-github-request-id'));
});

test('limits of the rate', async () => {
  await github.knobs({ rate_limit: { remaining: 2, reset_in_s: 2 } });
  assert.equal((await ask(app, 'GET', OPS)).headers.get('x-ratelimit-remaining'), '1');
  const tag = (await ask(app, 'GET', OPS)).headers.get('etag');
  const refused = await ask(app, 'GET', OPS, undefined, { 'if-none-match': tag });
  assert.deepEqual([refused.status, refused.headers.get('x-ratelimit-remaining')], [403, '0']);
  assert.match(refused.body.message, /rate limit exceeded/);
  assert.equal((await is(200, ask(app, 'GET', '/rate_limit'))).rate.remaining, 0);
  const reset = Number(refused.headers.get('x-ratelimit-reset')) * 1000;
  await wait(Math.max(reset - Date.now(), 0) + 50);
  await is(200, ask(app, 'GET', OPS));
  await github.knobs({ rate_limit: { secondary_after: 1, retry_after_s: 1 } });
  await is(200, ask(app, 'GET', OPS));
  const second = await ask(app, 'GET', OPS);
  assert.deepEqual([second.status, second.headers.get('retry-after')], [403, '1']);
  assert.match(second.body.message, /secondary rate limit/);
  await wait(1050);
  await is(200, ask(app, 'GET', OPS));
  await github.knobs({ rate_limit: null });
});

test('outages, before and after a request takes effect', async () => {
  await github.knobs({ outage: '503' });
  assert.equal((await ask(app, 'GET', OPS)).status, 503);
  await github.knobs({ outage: 'refuse' });
  await assert.rejects(ask(app, 'GET', OPS));
  await github.knobs({ outage: 'hang', only: 'GET /repos/acme/ops$' });
  await assert.rejects(fetch(`${github.base}${OPS}`, { signal: AbortSignal.timeout(300) }));
  await is(200, ask(app, 'GET', `${OPS}/branches`));
  const count = async () => (await is(200, ask(app, 'GET', '/repos/acme/second/issues?state=all'))).length;
  const before = await count();
  await github.knobs({ outage: 'refuse', only: 'POST .*/issues$' });
  await assert.rejects(ask(app, 'POST', '/repos/acme/second/issues', { title: 'Not made' }));
  assert.equal(await count(), before);
  await github.knobs({ outage: 'refuse', only: 'POST .*/issues$', after_applying: true });
  await assert.rejects(ask(app, 'POST', '/api/v3/repos/acme/second/issues', { title: 'Made' }));
  assert.equal(await count(), before + 1);
  await github.knobs({ latency_ms: 300 });
  const began = Date.now();
  await is(200, ask(app, 'GET', OPS));
  assert.ok(Date.now() - began >= 290);
  assert.equal((await github.knobs({ broken: true })).status, 400);
  await github.knobs({});
});

test('deliveries are sent, signed, kept and sent again', async () => {
  const { heard } = github;
  await branchWith('told', { told: '1\n' });
  const pushed = await until('a push', () => heard.of('push').find((one) => JSON.parse(one.text).ref === 'refs/heads/told'));
  const payload = JSON.parse(pushed.text);
  assert.deepEqual([payload.before, payload.created, payload.commits.length, payload.head_commit.added, payload.installation.id, payload.sender.login], [NONE, true, 1, ['told'], 11, 'infinity-test[bot]']);
  assert.equal(pushed.headers['x-hub-signature-256'], `sha256=${createHmac('sha256', SECRET).update(pushed.text).digest('hex')}`);
  assert.match(pushed.headers['user-agent'], /^GitHub-Hookshot\//);
  assert.match(pushed.headers['x-github-delivery'], /^[0-9a-f-]{36}$/);
  assert.equal(pushed.headers['x-github-hook-id'], '1');
  const pull = await is(201, ask(app, 'POST', `${OPS}/pulls`, { title: 'Told', head: 'told', base: 'main' }));
  await is(200, ask(BOB, 'POST', `${OPS}/pulls/${pull.number}/reviews`, { event: 'APPROVE' }));
  await is(201, ask(app, 'POST', `${OPS}/issues`, { title: 'Told' }));
  await is(201, ask(app, 'POST', `${OPS}/check-runs`, { name: 'told', head_sha: main(), conclusion: 'success' }));
  // A push by path is told of when it is said.
  const before = github.in('ops', 'rev-parse', 'told');
  const after = github.commit('ops', 'told', { told: '2\n' });
  assert.equal((await github.own('POST', 'push', { full_name: 'acme/ops', ref: 'refs/heads/told', before, after })).status, 200);
  await is(200, ask(app, 'PUT', `${OPS}/pulls/${pull.number}/merge`, { sha: after }));
  for (const [event, action] of [['pull_request', 'opened'], ['pull_request', 'synchronize'], ['pull_request', 'closed'], ['pull_request_review', 'submitted'], ['issues', 'opened'], ['check_run', 'completed']]) {
    await until(`${event} ${action}`, () => heard.of(event, action).find((one) => JSON.stringify(one).includes('old')));
  }
  assert.equal(JSON.parse(heard.of('pull_request', 'synchronize').at(-1).text).after, after);
  // Kept, newest first, by cursors.
  const kept = await ask(jwt(), 'GET', '/app/hook/deliveries?per_page=2');
  assert.equal(kept.body.length, 2);
  const next = /<(.*)>; rel="next"/.exec(kept.headers.get('link'))[1];
  const more = await ask(jwt(), 'GET', next);
  assert.ok(more.body[0].id < kept.body[1].id);
  await is(400, ask(jwt(), 'GET', '/app/hook/deliveries?cursor=none'));
  // Refused by whoever heard it, then nobody there.
  heard.status = 500;
  await is(201, ask(app, 'POST', `${OPS}/issues`, { title: 'Refused' }));
  const failed = await until('a failure', async () => (await is(200, ask(jwt(), 'GET', '/app/hook/deliveries?per_page=100'))).find((one) => one.status_code === 500));
  const whole = await is(200, ask(jwt(), 'GET', `/app/hook/deliveries/${failed.id}`));
  assert.deepEqual([whole.status, whole.response.payload, whole.request.payload.issue.title, whole.event, whole.redelivery], ['Invalid HTTP Response: 500', 'heard', 'Refused', 'issues', false]);
  heard.status = 200;
  await is(202, ask(jwt(), 'POST', `/app/hook/deliveries/${failed.id}/attempts`));
  const again = await until('another attempt', async () => (await is(200, ask(jwt(), 'GET', '/app/hook/deliveries?per_page=100'))).find((one) => one.guid === failed.guid && one.redelivery));
  assert.equal(again.status_code, 200);
  assert.equal(heard.all.filter((one) => one.headers['x-github-delivery'] === failed.guid).length, 2);
  await is(404, ask(jwt(), 'POST', '/app/hook/deliveries/1/attempts'));
  await is(401, ask(app, 'GET', '/app/hook/deliveries'));
  assert.ok(EVENTS.includes('push') && heard.of('status').length === 0);
});

test('webhooks of a repository', async () => {
  const { heard } = github;
  const hooks = '/repos/acme/second/hooks';
  await is(422, ask(ANN, 'POST', hooks, { config: {} }));
  const made = await is(201, ask(ANN, 'POST', hooks, { events: ['issues', 'status'], config: { url: `${heard.url}/of-repository`, content_type: 'json', secret: 's' } }));
  const mine = () => heard.all.filter((one) => one.path === '/hook/of-repository');
  await until('a ping', () => mine().find((one) => one.headers['x-github-event'] === 'ping'));
  await is(201, ask(BOB, 'POST', '/repos/acme/second/issues', { title: 'Heard' }));
  const told = await until('an issue', () => mine().find((one) => one.headers['x-github-event'] === 'issues'));
  assert.equal(JSON.parse(told.text).installation, undefined);
  assert.equal((await is(200, ask(ANN, 'GET', hooks))).length, 1);
  const listed = await until('two deliveries', async () => {
    const all = await is(200, ask(ANN, 'GET', `${hooks}/${made.id}/deliveries`));
    return all.length === 2 && all;
  });
  assert.equal((await is(200, ask(ANN, 'GET', `${hooks}/${made.id}/deliveries/${listed[0].id}`))).request.payload.issue.title, 'Heard');
  await is(404, ask(ANN, 'GET', `${hooks}/1/deliveries`));
});

test('nobody who hears is a failure that is kept', async () => {
  const other = await start({ app: { id: 7, slug: 'deaf', public_key_pem: readPublic(), permissions: PERMISSIONS, events: ['issues'], webhook: { url: 'http://127.0.0.1:1/hook', secret: SECRET } } });
  await other.ask(ANN, 'POST', `${OPS}/issues`, { title: 'Unheard' });
  const [kept] = await until('a delivery', async () => {
    const { body } = await other.ask(jwt(), 'GET', '/app/hook/deliveries');
    return body.length > 0 && body;
  });
  assert.deepEqual([kept.status_code, kept.status], [0, 'failed to connect to host']);
  assert.deepEqual((await other.record()).violations, []);
  await other.stop();
});

function readPublic() {
  return JSON.parse(readFileSync(path.join(github.folder, 'config.json'), 'utf8')).app.public_key_pem;
}

test('git over HTTP, with tokens as passwords', async () => {
  const address = (token, name = 'ops', user = 'x-access-token') => `${github.base.replace('://', `://${user}${token ? `:${token}` : ''}@`)}/acme/${name}.git`;
  const clone = (from) => {
    const to = mkdtempSync(path.join(github.folder, 'clone-'));
    return { to, ...git(['clone', '--quiet', from, to]) };
  };
  const mine = clone(address(app));
  assert.equal(mine.code, 0, mine.error);
  assert.equal(git(['-C', mine.to, 'rev-parse', 'HEAD']).text, main());
  assert.equal(clone(`${github.base}/acme/open`).code, 0);
  assert.notEqual(clone(`${github.base}/acme/ops.git`).code, 0);
  assert.notEqual(clone(address('ghp_nobody')).code, 0);
  assert.match(clone(address(DAN, 'ops', 'dan')).error, /not found/i);
  assert.match(clone(address(app, 'elsewhere')).error, /not found/i);
  assert.notEqual(clone(address(await github.token({ permissions: { issues: 'read' } }))).code, 0);
  // A push is seen by the API, and told of.
  const pull = await is(200, ask(app, 'GET', `${OPS}/pulls?state=all&per_page=1`));
  assert.equal(git(['-C', mine.to, 'fetch', '--quiet', 'origin', `refs/pull/${pull[0].number}/head`]).code, 0);
  const work = (args) => git(['-C', mine.to, ...args]);
  work(['checkout', '--quiet', '-b', 'over-http']);
  writeFileSync(path.join(mine.to, 'large'), Buffer.alloc(3 * 1024 * 1024, 'a line of some text\n'));
  writeFileSync(path.join(mine.to, 'noise'), spawnSync('openssl', ['rand', '3000000']).stdout ?? Buffer.alloc(0));
  work(['add', '--all']);
  work(['commit', '--quiet', '--message', 'Large']);
  const pushed = work(['push', '--quiet', 'origin', 'over-http']);
  assert.equal(pushed.code, 0, pushed.error);
  const head = work(['rev-parse', 'HEAD']).text;
  assert.equal((await is(200, ask(app, 'GET', `${OPS}/git/ref/heads/over-http`))).object.sha, head);
  await until('the push', () => github.heard.of('push').find((one) => JSON.parse(one.text).after === head));
  // Refused pushes.
  const as = (token, ...args) => git(['-C', mine.to, 'push', '--quiet', address(token), ...args]);
  assert.match(as(CYD, 'over-http:x').error, /403|denied/);
  const reader = await github.token({ permissions: { contents: 'read' } });
  assert.match(as(reader, 'over-http:x').error, /403|denied/);
  await is(200, ask(ANN, 'PUT', `${OPS}/branches/main/protection`, { required_status_checks: null, enforce_admins: false, required_pull_request_reviews: { required_approving_review_count: 1 }, restrictions: null }));
  assert.match(as(BOB, 'over-http:main').error, /GH006: Protected branch/);
  assert.match(as(ANN, '--force', 'main~1:main').error, /GH006: .*\n.*Cannot force-push/);
  await is(204, ask(ANN, 'DELETE', `${OPS}/branches/main/protection`));
  assert.equal(as(BOB, 'over-http:by-bob').code, 0);
  spawnSync('mkdir', ['-p', path.join(mine.to, '.github/workflows')]);
  writeFileSync(path.join(mine.to, '.github/workflows/x.yml'), 'on: push\n');
  work(['add', '--all']);
  work(['commit', '--quiet', '--message', 'Workflow']);
  assert.match(as(app, 'over-http:flow').error, /without `workflows` permission/);
  assert.equal(as(BOB, 'over-http:flow').code, 0);
  assert.equal(as(BOB, ':flow').code, 0);
  assert.notEqual(as(BOB, 'over-http:refs/pull/1/head').code, 0);
  const served = (await github.record()).git;
  assert.ok(served.some((one) => one.path.endsWith('git-receive-pack') && one.status === 200 && one.permission.access === 'write'));
  // A push whose answer is lost took place.
  await github.knobs({ outage: 'refuse', only: 'POST .*/git-receive-pack', after_applying: true });
  assert.notEqual(as(BOB, 'over-http~1:refs/heads/lost').code, 0);
  await github.knobs({});
  assert.equal(github.in('ops', 'rev-parse', 'lost'), work(['rev-parse', 'over-http~1']).text);
});

const CALLBACK = 'http://127.0.0.1:4321/v1/callback';
const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';
const challengeOf = (verifier) => createHash('sha256').update(verifier).digest('base64url');

/** A page of GitHub's, asked for or sent as a browser does. */
async function visit(where, form) {
  const answer = await fetch(new URL(where, github.base), { method: form ? 'POST' : 'GET', body: form && new URLSearchParams(form), redirect: 'manual' });
  const location = answer.headers.get('location');
  return { status: answer.status, text: await answer.text(), query: location && Object.fromEntries(new URL(location).searchParams), location };
}

/** Opens the page of the web flow, enters an account and sends it. */
async function authorize(more, account, base = github.base) {
  const url = new URL('/login/oauth/authorize', base);
  const asked = { client_id: OAUTH.client_id, redirect_uri: CALLBACK, state: 'a&b "c"', scope: 'user:email read:org', ...more };
  for (const [name, value] of Object.entries(asked)) if (value !== undefined) url.searchParams.set(name, value);
  const shown = await visit(url);
  if (shown.status !== 200) return shown;
  const plain = (text) => text.replace(/&#(\d+);/g, (_, code) => String.fromCharCode(code));
  const form = Object.fromEntries([...shown.text.matchAll(/<input\b[^>]*>/g)].map(([one]) => [/name="([^"]*)"/.exec(one)[1], plain(/value="([^"]*)"/.exec(one)?.[1] ?? '')]));
  return { ...(await visit('/login/oauth/authorize', account === undefined ? form : { ...form, account })), form };
}

/** Asks an endpoint of OAuth; without JSON unless told otherwise. */
async function oauth(where, sent, headers = { accept: 'application/json' }) {
  const answer = await fetch(`${github.base}/login/${where}`, { method: 'POST', headers, body: new URLSearchParams(sent) });
  assert.equal(answer.status, 200);
  const text = await answer.text();
  return headers.accept === 'application/json' ? JSON.parse(text) : Object.fromEntries(new URLSearchParams(text));
}

const redeem = (code, more = {}) => oauth('oauth/access_token', { ...OAUTH, code, redirect_uri: CALLBACK, ...more });

async function tokenOf(account, scope) {
  const { query } = await authorize({ scope }, account);
  return (await redeem(query.code)).access_token;
}

test('people sign in by the web flow', async () => {
  const verifier = 'v'.repeat(43);
  const pkce = { code_challenge: challengeOf(verifier), code_challenge_method: 'S256' };
  const { status, location, query } = await authorize(pkce, 'ann');
  assert.equal(status, 302);
  assert.ok(location.startsWith(`${CALLBACK}?`));
  assert.deepEqual(Object.keys(query), ['code', 'state']);
  assert.equal(query.state, 'a&b "c"');
  const made = await redeem(query.code, { code_verifier: verifier });
  assert.match(made.access_token, /^gho_/);
  assert.deepEqual([made.token_type, made.scope], ['bearer', 'read:org,user:email']);
  assert.equal((await redeem(query.code, { code_verifier: verifier })).error, 'bad_verification_code');
  for (const code_verifier of [undefined, 'w'.repeat(43)]) {
    const other = await authorize(pkce, 'ann');
    assert.equal((await redeem(other.query.code, code_verifier ? { code_verifier } : {})).error, 'bad_verification_code');
    assert.equal((await redeem(other.query.code, { code_verifier: verifier })).error, 'bad_verification_code');
  }
  assert.equal((await authorize({ ...pkce, code_challenge_method: 'plain' }, 'ann')).status, 400);
  // An account may be proposed; the person may still be another.
  const proposed = await authorize({ login: 'bob' });
  assert.deepEqual([proposed.form.account, proposed.status], ['bob', 302]);
  assert.equal((await ask((await redeem(proposed.query.code)).access_token, 'GET', '/user')).body.login, 'bob');
});

test('the web flow refuses as GitHub does', async () => {
  const denied = await authorize({}, '');
  assert.deepEqual([denied.query.error, denied.query.state], ['access_denied', 'a&b "c"']);
  for (const account of ['mallory', 'acme', 'infinity-test[bot]']) assert.equal((await authorize({}, account)).status, 422);
  assert.equal((await authorize({ client_id: 'Iv1.none' })).status, 404);
  // Any port of this machine, but no other path, host or scheme.
  for (const redirect_uri of ['http://127.0.0.1:1/v1/', 'http://127.0.0.1/v1/callback/deeper', undefined]) assert.ok((await authorize({ redirect_uri }, 'ann')).query.code);
  for (const redirect_uri of ['http://127.0.0.1:4321/other', 'http://127.0.0.1:4321/v1/../other', 'https://127.0.0.1:4321/v1/callback', 'http://example.com/v1/callback', 'http://a@127.0.0.1/v1/', 'none']) {
    const { location, query } = await authorize({ redirect_uri }, 'ann');
    assert.ok(location.startsWith('http://127.0.0.1/v1/?'), location);
    assert.deepEqual([query.error, query.state], ['redirect_uri_mismatch', 'a&b "c"']);
  }
  const { code } = (await authorize({}, 'ann')).query;
  for (const [more, error] of [[{ client_secret: 'x' }, 'incorrect_client_credentials'], [{ client_id: 'x' }, 'incorrect_client_credentials'], [{ grant_type: 'password' }, 'unsupported_grant_type'], [{ code: 'x' }, 'bad_verification_code'], [{ redirect_uri: 'http://127.0.0.1/v1/other' }, 'redirect_uri_mismatch']]) {
    const said = await redeem(code, more);
    assert.equal(said.error, error);
    assert.ok(said.error_description && said.error_uri);
  }
  // None of these used it up. Who asks may say so in a header, and hears a form unless JSON is asked for.
  const basic = `Basic ${btoa(`${OAUTH.client_id}:${encodeURIComponent(OAUTH.client_secret)}`)}`;
  const made = await oauth('oauth/access_token', { code, grant_type: 'authorization_code' }, { authorization: basic });
  assert.match(made.access_token, /^gho_/);
});

test('a token says no more than its scopes', async () => {
  const [ann, bob, dan] = await Promise.all(['ann', 'bob', 'dan'].map((login) => tokenOf(login, 'read:org')));
  const names = (all) => all.map((one) => one.login ?? `${one.organization.login}/${one.slug}`);
  for (const [token, orgs, teams] of [[ann, ['acme'], ['acme/platform']], [bob, ['acme'], []], [dan, [], []], [ANN, ['acme'], ['acme/platform']]]) {
    assert.deepEqual(names(await is(200, ask(token, 'GET', '/user/orgs'))), orgs);
    assert.deepEqual(names(await is(200, ask(token, 'GET', '/api/v3/user/teams?per_page=100'))), teams);
  }
  const user = await ask(ann, 'GET', '/user');
  assert.deepEqual([user.body.login, user.body.email, user.headers.get('x-oauth-scopes'), user.headers.get('x-oauth-client-id')], ['ann', 'ann@example.com', 'read:org', OAUTH.client_id]);
  assert.ok(!('two_factor_authentication' in user.body));
  assert.ok('two_factor_authentication' in (await is(200, ask(ANN, 'GET', '/user'))));
  const bare = await tokenOf('ann', undefined);
  await is(200, ask(bare, 'GET', '/user'));
  for (const where of ['/user/orgs', '/user/teams', '/user/ssh_signing_keys']) await is(403, ask(bare, 'GET', where), /scope/);
  // A repository is seen with `repo`, by whoever may see it.
  await is(404, ask(ann, 'GET', OPS));
  await is(200, ask(ann, 'GET', '/repos/acme/open'));
  await is(404, ask(ann, 'POST', '/repos/acme/open/git/blobs', { content: 'x' }));
  await is(200, ask(await tokenOf('ann', 'repo'), 'GET', OPS));
  await is(404, ask(await tokenOf('dan', 'repo'), 'GET', OPS));
  await is(401, ask('gho_none', 'GET', '/user'));
  await is(403, ask(app, 'GET', '/user/orgs'));
  await is(401, ask(undefined, 'GET', '/user/teams'));
  // The eleventh of a kind ends the first.
  const first = await tokenOf('bob', 'gist');
  for (let at = 0; at < 10; at += 1) {
    await is(200, ask(first, 'GET', '/user'));
    await tokenOf('bob', 'gist');
  }
  await is(401, ask(first, 'GET', '/user'));
});

const begin = (more = {}) => oauth('device/code', { client_id: OAUTH.client_id, scope: 'read:org', ...more });
const poll = ({ device_code }, more = {}) => oauth('oauth/access_token', { client_id: OAUTH.client_id, device_code, grant_type: DEVICE_GRANT, ...more });

test('a device is connected', async () => {
  const begun = await begin();
  assert.match(begun.user_code, /^[A-Z]{4}-[A-Z]{4}$/);
  assert.deepEqual([begun.verification_uri, begun.expires_in, begun.interval], [`${github.base}/login/device`, 900, 1]);
  assert.equal((await poll(begun)).error, 'authorization_pending');
  // Whoever asks too soon has to wait longer from then on.
  const slow = await poll(begun);
  assert.deepEqual([slow.error, slow.interval], ['slow_down', 2]);
  assert.match((await visit(begun.verification_uri)).text, /name="user_code"/);
  assert.equal((await visit(begun.verification_uri, { user_code: 'BBBB-BBBB', account: 'ann' })).status, 422);
  assert.equal((await visit(begun.verification_uri, { user_code: begun.user_code, account: 'mallory' })).status, 422);
  assert.match((await visit(begun.verification_uri, { user_code: begun.user_code.toLowerCase(), account: 'ann' })).text, /all set/);
  assert.equal((await visit(begun.verification_uri, { user_code: begun.user_code, account: 'bob' })).status, 422);
  await wait(2050);
  const made = await poll(begun);
  assert.deepEqual([made.token_type, made.scope], ['bearer', 'read:org']);
  assert.equal((await is(200, ask(made.access_token, 'GET', '/user/teams')))[0].slug, 'platform');
  assert.equal((await poll(begun)).error, 'incorrect_device_code');
});

test('a device is denied, expires, or is none', async () => {
  const denied = await begin();
  await visit(denied.verification_uri, { user_code: denied.user_code, account: '' });
  assert.equal((await poll(denied)).error, 'access_denied');
  assert.equal((await poll({ device_code: 'x' })).error, 'incorrect_device_code');
  assert.equal((await poll(denied, { client_id: 'x' })).error, 'incorrect_client_credentials');
  assert.equal((await poll(denied, { grant_type: 'x' })).error, 'unsupported_grant_type');
  assert.equal((await begin({ client_id: 'x' })).error, 'incorrect_client_credentials');
  const other = await start({ oauth_apps: [{ ...OAUTH, name: 'Infinity', callback_url: CALLBACK, device_flow: true, device_seconds: 1 }, { client_id: 'Iv1.web', callback_url: CALLBACK }] });
  const said = async (where, sent) => (await other.ask(undefined, 'POST', `/login/${where}`, JSON.stringify(sent), { 'content-type': 'application/json' })).body;
  const short = await said('device/code', { client_id: OAUTH.client_id });
  assert.equal(short.interval, 5);
  await wait(1050);
  assert.equal((await said('oauth/access_token', { client_id: OAUTH.client_id, device_code: short.device_code, grant_type: DEVICE_GRANT })).error, 'expired_token');
  assert.equal((await said('device/code', { client_id: 'Iv1.web' })).error, 'device_flow_disabled');
  await other.stop();
});

test('signing in is struck by outages, and recorded', async () => {
  await github.knobs({ outage: '503', only: 'POST /login/oauth/access_token' });
  assert.equal((await fetch(`${github.base}/login/oauth/access_token`, { method: 'POST' })).status, 503);
  await github.knobs({});
  const { requests } = await github.record();
  assert.ok(requests.some((one) => one.operation === '/login/oauth/access_token' && one.status === 'outage'));
  assert.ok(requests.some((one) => one.operation === '/login/oauth/authorize' && one.status === 302));
});

test('what is not as described is told', async () => {
  const errors = (all) => JSON.stringify(all);
  const unknown = await violationsOf(() => is(404, ask(app, 'GET', `${OPS}/nothing/here`)));
  assert.match(errors(unknown), /no such operation/);
  assert.match(errors(await violationsOf(() => is(400, ask(app, 'POST', `${OPS}/issues`, '{"title":'), /Problems parsing JSON/))), /no JSON/);
  assert.match(errors(await violationsOf(() => is(422, ask(app, 'POST', `${OPS}/issues`, { body: 'x' })))), /required property 'title'/);
  assert.match(errors(await violationsOf(() => is(422, ask(app, 'POST', `${OPS}/git/refs`)))), /body is missing/);
  assert.match(errors(await violationsOf(() => is(201, ask(app, 'POST', `${OPS}/issues`, { title: 'x', titel: 'x' })))), /titel is not described/);
  assert.match(errors(await violationsOf(() => is(201, ask(app, 'POST', `${OPS}/git/trees`, { tree: [{ path: 'x', mode: '100644', type: 'blob', content: 'x', size: 1 }] })))), /size is not described/);
  assert.match(errors(await violationsOf(() => is(422, ask(app, 'GET', `${OPS}/issues?state=gone`)))), /state/);
  const run = await is(201, ask(app, 'POST', `${OPS}/check-runs`, { name: 'odd', head_sha: main() }));
  assert.match(errors(await violationsOf(() => is(422, ask(app, 'PATCH', `${OPS}/check-runs/${run.id}`, { status: 'completed' })))), /conclusion/);
  assert.match(errors(await violationsOf(() => is(200, ask(app, 'GET', `${OPS}/issues?stat=open`)))), /stat is not described/);
  assert.match(errors(await violationsOf(() => is(404, ask(app, 'GET', `${OPS}/issues/one`)))), /issue_number/);
  assert.match(errors(await violationsOf(() => ask(app, 'GET', OPS, undefined, { 'x-github-api-version': '1999-01-01' }))), /version/);
});
