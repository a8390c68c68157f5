// The REST API: from a request to its answer, each held against GitHub's description.

import { createHash, randomUUID } from 'node:crypto';
import { OPERATIONS, demandKind, demandScope, permissionOf, principalOf, repositoryFor } from './access.mjs';
import { documentationOf, operationOf, wrongAnswer, wrongRequest } from './description.mjs';
import { Refusal } from './refusal.mjs';
import { app } from './routes/app.mjs';
import { checks } from './routes/checks.mjs';
import { contents } from './routes/contents.mjs';
import { git } from './routes/git.mjs';
import { issues } from './routes/issues.mjs';
import { pulls } from './routes/pulls.mjs';

const routes = { ...app, ...git, ...contents, ...pulls, ...issues, ...checks };

/** Bytes of a body: GitHub takes blobs of 100 MB, which Base64 makes longer. */
const BODY_MAX = 150 * 1024 * 1024;

/** What people call the version of the API that the description is of. */
const VERSION = '2022-11-28';

export function bodyOf(request) {
  return new Promise((done, failed) => {
    const chunks = [];
    let bytes = 0;
    request.on('data', (chunk) => {
      bytes += chunk.length;
      if (bytes <= BODY_MAX) chunks.push(chunk);
    });
    request.on('end', () => (bytes > BODY_MAX ? failed(new Refusal(413, 'Payload too large')) : done(Buffer.concat(chunks))));
    request.on('error', failed);
  });
}

/** The form that a reader asks for: `raw`, `diff`, `sha` or JSON. */
const mediaOf = (accept = '') => /application\/vnd\.github\.(?:v3\.)?(raw|diff|sha)/.exec(accept)?.[1] ?? 'json';

function linkOf({ page, pages, cursor }, url) {
  const links = [];
  const link = (name, value, rel) => {
    const other = new URL(url);
    other.searchParams.set(name, value);
    links.push(`<${other}>; rel="${rel}"`);
  };
  if (page > 1) link('page', page - 1, 'prev');
  if (pages > page) {
    link('page', page + 1, 'next');
    link('page', pages, 'last');
  }
  if (page > 1) link('page', 1, 'first');
  if (cursor !== undefined) link('cursor', cursor, 'next');
  return links.length > 0 ? { link: links.join(', ') } : {};
}

export class Api {
  constructor(world, knobs, record) {
    Object.assign(this, { world, knobs, record });
  }

  async handle(request, response, url, prefix) {
    const pathname = url.pathname.slice(prefix.length).replace(/\/$/, '') || '/';
    const found = operationOf(request.method, pathname);
    const name = found?.key ?? `${request.method} ${pathname}`;
    const operation = found && OPERATIONS[found.key];
    const entry = { method: request.method, path: pathname, query: url.search, operation: found?.template ?? null, status: null, principal: 'unknown', permission: operation?.permission ? { name: operation.permission, access: operation.access } : null, body_bytes: 0 };
    this.record.requests.push(entry);
    const struck = this.knobs.strikes(request.method, pathname, url.search);
    if (struck === 'before') {
      entry.status = 'outage';
      this.knobs.strike(request, response);
      return;
    }
    const told = { request: false };
    const violation = (where, errors) => {
      if (where === 'request' && errors.length > 0) told.request = true;
      this.record.violation(where, name, errors, { method: request.method, path: pathname });
    };
    const answer = await this.#answer({ request, url, prefix, found, operation, entry, violation }).catch((error) => this.#refusal(error, found, violation));
    // A request that is not as described may be refused in a way that is not described either.
    const refused = told.request && [400, 422].includes(answer.status);
    if (found && !refused && !answer.bytes) violation('response', wrongAnswer(found, answer.status, answer.body));
    entry.status = answer.status;
    if (struck === 'after') {
      entry.status = 'lost';
      this.knobs.strike(request, response);
      return;
    }
    this.#send(request, response, answer, entry);
  }

