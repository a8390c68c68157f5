//! Signatures over a component's digest: SSH's own, by Ed25519 keys, so that `ssh-keygen -Y sign` makes them and `ssh-keygen -Y verify` checks them.
//!
//! What is signed is the digest's text and a line end: `sha256:<hex>\n`, in the namespace [`NAMESPACE`], so that no signature for another use counts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{HashAlg, LineEnding, PublicKey, SshSig};

pub use ssh_key::PrivateKey;

/// What signatures are made for.
pub const NAMESPACE: &str = "infinity-plugin@v1";

/// Bytes of a signature: one by an Ed25519 key has some 300.
pub const SIGNATURE_MAX_BYTES: u64 = 16 * 1024;

/// Bytes of a file with a key.
const KEY_MAX_BYTES: u64 = 16 * 1024;

/// What a signature says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is none.
    Unsigned,
    /// It is by a key that is trusted.
    Trusted {
        /// Under this name.
        name: String,
    },
    /// It holds, and its key is not trusted.
    Untrusted {
        /// The key, as `trusted` takes it.
        key: String,
        /// As `ssh-keygen -l` prints it.
        fingerprint: String,
    },
    /// It does not hold.
    Bad {
        /// Why, as a part of a sentence.
        why: String,
    },
}

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// No file of this kind.
    #[error("`{file}` cannot be read: {why}")]
    Unreadable { file: String, why: String },
    /// Another kind of key, or none.
    #[error("`{file}` is no Ed25519 key of SSH; `infinity plugin keygen FILE` makes one")]
    Kind { file: String },
    /// It has a passphrase, which nothing here asks for.
    #[error("the key in `{file}` has a passphrase")]
    Passphrase { file: String },
    /// It could not be made or used.
    #[error("the key cannot be used: {0}")]
    Unusable(String),
}

/// What is signed.
#[must_use]
pub fn message(digest: &str) -> String {
    format!("{digest}\n")
}

/// Where a component's signature is.
#[must_use]
pub fn file_of(component: &Path) -> PathBuf {
    let mut name = component.as_os_str().to_owned();
    name.push(".sig");
    name.into()
}

/// The signature beside a component, if there is one.
///
/// # Errors
/// Why the file cannot be a signature, as a part of a sentence.
pub fn beside(component: &Path) -> Result<Option<String>, String> {
    match bounded(&file_of(component), SIGNATURE_MAX_BYTES) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("it cannot be read: {error}")),
    }
}

/// Reads a small text.
fn bounded(file: &Path, max: u64) -> std::io::Result<String> {
    // Looked at before it is opened, because opening a pipe would wait for a writer.
    let metadata = std::fs::metadata(file)?;
    if !metadata.is_file() {
        return Err(std::io::Error::other("it is no regular file"));
    }
    if metadata.len() > max {
        return Err(std::io::Error::other(format!(
            "it has more than {max} bytes"
        )));
    }
    std::fs::read_to_string(file)
}

/// Who signed this digest.
#[must_use]
pub fn verify(text: &str, digest: &str, trusted: &BTreeMap<String, PublicKey>) -> Verdict {
    let bad = |why: &str| Verdict::Bad {
        why: why.to_owned(),
    };
    let Ok(signature) = text.trim().parse::<SshSig>() else {
        return bad("the file is no signature by an Ed25519 key of SSH");
    };
    if signature.namespace() != NAMESPACE {
        return bad("it was made for another use");
    }
    let key = PublicKey::from(signature.public_key().clone());
    if !key.key_data().is_ed25519() {
        return bad("it is not by an Ed25519 key");
    }
    if key
        .verify(NAMESPACE, message(digest).as_bytes(), &signature)
        .is_err()
    {
        return bad("it is for other bytes");
    }
    let found = trusted
        .iter()
        .find(|(_, one)| one.key_data() == key.key_data());
    match found {
        Some((name, _)) => Verdict::Trusted { name: name.clone() },
        None => Verdict::Untrusted {
            key: key.to_openssh().unwrap_or_default(),
            fingerprint: key.fingerprint(HashAlg::Sha256).to_string(),
        },
    }
}

