//! The kill switch: everything stops within a second, and stays stopped until an admin has seen a dry run pass.
//!
//! It is thrown by a request, a signal (`SIGUSR1`), the file `kill.flag` in the state folder, or by the host itself. When its time is over it waits for recovery; nothing resumes by itself.
//! It is on the disk twice, as the file and as a flag of the store, so that neither a restart nor the removal of a file lets anything go on.
//!
//! Invariant: what is in the sandbox is cancelled, and what looks before it begins sees the switch, whichever comes first.

use crate::model::{Event, Principal, now};
use crate::store::{Store, StoreError};
use arc_swap::ArcSwapOption;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

/// The file that throws the switch, and shows that it is thrown.
pub const KILL_FILE: &str = "kill.flag";

/// The flag of the store.
const FLAG: &str = "killswitch";

/// Bytes of the file that are read: what the host wrote is far shorter.
const FILE_MAX: usize = 16 * 1024;

/// Characters of a reason.
pub const REASON_MAX: usize = 1_000;

/// The longest time after which recovery is waited for, in minutes: a month.
pub const MINUTES_MAX: u32 = 31 * 24 * 60;

/// What is known of a switch that is thrown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Kill {
    /// Why.
    pub reason: String,
    /// By whom.
    pub by: Principal,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub engaged_at: Timestamp,
    /// From when it waits for recovery; at once if none.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
}

/// Where the switch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KillState {
    /// Everything goes its way.
    Off,
    /// Everything is stopped, and not to be recovered yet.
    Engaged,
    /// Everything is stopped until an admin recovers it.
    AwaitingRecovery,
}

/// The switch as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KillView {
    /// Where it is.
    pub state: KillState,
    /// Why, by whom and since when, while it is thrown.
    pub kill: Option<Kill>,
}

/// The switch.
pub struct KillSwitch {
    store: Arc<dyn Store>,
    file: PathBuf,
    kill: ArcSwapOption<Kill>,
    /// Cancelled while the switch is thrown; another one after each recovery.
    token: Mutex<CancellationToken>,
    /// The key of the one run that may go on: the dry run of a recovery.
    exempt: Mutex<Option<String>>,
    /// One change at a time.
    change: tokio::sync::Mutex<()>,
}

