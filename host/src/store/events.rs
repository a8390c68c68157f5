//! Turns events into a feed that can be read on from any place in it, and keeps the host's flags.
//!
//! Invariant: an event's place is higher than that of every event committed before it, so a reader who goes on from a place misses none.

use std::collections::BTreeMap;

use async_trait::async_trait;
use aws_lc_rs::digest;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection, SqlitePool};

use super::rows;
use super::runs::SqliteQuery;
use super::writer::{Failure, Operation};
use crate::model::{Event, SpecVersion};

/// Events removed by one operation: some milliseconds of the writer's time.
const PRUNE_STEP: u32 = 1_000;

/// Writes an [`EventRow`]. One that is there already is passed over.
pub(super) const INSERT_EVENT: &str = "INSERT INTO events (id, kind, source, subject, time, data, source_id, hops) \
    VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING";

/// What makes an event unique, in 16 bytes.
fn key(event: &Event) -> [u8; 16] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(event.source.as_bytes());
    context.update(&[0]);
    context.update(event.id.as_bytes());
    let mut key = [0; 16];
    for (to, from) in key.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    key
}

/// An event, ready to be written.
pub(super) struct EventRow {
    event: Event,
    data: String,
    key: [u8; 16],
}

impl EventRow {
    pub(super) fn new(event: Event) -> Result<Self, sqlx::Error> {
        Ok(Self {
            data: rows::to_json(&event.data)?,
            key: key(&event),
            event,
        })
    }

    pub(super) fn bind<'q>(&'q self, query: SqliteQuery<'q>) -> SqliteQuery<'q> {
        let event = &self.event;
        query
            .bind(&self.key[..])
            .bind(&event.kind)
            .bind(&event.source)
            .bind(&event.subject)
            .bind(event.time.as_microsecond())
            .bind(&self.data)
            .bind(&event.id)
            .bind(i64::from(event.hops))
    }
}

#[async_trait]
impl Operation for EventRow {
    /// Whether it is new.
    type Answer = bool;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<bool, Failure> {
        Ok(insert_event(connection, self).await?)
    }
}

pub(super) async fn insert_event(
    connection: &mut SqliteConnection,
    row: &EventRow,
) -> Result<bool, sqlx::Error> {
    let inserted = row
        .bind(sqlx::query(INSERT_EVENT))
        .execute(connection)
        .await?;
    Ok(inserted.rows_affected() == 1)
}

/// Removes some events with a place below `before` and answers how many; 0 when none is left.
pub(super) struct PruneEvents {
    pub(super) before: i64,
}

#[async_trait]
impl Operation for PruneEvents {
    type Answer = u64;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<u64, Failure> {
        let removed = sqlx::query(
            "DELETE FROM events WHERE seq IN \
             (SELECT seq FROM events WHERE seq < ?1 ORDER BY seq LIMIT +?2)",
        )
        .bind(self.before)
        .bind(PRUNE_STEP)
        .execute(connection)
        .await?;
        Ok(removed.rows_affected())
    }
}

/// The place of the first event at `microseconds` or later; the one after the last if there is none.
pub(super) async fn first_since(pool: &SqlitePool, microseconds: i64) -> Result<i64, sqlx::Error> {
    let first: Option<i64> = sqlx::query_scalar(
        "SELECT coalesce((SELECT seq FROM events WHERE time >= ? ORDER BY seq LIMIT 1), \
         (SELECT seq + 1 FROM sqlite_sequence WHERE name = 'events'))",
    )
    .bind(microseconds)
    .fetch_one(pool)
    .await?;
    Ok(first.unwrap_or(0))
}

/// The place of the last event ever written; 0 before the first.
pub(super) async fn end(pool: &SqlitePool) -> Result<i64, sqlx::Error> {
    let end: Option<i64> =
        sqlx::query_scalar("SELECT seq FROM sqlite_sequence WHERE name = 'events'")
            .fetch_optional(pool)
            .await?;
    Ok(end.unwrap_or(0))
}

