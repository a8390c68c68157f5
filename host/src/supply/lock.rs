//! `plugins.lock`: the digest of each component, with its size and where it came from.
//!
//! Invariants: the names are in order, so that two versions of the file compare line by line; the file is the old one or the new one, whole, at any moment; what a
//! newer version of the program wrote is not guessed at.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::files;

/// The version of the file that this writes.
const VERSION: u32 = 1;

/// Bytes of the file: a thousand components take a quarter of it.
const MAX_BYTES: u64 = 1 << 20;

/// What the file begins with.
const HEAD: &str =
    "# The components that may run, by digest. `infinity plugin lock` writes this file.\n";

/// Where a component came from that was in the folder.
pub const FILE: &str = "file";

/// What is pinned, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    entries: BTreeMap<String, Entry>,
}

/// One component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// `sha256:<hex>` of the file.
    pub digest: String,
    /// In bytes.
    pub size: u64,
    /// [`FILE`], or `oci:REGISTRY/NAME:TAG@sha256:…` with the digest of the manifest.
    pub source: String,
}

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    #[serde(default)]
    plugins: BTreeMap<String, Entry>,
}

/// Why a lock cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// The system says no.
    #[error("`{file}` cannot be read: {why}")]
    Unreadable { file: String, why: String },
    /// It is no lock.
    #[error(
        "`{file}` is no lock: {why}; mend it, or delete it and run `infinity plugin lock` once the components in the folder are known to be right"
    )]
    Invalid { file: String, why: String },
    /// It is of a later time.
    #[error(
        "`{file}` is of version {found}, this program knows version {VERSION}; take a newer one"
    )]
    Version { file: String, found: u32 },
}

impl Lock {
    /// Reads a lock; one that is not there is empty.
    ///
    /// # Errors
    /// [`LockError`]
    pub fn read(file: &Path) -> Result<Self, LockError> {
        let shown = || file.display().to_string();
        let unreadable = |why: String| LockError::Unreadable { file: shown(), why };
        // Looked at before it is opened, because opening a pipe would wait for a writer.
        match file.metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => return Err(unreadable(error.to_string())),
            Ok(metadata) if !metadata.is_file() => {
                return Err(unreadable("it is no regular file".into()));
            }
            Ok(_) => {}
        }
        let mut text = String::new();
        std::fs::File::open(file)
            .and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text))
            .map_err(|error| unreadable(error.to_string()))?;
        if text.len() as u64 > MAX_BYTES {
            return Err(unreadable("it is larger than 1 MiB".into()));
        }
        Self::parse(&text, &shown())
    }

    fn parse(text: &str, file: &str) -> Result<Self, LockError> {
        let invalid = |why: String| LockError::Invalid {
            file: file.to_owned(),
            why,
        };
        // The version first: what else a newer file holds says nothing here.
        let table: toml::Table = text
            .parse()
            .map_err(|error: toml::de::Error| invalid(error.message().to_owned()))?;
        let version = table.get("version").and_then(toml::Value::as_integer);
        if let Some(found) = version.and_then(|version| u32::try_from(version).ok())
            && found > VERSION
        {
            return Err(LockError::Version {
                file: file.to_owned(),
                found,
            });
        }
        let document: Document = table
            .try_into()
            .map_err(|error: toml::de::Error| invalid(error.message().to_owned()))?;
        if document.version != VERSION {
            return Err(invalid(format!("there is no version {}", document.version)));
        }
        let wrong = document
            .plugins
            .iter()
            .find(|(_, entry)| !is_digest(&entry.digest));
        if let Some((name, _)) = wrong {
            return Err(invalid(format!("the digest of `{name}` is none")));
        }
        Ok(Self {
            entries: document.plugins,
        })
    }

    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&self, file: &Path) -> std::io::Result<()> {
        files::write(file, self.text().as_bytes())
    }

    fn text(&self) -> String {
        let mut text = format!("{HEAD}version = {VERSION}\n");
        for (name, entry) in &self.entries {
            // As `serde_json` writes it a string is one of TOML, too, but for the one control character that JSON takes as it is.
            let quoted = |text: &str| {
                serde_json::Value::from(text)
                    .to_string()
                    .replace('\u{7f}', "\\u007f")
            };
            let _ = write!(
                text,
                "\n[plugins.{}]\ndigest = {}\nsize = {}\nsource = {}\n",
                quoted(name),
                quoted(&entry.digest),
                entry.size,
                quoted(&entry.source)
            );
        }
        text
    }

    /// What is pinned under a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// Pins a component, and answers what was pinned under its name.
    pub fn put(&mut self, name: &str, entry: Entry) -> Option<Entry> {
        self.entries.insert(name.to_owned(), entry)
    }

    /// Drops a name.
    pub fn remove(&mut self, name: &str) {
        self.entries.remove(name);
    }

    /// All names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }
}

/// Whether this is `sha256:` and 64 small hexadecimal digits.
#[must_use]
pub fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64
            && hex
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(last: &str) -> Entry {
        Entry {
            digest: format!("sha256:{}{last}", "0".repeat(63)),
            size: 12,
            source: FILE.to_owned(),
        }
    }

    #[test]
    fn a_lock_is_written_in_order_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("plugins.lock");
        assert_eq!(Lock::read(&file).unwrap(), Lock::default());
        let mut lock = Lock::default();
        assert_eq!(lock.put("mirror", entry("1")), None);
        lock.put("badge", entry("2"));
        lock.put("a.b \"c\"", entry("3"));
        lock.write(&file).unwrap();
        assert_eq!(Lock::read(&file).unwrap(), lock);
        let text = std::fs::read_to_string(&file).unwrap();
        let place = |name: &str| text.find(name).unwrap();
        assert!(place("a.b") < place("badge") && place("badge") < place("mirror"));
        lock.remove("mirror");
        assert_eq!(lock.names().collect::<Vec<_>>(), ["a.b \"c\"", "badge"]);
    }

    #[test]
    fn what_is_no_lock_is_told_apart() {
        let check = |text: &str, expected: fn(&LockError) -> bool| {
            let error = Lock::parse(text, "plugins.lock").unwrap_err();
            assert!(expected(&error), "{text}: {error}");
        };
        let invalid: fn(&LockError) -> bool = |error| matches!(error, LockError::Invalid { .. });
        check("", invalid);
        check("version = 0", invalid);
        check("version = 1\nmore = 2", invalid);
        check(
            "version = 1\n[plugins.a]\ndigest = \"sha256:12\"\nsize = 1\nsource = \"file\"",
            invalid,
        );
        check("version = 2\nmore = 2", |error| {
            matches!(error, LockError::Version { found: 2, .. })
        });
    }

    #[test]
    fn a_digest_is_one_of_sha256() {
        assert!(is_digest(&format!("sha256:{}", "0a".repeat(32))));
        for wrong in [
            "",
            "sha256:",
            "sha512:00",
            &format!("sha256:{}", "A".repeat(64)),
        ] {
            assert!(!is_digest(wrong), "{wrong}");
        }
    }
}
