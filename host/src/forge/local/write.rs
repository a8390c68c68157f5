//! The write side of a local repository: one change becomes one commit on one branch.
//!
//! Invariants: objects are written first, and a branch moves last, by compare-and-swap on the commit that the change was made for; so a process that dies leaves either the branch as it was or
//! the whole change. Trees are made in an index of their own: no work tree is touched, and no path is ever a path of this machine. A commit is a function of its change and of the moment it was
//! approved, and names the effect behind it, so that it is found again instead of made again.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::Path;

use jiff::Timestamp;
use tempfile::TempDir;

use super::{Call, Entry, EntryKind, LocalForge};
use crate::forge::signing::SigningKey;
use crate::forge::{Forge, ForgeError, check_path, check_reference, shown};

/// How many bytes the patch of a preview may have: more is no reading for a person.
const PATCH_BYTES_MAX: usize = 1024 * 1024;

/// How many commits behind a branch's head are looked at for one that was made before.
const LOOK_BACK_MAX: &str = "--max-count=1000";

/// What is set beside the settings for reading: what has a name is on the disk, and names that a file system could take for `.git` are refused.
const CONFIGURATION: [(&str, &str); 4] = [
    ("core.fsync", "committed"),
    ("core.fsyncMethod", "batch"),
    ("core.protectHFS", "true"),
    ("core.protectNTFS", "true"),
];

/// Why a change was not written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The branch is not where the change was made for.
    #[error("{0}")]
    Moved(String),
    /// It cannot be written as it is, however often it is tried.
    #[error("{0}")]
    Refused(String),
    /// The repository failed.
    #[error(transparent)]
    Forge(#[from] ForgeError),
}

/// A file after a change: its bytes, or none where it is gone.
pub type File = (String, Option<Vec<u8>>);

/// Who is behind a commit, and what it says.
#[derive(Clone, Debug)]
pub struct Say<'a> {
    /// The author's name.
    pub author: &'a str,
    /// Subject and body.
    pub message: &'a str,
    /// Last lines, each `Name: value`; the first is unique to the change.
    pub trailers: &'a [String],
    /// The commit's time.
    pub at: Timestamp,
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// This commit holds it.
    Commit(String),
    /// There was nothing to change.
    Unchanged,
}

/// Where the objects of a tree go.
enum Objects<'a> {
    /// Into the repository.
    Kept,
    /// Into this directory, to be looked at and thrown away.
    Aside(&'a Path),
}

