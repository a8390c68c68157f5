//! Turns versions of the configuration into rows, and pages of them back.

use async_trait::async_trait;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection, SqlitePool};

use super::cursor::Position;
use super::events::{EventRow, insert_event};
use super::rows;
use super::writer::{Failure, Operation};
use crate::reload::ConfigVersion;

/// Versions that are kept: who looks for what broke yesterday finds it, and texts of a mebibyte take no more than 100 MiB.
const VERSIONS_MAX: u32 = 100;

/// Records a version with what is announced of it, and forgets the oldest.
pub(super) struct PutVersion {
    pub(super) at: i64,
    pub(super) text: String,
    pub(super) record: String,
    pub(super) events: Vec<EventRow>,
}

#[async_trait]
impl Operation for PutVersion {
    type Answer = u64;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<u64, Failure> {
        let number: i64 = sqlx::query_scalar(
            "INSERT INTO config_versions (at, text, record) VALUES (?1, ?2, ?3) RETURNING number",
        )
        .bind(self.at)
        .bind(&self.text)
        .bind(&self.record)
        .fetch_one(&mut *connection)
        .await?;
        sqlx::query("DELETE FROM config_versions WHERE number <= ?1 - ?2")
            .bind(number)
            .bind(VERSIONS_MAX)
            .execute(&mut *connection)
            .await?;
        for event in &self.events {
            insert_event(connection, event).await?;
        }
        Ok(u64::try_from(number).unwrap_or(0))
    }
}

/// Writes what became of a version since.
pub(super) struct UpdateVersion {
    pub(super) number: i64,
    pub(super) record: String,
    pub(super) events: Vec<EventRow>,
}

#[async_trait]
impl Operation for UpdateVersion {
    type Answer = ();

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<(), Failure> {
        sqlx::query("UPDATE config_versions SET record = ?2 WHERE number = ?1")
            .bind(self.number)
            .bind(&self.record)
            .execute(&mut *connection)
            .await?;
        for event in &self.events {
            insert_event(connection, event).await?;
        }
        Ok(())
    }
}

fn version(row: &SqliteRow) -> Result<(Position, ConfigVersion), sqlx::Error> {
    let number: i64 = row.try_get(0)?;
    let mut version: ConfigVersion = rows::from_json(row.try_get(1)?)?;
    version.number = u64::try_from(number).unwrap_or(0);
    Ok(((number, number), version))
}

/// A version and its text.
pub(super) async fn one(
    pool: &SqlitePool,
    number: u64,
) -> Result<Option<(ConfigVersion, String)>, sqlx::Error> {
    let row = sqlx::query("SELECT number, record, text FROM config_versions WHERE number = ?")
        .bind(i64::try_from(number).unwrap_or(i64::MAX))
        .fetch_optional(pool)
        .await?;
    row.map(|row| Ok((version(&row)?.1, row.try_get(2)?)))
        .transpose()
}

/// The versions that come after `position`, newest first, each with its own position.
pub(super) async fn page(
    pool: &SqlitePool,
    position: Option<Position>,
    limit: i64,
) -> Result<Vec<(Position, ConfigVersion)>, sqlx::Error> {
    let before = position.map_or(i64::MAX, |(number, _)| number);
    let found = sqlx::query(
        "SELECT number, record FROM config_versions WHERE number < ?1 ORDER BY number DESC LIMIT +?2",
    )
    .bind(before)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    found.iter().map(version).collect()
}
