//! Turns a state directory into a [`Store`]: `infinity.db`, its write-ahead log, `artifacts/` and `lock`.
//!
//! Invariants: one process, one connection that writes, and every commit is synced. Nothing is served before the file was found whole enough, as new as this program and no newer.
//!
//! Statements say `LIMIT +?`: after a bare parameter SQLite looks at its value to plan, and so plans anew at each call.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Row, SqlSafeStr, SqliteConnection, SqlitePool};
use tokio::sync::Mutex;
use tokio::task::{self, JoinHandle};
use uuid::Uuid;

use super::access::{self, PruneOffenders, PutKeys, PutOffenders, PutSealed};
use super::alerts::{self, EndSilence, PruneAlerts, PutAlert, PutSilence};
use super::artifacts::{ArtifactFiles, ArtifactRow, Digest, make_directory};
use super::checks::{self, PruneChecks, PutChecks};
use super::cursor::{Cursors, Position};
use super::effects::{
    self, ChangeEffect, EffectRow, KeepThread, Propose, PruneEffects, PutStatus, Review,
};
use super::events::{self, EventRow, PruneEvents, SetFlag};
use super::executions::{self, Begin, PruneExecutions, Update};
use super::journal::{self, Append, Entry, Erase, Journal, JournalFilter, Verified};
use super::key_value::{self, Delete, Increment, Set};
use super::lock::Lock;
use super::occurrences::{self, Fire, Note, PruneOccurrences};
use super::retention::{self, Compress, Count, Evict, Forget, Part, PruneCounts, PruneLogs};
use super::rows;
use super::runs::{self, AppendLog, Bury, CreateRun, EndRun, MarkRunning, PruneRuns, RecordRun};
use super::search;
use super::versions::{self, PutVersion, UpdateVersion};
use super::writer::{Failure, Operation, Writer};
use super::{
    AgentRecord, AlertFilter, EffectChange, EffectFilter, EventCount, ExecutionTotals,
    FoundFinding, FoundLine, KeyRow, KvQuota, KvUsage, OccurrenceFilter, OffenderRow, PAGE_MAX,
    Page, PageRequest, Pruned, Retention, RunFilter, SealedRow, Search, Store, StoreError,
    ThreadFilter, UsageBucket,
};
use crate::alerts::{Alert, Silence};
use crate::audit::Record;
use crate::audit::chain::End;
use crate::audit::seal::{self, Sealer};
use crate::checks::{Check, CheckVerdict};
use crate::model::{
    Approval, Artifact, Comment, CommitStatus, Effect, Event, Execution, Finding, ForgeRecord,
    Level, LogLine, Occurrence, Report, Run, RunEnd, Thread,
};
use crate::reload::ConfigVersion;

/// The schema, step by step. A step that was released is never changed.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (
        1,
        "initial",
        include_str!("../../migrations/sqlite/0001_initial.sql"),
    ),
    (
        2,
        "occurrences",
        include_str!("../../migrations/sqlite/0002_occurrences.sql"),
    ),
    (
        3,
        "dead_letters",
        include_str!("../../migrations/sqlite/0003_dead_letters.sql"),
    ),
    (
        4,
        "events",
        include_str!("../../migrations/sqlite/0004_events.sql"),
    ),
    (
        5,
        "executions",
        include_str!("../../migrations/sqlite/0005_executions.sql"),
    ),
    (
        6,
        "effects",
        include_str!("../../migrations/sqlite/0006_effects.sql"),
    ),
    (
        7,
        "dry_runs",
        include_str!("../../migrations/sqlite/0007_dry_runs.sql"),
    ),
    (
        8,
        "access",
        include_str!("../../migrations/sqlite/0008_access.sql"),
    ),
    (
        9,
        "journal",
        include_str!("../../migrations/sqlite/0009_journal.sql"),
    ),
    (
        10,
        "sealed",
        include_str!("../../migrations/sqlite/0010_sealed.sql"),
    ),
    (
        11,
        "checks",
        include_str!("../../migrations/sqlite/0011_checks.sql"),
    ),
    (
        12,
        "alerts",
        include_str!("../../migrations/sqlite/0012_alerts.sql"),
    ),
    (
        13,
        "config_versions",
        include_str!("../../migrations/sqlite/0013_config_versions.sql"),
    ),
];

/// The first with `octet_length` on every build and with the fixes to `RETURNING` that the statements need.
const SQLITE_MIN: (&str, [u32; 2]) = ("3.45", [3, 45]);

/// Connections that read. Reads are short, so a few keep two cores busy.
const READERS: u32 = 4;

/// How long a reader waits for a connection before it fails instead of piling up.
const READER_WAIT: Duration = Duration::from_secs(10);

/// Spans of usage are whole hours.
const MICROSECONDS_PER_HOUR: i64 = 3_600 * 1_000_000;

/// How long SQLite waits for a lock that an outside tool, such as a backup, holds for a moment.
const BUSY_WAIT: Duration = Duration::from_secs(5);

/// To what the write-ahead log shrinks after a burst.
const WAL_KEPT_BYTES: &str = "67108864";

/// Pages in memory of the connection that writes, in KiB as SQLite wants it: the hot ends of all indexes.
const WRITER_CACHE: &str = "-16384";

/// JSON beyond this is decoded where it holds up nobody.
const INLINE_JSON_MAX_BYTES: usize = 128 * 1024;

/// The store in a directory.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    writer: Writer,
    readers: SqlitePool,
    cursors: Cursors,
    sealer: Arc<Sealer>,
    files: ArtifactFiles,
    /// Gone once the store is closed.
    task: Mutex<Option<JoinHandle<Result<(), StoreError>>>>,
}

impl SqliteStore {
    /// Opens the store in `state` and makes what is missing: the directory with mode 0700, the files with 0600. A directory that is there keeps its mode.
    ///
    /// After an end that was not clean the whole file is checked, which takes about a second for each gigabyte.
    ///
    /// # Errors
    /// [`StoreError::Locked`] at once when another process has it open; [`StoreError::Newer`], [`StoreError::Corrupt`], [`StoreError::Version`], [`StoreError::Setting`], [`StoreError::Migration`], [`StoreError::Io`], [`StoreError::Full`], [`StoreError::Database`].
    pub async fn open(state: &Path) -> Result<Self, StoreError> {
        Self::open_with(state, true).await
    }

