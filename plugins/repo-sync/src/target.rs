//! One target's sync: what is to change there, on which branch, and what people are told.

use crate::config::Target;
use crate::plan::{BRANCH, Files, Last, Plan, SOURCE, Sides, plan, synced};
use crate::{Outcome, Source, failed};
use infinity_sdk::forge::{Commit, EntryKind, Thread, ThreadKind, Version};
use infinity_sdk::prelude::*;
use infinity_sdk::types::{
    Action, CommitAction, Content, FileChange, IssueAction, MergeAction, NotificationAction,
    PullRequestAction, RepositoryFile,
};
use serde_json::json;
use std::collections::BTreeSet;

/// Commits that are looked at first for a target's last sync, newest first: it is seldom older.
const FIRST_LOOK: u32 = 50;

/// Commits that are looked at at once after that.
const HISTORY: u32 = 1_000;

/// Paths that are looked at at once: what the host takes.
const PATHS_MAX: usize = 10_000;

/// Characters of a commit id in the name of a branch.
const SHORT: usize = 12;

/// Commits of a history among which the last sync, or the first commit since it, is looked for.
const FIRST_MAX: u32 = 20_000;

/// Paths that a message names.
const NAMED_MAX: usize = 20;

/// A target's repository as it is.
pub(crate) struct There {
    /// The branch that follows.
    pub(crate) branch: String,
    /// Its commit.
    pub(crate) commit: String,
    /// Its latest commits, newest first, as far back as was asked.
    pub(crate) history: Vec<Commit>,
}

impl There {
    /// The last sync that the target has, and where in its history.
    pub(crate) fn last(&self, source: &str) -> Option<(usize, Last)> {
        self.history
            .iter()
            .enumerate()
            .find_map(|(at, commit)| Some((at, synced(&commit.message, source)?)))
    }
}

/// Reads a target's repository, and its history until `enough` of it is there: most look at the latest commits alone.
pub(crate) fn there(target: &Target, enough: impl Fn(&[Commit]) -> bool) -> Result<There, Failure> {
    let name = &target.repository;
    let what = format!("target `{}`", target.name);
    let branch = match &target.branch {
        Some(branch) => branch.clone(),
        None => forge::repositories()
            .into_iter()
            .find(|repository| repository.name == *name)
            .map(|repository| repository.default_branch)
            .unwrap_or_default(),
    };
    let commit = forge::resolve(name, &branch).map_err(|error| failed(&what, &error))?;
    let mut history = Vec::new();
    let (mut from, mut count) = (commit.clone(), FIRST_LOOK);
    loop {
        let log = forge::log(name, &from, None, count).map_err(|error| failed(&what, &error))?;
        let whole = log.len() < count as usize;
        // The commit that a look begins with is the last of the one before.
        history.extend(log.into_iter().skip(usize::from(!history.is_empty())));
        match history.last() {
            Some(last) if !whole && !enough(&history) && history.len() < FIRST_MAX as usize => {
                from.clone_from(&last.id);
            }
            _ => break,
        }
        count = HISTORY;
    }
    Ok(There {
        branch,
        commit,
        history,
    })
}

/// What some paths hold at a commit. Links and submodules are not synced.
pub(crate) fn at<'p>(
    repository: &str,
    commit: &str,
    paths: impl IntoIterator<Item = &'p String>,
) -> Result<Files, Failure> {
    let paths: BTreeSet<&String> = paths.into_iter().collect();
    let paths: Vec<String> = paths.into_iter().cloned().collect();
    let mut files = Files::new();
    for part in paths.chunks(PATHS_MAX) {
        let found = forge::versions(repository, commit, part)
            .map_err(|error| failed(&format!("repository `{repository}`"), &error))?;
        let held = part.iter().zip(found.into_iter().map(file));
        files.extend(held.filter_map(|(path, id)| Some((path.clone(), id?))));
    }
    Ok(files)
}

/// The content of a file that can be synced.
fn file(version: Option<Version>) -> Option<String> {
    version
        .filter(|version| matches!(version.kind, EntryKind::File | EntryKind::Executable))
        .map(|version| version.id)
}

