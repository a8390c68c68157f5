//! Secrets in a folder of files: the name of a file is that of its secret. How service managers and containers hand them over.
//!
//! Invariant: a file that others can read, or that belongs to somebody else, is not read; who finds it so is told the line that mends it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use jiff::Timestamp;

use super::{Entry, Provider, VALUE_BYTES_MAX, is_name};
use crate::config::Secret;

/// Files of a folder that are looked at.
const FILES_MAX: usize = 1_000;

/// What is in a folder, and what keeps files from being read: one sentence each.
pub(super) fn read(folder: &Path) -> (BTreeMap<String, Entry>, Vec<String>) {
    let mut entries = BTreeMap::new();
    let mut problems = Vec::new();
    let listed = match fs::read_dir(folder) {
        Ok(listed) => listed,
        Err(error) => {
            problems.push(format!(
                "the folder of secrets `{}` cannot be read: {}",
                folder.display(),
                error.kind()
            ));
            return (entries, problems);
        }
    };
    for file in listed.flatten().take(FILES_MAX) {
        // What has another name is no secret: a `..data` of a mounted volume, a copy of an editor.
        let Some(name) = file.file_name().to_str().map(str::to_owned) else {
            continue;
        };
        if !is_name(&name) {
            continue;
        }
        match read_file(&file.path()) {
            Ok(entry) => {
                entries.insert(name, entry);
            }
            Err(problem) => problems.push(problem),
        }
    }
    problems.sort();
    (entries, problems)
}

fn read_file(path: &Path) -> Result<Entry, String> {
    let shown = path.display();
    let unreadable = |error: std::io::Error| {
        format!("the secret file `{shown}` cannot be read: {}", error.kind())
    };
    // A pipe would wait for a writer.
    let file = fs::OpenOptions::new()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
        .map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(format!("the secret file `{shown}` is no regular file"));
    }
    let own = rustix::process::geteuid().as_raw();
    if metadata.uid() != own && metadata.uid() != 0 {
        return Err(format!(
            "the secret file `{shown}` belongs to another user and is not read; `chown {own} {shown}` mends it"
        ));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(format!(
            "the secret file `{shown}` can be read by others and is not read; `chmod 600 {shown}` mends it"
        ));
    }
    let mut bytes = Vec::new();
    file.take(VALUE_BYTES_MAX as u64 + 2)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    let mut value = String::from_utf8(bytes)
        .map_err(|_| format!("the secret file `{shown}` is no UTF-8 text"))?;
    // Editors and `echo` put one there.
    if value.ends_with('\n') {
        value.pop();
        if value.ends_with('\r') {
            value.pop();
        }
    }
    if value.is_empty() || value.len() > VALUE_BYTES_MAX {
        return Err(format!(
            "the secret file `{shown}` is empty or has more than 64 KiB"
        ));
    }
    Ok(Entry {
        value: Secret::new(value),
        provider: Provider::Files,
        version: None,
        changed_at: Timestamp::from_second(metadata.mtime()).ok(),
        previous: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_others_can_read_is_refused_with_the_line_that_mends_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str, mode: u32| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        };
        file("GOOD", "value one\n", 0o600);
        file("READ_ONLY", "value two", 0o400);
        file("OPEN", "value three", 0o644);
        file("EMPTY", "\n", 0o600);
        file("LARGE", &"x".repeat(VALUE_BYTES_MAX + 1), 0o600);
        file("not-a-name", "value", 0o644);
        let (entries, problems) = read(folder.path());
        let names: Vec<&str> = entries.keys().map(String::as_str).collect();
        assert_eq!(names, ["GOOD", "READ_ONLY"]);
        assert_eq!(entries["GOOD"].value.expose(), "value one");
        assert_eq!(problems.len(), 3, "{problems:?}");
        let open = problems.iter().find(|problem| problem.contains("OPEN"));
        assert!(
            open.is_some_and(|problem| problem.contains("`chmod 600 ")),
            "{problems:?}"
        );
        let (_, problems) = read(&folder.path().join("missing"));
        assert_eq!(problems.len(), 1);
    }
}
