//! `[secrets]`: where the values of `${NAME}` come from beside the environment, and how often each is replaced.
//!
//! It is read twice: at first alone, as the rest cannot be read before the values are there, and then with the rest, when its mistakes are told.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use http::Uri;
use toml::Spanned;
use toml::de::DeTable;

use super::error::{Errors, literal};
use super::grants::fill;
use super::host::check_ca_file;
use super::keys;
use super::paths::resolve;
use super::reader::Reader;
use super::secret::{Piece, Secret, pieces};

/// Default of [`SecretConfig::rotate_ms`]: 90 days.
const DEFAULT_ROTATE_MS: u64 = 90 * 24 * 3_600_000;
/// Default of [`SecretConfig::grace_ms`]: 7 days.
const DEFAULT_GRACE_MS: u64 = 7 * 24 * 3_600_000;
/// Default of [`VaultConfig::refresh_ms`]: 5 minutes.
const DEFAULT_REFRESH_MS: u64 = 5 * 60_000;
/// Default of [`VaultConfig::mount`]: where Vault itself puts the first one.
const DEFAULT_MOUNT: &str = "secret";

/// Who makes new values, in the order of the choice in [`keys`].
pub(super) const BY: &[&str] = &["hand", "host"];

/// Where secrets come from. Source: `[secrets]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecretsConfig {
    /// A folder whose files are secrets. Source: `files`.
    pub files: Option<PathBuf>,
    /// A Vault. Source: `[secrets.vault]`.
    pub vault: Option<VaultConfig>,
    /// What is known of single secrets, by name. Source: `[secrets.catalogue.NAME]`.
    pub catalogue: BTreeMap<String, SecretConfig>,
}

impl SecretsConfig {
    /// What is known of one secret, or what holds for those of which nothing is said.
    #[must_use]
    pub fn of(&self, name: &str) -> SecretConfig {
        self.catalogue.get(name).cloned().unwrap_or_default()
    }
}

/// A Vault with a KV store of version 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultConfig {
    /// `http` or `https`, host and port, without a slash at its end.
    pub address: String,
    /// Where the store is mounted; default `secret`.
    pub mount: String,
    /// The namespace, if it has some.
    pub namespace: Option<String>,
    /// As whom the host comes.
    pub login: VaultLogin,
    /// A PEM file with further certificate authorities.
    pub ca_file: Option<PathBuf>,
    /// How often it is asked, in milliseconds: 10 s to 1 day, default 5 minutes.
    pub refresh_ms: u64,
}

/// As whom the host comes to Vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VaultLogin {
    /// With a token. Source: `token`.
    Token(Secret),
    /// By `AppRole`. Sources: `role_id`, `secret_id`.
    AppRole {
        /// Which role.
        role_id: Secret,
        /// What proves it.
        secret_id: Secret,
    },
}

/// What is known of one secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretConfig {
    /// Where it is in Vault, if it is there. Source: `vault = "PATH#FIELD"`.
    pub vault: Option<VaultPlace>,
    /// The age at which it is replaced, in milliseconds: 1 hour to 10 years, default 90 days. Source: `rotate`.
    pub rotate_ms: u64,
    /// How long the value before counts beside a new one, in milliseconds: up to 90 days, default 7 days. Source: `grace`.
    pub grace_ms: u64,
    /// Whether the host makes new values by itself; default: people do. Source: `by`.
    pub by_host: bool,
    /// What it is for.
    pub description: Option<String>,
}

impl Default for SecretConfig {
    fn default() -> Self {
        Self {
            vault: None,
            rotate_ms: DEFAULT_ROTATE_MS,
            grace_ms: DEFAULT_GRACE_MS,
            by_host: false,
            description: None,
        }
    }
}

/// A place in Vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultPlace {
    /// Below the mount, for instance `github/app-key`.
    pub path: String,
    /// The field of the secret there.
    pub field: String,
}

/// Reads `[secrets]`, if there is one.
pub(super) fn read(
    root: &Reader<'_, '_>,
    root_path: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
    errors: &mut Errors,
) -> SecretsConfig {
    let Some(table) = root.table("secrets", "`[secrets]`".to_owned(), errors) else {
        return SecretsConfig::default();
    };
    let files = table
        .path("files", errors)
        .map(|path| resolve(root_path, path.get_ref()));
    let vault = table
        .table("vault", "`[secrets.vault]`".to_owned(), errors)
        .and_then(|table| vault(&table, root_path, environment, errors));
    let mut catalogue = BTreeMap::new();
    for (key, value) in table.entries("catalogue", errors) {
        let name = *key.get_ref();
        let what = format!("secret {}", literal(name));
        if !is_secret_name(name) {
            errors
                .at(
                    key.span(),
                    format!("{} cannot be the name of a secret", literal(name)),
                )
                .help(NAME_HELP);
        }
        let place = key.span();
        if let Some(table) = Reader::open(value, &keys::CATALOGUE, what, place, errors) {
            catalogue.insert(name.to_owned(), secret(&table, vault.is_some(), errors));
        }
    }
    SecretsConfig {
        files,
        vault,
        catalogue,
    }
}