/// The files of a commit. Links and submodules are not synced.
fn files(repository: &str, commit: &str) -> Result<Files, Failure> {
    let entries = forge::tree(repository, commit, "")
        .map_err(|error| failed(&format!("repository `{repository}`"), &error))?;
    Ok(entries
        .into_iter()
        .filter(|entry| matches!(entry.kind, EntryKind::File | EntryKind::Executable))
        .map(|entry| (entry.path, entry.id))
        .collect())
}

/// What changed at the source since a commit: as it was, and as it is. Without one that is everything; none when the commit is gone.
fn since(
    source: &Source,
    target: &Target,
    commit: Option<&String>,
) -> Result<Option<(Files, Files)>, Failure> {
    let Some(commit) = commit else {
        let now = files(&source.repository, &source.commit)?;
        let covered = now.into_iter().filter(|(path, _)| target.covers(path));
        return Ok(Some((Files::new(), covered.collect())));
    };
    let changes = match forge::changes(&source.repository, commit, &source.commit) {
        Ok(changes) => changes,
        Err(forge::Error::NotFound(_)) => return Ok(None),
        Err(error) => {
            return Err(failed(
                &format!("repository `{}`", source.repository),
                &error,
            ));
        }
    };
    let (mut then, mut now) = (Files::new(), Files::new());
    for change in changes
        .into_iter()
        .filter(|change| target.covers(&change.path))
    {
        then.extend(file(change.before).map(|id| (change.path.clone(), id)));
        now.extend(file(change.after).map(|id| (change.path, id)));
    }
    Ok(Some((then, now)))
}

/// What a target needs.
pub(crate) fn sync(source: &Source, target: &Target) -> Result<Outcome, Failure> {
    let there = there(target, |history| {
        history
            .iter()
            .any(|commit| synced(&commit.message, &source.repository).is_some())
    })?;
    let last = there.last(&source.repository).map(|(_, last)| last);
    let last = last.unwrap_or_default();
    let gone = |commit: Option<&String>| {
        let finding = Finding::new(
            "sync/source-gone",
            Level::Error,
            format!(
                "the commit {} that `{}` was last synced from is not in `{}` any more",
                commit.map_or("", String::as_str),
                target.name,
                source.repository
            ),
        )
        .with_help("bring the commit back, or sync the target by hand once, with the line `Sync-Source` of its last sync and the new commit");
        Ok(Outcome {
            output: json!({ "target": target.name, "state": "source_gone" }),
            findings: vec![finding],
            effects: Vec::new(),
        })
    };
    let Some((then, now)) = since(source, target, last.source.as_ref())? else {
        return gone(last.source.as_ref());
    };
    let undone = match &last.undone {
        None => None,
        Some(commit) => match forge::resolve(&source.repository, commit) {
            Ok(_) => Some(at(
                &source.repository,
                commit,
                then.keys().chain(now.keys()),
            )?),
            Err(forge::Error::NotFound(_)) => return gone(Some(commit)),
            Err(error) => {
                return Err(failed(
                    &format!("repository `{}`", source.repository),
                    &error,
                ));
            }
        },
    };
    let held = at(
        &target.repository,
        &there.commit,
        then.keys().chain(now.keys()),
    )?;
    let sides = Sides {
        then,
        undone,
        now,
        there: held,
    };
    let plan = plan(&sides, |path| target.covers(path));
    let mut outcome = Outcome {
        output: json!({
            "target": target.name, "repository": target.repository, "branch": there.branch,
            "last": last.source, "write": plan.write, "delete": plan.delete, "conflicts": plan.conflicts,
        }),
        ..Outcome::default()
    };
    if !plan.conflicts.is_empty() {
        outcome.output["state"] = json!("conflicts");
        conflicts(source, target, &plan, &mut outcome)?;
        return Ok(outcome);
    }
    if plan.is_empty() {
        outcome.output["state"] = json!("in_step");
        return Ok(outcome);
    }
    outcome.output["state"] = json!("behind");
    propose(source, target, &there, &last, &sides, &plan, &mut outcome)?;
    Ok(outcome)
}

