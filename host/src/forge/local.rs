//! A local repository, bare or not, read through the git command in a locked
//! environment.
//!
//! Invariants: nothing is written to the repository, nothing is fetched (but
//! by `mirror`, into copies of the host's own), and no program that the repository's configuration or attributes name is run:
//! hooks, fsmonitor, external diffs, text conversions, filters and signature
//! programs are switched off or set to their usual names. Git reads no
//! configuration but the repository's own, and attributes neither from commits
//! nor from a work tree, so content cannot hide itself from a diff. References and paths are validated before
//! git sees them, and every command but the first look-up gets full object ids
//! only. Each process has a deadline, a bounded answer and a place among
//! `GIT_PROCESSES_MAX`. This module does not know who asks.

pub(super) mod mirror;
mod parse;
pub mod patch;
mod reader;
mod trees;
pub mod write;

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::sync::Semaphore;

use self::parse::{
    ListedEntry, is_object_id, is_trusted, parse_commit, parse_diff, parse_listed,
    parse_tree_record, records,
};
use self::reader::{Ask, Object, Reader, Unanswered};
use self::trees::Answers;
use super::{
    ChangedFile, Checkout, Commit, DIFF_BYTES_MAX, DIFF_FILES_MAX, Entry, EntryKind,
    FILE_BYTES_MAX, FileDiff, Forge, ForgeError, LOG_COMMITS_MAX, TREE_ENTRIES_MAX, VERSIONS_MAX,
    Version, check_path, check_reference, shown, signing,
};

/// How long one git process may take, its wait for a place included. A read of a warm repository takes milliseconds;
/// this leaves room for a cold disk.
const GIT_DEADLINE: Duration = Duration::from_secs(30);

/// How long making a checkout may take: it writes up to [`CHECKOUT_BYTES_MAX`].
const CHECKOUT_DEADLINE: Duration = Duration::from_secs(120);

/// How many git processes run at once in this host. Git is bound by disk and
/// processor: on the small machines this runs on more of them only slow each
/// other down, and each may hold a pack in memory.
const GIT_PROCESSES_MAX: usize = 4;

/// How many bytes a listing of a tree may have: [`TREE_ENTRIES_MAX`] entries with paths of some 250 bytes.
const TREE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// How many bytes the commits of one log may have together: messages of 16 KiB for [`LOG_COMMITS_MAX`] commits.
const LOG_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// How many bytes of a short answer are read: ids, names, lists of configuration keys.
const SHORT_BYTES_MAX: usize = 256 * 1024;

/// How many bytes of git's complaints are kept for the log.
const COMPLAINT_BYTES_MAX: u64 = 4096;

/// How many bytes a checkout may have on disk, so that a commit of highly compressible files cannot fill it.
const CHECKOUT_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;

/// How many checkouts of one repository are kept for the next run.
const CHECKOUTS_KEPT: usize = 4;

/// From which age an unfinished checkout was left by a process that died: well beyond [`CHECKOUT_DEADLINE`].
const ABANDONED_AFTER: Duration = Duration::from_secs(15 * 60);

/// How the directory of an unfinished checkout begins.
const UNFINISHED_PREFIX: &str = ".unfinished-";

/// The ids of the empty tree, which every git knows without having it.
const EMPTY_TREE_SHA1: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
const EMPTY_TREE_SHA256: &str = "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321";

/// What is set for every command, above the repository's configuration.
const CONFIGURATION: &[&str] = &[
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.quotePath=false",
    "core.attributesFile=/dev/null",
    "core.pager=cat",
    // Larger files are streamed instead of held in memory, and count as binary in a diff.
    "core.bigFileThreshold=16m",
    "core.sparseCheckout=false",
    "core.splitIndex=false",
    "core.untrackedCache=false",
    // Files are laid out as they are stored.
    "core.autocrlf=false",
    "core.eol=lf",
    "core.symlinks=true",
    "protocol.allow=never",
    "safe.directory=*",
    "diff.external=",
    "log.showSignature=false",
    // A repository may say whom it trusts, not which program to ask.
    "gpg.program=gpg",
    "gpg.openpgp.program=gpg",
    "gpg.x509.program=gpgsm",
    "gpg.ssh.program=ssh-keygen",
    "filter.lfs.smudge=",
    "filter.lfs.process=",
    "filter.lfs.required=false",
];

/// The places for git processes, see [`GIT_PROCESSES_MAX`].
static GIT_PROCESSES: Semaphore = Semaphore::const_new(GIT_PROCESSES_MAX);

/// The directories of checkouts in use in this process, so that two forges over one repository (before and after a reload) see each other's checkouts.
static CHECKOUT_DIRECTORIES: LazyLock<Mutex<HashMap<PathBuf, Arc<CheckoutDirectory>>>> =
    LazyLock::new(Mutex::default);

/// What forges over the same repository have in common, as one is opened for each run and effect.
static SHARED: LazyLock<Mutex<HashMap<Place, Arc<Shared>>>> = LazyLock::new(Mutex::default);

/// A repository's git directory, and the home that git gets.
type Place = (PathBuf, PathBuf);

