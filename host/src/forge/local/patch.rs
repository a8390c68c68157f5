//! What a patch makes of a commit, to be looked at. Nothing of it stays: the index and the new objects are in a folder of their own.

use super::write::{Objects, WriteError};
use super::{Call, LocalForge};
use crate::forge::{Entry, FileDiff, ForgeError, shown};
use tempfile::TempDir;

/// Complaints that are passed on; who sees so many looks at the whole patch again.
const COMPLAINTS_MAX: usize = 20;

/// Whether a line stands for the content of a binary file, in a form of git's own or by its id.
fn is_binary(line: &str) -> bool {
    line == "GIT binary patch" || (line.starts_with("Binary files ") && line.ends_with(" differ"))
}

/// A tree that may not be in the repository, and what it differs from.
#[derive(Debug)]
pub struct Patched {
    aside: Option<TempDir>,
    base: String,
    tree: String,
}

impl Patched {
    /// What a commit has, seen from another; both are full ids.
    #[must_use]
    pub fn commit(base: String, head: String) -> Self {
        Self {
            aside: None,
            base,
            tree: head,
        }
    }

    fn objects(&self) -> Objects<'_> {
        match &self.aside {
            Some(directory) => Objects::Aside(directory.path()),
            None => Objects::Kept,
        }
    }
}

impl LocalForge {
    /// Applies a patch in git's format to a commit, given by its full id.
    ///
    /// # Errors
    /// [`WriteError::Refused`] for what does not apply, with the places, and for paths that lead out of the repository.
    pub async fn patched(&self, base: &str, patch: &str) -> Result<Patched, WriteError> {
        // A few kilobytes of it may stand for gigabytes.
        if patch.lines().any(is_binary) {
            return Err(WriteError::Refused(
                "it has a binary file, which is taken from a branch only".into(),
            ));
        }
        let aside = self.scratch().await?;
        let objects = Objects::Aside(aside.path());
        let index = aside.path().join("index");
        let with_index = |mut call: Call<'static>| {
            call.environment
                .push(("GIT_INDEX_FILE".into(), index.clone().into()));
            self.place_objects(&mut call, &objects);
            call
        };
        self.output(with_index(self.writing(["read-tree", base])))
            .await?;
        let mut call = with_index(self.writing(["apply", "--cached", "--whitespace=nowarn", "-"]));
        let mut text = patch.as_bytes().to_vec();
        if !text.ends_with(b"\n") {
            text.push(b'\n');
        }
        call.stdin = Some(text);
        call.environment.push(self.without_attributes().await?);
        let answer = self.run(call).await?;
        if answer.code != Some(0) {
            // What names a folder of the host is not the patch's fault.
            let own = aside.path().to_string_lossy();
            if answer.code != Some(1) && answer.code != Some(128)
                || answer.complaint.contains(&*own)
            {
                return Err(self.failure("apply", &answer).into());
            }
            return Err(WriteError::Refused(why(&answer.complaint)));
        }
        let tree = self
            .output(with_index(self.writing(["write-tree"])))
            .await?;
        Ok(Patched {
            base: base.to_owned(),
            tree: String::from_utf8_lossy(&tree).trim().to_owned(),
            aside: Some(aside),
        })
    }

    /// What the patch changes.
    ///
    /// # Errors
    /// As [`crate::forge::Forge::diff`].
    pub async fn patched_diff(&self, patched: &Patched) -> Result<Vec<FileDiff>, ForgeError> {
        self.diff_between(Some(&patched.base), &patched.tree, &patched.objects())
            .await
    }

    /// All files after the patch.
    ///
    /// # Errors
    /// As [`crate::forge::Forge::tree`].
    pub async fn patched_tree(&self, patched: &Patched) -> Result<Vec<Entry>, ForgeError> {
        let entries = self
            .entries(&patched.tree, "", true, &patched.objects())
            .await?;
        Ok(entries.into_iter().map(|listed| listed.entry).collect())
    }

    /// The bytes of files after the patch, which have `bytes` together, in the order of their ids.
    ///
    /// # Errors
    /// As every read.
    pub async fn patched_files(
        &self,
        patched: &Patched,
        ids: &[String],
        bytes: usize,
    ) -> Result<Vec<Vec<u8>>, ForgeError> {
        let mut call = self.call(["cat-file", "--batch"]);
        let mut names = ids.join("\n");
        names.push('\n');
        call.stdin = Some(names.into_bytes());
        // Each file has a line of its own in front and a line feed behind.
        call.bytes_max = bytes + ids.len() * 100;
        call.too_large = "the files are larger than they were";
        self.place_objects(&mut call, &patched.objects());
        let answer = self.output(call).await?;
        let mut rest = answer.as_slice();
        let mut files = Vec::with_capacity(ids.len());
        for _ in ids {
            let (file, after) = next_file(rest).ok_or_else(|| self.unreadable("cat-file"))?;
            files.push(file.to_vec());
            rest = after;
        }
        Ok(files)
    }
}

/// The first file of an answer of `cat-file --batch`, and what follows it.
fn next_file(answer: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = answer.iter().position(|byte| *byte == b'\n')?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let mut words = head.split(' ');
    let (_, "blob", size) = (words.next()?, words.next()?, words.next()?) else {
        return None;
    };
    let size: usize = size.parse().ok()?;
    let file = answer.get(end + 1..)?.get(..size)?;
    Some((file, answer.get(end + 1 + size + 1..)?))
}

/// Git's complaints about a patch, for people: where it stopped, without git's own prefixes.
fn why(complaint: &str) -> String {
    let lines: Vec<String> = complaint
        .lines()
        .filter_map(|line| line.strip_prefix("error: "))
        .filter(|line| !line.ends_with("patch does not apply"))
        .map(|line| match line.strip_prefix("patch failed: ") {
            Some(place) => format!(
                "the hunk at `{}` does not fit",
                shown(place).trim_matches('`')
            ),
            None => {
                let line = line.split(" (allow with").next().unwrap_or(line);
                shown(line).trim_matches('`').to_owned()
            }
        })
        .take(COMPLAINTS_MAX)
        .collect();
    if lines.is_empty() {
        "git finds no patch in it".into()
    } else {
        lines.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_names_the_hunk() {
        let said = "error: patch failed: src/a.py:12\nerror: src/a.py: patch does not apply\n";
        assert_eq!(why(said), "the hunk at `src/a.py:12` does not fit");
        assert!(why("error: invalid path '../x'").contains("invalid path"));
        assert_eq!(why(""), "git finds no patch in it");
    }

    #[test]
    fn files_are_told_apart_by_their_sizes() {
        let answer = b"aa blob 3\na\nb\nbb blob 0\n\ncc blob 1\nx\n";
        let (one, rest) = next_file(answer).unwrap();
        assert_eq!(one, b"a\nb");
        let (two, rest) = next_file(rest).unwrap();
        assert_eq!(two, b"");
        let (three, rest) = next_file(rest).unwrap();
        assert_eq!((three, rest), (&b"x"[..], &b""[..]));
        assert!(next_file(b"aa missing\n").is_none());
        assert!(next_file(b"aa blob 9\nabc").is_none());
    }
}