impl LocalForge {
    /// Makes an empty bare repository with the branch `main` where there is nothing.
    ///
    /// # Errors
    /// [`ForgeError::Other`] when the place cannot be written.
    pub async fn create(path: &Path, state: &Path) -> Result<(), ForgeError> {
        if path.exists() {
            return Ok(());
        }
        let failed = |error: std::io::Error| {
            ForgeError::Other(format!(
                "{} cannot be made: {error}",
                shown(&path.display().to_string())
            ))
        };
        std::fs::create_dir_all(path).map_err(failed)?;
        std::fs::create_dir_all(state.join("git-home")).map_err(failed)?;
        let made = tokio::process::Command::new("git")
            .env_clear()
            .env(
                "PATH",
                std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into()),
            )
            .env("HOME", state.join("git-home"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .args([
                "init",
                "--quiet",
                "--bare",
                "--initial-branch=main",
                "--template=",
            ])
            .arg(path)
            .output()
            .await
            .map_err(failed)?;
        if made.status.success() {
            return Ok(());
        }
        Err(ForgeError::Other(
            String::from_utf8_lossy(&made.stderr).trim().to_owned(),
        ))
    }

    /// The commit that a branch is at; none when there is no such branch.
    ///
    /// # Errors
    /// [`ForgeError::Other`] for what cannot be a branch's name.
    pub async fn branch(&self, branch: &str) -> Result<Option<String>, ForgeError> {
        check_reference(branch)?;
        self.rev_parse(&format!("refs/heads/{branch}")).await
    }

    /// Puts files onto a branch as one commit. With `whole` the branch holds these files alone afterwards.
    ///
    /// `base` is the commit that the branch is at, none when there is no such branch.
    ///
    /// # Errors
    /// [`WriteError::Moved`] when the branch is elsewhere, [`WriteError::Refused`] when the files cannot be in one tree or the branch is checked out.
    pub async fn commit(
        &self,
        branch: &str,
        base: Option<&str>,
        files: &[File],
        whole: bool,
        say: &Say<'_>,
        key: &SigningKey,
    ) -> Result<Written, WriteError> {
        let head = self.branch(branch).await?;
        if let Some(made) = self.made_before(branch, base, head.as_deref(), say).await? {
            return Ok(Written::Commit(made));
        }
        if head.as_deref() != base {
            return Err(moved(branch, base, head.as_deref()));
        }
        self.refuse_checked_out(branch).await?;
        let tree = self.tree_of(base, files, whole, &Objects::Kept).await?;
        if let Some(base) = base
            && self.tree_id(base).await? == tree
        {
            return Ok(Written::Unchanged);
        }
        let parents: Vec<&str> = base.into_iter().collect();
        let commit = self.write_commit(&tree, &parents, say, key).await?;
        self.move_branch(branch, base, &commit).await?;
        Ok(Written::Commit(commit))
    }

    /// Merges `head` into a branch that is at `base`, always by a commit of its own.
    ///
    /// # Errors
    /// [`WriteError::Moved`] when the branch is elsewhere, [`WriteError::Refused`] with the paths that conflict.
    pub async fn merge(
        &self,
        branch: &str,
        base: &str,
        head: &str,
        say: &Say<'_>,
        key: &SigningKey,
    ) -> Result<Written, WriteError> {
        let now = self.branch(branch).await?;
        if let Some(made) = self
            .made_before(branch, Some(base), now.as_deref(), say)
            .await?
        {
            return Ok(Written::Commit(made));
        }
        if now.as_deref() != Some(base) {
            return Err(moved(branch, Some(base), now.as_deref()));
        }
        self.refuse_checked_out(branch).await?;
        let answer = self
            .run(self.writing([
                "merge-tree",
                "--write-tree",
                "--name-only",
                "--no-messages",
                "-z",
                base,
                head,
            ]))
            .await?;
        let mut lines = answer.stdout.split(|byte| *byte == 0);
        let tree = String::from_utf8_lossy(lines.next().unwrap_or_default())
            .trim()
            .to_owned();
        match answer.code {
            Some(0) => {}
            Some(1) => {
                let paths: BTreeSet<String> = lines
                    .filter(|path| !path.is_empty())
                    .map(|path| shown(&String::from_utf8_lossy(path)))
                    .collect();
                let paths: Vec<String> = paths.into_iter().take(20).collect();
                return Err(WriteError::Refused(format!(
                    "the branches conflict in {}; bring the pull request's branch up to date",
                    paths.join(", ")
                )));
            }
            _ => return Err(self.failure("merge-tree", &answer).into()),
        }
        if self.is_ancestor(head, base).await? {
            return Ok(Written::Unchanged);
        }
        let commit = self.write_commit(&tree, &[base, head], say, key).await?;
        self.move_branch(branch, Some(base), &commit).await?;
        Ok(Written::Commit(commit))
    }

    /// What a change would do, as a patch; nothing of it stays.
    ///
    /// # Errors
    /// As [`LocalForge::commit`], and [`ForgeError::TooLarge`] for a patch that nobody would read.
    pub async fn preview(
        &self,
        base: Option<&str>,
        files: &[File],
        whole: bool,
    ) -> Result<String, WriteError> {
        let aside = self.scratch().await?;
        let objects = Objects::Aside(aside.path());
        let tree = self.tree_of(base, files, whole, &objects).await?;
        let from = match base {
            Some(base) => self.tree_id(base).await?,
            None => self.empty_tree().await?.to_owned(),
        };
        Ok(self.patch(&from, &tree, &objects).await?)
    }

    /// The difference between two commits as a patch.
    ///
    /// # Errors
    /// [`ForgeError::TooLarge`] for a patch that nobody would read.
    pub async fn patch_between(&self, base: &str, head: &str) -> Result<String, ForgeError> {
        let range = format!("{base}...{head}");
        let mut call = self.call([
            "diff",
            "--no-ext-diff",
            "--no-textconv",
            "--no-color",
            "--find-renames",
            &range,
        ]);
        call.bytes_max = PATCH_BYTES_MAX;
        call.too_large = "the change has more than 1 MiB of patch";
        call.environment.push(self.without_attributes().await?);
        let patch = self.output(call).await?;
        Ok(String::from_utf8_lossy(&patch).into_owned())
    }

    /// The commit on which the histories of two commits meet.
    ///
    /// # Errors
    /// [`ForgeError::Other`] when they have nothing in common.
    pub async fn merge_base(&self, one: &str, other: &str) -> Result<String, ForgeError> {
        let found = self.output(self.call(["merge-base", one, other])).await?;
        Ok(String::from_utf8_lossy(&found).trim().to_owned())
    }

    /// Whether a commit is in the history of another.
    ///
    /// # Errors
    /// As every read.
    pub async fn is_ancestor(&self, ancestor: &str, of: &str) -> Result<bool, ForgeError> {
        let answer = self
            .run(self.call(["merge-base", "--is-ancestor", ancestor, of]))
            .await?;
        match answer.code {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(self.failure("merge-base", &answer)),
        }
    }

    async fn patch(
        &self,
        from: &str,
        to: &str,
        objects: &Objects<'_>,
    ) -> Result<String, ForgeError> {
        let mut call = self.call([
            "diff-tree",
            "-r",
            "--patch",
            "--no-ext-diff",
            "--no-textconv",
            "--no-color",
            "--find-renames",
            from,
            to,
        ]);
        call.bytes_max = PATCH_BYTES_MAX;
        call.too_large = "the change has more than 1 MiB of patch";
        call.environment.push(self.without_attributes().await?);
        self.place_objects(&mut call, objects);
        let patch = self.output(call).await?;
        Ok(String::from_utf8_lossy(&patch).into_owned())
    }

    fn place_objects(&self, call: &mut Call<'_>, objects: &Objects<'_>) {
        if let Objects::Aside(directory) = objects {
            call.environment.push((
                "GIT_OBJECT_DIRECTORY".into(),
                directory.join("objects").into(),
            ));
            call.environment.push((
                "GIT_ALTERNATE_OBJECT_DIRECTORIES".into(),
                self.git_dir.join("objects").into(),
            ));
        }
    }

    fn writing<'a, A: AsRef<std::ffi::OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Call<'a> {
        let mut call = self.call(arguments);
        call.environment.push((
            "GIT_CONFIG_COUNT".into(),
            CONFIGURATION.len().to_string().into(),
        ));
        for (index, (key, value)) in CONFIGURATION.into_iter().enumerate() {
            call.environment
                .push((format!("GIT_CONFIG_KEY_{index}").into(), key.into()));
            call.environment
                .push((format!("GIT_CONFIG_VALUE_{index}").into(), value.into()));
        }
        call
    }

    /// A directory of this change alone.
    async fn scratch(&self) -> Result<TempDir, ForgeError> {
        let made = tokio::task::spawn_blocking(|| {
            let directory = tempfile::Builder::new()
                .prefix("infinity-change-")
                .tempdir()?;
            std::fs::create_dir(directory.path().join("objects"))?;
            std::fs::create_dir(directory.path().join("files"))?;
            std::io::Result::Ok(directory)
        });
        made.await
            .map_err(std::io::Error::other)
            .flatten()
            .map_err(|error| {
                ForgeError::Unavailable(format!("no directory for temporary files: {error}"))
            })
    }

    /// The tree that a change makes of a commit's.
    async fn tree_of(
        &self,
        base: Option<&str>,
        files: &[File],
        whole: bool,
        objects: &Objects<'_>,
    ) -> Result<String, WriteError> {
        let before = match base {
            Some(base) if !whole => self.tree(base, "").await?,
            _ => Vec::new(),
        };
        let modes = fits(&before, files)?;
        let scratch = self.scratch().await?;
        let ids = self.write_blobs(&scratch, files, objects).await?;
        let index: OsString = scratch.path().join("index").into();
        let with_index = |mut call: Call<'static>| {
            call.environment
                .push(("GIT_INDEX_FILE".into(), index.clone()));
            self.place_objects(&mut call, objects);
            call
        };
        let mut start = vec!["read-tree".to_owned()];
        match base {
            Some(base) if !whole => start.push(base.to_owned()),
            _ => start.push("--empty".into()),
        }
        self.output(with_index(self.writing(start))).await?;
        let mut info = Vec::new();
        let mut ids = ids.into_iter();
        for (path, content) in files {
            let (mode, id) = match content {
                None => ("0", "0".repeat(self.empty_tree().await?.len())),
                Some(_) => {
                    let mode = match modes.get(path.as_str()) {
                        Some(EntryKind::Executable) => "100755",
                        _ => "100644",
                    };
                    let id = ids.next().ok_or_else(|| self.unreadable("hash-object"))?;
                    (mode, id)
                }
            };
            info.extend_from_slice(format!("{mode} {id}\t{path}\0").as_bytes());
        }
        let mut call = with_index(self.writing(["update-index", "-z", "--index-info"]));
        call.stdin = Some(info);
        let answer = self.run(call).await?;
        if answer.code != Some(0) {
            return Err(WriteError::Refused(format!(
                "git refuses a path: {}",
                shown(&answer.complaint)
            )));
        }
        let tree = self
            .output(with_index(self.writing(["write-tree"])))
            .await?;
        Ok(String::from_utf8_lossy(&tree).trim().to_owned())
    }

