// Who there is and what GitHub keeps beside git. All of it is gone when the stand-in ends.

import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { Deliveries } from './deliveries.mjs';
import { Refusal } from './refusal.mjs';
import { Repository, moment } from './repository.mjs';
import { WEB_FLOW, Signing } from './signing.mjs';

/** Labels that each new repository has. */
const LABELS = [
  ['bug', 'd73a4a', "Something isn't working"],
  ['documentation', '0075ca', 'Improvements or additions to documentation'],
  ['duplicate', 'cfd3d7', 'This issue or pull request already exists'],
  ['enhancement', 'a2eeef', 'New feature or request'],
  ['good first issue', '7057ff', 'Good for newcomers'],
  ['help wanted', '008672', 'Extra attention is needed'],
  ['invalid', 'e4e669', "This doesn't seem right"],
  ['question', 'd876e3', 'Further information is requested'],
  ['wontfix', 'ffffff', 'This will not be worked on'],
];

/** Tokens of one person, OAuth App and set of scopes. */
const OAUTH_TOKENS = 10;

export const RANKS = ['none', 'read', 'triage', 'write', 'maintain', 'admin'];
export const rank = (role) => RANKS.indexOf(role ?? 'none');

export class World {
  constructor(config, root, folder) {
    this.config = config;
    this.app = { name: config.app?.slug, permissions: {}, events: [], ...config.app };
    this.began = this.now();
    this.ids = 1000;
    this.accounts = new Map();
    this.tokens = new Map();
    this.oauthTokens = new Map();
    this.signingKeys = [];
    this.signing = new Signing(folder);
    this.deliveries = new Deliveries(this);
    for (const user of config.users ?? []) this.#account(user.login, 'User', user);
    for (const one of config.organizations ?? []) this.#account(one.login, 'Organization');
    for (const one of [...(config.repositories ?? []), ...(config.installations ?? []).map(({ account }) => ({ full_name: `${account}/` }))]) {
      const owner = one.full_name.split('/')[0];
      if (!this.account(owner)) this.#account(owner, 'Organization');
    }
    this.bot = this.#account(`${this.app.slug}[bot]`, 'Bot');
    this.accounts.set(WEB_FLOW.login, WEB_FLOW);
    this.installations = (config.installations ?? []).map((one) => ({ permissions: this.app.permissions, repositories: [], ...one, created_at: this.began, suspended_at: null }));
    this.repositories = new Map();
    for (const one of config.repositories ?? []) {
      this.repositories.set(one.full_name.toLowerCase(), {
        collaborators: {},
        private: false,
        ...one,
        id: this.id(),
        owner: this.account(one.full_name.split('/')[0]),
        name: one.full_name.split('/')[1],
        git: new Repository(path.join(root, `${one.full_name}.git`)),
        // Issues and pull requests, which share a row of numbers.
        threads: [],
        comments: [],
        checks: [],
        statuses: [],
        hooks: [],
        protections: new Map(),
        labels: new Map(LABELS.map(([name, color, description]) => [name, { id: this.id(), name, color, description, default: true }])),
        created_at: this.began,
        pushed_at: this.began,
        queue: Promise.resolve(),
      });
    }
    // Members and teams, by their logins.
    this.organizations = (config.organizations ?? []).map(({ login, members = [], teams = [] }) => ({
      account: this.account(login),
      members,
      teams: teams.map((team) => ({ name: team.slug, members: [], ...team, id: this.id() })),
    }));
    this.appHook = this.app.webhook ? { id: 1, url: this.app.webhook.url, secret: this.app.webhook.secret, content_type: 'json', events: this.app.events, active: true, kind: 'app', deliveries: [] } : undefined;
  }

  async begin() {
    await Promise.all([this.signing.begin(), ...[...this.repositories.values()].map((one) => one.git.begin())]);
  }

  id() {
    this.ids += 1;
    return this.ids;
  }

  now() {
    return moment(Date.now());
  }

