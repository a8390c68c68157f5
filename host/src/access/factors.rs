//! Second factors: what somebody shows beside a key or a session before they approve. Codes of an authenticator app (TOTP), or passkeys.
//!
//! Invariants: a code counts once; what was shown counts for [`LASTS`], on the device that showed it; once anybody has a factor nobody approves without one. What a factor is made of is sealed.

use super::Caller;
use super::keys::random;
use super::passkeys::{Credential, PasskeyError, Passkeys};
use crate::model::{Event, Principal};
use crate::store::{SealedRow, Store, StoreError};
use jiff::{SignedDuration, Timestamp};
use lru::LruCache;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use totp_rs::{Builder, Totp};
use utoipa::ToSchema;
use uuid::Uuid;

/// How long a factor that was shown counts: to decide on some effects, and not for the next who sits there.
pub const LASTS: SignedDuration = SignedDuration::from_mins(10);

/// Factors of one person: some devices and a spare one.
pub const FACTORS_MAX: usize = 10;

/// Factors of all people.
const ALL_MAX: usize = 10_000;

/// How long one may take from beginning to confirming one.
const CONFIRM_WITHIN: SignedDuration = SignedDuration::from_mins(15);

/// Devices of which it is remembered that they showed a factor.
const SHOWN: NonZeroUsize = NonZeroUsize::new(10_000).expect("is not zero");

/// Characters of what a factor is called.
pub const LABEL_MAX: usize = 60;

/// Bytes of a secret: what the standard asks for with SHA-1.
const SECRET: usize = 20;

const KIND: &str = "factor";

/// The flag that says that somebody has one, or had.
const EVER_FLAG: &str = "access/factor_enrolled";

/// What a factor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FactorKind {
    /// Codes of an authenticator app.
    Totp,
    /// A passkey: of a phone, a computer or a security key.
    Passkey,
}

/// A second factor, without what is secret of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Factor {
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub owner: Principal,
    /// What it is.
    pub kind: FactorKind,
    /// What its owner calls it.
    pub label: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// Whether its owner has shown it once; before that it counts for nothing.
    pub confirmed: bool,
    /// When it was shown last.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub used_at: Option<Timestamp>,
}