    /// As [`SqliteStore::open`]; `seals` says whether what goes into the journal from now on is encrypted.
    ///
    /// # Errors
    /// As [`SqliteStore::open`].
    pub async fn open_with(state: &Path, seals: bool) -> Result<Self, StoreError> {
        let directory = state.to_owned();
        let (lock, unclean, files, path) = task::spawn_blocking(move || prepare(&directory))
            .await
            .map_err(|_| StoreError::Closed)??;
        let fail = |error| StoreError::database(&path, error);

        let options = SqliteConnectOptions::new()
            .filename(&path)
            .foreign_keys(true)
            .busy_timeout(BUSY_WAIT)
            .pragma("temp_store", "memory")
            // Statements can hold what users wrote; errors are reported by those who asked.
            .disable_statement_logging();
        let mut connection = options
            .clone()
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("journal_size_limit", WAL_KEPT_BYTES)
            .pragma("cache_size", WRITER_CACHE)
            .thread_name(|_| "store-writer".to_owned())
            .connect()
            .await
            .map_err(fail)?;
        check_settings(&mut connection, &path).await?;
        if unclean {
            tracing::info!(path = %path.display(), "the last end was not clean, checking the database");
            check_content(&mut connection, &path).await?;
        }
        migrate(&mut connection, &path).await?;
        let key: Vec<u8> = sqlx::query_scalar("SELECT value FROM meta WHERE name = 'cursor_key'")
            .fetch_one(&mut connection)
            .await
            .map_err(fail)?;

        let sealer = Sealer::open(state, seals)
            .map_err(|error| StoreError::io(&state.join(seal::FILE), error))?;
        let sealer = Arc::new(sealer);
        let journal = Journal::open(&mut connection, Arc::clone(&sealer))
            .await
            .map_err(fail)?;

        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(READER_WAIT)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(
                options
                    .read_only(true)
                    .thread_name(|id| format!("store-reader-{id}")),
            );
        let (writer, task) = Writer::start(connection, journal, path.clone(), lock);
        Ok(Self {
            path,
            writer,
            readers,
            cursors: Cursors::new(&key),
            sealer,
            files,
            task: Mutex::new(Some(task)),
        })
    }

    /// Transactions committed since the store was opened. Under load it grows slower than the number of writes, as many share one.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.writer.commits()
    }

    fn fail(&self, error: sqlx::Error) -> StoreError {
        StoreError::database(&self.path, error)
    }

    fn failure(&self, failure: Failure) -> StoreError {
        match failure {
            Failure::Refused(error) => error,
            Failure::Database(error) => self.fail(error),
        }
    }

    /// Decodes JSON that the store wrote.
    async fn decoded<T: Send + 'static>(
        &self,
        bytes: usize,
        decode: impl FnOnce() -> Result<T, sqlx::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        if bytes <= INLINE_JSON_MAX_BYTES {
            return decode().map_err(|error| self.fail(error));
        }
        task::spawn_blocking(decode)
            .await
            .map_err(|_| StoreError::Closed)?
            .map_err(|error| self.fail(error))
    }

    /// Removes the files of one part that no row names.
    async fn sweep(&self, shard: u8) -> Result<u64, StoreError> {
        let gate = self.files.shut().await;
        let named: Vec<Vec<u8>> =
            sqlx::query_scalar("SELECT digest FROM artifacts WHERE digest >= ? AND digest <= ?")
                .bind(vec![shard])
                .bind([&[shard][..], &[0xff; 31][..]].concat())
                .fetch_all(&self.readers)
                .await
                .map_err(|error| self.fail(error))?;
        let named: HashSet<Digest> = named
            .into_iter()
            .filter_map(|digest| digest.try_into().ok())
            .collect();
        gate.sweep(shard, named).await
    }
}

/// The file system of a directory, if it is one over a network: SQLite's log in shared memory and `flock` mean nothing there.
#[must_use]
pub fn network_file_system(path: &Path) -> Option<&'static str> {
    remote(rustix::fs::statfs(path).ok()?.f_type.cast_unsigned() & 0xffff_ffff)
}

/// The kernel's numbers, from `statfs(2)`.
fn remote(kind: u64) -> Option<&'static str> {
    match kind {
        0x6969 => Some("nfs"),
        0x517b => Some("smb"),
        0xfe53_4d42 => Some("smb2"),
        0xff53_4d42 => Some("cifs"),
        0x0102_1997 => Some("9p"),
        0x00c3_6400 => Some("ceph"),
        0x5346_414f => Some("afs"),
        _ => None,
    }
}

/// Directory, lock and an empty database file, all for the owner alone.
fn prepare(state: &Path) -> Result<(Lock, bool, ArtifactFiles, PathBuf), StoreError> {
    let fail = |error| StoreError::io(state, error);
    make_directory(state).map_err(fail)?;
    let mode = fs::metadata(state).map_err(fail)?.permissions().mode();
    if mode & 0o022 != 0 {
        tracing::warn!(
            path = %state.display(),
            "others can write to the state directory; take that from them with `chmod go-w`",
        );
    }
    if let Some(found) = network_file_system(state) {
        return Err(StoreError::Setting {
            path: state.to_owned(),
            setting: "file system",
            found: found.to_owned(),
            needed: "a local one",
        });
    }
    let (lock, unclean) = Lock::take(state)?;
    let path = state.join("infinity.db");
    let private = || -> io::Result<()> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        File::open(state)?.sync_all()
    };
    private().map_err(|error| StoreError::io(&path, error))?;
    Ok((lock, unclean, ArtifactFiles::open(state)?, path))
}

async fn check_settings(connection: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let (found, journal, synchronous): (String, String, i64) = async {
        Ok((
            sqlx::query_scalar("SELECT sqlite_version()")
                .fetch_one(&mut *connection)
                .await?,
            sqlx::query_scalar("PRAGMA journal_mode")
                .fetch_one(&mut *connection)
                .await?,
            sqlx::query_scalar("PRAGMA synchronous")
                .fetch_one(&mut *connection)
                .await?,
        ))
    }
    .await
    .map_err(|error| StoreError::database(path, error))?;
    let (needed, least) = SQLITE_MIN;
    let numbers: Vec<u32> = found
        .split('.')
        .map_while(|part| part.parse().ok())
        .collect();
    if numbers.as_slice() < least.as_slice() {
        return Err(StoreError::Version { found, needed });
    }
    let setting = |setting, found, needed| StoreError::Setting {
        path: path.to_owned(),
        setting,
        found,
        needed,
    };
    if journal != "wal" {
        return Err(setting("journal_mode", journal, "wal"));
    }
    if synchronous != 2 {
        return Err(setting("synchronous", synchronous.to_string(), "2"));
    }
    Ok(())
}

