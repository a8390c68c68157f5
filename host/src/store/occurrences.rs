//! Turns moments at which agents were due into the ledger: one row each, written once.
//!
//! Invariant: a moment of an agent has one row, and if it started a run both are written together.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection, SqlitePool};
use uuid::Uuid;

use super::cursor::Position;
use super::rows;
use super::runs::CreateRun;
use super::writer::{Failure, Operation};
use super::{OccurrenceFilter, StoreError};
use crate::model::{Occurrence, OccurrenceResult};

/// Rows removed by one operation: some milliseconds of the writer's time.
const PRUNE_STEP: u32 = 1_000;

/// Writes a row; 0 rows affected when the moment has one.
pub(super) async fn insert(
    connection: &mut SqliteConnection,
    occurrence: &Occurrence,
) -> Result<u64, sqlx::Error> {
    let inserted = sqlx::query(
        "INSERT INTO occurrences (agent, due_at, until, moments, result, reason, late_us, run, \
         recorded_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
    )
    .bind(&occurrence.agent)
    .bind(occurrence.due_at.as_microsecond())
    .bind(occurrence.until.as_microsecond())
    .bind(rows::integer(occurrence.moments))
    .bind(result(occurrence.result))
    .bind(&occurrence.reason)
    .bind(occurrence.late_us.map(rows::integer))
    .bind(occurrence.run.map(|run| run.as_bytes().to_vec()))
    .bind(occurrence.recorded_at.as_microsecond())
    .execute(connection)
    .await?;
    Ok(inserted.rows_affected())
}

fn result(result: OccurrenceResult) -> &'static str {
    match result {
        OccurrenceResult::Fired => "fired",
        OccurrenceResult::Coalesced => "coalesced",
        OccurrenceResult::Skipped => "skipped",
        OccurrenceResult::Missed => "missed",
    }
}

/// A moment and the run that it starts.
pub(super) struct Fire {
    pub(super) create: CreateRun,
    pub(super) occurrence: Occurrence,
}

#[async_trait]
impl Operation for Fire {
    type Answer = ();

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<(), Failure> {
        // The run first: it refuses before anything changes.
        self.create.apply(connection).await?;
        if insert(connection, &self.occurrence).await? == 0 {
            // A moment that was given up on does not come back; the run goes with the transaction.
            return Err(sqlx::Error::RowNotFound.into());
        }
        Ok(())
    }
}

/// Moments without a run. Those that have a row keep it.
pub(super) struct Note(pub(super) Vec<Occurrence>);

#[async_trait]
impl Operation for Note {
    type Answer = ();

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<(), Failure> {
        for occurrence in &self.0 {
            insert(connection, occurrence).await?;
        }
        Ok(())
    }
}

/// Removes some rows from before a moment and answers how many.
pub(super) struct PruneOccurrences {
    pub(super) before: i64,
}

#[async_trait]
impl Operation for PruneOccurrences {
    type Answer = u64;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<u64, Failure> {
        let removed = sqlx::query(
            "DELETE FROM occurrences WHERE seq IN \
             (SELECT seq FROM occurrences WHERE due_at < ?1 ORDER BY due_at LIMIT +?2)",
        )
        .bind(self.before)
        .bind(PRUNE_STEP)
        .execute(connection)
        .await?;
        Ok(removed.rows_affected())
    }
}

macro_rules! page_of_occurrences {
    ($index:literal, $condition:literal) => {
        concat!(
            "SELECT seq, agent, due_at, until, moments, result, reason, late_us, run, recorded_at \
             FROM occurrences INDEXED BY ",
            $index,
            " WHERE ",
            $condition,
            " AND (due_at, seq) < (?1, ?2) AND due_at >= ?3 \
             AND (?4 IS NULL OR agent = ?4) AND (?5 IS NULL OR result = ?5) \
             ORDER BY due_at DESC, seq DESC LIMIT +?6"
        )
    };
}

/// The moments of `filter` that come after `position`, newest first, each with its own position.
pub(super) async fn page(
    pool: &SqlitePool,
    filter: &OccurrenceFilter,
    position: Option<Position>,
    limit: i64,
) -> Result<Vec<(Position, Occurrence)>, sqlx::Error> {
    let until = filter
        .until
        .map_or(i64::MAX, jiff::Timestamp::as_microsecond);
    let (before, before_seq) = position.map_or((until, 0), |position| position.min((until, 0)));
    let sql = match filter {
        OccurrenceFilter { agent: Some(_), .. } => {
            page_of_occurrences!("sqlite_autoindex_occurrences_1", "agent = ?4")
        }
        OccurrenceFilter {
            result: Some(found),
            ..
        } if *found != OccurrenceResult::Fired => {
            page_of_occurrences!("occurrences_by_result", "result = ?5 AND result <> 'fired'")
        }
        _ => page_of_occurrences!("occurrences_by_time", "true"),
    };
    let found = sqlx::query(sql)
        .bind(before)
        .bind(before_seq)
        .bind(
            filter
                .since
                .map_or(i64::MIN, jiff::Timestamp::as_microsecond),
        )
        .bind(&filter.agent)
        .bind(filter.result.map(result))
        .bind(limit)
        .fetch_all(pool)
        .await?;
    found.iter().map(occurrence).collect()
}

fn occurrence(row: &SqliteRow) -> Result<(Position, Occurrence), sqlx::Error> {
    let run: Option<Vec<u8>> = row.try_get(8)?;
    let late: Option<i64> = row.try_get(7)?;
    let occurrence = Occurrence {
        agent: row.try_get(1)?,
        due_at: rows::time(row.try_get(2)?)?,
        until: rows::time(row.try_get(3)?)?,
        moments: rows::count(row, 4)?,
        result: rows::word(row.try_get(5)?)?,
        reason: row.try_get(6)?,
        late_us: late.map(|late| u64::try_from(late).unwrap_or(0)),
        run: run
            .map(|run| Uuid::from_slice(&run).map_err(rows::decode))
            .transpose()?,
        recorded_at: rows::time(row.try_get(9)?)?,
    };
    Ok(((row.try_get(2)?, row.try_get(0)?), occurrence))
}

/// A failed fire in words: the moment has a row already.
pub(super) fn taken(error: StoreError, run: Uuid) -> StoreError {
    match error {
        StoreError::Database { source, .. } if matches!(*source, sqlx::Error::RowNotFound) => {
            StoreError::Duplicate { run }
        }
        error => error,
    }
}
