//! The files below a root, sorted, and what a path below it leads to.
//!
//! Nothing here follows a link out of the root: links are resolved step by step, so the rule holds natively as it does in the sandbox.

use crate::settings::Exclude;
use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Directories below directories.
const MAX_DEPTH: usize = 64;

/// Entries of one root. A listing takes about 200 bytes each.
const MAX_ENTRIES: usize = 200_000;

/// Symbolic links on the way to one file, as Linux has it.
const MAX_LINKS: usize = 40;

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Directory,
    Link,
    /// A pipe, socket or device.
    Other,
}

/// One entry below a root.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Relative, with `/`; bytes that are no UTF-8 are replaced.
    pub(crate) path: String,
    /// For reading.
    pub(crate) native: PathBuf,
    pub(crate) kind: Kind,
    pub(crate) excluded: bool,
}

/// What a walk could not look into.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) rule: &'static str,
    pub(crate) path: String,
    pub(crate) message: String,
}

/// What is below a root.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Sorted by path within each directory, directories before what is in them.
    pub(crate) entries: Vec<Entry>,
    pub(crate) troubles: Vec<Trouble>,
    path_to_entry: BTreeMap<String, usize>,
}

impl Listing {
    /// What stands at a path, if the walk has seen it.
    pub(crate) fn kind(&self, path: &str) -> Option<&Kind> {
        if path.is_empty() {
            return Some(&Kind::Directory);
        }
        self.path_to_entry
            .get(path)
            .and_then(|&index| self.entries.get(index))
            .map(|entry| &entry.kind)
    }
}

/// Lists everything below a root but `.git` and what is in excluded directories.
///
/// # Errors
/// When the root itself cannot be read.
pub(crate) fn walk(root: &Path, exclude: &Exclude) -> std::io::Result<Listing> {
    let mut listing = Listing::default();
    let mut open = vec![(
        String::new(),
        root.to_owned(),
        0,
        read_sorted(root)?.into_iter(),
    )];
    while let Some((folder, native_folder, depth, names)) = open.last_mut() {
        let Some((name, kind)) = names.next() else {
            open.pop();
            continue;
        };
        if name == ".git" {
            continue;
        }
        if listing.entries.len() >= MAX_ENTRIES {
            listing.troubles.push(Trouble {
                rule: "tree/too-many-files",
                path: String::new(),
                message: format!(
                    "more than {MAX_ENTRIES} files and directories; the rest is not checked"
                ),
            });
            break;
        }
        let text = name.to_string_lossy();
        let path = match folder.as_str() {
            "" => text.into_owned(),
            folder => format!("{folder}/{text}"),
        };
        let native = native_folder.join(&name);
        let depth = *depth + 1;
        let excluded = match kind {
            Kind::Directory => exclude.directory(&path),
            _ => exclude.file(&path),
        };
        if kind == Kind::Directory && !excluded {
            if depth > MAX_DEPTH {
                listing.troubles.push(Trouble {
                    rule: "tree/too-deep",
                    path: path.clone(),
                    message: format!("more than {MAX_DEPTH} directories deep; not looked into"),
                });
            } else {
                match read_sorted(&native) {
                    Ok(names) => {
                        open.push((path.clone(), native.clone(), depth, names.into_iter()))
                    }
                    Err(error) => listing.troubles.push(Trouble {
                        rule: "file/unreadable",
                        path: path.clone(),
                        message: format!("the directory cannot be read: {error}"),
                    }),
                }
            }
        }
        listing
            .path_to_entry
            .insert(path.clone(), listing.entries.len());
        listing.entries.push(Entry {
            path,
            native,
            kind,
            excluded,
        });
    }
    Ok(listing)
}

fn read_sorted(directory: &Path) -> std::io::Result<Vec<(OsString, Kind)>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let kind = if kind.is_symlink() {
            Kind::Link
        } else if kind.is_dir() {
            Kind::Directory
        } else if kind.is_file() {
            Kind::File
        } else {
            Kind::Other
        };
        names.push((entry.file_name(), kind));
        // A directory larger than the whole budget is cut; `walk` then reports it.
        if names.len() > MAX_ENTRIES {
            break;
        }
    }
    names.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    Ok(names)
}

/// Where a path leads.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Resolved {
    /// To a directory or file below the root, at this path without links.
    Found { path: String, directory: bool },
    /// To nothing, or in circles.
    Missing,
    /// Out of the root.
    Outside,
}

/// Follows a path below the root through symbolic links.
pub(crate) fn resolve(root: &Path, path: &str) -> Resolved {
    let mut pending: VecDeque<String> = path.split('/').map(str::to_owned).collect();
    let mut done: Vec<String> = Vec::new();
    let mut links = 0;
    let mut directory = true;
    while let Some(part) = pending.pop_front() {
        match part.as_str() {
            "" | "." => continue,
            ".." => {
                if done.pop().is_none() {
                    return Resolved::Outside;
                }
                directory = true;
                continue;
            }
            _ => done.push(part),
        }
        if !directory {
            return Resolved::Missing;
        }
        let native = root.join(done.join("/"));
        let Ok(metadata) = std::fs::symlink_metadata(&native) else {
            return Resolved::Missing;
        };
        if !metadata.is_symlink() {
            directory = metadata.is_dir();
            continue;
        }
        links += 1;
        if links > MAX_LINKS {
            return Resolved::Missing;
        }
        // The sandbox refuses to read absolute links: they lead out.
        let Ok(target) = std::fs::read_link(&native) else {
            return Resolved::Outside;
        };
        if target.is_absolute() {
            return Resolved::Outside;
        }
        done.pop();
        for part in target.to_string_lossy().split('/').rev() {
            pending.push_front(part.to_owned());
        }
    }
    Resolved::Found {
        path: done.join("/"),
        directory,
    }
}
