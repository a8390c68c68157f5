// Things as GitHub shows them. `at` is where the reader is: `at.api` and `at.html` are what addresses begin with.

import { rank } from './world.mjs';

const nodeId = (kind, id) => Buffer.from(`${kind}:${id}`).toString('base64');
const encoded = (text) => text.split('/').map(encodeURIComponent).join('/');

export function account(at, one) {
  if (!one) return null;
  const login = encodeURIComponent(one.login);
  const url = `${at.api}/users/${login}`;
  return {
    login: one.login,
    id: one.id,
    node_id: nodeId(one.type, one.id),
    avatar_url: `${at.html}/avatars/u/${one.id}?v=4`,
    gravatar_id: '',
    url,
    html_url: one.type === 'Bot' ? `${at.html}/apps/${encodeURIComponent(one.login.replace('[bot]', ''))}` : `${at.html}/${login}`,
    followers_url: `${url}/followers`,
    following_url: `${url}/following{/other_user}`,
    gists_url: `${url}/gists{/gist_id}`,
    starred_url: `${url}/starred{/owner}{/repo}`,
    subscriptions_url: `${url}/subscriptions`,
    organizations_url: `${url}/orgs`,
    repos_url: `${url}/repos`,
    events_url: `${url}/events{/privacy}`,
    received_events_url: `${url}/received_events`,
    type: one.type,
    site_admin: false,
  };
}

export const organization = (at, one) => ({
  login: one.login,
  id: one.id,
  node_id: nodeId('Organization', one.id),
  url: `${at.api}/orgs/${one.login}`,
  repos_url: `${at.api}/orgs/${one.login}/repos`,
  events_url: `${at.api}/orgs/${one.login}/events`,
  hooks_url: `${at.api}/orgs/${one.login}/hooks`,
  issues_url: `${at.api}/orgs/${one.login}/issues`,
  members_url: `${at.api}/orgs/${one.login}/members{/member}`,
  public_members_url: `${at.api}/orgs/${one.login}/public_members{/member}`,
  avatar_url: `${at.html}/avatars/u/${one.id}?v=4`,
  description: null,
});

/** A team, with its organization as teams show it. */
export function team(at, one, found) {
  const url = `${at.api}/organizations/${one.id}/team/${found.id}`;
  const held = [...at.world.repositories.values()].filter((repository) => repository.owner === one);
  return {
    id: found.id,
    node_id: nodeId('Team', found.id),
    url,
    html_url: `${at.html}/orgs/${one.login}/teams/${found.slug}`,
    name: found.name,
    slug: found.slug,
    description: null,
    privacy: 'closed',
    notification_setting: 'notifications_enabled',
    permission: 'pull',
    members_url: `${url}/members{/member}`,
    repositories_url: `${url}/repos`,
    type: 'organization',
    organization_id: one.id,
    parent: null,
    members_count: found.members.length,
    repos_count: 0,
    created_at: at.world.began,
    updated_at: at.world.began,
    organization: {
      ...organization(at, one),
      has_organization_projects: true,
      has_repository_projects: true,
      public_repos: held.filter((repository) => !repository.private).length,
      public_gists: 0,
      followers: 0,
      following: 0,
      html_url: `${at.html}/${one.login}`,
      type: 'Organization',
      created_at: at.world.began,
      updated_at: at.world.began,
      archived_at: null,
    },
  };
}

export const repositoryApi = (at, repository) => `${at.api}/repos/${repository.full_name}`;
export const repositoryHtml = (at, repository) => `${at.html}/${repository.full_name}`;