/// What changed on both sides: people are told, once.
fn conflicts(
    source: &Source,
    target: &Target,
    plan: &Plan,
    outcome: &mut Outcome,
) -> Result<(), Failure> {
    let finding = |path: &String| {
        Finding::new(
            "sync/conflict",
            Level::Warning,
            format!(
                "`{path}` changed in `{}` and in `{}`",
                source.repository, target.repository
            ),
        )
        .at(path.clone(), None, None)
        .in_repository(target.repository.clone())
        .with_help("make both the same, or put the path under `exclude`")
    };
    outcome.findings.extend(plan.conflicts.iter().map(finding));
    let title = format!(
        "Sync from {} to {}: conflicts",
        source.repository, target.name
    );
    let open = threads(target, ThreadKind::Issue)?;
    if open.iter().any(|thread| thread.title == title) {
        return Ok(());
    }
    let id = format!("conflicts-{}", target.name);
    let body = format!(
        "These files changed here and in `{}` since they were last synced, so nothing is synced:\n\n{}\n\nMake both sides the same, or put the paths under `exclude` in the configuration of the sync. The next run goes on by itself.\n",
        source.repository,
        named(&plan.conflicts, "- "),
    );
    let action = Action::Issue(IssueAction {
        repository: target.repository.clone(),
        title: title.clone(),
        body: body.clone(),
        labels: target.labels.clone(),
    });
    let reason = format!("{} files changed on both sides", plan.conflicts.len());
    outcome
        .effects
        .push(Effect::propose(id.as_str(), reason.as_str(), action));
    if let Some(channel) = &source.channel {
        let action = Action::Notification(NotificationAction {
            channel: channel.clone(),
            level: Level::Warning,
            title,
            body,
        });
        outcome
            .effects
            .push(Effect::propose(format!("tell-{}", target.name), reason, action).after(id));
    }
    Ok(())
}

fn threads(target: &Target, kind: ThreadKind) -> Result<Vec<Thread>, Failure> {
    forge::threads(&target.repository, kind)
        .map_err(|error| failed(&format!("target `{}`", target.name), &error))
}

/// Text on one line.
fn plain(text: &str) -> String {
    text.chars()
        .filter(|character| !character.is_control())
        .collect()
}

/// Paths, one per line.
fn named(paths: &BTreeSet<String>, before: &str) -> String {
    let mut lines: Vec<String> = paths
        .iter()
        .take(NAMED_MAX)
        .map(|path| format!("{before}{}", plain(path)))
        .collect();
    if paths.len() > NAMED_MAX {
        lines.push(format!("{before}and {} more", paths.len() - NAMED_MAX));
    }
    lines.join("\n")
}

/// A branch of the agent's own.
pub(crate) struct Work {
    pub(crate) name: String,
    /// Its commit; none before it is made.
    pub(crate) head: Option<String>,
    /// Paths that earlier syncs changed on it.
    pub(crate) touched: BTreeSet<String>,
    /// The open pull request from it.
    pub(crate) request: Option<Thread>,
}

impl Work {
    /// The branch of this name as it is.
    pub(crate) fn on(
        target: &Target,
        there: &There,
        name: String,
        open: &[Thread],
        source: &str,
    ) -> Result<Self, Failure> {
        let what = format!("target `{}`", target.name);
        let head = match forge::resolve(&target.repository, &name) {
            Ok(head) => Some(head),
            Err(forge::Error::NotFound(_)) => None,
            Err(error) => return Err(failed(&what, &error)),
        };
        let mut touched = BTreeSet::new();
        if let Some(head) = &head {
            let commits = forge::log(&target.repository, head, Some(&there.commit), HISTORY)
                .map_err(|error| failed(&what, &error))?;
            // What others did on the branch stays.
            for commit in commits
                .iter()
                .filter(|commit| synced(&commit.message, source).is_some())
            {
                let files = forge::diff(
                    &target.repository,
                    commit.parents.first().map(String::as_str),
                    &commit.id,
                )
                .map_err(|error| failed(&what, &error))?;
                touched.extend(files.into_iter().map(|file| file.path));
            }
        }
        Ok(Self {
            request: open
                .iter()
                .find(|thread| {
                    thread.head.as_ref() == Some(&name)
                        && thread.base.as_ref() == Some(&there.branch)
                })
                .cloned(),
            name,
            head,
            touched,
        })
    }
}