    /// Stores the bytes of files, and gives their ids in order.
    async fn write_blobs(
        &self,
        scratch: &TempDir,
        files: &[File],
        objects: &Objects<'_>,
    ) -> Result<Vec<String>, WriteError> {
        let folder = scratch.path().join("files");
        let contents: Vec<Vec<u8>> = files
            .iter()
            .filter_map(|(_, content)| content.clone())
            .collect();
        let count = contents.len();
        let place = folder.clone();
        tokio::task::spawn_blocking(move || {
            contents
                .iter()
                .enumerate()
                .try_for_each(|(index, bytes)| std::fs::write(place.join(index.to_string()), bytes))
        })
        .await
        .map_err(std::io::Error::other)
        .flatten()
        .map_err(|error| {
            ForgeError::Unavailable(format!("no room for temporary files: {error}"))
        })?;
        if count == 0 {
            return Ok(Vec::new());
        }
        let mut call = self.writing(["hash-object", "-w", "--no-filters", "--stdin-paths"]);
        let mut names = Vec::new();
        for index in 0..count {
            names.extend_from_slice(
                folder
                    .join(index.to_string())
                    .as_os_str()
                    .as_encoded_bytes(),
            );
            names.push(b'\n');
        }
        call.stdin = Some(names);
        call.bytes_max = count * 65;
        self.place_objects(&mut call, objects);
        let ids = self.output(call).await?;
        let ids: Vec<String> = String::from_utf8_lossy(&ids)
            .lines()
            .map(str::to_owned)
            .collect();
        if ids.len() == count {
            Ok(ids)
        } else {
            Err(self.unreadable("hash-object").into())
        }
    }

