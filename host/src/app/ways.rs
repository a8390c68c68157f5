//! The ways of stages to what stands below them: the schedule's and delivery's to the runtime, the guests' keys to the store, pipelines' steps to runs, effects to policy and to agents.

use super::App;
use crate::audit;
use crate::checks::patch::{self, Changed, Patch};
use crate::checks::{Checks, Refused, Repositories, Rules};
use crate::delivery::{Post, Subscription};
use crate::effects::{self, Effects, Judge as _, Steer, Tell, Told};
use crate::forge::{ForgeError, Forges, OpenThread, Repository, THREADS_MAX, Threads};
use crate::holds::{self, Hold, Holds};
use crate::logging::PERFORMANCE;
use crate::model::{
    AgentControlAction, CommitStatus, Control, Effect, Event, NotificationAction, Occurrence,
    Principal, Run, ThreadKind, ThreadState, Trigger, now,
};
use crate::notify::{Channels, Message, TellError};
use crate::pipelines::{self, BeginError, NotStarted, Runner, StepRun};
use crate::registry::{Agent, Registry};
use crate::runtime::{self, Runtime, Start};
use crate::sandbox::call::{Answer, Call, Decision};
use crate::sandbox::checks::{Judge, JudgeError, MayRead};
use crate::sandbox::key_value::{KeyValue, KeyValueError, KeyValueQuota};
use crate::sandbox::meter::Meter;
use crate::sandbox::views::{VIEW_BYTES_MAX, ViewError, Views};
use crate::sandbox::{Job, Loaded, LocalSandbox, Sandbox as _};
use crate::schedule::{Entry, Started, Starter};
use crate::store::{KvQuota, Page, PageRequest, Store, StoreError, ThreadFilter};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// A pipeline's way to runs.
pub(super) struct Steps(pub(super) Arc<Runtime>);

#[async_trait]
impl Runner for Steps {
    async fn start(&self, step: StepRun) -> Result<Run, NotStarted> {
        let start = Start {
            agent: step.agent.clone(),
            input: Value::Null,
            principal: step.principal,
            trigger: step.trigger,
            idempotency_key: Some(step.key.clone()),
            scheduled_at: now(),
            dry_run: false,
            occurrence: None,
        };
        match self.0.start(start).await {
            Ok(run) => Ok(run),
            Err(runtime::StartError::Store(StoreError::Duplicate { .. })) => {
                match self.0.latest_attempt(&step.agent, &step.key).await {
                    Ok(Some(run)) => Ok(run),
                    Ok(None) => Err(NotStarted::Never("the record of its run is gone".into())),
                    Err(error) => Err(NotStarted::Later(error.to_string())),
                }
            }
            Err(
                error @ (runtime::StartError::UnknownAgent { .. }
                | runtime::StartError::Disabled(_)
                | runtime::StartError::InvalidInput { .. }),
            ) => Err(NotStarted::Never(error.to_string())),
            Err(error) => Err(NotStarted::Later(error.to_string())),
        }
    }

    async fn wait(&self, id: Uuid, timeout: Duration) -> Option<Run> {
        self.0.wait(id, timeout).await
    }

    fn cancel(&self, id: Uuid) {
        let _ = self.0.cancel(id);
    }
}

/// The schedule's way to the runtime.
pub(super) struct Scheduled<'a>(pub(super) &'a Arc<App>);

