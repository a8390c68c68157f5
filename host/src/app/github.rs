//! What the host does about news from GitHub: copies of repositories count as old, pull requests that effects opened are looked at again, and deliveries that did not arrive are fetched.

use super::App;
use crate::api::ControlPlane as _;
use crate::forge::github::Github;
use crate::forge::github::deliveries;
use crate::forge::{ForgeError, Repository};
use crate::model::{Event, Thread, now};
use jiff::SignedDuration;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc};
use uuid::Uuid;

/// How often deliveries that did not arrive are looked for. GitHub does not say when one fails.
const LOOK_EVERY: Duration = Duration::from_secs(300);

/// How far back they are looked for: GitHub keeps them for three days.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(3 * 24);

/// Deliveries that are fetched at one look: each is a request.
const FETCHED_MAX: usize = 500;

/// Pull requests that wait to be looked at again. Beyond it they are looked at when somebody asks for them.
const CHANGED_MAX: usize = 1_000;

/// Pull requests, by `owner/name` and number, of which GitHub said that they changed.
pub(super) struct Changed {
    told: mpsc::Sender<(String, u64)>,
    /// For the one task that looks at them.
    heard: Mutex<mpsc::Receiver<(String, u64)>>,
}

impl Changed {
    pub(super) fn new() -> Self {
        let (told, heard) = mpsc::channel(CHANGED_MAX);
        Self {
            told,
            heard: Mutex::new(heard),
        }
    }
}

impl App {
    /// Somebody did something on GitHub.
    pub(super) fn github_said(&self, event: &Event) {
        let Some(kind) = event.kind.strip_prefix("github.") else {
            return;
        };
        let Some(full_name) = event.data["repository"]["full_name"].as_str() else {
            return;
        };
        if let Some(github) = self.forges.github() {
            github.stale(full_name);
        }
        let number = event.data["pull_request"]["number"].as_u64();
        if let (Some(number), "pull_request" | "pull_request_review") = (number, kind) {
            // Full: it is looked at when somebody asks for it.
            let _ = self.changed.told.try_send((full_name.to_owned(), number));
        }
    }

    /// Looks at pull requests again of which GitHub said that they changed, and at deliveries that did not arrive. Ends never.
    pub(super) async fn follow_github(&self) {
        let Some(github) = self.forges.github() else {
            return std::future::pending().await;
        };
        let mut changed = self.changed.heard.lock().await;
        let mut known = BTreeSet::new();
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some((full_name, number)) = changed.recv() => {
                    self.look_again(&full_name, number).await;
                }
                _ = look.tick(), if github.keeps_deliveries() => {
                    if let Err(error) = self.fetch_missed(&github, &mut known).await {
                        tracing::warn!("deliveries that did not arrive cannot be looked for: {error}");
                    }
                }
            }
        }
    }

    async fn look_again(&self, full_name: &str, number: u64) {
        let config = Arc::clone(&self.registry.load().config);
        for name in config.repositories.keys() {
            match self.forges.open(name) {
                Ok(Repository::Github(github))
                    if github.full_name().eq_ignore_ascii_case(full_name) => {}
                _ => continue,
            }
            let known: Option<Thread> = match self.store().thread(name, number).await {
                Ok(known) => known,
                Err(error) => {
                    tracing::warn!(
                        "the pull request {number} of `{name}` cannot be looked up: {error}"
                    );
                    continue;
                }
            };
            if let Some(known) = known
                && let Err(error) = self.effects.look_again(&known).await
            {
                tracing::warn!(
                    "the pull request {number} of `{name}` cannot be looked at: {error}"
                );
            }
        }
    }

    /// Takes deliveries from GitHub that did not arrive. One that did in between is known by its id.
    async fn fetch_missed(
        &self,
        github: &Arc<Github>,
        known: &mut BTreeSet<u64>,
    ) -> Result<(), ForgeError> {
        let since = now().saturating_sub(LOOK_BACK).unwrap_or_default();
        let missed = github.missed(since).await?;
        // What GitHub does not keep any more is not asked for again.
        known.retain(|id| missed.iter().any(|one| one.id == *id));
        let mut taken = 0;
        for one in missed.iter().filter(|one| deliveries::is_event(&one.event)) {
            if taken == FETCHED_MAX {
                break;
            }
            if known.contains(&one.id) {
                continue;
            }
            let payload = github.delivered(one).await?.payload;
            taken += 1;
            let event = Uuid::parse_str(&one.guid)
                .ok()
                .and_then(|guid| deliveries::event(&one.event, guid, payload));
            let Some(event) = event else {
                tracing::warn!("the delivery {} of GitHub cannot be read", one.id);
                known.insert(one.id);
                continue;
            };
            match self.publish(event).await {
                Ok(true) => tracing::info!(
                    "the delivery {} of GitHub did not arrive and was fetched",
                    one.guid
                ),
                Ok(false) => {}
                Err(error) => return Err(ForgeError::Unavailable(error.to_string())),
            }
            known.insert(one.id);
        }
        Ok(())
    }
}
