//! The mirror agent: compares files with their copies on a branch and proposes one commit with what differs.
//!
//! A file that is gone at its source goes from the branch, too; what no source speaks of stays. Files of repositories are named by commit and path and never pass through the guest; files of
//! directories become artifacts.

use infinity_sdk::prelude::*;
use infinity_sdk::types::{Action, CommitAction, Content, FileChange, RepositoryFile};
use mirror::{Change, Origin};
use serde_json::json;

infinity_sdk::agent!(run, manifest = "../manifest.json");

/// Changed files that the commit's message names.
const NAMED_MAX: usize = 20;

/// Runs the agent once.
///
/// # Errors
/// [`Failure::InvalidInput`] when the settings cannot be used, [`Failure::Unavailable`] when a repository does not answer.
pub fn run(_: Invocation) -> Result<Report, Failure> {
    let sources: Vec<mirror::Source> = settings::required("sources")?;
    let target: mirror::Target = settings::required("target")?;
    let collected = mirror::collect(&sources)?;
    let wanted = &collected.files;
    let skipped = collected.unknown.iter().map(|name| {
        Finding::new(
            "mirror/no-view",
            Level::Note,
            format!("the host makes no view `{name}`; it is left out"),
        )
        .with_help("its copy stays as it is; take the view out of `sources`, or wait for a version that makes it")
    });
    let skipped: Vec<Finding> = skipped.collect();
    let (head, present) = mirror::present(&target)?;
    let changes = mirror::changes(&collected, &present, &sources, |path| {
        let head = head.as_deref().unwrap_or_default();
        forge::read(&target.repository, head, path).ok()
    });
    let deleted = changes
        .iter()
        .filter(|(_, change)| matches!(change, Change::Delete))
        .count();
    let output = json!({
        "files": wanted.len(), "changed": changes.len() - deleted, "deleted": deleted,
        "repository": target.repository, "branch": target.branch, "before": head,
    });
    if changes.is_empty() {
        return Report::passed(format!("{} files, none changed", wanted.len()))
            .with_findings(skipped)
            .with_output(&output);
    }
    let message = message(&changes);
    let mut files = Vec::with_capacity(changes.len());
    for (number, (path, change)) in changes.into_iter().enumerate() {
        let content = match change {
            Change::Delete => Content::Deleted,
            Change::Write(Origin::Repository {
                name, commit, path, ..
            }) => Content::RepositoryFile(RepositoryFile {
                repository: name.clone(),
                commit: commit.clone(),
                path: path.clone(),
            }),
            Change::Write(Origin::Bytes(bytes)) => Content::Artifact(artifacts::put(
                &format!("file-{number}"),
                "application/octet-stream",
                bytes,
            )?),
        };
        files.push(FileChange {
            path: path.to_owned(),
            content,
        });
    }
    let count = files.len();
    let effect = Effect::propose(
        "mirror",
        format!("{count} of {} files differ from their copies", wanted.len()),
        Action::Commit(CommitAction {
            repository: target.repository,
            branch: target.branch,
            base: head,
            start: None,
            message,
            files,
        }),
    );
    Ok(
        Report::passed(format!("{} files, {count} to change", wanted.len()))
            .with_findings(skipped)
            .with_output(&output)?
            .with_effect(effect),
    )
}

/// What the commit says.
fn message(changes: &[(&str, Change<'_>)]) -> String {
    let mut message = format!("Mirror {} files\n", changes.len());
    for (path, change) in changes.iter().take(NAMED_MAX) {
        let word = match change {
            Change::Delete => "delete",
            Change::Write(_) => "copy",
        };
        message.push_str(&format!("\n{word} {}", path.escape_debug()));
    }
    if changes.len() > NAMED_MAX {
        message.push_str(&format!("\nand {} more", changes.len() - NAMED_MAX));
    }
    message
}
