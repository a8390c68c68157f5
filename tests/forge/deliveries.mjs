// Webhooks: what happened is sent to the App's address and to those of a repository, and each delivery is kept, whatever came of it.

import { createHmac, randomUUID } from 'node:crypto';
import { setTimeout as later } from 'node:timers/promises';
import * as shapes from './shapes.mjs';
import { NONE } from './repository.mjs';
import { wrongPayload } from './description.mjs';

/** How long a receiver may take. */
const PATIENCE_MS = 10_000;

/** How many bytes of an answer are kept. */
const ANSWER_MAX = 64 * 1024;

/** Commits that a push's payload holds at most. */
const COMMITS_MAX = 2048;

export class Deliveries {
  constructor(world) {
    this.world = world;
    /** Told of payloads that are not as described. */
    this.report = () => {};
  }

  /** The hooks that hear of an event in a repository. */
  #hooksFor(repository, event) {
    const installation = this.world.installationOf(repository);
    const app = this.world.appHook && installation && !installation.suspended_at ? [this.world.appHook] : [];
    return [...app, ...repository.hooks].filter((hook) => hook.active && (hook.events.includes(event) || hook.events.includes('*')));
  }

  /** Something happened. `more` gives what its payload holds beside where and by whom. */
  async happened(at, repository, event, more) {
    const hooks = this.#hooksFor(repository, event);
    if (hooks.length === 0) return;
    const common = {
      repository: await shapes.repository(at, repository),
      ...(repository.owner.type === 'Organization' ? { organization: shapes.organization(at, repository.owner) } : {}),
      sender: shapes.account(at, this.world.actor(at.principal)),
    };
    const told = { ...common, ...(await more(common)) };
    const installation = this.world.installationOf(repository);
    for (const hook of hooks) {
      const payload = { ...told, ...(hook.kind === 'app' ? { installation: { id: installation.id, node_id: Buffer.from(`Integration:${installation.id}`).toString('base64') } } : {}) };
      this.report(event, wrongPayload(event, payload));
      // Whoever made it happen does not wait for those who hear of it.
      this.send(hook, event, payload, randomUUID(), false).catch((error) => this.report(event, [String(error.stack)]));
    }
  }

  async send(hook, event, payload, guid, redelivery) {
    const text = JSON.stringify(payload);
    const form = hook.content_type === 'form';
    const body = form ? new URLSearchParams({ payload: text }).toString() : text;
    const sign = (algorithm) => createHmac(algorithm, hook.secret).update(body).digest('hex');
    const headers = {
      Accept: '*/*',
      'Content-Type': form ? 'application/x-www-form-urlencoded' : 'application/json',
      'User-Agent': 'GitHub-Hookshot/0000000',
      'X-GitHub-Delivery': guid,
      'X-GitHub-Event': event,
      'X-GitHub-Hook-ID': String(hook.id),
      'X-GitHub-Hook-Installation-Target-ID': String(hook.kind === 'app' ? this.world.app.id : payload.repository.id),
      'X-GitHub-Hook-Installation-Target-Type': hook.kind === 'app' ? 'integration' : 'repository',
      ...(hook.secret ? { 'X-Hub-Signature': `sha1=${sign('sha1')}`, 'X-Hub-Signature-256': `sha256=${sign('sha256')}` } : {}),
    };
    const began = Date.now();
    const answer = await post(hook.url, headers, body);
    hook.deliveries.push({
      id: this.world.id(),
      guid,
      delivered_at: new Date(began).toISOString(),
      redelivery,
      duration: Math.round((Date.now() - began) / 10) / 100,
      status: answer.status,
      status_code: answer.code,
      event,
      action: payload.action ?? null,
      installation_id: payload.installation?.id ?? null,
      repository_id: payload.repository?.id ?? null,
      throttled_at: null,
      url: hook.url,
      request: { headers, payload },
      response: { headers: answer.headers, payload: answer.text },
    });
  }

  /** A new webhook of a repository is told that it is one. */
  ping(hook, payload) {
    this.report('ping', wrongPayload('ping', payload));
    this.send(hook, 'ping', payload, randomUUID(), false).catch((error) => this.report('ping', [String(error.stack)]));
  }

  /** The same again, as somebody asked for it. */
  again(hook, delivery) {
    const { event, request, guid } = delivery;
    this.send(hook, event, request.payload, guid, true).catch((error) => this.report(event, [String(error.stack)]));
  }

  /** A reference was moved from one commit to another; either may be missing. */
  async pushed(at, repository, { ref, before, after, forced }) {
    await this.happened(at, repository, 'push', async ({ repository: shown }) => {
      const { git } = repository;
      const html = shapes.repositoryHtml(at, repository);
      const tip = after && (await git.commitOf(after));
      const isBranch = ref.startsWith('refs/heads/');
      const commitIds = isBranch && tip ? await git.history(tip, { not: before ?? (await this.#otherTips(repository, ref)), count: COMMITS_MAX, reverse: true }) : [];
      const commits = await Promise.all(commitIds.map((id) => this.#pushedCommit(at, repository, id)));
      const actor = this.world.actor(at.principal);
      const seconds = (text) => Math.floor(Date.parse(text) / 1000);
      const branch = await git.defaultBranch();
      return {
        ref,
        before: before ?? NONE,
        after: after ?? NONE,
        repository: { ...shown, created_at: seconds(shown.created_at), pushed_at: seconds(shown.pushed_at), stargazers: 0, master_branch: branch },
        pusher: { name: actor.login, email: actor.private_email },
        created: !before,
        deleted: !after,
        forced: Boolean(forced),
        base_ref: null,
        compare: before && after ? `${html}/compare/${before.slice(0, 12)}...${after.slice(0, 12)}` : `${html}/commit/${(after ?? before).slice(0, 12)}`,
        commits,
        head_commit: tip ? await this.#pushedCommit(at, repository, tip) : null,
      };
    });
  }

  /** What a new branch's commits are new against: the default branch. */
  async #otherTips(repository, ref) {
    const branch = `refs/heads/${await repository.git.defaultBranch()}`;
    return branch === ref ? undefined : repository.git.reference(branch);
  }

  async #pushedCommit(at, repository, id) {
    const { git } = repository;
    const commit = await git.readCommit(id);
    const files = await git.diff(commit.parents[0], id, { patches: false });
    const person = ({ name, email, date }) => {
      const login = this.world.accountOfEmail(email)?.login;
      return { name, email, date, ...(login ? { username: login } : {}) };
    };
    const names = (...statuses) => files.filter((one) => statuses.includes(one.status)).map((one) => one.filename);
    return {
      id,
      tree_id: commit.tree,
      distinct: true,
      message: commit.message,
      timestamp: commit.committer.date,
      url: `${shapes.repositoryHtml(at, repository)}/commit/${id}`,
      author: person(commit.author),
      committer: person(commit.committer),
      added: names('added', 'copied', 'renamed'),
      removed: [...names('removed'), ...files.map((one) => one.previous_filename).filter(Boolean)],
      modified: names('modified', 'changed'),
    };
  }
}

async function post(url, headers, body) {
  const controller = new AbortController();
  const slow = Symbol('slow');
  const patience = later(PATIENCE_MS, slow, { ref: false });
  const sent = fetch(url, { method: 'POST', headers, body, signal: controller.signal, redirect: 'manual' }).then(async (answer) => {
    const text = (await answer.text()).slice(0, ANSWER_MAX);
    const ok = answer.status >= 200 && answer.status < 300;
    return { code: answer.status, status: ok ? 'OK' : `Invalid HTTP Response: ${answer.status}`, headers: Object.fromEntries(answer.headers), text };
  });
  sent.catch(() => {});
  try {
    const first = await Promise.race([sent, patience]);
    if (first !== slow) return first;
    controller.abort();
    return { code: 0, status: 'timed out', headers: null, text: null };
  } catch {
    return { code: 0, status: 'failed to connect to host', headers: null, text: null };
  }
}