  #account(login, type, more = {}) {
    const id = 100 + this.accounts.size;
    // The address that GitHub gives to everybody, beside their own.
    const private_email = `${id}+${login}@users.noreply.github.com`;
    const made = { login, id, type, name: more.name ?? login, email: more.email ?? private_email, private_email, token: more.token };
    this.accounts.set(login.toLowerCase(), made);
    return made;
  }

  account(login) {
    return this.accounts.get(String(login).toLowerCase());
  }

  accountOfEmail(email) {
    const wanted = email.toLowerCase();
    return [...this.accounts.values()].find((one) => [one.email, one.private_email].some((address) => address?.toLowerCase() === wanted));
  }

  repository(owner, name) {
    return this.repositories.get(`${owner}/${name}`.toLowerCase());
  }

  /** Changes of a repository's state, one after the other: between a look and a change nobody else changes it. */
  exclusive(repository, what) {
    const done = repository.queue.then(what);
    repository.queue = done.catch(() => {});
    return done;
  }

  role(repository, account) {
    if (account === repository.owner) return 'admin';
    const login = Object.keys(repository.collaborators).find((one) => one.toLowerCase() === account.login.toLowerCase());
    return repository.collaborators[login] ?? (repository.private ? 'none' : 'read');
  }

  oauthApp(id) {
    return (this.config.oauth_apps ?? []).find((one) => one.client_id === id);
  }

  /** A token of a person for an OAuth App. Like GitHub's it does not expire, but goes when there are ten newer ones of the same scopes. */
  makeOauthToken(app, account, scope) {
    const scopes = [...new Set(String(scope ?? '').split(/[\s,]+/).filter(Boolean))].sort();
    const token = `gho_${randomBytes(18).toString('hex')}`;
    const alike = [...this.oauthTokens].filter(([, one]) => one.account === account && one.client === app.client_id && one.scopes.join() === scopes.join());
    if (alike.length >= OAUTH_TOKENS) this.oauthTokens.delete(alike[0][0]);
    this.oauthTokens.set(token, { account, scopes, client: app.client_id });
    return { token, scopes };
  }

  /** The organizations that somebody is a member of. */
  organizationsOf(account) {
    return this.organizations.filter((one) => one.members.includes(account.login));
  }

  holds(installation, repository) {
    return installation.repositories.some((name) => name.toLowerCase() === repository.full_name.toLowerCase());
  }

  installationOf(repository) {
    return this.installations.find((one) => this.holds(one, repository));
  }

  /** A token of an installation, or of a part of what it may. */
  makeToken(installation, { repositories, repository_ids: ids, permissions } = {}) {
    if (installation.suspended_at) throw new Refusal(403, 'This installation has been suspended');
    const held = [...this.repositories.values()].filter((one) => this.holds(installation, one));
    const chosen = [
      ...(repositories ?? []).map((name) => held.find((one) => one.name.toLowerCase() === name.toLowerCase())),
      ...(ids ?? []).map((id) => held.find((one) => one.id === id)),
    ];
    if (chosen.includes(undefined)) throw new Refusal(422, 'There is at least one repository that does not exist or is not accessible to the parent installation.');
    for (const [name, access] of Object.entries(permissions ?? {})) {
      if (rank(installation.permissions[name]) < rank(access)) throw new Refusal(422, 'The permissions requested are not granted to this installation.');
    }
    const narrowed = repositories || ids;
    const expires = Date.now() + (this.config.installation_token_seconds ?? 3600) * 1000;
    const token = `ghs_${randomBytes(18).toString('hex')}`;
    const made = {
      token,
      installation,
      expires,
      narrowed: narrowed ? chosen : undefined,
      permissions: permissions ? { ...permissions, metadata: 'read' } : { ...installation.permissions, metadata: 'read' },
    };
    this.tokens.set(token, made);
    return made;
  }

  /** Who acts for a principal. */
  actor(principal) {
    return principal.kind === 'user' ? principal.account : this.bot;
  }

  verification(git, commit) {
    return this.signing.verification(git, commit, this.signingKeys);
  }
}
