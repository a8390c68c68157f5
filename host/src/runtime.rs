//! Turns a recorded run and an agent into an outcome, a report, usage and a log: the durable row first, then a place among the running, then the sandbox, then
//! the terminal record, once.
//!
//! What a run proposes is in its report and nothing of it is carried out here. The runtime knows no routes, no tables and no schedule.

mod places;
mod proposals;
mod serve;
mod settle;
mod shadow;
mod state;

use self::places::{Place, Places};
use self::serve::Requests;
pub use self::serve::ServeError;
use self::settle::{again, events, settle};
pub use self::state::{Signal, TRANSITIONS, transition};
use crate::health::{self, Recent};
use crate::holds::Holds;
use crate::logging::SECURITY;
use crate::metrics::Metrics;
use crate::model::{
    Artifact, Event, LogLine, Occurrence, Outcome, Principal, Reached, Report, Run, RunEnd,
    RunState, Trigger, Usage, json_depth, now,
};
use crate::registry::{Agent, Registry};
use crate::retry::{self, Crashes, Next};
use crate::sandbox::call::{Call, Invocation};
use crate::sandbox::events::Emitted;
use crate::sandbox::files::Directory;
use crate::sandbox::meter::Meter;
use crate::sandbox::{CallEnd, Job, Sandbox, Stop};
use crate::store::{PageRequest, RunFilter, Store, StoreError};
use crate::telemetry;
use arc_swap::ArcSwap;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, broadcast, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// A run that takes longer than this gets a `running` row; shorter ones go from queued to ended, which saves a commit each.
const RUNNING_ROW_AFTER: Duration = Duration::from_millis(500);

/// How long the row of a run may wait for the run's end, so that both are one commit: most runs take less, and nobody notices it in an answer. Only for runs that no key
/// ties to an earlier one; what outlasts a run waits for its row anyway.
const ROW_PATIENCE: Duration = Duration::from_millis(2);

/// Runs of each agent that are read at start for its health.
const RECENT_RUNS: u32 = health::RUNS as u32;

/// The kind of principal behind a request that a component answers.
const REQUEST: &str = "http";

/// Levels of a run's input.
const INPUT_DEPTH_MAX: usize = 120;

/// How often a run that an event started looks whether its agent may start again.
const HELD_LOOK: Duration = Duration::from_secs(1);

/// How long an ended run's record is tried to be written when the disk is full; the run stays in memory until then.
const RECORD_PATIENCE: Duration = Duration::from_secs(60);

/// What is said while the kill switch is thrown.
pub(crate) const KILLED: &str = "the kill switch is thrown: nothing starts until an admin has recovered the host with `infinity recover AGENT`";

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Start {
    /// The agent's name.
    pub agent: String,
    /// JSON.
    pub input: Value,
    /// Who asks.
    pub principal: Principal,
    /// Why.
    pub trigger: Trigger,
    /// Unique for the trigger; made up where there is none.
    pub idempotency_key: Option<String>,
    /// When it was due.
    pub scheduled_at: Timestamp,
    /// Whether what it proposes is only looked at.
    pub dry_run: bool,
    /// The moment that starts it, recorded with the run.
    pub occurrence: Option<Occurrence>,
}

/// Why a run was not recorded.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No such agent.
    #[error("there is no agent `{name}`")]
    UnknownAgent {
        /// As asked for.
        name: String,
        /// One with a similar name.
        nearest: Option<String>,
    },
    /// The agent is disabled.
    #[error("the agent `{0}` is disabled")]
    Disabled(String),
    /// The input does not fit the plugin's schema.
    #[error("the input does not fit the agent's schema: {message}")]
    InvalidInput {
        /// Where, as a JSON pointer.
        pointer: String,
        /// What is wrong.
        message: String,
    },
    /// Too many runs wait.
    #[error("{0} runs are waiting already")]
    QueueFull(usize),
    /// The kill switch is thrown.
    #[error("{KILLED}")]
    Killed,
    /// The host is going down.
    #[error("the host is stopping")]
    Stopping,
    /// The store failed, or has this trigger already.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a run left behind, beside its report.
#[derive(Default)]
struct Left {
    log: Vec<LogLine>,
    artifacts: Vec<Artifact>,
    events: Vec<Emitted>,
    reached: Vec<Reached>,
}

/// Ended runs that wait for who watches them: those of a busy second.
const OUTCOMES: usize = 1_024;

/// Why a run ends whose agent went while it waited.
const REMOVED: &str = "the agent was removed or disabled in `plugins.toml` while the run waited";

/// A run that is queued or in the sandbox.
struct Live {
    agent: String,
    started_at: OnceLock<Timestamp>,
    meter: OnceLock<Arc<Meter>>,
    cancel: CancellationToken,
    /// Cancelled once there is a row.
    recorded: CancellationToken,
    ended: watch::Sender<Option<Run>>,
    /// What it began on.
    bound: OnceLock<Arc<Agent>>,
    /// Why it was cancelled, if a change of the configuration did it.
    revoked: OnceLock<&'static str>,
}

/// Runs that are queued or in the sandbox.
#[derive(Default)]
struct LiveRuns {
    by_id: HashMap<Uuid, Arc<Live>>,
    /// How many there are of each agent.
    by_agent: HashMap<String, usize>,
}

impl LiveRuns {
    fn insert(&mut self, id: Uuid, live: Arc<Live>) {
        *self.by_agent.entry(live.agent.clone()).or_default() += 1;
        self.by_id.insert(id, live);
    }

