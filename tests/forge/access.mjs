// Who sends a request, and whether they may: from credentials, and from one table of what each operation takes.

import { createPublicKey, createVerify } from 'node:crypto';
import { Refusal, missing } from './refusal.mjs';
import { rank } from './world.mjs';

/** Seconds that a JSON web token may last, and that a clock may be ahead. */
const JWT_MAX = 600;
const CLOCK_AHEAD = 60;

const R = '/repos/{owner}/{repo}';

/**
 * Operations that are not about a repository's content: whose credentials they take.
 */
const AS = {
  'GET /app': 'app',
  'GET /app/installations': 'app',
  'GET /app/installations/{installation_id}': 'app',
  [`GET ${R}/installation`]: 'app',
  'GET /orgs/{org}/installation': 'app',
  'GET /users/{username}/installation': 'app',
  'POST /app/installations/{installation_id}/access_tokens': 'app',
  'PUT /app/installations/{installation_id}/suspended': 'app',
  'DELETE /app/installations/{installation_id}/suspended': 'app',
  'GET /app/hook/deliveries': 'app',
  'GET /app/hook/deliveries/{delivery_id}': 'app',
  'POST /app/hook/deliveries/{delivery_id}/attempts': 'app',
  'DELETE /installation/token': 'installation',
  'GET /installation/repositories': 'installation',
  'GET /user': 'user',
  'GET /user/orgs': 'user',
  'GET /user/ssh_signing_keys': 'user',
  'GET /user/teams': 'user',
  'POST /user/ssh_signing_keys': 'user',
  'GET /rate_limit': 'anyone',
};

/** Scopes of which a person's token for an OAuth App needs one; `repo` for what is about a repository. */
const SCOPES = {
  'GET /user/orgs': ['read:org', 'write:org', 'admin:org', 'user'],
  'GET /user/ssh_signing_keys': ['read:ssh_signing_key', 'write:ssh_signing_key', 'admin:ssh_signing_key'],
  'GET /user/teams': ['read:org', 'write:org', 'admin:org', 'user', 'repo'],
  'POST /user/ssh_signing_keys': ['write:ssh_signing_key', 'admin:ssh_signing_key'],
};

/**
 * What each operation on a repository takes. Of an App the permission and access, after GitHub's list "Permissions required for GitHub Apps"; `or` is another permission that will do, where
 * the thread is a pull request. Of a person the role, which follows from the access unless `person` says it.
 */
