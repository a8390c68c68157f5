// The App, its installations, its tokens and deliveries; people and their keys; webhooks of repositories.

import * as shapes from '../shapes.mjs';
import { reaches, scoped } from '../access.mjs';
import { Refusal, field, invalid, missing } from '../refusal.mjs';
import { moment } from '../repository.mjs';
import { paged, window } from './common.mjs';

const R = '/repos/{owner}/{repo}';
const HOOK = `${R}/hooks/{hook_id}`;

function installationOf(at) {
  const found = at.world.installations.find((one) => one.id === Number(at.path.installation_id));
  if (!found) throw missing();
  return found;
}

const shownInstallation = (at, found) => {
  if (!found) throw missing();
  return { body: shapes.installation(at, found) };
};

const installationAt = (at, login, type) => at.world.installations.find((one) => one.account.toLowerCase() === login.toLowerCase() && at.world.account(one.account).type === type);

/** Deliveries of a hook, newest first, a part at a time. */
function deliveriesOf(at, hook) {
  const wanted = at.query.get('status');
  const ok = (one) => one.status_code >= 200 && one.status_code < 400;
  const newest = [...hook.deliveries].reverse().filter((one) => !wanted || ok(one) === (wanted === 'success'));
  const cursor = at.query.get('cursor');
  const from = cursor === null ? 0 : newest.findIndex((one) => `v1_${one.id}` === cursor);
  if (from < 0) throw new Refusal(400, 'Invalid cursor');
  const { size } = window(at.query);
  const next = newest[from + size];
  return { body: newest.slice(from, from + size).map(({ url, request, response, ...rest }) => rest), cursor: next && `v1_${next.id}` };
}

function deliveryOf(at, hook) {
  const found = hook?.deliveries.find((one) => one.id === Number(at.path.delivery_id));
  if (!found) throw missing();
  return found;
}

function appHook(at) {
  if (!at.world.appHook) throw missing();
  return at.world.appHook;
}

function hookOf(at) {
  const found = at.repository.hooks.find((one) => one.id === Number(at.path.hook_id));
  if (!found) throw missing();
  return found;
}

function again(at, hook) {
  at.world.deliveries.again(hook, deliveryOf(at, hook));
  return { status: 202, body: {} };
}