/// Signs a digest.
///
/// # Errors
/// [`KeyError::Unusable`]
pub fn sign(key: &PrivateKey, digest: &str) -> Result<String, KeyError> {
    let unusable = |error: ssh_key::Error| KeyError::Unusable(error.to_string());
    key.sign(NAMESPACE, HashAlg::Sha512, message(digest).as_bytes())
        .map_err(unusable)?
        .to_pem(LineEnding::LF)
        .map_err(unusable)
}

/// A new key.
///
/// # Errors
/// [`KeyError::Unusable`]
pub fn generate() -> Result<PrivateKey, KeyError> {
    let mut seed = [0; 32];
    aws_lc_rs::rand::fill(&mut seed)
        .map_err(|_| KeyError::Unusable("there is no randomness".into()))?;
    let pair = KeypairData::from(Ed25519Keypair::from_seed(&seed));
    PrivateKey::new(pair, "infinity-plugin").map_err(|error| KeyError::Unusable(error.to_string()))
}

/// The key that a file holds, for signing.
///
/// # Errors
/// [`KeyError`] except [`KeyError::Unusable`]
pub fn private_key(file: &Path) -> Result<PrivateKey, KeyError> {
    let shown = || file.display().to_string();
    let text = bounded(file, KEY_MAX_BYTES).map_err(|error| KeyError::Unreadable {
        file: shown(),
        why: error.to_string(),
    })?;
    let key = PrivateKey::from_openssh(text).map_err(|_| KeyError::Kind { file: shown() })?;
    if key.is_encrypted() {
        return Err(KeyError::Passphrase { file: shown() });
    }
    if !key.key_data().is_ed25519() {
        return Err(KeyError::Kind { file: shown() });
    }
    Ok(key)
}

/// The key that a `.pub` file holds.
///
/// # Errors
/// [`KeyError::Unreadable`] and [`KeyError::Kind`]
pub fn public_key(file: &Path) -> Result<PublicKey, KeyError> {
    let shown = || file.display().to_string();
    let text = bounded(file, KEY_MAX_BYTES).map_err(|error| KeyError::Unreadable {
        file: shown(),
        why: error.to_string(),
    })?;
    PublicKey::from_openssh(text.trim())
        .ok()
        .filter(|key| key.key_data().is_ed25519())
        .ok_or_else(|| KeyError::Kind { file: shown() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_for_another_use_does_not_count() {
        let key = generate().unwrap();
        let digest = "sha256:00";
        let text = key
            .sign("git", HashAlg::Sha512, message(digest).as_bytes())
            .unwrap()
            .to_pem(LineEnding::LF)
            .unwrap();
        let trusted = BTreeMap::from([("alice".to_owned(), key.public_key().clone())]);
        assert!(matches!(
            verify(&text, digest, &trusted),
            Verdict::Bad { .. }
        ));
        let text = sign(&key, digest).unwrap();
        assert_eq!(
            verify(&text, digest, &trusted),
            Verdict::Trusted {
                name: "alice".into()
            }
        );
        assert!(matches!(
            verify(&text, "sha256:01", &trusted),
            Verdict::Bad { .. }
        ));
        assert!(matches!(
            verify(&text, digest, &BTreeMap::new()),
            Verdict::Untrusted { .. }
        ));
    }

    #[test]
    fn a_key_is_read_back_and_another_file_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let key = generate().unwrap();
        std::fs::write(&file, key.to_openssh(LineEnding::LF).unwrap().as_bytes()).unwrap();
        let read = private_key(&file).unwrap();
        assert_eq!(read.public_key().key_data(), key.public_key().key_data());
        std::fs::write(&file, "nothing").unwrap();
        assert!(matches!(private_key(&file), Err(KeyError::Kind { .. })));
        assert!(matches!(public_key(&file), Err(KeyError::Kind { .. })));
        let nowhere = folder.path().join("nowhere");
        assert!(matches!(
            private_key(&nowhere),
            Err(KeyError::Unreadable { .. })
        ));
    }
}