/// The commit, the pull request and the merge that bring a target into step.
fn propose(
    source: &Source,
    target: &Target,
    there: &There,
    last: &Last,
    sides: &Sides,
    plan: &Plan,
    outcome: &mut Outcome,
) -> Result<(), Failure> {
    let open = threads(target, ThreadKind::PullRequest)?;
    let since = last.undone.as_ref().or(last.source.as_ref());
    let commits = forge::log(
        &source.repository,
        &source.commit,
        since.map(String::as_str),
        HISTORY,
    )
    .map_err(|error| failed(&format!("repository `{}`", source.repository), &error))?;
    let work = Work::on(
        target,
        there,
        branch(source, target, since, &commits, &open)?,
        &open,
        &source.repository,
    )?;
    outcome.output["sync_branch"] = json!(work.name);
    outcome.output["pull_request"] = json!(work.request.as_ref().map(|thread| thread.number));
    let now = |path: &String| {
        Content::RepositoryFile(RepositoryFile {
            repository: source.repository.clone(),
            commit: source.commit.clone(),
            path: path.clone(),
        })
    };
    // What an earlier sync on the branch changed and the source took back.
    let undone: BTreeSet<&String> = work
        .touched
        .iter()
        .filter(|path| !plan.write.contains(*path) && !plan.delete.contains(*path))
        .collect();
    let before = at(&target.repository, &there.commit, undone.iter().copied())?;
    let on_branch = match &work.head {
        Some(head) => {
            let paths = plan
                .write
                .iter()
                .chain(&plan.delete)
                .chain(undone.iter().copied());
            at(&target.repository, head, paths)?
        }
        None => sides.there.clone(),
    };
    let mut changes = Vec::new();
    for path in &plan.write {
        if on_branch.get(path) != sides.now.get(path) {
            changes.push(FileChange {
                path: path.clone(),
                content: now(path),
            });
        }
    }
    for path in &plan.delete {
        if on_branch.contains_key(path) {
            changes.push(FileChange {
                path: path.clone(),
                content: Content::Deleted,
            });
        }
    }
    for path in undone {
        if on_branch.get(path) == before.get(path) {
            continue;
        }
        let content = if before.contains_key(path) {
            Content::RepositoryFile(RepositoryFile {
                repository: target.repository.clone(),
                commit: there.commit.clone(),
                path: path.clone(),
            })
        } else {
            Content::Deleted
        };
        changes.push(FileChange {
            path: path.clone(),
            content,
        });
    }
    let count = changes.len();
    let title = format!("Sync {} from {}", target.name, source.repository);
    let id = format!("commit-{}", target.name);
    if count > 0 {
        let author = authors(&commits);
        let message = format!(
            "{title}\n\n{}\n\n{SOURCE}: {}@{}\n{author}{BRANCH}: {}\n",
            summary(plan),
            source.repository,
            source.commit,
            work.name
        );
        let reason = format!("{count} files of `{}` changed", source.repository);
        let action = Action::Commit(CommitAction {
            repository: target.repository.clone(),
            branch: work.name.clone(),
            base: work.head.clone(),
            start: work.head.is_none().then(|| there.commit.clone()),
            message,
            files: changes,
        });
        outcome
            .effects
            .push(Effect::propose(id.as_str(), reason, action));
    }
    match &work.request {
        None if target.create_pr => {
            let listed: Vec<String> = commits
                .iter()
                .take(NAMED_MAX)
                .map(|commit| {
                    let subject = commit.message.lines().next().unwrap_or_default();
                    let short = commit.id.get(..10).unwrap_or(&commit.id);
                    format!(
                        "- {short} {} ({})",
                        plain(subject),
                        plain(&commit.author.name)
                    )
                })
                .collect();
            let mut body = format!(
                "Brings `{}` into step with `{}` at {}.\n\n{}\n\nCommits:\n\n{}\n",
                target.repository,
                source.repository,
                source.commit,
                summary(plan),
                listed.join("\n")
            );
            if commits.len() > NAMED_MAX {
                body.push_str(&format!("- and {} more\n", commits.len() - NAMED_MAX));
            }
            outcome.effects.push(request(
                target,
                there,
                &work.name,
                title,
                body,
                (count > 0).then_some(id),
            ));
        }
        // Everything is on the branch, and enough people looked at it.
        Some(thread)
            if target.auto_merge
                && count == 0
                && thread.approvals >= target.require_approvals.max(thread.approvals_needed) =>
        {
            let action = Action::Merge(MergeAction {
                repository: target.repository.clone(),
                number: thread.number,
                head: work.head.clone().unwrap_or_default(),
            });
            let reason = format!(
                "`auto_merge` is set, and {} people approve",
                thread.approvals
            );
            outcome.effects.push(Effect::propose(
                format!("merge-{}", target.name),
                reason,
                action,
            ));
        }
        _ => {}
    }
    Ok(())
}

