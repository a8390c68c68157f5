//! What git prints and stores, as values. Lenient where people write, as in messages and names; strict where git does.

use crate::forge::{AddedLine, Change, Commit, Entry, EntryKind, FileDiff, Person, Version};

pub(super) fn is_object_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The parts of NUL-terminated output.
pub(super) fn records(output: &[u8]) -> impl Iterator<Item = &[u8]> {
    output
        .split(|byte| *byte == 0)
        .filter(|record| !record.is_empty())
}

pub(super) fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// An entry, and whether it has content of its own: a directory is listed as a file would be.
pub(super) struct ListedEntry {
    pub(super) entry: Entry,
    pub(super) is_blob: bool,
}

/// Parses `<mode> <type> <id> <size>\t<path>`, as `ls-tree --long` writes it.
pub(super) fn parse_tree_record(record: &[u8]) -> Option<ListedEntry> {
    let tab = record.iter().position(|byte| *byte == b'\t')?;
    let head = std::str::from_utf8(&record[..tab]).ok()?;
    let mut fields = head.split_ascii_whitespace();
    let (mode, object, id, size) = (
        fields.next()?,
        fields.next()?,
        fields.next()?,
        fields.next()?,
    );
    let kind = kind_of(mode);
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

pub(super) fn kind_of(mode: &str) -> EntryKind {
    match mode {
        "100755" => EntryKind::Executable,
        "120000" => EntryKind::Symlink,
        "160000" => EntryKind::Submodule,
        _ => EntryKind::File,
    }
}

/// Parses `<mode> <type> <id>\t<path>`.
pub(super) fn parse_listed(record: &[u8]) -> Option<(String, Version)> {
    let tab = record.iter().position(|byte| *byte == b'\t')?;
    let head = std::str::from_utf8(&record[..tab]).ok()?;
    let mut fields = head.split_ascii_whitespace();
    let (mode, _, id) = (fields.next()?, fields.next()?, fields.next()?);
    let version = Version {
        kind: kind_of(mode),
        id: id.to_owned(),
    };
    is_object_id(id).then(|| (lossy(&record[tab + 1..]), version))
}

/// An entry of a tree as it is stored.
pub(super) struct StoredEntry<'a> {
    pub(super) mode: &'a str,
    pub(super) name: &'a [u8],
    pub(super) id: &'a [u8],
}

/// Takes the next entry of a tree, `<mode> <name>\0<id>`; an id has `width` bytes.
pub(super) fn next_entry<'a>(rest: &mut &'a [u8], width: usize) -> Option<StoredEntry<'a>> {
    let (head, after) = split_nul(rest)?;
    let (id, after) = after.split_at_checked(width)?;
    *rest = after;
    let space = head.iter().position(|byte| *byte == b' ')?;
    Some(StoredEntry {
        mode: std::str::from_utf8(&head[..space]).ok()?,
        name: &head[space + 1..],
        id,
    })
}

pub(super) fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a commit is signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signature {
    Ssh,
    Other,
}

/// Whether git's word for a signature means that the operator trusts its key.
///
/// `U` is a good signature of a key whose owner is not vouched for. An OpenPGP
/// key must have been imported for that; an SSH key travels with the
/// signature, so `U` says nothing there.
pub(super) fn is_trusted(signature: Signature, state: Option<u8>) -> bool {
    match state {
        Some(b'G') => true,
        Some(b'U') => signature == Signature::Other,
        _ => false,
    }
}

/// Parses a commit object, leniently: what is missing is empty.
pub(super) fn parse_commit(id: &str, content: &[u8]) -> (Commit, Option<Signature>) {
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
pub(super) fn parse_diff(output: &[u8]) -> Option<Vec<FileDiff>> {
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

pub(super) fn split_nul(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
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
