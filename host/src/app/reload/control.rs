//! What the control plane asks of a reload: how things are, another text, an earlier version, a person's approval.

use super::super::App;
use super::kept::{COMPONENTS, component_name, write_whole};
use super::{Asked, is_in_force};
use crate::api::{ConfigCanary, ConfigError, ConfigStatus, NewConfig};
use crate::model::{Event, Principal, now};
use crate::registry::Registry;
use crate::reload::{
    AgentChange, Cause, ChangeKind, ChangeState, ConfigVersion, Portrait, VersionState,
};
use crate::store::Store as _;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::time::Instant;

impl App {
    /// What is in force, and what is not.
    pub(in crate::app) fn status_of_config(&self) -> ConfigStatus {
        let registry = self.registry.load();
        let versions = self.versions();
        let recorded = versions.recorded.as_ref();
        ConfigStatus {
            version: versions.number,
            path: registry.config.path.display().to_string(),
            digest: registry.config.digest.clone(),
            since: recorded.map_or(self.started_at, |version| version.at),
            problems: match (&versions.fault, recorded) {
                (Some(fault), _) => fault.clone(),
                (None, Some(version)) => version.problems.clone(),
                (None, None) => Vec::new(),
            },
            held: held(recorded, &registry),
            restart: recorded.map_or_else(Vec::new, |version| version.restart.clone()),
            draining: self.runtime.draining() as u64,
            canaries: canaries(&registry),
        }
    }

    /// Takes a text in the file's place, or says what it would change.
    pub(in crate::app) async fn apply_text(
        &self,
        new: NewConfig,
    ) -> Result<ConfigVersion, ConfigError> {
        self.reload(Asked {
            cause: Cause::Apply,
            principal: new.principal,
            text: Some(new.text),
            dry_run: new.dry_run,
        })
        .await
    }

    /// Goes back to the text and the components of an earlier version.
    pub(in crate::app) async fn go_back(
        &self,
        number: u64,
        principal: Principal,
    ) -> Result<ConfigVersion, ConfigError> {
        let Some((version, text)) = self.store.version(number).await? else {
            return Err(ConfigError::NotFound);
        };
        if version.state != VersionState::Applied {
            return Err(ConfigError::Refused(format!(
                "version {number} was never in force"
            )));
        }
        let registry = self.registry.load_full();
        let folder = registry.config.host.plugins.clone();
        let kept = registry.config.host.state.join(COMPONENTS);
        let mut restored = Vec::new();
        for (name, digest) in &version.plugins {
            let now = registry.plugins.get(name).map(|plugin| &plugin.digest);
            if now == Some(digest) || digest.is_empty() {
                continue;
            }
            let file = kept.join(component_name(digest));
            if !file.is_file() {
                return Err(ConfigError::Refused(format!(
                    "the component {digest} of the plugin `{name}` is not kept any more; put it into `{}` and go back to the text with `infinity config apply`",
                    folder.display()
                )));
            }
            restored.push((file, folder.join(format!("{name}.wasm")), digest.clone()));
        }
        // Checked before a file is touched.
        let dry = self
            .reload(Asked {
                cause: Cause::Rollback,
                principal: principal.clone(),
                text: Some(text.clone()),
                dry_run: true,
            })
            .await?;
        if dry.state == VersionState::Refused {
            return Ok(dry);
        }
        for (from, to, digest) in restored {
            let bytes = tokio::fs::read(&from).await.map_err(|error| {
                ConfigError::Refused(format!("`{}` cannot be read: {error}", from.display()))
            })?;
            if crate::sandbox::digest(&bytes) != digest {
                return Err(ConfigError::Refused(format!(
                    "`{}` is damaged: it is not {digest}",
                    from.display()
                )));
            }
            write_whole(&to, &bytes).await.map_err(|error| {
                ConfigError::Refused(format!("`{}` cannot be written: {error}", to.display()))
            })?;
        }
        self.reload(Asked {
            cause: Cause::Rollback,
            principal,
            text: Some(text),
            dry_run: false,
        })
        .await
    }

    /// Adds a person's approval to what an agent waits for, and takes it up if that was the last.
    pub(in crate::app) async fn approve_change(
        &self,
        agent: &str,
        digest: Option<&str>,
        principal: Principal,
    ) -> Result<ConfigVersion, ConfigError> {
        let approved = {
            let _one = self.reloading.lock().await;
            let recorded = self.versions().recorded.clone();
            let Some(mut version) = recorded else {
                return Err(ConfigError::NotFound);
            };
            let waits = version.changes.iter_mut().find(|change| {
                change.agent == agent
                    && matches!(change.state, ChangeState::Waiting | ChangeState::RolledBack)
            });
            let Some(change) = waits else {
                return Err(ConfigError::NotFound);
            };
            // What people saw is what they approve.
            if digest.is_some_and(|digest| digest != change.digest) {
                return Err(ConfigError::Changed);
            }
            if change.approvals.contains(&principal) {
                return Err(ConfigError::Refused(
                    "you have approved it already; another person has to".into(),
                ));
            }
            change.approvals.push(principal.clone());
            let event = Event::new(
                format!("/agents/{agent}"),
                "config.approved",
                agent.to_owned(),
                json!({ "agent": agent, "by": principal, "digest": change.digest }),
            );
            self.store
                .update_version(version.clone(), vec![event])
                .await?;
            self.versions().recorded = Some(version.clone());
            version
        };
        self.told();
        let mut asked = Asked::by_host(Cause::Approval);
        asked.principal = principal;
        let taken = self.reload(asked).await?;
        Ok(if taken.number == 0 { approved } else { taken })
    }
}

/// What is not as the file says: what the latest version kept back, and what cannot run, since whenever.
fn held(recorded: Option<&ConfigVersion>, registry: &Registry) -> Vec<AgentChange> {
    let changes = recorded.into_iter().flat_map(|version| &version.changes);
    let mut held: Vec<AgentChange> = changes
        .filter(|change| !is_in_force(change))
        .cloned()
        .collect();
    for (name, agent) in &registry.agents {
        let Err(refusal) = &agent.loaded else {
            continue;
        };
        if !agent.config.enabled || held.iter().any(|change| change.agent == *name) {
            continue;
        }
        held.push(AgentChange {
            agent: name.clone(),
            kind: ChangeKind::Changed,
            keys: Vec::new(),
            gains: Vec::new(),
            loses: Vec::new(),
            state: ChangeState::Disabled,
            message: Some(refusal.message.clone()),
            digest: Portrait::of(agent).digest,
            approvals_needed: 0,
            approvals: Vec::new(),
            shadows: None,
            canary_percent: None,
        });
    }
    held
}

/// New components that have a part of the runs only.
fn canaries(registry: &Registry) -> Vec<ConfigCanary> {
    let (at, now) = (Instant::now(), now());
    let canaries = registry.canaries.iter();
    canaries
        .filter(|(_, canary)| at < canary.until)
        .map(|(agent, canary)| {
            let left = SignedDuration::try_from(canary.until - at).unwrap_or_default();
            ConfigCanary {
                agent: agent.clone(),
                percent: canary.percent,
                until: now.checked_add(left).unwrap_or(Timestamp::MAX),
            }
        })
        .collect()
}
