//! Turns the life of a run into its rows: created, running, ended with all it left behind; and pages of them back.
//!
//! Invariant: a run ends once. Everything that needs thought or space is encoded by the caller, so that the one writer only writes.

use async_trait::async_trait;
use futures::TryStreamExt;
use jiff::Timestamp;
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, Row, Sqlite, SqliteConnection, SqlitePool};
use tokio::sync::OwnedRwLockReadGuard;
use uuid::Uuid;

use super::artifacts::ArtifactRow;
use super::cursor::Position;
use super::effects::{EffectRow, INSERT_EFFECT};
use super::events::{EventRow, INSERT_EVENT, SINCE, insert_event, placed};
use super::rows::{self, run_columns};
use super::writer::{Alone, Failure, Operation};
use super::{AgentRecord, LastRun, RunFilter, StoreError};
use crate::model::{Event, LogLine, Outcome, Report, Run, RunEnd, RunState};

/// Lines of one stored piece of a log: what a page of it reads at least.
const CHUNK_MAX_LINES: usize = 1_000;

/// Bytes after which a piece of a log ends, so that reading some lines does not read megabytes.
const CHUNK_MAX_BYTES: usize = 128 * 1024;

/// Runs removed by one operation: some milliseconds of the writer's time.
const PRUNE_STEP: u32 = 200;

/// A query that parameters are bound to.
pub(super) type SqliteQuery<'q> = Query<'q, Sqlite, SqliteArguments>;

macro_rules! insert_run {
    () => {
        "INSERT INTO runs (id, agent, plugin, plugin_digest, config_digest, principal_kind, \
         principal_name, trigger_kind, attempt, idempotency_key, state, outcome, reason, \
         message, hint, summary, findings, denials, usage, input, scheduled_at, created_at, \
         started_at, ended_at, dry_run) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, \
         ?, ?, ?, ?, ?, ?, ?)"
    };
}
const INSERT_RUN: &str = insert_run!();
const INSERT_NEW_RUN: &str = concat!(insert_run!(), " ON CONFLICT DO NOTHING");

pub(super) struct CreateRun {
    run: Run,
    denials: String,
    usage: String,
    input: String,
}

impl CreateRun {
    pub(super) fn new(run: Run) -> Result<Self, sqlx::Error> {
        Ok(Self {
            denials: rows::to_json(&run.denials)?,
            usage: rows::to_json(&run.usage)?,
            input: rows::to_json(&run.input)?,
            run,
        })
    }

    fn bind<'q>(&'q self, query: SqliteQuery<'q>) -> SqliteQuery<'q> {
        let run = &self.run;
        query
            .bind(&run.id.as_bytes()[..])
            .bind(&run.agent)
            .bind(&run.plugin)
            .bind(&run.plugin_digest)
            .bind(&run.config_digest)
            .bind(&run.principal.kind)
            .bind(&run.principal.name)
            .bind(rows::trigger(run.trigger))
            .bind(i64::from(run.attempt))
            .bind(&run.idempotency_key)
            .bind(rows::state(run.state))
            .bind(run.outcome.map(rows::outcome))
            .bind(&run.reason)
            .bind(&run.message)
            .bind(&run.hint)
            .bind(&run.summary)
            .bind(rows::integer(run.findings))
            .bind(&self.denials)
            .bind(&self.usage)
            .bind(&self.input)
            .bind(run.scheduled_at.as_microsecond())
            .bind(run.created_at.as_microsecond())
            .bind(run.started_at.map(Timestamp::as_microsecond))
            .bind(run.ended_at.map(Timestamp::as_microsecond))
            .bind(run.dry_run)
    }
}