/// The program, by its path where it is found: a name would make each start of it copy the host's page tables, which takes some ten milliseconds, before it is looked up.
static GIT: LazyLock<OsString> = LazyLock::new(|| {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join("git"))
        .find(|file| file.is_absolute() && file.is_file())
        .map_or_else(|| OsString::from("git"), PathBuf::into_os_string)
});

/// What a repository is asked by, for as long as this process runs; as many as were ever configured.
#[derive(Default)]
struct Shared {
    reader: Reader,
    answers: Answers,
    /// The id of the empty tree in the repository's object format.
    empty_tree: tokio::sync::OnceCell<&'static str>,
}

/// Where the checkouts of one repository are, and which are in use.
#[derive(Default)]
struct CheckoutDirectory {
    /// Commit id to the guard of its checkout. The lock is held while a checkout is made or removed.
    in_use: tokio::sync::Mutex<HashMap<String, Weak<()>>>,
}

/// A local repository, for reading.
pub struct LocalForge {
    name: String,
    git_dir: PathBuf,
    /// An empty directory: the home, work tree and working directory of git.
    home: PathBuf,
    /// `<state>/checkouts/<name>`.
    checkouts_path: PathBuf,
    checkouts: Arc<CheckoutDirectory>,
    shared: Arc<Shared>,
    program: OsString,
    deadline: Duration,
}

impl std::fmt::Debug for LocalForge {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("LocalForge")
            .field("name", &self.name)
            .field("git_dir", &self.git_dir)
            .finish_non_exhaustive()
    }
}

/// One git command.
struct Call<'a> {
    arguments: Vec<OsString>,
    stdin: Option<Vec<u8>>,
    bytes_max: usize,
    /// What to say when the answer has more than `bytes_max`.
    too_large: &'a str,
    environment: Vec<(OsString, OsString)>,
    deadline: Duration,
    /// Where it waits for its turn.
    places: &'static Semaphore,
}

/// What a git process answered.
struct Answer {
    code: Option<i32>,
    stdout: Vec<u8>,
    complaint: String,
}

/// Kills a process group when it is dropped before the process was waited for: git may have started programs of its own.
struct Group(Option<rustix::process::Pid>);

impl Group {
    /// The group that a process leads.
    fn of(child: &tokio::process::Child) -> Self {
        Self(
            child
                .id()
                .and_then(|id| i32::try_from(id).ok())
                .and_then(rustix::process::Pid::from_raw),
        )
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            // It fails only if the group has just ended by itself.
            let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        }
    }
}

impl LocalForge {
    /// A forge over the repository at `path`, a bare one or one with a work tree, that messages call `name`.
    ///
    /// `state_dir` is the host's state folder: git gets an empty home in it, and checkouts are made there.
    ///
    /// # Errors
    /// [`ForgeError::NotFound`] when there is no repository, [`ForgeError::Other`] when the state folder cannot be written.
    pub fn open(
        name: impl Into<String>,
        path: &Path,
        state_dir: &Path,
    ) -> Result<Self, ForgeError> {
        let name = name.into();
        let git_dir = find_git_dir(path).ok_or_else(|| {
            ForgeError::NotFound(format!(
                "there is no git repository at {} for the repository {}; make one with `git init` or correct the path",
                shown(&path.display().to_string()),
                shown(&name)
            ))
        })?;
        let home = state_dir.join("git-home");
        std::fs::create_dir_all(&home)
            .and_then(|()| std::fs::canonicalize(state_dir))
            .map_err(|error| {
                ForgeError::Other(format!(
                    "the state folder {} cannot be used: {error}",
                    shown(&state_dir.display().to_string())
                ))
            })
            .map(|state_dir| {
                let checkouts_path = state_dir.join("checkouts").join(directory_name(&name));
                let checkouts = CHECKOUT_DIRECTORIES
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .entry(checkouts_path.clone())
                    .or_default()
                    .clone();
                let home = state_dir.join("git-home");
                let shared = SHARED
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .entry((git_dir.clone(), home.clone()))
                    .or_default()
                    .clone();
                Self {
                    name,
                    git_dir,
                    home,
                    checkouts_path,
                    checkouts,
                    shared,
                    program: GIT.clone(),
                    deadline: GIT_DEADLINE,
                }
            })
    }

    fn call<'a, A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Call<'a> {
        Call {
            arguments: arguments
                .into_iter()
                .map(|argument| argument.as_ref().to_owned())
                .collect(),
            stdin: None,
            bytes_max: SHORT_BYTES_MAX,
            too_large: "git's answer is longer than expected",
            environment: Vec::new(),
            deadline: self.deadline,
            places: &GIT_PROCESSES,
        }
    }