const REPOSITORY = {
  [`GET ${R}`]: ['metadata', 'read'],
  [`GET ${R}/hooks`]: ['repository_hooks', 'read', { person: 'admin', hidden: true }],
  [`POST ${R}/hooks`]: ['repository_hooks', 'write', { person: 'admin', hidden: true }],
  [`GET ${R}/hooks/{hook_id}/deliveries`]: ['repository_hooks', 'read', { person: 'admin', hidden: true }],
  [`GET ${R}/hooks/{hook_id}/deliveries/{delivery_id}`]: ['repository_hooks', 'read', { person: 'admin', hidden: true }],
  [`POST ${R}/hooks/{hook_id}/deliveries/{delivery_id}/attempts`]: ['repository_hooks', 'write', { person: 'admin', hidden: true }],

  [`GET ${R}/git/ref/{ref}`]: ['contents', 'read'],
  [`GET ${R}/git/matching-refs/{ref}`]: ['contents', 'read'],
  [`POST ${R}/git/refs`]: ['contents', 'write'],
  [`PATCH ${R}/git/refs/{ref}`]: ['contents', 'write'],
  [`DELETE ${R}/git/refs/{ref}`]: ['contents', 'write'],
  [`POST ${R}/git/blobs`]: ['contents', 'write'],
  [`GET ${R}/git/blobs/{file_sha}`]: ['contents', 'read'],
  [`POST ${R}/git/trees`]: ['contents', 'write'],
  [`GET ${R}/git/trees/{tree_sha}`]: ['contents', 'read'],
  [`POST ${R}/git/commits`]: ['contents', 'write'],
  [`GET ${R}/git/commits/{commit_sha}`]: ['contents', 'read'],
  [`GET ${R}/commits`]: ['contents', 'read'],
  [`GET ${R}/commits/{ref}`]: ['contents', 'read'],
  [`GET ${R}/compare/{basehead}`]: ['contents', 'read'],
  [`GET ${R}/contents/{path}`]: ['contents', 'read'],
  [`PUT ${R}/contents/{path}`]: ['contents', 'write'],
  [`DELETE ${R}/contents/{path}`]: ['contents', 'write'],
  [`GET ${R}/branches`]: ['contents', 'read'],
  [`GET ${R}/branches/{branch}`]: ['contents', 'read'],
  [`GET ${R}/branches/{branch}/protection`]: ['administration', 'read', { person: 'admin' }],
  [`PUT ${R}/branches/{branch}/protection`]: ['administration', 'write', { person: 'admin' }],
  [`DELETE ${R}/branches/{branch}/protection`]: ['administration', 'write', { person: 'admin' }],

  [`GET ${R}/pulls`]: ['pull_requests', 'read'],
  [`POST ${R}/pulls`]: ['pull_requests', 'write'],
  [`GET ${R}/pulls/{pull_number}`]: ['pull_requests', 'read'],
  [`PATCH ${R}/pulls/{pull_number}`]: ['pull_requests', 'write', { person: 'read' }],
  [`GET ${R}/pulls/{pull_number}/files`]: ['pull_requests', 'read'],
  [`GET ${R}/pulls/{pull_number}/commits`]: ['pull_requests', 'read'],
  [`GET ${R}/pulls/{pull_number}/merge`]: ['contents', 'read'],
  [`PUT ${R}/pulls/{pull_number}/merge`]: ['contents', 'write'],
  [`GET ${R}/pulls/{pull_number}/reviews`]: ['pull_requests', 'read'],
  [`POST ${R}/pulls/{pull_number}/reviews`]: ['pull_requests', 'write', { person: 'read' }],
  [`POST ${R}/pulls/{pull_number}/requested_reviewers`]: ['pull_requests', 'write'],

  [`GET ${R}/issues`]: ['issues', 'read'],
  [`POST ${R}/issues`]: ['issues', 'write', { person: 'read' }],
  [`GET ${R}/issues/{issue_number}`]: ['issues', 'read', { or: 'pull_requests' }],
  [`PATCH ${R}/issues/{issue_number}`]: ['issues', 'write', { or: 'pull_requests', person: 'read' }],
  [`GET ${R}/issues/{issue_number}/comments`]: ['issues', 'read', { or: 'pull_requests' }],
  [`POST ${R}/issues/{issue_number}/comments`]: ['issues', 'write', { or: 'pull_requests', person: 'read' }],
  [`GET ${R}/issues/comments/{comment_id}`]: ['issues', 'read', { or: 'pull_requests' }],
  [`PATCH ${R}/issues/comments/{comment_id}`]: ['issues', 'write', { or: 'pull_requests', person: 'read' }],
  [`DELETE ${R}/issues/comments/{comment_id}`]: ['issues', 'write', { or: 'pull_requests', person: 'read' }],
  [`GET ${R}/issues/{issue_number}/labels`]: ['issues', 'read', { or: 'pull_requests' }],
  [`POST ${R}/issues/{issue_number}/labels`]: ['issues', 'write', { or: 'pull_requests', person: 'triage' }],
  [`GET ${R}/labels`]: ['issues', 'read', { or: 'pull_requests' }],

  [`POST ${R}/check-runs`]: ['checks', 'write'],
  [`PATCH ${R}/check-runs/{check_run_id}`]: ['checks', 'write'],
  [`GET ${R}/check-runs/{check_run_id}`]: ['checks', 'read'],
  [`GET ${R}/commits/{ref}/check-runs`]: ['checks', 'read'],
  [`POST ${R}/statuses/{sha}`]: ['statuses', 'write'],
  [`GET ${R}/commits/{ref}/status`]: ['statuses', 'read'],
  [`GET ${R}/commits/{ref}/statuses`]: ['statuses', 'read'],

  // Git's own protocol.
  'git fetch': ['contents', 'read'],
  'git push': ['contents', 'write'],
};

/** What each operation takes, as one table. Files in `.github/workflows` take `workflows: write` beside, wherever they are written. */
export const OPERATIONS = {
  ...Object.fromEntries(Object.entries(AS).map(([key, as]) => [key, { as, scopes: SCOPES[key] }])),
  ...Object.fromEntries(Object.entries(REPOSITORY).map(([key, [permission, access, more]]) => [key, { as: 'repository', permission, access, person: access, ...more }])),
};

/** Who sends a request. */
export function principalOf(world, authorization) {
  if (!authorization) return { kind: 'none' };
  const [, scheme, credential] = /^(\S+)\s+(.*)$/.exec(authorization) ?? [];
  let token = credential;
  if (scheme?.toLowerCase() === 'basic') token = Buffer.from(credential, 'base64').toString().split(':').slice(1).join(':');
  else if (!['bearer', 'token'].includes(scheme?.toLowerCase())) throw new Refusal(401, 'Bad credentials');
  if (scheme.toLowerCase() === 'bearer' && /^[\w-]+\.[\w-]+\.[\w-]*$/.test(token)) return appOf(world, token);
  const account = [...world.accounts.values()].find((one) => one.token && one.token === token);
  if (account) return { kind: 'user', account };
  if (world.oauthTokens.has(token)) return { kind: 'user', ...world.oauthTokens.get(token) };
  const made = world.tokens.get(token);
  if (!made || made.expires <= Date.now() || made.installation.suspended_at) throw new Refusal(401, 'Bad credentials');
  return { kind: 'installation', ...made };
}

