//! Turns what happened into durable rows, and questions about it into pages: runs, their reports, logs and artifacts, events, flags, and each agent's key-value space.
//!
//! Invariants: what a writing method acknowledged survives a crash of the process and of the machine; a run ends once; an agent reaches its own keys only.
//! It knows nothing of HTTP, of components, or of what a run means; whoever calls decides what to record.
//!
//! Times are kept in microseconds; anything finer is cut off.
//! A future of a writing method that is dropped before it answered may or may not have written.

mod access;
mod alerts;
mod artifacts;
pub mod backups;
mod checks;
mod cursor;
mod effects;
mod events;
mod executions;
mod journal;
pub mod keep;
mod key_value;
mod lock;
mod occurrences;
pub mod parcel;
mod retention;
mod rows;
mod runs;
mod search;
pub mod sqlite;
mod versions;
mod writer;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use crate::access::guard::Offender;
use crate::access::keys::ApiKey;
use crate::alerts::{Alert, Silence};
use crate::audit::Record;
use crate::audit::chain::End;
use crate::checks::{Check, CheckVerdict};
use crate::model::{
    Approval, Artifact, Comment, CommitStatus, Effect, EffectState, Event, Execution, Finding,
    ForgeRecord, Level, LogLine, Occurrence, OccurrenceResult, Outcome, Report, Run, RunEnd,
    RunState, Thread, ThreadKind, ThreadState, Trigger,
};
use crate::reload::ConfigVersion;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use journal::{
    Entry, JournalFilter, JournalReader, Verified, verify as verify_journal, verify_tail,
};
pub use sqlite::SqliteStore;
pub use sqlite::network_file_system;

/// Most rows that one page holds: some megabytes at worst, and more than a person reads.
pub const PAGE_MAX: u32 = 1_000;

/// Longest key of the key-value space, in bytes.
pub const KEY_MAX_BYTES: usize = 1_024;

/// Longest value of the key-value space, in bytes: it is read and written in one piece.
pub const VALUE_MAX_BYTES: usize = 1024 * 1024;

/// Most keys of one call on many keys: such a call holds the only writer while it lasts.
pub const KEYS_PER_CALL_MAX: usize = 1_000;

/// Most bytes of values that one call on many keys reads or writes: they are in memory together.
pub const BYTES_PER_CALL_MAX: usize = 32 * 1024 * 1024;

/// What the store cannot do, and what to do about it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process uses the state directory.
    #[error(
        "`{}` is in use by {}; stop that one, or give this one a state directory of its own",
        path.display(),
        pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
    )]
    Locked {
        /// The state directory.
        path: PathBuf,
        /// Who holds it, where its lock file says so.
        pid: Option<u32>,
    },
    /// A later version of the host wrote the file.
    #[error(
        "`{}` has schema {found} and this program knows {known} at most; run the version of `infinity` that wrote it, or a later one",
        path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema that this program knows.
        known: i64,
    },
    /// A file does not hold what was written to it.
    #[error(
        "`{}` is damaged: {detail}; stop the host and put a backup in its place, or move it away to begin without it",
        path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// The SQLite that was linked is too old.
    #[error("SQLite {found} is linked and {needed} is needed; build with the bundled one")]
    Version {
        /// The version linked.
        found: String,
        /// The lowest version that will do.
        needed: &'static str,
    },
    /// The file system cannot hold the database safely.
    #[error(
        "`{}` cannot be used: `{setting}` is `{found}` instead of `{needed}`; put the state directory on a local file system",
        path.display()
    )]
    Setting {
        /// The database.
        path: PathBuf,
        /// The name of the setting.
        setting: &'static str,
        /// What it is.
        found: String,
        /// What it has to be.
        needed: &'static str,
    },
    /// The schema could not be brought up to date.
    #[error(
        "the schema of `{}` cannot be brought up to date; the file is as it was, put a backup in its place or report this",
        path.display()
    )]
    Migration {
        /// The database.
        path: PathBuf,
        /// Why.
        #[source]
        source: Arc<sqlx::migrate::MigrateError>,
    },
    /// There is no room; nothing of the operation was kept, and writing goes on once there is room.
    #[error("no space is left for `{}`; free some, or prune runs and events", path.display())]
    Full {
        /// What could not grow.
        path: PathBuf,
    },
    /// The run is recorded already, under its own id or for the same trigger.
    #[error("the same trigger was recorded already, as run `{run}`")]
    Duplicate {
        /// The run that is there.
        run: Uuid,
    },
    /// There is no such run.
    #[error("there is no run `{run}`")]
    UnknownRun {
        /// What was asked for.
        run: Uuid,
    },
    /// A run cannot be ended without an outcome.
    #[error("run `{run}` cannot end without an outcome")]
    NoOutcome {
        /// The run.
        run: Uuid,
    },
    /// The bytes of an artifact are not what its digest says.
    #[error("artifact `{name}` does not have the digest `{digest}`")]
    Digest {
        /// The artifact.
        name: String,
        /// What it is said to have.
        digest: String,
    },
    /// The cursor was not given out for this query.
    #[error("the cursor does not belong to this query; start again without one")]
    Cursor,
    /// A page of that size is not served.
    #[error("a page has 1 to {PAGE_MAX} rows and not {limit}; ask for a number in between")]
    PageLimit {
        /// What was asked for.
        limit: u32,
    },
    /// The key-value space would become larger than it may be; nothing was written.
    #[error("{what} would be over the limit of {limit}")]
    Quota {
        /// What is limited.
        what: &'static str,
        /// The most there may be.
        limit: u64,
    },
    /// Not a key.
    #[error("a key {problem}")]
    InvalidKey {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The value is no decimal number.
    #[error("the value of `{key}` is no counter; set it to a decimal number, or delete it")]
    NotCounter {
        /// The key, escaped.
        key: String,
    },
    /// The sum is too large; the counter was left alone.
    #[error("the counter `{key}` would go over {}", u64::MAX)]
    Overflow {
        /// The key, escaped.
        key: String,
    },
    /// A backup does not hold what was put into it, or does not open.
    #[error("the backup `{}` cannot be used: {detail}", path.display())]
    Backup {
        /// Its folder.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// Another process makes or removes backups in the same folder.
    #[error("backups in `{}` are being made or removed; try again in a while", path.display())]
    Busy {
        /// The folder of backups.
        path: PathBuf,
    },
    /// Something is there that would be overwritten.
    #[error("`{}` holds something already; name an empty folder, or say `--replace` where that is meant", path.display())]
    Occupied {
        /// The folder.
        path: PathBuf,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// An earlier commit failed on the disk, after which nothing can be said of later ones. Reading goes on.
    #[error(
        "the store stopped writing after its disk failed; look at the system's log, mend the disk, and start the host again"
    )]
    Failed,
    /// A file beside the database could not be read or written.
    #[error("`{}` cannot be used; look at its permissions and at the disk", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Arc<io::Error>,
    },
    /// The database refused, for a reason that is none of the others.
    #[error("the database `{}` refused", path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// Why.
        #[source]
        source: Arc<sqlx::Error>,
    },
}

