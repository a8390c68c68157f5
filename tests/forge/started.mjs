// Starts the stand-in for its own tests, with an App, people, repositories and somebody who hears of deliveries.

import { spawn, spawnSync } from 'node:child_process';
import { createSign, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import readline from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ENVIRONMENT } from './git.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const keys = generateKeyPairSync('rsa', { modulusLength: 2048 });
export const PERMISSIONS = { contents: 'write', pull_requests: 'write', issues: 'write', checks: 'write', statuses: 'write', metadata: 'read' };
export const EVENTS = ['push', 'pull_request', 'pull_request_review', 'issues', 'issue_comment', 'check_run'];
export const SECRET = 'a secret of sixteen characters and more';

/** An OAuth App, which people sign in to by their accounts. */
export const OAUTH = { client_id: 'Iv1.infinity', client_secret: 'github-oauth-secret-of-40-characters-0000' }; // infinity:allow-secret

export const ANN = 'ghp_ann';
export const BOB = 'ghp_bob';
export const CYD = 'ghp_cyd';
export const DAN = 'ghp_dan';

/** A JSON web token of the App, with other claims where a test wants them. */
export function jwt(claims = {}, { key = keys.privateKey, alg = 'RS256' } = {}) {
  const now = Math.floor(Date.now() / 1000);
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${part({ alg, typ: 'JWT' })}.${part({ iat: now - 30, exp: now + 300, iss: '7', ...claims })}`;
  return `${text}.${createSign('RSA-SHA256').update(text).sign(key, 'base64url')}`;
}

export function git(args, options = {}) {
  const env = { ...ENVIRONMENT, GIT_AUTHOR_NAME: 'Ann', GIT_AUTHOR_EMAIL: 'ann@example.com', GIT_COMMITTER_NAME: 'Ann', GIT_COMMITTER_EMAIL: 'ann@example.com', ...options.env };
  const said = spawnSync('git', args, { encoding: 'utf8', ...options, env });
  return { code: said.status, text: (said.stdout ?? '').trimEnd(), error: said.stderr ?? '' };
}

export async function until(what, ask) {
  for (let at = 0; at < 1200; at += 1) {
    const found = await ask();
    if (found) return found;
    await wait(25);
  }
  throw new Error(`${what} does not come to be`);
}

/** Hears deliveries; `answers` is the status it answers with. */
async function hearer() {
  const heard = { all: [], status: 200 };
  const server = http.createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    heard.all.push({ headers: request.headers, text, path: request.url });
    response.writeHead(heard.status).end('heard');
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  heard.url = `http://127.0.0.1:${server.address().port}/hook`;
  heard.of = (event, action) => heard.all.filter((one) => one.headers['x-github-event'] === event && (!action || JSON.parse(one.text).action === action));
  heard.close = () => new Promise((done) => {
    server.closeAllConnections();
    server.close(done);
  });
  return heard;
}

