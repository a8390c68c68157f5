//! Turns the life of a pipeline's execution into its row, and pages of them back.
//!
//! Invariant: a pipeline has one execution in progress at most, and an execution ends once.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection, SqlitePool};
use uuid::Uuid;

use super::cursor::Position;
use super::events::{EventRow, insert_event};
use super::occurrences::insert as insert_occurrence;
use super::rows;
use super::writer::{Failure, Operation};
use super::{ExecutionTotals, StoreError};
use crate::model::{Execution, ExecutionState, Occurrence, Principal};

/// Executions removed by one operation: some milliseconds of the writer's time.
const PRUNE_STEP: u32 = 200;

fn state(state: ExecutionState) -> &'static str {
    match state {
        ExecutionState::Running => "running",
        ExecutionState::Succeeded => "succeeded",
        ExecutionState::Failed => "failed",
        ExecutionState::Cancelled => "cancelled",
    }
}

/// A new execution, and the moment that starts it if one does: both or neither. Answers the number of the cycle.
pub(super) struct Begin {
    pub(super) execution: Execution,
    pub(super) steps: String,
    pub(super) moment: Option<Occurrence>,
}

#[async_trait]
impl Operation for Begin {
    type Answer = u64;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<u64, Failure> {
        let execution = &self.execution;
        let running =
            sqlx::query("SELECT id FROM executions WHERE pipeline = ? AND state = 'running'")
                .bind(&execution.pipeline)
                .fetch_all(&mut *connection)
                .await?;
        if let Some(running) = running.first() {
            return Err(StoreError::Duplicate {
                run: rows::id(running, 0)?,
            }
            .into());
        }
        let inserted = sqlx::query(
            "INSERT INTO executions (id, pipeline, config_digest, principal_kind, principal_name, \
             trigger_kind, state, steps, created_at) VALUES (?, ?, ?, ?, ?, ?, 'running', ?, ?)",
        )
        .bind(&execution.id.as_bytes()[..])
        .bind(&execution.pipeline)
        .bind(&execution.config_digest)
        .bind(&execution.principal.kind)
        .bind(&execution.principal.name)
        .bind(rows::trigger(execution.trigger))
        .bind(&self.steps)
        .bind(execution.created_at.as_microsecond())
        .execute(&mut *connection)
        .await?;
        if let Some(moment) = &self.moment
            && insert_occurrence(connection, moment).await? == 0
        {
            // The moment was decided on before; the execution goes with the transaction.
            return Err(sqlx::Error::RowNotFound.into());
        }
        Ok(u64::try_from(inserted.last_insert_rowid()).unwrap_or(0))
    }
}

/// What changed in an execution, with the events that say so.
pub(super) struct Update {
    pub(super) execution: Execution,
    pub(super) steps: String,
    pub(super) events: Vec<EventRow>,
}

#[async_trait]
impl Operation for Update {
    type Answer = bool;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<bool, Failure> {
        let execution = &self.execution;
        let updated = sqlx::query(
            "UPDATE executions SET state = ?2, error = ?3, steps = ?4, ended_at = ?5 \
             WHERE id = ?1 AND state = 'running'",
        )
        .bind(&execution.id.as_bytes()[..])
        .bind(state(execution.state))
        .bind(&execution.error)
        .bind(&self.steps)
        .bind(execution.ended_at.map(jiff::Timestamp::as_microsecond))
        .execute(&mut *connection)
        .await?;
        if updated.rows_affected() == 0 {
            return Ok(false);
        }
        for event in &self.events {
            insert_event(connection, event).await?;
        }
        Ok(true)
    }
}

/// Removes some of the oldest executions beyond those to be kept of each pipeline, and answers how many.
pub(super) struct PruneExecutions {
    pub(super) keep: u32,
}

