//! A host for unit tests: what an agent asks for is answered from memory, and what it does is kept for the test to look at.
//!
//! ```
//! use infinity_sdk::prelude::*;
//! use infinity_sdk::testing::{self, TestHost};
//!
//! fn run(_: Invocation) -> Result<Report, Failure> {
//!     let name: String = settings::required("name")?;
//!     Ok(Report::passed(format!("hello {name}")))
//! }
//!
//! let (report, host) = TestHost::new().setting("name", "you").run(run, "null");
//! assert_eq!(report.unwrap().summary, "hello you");
//! assert!(host.log.is_empty());
//! # let _ = testing::invocation("null");
//! ```

use crate::forge::{
    ChangedFile, Commit, Entry, EntryKind, Error, FileDiff, Repository, Thread, ThreadKind, Version,
};
use crate::http::{Request, Response};
use crate::log::Severity;
use crate::types::{Failure, Invocation, Report, Trigger};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// A scripted answer to submissions, JSON in and out.
pub type Judge = Box<dyn Fn(&str) -> Result<String, crate::checks::Error>>;

/// A scripted answer to HTTP requests.
pub type Responder = Box<dyn FnMut(&Request) -> Result<Response, crate::http::Error>>;

/// Everything a native agent sees and leaves behind.
#[derive(Default)]
pub struct TestHost {
    /// Settings as the host hands them over: strings raw, the rest JSON.
    pub settings: BTreeMap<String, String>,
    /// The key-value space.
    pub kv: BTreeMap<String, Vec<u8>>,
    /// What was logged.
    pub log: Vec<(Severity, String)>,
    /// What was reported as progress.
    pub progress: Vec<(u64, Option<u64>, String)>,
    /// What was announced: type, subject and data in JSON.
    pub events: Vec<(String, Option<String>, String)>,
    /// Media type and bytes by name.
    pub artifacts: BTreeMap<String, (String, Vec<u8>)>,
    /// The repositories.
    pub forge: TestForge,
    /// What the host makes of what it knows of itself, by name.
    pub views: BTreeMap<String, Option<Vec<u8>>>,
    /// Secrets that it may read, by name.
    pub secrets: BTreeMap<String, String>,
    /// Judges submissions, JSON in and out; without it every one is denied.
    pub checks: Option<Judge>,
    /// Answers HTTP requests; without it every request is denied.
    pub http: Option<Responder>,
}

/// Repositories in memory: one commit list each, newest first, and the files of the newest.
#[derive(Default)]
pub struct TestForge {
    /// By name.
    pub repositories: BTreeMap<String, TestRepository>,
}

/// One repository in memory.
#[derive(Default)]
pub struct TestRepository {
    /// Newest first.
    pub commits: Vec<Commit>,
    /// What each commit changed, by its id.
    pub diffs: BTreeMap<String, Vec<FileDiff>>,
    /// The files of the newest commit.
    pub files: BTreeMap<String, Vec<u8>>,
    /// What is open, newest first.
    pub threads: Vec<Thread>,
}

impl TestForge {
    fn get(&self, repository: &str) -> Result<&TestRepository, Error> {
        self.repositories
            .get(repository)
            .ok_or_else(|| Error::Denied(format!("repository `{repository}` is not granted")))
    }

    pub(crate) fn repositories(&self) -> Vec<Repository> {
        self.repositories
            .keys()
            .map(|name| Repository {
                name: name.clone(),
                default_branch: "main".into(),
            })
            .collect()
    }

    pub(crate) fn resolve(&self, repository: &str, reference: &str) -> Result<String, Error> {
        let commits = &self.get(repository)?.commits;
        let found = match reference {
            "HEAD" | "main" => commits.first(),
            id => commits.iter().find(|commit| commit.id == id),
        };
        found
            .map(|commit| commit.id.clone())
            .ok_or_else(|| Error::NotFound(format!("no `{reference}` in `{repository}`")))
    }

    pub(crate) fn tree(&self, repository: &str, _: &str, path: &str) -> Result<Vec<Entry>, Error> {
        Ok(self
            .get(repository)?
            .files
            .iter()
            .filter(|(name, _)| name.starts_with(path))
            .map(|(name, bytes)| Entry {
                path: name.clone(),
                kind: EntryKind::File,
                id: format!("{:040x}", bytes.len()),
                size: bytes.len() as u64,
            })
            .collect())
    }

