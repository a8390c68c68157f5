//! A local repository, bare or not, read through the git command in a locked
//! environment.
//!
//! Invariants: nothing is written to the repository, nothing is fetched, and
//! no program that the repository's configuration or attributes name is run:
//! hooks, fsmonitor, external diffs, text conversions, filters and signature
//! programs are switched off or set to their usual names. Git reads no
//! configuration but the repository's own, and attributes neither from commits
//! nor from a work tree, so content cannot hide itself from a diff. References and paths are validated before
//! git sees them, and every command but the first look-up gets full object ids
//! only. Each process has a deadline, a bounded answer and a place among
//! `GIT_PROCESSES_MAX`. This module does not know who asks.

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

use super::{
    AddedLine, Change, Checkout, Commit, DIFF_BYTES_MAX, DIFF_FILES_MAX, Entry, EntryKind,
    FILE_BYTES_MAX, FileDiff, Forge, ForgeError, LOG_COMMITS_MAX, Person, TREE_ENTRIES_MAX,
    check_path, check_reference, shown, signing,
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
const LOG_BYTES_MAX: usize = 16 * 1024 * 1024;

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
    /// The id of the empty tree in this repository's object format.
    empty_tree: tokio::sync::OnceCell<&'static str>,
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
}

/// What a git process answered.
struct Answer {
    code: Option<i32>,
    stdout: Vec<u8>,
    complaint: String,
}

