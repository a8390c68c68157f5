//! Turns settings into files: those of the sources, and those on the branch.

use crate::plan::Origin;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use infinity_sdk::forge::EntryKind;
use infinity_sdk::prelude::*;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// How deep a directory is looked into.
const DEPTH_MAX: usize = 32;

/// Files of all sources together.
const FILES_MAX: usize = 10_000;

fn everything() -> Vec<String> {
    vec!["**".into()]
}

fn head() -> String {
    "HEAD".into()
}

/// Where files come from.
#[derive(Clone, Debug, Deserialize)]
pub struct Source {
    repository: Option<String>,
    #[serde(default = "head")]
    reference: String,
    directory: Option<String>,
    /// Files that the host makes of what it knows of itself.
    #[serde(default)]
    views: Vec<String>,
    #[serde(default = "everything")]
    paths: Vec<String>,
    #[serde(default)]
    to: String,
}

/// Where they go.
#[derive(Clone, Debug, Deserialize)]
pub struct Target {
    /// A granted repository.
    pub repository: String,
    /// Its branch.
    pub branch: String,
}

impl Source {
    #[cfg(test)]
    pub(crate) fn new(paths: &[&str], to: &str) -> Self {
        Self {
            repository: Some("source".into()),
            reference: head(),
            directory: None,
            views: Vec::new(),
            paths: paths.iter().map(|path| (*path).to_owned()).collect(),
            to: to.into(),
        }
    }

    fn globs(&self) -> Result<GlobSet, Failure> {
        let mut set = GlobSetBuilder::new();
        for path in &self.paths {
            let wrong = |error: globset::Error| {
                Failure::InvalidInput(format!("setting `sources`: `{path}` is no glob: {error}"))
            };
            set.add(
                GlobBuilder::new(path)
                    .literal_separator(true)
                    .build()
                    .map_err(wrong)?,
            );
        }
        set.build()
            .map_err(|error| Failure::InvalidInput(format!("setting `sources`: {error}")))
    }

    /// The repository and the reference that the files come from, if they come from one.
    #[must_use]
    pub fn origin(&self) -> Option<(&str, &str)> {
        Some((self.repository.as_deref()?, &self.reference))
    }

    /// What the host makes of each view, by its place on the branch; and what it makes none of.
    fn views(&self) -> Result<(BTreeMap<String, Origin>, Vec<String>), Failure> {
        let mut files = BTreeMap::new();
        let mut unknown = Vec::new();
        for name in &self.views {
            match views::read(name) {
                Ok(Some(bytes)) => drop(files.insert(self.place(name), Origin::Bytes(bytes))),
                // What is not there is not on the branch, either.
                Ok(None) => {}
                Err(views::Error::Unknown(_)) => unknown.push(self.place(name)),
                Err(error) => {
                    return Err(Failure::Other(format!(
                        "the view `{name}`: {}",
                        views::message(&error)
                    )));
                }
            }
        }
        Ok((files, unknown))
    }

    /// The files of a commit of the source's repository, by their place on the branch.
    ///
    /// # Errors
    /// When the repository does not answer, or a path is no glob.
    pub fn files_at(
        &self,
        repository: &str,
        commit: &str,
    ) -> Result<BTreeMap<String, Origin>, Failure> {
        let globs = self.globs()?;
        let entries = forge::tree(repository, commit, "")
            .map_err(|error| failed(&format!("repository `{repository}`"), &error))?;
        let kept = entries.into_iter().filter(|entry| {
            matches!(entry.kind, EntryKind::File | EntryKind::Executable)
                && globs.is_match(&entry.path)
        });
        Ok(kept
            .map(|entry| {
                let origin = Origin::Repository {
                    name: repository.to_owned(),
                    commit: commit.to_owned(),
                    path: entry.path.clone(),
                    id: entry.id,
                };
                (self.place(&entry.path), origin)
            })
            .collect())
    }

    /// The place on the branch of a file of this source.
    fn place(&self, path: &str) -> String {
        match self.to.trim_matches('/') {
            "" => path.to_owned(),
            folder => format!("{folder}/{path}"),
        }
    }

