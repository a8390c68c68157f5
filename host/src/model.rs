//! The words that every stage shares: runs, outcomes, reports, findings, denials, usage. Plain records; no stage's logic lives here.

mod effect;

pub use effect::*;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// This moment as the records keep it: microseconds, so that an answer and a later reading of the row agree.
#[must_use]
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}

/// How many values JSON text has at most: commas and brackets outside of strings. In memory each takes some hundred bytes, which a short text can ask for.
#[must_use]
pub fn json_values(text: &str) -> usize {
    let (mut inside, mut escaped, mut count) = (false, false, 1);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if inside => escaped = true,
            b'"' => inside = !inside,
            b',' | b'[' | b'{' if !inside => count += 1,
            _ => {}
        }
    }
    count
}

/// How deep a JSON value is nested: 0 for a scalar. Parsers end at 128 levels, so what becomes part of another document has to stay below that.
#[must_use]
pub fn json_depth(value: &Value) -> usize {
    match value {
        Value::Array(values) => 1 + values.iter().map(json_depth).max().unwrap_or(0),
        Value::Object(values) => 1 + values.values().map(json_depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// Who asked for something.
///
/// Until keys exist there is one: the local user, over loopback or the command line; and the host's own schedule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Principal {
    /// `user` or `host`.
    pub kind: String,
    /// For instance `local` or `schedule`.
    pub name: String,
}

impl Principal {
    /// The person at this machine.
    #[must_use]
    pub fn local() -> Self {
        Self {
            kind: "user".into(),
            name: "local".into(),
        }
    }

    /// The host's own clock.
    #[must_use]
    pub fn schedule() -> Self {
        Self {
            kind: "host".into(),
            name: "schedule".into(),
        }
    }
}

/// Why a run starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// A moment of a cron expression.
    Cron,
    /// A fixed interval.
    Every,
    /// An event of the bus.
    Event,
    /// A signed request from outside.
    Webhook,
    /// A person or a program asked.
    Manual,
}

/// What came of a moment at which an agent was due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OccurrenceResult {
    /// It started a run, perhaps late.
    Fired,
    /// A run that waits already stands for it.
    Coalesced,
    /// Nothing was started; `reason` says why.
    Skipped,
    /// Nobody was there to start anything: the host was down or asleep.
    Missed,
}

/// A moment at which an agent was due: a row of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Occurrence {
    /// The agent's name.
    pub agent: String,
    /// The moment.
    #[schema(value_type = String, format = DateTime)]
    pub due_at: Timestamp,
    /// The last moment that the row stands for; `due_at` unless many were missed one after the other.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
    /// How many moments the row stands for: 1, or more where `until` is later.
    pub moments: u64,
    /// What came of it.
    pub result: OccurrenceResult,
    /// `overlap`, `paused`, `maintenance`, `queue_full`, `stopping`, `disabled`, `catch_up`, `error`.
    pub reason: Option<String>,
    /// From the moment, with the agent's jitter, to the durable row of the run, in microseconds; `null` unless it fired.
    pub late_us: Option<u64>,
    /// The run it started.
    pub run: Option<Uuid>,
    /// When the row was written.
    #[schema(value_type = String, format = DateTime)]
    pub recorded_at: Timestamp,
}

/// Where an execution of a pipeline is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExecutionState {
    /// A step is in progress.
    Running,
    /// Every step succeeded, or was one that the pipeline goes on after.
    Succeeded,
    /// A step did not succeed.
    Failed,
    /// A person ended it.
    Cancelled,
}

impl ExecutionState {
    /// The word in types of events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Where a step of an execution is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Its turn has not come.
    Waiting,
    /// Its run is queued or in progress.
    Running,
    /// Its run succeeded.
    Succeeded,
    /// Its run did not succeed, or could not be started.
    Failed,
    /// Its turn never came.
    Skipped,
}

