//! Turns `${NAME}` into values: from the environment, from a folder of files, from a sealed file in the state folder and from a Vault, in this order.
//!
//! Invariants: who reads the configuration asks nobody and waits for nobody, as [`Secrets::value`] answers from what was last seen; a provider that is down changes no value that was known, and is said
//! in the host's health; no value leaves by a list, a message, an event or `Debug`, and every value that is known is masked ([`known`]).
//!
//! It does not know who may have which value (grants say that) nor when the configuration is read again: it says that something changed.

mod folder;
pub mod known;
mod sealed;
mod vault;

pub use sealed::{FILE, KEYS_FILE};
pub use vault::VaultError;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use arc_swap::ArcSwap;
use aws_lc_rs::rand;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use utoipa::ToSchema;

use self::sealed::{Contents, Done, Previous, SECRETS_MAX, Sealed, Seen, Stored, Version};
use self::vault::Vault;
use crate::config::{self, Secret, SecretConfig, SecretsConfig, VaultPlace};
use crate::model::now;

/// Bytes of a value: a chain of certificates with its key fits several times.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;

/// Random bytes of a value that the host makes; it is written in hexadecimal digits.
const MADE_BYTES: usize = 32;

/// How long after its time a secret that people replace is said to be overdue.
pub const OVERDUE_AFTER: SignedDuration = SignedDuration::from_hours(10 * 24);

/// How often files and the sealed file are read again, where no Vault is asked more often.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_secs(60);

/// Values of one secret that are remembered: the configuration is read again soon after each change.
const HISTORY_MAX: usize = 8;

/// What the host itself takes from the environment, without `${…}`.
const OWN: [&str; 3] = ["DISCORD_WEBHOOK", "FOUNDER_API_KEY", "GITHUB_TOKEN"];

/// Who has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = SecretProvider)]
pub enum Provider {
    /// The environment of the host's process.
    Environment,
    /// A file of the folder that `files` names.
    Files,
    /// The sealed file in the state folder.
    Local,
    /// Vault.
    Vault,
}

impl Provider {
    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::Files => "files",
            Self::Local => "local",
            Self::Vault => "vault",
        }
    }
}

/// One secret as it is now.
#[derive(Clone)]
struct Entry {
    value: Secret,
    provider: Provider,
    version: Option<u64>,
    changed_at: Option<Timestamp>,
    /// The value before, and until when it counts beside this one.
    previous: Option<(Secret, Timestamp)>,
}

/// Everything that was last seen.
#[derive(Default)]
struct Snapshot {
    settings: SecretsConfig,
    /// Who names a secret in `plugins.toml`, by its name.
    used_by: BTreeMap<String, BTreeSet<String>>,
    entries: BTreeMap<String, Entry>,
    /// Values since this process began, the latest last: the configuration in force may have any of them.
    history: BTreeMap<String, Vec<Secret>>,
    problems: Vec<String>,
}

/// What is told of a secret: everything but its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SecretView {
    /// By which `plugins.toml` names it.
    pub name: String,
    /// Who has the value; none where nobody has it.
    pub provider: Option<Provider>,
    /// The number of the value, where its provider counts them.
    pub version: Option<u64>,
    /// Since when it is this value, as far as is known.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub changed_at: Option<Timestamp>,
    /// At what age it is to be replaced, in seconds.
    pub rotate_seconds: u64,
    /// How long the value before counts beside a new one, in seconds.
    pub grace_seconds: u64,
    /// Whether the host makes new values by itself.
    pub by_host: bool,
    /// Until when the value before counts, where it still does.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub previous_until: Option<Timestamp>,
    /// Whether it should have been replaced ten days ago.
    pub overdue: bool,
    /// What it is for.
    pub description: Option<String>,
    /// What names it in `plugins.toml`, for instance `agents.mirror`.
    pub used_by: Vec<String>,
}

