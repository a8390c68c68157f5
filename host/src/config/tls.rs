//! `[host.tls]` to [`TlsConfig`].

use std::path::{Path, PathBuf};

use super::error::{Errors, literal};
use super::paths::resolve;
use super::reader::Reader;
use crate::tls;

/// With what the API is served. Source: `[host.tls]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsConfig {
    /// PEM file with the certificate and those between it and its authority. Source: `certificate`.
    pub certificate: PathBuf,
    /// PEM file with its private key. Source: `key`.
    pub key: PathBuf,
    /// PEM file with authorities; who has no certificate of theirs gets no connection. Source: `client_ca`.
    pub client_ca: Option<PathBuf>,
    /// Whether TLS 1.2 is spoken beside 1.3; default no. Source: `min_version`.
    pub tls_1_2: bool,
}

/// Choices of `min_version`.
pub(super) const MIN_VERSION: &[&str] = &["1.3", "1.2"];

pub(super) fn read(root: &Path, table: &Reader<'_, '_>, errors: &mut Errors) -> Option<TlsConfig> {
    let table = table.table("tls", "`[host.tls]`".to_owned(), errors)?;
    let mut file = |name: &str| {
        let written = table.path(name, errors)?;
        Some(resolve(root, written.get_ref()))
    };
    let certificate = file("certificate");
    let key = file("key");
    let client_ca = file("client_ca");
    let tls_1_2 = table.choice("min_version", errors) == Some(1);
    let config = TlsConfig {
        certificate: certificate?,
        key: key?,
        client_ca,
        tls_1_2,
    };
    if let Err(error) = tls::load(&config) {
        let name = [
            ("certificate", Some(&config.certificate)),
            ("key", Some(&config.key)),
            ("client_ca", config.client_ca.as_ref()),
        ]
        .into_iter()
        .find(|(_, file)| *file == Some(&error.file))
        .map_or("certificate", |(name, _)| name);
        errors
            .at(
                table.place_of(name),
                format!(
                    "the file {} of `{name}` in `[host.tls]` {}",
                    literal(&shown(root, &error.file)),
                    error.reason
                ),
            )
            .help("name PEM files; relative paths start at the directory of this file");
    }
    Some(config)
}

/// As it is written, where it is below the configuration.
fn shown(root: &Path, file: &Path) -> String {
    file.strip_prefix(root)
        .unwrap_or(file)
        .display()
        .to_string()
}