/** Addresses of a repository, after its own. */
const ADDRESSES = {
  archive_url: '/{archive_format}{/ref}',
  assignees_url: '/assignees{/user}',
  blobs_url: '/git/blobs{/sha}',
  branches_url: '/branches{/branch}',
  collaborators_url: '/collaborators{/collaborator}',
  comments_url: '/comments{/number}',
  commits_url: '/commits{/sha}',
  compare_url: '/compare/{base}...{head}',
  contents_url: '/contents/{+path}',
  contributors_url: '/contributors',
  deployments_url: '/deployments',
  downloads_url: '/downloads',
  events_url: '/events',
  forks_url: '/forks',
  git_commits_url: '/git/commits{/sha}',
  git_refs_url: '/git/refs{/sha}',
  git_tags_url: '/git/tags{/sha}',
  hooks_url: '/hooks',
  issue_comment_url: '/issues/comments{/number}',
  issue_events_url: '/issues/events{/number}',
  issues_url: '/issues{/number}',
  keys_url: '/keys{/key_id}',
  labels_url: '/labels{/name}',
  languages_url: '/languages',
  merges_url: '/merges',
  milestones_url: '/milestones{/number}',
  notifications_url: '/notifications{?since,all,participating}',
  pulls_url: '/pulls{/number}',
  releases_url: '/releases{/id}',
  stargazers_url: '/stargazers',
  statuses_url: '/statuses/{sha}',
  subscribers_url: '/subscribers',
  subscription_url: '/subscription',
  tags_url: '/tags',
  teams_url: '/teams',
  trees_url: '/git/trees{/sha}',
};

async function shownRepository(at, one) {
  const url = repositoryApi(at, one);
  const html = repositoryHtml(at, one);
  const open = one.threads.filter((thread) => thread.state === 'open').length;
  return {
    id: one.id,
    node_id: nodeId('Repository', one.id),
    name: one.name,
    full_name: one.full_name,
    private: one.private,
    owner: account(at, one.owner),
    html_url: html,
    description: one.description ?? null,
    fork: false,
    url,
    ...Object.fromEntries(Object.entries(ADDRESSES).map(([name, rest]) => [name, `${url}${rest}`])),
    created_at: one.created_at,
    updated_at: one.pushed_at,
    pushed_at: one.pushed_at,
    git_url: `${html.replace(/^http/, 'git')}.git`,
    ssh_url: `git@${new URL(at.html).hostname}:${one.full_name}.git`,
    clone_url: `${html}.git`,
    svn_url: html,
    homepage: null,
    size: 1,
    stargazers_count: 0,
    watchers_count: 0,
    language: null,
    has_issues: true,
    has_projects: false,
    has_downloads: true,
    has_wiki: false,
    has_pages: false,
    has_discussions: false,
    forks_count: 0,
    mirror_url: null,
    archived: false,
    disabled: false,
    open_issues_count: open,
    license: null,
    allow_forking: false,
    is_template: false,
    web_commit_signoff_required: false,
    topics: [],
    visibility: one.private ? 'private' : 'public',
    forks: 0,
    open_issues: open,
    watchers: 0,
    default_branch: await one.git.defaultBranch(),
  };
}

export const repository = shownRepository;

/** The ways to merge that a repository allows. */
export const mergeMethods = (one) => ({ merge: one.allow_merge_commit ?? true, squash: one.allow_squash_merge ?? true, rebase: one.allow_rebase_merge ?? true });

export async function fullRepository(at, one) {
  const role = at.principal.kind === 'user' ? rank(at.world.role(one, at.principal.account)) : 0;
  const may = (name) => role >= rank(name);
  const allowed = mergeMethods(one);
  return {
    ...(await shownRepository(at, one)),
    permissions: { admin: may('admin'), maintain: may('maintain'), push: may('write'), triage: may('triage'), pull: at.principal.kind !== 'user' || may('read') },
    allow_merge_commit: allowed.merge,
    allow_squash_merge: allowed.squash,
    allow_rebase_merge: allowed.rebase,
    allow_auto_merge: false,
    allow_update_branch: false,
    delete_branch_on_merge: one.delete_branch_on_merge ?? false,
    temp_clone_token: null,
    subscribers_count: 0,
    network_count: 0,
    ...(one.owner.type === 'Organization' ? { organization: account(at, one.owner) } : {}),
  };
}

export const app = (at) => ({
  id: at.world.app.id,
  slug: at.world.app.slug,
  ...(at.world.app.client_id ? { client_id: at.world.app.client_id } : {}),
  node_id: nodeId('Integration', at.world.app.id),
  owner: account(at, at.world.installations[0] ? at.world.account(at.world.installations[0].account) : at.world.bot),
  name: at.world.app.name,
  description: null,
  external_url: at.html,
  html_url: `${at.html}/apps/${at.world.app.slug}`,
  created_at: at.world.began,
  updated_at: at.world.began,
  permissions: at.world.app.permissions,
  events: at.world.app.events,
});