    fn remove(&mut self, id: Uuid) {
        let Some(live) = self.by_id.remove(&id) else {
            return;
        };
        if let Some(count) = self.by_agent.get_mut(&live.agent) {
            *count -= 1;
            if *count == 0 {
                self.by_agent.remove(&live.agent);
            }
        }
    }
}

/// What is kept in memory of an agent's past, so that lists and badges ask no store.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// Its latest ended run.
    pub last_run: Option<Arc<Run>>,
    /// The latest moment of its schedule that was recorded.
    pub last_moment: Option<Timestamp>,
    /// How its latest runs ended.
    pub recent: Recent,
    crashes: Crashes,
}

/// How many runs the runtime takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Runs at once.
    pub concurrency: usize,
    /// Runs at once while many wait.
    pub concurrency_max: usize,
    /// Runs that may wait.
    pub queue: usize,
}

/// Runs runs.
pub struct Runtime {
    registry: Arc<ArcSwap<Registry>>,
    store: Arc<dyn Store>,
    sandbox: Arc<dyn Sandbox>,
    live: Mutex<LiveRuns>,
    /// Of each agent as many as its `concurrency`, which stands beside them.
    agent_places: Mutex<HashMap<String, (u32, Arc<Semaphore>)>>,
    ended: Arc<Notify>,
    announced: Arc<Notify>,
    proposed: Arc<Notify>,
    outcomes: broadcast::Sender<Arc<Run>>,
    holds: Arc<Holds>,
    pasts: Mutex<BTreeMap<String, Past>>,
    metrics: Arc<Metrics>,
    places: Arc<Places>,
    requests: Requests,
    queue: Arc<Semaphore>,
    queue_size: usize,
    stopping: AtomicBool,
    /// Cancelled when the host stops: what waits stays in the store.
    halt: CancellationToken,
    tasks: TaskTracker,
}

