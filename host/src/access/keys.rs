//! API keys: made, shown once, checked, replaced, revoked.
//!
//! A key is `inf_`, eight characters that name it, 43 that are secret and six that are a checksum, so that a slip of the hand is not taken for an attack and a scanner of
//! leaked secrets can be sure. Only the SHA-256 of a key is kept.
//!
//! Invariants: checking a key reads memory alone; what is revoked is refused from the answer on; once a key was made the host asks everybody for one.

use super::{Caller, Role, Scope, Shown};
use crate::model::{Event, Principal, now};
use crate::store::{KeyRow, Store, StoreError};
use arc_swap::ArcSwap;
use aws_lc_rs::{constant_time, digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Mutex;
use utoipa::ToSchema;
use uuid::Uuid;

/// Keys at once, ended ones included: each is in memory, and a person looks at the list.
pub const KEYS_MAX: usize = 1_000;

/// Scopes of one key.
pub const SCOPES_MAX: usize = 32;

/// The longest that a key is valid, and the longest that two are beside each other.
pub const EXPIRY_MAX: SignedDuration = SignedDuration::from_hours(10 * 366 * 24);
/// The longest that the old key of a rotation stays valid.
pub const GRACE_MAX: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How long a browser's session lasts: a day's work.
pub(super) const SESSION: SignedDuration = SignedDuration::from_hours(12);

const PREFIX: &str = "inf_";
const NAMING: usize = 8;
const SECRET: usize = 43;
const CHECKSUM: usize = 6;
const LENGTH: usize = PREFIX.len() + NAMING + SECRET + CHECKSUM;

/// A key, without what is secret of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApiKey {
    /// Its id.
    pub id: Uuid,
    /// Who comes with it: the name in records. The key that replaces another has the same.
    pub name: String,
    /// What it may.
    pub role: Role,
    /// What of that; empty for all of it but approvals.
    #[schema(value_type = Vec<String>)]
    pub scopes: Vec<Scope>,
    /// How it begins, to know it by.
    pub prefix: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// By whom.
    pub created_by: Principal,
    /// From when it is refused; never if none.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub revoked_at: Option<Timestamp>,
    /// The key that took its place.
    pub replaced_by: Option<Uuid>,
}

impl ApiKey {
    /// Why it is refused at that moment, if it is.
    #[must_use]
    pub fn refused(&self, at: Timestamp) -> Option<Refused> {
        if self.revoked_at.is_some() {
            Some(Refused::Revoked)
        } else if self.expires_at.is_some_and(|end| end <= at) {
            Some(Refused::Expired)
        } else {
            None
        }
    }
}

/// A key as it is made: the only time that all of it is there.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct NewKey {
    /// The whole key. It is shown this once.
    pub secret: String,
    /// What is kept of it.
    #[serde(flatten)]
    pub key: ApiKey,
}

impl std::fmt::Debug for NewKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.key.fmt(formatter)
    }
}

/// Why a key is refused. The caller is not told; the journal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is no key at all.
    Malformed,
    /// No key begins so.
    Unknown,
    /// A key begins so and goes on otherwise.
    Wrong,
    /// It was revoked.
    Revoked,
    /// Its time is over.
    Expired,
    /// The session is over, or was not made here.
    Session,
}

impl Refused {
    /// The word in records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Unknown => "unknown",
            Self::Wrong => "wrong",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::Session => "session",
        }
    }
}

/// Why a key was not changed.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// There is no such key.
    #[error("no key has this id; `infinity key list` lists them")]
    Unknown,
    /// A valid key has the name.
    #[error("the key `{0}` is valid already; rotate it, revoke it, or choose another name")]
    Exists(String),
    /// It is not valid any more.
    #[error("the key is {}; make a new one", .0.as_str())]
    Ended(Refused),
    /// There are too many.
    #[error("there are {KEYS_MAX} keys; revoke what is not used")]
    Full,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What to make.
