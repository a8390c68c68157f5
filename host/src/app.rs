//! Joins the stages: configuration, store, sandbox, registry, runtime, schedule, API. The only file that names them all, and the only one that hands the trait of one
//! stage to another.

use crate::api::{
    self, AgentView, Badge, BadgeError, BadgeSubject, CancelError, ControlPlane, HealthCheck,
    LiveRun, PluginStatus, PluginView, RunSummary, StartRun, Status,
};
use crate::config::{AgentConfig, Config};
use crate::delivery::{self, Post, Subscription};
use crate::holds::{Hold, HoldError, Holds};
use crate::model::{
    AgentState, BadgeStyle, Event, LogLine, Occurrence, Principal, Run, RunState, Trigger, now,
};
use crate::registry::{self, Agent, Registry, Surroundings};
use crate::runtime::{self, Runtime, Start};
use crate::sandbox::call::{Answer, BadgeRequest, Call};
use crate::sandbox::http::{EgressGate, GateSettings};
use crate::sandbox::key_value::{KeyValue, KeyValueError, KeyValueQuota};
use crate::sandbox::meter::Meter;
use crate::sandbox::{Job, Loaded, LocalSandbox, Sandbox, SandboxOptions};
use crate::schedule::{self, Entry, Started, Starter};
use crate::store::{KvQuota, Page, SqliteStore, Store, StoreError};
use crate::timetable::Rhythm;
use anyhow::Context as _;
use arc_swap::ArcSwap;
use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long runs in progress may go on after the host was asked to stop.
const DRAIN: Duration = Duration::from_secs(30);

/// Runs of each agent that stay in the store; the oldest beyond are pruned.
const KEEP_RUNS: u32 = 10_000;

/// How long events stay.
const KEEP_EVENTS: Duration = Duration::from_secs(7 * 24 * 3600);

/// How often the store is pruned.
const PRUNE_EVERY: Duration = Duration::from_secs(3600);

/// Drawn badges that are kept: labels are a client's to choose, so their number is bounded.
const BADGES_MAX: usize = 1_000;

/// The file in the state folder that says where a running host listens.
pub const ADDRESS_FILE: &str = "address";

/// What differs between the program and its tests.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The program that is called as `PROGRAM compile-worker JOB`; this one unless set.
    pub worker: Option<PathBuf>,
}

/// The host, joined.
pub struct App {
    config: Arc<Config>,
    store: Arc<SqliteStore>,
    sandbox: Arc<LocalSandbox>,
    gate: Arc<EgressGate>,
    registry: Arc<ArcSwap<Registry>>,
    runtime: Arc<Runtime>,
    holds: Arc<Holds>,
    wake: Notify,
    badges: Mutex<HashMap<(String, AgentState, BadgeStyle, String), Badge>>,
    stopping: CancellationToken,
    started_at: Timestamp,
}

/// How often the folder of plugins is looked at: it costs a directory's listing, and people wait for it.
const WATCH_EVERY: Duration = Duration::from_secs(1);

