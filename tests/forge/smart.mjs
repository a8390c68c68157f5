// Git over HTTP, by git's own program for it. What a push changes is seen before it happens, as GitHub refuses some pushes, and told of afterwards.

import { randomUUID } from 'node:crypto';
import { spawn } from 'node:child_process';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { OPERATIONS, principalOf, repositoryFor } from './access.mjs';
import { ENVIRONMENT, settings } from './git.mjs';
import { followAll, refsMoved } from './pulls.mjs';
import { Refusal } from './refusal.mjs';
import { NONE } from './repository.mjs';
import { demandWorkflows, whyNotPush } from './rules.mjs';

const PATHS = /^\/([^/]+)\/([^/]+?)(?:\.git)?\/(info\/refs|git-upload-pack|git-receive-pack)$/;

export class Smart {
  constructor(world, knobs, record, folder, root) {
    Object.assign(this, { world, knobs, record, root });
    this.hooks = path.join(folder, 'hooks');
    // Pushes that are under way, by a secret that their hook shows.
    this.pushes = new Map();
  }

  async begin() {
    await mkdir(this.hooks);
    const hook = path.join(this.hooks, 'pre-receive');
    const source = await readFile(path.join(path.dirname(fileURLToPath(import.meta.url)), 'pre-receive.mjs'), 'utf8');
    // Git runs a program without an ending in its name, which node takes for the older kind of module.
    await writeFile(`${hook}.mjs`, source);
    await writeFile(hook, `#!${process.execPath}\nimport(${JSON.stringify(`${hook}.mjs`)});\n`);
    await chmod(hook, 0o700);
  }

  /** Whether a request is git's. */
  takes(url) {
    return PATHS.exec(url.pathname);
  }

  async handle(request, response, url, [, owner, name, service]) {
    const writes = service === 'git-receive-pack' || url.searchParams.get('service') === 'git-receive-pack';
    const key = writes ? 'git push' : 'git fetch';
    const operation = OPERATIONS[key];
    const permission = { name: operation.permission, access: operation.access };
    const entry = { method: request.method, path: url.pathname, query: url.search, operation: 'git', status: null, principal: 'unknown', permission, body_bytes: 0 };
    this.record.requests.push(entry);
    this.record.git.push(entry);
    request.on('data', (chunk) => {
      entry.body_bytes += chunk.length;
    });
    request.pause();
    const struck = this.knobs.strikes(request.method, url.pathname, url.search);
    if (struck === 'before') {
      entry.status = 'outage';
      this.knobs.strike(request, response);
      return;
    }
    try {
      const principal = principalOf(this.world, request.headers.authorization);
      entry.principal = principal.kind;
      const repository = repositoryFor(this.world, principal, operation, owner, name.replace(/\.git$/, ''));
      const html = `http://${request.headers.host}`;
      const at = { world: this.world, principal, repository, git: repository.git, html, api: html };
      await (service === 'git-receive-pack' ? this.#push(at, request, response, url, service, struck, entry) : this.#fetch(at, request, response, url, service, struck, entry));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      entry.status = error.status;
      const text = error.status === 403 ? `Permission to ${owner}/${name} denied.` : error.status === 404 ? 'Repository not found.' : error.message;
      request.resume();
      response.writeHead(error.status, { 'content-type': 'text/plain', ...(error.status === 401 ? { 'www-authenticate': 'Basic realm="GitHub"' } : {}) }).end(text);
    }
  }

  async #fetch(at, request, response, url, service, struck, entry) {
    // People fetch `refs/pull/N/head` as well, which follow branches that were pushed by their path.
    await followAll(at.repository);
    await this.#serve(at, request, response, url, service, { struck, entry });
  }