    /// The bytes of files of a commit and whether each can be run, in the order asked for, at most `bytes_max` together. The commit is a full id.
    ///
    /// # Errors
    /// [`ForgeError::NotFound`] for a path that is no file there, [`ForgeError::TooLarge`] beyond the limit.
    pub async fn read_all(
        &self,
        commit: &str,
        paths: &[&str],
        bytes_max: u64,
    ) -> Result<Vec<(Vec<u8>, bool)>, ForgeError> {
        let owned: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
        let versions = self.listed(commit, &owned).await?;
        let mut files = Vec::with_capacity(paths.len());
        for path in paths {
            let file = versions
                .get(*path)
                .filter(|file| matches!(file.kind, EntryKind::File | EntryKind::Executable))
                .ok_or_else(|| self.no_such_path(path, commit))?;
            files.push(file);
        }
        let names = files.iter().map(|file| file.id.clone()).collect();
        match self.ask(Ask::Contents, names, bytes_max).await {
            Ok(blobs) => blobs
                .into_iter()
                .zip(files)
                .map(|(blob, file)| {
                    let blob = self.of_kind(blob, "blob", &file.id)?;
                    Ok((blob.bytes, file.kind == EntryKind::Executable))
                })
                .collect(),
            Err(Unanswered::TooLarge) => Err(ForgeError::TooLarge(format!(
                "the files have more than {bytes_max} bytes together, which is what is read at once"
            ))),
            Err(Unanswered::Failed) => Err(self.unanswered()),
        }
    }

