//! What takes over is watched: a part of the runs at first, where the agent says so, and back to the one before when it crashes.

use super::super::App;
use super::super::kill::host;
use super::Asked;
use crate::model::{Event, Outcome, Run, now};
use crate::registry::{Agent, Canary, Registry};
use crate::reload::{self, AgentChange, Cause, ChangeKind, ChangeState, ConfigVersion, Portrait};
use crate::store::{Store as _, StoreError};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::broadcast::error::RecvError;

/// How long an agent's new version is watched once it has all of its runs: what crashes by itself does so within the first of them.
const WATCH_FOR: SignedDuration = SignedDuration::from_hours(1);

/// An agent whose new version may crash.
pub(super) struct Watched {
    previous: Arc<Agent>,
    digest: String,
    plugin_digest: String,
    since: Timestamp,
    until: Timestamp,
    crashes: u32,
}

impl App {
    /// Remembers whose new version is watched, with what would take its place.
    pub(super) fn watch_changes(
        &self,
        version: &ConfigVersion,
        before: &Registry,
        after: &Registry,
    ) {
        let mut versions = self.versions();
        for change in &version.changes {
            if change.state != ChangeState::Applied {
                continue;
            }
            versions.watched.remove(&change.agent);
            let (Some(previous), Some(current)) = (
                before.agents.get(&change.agent),
                after.agents.get(&change.agent),
            ) else {
                continue;
            };
            if previous.loaded.is_err() || !previous.config.enabled {
                continue;
            }
            let since = now();
            let canary = change.canary_percent.and(current.config.canary.as_ref());
            let shared = canary.map_or(Duration::ZERO, |canary| canary.lasts);
            let until = SignedDuration::try_from(shared)
                .ok()
                .and_then(|shared| since.checked_add(WATCH_FOR + shared).ok());
            let watched = Watched {
                previous: Arc::clone(previous),
                digest: change.digest.clone(),
                plugin_digest: current
                    .plugin
                    .as_ref()
                    .map_or_else(String::new, |plugin| plugin.digest.clone()),
                since,
                until: until.unwrap_or(Timestamp::MAX),
                crashes: 0,
            };
            versions.watched.insert(change.agent.clone(), watched);
        }
    }

    pub(super) fn rollback_after(&self) -> u32 {
        self.registry.load().config.host.rollback_after
    }

    /// Looks at how runs of new versions end, and goes back where they crash. Ends never.
    pub(in crate::app) async fn watch_crashes(&self) {
        let mut ended = self.runtime.outcomes();
        loop {
            let run = match ended.recv().await {
                Ok(run) => run,
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return std::future::pending().await,
            };
            if let Some(watched) = self.crashed(&run)
                && let Err(error) = self.roll_back(&run.agent, watched).await
            {
                tracing::error!(
                    "the agent `{}` could not be rolled back: {error}",
                    run.agent
                );
            }
        }
    }

    /// Counts a run of a watched agent; answers what to go back from when it was one crash too many.
    fn crashed(&self, run: &Run) -> Option<Watched> {
        let most = self.rollback_after();
        let mut versions = self.versions();
        let watched = versions.watched.get_mut(&run.agent)?;
        if now() > watched.until {
            versions.watched.remove(&run.agent);
            return None;
        }
        // What began before goes on with what it began with.
        let its = run.plugin_digest == watched.plugin_digest
            && run
                .started_at
                .is_some_and(|started| started >= watched.since);
        match run.outcome {
            _ if !its => {}
            Some(Outcome::Trapped | Outcome::Limited | Outcome::Refused | Outcome::HostError) => {
                watched.crashes += 1;
                if watched.crashes >= most {
                    return versions.watched.remove(&run.agent);
                }
            }
            Some(Outcome::Succeeded | Outcome::Failed) => watched.crashes = 0,
            _ => {}
        }
        None
    }

    /// Puts an agent back as it was before its latest change.
    async fn roll_back(&self, agent: &str, watched: Watched) -> Result<(), StoreError> {
        let _one = self.reloading.lock().await;
        let registry = self.registry.load_full();
        let current = registry.agents.get(agent);
        // Meanwhile it may be another one.
        if current.is_none_or(|current| Portrait::of(current).digest != watched.digest) {
            return Ok(());
        }
        let mut back = Registry::clone(&registry);
        back.agents
            .insert(agent.to_owned(), Arc::clone(&watched.previous));
        back.canaries.remove(agent);
        let back = Arc::new(back);
        let forges = self.forges.clone();
        self.swap(&back, &forges);
        let message = format!(
            "it crashed {} times in a row and was rolled back; mend it, or take it all the same with `infinity config approve {agent}`",
            watched.crashes
        );
        tracing::error!(agent.name = %agent, "the agent `{agent}` is as it was before: {message}");
        let portraits = self.known_of(&back);
        let change = AgentChange {
            agent: agent.to_owned(),
            kind: ChangeKind::Changed,
            keys: Vec::new(),
            gains: Vec::new(),
            loses: Vec::new(),
            state: ChangeState::RolledBack,
            message: Some(message.clone()),
            digest: watched.digest.clone(),
            approvals_needed: 1,
            approvals: Vec::new(),
            shadows: None,
            canary_percent: None,
        };
        let mut asked = Asked::by_host(Cause::Crashes);
        asked.principal = host("rollback");
        let version = self.version_of(
            &asked,
            &back,
            vec![change],
            portraits,
            (Instant::now(), Duration::ZERO),
        );
        self.versions()
            .crashed
            .insert(watched.digest, watched.crashes);
        // Runs of the new version took the agent towards quarantine.
        self.runtime.forgive(agent);
        let text = std::fs::read_to_string(&back.config.path).unwrap_or_default();
        self.record(version, text).await?;
        let event = Event::new(
            format!("/agents/{agent}"),
            "config.rolled_back",
            agent.to_owned(),
            json!({ "agent": agent, "message": message }),
        );
        self.store.publish(event).await?;
        self.told();
        Ok(())
    }
}

/// Leaves a part of the runs to the component before, where the agent says so and may still do all that it could. Whoever goes back to a version wants it at once.
pub(super) fn share(
    changes: &mut [AgentChange],
    previous: &Registry,
    candidate: &mut Registry,
    cause: Cause,
) {
    // What is asked of components now was not asked of the one before.
    if previous.config.supply != candidate.config.supply {
        return;
    }
    let now = Instant::now();
    for (name, canary) in &previous.canaries {
        let same = match (previous.agents.get(name), candidate.agents.get(name)) {
            (Some(before), Some(after)) => Arc::ptr_eq(before, after),
            _ => false,
        };
        if same && now < canary.until {
            candidate.canaries.insert(name.clone(), canary.clone());
        }
    }
    if cause == Cause::Rollback {
        return;
    }
    for change in changes {
        let (Some(before), Some(after)) = (
            previous.agents.get(&change.agent),
            candidate.agents.get(&change.agent),
        ) else {
            continue;
        };
        let digest = |agent: &Agent| agent.plugin.as_ref().map(|plugin| plugin.digest.clone());
        let shares = change.state == ChangeState::Applied
            && before.loaded.is_ok()
            && before.config.enabled
            && digest(before) != digest(after)
            && reload::lost(before, Some(after)).is_none();
        let Some(canary) = after.config.canary.as_ref().filter(|_| shares) else {
            continue;
        };
        change.canary_percent = Some(canary.percent);
        candidate.canaries.insert(
            change.agent.clone(),
            Canary {
                before: Arc::clone(before),
                config_digest: previous.config.digest.clone(),
                percent: canary.percent,
                until: now + canary.lasts,
            },
        );
    }
}
