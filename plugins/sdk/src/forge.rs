//! The read side of granted repositories.

use crate::host::on_host;

pub use crate::bindings::infinity::agent::forge::{
    AddedLine, Change, ChangedFile, Commit, Entry, EntryKind, Error, FileDiff, Person, Repository,
    Thread, ThreadKind, Version,
};

#[cfg(target_arch = "wasm32")]
use crate::bindings::infinity::agent::forge as calls;

/// The repositories granted to this agent.
#[must_use]
pub fn repositories() -> Vec<Repository> {
    on_host!(wasm => calls::repositories(), native => |host| host.forge.repositories())
}

/// The commit that a branch, tag or abbreviated id names.
///
/// # Errors
/// As the contract's `forge.error`.
pub fn resolve(repository: &str, reference: &str) -> Result<String, Error> {
    on_host!(
        wasm => calls::resolve(repository, reference),
        native => |host| host.forge.resolve(repository, reference)
    )
}

/// All files below `path` at a commit, sorted by path.
///
/// # Errors
/// As the contract's `forge.error`.
pub fn tree(repository: &str, reference: &str, path: &str) -> Result<Vec<Entry>, Error> {
    on_host!(
        wasm => calls::tree(repository, reference, path),
        native => |host| host.forge.tree(repository, reference, path)
    )
}

/// What each of these paths holds at a commit, in their order, at most 10,000.
///
/// # Errors
/// As the contract's `forge.error`.
pub fn versions(
    repository: &str,
    reference: &str,
    paths: &[String],
) -> Result<Vec<Option<Version>>, Error> {
    on_host!(
        wasm => calls::versions(repository, reference, paths),
        native => |host| host.forge.versions(repository, reference, paths)
    )
}

/// The files that are not the same in two commits, sorted by path.
///
/// # Errors
/// As the contract's `forge.error`.
pub fn changes(repository: &str, base: &str, head: &str) -> Result<Vec<ChangedFile>, Error> {
    on_host!(
        wasm => calls::changes(repository, base, head),
        native => |host| host.forge.changes(repository, base, head)
    )
}

/// A file's bytes.
///
/// # Errors
/// As the contract's `forge.error`.
pub fn read(repository: &str, reference: &str, path: &str) -> Result<Vec<u8>, Error> {
    on_host!(
        wasm => calls::read(repository, reference, path),
        native => |host| host.forge.read(repository, reference, path)
    )
}

/// Commits reachable from `reference` and not from `since`, newest first.
///
/// # Errors
/// As the contract's `forge.error`.
pub fn log(
    repository: &str,
    reference: &str,
    since: Option<&str>,
    limit: u32,
) -> Result<Vec<Commit>, Error> {
    on_host!(
        wasm => calls::log(repository, reference, since, limit),
        native => |host| host.forge.log(repository, reference, since, limit)
    )
}

/// What changed from `base` to `head`; without `base`, against the first parent.
///
/// # Errors
/// As the contract's `forge.error`.
pub fn diff(repository: &str, base: Option<&str>, head: &str) -> Result<Vec<FileDiff>, Error> {
    on_host!(
        wasm => calls::diff(repository, base, head),
        native => |host| host.forge.diff(repository, base, head)
    )
}

/// The open issues or pull requests, newest first.
///
/// # Errors
/// As the contract's `forge.error`.
pub fn threads(repository: &str, kind: ThreadKind) -> Result<Vec<Thread>, Error> {
    on_host!(
        wasm => calls::threads(repository, kind),
        native => |host| host.forge.threads(repository, kind)
    )
}

/// The message of a forge error, for a report.
#[must_use]
pub fn message(error: &Error) -> &str {
    match error {
        Error::Denied(text)
        | Error::NotFound(text)
        | Error::TooLarge(text)
        | Error::Unavailable(text)
        | Error::Other(text) => text,
    }
}