    /// Git in its locked environment, with a group of its own.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .env(
                "PATH",
                std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into()),
            )
            .env("HOME", &self.home)
            .env("LC_ALL", "C")
            .env("GIT_DIR", &self.git_dir)
            .env("GIT_WORK_TREE", &self.home)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            // Written by the host, in its own folder: that it trusts its own key, unless the repository says otherwise.
            .env("GIT_CONFIG_GLOBAL", self.home.join(signing::GIT_CONFIG))
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("GIT_LITERAL_PATHSPECS", "1")
            .env("GIT_NO_LAZY_FETCH", "1")
            // There is none: what others have staged concerns nobody here, and reading it takes longer than most answers.
            .env("GIT_INDEX_FILE", self.home.join("no-index"))
            .current_dir(&self.home)
            .args(["--no-replace-objects", "--no-pager"])
            .process_group(0)
            .kill_on_drop(true);
        for setting in CONFIGURATION {
            command.args(["-c", setting]);
        }
        command
    }

    /// What some names stand for; see [`Reader::ask`].
    async fn ask(
        &self,
        ask: Ask,
        names: Vec<String>,
        bytes_max: u64,
    ) -> Result<Vec<Option<Object>>, Unanswered> {
        self.shared
            .reader
            .ask(|| self.command(), ask, names, bytes_max)
            .await
    }

    /// What one name stands for; none where there is no such object, or it has to be asked in another way.
    async fn ask_one(&self, ask: Ask, name: String, bytes_max: u64) -> Option<Object> {
        let found = self.ask(ask, vec![name], bytes_max).await.ok()?;
        found.into_iter().next().flatten()
    }

    /// Runs git within the call's deadline and answers with what it said, whatever its exit code.
    async fn run(&self, call: Call<'_>) -> Result<Answer, ForgeError> {
        let deadline = call.deadline;
        tokio::time::timeout(deadline, self.run_unlimited(call))
            .await
            .unwrap_or_else(|_| {
                Err(ForgeError::Unavailable(format!(
                    "the repository {} did not answer within {} seconds",
                    shown(&self.name),
                    deadline.as_secs()
                )))
            })
    }

    async fn run_unlimited(&self, call: Call<'_>) -> Result<Answer, ForgeError> {
        let unavailable = |error: std::io::Error| {
            ForgeError::Unavailable(format!(
                "git could not be asked about the repository {}: {error}",
                shown(&self.name)
            ))
        };
        let _place = call.places.acquire().await.map_err(|_| {
            ForgeError::Unavailable("the host is shutting down and reads no repositories".into())
        })?;
        let mut command = self.command();
        command.envs(
            call.environment
                .iter()
                .map(|(name, value)| (name.as_os_str(), value.as_os_str())),
        );
        command
            .args(&call.arguments)
            .stdin(if call.stdin.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| {
            if error.kind() == std::io::ErrorKind::NotFound {
                ForgeError::Unavailable(
                    "the program `git` was not found; install it or put it on the `PATH` of the host"
                        .into(),
                )
            } else {
                unavailable(error)
            }
        })?;
        // Declared after `child` and so dropped before it, while the id is still its own.
        let mut group = Group::of(&child);
        let stdin = child.stdin.take();
        let (Some(stdout), Some(mut stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(ForgeError::Other("git has no output".into()));
        };

        let write = async {
            if let (Some(mut pipe), Some(bytes)) = (stdin, call.stdin) {
                // A process that has seen enough closes its end: its exit code tells what to think of that.
                let _ = pipe.write_all(&bytes).await;
            }
            Ok(())
        };
        let read = async {
            let mut bytes = Vec::new();
            stdout
                .take(call.bytes_max as u64 + 1)
                .read_to_end(&mut bytes)
                .await
                .map_err(unavailable)?;
            if bytes.len() > call.bytes_max {
                return Err(ForgeError::TooLarge(call.too_large.to_owned()));
            }
            Ok(bytes)
        };
        let complain = async {
            let mut bytes = Vec::new();
            (&mut stderr)
                .take(COMPLAINT_BYTES_MAX)
                .read_to_end(&mut bytes)
                .await
                .map_err(unavailable)?;
            // The rest is read and forgotten, so that git does not wait for a reader.
            tokio::io::copy(&mut stderr, &mut tokio::io::sink())
                .await
                .map_err(unavailable)?;
            Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
        };
        let ((), stdout, complaint) = tokio::try_join!(write, read, complain)?;
        let status = child.wait().await.map_err(unavailable)?;
        group.0 = None;
        Ok(Answer {
            code: status.code(),
            stdout,
            complaint,
        })
    }

    /// Runs git and answers with its output, or with an error if it failed.
    async fn output(&self, call: Call<'_>) -> Result<Vec<u8>, ForgeError> {
        let subcommand = call.arguments.first().cloned().unwrap_or_default();
        let answer = self.run(call).await?;
        if answer.code == Some(0) {
            return Ok(answer.stdout);
        }
        Err(self.failure(&subcommand.to_string_lossy(), &answer))
    }

    /// What to say of a failed command. Git's own words name paths of the host, so they go to the log.
    fn failure(&self, subcommand: &str, answer: &Answer) -> ForgeError {
        tracing::warn!(
            repository.name = %self.name,
            git.subcommand = subcommand,
            git.complaint = %answer.complaint.escape_debug(),
            "git failed in repository `{}`",
            self.name
        );
        let name = shown(&self.name);
        if answer.complaint.contains("not a git repository") {
            return ForgeError::Unavailable(format!(
                "the repository {name} is no longer where the configuration says"
            ));
        }
        let how = answer.code.map_or_else(
            || "was stopped by a signal".to_owned(),
            |code| format!("ended with exit code {code}"),
        );
        ForgeError::Other(format!(
            "the repository {name} could not be read: `git {subcommand}` {how}; the host's log has the details"
        ))
    }

    /// An answer that git gave and that does not have the form its manual promises.
    fn unreadable(&self, subcommand: &str) -> ForgeError {
        ForgeError::Other(format!(
            "the repository {} could not be read: the answer of `git {subcommand}` has an unknown form",
            shown(&self.name)
        ))
    }

    /// The object that a name stands for, which is known to be there and to be of this kind.
    fn of_kind(
        &self,
        object: Option<Object>,
        kind: &str,
        name: &str,
    ) -> Result<Object, ForgeError> {
        let found = match object {
            Some(object) if object.kind == kind => return Ok(object),
            Some(object) => format!("is a {}", shown(&object.kind)),
            None => "is missing".into(),
        };
        Err(ForgeError::Other(format!(
            "the repository {} could not be read: its {kind} `{name}` {found}; look at it with `git fsck`",
            shown(&self.name)
        )))
    }

    /// A process that stays was asked twice, and did not answer.
    fn unanswered(&self) -> ForgeError {
        ForgeError::Unavailable(format!(
            "git did not answer about the repository {}; it is asked again with the next look",
            shown(&self.name)
        ))
    }

    /// The object that a revision names, if there is exactly one.
    async fn rev_parse(&self, revision: &str) -> Result<Option<String>, ForgeError> {
        match self.ask(Ask::Info, vec![revision.to_owned()], 0).await {
            Ok(found) => {
                if let [Some(object)] = found.as_slice() {
                    return Ok(Some(object.id.clone()));
                }
                // A repository that is gone has no objects either.
                if self.git_dir.join("HEAD").exists() {
                    return Ok(None);
                }
            }
            // Git says best itself why it does not answer.
            Err(Unanswered::TooLarge | Unanswered::Failed) => {}
        }
        let answer = self
            .run(self.call([
                "rev-parse",
                "--verify",
                "--quiet",
                "--end-of-options",
                revision,
            ]))
            .await?;
        if answer.code == Some(0) {
            let id = String::from_utf8_lossy(&answer.stdout).trim().to_owned();
            return if is_object_id(&id) {
                Ok(Some(id))
            } else {
                Err(self.unreadable("rev-parse"))
            };
        }
        // 1 and 128 both mean that there is no such object; 128 also that there is no such repository.
        if !matches!(answer.code, Some(1 | 128))
            || answer.complaint.contains("not a git repository")
        {
            return Err(self.failure("rev-parse", &answer));
        }
        Ok(None)
    }

    /// The id of the empty tree in this repository's object format.
    async fn empty_tree(&self) -> Result<&'static str, ForgeError> {
        self.shared
            .empty_tree
            .get_or_try_init(|| async {
                let format = self
                    .output(self.call(["rev-parse", "--show-object-format"]))
                    .await?;
                match format.trim_ascii() {
                    b"sha1" => Ok(EMPTY_TREE_SHA1),
                    b"sha256" => Ok(EMPTY_TREE_SHA256),
                    _ => Err(self.unreadable("rev-parse")),
                }
            })
            .await
            .copied()
    }

    /// The environment that makes git take attributes from an empty tree instead of from what it reads.
    async fn without_attributes(&self) -> Result<(OsString, OsString), ForgeError> {
        Ok(("GIT_ATTR_SOURCE".into(), self.empty_tree().await?.into()))
    }

    /// The entries below `path` of the commit with this id; with `recurse`, files instead of directories.
    async fn entries(
        &self,
        id: &str,
        path: &str,
        recurse: bool,
        objects: &write::Objects<'_>,
    ) -> Result<Vec<ListedEntry>, ForgeError> {
        let mut arguments = vec!["ls-tree", "-z", "--long", "--full-tree"];
        if recurse {
            arguments.push("-r");
        }
        arguments.extend(["--end-of-options", id]);
        if !path.is_empty() {
            arguments.push(path);
        }
        let too_large = format!(
            "the tree of the repository {} has more than 100,000 files; ask for a folder of it",
            shown(&self.name)
        );
        let mut call = self.call(arguments);
        call.bytes_max = TREE_BYTES_MAX;
        call.too_large = &too_large;
        self.place_objects(&mut call, objects);
        let listing = self.output(call).await?;
        let mut entries = Vec::new();
        for record in records(&listing) {
            if entries.len() == TREE_ENTRIES_MAX {
                return Err(ForgeError::TooLarge(too_large));
            }
            entries.push(parse_tree_record(record).ok_or_else(|| self.unreadable("ls-tree"))?);
        }
        Ok(entries)
    }

    /// What differs between two trees, or all of one, by lines.
    async fn diff_between(
        &self,
        from: Option<&str>,
        to: &str,
        objects: &write::Objects<'_>,
    ) -> Result<Vec<FileDiff>, ForgeError> {
        let mut arguments = vec![
            "diff-tree",
            "-r",
            "--root",
            "--no-commit-id",
            "--raw",
            "--patch",
            "-z",
            "--unified=0",
            "--inter-hunk-context=0",
            "--find-renames=50%",
            // Renames are looked for among this many files at most: the search is quadratic.
            "-l1000",
            "--no-ext-diff",
            "--no-textconv",
            "--no-color",
            "--no-relative",
            "--submodule=short",
            "--ignore-submodules=none",
        ];
        arguments.extend(from);
        arguments.push(to);
        let too_large = format!(
            "the difference in the repository {} has more than 10,000 files or 16 MiB",
            shown(&self.name)
        );
        let mut call = self.call(arguments);
        call.bytes_max = DIFF_BYTES_MAX;
        call.too_large = &too_large;
        call.environment.push(self.without_attributes().await?);
        self.place_objects(&mut call, objects);
        let output = self.output(call).await?;
        let parse = move || parse_diff(&output);
        // Up to 16 MiB are parsed, which takes longer than a task may keep its thread.
        match tokio::task::spawn_blocking(parse).await {
            Ok(Some(files)) if files.len() > DIFF_FILES_MAX => Err(ForgeError::TooLarge(too_large)),
            Ok(Some(files)) => Ok(files),
            Ok(None) | Err(_) => Err(self.unreadable("diff-tree")),
        }
    }

    /// The commits with these ids, in their order.
    async fn commits(&self, ids: &[&str]) -> Result<Vec<Commit>, ForgeError> {
        let too_large = format!(
            "the commits of the repository {} have more than 16 MiB of messages; ask for fewer",
            shown(&self.name)
        );
        let names = ids.iter().map(|id| (*id).to_owned()).collect();
        let objects = match self.ask(Ask::Contents, names, LOG_BYTES_MAX).await {
            Ok(objects) => objects,
            Err(Unanswered::TooLarge) => return Err(ForgeError::TooLarge(too_large)),
            Err(Unanswered::Failed) => return Err(self.unanswered()),
        };
        let mut commits = Vec::with_capacity(ids.len());
        let mut signed = Vec::new();
        for (id, object) in ids.iter().zip(objects) {
            let object = self.of_kind(object, "commit", id)?;
            let (commit, signature) = parse_commit(id, &object.bytes);
            if let Some(signature) = signature {
                signed.push((commits.len(), signature));
            }
            commits.push(commit);
        }
        if !signed.is_empty() {
            let signed_ids: Vec<&str> = signed.iter().map(|(index, _)| ids[*index]).collect();
            let states = self.signature_states(&signed_ids).await;
            for (index, signature) in signed {
                let state = states.get(ids[index]).copied();
                commits[index].verified = is_trusted(signature, state);
            }
        }
        Ok(commits)
    }

    /// What git says of the signatures of these commits: `%G?` by id. A
    /// signature that could not be checked is missing, which verifies nothing:
    /// a host without gpg still answers.
    async fn signature_states(&self, ids: &[&str]) -> HashMap<String, u8> {
        let mut call = self.call([
            "log",
            "--no-walk=unsorted",
            "--no-patch",
            "--no-color",
            "--no-notes",
            "--no-mailmap",
            "--format=%H %G?",
            "--stdin",
        ]);
        call.stdin = Some(lines(ids));
        match self.run(call).await {
            Ok(answer) => String::from_utf8_lossy(&answer.stdout)
                .lines()
                .filter_map(|line| {
                    let (id, state) = line.split_once(' ')?;
                    Some((id.to_owned(), *state.as_bytes().first()?))
                })
                .collect(),
            Err(error) => {
                tracing::warn!(
                    repository.name = %self.name,
                    "signatures in repository `{}` were not checked and count as unverified: {error}",
                    self.name
                );
                HashMap::new()
            }
        }
    }

    /// Lays the files of a commit out below `target`, which does not exist yet.
    async fn make_checkout(&self, id: &str, target: &Path) -> Result<(), ForgeError> {
        let unusable = |error: std::io::Error| {
            tracing::warn!(
                repository.name = %self.name,
                "a checkout of repository `{}` could not be made: {error}",
                self.name
            );
            ForgeError::Unavailable(format!(
                "a checkout of the repository {} could not be made: {}",
                shown(&self.name),
                error.kind()
            ))
        };
        let size: u64 = self
            .entries(id, "", true, &write::Objects::Kept)
            .await?
            .iter()
            .map(|listed| listed.entry.size)
            .fold(0, u64::saturating_add);
        if size > CHECKOUT_BYTES_MAX {
            return Err(ForgeError::TooLarge(format!(
                "the files of the repository {} at {} have {size} bytes together, and a checkout has at most 2 GiB",
                shown(&self.name),
                shown(id)
            )));
        }
        let parent = self.checkouts_path.clone();
        let unfinished = tokio::task::spawn_blocking(move || {
            std::fs::create_dir_all(&parent)?;
            let unfinished = tempfile::Builder::new()
                .prefix(UNFINISHED_PREFIX)
                .tempdir_in(&parent)?;
            std::fs::create_dir(unfinished.path().join("files"))?;
            Ok(unfinished)
        })
        .await
        .map_err(std::io::Error::other)
        .flatten()
        .map_err(unusable)?;
        let files = unfinished.path().join("files");

        let mut environment = self.without_filters().await?;
        environment.push(self.without_attributes().await?);
        environment.push(("GIT_WORK_TREE".into(), files.clone().into()));
        environment.push((
            "GIT_INDEX_FILE".into(),
            unfinished.path().join("index").into(),
        ));
        for arguments in [
            &["read-tree", id][..],
            &["checkout-index", "--all", "--force", "--quiet"][..],
        ] {
            let mut call = self.call(arguments);
            call.environment.clone_from(&environment);
            call.deadline = CHECKOUT_DEADLINE;
            self.output(call).await?;
        }

        let target = target.to_owned();
        tokio::task::spawn_blocking(move || {
            // On disk before it has its name, so that after a power cut what has a name is whole.
            let directory = std::fs::File::open(&files)?;
            #[cfg(target_os = "linux")]
            rustix::fs::syncfs(&directory)?;
            directory.set_modified(SystemTime::now())?;
            std::fs::rename(&files, &target)
        })
        .await
        .map_err(std::io::Error::other)
        .flatten()
        .map_err(unusable)
    }

    /// The environment that takes the programs from every filter that the repository's configuration names.
    async fn without_filters(&self) -> Result<Vec<(OsString, OsString)>, ForgeError> {
        let answer = self
            .run(self.call([
                "config",
                "--null",
                "--name-only",
                "--get-regexp",
                r"^filter\.",
            ]))
            .await?;
        // 1 means that there is none.
        if !matches!(answer.code, Some(0 | 1)) {
            return Err(self.failure("config", &answer));
        }
        let mut settings = Vec::new();
        for key in records(&answer.stdout) {
            let Some(dot) = key.iter().rposition(|byte| *byte == b'.') else {
                continue;
            };
            let value = match &key[dot..] {
                b".smudge" | b".clean" | b".process" => "",
                b".required" => "false",
                _ => continue,
            };
            settings.push((key, value));
        }
        let mut environment = vec![(
            OsString::from("GIT_CONFIG_COUNT"),
            OsString::from(settings.len().to_string()),
        )];
        for (index, (key, value)) in settings.into_iter().enumerate() {
            environment.push((
                format!("GIT_CONFIG_KEY_{index}").into(),
                OsStr::from_bytes(key).to_owned(),
            ));
            environment.push((format!("GIT_CONFIG_VALUE_{index}").into(), value.into()));
        }
        Ok(environment)
    }

    /// Removes what dead processes left and the oldest checkouts beyond [`CHECKOUTS_KEPT`] that nobody uses.
    async fn remove_old_checkouts(&self, in_use: &mut HashMap<String, Weak<()>>) {
        in_use.retain(|_, guard| guard.strong_count() > 0);
        let used: Vec<String> = in_use.keys().cloned().collect();
        let path = self.checkouts_path.clone();
        let removed = tokio::task::spawn_blocking(move || remove_directories(&path, &used)).await;
        if let Err(error) | Ok(Err(error)) = removed.map_err(std::io::Error::other) {
            tracing::warn!(
                repository.name = %self.name,
                "old checkouts of repository `{}` could not be removed: {error}",
                self.name
            );
        }
    }

    /// All files, links and submodules of a commit, without their sizes, which git would have to look up one by one.
    async fn all(&self, id: &str) -> Result<Vec<(String, Version)>, ForgeError> {
        let too_large = format!(
            "the tree of the repository {} has more than 100,000 files",
            shown(&self.name)
        );
        let mut call = self.call(["ls-tree", "-z", "-r", "--full-tree", "--end-of-options", id]);
        call.bytes_max = TREE_BYTES_MAX;
        call.too_large = &too_large;
        let listing = self.output(call).await?;
        let mut all = Vec::new();
        for record in records(&listing) {
            if all.len() == TREE_ENTRIES_MAX {
                return Err(ForgeError::TooLarge(too_large));
            }
            all.push(parse_listed(record).ok_or_else(|| self.unreadable("ls-tree"))?);
        }
        Ok(all)
    }

    fn no_such_path(&self, path: &str, reference: &str) -> ForgeError {
        ForgeError::NotFound(format!(
            "the repository {} has no {} at {}",
            shown(&self.name),
            shown(path),
            shown(reference)
        ))
    }
}