#[derive(Clone, Debug)]
pub struct KeyRequest {
    /// Who will come with it.
    pub name: String,
    /// What it may.
    pub role: Role,
    /// What of that.
    pub scopes: Vec<Scope>,
    /// How long it is valid.
    pub lasts: Option<SignedDuration>,
}

pub(super) type Digest = [u8; 32];

#[derive(Clone, Debug)]
struct Held {
    digest: Digest,
    key: ApiKey,
}

/// The keys of this host.
pub struct Keys {
    store: Arc<dyn Store>,
    /// By the characters that name them.
    held: ArcSwap<HashMap<String, Held>>,
    founder: Option<Digest>,
    required: AtomicBool,
    /// One change at a time: names and numbers are checked against all keys.
    change: Mutex<()>,
}

pub(super) fn sha256(bytes: &[u8]) -> Digest {
    let mut own = [0; 32];
    own.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    own
}

fn checksum(text: &str) -> String {
    let mut encoded = URL_SAFE_NO_PAD.encode(sha256(text.as_bytes()));
    encoded.truncate(CHECKSUM);
    encoded
}

/// The characters that name a key, if it is one in form.
pub(crate) fn naming(secret: &str) -> Option<&str> {
    let rest = secret.strip_prefix(PREFIX)?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if secret.len() != LENGTH || !rest.bytes().all(plain) {
        return None;
    }
    let (body, sum) = secret.split_at(LENGTH - CHECKSUM);
    (checksum(body) == sum).then(|| &rest[..NAMING])
}

pub(super) fn random<const N: usize>() -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    // The system's source of randomness does not fail once it works.
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| StoreError::Closed)?;
    Ok(bytes)
}

/// A new key: all of it, and the characters that name it.
fn make() -> Result<(String, String), StoreError> {
    let naming = URL_SAFE_NO_PAD.encode(random::<6>()?);
    let secret = URL_SAFE_NO_PAD.encode(random::<32>()?);
    let body = format!("{PREFIX}{naming}{secret}");
    let sum = checksum(&body);
    Ok((body + &sum, naming))
}

fn announce(kind: &str, key: &ApiKey, by: &Principal) -> Event {
    Event::new(
        format!("/keys/{}", key.id),
        format!("key.{kind}"),
        key.name.clone(),
        json!({
            "key": key.id, "name": key.name, "role": key.role, "scopes": key.scopes, "prefix": key.prefix,
            "expires_at": key.expires_at, "by": by,
        }),
    )
}