export async function start(more = {}) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'stand-in-test-'));
  const heard = await hearer();
  const root = path.join(folder, 'git');
  const repository = (name, rest = {}) => ({ full_name: `acme/${name}`, private: true, collaborators: { ann: 'admin', bob: 'write', cyd: 'read' }, ...rest });
  const config = {
    app: { id: 7, client_id: 'Iv1.test', slug: 'infinity-test', public_key_pem: keys.publicKey.export({ type: 'spki', format: 'pem' }), permissions: PERMISSIONS, events: EVENTS, webhook: { url: heard.url, secret: SECRET } },
    installations: [{ id: 11, account: 'acme', repositories: ['acme/ops', 'acme/empty', 'acme/second'], permissions: PERMISSIONS }],
    users: [
      { login: 'ann', token: ANN, email: 'ann@example.com' },
      { login: 'bob', token: BOB, email: 'bob@example.com' },
      { login: 'cyd', token: CYD, email: 'cyd@example.com' },
      { login: 'dan', token: DAN, email: 'dan@example.com' },
    ],
    organizations: [{ login: 'acme', members: ['ann', 'bob'], teams: [{ slug: 'platform', name: 'Platform', members: ['ann'] }] }],
    oauth_apps: [{ client_id: OAUTH.client_id, client_secret: OAUTH.client_secret, name: 'Infinity', callback_url: 'http://127.0.0.1/v1/', device_flow: true, device_interval: 1 }],
    repositories: [repository('ops'), repository('empty'), repository('second'), repository('elsewhere'), repository('open', { private: false, collaborators: { ann: 'admin' } })],
    ...more,
  };
  const file = path.join(folder, 'config.json');
  writeFileSync(file, JSON.stringify(config));
  const child = spawn(process.execPath, [path.join(here, 'github.mjs'), '--root', root, '--config', file], { stdio: ['pipe', 'pipe', 'pipe'] });
  let log = '';
  child.stderr.on('data', (chunk) => {
    log += chunk;
  });
  const ended = new Promise((done) => child.on('close', done));
  const [line] = await Promise.race([
    new Promise((done) => readline.createInterface({ input: child.stdout }).once('line', (text) => done([text]))),
    ended.then(() => {
      throw new Error(`the stand-in ended: ${log}`);
    }),
  ]);
  const base = JSON.parse(line).listening;

  /** A request: gives `status`, `headers`, `body`. */
  async function ask(token, method, where, body, headers = {}) {
    const sent = await fetch(where.startsWith('http') ? where : `${base}${where}`, {
      method,
      headers: { accept: 'application/vnd.github+json', ...(token ? { authorization: `Bearer ${token}` } : {}), ...headers },
      body: body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body),
    });
    const text = await sent.text();
    let parsed = text;
    try {
      parsed = text ? JSON.parse(text) : undefined;
    } catch {
      // Some answers are no JSON.
    }
    return { status: sent.status, headers: sent.headers, body: parsed };
  }

  const own = (method, where, body) => ask(undefined, method, `/_stand_in/${where}`, body);
  const github = { base, root, folder, heard, ask, own, log: () => log };
  github.directory = (name) => path.join(root, 'acme', `${name}.git`);
  github.in = (name, ...args) => git(['-C', github.directory(name), ...args]).text;
  github.token = async (body) => (await ask(jwt(), 'POST', '/app/installations/11/access_tokens', body)).body.token;
  github.record = async () => (await own('GET', 'record')).body;
  github.knobs = (knobs) => own('POST', 'knobs', knobs);

  /** A commit by the path of a repository, as tests of others make them. */
  github.commit = (name, branch, files, message = 'Change files') => {
    const work = mkdtempSync(path.join(folder, 'work-'));
    const must = (args) => {
      const said = git(args, { cwd: work });
      if (said.code !== 0) throw new Error(`git ${args.join(' ')}: ${said.error}`);
      return said.text;
    };
    must(['clone', '--quiet', github.directory(name), '.']);
    const there = git(['rev-parse', '--verify', '--quiet', `origin/${branch}`], { cwd: work }).code === 0;
    must(there ? ['checkout', '--quiet', '-B', branch, `origin/${branch}`] : ['checkout', '--quiet', '-B', branch]);
    for (const [file, text] of Object.entries(files)) {
      if (text === null) must(['rm', '--quiet', file]);
      else {
        spawnSync('mkdir', ['-p', path.dirname(path.join(work, file))]);
        writeFileSync(path.join(work, file), text);
      }
    }
    must(['add', '--all']);
    must(['commit', '--quiet', '--message', message]);
    must(['push', '--quiet', 'origin', `${branch}:${branch}`]);
    const sha = must(['rev-parse', 'HEAD']);
    rmSync(work, { recursive: true, force: true });
    return sha;
  };

  github.stop = async () => {
    child.stdin.end();
    await ended;
    await heard.close();
    rmSync(folder, { recursive: true, force: true });
  };
  return github;
}
