//! What the API shows beside the records of [`crate::model`]: plugins, agents, runs with their progress, badges, health.
//!
//! Plain data that is written as JSON and described in the OpenAPI document; which values are true is the application's to know.

use crate::commands::Template;
use crate::forge::Change;
use crate::kill::KillView;
use crate::logging::LogLevel;
pub use crate::model::{AgentState, BadgeStyle, Comment, CommitStatus, Effect, Thread};
use crate::model::{
    ArtifactInfo, Event, Execution, Finding, LogLine, Occurrence, Outcome, Run, Trigger,
};
use crate::sandbox::budget::RunBudget;
use crate::sandbox::inspect::Inspection;
use crate::store::{EventCount, ExecutionTotals, FoundFinding, FoundLine, UsageBucket};
use bytes::Bytes;
use http::HeaderValue;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use uuid::Uuid;

/// Where a plugin is on its way into the sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PluginStatus {
    /// Compiled; a run starts at once.
    Ready,
    /// Being compiled in the background.
    Compiling,
    /// It cannot be loaded; `problem` says why.
    Refused,
}

/// A component that was found in the folder of plugins.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PluginView {
    /// Its file's name without `.wasm`.
    pub name: String,
    /// Relative to the folder of plugins.
    pub file: String,
    /// `sha256:<hex>` of the bytes.
    pub digest: String,
    /// In bytes.
    pub size: u64,
    /// Whether it can run.
    pub status: PluginStatus,
    /// Why it cannot, in one sentence.
    pub problem: Option<String>,
    /// What the component says about itself and what it imports; `null` while unknown.
    pub inspection: Option<Inspection>,
    /// Whose signature it has, by a name in `trusted` of `[plugins]`; `null` where nobody's counts.
    pub signed_by: Option<String>,
    /// Whether `plugins.lock` names it with this digest.
    pub locked: bool,
    /// Where it came from, as the lock has it: `file`, or `oci:REGISTRY/NAME:TAG@sha256:…`; `null` while it is not locked.
    pub source: Option<String>,
}

/// The last run of an agent, in short.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunSummary {
    /// UUID version 7.
    pub id: Uuid,
    /// Why it started.
    pub trigger: Trigger,
    /// How it ended; `null` while it runs.
    pub outcome: Option<Outcome>,
    /// The finer reason.
    pub reason: Option<String>,
    /// The report's summary, or the message where there is no report.
    pub summary: Option<String>,
    /// Number of findings.
    pub findings: u64,
    /// When its row was written.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
}

impl From<&Run> for RunSummary {
    fn from(run: &Run) -> Self {
        Self {
            id: run.id,
            trigger: run.trigger,
            outcome: run.outcome,
            reason: run.reason.clone(),
            summary: run.summary.clone().or_else(|| run.message.clone()),
            findings: run.findings,
            created_at: run.created_at,
            ended_at: run.ended_at,
        }
    }
}

/// An agent of `plugins.toml`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AgentView {
    /// Its name.
    pub name: String,
    /// The plugin it runs.
    pub plugin: String,
    /// What the plugin says it does.
    pub description: Option<String>,
    /// Whether it may run.
    pub enabled: bool,
    /// Why it cannot run, in one sentence.
    pub problem: Option<String>,
    /// Whether it takes signed deliveries.
    pub webhook: bool,
    /// `high`, `normal` or `low`.
    pub priority: String,
    /// Whether it is the agent that takes commands.
    pub commands: bool,
    /// Where its component answers requests; `null` when it does not.
    pub serves: Option<String>,
    /// How healthy it is, 0 to 1: see `/v1/agents/{name}/health`.
    pub health_score: f64,
    /// Events that start it: types, beginnings of types, topics.
    pub on: Vec<String>,
    /// Milliseconds between two scheduled runs; `null` when it has no interval.
    pub every_ms: Option<u64>,
    /// Its cron expression and time zone; `null` when it has none.
    pub cron: Option<String>,
    /// `observe`, `alert`, `approve`, `auto_after` or `auto`.
    pub autonomy: String,
    /// What it may reach, as configured.
    #[schema(value_type = Object)]
    pub grants: Value,
    /// What one run may use.
    pub limits: RunBudget,
    /// When it is due next.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_at: Option<Timestamp>,
    /// Whether a person paused it for itself; `state` says `paused` also while everything is.
    pub paused: bool,
    /// Whether it crashed five times within ten minutes and starts nothing by itself until a person resumes it.
    pub quarantined: bool,
    /// JSON Schema of the input of its runs.
    #[schema(value_type = Option<Object>)]
    pub input_schema: Option<Value>,
    /// What it is doing.
    pub state: AgentState,
    /// Its last run.
    pub last_run: Option<RunSummary>,
}

