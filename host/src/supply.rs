//! Where components come from, and which of them may be used: digests that are pinned, signatures over digests, and registries that components are fetched from.
//!
//! Invariants: what is judged is the digest of the bytes that the caller holds and will use; nothing reads a component a second time. A component that does not have
//! what the configuration requires is refused alone, before anything looks into it. The host itself needs no registry: only commands speak to one, and what they fetch
//! becomes a file in the folder.
//!
//! It does not know agents, compiling or requests to the API.

pub mod files;
pub mod lock;
pub mod oci;
pub mod reference;
pub mod signature;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ssh_key::PublicKey;

use self::lock::{Lock, LockError};
use self::signature::Verdict;
use crate::config::{Require, SupplyConfig};

/// What the configuration requires, with what the lock names.
#[derive(Debug)]
pub struct Supply {
    require: Require,
    trusted: BTreeMap<String, PublicKey>,
    lock_file: PathBuf,
    lock: Result<Lock, LockError>,
}

/// What is known of where a component comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whether the lock names it with this digest.
    pub locked: bool,
    /// Where it came from, as the lock has it: `file` or `oci:…`; none while it is not locked.
    pub source: Option<String>,
    /// Who signed it.
    pub signature: Verdict,
}

impl Standing {
    /// The trusted name that signed it.
    #[must_use]
    pub fn signed_by(&self) -> Option<String> {
        match &self.signature {
            Verdict::Trusted { name } => Some(name.clone()),
            Verdict::Unsigned | Verdict::Untrusted { .. } | Verdict::Bad { .. } => None,
        }
    }
}

/// Why a component may not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Denied {
    /// `digest_mismatch`, `not_locked`, `invalid_lock`, `unsigned`, `untrusted_key` or `bad_signature`.
    pub reason: &'static str,
    /// One sentence, with what would allow it.
    pub message: String,
}

impl Supply {
    /// Reads the lock. One that cannot be read counts when it is needed.
    #[must_use]
    pub fn open(config: &SupplyConfig) -> Self {
        Self {
            require: config.require,
            trusted: config.trusted.clone(),
            lock_file: config.lock.clone(),
            lock: Lock::read(&config.lock),
        }
    }

    /// What is known of the component `name` in `file`, whose bytes have this digest; and why it may not be used, if it may not.
    #[must_use]
    pub fn judge(&self, name: &str, file: &Path, digest: &str) -> (Standing, Option<Denied>) {
        let entry = self.lock.as_ref().ok().and_then(|lock| lock.get(name));
        let locked = entry.is_some_and(|entry| entry.digest == digest);
        let signature = match signature::beside(file) {
            Ok(None) => Verdict::Unsigned,
            Ok(Some(text)) => signature::verify(&text, digest, &self.trusted),
            Err(why) => Verdict::Bad { why },
        };
        let standing = Standing {
            locked,
            source: entry.filter(|_| locked).map(|entry| entry.source.clone()),
            signature,
        };
        let denied = self
            .require
            .lock()
            .then(|| self.unlocked(name, digest))
            .flatten()
            .or_else(|| {
                self.require
                    .signature()
                    .then(|| unproven(name, &standing.signature))
                    .flatten()
            });
        (standing, denied)
    }

    fn unlocked(&self, name: &str, digest: &str) -> Option<Denied> {
        let file = shown(&self.lock_file);
        let lock = match &self.lock {
            Ok(lock) => lock,
            Err(error) => {
                return Some(Denied {
                    reason: "invalid_lock",
                    message: error.to_string(),
                });
            }
        };
        match lock.get(name) {
            Some(entry) if entry.digest == digest => None,
            Some(entry) => Some(Denied {
                reason: "digest_mismatch",
                message: format!(
                    "`{name}.wasm` is not the component that `{file}` names: its digest is {digest}, not {}; if it is the right one, allow it with `infinity plugin lock {name}`",
                    entry.digest
                ),
            }),
            None => Some(Denied {
                reason: "not_locked",
                message: format!(
                    "`{name}.wasm` is not in `{file}`; if it is the right component, allow it with `infinity plugin lock {name}`"
                ),
            }),
        }
    }
}