#[async_trait]
impl Forge for LocalForge {
    async fn default_branch(&self) -> Result<String, ForgeError> {
        // Git's own file, read as git does; a process for it would be most of the work.
        if let Ok(head) = tokio::fs::read_to_string(self.git_dir.join("HEAD")).await
            && let Some(branch) = head.trim_end().strip_prefix("ref: refs/heads/")
            // This stands there when references are kept elsewhere.
            && branch != ".invalid"
        {
            return Ok(branch.to_owned());
        }
        let answer = self
            .run(self.call(["symbolic-ref", "--quiet", "--short", "HEAD"]))
            .await?;
        match answer.code {
            Some(0) => Ok(String::from_utf8_lossy(&answer.stdout).trim().to_owned()),
            // `HEAD` is detached, as continuous integration leaves it.
            Some(1) => Ok("HEAD".to_owned()),
            _ => Err(self.failure("symbolic-ref", &answer)),
        }
    }

    async fn resolve(&self, reference: &str) -> Result<String, ForgeError> {
        check_reference(reference)?;
        if let Some(id) = self.rev_parse(&format!("{reference}^{{commit}}")).await? {
            return Ok(id);
        }
        let name = shown(&self.name);
        let unknown = || {
            ForgeError::NotFound(format!(
                "the repository {name} has no commit {}, or more than one whose id begins so",
                shown(reference)
            ))
        };
        let head = self.rev_parse("HEAD^{commit}").await?;
        if head.is_some() && reference != "HEAD" {
            return Err(unknown());
        }
        let any = self
            .output(self.call(["for-each-ref", "--count=1", "--format=%(refname)"]))
            .await?;
        if any.is_empty() && head.is_none() {
            return Err(ForgeError::NotFound(format!(
                "the repository {name} has no commits yet"
            )));
        }
        if reference == "HEAD" {
            return Err(ForgeError::NotFound(format!(
                "`HEAD` of the repository {name} names the branch {}, which has no commits yet",
                shown(&self.default_branch().await?)
            )));
        }
        Err(unknown())
    }