/// Why a secret was not changed.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The name is none.
    #[error(
        "a secret's name is a capital letter, then capital letters, digits and `_`; at most 64"
    )]
    Name,
    /// The value is none.
    #[error("a secret's value is 1 byte to 64 KiB of text without null characters")]
    Value,
    /// Nobody has it.
    #[error("there is no secret `{0}`; `infinity secret list` lists them")]
    Unknown(String),
    /// Somebody else has it, whom the host cannot change.
    #[error("`{name}` comes from {place}, which the host does not change; replace it there")]
    Elsewhere {
        /// Which one.
        name: String,
        /// Where.
        place: &'static str,
    },
    /// Only people can make a new value.
    #[error(
        "the host cannot make a new value for `{0}`: give one, or write `by = \"host\"` in `[secrets.catalogue.{0}]` if any random value does"
    )]
    ByHand(String),
    /// There are too many.
    #[error("there are {SECRETS_MAX} secrets, which is all that fit")]
    Full,
    /// Vault did not do it.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The sealed file cannot be read or written.
    #[error("the sealed file of secrets cannot be used: {0}")]
    Sealed(#[from] io::Error),
}

/// What is to be done about the age of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Age {
    /// Nothing.
    Fine,
    /// The host makes a new value.
    Rotate,
    /// People should have.
    Overdue,
}

/// What is due: names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// The host makes new values of these.
    pub rotate: Vec<String>,
    /// People should have replaced these.
    pub overdue: Vec<SecretView>,
}

/// What was done while no host ran: the action, the name and when.
pub type Offline = (String, String, Timestamp);

/// The secrets of one host.
pub struct Secrets {
    file: PathBuf,
    sealed: Sealed,
    /// Held while the sealed file is changed.
    writing: Mutex<()>,
    /// The Vault in use; held while it is asked.
    vault: tokio::sync::Mutex<Option<Vault>>,
    seen: ArcSwap<Snapshot>,
    changed: Notify,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Secrets")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

/// Whether this can be the name of a secret that the host keeps.
fn is_name(name: &str) -> bool {
    config::is_secret_name(name)
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl Secrets {
    /// The secrets that a configuration may name, as far as this machine has them: Vault is asked by [`Secrets::refresh`]. Whatever is wrong is in [`Secrets::problems`].
    #[must_use]
    pub fn open(file: &Path, state: &Path) -> Self {
        let secrets = Self {
            file: file.to_owned(),
            sealed: Sealed::new(state),
            writing: Mutex::default(),
            vault: tokio::sync::Mutex::default(),
            seen: ArcSwap::default(),
            changed: Notify::new(),
        };
        let (snapshot, _) = secrets.look(&Snapshot::default());
        secrets.take(snapshot, &[]);
        secrets
    }

    /// A value as the configuration asks for it: the environment's own, or that of a provider.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<String> {
        environment(name).or_else(|| {
            let seen = self.seen.load();
            Some(seen.entries.get(name)?.value.expose().to_owned())
        })
    }

    /// The other values that count where this one does: the one before it while that is in its grace, and the one after it that the configuration in force does not have yet.
    #[must_use]
    pub fn beside(&self, value: &str) -> Vec<Secret> {
        let at = now();
        let seen = self.seen.load();
        let mut others = Vec::new();
        for (name, entry) in &seen.entries {
            let history = seen.history.get(name);
            let was_known = history
                .into_iter()
                .flatten()
                .any(|known| known.expose() == value);
            let previous = entry.previous.as_ref().map(|(previous, _)| previous);
            if !was_known && previous.is_none_or(|previous| previous.expose() != value) {
                continue;
            }
            let previous = entry.previous.iter().filter(|(_, until)| *until > at);
            let counting = std::iter::once(&entry.value).chain(previous.map(|(value, _)| value));
            others.extend(counting.filter(|other| other.expose() != value).cloned());
        }
        others
    }

    /// What keeps secrets from being read, one sentence each.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        self.seen.load().problems.clone()
    }

    /// Whether there is anything to look at beside the environment.
    #[must_use]
    pub fn is_used(&self) -> bool {
        let seen = self.seen.load();
        seen.settings.files.is_some()
            || seen.settings.vault.is_some()
            || !seen.problems.is_empty()
            || seen
                .entries
                .values()
                .any(|entry| entry.provider == Provider::Local)
    }

