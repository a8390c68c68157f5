//! `[plugins]` to [`SupplyConfig`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ssh_key::PublicKey;
use toml::de::DeValue;

use super::agent::{LOOSE, LOOSE_NAME_HELP, is_name};
use super::error::{Errors, literal};
use super::reader::{Reader, found};

/// What a component needs before anything of it is used. Source: `[plugins]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupplyConfig {
    /// Default [`Require::Nothing`]. Source: `require`.
    pub require: Require,
    /// Whose signatures count: names, at most 100, each with an Ed25519 key that no other has. Source: `trusted`.
    pub trusted: BTreeMap<String, PublicKey>,
    /// Where digests are pinned: beside the configuration, with `.lock` for `.toml`. Need not exist.
    pub lock: PathBuf,
}

/// What a component needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Require {
    /// To be in the folder.
    #[default]
    Nothing,
    /// To have the digest that the lock names.
    Lock,
    /// A signature by a trusted key.
    Signature,
    /// The two together.
    Both,
}

impl Require {
    /// In the order of [`REQUIRE`].
    const ALL: [Self; 4] = [Self::Nothing, Self::Lock, Self::Signature, Self::Both];

    /// Whether the lock decides.
    #[must_use]
    pub fn lock(self) -> bool {
        matches!(self, Self::Lock | Self::Both)
    }

    /// Whether signatures decide.
    #[must_use]
    pub fn signature(self) -> bool {
        matches!(self, Self::Signature | Self::Both)
    }
}

/// Choices of `require`.
pub(super) const REQUIRE: &[&str] = &["nothing", "lock", "signature", "both"];

/// Most trusted keys: each signature is compared with all of them.
const TRUSTED_MAX: usize = 100;

/// What a key looks like.
const KEY_HELP: &str = "write the first two words of a `.pub` file, for instance `\"ssh-ed25519 AAAA…\"`; `infinity plugin keygen FILE` makes a key";

/// Where the lock of a configuration is: two configurations in one folder have two.
fn lock_of(path: &Path, root: &Path) -> PathBuf {
    let name = path
        .file_stem()
        .map_or_else(|| "plugins".into(), |stem| stem.to_string_lossy());
    root.join(format!("{name}.lock"))
}

pub(super) fn read(
    root: &Reader<'_, '_>,
    path: &Path,
    root_path: &Path,
    errors: &mut Errors,
) -> SupplyConfig {
    let mut config = SupplyConfig {
        require: Require::Nothing,
        trusted: BTreeMap::new(),
        lock: lock_of(path, root_path),
    };
    let Some(table) = root.table("plugins", "`[plugins]`".to_owned(), errors) else {
        return config;
    };
    config.require = table
        .choice("require", errors)
        .and_then(|index| Require::ALL.get(index).copied())
        .unwrap_or_default();
    let entries = table.entries("trusted", errors);
    let written = entries.len();
    if written > TRUSTED_MAX {
        errors.at(
            table.place_of("trusted"),
            "`trusted` in `[plugins]` has more than 100 keys",
        );
    }
    for (key, value) in entries.into_iter().take(TRUSTED_MAX) {
        let name = *key.get_ref();
        if !is_name(name, LOOSE) {
            errors
                .at(
                    key.span(),
                    format!("{} cannot be the name of who signs", literal(name)),
                )
                .help(LOOSE_NAME_HELP);
            continue;
        }
        let DeValue::String(text) = value.get_ref() else {
            errors
                .at(
                    value.span(),
                    format!(
                        "the key of {} must be a string, not {}",
                        literal(name),
                        found(value)
                    ),
                )
                .help(KEY_HELP);
            continue;
        };
        let parsed = PublicKey::from_openssh(text.trim());
        let Some(mut parsed) = parsed.ok().filter(|key| key.key_data().is_ed25519()) else {
            errors
                .at(
                    value.span(),
                    format!("the key of {} is no Ed25519 key of SSH", literal(name)),
                )
                .help(KEY_HELP);
            continue;
        };
        // The comment says nothing, and two keys are the same without it.
        parsed.set_comment("");
        if let Some((other, _)) = config.trusted.iter().find(|(_, one)| **one == parsed) {
            errors
                .at(
                    value.span(),
                    format!(
                        "the key of {} is that of {}, too",
                        literal(name),
                        literal(other)
                    ),
                )
                .help("keep one of the two");
            continue;
        }
        config.trusted.insert(name.to_owned(), parsed);
    }
    if config.require.signature() && written == 0 {
        errors
            .at(
                table.place_of("require"),
                "signatures are required and nobody's count",
            )
            .help("name keys, for instance `trusted = { alice = \"ssh-ed25519 AAAA…\" }`; `infinity plugin keygen FILE` makes one");
    }
    config
}
