//! The read side of granted repositories.

use crate::host::on_host;

pub use crate::bindings::infinity::agent::forge::{
    AddedLine, Change, Commit, Entry, EntryKind, Error, FileDiff, Person, Repository,
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