    async fn tree(&self, reference: &str, path: &str) -> Result<Vec<Entry>, ForgeError> {
        let path = path.strip_suffix('/').unwrap_or(path);
        check_path(path)?;
        let id = self.resolve(reference).await?;
        let mut entries: Vec<Entry> = self
            .entries(&id, path, true, &write::Objects::Kept)
            .await?
            .into_iter()
            .map(|listed| listed.entry)
            .collect();
        if entries.is_empty() && !path.is_empty() {
            return Err(self.no_such_path(path, reference));
        }
        entries.sort_by(|left, right| left.path.cmp(&right.path));
        Ok(entries)
    }

    async fn versions(
        &self,
        reference: &str,
        paths: &[String],
    ) -> Result<Vec<Option<Version>>, ForgeError> {
        if paths.len() > VERSIONS_MAX {
            return Err(ForgeError::TooLarge(format!(
                "{} paths are asked for at once, and at most 10,000 are looked at",
                paths.len()
            )));
        }
        paths.iter().try_for_each(|path| check_path(path))?;
        let id = self.resolve(reference).await?;
        let found = self.listed(&id, paths).await?;
        Ok(paths.iter().map(|path| found.get(path).cloned()).collect())
    }

    async fn changes(&self, base: &str, head: &str) -> Result<Vec<ChangedFile>, ForgeError> {
        let (base, head) = (self.resolve(base).await?, self.resolve(head).await?);
        let mut changes = self.changed(&base, &head).await?;
        changes.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(changes)
    }