impl App {
    /// Opens the store and loads everything that the configuration names. Nothing runs yet and nothing listens.
    ///
    /// # Errors
    /// When the state folder cannot be used, for instance because another process does, or the proxy or `ca_file` cannot be used.
    pub async fn open(
        config: Config,
        options: Options,
        progress: &(dyn Fn(&str) + Send + Sync),
    ) -> anyhow::Result<Arc<Self>> {
        let config = Arc::new(config);
        let store = Arc::new(open_store(config.host.state.clone()).await?);
        let proxy = config
            .host
            .proxy
            .as_ref()
            .map(|proxy| proxy.parse())
            .transpose()
            .context("`host.proxy` is no URL")?;
        let gate = Arc::new(EgressGate::new(GateSettings {
            ca_file: config.host.ca_file.clone(),
            proxy,
            own_listeners: vec![config.host.listen],
            ..GateSettings::default()
        })?);
        let worker = match options.worker {
            Some(worker) => worker,
            None => std::env::current_exe().context("this program's own file is unknown")?,
        };
        let sandbox = Arc::new(LocalSandbox::new(SandboxOptions {
            state: config.host.state.clone(),
            worker,
            compile_cpu: Duration::from_millis(config.host.compile_cpu_ms),
            compile_memory_bytes: config.host.compile_memory_bytes,
            gate: Arc::clone(&gate),
            threads: 0,
        })?);
        let dynamic: Arc<dyn Store> = Arc::clone(&store) as Arc<dyn Store>;
        let surroundings = Surroundings {
            sandbox: sandbox.as_ref(),
            key_value: Arc::new(Keys(Arc::clone(&dynamic))),
            previous: None,
            progress,
        };
        let registry = Registry::build(Arc::clone(&config), &surroundings).await;
        let registry = Arc::new(ArcSwap::from_pointee(registry));
        let holds = Arc::new(Holds::new(
            Arc::clone(&dynamic),
            &config.host.state,
            config.host.maintenance.clone(),
        ));
        let runtime = Arc::new(Runtime::new(
            Arc::clone(&registry),
            dynamic,
            Arc::clone(&sandbox) as Arc<dyn Sandbox>,
            Arc::clone(&holds),
            config.host.concurrency as usize,
            config.host.queue as usize,
        ));
        Ok(Arc::new(Self {
            config,
            store,
            sandbox,
            gate,
            registry,
            runtime,
            holds,
            wake: Notify::new(),
            badges: Mutex::default(),
            stopping: CancellationToken::new(),
            started_at: now(),
        }))
    }

    /// The routes over this host.
    pub fn router(self: &Arc<Self>) -> axum::Router {
        api::router(Arc::clone(self) as Arc<dyn ControlPlane>)
    }

    /// The plugins and agents in force.
    #[must_use]
    pub fn registry(&self) -> Arc<Registry> {
        self.registry.load_full()
    }