    /// How many values there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.seen.load().entries.len()
    }

    /// Told when a value has changed, once for whoever waits: the configuration is to be read again.
    #[must_use]
    pub fn changed(&self) -> &Notify {
        &self.changed
    }

    /// How long until it is worth to look again.
    #[must_use]
    pub fn look_again(&self) -> std::time::Duration {
        let seen = self.seen.load();
        seen.settings.vault.as_ref().map_or(LOOK_EVERY, |vault| {
            LOOK_EVERY.min(std::time::Duration::from_millis(vault.refresh_ms))
        })
    }

    /// Looks at everything again, Vault included, and says whether a value is different now.
    pub async fn refresh(&self) -> bool {
        let mut vault = self.vault.lock().await;
        let before = self.seen.load_full();
        let (mut snapshot, local) = self.look(&before);
        let mut asked = Vec::new();
        match snapshot.settings.vault.clone() {
            None => *vault = None,
            Some(config) => {
                // A new configuration is a new client, and a new login.
                if vault.as_ref().is_none_or(|vault| vault.config != config) {
                    match Vault::new(config) {
                        Ok(new) => *vault = Some(new),
                        Err(error) => snapshot.problems.push(error.to_string()),
                    }
                }
                let places: Vec<(String, SecretConfig)> = snapshot
                    .settings
                    .catalogue
                    .iter()
                    .filter(|(name, of)| of.vault.is_some() && !local.contains(*name))
                    .map(|(name, of)| (name.clone(), of.clone()))
                    .collect();
                for (name, of) in places {
                    let (Some(vault), Some(place)) = (vault.as_mut(), &of.vault) else {
                        continue;
                    };
                    let known = before.entries.get(&name);
                    match entry_of(vault, place, &of, known).await {
                        Ok(entry) => {
                            snapshot.entries.insert(name.clone(), entry);
                            asked.push(name);
                        }
                        // What is gone is gone; whoever cannot be asked takes nothing away.
                        Err(VaultError::Missing(place)) => {
                            snapshot.entries.remove(&name);
                            snapshot
                                .problems
                                .push(format!("Vault has nothing at `{place}` for `{name}`"));
                        }
                        Err(error) => {
                            let problem = error.to_string();
                            let is_down = matches!(
                                error,
                                VaultError::Unreachable { .. } | VaultError::Unavailable(_)
                            );
                            if !snapshot.problems.contains(&problem) {
                                snapshot.problems.push(problem);
                            }
                            // Each further question would wait as long.
                            if is_down {
                                break;
                            }
                        }
                    }
                }
            }
        }
        self.take(snapshot, &asked)
    }

    /// What this machine has, with what was last seen of Vault; and the names that Vault is not asked for.
    fn look(&self, before: &Snapshot) -> (Snapshot, BTreeSet<String>) {
        let text = config::text_of(&self.file).unwrap_or_default();
        let mut problems = Vec::new();
        let (contents, mut entries): (Contents, BTreeMap<String, Entry>) = match self.sealed.read()
        {
            Ok(contents) => {
                let secrets = contents.secrets.iter();
                let entries = secrets
                    .map(|(name, stored)| (name.clone(), local_entry(stored)))
                    .collect();
                (contents, entries)
            }
            Err(error) => {
                problems.push(error.to_string());
                let known = before.entries.iter();
                let entries = known
                    .filter(|(_, entry)| entry.provider == Provider::Local)
                    .map(|(name, entry)| (name.clone(), entry.clone()))
                    .collect();
                (Contents::default(), entries)
            }
        };
        // The way into Vault may itself be a secret, in a file for instance.
        let with = |entries: &BTreeMap<String, Entry>| {
            config::secrets_of(&text, &self.file, &|name| {
                environment(name).or_else(|| Some(entries.get(name)?.value.expose().to_owned()))
            })
        };
        if let Some(files) = with(&entries).files {
            let (in_files, more) = folder::read(&files);
            problems.extend(more);
            entries.extend(in_files);
        }
        let settings = with(&entries);
        let mut used_by = config::secrets_used(&text);
        for name in OWN {
            if environment(name).is_some() {
                used_by
                    .entry(name.to_owned())
                    .or_default()
                    .insert("host".to_owned());
            }
        }
        let names: BTreeSet<&String> = used_by.keys().chain(settings.catalogue.keys()).collect();
        for name in names {
            let Some(value) = environment(name) else {
                continue;
            };
            let mark = self.sealed.mark(name, &value);
            let since = contents
                .seen
                .get(name)
                .filter(|seen| Some(&seen.mark) == mark.as_ref())
                .map(|seen| seen.since);
            entries.insert(
                name.clone(),
                Entry {
                    value: Secret::new(value),
                    provider: Provider::Environment,
                    version: None,
                    changed_at: since,
                    previous: None,
                },
            );
        }
        // A file that was replaced leaves the value before in its grace, for as long as this process lives.
        for (name, entry) in &mut entries {
            let Some(known) = before.entries.get(name) else {
                continue;
            };
            if entry.previous.is_none() && entry.provider != Provider::Local {
                entry.previous = carried(known, entry, &settings.of(name));
            }
        }
        let local: BTreeSet<String> = entries.keys().cloned().collect();
        if settings.vault.is_some() {
            for (name, known) in &before.entries {
                if known.provider == Provider::Vault
                    && !local.contains(name)
                    && settings.of(name).vault.is_some()
                {
                    entries.insert(name.clone(), known.clone());
                }
            }
        }
        let snapshot = Snapshot {
            settings,
            used_by,
            entries,
            history: before.history.clone(),
            problems,
        };
        (snapshot, local)
    }

    /// Puts what was seen in force, and says whether a value is different. Names in `asked` were just asked for.
    fn take(&self, mut snapshot: Snapshot, asked: &[String]) -> bool {
        for (name, entry) in &snapshot.entries {
            let history = snapshot.history.entry(name.clone()).or_default();
            if history.last() != Some(&entry.value) {
                history.push(entry.value.clone());
                let more = history.len().saturating_sub(HISTORY_MAX);
                history.drain(..more);
            }
        }
        known::learn(snapshot.entries.values().flat_map(|entry| {
            let previous = entry.previous.as_ref().map(|(value, _)| value.expose());
            [Some(entry.value.expose()), previous].into_iter().flatten()
        }));
        let before = self.seen.load_full();
        let values = |snapshot: &Snapshot| -> BTreeMap<String, Secret> {
            let entries = snapshot.entries.iter();
            entries
                .map(|(name, entry)| (name.clone(), entry.value.clone()))
                .collect()
        };
        let is_different = values(&before) != values(&snapshot);
        for problem in &snapshot.problems {
            if !before.problems.contains(problem) {
                tracing::warn!("{problem}");
            }
        }
        tracing::debug!("Vault was asked for {} secrets", asked.len());
        self.seen.store(snapshot.into());
        if is_different {
            self.changed.notify_one();
        }
        is_different
    }

    /// All secrets that are named or kept anywhere, without their values.
    #[must_use]
    pub fn list(&self) -> Vec<SecretView> {
        let seen = self.seen.load();
        let names: BTreeSet<&String> = seen
            .entries
            .keys()
            .chain(seen.settings.catalogue.keys())
            .chain(seen.used_by.keys())
            .collect();
        names.into_iter().map(|name| view(&seen, name)).collect()
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<SecretView> {
        self.list().into_iter().find(|view| view.name == name)
    }

    /// Gives a secret a value: in Vault where the catalogue says that it is there, in the sealed file otherwise.
    ///
    /// # Errors
    /// See [`SecretError`].
    pub async fn set(&self, name: &str, value: &str) -> Result<SecretView, SecretError> {
        if !is_name(name) {
            return Err(SecretError::Name);
        }
        self.put(name, value, None).await
    }

    /// Replaces a value by the given one, or by one that the host makes. The one before counts for `grace`, or for as long as the catalogue says.
    ///
    /// # Errors
    /// See [`SecretError`].
    pub async fn rotate(
        &self,
        name: &str,
        value: Option<&str>,
        grace: Option<SignedDuration>,
    ) -> Result<SecretView, SecretError> {
        let (is_known, of) = {
            let seen = self.seen.load();
            (seen.entries.contains_key(name), seen.settings.of(name))
        };
        if !is_known {
            return Err(SecretError::Unknown(name.to_owned()));
        }
        let made;
        let value = match value {
            Some(value) => value,
            None if of.by_host => {
                made = random()?;
                &made
            }
            None => return Err(SecretError::ByHand(name.to_owned())),
        };
        self.put(name, value, grace).await
    }

    async fn put(
        &self,
        name: &str,
        value: &str,
        grace: Option<SignedDuration>,
    ) -> Result<SecretView, SecretError> {
        if value.is_empty() || value.len() > VALUE_BYTES_MAX || value.contains('\0') {
            return Err(SecretError::Value);
        }
        // Masked before anybody can have it.
        known::learn([value]);
        let (place, of) = self.place_of(name)?;
        let grace = grace.unwrap_or_else(|| length(of.grace_ms));
        match place {
            Some(place) => {
                let mut vault = self.vault.lock().await;
                if vault.is_none() {
                    let config = self.seen.load().settings.vault.clone();
                    *vault = config.map(Vault::new).transpose()?;
                }
                let vault = vault
                    .as_mut()
                    .ok_or_else(|| SecretError::Unknown(name.to_owned()))?;
                let before = vault.write(&place, value).await?;
                if let Some(before) = before.filter(|_| grace.is_zero()) {
                    vault.drop_version(&place, before).await?;
                }
            }
            None => self.put_local(name, value, grace)?,
        }
        self.refresh().await;
        let seen = self.seen.load();
        Ok(view(&seen, name))
    }

    /// Where a new value goes: to Vault, or to the sealed file where there is no place.
    fn place_of(&self, name: &str) -> Result<(Option<VaultPlace>, SecretConfig), SecretError> {
        let seen = self.seen.load();
        let place = match seen.entries.get(name).map(|entry| entry.provider) {
            Some(Provider::Environment) => Some("the environment"),
            Some(Provider::Files) => Some("a file"),
            _ if environment(name).is_some() => Some("the environment"),
            _ => None,
        };
        if let Some(place) = place {
            return Err(SecretError::Elsewhere {
                name: name.to_owned(),
                place,
            });
        }
        let of = seen.settings.of(name);
        let is_local = seen
            .entries
            .get(name)
            .is_some_and(|entry| entry.provider == Provider::Local);
        let place = of
            .vault
            .clone()
            .filter(|_| !is_local && seen.settings.vault.is_some());
        Ok((place, of))
    }

    fn put_local(&self, name: &str, value: &str, grace: SignedDuration) -> Result<(), SecretError> {
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut contents = self.sealed.read()?;
        let at = now();
        let before = contents.secrets.remove(name);
        if before.is_none() && contents.secrets.len() >= SECRETS_MAX {
            return Err(SecretError::Full);
        }
        let number = before
            .as_ref()
            .map_or(1, |before| before.current.number + 1);
        let previous = before
            .filter(|_| !grace.is_zero())
            .map(|before| Previous {
                version: before.current,
                until: at.checked_add(grace).unwrap_or(Timestamp::MAX),
            })
            .filter(|previous| previous.version.value != value);
        contents.secrets.insert(
            name.to_owned(),
            Stored {
                current: Version {
                    number,
                    value: value.to_owned(),
                    at,
                },
                previous,
            },
        );
        self.sealed.write(&contents)?;
        Ok(())
    }

    /// Removes a secret from the sealed file, with the value before it.
    ///
    /// # Errors
    /// See [`SecretError`].
    pub async fn remove(&self, name: &str) -> Result<(), SecretError> {
        {
            let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
            let mut contents = self.sealed.read()?;
            if contents.secrets.remove(name).is_none() {
                let seen = self.seen.load();
                return Err(match seen.entries.get(name).map(|entry| entry.provider) {
                    None | Some(Provider::Local) => SecretError::Unknown(name.to_owned()),
                    Some(provider) => SecretError::Elsewhere {
                        name: name.to_owned(),
                        place: match provider {
                            Provider::Environment => "the environment",
                            Provider::Files => "a file",
                            Provider::Local | Provider::Vault => "Vault",
                        },
                    },
                });
            }
            self.sealed.write(&contents)?;
        }
        self.refresh().await;
        Ok(())
    }

    /// What is due at a moment.
    #[must_use]
    pub fn due(&self, at: Timestamp) -> Due {
        let seen = self.seen.load();
        let mut due = Due::default();
        for (name, entry) in &seen.entries {
            let of = seen.settings.of(name);
            match age(entry, &of, at) {
                Age::Fine => {}
                Age::Rotate => due.rotate.push(name.clone()),
                Age::Overdue => due.overdue.push(view(&seen, name)),
            }
        }
        due
    }

    /// Remembers since when the environment has its values, as it does not say: otherwise nobody would know how old they are.
    ///
    /// # Errors
    /// When the sealed file cannot be read or written.
    pub fn note_ages(&self) -> io::Result<()> {
        let seen = self.seen.load();
        let without: Vec<(&String, &Entry)> = seen
            .entries
            .iter()
            .filter(|(_, entry)| {
                entry.provider == Provider::Environment && entry.changed_at.is_none()
            })
            .collect();
        if without.is_empty() {
            return Ok(());
        }
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut contents = self.sealed.read()?;
        // Marks are made with the keys, which come with the file.
        if self.sealed.mark("", "").is_none() {
            self.sealed.write(&contents)?;
        }
        contents
            .seen
            .retain(|name, _| seen.entries.contains_key(name));
        let since = now();
        for (name, entry) in without {
            if let Some(mark) = self.sealed.mark(name, entry.value.expose()) {
                contents.seen.insert(name.clone(), Seen { mark, since });
            }
        }
        self.sealed.write(&contents)
    }

    /// Notes what was done while no host runs.
    ///
    /// # Errors
    /// When the sealed file cannot be read or written.
    pub fn note_offline(&self, action: &str, name: &str) -> io::Result<()> {
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut contents = self.sealed.read()?;
        contents.done.push(Done {
            action: action.to_owned(),
            name: name.to_owned(),
            at: now(),
        });
        self.sealed.write(&contents)
    }

    /// What was done while no host ran. It stays noted until [`Secrets::forget_offline`].
    ///
    /// # Errors
    /// When the sealed file cannot be read.
    pub fn offline(&self) -> io::Result<Vec<Offline>> {
        let contents = self.sealed.read()?;
        let done = contents.done.into_iter();
        Ok(done.map(|one| (one.action, one.name, one.at)).collect())
    }

    /// Forgets it, as the journal has it now.
    ///
    /// # Errors
    /// When the sealed file cannot be read or written.
    pub fn forget_offline(&self) -> io::Result<()> {
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut contents = self.sealed.read()?;
        contents.done.clear();
        self.sealed.write(&contents)
    }
}

