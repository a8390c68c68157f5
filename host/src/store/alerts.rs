//! Turns alerts and silences into rows, and pages of them back.
//!
//! Invariant: a rule has one firing alert at most. What is announced of a change is written with it.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection, SqlitePool};

use super::cursor::Position;
use super::events::{EventRow, insert_event};
use super::rows;
use super::writer::{Failure, Operation};
use super::{AlertFilter, AlertsAsked};
use crate::alerts::{Alert, AlertState, Silence};

/// Rows removed by one operation: some milliseconds of the writer's time.
const PRUNE_STEP: u32 = 200;

/// Alerts that are kept, however new: a rule that comes and goes every minute for a week.
const ALERTS_MAX: u32 = 10_000;

/// Records an alert as it is, with what is announced of it.
pub(super) struct PutAlert {
    pub(super) alert: Alert,
    pub(super) event: EventRow,
}

#[async_trait]
impl Operation for PutAlert {
    type Answer = ();

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<(), Failure> {
        let alert = &self.alert;
        let id = &alert.id.as_bytes()[..];
        let fired_at = alert.fired_at.unwrap_or(alert.since);
        // One whose end could not be recorded when it came.
        sqlx::query(
            "UPDATE alerts SET state = 'resolved', record = json_set(record, '$.state', 'resolved', '$.resolved_at', ?3) \
             WHERE rule = ?1 AND state = 'firing' AND id <> ?2",
        )
        .bind(&alert.rule)
        .bind(id)
        .bind(fired_at.to_string())
        .execute(&mut *connection)
        .await?;
        sqlx::query(
            "INSERT INTO alerts (id, rule, state, fired_at, record) VALUES (?1, ?2, ?3, ?4, ?5) \
             ON CONFLICT (id) DO UPDATE SET state = ?3, record = ?5",
        )
        .bind(id)
        .bind(&alert.rule)
        .bind(match alert.state {
            AlertState::Resolved => "resolved",
            AlertState::Pending | AlertState::Firing => "firing",
        })
        .bind(fired_at.as_microsecond())
        .bind(rows::to_json(alert)?)
        .execute(&mut *connection)
        .await?;
        insert_event(connection, &self.event).await?;
        Ok(())
    }
}

/// Silences a rule, in place of an earlier silence of it.
pub(super) struct PutSilence {
    pub(super) silence: Silence,
    pub(super) event: EventRow,
}

#[async_trait]
impl Operation for PutSilence {
    type Answer = ();

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<(), Failure> {
        sqlx::query(
            "INSERT INTO silences (rule, until, record) VALUES (?1, ?2, ?3) \
             ON CONFLICT (rule) DO UPDATE SET until = ?2, record = ?3",
        )
        .bind(&self.silence.rule)
        .bind(self.silence.until.as_microsecond())
        .bind(rows::to_json(&self.silence)?)
        .execute(&mut *connection)
        .await?;
        insert_event(connection, &self.event).await?;
        Ok(())
    }
}

/// Ends the silence of a rule, and answers whether there was one.
pub(super) struct EndSilence {
    pub(super) rule: String,
    pub(super) now: i64,
    pub(super) event: EventRow,
}

#[async_trait]
impl Operation for EndSilence {
    type Answer = bool;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<bool, Failure> {
        let removed = sqlx::query("DELETE FROM silences WHERE rule = ? AND until > ?")
            .bind(&self.rule)
            .bind(self.now)
            .execute(&mut *connection)
            .await?;
        if removed.rows_affected() == 0 {
            return Ok(false);
        }
        insert_event(connection, &self.event).await?;
        Ok(true)
    }
}

/// Removes silences that are over, and some alerts that are over and fired before a moment or are too many; answers how many alerts.
pub(super) struct PruneAlerts {
    pub(super) before: i64,
    pub(super) now: i64,
}

#[async_trait]
impl Operation for PruneAlerts {
    type Answer = u64;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<u64, Failure> {
        sqlx::query("DELETE FROM silences WHERE until <= ?")
            .bind(self.now)
            .execute(&mut *connection)
            .await?;
        let removed = sqlx::query(
            "DELETE FROM alerts WHERE state = 'resolved' AND seq IN (SELECT seq FROM alerts WHERE fired_at < ?1 \
             UNION ALL SELECT * FROM (SELECT seq FROM alerts ORDER BY fired_at DESC, seq DESC LIMIT 1000000 OFFSET +?2) \
             LIMIT +?3)",
        )
        .bind(self.before)
        .bind(ALERTS_MAX)
        .bind(PRUNE_STEP)
        .execute(connection)
        .await?;
        Ok(removed.rows_affected())
    }
}

fn alert(row: &SqliteRow) -> Result<(Position, Alert), sqlx::Error> {
    Ok((
        (row.try_get(0)?, row.try_get(1)?),
        rows::from_json(row.try_get(2)?)?,
    ))
}

macro_rules! page_of_alerts {
    ($condition:literal) => {
        concat!(
            "SELECT fired_at, seq, record FROM alerts WHERE (fired_at, seq) < (?1, ?2) AND ?4 = ?4 AND ",
            $condition,
            " ORDER BY fired_at DESC, seq DESC LIMIT +?3"
        )
    };
}

/// The alerts that come after `position`, newest first, each with its own position.
pub(super) async fn page(
    pool: &SqlitePool,
    filter: &AlertFilter,
    position: Option<Position>,
    limit: i64,
) -> Result<Vec<(Position, Alert)>, sqlx::Error> {
    let (before, before_seq) = position.unwrap_or((i64::MAX, 0));
    let sql = match filter.state {
        None => page_of_alerts!("true"),
        Some(AlertsAsked::Live) => page_of_alerts!("state = 'firing'"),
        Some(AlertsAsked::Firing) => page_of_alerts!(
            "state = 'firing' AND NOT EXISTS (SELECT 1 FROM silences WHERE silences.rule = alerts.rule AND until > ?4)"
        ),
        Some(AlertsAsked::Silenced) => page_of_alerts!(
            "state = 'firing' AND EXISTS (SELECT 1 FROM silences WHERE silences.rule = alerts.rule AND until > ?4)"
        ),
        Some(AlertsAsked::Past) => page_of_alerts!("state = 'resolved'"),
    };
    let found = sqlx::query(sql)
        .bind(before)
        .bind(before_seq)
        .bind(limit)
        .bind(filter.now.as_microsecond())
        .fetch_all(pool)
        .await?;
    found.iter().map(alert).collect()
}

/// Silences that last beyond a moment.
pub(super) async fn silences(pool: &SqlitePool, now: i64) -> Result<Vec<Silence>, sqlx::Error> {
    let found: Vec<String> =
        sqlx::query_scalar("SELECT record FROM silences WHERE until > ? ORDER BY rule")
            .bind(now)
            .fetch_all(pool)
            .await?;
    found.iter().map(|record| rows::from_json(record)).collect()
}