impl Keys {
    /// The keys in the store. `required` is whether the host asks for one even before one was made.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn open(
        store: Arc<dyn Store>,
        founder: Option<&str>,
        required: bool,
    ) -> Result<Self, StoreError> {
        let held: HashMap<String, Held> = store
            .keys()
            .await?
            .into_iter()
            .map(|row| {
                let naming = row.key.prefix.trim_start_matches(PREFIX).to_owned();
                let held = Held {
                    digest: row.digest,
                    key: row.key,
                };
                (naming, held)
            })
            .collect();
        let required = required || founder.is_some() || !held.is_empty();
        Ok(Self {
            store,
            held: ArcSwap::from_pointee(held),
            founder: founder.map(|secret| sha256(secret.as_bytes())),
            required: AtomicBool::new(required),
            change: Mutex::new(()),
        })
    }

    /// Whether a request needs a key.
    #[must_use]
    pub fn required(&self) -> bool {
        self.required.load(Ordering::Relaxed)
    }

    /// Who comes with this key.
    ///
    /// # Errors
    /// When it is refused.
    pub fn check(&self, secret: &str, at: Timestamp) -> Result<Caller, Refused> {
        let seen = sha256(secret.as_bytes());
        let same = |own: &Digest| constant_time::verify_slices_are_equal(own, &seen).is_ok();
        if self.founder.as_ref().is_some_and(same) {
            return Ok(founder());
        }
        let naming = naming(secret).ok_or(Refused::Malformed)?;
        let held = self.held.load();
        let held = held.get(naming).ok_or(Refused::Unknown)?;
        if !same(&held.digest) {
            return Err(Refused::Wrong);
        }
        match held.key.refused(at) {
            Some(refused) => Err(refused),
            None => Ok(caller(&held.key)),
        }
    }

    /// Whether the key of this id is not refused; the founder's always.
    #[must_use]
    pub fn is_valid(&self, id: Uuid, at: Timestamp) -> bool {
        let held = self.held.load();
        id.is_nil()
            || held
                .values()
                .any(|held| held.key.id == id && held.key.refused(at).is_none())
    }

    /// The key that a text is meant to be, by the characters that name it: for counting who is attacked.
    #[must_use]
    pub fn named(&self, secret: &str) -> Option<Uuid> {
        let naming = secret.strip_prefix(PREFIX)?.get(..NAMING)?;
        self.held.load().get(naming).map(|held| held.key.id)
    }

    /// All keys, the newest first.
    #[must_use]
    pub fn list(&self) -> Vec<ApiKey> {
        let mut keys: Vec<ApiKey> = self
            .held
            .load()
            .values()
            .map(|held| held.key.clone())
            .collect();
        keys.sort_by_key(|key| (std::cmp::Reverse(key.created_at), key.id));
        keys
    }

    /// Makes a key.
    ///
    /// # Errors
    /// When a valid key has the name, there are too many, or the store fails.
    pub async fn create(&self, request: KeyRequest, by: &Principal) -> Result<NewKey, KeyError> {
        let _change = self.change.lock().await;
        let at = now();
        let held = self.held.load_full();
        if held
            .values()
            .any(|held| held.key.name == request.name && held.key.refused(at).is_none())
        {
            return Err(KeyError::Exists(request.name));
        }
        let new = new_key(&request, at, by)?;
        self.put(
            &held,
            vec![(Some(&new.secret), new.key.clone())],
            announce("created", &new.key, by),
        )
        .await?;
        Ok(new)
    }

    /// Makes a key in place of another, which stays valid for `grace`.
    ///
    /// # Errors
    /// When there is no such key, it is not valid any more, or the store fails.
    pub async fn rotate(
        &self,
        id: Uuid,
        grace: SignedDuration,
        by: &Principal,
    ) -> Result<NewKey, KeyError> {
        let _change = self.change.lock().await;
        let at = now();
        let held = self.held.load_full();
        let mut old = find(&held, id)?;
        if let Some(refused) = old.refused(at) {
            return Err(KeyError::Ended(refused));
        }
        let request = KeyRequest {
            name: old.name.clone(),
            role: old.role,
            scopes: old.scopes.clone(),
            // As long as the old one was to last.
            lasts: old.expires_at.map(|end| end.duration_since(old.created_at)),
        };
        let new = new_key(&request, at, by)?;
        let end = at + grace;
        old.expires_at = Some(old.expires_at.map_or(end, |own| own.min(end)));
        old.replaced_by = Some(new.key.id);
        let event = announce("rotated", &new.key, by);
        self.put(
            &held,
            vec![(Some(&new.secret), new.key.clone()), (None, old)],
            event,
        )
        .await?;
        Ok(new)
    }

    /// Ends a key. One that ended already stays as it is.
    ///
    /// # Errors
    /// When there is no such key, or the store fails.
    pub async fn revoke(&self, id: Uuid, by: &Principal) -> Result<ApiKey, KeyError> {
        let _change = self.change.lock().await;
        let held = self.held.load_full();
        let mut key = find(&held, id)?;
        if key.revoked_at.is_none() {
            key.revoked_at = Some(now());
            let event = announce("revoked", &key, by);
            self.put(&held, vec![(None, key.clone())], event).await?;
        }
        Ok(key)
    }

    /// Writes keys and what is announced of them, then uses them. A key without its secret is there already.
    async fn put(
        &self,
        held: &HashMap<String, Held>,
        keys: Vec<(Option<&str>, ApiKey)>,
        event: Event,
    ) -> Result<(), KeyError> {
        let mut next = held.clone();
        let mut rows = Vec::new();
        for (secret, key) in keys {
            let naming = key.prefix.trim_start_matches(PREFIX).to_owned();
            let digest = match (secret, held.get(&naming)) {
                (Some(secret), _) => sha256(secret.as_bytes()),
                (None, Some(held)) => held.digest,
                (None, None) => return Err(KeyError::Unknown),
            };
            rows.push(KeyRow {
                digest,
                key: key.clone(),
            });
            next.insert(naming, Held { digest, key });
        }
        // What ended longest ago makes room.
        let mut removed = Vec::new();
        while next.len() > KEYS_MAX {
            let at = now();
            let ended = next
                .iter()
                .filter(|(_, held)| held.key.refused(at).is_some())
                .min_by_key(|(_, held)| held.key.created_at)
                .map(|(naming, held)| (naming.clone(), held.key.id));
            let Some((naming, id)) = ended else {
                return Err(KeyError::Full);
            };
            next.remove(&naming);
            removed.push(id);
        }
        self.store.put_keys(rows, removed, event).await?;
        self.held.store(Arc::new(next));
        self.required.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// A session for a browser whose person showed a key: the value of its cookie. It ends with the key.
    #[must_use]
    pub fn session(&self, caller: &Caller, at: Timestamp) -> Option<String> {
        let id = caller.key.as_ref()?.id;
        let end = (at + SESSION).as_second();
        let signed = format!("{id}.{end}");
        let mac = self.sign(id, &signed)?;
        Some(format!("{signed}.{mac}"))
    }

    /// Who comes with this session.
    ///
    /// # Errors
    /// When it is over, was not made here, or its key is refused.
    pub fn resume(&self, session: &str, at: Timestamp) -> Result<Caller, Refused> {
        let (signed, mac) = session.rsplit_once('.').ok_or(Refused::Session)?;
        let (id, end) = signed.split_once('.').ok_or(Refused::Session)?;
        let id: Uuid = id.parse().map_err(|_| Refused::Session)?;
        let own = self.sign(id, signed).ok_or(Refused::Session)?;
        constant_time::verify_slices_are_equal(own.as_bytes(), mac.as_bytes())
            .map_err(|_| Refused::Session)?;
        let end: i64 = end.parse().map_err(|_| Refused::Session)?;
        if end <= at.as_second() {
            return Err(Refused::Session);
        }
        // Each browser is a device of its own.
        let mut device = [0; 16];
        device.copy_from_slice(&sha256(session.as_bytes())[..16]);
        let from = |mut caller: Caller| {
            if let Some(key) = &mut caller.key {
                key.device = uuid::Builder::from_custom_bytes(device).into_uuid();
                let end = Timestamp::from_second(end).ok();
                key.until = key.until.map_or(end, |until| end.map(|end| end.min(until)));
            }
            caller
        };
        if id.is_nil() {
            return Ok(from(founder()));
        }
        let held = self.held.load();
        let key = held.values().find(|held| held.key.id == id);
        let key = &key.ok_or(Refused::Unknown)?.key;
        match key.refused(at) {
            Some(refused) => Err(refused),
            None => Ok(from(caller(key))),
        }
    }

    /// The token that a page of this host sends with what it changes, so that a page of another cannot.
    #[must_use]
    pub fn csrf_token(&self, session: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, session.as_bytes());
        URL_SAFE_NO_PAD.encode(hmac::sign(&key, b"infinity csrf").as_ref())
    }

    /// Signs with what the host alone knows of a key: so a session ends with its key, and nothing more has to be kept.
    fn sign(&self, id: Uuid, text: &str) -> Option<String> {
        let held = self.held.load();
        let digest = if id.is_nil() {
            self.founder.as_ref()?
        } else {
            &held.values().find(|held| held.key.id == id)?.digest
        };
        let key = hmac::Key::new(hmac::HMAC_SHA256, digest);
        Some(URL_SAFE_NO_PAD.encode(hmac::sign(&key, text.as_bytes()).as_ref()))
    }
}

