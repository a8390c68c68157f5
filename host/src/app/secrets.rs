//! Secrets that change while the host runs: looked at again, replaced by the host where it can, and said to be overdue where people should have. And the agents' way to theirs.

use super::App;
use crate::api::ControlPlane as _;
use crate::config::Secret;
use crate::model::{Event, now};
use crate::sandbox::secrets::Reveals;
use crate::secrets::Secrets;
use crate::store::Store;
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How often ages are looked at.
const AGES_EVERY: SignedDuration = SignedDuration::from_hours(1);

/// How often it is said of one secret that it is overdue.
const OVERDUE_EVERY: SignedDuration = SignedDuration::from_hours(24);

/// An event of a secret; never with its value.
pub(super) fn event(kind: &str, name: &str, mut data: Value) -> Event {
    data["secret"] = json!(name);
    Event::new("/host".into(), kind, name.to_owned(), data)
}

/// The agents' way to secrets that they read themselves.
pub(super) struct Revealed {
    pub(super) secrets: Arc<Secrets>,
    pub(super) store: Arc<dyn Store>,
}

#[async_trait]
impl Reveals for Revealed {
    async fn reveal(&self, agent: &str, name: &str) -> Result<Option<Secret>, String> {
        let Some(value) = self.secrets.value(name) else {
            return Ok(None);
        };
        let event = event("secret.revealed", name, json!({ "agent": agent }));
        self.store.publish(event).await.map_err(|error| {
            tracing::error!("that `{agent}` reads the secret `{name}` cannot be recorded, so it does not: {error}");
            "the secret cannot be given now, as that cannot be recorded".to_owned()
        })?;
        Ok(Some(Secret::new(value)))
    }
}

impl App {
    /// Looks at all secrets every now and then, and at their ages every hour.
    pub(super) async fn watch_secrets(&self) {
        self.publish_offline().await;
        let mut said: BTreeMap<String, Timestamp> = BTreeMap::new();
        let mut ages_at = Timestamp::MIN;
        loop {
            let at = now();
            if at.duration_since(ages_at) >= AGES_EVERY {
                ages_at = at;
                self.keep_ages(&mut said).await;
            }
            tokio::time::sleep(self.secrets.look_again()).await;
            if self.secrets.refresh().await {
                tracing::info!("a secret has another value now");
            }
        }
    }

    async fn keep_ages(&self, said: &mut BTreeMap<String, Timestamp>) {
        if let Err(error) = self.secrets.note_ages() {
            tracing::warn!("the ages of secrets cannot be kept: {error}");
        }
        let due = self.secrets.due(now());
        for name in due.rotate {
            match self.secrets.rotate(&name, None, None).await {
                Ok(view) => {
                    tracing::info!(
                        "the secret `{name}` has a new value, as the old one was of the age to be replaced"
                    );
                    let data = json!({ "provider": view.provider, "version": view.version, "cause": "age",
                        "previous_until": view.previous_until });
                    self.tell(event("secret.rotated", &name, data)).await;
                }
                Err(error) => tracing::warn!("the secret `{name}` could not be replaced: {error}"),
            }
        }
        for view in due.overdue {
            let last = said.get(&view.name).copied().unwrap_or(Timestamp::MIN);
            if now().duration_since(last) < OVERDUE_EVERY {
                continue;
            }
            said.insert(view.name.clone(), now());
            let message = format!(
                "the secret `{}` should have been replaced after {} days; `infinity secret rotate {}` does, or its provider",
                view.name,
                view.rotate_seconds / 86_400,
                view.name
            );
            tracing::warn!("{message}");
            let data = json!({ "provider": view.provider, "changed_at": view.changed_at,
                "rotate_seconds": view.rotate_seconds, "used_by": view.used_by, "message": message });
            self.tell(event("secret.overdue", &view.name, data)).await;
        }
    }

    /// Brings what was done while no host ran into the journal.
    async fn publish_offline(&self) {
        let done = match self.secrets.offline() {
            Ok(done) if done.is_empty() => return,
            Ok(done) => done,
            Err(error) => {
                tracing::warn!("what was done with secrets while no host ran is unknown: {error}");
                return;
            }
        };
        for (action, name, at) in done {
            let mut event = event(&action, &name, json!({ "cause": "command" }));
            event.time = at;
            if let Err(error) = self.publish(event).await {
                tracing::warn!(
                    "that `{name}` changed while no host ran is not in the journal yet: {error}"
                );
                return;
            }
        }
        if let Err(error) = self.secrets.forget_offline() {
            tracing::warn!("what was done with secrets while no host ran is told again: {error}");
        }
    }

    async fn tell(&self, event: Event) {
        let kind = event.kind.clone();
        if let Err(error) = self.publish(event).await {
            tracing::warn!("`{kind}` could not be announced: {error}");
        }
    }
}