export function installation(at, one) {
  const owner = at.world.account(one.account);
  return {
    id: one.id,
    account: account(at, owner),
    repository_selection: 'selected',
    access_tokens_url: `${at.api}/app/installations/${one.id}/access_tokens`,
    repositories_url: `${at.api}/installation/repositories`,
    html_url: `${at.html}/organizations/${owner.login}/settings/installations/${one.id}`,
    app_id: at.world.app.id,
    app_slug: at.world.app.slug,
    target_id: owner.id,
    target_type: owner.type,
    permissions: one.permissions,
    events: at.world.app.events,
    created_at: one.created_at,
    updated_at: one.suspended_at ?? one.created_at,
    single_file_name: null,
    has_multiple_single_files: false,
    single_file_paths: [],
    suspended_by: one.suspended_at ? account(at, owner) : null,
    suspended_at: one.suspended_at,
  };
}

export const reference = (at, repository, { ref, sha, type }) => ({
  ref,
  node_id: nodeId('Ref', `${repository.id}:${ref}`),
  url: `${repositoryApi(at, repository)}/git/${encoded(ref)}`,
  object: { sha, type, url: `${repositoryApi(at, repository)}/git/${type}s/${sha}` },
});

export const tree = (at, repository, sha, entries) => ({
  sha,
  url: `${repositoryApi(at, repository)}/git/trees/${sha}`,
  tree: entries.map((one) => ({ ...one, ...(one.type === 'commit' ? {} : { url: `${repositoryApi(at, repository)}/git/${one.type}s/${one.sha}` }) })),
  truncated: false,
});

export async function gitCommit(at, repository, sha) {
  const url = repositoryApi(at, repository);
  const html = repositoryHtml(at, repository);
  const commit = await repository.git.readCommit(sha);
  return {
    sha,
    node_id: nodeId('Commit', `${repository.id}:${sha}`),
    url: `${url}/git/commits/${sha}`,
    html_url: `${html}/commit/${sha}`,
    author: commit.author,
    committer: commit.committer,
    tree: { sha: commit.tree, url: `${url}/git/trees/${commit.tree}` },
    message: commit.message,
    parents: commit.parents.map((parent) => ({ sha: parent, url: `${url}/git/commits/${parent}`, html_url: `${html}/commit/${parent}` })),
    verification: await at.world.verification(repository.git, commit),
  };
}

export async function commit(at, repository, sha) {
  const url = repositoryApi(at, repository);
  const { node_id, html_url, author, committer, message, tree, parents, verification } = await gitCommit(at, repository, sha);
  return {
    sha,
    node_id,
    commit: { author, committer, message, tree, url: `${url}/git/commits/${sha}`, comment_count: 0, verification },
    url: `${url}/commits/${sha}`,
    html_url,
    comments_url: `${url}/commits/${sha}/comments`,
    author: account(at, at.world.accountOfEmail(author.email)),
    committer: account(at, at.world.accountOfEmail(committer.email)),
    parents: parents.map((parent) => ({ ...parent, url: `${url}/commits/${parent.sha}` })),
  };
}

export const commits = (at, repository, ids) => Promise.all(ids.map((id) => commit(at, repository, id)));

export function fileDiff(at, repository, commitId, { binary, ...file }) {
  const name = encoded(file.filename);
  return {
    ...file,
    changes: file.additions + file.deletions,
    blob_url: `${repositoryHtml(at, repository)}/blob/${commitId}/${name}`,
    raw_url: `${repositoryHtml(at, repository)}/raw/${commitId}/${name}`,
    contents_url: `${repositoryApi(at, repository)}/contents/${name}?ref=${commitId}`,
  };
}

export const label = (at, repository, one) => ({
  id: one.id,
  node_id: nodeId('Label', one.id),
  url: `${repositoryApi(at, repository)}/labels/${encodeURIComponent(one.name)}`,
  name: one.name,
  description: one.description,
  color: one.color,
  default: one.default,
});

export const labelsOf = (at, repository, thread) => thread.labels.map((name) => label(at, repository, repository.labels.get(name)));

export function association(at, repository, one) {
  if (one === repository.owner) return 'OWNER';
  if (one.type === 'Bot') return 'CONTRIBUTOR';
  return at.world.role(repository, one) === 'none' || !repository.collaborators[one.login] ? 'NONE' : 'COLLABORATOR';
}

