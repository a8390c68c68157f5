//! What a repository's trees hold, read level by level through the repository's one git process, and kept: a tree never changes, and a sync of one source to many targets, or one that
//! looks again, reads the same ones.
//!
//! Invariants: only what is named by full object ids is kept, each repository's apart, so that nobody is answered with what another repository says; together it has at most
//! [`KEPT_BYTES_MAX`]. One look reads at most `TREE_BYTES_MAX`.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering as Atomic};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use lru::LruCache;

use super::parse::{StoredEntry, hex, kind_of, next_entry};
use super::reader::{Ask, Unanswered};
use super::{LocalForge, TREE_BYTES_MAX};
use crate::forge::{ChangedFile, ForgeError, TREE_ENTRIES_MAX, Version, shown};

/// How many bytes are kept of all repositories together: the trees of some 500,000 files.
const KEPT_BYTES_MAX: usize = 32 * 1024 * 1024;

/// How many bytes one answer may have to be kept, so that none drives out most others.
const KEPT_ONE_MAX: usize = KEPT_BYTES_MAX / 8;

/// What is kept for each answer beside its bytes: its name, and its place in the table.
const KEPT_OVERHEAD: usize = 256;

/// How git writes the mode of a folder.
const FOLDER: &str = "40000";

static KEPT: LazyLock<Mutex<Kept>> = LazyLock::new(|| {
    Mutex::new(Kept {
        answers: LruCache::unbounded(),
        bytes: 0,
    })
});

struct Kept {
    answers: LruCache<(u64, String), Arc<[u8]>>,
    bytes: usize,
}

/// What is kept of one repository.
pub(super) struct Answers(u64);

impl Default for Answers {
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Atomic::Relaxed))
    }
}

impl Answers {
    /// The answer to a question, if it is kept.
    pub(super) fn get(&self, question: &str) -> Option<Arc<[u8]>> {
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        kept.answers.get(&(self.0, question.to_owned())).cloned()
    }

    /// Keeps the answer to a question to which there will never be another one.
    pub(super) fn keep(&self, question: &str, answer: &Arc<[u8]>) {
        if answer.len() > KEPT_ONE_MAX {
            return;
        }
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += answer.len() + KEPT_OVERHEAD;
        let question = (self.0, question.to_owned());
        if let Some(before) = kept.answers.put(question, Arc::clone(answer)) {
            kept.bytes -= before.len() + KEPT_OVERHEAD;
        }
        while kept.bytes > KEPT_BYTES_MAX {
            let Some((_, oldest)) = kept.answers.pop_lru() else {
                break;
            };
            kept.bytes -= oldest.len() + KEPT_OVERHEAD;
        }
    }
}

/// A folder in two commits: its path with a slash at its end, and its trees, where it has one.
struct Pair {
    path: String,
    before: Option<String>,
    after: Option<String>,
}

/// What is not the same in two commits, as far as it is known.
struct Differences {
    files: Vec<ChangedFile>,
    /// Those that are still to be compared.
    folders: Vec<Pair>,
    /// Bytes that further paths may have: trees that contain one another are small, and their paths are not.
    room: usize,
}

/// Whether two trees could be compared.
#[derive(Debug, PartialEq, Eq)]
enum Compared {
    Whole,
    TooMuch,
}

impl LocalForge {
    /// The trees with these names, each a full id or the tree of one, in their order. `room` is what may be read of them.
    async fn trees(&self, names: &[&str], room: &mut u64) -> Result<Vec<Arc<[u8]>>, ForgeError> {
        let mut found: HashMap<&str, Arc<[u8]>> = HashMap::new();
        let mut missing: HashSet<&str> = HashSet::new();
        for name in names {
            if found.contains_key(name) || missing.contains(name) {
                continue;
            }
            match self.shared.answers.get(name) {
                Some(tree) => {
                    found.insert(name, tree);
                }
                None => {
                    missing.insert(name);
                }
            }
        }
        let missing: Vec<&str> = missing.into_iter().collect();
        if !missing.is_empty() {
            let asked = missing.iter().map(|name| (*name).to_owned()).collect();
            let trees = match self.ask(Ask::Contents, asked, *room).await {
                Ok(trees) => trees,
                Err(Unanswered::TooLarge) => return Err(self.too_many_names()),
                Err(Unanswered::Failed) => return Err(self.unanswered()),
            };
            for (name, tree) in missing.into_iter().zip(trees) {
                let tree: Arc<[u8]> = self.of_kind(tree, "tree", name)?.bytes.into();
                self.shared.answers.keep(name, &tree);
                found.insert(name, tree);
            }
        }
        let mut trees = Vec::with_capacity(names.len());
        for name in names {
            let tree = Arc::clone(&found[name]);
            // Each time: a tree that has another one a thousand times is a thousand trees to look at.
            *room = room
                .checked_sub(tree.len() as u64)
                .ok_or_else(|| self.too_many_names())?;
            trees.push(tree);
        }
        Ok(trees)
    }

    fn too_many_names(&self) -> ForgeError {
        ForgeError::TooLarge(format!(
            "the folders of the repository {} that have to be read have more than 32 MiB of names; ask for less at once",
            shown(&self.name)
        ))
    }