/// Why a signature does not do.
#[must_use]
pub fn unproven(name: &str, verdict: &Verdict) -> Option<Denied> {
    match verdict {
        Verdict::Trusted { .. } => None,
        Verdict::Unsigned => Some(Denied {
            reason: "unsigned",
            message: format!(
                "nobody signed `{name}.wasm`: there is no `{name}.wasm.sig`; `infinity plugin sign {name}.wasm --key FILE` writes it"
            ),
        }),
        Verdict::Untrusted { key, fingerprint } => Some(Denied {
            reason: "untrusted_key",
            message: format!(
                "`{name}.wasm` is signed by a key that is not trusted, {fingerprint}; to trust it write `NAME = \"{key}\"` in `trusted` of `[plugins]`"
            ),
        }),
        Verdict::Bad { why } => Some(Denied {
            reason: "bad_signature",
            message: format!(
                "the signature of `{name}.wasm` does not hold: {why}; fetch the two files again, or sign anew with `infinity plugin sign {name}.wasm --key FILE`"
            ),
        }),
    }
}

/// A file's name without its folder.
fn shown(file: &Path) -> String {
    file.file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::lock::Entry;
    use super::signature::{PrivateKey, generate, sign};
    use super::*;

    const DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000001";
    const OTHER: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000002";

    struct Place {
        folder: tempfile::TempDir,
        key: PrivateKey,
    }

    impl Place {
        fn new() -> Self {
            Self {
                folder: tempfile::tempdir().unwrap(),
                key: generate().unwrap(),
            }
        }

        fn file(&self) -> PathBuf {
            self.folder.path().join("a.wasm")
        }

        fn supply(&self, require: Require) -> Supply {
            let mut key = self.key.public_key().clone();
            key.set_comment("");
            Supply::open(&SupplyConfig {
                require,
                trusted: BTreeMap::from([("alice".to_owned(), key)]),
                lock: self.folder.path().join("plugins.lock"),
            })
        }

        fn lock(&self, digest: &str) {
            let mut lock = Lock::default();
            lock.put(
                "a",
                Entry {
                    digest: digest.to_owned(),
                    size: 1,
                    source: "file".to_owned(),
                },
            );
            lock.write(&self.folder.path().join("plugins.lock"))
                .unwrap();
        }

        fn sign(&self, key: &PrivateKey, digest: &str) {
            let text = sign(key, digest).unwrap();
            std::fs::write(signature::file_of(&self.file()), text).unwrap();
        }

        fn reason(&self, require: Require) -> Option<&'static str> {
            let (_, denied) = self.supply(require).judge("a", &self.file(), DIGEST);
            denied.map(|denied| denied.reason)
        }
    }

    #[test]
    fn what_the_lock_names_is_allowed_and_nothing_else() {
        let place = Place::new();
        assert_eq!(place.reason(Require::Nothing), None);
        assert_eq!(place.reason(Require::Lock), Some("not_locked"));
        place.lock(OTHER);
        assert_eq!(place.reason(Require::Nothing), None);
        assert_eq!(place.reason(Require::Lock), Some("digest_mismatch"));
        place.lock(DIGEST);
        assert_eq!(place.reason(Require::Lock), None);
        std::fs::write(place.folder.path().join("plugins.lock"), "version = [").unwrap();
        assert_eq!(place.reason(Require::Lock), Some("invalid_lock"));
        assert_eq!(place.reason(Require::Nothing), None);
    }

    #[test]
    fn a_signature_counts_for_one_digest_by_one_key() {
        let place = Place::new();
        assert_eq!(place.reason(Require::Signature), Some("unsigned"));
        place.sign(&generate().unwrap(), DIGEST);
        assert_eq!(place.reason(Require::Signature), Some("untrusted_key"));
        place.sign(&place.key, OTHER);
        assert_eq!(place.reason(Require::Signature), Some("bad_signature"));
        std::fs::write(signature::file_of(&place.file()), "nothing").unwrap();
        assert_eq!(place.reason(Require::Signature), Some("bad_signature"));
        place.sign(&place.key, DIGEST);
        assert_eq!(place.reason(Require::Signature), None);
        let (standing, _) = place
            .supply(Require::Nothing)
            .judge("a", &place.file(), DIGEST);
        assert_eq!(standing.signed_by().as_deref(), Some("alice"));
        assert!(!standing.locked);
    }

    #[test]
    fn both_means_both() {
        let place = Place::new();
        place.lock(DIGEST);
        assert_eq!(place.reason(Require::Both), Some("unsigned"));
        place.sign(&place.key, DIGEST);
        assert_eq!(place.reason(Require::Both), None);
        place.lock(OTHER);
        assert_eq!(place.reason(Require::Both), Some("digest_mismatch"));
    }
}
