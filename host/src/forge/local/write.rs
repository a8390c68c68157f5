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

use super::{Call, EntryKind, LocalForge, Version};
use crate::forge::signing::SigningKey;
use crate::forge::{ForgeError, check_path, check_reference, shown};

/// How many bytes the patch of a preview may have: more is no reading for a person.
const PATCH_BYTES_MAX: usize = 1024 * 1024;

/// From more files than this on a change is stored as a pack.
const PACKED_FROM: usize = 32;

/// How many commits of a branch are looked at for one that was made before: its place moves on only while the host is down.
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

/// A file after a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Relative, with `/` between its parts.
    pub path: String,
    /// None where it is gone.
    pub bytes: Option<Vec<u8>>,
    /// Whether it can be run; none where that stays as it is.
    pub executable: Option<bool>,
}

/// Where a branch is when a change is made, and where it begins when the change makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Base<'a> {
    /// The commit that the branch is at; none when there is no such branch.
    pub at: Option<&'a str>,
    /// The commit that a new branch begins at; none for one without a history.
    pub start: Option<&'a str>,
}

impl<'a> Base<'a> {
    /// The commit that the change is made to.
    pub(in crate::forge) fn parent(self) -> Option<&'a str> {
        self.at.or(self.start)
    }
}

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

impl Say<'_> {
    /// The whole message, without a line feed at its end.
    pub(in crate::forge) fn text(&self) -> String {
        let message = self.message.trim_end();
        format!("{message}\n\n{}", self.trailers.join("\n"))
    }
}

/// The lines of a commit before its message and its signature. `by` is author and committer, each with a mail address.
pub(in crate::forge) fn commit_head(
    tree: &str,
    parents: &[&str],
    by: &[(&str, String); 2],
    at: Timestamp,
) -> String {
    let seconds = at.as_second();
    let mut head = format!("tree {tree}\n");
    for parent in parents {
        head.push_str(&format!("parent {parent}\n"));
    }
    for (role, (name, mail)) in ["author", "committer"].into_iter().zip(by) {
        head.push_str(&format!("{role} {name} <{mail}> {seconds} +0000\n"));
    }
    head
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// This commit holds it.
    Commit {
        /// The commit.
        id: String,
        /// What the branch was at before; none where the commit made it.
        before: Option<String>,
    },
    /// There was nothing to change.
    Unchanged,
}

/// Where the objects of a tree go.
pub(in crate::forge) enum Objects<'a> {
    /// Into the repository.
    Kept,
    /// Into this directory, to be looked at and thrown away.
    Aside(&'a Path),
}

impl LocalForge {
    /// Makes a bare repository where there is nothing. Its branch `main` begins with a commit without files, so that changes can be proposed to it.
    ///
    /// # Errors
    /// [`ForgeError::Other`] when the place cannot be written.
    pub async fn create(
        name: &str,
        path: &Path,
        state: &Path,
        key: &SigningKey,
    ) -> Result<(), ForgeError> {
        if path.exists() {
            return Ok(());
        }
        Self::init(path, state).await?;
        let forge = Self::open(name, path, state)?;
        let none = Base {
            at: None,
            start: None,
        };
        let say = Say {
            author: "Infinity",
            message: "Begin",
            trailers: &[],
            at: Timestamp::now(),
        };
        match forge.commit("main", none, &[], false, &say, key).await {
            Ok(_) => Ok(()),
            Err(WriteError::Forge(error)) => Err(error),
            Err(error) => Err(ForgeError::Other(error.to_string())),
        }
    }