/// The text of a file, before it is known whether it can be read as a configuration; none where there is none.
#[must_use]
pub fn text_of(path: &Path) -> Option<String> {
    super::read(path).ok()
}

/// `[secrets]` of a text alone, with everything that is right in it. Its mistakes are told when the whole file is read.
#[must_use]
pub fn secrets_of(
    text: &str,
    path: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
) -> SecretsConfig {
    let mut errors = Errors::default();
    let (document, _) = DeTable::parse_recoverable(text);
    let Ok(root_path) = super::root_of(path) else {
        return SecretsConfig::default();
    };
    let root = Reader::root(document.get_ref(), &keys::ROOT, "the file", &mut errors);
    read(&root, &root_path, environment, &mut errors)
}

/// Who names which secret: for each name what does, such as `agents.mirror` or `github`.
#[must_use]
pub fn secrets_used(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut used_by = BTreeMap::new();
    let Ok(document) = text.parse::<toml::Table>() else {
        return used_by;
    };
    for (first, value) in &document {
        match value {
            toml::Value::Table(entries)
                if ["agents", "channels", "secrets"].contains(&first.as_str()) =>
            {
                for (name, value) in entries {
                    note_used(value, "", &format!("{first}.{name}"), &mut used_by);
                }
            }
            value => note_used(value, "", first, &mut used_by),
        }
    }
    used_by
}

/// Notes what a value names: `${NAME}` anywhere, and the names in grants. A value's depth is bounded by the parser.
fn note_used(
    value: &toml::Value,
    key: &str,
    user: &str,
    used_by: &mut BTreeMap<String, BTreeSet<String>>,
) {
    let mut note = |name: &str| {
        let users: &mut BTreeSet<String> = used_by.entry(name.to_owned()).or_default();
        users.insert(user.to_owned());
    };
    match value {
        toml::Value::String(text) => {
            if ["secrets", "reveal"].contains(&key) && is_secret_name(text) {
                note(text);
            }
            for piece in pieces(text) {
                if let Piece::Variable(name) = piece {
                    note(name);
                }
            }
        }
        toml::Value::Array(items) => {
            for item in items {
                note_used(item, key, user, used_by);
            }
        }
        toml::Value::Table(fields) => {
            for (key, value) in fields {
                note_used(value, key, user, used_by);
            }
        }
        _ => {}
    }
}

/// What a name of a secret looks like.
pub(super) const NAME_HELP: &str =
    "use capital letters, digits and `_`, at most 64, and start with a letter";

/// Whether this can be the name of a secret: a capital letter, then capital letters, digits and `_`; at most 64 characters.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|first: char| first.is_ascii_uppercase())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

fn vault(
    table: &Reader<'_, '_>,
    root_path: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
    errors: &mut Errors,
) -> Option<VaultConfig> {
    let filled = |name: &str, errors: &mut Errors| {
        let written = table.raw_text(name, errors)?;
        fill(&written, "`[secrets.vault]`", true, environment, errors).map(Secret::new)
    };
    let token = filled("token", errors);
    let role_id = filled("role_id", errors);
    let secret_id = filled("secret_id", errors);
    let named = |name: &str| table.span(name).is_some();
    let ways = (named("token"), named("role_id"), named("secret_id"));
    if !matches!(ways, (true, false, false) | (false, true, true)) {
        errors
            .at(table.place(), "`[secrets.vault]` has no one way to log in")
            .help("write either `token = \"${VAULT_TOKEN}\"`, or both `role_id` and `secret_id`");
    }
    let ca_file = table.path("ca_file", errors).map(|path| {
        let file = resolve(root_path, path.get_ref());
        if let Err(reason) = check_ca_file(&file) {
            errors
                .at(
                    path.span(),
                    format!("certificate file {} {reason}", literal(path.get_ref())),
                )
                .help("name a PEM file with at least one `BEGIN CERTIFICATE` block; relative paths start at the directory of this file");
        }
        file
    });
    let mount = table.text("mount", errors).map(|mount| {
        if !is_path(mount.get_ref()) {
            wrong_path(&mount, errors);
        }
        mount.into_inner()
    });
    let namespace = table.text("namespace", errors).map(|namespace| {
        if !is_path(namespace.get_ref()) {
            wrong_path(&namespace, errors);
        }
        namespace.into_inner()
    });
    let refresh_ms = table
        .number("refresh", errors)
        .unwrap_or(DEFAULT_REFRESH_MS);
    let address = table.text("address", errors)?;
    let Some(plain) = plain_address(address.get_ref()) else {
        errors
            .at(
                address.span(),
                format!("{} is not the address of a Vault", literal(address.get_ref())),
            )
            .help("write for instance `https://vault.example.com:8200`; plain `http` is for this machine alone");
        return None;
    };
    let login = match (token, role_id, secret_id) {
        (Some(token), None, None) => VaultLogin::Token(token),
        (None, Some(role_id), Some(secret_id)) => VaultLogin::AppRole { role_id, secret_id },
        _ => return None,
    };
    Some(VaultConfig {
        address: plain,
        mount: mount.unwrap_or_else(|| DEFAULT_MOUNT.to_owned()),
        namespace,
        login,
        ca_file,
        refresh_ms,
    })
}