impl Runtime {
    /// A runtime with room for this many runs.
    #[must_use]
    pub fn new(
        registry: Arc<ArcSwap<Registry>>,
        store: Arc<dyn Store>,
        sandbox: Arc<dyn Sandbox>,
        holds: Arc<Holds>,
        metrics: Arc<Metrics>,
        capacity: Capacity,
    ) -> Self {
        Self {
            registry,
            store,
            sandbox,
            live: Mutex::default(),
            agent_places: Mutex::default(),
            ended: Arc::default(),
            announced: Arc::default(),
            proposed: Arc::default(),
            outcomes: broadcast::Sender::new(OUTCOMES),
            holds,
            pasts: Mutex::default(),
            metrics,
            requests: Requests::default(),
            places: Places::new(capacity.concurrency, capacity.concurrency_max),
            queue: Arc::new(Semaphore::new(capacity.queue + capacity.concurrency)),
            queue_size: capacity.queue,
            stopping: AtomicBool::new(false),
            halt: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    fn live_runs(&self) -> std::sync::MutexGuard<'_, LiveRuns> {
        self.live
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn pasts(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Past>> {
        self.pasts
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Takes up what an earlier process left: what ran is lost, and what waited runs now if this process `serves`.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn recover(self: &Arc<Self>, serves: bool) -> Result<(), StoreError> {
        for record in self.store.agent_records().await? {
            let last_run = match record.last_run {
                Some(last) => self.store.run(last.id).await?.map(Arc::new),
                None => None,
            };
            let mut recent = Recent::default();
            let filter = RunFilter {
                agent: Some(record.agent.clone()),
                ended: Some(true),
                ..RunFilter::default()
            };
            let page = PageRequest {
                limit: RECENT_RUNS,
                cursor: None,
            };
            let runs = self.store.runs(filter, page).await?.items;
            // Of requests only those that ended badly have a row, which says nothing of how many did.
            for run in runs.iter().filter(|run| !is_request(run)).rev() {
                recent.add(run.outcome);
            }
            let past = Past {
                last_run: last_run.filter(|run| run.state == RunState::Ended && !is_request(run)),
                last_moment: record.last_scheduled_at,
                recent,
                crashes: Crashes::default(),
            };
            self.pasts().insert(record.agent, past);
        }
        for run in self.store.unfinished().await? {
            let agent = self.registry.load().agents.get(&run.agent).cloned();
            match (run.state, agent) {
                (RunState::Queued, Some(agent)) if agent.config.enabled => {
                    if serves {
                        self.enqueue(run, agent, None);
                    }
                }
                _ => self.lose(run, serves).await?,
            }
        }
        Ok(())
    }

    /// Ends a run of a process that died.
    async fn lose(self: &Arc<Self>, mut run: Run, serves: bool) -> Result<(), StoreError> {
        run.state = RunState::Ended;
        run.outcome = Some(Outcome::Lost);
        run.message = Some("the host died while the run was in progress".into());
        run.hint = Some("start it again if what it does may be repeated".into());
        run.ended_at = Some(now());
        let registry = self.registry.load_full();
        // What is disabled is not tried again.
        let agent = registry
            .agents
            .get(&run.agent)
            .filter(|agent| agent.config.enabled);
        let end = match agent {
            Some(agent) => self.end(run, Report::default(), Left::default(), agent, false),
            None => RunEnd {
                effects: Vec::new(),
                events: events(&run, &Report::default(), Vec::new(), &[], false),
                run,
                report: Report::default(),
                log: Vec::new(),
                artifacts: Vec::new(),
                retry: None,
                dead: false,
            },
        };
        self.remember(&end.run);
        let retry = end.retry.clone();
        self.store.end_run(end).await?;
        if let (Some(retry), Some(agent), true) = (retry, agent, serves) {
            self.enqueue(*retry, Arc::clone(agent), None);
        }
        Ok(())
    }

    /// What is recorded at the end of a run, with what becomes of it.
    fn end(&self, run: Run, report: Report, left: Left, agent: &Agent, judges: bool) -> RunEnd {
        let ended_at = run.ended_at.unwrap_or_else(now);
        let next = retry::next(&run, agent.config.retry, ended_at);
        let retry = match next {
            Next::Retry(at) => Some(Box::new(again(&run, at))),
            _ => None,
        };
        RunEnd {
            effects: proposals::propose(&run, &report, agent.config.dry_run || run.dry_run),
            events: events(&run, &report, left.events, &left.reached, judges),
            dead: next == Next::Dead,
            run,
            report,
            log: left.log,
            artifacts: left.artifacts,
            retry,
        }
    }

    /// Starts a run again that was given up on, at once.
    ///
    /// # Errors
    /// When there is no such run among those given up on, its agent is not there, or the store cannot be written.
    pub async fn revive(self: &Arc<Self>, id: Uuid) -> Result<Option<Run>, StartError> {
        if self.stopping.load(Ordering::Acquire) {
            return Err(StartError::Stopping);
        }
        if self.holds.kill.is_engaged() {
            return Err(StartError::Killed);
        }
        let Some(run) = self.store.run(id).await? else {
            return Ok(None);
        };
        let registry = self.registry.load_full();
        let Some(agent) = registry.agents.get(&run.agent) else {
            return Err(StartError::UnknownAgent {
                nearest: registry.nearest(&run.agent),
                name: run.agent,
            });
        };
        if !agent.config.enabled {
            return Err(StartError::Disabled(run.agent));
        }
        let next = again(&run, now());
        let (runtime, agent) = (Arc::clone(self), Arc::clone(agent));
        let revived = self.tasks.spawn(async move {
            if !runtime.store.bury(id, Some(next.clone())).await? {
                return Ok::<_, StoreError>(None);
            }
            runtime.enqueue(next.clone(), agent, None);
            Ok(Some(next))
        });
        Ok(revived.await.map_err(|_| StartError::Stopping)??)
    }

    /// Counts a crash; an agent that crashes too often starts nothing by itself until a person resumes it.
    async fn watch(&self, run: &Run) {
        if !retry::is_crash(run.outcome) {
            return;
        }
        let too_many = {
            let mut pasts = self.pasts();
            let past = pasts.entry(run.agent.clone()).or_default();
            past.crashes.add(run.ended_at.unwrap_or_else(now))
        };
        if !too_many {
            return;
        }
        match self.holds.set_quarantined(&run.agent, true).await {
            Ok(true) => {
                tracing::warn!(agent.name = %run.agent, "`{}` is in quarantine: {} crashes within {} minutes; `infinity resume {}` lets it go on",
                    run.agent, retry::CRASHES_MAX, retry::CRASH_WINDOW.as_mins(), run.agent);
                let event = Event::new(
                    format!("/agents/{}", run.agent),
                    "agent.quarantined",
                    run.agent.clone(),
                    json!({ "agent": run.agent, "run": run.id, "crashes": retry::CRASHES_MAX }),
                );
                if let Err(error) = self.store.publish(event).await {
                    tracing::warn!(
                        "the quarantine of `{}` could not be announced: {error}",
                        run.agent
                    );
                }
            }
            Ok(false) => {}
            Err(error) => {
                tracing::error!(agent.name = %run.agent, "`{}` should be in quarantine, which could not be recorded: {error}", run.agent);
            }
        }
    }

    /// Forgets an agent's crashes: a person let it go on.
    pub fn forgive(&self, agent: &str) {
        if let Some(past) = self.pasts().get_mut(agent) {
            past.crashes.clear();
        }
    }

    /// Records a run, durably, and lets it start as soon as there is a place. A short one may have ended already.
    ///
    /// # Errors
    /// See [`StartError`]; nothing is recorded then.
    pub async fn start(self: &Arc<Self>, start: Start) -> Result<Run, StartError> {
        if self.stopping.load(Ordering::Acquire) {
            return Err(StartError::Stopping);
        }
        // What happened is kept and waits; what somebody asks for is refused, so that they know.
        let asked = matches!(start.trigger, Trigger::Manual | Trigger::Webhook);
        let key = start.idempotency_key.as_deref().unwrap_or_default();
        if asked && !self.holds.kill.lets(key) {
            return Err(StartError::Killed);
        }
        let registry = self.registry.load_full();
        let id = Uuid::now_v7();
        let Some((agent, config_digest)) = registry.of_run(&start.agent, id, Instant::now()) else {
            return Err(StartError::UnknownAgent {
                nearest: registry.nearest(&start.agent),
                name: start.agent,
            });
        };
        if !agent.config.enabled {
            return Err(StartError::Disabled(start.agent));
        }
        // A row has to be read again, where 128 levels are the end.
        if json_depth(&start.input) > INPUT_DEPTH_MAX {
            return Err(StartError::InvalidInput {
                pointer: String::new(),
                message: format!("is nested more than {INPUT_DEPTH_MAX} levels deep"),
            });
        }
        let mistake = agent
            .input
            .as_ref()
            .and_then(|schema| schema.iter_errors(&start.input).next());
        if let Some(mistake) = mistake {
            return Err(StartError::InvalidInput {
                pointer: mistake.instance_path().to_string(),
                message: mistake.to_string(),
            });
        }
        let Ok(waiting) = Arc::clone(&self.queue).try_acquire_owned() else {
            return Err(StartError::QueueFull(self.queue_size));
        };
        telemetry::begins(id);
        let named = start.idempotency_key.is_some();
        let run = Run {
            id,
            agent: start.agent,
            plugin: agent.config.plugin.clone(),
            plugin_digest: agent
                .plugin
                .as_ref()
                .map_or_else(String::new, |plugin| plugin.digest.clone()),
            config_digest: config_digest.to_owned(),
            principal: start.principal,
            trigger: start.trigger,
            attempt: 1,
            idempotency_key: start.idempotency_key.unwrap_or_else(|| id.to_string()),
            dry_run: start.dry_run,
            state: RunState::Queued,
            outcome: None,
            reason: None,
            message: None,
            hint: None,
            summary: None,
            findings: 0,
            denials: Vec::new(),
            usage: Usage::default(),
            input: start.input,
            scheduled_at: start.scheduled_at,
            created_at: now(),
            started_at: None,
            ended_at: None,
        };
        if named {
            let moment = start.occurrence.map(|occurrence| Occurrence {
                run: Some(id),
                ..occurrence
            });
            let admitted = self.admit(run, Arc::clone(agent), waiting, moment).await;
            if admitted.is_err() {
                telemetry::does_not_begin(id);
            }
            return admitted;
        }
        let (told, recorded) = oneshot::channel();
        let live = self.enlist(&run);
        let (runtime, agent) = (Arc::clone(self), Arc::clone(agent));
        self.tasks.spawn(async move {
            runtime.carry_out_unrecorded(run, agent, &live, told).await;
            drop(waiting);
        });
        // The task answers on every way.
        let recorded = recorded.await.map_err(|_| StartError::Stopping);
        if !matches!(recorded, Ok(Ok(_))) {
            telemetry::does_not_begin(id);
        }
        Ok(recorded??)
    }

    /// Records a run and lets it go its way. Both or neither, also when whoever asked goes away meanwhile.
    async fn admit(
        self: &Arc<Self>,
        run: Run,
        agent: Arc<Agent>,
        waiting: OwnedSemaphorePermit,
        moment: Option<Occurrence>,
    ) -> Result<Run, StartError> {
        let runtime = Arc::clone(self);
        let admitted = self.tasks.spawn(async move {
            match moment {
                Some(moment) => {
                    runtime.store.fire(run.clone(), moment).await?;
                    let mut pasts = runtime.pasts();
                    pasts.entry(run.agent.clone()).or_default().last_moment =
                        Some(run.scheduled_at);
                }
                None => runtime.store.create_run(run.clone()).await?,
            }
            runtime.enqueue(run.clone(), agent, Some(waiting));
            Ok::<_, StoreError>(run)
        });
        Ok(admitted.await.map_err(|_| StartError::Stopping)??)
    }

    /// Lets a run be found while it lives.
    fn enlist(&self, run: &Run) -> Arc<Live> {
        let live = Arc::new(Live {
            agent: run.agent.clone(),
            started_at: OnceLock::new(),
            meter: OnceLock::new(),
            cancel: CancellationToken::new(),
            recorded: CancellationToken::new(),
            ended: watch::Sender::new(None),
            bound: OnceLock::new(),
            revoked: OnceLock::new(),
        });
        self.live_runs().insert(run.id, Arc::clone(&live));
        live
    }

    /// Ends a run's life here; `ended` is none if it stays queued.
    fn dismiss(&self, id: Uuid, live: &Live, ended: Option<Run>) {
        if let Some(ended) = &ended {
            self.remember(ended);
        }
        // Before anybody is told: who asks what it left finds it in the store, and nobody sees it in progress.
        self.live_runs().remove(id);
        if let Some(ended) = ended {
            live.ended.send_replace(Some(ended));
        }
        self.ended.notify_one();
        self.announced.notify_one();
    }

    /// Lets a recorded run go its way. `waiting` is its place in the queue, held until it ended; runs of an earlier process need none.
    fn enqueue(
        self: &Arc<Self>,
        run: Run,
        agent: Arc<Agent>,
        waiting: Option<OwnedSemaphorePermit>,
    ) {
        let live = self.enlist(&run);
        let runtime = Arc::clone(self);
        self.tasks.spawn(async move {
            let id = run.id;
            let meter = Arc::new(Meter::before_row(agent.config.limits.clone()));
            live.recorded.cancel();
            let ended = match runtime
                .carry_out(run, Arc::clone(&agent), &live, &meter)
                .await
            {
                Some(end) => {
                    let retry = end.retry.clone();
                    let run = end.run.clone();
                    if !runtime.record(&end).await {
                        runtime.dismiss(id, &live, Some(run));
                        return;
                    }
                    runtime.watch(&run).await;
                    // Before this one leaves, so that the agent is live throughout.
                    if let Some(retry) = retry {
                        runtime.enqueue(*retry, Arc::clone(&agent), None);
                    }
                    Some(run)
                }
                None => None,
            };
            runtime.dismiss(id, &live, ended);
            drop(waiting);
        });
    }

    /// Carries out a run whose row is not written yet: with its end if that is near, else by itself as soon as the run takes longer or wants to leave something behind.
    async fn carry_out_unrecorded(
        &self,
        run: Run,
        agent: Arc<Agent>,
        live: &Live,
        told: oneshot::Sender<Result<Run, StoreError>>,
    ) {
        let meter = Arc::new(Meter::before_row(agent.config.limits.clone()));
        let mut work = pin!(self.carry_out(run.clone(), agent, live, &meter));
        let begun = AtomicBool::new(false);
        let hurry = CancellationToken::new();
        let row = async {
            tokio::select! {
                () = hurry.cancelled() => {}
                () = tokio::time::sleep(ROW_PATIENCE) => {}
                () = meter.row_wanted() => {}
            }
            begun.store(true, Ordering::Relaxed);
            let mut row = run.clone();
            if let Some(started_at) = live.started_at.get() {
                row.state = RunState::Running;
                row.started_at = Some(*started_at);
            }
            let runs = row.state == RunState::Running;
            let written = self.store.create_run(row).await;
            if written.is_ok() {
                live.recorded.cancel();
                if runs {
                    meter.row_written();
                }
            }
            written
        };
        let mut row = pin!(row);
        // A caller who went away does not want to know.
        let tell = |written: Result<Run, StoreError>| {
            let fine = written.is_ok();
            let _ = told.send(written);
            fine
        };
        let end = tokio::select! {
            biased;
            end = &mut work => match end {
                Some(end) if !begun.load(Ordering::Relaxed) => {
                    let ended = end.run.clone();
                    let proposed = end.effects.len();
                    let written = self.store.record_run(end).await;
                    self.told_of(proposed);
                    // Before whoever asked for it is told that it ended.
                    self.dismiss(run.id, live, written.is_ok().then(|| ended.clone()));
                    if tell(written.map(|()| ended.clone())) {
                        self.watch(&ended).await;
                    }
                    return;
                }
                end => {
                    hurry.cancel();
                    let written = row.await;
                    tell(written.map(|()| run.clone())).then_some(end).flatten()
                }
            },
            written = &mut row => {
                // Dropped with what it did when there is no row: it left no trace.
                if !tell(written.map(|()| run.clone())) {
                    self.dismiss(run.id, live, None);
                    return;
                }
                work.await
            }
        };
        let Some(end) = end else {
            self.dismiss(run.id, live, None);
            return;
        };
        let ended = end.run.clone();
        if self.record(&end).await {
            self.watch(&ended).await;
        }
        self.dismiss(run.id, live, Some(ended));
    }

    /// From the queue to what is to be recorded; none for a run that did not start before the host stops: it stays queued.
    async fn carry_out(
        &self,
        mut run: Run,
        mut agent: Arc<Agent>,
        live: &Live,
        meter: &Arc<Meter>,
    ) -> Option<RunEnd> {
        let mut meter = Arc::clone(meter);
        let queued = Instant::now();
        let turn = async {
            // A further attempt waits before it takes a place.
            let wait = run.scheduled_at.duration_since(now());
            if let Ok(wait) = Duration::try_from(wait) {
                // The clock may have been set back since the row was written.
                tokio::time::sleep(wait.min(retry::DELAY_MAX)).await;
            }
            let kill = &self.holds.kill;
            loop {
                // What starts by itself waits until the agent may: events, further attempts, and what an earlier process left. Under the kill switch everything waits.
                while !kill.lets(&run.idempotency_key)
                    || (run.trigger != Trigger::Manual
                        && self.holds.of(&run.agent, now()).is_some())
                {
                    tokio::time::sleep(HELD_LOOK).await;
                }
                let place = self.place(&agent).await;
                // It may have been thrown while the run waited for its place.
                if kill.lets(&run.idempotency_key) {
                    return place;
                }
            }
        };
        let place = tokio::select! {
            biased;
            () = live.cancel.cancelled() => None,
            () = self.halt.cancelled() => None,
            place = turn => place,
        };
        let queue_us = micros(queued.elapsed());
        if self.stopping.load(Ordering::Acquire) && !live.cancel.is_cancelled() {
            return None;
        }
        if place.is_some()
            && let Some(current) = self.current(&mut run, &agent, live)
        {
            meter = Arc::new(meter.with_budget(current.config.limits.clone()));
            agent = current;
        }
        let started_at = now();
        let mut end = if place.is_some() && !live.cancel.is_cancelled() {
            let _ = live.started_at.set(started_at);
            let _ = live.meter.set(Arc::clone(&meter));
            if telemetry::watches(run.id) {
                meter.watch();
            }
            run.started_at = Some(started_at);
            let work = self.inside(&run, &agent, &meter, &live.cancel);
            let told = self.tell_running(run.id, started_at, live, &meter);
            let killed = self.killed(&run, live);
            tokio::select! {
                biased;
                // First, so that what begins as the switch is thrown does not begin.
                () = killed => CallEnd::stopped(Stop::cancelled()),
                end = work => end,
                () = told => CallEnd::stopped(Stop::host("the run's record was lost")),
            }
        } else {
            CallEnd::stopped(Stop::cancelled())
        };
        drop(place);
        end.usage.queue_us = queue_us;
        let judges = agent
            .plugin
            .as_ref()
            .and_then(|plugin| plugin.inspection.as_ref().ok())
            .is_some_and(|inspection| {
                inspection
                    .exports
                    .iter()
                    .any(|export| export.starts_with("infinity:agent/policy@"))
            });
        let (report, artifacts) = settle(&mut run, end, &meter);
        telemetry::reached(run.id, &meter.take_outside());
        if run.outcome == Some(Outcome::Cancelled) && !self.holds.kill.lets(&run.idempotency_key) {
            run.reason = Some("kill_switch".into());
            run.message = Some("the kill switch was thrown".into());
        } else if run.outcome == Some(Outcome::Cancelled)
            && let Some(why) = live.revoked.get()
        {
            run.reason = Some("revoked".into());
            run.message = Some((*why).to_owned());
        }
        let left = Left {
            log: meter.take_log(),
            artifacts,
            events: meter.take_events(),
            reached: meter.reached(),
        };
        Some(self.end(run, report, left, &agent, judges))
    }

    /// What a run that waited begins on: the agent in force, if that is another one than when the run was accepted. One that is there no more ends the run.
    fn current(&self, run: &mut Run, accepted: &Arc<Agent>, live: &Live) -> Option<Arc<Agent>> {
        let mut bound = None;
        // Bound under the lock: whoever revokes sees the run either with what it began on, or before it looks for the agent.
        let _live = self.live_runs();
        let registry = self.registry.load_full();
        match registry.of_run(&run.agent, run.id, Instant::now()) {
            Some((agent, _)) if Arc::ptr_eq(agent, accepted) => {}
            Some((agent, config_digest)) if agent.config.enabled => {
                run.plugin.clone_from(&agent.config.plugin);
                run.plugin_digest = agent
                    .plugin
                    .as_ref()
                    .map_or_else(String::new, |plugin| plugin.digest.clone());
                config_digest.clone_into(&mut run.config_digest);
                bound = Some(Arc::clone(agent));
            }
            _ => {
                let _ = live.revoked.set(REMOVED);
                live.cancel.cancel();
            }
        }
        let _ = live
            .bound
            .set(Arc::clone(bound.as_ref().unwrap_or(accepted)));
        bound
    }

    /// Looks at all runs in progress and ends those that run on what may no longer be so. `verdict` says why, given what a run began on.
    pub fn revoke(&self, verdict: impl Fn(&Arc<Agent>) -> Option<&'static str>) {
        for live in self.live_runs().by_id.values() {
            if let Some(why) = live.bound.get().and_then(&verdict) {
                let _ = live.revoked.set(why);
                live.cancel.cancel();
            }
        }
    }

    /// Runs in progress on something else than what is in force.
    #[must_use]
    pub fn draining(&self) -> usize {
        let registry = self.registry.load();
        let live = self.live_runs();
        let bound = live.by_id.values().filter_map(|live| live.bound.get());
        let now = Instant::now();
        bound
            .filter(|agent| !registry.is_in_force(agent, now))
            .count()
    }

    /// Cancels a run when the kill switch is thrown. It ends as cancelled runs end, so this never does.
    async fn killed(&self, run: &Run, live: &Live) {
        let token = self.holds.kill.token();
        if self.holds.kill.lets(&run.idempotency_key) && self.holds.kill.is_engaged() {
            return std::future::pending().await;
        }
        token.cancelled().await;
        live.cancel.cancel();
        std::future::pending().await
    }

    /// A place among the agent's own runs, then one among all: so an agent whose runs take long keeps others from theirs for no longer than its share.
    async fn place(&self, agent: &Agent) -> Option<(OwnedSemaphorePermit, Place)> {
        let own = {
            let mut places = self
                .agent_places
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            let name = agent.config.name.as_str();
            let concurrency = agent.config.concurrency;
            let made = || (concurrency, Arc::new(Semaphore::new(concurrency as usize)));
            let places = places.entry(name.to_owned()).or_insert_with(made);
            // What was let in by another configuration goes on beside what this one lets in.
            if places.0 != concurrency {
                *places = made();
            }
            Arc::clone(&places.1)
        };
        let own = own.acquire_owned().await.ok()?;
        let shared = self.places.acquire(agent.config.priority).await;
        Some((own, shared))
    }

    /// Says that there are new effects, once they are recorded.
    fn told_of(&self, effects: usize) {
        if effects > 0 {
            self.proposed.notify_one();
        }
    }

    /// Writes the terminal record. While there is no room on the disk it tries again: the record is what a trigger was promised.
    async fn record(&self, end: &RunEnd) -> bool {
        let began = Instant::now();
        loop {
            match self.store.end_run(end.clone()).await {
                Ok(_) => {
                    self.told_of(end.effects.len());
                    return true;
                }
                Err(StoreError::Full { .. }) if began.elapsed() < RECORD_PATIENCE => {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                Err(error) => {
                    tracing::error!(run.id = %end.run.id, agent.name = %end.run.agent,
                        "the end of run {} could not be recorded: {error}", end.run.id);
                    return false;
                }
            }
        }
    }

    /// For a run that takes long or wants to leave something behind: writes that it runs, and its log as it grows. Never ends.
    async fn tell_running(&self, id: Uuid, started_at: Timestamp, live: &Live, meter: &Meter) {
        live.recorded.cancelled().await;
        tokio::select! {
            () = tokio::time::sleep(RUNNING_ROW_AFTER) => {}
            () = meter.row_wanted() => {}
        }
        loop {
            if !meter.row_is_written() {
                match self.store.mark_running(id, started_at).await {
                    Ok(_) => {
                        meter.row_written();
                        self.announce_start(id, live, started_at).await;
                    }
                    Err(error) => {
                        tracing::warn!(run.id = %id, "that run {id} is in progress could not be recorded: {error}");
                    }
                }
            }
            // Forgotten only when they are stored: this future is dropped wherever it is when the run ends, and the store passes over what it has already.
            let lines = meter.peek_log(None);
            if let Some(last) = lines.last().map(|line| line.seq) {
                match self.store.append_log(id, lines).await {
                    Ok(()) => meter.forget_log(last),
                    Err(error) => {
                        tracing::warn!(run.id = %id, "log lines of run {id} could not be recorded: {error}");
                    }
                }
            }
            tokio::time::sleep(RUNNING_ROW_AFTER).await;
        }
    }

    /// Says that a run is in progress: one that ends at once is announced by its end alone.
    async fn announce_start(&self, id: Uuid, live: &Live, started_at: Timestamp) {
        let event = Event {
            time: started_at,
            ..Event::new(
                format!("/agents/{}", live.agent),
                "run.started",
                id.to_string(),
                json!({ "agent": live.agent }),
            )
        };
        match self.store.publish(event).await {
            Ok(_) => self.announced.notify_one(),
            Err(error) => {
                tracing::warn!(run.id = %id, "that run {id} started could not be announced: {error}");
            }
        }
    }

    async fn inside(
        &self,
        run: &Run,
        agent: &Agent,
        meter: &Arc<Meter>,
        cancel: &CancellationToken,
    ) -> CallEnd {
        let loaded = match &agent.loaded {
            Ok(loaded) => Arc::clone(loaded),
            Err(refusal) => {
                return CallEnd::stopped(Stop {
                    outcome: Outcome::Refused,
                    reason: Some(refusal.reason.clone()),
                    message: refusal.message.clone(),
                    hint: Some("`infinity plugin inspect` shows what the plugin is".into()),
                    backtrace: Vec::new(),
                });
            }
        };
        let exports = |name: &str| {
            loaded
                .inspection
                .exports
                .iter()
                .any(|export| export.starts_with(name))
        };
        if !exports("run") && exports("infinity:agent/badge@") {
            return self.draw_all(&loaded, agent, meter, cancel).await;
        }
        let began = Instant::now();
        let mut capabilities = Arc::clone(&agent.capabilities);
        let mut held = Vec::new();
        if !agent.checkouts.is_empty() {
            let mut own = (*capabilities).clone();
            for checkout in &agent.checkouts {
                let made = async {
                    let commit = checkout.repository.resolve("HEAD").await?;
                    checkout.repository.checkout(&commit).await
                };
                match made.await {
                    Ok(made) => {
                        own.directories.push(Directory {
                            host: made.path().to_owned(),
                            guest: checkout.guest.clone(),
                            write: false,
                        });
                        held.push(made);
                    }
                    Err(error) => {
                        return CallEnd::stopped(Stop {
                            outcome: Outcome::Failed,
                            reason: Some("repository".into()),
                            message: format!(
                                "the checkout for `{}` could not be made: {error}",
                                checkout.guest
                            ),
                            hint: None,
                            backtrace: Vec::new(),
                        });
                    }
                }
            }
            capabilities = Arc::new(own);
        }
        let call = Call::Run(Invocation {
            run_id: run.id.to_string(),
            agent: run.agent.clone(),
            trigger: run.trigger,
            attempt: run.attempt,
            idempotency_key: run.idempotency_key.clone(),
            scheduled_at: run.scheduled_at.to_string(),
            input: run.input.to_string(),
        });
        let job = Job {
            meter: Arc::clone(meter),
            capabilities,
            cancel: cancel.clone(),
        };
        // Making checkouts is the host's work for the run, like a call.
        let prepared = micros(began.elapsed());
        let mut end = self.sandbox.call(&loaded, call, job).await;
        end.usage.wall_us += prepared;
        end.usage.host_calls_us += prepared;
        drop(held);
        end
    }

    fn remember(&self, ended: &Run) {
        self.metrics.run_ended(ended);
        telemetry::run_ended(ended);
        note_denials(ended);
        let mut pasts = self.pasts();
        let past = pasts.entry(ended.agent.clone()).or_default();
        past.recent.add(ended.outcome);
        let ended = Arc::new(ended.clone());
        past.last_run = Some(Arc::clone(&ended));
        // Nobody has to listen.
        let _ = self.outcomes.send(ended);
    }

    /// Forgets what is in memory of an agent's past.
    pub fn forget(&self, agent: &str) {
        self.pasts().remove(agent);
    }

    /// Notes that a moment was decided on that started no run of its own.
    pub fn moment_passed(&self, entry: &str, moment: Timestamp) {
        self.pasts()
            .entry(entry.to_owned())
            .or_default()
            .last_moment = Some(moment);
    }

    /// The latest attempt at what a key started.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn latest_attempt(&self, agent: &str, key: &str) -> Result<Option<Run>, StoreError> {
        self.store.latest_attempt(agent, key).await
    }

    /// How healthy an agent is, 0 to 1.
    #[must_use]
    pub fn health_score(&self, agent: &Agent) -> f64 {
        let past = self.past(agent.config.name.as_str());
        health::score(&past.recent, self.staleness(agent))
    }

    /// How far an agent is overdue, 0 to 1. One that is held is not.
    #[must_use]
    pub fn staleness(&self, agent: &Agent) -> f64 {
        let name = agent.config.name.as_str();
        let past = self.past(name);
        let schedule = agent.config.schedule.as_ref();
        let due = schedule
            .filter(|_| agent.config.enabled && self.holds.of(name, now()).is_none())
            .and_then(|schedule| {
                let last = past.last_moment?;
                let due = schedule.timetable.next(Some(last), last)?;
                let jitter = jiff::SignedDuration::try_from(schedule.jitter).ok()?;
                due.checked_add(jitter).ok()
            });
        health::staleness(past.last_moment, due, now())
    }

    /// Runs that there are places for now.
    #[must_use]
    pub fn places(&self) -> usize {
        self.places.now()
    }

    /// What an agent did last.
    #[must_use]
    pub fn past(&self, name: &str) -> Past {
        self.pasts().get(name).cloned().unwrap_or_default()
    }

    /// Runs as they end, beginning now. Who reads too slowly misses the oldest.
    #[must_use]
    pub fn outcomes(&self) -> broadcast::Receiver<Arc<Run>> {
        self.outcomes.subscribe()
    }

    /// Whether a run of the agent waits or is in progress.
    #[must_use]
    pub fn is_live(&self, agent: &str) -> bool {
        self.live_runs().by_agent.contains_key(agent)
    }

    /// Runs of an agent that wait or are in progress.
    #[must_use]
    pub fn live_of(&self, agent: &str) -> usize {
        self.live_runs().by_agent.get(agent).copied().unwrap_or(0)
    }

    /// Runs of an agent that wait for a place.
    #[must_use]
    pub fn queued_of(&self, agent: &str) -> usize {
        self.live_runs()
            .by_id
            .values()
            .filter(|live| live.agent == agent && live.started_at.get().is_none())
            .count()
    }

    /// Runs that wait or are in progress.
    #[must_use]
    pub fn live_count(&self) -> usize {
        self.live_runs().by_id.len()
    }

    /// Runs that wait for a place, and runs in the sandbox.
    #[must_use]
    pub fn live_counts(&self) -> (usize, usize) {
        let live = self.live_runs();
        let running = live
            .by_id
            .values()
            .filter(|live| live.started_at.get().is_some())
            .count();
        (live.by_id.len() - running, running)
    }

    /// When a live run started, none if it waits, and its progress; `None` if it does not live here.
    #[must_use]
    pub fn live(
        &self,
        id: Uuid,
    ) -> Option<(Option<Timestamp>, Option<crate::sandbox::meter::Progress>)> {
        let live = self.live_runs().by_id.get(&id).cloned()?;
        let progress = live.meter.get().and_then(|meter| meter.progress());
        Some((live.started_at.get().copied(), progress))
    }

    /// The lines of a live run that are not in the store yet.
    #[must_use]
    pub fn live_log(&self, id: Uuid, after: Option<u64>) -> Option<Vec<LogLine>> {
        let live = self.live_runs().by_id.get(&id).cloned()?;
        Some(
            live.meter
                .get()
                .map(|meter| meter.peek_log(after))
                .unwrap_or_default(),
        )
    }

    /// Waits until a live run ended, at most `timeout`; `None` when it does not live here or the time is over.
    pub async fn wait(&self, id: Uuid, timeout: Duration) -> Option<Run> {
        let mut ended = {
            let live = self.live_runs().by_id.get(&id).cloned()?;
            live.ended.subscribe()
        };
        let ended = tokio::time::timeout(timeout, ended.wait_for(Option::is_some));
        ended.await.ok()?.ok()?.clone()
    }

    /// Ends a live run; `false` when it does not live here.
    #[must_use]
    pub fn cancel(&self, id: Uuid) -> bool {
        let live = self.live_runs().by_id.get(&id).cloned();
        match live {
            Some(live) => {
                live.cancel.cancel();
                true
            }
            None => false,
        }
    }

    /// Ends all live runs of an agent.
    pub fn cancel_agent(&self, agent: &str) {
        for live in self.live_runs().by_id.values() {
            if live.agent == agent {
                live.cancel.cancel();
            }
        }
    }

    /// Is notified whenever a run ended.
    #[must_use]
    pub fn ended(&self) -> Arc<Notify> {
        Arc::clone(&self.ended)
    }

    /// Is notified whenever a run that proposes effects was recorded.
    #[must_use]
    pub fn proposed(&self) -> Arc<Notify> {
        Arc::clone(&self.proposed)
    }

    /// Is notified whenever there may be new events.
    #[must_use]
    pub fn announced(&self) -> Arc<Notify> {
        Arc::clone(&self.announced)
    }

    /// Takes no more runs, waits for those in progress, at most `patience`, then ends them.
    pub async fn stop(&self, patience: Duration) {
        self.stopping.store(true, Ordering::Release);
        self.halt.cancel();
        self.tasks.close();
        // What waits for a place stays queued in the store and runs at the next start.
        if tokio::time::timeout(patience, self.tasks.wait())
            .await
            .is_ok()
        {
            return;
        }
        // What only waits stays in the store.
        for live in self.live_runs().by_id.values() {
            if live.started_at.get().is_some() {
                live.cancel.cancel();
            }
        }
        let _ = tokio::time::timeout(Duration::from_secs(5), self.tasks.wait()).await;
    }

    /// Makes the snapshots of all agents in the background, one after the other.
    pub async fn prepare_snapshots(&self) {
        let agents: Vec<_> = self.registry.load().agents.values().cloned().collect();
        for agent in agents {
            let Ok(loaded) = &agent.loaded else {
                continue;
            };
            if let Err(error) = self.sandbox.prepare(loaded).await {
                tracing::warn!(agent.name = %agent.config.name, "the agent `{}` runs without a snapshot: {error}", agent.config.name);
            }
        }
    }
}

impl Past {
    /// Whether the agent's latest run did not succeed.
    #[must_use]
    pub fn failed(&self) -> bool {
        !matches!(
            self.last_run.as_ref().and_then(|run| run.outcome),
            None | Some(Outcome::Succeeded | Outcome::Cancelled)
        )
    }
}

/// Says in the log that a run was refused something: the record has every one.
fn note_denials(run: &Run) {
    let Some(first) = run.denials.first() else {
        return;
    };
    tracing::info!(target: SECURITY, denials = run.denials.len(), run.id = %run.id, agent.name = %run.agent,
        "run {} of `{}` was refused {}: {}", run.id, run.agent, first.attempt, first.reason);
}

/// Whether this is the record of a request that a component answered.
pub(crate) fn is_request(run: &Run) -> bool {
    run.principal.kind == REQUEST
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
