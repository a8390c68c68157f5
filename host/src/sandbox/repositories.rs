//! The contract's `forge` interface: the read side of granted repositories.

use super::contract::agent::infinity::agent::forge as wit;
use super::meter::{Meter, Outside, escape};
use super::state::RunState;
use crate::forge::{self, Forge, ForgeError, OpenThread};
use crate::model::{ThreadKind, now};
use std::ops::Deref;
use std::sync::Arc;

fn told(error: ForgeError) -> wit::Error {
    match error {
        ForgeError::NotFound(message) => wit::Error::NotFound(message),
        ForgeError::TooLarge(message) => wit::Error::TooLarge(message),
        ForgeError::Unavailable(message) => wit::Error::Unavailable(message),
        ForgeError::Other(message) => wit::Error::Other(message),
    }
}

fn person(person: forge::Person) -> wit::Person {
    wit::Person {
        name: person.name,
        email: person.email,
    }
}

fn kind(kind: forge::EntryKind) -> wit::EntryKind {
    match kind {
        forge::EntryKind::File => wit::EntryKind::File,
        forge::EntryKind::Executable => wit::EntryKind::Executable,
        forge::EntryKind::Symlink => wit::EntryKind::Symlink,
        forge::EntryKind::Submodule => wit::EntryKind::Submodule,
    }
}

fn version(version: forge::Version) -> wit::Version {
    wit::Version {
        kind: kind(version.kind),
        id: version.id,
    }
}

fn thread(thread: OpenThread) -> wit::Thread {
    wit::Thread {
        number: thread.number,
        kind: match thread.kind {
            ThreadKind::PullRequest => wit::ThreadKind::PullRequest,
            ThreadKind::Issue => wit::ThreadKind::Issue,
        },
        title: thread.title,
        labels: thread.labels,
        author: thread.author,
        head: thread.head,
        base: thread.base,
        approvals: thread.approvals,
        approvals_needed: thread.approvals_needed,
    }
}

/// A granted repository while a call reads it.
struct Opened {
    forge: Arc<dyn Forge>,
    /// Told of the call when it is over, if somebody wants to know.
    watched: Option<(Arc<Meter>, Outside)>,
}

impl Deref for Opened {
    type Target = dyn Forge;

    fn deref(&self) -> &Self::Target {
        self.forge.as_ref()
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if let Some((meter, call)) = self.watched.take() {
            meter.went_outside(Outside { to: now(), ..call });
        }
    }
}

impl RunState {
    fn repository(&self, name: &str) -> Result<Opened, wit::Error> {
        if let Some(repository) = self.capabilities.repositories.get(name) {
            self.meter.reach("repository", name);
            let watched = self.meter.is_watched().then(|| {
                let from = now();
                let call = Outside {
                    what: "repository".into(),
                    name: name.to_owned(),
                    from,
                    to: from,
                    status: None,
                    error: None,
                };
                (Arc::clone(&self.meter), call)
            });
            return Ok(Opened {
                forge: Arc::clone(repository),
                watched,
            });
        }
        Err(wit::Error::Denied(self.deny_repository(name)))
    }

    /// Notes that a repository may not be read, and answers why.
    pub(super) fn deny_repository(&self, name: &str) -> String {
        let shown: String = escape(&name.chars().take(100).collect::<String>());
        let reason = format!("reading the repository `{shown}` is not granted");
        self.meter.deny(
            "forge",
            format!("read `{shown}`"),
            reason.clone(),
            format!("repos = [{{ name = \"{shown}\", read = true }}]"),
        );
        reason
    }
}

impl wit::Host for RunState {
    async fn repositories(&mut self) -> wasmtime::Result<Vec<wit::Repository>> {
        let mut repositories = Vec::new();
        for (name, repository) in &self.capabilities.repositories {
            let default_branch = repository
                .default_branch()
                .await
                .unwrap_or_else(|_| "HEAD".into());
            repositories.push(wit::Repository {
                name: name.clone(),
                default_branch,
            });
        }
        Ok(repositories)
    }

    async fn resolve(
        &mut self,
        repository: String,
        reference: String,
    ) -> wasmtime::Result<Result<String, wit::Error>> {
        let repository = match self.repository(&repository) {
            Ok(repository) => repository,
            Err(error) => return Ok(Err(error)),
        };
        Ok(repository.resolve(&reference).await.map_err(told))
    }