    pub(crate) fn versions(
        &self,
        repository: &str,
        _: &str,
        paths: &[String],
    ) -> Result<Vec<Option<Version>>, Error> {
        let files = &self.get(repository)?.files;
        let version = |path: &String| {
            Some(Version {
                kind: EntryKind::File,
                id: format!("{:040x}", files.get(path)?.len()),
            })
        };
        Ok(paths.iter().map(version).collect())
    }

    /// All files came with the newest commit.
    pub(crate) fn changes(
        &self,
        repository: &str,
        base: &str,
        head: &str,
    ) -> Result<Vec<ChangedFile>, Error> {
        if base == head {
            return Ok(Vec::new());
        }
        let changed = |entry: Entry| ChangedFile {
            path: entry.path,
            before: None,
            after: Some(Version {
                kind: entry.kind,
                id: entry.id,
            }),
        };
        let files = self.tree(repository, head, "")?;
        Ok(files.into_iter().map(changed).collect())
    }

    pub(crate) fn read(&self, repository: &str, _: &str, path: &str) -> Result<Vec<u8>, Error> {
        self.get(repository)?
            .files
            .get(path)
            .cloned()
            .ok_or_else(|| Error::NotFound(format!("no `{path}` in `{repository}`")))
    }

    pub(crate) fn log(
        &self,
        repository: &str,
        _: &str,
        since: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Commit>, Error> {
        Ok(self
            .get(repository)?
            .commits
            .iter()
            .take_while(|commit| Some(commit.id.as_str()) != since)
            .take(limit as usize)
            .cloned()
            .collect())
    }

    pub(crate) fn diff(
        &self,
        repository: &str,
        _: Option<&str>,
        head: &str,
    ) -> Result<Vec<FileDiff>, Error> {
        Ok(self
            .get(repository)?
            .diffs
            .get(head)
            .cloned()
            .unwrap_or_default())
    }

    pub(crate) fn threads(&self, repository: &str, kind: ThreadKind) -> Result<Vec<Thread>, Error> {
        let threads = &self.get(repository)?.threads;
        let of_kind = threads.iter().filter(|thread| thread.kind == kind);
        Ok(of_kind.cloned().collect())
    }
}

thread_local! {
    static HOST: RefCell<TestHost> = RefCell::new(TestHost::default());
}

pub(crate) fn with<T>(call: impl FnOnce(&mut TestHost) -> T) -> T {
    HOST.with(|host| call(&mut host.borrow_mut()))
}

impl TestHost {
    /// An empty host.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a setting: a string stays as it is, anything else becomes JSON.
    ///
    /// # Panics
    /// When the value cannot be written as JSON.
    #[must_use]
    pub fn setting(mut self, key: &str, value: impl serde::Serialize) -> Self {
        let text = match serde_json::to_value(value).expect("a setting is JSON") {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        self.settings.insert(key.to_owned(), text);
        self
    }

    /// Adds a repository.
    #[must_use]
    pub fn repository(mut self, name: &str, repository: TestRepository) -> Self {
        self.forge.repositories.insert(name.to_owned(), repository);
        self
    }

    /// Answers HTTP requests.
    #[must_use]
    pub fn responder(
        mut self,
        responder: impl FnMut(&Request) -> Result<Response, crate::http::Error> + 'static,
    ) -> Self {
        self.http = Some(Box::new(responder));
        self
    }

    /// Runs an agent's function on this thread with `input` as JSON, and gives back what it answered and what it left behind.
    pub fn run(
        self,
        run: impl FnOnce(Invocation) -> Result<Report, Failure>,
        input: &str,
    ) -> (Result<Report, Failure>, Self) {
        with(|host| *host = self);
        let answer = run(invocation(input));
        (answer, with(std::mem::take))
    }
}

/// An invocation as a person would start it.
#[must_use]
pub fn invocation(input: &str) -> Invocation {
    Invocation {
        run_id: "01890000-0000-7000-8000-000000000000".into(),
        agent: "test".into(),
        trigger: Trigger::Manual,
        attempt: 1,
        idempotency_key: "test".into(),
        scheduled_at: "2026-01-01T00:00:00Z".into(),
        input: input.into(),
    }
}
