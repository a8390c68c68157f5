//! Turns what agents want to remember into rows of their own, within their quotas.
//!
//! Invariants: an agent's name is part of every condition; what a space holds is counted by the database in the same transaction; a change that would go over the quota changes nothing.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use futures::TryStreamExt;
use sqlx::{Row, SqliteConnection, SqlitePool};

use super::rows;
use super::writer::{Failure, Operation};
use super::{
    BYTES_PER_CALL_MAX, KEY_MAX_BYTES, KEYS_PER_CALL_MAX, KvQuota, KvUsage, StoreError,
    VALUE_MAX_BYTES,
};

/// Refuses what is no key.
pub(super) fn check_key(key: &str) -> Result<(), StoreError> {
    let problem = match key {
        "" => "must not be empty; give it a name",
        key if key.len() > KEY_MAX_BYTES => "has at most 1024 bytes; use a shorter one",
        key if key.contains('\0') => "must not contain the character NUL; leave it out",
        _ => return Ok(()),
    };
    Err(StoreError::InvalidKey { problem })
}

/// Refuses too many keys, and what is none. The keys as a JSON array, for one statement about all.
pub(super) fn check_keys<'a>(
    keys: impl ExactSizeIterator<Item = &'a String>,
) -> Result<Vec<&'a String>, StoreError> {
    if keys.len() > KEYS_PER_CALL_MAX {
        return Err(StoreError::Quota {
            what: "the number of keys in one call",
            limit: KEYS_PER_CALL_MAX as u64,
        });
    }
    keys.map(|key| check_key(key).map(|()| key)).collect()
}

/// Sets keys, all or none.
pub(super) struct Set {
    agent: String,
    entries: BTreeMap<String, Vec<u8>>,
    keys: String,
    /// Of keys and values.
    bytes: u64,
    quota: KvQuota,
}

impl Set {
    pub(super) fn new(
        agent: &str,
        entries: Vec<(String, Vec<u8>)>,
        quota: KvQuota,
    ) -> Result<Self, Failure> {
        check_keys(entries.iter().map(|(key, _)| key))?;
        if entries
            .iter()
            .any(|(_, value)| value.len() > VALUE_MAX_BYTES)
        {
            return Err(StoreError::Quota {
                what: "the bytes of a value",
                limit: VALUE_MAX_BYTES as u64,
            }
            .into());
        }
        let entries: BTreeMap<String, Vec<u8>> = entries.into_iter().collect();
        let values: usize = entries.values().map(Vec::len).sum();
        if values > BYTES_PER_CALL_MAX {
            return Err(StoreError::Quota {
                what: "the bytes of all values in one call",
                limit: BYTES_PER_CALL_MAX as u64,
            }
            .into());
        }
        let names: usize = entries.keys().map(String::len).sum();
        Ok(Self {
            agent: agent.to_owned(),
            keys: rows::to_json(&entries.keys().collect::<Vec<_>>())?,
            bytes: (names + values) as u64,
            entries,
            quota,
        })
    }
}

#[async_trait]
impl Operation for Set {
    type Answer = ();

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<(), Failure> {
        let row = sqlx::query(
            "SELECT (SELECT bytes FROM key_value_usage WHERE agent = ?1), \
             (SELECT keys FROM key_value_usage WHERE agent = ?1), \
             coalesce(sum(octet_length(key) + octet_length(value)), 0), count(*) \
             FROM key_values WHERE agent = ?1 AND key IN (SELECT value FROM json_each(?2))",
        )
        .bind(&self.agent)
        .bind(&self.keys)
        .fetch_one(&mut *connection)
        .await?;
        let before = KvUsage {
            bytes: row
                .try_get::<Option<i64>, _>(0)?
                .map_or(0, i64::unsigned_abs),
            keys: row
                .try_get::<Option<i64>, _>(1)?
                .map_or(0, i64::unsigned_abs),
        };
        let replaced = KvUsage {
            bytes: rows::count(&row, 2)?,
            keys: rows::count(&row, 3)?,
        };
        check_quota(
            before,
            KvUsage {
                bytes: before.bytes.saturating_sub(replaced.bytes) + self.bytes,
                keys: before.keys.saturating_sub(replaced.keys) + self.entries.len() as u64,
            },
            self.quota,
        )?;
        for (key, value) in &self.entries {
            upsert(connection, &self.agent, key, value).await?;
        }
        Ok(())
    }
}

/// Refuses what grows over the quota. A quota that was lowered does not keep anyone from shrinking.
fn check_quota(before: KvUsage, after: KvUsage, quota: KvQuota) -> Result<(), StoreError> {
    if after.bytes > quota.bytes && after.bytes > before.bytes {
        return Err(StoreError::Quota {
            what: "the bytes of the agent's key-value space",
            limit: quota.bytes,
        });
    }
    if after.keys > quota.keys && after.keys > before.keys {
        return Err(StoreError::Quota {
            what: "the number of keys in the agent's key-value space",
            limit: quota.keys,
        });
    }
    Ok(())
}

async fn upsert(
    connection: &mut SqliteConnection,
    agent: &str,
    key: &str,
    value: &[u8],
) -> Result<(), sqlx::Error> {
    // Not `INSERT OR REPLACE`, whose removal would not be counted.
    sqlx::query(
        "INSERT INTO key_values (agent, key, value) VALUES (?, ?, ?) \
         ON CONFLICT (agent, key) DO UPDATE SET value = excluded.value",
    )
    .bind(agent)
    .bind(key)
    .bind(value)
    .execute(connection)
    .await?;
    Ok(())
}

