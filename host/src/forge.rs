//! The read side of a repository: references, trees, files, history and
//! differences, as `wit/0.1.0/forge.wit` describes them.
//!
//! [`Forges`] opens them by their names in `plugins.toml`, wherever they are.
//!
//! Invariants: what a [`Forge`] gives is for reading; every answer is bounded,
//! and one that would be larger is [`ForgeError::TooLarge`], never cut short
//! in silence; what a guest passes in is validated here before an adapter
//! sees it. This module does not know of grants, runs or WIT types: whether an
//! agent may read a repository is decided before a [`Forge`] is called.

pub mod github;
pub mod local;
pub mod signing;

use std::any::Any;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use self::github::{Github, GithubForge};
use self::local::LocalForge;
use crate::config::{Config, Place};
use crate::dev::Recorder;
use crate::model::ThreadKind;

/// How many entries [`Forge::tree`] gives at most: the number in the WIT, about what a large monorepo has.
pub const TREE_ENTRIES_MAX: usize = 100_000;

/// How many paths [`Forge::versions`] looks at at once: the number in the WIT. What is more is asked for in parts.
pub const VERSIONS_MAX: usize = 10_000;

/// How many bytes [`Forge::read`] gives at most: the number in the WIT. A guest holds the file twice while it is lifted.
pub const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// How many commits [`Forge::log`] gives at most: the number in the WIT.
pub const LOG_COMMITS_MAX: u32 = 1_000;

/// How many files [`Forge::diff`] gives at most. A change beyond this is an import or a move of a whole tree, which nobody judges line by line.
pub const DIFF_FILES_MAX: usize = 10_000;

/// How many bytes of difference [`Forge::diff`] reads at most. It is kept in memory while it is parsed.
pub const DIFF_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How many open threads [`Threads::open`] gives at most: the number in the WIT. More open at once are a backlog that no agent works through.
pub const THREADS_MAX: u32 = 500;

/// How long a reference may be, in bytes: file systems and forges stop earlier.
const REFERENCE_BYTES_MAX: usize = 255;

/// How long a path may be, in bytes: `PATH_MAX` of Linux.
const PATH_BYTES_MAX: usize = 4096;

/// How much of a guest's text an error message repeats, in characters.
const SHOWN_CHARACTERS_MAX: usize = 200;

/// Why a read failed. The texts are for people and never hold paths of the host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForgeError {
    /// No such reference, commit or path, or a repository without commits.
    #[error("{0}")]
    NotFound(String),
    /// The answer would be larger than the host hands over at once.
    #[error("{0}")]
    TooLarge(String),
    /// The repository did not answer in time, or cannot be reached; trying again may help.
    #[error("{0}")]
    Unavailable(String),
    /// Anything else, invalid arguments among it.
    #[error("{0}")]
    Other(String),
}

/// What a tree entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    File,
    Executable,
    Symlink,
    Submodule,
}

/// A file of a tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Relative, with `/` between its parts. Bytes that are not UTF-8 are replaced by U+FFFD, and such a file cannot be read by this path.
    pub path: String,
    pub kind: EntryKind,
    /// Object id, in hexadecimal.
    pub id: String,
    /// In bytes; 0 for a submodule.
    pub size: u64,
}

/// What a path holds at a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// What it is.
    pub kind: EntryKind,
    /// Object id, in hexadecimal.
    pub id: String,
}

/// A file that is not the same in two commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedFile {
    /// Relative, with `/` between its parts. Bytes that are not UTF-8 are replaced by U+FFFD.
    pub path: String,
    /// As it was; none where there was none.
    pub before: Option<Version>,
    /// As it is; none where there is none.
    pub after: Option<Version>,
}

/// A person as a commit names them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    pub name: String,
    pub email: String,
}

