//! What the API asks of the host.

use super::ways::exporting;
use super::{App, BADGES_MAX, SILENCE_MAX};
use crate::access::Access;
use crate::alerts::Alert;
use crate::api::{
    self, AgentHealth, AgentView, Badge, BadgeError, BadgeSubject, CancelError, ConfigError,
    ConfigStatus, ControlPlane, HealthCheck, IntegrationView, LiveRun, NewConfig, PluginStatus,
    PluginView, RecoverError, RunSummary, StartRun, Status, Webhook, WorkflowError, WorkflowStep,
    WorkflowView,
};
use crate::audit::chain::{Checkpoint, End, Unproven};
use crate::backup::Backups;
use crate::checks::{Check, CheckError, CheckNews, Refused, Submission};
use crate::commands::{self, Template};
use crate::config::{AgentConfig, Place, Secret, Service};
use crate::effects::{Comparison, DecideError, Difference};
use crate::forge::ForgeError;
use crate::holds::HoldError;
use crate::kill::KillView;
use crate::metrics::{Levels, Metrics};
use crate::model::{
    AgentState, BadgeStyle, BillingAction, CommitStatus, Effect, Event, Execution, LogLine,
    Principal, Run, RunState, Thread, Trigger, Verdict, now,
};
use crate::pipelines::BeginError;
use crate::registry::Agent;
use crate::reload::ConfigVersion;
use crate::runtime::{self, ServeError, Start};
use crate::sandbox::call::{Answer, BadgeRequest, Call};
use crate::sandbox::checks::MayRead;
use crate::sandbox::inspect::World;
use crate::sandbox::meter::Meter;
use crate::sandbox::serve::ServedBody;
use crate::sandbox::{Job, Sandbox};
use crate::secrets::Secrets;
use crate::store::{Store, StoreError};
use crate::timetable::Rhythm;
use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// An agent with a score below this is unhealthy: more than half of its latest runs failed, or it is overdue.
const SCORE_MIN: f64 = 0.5;

/// Agents of one heartbeat: the event's data has a bound.
const HEARTBEAT_MAX: usize = 500;

impl App {
    fn agent_view(&self, agent: &Agent) -> AgentView {
        let config = &agent.config;
        let schedule = config.schedule.as_ref();
        let rhythm = schedule.map(|schedule| &schedule.timetable.rhythm);
        let past = self.runtime.past(config.name.as_str());
        AgentView {
            name: config.name.as_str().to_owned(),
            plugin: config.plugin.clone(),
            description: config.description.clone().or_else(|| {
                let inspection = agent.plugin.as_ref()?.inspection.as_ref().ok()?;
                inspection.manifest.as_ref()?.description.clone()
            }),
            enabled: config.enabled,
            problem: agent
                .loaded
                .as_ref()
                .err()
                .filter(|_| config.enabled)
                .map(|refusal| refusal.message.clone())
                .or_else(|| agent.loaded.as_ref().ok()?.notice()),
            webhook: config.webhook.is_some(),
            priority: config.priority.as_str().to_owned(),
            commands: config.commands,
            serves: agent
                .loaded
                .as_ref()
                .ok()
                .filter(|loaded| loaded.inspection.worlds.contains(&World::Proxy))
                .map(|_| format!("/agents/{}/", config.name)),
            health_score: self.runtime.health_score(agent),
            on: config.on.clone(),
            every_ms: match rhythm {
                Some(Rhythm::Every(every)) => {
                    Some(u64::try_from(every.as_millis()).unwrap_or(u64::MAX))
                }
                _ => None,
            },
            cron: schedule
                .and_then(|schedule| schedule.cron.as_ref())
                .map(|(cron, zone)| format!("{cron} {zone}")),
            autonomy: config.autonomy.as_str().to_owned(),
            grants: grants(config),
            limits: config.limits.clone(),
            paused: self.holds.agent(config.name.as_str()),
            quarantined: self.holds.quarantined(config.name.as_str()),
            next_at: schedule
                .filter(|_| config.enabled)
                .and_then(|schedule| schedule.timetable.next(past.last_moment, Timestamp::now())),
            input_schema: agent.input_schema(),
            state: self.runtime.agent_state(config.name.as_str()),
            last_run: past.last_run.as_deref().map(RunSummary::from),
        }
    }
}

