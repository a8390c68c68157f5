//! The host's own key for commits: SSH, Ed25519, made at first use.
//!
//! Ed25519 signatures are a function of key and text, so a commit that is made again is the same commit.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{HashAlg, LineEnding, PrivateKey};

/// The file in the state folder.
const FILE: &str = "signing_key";

/// The file in git's home that says whose signatures count.
pub(super) const GIT_CONFIG: &str = "trust.gitconfig";

/// What is signed by git's word for it.
const NAMESPACE: &str = "git";

/// The line in front of the key by which git knows the committer.
const COMMITTER: &str = "infinity@localhost";

/// A key that signs commits.
pub struct SigningKey(PrivateKey);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_tuple("SigningKey")
            .field(&self.fingerprint())
            .finish()
    }
}

impl SigningKey {
    /// The key in a state folder, made if there is none. Beside it are `signing_key.pub`, for forges, and `allowed_signers`, for `git verify-commit`.
    ///
    /// # Errors
    /// When the file cannot be read, is no such key, or cannot be written.
    pub fn open(state: &Path) -> io::Result<Self> {
        let path = state.join(FILE);
        let wrong = |error: ssh_key::Error| {
            io::Error::other(format!("`{}` is no SSH key: {error}", path.display()))
        };
        let key = match fs::read_to_string(&path) {
            Ok(text) => PrivateKey::from_openssh(text).map_err(wrong)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut seed = [0; 32];
                aws_lc_rs::rand::fill(&mut seed)
                    .map_err(|_| io::Error::other("there is no randomness"))?;
                let pair = KeypairData::from(Ed25519Keypair::from_seed(&seed));
                let key = PrivateKey::new(pair, "infinity").map_err(wrong)?;
                let text = key.to_openssh(LineEnding::LF).map_err(wrong)?;
                let mut file = fs::OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(&path)?;
                file.write_all(text.as_bytes())?;
                file.sync_all()?;
                key
            }
            Err(error) => return Err(error),
        };
        let public = key.public_key().to_openssh().map_err(wrong)?;
        fs::write(path.with_extension("pub"), format!("{public}\n"))?;
        let signers = state.join("allowed_signers");
        fs::write(
            &signers,
            format!("{COMMITTER} namespaces=\"{NAMESPACE}\" {public}\n"),
        )?;
        let home = state.join("git-home");
        fs::create_dir_all(&home)?;
        let signers = fs::canonicalize(signers)?;
        let quoted = signers
            .display()
            .to_string()
            .replace('\\', "\\\\")
            .replace('"', "\\\"");
        fs::write(
            home.join(GIT_CONFIG),
            format!("[gpg \"ssh\"]\n\tallowedSignersFile = \"{quoted}\"\n"),
        )?;
        Ok(Self(key))
    }

    /// The key's fingerprint, as `ssh-keygen -l` prints it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.0.fingerprint(HashAlg::Sha256).to_string()
    }

    /// The signature over a text, as git keeps it.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn sign(&self, text: &[u8]) -> Result<String, ssh_key::Error> {
        self.sign_for(NAMESPACE, text)
    }

    /// The signature over a text for another use than commits.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn sign_for(&self, namespace: &str, text: &[u8]) -> Result<String, ssh_key::Error> {
        self.0
            .sign(namespace, HashAlg::Sha512, text)?
            .to_pem(LineEnding::LF)
    }

    /// The key by which others see that it signed.
    #[must_use]
    pub fn public(&self) -> ssh_key::PublicKey {
        self.0.public_key().clone()
    }
}