/// One commit. Text that is not UTF-8 has U+FFFD in the place of each bad byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// Full id, in hexadecimal.
    pub id: String,
    /// Full ids; the first is the one that the commit was made on.
    pub parents: Vec<String>,
    pub author: Person,
    pub committer: Person,
    /// RFC 3339 in UTC.
    pub committed_at: String,
    /// The whole message, subject and body.
    pub message: String,
    /// Whether the host verified the signature by a key that its operator trusts.
    pub verified: bool,
}

/// How a file changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    Added,
    Modified,
    Deleted,
    Renamed,
}

/// A line that a diff adds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddedLine {
    /// In the new file, from 1.
    pub line: u32,
    /// Without its line feed; a carriage return before it stays.
    pub text: String,
}

/// One file of a diff.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileDiff {
    /// The new path; of a deleted file, the old one.
    pub path: String,
    pub change: Change,
    /// The content is not text: `added` is empty and `removed` is 0.
    pub binary: bool,
    pub added: Vec<AddedLine>,
    /// How many lines are removed.
    pub removed: u32,
}

/// The files of one commit on disk, for reading. The directory stays for as long as a clone of this value lives.
#[derive(Clone)]
pub struct Checkout {
    path: PathBuf,
    _guard: Arc<dyn Any + Send + Sync>,
}

impl Checkout {
    /// A checkout at `path` that whoever watches `guard` keeps until the last clone is dropped.
    pub fn new(path: PathBuf, guard: Arc<dyn Any + Send + Sync>) -> Self {
        Self {
            path,
            _guard: guard,
        }
    }

    /// The directory. Its content must not be changed: other runs read it too.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl std::fmt::Debug for Checkout {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Checkout").field(&self.path).finish()
    }
}

/// An open issue or pull request, as agents read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenThread {
    /// Unique among the issues and pull requests of its repository.
    pub number: u64,
    /// What it is.
    pub kind: ThreadKind,
    /// One line.
    pub title: String,
    /// Names.
    pub labels: Vec<String>,
    /// Who opened it.
    pub author: String,
    /// Of a pull request: the branch with the change.
    pub head: Option<String>,
    /// Of a pull request: the branch it is for.
    pub base: Option<String>,
    /// Of a pull request: people who approve of its latest commit.
    pub approvals: u32,
    /// Of a pull request: people who have to, as whoever opened it says.
    pub approvals_needed: u32,
}

/// Who knows of a repository's issues and pull requests: of a local one that is the host itself.
#[async_trait]
pub trait Threads: Send + Sync {
    /// What is open, newest first, at most [`THREADS_MAX`].
    ///
    /// # Errors
    /// [`ForgeError::Unavailable`] when it cannot be looked up now.
    async fn open(&self, repository: &str, kind: ThreadKind)
    -> Result<Vec<OpenThread>, ForgeError>;
}

/// One repository, for reading.
///
/// A reference is a branch, a tag, `HEAD`, a full or abbreviated commit id, or
/// one of these followed by `~N` or `^N`.
#[async_trait]
pub trait Forge: Send + Sync {
    /// The branch that people mean when they name none; `HEAD` where the repository has only a detached one.
    ///
    /// # Errors
    /// [`ForgeError::Unavailable`] when the repository does not answer.
    async fn default_branch(&self) -> Result<String, ForgeError>;

    /// The full id of the commit that `reference` names.
    ///
    /// # Errors
    /// [`ForgeError::NotFound`] when nothing or more than one commit has that name, or when the repository has no commits;
    /// [`ForgeError::Other`] when the reference is not well-formed.
    async fn resolve(&self, reference: &str) -> Result<String, ForgeError>;

    /// All files below `path` (empty for the root), sorted by path, at most [`TREE_ENTRIES_MAX`].
    ///
    /// # Errors
    /// As [`Forge::resolve`], [`ForgeError::NotFound`] for an unknown path, [`ForgeError::TooLarge`] beyond the limit.
    async fn tree(&self, reference: &str, path: &str) -> Result<Vec<Entry>, ForgeError>;