impl StoreError {
    /// The error for a file beside the database.
    fn io(path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full {
                path: path.to_owned(),
            },
            _ => Self::Io {
                path: path.to_owned(),
                source: Arc::new(source),
            },
        }
    }

    /// The error for what SQLite said of the file at `path`.
    fn database(path: &Path, source: sqlx::Error) -> Self {
        let path = path.to_owned();
        match &source {
            sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => return Self::Closed,
            // What is read was written by the host, so bytes that mean nothing are damage.
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
                return Self::Corrupt {
                    path,
                    detail: source.to_string(),
                };
            }
            sqlx::Error::Database(database) => match rows::primary_code(&source) {
                Some(rows::SQLITE_FULL) => return Self::Full { path },
                Some(rows::SQLITE_CORRUPT | rows::SQLITE_NOTADB) => {
                    return Self::Corrupt {
                        path,
                        detail: database.message().to_owned(),
                    };
                }
                _ => {}
            },
            _ => {}
        }
        Self::Database {
            path,
            source: Arc::new(source),
        }
    }
}

/// Which part of a list is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// Rows, 1 to [`PAGE_MAX`].
    pub limit: u32,
    /// Where the page before ended; `None` for the first.
    pub cursor: Option<String>,
}

impl Default for PageRequest {
    fn default() -> Self {
        Self {
            limit: 100,
            cursor: None,
        }
    }
}

/// One part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// For the page after this one. Text without meaning to anyone else, in hexadecimal digits.
    pub next: Option<String>,
}

/// Which runs are wanted; what is `None` is not looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Of this agent.
    pub agent: Option<String>,
    /// Of this plugin.
    pub plugin: Option<String>,
    /// That ended, or that did not. The row of a run that began a moment ago may still say queued, so the two others are not told apart here.
    pub ended: Option<bool>,
    /// That ended so.
    pub outcome: Option<Outcome>,
    /// That started for this reason.
    pub trigger: Option<Trigger>,
    /// Created at this moment or later.
    pub since: Option<Timestamp>,
    /// Created before this moment.
    pub until: Option<Timestamp>,
    /// Given up on, and neither started again nor dropped; `false` is all runs.
    pub dead: bool,
    /// The oldest first instead of the newest.
    pub ascending: bool,
}

/// What to look for in findings and logs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// Text that has to be there; small and capital letters of ASCII are the same. Empty is anything.
    pub text: String,
    /// Only in runs of this agent.
    pub agent: Option<String>,
    /// Only in runs created at this moment or later.
    pub since: Option<Timestamp>,
    /// Only in runs created before this moment.
    pub until: Option<Timestamp>,
}

/// A finding and the run that made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FoundFinding {
    /// The run.
    pub run: Uuid,
    /// Its agent.
    pub agent: String,
    /// When the run was created.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// The finding.
    #[serde(flatten)]
    pub finding: Finding,
}

/// A line of a log and the run that wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FoundLine {
    /// The run.
    pub run: Uuid,
    /// Its agent.
    pub agent: String,
    /// The line.
    #[serde(flatten)]
    pub line: LogLine,
}