  async #push(at, request, response, url, service, struck, entry) {
    const secret = randomUUID();
    this.pushes.set(secret, at);
    const before = await at.git.references('refs/');
    try {
      const env = { STAND_IN: `http://127.0.0.1:${request.socket.localPort}/_stand_in/receive`, STAND_IN_PUSH: secret };
      await this.#serve(at, request, response, url, service, { struck, entry, env, after: () => this.#pushed(at, before) });
    } finally {
      this.pushes.delete(secret);
    }
  }

  async #pushed(at, before) {
    const [old, now] = [before, await at.git.references('refs/')].map((all) => new Map(all.map((one) => [one.ref, one.sha])));
    const moves = [];
    for (const ref of new Set([...old.keys(), ...now.keys()])) {
      if (ref.startsWith('refs/pull/') || old.get(ref) === now.get(ref)) continue;
      const forced = old.has(ref) && now.has(ref) && !(await at.git.isAncestor(old.get(ref), now.get(ref)));
      moves.push({ ref, before: old.get(ref), after: now.get(ref), forced });
    }
    await this.world.exclusive(at.repository, () => refsMoved(at, at.repository, moves));
  }

  /** Why a push is refused, from what its hook saw; undefined where it is not. */
  async judge({ push, updates }) {
    const at = this.pushes.get(push);
    if (!at) return 'there is no such push';
    for (const { before, after, ref, forced, workflows } of updates) {
      const branch = /^refs\/heads\/(.+)$/.exec(ref)?.[1];
      const or = (id) => (id === NONE ? undefined : id);
      const why = branch && whyNotPush(this.world, at.repository, at.principal, branch, { before: or(before), after: or(after), forced });
      if (why) return `GH006: Protected branch update failed for ${ref}.\nerror: ${why}`;
      try {
        await demandWorkflows(at.repository, at.principal, workflows);
      } catch {
        return `refusing to allow a GitHub App to create or update workflow \`${workflows[0].split(' ')[0]}\` without \`workflows\` permission`;
      }
    }
    return undefined;
  }

  #serve(at, request, response, url, service, { struck, entry, env = {}, after = () => {} }) {
    const child = spawn('git', ['http-backend'], {
      env: {
        ...ENVIRONMENT,
        ...settings([
          ['safe.directory', '*'],
          ['http.receivepack', 'true'],
          ['receive.hideRefs', 'refs/pull'],
          ['core.hooksPath', this.hooks],
          // GitHub gives whatever it has.
          ['uploadpack.allowAnySHA1InWant', 'true'],
          ['uploadpack.allowFilter', 'true'],
        ]),
        ...env,
        GIT_PROJECT_ROOT: this.root,
        GIT_HTTP_EXPORT_ALL: '1',
        PATH_INFO: `/${at.repository.full_name}.git/${service}`,
        REQUEST_METHOD: request.method,
        QUERY_STRING: url.search.slice(1),
        CONTENT_TYPE: request.headers['content-type'] ?? '',
        REMOTE_USER: this.world.actor(at.principal).login,
        REMOTE_ADDR: '127.0.0.1',
        GIT_PROTOCOL: request.headers['git-protocol'] ?? '',
        ...(request.headers['content-encoding'] ? { HTTP_CONTENT_ENCODING: request.headers['content-encoding'] } : {}),
        ...(request.headers['content-length'] ? { CONTENT_LENGTH: request.headers['content-length'] } : {}),
      },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    child.stdin.on('error', () => {});
    child.stderr.on('data', (text) => console.error(`git http-backend: ${text}`));
    request.pipe(child.stdin);
    response.on('close', () => child.exitCode ?? child.kill());
    return new Promise((done, failed) => {
      const quiet = struck === 'after';
      let head = Buffer.alloc(0);
      let begun = false;
      child.on('error', failed);
      child.stdout.on('data', (chunk) => {
        if (begun) {
          if (!quiet && !response.write(chunk)) {
            child.stdout.pause();
            response.once('drain', () => child.stdout.resume());
          }
          return;
        }
        head = Buffer.concat([head, chunk]);
        const end = head.indexOf('\r\n\r\n');
        if (end < 0) return;
        begun = true;
        const lines = head.subarray(0, end).toString().split('\r\n');
        const headers = Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]));
        entry.status = Number((headers.status ?? '200').split(' ')[0]);
        delete headers.status;
        if (quiet) return;
        response.writeHead(entry.status, headers);
        response.write(head.subarray(end + 4));
      });
      child.on('close', async () => {
        try {
          // The end of an answer says that everything of it was done.
          await after();
          if (quiet) {
            entry.status = 'lost';
            this.knobs.strike(request, response);
          } else {
            if (!begun) response.writeHead(500);
            response.end();
          }
          done();
        } catch (error) {
          failed(error);
        }
      });
    });
  }
}