/// Who made what is synced, the latest first, each in a line of the commit.
fn authors(commits: &[Commit]) -> String {
    let mut lines: Vec<String> = Vec::new();
    for commit in commits {
        let line = format!(
            "Sync-Author: {} <{}>\n",
            plain(&commit.author.name),
            plain(&commit.author.email)
        );
        if !lines.contains(&line) {
            lines.push(line);
        }
        if lines.len() == NAMED_MAX {
            break;
        }
    }
    lines.concat()
}

/// A pull request from a branch, after the commit that makes it.
pub(crate) fn request(
    target: &Target,
    there: &There,
    branch: &str,
    title: String,
    body: String,
    after: Option<String>,
) -> Effect {
    let action = Action::PullRequest(PullRequestAction {
        repository: target.repository.clone(),
        head: branch.to_owned(),
        base: there.branch.clone(),
        title,
        body,
        labels: target.labels.clone(),
        reviewers: target.reviewers.clone(),
        approvals: target.require_approvals,
    });
    let effect = Effect::propose(
        format!("pull-request-{}", target.name),
        "people decide on what is synced",
        action,
    );
    match after {
        Some(id) => effect.after(id),
        None => effect,
    }
}

/// What a sync does, for people.
fn summary(plan: &Plan) -> String {
    let mut parts = Vec::new();
    if !plan.write.is_empty() {
        parts.push(format!(
            "{} files written:\n\n{}",
            plan.write.len(),
            named(&plan.write, "- ")
        ));
    }
    if !plan.delete.is_empty() {
        parts.push(format!(
            "{} files deleted:\n\n{}",
            plan.delete.len(),
            named(&plan.delete, "- ")
        ));
    }
    parts.join("\n\n")
}

/// The branch of a target's open pull request, or the name of a new one: by the first commit at the source since the last sync, so that later commits find the same.
fn branch(
    source: &Source,
    target: &Target,
    since: Option<&String>,
    commits: &[Commit],
    open: &[Thread],
) -> Result<String, Failure> {
    let prefix = format!("automation/sync-{}-", target.name);
    let is_own = |name: &&String| {
        let rest = name.strip_prefix(&prefix);
        rest.is_some_and(|rest| {
            rest.len() >= SHORT && rest.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    };
    if let Some(name) = open
        .iter()
        .filter_map(|thread| thread.head.as_ref())
        .find(is_own)
    {
        return Ok(name.clone());
    }
    let first = first_since(source, since, commits)?;
    Ok(format!("{prefix}{}", first.get(..SHORT).unwrap_or(&first)))
}

/// The first commit at the source since one, or of its history, of which `commits` are the latest. Of a very long one it is the first of the latest [`FIRST_MAX`].
fn first_since(
    source: &Source,
    since: Option<&String>,
    commits: &[Commit],
) -> Result<String, Failure> {
    let mut first = commits
        .last()
        .map_or_else(|| source.commit.clone(), |commit| commit.id.clone());
    if commits.len() < HISTORY as usize {
        return Ok(first);
    }
    for _ in 1..FIRST_MAX / HISTORY {
        let log = forge::log(
            &source.repository,
            &first,
            since.map(String::as_str),
            HISTORY,
        )
        .map_err(|error| failed(&format!("repository `{}`", source.repository), &error))?;
        let Some(oldest) = log.last() else {
            break;
        };
        first.clone_from(&oldest.id);
        if log.len() < HISTORY as usize {
            break;
        }
    }
    Ok(first)
}