#[async_trait]
impl Starter for Scheduled<'_> {
    fn entries(&self) -> Vec<Entry> {
        self.0.beats.beat(&self.0.beats.schedule);
        let registry = self.0.registry.load();
        let agents = registry
            .agents
            .iter()
            .filter(|(_, agent)| agent.config.enabled)
            .filter_map(|(name, agent)| {
                Some(Entry {
                    agent: name.clone(),
                    schedule: agent.config.schedule.clone()?,
                })
            });
        let config = Arc::clone(&self.0.registry.load().config);
        let pipelines = config.pipelines.values().filter_map(|pipeline| {
            Some(Entry {
                agent: pipelines::entry_name(&pipeline.name),
                schedule: pipeline.schedule.clone()?,
            })
        });
        agents.chain(pipelines).collect()
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

    fn beat(&self) {
        self.0.beats.beat(&self.0.beats.schedule);
    }

    fn is_live(&self, agent: &str) -> bool {
        match pipelines::pipeline_of(agent) {
            Some(pipeline) => self.0.pipelines.is_live(pipeline),
            None => self.0.runtime.is_live(agent),
        }
    }

    fn held(&self, agent: &str, now: Timestamp) -> Option<&'static str> {
        self.0.holds.of(agent, now).map(Hold::as_str)
    }

    fn cancel(&self, agent: &str) {
        match pipelines::pipeline_of(agent) {
            Some(pipeline) => self.0.pipelines.cancel_pipeline(pipeline),
            None => self.0.runtime.cancel_agent(agent),
        }
    }

    async fn start(&self, trigger: Trigger, occurrence: Occurrence) -> Started {
        let moment = occurrence.clone();
        let started = match pipelines::pipeline_of(&occurrence.agent) {
            Some(pipeline) => self.begin(pipeline, trigger, occurrence.clone()).await,
            None => self.start_run(trigger, occurrence).await,
        };
        if started == Started::Recorded {
            self.0.metrics.moment(&moment);
            note_late(&moment);
        }
        started
    }

    async fn note(&self, occurrences: &[Occurrence]) -> bool {
        match self.0.store.note_occurrences(occurrences.to_vec()).await {
            Ok(()) => {
                for occurrence in occurrences {
                    self.0.metrics.moment(occurrence);
                    self.0
                        .runtime
                        .moment_passed(&occurrence.agent, occurrence.until);
                }
                true
            }
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

/// A moment that fired later than this is worth a line of the log, in microseconds: the schedule promises a second.
const LATE_US: u64 = 1_000_000;

fn note_late(moment: &Occurrence) {
    if let Some(late_us) = moment.late_us.filter(|late| *late > LATE_US) {
        tracing::warn!(target: PERFORMANCE, late_us, agent.name = %moment.agent,
            "`{}` fired {} ms late", moment.agent, late_us / 1_000);
    }
}

impl Scheduled<'_> {
    async fn begin(&self, name: &str, trigger: Trigger, moment: Occurrence) -> Started {
        let config = Arc::clone(&self.0.registry.load().config);
        let Some(pipeline) = config.pipelines.get(name) else {
            return Started::Not("disabled");
        };
        let due_at = moment.due_at;
        let begun = self
            .0
            .pipelines
            .begin(
                pipeline,
                &config.digest,
                Principal::schedule(),
                trigger,
                Some(moment),
            )
            .await;
        match begun {
            Ok(_) => {
                self.0
                    .runtime
                    .moment_passed(&pipelines::entry_name(name), due_at);
                Started::Recorded
            }
            Err(BeginError::Running(_)) => Started::Not("overlap"),
            Err(BeginError::Stopping) => Started::Later,
            Err(error) => {
                tracing::error!(
                    "the pipeline `{name}` that was due at {due_at} did not begin: {error}"
                );
                Started::Later
            }
        }
    }

    async fn start_run(&self, trigger: Trigger, occurrence: Occurrence) -> Started {
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
                dry_run: false,
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
}

/// The events' way to the agents.
pub(super) struct Posted<'a>(pub(super) &'a Arc<App>);

/// The flag that says where delivery goes on.
const DELIVERY_FLAG: &str = "delivery";

#[async_trait]
impl Post for Posted<'_> {
    fn subscriptions(&self) -> Vec<Subscription> {
        self.0.beats.beat(&self.0.beats.delivery);
        let _ = self.0.news.send(());
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
                dry_run: false,
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
pub(super) struct Keys(pub(super) Arc<dyn Store>);

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

/// The agents' way to what the host knows of itself: files of the state folder, under the names that older tools read.
pub(super) struct Panels(pub(super) PathBuf);

/// The views, and the file behind each. What has no source in this version is unknown, and whoever asks is told.
const VIEWS: [&str; 5] = [
    pipelines::LOG_FILE,
    holds::PAUSE_FILE,
    audit::views::AUDIT_FILE,
    audit::views::BANS_FILE,
    audit::checkpoints::FILE,
];

#[async_trait]
impl Views for Panels {
    async fn view(&self, name: &str) -> Result<Option<Vec<u8>>, ViewError> {
        if !VIEWS.contains(&name) {
            return Err(ViewError::Unknown);
        }
        let path = self.0.join(name);
        let read = tokio::task::spawn_blocking(move || tail(&path, VIEW_BYTES_MAX));
        match read.await.map_err(std::io::Error::other).flatten() {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(ViewError::Failed(format!(
                "`{name}` cannot be read: {}",
                error.kind()
            ))),
        }
    }
}

/// The last bytes of a file: all of a short one, whole lines of a longer one.
fn tail(path: &Path, most: u64) -> std::io::Result<Vec<u8>> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let mut file = std::fs::File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(most)))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    if length > most {
        let first = bytes.iter().position(|byte| *byte == b'\n');
        bytes.drain(..first.map_or(0, |at| at + 1));
    }
    Ok(bytes)
}

