//! Turns rows that few will read again into smaller ones, and then into none: logs go from their table into one compressed piece for each run, and away after a year.

use async_trait::async_trait;
use sqlx::{Row, SqliteConnection, SqlitePool};

use super::rows;
use super::writer::{Failure, Operation};

/// Runs whose logs are compressed by one operation.
const COMPRESS_STEP: i64 = 50;

/// Rows removed by one operation: some milliseconds of the writer's time.
const PRUNE_STEP: u32 = 200;

/// Bytes of a log when it is read back: what a run may log, with room for JSON around it.
const LOG_MAX_BYTES: usize = 64 * 1024 * 1024;

/// How much smaller: level 3 is zstd's own default.
const LEVEL: i32 = 3;

/// A run's log in one piece.
pub(super) struct Piece {
    run: i64,
    lines: Vec<u8>,
}

/// The logs of some runs that were created before a moment and have a place after `after`, compressed, and the place of the last one that was looked at; none when none is left.
pub(super) async fn next_pieces(
    pool: &SqlitePool,
    before: i64,
    after: i64,
) -> Result<(Vec<Piece>, Option<i64>), sqlx::Error> {
    let runs: Vec<i64> = sqlx::query_scalar(
        "SELECT DISTINCT log_chunks.run FROM log_chunks JOIN runs ON run = seq \
         WHERE log_chunks.run > ?3 AND log_chunks.run <= (SELECT seq FROM runs INDEXED BY runs_by_time \
         WHERE created_at < ?1 ORDER BY created_at DESC, seq DESC LIMIT 1) \
         AND runs.created_at < ?1 AND runs.state = 'ended' ORDER BY log_chunks.run LIMIT +?2",
    )
    .bind(before)
    .bind(COMPRESS_STEP)
    .bind(after)
    .fetch_all(pool)
    .await?;
    let mut pieces = Vec::new();
    for run in &runs {
        let chunks: Vec<String> =
            sqlx::query_scalar("SELECT lines FROM log_chunks WHERE run = ? ORDER BY first_seq")
                .bind(run)
                .fetch_all(pool)
                .await?;
        let mut lines = Vec::new();
        let read = chunks.iter().try_for_each(|chunk| {
            lines.extend(rows::from_json::<Vec<serde_json::Value>>(chunk)?);
            Ok::<_, sqlx::Error>(())
        });
        if let Err(error) = read {
            // It stays as it is, and keeps no other from being compressed.
            tracing::warn!("a log cannot be compressed: {error}");
            continue;
        }
        let text = rows::to_json(&lines)?;
        let lines =
            tokio::task::spawn_blocking(move || zstd::bulk::compress(text.as_bytes(), LEVEL))
                .await
                .map_err(|_| sqlx::Error::WorkerCrashed)?
                .map_err(sqlx::Error::Io)?;
        pieces.push(Piece { run: *run, lines });
    }
    Ok((pieces, runs.last().copied()))
}

/// The JSON array of a compressed log.
pub(super) fn unpack(piece: &[u8]) -> Result<Vec<u8>, sqlx::Error> {
    zstd::bulk::decompress(piece, LOG_MAX_BYTES).map_err(rows::decode)
}

/// Puts compressed logs in the place of the others.
pub(super) struct Compress(pub(super) Vec<Piece>);

#[async_trait]
impl Operation for Compress {
    type Answer = ();

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<(), Failure> {
        for piece in &self.0 {
            sqlx::query(
                "INSERT OR REPLACE INTO old_logs (run, lines) SELECT ?1, ?2 \
                 WHERE EXISTS (SELECT 1 FROM runs WHERE seq = ?1)",
            )
            .bind(piece.run)
            .bind(&piece.lines)
            .execute(&mut *connection)
            .await?;
            sqlx::query("DELETE FROM log_chunks WHERE run = ?")
                .bind(piece.run)
                .execute(&mut *connection)
                .await?;
        }
        Ok(())
    }
}

/// Removes some logs of runs from before a moment, and answers how many.
pub(super) struct PruneLogs {
    pub(super) before: i64,
}

#[async_trait]
impl Operation for PruneLogs {
    type Answer = u64;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<u64, Failure> {
        let removed = sqlx::query(
            "DELETE FROM old_logs WHERE run IN (SELECT run FROM old_logs JOIN runs ON run = seq \
             WHERE created_at < ?1 LIMIT +?2)",
        )
        .bind(self.before)
        .bind(PRUNE_STEP)
        .execute(connection)
        .await?;
        Ok(removed.rows_affected())
    }
}

/// Removes counts of events from before a moment.
pub(super) struct PruneCounts {
    pub(super) before: i64,
}

#[async_trait]
impl Operation for PruneCounts {
    type Answer = u64;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<u64, Failure> {
        let removed = sqlx::query("DELETE FROM event_counts WHERE hour < ?")
            .bind(self.before)
            .execute(connection)
            .await?;
        Ok(removed.rows_affected())
    }
}

/// Which part of what ended runs left is given up first when room is short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The files.
    Artifacts,
    /// Everything.
    Runs,
}

/// Gives up what some of the oldest ended runs left, of files no more than are too many, and answers how many rows that were. Those given up on by the host stay whole: a person is to look
/// at them.
pub(super) struct Evict {
    pub(super) part: Part,
    /// Bytes that are too many.
    pub(super) over: i64,
    /// Only of runs created before this moment.
    pub(super) before: i64,
}

