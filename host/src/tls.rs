//! The certificate that the API is served with, taken up anew whenever its files change.
//!
//! Invariants: files that are half written or wrong change nothing: what was served before is served on, and the log says why. Below TLS 1.2 nothing is spoken, below 1.3 only where it is set.

use crate::config::TlsConfig;
use arc_swap::ArcSwap;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, version};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio_rustls::TlsAcceptor;

/// Bytes of a file of certificates or keys: several times what a whole operating system trusts.
pub const FILE_BYTES_MAX: u64 = 4 << 20;

/// How often the files are looked at: who renews a certificate does so days before it ends.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Why files cannot be served with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` {reason}", .file.display())]
pub struct TlsError {
    /// Which of them.
    pub file: PathBuf,
    /// What is wrong with it, as the rest of a sentence.
    pub reason: String,
}

/// What can be seen of a file without reading it.
type Stamp = Option<(SystemTime, u64)>;

/// A certificate that is served with.
pub struct Tls {
    config: TlsConfig,
    current: ArcSwap<ServerConfig>,
}

fn wrong(file: &Path, reason: impl Into<String>) -> TlsError {
    TlsError {
        file: file.to_owned(),
        reason: reason.into(),
    }
}

fn read(file: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable =
        |error: std::io::Error| wrong(file, format!("cannot be read: {}", error.kind()));
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() || metadata.len() > FILE_BYTES_MAX {
        return Err(wrong(file, "is no file of at most 4 MiB"));
    }
    std::fs::read(file).map_err(unreadable)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(&read(file)?)
        .collect::<Result<_, _>>()
        .map_err(|_| wrong(file, "is not valid PEM"))?;
    if found.is_empty() {
        return Err(wrong(file, "holds no certificate"));
    }
    Ok(found)
}

/// What to serve with, as the files are now.
///
/// # Errors
/// The first file that cannot be used, and why.
pub fn load(config: &TlsConfig) -> Result<ServerConfig, TlsError> {
    let chain = certificates(&config.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&read(&config.key)?)
        .map_err(|_| wrong(&config.key, "holds no private key in PEM"))?;
    let versions: &[_] = if config.tls_1_2 {
        &[&version::TLS13, &version::TLS12]
    } else {
        &[&version::TLS13]
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(|error| wrong(&config.certificate, format!("cannot be used: {error}")))?;
    let builder = match &config.client_ca {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(file)? {
                roots
                    .add(certificate)
                    .map_err(|error| wrong(file, format!("holds what is no authority: {error}")))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| wrong(file, format!("cannot be used: {error}")))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut server = builder.with_single_cert(chain, key).map_err(|error| {
        wrong(
            &config.key,
            format!(
                "does not go with `{}`: {error}",
                config.certificate.display()
            ),
        )
    })?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(server)
}

impl Tls {
    /// What the configuration names.
    ///
    /// # Errors
    /// When a file cannot be used.
    pub fn open(config: TlsConfig) -> Result<Self, TlsError> {
        let current = ArcSwap::from_pointee(load(&config)?);
        Ok(Self { config, current })
    }

    /// What greets the next connection.
    #[must_use]
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.load_full())
    }

    fn stamps(&self) -> Vec<Stamp> {
        let files = [
            Some(&self.config.certificate),
            Some(&self.config.key),
            self.config.client_ca.as_ref(),
        ];
        files
            .into_iter()
            .flatten()
            .map(|file| {
                let metadata = file.metadata().ok()?;
                Some((metadata.modified().ok()?, metadata.len()))
            })
            .collect()
    }

    /// Looks at the files for ever, and serves with what they become.
    pub async fn follow(&self) {
        let mut seen = self.stamps();
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let stamps = self.stamps();
            if stamps == seen {
                continue;
            }
            seen = stamps;
            match load(&self.config) {
                Ok(server) => {
                    self.current.store(Arc::new(server));
                    tracing::info!(
                        "the API is served with the new `{}`",
                        self.config.certificate.display()
                    );
                }
                Err(error) => tracing::warn!(
                    "a changed certificate is not taken up, and the one before stays: {error}"
                ),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path, name: &str) -> TlsConfig {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        let config = TlsConfig {
            certificate: folder.join("cert.pem"),
            key: folder.join("key.pem"),
            client_ca: None,
            tls_1_2: false,
        };
        std::fs::write(&config.certificate, made.cert.pem()).unwrap();
        std::fs::write(&config.key, made.signing_key.serialize_pem()).unwrap();
        config
    }

    #[test]
    fn what_is_wrong_with_files_is_said_with_their_names() {
        let folder = tempfile::tempdir().unwrap();
        let config = files(folder.path(), "localhost");
        assert!(load(&config).is_ok());
        let other = folder.path().join("other");
        std::fs::create_dir(&other).unwrap();
        let foreign = files(&other, "localhost");
        let cases = [
            (
                TlsConfig {
                    key: folder.path().join("none.pem"),
                    ..config.clone()
                },
                "none.pem` cannot be read: entity not found",
            ),
            (
                TlsConfig {
                    certificate: config.key.clone(),
                    ..config.clone()
                },
                "key.pem` holds no certificate",
            ),
            (
                TlsConfig {
                    key: config.certificate.clone(),
                    ..config.clone()
                },
                "cert.pem` holds no private key",
            ),
            (
                TlsConfig {
                    key: foreign.key,
                    ..config.clone()
                },
                "key.pem` does not go with",
            ),
            (
                TlsConfig {
                    client_ca: Some(config.key.clone()),
                    ..config.clone()
                },
                "key.pem` holds no certificate",
            ),
            (
                TlsConfig {
                    certificate: folder.path().to_owned(),
                    ..config
                },
                "is no file of at most 4 MiB",
            ),
        ];
        for (config, expected) in cases {
            let error = load(&config).err().unwrap().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
