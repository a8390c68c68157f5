//! `security_audit.json` and `banned_ips.json` in the state folder: what older systems kept in these files, made anew from the journal and the bans when those changed.
//!
//! They are for mirrors, which may be public, so they name nobody unless the operator says otherwise.

use crate::access::guard::Guard;
use crate::store::{Entry, JournalFilter, PageRequest, Store, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

/// The files.
pub const AUDIT_FILE: &str = "security_audit.json";
/// Addresses that are banned.
pub const BANS_FILE: &str = "banned_ips.json";

/// How often it is looked whether something changed.
const EVERY: Duration = Duration::from_secs(5);

/// Records in the file: what a mirror keeps as its history is longer than that, as each version of the file is one.
const ITEMS_MAX: u32 = 1_000;

/// A line of the older audit file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditLine {
    /// When, ISO 8601 in UTC.
    pub timestamp: String,
    /// From where; a pseudonym where persons are not named.
    pub ip: String,
    /// One of twelve.
    pub event: String,
    /// What else is known, as text.
    pub detail: String,
}

/// The twelve events that older systems know.
#[must_use]
pub fn events() -> Vec<String> {
    super::ACTIONS[..12]
        .iter()
        .map(|&action| action.to_owned())
        .collect()
}

/// A record as a line of the older file. `people` has the names of those who are to be named.
#[must_use]
pub fn line(entry: &Entry, people: &BTreeMap<String, String>) -> AuditLine {
    let record = &entry.record;
    let named = |pseudonym: &str| {
        people
            .get(pseudonym)
            .map_or(pseudonym, String::as_str)
            .to_owned()
    };
    let mut detail: Vec<String> = record
        .user_id
        .iter()
        .map(|user| format!("by {}", named(user)))
        .collect();
    detail.extend(record.resource_id.iter().map(|it| named(it)));
    detail.extend(
        ["reason", "seconds", "requests", "status"]
            .iter()
            .filter_map(|name| match record.detail.get(*name)? {
                Value::String(text) => Some(format!("{name}: {text}")),
                Value::Null => None,
                other => Some(format!("{name}: {other}")),
            }),
    );
    if record.count > 1 {
        detail.push(format!("{} times", record.count));
    }
    AuditLine {
        timestamp: record.timestamp.to_string(),
        ip: record.ip_address.as_deref().map_or_else(String::new, named),
        event: record.action.clone(),
        detail: detail.join(", "),
    }
}

/// Pseudonyms in some records.
#[must_use]
pub fn pseudonyms(entries: &[Entry]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in entries {
        for value in entry.record.detail.values() {
            gather(value, &mut found);
        }
    }
    found.extend(
        entries
            .iter()
            .flat_map(|entry| {
                let record = &entry.record;
                [
                    &record.user_id,
                    &record.ip_address,
                    &record.user_agent,
                    &record.resource_id,
                ]
            })
            .flatten()
            .filter(|text| is_pseudonym(text))
            .cloned(),
    );
    found.sort();
    found.dedup();
    found
}

/// Those in a value, as far down as it goes: what serde read has a bound.
fn gather(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) if is_pseudonym(text) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| gather(item, found)),
        Value::Object(fields) => fields.values().for_each(|value| gather(value, found)),
        _ => {}
    }
}

/// Whether a text has the form of one.
fn is_pseudonym(text: &str) -> bool {
    ["user-", "address-", "program-"]
        .iter()
        .any(|kind| text.starts_with(kind))
}

/// Writes the files.
pub struct Views {
    store: Arc<dyn Store>,
    guard: Arc<Guard>,
    state: PathBuf,
    named: bool,
}

impl Views {
    /// For a state folder; `named` says whether persons are named.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, guard: Arc<Guard>, state: &Path, named: bool) -> Self {
        Self {
            store,
            guard,
            state: state.to_owned(),
            named,
        }
    }

    /// The lines as the file has them, the oldest first.
    async fn lines(&self) -> Result<Vec<AuditLine>, StoreError> {
        let filter = JournalFilter {
            actions: events(),
            ..JournalFilter::default()
        };
        let page = PageRequest {
            limit: ITEMS_MAX,
            ..PageRequest::default()
        };
        let mut found = self.store.journal(filter, page).await?.items;
        found.reverse();
        let people = if self.named {
            self.store.people(&pseudonyms(&found)).await?
        } else {
            BTreeMap::new()
        };
        Ok(found.iter().map(|entry| line(entry, &people)).collect())
    }

    /// The addresses, or their pseudonyms.
    async fn banned(&self) -> Result<Vec<String>, StoreError> {
        let addresses: Vec<String> = self
            .guard
            .bans()
            .into_iter()
            .map(|ban| ban.address)
            .collect();
        if self.named {
            return Ok(addresses);
        }
        self.store.pseudonyms("address", &addresses).await
    }

    /// Writes what changed.
    ///
    /// # Errors
    /// When the store or the disk fails.
    pub async fn write(&self) -> anyhow::Result<()> {
        let lines = serde_json::to_vec_pretty(&self.lines().await?)?;
        let banned = serde_json::to_vec_pretty(&self.banned().await?)?;
        let state = self.state.clone();
        tokio::task::spawn_blocking(move || {
            replace(&state, AUDIT_FILE, lines)?;
            replace(&state, BANS_FILE, banned)
        })
        .await??;
        Ok(())
    }

    /// Writes them until it is told to end, when the journal has grown.
    pub async fn run(self, ending: CancellationToken) {
        let mut seen = None;
        loop {
            match self.store.journal_end().await {
                Ok((_, end)) if seen != Some(end.seq) => match self.write().await {
                    Ok(()) => seen = Some(end.seq),
                    Err(error) => {
                        tracing::warn!("the views of the journal are not written: {error}")
                    }
                },
                Ok(_) => {}
                Err(error) => tracing::warn!("the views of the journal are not written: {error}"),
            }
            tokio::select! {
                () = ending.cancelled() => break,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }
}

/// Puts a file in the place of another if it is another.
fn replace(state: &Path, name: &str, mut content: Vec<u8>) -> std::io::Result<()> {
    content.push(b'\n');
    let path = state.join(name);
    if std::fs::read(&path).is_ok_and(|before| before == content) {
        return Ok(());
    }
    let mut file = tempfile::Builder::new().prefix(name).tempfile_in(state)?;
    file.write_all(&content)?;
    file.as_file().sync_all()?;
    file.persist(&path).map_err(|error| error.error)?;
    Ok(())
}