/// One step of an execution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Step {
    /// The agent that runs.
    pub agent: String,
    /// Whether the next step comes after this one failed, too.
    #[serde(rename = "continue")]
    pub go_on: bool,
    /// Where it is.
    pub state: StepState,
    /// The latest attempt at its run.
    pub run: Option<Uuid>,
    /// How the run ended.
    pub outcome: Option<Outcome>,
    /// Why it failed, in one sentence.
    pub error: Option<String>,
    /// When its turn came.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
}

/// One time that a pipeline ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Execution {
    /// UUID version 7.
    pub id: Uuid,
    /// The number of the cycle: from 1 over all pipelines, never given twice.
    pub cycle: u64,
    /// The pipeline's name.
    pub pipeline: String,
    /// `sha256:<hex>` of the configuration that it began with.
    pub config_digest: String,
    /// Who asked.
    pub principal: Principal,
    /// Why it started.
    pub trigger: Trigger,
    /// Where it is.
    pub state: ExecutionState,
    /// Why it failed, in one sentence.
    pub error: Option<String>,
    /// In their order.
    pub steps: Vec<Step>,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
}

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Recorded, not started.
    Queued,
    /// In the sandbox.
    Running,
    /// Over; `outcome` says how.
    Ended,
}

/// What an agent is doing, as lists and badges show it; the first that holds, in this order.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum AgentState {
    /// The kill switch stopped everything; badges show it as paused.
    KillSwitch,
    /// Paused by a person, or disabled.
    Paused,
    /// It cannot run, or its latest finished run did not succeed.
    Error,
    /// A run is queued or in progress.
    Generating,
    /// The effects of its latest run were applied.
    Deployed,
    /// Ready, and nothing is wrong.
    Online,
}

/// The looks of a badge: those of shields.io.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BadgeStyle {
    /// Rounded, no gloss.
    #[default]
    Flat,
    /// Square, no gloss.
    FlatSquare,
    /// Rounded and glossy.
    Plastic,
    /// Large capitals.
    ForTheBadge,
    /// Two bubbles.
    Social,
}

impl BadgeStyle {
    /// Every style with the name it has in a query.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("flat", Self::Flat),
        ("flat-square", Self::FlatSquare),
        ("plastic", Self::Plastic),
        ("for-the-badge", Self::ForTheBadge),
        ("social", Self::Social),
    ];
}

/// How a run ended: a closed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The guest returned a report that says passed.
    Succeeded,
    /// A report that says failed, or the guest's own error.
    Failed,
    /// Trap, stack overflow, bad ABI values.
    Trapped,
    /// A limit of the budget ended it; `reason` names the limit.
    Limited,
    /// The component could not be loaded or linked.
    Refused,
    /// Ended by a person or a rule.
    Cancelled,
    /// The host died while it ran.
    Lost,
    /// The host failed: always a bug of the host.
    HostError,
}

/// The limits that can end a run, by the names that `reason` carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Wall-clock time.
    Time,
    /// CPU time.
    Cpu,
    /// Fuel.
    Fuel,
    /// Linear memory, summed.
    Memory,
    /// Table elements.
    Tables,
    /// Core instances, memories or tables.
    Instances,
    /// Resource handles.
    Handles,
    /// Calls into the host, or bytes across the boundary.
    HostCalls,
    /// Report and artifacts.
    Output,
    /// Requests or their bytes.
    Http,
    /// Bytes or files in writable directories.
    Files,
    /// The key-value space.
    KeyValue,
    /// Events that cause events.
    EventHops,
}

impl Limit {
    /// The name in `reason`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Cpu => "cpu",
            Self::Fuel => "fuel",
            Self::Memory => "memory",
            Self::Tables => "tables",
            Self::Instances => "instances",
            Self::Handles => "handles",
            Self::HostCalls => "host_calls",
            Self::Output => "output",
            Self::Http => "http",
            Self::Files => "files",
            Self::KeyValue => "key_value",
            Self::EventHops => "event_hops",
        }
    }

    /// The key of `limits` in `plugins.toml` that raises it.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Cpu => "cpu",
            Self::Fuel => "fuel",
            Self::Memory => "memory",
            Self::Tables => "table_elements",
            Self::Instances => "instances",
            Self::Handles => "handles",
            Self::HostCalls => "host_calls",
            Self::Output => "output",
            Self::Http => "http_requests",
            Self::Files => "files",
            Self::KeyValue => "key_value",
            Self::EventHops => "event_hops",
        }
    }
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Worth knowing.
    Note,
    /// Worth mending.
    Warning,
    /// Wrong.
    Error,
}