    /// The runtime, for benches.
    #[must_use]
    pub fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }

    /// The sandbox, for benches.
    #[must_use]
    pub fn sandbox(&self) -> &Arc<LocalSandbox> {
        &self.sandbox
    }

    /// Takes up what an earlier process left. What waits is started by a host that serves; a single command leaves it to the next one.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn begin(self: &Arc<Self>, serves: bool) -> anyhow::Result<()> {
        self.holds.recover().await?;
        self.runtime.recover(serves).await?;
        Ok(())
    }

    /// Serves until `shutdown`: API, schedule and housekeeping. Then takes no more runs, lets those in progress end, and closes the store.
    ///
    /// # Errors
    /// When the address cannot be bound or the store cannot be closed.
    pub async fn serve(
        self: Arc<Self>,
        shutdown: impl Future<Output = ()> + Send,
        listening: impl FnOnce(SocketAddr),
    ) -> anyhow::Result<()> {
        self.begin(true).await?;
        let listen = self.config.host.listen;
        let listener = tokio::net::TcpListener::bind(listen)
            .await
            .with_context(|| {
                format!("cannot listen on {listen}; `--listen` or `PORT` choose another address")
            })?;
        let address = listener.local_addr()?;
        self.gate.set_own_listeners(vec![address]);
        let address_file = self.config.host.state.join(ADDRESS_FILE);
        std::fs::write(&address_file, address.to_string())
            .with_context(|| format!("`{}` cannot be written", address_file.display()))?;
        let scheduled = Arc::clone(&self);
        let scheduler = tokio::spawn(async move {
            let starter = Scheduled(&scheduled);
            let ended = scheduled.runtime.ended();
            tokio::select! {
                () = schedule::run(&starter, &scheduled.wake, &ended) => {}
                () = scheduled.stopping.cancelled() => {}
            }
        });
        let posted = Arc::clone(&self);
        let postman = tokio::spawn(async move {
            let announced = posted.runtime.announced();
            let post = Posted(&posted);
            tokio::select! {
                () = delivery::run(&post, &announced) => {}
                () = posted.stopping.cancelled() => {}
            }
        });
        let watched = Arc::clone(&self);
        let watcher = tokio::spawn(async move {
            tokio::select! {
                () = watched.watch_plugins() => {}
                () = watched.stopping.cancelled() => {}
            }
        });
        let kept = Arc::clone(&self);
        let housekeeper = tokio::spawn(async move {
            tokio::select! {
                () = kept.keep_house() => {}
                () = kept.stopping.cancelled() => {}
            }
        });
        let prepared = Arc::clone(&self);
        let snapshots = tokio::spawn(async move { prepared.runtime.prepare_snapshots().await });
        listening(address);
        let stopping = self.stopping.clone();
        let router = self.router();
        let serving = tokio::spawn(api::serve(listener, router, {
            let stopping = stopping.clone();
            async move { stopping.cancelled().await }
        }));
        shutdown.await;
        tracing::info!(
            "stopping: runs in progress may end within {} s",
            DRAIN.as_secs()
        );
        stopping.cancel();
        snapshots.abort();
        self.runtime.stop(DRAIN).await;
        let _ = scheduler.await;
        let _ = watcher.await;
        let _ = postman.await;
        let _ = housekeeper.await;
        let _ = serving.await;
        let _ = std::fs::remove_file(address_file);
        self.close().await
    }

    /// Ends what is still in progress and closes the store.
    ///
    /// # Errors
    /// When the last writes fail.
    pub async fn close(&self) -> anyhow::Result<()> {
        self.runtime.stop(Duration::ZERO).await;
        self.store.close().await?;
        Ok(())
    }

    /// Takes up components that are put into the folder of plugins, replaced or removed. Runs in progress end as they began; the next one takes what is there then.
    async fn watch_plugins(&self) {
        let folder = self.config.host.plugins.clone();
        let look = || {
            let folder = folder.clone();
            tokio::task::spawn_blocking(move || registry::fingerprint(&folder))
        };
        let mut known = look().await.unwrap_or_default();
        let mut before = known.clone();
        loop {
            tokio::time::sleep(WATCH_EVERY).await;
            let now = look().await.unwrap_or_default();
            // Once it looks the same twice nobody is in the middle of writing.
            let settled = now == before;
            before.clone_from(&now);
            if now == known || !settled {
                continue;
            }
            known = now;
            let previous = self.registry.load_full();
            let surroundings = Surroundings {
                sandbox: self.sandbox.as_ref(),
                key_value: Arc::new(Keys(Arc::clone(&self.store) as Arc<dyn Store>)),
                previous: Some(Arc::clone(&previous)),
                progress: &|_| {},
            };
            let registry = Registry::build(Arc::clone(&self.config), &surroundings).await;
            let changed = changes(&previous, &registry);
            self.registry.store(Arc::new(registry));
            self.wake.notify_one();
            for (plugin, word) in changed {
                tracing::info!(plugin.name = %plugin, "the plugin `{plugin}` was {word}");
                let event = Event::new(
                    "/host".into(),
                    format!("system.plugin-{word}"),
                    plugin.clone(),
                    json!({ "plugin": plugin }),
                );
                if let Err(error) = self.store.publish(event).await {
                    tracing::warn!("that `{plugin}` was {word} could not be announced: {error}");
                }
            }
            self.runtime.prepare_snapshots().await;
        }
    }

    async fn keep_house(&self) {
        loop {
            let before = Timestamp::now()
                .checked_sub(jiff::SignedDuration::try_from(KEEP_EVENTS).unwrap_or_default())
                .unwrap_or(Timestamp::MIN);
            match self.store.prune(KEEP_RUNS, before).await {
                Ok(pruned) => tracing::debug!("pruned: {pruned:?}"),
                Err(error) => tracing::warn!("the store could not be pruned: {error}"),
            }
            tokio::time::sleep(PRUNE_EVERY).await;
        }
    }

    /// The component that draws badges: of the first agent whose plugin can.
    fn badge_renderer(&self) -> Option<(Arc<Agent>, Arc<Loaded>)> {
        self.registry.load().agents.values().find_map(|agent| {
            let loaded = agent.loaded.as_ref().ok()?;
            loaded
                .inspection
                .exports
                .iter()
                .any(|export| export.starts_with("infinity:agent/badge@"))
                .then(|| (Arc::clone(agent), Arc::clone(loaded)))
        })
    }

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