/// An authenticator app to be.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct NewTotp {
    /// What the app is given, in base 32. It is shown this once.
    pub secret: String,
    /// The same as an address, for a QR code.
    pub uri: String,
    /// What is kept of it.
    #[serde(flatten)]
    pub factor: Factor,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Material {
    Totp {
        secret: Vec<u8>,
        /// The last step whose code counted.
        last: u64,
    },
    Passkey(Box<Credential>),
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct Held {
    factor: Factor,
    material: Material,
}

/// Why a factor was not taken.
#[derive(Debug, thiserror::Error)]
pub enum FactorError {
    /// There is no such factor of theirs.
    #[error("no factor of yours has this id; `GET /v1/factors` lists them")]
    Unknown,
    /// They have none of the kind.
    #[error("you have no {0} to show; `infinity factor totp` adds an authenticator app")]
    None(&'static str),
    /// It is not the code of this moment.
    #[error("that is not the code of this moment; a code counts once, and the clocks must agree")]
    Wrong,
    /// There are too many.
    #[error("there are {FACTORS_MAX} factors of yours, or too many of all; remove one")]
    Full,
    /// The passkey does not count.
    #[error(transparent)]
    Passkey(#[from] PasskeyError),
    /// This host has no name that browsers can have passkeys for.
    #[error(
        "passkeys need the host's address; set `url` in `[host]` of `plugins.toml`, for instance `https://infinity.example.com`"
    )]
    NoAddress,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The second factors of this host.
pub struct Factors {
    store: Arc<dyn Store>,
    passkeys: Option<Passkeys>,
    held: Mutex<Vec<Held>>,
    /// Of which devices a factor was shown, and until when that counts.
    shown: Mutex<LruCache<Uuid, Timestamp>>,
    /// Whether anybody ever had one: what is lost does not count as removed.
    ever: AtomicBool,
    /// One change at a time, as each is written before it counts.
    change: tokio::sync::Mutex<()>,
    /// Held while a factor is tried and what came of it is counted: who tries many at once tries one after the other.
    pub trying: tokio::sync::Mutex<()>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is in there is whole after every statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The device that a caller comes from; nil for the people of this machine.
fn device(caller: &Caller) -> Uuid {
    caller.key.as_ref().map_or(Uuid::nil(), |key| key.device)
}

/// The same for the same person, for passkeys.
fn handle(owner: &Principal) -> Uuid {
    let digest = super::keys::sha256(format!("{}\0{}", owner.kind, owner.name).as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

fn totp(secret: &[u8], owner: &Principal) -> Option<Totp> {
    Builder::new()
        .with_secret(totp_rs::Secret::from(secret))
        // The one before and the one after: clocks differ, and people type.
        .with_skew(1)
        .with_issuer(Some("Infinity"))
        // A colon parts the issuer from the name.
        .with_account_name(owner.name.replace(':', "/"))
        .build()
        .ok()
}

fn event(kind: &str, factor: &Factor, by: &Principal) -> Event {
    Event::new(
        format!("/factors/{}", factor.id),
        format!("factor.{kind}"),
        factor.id.to_string(),
        json!({ "factor": factor.id, "user": factor.owner.name, "kind": factor.kind, "by": by }),
    )
}

fn row(held: &Held) -> Result<SealedRow, StoreError> {
    Ok(SealedRow {
        id: held.factor.id,
        content: serde_json::to_vec(held).map_err(|_| StoreError::Closed)?,
    })
}

impl Factors {
    /// The factors in the store.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn open(
        store: Arc<dyn Store>,
        passkeys: Option<Passkeys>,
    ) -> Result<Self, StoreError> {
        let mut held = Vec::new();
        for row in store.sealed(KIND).await? {
            match serde_json::from_slice::<Held>(&row.content) {
                Ok(one) => held.push(one),
                Err(error) => tracing::error!("the factor `{}` is not used: {error}", row.id),
            }
        }
        let ever = store.flags().await?.contains_key(EVER_FLAG);
        Ok(Self {
            ever: AtomicBool::new(ever),
            trying: tokio::sync::Mutex::default(),
            store,
            passkeys,
            held: Mutex::new(held),
            shown: Mutex::new(LruCache::new(SHOWN)),
            change: tokio::sync::Mutex::new(()),
        })
    }

    /// Whether anybody has one, or had, so that who approves has to show theirs.
    #[must_use]
    pub fn required(&self) -> bool {
        self.ever.load(Ordering::Relaxed)
            || locked(&self.held).iter().any(|held| held.factor.confirmed)
    }

    /// Whether they have one that was confirmed.
    #[must_use]
    pub fn has(&self, owner: &Principal) -> bool {
        locked(&self.held)
            .iter()
            .any(|held| held.factor.confirmed && held.factor.owner == *owner)
    }

    /// Until when what this caller showed counts, if it does.
    #[must_use]
    pub fn shown_until(&self, caller: &Caller, at: Timestamp) -> Option<Timestamp> {
        locked(&self.shown)
            .get(&device(caller))
            .copied()
            .filter(|until| *until > at)
    }

    /// Those of one person, or of all, the newest first.
    #[must_use]
    pub fn list(&self, owner: Option<&Principal>) -> Vec<Factor> {
        let mut factors: Vec<Factor> = locked(&self.held)
            .iter()
            .filter(|held| owner.is_none_or(|owner| held.factor.owner == *owner))
            .map(|held| held.factor.clone())
            .collect();
        factors.sort_by_key(|factor| std::cmp::Reverse((factor.created_at, factor.id)));
        factors
    }

    fn of(&self, owner: &Principal) -> Vec<Held> {
        locked(&self.held)
            .iter()
            .filter(|held| held.factor.owner == *owner)
            .cloned()
            .collect()
    }

    /// Writes one, then uses it.
    async fn put(&self, new: Held, events: Vec<Event>) -> Result<(), FactorError> {
        self.store
            .put_sealed(KIND, vec![row(&new)?], Vec::new(), events)
            .await?;
        let mut held = locked(&self.held);
        held.retain(|one| one.factor.id != new.factor.id);
        held.push(new);
        Ok(())
    }

    /// Makes room for one more, by removing what was begun and not confirmed.
    async fn make_room(&self, owner: &Principal, at: Timestamp) -> Result<(), FactorError> {
        let left: Vec<Uuid> = locked(&self.held)
            .iter()
            .filter(|held| {
                !held.factor.confirmed && at.duration_since(held.factor.created_at) > CONFIRM_WITHIN
            })
            .map(|held| held.factor.id)
            .collect();
        if !left.is_empty() {
            self.store
                .put_sealed(KIND, Vec::new(), left.clone(), Vec::new())
                .await?;
            locked(&self.held).retain(|held| !left.contains(&held.factor.id));
        }
        let held = locked(&self.held);
        let own = held.iter().filter(|one| one.factor.owner == *owner).count();
        if own >= FACTORS_MAX || held.len() >= ALL_MAX {
            return Err(FactorError::Full);
        }
        Ok(())
    }

    /// Makes an authenticator app's secret. It counts once its owner has shown a code.
    ///
    /// # Errors
    /// When there are too many, or the store fails.
    pub async fn begin_totp(
        &self,
        owner: &Principal,
        label: &str,
        at: Timestamp,
    ) -> Result<NewTotp, FactorError> {
        let _change = self.change.lock().await;
        self.make_room(owner, at).await?;
        let secret = random::<SECRET>()?;
        let app = totp(&secret, owner).ok_or(StoreError::Closed)?;
        let factor = new_factor(owner, FactorKind::Totp, label, at);
        let held = Held {
            factor: factor.clone(),
            material: Material::Totp {
                secret: secret.to_vec(),
                last: 0,
            },
        };
        self.put(held, Vec::new()).await?;
        Ok(NewTotp {
            secret: totp_rs::Secret::from(&secret[..]).to_base32(),
            uri: app.to_url().unwrap_or_default(),
            factor,
        })
    }

    /// Takes a code: that of the app that is to be confirmed, or of any that was.
    ///
    /// # Errors
    /// When it is none of theirs, or does not count.
    pub async fn show_code(
        &self,
        caller: &Caller,
        unconfirmed: Option<Uuid>,
        code: &str,
        at: Timestamp,
    ) -> Result<Factor, FactorError> {
        let _change = self.change.lock().await;
        let owner = &caller.principal;
        let fits = |held: &Held| match unconfirmed {
            Some(id) => {
                held.factor.id == id
                    && !held.factor.confirmed
                    && at.duration_since(held.factor.created_at) <= CONFIRM_WITHIN
            }
            None => held.factor.confirmed,
        };
        let mut any = false;
        for held in self.of(owner).into_iter().filter(fits) {
            let Material::Totp { secret, last } = &held.material else {
                continue;
            };
            any = true;
            let seconds = u64::try_from(at.as_second()).unwrap_or_default();
            let step = totp(secret, owner)
                .and_then(|totp| totp.check(code, seconds))
                .filter(|step| step > last);
            let Some(step) = step else { continue };
            let material = Material::Totp {
                secret: secret.clone(),
                last: step,
            };
            return self.shown(caller, held, material, at).await;
        }
        Err(match (any, unconfirmed) {
            (true, _) => FactorError::Wrong,
            (false, Some(_)) => FactorError::Unknown,
            (false, None) => FactorError::None("authenticator app"),
        })
    }

    /// Keeps that a factor was shown, and lets it count for the device.
    async fn shown(
        &self,
        caller: &Caller,
        mut held: Held,
        material: Material,
        at: Timestamp,
    ) -> Result<Factor, FactorError> {
        let word = if held.factor.confirmed {
            "shown"
        } else {
            "enrolled"
        };
        if !held.factor.confirmed {
            self.store.set_flag(EVER_FLAG, Some("yes")).await?;
            self.ever.store(true, Ordering::Relaxed);
        }
        held.factor.confirmed = true;
        held.factor.used_at = Some(at);
        held.material = material;
        let factor = held.factor.clone();
        let events = vec![event(word, &factor, &caller.principal)];
        self.put(held, events).await?;
        locked(&self.shown).put(device(caller), at + LASTS);
        Ok(factor)
    }

    fn passkeys(&self) -> Result<&Passkeys, FactorError> {
        self.passkeys.as_ref().ok_or(FactorError::NoAddress)
    }

    fn credentials(&self, owner: &Principal) -> Vec<(Held, Credential)> {
        self.of(owner)
            .into_iter()
            .filter_map(|held| match &held.material {
                Material::Passkey(credential) => {
                    let credential = Credential::clone(credential);
                    Some((held, credential))
                }
                Material::Totp { .. } => None,
            })
            .collect()
    }

    /// What a browser makes a passkey from.
    ///
    /// # Errors
    /// [`FactorError`]
    pub fn begin_passkey(&self, owner: &Principal) -> Result<Value, FactorError> {
        let existing: Vec<Credential> = self
            .credentials(owner)
            .into_iter()
            .map(|(_, credential)| credential)
            .collect();
        Ok(self
            .passkeys()?
            .begin_registration(handle(owner), &owner.name, &existing)?)
    }

    /// Takes the passkey that a browser made; it was shown thereby.
    ///
    /// # Errors
    /// [`FactorError`]
    pub async fn finish_passkey(
        &self,
        caller: &Caller,
        label: &str,
        response: &Value,
        at: Timestamp,
    ) -> Result<Factor, FactorError> {
        let owner = &caller.principal;
        let credential = self
            .passkeys()?
            .finish_registration(handle(owner), response)?;
        let _change = self.change.lock().await;
        self.make_room(owner, at).await?;
        let same = |held: &Held| matches!(&held.material, Material::Passkey(own) if own.id() == credential.id());
        if locked(&self.held).iter().any(same) {
            return Err(
                PasskeyError::Refused("this passkey is registered here already".into()).into(),
            );
        }
        let material = Material::Passkey(Box::new(credential));
        let held = Held {
            factor: new_factor(owner, FactorKind::Passkey, label, at),
            material: material.clone(),
        };
        self.shown(caller, held, material, at).await
    }

    /// What a browser shows a passkey with.
    ///
    /// # Errors
    /// [`FactorError`]
    pub fn begin_assertion(&self, owner: &Principal) -> Result<Value, FactorError> {
        let own: Vec<Credential> = self
            .credentials(owner)
            .into_iter()
            .map(|(_, credential)| credential)
            .collect();
        if own.is_empty() {
            return Err(FactorError::None("passkey"));
        }
        Ok(self.passkeys()?.begin_assertion(handle(owner), &own)?)
    }

    /// Takes what a browser showed.
    ///
    /// # Errors
    /// [`FactorError`]
    pub async fn finish_assertion(
        &self,
        caller: &Caller,
        response: &Value,
        at: Timestamp,
    ) -> Result<Factor, FactorError> {
        let _change = self.change.lock().await;
        let owner = &caller.principal;
        let own = self.credentials(owner);
        let credentials: Vec<Credential> = own
            .iter()
            .map(|(_, credential)| credential.clone())
            .collect();
        let credential =
            self.passkeys()?
                .finish_assertion(handle(owner), &credentials, response)?;
        let held = own
            .into_iter()
            .find(|(_, known)| known.id() == credential.id())
            .map(|(held, _)| held)
            .ok_or(FactorError::Unknown)?;
        self.shown(caller, held, Material::Passkey(Box::new(credential)), at)
            .await
    }

    /// Lets people approve without one again, if there is none left: for who works on the host's own machine.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn forget(&self) -> Result<(), StoreError> {
        if locked(&self.held).iter().any(|held| held.factor.confirmed) {
            return Ok(());
        }
        self.store.set_flag(EVER_FLAG, None).await?;
        self.ever.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Removes one.
    ///
    /// # Errors
    /// When there is no such one, or the store fails.
    pub async fn remove(&self, id: Uuid, by: &Principal) -> Result<Factor, FactorError> {
        let _change = self.change.lock().await;
        let factor = self
            .list(None)
            .into_iter()
            .find(|factor| factor.id == id)
            .ok_or(FactorError::Unknown)?;
        let events = vec![event("removed", &factor, by)];
        self.store
            .put_sealed(KIND, Vec::new(), vec![id], events)
            .await?;
        locked(&self.held).retain(|held| held.factor.id != id);
        // It may have been taken away because somebody else had it.
        locked(&self.shown).clear();
        Ok(factor)
    }
}

fn new_factor(owner: &Principal, kind: FactorKind, label: &str, at: Timestamp) -> Factor {
    Factor {
        id: Uuid::now_v7(),
        owner: owner.clone(),
        kind,
        label: label.chars().take(LABEL_MAX).collect(),
        created_at: at,
        confirmed: false,
        used_at: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Role, Shown};
    use crate::model::now;
    use crate::store::SqliteStore;

    fn ann(device: Uuid) -> Caller {
        Caller {
            principal: Principal {
                kind: "user".into(),
                name: "corp:ann".into(),
            },
            key: Some(Shown {
                id: Uuid::from_u128(1),
                device,
                since: None,
                until: None,
                role: Role::Editor,
                scopes: Vec::new(),
            }),
        }
    }

    #[tokio::test]
    async fn a_code_counts_once_and_for_one_device_and_a_while() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(folder.path()).await.unwrap());
        let open = || Factors::open(Arc::clone(&store) as Arc<dyn Store>, None);
        let own = open().await.unwrap();
        let caller = ann(Uuid::from_u128(7));
        let at = now();
        let new = own
            .begin_totp(&caller.principal, "phone", at)
            .await
            .unwrap();
        assert!(
            new.uri.starts_with("otpauth://totp/Infinity:corp%2Fann?"),
            "{}",
            new.uri
        );
        // Nothing counts before it was shown once.
        assert!(!own.required());
        let app = Totp::from_url(&new.uri).unwrap();
        let code = |at: Timestamp| app.generate(at.as_second().unsigned_abs()).to_string();
        let none = own.show_code(&caller, None, &code(at), at).await;
        assert!(matches!(none, Err(FactorError::None(_))));
        for wrong in ["", "000000", "12345", "é"] {
            if *wrong == code(at) {
                continue;
            }
            let error = own.show_code(&caller, Some(new.factor.id), wrong, at).await;
            assert!(matches!(error, Err(FactorError::Wrong)), "{wrong}");
        }
        own.show_code(&caller, Some(new.factor.id), &code(at), at)
            .await
            .unwrap();
        assert!(own.required());
        assert!(own.shown_until(&caller, at).is_some());
        assert!(own.shown_until(&caller, at + LASTS).is_none());
        assert!(own.shown_until(&ann(Uuid::from_u128(8)), at).is_none());
        assert!(own.shown_until(&Caller::local(), at).is_none());
        // The same one again is somebody who looked on; it is remembered across a restart.
        let own = open().await.unwrap();
        assert!(own.required());
        let again = own.show_code(&caller, None, &code(at), at).await;
        assert!(matches!(again, Err(FactorError::Wrong)));
        let later = at + SignedDuration::from_secs(60);
        own.show_code(&caller, None, &code(later), later)
            .await
            .unwrap();
        // A clock that is a step behind is let be, two are not.
        let much = later + SignedDuration::from_secs(300);
        let behind = much - SignedDuration::from_secs(90);
        assert!(
            own.show_code(&caller, None, &code(behind), much)
                .await
                .is_err()
        );
        let behind = much - SignedDuration::from_secs(30);
        own.show_code(&caller, None, &code(behind), much)
            .await
            .unwrap();
        // Nobody else's.
        let mut eve = ann(Uuid::from_u128(9));
        eve.principal.name = "corp:eve".into();
        let far = much + SignedDuration::from_secs(300);
        let none = own.show_code(&eve, None, &code(far), far).await;
        assert!(matches!(none, Err(FactorError::None(_))));
        let unknown = own
            .show_code(&eve, Some(new.factor.id), &code(far), far)
            .await;
        assert!(matches!(unknown, Err(FactorError::Unknown)));
        own.remove(new.factor.id, &caller.principal).await.unwrap();
        // Whoever takes away the last one does not take away that one is asked for.
        assert!(own.required() && !own.has(&caller.principal));
        assert!(own.shown_until(&caller, much).is_none());
        own.forget().await.unwrap();
        assert!(!own.required());
        let feed = store.events(&[], None, 100).await.unwrap().items;
        let kinds: Vec<&str> = feed.iter().map(|event| event.kind.as_str()).collect();
        assert_eq!(
            kinds,
            [
                "factor.enrolled",
                "factor.shown",
                "factor.shown",
                "factor.removed"
            ]
        );
        assert!(!serde_json::to_string(&feed).unwrap().contains(&new.secret));
        store.close().await.unwrap();
    }

    #[tokio::test]
    async fn what_was_begun_and_left_makes_room() {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::open(folder.path()).await.unwrap());
        let own = Factors::open(Arc::clone(&store) as Arc<dyn Store>, None)
            .await
            .unwrap();
        let owner = Principal::local();
        let at = now();
        for _ in 0..FACTORS_MAX {
            own.begin_totp(&owner, "x", at).await.unwrap();
        }
        let full = own.begin_totp(&owner, "x", at).await;
        assert!(matches!(full, Err(FactorError::Full)));
        let later = at + CONFIRM_WITHIN + SignedDuration::from_secs(1);
        own.begin_totp(&owner, "x", later).await.unwrap();
        assert_eq!(own.list(Some(&owner)).len(), 1);
        assert!(matches!(
            own.begin_passkey(&owner),
            Err(FactorError::NoAddress)
        ));
        store.close().await.unwrap();
    }
}