    async fn read(&self, reference: &str, path: &str) -> Result<Vec<u8>, ForgeError> {
        check_path(path)?;
        if path.is_empty() {
            return Err(ForgeError::Other(
                "the path is empty; name a file of the repository".into(),
            ));
        }
        let id = self.resolve(reference).await?;
        if let Some(blob) = self.ask_one(Ask::Info, format!("{id}:{path}"), 0).await
            && blob.kind == "blob"
            && blob.size <= FILE_BYTES_MAX
            && let Some(blob) = self.ask_one(Ask::Contents, blob.id, blob.size).await
        {
            return Ok(blob.bytes);
        }
        // What is no file, or too much of one, is told with what git lists there.
        let entries = self
            .entries(&id, path, false, &write::Objects::Kept)
            .await?;
        let listed = entries
            .iter()
            .find(|listed| listed.entry.path == path)
            .ok_or_else(|| self.no_such_path(path, reference))?;
        if !listed.is_blob {
            return Err(ForgeError::NotFound(format!(
                "{} of the repository {} is a {}, not a file",
                shown(path),
                shown(&self.name),
                if listed.entry.kind == EntryKind::Submodule {
                    "submodule"
                } else {
                    "directory"
                }
            )));
        }
        let too_large = format!(
            "{} of the repository {} has {} bytes, and at most 8 MiB are handed over",
            shown(path),
            shown(&self.name),
            listed.entry.size
        );
        if listed.entry.size > FILE_BYTES_MAX {
            return Err(ForgeError::TooLarge(too_large));
        }
        let mut call = self.call(["cat-file", "blob", &listed.entry.id]);
        call.bytes_max = usize::try_from(FILE_BYTES_MAX).unwrap_or(usize::MAX);
        call.too_large = &too_large;
        self.output(call).await
    }