/// Asks Vault for one secret, and for the value before it while that counts.
async fn entry_of(
    vault: &mut Vault,
    place: &VaultPlace,
    of: &SecretConfig,
    known: Option<&Entry>,
) -> Result<Entry, VaultError> {
    let found = vault.read(place).await?;
    let until = found
        .created_at
        .checked_add(length(of.grace_ms))
        .unwrap_or(Timestamp::MAX);
    let mut entry = Entry {
        value: found.value,
        provider: Provider::Vault,
        version: Some(found.version),
        changed_at: Some(found.created_at),
        previous: None,
    };
    if found.version > 1 && until > now() {
        let same = known.filter(|known| known.version == entry.version);
        entry.previous = match same {
            Some(known) => known.previous.clone(),
            None => vault
                .read_version(place, found.version - 1)
                .await?
                .filter(|previous| *previous != entry.value)
                .map(|previous| (previous, until)),
        };
    }
    Ok(entry)
}

fn local_entry(stored: &Stored) -> Entry {
    let previous = stored.previous.as_ref();
    Entry {
        value: Secret::new(stored.current.value.clone()),
        provider: Provider::Local,
        version: Some(stored.current.number),
        changed_at: Some(stored.current.at),
        previous: previous
            .filter(|previous| previous.until > now())
            .map(|previous| (Secret::new(previous.version.value.clone()), previous.until)),
    }
}