#[async_trait]
impl Operation for PruneExecutions {
    type Answer = u64;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<u64, Failure> {
        let removed = sqlx::query(
            "DELETE FROM executions WHERE seq IN (SELECT seq FROM (SELECT seq, state, row_number() \
             OVER (PARTITION BY pipeline ORDER BY created_at DESC, seq DESC) AS place FROM executions) \
             WHERE place > ?1 AND state <> 'running' LIMIT +?2)",
        )
        .bind(self.keep)
        .bind(PRUNE_STEP)
        .execute(connection)
        .await?;
        Ok(removed.rows_affected())
    }
}

macro_rules! execution_columns {
    () => {
        "seq, id, pipeline, config_digest, principal_kind, principal_name, trigger_kind, state, \
         error, steps, created_at, ended_at"
    };
}

fn execution(row: &SqliteRow) -> Result<(Position, Execution), sqlx::Error> {
    let execution = Execution {
        cycle: rows::count(row, 0)?,
        id: rows::id(row, 1)?,
        pipeline: row.try_get(2)?,
        config_digest: row.try_get(3)?,
        principal: Principal {
            kind: row.try_get(4)?,
            name: row.try_get(5)?,
        },
        trigger: rows::word(row.try_get(6)?)?,
        state: rows::word(row.try_get(7)?)?,
        error: row.try_get(8)?,
        steps: rows::from_json(row.try_get(9)?)?,
        created_at: rows::time(row.try_get(10)?)?,
        ended_at: rows::optional_time(row, 11)?,
    };
    Ok(((row.try_get(10)?, row.try_get(0)?), execution))
}

pub(super) async fn one(pool: &SqlitePool, id: Uuid) -> Result<Option<Execution>, sqlx::Error> {
    let row = sqlx::query(concat!(
        "SELECT ",
        execution_columns!(),
        " FROM executions WHERE id = ?"
    ))
    .bind(&id.as_bytes()[..])
    .fetch_optional(pool)
    .await?;
    row.map(|row| Ok(execution(&row)?.1)).transpose()
}

pub(super) async fn running(pool: &SqlitePool) -> Result<Vec<Execution>, sqlx::Error> {
    let found = sqlx::query(concat!(
        "SELECT ",
        execution_columns!(),
        " FROM executions INDEXED BY executions_running WHERE state = 'running' ORDER BY seq"
    ))
    .fetch_all(pool)
    .await?;
    found.iter().map(|row| Ok(execution(row)?.1)).collect()
}

/// The executions of a pipeline that come after `position`, newest first, each with its own position.
pub(super) async fn page(
    pool: &SqlitePool,
    pipeline: &str,
    position: Option<Position>,
    limit: i64,
) -> Result<Vec<(Position, Execution)>, sqlx::Error> {
    let (before, before_seq) = position.unwrap_or((i64::MAX, 0));
    let found = sqlx::query(concat!(
        "SELECT ",
        execution_columns!(),
        " FROM executions INDEXED BY executions_by_pipeline WHERE pipeline = ?1 \
         AND (created_at, seq) < (?2, ?3) ORDER BY created_at DESC, seq DESC LIMIT +?4"
    ))
    .bind(pipeline)
    .bind(before)
    .bind(before_seq)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    found.iter().map(execution).collect()
}

/// What became of a pipeline's executions that are kept.
pub(super) async fn totals(
    pool: &SqlitePool,
    pipeline: &str,
) -> Result<ExecutionTotals, sqlx::Error> {
    let row = sqlx::query(
        "SELECT count(*), coalesce(sum(state = 'succeeded'), 0), coalesce(sum(state = 'failed'), 0), \
         coalesce(sum(state = 'cancelled'), 0), coalesce(cast(avg(ended_at - created_at) AS INTEGER), 0), \
         coalesce(max(ended_at - created_at), 0) FROM executions WHERE pipeline = ?",
    )
    .bind(pipeline)
    .fetch_one(pool)
    .await?;
    Ok(ExecutionTotals {
        executions: rows::count(&row, 0)?,
        succeeded: rows::count(&row, 1)?,
        failed: rows::count(&row, 2)?,
        cancelled: rows::count(&row, 3)?,
        mean_us: rows::count(&row, 4)?,
        longest_us: rows::count(&row, 5)?,
    })
}