impl App {
    /// The state of every agent, for the heartbeat.
    pub(super) fn heartbeat(&self) -> Value {
        let registry = self.registry.load_full();
        let agents: Vec<_> = registry
            .agents
            .iter()
            .take(HEARTBEAT_MAX)
            .map(|(name, agent)| {
                json!({ "agent": name, "state": self.runtime.agent_state(name), "score": self.runtime.health_score(agent) })
            })
            .collect();
        json!({ "agents": agents, "of": registry.agents.len() })
    }

    /// How many agents are in which state.
    fn states(&self) -> BTreeMap<String, u64> {
        let mut states: BTreeMap<String, u64> = BTreeMap::new();
        for name in self.registry.load().agents.keys() {
            *states
                .entry(word(self.runtime.agent_state(name)).to_owned())
                .or_default() += 1;
        }
        states
    }

    /// A stage that never ends, and whether it does.
    fn beating(&self, component: &str, silence: Option<Duration>) -> HealthCheck {
        HealthCheck {
            component: component.into(),
            ok: silence.is_none_or(|silence| silence < SILENCE_MAX),
            detail: match silence {
                None => "not started: this process serves nothing".into(),
                Some(silence) => format!("looked at {} s ago", silence.as_secs()),
            },
        }
    }
}

/// The word of a state.
fn word(state: AgentState) -> &'static str {
    match state {
        AgentState::KillSwitch => "kill_switch",
        AgentState::Paused => "paused",
        AgentState::Error => "error",
        AgentState::Generating => "generating",
        AgentState::Deployed => "deployed",
        AgentState::Online => "online",
    }
}

