//! Turns the words of `model` into columns, and columns back.
//!
//! A column that cannot be turned back is an error of decoding, which the store reports as damage.

use jiff::Timestamp;
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, IntoDeserializer};
use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use crate::model::{Outcome, Principal, Run, RunState, Trigger};

/// SQLite's primary result codes that the store tells apart.
pub(super) const SQLITE_IOERR: i32 = 10;
pub(super) const SQLITE_CORRUPT: i32 = 11;
pub(super) const SQLITE_FULL: i32 = 13;
pub(super) const SQLITE_CONSTRAINT: i32 = 19;
pub(super) const SQLITE_NOTADB: i32 = 26;

/// SQLite's primary result code, which is the low byte of the extended one.
pub(super) fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code = error.as_database_error()?.code()?;
    code.parse::<i32>().ok().map(|code| code & 0xff)
}

/// The columns of a run, `seq` first, in the order that [`run`] reads.
macro_rules! run_columns {
    () => {
        "runs.seq, runs.id, runs.agent, runs.plugin, runs.plugin_digest, runs.config_digest, \
         runs.principal_kind, runs.principal_name, runs.trigger_kind, runs.attempt, \
         runs.idempotency_key, runs.state, runs.outcome, runs.reason, runs.message, runs.hint, \
         runs.summary, runs.findings, runs.denials, runs.usage, runs.input, runs.scheduled_at, \
         runs.created_at, runs.started_at, runs.ended_at, runs.dry_run"
    };
}
pub(super) use run_columns;

/// A run and its `seq`.
pub(super) fn run(row: &SqliteRow) -> Result<(i64, Run), sqlx::Error> {
    let run = Run {
        id: id(row, 1)?,
        agent: row.try_get(2)?,
        plugin: row.try_get(3)?,
        plugin_digest: row.try_get(4)?,
        config_digest: row.try_get(5)?,
        principal: Principal {
            kind: row.try_get(6)?,
            name: row.try_get(7)?,
        },
        trigger: word(row.try_get(8)?)?,
        attempt: row.try_get(9)?,
        idempotency_key: row.try_get(10)?,
        state: word(row.try_get(11)?)?,
        outcome: row.try_get::<Option<&str>, _>(12)?.map(word).transpose()?,
        reason: row.try_get(13)?,
        message: row.try_get(14)?,
        hint: row.try_get(15)?,
        summary: row.try_get(16)?,
        findings: count(row, 17)?,
        denials: from_json(row.try_get(18)?)?,
        usage: from_json(row.try_get(19)?)?,
        input: from_json(row.try_get(20)?)?,
        scheduled_at: time(row.try_get(21)?)?,
        created_at: time(row.try_get(22)?)?,
        started_at: optional_time(row, 23)?,
        ended_at: optional_time(row, 24)?,
        dry_run: row.try_get(25)?,
    };
    Ok((row.try_get(0)?, run))
}

pub(super) fn id(row: &SqliteRow, column: usize) -> Result<Uuid, sqlx::Error> {
    Uuid::from_slice(row.try_get(column)?).map_err(decode)
}

pub(super) fn count(row: &SqliteRow, column: usize) -> Result<u64, sqlx::Error> {
    u64::try_from(row.try_get::<i64, _>(column)?).map_err(decode)
}

pub(super) fn time(microseconds: i64) -> Result<Timestamp, sqlx::Error> {
    Timestamp::from_microsecond(microseconds).map_err(decode)
}

pub(super) fn optional_time(
    row: &SqliteRow,
    column: usize,
) -> Result<Option<Timestamp>, sqlx::Error> {
    row.try_get::<Option<i64>, _>(column)?.map(time).transpose()
}

pub(super) fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, sqlx::Error> {
    serde_json::from_str(text).map_err(decode)
}

/// JSON text. The types of `model` have names for keys, so only a value too large for memory could fail.
pub(super) fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<String, sqlx::Error> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(error.into()))
}

/// Reads the word that stands for a value.
pub(super) fn word<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, sqlx::Error> {
    let deserializer: StrDeserializer<'de, serde::de::value::Error> = text.into_deserializer();
    T::deserialize(deserializer).map_err(decode)
}

/// Numbers beyond what SQLite holds are brought to the largest that it does.
pub(super) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn trigger(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Cron => "cron",
        Trigger::Every => "every",
        Trigger::Event => "event",
        Trigger::Webhook => "webhook",
        Trigger::Manual => "manual",
    }
}

pub(super) fn state(state: RunState) -> &'static str {
    match state {
        RunState::Queued => "queued",
        RunState::Running => "running",
        RunState::Ended => "ended",
    }
}

pub(super) fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "succeeded",
        Outcome::Failed => "failed",
        Outcome::Trapped => "trapped",
        Outcome::Limited => "limited",
        Outcome::Refused => "refused",
        Outcome::Cancelled => "cancelled",
        Outcome::Lost => "lost",
        Outcome::HostError => "host_error",
    }
}

pub(super) fn decode<E: std::error::Error + Send + Sync + 'static>(error: E) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(error))
}
