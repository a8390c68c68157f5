//! Runs pipelines: agents one after the other, each step a run of its own, ending at the first failure unless the step says to go on.
//!
//! Invariants: a pipeline runs once at a time; every change of a step is on the disk before the next one begins, with the event that tells of it; an execution that a dead host
//! left goes on where it was, and no step runs twice, because a step's run has a key made of execution and step.

mod log;

pub use self::log::{LOG_FILE, SchedulerLog};

use crate::config::PipelineConfig;
use crate::model::{
    Event, Execution, ExecutionState, Occurrence, Outcome, Principal, Report, Run, RunState, Step,
    StepState, Trigger, now,
};
use crate::store::{Store, StoreError};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

/// How often a run that does not live in this process is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// How long one look at a run that lives here waits for its end.
const WAIT: Duration = Duration::from_secs(60);

/// How long a run may take to end when it is told to.
const CANCEL_WAIT: Duration = Duration::from_secs(10);

/// How often a record is tried to be written while the disk is full.
const WRITE_AGAIN: Duration = Duration::from_secs(1);

/// What the ledger and the schedule call a pipeline: no agent has such a name.
#[must_use]
pub fn entry_name(pipeline: &str) -> String {
    format!("pipelines/{pipeline}")
}

/// The pipeline of an entry of the schedule; none if it is an agent.
#[must_use]
pub fn pipeline_of(entry: &str) -> Option<&str> {
    entry.strip_prefix("pipelines/")
}

/// Why an execution did not begin.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// The pipeline runs already.
    #[error("the pipeline runs already: execution {0}")]
    Running(Uuid),
    /// The host is going down.
    #[error("the host is stopping")]
    Stopping,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a step asks for.
#[derive(Clone, Debug)]
pub struct StepRun {
    /// The agent's name.
    pub agent: String,
    /// Who asks.
    pub principal: Principal,
    /// Why.
    pub trigger: Trigger,
    /// The same for the same step of the same execution.
    pub key: String,
}

/// Why a step's run did not start, in words.
#[derive(Clone, Debug)]
pub enum NotStarted {
    /// It may in a while.
    Later(String),
    /// It never will.
    Never(String),
}

/// What pipelines need of the rest.
#[async_trait]
pub trait Runner: Send + Sync + 'static {
    /// Starts a run, or gives the one that the key started before.
    async fn start(&self, step: StepRun) -> Result<Run, NotStarted>;
    /// The run if it ends in time and lives in this process.
    async fn wait(&self, id: Uuid, timeout: Duration) -> Option<Run>;
    /// Ends a run.
    fn cancel(&self, id: Uuid);
}

/// All executions in progress.
pub struct Pipelines {
    store: Arc<dyn Store>,
    runner: Arc<dyn Runner>,
    log: SchedulerLog,
    /// Told when an execution ended.
    ended: Arc<Notify>,
    live: Mutex<BTreeMap<Uuid, (String, CancellationToken)>>,
    halt: CancellationToken,
    tasks: TaskTracker,
}