const reactions = (url) => ({ url: `${url}/reactions`, total_count: 0, '+1': 0, '-1': 0, laugh: 0, hooray: 0, confused: 0, heart: 0, rocket: 0, eyes: 0 });

export function issue(at, repository, thread) {
  const url = `${repositoryApi(at, repository)}/issues/${thread.number}`;
  const html = `${repositoryHtml(at, repository)}/${thread.pull ? 'pull' : 'issues'}/${thread.number}`;
  return {
    url,
    repository_url: repositoryApi(at, repository),
    labels_url: `${url}/labels{/name}`,
    comments_url: `${url}/comments`,
    events_url: `${url}/events`,
    html_url: html,
    id: thread.id,
    node_id: nodeId('Issue', thread.id),
    number: thread.number,
    title: thread.title,
    user: account(at, thread.user),
    labels: labelsOf(at, repository, thread),
    state: thread.state,
    locked: false,
    assignee: account(at, thread.assignees[0]),
    assignees: thread.assignees.map((one) => account(at, one)),
    milestone: null,
    comments: repository.comments.filter((one) => one.thread === thread).length,
    created_at: thread.created_at,
    updated_at: thread.updated_at,
    closed_at: thread.closed_at,
    author_association: association(at, repository, thread.user),
    active_lock_reason: null,
    body: thread.body,
    closed_by: account(at, thread.closed_by),
    reactions: reactions(url),
    timeline_url: `${url}/timeline`,
    performed_via_github_app: thread.user.type === 'Bot' ? app(at) : null,
    state_reason: thread.state_reason,
    ...(thread.pull
      ? {
          draft: thread.pull.draft,
          pull_request: { url: `${repositoryApi(at, repository)}/pulls/${thread.number}`, html_url: html, diff_url: `${html}.diff`, patch_url: `${html}.patch`, merged_at: thread.pull.merged_at },
        }
      : {}),
  };
}

export function comment(at, repository, one) {
  const url = `${repositoryApi(at, repository)}/issues/comments/${one.id}`;
  return {
    url,
    html_url: `${repositoryHtml(at, repository)}/${one.thread.pull ? 'pull' : 'issues'}/${one.thread.number}#issuecomment-${one.id}`,
    issue_url: `${repositoryApi(at, repository)}/issues/${one.thread.number}`,
    id: one.id,
    node_id: nodeId('IssueComment', one.id),
    user: account(at, one.user),
    created_at: one.created_at,
    updated_at: one.updated_at,
    author_association: association(at, repository, one.user),
    body: one.body,
    reactions: reactions(url),
    performed_via_github_app: one.user.type === 'Bot' ? app(at) : null,
  };
}

/** A pull request as lists show it. */
export async function pull(at, repository, thread) {
  const api = repositoryApi(at, repository);
  const url = `${api}/pulls/${thread.number}`;
  const html = `${repositoryHtml(at, repository)}/pull/${thread.number}`;
  const issueUrl = `${api}/issues/${thread.number}`;
  const { head, base, head_sha: headSha, base_sha: baseSha, draft, requested, merged_at, merge_commit_sha } = thread.pull;
  const repo = await shownRepository(at, repository);
  const side = (ref, sha) => ({ label: `${repository.owner.login}:${ref}`, ref, sha, user: account(at, repository.owner), repo });
  const addresses = { commits: `${url}/commits`, review_comments: `${url}/comments`, review_comment: `${api}/pulls/comments{/number}`, comments: `${issueUrl}/comments`, statuses: `${api}/statuses/${headSha}` };
  return {
    url,
    id: thread.id,
    node_id: nodeId('PullRequest', thread.id),
    html_url: html,
    diff_url: `${html}.diff`,
    patch_url: `${html}.patch`,
    issue_url: issueUrl,
    number: thread.number,
    state: thread.state,
    locked: false,
    title: thread.title,
    user: account(at, thread.user),
    body: thread.body,
    created_at: thread.created_at,
    updated_at: thread.updated_at,
    closed_at: thread.closed_at,
    merged_at,
    merge_commit_sha,
    assignee: account(at, thread.assignees[0]),
    assignees: thread.assignees.map((one) => account(at, one)),
    requested_reviewers: requested.map((one) => account(at, one)),
    requested_teams: [],
    labels: labelsOf(at, repository, thread).map((one) => ({ ...one, description: one.description ?? '' })),
    milestone: null,
    draft,
    ...Object.fromEntries(Object.entries(addresses).map(([name, address]) => [`${name}_url`, address])),
    head: side(head, headSha),
    base: side(base, baseSha),
    _links: {
      self: { href: url },
      html: { href: html },
      issue: { href: issueUrl },
      ...Object.fromEntries(Object.entries(addresses).map(([name, href]) => [name, { href }])),
    },
    author_association: association(at, repository, thread.user),
    auto_merge: null,
    active_lock_reason: null,
  };
}