    /// What each of these paths holds, in their order; none where there is no file. At most [`VERSIONS_MAX`].
    ///
    /// # Errors
    /// As [`Forge::resolve`]; [`ForgeError::TooLarge`] beyond the limit.
    async fn versions(
        &self,
        reference: &str,
        paths: &[String],
    ) -> Result<Vec<Option<Version>>, ForgeError>;

    /// The files that are not the same in two commits, sorted by path, at most [`TREE_ENTRIES_MAX`]; a renamed file is one that went and one that came.
    ///
    /// # Errors
    /// As [`Forge::resolve`]; [`ForgeError::TooLarge`] beyond the limit.
    async fn changes(&self, base: &str, head: &str) -> Result<Vec<ChangedFile>, ForgeError>;

    /// A file's bytes as they are stored, at most [`FILE_BYTES_MAX`]. Of a symbolic link it is the text of its target.
    ///
    /// # Errors
    /// As [`Forge::resolve`], [`ForgeError::NotFound`] for an unknown path, a directory or a submodule, [`ForgeError::TooLarge`] beyond the limit.
    async fn read(&self, reference: &str, path: &str) -> Result<Vec<u8>, ForgeError>;

    /// Commits reachable from `reference` and not from `since`, newest first, at most `limit` (1 to [`LOG_COMMITS_MAX`]).
    ///
    /// # Errors
    /// As [`Forge::resolve`]; [`ForgeError::Other`] for a limit out of range.
    async fn log(
        &self,
        reference: &str,
        since: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Commit>, ForgeError>;

    /// What changed from `base` to `head`; without `base`, what `head` changed against its first parent, or all its files where it has none.
    ///
    /// # Errors
    /// As [`Forge::resolve`]; [`ForgeError::TooLarge`] beyond [`DIFF_FILES_MAX`] or [`DIFF_BYTES_MAX`].
    async fn diff(&self, base: Option<&str>, head: &str) -> Result<Vec<FileDiff>, ForgeError>;

    /// The files of a commit in a directory, which is made at the first call and shared afterwards.
    ///
    /// # Errors
    /// As [`Forge::resolve`]; [`ForgeError::TooLarge`] for a tree that is too large to be laid out.
    async fn checkout(&self, commit: &str) -> Result<Checkout, ForgeError>;
}

/// A repository of `plugins.toml`, for reading and for changing.
#[derive(Debug)]
pub enum Repository {
    /// On this machine.
    Local(LocalForge),
    /// On GitHub.
    Github(GithubForge),
}

impl Repository {
    /// Its objects as they are now, on this machine: of a repository elsewhere a copy that was just brought up to date.
    ///
    /// # Errors
    /// [`ForgeError::Unavailable`] when the forge does not answer.
    pub async fn objects(&self) -> Result<&LocalForge, ForgeError> {
        match self {
            Self::Local(local) => Ok(local),
            Self::Github(github) => github.fresh().await,
        }
    }

    /// The same, with the commits of a pull request, wherever they come from.
    ///
    /// # Errors
    /// As [`Repository::objects`].
    pub async fn objects_of_pull(&self, number: u64) -> Result<&LocalForge, ForgeError> {
        match self {
            Self::Local(local) => Ok(local),
            Self::Github(github) => github.with_pull(number).await,
        }
    }

    /// Its objects with a commit among them, which never changes and so is asked for only where it is missing.
    ///
    /// # Errors
    /// As [`Repository::objects`].
    pub async fn objects_with(&self, commit: &str) -> Result<&LocalForge, ForgeError> {
        match self {
            Self::Local(local) => Ok(local),
            Self::Github(github) => github.knows(commit).await,
        }
    }

