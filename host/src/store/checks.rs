//! Turns judgements of code into rows, and pages of them back.
//!
//! Invariant: a check gets its verdict once.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection, SqlitePool};
use uuid::Uuid;

use super::cursor::Position;
use super::events::{EventRow, insert_event};
use super::rows;
use super::writer::{Failure, Operation};
use crate::checks::{Check, CheckVerdict};

/// Checks removed by one operation: some milliseconds of the writer's time.
const PRUNE_STEP: u32 = 200;

fn word(verdict: CheckVerdict) -> &'static str {
    match verdict {
        CheckVerdict::Passed => "passed",
        CheckVerdict::Failed => "failed",
        CheckVerdict::Error => "error",
        CheckVerdict::Flaky => "flaky",
    }
}

/// Records checks, or their verdicts, with what is announced of them.
pub(super) struct PutChecks {
    pub(super) checks: Vec<(Check, String)>,
    pub(super) events: Vec<EventRow>,
}

#[async_trait]
impl Operation for PutChecks {
    type Answer = ();

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<(), Failure> {
        for (check, record) in &self.checks {
            sqlx::query(
                "INSERT INTO checks (id, verdict, created_at, record) VALUES (?1, ?2, ?3, ?4) \
                 ON CONFLICT (id) DO UPDATE SET verdict = ?2, record = ?4 WHERE verdict IS NULL",
            )
            .bind(&check.id.as_bytes()[..])
            .bind(check.verdict.map(word))
            .bind(check.created_at.as_microsecond())
            .bind(record)
            .execute(&mut *connection)
            .await?;
        }
        for event in &self.events {
            insert_event(connection, event).await?;
        }
        Ok(())
    }
}

/// Removes some of the oldest checks that were handed in before a moment, and answers how many.
pub(super) struct PruneChecks {
    pub(super) before: i64,
}

#[async_trait]
impl Operation for PruneChecks {
    type Answer = u64;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<u64, Failure> {
        let removed = sqlx::query(
            "DELETE FROM checks WHERE seq IN (SELECT seq FROM checks INDEXED BY checks_by_time \
             WHERE created_at < ?1 AND verdict IS NOT NULL LIMIT +?2)",
        )
        .bind(self.before)
        .bind(PRUNE_STEP)
        .execute(connection)
        .await?;
        Ok(removed.rows_affected())
    }
}

fn check(row: &SqliteRow) -> Result<(Position, Check), sqlx::Error> {
    Ok((
        (row.try_get(0)?, row.try_get(1)?),
        rows::from_json(row.try_get(2)?)?,
    ))
}

pub(super) async fn one(pool: &SqlitePool, id: Uuid) -> Result<Option<Check>, sqlx::Error> {
    let row = sqlx::query("SELECT created_at, seq, record FROM checks WHERE id = ?")
        .bind(&id.as_bytes()[..])
        .fetch_optional(pool)
        .await?;
    row.map(|row| Ok(check(&row)?.1)).transpose()
}

/// Those without a verdict, oldest first.
pub(super) async fn open(pool: &SqlitePool) -> Result<Vec<Check>, sqlx::Error> {
    let found = sqlx::query(
        "SELECT created_at, seq, record FROM checks INDEXED BY checks_by_verdict \
         WHERE verdict IS NULL ORDER BY created_at, seq",
    )
    .fetch_all(pool)
    .await?;
    found.iter().map(|row| Ok(check(row)?.1)).collect()
}

/// The checks that come after `position`, newest first, each with its own position.
pub(super) async fn page(
    pool: &SqlitePool,
    verdict: Option<CheckVerdict>,
    position: Option<Position>,
    limit: i64,
) -> Result<Vec<(Position, Check)>, sqlx::Error> {
    let (before, before_seq) = position.unwrap_or((i64::MAX, 0));
    let found = match verdict {
        Some(verdict) => {
            sqlx::query(
                "SELECT created_at, seq, record FROM checks INDEXED BY checks_by_verdict \
                 WHERE verdict = ?4 AND (created_at, seq) < (?1, ?2) \
                 ORDER BY created_at DESC, seq DESC LIMIT +?3",
            )
            .bind(before)
            .bind(before_seq)
            .bind(limit)
            .bind(word(verdict))
            .fetch_all(pool)
            .await?
        }
        None => {
            sqlx::query(
                "SELECT created_at, seq, record FROM checks INDEXED BY checks_by_time \
                 WHERE (created_at, seq) < (?1, ?2) ORDER BY created_at DESC, seq DESC LIMIT +?3",
            )
            .bind(before)
            .bind(before_seq)
            .bind(limit)
            .fetch_all(pool)
            .await?
        }
    };
    found.iter().map(check).collect()
}