/// The grants as the API shows them: nothing secret is in them.
fn grants(config: &AgentConfig) -> Value {
    let grants = &config.grants;
    json!({
        "repos": grants.repositories.iter().map(|grant| json!({
            "name": grant.name, "read": grant.read, "checkout": grant.checkout,
            "effects": grant.effects.keys().map(|kind| kind.as_str()).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "http": grants.http.iter().map(|grant| json!({
            "url": grant.url, "methods": grant.methods, "private": grant.private,
            "credential": grant.credential.as_ref().map(|credential| &credential.header),
        })).collect::<Vec<_>>(),
        "directories": grants.directories.iter().map(|grant| json!({
            "guest": grant.guest, "write": grant.write,
        })).collect::<Vec<_>>(),
        "env": grants.environment.keys().collect::<Vec<_>>(),
        "events": grants.events,
    })
}

#[async_trait]
impl ControlPlane for App {
    fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    fn plugins(&self) -> Vec<PluginView> {
        let registry = self.registry.load();
        registry
            .plugins
            .values()
            .map(|plugin| PluginView {
                name: plugin.name.clone(),
                file: plugin.file.clone(),
                digest: plugin.digest.clone(),
                size: plugin.size,
                status: if plugin.inspection.is_ok() {
                    PluginStatus::Ready
                } else {
                    PluginStatus::Refused
                },
                problem: plugin
                    .inspection
                    .as_ref()
                    .err()
                    .map(|refusal| refusal.message.clone()),
                inspection: plugin.inspection.as_deref().ok().cloned(),
                signed_by: plugin.signed_by.clone(),
                locked: plugin.source.is_some(),
                source: plugin.source.clone(),
            })
            .collect()
    }

    fn config_status(&self) -> ConfigStatus {
        self.status_of_config()
    }

    async fn apply_config(&self, new: NewConfig) -> Result<ConfigVersion, ConfigError> {
        self.apply_text(new).await
    }

    async fn roll_back_config(
        &self,
        number: u64,
        principal: Principal,
    ) -> Result<ConfigVersion, ConfigError> {
        self.go_back(number, principal).await
    }

    async fn approve_config(
        &self,
        agent: &str,
        digest: Option<&str>,
        principal: Principal,
    ) -> Result<ConfigVersion, ConfigError> {
        self.approve_change(agent, digest, principal).await
    }

    fn agents(&self) -> Vec<AgentView> {
        let registry = self.registry.load();
        registry
            .agents
            .values()
            .map(|agent| self.agent_view(agent))
            .collect()
    }

    async fn start_run(&self, request: StartRun) -> Result<Run, api::StartError> {
        let start = Start {
            agent: request.agent,
            input: request.input,
            principal: request.principal,
            trigger: request.trigger,
            idempotency_key: request.idempotency_key,
            scheduled_at: now(),
            dry_run: request.dry_run,
            occurrence: None,
        };
        self.runtime.start(start).await.map_err(start_error)
    }

    async fn publish(&self, event: Event) -> Result<bool, StoreError> {
        self.github_said(&event);
        let new = self.store.publish(event).await?;
        self.runtime.announced().notify_one();
        let _ = self.news.send(());
        Ok(new)
    }

    async fn retry_dead(
        &self,
        id: Uuid,
        principal: Principal,
    ) -> Result<Option<Run>, api::StartError> {
        let started = self.runtime.revive(id).await.map_err(start_error)?;
        if started.is_some() {
            tracing::info!(run.id = %id, "run {id} is started again by {} `{}`", principal.kind, principal.name);
        }
        Ok(started)
    }

    async fn wait(&self, id: Uuid, timeout: Duration) -> Result<Option<Run>, StoreError> {
        if let Some(run) = self.runtime.wait(id, timeout).await {
            return Ok(Some(run));
        }
        self.store.run(id).await
    }

    async fn cancel(&self, id: Uuid, principal: Principal) -> Result<Run, CancelError> {
        let run = self.store.run(id).await.map_err(CancelError::Store)?;
        let run = run.ok_or(CancelError::NotFound)?;
        if run.state == RunState::Ended || !self.runtime.cancel(id) {
            return Err(CancelError::Ended);
        }
        tracing::info!(run.id = %id, "run {id} is cancelled by {} `{}`", principal.kind, principal.name);
        // Every stage of a run ends within a second of being told to.
        let ended = self.runtime.wait(id, Duration::from_secs(5)).await;
        Ok(ended.unwrap_or(run))
    }

    async fn hold(
        &self,
        agent: Option<&str>,
        paused: bool,
        principal: Principal,
    ) -> Result<(), HoldError> {
        let changed = match agent {
            Some(agent) => {
                let mut changed = self.holds.set_agent(agent, paused).await?;
                if !paused {
                    self.runtime.forgive(agent);
                    changed |= self.holds.set_quarantined(agent, false).await?;
                }
                changed
            }
            None => self.holds.set_all(paused)?,
        };
        if changed {
            let word = if paused { "paused" } else { "resumed" };
            tracing::info!(
                "{} is {word} by {} `{}`",
                agent.map_or_else(|| "everything".to_owned(), |agent| format!("`{agent}`")),
                principal.kind,
                principal.name
            );
            let event = match agent {
                Some(agent) => Event::new(
                    format!("/agents/{agent}"),
                    format!("agent.{word}"),
                    agent.to_owned(),
                    json!({ "agent": agent, "principal": principal }),
                ),
                None => Event::new(
                    "/host".into(),
                    format!("system.{word}"),
                    "host".into(),
                    json!({ "principal": principal }),
                ),
            };
            self.publish(event).await?;
        }
        Ok(())
    }

    fn webhook(&self, agent: &str) -> Option<Webhook> {
        let registry = self.registry.load();
        let config = registry.agents.get(agent)?.config.webhook.clone()?;
        Some(Webhook {
            further_secrets: self.secrets.beside(config.secret.expose()),
            config,
            quarantined: self.holds.quarantined(agent),
        })
    }

    fn github_secrets(&self) -> Vec<Secret> {
        let configured = self.registry.load().config.github.webhook_secrets.clone();
        let beside = configured
            .iter()
            .flat_map(|secret| self.secrets.beside(secret.expose()));
        configured.iter().cloned().chain(beside).collect()
    }

    fn secrets(&self) -> Option<&Secrets> {
        Some(&self.secrets)
    }

    fn workflows(&self) -> Vec<WorkflowView> {
        let registry = self.registry.load();
        registry
            .config
            .pipelines
            .values()
            .map(|pipeline| WorkflowView {
                name: pipeline.name.clone(),
                description: pipeline.description.clone(),
                steps: pipeline
                    .steps
                    .iter()
                    .map(|step| WorkflowStep {
                        agent: step.agent.clone(),
                        go_on: step.go_on,
                    })
                    .collect(),
                schedule: pipeline.schedule.as_ref().map(ToString::to_string),
                next_at: pipeline.schedule.as_ref().and_then(|schedule| {
                    let last = self
                        .runtime
                        .past(&crate::pipelines::entry_name(&pipeline.name))
                        .last_moment;
                    schedule.timetable.next(last, Timestamp::now())
                }),
                running: self.pipelines.is_live(&pipeline.name),
                totals: None,
            })
            .collect()
    }

    async fn begin_workflow(
        &self,
        name: &str,
        principal: Principal,
    ) -> Result<Execution, WorkflowError> {
        if self.holds.kill.is_engaged() {
            return Err(WorkflowError::Killed);
        }
        // Whoever asks has looked it up.
        let registry = self.registry.load_full();
        let Some(pipeline) = registry.config.pipelines.get(name) else {
            return Err(WorkflowError::Stopping);
        };
        self.pipelines
            .begin(
                pipeline,
                &registry.config.digest,
                principal,
                Trigger::Manual,
                None,
            )
            .await
            .map_err(|error| match error {
                BeginError::Running(id) => WorkflowError::Running(id),
                BeginError::Stopping => WorkflowError::Stopping,
                BeginError::Store(error) => WorkflowError::Store(error),
            })
    }

    fn cancel_workflow(&self, id: Uuid, principal: Principal) -> bool {
        let cancelled = self.pipelines.cancel(id);
        if cancelled {
            tracing::info!(
                "execution {id} is cancelled by {} `{}`",
                principal.kind,
                principal.name
            );
        }
        cancelled
    }

    fn command_agent(&self) -> Option<String> {
        let registry = self.registry.load();
        let taker = registry
            .agents
            .values()
            .find(|agent| agent.config.commands)?;
        Some(taker.config.name.as_str().to_owned())
    }

    fn templates(&self) -> Vec<Template> {
        commands::templates(&self.registry.load().config.host.command_templates)
    }

    fn agent_health(&self, name: &str) -> Option<AgentHealth> {
        let registry = self.registry.load();
        let agent = registry.agents.get(name)?;
        let past = self.runtime.past(name);
        let (runs, succeeded) = past.recent.counts();
        let score = self.runtime.health_score(agent);
        let success_rate = past.recent.share();
        Some(AgentHealth {
            agent: name.to_owned(),
            score,
            success_rate,
            runs: runs as u64,
            succeeded: succeeded as u64,
            staleness: self.runtime.staleness(agent),
            quarantined: self.holds.quarantined(name),
            problem: agent
                .loaded
                .as_ref()
                .err()
                .filter(|_| agent.config.enabled)
                .map(|refusal| refusal.message.clone()),
        })
    }

    async fn forget(&self, agent: &str, principal: Principal) -> Result<Option<u64>, StoreError> {
        if self.runtime.is_live(agent) {
            return Ok(None);
        }
        let rows = self.store.forget(agent).await?;
        self.runtime.forget(agent);
        tracing::info!(
            "{rows} rows of `{agent}` are deleted by {} `{}`",
            principal.kind,
            principal.name
        );
        Ok(Some(rows))
    }

    fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    async fn metrics_text(&self) -> Result<String, String> {
        let (queued, running) = self.runtime.live_counts();
        let (pool_used, pool_size) = self.sandbox.pool();
        let registry = self.registry.load_full();
        let mut states: BTreeMap<&'static str, u64> = BTreeMap::new();
        for name in registry.agents.keys() {
            *states
                .entry(word(self.runtime.agent_state(name)))
                .or_default() += 1;
        }
        let (gauges, counters) = self.further_series().await;
        let levels = Levels {
            queued: queued as u64,
            running: running as u64,
            places: self.runtime.places() as u64,
            pool_used,
            pool_size,
            commits: self.store.commits(),
            store_bytes: self.store_bytes.load(Ordering::Relaxed),
            states: states.into_iter().collect(),
            scores: registry
                .agents
                .iter()
                .map(|(name, agent)| (name.clone(), self.runtime.health_score(agent)))
                .collect(),
            gauges,
            counters,
        };
        self.metrics
            .text(levels)
            .map_err(|error| format!("a series cannot be written: {error}"))
    }

    async fn serve(
        &self,
        agent: &str,
        request: http::Request<wasmtime_wasi_http::WasiBody>,
    ) -> Result<http::Response<ServedBody>, ServeError> {
        self.runtime.serve(agent, request).await
    }

    fn status(&self) -> Status {
        let registry = self.registry.load();
        let (queued, running) = self.runtime.live_counts();
        Status {
            state: self.runtime.system_state(),
            paused: self.holds.all(),
            killswitch: self.holds.kill.view(),
            maintenance: self.holds.maintenance(Timestamp::now()),
            agents: registry.agents.len() as u64,
            paused_agents: registry
                .agents
                .keys()
                .filter(|agent| self.holds.agent(agent))
                .cloned()
                .collect(),
            queued: queued as u64,
            running: running as u64,
            places: self.runtime.places() as u64,
            states: self.states(),
            running_workflows: self
                .config
                .pipelines
                .keys()
                .filter(|name| self.pipelines.is_live(name))
                .cloned()
                .collect(),
            started_at: self.started_at,
        }
    }

    fn live(&self, id: Uuid) -> Option<LiveRun> {
        let (started_at, progress) = self.runtime.live(id)?;
        Some(LiveRun {
            started_at,
            progress: progress.map(|progress| api::Progress {
                done: progress.done,
                total: progress.total,
                message: progress.message,
            }),
        })
    }

    async fn live_log(&self, id: Uuid, after: Option<u64>) -> Option<Vec<LogLine>> {
        self.runtime.live_log(id, after)
    }

    async fn badge(
        &self,
        subject: BadgeSubject,
        style: BadgeStyle,
        label: Option<String>,
    ) -> Result<Badge, BadgeError> {
        let (name, state) = match subject {
            BadgeSubject::System => ("infinity".to_owned(), self.runtime.system_state()),
            BadgeSubject::Agent(name) => {
                let registry = self.registry.load();
                if !registry.agents.contains_key(&name) {
                    return Err(BadgeError::UnknownAgent {
                        nearest: registry.nearest(&name),
                    });
                }
                let state = self.runtime.agent_state(&name);
                (name, state)
            }
        };
        let label = label.unwrap_or(name);
        let Some((agent, loaded)) =
            exporting(&self.registry.load(), "infinity:agent/badge@", |_| true)
        else {
            return Err(BadgeError::Unavailable(
                "no agent has a plugin that draws badges".into(),
            ));
        };
        let digest = loaded.inspection.digest.clone();
        let key = (digest, state, style, label.clone());
        let kept = |badges: &Mutex<HashMap<_, Badge>>| {
            badges
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .get(&key)
                .cloned()
        };
        if let Some(badge) = kept(&self.badges) {
            return Ok(badge);
        }
        if self.holds.kill.is_engaged() {
            return Err(BadgeError::Unavailable(runtime::KILLED.into()));
        }
        let job = Job {
            meter: Arc::new(Meter::new(agent.config.limits.clone())),
            capabilities: Arc::clone(&agent.capabilities),
            cancel: CancellationToken::new(),
        };
        let call = Call::Render(BadgeRequest {
            label: label.clone(),
            state,
            style,
        });
        let badge = match self.sandbox.call(&loaded, call, job).await.result {
            Ok(Answer::Badge(image)) => Badge::new(image.svg, label, image.message, image.color),
            Ok(Answer::Error(message)) => return Err(BadgeError::InvalidLabel(message)),
            Ok(_) => return Err(BadgeError::Unavailable("the plugin drew nothing".into())),
            Err(stop) => return Err(BadgeError::Unavailable(stop.message)),
        };
        let mut badges = self
            .badges
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if badges.len() >= BADGES_MAX {
            badges.clear();
        }
        badges.insert(key, badge.clone());
        Ok(badge)
    }

    fn checkpoint(&self, journal: &[u8], end: End) -> Result<Checkpoint, Unproven> {
        self.effects.checkpoint(journal, end)
    }

    async fn submission(
        &self,
        value: &Value,
        may_read: &MayRead<'_>,
    ) -> Result<(Submission, String), Refused> {
        self.checks.read(value, may_read).await
    }

    async fn check(
        &self,
        submissions: Vec<(Submission, String)>,
        principal: Principal,
    ) -> Result<Vec<Check>, CheckError> {
        self.checks.submit(submissions, principal).await
    }

    async fn wait_check(&self, id: Uuid, timeout: Duration) -> Result<Option<Check>, StoreError> {
        self.checks.wait(id, timeout).await
    }

    fn follow_check(&self, id: Uuid) -> Option<tokio::sync::broadcast::Receiver<CheckNews>> {
        self.checks.follow(id)
    }

    async fn preview(&self, effect: &Effect) -> Result<Option<String>, DecideError> {
        self.effects.preview(effect).await
    }

    async fn decide(
        &self,
        id: Uuid,
        principal: Principal,
        decision: Verdict,
        comment: Option<String>,
        digest: Option<String>,
    ) -> Result<Effect, DecideError> {
        self.effects
            .decide(id, principal, decision, comment, digest.as_deref())
            .await
    }

    async fn review(
        &self,
        thread: &Thread,
        principal: Principal,
        decision: Verdict,
        comment: Option<String>,
    ) -> Result<Thread, DecideError> {
        self.effects
            .review(thread, principal, decision, comment)
            .await
    }

    async fn revert(&self, id: Uuid, principal: Principal) -> Result<Effect, DecideError> {
        self.effects.revert(id, principal).await
    }

    async fn report_check(
        &self,
        thread: &Thread,
        status: CommitStatus,
        commit: Option<&str>,
        principal: Principal,
    ) -> Result<CommitStatus, DecideError> {
        self.effects
            .report_check(thread, status, commit, principal)
            .await
    }

    async fn difference(&self, thread: &Thread) -> Result<Difference, DecideError> {
        self.effects.difference(thread).await
    }

    async fn compare(
        &self,
        repository: &str,
        base: Option<&str>,
        head: &str,
    ) -> Result<Comparison, ForgeError> {
        self.effects.compare(repository, base, head).await
    }

    async fn propose_billing(
        &self,
        action: BillingAction,
        reason: String,
        principal: Principal,
    ) -> Result<Effect, StoreError> {
        self.effects
            .propose_billing(action, reason, principal)
            .await
    }

    fn integrations(&self) -> Vec<IntegrationView> {
        let looked = self
            .repositories
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let config = Arc::clone(&self.registry.load().config);
        let forges = config.repositories.iter().map(|(name, repository)| {
            let seen = looked.get(name).cloned().unwrap_or_default();
            let standing = seen.standing;
            let (kind, identity) = match &repository.place {
                Place::Local { .. } => ("git", Some(self.effects.fingerprint())),
                Place::Github { .. } => {
                    ("github", standing.as_ref().map(|one| one.identity.clone()))
                }
            };
            IntegrationView {
                name: format!("forge.{name}"),
                kind: kind.into(),
                reachable: (!seen.detail.is_empty()).then_some(seen.ok),
                identity,
                rate_limit_left: standing.and_then(|one| one.rate_limit_left),
                last_success: seen.last_success,
                last_error_at: seen.last_error.as_ref().map(|(at, _)| *at),
                last_error: seen.last_error.map(|(_, why)| why),
            }
        });
        let channels = self.channels.states().into_iter().map(|(channel, state)| {
            let failed_at = state.last_error.as_ref().map(|(at, _)| *at);
            IntegrationView {
                name: format!("channel.{}", channel.name),
                kind: channel.service.as_str().into(),
                reachable: (state.last_success.is_some() || failed_at.is_some())
                    .then_some(state.last_success > failed_at),
                identity: match &channel.service {
                    Service::Smtp { from, .. } => Some(from.clone()),
                    _ => None,
                },
                rate_limit_left: None,
                last_success: state.last_success,
                last_error_at: failed_at,
                last_error: state.last_error.map(|(_, why)| why),
            }
        });
        let mut all: Vec<IntegrationView> = forges.chain(channels).collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    async fn health(&self) -> Vec<HealthCheck> {
        let registry = self.registry.load_full();
        let store = self.store.flags().await;
        let broken: Vec<&str> = registry
            .agents
            .iter()
            .filter(|(_, agent)| agent.config.enabled && agent.loaded.is_err())
            .map(|(name, _)| name.as_str())
            .collect();
        let mut checks = vec![
            HealthCheck {
                component: "store".into(),
                ok: store.is_ok(),
                detail: match store {
                    Ok(_) => "answers".into(),
                    Err(error) => error.to_string(),
                },
            },
            HealthCheck {
                component: "agents".into(),
                ok: broken.is_empty(),
                detail: if broken.is_empty() {
                    format!("{} in force", registry.agents.len())
                } else {
                    format!("cannot run: {}", broken.join(", "))
                },
            },
            {
                let config = self.status_of_config();
                HealthCheck {
                    component: "config".into(),
                    ok: config.problems.is_empty(),
                    detail: if config.problems.is_empty() {
                        format!("version {}", config.version)
                    } else {
                        format!(
                            "version {} stays in force: {}",
                            config.version,
                            config.problems.join("; ")
                        )
                    },
                }
            },
            HealthCheck {
                component: "runtime".into(),
                ok: true,
                detail: format!("{} runs queued or in progress", self.runtime.live_count()),
            },
            {
                let kill = self.holds.kill.view();
                HealthCheck {
                    component: "killswitch".into(),
                    ok: kill.kill.is_none(),
                    detail: kill
                        .kill
                        .map_or_else(|| "off".into(), |kill| format!("thrown: {}", kill.reason)),
                }
            },
            {
                let (ok, detail) = self.backups.health(Timestamp::now());
                HealthCheck {
                    component: "backups".into(),
                    ok,
                    detail,
                }
            },
            self.beating("schedule", self.beats.silence(&self.beats.schedule)),
            self.beating("delivery", self.beats.silence(&self.beats.delivery)),
            {
                let (used, size) = self.sandbox.pool();
                HealthCheck {
                    component: "pool".into(),
                    ok: used < size,
                    detail: format!("{used} of {size} instances"),
                }
            },
        ];
        if self.secrets.is_used() {
            let problems = self.secrets.problems();
            checks.push(HealthCheck {
                component: "secrets".into(),
                ok: problems.is_empty(),
                detail: if problems.is_empty() {
                    format!("{} known", self.secrets.count())
                } else {
                    problems.join("; ")
                },
            });
        }
        for (name, agent) in &registry.agents {
            if !agent.config.enabled || agent.loaded.is_err() {
                continue;
            }
            let score = self.runtime.health_score(agent);
            let quarantined = self.holds.quarantined(name);
            checks.push(HealthCheck {
                component: format!("agent/{name}"),
                ok: score >= SCORE_MIN && !quarantined,
                detail: if quarantined {
                    format!("in quarantine; `infinity resume {name}` lets it go on")
                } else {
                    format!("score {score:.2}")
                },
            });
        }
        checks.extend(
            self.repositories
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .iter()
                .map(|(name, looked)| HealthCheck {
                    component: format!("repository/{name}"),
                    ok: looked.ok,
                    detail: looked.detail.clone(),
                }),
        );
        checks
    }

    fn pending_alerts(&self) -> Vec<Alert> {
        self.alerts.pending()
    }

    fn killswitch(&self) -> KillView {
        self.holds.kill.view()
    }

    async fn kill(
        &self,
        reason: String,
        minutes: Option<u32>,
        principal: Principal,
    ) -> Result<KillView, StoreError> {
        self.throw(reason, minutes, principal).await
    }

    async fn recover(&self, run: StartRun) -> Result<KillView, RecoverError> {
        self.recover_after(run).await
    }

    fn backups(&self) -> Option<Arc<Backups>> {
        Some(Arc::clone(&self.backups))
    }

    fn access(&self) -> Option<&Access> {
        Some(&self.access)
    }

    fn ready(&self) -> Result<(), String> {
        if self.stopping.is_cancelled() {
            return Err("the host is stopping".into());
        }
        Ok(())
    }
}

pub(super) fn start_error(error: runtime::StartError) -> api::StartError {
    match error {
        runtime::StartError::UnknownAgent { nearest, .. } => {
            api::StartError::UnknownAgent { nearest }
        }
        runtime::StartError::Disabled(_) => api::StartError::Disabled,
        runtime::StartError::InvalidInput { pointer, message } => {
            api::StartError::InvalidInput { pointer, message }
        }
        runtime::StartError::QueueFull(_) => api::StartError::QueueFull,
        runtime::StartError::Killed => api::StartError::Killed,
        runtime::StartError::Stopping => api::StartError::Stopping,
        runtime::StartError::Store(StoreError::Duplicate { run }) => {
            api::StartError::Duplicate(run)
        }
        runtime::StartError::Store(error) => api::StartError::Store(error),
    }
}