    async fn tree_id(&self, commit: &str) -> Result<String, ForgeError> {
        self.rev_parse(&format!("{commit}^{{tree}}"))
            .await?
            .ok_or_else(|| self.unreadable("rev-parse"))
    }

    async fn write_commit(
        &self,
        tree: &str,
        parents: &[&str],
        say: &Say<'_>,
        key: &SigningKey,
    ) -> Result<String, WriteError> {
        let seconds = say.at.as_second();
        let mut head = format!("tree {tree}\n");
        for parent in parents {
            head.push_str(&format!("parent {parent}\n"));
        }
        let author = name(say.author);
        head.push_str(&format!(
            "author {author} <{author}@agents.invalid> {seconds} +0000\ncommitter Infinity <infinity@localhost> {seconds} +0000\n"
        ));
        let message = format!(
            "\n{}\n\n{}\n",
            say.message.trim_end(),
            say.trailers.join("\n")
        );
        let signature = key
            .sign(format!("{head}{message}").as_bytes())
            .map_err(|error| ForgeError::Other(format!("the commit cannot be signed: {error}")))?;
        // The format of the objects decides on the header's name.
        let header = if tree.len() == 64 {
            "gpgsig-sha256"
        } else {
            "gpgsig"
        };
        let signature = signature.trim_end().replace('\n', "\n ");
        let mut call = self.writing(["hash-object", "-t", "commit", "-w", "--stdin"]);
        call.stdin = Some(format!("{head}{header} {signature}\n{message}").into_bytes());
        let id = self.output(call).await?;
        Ok(String::from_utf8_lossy(&id).trim().to_owned())
    }

    /// The commit of the same change that an earlier attempt made.
    async fn made_before(
        &self,
        branch: &str,
        base: Option<&str>,
        head: Option<&str>,
        say: &Say<'_>,
    ) -> Result<Option<String>, ForgeError> {
        let (Some(mark), Some(_)) = (say.trailers.first(), head) else {
            return Ok(None);
        };
        let mut arguments = vec![
            "log".to_owned(),
            "--format=%H".into(),
            "--fixed-strings".into(),
            format!("--grep={mark}"),
            LOOK_BACK_MAX.into(),
            format!("refs/heads/{branch}"),
        ];
        arguments.extend(base.map(|base| format!("^{base}")));
        arguments.push("--".into());
        let found = self.output(self.call(arguments)).await?;
        Ok(String::from_utf8_lossy(&found)
            .lines()
            .next_back()
            .map(str::to_owned))
    }