/// Where a finding is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Location {
    /// The granted repository, if the path is in one.
    pub repository: Option<String>,
    /// Relative, with `/` between its parts.
    pub path: String,
    /// From 1.
    pub line: Option<u32>,
    /// In characters, from 1.
    pub column: Option<u32>,
}

/// One problem found in the user's material.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// A stable name, such as `json/duplicate-key`.
    pub rule: String,
    /// How bad it is.
    pub level: Level,
    /// One sentence.
    pub message: String,
    /// Where it is.
    pub location: Option<Location>,
    /// What to do about it.
    pub help: Option<String>,
}

/// Something the sandbox refused a guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Denial {
    /// `http`, `files`, `sockets`, `secret`, `forge`, `key_value`.
    pub capability: String,
    /// What was tried, for instance `GET https://example.com/`.
    pub attempt: String,
    /// Why it was refused.
    pub reason: String,
    /// The line of `plugins.toml` that would allow it, or why nothing can.
    pub allow: String,
    /// How often it was tried in this run.
    pub count: u64,
}

/// Something that a guest reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reached {
    /// `file`, `http`, `key_value`, `repository`, `secret`, `setting` or `view`; `other` for what did not fit into the list.
    pub kind: String,
    /// Which one, for instance `GET api.github.com`.
    pub name: String,
    /// How often.
    pub count: u64,
}

/// What a run used and where the time went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Usage {
    /// From the durable row to the start, in microseconds.
    pub queue_us: u64,
    /// Waiting for the component to be compiled, in microseconds.
    pub compile_us: u64,
    /// Making store and instance, in microseconds.
    pub instantiate_us: u64,
    /// Inside the guest, host calls excluded, in microseconds.
    pub guest_us: u64,
    /// Inside host calls, in microseconds.
    pub host_calls_us: u64,
    /// From start to end, in microseconds.
    pub wall_us: u64,
    /// CPU time of the run's thread, in microseconds.
    pub cpu_us: u64,
    /// Fuel, where the agent asks for it.
    pub fuel: Option<u64>,
    /// Highest sum of linear memory, in bytes.
    pub peak_memory_bytes: u64,
    /// Calls into the host.
    pub host_calls: u64,
    /// Outgoing requests.
    pub http_requests: u64,
    /// Bytes of request bodies.
    pub http_sent_bytes: u64,
    /// Bytes of answers.
    pub http_received_bytes: u64,
    /// Bytes of report and artifacts.
    pub output_bytes: u64,
    /// Bytes of log and standard streams, before the cut.
    pub log_bytes: u64,
    /// Whether log or standard streams were cut.
    pub log_truncated: bool,
    /// Whether the run started from a snapshot.
    pub snapshot: bool,
}

/// One execution of an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Run {
    /// UUID version 7.
    pub id: Uuid,
    /// The agent's name.
    pub agent: String,
    /// The plugin's name.
    pub plugin: String,
    /// `sha256:<hex>` of the component that ran; empty while it could not be loaded.
    pub plugin_digest: String,
    /// `sha256:<hex>` of the configuration in force.
    pub config_digest: String,
    /// Who asked.
    pub principal: Principal,
    /// Why it started.
    pub trigger: Trigger,
    /// From 1.
    pub attempt: u32,
    /// The same for all attempts of one trigger.
    pub idempotency_key: String,
    /// Whether what it proposes is only looked at, whatever the agent's autonomy.
    #[serde(default)]
    pub dry_run: bool,
    /// Where it is.
    pub state: RunState,
    /// How it ended; `null` until then.
    pub outcome: Option<Outcome>,
    /// The finer reason, such as the limit's name.
    pub reason: Option<String>,
    /// One sentence for people.
    pub message: Option<String>,
    /// What to do, if there is something.
    pub hint: Option<String>,
    /// The report's summary.
    pub summary: Option<String>,
    /// Number of findings.
    pub findings: u64,
    /// What the sandbox refused.
    pub denials: Vec<Denial>,
    /// What it used.
    pub usage: Usage,
    /// What it was started with.
    #[schema(value_type = serde_json::Value)]
    pub input: Value,
    /// When it was due.
    #[schema(value_type = String, format = DateTime)]
    pub scheduled_at: Timestamp,
    /// When its row was written.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it entered the sandbox.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
}