/// The value before, where it is different, or the one that was before already.
fn carried(known: &Entry, entry: &Entry, of: &SecretConfig) -> Option<(Secret, Timestamp)> {
    let at = now();
    if known.value == entry.value {
        return known.previous.clone().filter(|(_, until)| *until > at);
    }
    let until = at.checked_add(length(of.grace_ms)).ok()?;
    (of.grace_ms > 0).then(|| (known.value.clone(), until))
}

fn length(ms: u64) -> SignedDuration {
    SignedDuration::from_millis(i64::try_from(ms).unwrap_or(i64::MAX))
}

/// What is to be done about the age of a secret at a moment.
fn age(entry: &Entry, of: &SecretConfig, at: Timestamp) -> Age {
    // An age that nobody knows is none.
    let Some(changed_at) = entry.changed_at else {
        return Age::Fine;
    };
    let age = at.duration_since(changed_at);
    let policy = length(of.rotate_ms);
    let can_make = of.by_host && matches!(entry.provider, Provider::Local | Provider::Vault);
    if age >= policy.saturating_add(OVERDUE_AFTER) {
        // The host tries on, and people learn that it did not manage.
        return if can_make && age < policy.saturating_add(OVERDUE_AFTER * 2) {
            Age::Rotate
        } else {
            Age::Overdue
        };
    }
    if can_make && age >= policy {
        Age::Rotate
    } else {
        Age::Fine
    }
}