/// The agents' way to what is open in repositories: what the host itself keeps of local ones, and what GitHub says of its own.
pub(super) struct Boards {
    pub(super) forges: Forges,
    pub(super) store: Arc<dyn Store>,
}

#[async_trait]
impl Threads for Boards {
    async fn open(
        &self,
        repository: &str,
        kind: ThreadKind,
    ) -> Result<Vec<OpenThread>, ForgeError> {
        let opened = self.forges.open(repository)?;
        let filter = ThreadFilter {
            kind,
            repository: Some(repository.to_owned()),
            state: Some(ThreadState::Open),
        };
        let page = PageRequest {
            limit: THREADS_MAX,
            cursor: None,
        };
        let open = self.store.threads(filter, page).await.map_err(|error| {
            ForgeError::Unavailable(format!("what is open cannot be looked up: {error}"))
        })?;
        let forge = match &opened {
            Repository::Local(forge) => forge,
            Repository::Github(github) => {
                let mut threads = github.open_threads(kind).await?;
                // What whoever opened it asked for, and what people said here.
                for thread in &mut threads {
                    let ours = open.items.iter().find(|ours| ours.number == thread.number);
                    thread.approvals_needed = ours.map_or(0, |ours| ours.approvals_needed);
                }
                return Ok(threads);
            }
        };
        let mut threads = Vec::with_capacity(open.items.len());
        for thread in open.items {
            let at = async |branch: &Option<String>| match branch {
                Some(branch) => forge.branch(branch).await,
                None => Ok(None),
            };
            let (head, base) = (at(&thread.head).await?, at(&thread.base).await?);
            // What somebody merged by hand is open for nobody.
            if let (Some(head), Some(base)) = (&head, &base)
                && forge.is_ancestor(head, base).await?
            {
                continue;
            }
            threads.push(OpenThread {
                number: thread.number,
                kind,
                approvals: head.map_or(0, |head| thread.approvals_of(&head)),
                approvals_needed: thread.approvals_needed,
                title: thread.title,
                labels: thread.labels,
                author: thread.author,
                head: thread.head,
                base: thread.base,
            });
        }
        Ok(threads)
    }
}

/// The first agent that will do and whose component has an export that begins so.
pub(super) fn exporting(
    registry: &Registry,
    export: &str,
    will_do: impl Fn(&Agent) -> bool,
) -> Option<(Arc<Agent>, Arc<Loaded>)> {
    let mut agents = registry.agents.values().filter(|agent| will_do(agent));
    agents.find_map(|agent| {
        let loaded = agent.loaded.as_ref().ok()?;
        loaded
            .inspection
            .exports
            .iter()
            .any(|name| name.starts_with(export))
            .then(|| (Arc::clone(agent), Arc::clone(loaded)))
    })
}

/// The way of effects to policy: the first agent that has some and whose component decides.
pub(super) struct Policies {
    pub(super) registry: Arc<ArcSwap<Registry>>,
    pub(super) sandbox: Arc<LocalSandbox>,
}

impl Policies {
    async fn call(&self, call: Call) -> Result<Answer, String> {
        let found = exporting(&self.registry.load(), "infinity:agent/policy@", |agent| {
            agent.config.policies.is_some()
        });
        let (agent, loaded) = found
            .ok_or_else(|| "no agent that runs has policies and decides by them".to_owned())?;
        let job = Job {
            meter: Arc::new(Meter::new(agent.config.limits.clone())),
            capabilities: Arc::clone(&agent.capabilities),
            cancel: CancellationToken::new(),
        };
        match self.sandbox.call(&loaded, call, job).await.result {
            Ok(Answer::Error(message)) => Err(message),
            Ok(answer) => Ok(answer),
            Err(stop) => Err(stop.message),
        }
    }
}

#[async_trait]
impl effects::Judge for Policies {
    async fn evaluate(&self, package: &str, input: &Value) -> Result<Decision, String> {
        let call = Call::Evaluate {
            package: package.to_owned(),
            input: input.to_string(),
        };
        match self.call(call).await? {
            Answer::Decision(decision) => Ok(decision),
            _ => Err("the policy answered another question".into()),
        }
    }