    /// The repository as agents read it.
    #[must_use]
    pub fn reader(self) -> Arc<dyn Forge> {
        match self {
            Self::Local(local) => Arc::new(local),
            Self::Github(github) => Arc::new(github),
        }
    }
}

/// The repositories of `plugins.toml`.
#[derive(Clone, Debug)]
pub struct Forges {
    /// Replaced whole when the configuration is; what was opened before goes on as it was.
    known: Arc<ArcSwap<Known>>,
}

#[derive(Debug)]
struct Known {
    config: Arc<Config>,
    github: Option<Arc<Github>>,
    recorder: Option<Arc<Recorder>>,
}

impl Forges {
    /// Those of a configuration; with a `recorder` nothing is changed on GitHub.
    ///
    /// # Errors
    /// When the proxy or `ca_file` by which GitHub is reached cannot be used.
    pub fn new(config: Arc<Config>, recorder: Option<Arc<Recorder>>) -> anyhow::Result<Self> {
        let github = Github::new(&config, None, recorder.clone())?.map(Arc::new);
        Ok(Self::of(Known {
            config,
            github,
            recorder,
        }))
    }

    fn of(known: Known) -> Self {
        Self {
            known: Arc::new(ArcSwap::from_pointee(known)),
        }
    }

    /// Those of another configuration, beside these. Where it says the same of GitHub, what is known of it is kept: its tokens, and how much may still be asked.
    ///
    /// # Errors
    /// As [`Forges::new`].
    pub fn with(&self, config: Arc<Config>) -> anyhow::Result<Self> {
        let known = self.known.load();
        let recorder = known.recorder.clone();
        let same = known.config.github == config.github
            && known.config.host.proxy == config.host.proxy
            && known.config.host.ca_file == config.host.ca_file;
        let github = if same {
            known.github.clone()
        } else {
            Github::new(&config, None, recorder.clone())?.map(Arc::new)
        };
        Ok(Self::of(Known {
            config,
            github,
            recorder,
        }))
    }

    /// Takes over what another knows: everybody who has these opens those of the other from now on.
    pub fn adopt(&self, other: &Self) {
        self.known.store(other.known.load_full());
    }

    /// What takes changes of a repository in place of GitHub, in dev mode; none for a repository on this machine.
    #[must_use]
    pub fn recorder_of(&self, name: &str) -> Option<Arc<Recorder>> {
        let known = self.known.load();
        let elsewhere = known
            .config
            .repositories
            .get(name)
            .is_some_and(|repository| matches!(repository.place, Place::Github { .. }));
        known.recorder.clone().filter(|_| elsewhere)
    }

    /// The repository of this name.
    ///
    /// # Errors
    /// [`ForgeError::NotFound`] when there is none, [`ForgeError::Other`] when the state folder cannot be used.
    pub fn open(&self, name: &str) -> Result<Repository, ForgeError> {
        let known = self.known.load();
        let configured = known.config.repositories.get(name).ok_or_else(|| {
            ForgeError::NotFound(format!(
                "there is no repository {}; `[repositories]` in `plugins.toml` names them",
                shown(name)
            ))
        })?;
        match (&configured.place, &known.github) {
            (Place::Local { path, .. }, _) => {
                LocalForge::open(name, path, &known.config.host.state).map(Repository::Local)
            }
            (Place::Github { owner, name: there }, Some(github)) => Ok(Repository::Github(
                GithubForge::open(name, owner, there, github),
            )),
            // The configuration was checked for it.
            (Place::Github { .. }, None) => Err(ForgeError::Other(
                "`[github]` does not say who the host is there".into(),
            )),
        }
    }