export const app = {
  'GET /app': async (at) => ({ body: { ...shapes.app(at), installations_count: at.world.installations.length } }),
  'GET /app/installations': async (at) => paged(at.query, at.world.installations, (one) => shapes.installation(at, one)),
  'GET /app/installations/{installation_id}': async (at) => shownInstallation(at, installationOf(at)),
  [`GET ${R}/installation`]: async (at) => {
    const repository = at.world.repository(at.path.owner, at.path.repo);
    return shownInstallation(at, repository && at.world.installationOf(repository));
  },
  'GET /orgs/{org}/installation': async (at) => shownInstallation(at, installationAt(at, at.path.org, 'Organization')),
  'GET /users/{username}/installation': async (at) => shownInstallation(at, installationAt(at, at.path.username, 'User')),

  'POST /app/installations/{installation_id}/access_tokens': async (at) => {
    const made = at.world.makeToken(installationOf(at), at.body ?? {});
    const body = { token: made.token, expires_at: moment(made.expires), permissions: made.permissions, repository_selection: 'selected' };
    if (made.narrowed) body.repositories = await Promise.all(made.narrowed.map((one) => shapes.repository(at, one)));
    return { status: 201, body };
  },

  'PUT /app/installations/{installation_id}/suspended': async (at) => {
    installationOf(at).suspended_at = at.world.now();
    return { status: 204 };
  },
  'DELETE /app/installations/{installation_id}/suspended': async (at) => {
    installationOf(at).suspended_at = null;
    return { status: 204 };
  },

  'DELETE /installation/token': async (at) => {
    at.world.tokens.delete(at.principal.token);
    return { status: 204 };
  },

  'GET /installation/repositories': async (at) => {
    const held = [...at.world.repositories.values()].filter((one) => reaches(at.world, at.principal, one));
    return paged(at.query, held, (one) => shapes.repository(at, one), { wrap: (repositories) => ({ total_count: held.length, repository_selection: 'selected', repositories }) });
  },

  'GET /app/hook/deliveries': async (at) => deliveriesOf(at, appHook(at)),
  'GET /app/hook/deliveries/{delivery_id}': async (at) => ({ body: deliveryOf(at, appHook(at)) }),
  'POST /app/hook/deliveries/{delivery_id}/attempts': async (at) => again(at, appHook(at)),

  'GET /rate_limit': async (at) => {
    const free = { limit: 30, used: 0, remaining: 30, reset: at.limits.reset };
    const { limit, used, remaining, reset } = at.limits;
    const core = { limit, used, remaining, reset };
    return { body: { resources: { core, search: free, graphql: { ...free, limit: 5000, remaining: 5000 } }, rate: core } };
  },

  'GET /user': async (at) => {
    const { account } = at.principal;
    const reaching = [...at.world.repositories.values()].filter((one) => one.owner === account);
    return {
      body: {
        ...shapes.account(at, account),
        name: account.name,
        company: null,
        blog: '',
        location: null,
        email: account.email,
        hireable: null,
        bio: null,
        public_repos: reaching.filter((one) => !one.private).length,
        public_gists: 0,
        followers: 0,
        following: 0,
        created_at: at.world.began,
        updated_at: at.world.began,
        // What only the person, or whoever has the scope for it, is shown.
        ...(scoped(at.principal, ['user'])
          ? {
              private_gists: 0,
              total_private_repos: reaching.filter((one) => one.private).length,
              owned_private_repos: reaching.filter((one) => one.private).length,
              disk_usage: 0,
              collaborators: 0,
              two_factor_authentication: true,
            }
          : {}),
      },
    };
  },

  'GET /user/orgs': async (at) => paged(at.query, at.world.organizationsOf(at.principal.account), (one) => shapes.organization(at, one.account)),

  'GET /user/teams': async (at) => {
    const { login } = at.principal.account;
    const found = at.world.organizationsOf(at.principal.account).flatMap((one) => one.teams.filter((team) => team.members.includes(login)).map((team) => ({ organization: one.account, team })));
    return paged(at.query, found, ({ organization, team }) => shapes.team(at, organization, team));
  },

  'GET /user/ssh_signing_keys': async (at) => paged(at.query, at.world.signingKeys.filter((one) => one.user === at.principal.account), shapes.signingKey),

  'POST /user/ssh_signing_keys': async (at) => {
    const [type, key] = at.body.key.trim().split(/\s+/);
    if (!/^(ssh-|ecdsa-|sk-)/.test(type) || !/^[A-Za-z0-9+/]{40,}={0,2}$/.test(key ?? '')) {
      throw field('PublicKey', 'key', 'custom', 'key is invalid. You must supply a key in OpenSSH public key format');
    }
    if (at.world.signingKeys.some((one) => one.key === `${type} ${key}`)) throw field('PublicKey', 'key', 'custom', 'key is already in use');
    const made = { id: at.world.id(), key: `${type} ${key}`, title: at.body.title ?? '', created_at: at.world.now(), user: at.principal.account };
    at.world.signingKeys.push(made);
    return { status: 201, body: shapes.signingKey(made) };
  },

  [`GET ${R}/hooks`]: async (at) => paged(at.query, at.repository.hooks, (one) => shapes.hook(at, at.repository, one)),

  [`POST ${R}/hooks`]: async (at) => {
    const { repository, body = {} } = at;
    const { url, content_type: type = 'form', secret } = body.config ?? {};
    if (!/^https?:\/\//.test(url ?? '')) throw field('Hook', 'url', 'missing_field');
    const events = body.events ?? ['push'];
    if (repository.hooks.some((one) => one.url === url && one.events.join() === events.join())) throw invalid('Validation Failed', [{ resource: 'Hook', code: 'custom', message: 'Hook already exists on this repository' }]);
    const hook = { id: at.world.id(), url, secret, content_type: type, events, active: body.active ?? true, kind: 'repository', deliveries: [], created_at: at.world.now() };
    repository.hooks.push(hook);
    const shown = await shapes.repository(at, repository);
    const { last_response: ignored, ...described } = shapes.hook(at, repository, hook);
    const payload = { zen: 'Keep it logically awesome.', hook_id: hook.id, hook: described, repository: shown, sender: shapes.account(at, at.world.actor(at.principal)) };
    at.world.deliveries.ping(hook, payload);
    return { status: 201, body: shapes.hook(at, repository, hook) };
  },

  [`GET ${HOOK}/deliveries`]: async (at) => deliveriesOf(at, hookOf(at)),
  [`GET ${HOOK}/deliveries/{delivery_id}`]: async (at) => ({ body: deliveryOf(at, hookOf(at)) }),
  [`POST ${HOOK}/deliveries/{delivery_id}/attempts`]: async (at) => again(at, hookOf(at)),
};
