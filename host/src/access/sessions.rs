//! Sessions of people who came in by way of a provider: `ins_` and 43 characters, in a browser's cookie or with a terminal. Only the SHA-256 is kept.
//!
//! Invariants: checking one reads memory alone; one that was ended is refused from the answer on, and each ends by itself after twelve hours; they outlast a restart.

use super::Caller;
use super::keys::{Digest, Refused, SESSION, random, sha256};
use super::person::Person;
use crate::model::{Event, Principal};
use crate::store::{SealedRow, Store, StoreError};
use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::Mutex;
use utoipa::ToSchema;
use uuid::Uuid;

/// What the text of a session begins with.
pub const PREFIX: &str = "ins_";

/// Sessions at once; the oldest makes room.
pub const SESSIONS_MAX: usize = 10_000;

/// Sessions of one person at once.
const OWN_MAX: usize = 50;

/// Characters of what a device calls itself.
const DEVICE_MAX: usize = 200;

const KIND: &str = "session";

/// A session, without what is secret of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// Its id: that of the device in records.
    pub id: Uuid,
    /// Who came.
    pub name: String,
    /// Through which provider.
    pub provider: String,
    /// What the device calls itself.
    pub device: Option<String>,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// Until when.
    #[schema(value_type = String, format = DateTime)]
    pub ends_at: Timestamp,
}

#[derive(Clone, Serialize, Deserialize)]
struct Held {
    digest: Digest,
    person: Person,
    session: Session,
}

/// The sessions of this host.
pub struct Sessions {
    store: Arc<dyn Store>,
    held: ArcSwap<HashMap<Digest, Held>>,
    /// One change at a time.
    change: Mutex<()>,
}

/// Whether a text is meant to be a session's.
#[must_use]
pub fn is_session(text: &str) -> bool {
    text.starts_with(PREFIX)
}

fn event(kind: &str, held: &Held, by: &Principal) -> Event {
    let session = &held.session;
    Event::new(
        format!("/sessions/{}", session.id),
        format!("session.{kind}"),
        session.id.to_string(),
        json!({
            "session": session.id, "user": session.name, "provider": session.provider, "role": held.person.role,
            "scopes": held.person.scopes, "ends_at": session.ends_at, "by": by,
        }),
    )
}

