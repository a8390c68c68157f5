//! Keeps API keys, and what is remembered of clients that failed.
//!
//! Invariant: of two writes about one client the later one stays, in whichever order they come.

use async_trait::async_trait;
use sqlx::{Row, SqliteConnection, SqlitePool};
use uuid::Uuid;

use super::events::{EventRow, insert_event};
use super::rows;
use super::writer::{Failure, Operation};
use super::{KeyRow, OffenderRow, SealedRow};
use crate::audit::seal::Sealer;

/// Clients that are kept: as many as are held in memory.
const OFFENDERS_MAX: u32 = 100_000;

/// Writes keys and removes others, with what is announced of it.
pub(super) struct PutKeys {
    pub(super) keys: Vec<KeyRow>,
    pub(super) removed: Vec<Uuid>,
    pub(super) event: EventRow,
}

#[async_trait]
impl Operation for PutKeys {
    type Answer = ();

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<(), Failure> {
        for row in &self.keys {
            sqlx::query(
                "INSERT INTO api_keys (id, digest, key) VALUES (?1, ?2, ?3) \
                 ON CONFLICT (id) DO UPDATE SET key = ?3",
            )
            .bind(&row.key.id.as_bytes()[..])
            .bind(&row.digest[..])
            .bind(rows::to_json(&row.key)?)
            .execute(&mut *connection)
            .await?;
        }
        for id in &self.removed {
            sqlx::query("DELETE FROM api_keys WHERE id = ?")
                .bind(&id.as_bytes()[..])
                .execute(&mut *connection)
                .await?;
        }
        insert_event(connection, &self.event).await?;
        Ok(())
    }
}

pub(super) async fn keys(pool: &SqlitePool) -> Result<Vec<KeyRow>, sqlx::Error> {
    let found = sqlx::query("SELECT digest, key FROM api_keys")
        .fetch_all(pool)
        .await?;
    found
        .iter()
        .map(|row| {
            let digest: Vec<u8> = row.try_get(0)?;
            Ok(KeyRow {
                digest: digest
                    .try_into()
                    .map_err(|_| sqlx::Error::Decode("a digest has another length".into()))?,
                key: rows::from_json(row.try_get(1)?)?,
            })
        })
        .collect()
}

/// Seals and keeps things and removes others, with what is announced of it.
pub(super) struct PutSealed {
    pub(super) kind: &'static str,
    pub(super) rows: Vec<(Uuid, Vec<u8>)>,
    pub(super) removed: Vec<Uuid>,
    pub(super) events: Vec<EventRow>,
}

impl PutSealed {
    pub(super) fn new(
        sealer: &Sealer,
        kind: &'static str,
        rows: Vec<SealedRow>,
        removed: Vec<Uuid>,
        events: Vec<EventRow>,
    ) -> std::io::Result<Self> {
        let seal = |row: SealedRow| {
            let sealed = sealer.protect(&place(kind, row.id), &row.content)?;
            Ok((row.id, sealed))
        };
        Ok(Self {
            kind,
            rows: rows.into_iter().map(seal).collect::<std::io::Result<_>>()?,
            removed,
            events,
        })
    }
}

fn place(kind: &str, id: Uuid) -> Vec<u8> {
    [kind.as_bytes(), &[0], id.as_bytes()].concat()
}

#[async_trait]
impl Operation for PutSealed {
    type Answer = ();

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<(), Failure> {
        for (id, content) in &self.rows {
            sqlx::query(
                "INSERT INTO sealed (kind, id, content) VALUES (?1, ?2, ?3) \
                 ON CONFLICT (kind, id) DO UPDATE SET content = ?3",
            )
            .bind(self.kind)
            .bind(&id.as_bytes()[..])
            .bind(content)
            .execute(&mut *connection)
            .await?;
        }
        for id in &self.removed {
            sqlx::query("DELETE FROM sealed WHERE kind = ? AND id = ?")
                .bind(self.kind)
                .bind(&id.as_bytes()[..])
                .execute(&mut *connection)
                .await?;
        }
        for event in &self.events {
            insert_event(connection, event).await?;
        }
        Ok(())
    }
}

pub(super) async fn sealed(
    pool: &SqlitePool,
    sealer: &Sealer,
    kind: &'static str,
) -> Result<Vec<SealedRow>, sqlx::Error> {
    let found = sqlx::query("SELECT id, content FROM sealed WHERE kind = ?")
        .bind(kind)
        .fetch_all(pool)
        .await?;
    let mut rows = Vec::new();
    for row in found {
        let id: Vec<u8> = row.try_get(0)?;
        let id = Uuid::from_slice(&id).map_err(|error| sqlx::Error::Decode(error.into()))?;
        let content: Vec<u8> = row.try_get(1)?;
        match sealer.open_sealed(&place(kind, id), &content) {
            Ok(content) => rows.push(SealedRow { id, content }),
            Err(error) => tracing::error!("the {kind} `{id}` is not used: {error}"),
        }
    }
    Ok(rows)
}

/// Writes what is remembered of clients, with what is announced of it.
pub(super) struct PutOffenders {
    pub(super) rows: Vec<OffenderRow>,
    pub(super) at: i64,
    pub(super) events: Vec<EventRow>,
}

#[async_trait]
impl Operation for PutOffenders {
    type Answer = ();

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<(), Failure> {
        for row in &self.rows {
            sqlx::query(
                "INSERT INTO offenders (subject, version, offender, changed_at) VALUES (?1, ?2, ?3, ?4) \
                 ON CONFLICT (subject) DO UPDATE SET version = ?2, offender = ?3, changed_at = ?4 \
                 WHERE version < ?2",
            )
            .bind(&row.subject)
            .bind(row.version)
            .bind(rows::to_json(&row.offender)?)
            .bind(self.at)
            .execute(&mut *connection)
            .await?;
        }
        for event in &self.events {
            insert_event(connection, event).await?;
        }
        Ok(())
    }
}

/// What is remembered of clients, who was quiet longest first. Bans come whole.
pub(super) async fn offenders(pool: &SqlitePool) -> Result<Vec<OffenderRow>, sqlx::Error> {
    let found = sqlx::query(
        "SELECT subject, version, offender FROM (SELECT * FROM offenders ORDER BY changed_at DESC LIMIT +?) \
         ORDER BY changed_at",
    )
    .bind(OFFENDERS_MAX)
    .fetch_all(pool)
    .await?;
    found
        .iter()
        .map(|row| {
            Ok(OffenderRow {
                subject: row.try_get(0)?,
                version: row.try_get(1)?,
                offender: rows::from_json(row.try_get(2)?)?,
            })
        })
        .collect()
}

/// Removes clients beyond those that are kept, of whom nothing was heard longest, and answers how many.
pub(super) struct PruneOffenders;

#[async_trait]
impl Operation for PruneOffenders {
    type Answer = u64;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<u64, Failure> {
        let removed = sqlx::query(
            "DELETE FROM offenders WHERE subject IN (SELECT subject FROM offenders \
             WHERE json_extract(offender, '$.banned_at') IS NULL \
             ORDER BY changed_at DESC LIMIT 500 OFFSET +?)",
        )
        .bind(OFFENDERS_MAX)
        .execute(connection)
        .await?;
        Ok(removed.rows_affected())
    }
}