    /// Those of some paths that are files, links or submodules in the commit with this id.
    pub(in crate::forge) async fn listed(
        &self,
        id: &str,
        paths: &[String],
    ) -> Result<HashMap<String, Version>, ForgeError> {
        // The names that are looked for, by folder, and the folders on the way to them.
        let mut wanted: HashMap<&str, HashSet<&str>> = HashMap::new();
        let mut above: HashSet<&str> = HashSet::new();
        for path in paths {
            let name = path.rfind('/').map_or(0, |at| at + 1);
            wanted
                .entry(&path[..name])
                .or_default()
                .insert(&path[name..]);
            above.extend(path.match_indices('/').map(|(at, _)| &path[..=at]));
        }
        let nothing = HashSet::new();
        let mut room = TREE_BYTES_MAX as u64;
        let mut found = HashMap::new();
        let mut folders = vec![(String::new(), format!("{id}^{{tree}}"))];
        while !folders.is_empty() {
            let names: Vec<&str> = folders.iter().map(|(_, tree)| tree.as_str()).collect();
            let trees = self.trees(&names, &mut room).await?;
            let mut below = Vec::new();
            for ((folder, _), tree) in folders.into_iter().zip(trees) {
                let names = wanted.get(folder.as_str()).unwrap_or(&nothing);
                let mut rest = &tree[..];
                while !rest.is_empty() {
                    let entry = next_entry(&mut rest, id.len() / 2)
                        .ok_or_else(|| self.unreadable("cat-file"))?;
                    let name = String::from_utf8_lossy(entry.name);
                    if entry.mode == FOLDER {
                        let path = format!("{folder}{name}/");
                        if above.contains(path.as_str()) {
                            below.push((path, hex(entry.id)));
                        }
                    } else if names.contains(&*name) {
                        found.insert(format!("{folder}{name}"), version(&entry));
                    }
                }
            }
            folders = below;
        }
        Ok(found)
    }

    /// What is not the same in two commits, by their ids, in no order.
    pub(super) async fn changed(
        &self,
        base: &str,
        head: &str,
    ) -> Result<Vec<ChangedFile>, ForgeError> {
        let mut room = TREE_BYTES_MAX as u64;
        let mut found = Differences {
            files: Vec::new(),
            folders: vec![Pair {
                path: String::new(),
                before: Some(format!("{base}^{{tree}}")),
                after: Some(format!("{head}^{{tree}}")),
            }],
            room: TREE_BYTES_MAX,
        };
        while !found.folders.is_empty() {
            let folders = std::mem::take(&mut found.folders);
            let names: Vec<&str> = folders
                .iter()
                .flat_map(|pair| pair.before.iter().chain(&pair.after))
                .map(String::as_str)
                .collect();
            let mut trees = self.trees(&names, &mut room).await?.into_iter();
            for Pair {
                path,
                before,
                after,
            } in folders
            {
                let before = before.and_then(|_| trees.next()).unwrap_or_default();
                let after = after.and_then(|_| trees.next()).unwrap_or_default();
                let compared = compare(&path, [&before, &after], base.len() / 2, &mut found)
                    .ok_or_else(|| self.unreadable("cat-file"))?;
                if compared == Compared::TooMuch {
                    return Err(ForgeError::TooLarge(format!(
                        "the difference in the repository {} has more than 100,000 files, or 32 MiB of their names",
                        shown(&self.name)
                    )));
                }
            }
        }
        Ok(found.files)
    }
}

fn version(entry: &StoredEntry<'_>) -> Version {
    Version {
        kind: kind_of(entry.mode),
        id: hex(entry.id),
    }
}

/// How git orders the entries of a tree: a folder as if its name ended with a slash.
fn order(one: &StoredEntry<'_>, other: &StoredEntry<'_>) -> Ordering {
    fn bytes<'e>(entry: &StoredEntry<'e>) -> impl Iterator<Item = u8> + use<'e> {
        let slash = (entry.mode == FOLDER).then_some(b'/');
        entry.name.iter().copied().chain(slash)
    }
    bytes(one).cmp(bytes(other))
}

/// Adds what is not the same in two trees of one folder; none if one is no tree.
fn compare(
    folder: &str,
    trees: [&[u8]; 2],
    width: usize,
    found: &mut Differences,
) -> Option<Compared> {
    let [mut old, mut new] = trees;
    let (mut before, mut after) = (take(&mut old, width)?, take(&mut new, width)?);
    loop {
        let side = match (&before, &after) {
            (None, None) => return Some(Compared::Whole),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(one), Some(other)) => order(one, other),
        };
        let one = match side {
            Ordering::Greater => None,
            _ => std::mem::replace(&mut before, take(&mut old, width)?),
        };
        let other = match side {
            Ordering::Less => None,
            _ => std::mem::replace(&mut after, take(&mut new, width)?),
        };
        if let (Some(one), Some(other)) = (&one, &other)
            && one.id == other.id
            && one.mode == other.mode
        {
            continue;
        }
        let Some(name) = one.as_ref().or(other.as_ref()).map(|entry| entry.name) else {
            continue;
        };
        let name = String::from_utf8_lossy(name);
        let room = found.room.checked_sub(folder.len() + name.len() + 1);
        let (Some(room), true) = (room, found.files.len() < TREE_ENTRIES_MAX) else {
            return Some(Compared::TooMuch);
        };
        found.room = room;
        let path = format!("{folder}{name}");
        // What is a folder on one side is none on the other only where that has nothing: the order tells them apart.
        if one
            .as_ref()
            .or(other.as_ref())
            .is_some_and(|entry| entry.mode == FOLDER)
        {
            found.folders.push(Pair {
                path: path + "/",
                before: one.map(|entry| hex(entry.id)),
                after: other.map(|entry| hex(entry.id)),
            });
        } else {
            found.files.push(ChangedFile {
                path,
                before: one.as_ref().map(version),
                after: other.as_ref().map(version),
            });
        }
    }
}

/// The next entry of a tree, none at its end.
fn take<'a>(rest: &mut &'a [u8], width: usize) -> Option<Option<StoredEntry<'a>>> {
    if rest.is_empty() {
        return Some(None);
    }
    next_entry(rest, width).map(Some)
}