/// Events with a place after `after`, at most `limit`, each with its place.
pub(super) async fn page(
    pool: &SqlitePool,
    kinds: &[String],
    after: i64,
    limit: u32,
) -> Result<Vec<(i64, Event)>, sqlx::Error> {
    let mut found = Vec::new();
    if kinds.is_empty() {
        let rows = sqlx::query(
            "SELECT seq, id, kind, source, subject, time, data, source_id, hops FROM events \
             WHERE seq > ? ORDER BY seq LIMIT +?",
        )
        .bind(after)
        .bind(limit)
        .fetch_all(pool)
        .await?;
        for row in &rows {
            found.push(event(row)?);
        }
        return Ok(found);
    }
    // One moment for all kinds: else an event of an early kind could come in while a late kind is read, and be passed over.
    let mut moment = pool.begin().await?;
    for kind in kinds {
        let rows = sqlx::query(
            "SELECT seq, id, kind, source, subject, time, data, source_id, hops FROM events INDEXED BY events_by_kind \
             WHERE kind = ? AND seq > ? ORDER BY seq LIMIT +?",
        )
        .bind(kind)
        .bind(after)
        .bind(limit)
        .fetch_all(&mut *moment)
        .await?;
        for row in &rows {
            found.push(event(row)?);
        }
        found.sort_by_key(|(seq, _)| *seq);
        found.dedup_by_key(|(seq, _)| *seq);
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    }
    moment.commit().await?;
    Ok(found)
}

/// Reads events behind a place, in their order; [`placed`] is what a row of it says.
pub(super) const SINCE: &str = "SELECT seq, id, kind, source, subject, time, data, source_id, hops FROM events WHERE seq > ? ORDER BY seq";

/// Events behind a place: what a transaction wrote, before it is committed.
pub(super) async fn since(
    connection: &mut SqliteConnection,
    place: i64,
) -> Result<Vec<(i64, Event)>, sqlx::Error> {
    let found = sqlx::query(SINCE).bind(place).fetch_all(connection).await?;
    placed(&found)
}

pub(super) fn placed(rows: &[SqliteRow]) -> Result<Vec<(i64, Event)>, sqlx::Error> {
    rows.iter().map(event).collect()
}

fn event(row: &SqliteRow) -> Result<(i64, Event), sqlx::Error> {
    let mut id: String = row.try_get(7)?;
    if id.is_empty() {
        id = rows::id(row, 1)?.to_string();
    }
    let event = Event {
        specversion: SpecVersion::V1,
        id,
        kind: row.try_get(2)?,
        source: row.try_get(3)?,
        subject: row.try_get(4)?,
        time: rows::time(row.try_get(5)?)?,
        data: rows::from_json(row.try_get(6)?)?,
        hops: row.try_get(8)?,
    };
    Ok((row.try_get(0)?, event))
}

pub(super) struct SetFlag {
    pub(super) name: String,
    pub(super) value: Option<String>,
}

#[async_trait]
impl Operation for SetFlag {
    type Answer = ();

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<(), Failure> {
        match &self.value {
            Some(value) => {
                sqlx::query("INSERT OR REPLACE INTO flags (name, value) VALUES (?, ?)")
                    .bind(&self.name)
                    .bind(value)
                    .execute(connection)
                    .await?
            }
            None => {
                sqlx::query("DELETE FROM flags WHERE name = ?")
                    .bind(&self.name)
                    .execute(connection)
                    .await?
            }
        };
        Ok(())
    }
}

pub(super) async fn flags(pool: &SqlitePool) -> Result<BTreeMap<String, String>, sqlx::Error> {
    let found: Vec<(String, String)> = sqlx::query_as("SELECT name, value FROM flags")
        .fetch_all(pool)
        .await?;
    Ok(found.into_iter().collect())
}