  #refusal(error, found, violation) {
    if (!(error instanceof Refusal)) {
      violation('response', [`the stand-in failed: ${error.stack}`]);
      return { status: 500, headers: {}, body: { message: 'Server Error' } };
    }
    const body = { message: error.message, ...(error.errors ? { errors: error.errors } : {}), documentation_url: documentationOf(found), status: String(error.status) };
    return { status: error.status, headers: error.headers, body };
  }

  async #answer({ request, url, prefix, found, operation, entry, violation }) {
    const bytes = await bodyOf(request);
    entry.body_bytes = bytes.length;
    if (!found) {
      violation('request', ['GitHub has no such operation']);
      throw new Refusal(404, 'Not Found');
    }
    const route = routes[found.key];
    if (!route || !operation) {
      violation('request', ['the stand-in does not know the operation']);
      throw new Refusal(404, 'Not Found');
    }
    const version = request.headers['x-github-api-version'] ?? VERSION;
    if (version !== VERSION) {
      violation('request', [`${version} is not the version of the description, ${VERSION}`]);
      throw new Refusal(400, `${version} is not a supported API version`);
    }
    const body = this.#parse(bytes, violation);
    const wrong = wrongRequest(found, url.searchParams, body);
    violation('request', Object.values(wrong).flat());

    const principal = principalOf(this.world, request.headers.authorization);
    entry.principal = principal.kind;
    const counted = this.knobs.count(principal, { free: found.key === 'GET /rate_limit' });
    if (principal.scopes) Object.assign(counted.headers, { 'x-oauth-scopes': principal.scopes.join(', '), 'x-oauth-client-id': principal.client });
    try {
      const html = `http://${request.headers.host}`;
      const at = { world: this.world, principal, operation: found, path: found.path, query: url.searchParams, body, media: mediaOf(request.headers.accept), html, api: `${html}${prefix}`, limits: counted.limits };
      if (operation.as === 'repository') {
        at.repository = repositoryFor(this.world, principal, operation, found.path.owner, found.path.repo);
        at.git = at.repository.git;
        entry.permission = { name: permissionOf(principal, operation), access: operation.access };
      } else {
        demandKind(principal, operation.as);
        demandScope(principal, operation);
      }
      // A number that is none names nothing.
      if (wrong.path.length > 0) throw new Refusal(404, 'Not Found');
      const invalid = [...wrong.query, ...wrong.body];
      if (invalid.length > 0) throw new Refusal(422, `Invalid request.\n\n${invalid.join('\n')}`);
      const reads = found.method === 'GET' || !at.repository;
      const answer = await (reads ? route(at) : this.world.exclusive(at.repository, () => route(at)));
      const headers = { ...counted.headers, ...linkOf(answer, `${html}${url.pathname}${url.search}`) };
      return { status: 200, ...answer, headers, counted };
    } catch (error) {
      if (error instanceof Refusal) error.headers = { ...counted.headers, ...error.headers };
      throw error;
    }
  }

  #parse(bytes, violation) {
    if (bytes.length === 0) return undefined;
    try {
      return JSON.parse(bytes);
    } catch {
      violation('request', ['the body is no JSON']);
      throw new Refusal(400, 'Problems parsing JSON');
    }
  }

  #send(request, response, answer, entry) {
    const text = answer.bytes ?? (answer.body === undefined ? '' : JSON.stringify(answer.body));
    let headers = { ...answer.headers, 'x-github-request-id': randomUUID(), 'x-github-api-version-selected': VERSION, 'x-github-media-type': 'github.v3; format=json' };
    if (request.method === 'GET' && answer.status === 200) {
      const tag = createHash('sha256').update(request.headers.authorization ?? '').update(text).digest('hex');
      headers.etag = `W/"${tag}"`;
      headers['cache-control'] = 'private, max-age=60, s-maxage=60';
      const held = (request.headers['if-none-match'] ?? '').split(',').map((one) => one.trim().replace(/^W\//, ''));
      if (held.includes(`"${tag}"`)) {
        headers = { ...headers, ...this.knobs.giveBack(answer.counted) };
        entry.status = 304;
        response.writeHead(304, headers).end();
        return;
      }
    }
    if (text.length > 0) headers['content-type'] = answer.bytes ? 'application/octet-stream' : 'application/json; charset=utf-8';
    if (answer.status !== 204) headers['content-length'] = Buffer.byteLength(text);
    response.writeHead(answer.status, headers).end(text);
  }
}