    async fn log(
        &self,
        reference: &str,
        since: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Commit>, ForgeError> {
        if !(1..=LOG_COMMITS_MAX).contains(&limit) {
            return Err(ForgeError::Other(format!(
                "the limit {limit} is out of range; ask for 1 to 1,000 commits"
            )));
        }
        let mut arguments = vec![
            "rev-list".to_owned(),
            format!("--max-count={limit}"),
            self.resolve(reference).await?,
        ];
        if let Some(since) = since {
            arguments.push(format!("^{}", self.resolve(since).await?));
        }
        let question = arguments.join(" ");
        let listing = match self.shared.answers.get(&question) {
            Some(listing) => listing,
            None => {
                let listing = self.output(self.call(arguments)).await?.into();
                self.shared.answers.keep(&question, &listing);
                listing
            }
        };
        let listing = String::from_utf8_lossy(&listing);
        let ids: Vec<&str> = listing.lines().collect();
        if !ids.iter().all(|id| is_object_id(id)) {
            return Err(self.unreadable("rev-list"));
        }
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        self.commits(&ids).await
    }

    async fn diff(&self, base: Option<&str>, head: &str) -> Result<Vec<FileDiff>, ForgeError> {
        let head_id = self.resolve(head).await?;
        let base_id = match base {
            Some(base) => Some(self.resolve(base).await?),
            None => self.rev_parse(&format!("{head_id}^1")).await?,
        };
        self.diff_between(base_id.as_deref(), &head_id, &write::Objects::Kept)
            .await
    }

    async fn checkout(&self, commit: &str) -> Result<Checkout, ForgeError> {
        let id = self.resolve(commit).await?;
        let mut in_use = tokio::time::timeout(CHECKOUT_DEADLINE, self.checkouts.in_use.lock())
            .await
            .map_err(|_| {
                ForgeError::Unavailable(format!(
                    "another checkout of the repository {} takes too long",
                    shown(&self.name)
                ))
            })?;
        let path = self.checkouts_path.join(&id);
        if tokio::fs::try_exists(&path).await.unwrap_or(false) {
            let directory = path.clone();
            // Marks it as used lately; where that fails it is only removed earlier.
            let _ = tokio::task::spawn_blocking(move || {
                std::fs::File::open(directory)?.set_modified(SystemTime::now())
            })
            .await;
        } else {
            self.make_checkout(&id, &path).await?;
        }
        let guard = in_use.get(&id).and_then(Weak::upgrade).unwrap_or_default();
        in_use.insert(id, Arc::downgrade(&guard));
        self.remove_old_checkouts(&mut in_use).await;
        Ok(Checkout::new(path, guard))
    }
}

/// The git directory of the repository at `path`, without asking git: git would also look in the folders above.
fn find_git_dir(path: &Path) -> Option<PathBuf> {
    let path = std::fs::canonicalize(path).ok()?;
    let is_git_dir = |path: &Path| path.join("HEAD").is_file() && path.join("objects").is_dir();
    let inner = path.join(".git");
    if inner.is_file() {
        // A linked work tree or a submodule: the file says where the repository is. Such a directory has no `objects` of its own.
        let text = std::fs::read_to_string(&inner).ok()?;
        let target = path.join(text.strip_prefix("gitdir:")?.trim());
        return std::fs::canonicalize(target)
            .ok()
            .filter(|target| target.join("HEAD").is_file());
    }
    [inner, path].into_iter().find(|path| is_git_dir(path))
}

/// A repository's name as the name of one directory: what is not a letter, digit, `_`, `-` or inner `.` becomes `%XX`.
fn directory_name(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for (index, byte) in name.bytes().enumerate() {
        if byte.is_ascii_alphanumeric()
            || matches!(byte, b'_' | b'-')
            || (byte == b'.' && index > 0)
        {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn lines(ids: &[&str]) -> Vec<u8> {
    let mut text = ids.join("\n").into_bytes();
    text.push(b'\n');
    text
}

/// Removes unfinished checkouts that were abandoned, and the oldest finished ones that are not in use, until [`CHECKOUTS_KEPT`] are left.
fn remove_directories(path: &Path, in_use: &[String]) -> std::io::Result<()> {
    let now = SystemTime::now();
    let mut finished = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let modified = entry.metadata()?.modified()?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(UNFINISHED_PREFIX) {
            let age = now.duration_since(modified).unwrap_or_default();
            if age > ABANDONED_AFTER {
                std::fs::remove_dir_all(entry.path())?;
            }
        } else {
            finished.push((modified, name, entry.path()));
        }
    }
    finished.sort_by_key(|(modified, ..)| std::cmp::Reverse(*modified));
    for (_, name, path) in finished.into_iter().skip(CHECKOUTS_KEPT) {
        if !in_use.contains(&name) {
            // Renamed first, so that one that is half removed is never taken for a whole one.
            let doomed = path.with_file_name(format!("{UNFINISHED_PREFIX}{name}"));
            if doomed.exists() {
                std::fs::remove_dir_all(&doomed)?;
            }
            std::fs::rename(&path, &doomed)?;
            std::fs::remove_dir_all(&doomed)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