    async fn tree(
        &mut self,
        repository: String,
        reference: String,
        path: String,
    ) -> wasmtime::Result<Result<Vec<wit::Entry>, wit::Error>> {
        let repository = match self.repository(&repository) {
            Ok(repository) => repository,
            Err(error) => return Ok(Err(error)),
        };
        let entries = repository.tree(&reference, &path).await.map_err(told);
        Ok(entries.map(|entries| {
            entries
                .into_iter()
                .map(|entry| wit::Entry {
                    path: entry.path,
                    kind: kind(entry.kind),
                    id: entry.id,
                    size: entry.size,
                })
                .collect()
        }))
    }

    async fn versions(
        &mut self,
        repository: String,
        reference: String,
        paths: Vec<String>,
    ) -> wasmtime::Result<Result<Vec<Option<wit::Version>>, wit::Error>> {
        let repository = match self.repository(&repository) {
            Ok(repository) => repository,
            Err(error) => return Ok(Err(error)),
        };
        let found = repository.versions(&reference, &paths).await.map_err(told);
        Ok(found.map(|found| found.into_iter().map(|one| one.map(version)).collect()))
    }

    async fn changes(
        &mut self,
        repository: String,
        base: String,
        head: String,
    ) -> wasmtime::Result<Result<Vec<wit::ChangedFile>, wit::Error>> {
        let repository = match self.repository(&repository) {
            Ok(repository) => repository,
            Err(error) => return Ok(Err(error)),
        };
        let changes = repository.changes(&base, &head).await.map_err(told);
        Ok(changes.map(|changes| {
            changes
                .into_iter()
                .map(|file| wit::ChangedFile {
                    path: file.path,
                    before: file.before.map(version),
                    after: file.after.map(version),
                })
                .collect()
        }))
    }

    async fn read(
        &mut self,
        repository: String,
        reference: String,
        path: String,
    ) -> wasmtime::Result<Result<Vec<u8>, wit::Error>> {
        let repository = match self.repository(&repository) {
            Ok(repository) => repository,
            Err(error) => return Ok(Err(error)),
        };
        Ok(repository.read(&reference, &path).await.map_err(told))
    }

    async fn threads(
        &mut self,
        repository: String,
        kind: wit::ThreadKind,
    ) -> wasmtime::Result<Result<Vec<wit::Thread>, wit::Error>> {
        let _opened = match self.repository(&repository) {
            Ok(opened) => opened,
            Err(error) => return Ok(Err(error)),
        };
        let Some(threads) = self.capabilities.threads.clone() else {
            return Ok(Ok(Vec::new()));
        };
        let kind = match kind {
            wit::ThreadKind::PullRequest => ThreadKind::PullRequest,
            wit::ThreadKind::Issue => ThreadKind::Issue,
        };
        let open = threads.open(&repository, kind).await.map_err(told);
        Ok(open.map(|open| open.into_iter().map(thread).collect()))
    }

    async fn log(
        &mut self,
        repository: String,
        reference: String,
        since: Option<String>,
        limit: u32,
    ) -> wasmtime::Result<Result<Vec<wit::Commit>, wit::Error>> {
        let repository = match self.repository(&repository) {
            Ok(repository) => repository,
            Err(error) => return Ok(Err(error)),
        };
        let commits = repository
            .log(&reference, since.as_deref(), limit)
            .await
            .map_err(told);
        Ok(commits.map(|commits| {
            commits
                .into_iter()
                .map(|commit| wit::Commit {
                    id: commit.id,
                    parents: commit.parents,
                    author: person(commit.author),
                    committer: person(commit.committer),
                    committed_at: commit.committed_at,
                    message: commit.message,
                    verified: commit.verified,
                })
                .collect()
        }))
    }

    async fn diff(
        &mut self,
        repository: String,
        base: Option<String>,
        head: String,
    ) -> wasmtime::Result<Result<Vec<wit::FileDiff>, wit::Error>> {
        let repository = match self.repository(&repository) {
            Ok(repository) => repository,
            Err(error) => return Ok(Err(error)),
        };
        let files = repository.diff(base.as_deref(), &head).await.map_err(told);
        Ok(files.map(|files| {
            files
                .into_iter()
                .map(|file| wit::FileDiff {
                    path: file.path,
                    change: match file.change {
                        forge::Change::Added => wit::Change::Added,
                        forge::Change::Modified => wit::Change::Modified,
                        forge::Change::Deleted => wit::Change::Deleted,
                        forge::Change::Renamed => wit::Change::Renamed,
                    },
                    binary: file.binary,
                    added: file
                        .added
                        .into_iter()
                        .map(|line| wit::AddedLine {
                            line: line.line,
                            text: line.text,
                        })
                        .collect(),
                    removed: file.removed,
                })
                .collect()
        }))
    }
}