    /// A branch that somebody works on must not move under them.
    async fn refuse_checked_out(&self, branch: &str) -> Result<(), WriteError> {
        let bare = self
            .run(self.call(["config", "--type=bool", "--get", "core.bare"]))
            .await?;
        if bare.stdout.starts_with(b"true") {
            return Ok(());
        }
        let head = self
            .run(self.call(["symbolic-ref", "--quiet", "HEAD"]))
            .await?;
        if String::from_utf8_lossy(&head.stdout).trim() == format!("refs/heads/{branch}") {
            return Err(WriteError::Refused(format!(
                "the branch {} of {} is checked out; name another branch, or a bare repository",
                shown(branch),
                shown(&self.name)
            )));
        }
        Ok(())
    }

    async fn move_branch(
        &self,
        branch: &str,
        from: Option<&str>,
        to: &str,
    ) -> Result<(), WriteError> {
        let reference = format!("refs/heads/{branch}");
        let zero = "0".repeat(to.len());
        let answer = self
            .run(self.writing([
                "update-ref",
                "--no-deref",
                &reference,
                to,
                from.unwrap_or(&zero),
            ]))
            .await?;
        if answer.code == Some(0) {
            return Ok(());
        }
        let now = self.branch(branch).await?;
        if now.as_deref() == from {
            return Err(self.failure("update-ref", &answer).into());
        }
        Err(moved(branch, from, now.as_deref()))
    }
}

fn moved(branch: &str, base: Option<&str>, head: Option<&str>) -> WriteError {
    let place = |commit: Option<&str>| commit.map_or_else(|| "nowhere".to_owned(), shown);
    WriteError::Moved(format!(
        "the branch {} is at {} and the change was made for {}",
        shown(branch),
        place(head),
        place(base)
    ))
}

/// A name as a commit may hold it.
fn name(text: &str) -> String {
    text.chars()
        .filter(|character| !character.is_control() && !"<>\"".contains(*character))
        .collect()
}

/// Checks that the files can be in one tree, and says what those are now that are there already.
fn fits<'b>(
    before: &'b [Entry],
    files: &[File],
) -> Result<BTreeMap<&'b str, EntryKind>, WriteError> {
    let refuse = |path: &str, why: &str| {
        Err(WriteError::Refused(format!(
            "the path {} {why}",
            shown(path)
        )))
    };
    let there: BTreeMap<&str, EntryKind> = before
        .iter()
        .map(|entry| (entry.path.as_str(), entry.kind))
        .collect();
    let mut after: BTreeSet<&str> = there.keys().copied().collect();
    let mut named = BTreeSet::new();
    for (path, content) in files {
        check_path(path)?;
        if path.is_empty() {
            return refuse(path, "is empty");
        }
        if path
            .split('/')
            .any(|part| part.eq_ignore_ascii_case(".git"))
        {
            return refuse(path, "leads into `.git`");
        }
        if path.chars().any(char::is_control) {
            return refuse(path, "has a control character");
        }
        if !named.insert(path.as_str()) {
            return refuse(path, "is there twice");
        }
        if content.is_some() {
            after.insert(path);
        } else if !after.remove(path.as_str()) {
            return refuse(path, "is to be removed and is not there");
        }
        if there.get(path.as_str()) == Some(&EntryKind::Submodule) {
            return refuse(path, "is a submodule");
        }
    }
    let mut folded: BTreeMap<String, &str> = BTreeMap::new();
    for path in &after {
        // What was there before may collide as it likes.
        if let Some(other) = folded.insert(path.to_lowercase(), path)
            && (named.contains(path) || named.contains(other))
        {
            return refuse(
                path,
                &format!(
                    "differs from {} by capital letters alone, which many file systems cannot hold",
                    shown(other)
                ),
            );
        }
    }
    for path in named.iter().filter(|path| after.contains(*path)) {
        for (at, _) in path.match_indices('/') {
            if after.contains(&path[..at]) {
                return refuse(
                    path,
                    &format!("lies below {}, which is a file", shown(&path[..at])),
                );
            }
        }
        let below = format!("{path}/");
        let next = after.range(below.as_str()..).next();
        if next.is_some_and(|next| next.starts_with(&below)) {
            return refuse(path, "is a directory");
        }
    }
    Ok(there)
}
