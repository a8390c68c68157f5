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
pub(crate) struct Source {
    repository: Option<String>,
    #[serde(default = "head")]
    reference: String,
    directory: Option<String>,
    #[serde(default = "everything")]
    paths: Vec<String>,
    #[serde(default)]
    to: String,
}

/// Where they go.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Target {
    pub(crate) repository: String,
    pub(crate) branch: String,
}

impl Source {
    #[cfg(test)]
    pub(crate) fn new(paths: &[&str], to: &str) -> Self {
        Self {
            repository: Some("source".into()),
            reference: head(),
            directory: None,
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

    /// The place on the branch of a file of this source.
    fn place(&self, path: &str) -> String {
        match self.to.trim_matches('/') {
            "" => path.to_owned(),
            folder => format!("{folder}/{path}"),
        }
    }

    /// Whether a place on the branch is for this source to fill.
    pub(crate) fn speaks_of(&self, place: &str) -> bool {
        let path = match self.to.trim_matches('/') {
            "" => Some(place),
            folder => place
                .strip_prefix(folder)
                .and_then(|rest| rest.strip_prefix('/')),
        };
        path.is_some_and(|path| self.globs().is_ok_and(|globs| globs.is_match(path)))
    }
}

fn failed(what: &str, error: &forge::Error) -> Failure {
    let message = format!("{what}: {}", forge::message(error));
    match error {
        forge::Error::Unavailable(_) => Failure::Unavailable(message),
        _ => Failure::Other(message),
    }
}

/// The files that should be on the branch, by their place there.
pub(crate) fn collect(sources: &[Source]) -> Result<BTreeMap<String, Origin>, Failure> {
    let mut files = BTreeMap::new();
    for source in sources {
        let globs = source.globs()?;
        if let Some(name) = &source.repository {
            let commit = forge::resolve(name, &source.reference)
                .map_err(|error| failed(&format!("repository `{name}`"), &error))?;
            let entries = forge::tree(name, &commit, "")
                .map_err(|error| failed(&format!("repository `{name}`"), &error))?;
            let kept = entries.into_iter().filter(|entry| {
                matches!(entry.kind, EntryKind::File | EntryKind::Executable)
                    && globs.is_match(&entry.path)
            });
            for entry in kept {
                files.insert(
                    source.place(&entry.path),
                    Origin::Repository {
                        name: name.clone(),
                        commit: commit.clone(),
                        path: entry.path,
                        id: entry.id,
                    },
                );
            }
        }
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
    Ok(files)
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
pub(crate) fn present(
    target: &Target,
) -> Result<(Option<String>, BTreeMap<String, String>), Failure> {
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