#[async_trait]
impl Operation for CreateRun {
    type Answer = ();

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<(), Failure> {
        let run = &self.run;
        let inserted = self
            .bind(sqlx::query(INSERT_NEW_RUN))
            .execute(&mut *connection)
            .await?;
        if inserted.rows_affected() == 1 {
            return Ok(());
        }
        let there = sqlx::query(
            "SELECT id FROM runs WHERE agent = ?1 AND idempotency_key = ?2 AND attempt = ?3 \
             UNION ALL SELECT id FROM runs WHERE id = ?4",
        )
        .bind(&run.agent)
        .bind(&run.idempotency_key)
        .bind(i64::from(run.attempt))
        .bind(&run.id.as_bytes()[..])
        .fetch_all(connection)
        .await?;
        let there = there.first().ok_or(sqlx::Error::RowNotFound)?;
        Err(StoreError::Duplicate {
            run: rows::id(there, 0)?,
        }
        .into())
    }
}

pub(super) struct MarkRunning {
    pub(super) id: Uuid,
    pub(super) started_at: Timestamp,
}

#[async_trait]
impl Operation for MarkRunning {
    type Answer = bool;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<bool, Failure> {
        let updated = sqlx::query(
            "UPDATE runs SET state = 'running', started_at = ?2 WHERE id = ?1 AND state = 'queued'",
        )
        .bind(&self.id.as_bytes()[..])
        .bind(self.started_at.as_microsecond())
        .execute(&mut *connection)
        .await?;
        if updated.rows_affected() == 0 {
            require(connection, self.id).await?;
        }
        Ok(updated.rows_affected() == 1)
    }
}

/// Refuses a run that is not recorded.
async fn require(connection: &mut SqliteConnection, run: Uuid) -> Result<(), Failure> {
    let there = sqlx::query("SELECT 1 FROM runs WHERE id = ?")
        .bind(&run.as_bytes()[..])
        .fetch_optional(connection)
        .await?;
    match there {
        Some(_) => Ok(()),
        None => Err(StoreError::UnknownRun { run }.into()),
    }
}

pub(super) struct EndRun {
    run: Run,
    outcome: Outcome,
    ended_at: Timestamp,
    denials: String,
    usage: String,
    report: String,
    findings: String,
    lines: Vec<LogLine>,
    /// `lines`, for the usual run of which no line was stored before.
    chunks: Vec<Chunk>,
    artifacts: Vec<ArtifactRow>,
    events: Vec<EventRow>,
    effects: Vec<EffectRow>,
    retry: Option<CreateRun>,
    dead: bool,
    /// Keeps the artifacts' files from being pruned until rows name them.
    _files: Option<OwnedRwLockReadGuard<()>>,
}

impl EndRun {
    /// `artifacts` are the rows for those of `end`, whose files are on the disk and held by `files`.
    pub(super) fn new(
        mut end: RunEnd,
        outcome: Outcome,
        artifacts: Vec<ArtifactRow>,
        files: Option<OwnedRwLockReadGuard<()>>,
    ) -> Result<Self, sqlx::Error> {
        let mut report = end.report;
        let findings = rows::to_json(&std::mem::take(&mut report.findings))?;
        let mut events = Vec::with_capacity(end.events.len());
        for event in end.events {
            events.push(EventRow::new(event)?);
        }
        let effects = std::mem::take(&mut end.effects)
            .into_iter()
            .map(EffectRow::new)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            effects,
            outcome,
            ended_at: end.run.ended_at.unwrap_or_else(Timestamp::now),
            denials: rows::to_json(&end.run.denials)?,
            usage: rows::to_json(&end.run.usage)?,
            run: end.run,
            report: rows::to_json(&report)?,
            findings,
            chunks: chunks(&end.log, -1)?,
            lines: end.log,
            artifacts,
            events,
            retry: end.retry.map(|retry| CreateRun::new(*retry)).transpose()?,
            dead: end.dead,
            _files: files,
        })
    }
}