/// Which plugins are different, and how.
fn changes(before: &Registry, after: &Registry) -> Vec<(String, &'static str)> {
    let mut changes = Vec::new();
    for (name, plugin) in &after.plugins {
        match before.plugins.get(name) {
            None => changes.push((name.clone(), "added")),
            Some(known) if known.digest != plugin.digest => {
                changes.push((name.clone(), "replaced"));
            }
            Some(_) => {}
        }
    }
    let removed = before
        .plugins
        .keys()
        .filter(|name| !after.plugins.contains_key(*name));
    changes.extend(removed.map(|name| (name.clone(), "removed")));
    changes
}

/// Opens the store on a thread that may block: it checks and migrates files, and sqlx's migrator is no future that may move between threads.
async fn open_store(state: PathBuf) -> anyhow::Result<SqliteStore> {
    let handle = tokio::runtime::Handle::current();
    let opened =
        tokio::task::spawn_blocking(move || handle.block_on(SqliteStore::open(&state))).await?;
    Ok(opened?)
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
                inspection: plugin.inspection.as_ref().ok().cloned(),
            })
            .collect()
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
            occurrence: None,
        };
        self.runtime.start(start).await.map_err(start_error)
    }

    async fn publish(&self, event: Event) -> Result<bool, StoreError> {
        let new = self.store.publish(event).await?;
        self.runtime.announced().notify_one();
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
            if let Some(agent) = agent {
                self.store
                    .publish(Event::new(
                        format!("/agents/{agent}"),
                        format!("agent.{word}"),
                        agent.to_owned(),
                        json!({ "agent": agent, "principal": principal }),
                    ))
                    .await?;
            }
        }
        Ok(())
    }

    fn status(&self) -> Status {
        let registry = self.registry.load();
        let (queued, running) = self.runtime.live_counts();
        Status {
            state: self.runtime.system_state(),
            paused: self.holds.all(),
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
        let Some((agent, loaded)) = self.badge_renderer() else {
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
            Ok(Answer::Badge(image)) => Badge {
                svg: image.svg,
                label,
                message: image.message,
                color: image.color,
            },
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

    async fn health(&self) -> Vec<HealthCheck> {
        let registry = self.registry.load_full();
        let store = self.store.flags().await;
        let broken: Vec<&str> = registry
            .agents
            .iter()
            .filter(|(_, agent)| agent.config.enabled && agent.loaded.is_err())
            .map(|(name, _)| name.as_str())
            .collect();
        vec![
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
            HealthCheck {
                component: "runtime".into(),
                ok: true,
                detail: format!("{} runs queued or in progress", self.runtime.live_count()),
            },
        ]
    }

    fn ready(&self) -> Result<(), String> {
        if self.stopping.is_cancelled() {
            return Err("the host is stopping".into());
        }
        Ok(())
    }
}

fn start_error(error: runtime::StartError) -> api::StartError {
    match error {
        runtime::StartError::UnknownAgent { nearest, .. } => {
            api::StartError::UnknownAgent { nearest }
        }
        runtime::StartError::Disabled(_) => api::StartError::Disabled,
        runtime::StartError::InvalidInput { pointer, message } => {
            api::StartError::InvalidInput { pointer, message }
        }
        runtime::StartError::QueueFull(_) => api::StartError::QueueFull,
        runtime::StartError::Stopping => api::StartError::Stopping,
        runtime::StartError::Store(StoreError::Duplicate { run }) => {
            api::StartError::Duplicate(run)
        }
        runtime::StartError::Store(error) => api::StartError::Store(error),
    }
}

/// The schedule's way to the runtime.
struct Scheduled<'a>(&'a Arc<App>);

#[async_trait]
impl Starter for Scheduled<'_> {
    fn entries(&self) -> Vec<Entry> {
        let registry = self.0.registry.load();
        registry
            .agents
            .iter()
            .filter(|(_, agent)| agent.config.enabled)
            .filter_map(|(name, agent)| {
                Some(Entry {
                    agent: name.clone(),
                    schedule: agent.config.schedule.clone()?,
                })
            })
            .collect()
    }

    async fn last_moments(&self) -> Option<BTreeMap<String, Timestamp>> {
        match self.0.store.agent_records().await {
            Ok(records) => Some(
                records
                    .into_iter()
                    .filter_map(|record| Some((record.agent, record.last_scheduled_at?)))
                    .collect(),
            ),
            Err(error) => {
                tracing::error!("the ledger cannot be read, so nothing is started: {error}");
                None
            }
        }
    }

    fn is_live(&self, agent: &str) -> bool {
        self.0.runtime.is_live(agent)
    }

    fn held(&self, agent: &str, now: Timestamp) -> Option<&'static str> {
        self.0.holds.of(agent, now).map(Hold::as_str)
    }

    fn cancel(&self, agent: &str) {
        self.0.runtime.cancel_agent(agent);
    }

    async fn start(&self, trigger: Trigger, occurrence: Occurrence) -> Started {
        let (agent, moment) = (occurrence.agent.clone(), occurrence.due_at);
        let started = self
            .0
            .runtime
            .start(Start {
                agent: agent.clone(),
                input: Value::Null,
                principal: Principal::schedule(),
                trigger,
                idempotency_key: Some(format!("schedule/{moment}")),
                scheduled_at: moment,
                occurrence: Some(occurrence),
            })
            .await;
        match started {
            Ok(_) | Err(runtime::StartError::Store(StoreError::Duplicate { .. })) => {
                Started::Recorded
            }
            Err(runtime::StartError::Stopping) => Started::Later,
            Err(error) => {
                tracing::error!(agent.name = %agent, "the run of `{agent}` that was due at {moment} did not start: {error}");
                match error {
                    runtime::StartError::QueueFull(_) => Started::Not("queue_full"),
                    runtime::StartError::Disabled(_) | runtime::StartError::UnknownAgent { .. } => {
                        Started::Not("disabled")
                    }
                    runtime::StartError::InvalidInput { .. } => Started::Not("input"),
                    _ => Started::Later,
                }
            }
        }
    }

    async fn note(&self, occurrences: &[Occurrence]) -> bool {
        match self.0.store.note_occurrences(occurrences.to_vec()).await {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(
                    "{} moments that started nothing could not be recorded: {error}",
                    occurrences.len()
                );
                false
            }
        }
    }
}