impl Sessions {
    /// The sessions in the store that are not over.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn open(
        store: Arc<dyn Store>,
        providers: &[&str],
        at: Timestamp,
    ) -> Result<Self, StoreError> {
        let mut held = HashMap::new();
        let mut over = Vec::new();
        for row in store.sealed(KIND).await? {
            match serde_json::from_slice::<Held>(&row.content) {
                // Who is vouched for by nobody any more is out.
                Ok(one)
                    if one.session.ends_at > at
                        && providers.contains(&one.session.provider.as_str()) =>
                {
                    held.insert(one.digest, one);
                }
                Ok(one) => over.push(one.session.id),
                Err(error) => tracing::error!("the session `{}` is not used: {error}", row.id),
            }
        }
        if !over.is_empty() {
            store.put_sealed(KIND, Vec::new(), over, Vec::new()).await?;
        }
        Ok(Self {
            store,
            held: ArcSwap::from_pointee(held),
            change: Mutex::new(()),
        })
    }

    /// Begins one, and gives its text.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn begin(
        &self,
        person: Person,
        device: Option<&str>,
        at: Timestamp,
    ) -> Result<(String, Session), StoreError> {
        let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random::<32>()?));
        let provider = person.name.split(':').next().unwrap_or_default().to_owned();
        let session = Session {
            id: Uuid::now_v7(),
            name: person.name.clone(),
            provider,
            device: device.map(|device| device.chars().take(DEVICE_MAX).collect()),
            created_at: at,
            ends_at: at + SESSION,
        };
        let new = Held {
            digest: sha256(text.as_bytes()),
            person,
            session: session.clone(),
        };
        let _change = self.change.lock().await;
        let mut next = HashMap::clone(&self.held.load());
        let mut removed: Vec<Uuid> = Vec::new();
        next.retain(|_, held| {
            let over = held.session.ends_at <= at;
            if over {
                removed.push(held.session.id);
            }
            !over
        });
        loop {
            // One person's oldest makes room for one of theirs, and only then anybody's.
            let own = || next.values().filter(|held| held.person.id == new.person.id);
            let crowded = own().count() >= OWN_MAX;
            if !crowded && next.len() < SESSIONS_MAX {
                break;
            }
            let oldest = if crowded {
                own().min_by_key(|held| held.session.created_at)
            } else {
                next.values().min_by_key(|held| held.session.created_at)
            };
            let Some(oldest) = oldest else { break };
            let digest = oldest.digest;
            removed.push(oldest.session.id);
            next.remove(&digest);
        }
        let by = new.person.caller(session.id, None, None).principal;
        let row = SealedRow {
            id: session.id,
            content: serde_json::to_vec(&new).map_err(|_| StoreError::Closed)?,
        };
        let events = vec![event("begun", &new, &by)];
        next.insert(new.digest, new);
        self.store
            .put_sealed(KIND, vec![row], removed, events)
            .await?;
        self.held.store(Arc::new(next));
        Ok((text, session))
    }

    /// Who comes with a session.
    ///
    /// # Errors
    /// When it is over, or there is no such one.
    pub fn resume(&self, text: &str, at: Timestamp) -> Result<Caller, Refused> {
        let held = self.held.load();
        let held = held.get(&sha256(text.as_bytes())).ok_or(Refused::Session)?;
        if held.session.ends_at <= at {
            return Err(Refused::Session);
        }
        let session = &held.session;
        Ok(held
            .person
            .caller(session.id, Some(session.created_at), Some(session.ends_at)))
    }

    /// Whether the session of this id is not over.
    #[must_use]
    pub fn is_valid(&self, id: Uuid, at: Timestamp) -> bool {
        let held = self.held.load();
        held.values()
            .any(|held| held.session.id == id && held.session.ends_at > at)
    }

    /// Those that are not over, the newest first.
    #[must_use]
    pub fn list(&self, at: Timestamp) -> Vec<Session> {
        let mut sessions: Vec<Session> = self
            .held
            .load()
            .values()
            .filter(|held| held.session.ends_at > at)
            .map(|held| held.session.clone())
            .collect();
        sessions.sort_by_key(|session| std::cmp::Reverse((session.created_at, session.id)));
        sessions
    }

    /// Ends one; `false` when there is none.
    ///
    /// # Errors
    /// When the store fails; it goes on then.
    pub async fn end(&self, id: Uuid, by: &Principal) -> Result<bool, StoreError> {
        let _change = self.change.lock().await;
        let mut next = HashMap::clone(&self.held.load());
        let Some(held) = next.values().find(|held| held.session.id == id).cloned() else {
            return Ok(false);
        };
        next.remove(&held.digest);
        let events = vec![event("ended", &held, by)];
        self.store
            .put_sealed(KIND, Vec::new(), vec![id], events)
            .await?;
        self.held.store(Arc::new(next));
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Role;
    use crate::model::now;
    use crate::store::SqliteStore;
    use jiff::SignedDuration;

    fn ann() -> Person {
        Person {
            id: Uuid::now_v7(),
            name: "corp:ann".into(),
            role: Role::Editor,
            scopes: Vec::new(),
        }
    }

    #[tokio::test]
    async fn a_session_outlasts_a_restart_and_ends_when_it_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(folder.path()).await.unwrap());
        let open = || Sessions::open(Arc::clone(&store) as Arc<dyn Store>, &["corp"], now());
        let own = open().await.unwrap();
        let at = now();
        let (text, session) = own.begin(ann(), Some("a terminal"), at).await.unwrap();
        let (other, _) = own.begin(ann(), None, at).await.unwrap();
        assert!(is_session(&text) && text.len() == PREFIX.len() + 43);
        let own = open().await.unwrap();
        let caller = own.resume(&text, at).unwrap();
        assert_eq!(caller.principal.name, "corp:ann");
        assert_eq!(caller.key.unwrap().device, session.id);
        assert_eq!(own.list(at).len(), 2);
        let over = at + SESSION + SignedDuration::from_secs(1);
        assert_eq!(own.resume(&text, over), Err(Refused::Session));
        assert!(own.list(over).is_empty());
        for wrong in ["", PREFIX, &text[1..], &text.to_lowercase()] {
            assert_eq!(own.resume(wrong, at), Err(Refused::Session), "{wrong}");
        }
        let by = Principal::local();
        assert!(own.end(session.id, &by).await.unwrap());
        assert!(!own.end(session.id, &by).await.unwrap());
        assert_eq!(own.resume(&text, at), Err(Refused::Session));
        assert!(own.resume(&other, at).is_ok());
        assert!(open().await.unwrap().resume(&text, at).is_err());
        // The texts are nowhere: not in the feed, and not in the file.
        let feed = store.events(&[], None, 100).await.unwrap().items;
        let kinds: Vec<&str> = feed.iter().map(|event| event.kind.as_str()).collect();
        assert_eq!(kinds, ["session.begun", "session.begun", "session.ended"]);
        assert!(
            !serde_json::to_string(&feed)
                .unwrap()
                .contains(&text[PREFIX.len()..])
        );
        store.close().await.unwrap();
    }
}