/// What a guest returned, or why it did not.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Report {
    /// Whether the agent is content; `null` where there is no report.
    pub passed: Option<bool>,
    /// One or two sentences.
    pub summary: String,
    /// Problems found in the user's material.
    pub findings: Vec<Finding>,
    /// For programs.
    #[schema(value_type = Option<serde_json::Value>)]
    pub output: Option<Value>,
    /// Files the run made.
    pub artifacts: Vec<ArtifactInfo>,
    /// Changes it proposes, as the guest stated them. They count only if the run succeeded.
    #[schema(value_type = Vec<Object>)]
    pub effects: Vec<Value>,
    /// A trap's backtrace.
    pub backtrace: Vec<Frame>,
}

/// One frame of a guest's backtrace, innermost first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Frame {
    /// The function's name, demangled.
    pub function: String,
    /// Source file, where the component has debug information.
    pub file: Option<String>,
    /// Source line.
    pub line: Option<u32>,
}

/// A file that a run made, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArtifactInfo {
    /// Unique in the run.
    pub name: String,
    /// As the guest said.
    pub media_type: String,
    /// In bytes.
    pub size: u64,
    /// `sha256:<hex>`.
    pub digest: String,
}

/// A file that a run made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Name, type, size and digest.
    pub info: ArtifactInfo,
    /// The bytes.
    pub content: bytes::Bytes,
}

/// One line of a run's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogLine {
    /// From 0, in the order written.
    pub seq: u64,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// `trace`, `debug`, `info`, `warn`, `error`, `critical`, `stdout` or `stderr`.
    pub level: String,
    /// Control characters are escaped.
    pub message: String,
}

/// The version of CloudEvents that events are in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum SpecVersion {
    /// 1.0
    #[default]
    #[serde(rename = "1.0")]
    V1,
}

/// Something that happened, with the attributes of CloudEvents 1.0. Source and id together are unique.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Always `1.0`.
    #[serde(default)]
    pub specversion: SpecVersion,
    /// What its source chose; UUID version 7 from the host.
    pub id: String,
    /// For instance `/agents/policy`.
    pub source: String,
    /// For instance `run.failed` or `policy.denied`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is about, for instance a run's id.
    pub subject: Option<String>,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
    /// The details.
    #[schema(value_type = serde_json::Value)]
    pub data: Value,
    /// How many runs lie between this event and the first of its line; an event of more than seven starts nothing.
    #[serde(default)]
    pub hops: u32,
}

impl Event {
    /// An event of the host, now.
    #[must_use]
    pub fn new(source: String, kind: impl Into<String>, subject: String, data: Value) -> Self {
        Self {
            specversion: SpecVersion::V1,
            id: Uuid::now_v7().to_string(),
            source,
            kind: kind.into(),
            subject: Some(subject),
            time: now(),
            data,
            hops: 0,
        }
    }
}

/// Everything that ends a run, written in one transaction.
#[derive(Clone, Debug)]
pub struct RunEnd {
    /// The run with its terminal fields.
    pub run: Run,
    /// What it returned.
    pub report: Report,
    /// Its log.
    pub log: Vec<LogLine>,
    /// Its files.
    pub artifacts: Vec<Artifact>,
    /// What to announce.
    pub events: Vec<Event>,
    /// What it proposes to change.
    pub effects: Vec<Effect>,
    /// The next attempt, recorded with the end of this one.
    pub retry: Option<Box<Run>>,
    /// Whether it is given up on, and kept for a person to look at.
    pub dead: bool,
}