    /// Makes an empty bare repository.
    pub(in crate::forge) async fn init(path: &Path, state: &Path) -> Result<(), ForgeError> {
        let failed = |error: std::io::Error| {
            ForgeError::Other(format!(
                "{} cannot be made: {error}",
                shown(&path.display().to_string())
            ))
        };
        std::fs::create_dir_all(path).map_err(failed)?;
        std::fs::create_dir_all(state.join("git-home")).map_err(failed)?;
        let made = tokio::process::Command::new(&*super::GIT)
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
        if !made.status.success() {
            return Err(ForgeError::Other(
                String::from_utf8_lossy(&made.stderr).trim().to_owned(),
            ));
        }
        Ok(())
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
    /// # Errors
    /// [`WriteError::Moved`] when the branch is elsewhere, [`WriteError::Refused`] when the files cannot be in one tree or the branch is checked out.
    pub async fn commit(
        &self,
        branch: &str,
        base: Base<'_>,
        files: &[File],
        whole: bool,
        say: &Say<'_>,
        key: &SigningKey,
    ) -> Result<Written, WriteError> {
        if let Some(made) = self.begin(branch, base.at, say).await? {
            return Ok(made);
        }
        self.refuse_checked_out(branch).await?;
        let parent = base.parent();
        let tree = self.tree_of(parent, files, whole, &Objects::Kept).await?;
        if let Some(parent) = parent
            && self.tree_id(parent).await? == tree
        {
            return Ok(Written::Unchanged);
        }
        let parents: Vec<&str> = parent.into_iter().collect();
        let commit = self.write_commit(&tree, &parents, say, key).await?;
        crate::boundary::at("effect.written");
        self.move_branch(branch, base.at, &commit).await?;
        Ok(Written::Commit {
            id: commit,
            before: parent.map(str::to_owned),
        })
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
        if let Some(made) = self.begin(branch, Some(base), say).await? {
            return Ok(made);
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
        crate::boundary::at("effect.written");
        self.move_branch(branch, Some(base), &commit).await?;
        Ok(Written::Commit {
            id: commit,
            before: Some(base.to_owned()),
        })
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

    /// What a commit has that another has not, as a patch; everything, without another.
    ///
    /// # Errors
    /// [`ForgeError::TooLarge`] for a patch that nobody would read.
    pub async fn patch_since(&self, base: Option<&str>, head: &str) -> Result<String, ForgeError> {
        let from = match base {
            Some(base) => base,
            None => self.empty_tree().await?,
        };
        self.patch(from, head, &Objects::Kept).await
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

    pub(super) fn place_objects(&self, call: &mut Call<'_>, objects: &Objects<'_>) {
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

    pub(super) fn writing<'a, A: AsRef<std::ffi::OsStr>>(
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
    pub(in crate::forge) async fn scratch(&self) -> Result<TempDir, ForgeError> {
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
    pub(in crate::forge) async fn tree_of(
        &self,
        base: Option<&str>,
        files: &[File],
        whole: bool,
        objects: &Objects<'_>,
    ) -> Result<String, WriteError> {
        let before = async {
            match base {
                Some(base) if !whole => self.all(base).await,
                _ => Ok(Vec::new()),
            }
        };
        let (before, scratch) = tokio::try_join!(before, self.scratch())?;
        let modes = fits(&before, files)?;
        let index: OsString = scratch.path().join("index").into();
        let with_index = |mut call: Call<'static>| {
            call.environment
                .push(("GIT_INDEX_FILE".into(), index.clone()));
            self.place_objects(&mut call, objects);
            call
        };
        if files.len() > PACKED_FROM {
            let tree = self
                .import_tree(base.filter(|_| !whole), files, &modes, &scratch, objects)
                .await?;
            // Git looks at each path of a tree as it would at one that is added.
            let looked = self
                .run(with_index(self.writing(["read-tree", tree.as_str()])))
                .await?;
            return match looked.code {
                Some(0) => Ok(tree),
                _ => Err(refused_path(&looked.complaint)),
            };
        }
        // Without a base there is no index, and git begins with an empty one.
        let read = async {
            match base {
                Some(base) if !whole => {
                    let call = self.writing(["read-tree", base]);
                    self.output(with_index(call)).await.map(drop)
                }
                _ => Ok(()),
            }
        };
        let read = async { read.await.map_err(WriteError::from) };
        let (ids, ()) = tokio::try_join!(self.write_blobs(&scratch, files, objects), read)?;
        let mut info = Vec::new();
        let mut ids = ids.into_iter();
        for file in files {
            let path = file.path.as_str();
            let (mode, id) = match file.bytes {
                None => ("0", "0".repeat(self.empty_tree().await?.len())),
                Some(_) => {
                    let mode = mode_of(file, modes.get(path).copied());
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
            return Err(refused_path(&answer.complaint));
        }
        let tree = self
            .output(with_index(self.writing(["write-tree"])))
            .await?;
        Ok(String::from_utf8_lossy(&tree).trim().to_owned())
    }

    /// Makes a tree of many changed files as one pack: a file of its own for each object would be brought to the disk one by one. No reference is left, and the commit that git wants for it is
    /// nobody's.
    async fn import_tree(
        &self,
        base: Option<&str>,
        files: &[File],
        modes: &BTreeMap<&str, EntryKind>,
        scratch: &TempDir,
        objects: &Objects<'_>,
    ) -> Result<String, WriteError> {
        let mut call = self.writing([
            "-c",
            "fastimport.unpackLimit=1",
            "fast-import",
            "--quiet",
            "--done",
        ]);
        // Unique among changes that are made at the same time.
        let unique = scratch.path().file_name().unwrap_or_default();
        let reference = format!("refs/{}", unique.to_string_lossy());
        let mut stream = Vec::new();
        let mut changes = Vec::new();
        for (mark, file) in (2..).zip(files) {
            let path = quoted(&file.path);
            match &file.bytes {
                None => changes.extend_from_slice(format!("D {path}\n").as_bytes()),
                Some(bytes) => {
                    stream.extend_from_slice(
                        format!("blob\nmark :{mark}\ndata {}\n", bytes.len()).as_bytes(),
                    );
                    stream.extend_from_slice(bytes);
                    stream.push(b'\n');
                    let mode = mode_of(file, modes.get(file.path.as_str()).copied());
                    changes.extend_from_slice(format!("M {mode} :{mark} {path}\n").as_bytes());
                }
            }
        }
        stream.extend_from_slice(
            format!("commit {reference}\nmark :1\ncommitter Infinity <infinity@localhost> 0 +0000\ndata 0\n")
                .as_bytes(),
        );
        if let Some(base) = base {
            stream.extend_from_slice(format!("from {base}\n").as_bytes());
        }
        stream.extend_from_slice(&changes);
        let none = "0".repeat(self.empty_tree().await?.len());
        stream.extend_from_slice(
            format!("\nls :1 \"\"\nreset {reference}\nfrom {none}\n\ndone\n").as_bytes(),
        );
        call.stdin = Some(stream);
        self.place_objects(&mut call, objects);
        let listed = self.output(call).await?;
        let listed = String::from_utf8_lossy(&listed);
        let tree = listed.split_ascii_whitespace().nth(2).unwrap_or_default();
        if super::is_object_id(tree) {
            Ok(tree.to_owned())
        } else {
            Err(self.unreadable("fast-import").into())
        }
    }

    /// Stores the bytes of files, and gives their ids in order.
    async fn write_blobs(
        &self,
        scratch: &TempDir,
        files: &[File],
        objects: &Objects<'_>,
    ) -> Result<Vec<String>, WriteError> {
        let folder = scratch.path().join("files");
        let contents: Vec<Vec<u8>> = files.iter().filter_map(|file| file.bytes.clone()).collect();
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

    pub(in crate::forge) async fn tree_id(&self, commit: &str) -> Result<String, ForgeError> {
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
        let author = name(say.author);
        let by = [
            (author.as_str(), format!("{author}@agents.invalid")),
            ("Infinity", "infinity@localhost".into()),
        ];
        let head = commit_head(tree, parents, &by, say.at);
        let message = format!("\n{}\n", say.text());
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

    /// Begins a change of a branch: what an earlier attempt made of it, if there was one. Otherwise the branch has to be where the change was made for.
    pub(in crate::forge) async fn begin(
        &self,
        branch: &str,
        at: Option<&str>,
        say: &Say<'_>,
    ) -> Result<Option<Written>, WriteError> {
        let head = self.branch(branch).await?;
        let made = self.made_before(branch, head.as_deref(), say).await?;
        if made.is_none() && head.as_deref() != at {
            return Err(moved(branch, at, head.as_deref()));
        }
        Ok(made)
    }

    /// The commit of the same change that an earlier attempt made, among the latest of the branch.
    async fn made_before(
        &self,
        branch: &str,
        head: Option<&str>,
        say: &Say<'_>,
    ) -> Result<Option<Written>, ForgeError> {
        let mark = say.trailers.first().and_then(|line| line.split_once(": "));
        let (Some((name, value)), Some(_)) = (mark, head) else {
            return Ok(None);
        };
        let listed = self
            .output(self.call([
                "log".to_owned(),
                "--first-parent".into(),
                format!("--format=%H %P|%(trailers:key={name},valueonly,separator=%x2C)"),
                LOOK_BACK_MAX.into(),
                format!("refs/heads/{branch}"),
                "--".into(),
            ]))
            .await?;
        let listed = String::from_utf8_lossy(&listed);
        let made = listed.lines().find_map(|line| {
            let (commits, found) = line.split_once('|')?;
            let mut commits = commits.split(' ').filter(|commit| !commit.is_empty());
            found.split(',').any(|one| one == value).then(|| {
                Some(Written::Commit {
                    id: commits.next()?.to_owned(),
                    before: commits.next().map(str::to_owned),
                })
            })?
        });
        Ok(made)
    }

    /// A branch that somebody works on must not move under them.
    async fn refuse_checked_out(&self, branch: &str) -> Result<(), WriteError> {
        // Git's own file, read as git does; a process for it would be most of the work.
        let head = tokio::fs::read_to_string(self.git_dir.join("HEAD")).await;
        if head.is_ok_and(|head| head.trim() != format!("ref: refs/heads/{branch}")) {
            return Ok(());
        }
        let bare = self
            .run(self.call(["config", "--type=bool", "--get", "core.bare"]))
            .await?;
        if bare.stdout.starts_with(b"true") {
            return Ok(());
        }
        Err(WriteError::Refused(format!(
            "the branch {} of {} is checked out; name another branch, or a bare repository",
            shown(branch),
            shown(&self.name)
        )))
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

pub(in crate::forge) fn moved(branch: &str, base: Option<&str>, head: Option<&str>) -> WriteError {
    let place = |commit: Option<&str>| commit.map_or_else(|| "nowhere".to_owned(), shown);
    WriteError::Moved(format!(
        "the branch {} is at {} and the change was made for {}",
        shown(branch),
        place(head),
        place(base)
    ))
}

/// The mode of a file after a change; `before` is what it was.
pub(in crate::forge) fn mode_of(file: &File, before: Option<EntryKind>) -> &'static str {
    if file
        .executable
        .unwrap_or(before == Some(EntryKind::Executable))
    {
        "100755"
    } else {
        "100644"
    }
}

/// A path as a line of `fast-import` has it: control characters are refused before.
fn quoted(path: &str) -> String {
    if path.starts_with('"') {
        format!("\"{}\"", path.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        path.to_owned()
    }
}

fn refused_path(complaint: &str) -> WriteError {
    WriteError::Refused(format!("git refuses a path: {}", shown(complaint)))
}

/// A name as a commit may hold it.
pub(in crate::forge) fn name(text: &str) -> String {
    text.chars()
        .filter(|character| !character.is_control() && !"<>\"".contains(*character))
        .collect()
}

/// Checks that the files can be in one tree, and says what those are now that are there already.
fn fits<'b>(
    before: &'b [(String, Version)],
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
        .map(|(path, version)| (path.as_str(), version.kind))
        .collect();
    let mut after: BTreeSet<&str> = there.keys().copied().collect();
    let mut named = BTreeSet::new();
    for File { path, bytes, .. } in files {
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
        if bytes.is_some() {
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