/// The events' way to the agents.
struct Posted<'a>(&'a Arc<App>);

/// The flag that says where delivery goes on.
const DELIVERY_FLAG: &str = "delivery";

#[async_trait]
impl Post for Posted<'_> {
    fn subscriptions(&self) -> Vec<Subscription> {
        let registry = self.0.registry.load();
        registry
            .agents
            .iter()
            .filter(|(_, agent)| agent.config.enabled && !agent.config.on.is_empty())
            .map(|(name, agent)| Subscription {
                agent: name.clone(),
                on: agent.config.on.clone(),
            })
            .collect()
    }

    async fn place(&self) -> Result<String, StoreError> {
        let flags = self.0.store.flags().await?;
        if let Some(place) = flags.get(DELIVERY_FLAG) {
            return Ok(place.clone());
        }
        let end = self.0.store.events_end().await?;
        self.set_place(Some(&end)).await?;
        Ok(end)
    }

    async fn set_place(&self, cursor: Option<&str>) -> Result<(), StoreError> {
        self.0.store.set_flag(DELIVERY_FLAG, cursor).await
    }

    async fn events(&self, after: &str, limit: u32) -> Result<Page<Event>, StoreError> {
        self.0.store.events(&[], Some(after), limit).await
    }

    async fn hand_over(&self, agent: &str, event: &Event) -> bool {
        // One agent that is paused, or slow, does not fill the queue of all.
        let share = (self.0.config.host.queue as usize / 2).max(1);
        if self.0.runtime.live_of(agent) >= share {
            tracing::warn!(agent.name = %agent, "events wait: {share} of `{agent}` wait already; `infinity resume {agent}`, or take `on` away from it");
            return false;
        }
        let started = self
            .0
            .runtime
            .start(Start {
                agent: agent.to_owned(),
                // Plain data: it can always be written.
                input: serde_json::to_value(event).unwrap_or_default(),
                principal: Principal {
                    kind: "host".into(),
                    name: "delivery".into(),
                },
                trigger: Trigger::Event,
                // With the length, so that no two events have one key.
                idempotency_key: Some(format!(
                    "event/{}/{}/{}",
                    event.source.len(),
                    event.source,
                    event.id
                )),
                scheduled_at: now(),
                occurrence: None,
            })
            .await;
        match started {
            Ok(_) | Err(runtime::StartError::Store(StoreError::Duplicate { .. })) => true,
            Err(
                error @ (runtime::StartError::InvalidInput { .. }
                | runtime::StartError::Disabled(_)
                | runtime::StartError::UnknownAgent { .. }),
            ) => {
                tracing::error!(agent.name = %agent, event.id = %event.id, "the event {} cannot be handed to `{agent}`: {error}", event.id);
                true
            }
            Err(error) => {
                tracing::warn!(agent.name = %agent, "events for `{agent}` wait: {error}");
                false
            }
        }
    }
}