#[async_trait]
impl Operation for Evict {
    type Answer = u64;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<u64, Failure> {
        let sql = match self.part {
            Part::Artifacts => {
                "DELETE FROM artifacts WHERE run IN (SELECT run FROM (SELECT run, \
                 sum(sum(size)) OVER (ORDER BY run) - sum(size) AS sum_before FROM artifacts \
                 JOIN runs ON run = seq WHERE dead = 0 AND created_at < ?2 GROUP BY run) \
                 WHERE sum_before < ?1 ORDER BY run LIMIT +?3)"
            }
            Part::Runs => {
                "DELETE FROM runs WHERE ?1 > 0 AND seq IN (SELECT seq FROM runs \
                 WHERE state = 'ended' AND dead = 0 AND created_at < ?2 ORDER BY seq LIMIT +?3)"
            }
        };
        let removed = sqlx::query(sql)
            .bind(self.over)
            .bind(self.before)
            .bind(PRUNE_STEP)
            .execute(connection)
            .await?;
        Ok(removed.rows_affected())
    }
}

/// Removes what an agent left; its runs that have not ended stay.
pub(super) struct Forget {
    pub(super) agent: String,
}

#[async_trait]
impl Operation for Forget {
    /// Rows removed in this step, at most some hundred at a time.
    type Answer = u64;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<u64, Failure> {
        let mut removed = 0;
        for sql in [
            "DELETE FROM runs WHERE seq IN (SELECT seq FROM runs INDEXED BY runs_by_agent \
             WHERE agent = ?1 AND state = 'ended' LIMIT +?2)",
            "DELETE FROM occurrences WHERE seq IN (SELECT seq FROM occurrences WHERE agent = ?1 LIMIT +?2)",
            "DELETE FROM key_values WHERE rowid IN (SELECT rowid FROM key_values WHERE agent = ?1 LIMIT +?2)",
        ] {
            let done = sqlx::query(sql)
                .bind(&self.agent)
                .bind(PRUNE_STEP)
                .execute(&mut *connection)
                .await?;
            removed += done.rows_affected();
        }
        if removed == 0 {
            sqlx::query(
                "DELETE FROM agents WHERE agent = ?1 AND NOT EXISTS (SELECT 1 FROM runs WHERE agent = ?1)",
            )
            .bind(&self.agent)
            .execute(connection)
            .await?;
        }
        Ok(removed)
    }
}

/// What an agent's runs used, by the hour.
pub(super) async fn usage(
    pool: &SqlitePool,
    agent: &str,
    since: i64,
    bucket: i64,
) -> Result<Vec<super::UsageBucket>, sqlx::Error> {
    let found = sqlx::query(
        "SELECT created_at / ?3 * ?3, count(*), coalesce(sum(outcome = 'succeeded'), 0), \
         coalesce(sum(usage ->> '$.wall_us'), 0), coalesce(sum(usage ->> '$.cpu_us'), 0), \
         coalesce(max(usage ->> '$.peak_memory_bytes'), 0), coalesce(sum(usage ->> '$.fuel'), 0), \
         coalesce(sum(usage ->> '$.http_requests'), 0), coalesce(sum(findings), 0), \
         coalesce(sum(json_array_length(denials)), 0) \
         FROM runs INDEXED BY runs_by_agent \
         WHERE agent = ?1 AND created_at >= ?2 AND state = 'ended' GROUP BY 1 ORDER BY 1",
    )
    .bind(agent)
    .bind(since)
    .bind(bucket)
    .fetch_all(pool)
    .await?;
    found
        .iter()
        .map(|row| {
            Ok(super::UsageBucket {
                from: rows::time(row.try_get(0)?)?,
                runs: rows::count(row, 1)?,
                succeeded: rows::count(row, 2)?,
                wall_us: rows::count(row, 3)?,
                cpu_us: rows::count(row, 4)?,
                peak_memory_bytes: rows::count(row, 5)?,
                fuel: rows::count(row, 6)?,
                http_requests: rows::count(row, 7)?,
                findings: rows::count(row, 8)?,
                denials: rows::count(row, 9)?,
            })
        })
        .collect()
}

/// Adds to the counts of events, and moves the place up to which they were counted: both or neither.
pub(super) struct Count {
    pub(super) counts: Vec<(i64, String, i64)>,
    pub(super) flag: String,
    pub(super) place: String,
}

#[async_trait]
impl Operation for Count {
    type Answer = ();

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<(), Failure> {
        for (hour, kind, count) in &self.counts {
            sqlx::query(
                "INSERT INTO event_counts (hour, kind, count) VALUES (?, ?, ?) \
                 ON CONFLICT DO UPDATE SET count = count + excluded.count",
            )
            .bind(hour)
            .bind(kind)
            .bind(count)
            .execute(&mut *connection)
            .await?;
        }
        sqlx::query("INSERT OR REPLACE INTO flags (name, value) VALUES (?, ?)")
            .bind(&self.flag)
            .bind(&self.place)
            .execute(connection)
            .await?;
        Ok(())
    }
}

pub(super) async fn counts(
    pool: &SqlitePool,
    since: i64,
    limit: u32,
) -> Result<Vec<super::EventCount>, sqlx::Error> {
    let found = sqlx::query(
        "SELECT hour, kind, count FROM event_counts WHERE hour >= ?1 ORDER BY hour DESC, kind LIMIT +?2",
    )
    .bind(since)
    .bind(limit)
    .fetch_all(pool)
    .await?;
    found
        .iter()
        .map(|row| {
            Ok(super::EventCount {
                hour: rows::time(row.try_get(0)?)?,
                kind: row.try_get(1)?,
                count: rows::count(row, 2)?,
            })
        })
        .collect()
}