impl KillSwitch {
    /// Off, until [`KillSwitch::restore`] finds otherwise.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, state: &Path) -> Self {
        Self {
            store,
            file: state.join(KILL_FILE),
            kill: ArcSwapOption::empty(),
            token: Mutex::default(),
            exempt: Mutex::default(),
            change: tokio::sync::Mutex::new(()),
        }
    }

    /// Takes up what an earlier process left.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn restore(&self) -> Result<(), StoreError> {
        match self.store.flags().await?.remove(FLAG) {
            Some(text) => {
                self.set(Some(Arc::new(read(&text))));
                Ok(())
            }
            None => self.look().await,
        }
    }

    /// Whether it is thrown.
    #[must_use]
    pub fn is_engaged(&self) -> bool {
        self.kill.load().is_some()
    }

    /// Whether a run with this key may go on.
    #[must_use]
    pub fn lets(&self, key: &str) -> bool {
        if !self.is_engaged() {
            return true;
        }
        let exempt = self.exempt.lock().unwrap_or_else(PoisonError::into_inner);
        exempt.as_deref() == Some(key)
    }

    /// Lets the run with this key go on, or none.
    pub fn exempt(&self, key: Option<String>) {
        *self.exempt.lock().unwrap_or_else(PoisonError::into_inner) = key;
    }

    /// Cancelled when the switch is thrown.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        let token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        token.child_token()
    }

    /// How it is now.
    #[must_use]
    pub fn view(&self) -> KillView {
        let kill = self.kill.load_full().map(|kill| Kill::clone(&kill));
        let state = match &kill {
            None => KillState::Off,
            Some(kill) if kill.until.is_some_and(|until| until > now()) => KillState::Engaged,
            Some(_) => KillState::AwaitingRecovery,
        };
        KillView { state, kill }
    }

    fn set(&self, kill: Option<Arc<Kill>>) {
        let mut token = self.token.lock().unwrap_or_else(PoisonError::into_inner);
        let engaged = kill.is_some();
        self.kill.store(kill);
        if engaged {
            token.cancel();
        } else {
            *token = CancellationToken::new();
        }
    }

    /// Throws it. What runs is cancelled before this first waits for anything. Thrown again, it keeps its reason and the later end.
    ///
    /// # Errors
    /// When it cannot be made to last; it is thrown all the same.
    pub async fn engage(
        &self,
        reason: String,
        by: Principal,
        minutes: Option<u32>,
    ) -> Result<KillView, StoreError> {
        let at = now();
        let until = minutes.map(|minutes| at + SignedDuration::from_mins(i64::from(minutes)));
        let first = !self.is_engaged();
        let kill = match self.kill.load_full() {
            Some(before) => Kill {
                until: before.until.max(until),
                ..Kill::clone(&before)
            },
            None => Kill {
                reason,
                by,
                engaged_at: at,
                until,
            },
        };
        self.set(Some(Arc::new(kill.clone())));
        let _change = self.change.lock().await;
        // Strings and moments alone: this cannot fail.
        let text = serde_json::to_string(&kill).unwrap_or_default();
        if let Err(error) = self.write(&text) {
            tracing::error!("`{}` cannot be written: {error}", self.file.display());
        }
        self.store.set_flag(FLAG, Some(&text)).await?;
        if first {
            tracing::error!(
                "the kill switch is thrown by {} `{}`: {}",
                kill.by.kind,
                kill.by.name,
                kill.reason
            );
            let event = Event::new(
                "/host".into(),
                "killswitch.engaged",
                "host".into(),
                json!({ "reason": kill.reason, "by": kill.by, "until": kill.until }),
            );
            self.store.publish(event).await?;
        }
        Ok(self.view())
    }

    /// Lets everything go on. Whoever calls has seen a dry run pass.
    ///
    /// # Errors
    /// When that cannot be made to last; everything stays stopped then.
    pub async fn release(&self, by: &Principal, run: &str) -> Result<(), StoreError> {
        let _change = self.change.lock().await;
        let event = Event::new(
            "/host".into(),
            "killswitch.recovered",
            "host".into(),
            json!({ "by": by, "dry_run": run }),
        );
        self.store.publish(event).await?;
        self.store.set_flag(FLAG, None).await?;
        if let Err(error) = std::fs::remove_file(&self.file)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::error!("`{}` cannot be removed: {error}", self.file.display());
        }
        self.set(None);
        self.exempt(None);
        tracing::warn!(
            "the kill switch is off again: {} `{}` recovered the host",
            by.kind,
            by.name
        );
        Ok(())
    }

    /// Looks whether somebody made the file; and makes it again where somebody took it away.
    ///
    /// # Errors
    /// When the store fails; the switch is thrown all the same.
    pub async fn look(&self) -> Result<(), StoreError> {
        match (self.file.exists(), self.kill.load_full()) {
            (true, None) => {
                let kill = self.in_file().unwrap_or_else(|| read(""));
                self.engage(kill.reason, kill.by, None).await?;
            }
            (false, Some(kill)) => {
                // Recovery is under way, or somebody removed the file, which recovers nothing.
                let _change = self.change.lock().await;
                if self.is_engaged() && !self.file.exists() {
                    let text = serde_json::to_string(&*kill).unwrap_or_default();
                    if let Err(error) = self.write(&text) {
                        tracing::error!("`{}` cannot be written: {error}", self.file.display());
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn in_file(&self) -> Option<Kill> {
        let file = std::fs::File::open(&self.file).ok()?;
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::io::Read::take(file, FILE_MAX as u64), &mut bytes)
            .ok()?;
        Some(read(&String::from_utf8_lossy(&bytes)))
    }

    fn write(&self, text: &str) -> std::io::Result<()> {
        let mut file = std::fs::File::create(&self.file)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    }
}

/// What the host wrote, or what somebody else did: then the text is the reason.
fn read(text: &str) -> Kill {
    serde_json::from_str(text).unwrap_or_else(|_| {
        let text: String = text.trim().chars().take(REASON_MAX).collect();
        Kill {
            reason: if text.is_empty() {
                format!("the file `{KILL_FILE}` was made")
            } else {
                text
            },
            by: Principal {
                kind: "host".into(),
                name: KILL_FILE.into(),
            },
            engaged_at: now(),
            until: None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::SqliteStore;

    async fn switch(folder: &Path) -> (Arc<SqliteStore>, KillSwitch) {
        let store = Arc::new(SqliteStore::open(folder).await.unwrap());
        let switch = KillSwitch::new(Arc::clone(&store) as Arc<dyn Store>, folder);
        switch.restore().await.unwrap();
        (store, switch)
    }

    #[tokio::test]
    async fn it_stays_thrown_whatever_is_restarted_or_removed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(KILL_FILE);
        let by = Principal::local();
        let (store, own) = switch(folder.path()).await;
        assert_eq!(own.view().state, KillState::Off);
        let token = own.token();
        let view = own
            .engage("leak".into(), by.clone(), Some(60))
            .await
            .unwrap();
        assert_eq!(view.state, KillState::Engaged);
        assert!(token.is_cancelled() && own.token().is_cancelled() && file.exists());
        // Thrown again it keeps its reason and its later end.
        let again = own
            .engage("other".into(), by.clone(), Some(1))
            .await
            .unwrap();
        assert_eq!(again.kill, view.kill);
        std::fs::remove_file(&file).unwrap();
        own.look().await.unwrap();
        assert!(file.exists() && own.is_engaged());
        store.close().await.unwrap();
        drop((store, own));
        std::fs::remove_file(&file).unwrap();
        let (store, own) = switch(folder.path()).await;
        assert_eq!(own.view(), view);
        assert!(!own.lets("x"));
        own.exempt(Some("x".into()));
        assert!(own.lets("x") && !own.lets("y"));
        own.release(&by, "run").await.unwrap();
        assert!(!own.is_engaged() && !own.token().is_cancelled() && !file.exists());
        store.close().await.unwrap();
        drop((store, own));
        let (store, own) = switch(folder.path()).await;
        assert_eq!(own.view().state, KillState::Off);
        // A file that a person makes, also while nothing runs.
        std::fs::write(&file, "stop\n").unwrap();
        own.look().await.unwrap();
        let view = own.view();
        assert_eq!(view.state, KillState::AwaitingRecovery);
        assert_eq!(view.kill.unwrap().reason, "stop");
        let feed = store.events(&[], None, 10).await.unwrap().items;
        let kinds: Vec<&str> = feed.iter().map(|event| event.kind.as_str()).collect();
        assert_eq!(
            kinds,
            [
                "killswitch.engaged",
                "killswitch.recovered",
                "killswitch.engaged"
            ]
        );
        store.close().await.unwrap();
        drop((store, own));
        let (store, own) = switch(folder.path()).await;
        assert!(own.is_engaged());
        store.close().await.unwrap();
    }
}
