//! The kill switch joined to what it stops: the ways in which it is thrown, and the way back.

use super::App;
use crate::api::{RecoverError, StartRun};
use crate::kill::{KillState, KillView};
use crate::model::{Event, Outcome, Principal, now};
use crate::observers::{self, News};
use crate::runtime::Start;
use crate::store::{Store as _, StoreError};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use uuid::Uuid;

/// How often the file is looked for: a person who makes it waits for less than a second.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How long the dry run of a recovery may take: as long as the longest run.
const DRY_RUN_MAX: Duration = Duration::from_secs(600);

/// Where the triggers go on in the feed.
const TRIGGERS_FLAG: &str = "observer/killswitch";

/// What throws the switch by itself.
const TRIGGERS: [&str; 3] = ["security.incident", "effect.refused", "effect.reverted"];

/// Events of one read.
const PART: u32 = 200;

/// In how long refused and reverted pull requests are counted.
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// How long tokens may take to be given back.
const GIVE_BACK_MAX: Duration = Duration::from_secs(30);

pub(super) fn host(name: &str) -> Principal {
    Principal {
        kind: "host".into(),
        name: name.into(),
    }
}

impl App {
    /// Throws the switch. Runs are cancelled before this waits for anything; tokens are given back behind it.
    pub(super) async fn throw(
        &self,
        reason: String,
        minutes: Option<u32>,
        by: Principal,
    ) -> Result<KillView, StoreError> {
        let thrown = self.holds.kill.engage(reason, by, minutes).await;
        self.suspend_github();
        let _ = self.news.send(());
        thrown
    }

    /// Asks nothing more of GitHub, and gives the tokens back.
    fn suspend_github(&self) {
        let Some(github) = self.forges.github() else {
            return;
        };
        github.suspend(true);
        tokio::spawn(async move {
            match tokio::time::timeout(GIVE_BACK_MAX, github.give_tokens_back()).await {
                Ok(0) => {}
                Ok(given) => tracing::warn!("{given} tokens of GitHub are given back"),
                Err(_) => tracing::warn!(
                    "GitHub does not answer, so tokens are not given back; they end within the hour"
                ),
            }
        });
    }

    /// Lets everything go on if a run with nothing applied succeeds.
    pub(super) async fn recover_after(&self, run: StartRun) -> Result<KillView, RecoverError> {
        if !self.holds.kill.is_engaged() {
            return Err(RecoverError::Off);
        }
        let Ok(_alone) = self.recovering.try_lock() else {
            return Err(RecoverError::Busy);
        };
        let key = format!("recovery/{}", Uuid::now_v7());
        self.holds.kill.exempt(Some(key.clone()));
        let passed = self.dry_run(&run, key).await;
        self.holds.kill.exempt(None);
        let id = passed?;
        self.holds
            .kill
            .release(&run.principal, &id.to_string())
            .await?;
        if let Some(github) = self.forges.github() {
            github.suspend(false);
        }
        self.wake.notify_one();
        Ok(self.holds.kill.view())
    }

    async fn dry_run(&self, run: &StartRun, key: String) -> Result<Uuid, RecoverError> {
        let started = self
            .runtime
            .start(Start {
                agent: run.agent.clone(),
                input: run.input.clone(),
                principal: run.principal.clone(),
                trigger: run.trigger,
                idempotency_key: Some(key),
                scheduled_at: now(),
                dry_run: true,
                occurrence: None,
            })
            .await
            .map_err(super::control::start_error)?;
        let ended = self.runtime.wait(started.id, DRY_RUN_MAX).await;
        let ended = match ended {
            Some(ended) => Some(ended),
            // It may have ended before anybody waited.
            None => self.store.run(started.id).await?,
        };
        let outcome = ended.as_ref().and_then(|run| run.outcome);
        if outcome == Some(Outcome::Succeeded) {
            return Ok(started.id);
        }
        let why = ended
            .and_then(|run| run.message)
            .unwrap_or_else(|| match outcome {
                Some(outcome) => format!("it ended as {outcome:?}").to_lowercase(),
                None => "it did not end in time".to_owned(),
            });
        Err(RecoverError::DryRun {
            run: started.id,
            why,
        })
    }