    async fn query(&self, query: &str, input: &Value) -> Result<Option<Value>, String> {
        let call = Call::Query {
            query: query.to_owned(),
            input: input.to_string(),
        };
        match self.call(call).await? {
            Answer::Result(text) => {
                let result: Value =
                    serde_json::from_str(&text).map_err(|error| error.to_string())?;
                Ok(result.pointer("/result/0/expressions/0/value").cloned())
            }
            _ => Err("the policy answered another question".into()),
        }
    }
}

/// The way of checks to policy.
#[async_trait]
impl Rules for Policies {
    async fn decide(&self, package: &str, input: &Value) -> Result<Option<Decision>, String> {
        // Where policies are configured, no answer is no yes.
        let configured = {
            let registry = self.registry.load();
            let mut agents = registry.agents.values();
            agents.any(|agent| agent.config.enabled && agent.config.policies.is_some())
        };
        if configured {
            self.evaluate(package, input).await.map(Some)
        } else {
            Ok(None)
        }
    }
}

/// The way of checks to repositories.
pub(super) struct Sources {
    pub(super) forges: Forges,
    pub(super) effects: Arc<Effects>,
}

#[async_trait]
impl Repositories for Sources {
    async fn changed(&self, patch: &Patch) -> Result<Changed, Refused> {
        patch::changed(&self.forges, patch).await
    }

    async fn statuses(&self, repository: &str, commit: &str) -> Result<Vec<CommitStatus>, String> {
        let mut statuses = self
            .effects
            .statuses(repository, commit)
            .await
            .map_err(|error| format!("what tools reported cannot be looked up: {error}"))?;
        // Of a repository here it is known what an agent proposed, which is no tool's report.
        if let Ok(Repository::Local(_)) = self.forges.open(repository) {
            statuses.retain(|status| status.reported_by.is_some());
        }
        Ok(statuses)
    }
}

/// The way of agents to checks, which are made after the agents are. It does not keep them: they know of the agents, too.
#[derive(Default)]
pub(super) struct Judges(pub(super) OnceLock<Weak<Checks>>);

impl Judges {
    /// The way to checks that are there.
    pub(super) fn of(checks: &Arc<Checks>) -> Self {
        Self(OnceLock::from(Arc::downgrade(checks)))
    }
}

#[async_trait]
impl Judge for Judges {
    async fn judge(
        &self,
        agent: &str,
        submission: &Value,
        may_read: &MayRead<'_>,
    ) -> Result<String, JudgeError> {
        let checks = self.0.get().and_then(Weak::upgrade);
        let unavailable = |why: String| JudgeError::Unavailable(why);
        let checks = checks.ok_or_else(|| unavailable("the host is stopping".into()))?;
        let taken = checks.read(submission, may_read).await;
        let submission = taken.map_err(|refused| match refused {
            Refused::Mistakes(mistakes) => {
                let mistakes: Vec<String> = mistakes
                    .iter()
                    .map(|mistake| format!("`{}`: {}", mistake.pointer, mistake.message))
                    .collect();
                JudgeError::Invalid(mistakes.join("; "))
            }
            Refused::Unreadable(repository) => JudgeError::Unreadable(repository),
            Refused::Unavailable(why) => JudgeError::Unavailable(why),
        })?;
        let principal = Principal {
            kind: "agent".into(),
            name: agent.to_owned(),
        };
        let handed = checks.submit(vec![submission], principal).await;
        let handed = handed.map_err(|error| unavailable(error.to_string()))?;
        let id = handed.first().map(|check| check.id);
        let id = id.ok_or_else(|| unavailable("the check was not taken".into()))?;
        // The run's own time limit ends the waiting.
        let check = checks.wait(id, Duration::MAX).await;
        let check = check.map_err(|error| unavailable(error.to_string()))?;
        let check = check.ok_or_else(|| unavailable("the check is gone".into()))?;
        serde_json::to_string(&check).map_err(|error| unavailable(error.to_string()))
    }
}

/// The way of effects to people.
pub(super) struct Telling(pub(super) Arc<Channels>);