/// What an agent's ended runs used in a span of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UsageBucket {
    /// The span's first moment.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// Runs created in it.
    pub runs: u64,
    /// How many of them succeeded.
    pub succeeded: u64,
    /// From start to end, summed, in microseconds.
    pub wall_us: u64,
    /// CPU time, summed, in microseconds.
    pub cpu_us: u64,
    /// The highest peak of memory, in bytes.
    pub peak_memory_bytes: u64,
    /// Fuel, summed, where the agent asks for it.
    pub fuel: u64,
    /// Outgoing requests, summed.
    pub http_requests: u64,
    /// Findings, summed.
    pub findings: u64,
    /// Kinds of denials, summed.
    pub denials: u64,
}

/// How many events of a type there were in an hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventCount {
    /// The hour's first moment.
    #[schema(value_type = String, format = DateTime)]
    pub hour: Timestamp,
    /// The type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Events.
    pub count: u64,
}

/// What became of the executions of a pipeline that are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExecutionTotals {
    /// All of them.
    pub executions: u64,
    /// Those that succeeded.
    pub succeeded: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those that a person ended.
    pub cancelled: u64,
    /// From begin to end on average, in microseconds.
    pub mean_us: u64,
    /// The longest, in microseconds.
    pub longest_us: u64,
}

/// Which effects are wanted; what is `None` is not looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EffectFilter {
    /// In this state.
    pub state: Option<EffectState>,
    /// Of this agent.
    pub agent: Option<String>,
    /// Of this kind.
    pub kind: Option<String>,
    /// Proposed by this run.
    pub run: Option<Uuid>,
    /// That change this repository.
    pub repository: Option<String>,
}

/// Which threads are wanted; what is `None` is not looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadFilter {
    /// Pull requests or issues.
    pub kind: ThreadKind,
    /// Of this repository.
    pub repository: Option<String>,
    /// In this state.
    pub state: Option<ThreadState>,
}

/// How an effect changes, with all that comes of it.
#[derive(Clone, Debug)]
pub struct EffectChange {
    /// The state it has to be in; in another nothing is done.
    pub from: EffectState,
    /// The effect as it is to be. Its action stays as proposed.
    pub effect: Effect,
    /// A further effect that comes of it.
    pub further: Option<Effect>,
    /// What to announce.
    pub events: Vec<Event>,
    /// What the host's own record of a repository keeps. The number of a thread that is opened becomes the effect's result.
    pub records: Vec<ForgeRecord>,
}

/// Which alerts are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertFilter {
    /// In this state; all without it.
    pub state: Option<AlertsAsked>,
    /// When silences are looked at.
    pub now: Timestamp,
}

/// States of alerts that are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertsAsked {
    /// Firing, silenced or not.
    Live,
    /// Firing and not silenced.
    Firing,
    /// Firing and silenced.
    Silenced,
    /// Over.
    Past,
}

/// What [`Store::prune`] keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Ended runs of each agent, however old.
    pub runs_per_agent: u32,
    /// All ended runs created since this moment, up to `runs_per_agent_max` of each agent. A run takes its idempotency key with it.
    pub runs_since: Timestamp,
    /// Ended runs of each agent, however new.
    pub runs_per_agent_max: u32,
    /// Ended executions of each pipeline.
    pub executions_per_pipeline: u32,
    /// Checks since this moment.
    pub checks_since: Timestamp,
    /// Alerts that are over and fired since this moment.
    pub alerts_since: Timestamp,
    /// Events since this moment.
    pub events_since: Timestamp,
    /// Effects that came to their end, proposed since this moment.
    pub effects_since: Timestamp,
    /// Moments of the ledger since this one.
    pub occurrences_since: Timestamp,
    /// Logs of runs created before this moment are compressed; search does not see them any more.
    pub logs_hot_since: Timestamp,
    /// Logs of runs created since this moment.
    pub logs_since: Timestamp,
}

/// Which moments of the ledger are wanted; what is `None` is not looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OccurrenceFilter {
    /// Of this agent.
    pub agent: Option<String>,
    /// That this came of.
    pub result: Option<OccurrenceResult>,
    /// Due at this moment or later.
    pub since: Option<Timestamp>,
    /// Due before this moment.
    pub until: Option<Timestamp>,
}

/// What an agent did last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastRun {
    /// The run.
    pub id: Uuid,
    /// Where it is.
    pub state: RunState,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// What is known of an agent that ever ran. It stays when the agent's runs are pruned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentRecord {
    /// Its name.
    pub agent: String,
    /// The run created last, unless it was pruned.
    pub last_run: Option<LastRun>,
    /// The latest moment of its schedule (`cron` or `every`) in the ledger.
    pub last_scheduled_at: Option<Timestamp>,
    /// Runs ever recorded.
    pub runs: u64,
    /// How many of its last 20 ended runs neither succeeded nor were cancelled.
    pub failures: u32,
}

/// How much an agent may keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KvQuota {
    /// Bytes of keys and values together.
    pub bytes: u64,
    /// Keys.
    pub keys: u64,
}

/// How much an agent keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KvUsage {
    /// Bytes of keys and values together.
    pub bytes: u64,
    /// Keys.
    pub keys: u64,
}