/// The holder of `FOUNDER_API_KEY`: an admin who approves nothing.
fn founder() -> Caller {
    Caller {
        principal: Principal {
            kind: "key".into(),
            name: "founder".into(),
        },
        key: Some(Shown {
            id: Uuid::nil(),
            device: Uuid::nil(),
            since: None,
            until: None,
            role: Role::Admin,
            scopes: Vec::new(),
        }),
    }
}

fn caller(key: &ApiKey) -> Caller {
    Caller {
        principal: Principal {
            kind: "key".into(),
            name: key.name.clone(),
        },
        key: Some(Shown {
            id: key.id,
            device: key.id,
            since: None,
            until: key.expires_at,
            role: key.role,
            scopes: key.scopes.clone(),
        }),
    }
}

fn find(held: &HashMap<String, Held>, id: Uuid) -> Result<ApiKey, KeyError> {
    held.values()
        .find(|held| held.key.id == id)
        .map(|held| held.key.clone())
        .ok_or(KeyError::Unknown)
}

fn new_key(request: &KeyRequest, at: Timestamp, by: &Principal) -> Result<NewKey, KeyError> {
    let (secret, naming) = make()?;
    Ok(NewKey {
        secret,
        key: ApiKey {
            id: Uuid::now_v7(),
            name: request.name.clone(),
            role: request.role,
            scopes: request.scopes.clone(),
            prefix: format!("{PREFIX}{naming}"),
            created_at: at,
            created_by: by.clone(),
            expires_at: request.lasts.map(|lasts| at + lasts),
            revoked_at: None,
            replaced_by: None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::SqliteStore;

    async fn keys(folder: &std::path::Path, founder: Option<&str>) -> (Arc<SqliteStore>, Keys) {
        let store = Arc::new(SqliteStore::open(folder).await.unwrap());
        let keys = Keys::open(Arc::clone(&store) as Arc<dyn Store>, founder, false)
            .await
            .unwrap();
        (store, keys)
    }

    fn request(name: &str) -> KeyRequest {
        KeyRequest {
            name: name.into(),
            role: Role::Editor,
            scopes: vec!["agents:run:badge".parse().unwrap()],
            lasts: Some(SignedDuration::from_hours(1)),
        }
    }

    #[tokio::test]
    async fn a_key_lives_from_its_making_to_its_end_across_restarts() {
        let folder = tempfile::tempdir().unwrap();
        let by = Principal::local();
        let (store, own) = keys(folder.path(), None).await;
        assert!(!own.required());
        let first = own.create(request("ci"), &by).await.unwrap();
        assert!(own.required());
        assert_eq!(first.secret.len(), LENGTH);
        assert!(!format!("{first:?}").contains(&first.secret));
        assert!(matches!(
            own.create(request("ci"), &by).await,
            Err(KeyError::Exists(_))
        ));
        let at = now();
        let caller = own.check(&first.secret, at).unwrap();
        assert_eq!(caller.principal.name, "ci");
        assert_eq!(
            own.check(&first.secret, at + SignedDuration::from_hours(2)),
            Err(Refused::Expired)
        );
        let second = own
            .rotate(first.key.id, SignedDuration::from_mins(10), &by)
            .await
            .unwrap();
        // Both are valid beside each other, the old one for its grace.
        assert!(own.check(&first.secret, now()).is_ok());
        assert!(own.check(&second.secret, now()).is_ok());
        let later = now() + SignedDuration::from_mins(11);
        assert_eq!(own.check(&first.secret, later), Err(Refused::Expired));
        assert!(own.check(&second.secret, later).is_ok());
        own.revoke(second.key.id, &by).await.unwrap();
        assert_eq!(own.check(&second.secret, now()), Err(Refused::Revoked));
        store.close().await.unwrap();
        drop((store, own));

        let (store, own) = keys(folder.path(), None).await;
        assert!(own.required());
        assert_eq!(own.list().len(), 2);
        assert!(own.check(&first.secret, now()).is_ok());
        assert_eq!(own.check(&second.secret, now()), Err(Refused::Revoked));
        // What changed is in the feed, and the secrets are not.
        let feed = store.events(&[], None, 100).await.unwrap().items;
        let kinds: Vec<&str> = feed.iter().map(|event| event.kind.as_str()).collect();
        assert_eq!(kinds, ["key.created", "key.rotated", "key.revoked"]);
        let text = serde_json::to_string(&feed).unwrap();
        assert!(!text.contains(&first.secret) && !text.contains(&second.secret));
        store.close().await.unwrap();
    }

    #[tokio::test]
    async fn what_is_no_key_is_told_from_what_is_a_wrong_one() {
        let folder = tempfile::tempdir().unwrap();
        let (store, own) = keys(folder.path(), Some("the founder's words")).await;
        assert!(own.required());
        let first = own
            .create(request("ci"), &Principal::local())
            .await
            .unwrap();
        let (foreign, _) = make().unwrap();
        let body = format!(
            "{}{}",
            &first.secret[..PREFIX.len() + NAMING],
            &foreign[PREFIX.len() + NAMING..LENGTH - CHECKSUM]
        );
        let wrong = format!("{body}{}", checksum(&body));
        let mut slip = first.secret.clone();
        slip.replace_range(20..21, if &slip[20..21] == "A" { "B" } else { "A" });
        for (secret, expected) in [
            ("", Refused::Malformed),
            ("inf_", Refused::Malformed),
            (&slip, Refused::Malformed),
            (&foreign, Refused::Unknown),
            (&wrong, Refused::Wrong),
            (&first.secret[1..], Refused::Malformed),
            (&"é".repeat(LENGTH / 2), Refused::Malformed),
        ] {
            assert_eq!(own.check(secret, now()), Err(expected), "{secret}");
        }
        assert_eq!(own.named(&wrong), Some(first.key.id));
        assert_eq!(own.named("inf_é"), None);
        let founder = own.check("the founder's words", now()).unwrap();
        assert_eq!(founder.key.unwrap().role, Role::Admin);
        store.close().await.unwrap();
    }

    #[tokio::test]
    async fn a_session_ends_with_its_key_and_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let (store, own) = keys(folder.path(), Some("founder")).await;
        let by = Principal::local();
        let key = own
            .create(
                KeyRequest {
                    lasts: None,
                    ..request("ann")
                },
                &by,
            )
            .await
            .unwrap();
        let at = now();
        let caller = own.check(&key.secret, at).unwrap();
        let session = own.session(&caller, at).unwrap();
        let resumed = own.resume(&session, at).unwrap();
        assert_eq!(resumed.principal, caller.principal);
        assert_eq!(resumed.key.as_ref().unwrap().id, key.key.id);
        // Each browser is a device of its own.
        assert_ne!(resumed.key.unwrap().device, key.key.id);
        for broken in [
            "",
            "a.b",
            "a.b.c",
            &session[1..],
            &session[..session.len() - 1],
            &session.replacen('.', ".9", 1),
        ] {
            assert_eq!(own.resume(broken, at), Err(Refused::Session), "{broken}");
        }
        let over = at + SESSION + SignedDuration::from_secs(1);
        assert_eq!(own.resume(&session, over), Err(Refused::Session));
        own.revoke(key.key.id, &by).await.unwrap();
        assert_eq!(own.resume(&session, at), Err(Refused::Revoked));
        let founder = own.check("founder", at).unwrap();
        let session = own.session(&founder, at).unwrap();
        assert_eq!(
            own.resume(&session, at).unwrap().principal,
            founder.principal
        );
        assert_ne!(own.csrf_token(&session), own.csrf_token("x"));
        store.close().await.unwrap();
    }
}