/// Removes keys.
pub(super) struct Delete {
    pub(super) agent: String,
    /// A JSON array.
    pub(super) keys: String,
}

#[async_trait]
impl Operation for Delete {
    type Answer = u64;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<u64, Failure> {
        let removed = sqlx::query(
            "DELETE FROM key_values \
             WHERE agent = ?1 AND key IN (SELECT value FROM json_each(?2))",
        )
        .bind(&self.agent)
        .bind(&self.keys)
        .execute(connection)
        .await?;
        Ok(removed.rows_affected())
    }
}

/// Adds to a counter.
pub(super) struct Increment {
    pub(super) agent: String,
    pub(super) key: String,
    pub(super) delta: u64,
    pub(super) quota: KvQuota,
}

#[async_trait]
impl Operation for Increment {
    type Answer = u64;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<u64, Failure> {
        let row = sqlx::query(
            "SELECT (SELECT bytes FROM key_value_usage WHERE agent = ?1), \
             (SELECT keys FROM key_value_usage WHERE agent = ?1), \
             (SELECT value FROM key_values WHERE agent = ?1 AND key = ?2)",
        )
        .bind(&self.agent)
        .bind(&self.key)
        .fetch_one(&mut *connection)
        .await?;
        let before = KvUsage {
            bytes: row
                .try_get::<Option<i64>, _>(0)?
                .map_or(0, i64::unsigned_abs),
            keys: row
                .try_get::<Option<i64>, _>(1)?
                .map_or(0, i64::unsigned_abs),
        };
        let value: Option<&[u8]> = row.try_get(2)?;
        let old = match value {
            None => 0,
            Some(value) => std::str::from_utf8(value)
                .ok()
                .and_then(|text| text.parse::<u64>().ok())
                .ok_or_else(|| StoreError::NotCounter {
                    key: self.key.escape_debug().to_string(),
                })?,
        };
        let sum = old
            .checked_add(self.delta)
            .ok_or_else(|| StoreError::Overflow {
                key: self.key.escape_debug().to_string(),
            })?;
        let text = sum.to_string();
        let after = match value {
            Some(value) => KvUsage {
                bytes: before.bytes.saturating_sub(value.len() as u64) + text.len() as u64,
                keys: before.keys,
            },
            None => KvUsage {
                bytes: before.bytes + (self.key.len() + text.len()) as u64,
                keys: before.keys + 1,
            },
        };
        check_quota(before, after, self.quota)?;
        upsert(connection, &self.agent, &self.key, text.as_bytes()).await?;
        Ok(sum)
    }
}

pub(super) async fn get(
    pool: &SqlitePool,
    agent: &str,
    key: &str,
) -> Result<Option<Vec<u8>>, sqlx::Error> {
    sqlx::query_scalar("SELECT value FROM key_values WHERE agent = ? AND key = ?")
        .bind(agent)
        .bind(key)
        .fetch_optional(pool)
        .await
}

pub(super) async fn exists(pool: &SqlitePool, agent: &str, key: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM key_values WHERE agent = ? AND key = ?)")
        .bind(agent)
        .bind(key)
        .fetch_one(pool)
        .await
}

/// The values of those of `keys`, a JSON array, that are there.
pub(super) async fn get_many(
    pool: &SqlitePool,
    agent: &str,
    keys: &str,
) -> Result<HashMap<String, Vec<u8>>, Failure> {
    let mut found = sqlx::query(
        "SELECT key, value FROM key_values \
         WHERE agent = ?1 AND key IN (SELECT value FROM json_each(?2))",
    )
    .bind(agent.to_owned())
    .bind(keys.to_owned())
    .fetch(pool);
    let mut values = HashMap::new();
    let mut bytes = 0;
    while let Some(row) = found.try_next().await? {
        let value: Vec<u8> = row.try_get(1)?;
        bytes += value.len();
        if bytes > BYTES_PER_CALL_MAX {
            return Err(StoreError::Quota {
                what: "the bytes of all values in one call",
                limit: BYTES_PER_CALL_MAX as u64,
            }
            .into());
        }
        values.insert(row.try_get(0)?, value);
    }
    Ok(values)
}

/// Keys after `after`, at most `limit`.
pub(super) async fn list(
    pool: &SqlitePool,
    agent: &str,
    after: &str,
    limit: u32,
) -> Result<Vec<String>, sqlx::Error> {
    // No key is empty, so the empty one is before all.
    sqlx::query_scalar(
        "SELECT key FROM key_values WHERE agent = ? AND key > ? ORDER BY key LIMIT +?",
    )
    .bind(agent)
    .bind(after)
    .bind(limit)
    .fetch_all(pool)
    .await
}

pub(super) async fn usage(pool: &SqlitePool, agent: &str) -> Result<KvUsage, sqlx::Error> {
    let row = sqlx::query("SELECT bytes, keys FROM key_value_usage WHERE agent = ?")
        .bind(agent)
        .fetch_optional(pool)
        .await?;
    row.map_or_else(
        || Ok(KvUsage::default()),
        |row| {
            Ok(KvUsage {
                bytes: rows::count(&row, 0)?,
                keys: rows::count(&row, 1)?,
            })
        },
    )
}