function appOf(world, token) {
  const wrong = (message) => new Refusal(401, message);
  const undecodable = wrong('A JSON web token could not be decoded');
  const [head, body, signature] = token.split('.');
  let claims;
  try {
    if (JSON.parse(Buffer.from(head, 'base64url')).alg !== 'RS256') throw undecodable;
    claims = JSON.parse(Buffer.from(body, 'base64url'));
    const key = createPublicKey(world.app.public_key_pem);
    if (!createVerify('RSA-SHA256').update(`${head}.${body}`).verify(key, Buffer.from(signature, 'base64url'))) throw undecodable;
  } catch {
    throw undecodable;
  }
  const now = Date.now() / 1000;
  const issuers = [world.app.id, world.app.client_id].filter((one) => one !== undefined).map(String);
  if (!issuers.includes(String(claims.iss))) throw wrong("'Issuer' claim ('iss') must be the id of an integration");
  if (!Number.isInteger(claims.iat) || claims.iat > now + CLOCK_AHEAD) throw wrong("'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued");
  if (!Number.isInteger(claims.exp) || claims.exp <= now) throw wrong("'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires");
  if (claims.exp > now + JWT_MAX) throw wrong("'Expiration time' claim ('exp') is too far in the future");
  return { kind: 'app' };
}

/** Refuses an operation to credentials of another kind. */
export function demandKind(principal, as) {
  if (as === 'anyone' || principal.kind === as) return;
  if (as === 'app') throw new Refusal(401, 'A JSON web token could not be decoded');
  if (principal.kind === 'none') throw new Refusal(401, 'Requires authentication');
  if (principal.kind === 'app') throw new Refusal(401, 'Bad credentials');
  throw new Refusal(403, as === 'installation' ? 'You must authenticate with an installation access token in order to use this endpoint.' : 'Resource not accessible by integration');
}

/** Whether a person's token has one of some scopes. Tokens that people made for themselves have all. */
export const scoped = (principal, scopes) => !scopes || !principal.scopes || principal.scopes.some((one) => scopes.includes(one));

/** Refuses an operation to a token of an OAuth App without a scope for it. */
export function demandScope(principal, { scopes }) {
  if (principal.kind !== 'user' || scoped(principal, scopes)) return;
  throw new Refusal(403, `You need at least ${scopes[0]} scope.`, { headers: { 'x-accepted-oauth-scopes': scopes.join(', ') } });
}

/** The names of the repositories that an installation's token reaches. */
export const reaches = (world, principal, repository) => (principal.narrowed ? principal.narrowed.includes(repository) : world.holds(principal.installation, repository));

const grants = (principal, permission, access) => permission === 'metadata' || rank(principal.permissions[permission]) >= rank(access);

/** Refuses what an installation was not granted. */
export function demandPermission(principal, permission, access) {
  if (principal.kind !== 'installation' || grants(principal, permission, access)) return;
  throw new Refusal(403, 'Resource not accessible by integration', { headers: { 'x-accepted-github-permissions': `${permission}=${access}` } });
}

/** The permission by which an installation may do something: the first of those that will do and that it holds. */
export function permissionOf(principal, operation) {
  if (principal.kind === 'installation' && operation.or && !grants(principal, operation.permission, operation.access) && grants(principal, operation.or, operation.access)) return operation.or;
  return operation.permission;
}

/** Refuses a person whose role is too low. */
export function demandRole(world, repository, principal, role) {
  if (principal.kind !== 'user') return;
  if (rank(world.role(repository, principal.account)) >= rank(role)) return;
  throw new Refusal(403, role === 'admin' ? 'Must have admin rights to Repository.' : 'Must have push access to repository.');
}

/** The repository that a request is about, if whoever sends it may do this there. */
export function repositoryFor(world, principal, operation, owner, name) {
  const repository = world.repository(owner, name);
  if (principal.kind === 'app') throw new Refusal(401, 'Bad credentials');
  if (principal.kind === 'none') {
    if (repository && !repository.private && operation.access === 'read' && operation.person === 'read') return repository;
    throw new Refusal(401, 'Requires authentication');
  }
  if (!repository) throw missing();
  if (principal.kind === 'user') {
    if (!scoped(principal, ['repo']) && (repository.private || operation.access !== 'read')) throw missing();
    const role = rank(world.role(repository, principal.account));
    if (role < rank('read') || (operation.hidden && role < rank(operation.person))) throw missing();
    demandRole(world, repository, principal, operation.person);
    return repository;
  }
  if (!reaches(world, principal, repository)) {
    // What everybody may read, an installation elsewhere may, too.
    if (repository.private || operation.access !== 'read') throw missing();
    return repository;
  }
  demandPermission(principal, permissionOf(principal, operation), operation.access);
  return repository;
}