/// The agents' keys on the store.
struct Keys(Arc<dyn Store>);

fn told(error: StoreError) -> KeyValueError {
    match error {
        StoreError::Quota { .. } => KeyValueError::Quota(error.to_string()),
        StoreError::InvalidKey { .. }
        | StoreError::NotCounter { .. }
        | StoreError::Overflow { .. } => KeyValueError::Invalid(error.to_string()),
        other => KeyValueError::Store(other.into()),
    }
}

fn quota(quota: KeyValueQuota) -> KvQuota {
    KvQuota {
        bytes: quota.bytes,
        keys: quota.keys,
    }
}

#[async_trait]
impl KeyValue for Keys {
    async fn get(&self, agent: &str, key: &str) -> Result<Option<Vec<u8>>, KeyValueError> {
        self.0.kv_get(agent, key).await.map_err(told)
    }

    async fn set_many(
        &self,
        agent: &str,
        pairs: Vec<(String, Vec<u8>)>,
        limit: KeyValueQuota,
    ) -> Result<(), KeyValueError> {
        self.0
            .kv_set_many(agent, pairs, quota(limit))
            .await
            .map_err(told)
    }

    async fn delete_many(&self, agent: &str, keys: Vec<String>) -> Result<(), KeyValueError> {
        self.0.kv_delete_many(agent, &keys).await.map_err(told)?;
        Ok(())
    }

    async fn list(
        &self,
        agent: &str,
        offset: u64,
        limit: u32,
    ) -> Result<Vec<String>, KeyValueError> {
        // The contract counts, the store goes on from a key. A space has few enough keys to walk.
        let mut skip = usize::try_from(offset).unwrap_or(usize::MAX);
        let mut after: Option<String> = None;
        let mut found = Vec::new();
        loop {
            let (keys, more) = self
                .0
                .kv_list(agent, after.as_deref(), limit)
                .await
                .map_err(told)?;
            after = keys.last().cloned();
            let passed = skip.min(keys.len());
            skip -= passed;
            found.extend(keys.into_iter().skip(passed));
            if !more || found.len() >= limit as usize {
                found.truncate(limit as usize);
                return Ok(found);
            }
        }
    }

    async fn increment(
        &self,
        agent: &str,
        key: &str,
        delta: u64,
        limit: KeyValueQuota,
    ) -> Result<u64, KeyValueError> {
        self.0
            .kv_increment(agent, key, delta, quota(limit))
            .await
            .map_err(told)
    }
}