fn view(seen: &Snapshot, name: &str) -> SecretView {
    let of = seen.settings.of(name);
    let entry = seen.entries.get(name);
    let at = now();
    let is_overdue = |entry: &Entry| {
        entry.changed_at.is_some_and(|changed_at| {
            at.duration_since(changed_at) >= length(of.rotate_ms).saturating_add(OVERDUE_AFTER)
        })
    };
    SecretView {
        name: name.to_owned(),
        provider: entry.map(|entry| entry.provider),
        version: entry.and_then(|entry| entry.version),
        changed_at: entry.and_then(|entry| entry.changed_at),
        rotate_seconds: of.rotate_ms / 1_000,
        grace_seconds: of.grace_ms / 1_000,
        by_host: of.by_host,
        previous_until: entry
            .and_then(|entry| entry.previous.as_ref())
            .map(|(_, until)| *until)
            .filter(|until| *until > at),
        overdue: entry.is_some_and(is_overdue),
        description: of.description,
        used_by: seen
            .used_by
            .get(name)
            .map(|users| users.iter().cloned().collect())
            .unwrap_or_default(),
    }
}

/// A value that the host makes.
fn random() -> io::Result<String> {
    let mut bytes = [0; MADE_BYTES];
    rand::fill(&mut bytes).map_err(|_| io::Error::other("there is no randomness"))?;
    Ok(hex::encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(toml: &str) -> (tempfile::TempDir, Secrets) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("plugins.toml");
        std::fs::write(&file, toml).unwrap();
        let secrets = Secrets::open(&file, &folder.path().join("var"));
        (folder, secrets)
    }

    #[tokio::test]
    async fn a_secret_is_set_replaced_in_grace_and_removed() {
        let (folder, secrets) = folder(
            "[agents.a]\nplugin = \"p\"\nwebhook = { secret = \"${UNIT_HOOK}\" }\n\
             [secrets.catalogue.UNIT_HOOK]\nby = \"host\"\ngrace = \"1h\"\n",
        );
        let view = secrets.get("UNIT_HOOK").unwrap();
        assert_eq!(view.provider, None);
        assert_eq!(view.used_by, ["agents.a"]);
        assert!(matches!(
            secrets.rotate("UNIT_HOOK", None, None).await,
            Err(SecretError::Unknown(_))
        ));
        let view = secrets.set("UNIT_HOOK", "first value").await.unwrap();
        assert_eq!(
            (view.version, view.provider),
            (Some(1), Some(Provider::Local))
        );
        assert_eq!(secrets.value("UNIT_HOOK").as_deref(), Some("first value"));
        assert!(secrets.beside("first value").is_empty());
        let view = secrets.rotate("UNIT_HOOK", None, None).await.unwrap();
        assert_eq!(view.version, Some(2));
        assert!(view.previous_until.is_some());
        let second = secrets.value("UNIT_HOOK").unwrap();
        assert_eq!(second.len(), 64);
        assert_eq!(secrets.beside(&second), [Secret::new("first value")]);
        assert_eq!(secrets.beside("first value"), [Secret::new(&second)]);
        // In an emergency the value before ends at once.
        let none = Some(SignedDuration::ZERO);
        let view = secrets.rotate("UNIT_HOOK", Some("third value"), none).await;
        assert_eq!(view.unwrap().previous_until, None);
        assert!(secrets.beside("third value").is_empty());
        assert_eq!(known::mask(&second), "****");
        // Another process finds the same.
        let again = Secrets::open(
            &folder.path().join("plugins.toml"),
            &folder.path().join("var"),
        );
        assert_eq!(again.value("UNIT_HOOK").as_deref(), Some("third value"));
        secrets.remove("UNIT_HOOK").await.unwrap();
        assert_eq!(secrets.value("UNIT_HOOK"), None);
        assert!(matches!(
            secrets.remove("UNIT_HOOK").await,
            Err(SecretError::Unknown(_))
        ));
    }

    #[tokio::test]
    async fn names_and_values_are_bounded_and_people_keep_what_is_theirs() {
        let (_folder, secrets) = folder("");
        for name in ["", "small", "A-B", &"A".repeat(65)] {
            let set = secrets.set(name, "a value").await;
            assert!(matches!(set, Err(SecretError::Name)), "{name}");
        }
        for value in ["", "a\0b", &"x".repeat(VALUE_BYTES_MAX + 1)] {
            let set = secrets.set("UNIT_BOUND", value).await;
            assert!(matches!(set, Err(SecretError::Value)));
        }
        secrets.set("UNIT_BOUND", "somebody's").await.unwrap();
        assert!(matches!(
            secrets.rotate("UNIT_BOUND", None, None).await,
            Err(SecretError::ByHand(_))
        ));
        let shown = format!("{secrets:?} {:?}", secrets.list());
        assert!(!shown.contains("somebody's"));
    }

    #[test]
    fn age_says_what_to_do() {
        let at = now();
        let days = |days: i64| SignedDuration::from_hours(24 * days);
        let entry = |provider, age| Entry {
            value: Secret::new("v"),
            provider,
            version: None,
            changed_at: at.checked_sub(days(age)).ok(),
            previous: None,
        };
        let check = |provider, by_host, days, expected| {
            let of = SecretConfig {
                by_host,
                ..SecretConfig::default()
            };
            assert_eq!(
                age(&entry(provider, days), &of, at),
                expected,
                "{provider:?} {by_host} {days}"
            );
        };
        check(Provider::Local, true, 89, Age::Fine);
        check(Provider::Local, true, 90, Age::Rotate);
        check(Provider::Vault, true, 105, Age::Rotate);
        check(Provider::Vault, true, 110, Age::Overdue);
        check(Provider::Local, false, 99, Age::Fine);
        check(Provider::Environment, true, 99, Age::Fine);
        check(Provider::Environment, false, 100, Age::Overdue);
        check(Provider::Files, false, 100, Age::Overdue);
        let unknown = Entry {
            changed_at: None,
            ..entry(Provider::Environment, 0)
        };
        assert_eq!(age(&unknown, &SecretConfig::default(), at), Age::Fine);
        let two_years = SecretConfig {
            rotate_ms: 730 * 24 * 3_600_000,
            ..SecretConfig::default()
        };
        assert_eq!(age(&entry(Provider::Vault, 700), &two_years, at), Age::Fine);
    }
}