/// The address without a slash at its end. Only over loopback may secrets travel in the clear.
fn plain_address(written: &str) -> Option<String> {
    let uri = written.parse::<Uri>().ok()?;
    let authority = uri.authority()?;
    let host = uri.host().filter(|host| !host.is_empty())?;
    let is_here = host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    let scheme = uri.scheme_str()?;
    let plain = (scheme == "https" || scheme == "http" && is_here)
        && !authority.as_str().contains('@')
        && uri.path() == "/"
        && uri.query().is_none();
    plain.then(|| format!("{scheme}://{authority}"))
}

fn secret(table: &Reader<'_, '_>, has_vault: bool, errors: &mut Errors) -> SecretConfig {
    let vault = table.text("vault", errors).and_then(|written| {
        let place = written
            .get_ref()
            .split_once('#')
            .filter(|(path, field)| is_path(path) && is_path(field) && !field.contains('/'));
        let Some((path, field)) = place else {
            errors
                .at(
                    written.span(),
                    format!("{} is no place in Vault", literal(written.get_ref())),
                )
                .help("write the path below the mount, `#` and the field, for instance `github/app-key#value`");
            return None;
        };
        if !has_vault {
            errors
                .at(written.span(), "there is no Vault to look into")
                .help("add `[secrets.vault]` with `address = \"…\"` and a way to log in");
        }
        Some(VaultPlace {
            path: path.to_owned(),
            field: field.to_owned(),
        })
    });
    let by = table.choice("by", errors).unwrap_or_default();
    SecretConfig {
        vault,
        rotate_ms: table.number("rotate", errors).unwrap_or(DEFAULT_ROTATE_MS),
        grace_ms: table.number("grace", errors).unwrap_or(DEFAULT_GRACE_MS),
        by_host: BY.get(by) == Some(&"host"),
        description: table.text("description", errors).map(Spanned::into_inner),
    }
}

/// Whether this can be a path in Vault's API: it becomes part of a URL as it is.
fn is_path(path: &str) -> bool {
    path.len() <= 255
        && path.split('/').all(|part| {
            !part.is_empty()
                && !part.starts_with('.')
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        })
}

fn wrong_path(written: &Spanned<String>, errors: &mut Errors) {
    errors
        .at(
            written.span(),
            format!("{} is no path in Vault", literal(written.get_ref())),
        )
        .help("use letters, digits, `-`, `_` and `.`, with `/` between parts");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_who_names_a_secret() {
        let used_by = secrets_used(
            "[github]\ntoken = \"${A}\"\n[agents.m]\nplugin = \"$${NOT}\"\n\
             grants = { secrets = [\"A\", \"B\"], http = [{ credential = { value = \"x ${C}\" } }] }\n",
        );
        let shown: Vec<String> = used_by
            .iter()
            .map(|(name, users)| format!("{name} {}", Vec::from_iter(users.clone()).join(" ")))
            .collect();
        assert_eq!(shown, ["A agents.m github", "B agents.m", "C agents.m"]);
    }

    #[test]
    fn judges_names_paths_and_addresses() {
        for good in ["A", "GITHUB_APP_KEY", "X9_"] {
            assert!(is_secret_name(good), "{good}");
        }
        for bad in ["", "a", "_A", "9A", "A-B", "A B", &"A".repeat(65)] {
            assert!(!is_secret_name(bad), "{bad}");
        }
        for good in ["github/app-key", "a", "a.b/c_d"] {
            assert!(is_path(good), "{good}");
        }
        for bad in ["", "/a", "a/", "a//b", "../a", "a/.b", "a?b", "a%2f"] {
            assert!(!is_path(bad), "{bad}");
        }
        for good in ["https://vault.example.com:8200/", "http://127.0.0.1:8200"] {
            assert!(plain_address(good).is_some(), "{good}");
        }
        for bad in [
            "vault.example.com",
            "http://vault.example.com",
            "https://u@vault.example.com",
            "https://vault.example.com/v1",
            "https://",
        ] {
            assert_eq!(plain_address(bad), None, "{bad}");
        }
    }
}