/// Something that is kept encrypted: a session, a second factor.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedRow {
    /// Its id.
    pub id: Uuid,
    /// What it is, in the open.
    pub content: Vec<u8>,
}

impl std::fmt::Debug for SealedRow {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.id.fmt(formatter)
    }
}

/// A key, and what it is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    /// The SHA-256 of the whole key.
    pub digest: [u8; 32],
    /// What may be shown of it.
    pub key: ApiKey,
}

/// What is remembered of a client or a key that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffenderRow {
    /// The client, or `key:` and a key's id.
    pub subject: String,
    /// Rises with each change; an earlier one does not overwrite a later one.
    pub version: i64,
    /// What is remembered.
    pub offender: Offender,
}

/// What pruning removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Runs, with their reports and logs.
    pub runs: u64,
    /// Events.
    pub events: u64,
    /// Effects.
    pub effects: u64,
    /// Moments of the ledger.
    pub occurrences: u64,
    /// Executions of pipelines.
    pub executions: u64,
    /// Checks.
    pub checks: u64,
    /// Alerts.
    pub alerts: u64,
    /// Logs that were compressed.
    pub compressed: u64,
    /// Logs.
    pub logs: u64,
    /// Files of artifacts that no run names any more.
    pub artifacts: u64,
}

/// Durable rows and the questions asked of them.
///
/// Every method can fail with [`StoreError::Database`], [`StoreError::Corrupt`] and [`StoreError::Closed`];
/// every writing one also with [`StoreError::Full`] and [`StoreError::Failed`]. The rest is said at each.
/// A writing method answers after the bytes are on the disk.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Records a run before anything of it happens. `findings`, `summary`, `outcome` and `ended_at` are normally empty.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] when there is a run of that id, or of that agent, idempotency key and attempt.
    async fn create_run(&self, run: Run) -> Result<(), StoreError>;

    /// Records a run that a moment started, and the moment: both or neither.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] when the run is recorded already, or the moment has a row.
    async fn fire(&self, run: Run, occurrence: Occurrence) -> Result<(), StoreError>;

    /// Records moments that started nothing. A moment that has a row keeps it.
    ///
    /// # Errors
    /// As every writing method.
    async fn note_occurrences(&self, occurrences: Vec<Occurrence>) -> Result<(), StoreError>;

    /// Moments of the ledger, the latest first.
    ///
    /// # Errors
    /// [`StoreError::Cursor`] when the cursor is not from the same filter; [`StoreError::PageLimit`].
    async fn occurrences(
        &self,
        filter: OccurrenceFilter,
        page: PageRequest,
    ) -> Result<Page<Occurrence>, StoreError>;

    /// Says that a queued run entered the sandbox. `false`, and nothing done, if it is not queued any more.
    ///
    /// # Errors
    /// [`StoreError::UnknownRun`].
    async fn mark_running(&self, id: Uuid, started_at: Timestamp) -> Result<bool, StoreError>;

    /// Ends a run: its row, report, log, artifacts and events, all or nothing. `false`, and nothing done, if it had ended before.
    ///
    /// The row's identity stays as created: agent, plugin, principal, trigger, attempt, key, input, `scheduled_at` and `created_at`. State becomes ended whatever `run.state` says.
    /// Lines that [`Store::append_log`] brought already are not stored again. Of two artifacts of one name the last counts.
    ///
    /// # Errors
    /// [`StoreError::UnknownRun`], [`StoreError::NoOutcome`], [`StoreError::Digest`]; [`StoreError::Io`] when an artifact cannot be written.
    async fn end_run(&self, end: RunEnd) -> Result<bool, StoreError>;

    /// Takes a run from among those given up on, and records its next attempt if there is to be one. `false`, and nothing done, when it is not among them.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] when there is such an attempt.
    async fn bury(&self, id: Uuid, next: Option<Run>) -> Result<bool, StoreError>;

    /// Records a run that has ended already: [`Store::create_run`] and [`Store::end_run`] in one, all or nothing.
    ///
    /// # Errors
    /// Those of both.
    async fn record_run(&self, end: RunEnd) -> Result<(), StoreError>;

    /// A run.
    ///
    /// # Errors
    /// As every method.
    async fn run(&self, id: Uuid) -> Result<Option<Run>, StoreError>;

    /// Runs, by the time of their creation, newest first.
    ///
    /// # Errors
    /// [`StoreError::Cursor`] when the cursor is not from the same filter; [`StoreError::PageLimit`].
    async fn runs(&self, filter: RunFilter, page: PageRequest) -> Result<Page<Run>, StoreError>;

    /// What a run returned; `None` until it ended.
    ///
    /// # Errors
    /// As every method.
    async fn report(&self, id: Uuid) -> Result<Option<Report>, StoreError>;

    /// A run's findings in the order reported; none until it ended.
    ///
    /// # Errors
    /// [`StoreError::Cursor`] when the cursor is not of this run; [`StoreError::PageLimit`].
    async fn findings(&self, id: Uuid, page: PageRequest) -> Result<Page<Finding>, StoreError>;

    /// Lines of a run's log in order, those after `after_seq` only. `limit` is brought into 1 to [`PAGE_MAX`].
    ///
    /// # Errors
    /// As every method.
    async fn log(
        &self,
        id: Uuid,
        after_seq: Option<u64>,
        limit: u32,
    ) -> Result<Vec<LogLine>, StoreError>;

    /// Adds lines to the log of a run that has not ended, for those who follow it. Their `seq` rises; lines up to the last one stored are skipped, so a call can be repeated. Does nothing for a run that ended.
    ///
    /// # Errors
    /// [`StoreError::UnknownRun`].
    async fn append_log(&self, id: Uuid, lines: Vec<LogLine>) -> Result<(), StoreError>;

    /// A file that a run made.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when its bytes are gone or are not what was stored; [`StoreError::Io`].
    async fn artifact(&self, id: Uuid, name: &str) -> Result<Option<Artifact>, StoreError>;

    /// All runs that have not ended, oldest first: what to recover at start.
    ///
    /// # Errors
    /// As every method.
    async fn unfinished(&self) -> Result<Vec<Run>, StoreError>;

    /// All agents that ever ran, by name.
    ///
    /// # Errors
    /// As every method.
    async fn agent_records(&self) -> Result<Vec<AgentRecord>, StoreError>;

    /// Adds an event to the feed. An event whose id is there already is left out, so a call can be repeated.
    ///
    /// # Errors
    /// As every writing method.
    async fn publish(&self, event: Event) -> Result<bool, StoreError>;

    /// The feed, oldest first. `kinds` are exact names, a handful; none means all. `next` is always there and says where to go on, also when nothing came yet.
    ///
    /// # Errors
    /// [`StoreError::Cursor`], [`StoreError::PageLimit`].
    async fn events(
        &self,
        kinds: &[String],
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<Event>, StoreError>;

    /// Where the feed ends now: the cursor for those who want what comes from here on.
    ///
    /// # Errors
    /// As every method.
    async fn events_end(&self) -> Result<String, StoreError>;

    /// Sets a small durable fact of the host, such as an agent on hold; `None` removes it.
    ///
    /// # Errors
    /// As every writing method.
    async fn set_flag(&self, name: &str, value: Option<&str>) -> Result<(), StoreError>;

    /// All facts set.
    ///
    /// # Errors
    /// As every method.
    async fn flags(&self) -> Result<BTreeMap<String, String>, StoreError>;

    /// The value of a key.
    ///
    /// # Errors
    /// [`StoreError::InvalidKey`].
    async fn kv_get(&self, agent: &str, key: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Whether there is such a key.
    ///
    /// # Errors
    /// [`StoreError::InvalidKey`].
    async fn kv_exists(&self, agent: &str, key: &str) -> Result<bool, StoreError>;

    /// Sets a key. A space that is over its quota can still shrink.
    ///
    /// # Errors
    /// [`StoreError::InvalidKey`], [`StoreError::Quota`].
    async fn kv_set(
        &self,
        agent: &str,
        key: &str,
        value: Vec<u8>,
        quota: KvQuota,
    ) -> Result<(), StoreError>;

    /// Removes a key; `false` if it was not there.
    ///
    /// # Errors
    /// [`StoreError::InvalidKey`].
    async fn kv_delete(&self, agent: &str, key: &str) -> Result<bool, StoreError>;

    /// Keys in the order of their bytes, those after `after` only, and whether there are more. `limit` is brought into 1 to [`PAGE_MAX`].
    ///
    /// # Errors
    /// As every method.
    async fn kv_list(
        &self,
        agent: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<(Vec<String>, bool), StoreError>;

    /// Adds to a counter, which is decimal text and 0 where the key is missing, and answers with the sum.
    ///
    /// # Errors
    /// [`StoreError::InvalidKey`], [`StoreError::NotCounter`], [`StoreError::Overflow`], [`StoreError::Quota`].
    async fn kv_increment(
        &self,
        agent: &str,
        key: &str,
        delta: u64,
        quota: KvQuota,
    ) -> Result<u64, StoreError>;

    /// The values of many keys as of one moment, in the order asked for.
    ///
    /// # Errors
    /// [`StoreError::InvalidKey`]; [`StoreError::Quota`] beyond [`KEYS_PER_CALL_MAX`] or [`BYTES_PER_CALL_MAX`].
    async fn kv_get_many(
        &self,
        agent: &str,
        keys: &[String],
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError>;

    /// Sets many keys, all or nothing; of two values for one key the last counts.
    ///
    /// # Errors
    /// [`StoreError::InvalidKey`]; [`StoreError::Quota`], also beyond [`KEYS_PER_CALL_MAX`] or [`BYTES_PER_CALL_MAX`].
    async fn kv_set_many(
        &self,
        agent: &str,
        entries: Vec<(String, Vec<u8>)>,
        quota: KvQuota,
    ) -> Result<(), StoreError>;

    /// Removes many keys, all or nothing, and answers how many were there.
    ///
    /// # Errors
    /// [`StoreError::InvalidKey`]; [`StoreError::Quota`] beyond [`KEYS_PER_CALL_MAX`].
    async fn kv_delete_many(&self, agent: &str, keys: &[String]) -> Result<u64, StoreError>;

    /// How much an agent keeps.
    ///
    /// # Errors
    /// As every method.
    async fn kv_usage(&self, agent: &str) -> Result<KvUsage, StoreError>;

    /// The latest attempt at what a key started; `None` if it started nothing, or that was pruned.
    ///
    /// # Errors
    /// As every method.
    async fn latest_attempt(&self, agent: &str, key: &str) -> Result<Option<Run>, StoreError>;

    /// Records the beginning of a pipeline's execution, with the moment that starts it if one does: both or neither. Answers the number of the cycle.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] when the pipeline runs already, with that execution, or the moment has a row, with this one.
    async fn begin_execution(
        &self,
        execution: Execution,
        moment: Option<Occurrence>,
    ) -> Result<u64, StoreError>;

    /// Records what changed in an execution, and the events that say so. `false`, and nothing done, if it had ended before.
    ///
    /// # Errors
    /// As every writing method.
    async fn update_execution(
        &self,
        execution: Execution,
        events: Vec<Event>,
    ) -> Result<bool, StoreError>;

    /// Records checks, or their verdicts, with what is announced of them: all or nothing. A verdict stays.
    ///
    /// # Errors
    /// As every writing method.
    async fn put_checks(&self, checks: Vec<Check>, events: Vec<Event>) -> Result<(), StoreError>;

    /// Records a version of the configuration with its text and what is announced of it, and answers its number. The hundred newest are kept.
    ///
    /// # Errors
    /// As those of any write.
    async fn put_version(
        &self,
        version: ConfigVersion,
        text: String,
        events: Vec<Event>,
    ) -> Result<u64, StoreError>;

    /// Writes what became of a version since it was recorded.
    ///
    /// # Errors
    /// As those of any write.
    async fn update_version(
        &self,
        version: ConfigVersion,
        events: Vec<Event>,
    ) -> Result<(), StoreError>;

    /// A version of the configuration and its text; `None` when there is none of this number any more.
    ///
    /// # Errors
    /// When the store cannot be read.
    async fn version(&self, number: u64) -> Result<Option<(ConfigVersion, String)>, StoreError>;

    /// Versions of the configuration, newest first.
    ///
    /// # Errors
    /// [`StoreError::Cursor`] for a cursor that came from elsewhere, and when the store cannot be read.
    async fn versions(&self, page: PageRequest) -> Result<Page<ConfigVersion>, StoreError>;

    /// A check.
    ///
    /// # Errors
    /// As every method.
    async fn check(&self, id: Uuid) -> Result<Option<Check>, StoreError>;

    /// The checks, newest first.
    ///
    /// # Errors
    /// [`StoreError::Cursor`] when the cursor is not of this query; [`StoreError::PageLimit`].
    async fn checks(
        &self,
        verdict: Option<CheckVerdict>,
        page: PageRequest,
    ) -> Result<Page<Check>, StoreError>;

    /// All checks without a verdict, oldest first: what to give up on at start.
    ///
    /// # Errors
    /// As every method.
    async fn open_checks(&self) -> Result<Vec<Check>, StoreError>;

    /// An execution of a pipeline.
    ///
    /// # Errors
    /// As every method.
    async fn execution(&self, id: Uuid) -> Result<Option<Execution>, StoreError>;

    /// The executions of a pipeline, newest first.
    ///
    /// # Errors
    /// [`StoreError::Cursor`] when the cursor is not of this pipeline; [`StoreError::PageLimit`].
    async fn executions(
        &self,
        pipeline: &str,
        page: PageRequest,
    ) -> Result<Page<Execution>, StoreError>;

    /// All executions that have not ended, oldest first: what to recover at start.
    ///
    /// # Errors
    /// As every method.
    async fn running_executions(&self) -> Result<Vec<Execution>, StoreError>;

    /// What became of a pipeline's executions that are kept.
    ///
    /// # Errors
    /// As every method.
    async fn execution_totals(&self, pipeline: &str) -> Result<ExecutionTotals, StoreError>;

    /// Findings of all runs, newest run first. A page may hold fewer than asked for, even none, though there are more, because a call looks at so many runs at most; it may hold some
    /// more, because a run's findings come together.
    ///
    /// # Errors
    /// [`StoreError::Cursor`] when the cursor is not from the same search; [`StoreError::PageLimit`].
    async fn search_findings(
        &self,
        search: Search,
        level: Option<Level>,
        rule: Option<&str>,
        page: PageRequest,
    ) -> Result<Page<FoundFinding>, StoreError>;

    /// Lines of the logs of all runs whose logs are not compressed yet; pages are as those of [`Store::search_findings`].
    ///
    /// # Errors
    /// As those of [`Store::search_findings`].
    async fn search_logs(
        &self,
        search: Search,
        page: PageRequest,
    ) -> Result<Page<FoundLine>, StoreError>;

    /// What an agent's ended runs used since a moment, in spans of `hours` hours (1 at least), oldest first; spans without a run are left out.
    ///
    /// # Errors
    /// As every method.
    async fn usage(
        &self,
        agent: &str,
        since: Timestamp,
        hours: u32,
    ) -> Result<Vec<UsageBucket>, StoreError>;

    /// Adds to the counts of events, and sets a flag to the place up to which they were counted: both or neither.
    ///
    /// # Errors
    /// As every writing method.
    async fn count_events(
        &self,
        counts: Vec<EventCount>,
        flag: &str,
        place: &str,
    ) -> Result<(), StoreError>;

    /// Counts of events since a moment, the latest hour first; at most [`PAGE_MAX`].
    ///
    /// # Errors
    /// As every method.
    async fn event_counts(&self, since: Timestamp) -> Result<Vec<EventCount>, StoreError>;

    /// Removes what an agent left: ended runs with all that is theirs, moments of the ledger, keys. Answers how many rows that were.
    ///
    /// # Errors
    /// As every writing method; what was removed before stays removed.
    async fn forget(&self, agent: &str) -> Result<u64, StoreError>;

    /// An effect, whole.
    ///
    /// # Errors
    /// As every method.
    async fn effect(&self, id: Uuid) -> Result<Option<Effect>, StoreError>;

    /// Effects, by the time of their proposal, newest first; of long actions without the texts of their files.
    ///
    /// # Errors
    /// [`StoreError::Cursor`] when the cursor is not from the same filter; [`StoreError::PageLimit`].
    async fn effects(
        &self,
        filter: EffectFilter,
        page: PageRequest,
    ) -> Result<Page<Effect>, StoreError>;

    /// The ids of effects that are due by a moment, at most `limit`, the first proposed first; and when the next one is due after that.
    ///
    /// # Errors
    /// As every method.
    async fn due_effects(
        &self,
        now: Timestamp,
        busy: &[String],
        limit: u32,
    ) -> Result<(Vec<(Uuid, String)>, Option<Timestamp>), StoreError>;

    /// How many effects of an agent were applied since a moment, and when the first of them was.
    ///
    /// # Errors
    /// As every method.
    async fn applied_since(
        &self,
        agent: &str,
        since: Timestamp,
    ) -> Result<(u64, Option<Timestamp>), StoreError>;

    /// Records an effect that no run proposed, with the event that says so.
    ///
    /// # Errors
    /// As every writing method.
    async fn propose(&self, effect: Effect, event: Event) -> Result<(), StoreError>;

    /// Changes an effect, with all that comes of it, all or nothing. Answers the effect as it is then; none, and nothing done, when it was in another state.
    ///
    /// # Errors
    /// As every writing method.
    async fn change_effect(&self, change: EffectChange) -> Result<Option<Effect>, StoreError>;

    /// An issue or a pull request of a local repository.
    ///
    /// # Errors
    /// As every method.
    async fn thread(&self, repository: &str, number: u64) -> Result<Option<Thread>, StoreError>;

    /// The issue or pull request that an effect opened.
    ///
    /// # Errors
    /// As every method.
    async fn thread_of(&self, effect: Uuid) -> Result<Option<Thread>, StoreError>;

    /// Issues or pull requests of local repositories, newest first.
    ///
    /// # Errors
    /// [`StoreError::Cursor`] when the cursor is not from the same filter; [`StoreError::PageLimit`].
    async fn threads(
        &self,
        filter: ThreadFilter,
        page: PageRequest,
    ) -> Result<Page<Thread>, StoreError>;

    /// The comments on a thread, oldest first, at most 500.
    ///
    /// # Errors
    /// As every method.
    async fn comments(&self, repository: &str, number: u64) -> Result<Vec<Comment>, StoreError>;

    /// What was said of a commit, the latest first, at most 500.
    ///
    /// # Errors
    /// As every method.
    async fn statuses(
        &self,
        repository: &str,
        commit: &str,
    ) -> Result<Vec<CommitStatus>, StoreError>;

    /// Keeps what a tool reported of a commit of a local repository.
    ///
    /// # Errors
    /// As every writing method.
    async fn put_status(
        &self,
        repository: &str,
        commit: &str,
        status: CommitStatus,
        event: Event,
    ) -> Result<(), StoreError>;

    /// Remembers a thread as its forge has it now.
    ///
    /// # Errors
    /// As every writing method.
    async fn keep_thread(&self, thread: Thread) -> Result<(), StoreError>;

    /// Notes what a person said of a pull request, in place of what they said of the same commit before. None, and nothing done, when it is not open.
    ///
    /// # Errors
    /// As every writing method.
    async fn review(
        &self,
        repository: &str,
        number: u64,
        review: Approval,
        event: Event,
    ) -> Result<Option<Thread>, StoreError>;

    /// Records an alert as it is now, with what is announced of it: both or neither.
    ///
    /// # Errors
    /// As every writing method.
    async fn put_alert(&self, alert: Alert, event: Event) -> Result<(), StoreError>;

    /// Alerts, those that fired last first.
    ///
    /// # Errors
    /// [`StoreError::Cursor`] when the cursor is not from the same filter; [`StoreError::PageLimit`].
    async fn alerts(
        &self,
        filter: AlertFilter,
        page: PageRequest,
    ) -> Result<Page<Alert>, StoreError>;

    /// Silences a rule, in place of an earlier silence of it, with what is announced of that.
    ///
    /// # Errors
    /// As every writing method.
    async fn put_silence(&self, silence: Silence, event: Event) -> Result<(), StoreError>;

    /// Ends the silence of a rule, with what is announced of that. `false`, and nothing done, when there is none at this moment.
    ///
    /// # Errors
    /// As every writing method.
    async fn end_silence(
        &self,
        rule: &str,
        now: Timestamp,
        event: Event,
    ) -> Result<bool, StoreError>;

    /// Silences that last beyond this moment.
    ///
    /// # Errors
    /// As every method.
    async fn silences(&self, now: Timestamp) -> Result<Vec<Silence>, StoreError>;

    /// All API keys.
    ///
    /// # Errors
    /// As every method.
    async fn keys(&self) -> Result<Vec<KeyRow>, StoreError>;

    /// Writes keys and removes others, with the event that says so: all or nothing.
    ///
    /// # Errors
    /// As every writing method.
    async fn put_keys(
        &self,
        keys: Vec<KeyRow>,
        removed: Vec<Uuid>,
        event: Event,
    ) -> Result<(), StoreError>;

    /// What is kept sealed of one kind, each opened. What cannot be opened is left out, and the log says so.
    ///
    /// # Errors
    /// As every method.
    async fn sealed(&self, kind: &'static str) -> Result<Vec<SealedRow>, StoreError>;

    /// Seals and keeps things of one kind and removes others, with the events that say so: all or nothing.
    ///
    /// # Errors
    /// As every writing method.
    async fn put_sealed(
        &self,
        kind: &'static str,
        rows: Vec<SealedRow>,
        removed: Vec<Uuid>,
        events: Vec<Event>,
    ) -> Result<(), StoreError>;

    /// What is remembered of clients and keys that failed, who was quiet longest first.
    ///
    /// # Errors
    /// As every method.
    async fn offenders(&self) -> Result<Vec<OffenderRow>, StoreError>;

    /// Remembers clients and keys that failed, with the events that say so: all or nothing.
    ///
    /// # Errors
    /// As every writing method.
    async fn put_offenders(
        &self,
        offenders: Vec<OffenderRow>,
        events: Vec<Event>,
    ) -> Result<(), StoreError>;

    /// Writes records into the journal. They name persons, who get pseudonyms on the way.
    ///
    /// # Errors
    /// As every writing method.
    async fn note(&self, records: Vec<Record>) -> Result<(), StoreError>;

    /// Records of the journal, the newest first unless the filter says otherwise. Where few fit, a part may hold fewer than asked for, or none, though there are more.
    ///
    /// # Errors
    /// [`StoreError::Cursor`].
    async fn journal(
        &self,
        filter: JournalFilter,
        page: PageRequest,
    ) -> Result<Page<Entry>, StoreError>;

    /// The journal's id and its end.
    ///
    /// # Errors
    /// As every method.
    async fn journal_end(&self) -> Result<(Vec<u8>, End), StoreError>;

    /// Who pseudonyms of the journal stand for; those that nobody has, or nobody any more, are left out.
    ///
    /// # Errors
    /// As every method.
    async fn people(&self, pseudonyms: &[String]) -> Result<BTreeMap<String, String>, StoreError>;

    /// The pseudonyms of people, or of addresses; of those who have none they are left out.
    ///
    /// # Errors
    /// As every method.
    async fn pseudonyms(&self, kind: &str, people: &[String]) -> Result<Vec<String>, StoreError>;

    /// Forgets who a pseudonym stood for, and notes that in the journal. Answers whether there was somebody.
    ///
    /// # Errors
    /// As every writing method.
    async fn erase_person(&self, kind: &str, text: &str, note: Record) -> Result<bool, StoreError>;

    /// Makes a new key for what goes into the journal from now on, and gives its number.
    ///
    /// # Errors
    /// As every writing method, and [`StoreError::Io`] when the keys cannot be written.
    async fn rotate_journal_key(&self, note: Record) -> Result<u32, StoreError>;

    /// Reads the whole journal and compares it with what it says of itself.
    ///
    /// # Errors
    /// As every method.
    async fn verify_journal(&self) -> Result<Verified, StoreError>;

    /// Gives up what the oldest ended runs left until the rows and files take `bytes` at most: first files, then whole runs. Answers how many bytes are left.
    ///
    /// # Errors
    /// As those of [`Store::prune`].
    async fn shrink(&self, bytes: u64) -> Result<u64, StoreError>;

    /// Removes what is older than what is to be kept, and the files that no run names any more.
    /// Works in small steps between which others write. Freed room is used again; the database file does not become smaller.
    /// A trigger whose run was removed is not known as a duplicate any more.
    ///
    /// # Errors
    /// [`StoreError::Io`] when a file cannot be removed; what was removed before stays removed.
    async fn prune(&self, keep: Retention) -> Result<Pruned, StoreError>;

    /// Writes what is waiting, folds the write-ahead log into the database, notes a clean end and lets go of the state directory. Later calls fail with [`StoreError::Closed`].
    ///
    /// # Errors
    /// As every writing method; the lock is let go of in any case.
    async fn close(&self) -> Result<(), StoreError>;
}
