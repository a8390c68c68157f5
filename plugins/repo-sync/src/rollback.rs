//! Undoing a target's last sync: a pull request that brings back what the sync changed. What somebody changed since stays.

use crate::config::Target;
use crate::plan::{BRANCH, Files, SOURCE, UNDONE, synced};
use crate::target::{self, Work};
use crate::{Outcome, Source, failed};
use infinity_sdk::forge::ThreadKind;
use infinity_sdk::prelude::*;
use infinity_sdk::types::{Action, CommitAction, Content, FileChange, RepositoryFile};
use serde_json::json;
use std::collections::BTreeMap;

/// What brings a target back to before its last sync.
pub(crate) fn rollback(source: &Source, target: &Target) -> Result<Outcome, Failure> {
    // A rollback needs the sync before the last one, too.
    let there = target::there(target, |history| {
        let mut branches: Vec<String> = history
            .iter()
            .filter_map(|commit| synced(&commit.message, &source.repository))
            .map(|one| one.branch)
            .collect();
        branches.dedup();
        branches.len() > 1
    })?;
    let what = format!("target `{}`", target.name);
    let nothing = |why: &str| Err(Failure::InvalidInput(format!("{what}: {why}")));
    let Some((_, last)) = there.last(&source.repository) else {
        return nothing("no sync is in its history");
    };
    let Some(undone) = last.source.clone().filter(|_| last.undone.is_none()) else {
        return nothing("its last sync is rolled back already");
    };
    // A pull request may have brought several commits.
    let of_last: Vec<_> = there
        .history
        .iter()
        .filter(|commit| {
            synced(&commit.message, &source.repository).is_some_and(|one| one.branch == last.branch)
        })
        .collect();
    let before_that = there
        .history
        .iter()
        .filter_map(|commit| synced(&commit.message, &source.repository))
        .find(|one| one.branch != last.branch);
    // Newest first: of a file that changed twice the older state is the one to go back to.
    let mut back: BTreeMap<String, Option<String>> = BTreeMap::new();
    let mut newest = None;
    for (index, commit) in of_last.iter().enumerate() {
        let parent = commit.parents.first();
        let changed = forge::diff(&target.repository, parent.map(String::as_str), &commit.id)
            .map_err(|error| failed(&what, &error))?;
        if index == 0 {
            newest = Some(&commit.id);
        }
        for file in changed {
            back.insert(file.path, parent.cloned());
        }
    }
    let now = target::at(&target.repository, &there.commit, back.keys())?;
    let after = match newest {
        Some(newest) => target::at(&target.repository, newest, back.keys())?,
        None => Files::new(),
    };
    let mut before: BTreeMap<&String, Files> = BTreeMap::new();
    let mut outcome = Outcome::default();
    let mut changes = Vec::new();
    for (path, parent) in &back {
        if now.get(path) != after.get(path) {
            let finding = Finding::new(
                "sync/changed-since",
                Level::Warning,
                format!(
                    "`{path}` changed in `{}` since it was synced; it stays",
                    target.repository
                ),
            );
            outcome.findings.push(
                finding
                    .at(path.clone(), None, None)
                    .in_repository(target.repository.clone()),
            );
            continue;
        }
        let old = match parent {
            None => None,
            Some(parent) => {
                if !before.contains_key(parent) {
                    before.insert(parent, target::at(&target.repository, parent, back.keys())?);
                }
                before
                    .get(parent)
                    .and_then(|files| files.get(path))
                    .map(|_| parent)
            }
        };
        let content = match old {
            Some(commit) => Content::RepositoryFile(RepositoryFile {
                repository: target.repository.clone(),
                commit: commit.clone(),
                path: path.clone(),
            }),
            None if now.contains_key(path) => Content::Deleted,
            None => continue,
        };
        changes.push(FileChange {
            path: path.clone(),
            content,
        });
    }
    let short = undone.get(..12).unwrap_or(&undone);
    let name = format!("automation/rollback-{}-{short}", target.name);
    outcome.output = json!({
        "target": target.name, "repository": target.repository, "branch": there.branch, "state": "rollback",
        "undone": undone, "sync_branch": name, "files": changes.len(),
    });
    if changes.is_empty() {
        return Ok(outcome);
    }
    let open = forge::threads(&target.repository, ThreadKind::PullRequest)
        .map_err(|error| failed(&what, &error))?;
    let work = Work::on(target, &there, name, &open, &source.repository)?;
    let mut after = None;
    if work.head.is_none() {
        let id = format!("commit-{}", target.name);
        let previous = before_that.and_then(|one| one.source);
        let message = format!(
            "Roll back the last sync of {} from {}\n\n{SOURCE}: {}@{}\n{UNDONE}: {undone}\n{BRANCH}: {}\n",
            target.name,
            source.repository,
            source.repository,
            previous.as_deref().unwrap_or("none"),
            work.name
        );
        let reason = format!("the sync from {undone} is undone");
        let action = Action::Commit(CommitAction {
            repository: target.repository.clone(),
            branch: work.name.clone(),
            base: None,
            start: Some(there.commit.clone()),
            message,
            files: changes,
        });
        outcome
            .effects
            .push(Effect::propose(id.as_str(), reason, action));
        after = Some(id);
    }
    if work.request.is_none() {
        let title = format!("Roll back the last sync of {}", target.name);
        let body = format!(
            "Undoes what came from `{}` at {undone}.\n",
            source.repository
        );
        outcome.effects.push(target::request(
            target, &there, &work.name, title, body, after,
        ));
    }
    Ok(outcome)
}