export function review(at, repository, thread, one) {
  const html = `${repositoryHtml(at, repository)}/pull/${thread.number}#pullrequestreview-${one.id}`;
  const url = `${repositoryApi(at, repository)}/pulls/${thread.number}`;
  return {
    id: one.id,
    node_id: nodeId('PullRequestReview', one.id),
    user: account(at, one.user),
    body: one.body,
    state: one.state,
    html_url: html,
    pull_request_url: url,
    author_association: association(at, repository, one.user),
    _links: { html: { href: html }, pull_request: { href: url } },
    ...(one.submitted_at ? { submitted_at: one.submitted_at } : {}),
    commit_id: one.commit_id,
  };
}

export function checkRun(at, repository, one) {
  const url = `${repositoryApi(at, repository)}/check-runs/${one.id}`;
  const html = `${repositoryHtml(at, repository)}/runs/${one.id}`;
  return {
    id: one.id,
    name: one.name,
    node_id: nodeId('CheckRun', one.id),
    head_sha: one.head_sha,
    external_id: one.external_id,
    url,
    html_url: html,
    details_url: one.details_url ?? html,
    status: one.status,
    conclusion: one.conclusion,
    started_at: one.started_at,
    completed_at: one.completed_at,
    output: { ...one.output, annotations_count: one.annotations.length, annotations_url: `${url}/annotations` },
    check_suite: { id: one.suite },
    app: app(at),
    pull_requests: repository.threads
      .filter((thread) => thread.pull && thread.state === 'open' && thread.pull.head_sha === one.head_sha)
      .map((thread) => {
        const repo = { id: repository.id, url: repositoryApi(at, repository), name: repository.name };
        return {
          id: thread.id,
          number: thread.number,
          url: `${repositoryApi(at, repository)}/pulls/${thread.number}`,
          head: { ref: thread.pull.head, sha: thread.pull.head_sha, repo },
          base: { ref: thread.pull.base, sha: thread.pull.base_sha, repo },
        };
      }),
  };
}

export const status = (at, repository, one) => ({
  url: `${repositoryApi(at, repository)}/statuses/${one.sha}`,
  avatar_url: account(at, one.creator).avatar_url,
  id: one.id,
  node_id: nodeId('StatusContext', one.id),
  state: one.state,
  description: one.description,
  target_url: one.target_url,
  context: one.context,
  created_at: one.created_at,
  updated_at: one.created_at,
  creator: account(at, one.creator),
});

export const simpleStatus = (at, repository, one) => {
  const { creator, ...rest } = status(at, repository, one);
  return { ...rest, required: false };
};

export const hook = (at, repository, one) => {
  const url = `${repositoryApi(at, repository)}/hooks/${one.id}`;
  const last = one.deliveries.at(-1);
  return {
    type: 'Repository',
    id: one.id,
    name: 'web',
    active: one.active,
    events: one.events,
    config: { url: one.url, content_type: one.content_type, insecure_ssl: '0', ...(one.secret ? { secret: '********' } : {}) },
    updated_at: one.created_at,
    created_at: one.created_at,
    url,
    test_url: `${url}/test`,
    ping_url: `${url}/pings`,
    deliveries_url: `${url}/deliveries`,
    last_response: { code: last?.status_code ?? null, status: last ? (last.status_code < 300 ? 'active' : 'failed') : 'unused', message: last?.status ?? null },
  };
};

export const signingKey = (one) => ({ id: one.id, key: one.key, title: one.title, created_at: one.created_at });