    /// Throws the switch for whoever makes the file, and says when it waits for recovery. Ends never.
    pub(super) async fn watch_kill_file(self: &Arc<Self>) {
        let mut said: Option<Timestamp> = None;
        if self.holds.kill.is_engaged() {
            self.suspend_github();
        }
        loop {
            let before = self.holds.kill.is_engaged();
            if let Err(error) = self.holds.kill.look().await {
                tracing::error!("the kill switch cannot be made to last: {error}");
            }
            if !before && self.holds.kill.is_engaged() {
                self.suspend_github();
            }
            let view = self.holds.kill.view();
            let engaged_at = view.kill.as_ref().map(|kill| kill.engaged_at);
            if view.state == KillState::AwaitingRecovery && said != engaged_at {
                said = engaged_at;
                let event = Event::new(
                    "/host".into(),
                    "killswitch.awaiting_recovery",
                    "host".into(),
                    json!(view.kill),
                );
                if let Err(error) = self.store.publish(event).await {
                    tracing::error!("that recovery is waited for could not be announced: {error}");
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Throws the switch for `SIGUSR1`. Ends never.
    pub(super) async fn watch_kill_signal(&self) {
        let Ok(mut signals) = signal(SignalKind::user_defined1()) else {
            tracing::error!("SIGUSR1 cannot be listened for, so it does not throw the kill switch");
            return std::future::pending().await;
        };
        while signals.recv().await.is_some() {
            if let Err(error) = self.throw("SIGUSR1".into(), None, host("signal")).await {
                tracing::error!("the kill switch cannot be made to last: {error}");
            }
        }
        std::future::pending().await
    }

    /// Throws the switch for incidents, and for too many pull requests that were refused or reverted. Ends never.
    pub(super) async fn watch_triggers(&self, mut news: News) {
        let kinds = TRIGGERS.map(str::to_owned);
        let mut bad = VecDeque::new();
        loop {
            let looked = async {
                let mut after = observers::place(self.store.as_ref(), TRIGGERS_FLAG).await?;
                loop {
                    let page = self.store.events(&kinds, Some(&after), PART).await?;
                    if page.items.is_empty() {
                        return Ok::<_, StoreError>(());
                    }
                    for event in &page.items {
                        if let Some(reason) = self.triggers(event, &mut bad) {
                            self.throw(reason, None, host("trigger")).await?;
                        }
                    }
                    after = page.next.unwrap_or(after);
                    self.store.set_flag(TRIGGERS_FLAG, Some(&after)).await?;
                }
            };
            if let Err(error) = looked.await {
                tracing::warn!("the feed of events cannot be read for the kill switch: {error}");
            }
            observers::wait(&mut news, Duration::from_secs(1)).await;
        }
    }

    /// Why an event throws the switch, if it does.
    fn triggers(&self, event: &Event, bad: &mut VecDeque<Timestamp>) -> Option<String> {
        if event.kind == "security.incident" {
            let what = event.subject.as_deref().unwrap_or(&event.source);
            return Some(format!("security.incident: {what}"));
        }
        // Only the host's own word counts: whoever may publish can say such things of anything.
        if !event.source.starts_with("/agents/") || event.data["kind"] != "pull_request" {
            return None;
        }
        bad.push_back(event.time);
        bad.retain(|at| event.time.duration_since(*at) < HOUR);
        let most = self.registry.load().config.host.kill_after_pull_requests as usize;
        (bad.len() > most).then(|| {
            let count = bad.len();
            // The next one begins to count again.
            bad.clear();
            format!("{count} pull requests were refused or reverted within an hour")
        })
    }
}