#[async_trait]
impl Operation for EndRun {
    type Answer = bool;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<bool, Failure> {
        let run = &self.run;
        let updated = sqlx::query(
            "UPDATE runs SET plugin_digest = ?2, config_digest = ?3, state = 'ended', \
             outcome = ?4, reason = ?5, message = ?6, hint = ?7, summary = ?8, findings = ?9, \
             denials = ?10, usage = ?11, started_at = coalesce(?12, started_at), ended_at = ?13, \
             dead = ?14 \
             WHERE id = ?1 AND state <> 'ended' \
             RETURNING seq, (SELECT last_seq FROM log_chunks WHERE run = runs.seq \
             ORDER BY first_seq DESC LIMIT 1)",
        )
        .bind(&run.id.as_bytes()[..])
        .bind(&run.plugin_digest)
        .bind(&run.config_digest)
        .bind(rows::outcome(self.outcome))
        .bind(&run.reason)
        .bind(&run.message)
        .bind(&run.hint)
        .bind(&run.summary)
        .bind(rows::integer(run.findings))
        .bind(&self.denials)
        .bind(&self.usage)
        .bind(run.started_at.map(Timestamp::as_microsecond))
        .bind(self.ended_at.as_microsecond())
        .bind(self.dead)
        // All rows rather than the first, so that the statement runs to its end.
        .fetch_all(&mut *connection)
        .await?;
        let Some(row) = updated.first() else {
            require(connection, run.id).await?;
            return Ok(false);
        };
        let seq: i64 = row.try_get(0)?;
        sqlx::query("INSERT INTO reports (run, report, findings) VALUES (?, ?, ?)")
            .bind(seq)
            .bind(&self.report)
            .bind(&self.findings)
            .execute(&mut *connection)
            .await?;
        match row.try_get::<Option<i64>, _>(1)? {
            None => insert_chunks(connection, seq, &self.chunks).await?,
            Some(last) => insert_chunks(connection, seq, &chunks(&self.lines, last)?).await?,
        }
        for artifact in &self.artifacts {
            sqlx::query(
                "INSERT OR REPLACE INTO artifacts (run, name, media_type, size, digest) \
                 VALUES (?, ?, ?, ?, ?)",
            )
            .bind(seq)
            .bind(&artifact.name)
            .bind(&artifact.media_type)
            .bind(rows::integer(artifact.size))
            .bind(&artifact.digest[..])
            .execute(&mut *connection)
            .await?;
        }
        for event in &self.events {
            insert_event(connection, event).await?;
        }
        for effect in &self.effects {
            effect.insert(connection).await?;
        }
        if let Some(retry) = &self.retry {
            match retry.apply(connection).await {
                // Recovery may have made it already.
                Ok(()) | Err(Failure::Refused(StoreError::Duplicate { .. })) => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(true)
    }
}

/// A run that ended before its row was written: one query, as each costs a change of threads.
pub(super) struct RecordRun {
    create: CreateRun,
    end: EndRun,
}

impl RecordRun {
    pub(super) fn new(end: EndRun) -> Result<Self, sqlx::Error> {
        let mut run = end.run.clone();
        run.state = RunState::Ended;
        run.outcome = Some(end.outcome);
        run.ended_at = Some(end.ended_at);
        Ok(Self {
            create: CreateRun::new(run)?,
            end,
        })
    }

    /// The statements, between others that begin and end the transaction.
    async fn execute(
        &self,
        connection: &mut SqliteConnection,
        before: &str,
        since: Option<i64>,
    ) -> Result<Vec<(i64, Event)>, Failure> {
        let end = &self.end;
        // `last_insert_rowid()` is the run's place up to the first event: a report's row has the same, and the other tables have none.
        let sql = [
            before,
            INSERT_RUN,
            "; INSERT INTO reports (run, report, findings) VALUES (last_insert_rowid(), ?, ?); ",
            &"INSERT INTO log_chunks (run, first_seq, last_seq, lines) VALUES (last_insert_rowid(), ?, ?, ?); "
                .repeat(end.chunks.len()),
            &"INSERT OR REPLACE INTO artifacts (run, name, media_type, size, digest) VALUES (last_insert_rowid(), ?, ?, ?, ?); "
                .repeat(end.artifacts.len()),
            &[INSERT_EVENT, "; "].concat().repeat(end.events.len()),
            &[INSERT_EFFECT, "; "].concat().repeat(end.effects.len()),
            if since.is_some() { SINCE } else { "" },
        ]
        .concat();
        let usual = end.chunks.len() <= 1
            && end.artifacts.is_empty()
            && end.events.len() <= 1
            && end.effects.is_empty();
        let mut query = self
            .create
            .bind(sqlx::query(AssertSqlSafe(sql)))
            .persistent(usual)
            .bind(&end.report)
            .bind(&end.findings);
        for chunk in &end.chunks {
            query = query.bind(chunk.first).bind(chunk.last).bind(&chunk.lines);
        }
        for artifact in &end.artifacts {
            query = query
                .bind(&artifact.name)
                .bind(&artifact.media_type)
                .bind(rows::integer(artifact.size))
                .bind(&artifact.digest[..]);
        }
        for event in &end.events {
            query = event.bind(query);
        }
        for effect in &end.effects {
            query = effect.bind(query);
        }
        if let Some(since) = since {
            query = query.bind(since);
        }
        match query.fetch_all(connection).await {
            Ok(rows) => Ok(placed(&rows)?),
            // Nothing of it was changed: the run comes first.
            Err(error) if rows::primary_code(&error) == Some(rows::SQLITE_CONSTRAINT) => {
                Err(StoreError::Duplicate { run: end.run.id }.into())
            }
            Err(error) => Err(error.into()),
        }
    }
}

#[async_trait]
impl Operation for RecordRun {
    type Answer = ();

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<(), Failure> {
        self.execute(connection, "", None).await.map(drop)
    }

    async fn apply_alone(
        &self,
        connection: &mut SqliteConnection,
        since: i64,
    ) -> Option<Result<Alone<()>, Failure>> {
        let written = self
            .execute(connection, "BEGIN IMMEDIATE; ", Some(since))
            .await;
        Some(written.map(|events| Alone { answer: (), events }))
    }
}

/// Takes a run from among those given up on.
pub(super) struct Bury {
    pub(super) id: Uuid,
    pub(super) next: Option<CreateRun>,
}

#[async_trait]
impl Operation for Bury {
    type Answer = bool;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<bool, Failure> {
        let dead = sqlx::query("SELECT 1 FROM runs WHERE id = ? AND dead = 1")
            .bind(&self.id.as_bytes()[..])
            .fetch_optional(&mut *connection)
            .await?;
        if dead.is_none() {
            return Ok(false);
        }
        // First, as it may refuse.
        if let Some(next) = &self.next {
            next.apply(connection).await?;
        }
        sqlx::query("UPDATE runs SET dead = 0 WHERE id = ?")
            .bind(&self.id.as_bytes()[..])
            .execute(connection)
            .await?;
        Ok(true)
    }
}

pub(super) struct AppendLog {
    pub(super) id: Uuid,
    pub(super) lines: Vec<LogLine>,
}

#[async_trait]
impl Operation for AppendLog {
    type Answer = ();

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<(), Failure> {
        let row = sqlx::query(
            "SELECT seq, state, (SELECT last_seq FROM log_chunks WHERE run = runs.seq \
             ORDER BY first_seq DESC LIMIT 1) FROM runs WHERE id = ?",
        )
        .bind(&self.id.as_bytes()[..])
        .fetch_optional(&mut *connection)
        .await?
        .ok_or(Failure::Refused(StoreError::UnknownRun { run: self.id }))?;
        if rows::word::<RunState>(row.try_get(1)?)? == RunState::Ended {
            return Ok(());
        }
        let last = row.try_get::<Option<i64>, _>(2)?.unwrap_or(-1);
        insert_chunks(connection, row.try_get(0)?, &chunks(&self.lines, last)?).await?;
        Ok(())
    }
}

/// A piece of a log.
struct Chunk {
    first: i64,
    last: i64,
    lines: String,
}

/// The lines after `last`, in pieces.
fn chunks(lines: &[LogLine], mut last: i64) -> Result<Vec<Chunk>, sqlx::Error> {
    let mut chunks: Vec<Chunk> = Vec::new();
    let mut count = 0;
    for line in lines {
        let seq = rows::integer(line.seq);
        if seq <= last {
            continue;
        }
        last = seq;
        let at = line.at.as_microsecond();
        let text = rows::to_json(&(seq, at, &line.level, &line.message))?;
        match chunks.last_mut() {
            Some(chunk) if count < CHUNK_MAX_LINES && chunk.lines.len() < CHUNK_MAX_BYTES => {
                chunk.lines.push(',');
                chunk.lines.push_str(&text);
                chunk.last = seq;
                count += 1;
            }
            _ => {
                chunks.push(Chunk {
                    first: seq,
                    last: seq,
                    lines: format!("[{text}"),
                });
                count = 1;
            }
        }
    }
    for chunk in &mut chunks {
        chunk.lines.push(']');
    }
    Ok(chunks)
}

async fn insert_chunks(
    connection: &mut SqliteConnection,
    run: i64,
    chunks: &[Chunk],
) -> Result<(), sqlx::Error> {
    for chunk in chunks {
        sqlx::query("INSERT INTO log_chunks (run, first_seq, last_seq, lines) VALUES (?, ?, ?, ?)")
            .bind(run)
            .bind(chunk.first)
            .bind(chunk.last)
            .bind(&chunk.lines)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// The place up to which an agent's ended runs need not stay: there are `offset` newer runs, and they were created before `before`.
pub(super) async fn beyond(
    pool: &SqlitePool,
    agent: &str,
    offset: u32,
    before: i64,
) -> Result<Option<(i64, i64)>, sqlx::Error> {
    let many = sqlx::query_as::<_, (i64, i64)>(
        "SELECT created_at, seq FROM runs INDEXED BY runs_by_agent \
         WHERE agent = ?1 ORDER BY created_at DESC, seq DESC LIMIT 1 OFFSET ?2",
    )
    .bind(agent)
    .bind(offset)
    .fetch_optional(pool)
    .await?;
    Ok(many.map(|place| place.min((before, 0))))
}

/// Removes some of an agent's ended runs up to a place, and answers how many; 0 when none is left.
pub(super) struct PruneRuns {
    pub(super) agent: String,
    /// When the last one to remove was created, and its number.
    pub(super) last: (i64, i64),
}

#[async_trait]
impl Operation for PruneRuns {
    type Answer = u64;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<u64, Failure> {
        let removed = sqlx::query(
            "DELETE FROM runs WHERE seq IN (SELECT seq FROM runs INDEXED BY runs_by_agent \
             WHERE agent = ?1 AND state = 'ended' AND dead = 0 AND (created_at, seq) <= (?3, ?4) \
             ORDER BY created_at, seq LIMIT +?2)",
        )
        .bind(&self.agent)
        .bind(PRUNE_STEP)
        .bind(self.last.0)
        .bind(self.last.1)
        .execute(connection)
        .await?;
        Ok(removed.rows_affected())
    }
}

pub(super) async fn run(pool: &SqlitePool, id: Uuid) -> Result<Option<Run>, sqlx::Error> {
    let row = sqlx::query(concat!(
        "SELECT ",
        run_columns!(),
        " FROM runs WHERE id = ?"
    ))
    .bind(&id.as_bytes()[..])
    .fetch_optional(pool)
    .await?;
    row.map(|row| Ok(rows::run(&row)?.1)).transpose()
}

/// The latest attempt at what a key started.
pub(super) async fn latest_attempt(
    pool: &SqlitePool,
    agent: &str,
    key: &str,
) -> Result<Option<Run>, sqlx::Error> {
    let row = sqlx::query(concat!(
        "SELECT ",
        run_columns!(),
        " FROM runs WHERE agent = ?1 AND idempotency_key = ?2 ORDER BY attempt DESC LIMIT 1"
    ))
    .bind(agent)
    .bind(key)
    .fetch_optional(pool)
    .await?;
    row.map(|row| Ok(rows::run(&row)?.1)).transpose()
}

/// A page of runs by one index, newest and oldest first. The other conditions are looked at row by row.
macro_rules! page_of_runs {
    ($index:literal, $condition:literal) => {
        (
            page_of_runs!(
                $index,
                $condition,
                " AND (created_at, seq) < (?1, ?2) AND created_at >= ?3",
                "DESC"
            ),
            page_of_runs!(
                $index,
                $condition,
                " AND (created_at, seq) > (?1, ?2) AND created_at < ?3",
                "ASC"
            ),
        )
    };
    ($index:literal, $condition:literal, $range:literal, $order:literal) => {
        concat!(
            "SELECT ",
            run_columns!(),
            " FROM runs INDEXED BY ",
            $index,
            " WHERE ",
            $condition,
            $range,
            " AND (?4 IS NULL OR agent = ?4) AND (?5 IS NULL OR plugin = ?5) \
             AND (?6 IS NULL OR (state = 'ended') = ?6) AND (?7 IS NULL OR outcome = ?7) \
             AND (?8 IS NULL OR trigger_kind = ?8) AND (?10 = 0 OR dead = 1) \
             ORDER BY created_at ",
            $order,
            ", seq ",
            $order,
            " LIMIT +?9"
        )
    };
}

/// The runs of `filter` that come after `position`, at most `limit`, each with its own position.
pub(super) async fn page(
    pool: &SqlitePool,
    filter: &RunFilter,
    position: Option<Position>,
    limit: i64,
) -> Result<Vec<(Position, Run)>, sqlx::Error> {
    let until = filter.until.map_or(i64::MAX, Timestamp::as_microsecond);
    let since = filter.since.map_or(i64::MIN, Timestamp::as_microsecond);
    // Rows count from 1, so a place 0 is before the first row of that moment.
    let ((from, from_seq), end) = if filter.ascending {
        (
            position.map_or((since, 0), |position| position.max((since, 0))),
            until,
        )
    } else {
        (
            position.map_or((until, 0), |position| position.min((until, 0))),
            since,
        )
    };
    // The index that leaves the fewest rows to look at: unfinished runs are few, and so are those that did not succeed.
    let (descending, ascending) = match filter {
        RunFilter { dead: true, .. } => page_of_runs!("runs_dead", "dead = 1"),
        RunFilter {
            ended: Some(false), ..
        } => page_of_runs!("runs_unfinished", "state <> 'ended'"),
        RunFilter {
            outcome: Some(outcome),
            ..
        } if *outcome != Outcome::Succeeded => page_of_runs!("runs_by_outcome", "outcome = ?7"),
        RunFilter { agent: Some(_), .. } => page_of_runs!("runs_by_agent", "agent = ?4"),
        RunFilter {
            plugin: Some(_), ..
        } => page_of_runs!("runs_by_plugin", "plugin = ?5"),
        _ => page_of_runs!("runs_by_time", "true"),
    };
    let sql = if filter.ascending {
        ascending
    } else {
        descending
    };
    let found = sqlx::query(sql)
        .bind(from)
        .bind(from_seq)
        .bind(end)
        .bind(&filter.agent)
        .bind(&filter.plugin)
        .bind(filter.ended)
        .bind(filter.outcome.map(rows::outcome))
        .bind(filter.trigger.map(rows::trigger))
        .bind(limit)
        .bind(filter.dead)
        .fetch_all(pool)
        .await?;
    found
        .iter()
        .map(|row| {
            let (seq, run) = rows::run(row)?;
            Ok(((run.created_at.as_microsecond(), seq), run))
        })
        .collect()
}

pub(super) async fn unfinished(pool: &SqlitePool) -> Result<Vec<Run>, sqlx::Error> {
    let found = sqlx::query(concat!(
        "SELECT ",
        run_columns!(),
        " FROM runs INDEXED BY runs_unfinished WHERE state <> 'ended' ORDER BY created_at, seq"
    ))
    .fetch_all(pool)
    .await?;
    found.iter().map(|row| Ok(rows::run(row)?.1)).collect()
}

/// The report with its findings, both as stored.
pub(super) async fn report(
    pool: &SqlitePool,
    id: Uuid,
) -> Result<Option<(String, String)>, sqlx::Error> {
    sqlx::query_as(
        "SELECT report, reports.findings FROM reports JOIN runs ON run = seq WHERE id = ?",
    )
    .bind(&id.as_bytes()[..])
    .fetch_optional(pool)
    .await
}

pub(super) fn whole_report(report: &str, findings: &str) -> Result<Report, sqlx::Error> {
    Ok(Report {
        findings: rows::from_json(findings)?,
        ..rows::from_json(report)?
    })
}

pub(super) async fn log(
    pool: &SqlitePool,
    id: Uuid,
    after: i64,
    limit: usize,
) -> Result<Vec<LogLine>, sqlx::Error> {
    let mut chunks = sqlx::query(
        "SELECT lines FROM log_chunks JOIN runs ON run = seq WHERE id = ?1 AND last_seq > ?2 \
         ORDER BY first_seq",
    )
    .bind(id.as_bytes().to_vec())
    .bind(after)
    .fetch(pool);
    let mut lines = Vec::new();
    while let Some(chunk) = chunks.try_next().await? {
        add_lines(chunk.try_get(0)?, after, limit, &mut lines)?;
        if lines.len() == limit {
            return Ok(lines);
        }
    }
    drop(chunks);
    if lines.is_empty() {
        let old: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT lines FROM old_logs JOIN runs ON run = seq WHERE id = ?")
                .bind(&id.as_bytes()[..])
                .fetch_optional(pool)
                .await?;
        if let Some(old) = old {
            let text = String::from_utf8(super::retention::unpack(&old)?).map_err(rows::decode)?;
            add_lines(&text, after, limit, &mut lines)?;
        }
    }
    Ok(lines)
}

/// Adds the lines after `after` of one stored piece, until there are `limit`.
fn add_lines(
    piece: &str,
    after: i64,
    limit: usize,
    lines: &mut Vec<LogLine>,
) -> Result<(), sqlx::Error> {
    for (seq, at, level, message) in rows::from_json::<Vec<(i64, i64, String, String)>>(piece)? {
        if seq <= after {
            continue;
        }
        if lines.len() == limit {
            break;
        }
        lines.push(LogLine {
            seq: u64::try_from(seq).map_err(rows::decode)?,
            at: rows::time(at)?,
            level,
            message,
        });
    }
    Ok(())
}

pub(super) async fn agents(pool: &SqlitePool) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT agent FROM agents ORDER BY agent")
        .fetch_all(pool)
        .await
}

pub(super) async fn agent_records(pool: &SqlitePool) -> Result<Vec<AgentRecord>, sqlx::Error> {
    let found = sqlx::query(
        "SELECT agents.agent, agents.runs, agents.last_scheduled_at, \
         (SELECT count(*) FROM (SELECT outcome FROM runs INDEXED BY runs_by_agent \
          WHERE runs.agent = agents.agent AND state = 'ended' \
          ORDER BY created_at DESC, seq DESC LIMIT 20) \
          WHERE outcome NOT IN ('succeeded', 'cancelled')), \
         last.id, last.state, last.outcome, last.ended_at \
         FROM agents LEFT JOIN runs AS last ON last.seq = \
         (SELECT seq FROM runs INDEXED BY runs_by_agent WHERE runs.agent = agents.agent \
          ORDER BY created_at DESC, seq DESC LIMIT 1) \
         ORDER BY agents.agent",
    )
    .fetch_all(pool)
    .await?;
    found
        .iter()
        .map(|row| {
            let last_run = match row.try_get::<Option<&str>, _>(5)? {
                None => None,
                Some(state) => Some(LastRun {
                    id: rows::id(row, 4)?,
                    state: rows::word(state)?,
                    outcome: row
                        .try_get::<Option<&str>, _>(6)?
                        .map(rows::word)
                        .transpose()?,
                    ended_at: rows::optional_time(row, 7)?,
                }),
            };
            Ok(AgentRecord {
                agent: row.try_get(0)?,
                runs: rows::count(row, 1)?,
                last_scheduled_at: rows::optional_time(row, 2)?,
                failures: row.try_get(3)?,
                last_run,
            })
        })
        .collect()
}