/// Reads the whole file and finds what is wrong with it.
async fn check_content(connection: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let found: String = sqlx::query_scalar("PRAGMA quick_check(1)")
        .fetch_one(connection)
        .await
        .map_err(|error| StoreError::database(path, error))?;
    if found == "ok" {
        return Ok(());
    }
    Err(StoreError::Corrupt {
        path: path.to_owned(),
        detail: found,
    })
}

/// Brings the schema up to date, each step in a transaction of its own.
async fn migrate(connection: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let fail = |error| StoreError::database(path, error);
    let known = MIGRATIONS.iter().map(|(version, ..)| *version).max();
    let table: Option<String> = sqlx::query_scalar(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name = '_sqlx_migrations'",
    )
    .fetch_optional(&mut *connection)
    .await
    .map_err(fail)?;
    if table.is_some() {
        let found: Option<i64> = sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations")
            .fetch_one(&mut *connection)
            .await
            .map_err(fail)?;
        if let (Some(found), Some(known)) = (found, known)
            && found > known
        {
            return Err(StoreError::Newer {
                path: path.to_owned(),
                found,
                known,
            });
        }
    }
    let steps = MIGRATIONS
        .iter()
        .map(|(version, description, sql)| {
            Migration::new(
                *version,
                (*description).into(),
                MigrationType::Simple,
                sql.into_sql_str(),
                false,
            )
        })
        .collect();
    Migrator::with_migrations(steps)
        .run(connection)
        .await
        .map_err(|error| match error {
            MigrateError::Execute(error) => fail(error),
            error => StoreError::Migration {
                path: path.to_owned(),
                source: error.into(),
            },
        })
}

fn page_limit(limit: u32) -> Result<u32, StoreError> {
    if (1..=PAGE_MAX).contains(&limit) {
        Ok(limit)
    } else {
        Err(StoreError::PageLimit { limit })
    }
}

/// What the runs of the last day left stays, however short room is: it is what people look at.
const EVICT_AFTER: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);

impl SqliteStore {
    /// Where a page begins.
    fn position(
        &self,
        query: &str,
        cursor: Option<String>,
    ) -> Result<Option<Position>, StoreError> {
        cursor
            .map(|cursor| self.cursors.read(query, &cursor))
            .transpose()
    }

    /// Repeats an operation until it finds nothing more to do.
    async fn until_none<O: Operation<Answer = u64>>(
        &self,
        operation: impl Fn() -> O,
    ) -> Result<u64, StoreError> {
        let mut sum = 0;
        loop {
            match self.writer.write(operation()).await? {
                0 => return Ok(sum),
                some => sum += some,
            }
        }
    }

    fn event_rows(&self, events: Vec<Event>) -> Result<Vec<EventRow>, StoreError> {
        events
            .into_iter()
            .map(EventRow::new)
            .collect::<Result<_, _>>()
            .map_err(|error| self.fail(error))
    }

    /// Removes all files that no row names.
    async fn sweep_all(&self) -> Result<u64, StoreError> {
        let mut removed = 0;
        for shard in self.files.shards().await? {
            removed += self.sweep(shard).await?;
        }
        Ok(removed)
    }