#[async_trait]
impl Tell for Telling {
    async fn tell(&self, effect: &Effect, action: &NotificationAction) -> Told {
        let message = Message {
            id: effect.id.to_string(),
            kind: "notification".into(),
            level: action.level,
            good: false,
            title: action.title.clone(),
            body: action.body.clone(),
            source: format!("/agents/{}", effect.agent),
            at: effect.created_at,
        };
        match self.0.tell(&action.channel, &message).await {
            Ok(()) => Told::Arrived,
            Err(error @ (TellError::Unknown(_) | TellError::Refused(_) | TellError::Closed(_))) => {
                Told::Refused(error.to_string())
            }
            Err(TellError::Later(message, _)) => Told::Later(message),
            Err(TellError::Unanswered(message)) => Told::Unanswered(message),
        }
    }
}

/// The way of effects to other agents.
pub(super) struct Steering {
    pub(super) runtime: Arc<Runtime>,
    pub(super) holds: Arc<Holds>,
    pub(super) store: Arc<dyn Store>,
}

/// How often in a row an agent looks again by itself: where others always come first, its next run has to do.
const LOOKS_MAX: u32 = 5;

/// How the key of a run begins that looks again: its place in the row, and the run that the row began with.
const LOOK_KEY: &str = "again/";

/// The key of the run that looks again after one with this key; none when it was the last of its row.
fn next_look(run: Uuid, key: &str) -> Option<String> {
    let before = key
        .strip_prefix(LOOK_KEY)
        .and_then(|rest| rest.split_once('/'))
        .and_then(|(count, first)| Some((count.parse::<u32>().ok()?, first)));
    match before {
        None => Some(format!("{LOOK_KEY}1/{run}")),
        Some((count, first)) if count < LOOKS_MAX => {
            Some(format!("{LOOK_KEY}{}/{first}", count + 1))
        }
        Some(_) => None,
    }
}

#[async_trait]
impl Steer for Steering {
    fn is_stopped(&self) -> bool {
        self.holds.kill.is_engaged()
    }

    async fn look_again(&self, effect: &Effect) -> Result<(), String> {
        let run = self.store.run(effect.run).await;
        let Some(run) = run.map_err(|error| error.to_string())? else {
            return Ok(());
        };
        let Some(key) = next_look(run.id, &run.idempotency_key) else {
            return Ok(());
        };
        // A run that waits will see what is there by then.
        if run.trigger == Trigger::Manual || self.runtime.queued_of(&run.agent) > 0 {
            return Ok(());
        }
        let start = Start {
            agent: run.agent,
            input: run.input,
            principal: run.principal,
            trigger: run.trigger,
            idempotency_key: Some(key),
            scheduled_at: now(),
            dry_run: run.dry_run,
            occurrence: None,
        };
        match self.runtime.start(start).await {
            Ok(_) | Err(runtime::StartError::Store(StoreError::Duplicate { .. })) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn steer(&self, effect: &Effect, action: &AgentControlAction) -> Result<Value, String> {
        let agent = action.agent.as_str();
        let held = |error: crate::holds::HoldError| error.to_string();
        match action.control {
            Control::Start => {
                let key = format!("effect/{}", effect.id);
                let start = Start {
                    agent: agent.to_owned(),
                    input: Value::Null,
                    principal: Principal {
                        kind: "agent".into(),
                        name: effect.agent.clone(),
                    },
                    trigger: Trigger::Event,
                    idempotency_key: Some(key),
                    scheduled_at: now(),
                    dry_run: false,
                    occurrence: None,
                };
                match self.runtime.start(start).await {
                    Ok(run) => return Ok(json!({ "run": run.id })),
                    Err(runtime::StartError::Store(StoreError::Duplicate { run })) => {
                        return Ok(json!({ "run": run }));
                    }
                    Err(error) => return Err(error.to_string()),
                }
            }
            Control::Pause => {
                self.holds.set_agent(agent, true).await.map_err(held)?;
            }
            Control::Resume => {
                self.runtime.forgive(agent);
                self.holds.set_agent(agent, false).await.map_err(held)?;
                self.holds
                    .set_quarantined(agent, false)
                    .await
                    .map_err(held)?;
            }
            Control::Quarantine => {
                self.holds
                    .set_quarantined(agent, true)
                    .await
                    .map_err(held)?;
            }
        }
        Ok(json!({ "agent": agent }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_looks_again_a_few_times_in_a_row() {
        let run = Uuid::nil();
        let mut key = next_look(run, "event/7").unwrap();
        assert_eq!(key, format!("again/1/{run}"));
        for count in 2..=LOOKS_MAX {
            key = next_look(Uuid::max(), &key).unwrap();
            assert_eq!(key, format!("again/{count}/{run}"));
        }
        assert_eq!(next_look(Uuid::max(), &key), None);
    }
}
