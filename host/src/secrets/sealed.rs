//! Secrets of this host's own: one sealed file in the state folder, with the current and the previous value of each.
//!
//! Invariants: the file is replaced as a whole or not at all, and says nothing without the keys beside it; both are their owner's alone, or they are not read.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::audit::seal::Sealer;

/// The sealed file in the state folder.
pub const FILE: &str = "secrets.sealed";

/// The file of its keys. Whoever has both has the secrets, so they belong into different backups.
pub const KEYS_FILE: &str = "secrets.keys";

/// Bytes of the sealed file: a thousand of the largest secrets, with what came before each.
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Secrets that fit.
pub(super) const SECRETS_MAX: usize = 1_000;

/// What the file is sealed for: the text opens in no other place.
const PLACE: &[u8] = b"secrets";

/// One value.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Version {
    pub(super) number: u64,
    pub(super) value: String,
    pub(super) at: Timestamp,
}

/// One secret.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) current: Version,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) previous: Option<Previous>,
}

/// The value before, and until when it counts.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Previous {
    pub(super) version: Version,
    pub(super) until: Timestamp,
}

/// Since when a value is the same that this host did not make: what the environment does not say.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    /// What cannot be led back to the value without the keys.
    pub(super) mark: String,
    pub(super) since: Timestamp,
}

/// What was done while no host ran, for the next one's journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Done {
    pub(super) action: String,
    pub(super) name: String,
    pub(super) at: Timestamp,
}

/// Everything in the file.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Contents {
    pub(super) secrets: BTreeMap<String, Stored>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) seen: BTreeMap<String, Seen>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) done: Vec<Done>,
}

/// The file of one state folder.
pub(super) struct Sealed {
    state: PathBuf,
}

impl Sealed {
    pub(super) fn new(state: &Path) -> Self {
        Self {
            state: state.to_owned(),
        }
    }

    fn path(&self) -> PathBuf {
        self.state.join(FILE)
    }

    /// What is in the file; nothing while there is none.
    ///
    /// # Errors
    /// When it or its keys cannot be read, are open to others, or are damaged.
    pub(super) fn read(&self) -> io::Result<Contents> {
        let path = self.path();
        match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Contents::default());
            }
            metadata => check(&path, &metadata?)?,
        }
        let keys = self.state.join(KEYS_FILE);
        check(&keys, &fs::metadata(&keys)?)?;
        let damaged = |why: &dyn std::fmt::Display| {
            io::Error::other(format!(
                "`{}` cannot be opened: {why}; put it and `{KEYS_FILE}` back from a copy, or remove both and set the secrets again",
                path.display()
            ))
        };
        let text = Sealer::open_file_to_read(&keys)?
            .open_sealed(PLACE, &fs::read(&path)?)
            .map_err(|error| damaged(&error))?;
        serde_json::from_slice(&text).map_err(|error| damaged(&error))
    }

    /// Puts the contents in the file's place, and makes folder and keys where there are none.
    ///
    /// # Errors
    /// When something cannot be written; nothing changes then.
    pub(super) fn write(&self, contents: &Contents) -> io::Result<()> {
        fs::create_dir_all(&self.state)?;
        let text = serde_json::to_vec(contents)?;
        let sealed = Sealer::open_file(&self.state.join(KEYS_FILE))?.protect(PLACE, &text)?;
        // A temporary file is its owner's alone.
        let mut file = tempfile::Builder::new()
            .prefix(FILE)
            .tempfile_in(&self.state)?;
        file.write_all(&sealed)?;
        file.as_file().sync_all()?;
        file.persist(self.path()).map_err(|error| error.error)?;
        fs::File::open(&self.state)?.sync_all()
    }

    /// By what a value is known again, without the value; none before there are keys.
    pub(super) fn mark(&self, name: &str, value: &str) -> Option<String> {
        let sealer = Sealer::open_file_to_read(&self.state.join(KEYS_FILE)).ok()?;
        let mark = sealer.person("secret", &format!("{name}={value}"));
        Some(hex::encode(&mark[..16]))
    }
}

/// Whether a file is its owner's alone and of a size that can be read.
fn check(path: &Path, metadata: &fs::Metadata) -> io::Result<()> {
    let shown = path.display();
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(io::Error::other(format!(
            "`{shown}` can be read by others and is not used; `chmod 600 {shown}` mends it"
        )));
    }
    if metadata.len() > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("`{shown}` is too large")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_says_nothing_without_its_keys_and_is_its_owners_alone() {
        let state = tempfile::tempdir().unwrap();
        let sealed = Sealed::new(state.path());
        assert!(sealed.read().unwrap().secrets.is_empty());
        let mut contents = Contents::default();
        contents.secrets.insert(
            "TOKEN".into(),
            Stored {
                current: Version {
                    number: 1,
                    value: "a value of mine".into(),
                    at: crate::model::now(),
                },
                previous: None,
            },
        );
        sealed.write(&contents).unwrap();
        let bytes = fs::read(state.path().join(FILE)).unwrap();
        assert!(!bytes.windows(5).any(|part| part == b"value"));
        assert!(!bytes.windows(5).any(|part| part == b"TOKEN"));
        let again = Sealed::new(state.path()).read().unwrap();
        assert_eq!(again.secrets["TOKEN"].current.value, "a value of mine");
        for file in [FILE, KEYS_FILE] {
            let path = state.path().join(file);
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
            let error = sealed.read().map(|_| ()).unwrap_err().to_string();
            assert!(error.contains("chmod 600"), "{error}");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        fs::write(state.path().join(FILE), b"\x01something else").unwrap();
        assert!(sealed.read().is_err());
    }
}