impl Pipelines {
    /// With nothing in progress.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        runner: Arc<dyn Runner>,
        log: SchedulerLog,
        ended: Arc<Notify>,
    ) -> Self {
        Self {
            store,
            runner,
            log,
            ended,
            live: Mutex::default(),
            halt: CancellationToken::new(),
            tasks: TaskTracker::new(),
        }
    }

    fn live(&self) -> std::sync::MutexGuard<'_, BTreeMap<Uuid, (String, CancellationToken)>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the pipeline runs.
    #[must_use]
    pub fn is_live(&self, pipeline: &str) -> bool {
        self.live().values().any(|(name, _)| name == pipeline)
    }

    /// Ends the pipeline's execution.
    pub fn cancel_pipeline(&self, pipeline: &str) {
        for (name, cancel) in self.live().values() {
            if name == pipeline {
                cancel.cancel();
            }
        }
    }

    /// Ends an execution; `false` when it does not run here.
    #[must_use]
    pub fn cancel(&self, id: Uuid) -> bool {
        match self.live().get(&id) {
            Some((_, cancel)) => {
                cancel.cancel();
                true
            }
            None => false,
        }
    }

    /// Goes on with what an earlier process left.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn recover(self: &Arc<Self>) -> Result<(), StoreError> {
        for execution in self.store.running_executions().await? {
            self.enlist(execution);
        }
        Ok(())
    }

    /// Records an execution and begins it.
    ///
    /// # Errors
    /// See [`BeginError`]; nothing is recorded then.
    pub async fn begin(
        self: &Arc<Self>,
        pipeline: &PipelineConfig,
        config_digest: &str,
        principal: Principal,
        trigger: Trigger,
        moment: Option<Occurrence>,
    ) -> Result<Execution, BeginError> {
        if self.halt.is_cancelled() {
            return Err(BeginError::Stopping);
        }
        let mut execution = Execution {
            id: Uuid::now_v7(),
            cycle: 0,
            pipeline: pipeline.name.clone(),
            config_digest: config_digest.to_owned(),
            principal,
            trigger,
            state: ExecutionState::Running,
            error: None,
            steps: pipeline
                .steps
                .iter()
                .map(|step| Step {
                    agent: step.agent.clone(),
                    go_on: step.go_on,
                    state: StepState::Waiting,
                    run: None,
                    outcome: None,
                    error: None,
                    started_at: None,
                    ended_at: None,
                })
                .collect(),
            created_at: now(),
            ended_at: None,
        };
        let this = Arc::clone(self);
        // On a task of its own: both or neither, also when whoever asked goes away meanwhile.
        let begun = self.tasks.spawn(async move {
            let begun = this.store.begin_execution(execution.clone(), moment).await;
            match begun {
                Ok(cycle) => {
                    execution.cycle = cycle;
                    this.log.begun(&execution);
                    this.enlist(execution.clone());
                    Ok(execution)
                }
                Err(StoreError::Duplicate { run }) => Err(BeginError::Running(run)),
                Err(error) => Err(BeginError::Store(error)),
            }
        });
        begun.await.map_err(|_| BeginError::Stopping)?
    }

    fn enlist(self: &Arc<Self>, execution: Execution) {
        let cancel = CancellationToken::new();
        let id = execution.id;
        self.live()
            .insert(id, (execution.pipeline.clone(), cancel.clone()));
        let this = Arc::clone(self);
        self.tasks.spawn(async move {
            tokio::select! {
                () = this.carry_out(execution, &cancel) => {}
                // What is not done is done by the next process.
                () = this.halt.cancelled() => {}
            }
            this.live().remove(&id);
            this.ended.notify_one();
        });
    }

    async fn carry_out(&self, mut execution: Execution, cancel: &CancellationToken) {
        for index in 0..execution.steps.len() {
            if matches!(
                execution.steps[index].state,
                StepState::Succeeded | StepState::Failed | StepState::Skipped
            ) {
                continue;
            }
            if cancel.is_cancelled() {
                break;
            }
            let run = self.step(&mut execution, index, cancel).await;
            // A run that ended before it was told to is what it is.
            let ended = run.as_ref().is_ok_and(|run| {
                run.state == RunState::Ended && run.outcome != Some(Outcome::Cancelled)
            });
            if cancel.is_cancelled() && !ended {
                break;
            }
            let step = &mut execution.steps[index];
            step.ended_at = Some(now());
            match run {
                Ok(run) => {
                    step.run = Some(run.id);
                    step.outcome = run.outcome;
                    step.state = match run.outcome {
                        Some(Outcome::Succeeded) => StepState::Succeeded,
                        _ => StepState::Failed,
                    };
                    if step.state == StepState::Failed {
                        step.error = Some(reason(&run));
                    }
                    let report = self.store.report(run.id).await.ok().flatten();
                    self.log.stepped(&execution, index, report.as_ref());
                }
                Err(message) => {
                    step.state = StepState::Failed;
                    step.error = Some(message);
                    self.log.stepped(&execution, index, None);
                }
            }
            let step = &execution.steps[index];
            if step.state == StepState::Failed && !step.go_on {
                execution.error = Some(format!(
                    "step {} (`{}`): {}",
                    index + 1,
                    step.agent,
                    step.error.as_deref().unwrap_or("failed")
                ));
                break;
            }
            let event = step_event(&execution, index);
            if !self.write(&execution, vec![event]).await {
                return;
            }
        }
        self.end(execution, cancel).await;
    }

    async fn end(&self, mut execution: Execution, cancel: &CancellationToken) {
        execution.ended_at = Some(now());
        execution.state = if cancel.is_cancelled() {
            ExecutionState::Cancelled
        } else if execution.error.is_some() {
            ExecutionState::Failed
        } else {
            ExecutionState::Succeeded
        };
        let mut events = Vec::new();
        for index in 0..execution.steps.len() {
            let step = &mut execution.steps[index];
            match step.state {
                StepState::Waiting => step.state = StepState::Skipped,
                StepState::Running => {
                    step.state = StepState::Failed;
                    step.error = Some("cancelled".into());
                    step.ended_at = execution.ended_at;
                }
                _ => {}
            }
        }
        if let Some(last) = execution
            .steps
            .iter()
            .rposition(|step| step.state == StepState::Failed)
            .filter(|_| execution.state != ExecutionState::Succeeded)
        {
            events.push(step_event(&execution, last));
        }
        events.push(ended_event(&execution));
        self.log.ended(&execution);
        self.write(&execution, events).await;
    }

    /// One step, to the last attempt at its run.
    async fn step(
        &self,
        execution: &mut Execution,
        index: usize,
        cancel: &CancellationToken,
    ) -> Result<Run, String> {
        let agent = execution.steps[index].agent.clone();
        let key = format!("pipeline/{}/{}", execution.id, index + 1);
        let step = StepRun {
            agent: agent.clone(),
            principal: Principal {
                kind: "pipeline".into(),
                name: execution.pipeline.clone(),
            },
            trigger: execution.trigger,
            key: key.clone(),
        };
        let mut run = loop {
            match self.runner.start(step.clone()).await {
                Ok(run) => break run,
                Err(NotStarted::Never(why)) => return Err(why),
                Err(NotStarted::Later(why)) => {
                    tracing::warn!("a step of `{}` waits: {why}", execution.pipeline);
                    tokio::select! {
                        () = tokio::time::sleep(WRITE_AGAIN) => {}
                        () = cancel.cancelled() => return Err("cancelled".into()),
                    }
                }
            }
        };
        let step = &mut execution.steps[index];
        let anew = step.state != StepState::Running || step.run != Some(run.id);
        step.state = StepState::Running;
        step.run = Some(run.id);
        step.started_at = step.started_at.or(Some(now()));
        if anew {
            let event = step_event(execution, index);
            self.write(execution, vec![event]).await;
        }
        loop {
            if run.state == RunState::Ended {
                // The next attempt is recorded with the end of the last one.
                let latest = self.latest(&agent, &key).await?;
                if latest.attempt <= run.attempt {
                    return Ok(run);
                }
                run = latest;
                execution.steps[index].run = Some(run.id);
                continue;
            }
            tokio::select! {
                ended = self.runner.wait(run.id, WAIT) => match ended {
                    Some(ended) => run = ended,
                    None => {
                        tokio::time::sleep(LOOK_AGAIN).await;
                        run = self.latest(&agent, &key).await?;
                    }
                },
                () = cancel.cancelled() => {
                    self.runner.cancel(run.id);
                    // The execution ends when nothing of it is in progress any more.
                    return Ok(self.runner.wait(run.id, CANCEL_WAIT).await.unwrap_or(run));
                }
            }
        }
    }

    /// The latest attempt at a step's run, however long it takes to read it.
    async fn latest(&self, agent: &str, key: &str) -> Result<Run, String> {
        loop {
            match self.store.latest_attempt(agent, key).await {
                Ok(Some(run)) => return Ok(run),
                Ok(None) => return Err("the record of this step's run is gone".into()),
                Err(error) => {
                    tracing::warn!("a pipeline's run cannot be read yet: {error}");
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
            }
        }
    }

    /// Writes what changed. While there is no room on the disk it tries again; `false` when nothing more can be written.
    async fn write(&self, execution: &Execution, events: Vec<Event>) -> bool {
        loop {
            match self
                .store
                .update_execution(execution.clone(), events.clone())
                .await
            {
                Ok(written) => return written,
                // Nothing is written any more by this process: the next one goes on.
                Err(StoreError::Closed | StoreError::Failed) => return false,
                Err(error) => {
                    tracing::warn!(
                        "execution {} of `{}` cannot be recorded yet: {error}",
                        execution.id,
                        execution.pipeline
                    );
                    tokio::time::sleep(WRITE_AGAIN).await;
                }
            }
        }
    }

    /// Begins nothing more and lets go of what is in progress: the next process goes on with it.
    pub async fn stop(&self) {
        self.halt.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

fn reason(run: &Run) -> String {
    let outcome = run.outcome.map_or_else(String::new, |outcome| {
        serde_json::to_value(outcome)
            .ok()
            .and_then(|word| word.as_str().map(str::to_owned))
            .unwrap_or_default()
    });
    let said = run.message.as_deref().or(run.summary.as_deref());
    match said {
        Some(said) => format!("{outcome}: {said}"),
        None => outcome,
    }
}

fn event(execution: &Execution, kind: &str, data: Value) -> Event {
    Event::new(
        format!("/pipelines/{}", execution.pipeline),
        format!("pipeline.{kind}"),
        execution.id.to_string(),
        data,
    )
}

fn step_event(execution: &Execution, index: usize) -> Event {
    let step = &execution.steps[index];
    event(
        execution,
        "step",
        json!({ "pipeline": execution.pipeline, "cycle": execution.cycle, "step": index + 1, "of": execution.steps.len(),
            "agent": step.agent, "state": step.state, "run": step.run, "outcome": step.outcome, "error": step.error }),
    )
}

fn ended_event(execution: &Execution) -> Event {
    event(
        execution,
        execution.state.as_str(),
        json!({ "pipeline": execution.pipeline, "cycle": execution.cycle, "error": execution.error }),
    )
}

/// The number of pages that a report speaks of, and what it says it deployed to: the two facts that the scheduler's log names.
fn facts(report: Option<&Report>) -> (Option<u64>, Option<String>) {
    let output = report.and_then(|report| report.output.as_ref());
    let field = |name: &str| output.and_then(|output| output.get(name));
    (
        field("pages").and_then(Value::as_u64),
        field("deployed").and_then(Value::as_str).map(str::to_owned),
    )
}