    /// Bytes of rows and files, room that waits to be used again left out.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn used(&self) -> Result<u64, StoreError> {
        let (pages, free, size): (i64, i64, i64) = sqlx::query_as(
            "SELECT page_count, freelist_count, page_size FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()",
        )
        .fetch_one(&self.readers)
        .await
        .map_err(|error| self.fail(error))?;
        let rows = u64::try_from((pages - free) * size).unwrap_or(0);
        Ok(rows + self.files.bytes().await?)
    }

    /// A page of at most `limit` rows, with a cursor if one more was found.
    fn page_of<T>(&self, query: &str, mut found: Vec<(Position, T)>, limit: u32) -> Page<T> {
        let more = found.len() > limit as usize;
        found.truncate(limit as usize);
        let next = found
            .last()
            .filter(|_| more)
            .map(|(position, _)| self.cursors.write(query, *position));
        Page {
            items: found.into_iter().map(|(_, item)| item).collect(),
            next,
        }
    }

    /// Writes an ended run's files and gives the rest as an operation.
    async fn ending(&self, mut end: RunEnd) -> Result<EndRun, StoreError> {
        let outcome = end
            .run
            .outcome
            .ok_or(StoreError::NoOutcome { run: end.run.id })?;
        let (artifacts, files) = self.files.write(std::mem::take(&mut end.artifacts)).await?;
        EndRun::new(end, outcome, artifacts, files).map_err(|error| self.fail(error))
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn create_run(&self, run: Run) -> Result<(), StoreError> {
        let operation = CreateRun::new(run).map_err(|error| self.fail(error))?;
        self.writer.write(operation).await
    }

    async fn fire(&self, run: Run, occurrence: Occurrence) -> Result<(), StoreError> {
        let id = run.id;
        let create = CreateRun::new(run).map_err(|error| self.fail(error))?;
        self.writer
            .write(Fire { create, occurrence })
            .await
            .map_err(|error| occurrences::taken(error, id))
    }

    async fn note_occurrences(&self, found: Vec<Occurrence>) -> Result<(), StoreError> {
        self.writer.write(Note(found)).await
    }

    async fn occurrences(
        &self,
        filter: OccurrenceFilter,
        page: PageRequest,
    ) -> Result<Page<Occurrence>, StoreError> {
        let query = format!("occurrences {filter:?}");
        let limit = page_limit(page.limit)?;
        let position = self.position(&query, page.cursor)?;
        let found = occurrences::page(&self.readers, &filter, position, i64::from(limit) + 1)
            .await
            .map_err(|error| self.fail(error))?;
        Ok(self.page_of(&query, found, limit))
    }

    async fn mark_running(&self, id: Uuid, started_at: Timestamp) -> Result<bool, StoreError> {
        self.writer.write(MarkRunning { id, started_at }).await
    }

    async fn end_run(&self, end: RunEnd) -> Result<bool, StoreError> {
        let operation = self.ending(end).await?;
        self.writer.write(operation).await
    }

    async fn bury(&self, id: Uuid, next: Option<Run>) -> Result<bool, StoreError> {
        let next = next
            .map(CreateRun::new)
            .transpose()
            .map_err(|error| self.fail(error))?;
        self.writer.write(Bury { id, next }).await
    }

    async fn record_run(&self, end: RunEnd) -> Result<(), StoreError> {
        let operation =
            RecordRun::new(self.ending(end).await?).map_err(|error| self.fail(error))?;
        self.writer.write(operation).await
    }

    async fn run(&self, id: Uuid) -> Result<Option<Run>, StoreError> {
        runs::run(&self.readers, id)
            .await
            .map_err(|error| self.fail(error))
    }

    async fn runs(&self, filter: RunFilter, page: PageRequest) -> Result<Page<Run>, StoreError> {
        let limit = page_limit(page.limit)?;
        let query = format!("runs {filter:?}");
        let position = self.position(&query, page.cursor)?;
        // One more says whether there is a next page.
        let found = runs::page(&self.readers, &filter, position, i64::from(limit) + 1)
            .await
            .map_err(|error| self.fail(error))?;
        Ok(self.page_of(&query, found, limit))
    }

    async fn report(&self, id: Uuid) -> Result<Option<Report>, StoreError> {
        let Some((report, findings)) = runs::report(&self.readers, id)
            .await
            .map_err(|error| self.fail(error))?
        else {
            return Ok(None);
        };
        self.decoded(report.len() + findings.len(), move || {
            runs::whole_report(&report, &findings).map(Some)
        })
        .await
    }

    async fn findings(&self, id: Uuid, page: PageRequest) -> Result<Page<Finding>, StoreError> {
        let limit = page_limit(page.limit)? as usize;
        let query = format!("findings {id}");
        let start = match page.cursor {
            Some(cursor) => self.cursors.read(&query, &cursor)?.0,
            None => 0,
        };
        let start = usize::try_from(start).map_err(|_| StoreError::Cursor)?;
        let Some((_, findings)) = runs::report(&self.readers, id)
            .await
            .map_err(|error| self.fail(error))?
        else {
            return Ok(Page {
                items: Vec::new(),
                next: None,
            });
        };
        let findings: Vec<Finding> = self
            .decoded(findings.len(), move || rows::from_json(&findings))
            .await?;
        let end = start.saturating_add(limit);
        let next = (findings.len() > end)
            .then(|| self.cursors.write(&query, (rows::integer(end as u64), 0)));
        Ok(Page {
            items: findings.into_iter().skip(start).take(limit).collect(),
            next,
        })
    }

    async fn log(
        &self,
        id: Uuid,
        after_seq: Option<u64>,
        limit: u32,
    ) -> Result<Vec<LogLine>, StoreError> {
        let after = after_seq.map_or(-1, rows::integer);
        runs::log(&self.readers, id, after, limit.clamp(1, PAGE_MAX) as usize)
            .await
            .map_err(|error| self.fail(error))
    }

    async fn append_log(&self, id: Uuid, lines: Vec<LogLine>) -> Result<(), StoreError> {
        self.writer.write(AppendLog { id, lines }).await
    }

    async fn artifact(&self, id: Uuid, name: &str) -> Result<Option<Artifact>, StoreError> {
        let read = async {
            let row = sqlx::query(
                "SELECT media_type, size, digest FROM artifacts JOIN runs ON run = seq \
                 WHERE id = ? AND name = ?",
            )
            .bind(&id.as_bytes()[..])
            .bind(name)
            .fetch_optional(&self.readers)
            .await?;
            row.map(|row| {
                Ok(ArtifactRow {
                    name: name.to_owned(),
                    media_type: row.try_get(0)?,
                    size: rows::count(&row, 1)?,
                    digest: row
                        .try_get::<&[u8], _>(2)?
                        .try_into()
                        .map_err(rows::decode)?,
                })
            })
            .transpose()
        };
        match read.await.map_err(|error| self.fail(error))? {
            Some(row) => self.files.read(row).await.map(Some),
            None => Ok(None),
        }
    }

    async fn unfinished(&self) -> Result<Vec<Run>, StoreError> {
        runs::unfinished(&self.readers)
            .await
            .map_err(|error| self.fail(error))
    }

    async fn agent_records(&self) -> Result<Vec<AgentRecord>, StoreError> {
        runs::agent_records(&self.readers)
            .await
            .map_err(|error| self.fail(error))
    }

    async fn publish(&self, event: Event) -> Result<bool, StoreError> {
        let operation = EventRow::new(event).map_err(|error| self.fail(error))?;
        self.writer.write(operation).await
    }

    async fn events(
        &self,
        kinds: &[String],
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<Event>, StoreError> {
        let limit = page_limit(limit)?;
        // A place in the feed is one whatever is looked for from there on.
        let after = match after {
            Some(cursor) => self.cursors.read("events", cursor)?.0,
            None => 0,
        };
        let found = events::page(&self.readers, kinds, after, limit)
            .await
            .map_err(|error| self.fail(error))?;
        let end = found.last().map_or(after, |(seq, _)| *seq);
        Ok(Page {
            items: found.into_iter().map(|(_, event)| event).collect(),
            next: Some(self.cursors.write("events", (end, 0))),
        })
    }

    async fn events_end(&self) -> Result<String, StoreError> {
        let end = events::end(&self.readers)
            .await
            .map_err(|error| self.fail(error))?;
        Ok(self.cursors.write("events", (end, 0)))
    }

    async fn set_flag(&self, name: &str, value: Option<&str>) -> Result<(), StoreError> {
        let operation = SetFlag {
            name: name.to_owned(),
            value: value.map(str::to_owned),
        };
        self.writer.write(operation).await
    }

    async fn flags(&self) -> Result<BTreeMap<String, String>, StoreError> {
        events::flags(&self.readers)
            .await
            .map_err(|error| self.fail(error))
    }

    async fn kv_get(&self, agent: &str, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        key_value::check_key(key)?;
        key_value::get(&self.readers, agent, key)
            .await
            .map_err(|error| self.fail(error))
    }

    async fn kv_exists(&self, agent: &str, key: &str) -> Result<bool, StoreError> {
        key_value::check_key(key)?;
        key_value::exists(&self.readers, agent, key)
            .await
            .map_err(|error| self.fail(error))
    }

    async fn kv_set(
        &self,
        agent: &str,
        key: &str,
        value: Vec<u8>,
        quota: KvQuota,
    ) -> Result<(), StoreError> {
        self.kv_set_many(agent, vec![(key.to_owned(), value)], quota)
            .await
    }

    async fn kv_delete(&self, agent: &str, key: &str) -> Result<bool, StoreError> {
        let removed = self.kv_delete_many(agent, &[key.to_owned()]).await?;
        Ok(removed > 0)
    }

    async fn kv_list(
        &self,
        agent: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<(Vec<String>, bool), StoreError> {
        let limit = limit.clamp(1, PAGE_MAX);
        let mut keys = key_value::list(&self.readers, agent, after.unwrap_or(""), limit + 1)
            .await
            .map_err(|error| self.fail(error))?;
        let more = keys.len() > limit as usize;
        keys.truncate(limit as usize);
        Ok((keys, more))
    }

    async fn kv_increment(
        &self,
        agent: &str,
        key: &str,
        delta: u64,
        quota: KvQuota,
    ) -> Result<u64, StoreError> {
        key_value::check_key(key)?;
        let operation = Increment {
            agent: agent.to_owned(),
            key: key.to_owned(),
            delta,
            quota,
        };
        self.writer.write(operation).await
    }

    async fn kv_get_many(
        &self,
        agent: &str,
        keys: &[String],
    ) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let checked = key_value::check_keys(keys.iter())?;
        let json = rows::to_json(&checked).map_err(|error| self.fail(error))?;
        let mut values = key_value::get_many(&self.readers, agent, &json)
            .await
            .map_err(|failure| self.failure(failure))?;
        let mut places: BTreeMap<&String, usize> = BTreeMap::new();
        let mut found: Vec<Option<Vec<u8>>> = Vec::with_capacity(keys.len());
        for (place, key) in keys.iter().enumerate() {
            // A key asked for twice is answered twice.
            let value = match places.get(key) {
                Some(before) => found.get(*before).cloned().flatten(),
                None => values.remove(key),
            };
            places.entry(key).or_insert(place);
            found.push(value);
        }
        Ok(found)
    }

    async fn kv_set_many(
        &self,
        agent: &str,
        entries: Vec<(String, Vec<u8>)>,
        quota: KvQuota,
    ) -> Result<(), StoreError> {
        let operation = Set::new(agent, entries, quota).map_err(|failure| self.failure(failure))?;
        self.writer.write(operation).await
    }

    async fn kv_delete_many(&self, agent: &str, keys: &[String]) -> Result<u64, StoreError> {
        let checked = key_value::check_keys(keys.iter())?;
        let operation = Delete {
            agent: agent.to_owned(),
            keys: rows::to_json(&checked).map_err(|error| self.fail(error))?,
        };
        self.writer.write(operation).await
    }

    async fn kv_usage(&self, agent: &str) -> Result<KvUsage, StoreError> {
        key_value::usage(&self.readers, agent)
            .await
            .map_err(|error| self.fail(error))
    }

    async fn latest_attempt(&self, agent: &str, key: &str) -> Result<Option<Run>, StoreError> {
        runs::latest_attempt(&self.readers, agent, key)
            .await
            .map_err(|error| self.fail(error))
    }

    async fn begin_execution(
        &self,
        execution: Execution,
        moment: Option<Occurrence>,
    ) -> Result<u64, StoreError> {
        let id = execution.id;
        let steps = rows::to_json(&execution.steps).map_err(|error| self.fail(error))?;
        let begin = Begin {
            execution,
            steps,
            moment,
        };
        self.writer
            .write(begin)
            .await
            .map_err(|error| occurrences::taken(error, id))
    }

    async fn update_execution(
        &self,
        execution: Execution,
        events: Vec<Event>,
    ) -> Result<bool, StoreError> {
        let steps = rows::to_json(&execution.steps).map_err(|error| self.fail(error))?;
        let events = events
            .into_iter()
            .map(EventRow::new)
            .collect::<Result<_, _>>()
            .map_err(|error| self.fail(error))?;
        let update = Update {
            execution,
            steps,
            events,
        };
        self.writer.write(update).await
    }

    async fn execution(&self, id: Uuid) -> Result<Option<Execution>, StoreError> {
        executions::one(&self.readers, id)
            .await
            .map_err(|error| self.fail(error))
    }

    async fn put_checks(&self, checks: Vec<Check>, events: Vec<Event>) -> Result<(), StoreError> {
        let row = |check: Check| {
            let record = rows::to_json(&check)?;
            Ok((check, record))
        };
        let operation = PutChecks {
            checks: checks
                .into_iter()
                .map(row)
                .collect::<Result<_, sqlx::Error>>()
                .map_err(|error| self.fail(error))?,
            events: events
                .into_iter()
                .map(EventRow::new)
                .collect::<Result<_, _>>()
                .map_err(|error| self.fail(error))?,
        };
        self.writer.write(operation).await
    }

    async fn check(&self, id: Uuid) -> Result<Option<Check>, StoreError> {
        checks::one(&self.readers, id)
            .await
            .map_err(|error| self.fail(error))
    }

    async fn checks(
        &self,
        verdict: Option<CheckVerdict>,
        page: PageRequest,
    ) -> Result<Page<Check>, StoreError> {
        let query = format!("checks {verdict:?}");
        let limit = page_limit(page.limit)?;
        let position = self.position(&query, page.cursor)?;
        let found = checks::page(&self.readers, verdict, position, i64::from(limit) + 1)
            .await
            .map_err(|error| self.fail(error))?;
        Ok(self.page_of(&query, found, limit))
    }

    async fn put_version(
        &self,
        version: ConfigVersion,
        text: String,
        events: Vec<Event>,
    ) -> Result<u64, StoreError> {
        let record = rows::to_json(&version).map_err(|error| self.fail(error))?;
        let operation = PutVersion {
            at: version.at.as_microsecond(),
            text,
            record,
            events: events
                .into_iter()
                .map(EventRow::new)
                .collect::<Result<_, _>>()
                .map_err(|error| self.fail(error))?,
        };
        self.writer.write(operation).await
    }

    async fn update_version(
        &self,
        version: ConfigVersion,
        events: Vec<Event>,
    ) -> Result<(), StoreError> {
        let operation = UpdateVersion {
            number: i64::try_from(version.number).unwrap_or(i64::MAX),
            record: rows::to_json(&version).map_err(|error| self.fail(error))?,
            events: events
                .into_iter()
                .map(EventRow::new)
                .collect::<Result<_, _>>()
                .map_err(|error| self.fail(error))?,
        };
        self.writer.write(operation).await
    }

    async fn version(&self, number: u64) -> Result<Option<(ConfigVersion, String)>, StoreError> {
        versions::one(&self.readers, number)
            .await
            .map_err(|error| self.fail(error))
    }

    async fn versions(&self, page: PageRequest) -> Result<Page<ConfigVersion>, StoreError> {
        let query = "versions".to_owned();
        let limit = page_limit(page.limit)?;
        let position = self.position(&query, page.cursor)?;
        let found = versions::page(&self.readers, position, i64::from(limit) + 1)
            .await
            .map_err(|error| self.fail(error))?;
        Ok(self.page_of(&query, found, limit))
    }

    async fn open_checks(&self) -> Result<Vec<Check>, StoreError> {
        checks::open(&self.readers)
            .await
            .map_err(|error| self.fail(error))
    }

    async fn executions(
        &self,
        pipeline: &str,
        page: PageRequest,
    ) -> Result<Page<Execution>, StoreError> {
        let query = format!("executions {pipeline}");
        let limit = page_limit(page.limit)?;
        let position = self.position(&query, page.cursor)?;
        let found = executions::page(&self.readers, pipeline, position, i64::from(limit) + 1)
            .await
            .map_err(|error| self.fail(error))?;
        Ok(self.page_of(&query, found, limit))
    }

    async fn running_executions(&self) -> Result<Vec<Execution>, StoreError> {
        executions::running(&self.readers)
            .await
            .map_err(|error| self.fail(error))
    }

    async fn execution_totals(&self, pipeline: &str) -> Result<ExecutionTotals, StoreError> {
        executions::totals(&self.readers, pipeline)
            .await
            .map_err(|error| self.fail(error))
    }

    async fn search_findings(
        &self,
        search: Search,
        level: Option<Level>,
        rule: Option<&str>,
        page: PageRequest,
    ) -> Result<Page<FoundFinding>, StoreError> {
        let query = format!("findings {search:?} {level:?} {rule:?}");
        let limit = page_limit(page.limit)? as usize;
        let position = self.position(&query, page.cursor)?;
        let (items, place) = search::findings(&self.readers, &search, level, rule, position, limit)
            .await
            .map_err(|error| self.fail(error))?;
        let next = place.map(|place| self.cursors.write(&query, place));
        Ok(Page { items, next })
    }

    async fn search_logs(
        &self,
        search: Search,
        page: PageRequest,
    ) -> Result<Page<FoundLine>, StoreError> {
        let query = format!("logs {search:?}");
        let limit = page_limit(page.limit)? as usize;
        let position = self.position(&query, page.cursor)?;
        let (items, place) = search::lines(&self.readers, &search, position, limit)
            .await
            .map_err(|error| self.fail(error))?;
        let next = place.map(|place| self.cursors.write(&query, place));
        Ok(Page { items, next })
    }

    async fn usage(
        &self,
        agent: &str,
        since: Timestamp,
        hours: u32,
    ) -> Result<Vec<UsageBucket>, StoreError> {
        let bucket = i64::from(hours.max(1)) * MICROSECONDS_PER_HOUR;
        retention::usage(&self.readers, agent, since.as_microsecond(), bucket)
            .await
            .map_err(|error| self.fail(error))
    }

    async fn count_events(
        &self,
        counts: Vec<EventCount>,
        flag: &str,
        place: &str,
    ) -> Result<(), StoreError> {
        let counts = counts
            .into_iter()
            .map(|count| {
                (
                    count.hour.as_microsecond(),
                    count.kind,
                    rows::integer(count.count),
                )
            })
            .collect();
        let operation = Count {
            counts,
            flag: flag.to_owned(),
            place: place.to_owned(),
        };
        self.writer.write(operation).await
    }

    async fn event_counts(&self, since: Timestamp) -> Result<Vec<EventCount>, StoreError> {
        retention::counts(&self.readers, since.as_microsecond(), PAGE_MAX)
            .await
            .map_err(|error| self.fail(error))
    }

    async fn forget(&self, agent: &str) -> Result<u64, StoreError> {
        let mut removed = 0;
        loop {
            let operation = Forget {
                agent: agent.to_owned(),
            };
            match self.writer.write(operation).await? {
                0 => break,
                some => removed += some,
            }
        }
        self.sweep_all().await?;
        Ok(removed)
    }

    async fn effect(&self, id: Uuid) -> Result<Option<Effect>, StoreError> {
        effects::one(&self.readers, id)
            .await
            .map_err(|error| self.fail(error))
    }

    async fn effects(
        &self,
        filter: EffectFilter,
        page: PageRequest,
    ) -> Result<Page<Effect>, StoreError> {
        let query = format!("effects {filter:?}");
        let limit = page_limit(page.limit)?;
        let position = self.position(&query, page.cursor)?;
        let found = effects::page(&self.readers, &filter, position, i64::from(limit) + 1)
            .await
            .map_err(|error| self.fail(error))?;
        Ok(self.page_of(&query, found, limit))
    }

    async fn due_effects(
        &self,
        now: Timestamp,
        busy: &[String],
        limit: u32,
    ) -> Result<(Vec<(Uuid, String)>, Option<Timestamp>), StoreError> {
        let (ids, next) = effects::due(&self.readers, now.as_microsecond(), busy, limit)
            .await
            .map_err(|error| self.fail(error))?;
        let next = next
            .map(rows::time)
            .transpose()
            .map_err(|error| self.fail(error))?;
        Ok((ids, next))
    }

    async fn applied_since(
        &self,
        agent: &str,
        since: Timestamp,
    ) -> Result<(u64, Option<Timestamp>), StoreError> {
        let (count, first) = effects::applied_since(&self.readers, agent, since.as_microsecond())
            .await
            .map_err(|error| self.fail(error))?;
        let first = first
            .map(rows::time)
            .transpose()
            .map_err(|error| self.fail(error))?;
        Ok((count, first))
    }

    async fn put_alert(&self, alert: Alert, event: Event) -> Result<(), StoreError> {
        let event = EventRow::new(event).map_err(|error| self.fail(error))?;
        self.writer.write(PutAlert { alert, event }).await
    }

    async fn alerts(
        &self,
        filter: AlertFilter,
        page: PageRequest,
    ) -> Result<Page<Alert>, StoreError> {
        // Silences end between two pages, and the cursor is good for both.
        let query = format!("alerts {:?}", filter.state);
        let limit = page_limit(page.limit)?;
        let position = self.position(&query, page.cursor)?;
        let found = alerts::page(&self.readers, &filter, position, i64::from(limit) + 1)
            .await
            .map_err(|error| self.fail(error))?;
        Ok(self.page_of(&query, found, limit))
    }

    async fn put_silence(&self, silence: Silence, event: Event) -> Result<(), StoreError> {
        let event = EventRow::new(event).map_err(|error| self.fail(error))?;
        self.writer.write(PutSilence { silence, event }).await
    }

    async fn end_silence(
        &self,
        rule: &str,
        now: Timestamp,
        event: Event,
    ) -> Result<bool, StoreError> {
        let operation = EndSilence {
            rule: rule.to_owned(),
            now: now.as_microsecond(),
            event: EventRow::new(event).map_err(|error| self.fail(error))?,
        };
        self.writer.write(operation).await
    }

    async fn silences(&self, now: Timestamp) -> Result<Vec<Silence>, StoreError> {
        alerts::silences(&self.readers, now.as_microsecond())
            .await
            .map_err(|error| self.fail(error))
    }

    async fn keys(&self) -> Result<Vec<KeyRow>, StoreError> {
        access::keys(&self.readers)
            .await
            .map_err(|error| self.fail(error))
    }

    async fn put_keys(
        &self,
        keys: Vec<KeyRow>,
        removed: Vec<Uuid>,
        event: Event,
    ) -> Result<(), StoreError> {
        let operation = PutKeys {
            keys,
            removed,
            event: EventRow::new(event).map_err(|error| self.fail(error))?,
        };
        self.writer.write(operation).await
    }

    async fn sealed(&self, kind: &'static str) -> Result<Vec<SealedRow>, StoreError> {
        access::sealed(&self.readers, &self.sealer, kind)
            .await
            .map_err(|error| self.fail(error))
    }

    async fn put_sealed(
        &self,
        kind: &'static str,
        rows: Vec<SealedRow>,
        removed: Vec<Uuid>,
        events: Vec<Event>,
    ) -> Result<(), StoreError> {
        let events = self.event_rows(events)?;
        let operation = PutSealed::new(&self.sealer, kind, rows, removed, events)
            .map_err(|error| self.fail(sqlx::Error::Io(error)))?;
        self.writer.write(operation).await
    }

    async fn offenders(&self) -> Result<Vec<OffenderRow>, StoreError> {
        access::offenders(&self.readers)
            .await
            .map_err(|error| self.fail(error))
    }

    async fn put_offenders(
        &self,
        offenders: Vec<OffenderRow>,
        events: Vec<Event>,
    ) -> Result<(), StoreError> {
        let operation = PutOffenders {
            rows: offenders,
            at: Timestamp::now().as_microsecond(),
            events: self.event_rows(events)?,
        };
        self.writer.write(operation).await
    }

    async fn propose(&self, effect: Effect, event: Event) -> Result<(), StoreError> {
        let operation = Propose {
            effect: EffectRow::new(effect).map_err(|error| self.fail(error))?,
            events: self.event_rows(vec![event])?,
        };
        self.writer.write(operation).await
    }

    async fn change_effect(&self, change: EffectChange) -> Result<Option<Effect>, StoreError> {
        let operation = ChangeEffect {
            from: change.from,
            effect: change.effect,
            further: change
                .further
                .map(EffectRow::new)
                .transpose()
                .map_err(|error| self.fail(error))?,
            events: self.event_rows(change.events)?,
            records: change.records,
        };
        self.writer.write(operation).await
    }

    async fn thread(&self, repository: &str, number: u64) -> Result<Option<Thread>, StoreError> {
        effects::thread(&self.readers, repository, number)
            .await
            .map_err(|error| self.fail(error))
    }

    async fn thread_of(&self, effect: Uuid) -> Result<Option<Thread>, StoreError> {
        effects::thread_of(&self.readers, effect)
            .await
            .map_err(|error| self.fail(error))
    }

    async fn threads(
        &self,
        filter: ThreadFilter,
        page: PageRequest,
    ) -> Result<Page<Thread>, StoreError> {
        let query = format!("threads {filter:?}");
        let limit = page_limit(page.limit)?;
        let position = self.position(&query, page.cursor)?;
        let found = effects::threads(&self.readers, &filter, position, i64::from(limit) + 1)
            .await
            .map_err(|error| self.fail(error))?;
        Ok(self.page_of(&query, found, limit))
    }

    async fn comments(&self, repository: &str, number: u64) -> Result<Vec<Comment>, StoreError> {
        effects::comments(&self.readers, repository, number)
            .await
            .map_err(|error| self.fail(error))
    }

    async fn statuses(
        &self,
        repository: &str,
        commit: &str,
    ) -> Result<Vec<CommitStatus>, StoreError> {
        effects::statuses(&self.readers, repository, commit)
            .await
            .map_err(|error| self.fail(error))
    }

    async fn review(
        &self,
        repository: &str,
        number: u64,
        review: Approval,
        event: Event,
    ) -> Result<Option<Thread>, StoreError> {
        let operation = Review {
            repository: repository.to_owned(),
            number,
            review,
            events: self.event_rows(vec![event])?,
        };
        self.writer.write(operation).await
    }

    async fn put_status(
        &self,
        repository: &str,
        commit: &str,
        status: CommitStatus,
        event: Event,
    ) -> Result<(), StoreError> {
        let operation = PutStatus {
            record: ForgeRecord::Status {
                repository: repository.to_owned(),
                commit: commit.to_owned(),
                status,
            },
            events: self.event_rows(vec![event])?,
        };
        self.writer.write(operation).await
    }

    async fn keep_thread(&self, thread: Thread) -> Result<(), StoreError> {
        self.writer.write(KeepThread(thread)).await
    }

    async fn note(&self, records: Vec<Record>) -> Result<(), StoreError> {
        self.writer.write(Append(records)).await
    }

    async fn journal(
        &self,
        filter: JournalFilter,
        page: PageRequest,
    ) -> Result<Page<Entry>, StoreError> {
        let query = format!("journal {filter:?}");
        let limit = page_limit(page.limit)?;
        let from = self.position(&query, page.cursor)?.map(|(seq, _)| seq);
        let (items, next) =
            journal::page(&self.readers, &self.sealer, &filter, from, limit as usize)
                .await
                .map_err(|error| self.fail(error))?;
        Ok(Page {
            items,
            next: next.map(|seq| self.cursors.write(&query, (seq, 0))),
        })
    }

    async fn journal_end(&self) -> Result<(Vec<u8>, End), StoreError> {
        journal::end_of(&self.readers)
            .await
            .map_err(|error| self.fail(error))
    }

    async fn people(&self, pseudonyms: &[String]) -> Result<BTreeMap<String, String>, StoreError> {
        journal::people(&self.readers, &self.sealer, pseudonyms)
            .await
            .map_err(|error| self.fail(error))
    }

    async fn pseudonyms(&self, kind: &str, people: &[String]) -> Result<Vec<String>, StoreError> {
        journal::pseudonyms(&self.readers, &self.sealer, kind, people)
            .await
            .map_err(|error| self.fail(error))
    }

    async fn erase_person(&self, kind: &str, text: &str, note: Record) -> Result<bool, StoreError> {
        let lookups = vec![self.sealer.person(kind, &journal::normal(kind, text))];
        self.writer.write(Erase { lookups, note }).await
    }

    async fn rotate_journal_key(&self, note: Record) -> Result<u32, StoreError> {
        let sealer = Arc::clone(&self.sealer);
        let key = task::spawn_blocking(move || sealer.rotate())
            .await
            .map_err(|_| StoreError::Closed)?
            .map_err(|error| StoreError::io(&self.path.with_file_name(seal::FILE), error))?;
        self.writer.write(Append(vec![note])).await?;
        Ok(key)
    }

    async fn verify_journal(&self) -> Result<Verified, StoreError> {
        journal::verify_pool(&self.readers, &[], &|_, _, _| {})
            .await
            .map_err(|error| self.fail(error))
    }

    async fn shrink(&self, bytes: u64) -> Result<u64, StoreError> {
        let mut part = Part::Artifacts;
        let mut used = self.used().await?;
        while used > bytes {
            let evict = Evict {
                part,
                over: rows::integer(used - bytes),
                before: (Timestamp::now() - EVICT_AFTER).as_microsecond(),
            };
            let removed = self.writer.write(evict).await?;
            if removed > 0 {
                self.sweep_all().await?;
            }
            used = self.used().await?;
            match (removed, part) {
                (0, Part::Artifacts) => part = Part::Runs,
                (0, Part::Runs) => break,
                _ => {}
            }
        }
        Ok(used)
    }

    async fn prune(&self, keep: Retention) -> Result<Pruned, StoreError> {
        let mut pruned = Pruned::default();
        let agents = runs::agents(&self.readers)
            .await
            .map_err(|error| self.fail(error))?;
        for agent in agents {
            let place = async |offset, before: Timestamp| {
                runs::beyond(&self.readers, &agent, offset, before.as_microsecond())
                    .await
                    .map_err(|error| self.fail(error))
            };
            let old = place(keep.runs_per_agent, keep.runs_since).await?;
            let many = place(keep.runs_per_agent_max, Timestamp::MAX).await?;
            if let Some(last) = old.max(many) {
                let operation = || PruneRuns {
                    agent: agent.clone(),
                    last,
                };
                pruned.runs += self.until_none(operation).await?;
            }
        }
        // First what needs no room and makes some.
        pruned.artifacts = self.sweep_all().await?;
        let before = events::first_since(&self.readers, keep.events_since.as_microsecond())
            .await
            .map_err(|error| self.fail(error))?;
        pruned.events = self.until_none(|| PruneEvents { before }).await?;
        let before = keep.effects_since.as_microsecond();
        pruned.effects = self.until_none(|| PruneEffects { before }).await?;
        let before = keep.occurrences_since.as_microsecond();
        pruned.occurrences = self.until_none(|| PruneOccurrences { before }).await?;
        let executions = keep.executions_per_pipeline;
        pruned.executions = self
            .until_none(|| PruneExecutions { keep: executions })
            .await?;
        let before = keep.checks_since.as_microsecond();
        pruned.checks = self.until_none(|| PruneChecks { before }).await?;
        let before = keep.alerts_since.as_microsecond();
        let now = crate::model::now().as_microsecond();
        pruned.alerts = self.until_none(|| PruneAlerts { before, now }).await?;
        let before = keep.logs_since.as_microsecond();
        pruned.logs = self.until_none(|| PruneLogs { before }).await?;
        self.writer.write(PruneCounts { before }).await?;
        self.until_none(|| PruneOffenders).await?;
        let mut after = 0;
        loop {
            let before = keep.logs_hot_since.as_microsecond();
            let (pieces, last) = retention::next_pieces(&self.readers, before, after)
                .await
                .map_err(|error| self.fail(error))?;
            let Some(last) = last else { break };
            after = last;
            pruned.compressed += pieces.len() as u64;
            self.writer.write(Compress(pieces)).await?;
        }
        Ok(pruned)
    }

    async fn close(&self) -> Result<(), StoreError> {
        let Some(task) = self.task.lock().await.take() else {
            return Ok(());
        };
        // The readers first, as the last connection to go folds and removes the write-ahead log, and only the writer can.
        self.readers.close().await;
        self.writer.close();
        task.await.unwrap_or(Err(StoreError::Closed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_over_a_network_are_known() {
        assert_eq!(remote(0x6969), Some("nfs"));
        // ext4, tmpfs, overlay
        for local in [0xef53, 0x0102_1994, 0x794c_7630] {
            assert_eq!(remote(local), None);
        }
    }
}