/// Kills a process group when it is dropped before the process was waited for: git may have started programs of its own.
struct Group(Option<rustix::process::Pid>);

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
                Self {
                    name,
                    git_dir,
                    home: state_dir.join("git-home"),
                    checkouts_path,
                    checkouts,
                    empty_tree: tokio::sync::OnceCell::new(),
                    program: OsString::from("git"),
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
        }
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
        let _place = GIT_PROCESSES.acquire().await.map_err(|_| {
            ForgeError::Unavailable("the host is shutting down and reads no repositories".into())
        })?;
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
            .envs(
                call.environment
                    .iter()
                    .map(|(name, value)| (name.as_os_str(), value.as_os_str())),
            )
            .current_dir(&self.home)
            .args(["--no-replace-objects", "--no-pager"]);
        for setting in CONFIGURATION {
            command.args(["-c", setting]);
        }
        command
            .args(&call.arguments)
            .stdin(if call.stdin.is_some() {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
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
        let mut group = Group(
            child
                .id()
                .and_then(|id| i32::try_from(id).ok())
                .and_then(rustix::process::Pid::from_raw),
        );
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

    /// The object that a revision names, if there is exactly one.
    async fn rev_parse(&self, revision: &str) -> Result<Option<String>, ForgeError> {
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
        self.empty_tree
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

    /// The commits with these ids, in their order.
    async fn commits(&self, ids: &[&str]) -> Result<Vec<Commit>, ForgeError> {
        let too_large = format!(
            "the commits of the repository {} have more than 16 MiB of messages; ask for fewer",
            shown(&self.name)
        );
        let mut call = self.call(["cat-file", "--batch"]);
        call.stdin = Some(lines(ids));
        call.bytes_max = LOG_BYTES_MAX;
        call.too_large = &too_large;
        let objects = self.output(call).await?;
        let mut rest = objects.as_slice();
        let mut commits = Vec::with_capacity(ids.len());
        let mut signed = Vec::new();
        for id in ids {
            let (content, after) =
                split_batch_object(rest, id).ok_or_else(|| self.unreadable("cat-file"))?;
            rest = after;
            let (commit, signature) = parse_commit(id, content);
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
            .entries(id, "", true)
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
        let any = self
            .output(self.call(["for-each-ref", "--count=1", "--format=%(refname)"]))
            .await?;
        if any.is_empty() && self.rev_parse("HEAD^{commit}").await?.is_none() {
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
        Err(ForgeError::NotFound(format!(
            "the repository {name} has no commit {}, or more than one whose id begins so",
            shown(reference)
        )))
    }

    async fn tree(&self, reference: &str, path: &str) -> Result<Vec<Entry>, ForgeError> {
        let path = path.strip_suffix('/').unwrap_or(path);
        check_path(path)?;
        let id = self.resolve(reference).await?;
        let mut entries: Vec<Entry> = self
            .entries(&id, path, true)
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

    async fn read(&self, reference: &str, path: &str) -> Result<Vec<u8>, ForgeError> {
        check_path(path)?;
        if path.is_empty() {
            return Err(ForgeError::Other(
                "the path is empty; name a file of the repository".into(),
            ));
        }
        let id = self.resolve(reference).await?;
        let entries = self.entries(&id, path, false).await?;
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
        let listing = self.output(self.call(arguments)).await?;
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
        arguments.extend(base_id.as_deref());
        arguments.push(&head_id);
        let too_large = format!(
            "the difference in the repository {} has more than 10,000 files or 16 MiB",
            shown(&self.name)
        );
        let mut call = self.call(arguments);
        call.bytes_max = DIFF_BYTES_MAX;
        call.too_large = &too_large;
        call.environment.push(self.without_attributes().await?);
        let output = self.output(call).await?;
        let parse = move || parse_diff(&output);
        // Up to 16 MiB are parsed, which takes longer than a task may keep its thread.
        match tokio::task::spawn_blocking(parse).await {
            Ok(Some(files)) if files.len() > DIFF_FILES_MAX => Err(ForgeError::TooLarge(too_large)),
            Ok(Some(files)) => Ok(files),
            Ok(None) | Err(_) => Err(self.unreadable("diff-tree")),
        }
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

fn is_object_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The parts of NUL-terminated output.
fn records(output: &[u8]) -> impl Iterator<Item = &[u8]> {
    output
        .split(|byte| *byte == 0)
        .filter(|record| !record.is_empty())
}

fn lines(ids: &[&str]) -> Vec<u8> {
    let mut text = ids.join("\n").into_bytes();
    text.push(b'\n');
    text
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// An entry, and whether it has content of its own: a directory is listed as a file would be.
struct ListedEntry {
    entry: Entry,
    is_blob: bool,
}

/// Parses `<mode> <type> <id> <size>\t<path>`, as `ls-tree --long` writes it.
fn parse_tree_record(record: &[u8]) -> Option<ListedEntry> {
    let tab = record.iter().position(|byte| *byte == b'\t')?;
    let head = std::str::from_utf8(&record[..tab]).ok()?;
    let mut fields = head.split_ascii_whitespace();
    let (mode, object, id, size) = (
        fields.next()?,
        fields.next()?,
        fields.next()?,
        fields.next()?,
    );
    let kind = match mode {
        "100755" => EntryKind::Executable,
        "120000" => EntryKind::Symlink,
        "160000" => EntryKind::Submodule,
        _ => EntryKind::File,
    };
    let size = if size == "-" { 0 } else { size.parse().ok()? };
    is_object_id(id).then(|| ListedEntry {
        entry: Entry {
            path: lossy(&record[tab + 1..]),
            kind,
            id: id.to_owned(),
            size,
        },
        is_blob: object == "blob",
    })
}

/// Takes the object `id` from the answer of `cat-file --batch`: `<id> <type> <size>\n<content>\n`.
fn split_batch_object<'a>(answer: &'a [u8], id: &str) -> Option<(&'a [u8], &'a [u8])> {
    let end = answer.iter().position(|byte| *byte == b'\n')?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let size: usize = head
        .strip_prefix(id)?
        .strip_prefix(" commit ")?
        .parse()
        .ok()?;
    let rest = &answer[end + 1..];
    let after = rest.get(size..)?.strip_prefix(b"\n")?;
    Some((&rest[..size], after))
}

/// What a commit is signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signature {
    Ssh,
    Other,
}

/// Whether git's word for a signature means that the operator trusts its key.
///
/// `U` is a good signature of a key whose owner is not vouched for. An OpenPGP
/// key must have been imported for that; an SSH key travels with the
/// signature, so `U` says nothing there.
fn is_trusted(signature: Signature, state: Option<u8>) -> bool {
    match state {
        Some(b'G') => true,
        Some(b'U') => signature == Signature::Other,
        _ => false,
    }
}

/// Parses a commit object, leniently: what is missing is empty.
fn parse_commit(id: &str, content: &[u8]) -> (Commit, Option<Signature>) {
    let mut commit = Commit {
        id: id.to_owned(),
        parents: Vec::new(),
        author: Person {
            name: String::new(),
            email: String::new(),
        },
        committer: Person {
            name: String::new(),
            email: String::new(),
        },
        committed_at: rfc3339(0),
        message: String::new(),
        verified: false,
    };
    let mut signature = None;
    let mut rest = content;
    while !rest.is_empty() {
        let end = rest
            .iter()
            .position(|byte| *byte == b'\n')
            .unwrap_or(rest.len());
        let line = &rest[..end];
        rest = rest.get(end + 1..).unwrap_or_default();
        if line.is_empty() {
            commit.message = lossy(rest).trim_end_matches('\n').to_owned();
            break;
        }
        if let Some(parent) = line.strip_prefix(b"parent ") {
            commit.parents.push(lossy(parent));
        } else if let Some(person) = line.strip_prefix(b"author ") {
            commit.author = parse_person(person).0;
        } else if let Some(person) = line.strip_prefix(b"committer ") {
            let (person, seconds) = parse_person(person);
            commit.committer = person;
            commit.committed_at = rfc3339(seconds);
        } else if line.starts_with(b"gpgsig") {
            signature = Some(
                if line.windows(13).any(|window| window == b"SSH SIGNATURE") {
                    Signature::Ssh
                } else {
                    Signature::Other
                },
            );
        }
    }
    (commit, signature)
}

/// Parses `Name <email> seconds zone` into the person and the seconds since 1970.
fn parse_person(text: &[u8]) -> (Person, i64) {
    let text = lossy(text);
    let (name, rest) = text.split_once('<').unwrap_or((&text, ""));
    let (email, _) = rest.split_once('>').unwrap_or((rest, ""));
    let seconds = text
        .rsplit_once('>')
        .and_then(|(_, when)| when.split_ascii_whitespace().next())
        .and_then(|seconds| seconds.parse().ok())
        .unwrap_or(0);
    let person = Person {
        name: name.trim().to_owned(),
        email: email.trim().to_owned(),
    };
    (person, seconds)
}

/// Seconds since 1970 as RFC 3339 in UTC; a moment beyond the calendar is 1970.
fn rfc3339(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds)
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .to_string()
}

/// Parses the output of `diff-tree --raw --patch -z`: NUL-separated records, an
/// empty record, and the patch with the same files in the same order.
fn parse_diff(output: &[u8]) -> Option<Vec<FileDiff>> {
    let mut files = Vec::new();
    // Which file each `diff --git` of the patch is about.
    let mut sections = Vec::new();
    let mut rest = output;
    while rest.first() == Some(&b':') {
        let (head, after) = split_nul(rest)?;
        let (path, after) = split_nul(after)?;
        rest = after;
        let head = std::str::from_utf8(head).ok()?;
        let mut fields = head[1..].split(' ');
        let (old_mode, new_mode) = (fields.next()?, fields.next()?);
        let status = fields.nth(2)?;
        let mut path = path;
        let change = match status.as_bytes().first()? {
            b'A' => Change::Added,
            b'D' => Change::Deleted,
            b'R' => {
                (path, rest) = split_nul(rest)?;
                Change::Renamed
            }
            _ => Change::Modified,
        };
        sections.push(files.len());
        // A file that became a link, or the reverse, is shown as a deletion and an addition.
        if change == Change::Modified && old_mode.get(..2) != new_mode.get(..2) {
            sections.push(files.len());
        }
        files.push(FileDiff {
            path: lossy(path),
            change,
            binary: false,
            added: Vec::new(),
            removed: 0,
        });
    }
    let rest = rest.strip_prefix(&[0]).unwrap_or(rest);

    let mut sections = sections.into_iter();
    let mut file: Option<&mut FileDiff> = None;
    let (mut removed_left, mut added_left, mut line_number) = (0_u32, 0_u32, 0_u32);
    for line in rest.split(|byte| *byte == b'\n') {
        if removed_left > 0 || added_left > 0 {
            let file = file.as_deref_mut()?;
            match line.first() {
                Some(b'-') if removed_left > 0 => {
                    removed_left -= 1;
                    file.removed += 1;
                }
                Some(b'+') if added_left > 0 => {
                    added_left -= 1;
                    file.added.push(AddedLine {
                        line: line_number,
                        text: lossy(&line[1..]),
                    });
                    line_number += 1;
                }
                // `\ No newline at end of file`
                Some(b'\\') => {}
                _ => return None,
            }
        } else if line.starts_with(b"diff --git ") {
            file = files.get_mut(sections.next()?);
        } else if line.starts_with(b"@@ -") {
            (removed_left, added_left, line_number) = parse_hunk(line)?;
        } else if line.starts_with(b"Binary files ") {
            file.as_deref_mut()?.binary = true;
        }
    }
    let complete = sections.next().is_none() && removed_left == 0 && added_left == 0;
    complete.then_some(files)
}

fn split_nul(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

/// Parses `@@ -12,3 +14 @@` into lines removed, lines added and the number of the first added line.
fn parse_hunk(line: &[u8]) -> Option<(u32, u32, u32)> {
    let text = std::str::from_utf8(line.get(4..)?.split(|byte| *byte == b'@').next()?).ok()?;
    let (old, new) = text.trim_end().split_once(" +")?;
    let range = |range: &str| -> Option<(u32, u32)> {
        match range.split_once(',') {
            Some((start, count)) => Some((start.parse().ok()?, count.parse().ok()?)),
            None => Some((range.parse().ok()?, 1)),
        }
    };
    let (_, removed) = range(old)?;
    let (start, added) = range(new)?;
    Some((removed, added, start))
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