/// How far a running run has got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Progress {
    /// Steps done.
    pub done: u64,
    /// Steps in all, where known.
    pub total: Option<u64>,
    /// What it is doing, in a few words.
    pub message: String,
}

/// What is known of a run in the sandbox and is not yet a row.
#[derive(Clone, Debug)]
pub struct LiveRun {
    /// When it entered the sandbox; `None` while it waits for a place.
    pub started_at: Option<Timestamp>,
    /// As the guest reported it last.
    pub progress: Option<Progress>,
}

/// A run, with its progress while it runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunView {
    /// The record.
    #[serde(flatten)]
    pub run: Run,
    /// How far it has got; `null` unless it runs and reports progress.
    pub progress: Option<Progress>,
}

/// The plugins that were found.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PluginList {
    /// All plugins, by name.
    pub items: Vec<PluginView>,
    /// Always `null`: the list is whole.
    pub next: Option<String>,
}

/// The agents of `plugins.toml`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AgentList {
    /// All agents, by name.
    pub items: Vec<AgentView>,
    /// Always `null`: the list is whole.
    pub next: Option<String>,
}

/// A part of the list of runs, newest first.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct RunList {
    /// Newest first.
    pub items: Vec<RunView>,
    /// What to send as `cursor` for the next part; `null` at the end.
    pub next: Option<String>,
}

/// A part of the list of effects, newest first.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct EffectList {
    /// Newest first.
    pub items: Vec<Effect>,
    /// What to send as `cursor` for the next part; `null` at the end.
    pub next: Option<String>,
}

/// An effect and what it would do.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct EffectView {
    /// The effect.
    #[serde(flatten)]
    pub effect: Effect,
    /// A patch or a text; `null` where there is nothing to see.
    pub preview: Option<String>,
}

/// A part of the list of pull requests, newest first.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PullRequestList {
    /// Newest first.
    pub items: Vec<Thread>,
    /// What to send as `cursor` for the next part; `null` at the end.
    pub next: Option<String>,
}

/// A pull request with what belongs to it.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PullRequestView {
    /// The pull request.
    #[serde(flatten)]
    pub pull_request: Thread,
    /// The commit that its branch is at; `null` when the branch is gone.
    pub head_commit: Option<String>,
    /// What it would change; `null` when a branch is gone or there is too much of it.
    pub diff: Option<String>,
    /// Oldest first.
    pub comments: Vec<Comment>,
    /// What is thought of its head commit, the latest first.
    pub statuses: Vec<CommitStatus>,
}

/// A part of a run's findings.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct FindingList {
    /// In the report's order.
    pub items: Vec<Finding>,
    /// What to send as `cursor` for the next part; `null` at the end.
    pub next: Option<String>,
}

/// A part of a run's log.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LogList {
    /// In the order written.
    pub items: Vec<LogLine>,
    /// What to send as `after` for the next part; `null` when the run has ended and this is the last part.
    pub next: Option<String>,
}

/// A run's files.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ArtifactList {
    /// By name.
    pub items: Vec<ArtifactInfo>,
    /// Always `null`: the list is whole.
    pub next: Option<String>,
}

/// A part of the list of events, oldest first.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct EventList {
    /// Oldest first.
    pub items: Vec<Event>,
    /// What to send as `cursor` for what comes after; always there.
    pub next: Option<String>,
}

/// A part of the ledger, the latest moment first.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct OccurrenceList {
    /// The latest first.
    pub items: Vec<Occurrence>,
    /// What to send as `cursor` for the next part; `null` at the end.
    pub next: Option<String>,
}

/// What the host is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// The state of the whole, as `/badges/system.svg` shows it.
    pub state: AgentState,
    /// Whether everything is paused.
    pub paused: bool,
    /// How the kill switch is.
    pub killswitch: KillView,
    /// Whether a maintenance window is on.
    pub maintenance: bool,
    /// Agents in force.
    pub agents: u64,
    /// How many agents are in which state.
    pub states: BTreeMap<String, u64>,
    /// Agents that are paused for themselves, by name.
    pub paused_agents: Vec<String>,
    /// Runs that wait for a place.
    pub queued: u64,
    /// Runs in the sandbox.
    pub running: u64,
    /// Runs that there are places for now: more while many wait.
    pub places: u64,
    /// Pipelines in progress, by name.
    pub running_workflows: Vec<String>,
    /// When this process began to serve.
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
}

/// A pipeline of `plugins.toml`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct WorkflowView {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// Its steps, in their order.
    pub steps: Vec<WorkflowStep>,
    /// When it is due, in words; `null` when it runs only when asked.
    pub schedule: Option<String>,
    /// When it is due next.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_at: Option<Timestamp>,
    /// Whether it is in progress.
    pub running: bool,
    /// What became of its executions; in lists `null`.
    pub totals: Option<ExecutionTotals>,
}

