//! What a sync changes: a comparison of each file as it was when it was last synced, as it is at the source, and as it is at the target.

use std::collections::{BTreeMap, BTreeSet};

/// Files of a commit: the id of the content by path.
pub(crate) type Files = BTreeMap<String, String>;

/// What a target was last brought to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Last {
    /// The source's commit that the target has; none before the first sync.
    pub(crate) source: Option<String>,
    /// The source's commit whose sync was rolled back: what it has is not proposed again.
    pub(crate) undone: Option<String>,
    /// The branch by which it came.
    pub(crate) branch: String,
}

/// What the files were at each of the moments that count.
#[derive(Debug, Default)]
pub(crate) struct Sides {
    /// At the source, when it was last synced.
    pub(crate) then: Files,
    /// At the source, in what was rolled back.
    pub(crate) undone: Option<Files>,
    /// At the source now.
    pub(crate) now: Files,
    /// At the target now.
    pub(crate) there: Files,
}

/// What to do.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) write: BTreeSet<String>,
    pub(crate) delete: BTreeSet<String>,
    /// What changed on both sides.
    pub(crate) conflicts: BTreeSet<String>,
}

impl Plan {
    pub(crate) fn is_empty(&self) -> bool {
        self.write.is_empty() && self.delete.is_empty()
    }
}

/// Compares the files that a target covers. Only what changed at the source since the last sync is brought over, and only onto what nobody changed at the target; so nothing is deleted that was
/// not synced before.
pub(crate) fn plan(sides: &Sides, covers: impl Fn(&str) -> bool) -> Plan {
    let paths: BTreeSet<&String> = sides.now.keys().chain(sides.then.keys()).collect();
    let mut plan = Plan::default();
    for path in paths.into_iter().filter(|path| covers(path)) {
        let (then, now) = (sides.then.get(path), sides.now.get(path));
        let there = sides.there.get(path);
        let held = sides
            .undone
            .as_ref()
            .is_some_and(|undone| undone.get(path) == now);
        if now == then || now == there || held {
            continue;
        }
        if there != then {
            plan.conflicts.insert(path.clone());
        } else if now.is_some() {
            plan.write.insert(path.clone());
        } else {
            plan.delete.insert(path.clone());
        }
    }
    plan
}

/// The lines by which a commit says what it synced.
pub(crate) const SOURCE: &str = "Sync-Source";
pub(crate) const BRANCH: &str = "Sync-Branch";
pub(crate) const UNDONE: &str = "Sync-Undone";

/// What a commit's message says of a sync from this source.
pub(crate) fn synced(message: &str, source: &str) -> Option<Last> {
    // A forge that squashes puts the messages of several commits into one: the last counts.
    let line = |name: &str| {
        message.lines().rev().find_map(|line| {
            line.trim()
                .strip_prefix(name)?
                .strip_prefix(':')
                .map(str::trim)
        })
    };
    let (repository, commit) = line(SOURCE)?.rsplit_once('@')?;
    let id = |text: &str| is_id(text).then(|| text.to_owned());
    let last = Last {
        source: id(commit),
        undone: line(UNDONE).and_then(id),
        branch: line(BRANCH)?.to_owned(),
    };
    (repository == source && (last.source.is_some() || last.undone.is_some())).then_some(last)
}

/// Whether a text is the full id of a commit.
fn is_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(listed: &[(&str, &str)]) -> Files {
        let owned = |(path, id): &(&str, &str)| ((*path).to_owned(), (*id).to_owned());
        listed.iter().map(owned).collect()
    }

    fn set(listed: &[&str]) -> BTreeSet<String> {
        listed.iter().map(|path| (*path).to_owned()).collect()
    }

    #[test]
    fn only_what_changed_at_the_source_alone_is_brought_over() {
        let sides = Sides {
            then: files(&[
                ("same", "1"),
                ("new-here", "1"),
                ("both", "1"),
                ("gone", "1"),
                ("gone-changed", "1"),
                ("theirs", "1"),
                ("agreed", "1"),
                ("gone-both", "1"),
            ]),
            now: files(&[
                ("same", "1"),
                ("new-here", "2"),
                ("both", "2"),
                ("theirs", "1"),
                ("agreed", "2"),
                ("fresh", "1"),
                ("fresh-taken", "1"),
                ("outside", "9"),
            ]),
            there: files(&[
                ("same", "1"),
                ("new-here", "1"),
                ("both", "3"),
                ("gone", "1"),
                ("gone-changed", "4"),
                ("theirs", "5"),
                ("agreed", "2"),
                ("fresh-taken", "7"),
                ("own", "8"),
            ]),
            undone: None,
        };
        let plan = plan(&sides, |path| path != "outside");
        assert_eq!(plan.write, set(&["new-here", "fresh"]));
        assert_eq!(plan.delete, set(&["gone"]));
        assert_eq!(
            plan.conflicts,
            set(&["both", "gone-changed", "fresh-taken"])
        );
    }

    #[test]
    fn what_was_rolled_back_waits_for_a_change_at_the_source() {
        let sides = Sides {
            then: files(&[("a", "1"), ("b", "1")]),
            undone: Some(files(&[("a", "2"), ("b", "2")])),
            now: files(&[("a", "2"), ("b", "3")]),
            there: files(&[("a", "1"), ("b", "1")]),
        };
        let plan = plan(&sides, |_| true);
        assert_eq!(plan.write, set(&["b"]));
        assert!(plan.conflicts.is_empty());
    }

    #[test]
    fn commits_say_what_they_synced() {
        let id = "a".repeat(40);
        let message =
            format!("Sync\n\nSync-Source: foundation@{id}\nSync-Branch: automation/sync-x-1\n");
        let last = synced(&message, "foundation").unwrap();
        assert_eq!(last.source.as_deref(), Some(id.as_str()));
        assert_eq!(last.branch, "automation/sync-x-1");
        assert_eq!(synced(&message, "other"), None);
        assert_eq!(
            synced("Sync-Source: foundation@main\nSync-Branch: x", "foundation"),
            None
        );
        let other = "b".repeat(40);
        let squashed = format!(
            "* one\n\nSync-Source: f@{id}\nSync-Branch: b\n\n* two\n\nSync-Source: f@{other}\nSync-Branch: b\n"
        );
        assert_eq!(synced(&squashed, "f").unwrap().source, Some(other));
        let undone = format!("Sync-Source: f@none\nSync-Undone: {id}\nSync-Branch: b");
        assert_eq!(
            synced(&undone, "f"),
            Some(Last {
                source: None,
                undone: Some(id),
                branch: "b".into()
            })
        );
    }
}