    /// Whether a place on the branch is for this source to fill.
    #[must_use]
    pub fn speaks_of(&self, place: &str) -> bool {
        let path = match self.to.trim_matches('/') {
            "" => Some(place),
            folder => place
                .strip_prefix(folder)
                .and_then(|rest| rest.strip_prefix('/')),
        };
        path.is_some_and(|path| {
            if self.repository.is_none() && self.directory.is_none() {
                return self.views.iter().any(|name| name == path);
            }
            self.globs().is_ok_and(|globs| globs.is_match(path))
        })
    }
}

fn failed(what: &str, error: &forge::Error) -> Failure {
    let message = format!("{what}: {}", forge::message(error));
    match error {
        forge::Error::Unavailable(_) => Failure::Unavailable(message),
        _ => Failure::Other(message),
    }
}

/// What the sources hold.
#[derive(Debug, Default)]
pub struct Collected {
    /// The files that should be on the branch, by their place there.
    pub files: BTreeMap<String, Origin>,
    /// The places of views that the host does not make: their copies stay as they are.
    pub unknown: Vec<String>,
}

/// Looks at what the sources hold.
///
/// # Errors
/// When a repository, a directory or a view cannot be read, a path is no glob, or there are too many files.
pub fn collect(sources: &[Source]) -> Result<Collected, Failure> {
    let mut files = BTreeMap::new();
    let mut missing = Vec::new();
    for source in sources {
        let globs = source.globs()?;
        if let Some(name) = &source.repository {
            let commit = forge::resolve(name, &source.reference)
                .map_err(|error| failed(&format!("repository `{name}`"), &error))?;
            files.extend(source.files_at(name, &commit)?);
        }
        let (made, unknown) = source.views()?;
        files.extend(made);
        missing.extend(unknown);
        if let Some(directory) = &source.directory {
            let root = Path::new(directory);
            let mut found = Vec::new();
            walk(root, "", 0, &mut found)?;
            for path in found.into_iter().filter(|path| globs.is_match(path)) {
                let bytes = fs::read(root.join(&path)).map_err(|error| {
                    Failure::Other(format!("`{directory}/{path}` cannot be read: {error}"))
                })?;
                files.insert(source.place(&path), Origin::Bytes(bytes));
            }
        }
        if files.len() > FILES_MAX {
            return Err(Failure::InvalidInput(format!(
                "the sources have more than {FILES_MAX} files; narrow `paths`"
            )));
        }
    }
    Ok(Collected {
        files,
        unknown: missing,
    })
}

/// All files below a directory, relative to it.
fn walk(root: &Path, below: &str, depth: usize, found: &mut Vec<String>) -> Result<(), Failure> {
    let place = root.join(below);
    let failed = |error: std::io::Error| {
        Failure::Other(format!("`{}` cannot be read: {error}", place.display()))
    };
    if depth > DEPTH_MAX {
        return Ok(());
    }
    for entry in fs::read_dir(&place).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        // A name that is no UTF-8 cannot be a path on the branch.
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let path = if below.is_empty() {
            name
        } else {
            format!("{below}/{name}")
        };
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            walk(root, &path, depth + 1, found)?;
        } else if kind.is_file() {
            found.push(path);
        }
        if found.len() > FILES_MAX {
            return Err(Failure::InvalidInput(format!(
                "`{}` has more than {FILES_MAX} files",
                root.display()
            )));
        }
    }
    Ok(())
}

/// The commit that the branch is at and its files by their ids; nothing when there is no such branch.
///
/// # Errors
/// When the repository does not answer.
pub fn present(target: &Target) -> Result<(Option<String>, BTreeMap<String, String>), Failure> {
    let what = format!("repository `{}`", target.repository);
    let head = match forge::resolve(&target.repository, &target.branch) {
        Ok(head) => head,
        Err(forge::Error::NotFound(_)) => return Ok((None, BTreeMap::new())),
        Err(error) => return Err(failed(&what, &error)),
    };
    let entries =
        forge::tree(&target.repository, &head, "").map_err(|error| failed(&what, &error))?;
    let files = entries
        .into_iter()
        .map(|entry| (entry.path, entry.id))
        .collect();
    Ok((Some(head), files))
}