/// A step of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkflowStep {
    /// The agent that runs.
    pub agent: String,
    /// Whether the next step comes after this one failed, too.
    #[serde(rename = "continue")]
    pub go_on: bool,
}

/// The pipelines of `plugins.toml`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct WorkflowList {
    /// All pipelines, by name.
    pub items: Vec<WorkflowView>,
    /// Always `null`: the list is whole.
    pub next: Option<String>,
}

/// A part of the executions of a pipeline, newest first.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ExecutionList {
    /// Newest first.
    pub items: Vec<Execution>,
    /// What to send as `cursor` for the next part; `null` at the end.
    pub next: Option<String>,
}

/// What became of a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Delivered {
    /// Its id.
    pub delivery: Uuid,
    /// Whether it was delivered before.
    pub duplicate: bool,
    /// Whether it is of a kind that starts nothing.
    pub ignored: bool,
    /// The run it started, now or before.
    pub run: Option<Uuid>,
}

/// What became of a delivery from a forge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Received {
    /// Its id, which is the event's.
    pub delivery: Uuid,
    /// Whether it was delivered before.
    pub duplicate: bool,
    /// The type of the event that it is; `null` when it is none.
    pub event: Option<String>,
}

/// A command. There is either `text` or `template`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CommandRequest {
    /// In free words, at most 16,384 characters.
    pub text: Option<String>,
    /// The name of a template.
    pub template: Option<String>,
    /// The template's parameters.
    #[schema(value_type = Option<Object>)]
    pub parameters: Option<Value>,
}

/// That a command is recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CommandAccepted {
    /// The run's id.
    pub job_id: Uuid,
    /// Where its status is.
    pub status: String,
}

/// Commands that have a name.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TemplateList {
    /// By name.
    pub items: Vec<Template>,
    /// Always `null`: the list is whole.
    pub next: Option<String>,
}

/// What an agent is doing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AgentStateView {
    /// Its name.
    pub agent: String,
    /// The first that holds.
    pub state: AgentState,
    /// Whether a person paused it for itself.
    pub paused: bool,
    /// Whether it crashed too often.
    pub quarantined: bool,
    /// Whether it may run.
    pub enabled: bool,
    /// Why it cannot run.
    pub problem: Option<String>,
    /// When it is due next.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_at: Option<Timestamp>,
    /// Its last run.
    pub last_run: Option<RunSummary>,
}

/// How healthy an agent is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AgentHealth {
    /// Its name.
    pub agent: String,
    /// 0 to 1: `success_rate` minus `staleness`.
    pub score: f64,
    /// The share of successful runs among the last ones; `null` when it never ran.
    pub success_rate: Option<f64>,
    /// Ended runs that were looked at: at most 20.
    pub runs: u64,
    /// How many of them succeeded.
    pub succeeded: u64,
    /// 0 to 1: how far it is overdue.
    pub staleness: f64,
    /// Whether it crashed too often.
    pub quarantined: bool,
    /// Why it cannot run.
    pub problem: Option<String>,
}

/// What an agent used over time.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct UsageList {
    /// Oldest first.
    pub items: Vec<UsageBucket>,
    /// Always `null`: the list is whole.
    pub next: Option<String>,
}

/// That an agent's data is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Forgotten {
    /// Rows that were removed.
    pub rows: u64,
}

/// What an import took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Imported {
    /// Keys that were set.
    pub keys: u64,
    /// Runs that were added.
    pub runs: u64,
    /// Moments of the ledger; those that were there already among them.
    pub occurrences: u64,
    /// Keys and runs that were there already.
    pub known: u64,
}

/// A part of the findings of all runs.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct FoundFindingList {
    /// Those of the newest run first.
    pub items: Vec<FoundFinding>,
    /// What to send as `cursor` for the next part; `null` at the end.
    pub next: Option<String>,
}

/// A part of the lines of all logs.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct FoundLineList {
    /// Those of the newest run first.
    pub items: Vec<FoundLine>,
    /// What to send as `cursor` for the next part; `null` at the end.
    pub next: Option<String>,
}

/// How many events there were.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct CountList {
    /// The latest hour first.
    pub items: Vec<EventCount>,
    /// Always `null`: the list is whole.
    pub next: Option<String>,
}

/// A new level for the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LogLevelRequest {
    /// The level.
    pub level: LogLevel,
}

/// How much is logged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogLevelView {
    /// In the words of `RUST_LOG`.
    pub filter: String,
}

