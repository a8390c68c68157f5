//! What differs between the files and their copies.

use crate::source::{Collected, Source};
use std::collections::BTreeMap;

/// Where a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In a repository.
    Repository {
        /// The repository.
        name: String,
        /// A full commit id.
        commit: String,
        /// Relative.
        path: String,
        /// Of its content.
        id: String,
    },
    /// Here.
    Bytes(Vec<u8>),
}

/// What to do to a place on the branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change<'o> {
    /// It becomes a copy of this.
    Write(&'o Origin),
    /// It goes.
    Delete,
}

/// The changes that make `present` what was collected, by place. `read` gives a copy's bytes.
pub fn changes<'o>(
    collected: &'o Collected,
    present: &'o BTreeMap<String, String>,
    sources: &[Source],
    read: impl Fn(&str) -> Option<Vec<u8>>,
) -> Vec<(&'o str, Change<'o>)> {
    let wanted = &collected.files;
    let mut changes: Vec<(&str, Change<'_>)> = wanted
        .iter()
        .filter(|(place, origin)| match (present.get(*place), origin) {
            (None, _) => true,
            (Some(there), Origin::Repository { id, .. }) => there != id,
            (Some(_), Origin::Bytes(bytes)) => read(place).as_ref() != Some(bytes),
        })
        .map(|(place, origin)| (place.as_str(), Change::Write(origin)))
        .collect();
    changes.extend(
        present
            .keys()
            .filter(|place| !wanted.contains_key(*place) && !collected.unknown.contains(place))
            .filter(|place| sources.iter().any(|source| source.speaks_of(place)))
            .map(|place| (place.as_str(), Change::Delete)),
    );
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(id: &str) -> Origin {
        Origin::Repository {
            name: "source".into(),
            commit: "c".into(),
            path: "p".into(),
            id: id.into(),
        }
    }

    #[test]
    fn only_what_differs_is_changed_and_only_what_a_source_speaks_of_goes() {
        let files = BTreeMap::from([
            ("state/a.json".to_owned(), file("1")),
            ("state/b.json".to_owned(), file("2")),
            ("state/new.json".to_owned(), file("3")),
            ("state/local".to_owned(), Origin::Bytes(b"same".to_vec())),
            ("state/other".to_owned(), Origin::Bytes(b"new".to_vec())),
        ]);
        let present = BTreeMap::from(
            [
                ("state/a.json", "1"),
                ("state/b.json", "old"),
                ("state/gone.json", "9"),
                ("state/local", "x"),
                ("state/other", "y"),
                ("state/unknown.json", "9"),
                ("state/kept.txt", "9"),
                ("README.md", "9"),
            ]
            .map(|(place, id)| (place.to_owned(), id.to_owned())),
        );
        let wanted = Collected {
            files,
            unknown: vec!["state/unknown.json".into()],
        };
        let sources = [Source::new(&["*.json"], "state/")];
        let read = |place: &str| match place {
            "state/local" => Some(b"same".to_vec()),
            _ => Some(b"old".to_vec()),
        };
        let changes = changes(&wanted, &present, &sources, read);
        let words: Vec<(&str, bool)> = changes
            .iter()
            .map(|(place, change)| (*place, matches!(change, Change::Delete)))
            .collect();
        assert_eq!(
            words,
            [
                ("state/b.json", false),
                ("state/new.json", false),
                ("state/other", false),
                ("state/gone.json", true),
            ]
        );
    }
}