    /// GitHub, where the host is somebody there.
    #[must_use]
    pub fn github(&self) -> Option<Arc<Github>> {
        self.known.load().github.clone()
    }
}

/// Refuses what cannot be a reference or could be read as something else: an
/// option, a range, a path in a tree, a search through messages.
///
/// # Errors
/// [`ForgeError::Other`] with the reason.
pub fn check_reference(reference: &str) -> Result<(), ForgeError> {
    let wrong = |why: &str| {
        Err(ForgeError::Other(format!(
            "the reference {} {why}; write a branch, a tag or a commit id",
            shown(reference)
        )))
    };
    if reference.is_empty() {
        return wrong("is empty");
    }
    if reference.len() > REFERENCE_BYTES_MAX {
        return wrong("is longer than 255 bytes");
    }
    if reference.starts_with(['-', '^']) {
        return wrong("begins with `-` or `^`");
    }
    if reference.contains("..") {
        return wrong("contains `..`");
    }
    if let Some(character) = reference.chars().find(|character| {
        character.is_control()
            || character.is_whitespace()
            || matches!(character, ':' | '{' | '}' | '?' | '*' | '[' | '\\')
    }) {
        return wrong(&format!("contains `{}`", character.escape_debug()));
    }
    Ok(())
}

/// Refuses what cannot be a path inside a repository. The empty path, which is the root, is accepted.
///
/// # Errors
/// [`ForgeError::Other`] with the reason.
pub fn check_path(path: &str) -> Result<(), ForgeError> {
    let wrong = |why: &str| {
        Err(ForgeError::Other(format!(
            "the path {} {why}; write a path relative to the root of the repository, with `/` between its parts",
            shown(path)
        )))
    };
    if path.is_empty() {
        return Ok(());
    }
    if path.len() > PATH_BYTES_MAX {
        return wrong("is longer than 4,096 bytes");
    }
    if path.contains('\0') {
        return wrong("contains a NUL byte");
    }
    if path.starts_with('/') {
        return wrong("begins with `/`");
    }
    if path
        .split('/')
        .any(|part| part.is_empty() || part == "." || part == "..")
    {
        return wrong("has a part that is empty, `.` or `..`");
    }
    Ok(())
}

/// A guest's text as a message may repeat it: in backticks, on one line, escaped and cut.
pub(crate) fn shown(text: &str) -> String {
    let mut characters = text.chars();
    let escaped: String = characters
        .by_ref()
        .take(SHOWN_CHARACTERS_MAX)
        .flat_map(|character| {
            let shown: Box<dyn Iterator<Item = char>> = match character {
                // A backtick would end the quotation.
                '`' => Box::new(std::iter::once('\'')),
                _ if character.is_control() => Box::new(character.escape_default()),
                _ => Box::new(std::iter::once(character)),
            };
            shown
        })
        .collect();
    let more = if characters.next().is_some() {
        "…"
    } else {
        ""
    };
    format!("`{escaped}{more}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_that_could_be_something_else_are_refused() {
        for reference in [
            "",
            "-",
            "--upload-pack=touch x",
            "--all",
            "^main",
            "a..b",
            "main:secret",
            ":/fix",
            "HEAD^{/fix}",
            "@{-1}",
            "a b",
            "a\nb",
            "a\0b",
            "refs/heads/*",
        ] {
            let error = check_reference(reference).expect_err(reference);
            assert!(matches!(error, ForgeError::Other(_)), "{reference:?}");
        }
        assert!(check_reference(&"a".repeat(256)).is_err());
    }

    #[test]
    fn ordinary_references_are_accepted() {
        for reference in [
            "main",
            "HEAD",
            "HEAD~3",
            "v1.0^2",
            "feature/a-b",
            "größe",
            "4b825dc",
            "refs/heads/main",
        ] {
            assert_eq!(check_reference(reference), Ok(()), "{reference:?}");
        }
    }

    #[test]
    fn paths_that_leave_the_root_are_refused() {
        for path in ["/etc/passwd", "../x", "a/../b", "a//b", "./a", "a/", "a\0b"] {
            assert!(check_path(path).is_err(), "{path:?}");
        }
        for path in ["", "a", "-a", ":(glob)*", "a b/ü\nx", "..a/b..", "*.txt"] {
            assert_eq!(check_path(path), Ok(()), "{path:?}");
        }
    }

    #[test]
    fn what_a_guest_wrote_is_escaped_and_cut_in_messages() {
        assert_eq!(shown("a`\u{1b}[31m\n"), "`a'\\u{1b}[31m\\n`");
        let long = shown(&"ü".repeat(500));
        assert_eq!(long.chars().count(), 203);
        assert!(long.ends_with("…`"));
    }
}