/// An event from outside. Sent in binary mode, its attributes are headers and the body is its data.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "specversion": "1.0", "id": "build-42", "source": "https://ci.example.com/builds", "type": "build.finished", "subject": "42", "data": { "passed": true } }))]
pub struct EventRequest {
    /// Always `1.0`.
    #[schema(pattern = "^1\\.0$")]
    pub specversion: String,
    /// Unique for its source.
    #[schema(min_length = 1, max_length = 255, pattern = "^[!-~]+$")]
    pub id: String,
    /// Where it happened.
    #[schema(min_length = 1, max_length = 255, pattern = "^[!-~]+$")]
    pub source: String,
    /// For instance `build.finished`; those of the host itself are refused.
    #[serde(rename = "type")]
    #[schema(min_length = 1, max_length = 255, pattern = "^[a-z0-9._-]+$")]
    pub kind: String,
    /// What it is about.
    #[schema(max_length = 255, pattern = "^[ -~]*$")]
    pub subject: Option<String>,
    /// When; now without it.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub time: Option<Timestamp>,
    /// The details: JSON of at most 64 KiB and 64 levels.
    pub data: Option<Value>,
}

/// What became of events from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Published {
    /// Added to the feed.
    pub accepted: u64,
    /// There already.
    pub known: u64,
}

/// Whose badge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadgeSubject {
    /// The host and all its agents.
    System,
    /// One agent, by name.
    Agent(String),
}

/// A drawn badge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Badge {
    /// The image.
    pub svg: Bytes,
    /// The image's entity tag.
    pub tag: HeaderValue,
    /// The left text.
    pub label: String,
    /// The right text.
    pub message: String,
    /// The right side's colour, `#` and six hexadecimal digits or a name that shields.io knows.
    pub color: String,
}

/// A badge as an endpoint of shields.io answers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BadgeEndpoint {
    /// Always 1.
    pub schema_version: u8,
    /// The left text.
    pub label: String,
    /// The right text.
    pub message: String,
    /// The right side's colour.
    pub color: String,
}

/// Something outside that the host works with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IntegrationView {
    /// `forge.NAME` for a repository, `channel.NAME` for a channel.
    pub name: String,
    /// How it is spoken to: `git`, `discord`, `slack`, `webhook`, `smtp`, `pagerduty`.
    pub kind: String,
    /// Whether it answered when it was last used or looked at; `null` before that.
    pub reachable: Option<bool>,
    /// As whom the host works with it, as far as that is no secret.
    pub identity: Option<String>,
    /// Requests that it takes before its limit; `null` where it has none or does not say.
    pub rate_limit_left: Option<u64>,
    /// When it last did what it was asked to.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_success: Option<Timestamp>,
    /// When it last did not.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_error_at: Option<Timestamp>,
    /// Why it did not.
    pub last_error: Option<String>,
}

/// A file that changed between two commits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangedFileView {
    /// The new path; of a deleted file, the old one.
    pub path: String,
    /// How it changed.
    pub change: Change,
    /// Whether the content is no text; then no lines are counted.
    pub binary: bool,
    /// How many lines are added.
    pub added: u64,
    /// How many lines are removed.
    pub removed: u64,
}

/// Two commits of a repository beside each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DifferenceView {
    /// The repository's name.
    pub repository: String,
    /// The full id of the earlier commit; `null` where there is none.
    pub base: Option<String>,
    /// The full id of the later commit.
    pub head: String,
    /// By path, at most 10,000.
    pub files: Vec<ChangedFileView>,
    /// As git prints it; `null` when it has more than 1 MiB.
    pub patch: Option<String>,
}

/// Integrations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IntegrationList {
    /// By name.
    pub items: Vec<IntegrationView>,
    /// Always `null`: there is no further page.
    pub next: Option<String>,
}

/// One part of the host and whether it works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HealthCheck {
    /// For instance `store`, `config` or `plugins`.
    pub component: String,
    /// Whether it works.
    pub ok: bool,
    /// What is wrong, or what was seen.
    pub detail: String,
}

/// Whether everything works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthStatus {
    /// Everything works.
    Ok,
    /// Something does not; the host still answers.
    Degraded,
}

/// How the host is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// Whether everything works.
    pub status: HealthStatus,
    /// The host's version.
    pub version: String,
    /// The components that do not work.
    pub degraded: Vec<String>,
    /// Every check, when asked with `?verbose`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checks: Option<Vec<HealthCheck>>,
}

/// That the host takes runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ready {
    /// Always `ready`; anything else is a problem with status 503.
    pub status: String,
}

/// Where everything is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Index {
    /// `infinity`.
    pub name: String,
    /// The host's version.
    pub version: String,
    /// Paths worth a look.
    pub links: Vec<String>,
}
