//! Finds text in what runs found and logged. Each call looks at so many runs at most and says where to go on, so that no question reads the whole file.

use futures::TryStreamExt;
use jiff::Timestamp;
use sqlx::{Row, SqlitePool};
use uuid::Uuid;

use super::cursor::Position;
use super::{FoundFinding, FoundLine, Search, rows};
use crate::model::{Finding, Level, LogLine};

/// Runs with findings that one call looks at: some milliseconds.
const FINDINGS_RUNS_MAX: i64 = 2_000;

/// Runs whose logs one call reads: at a quarter of a megabyte for the largest usual log, some tens of milliseconds.
const LOGS_RUNS_MAX: i64 = 200;

/// Hits in one run; a run that says the same thing a thousand times does not push out all others.
const HITS_PER_RUN_MAX: usize = 100;

/// What one call found, and where the next one goes on; none at the end.
pub(super) type Found<T> = (Vec<T>, Option<Position>);

/// The text as JSON has it, in small letters, to look for in stored JSON.
fn needle(text: &str) -> Result<String, sqlx::Error> {
    let json = rows::to_json(&text.to_ascii_lowercase())?;
    Ok(json.trim_matches('"').to_owned())
}

fn holds(text: &str, wanted: &str) -> bool {
    text.to_ascii_lowercase().contains(wanted)
}

macro_rules! findings_by {
    ($index:literal, $condition:literal) => {
        concat!(
            "SELECT runs.created_at, seq, id, agent, \
             CASE WHEN ?5 = '' OR instr(lower(reports.findings), ?5) > 0 THEN reports.findings END \
             FROM runs INDEXED BY ",
            $index,
            " JOIN reports ON run = seq WHERE runs.findings > 0 AND ",
            $condition,
            " AND (runs.created_at, seq) < (?1, ?2) AND runs.created_at >= ?3 \
             ORDER BY runs.created_at DESC, seq DESC LIMIT +?6"
        )
    };
}

macro_rules! lines_by {
    ($index:literal, $condition:literal) => {
        concat!(
            "SELECT created_at, seq, id, agent FROM runs INDEXED BY ",
            $index,
            " WHERE ",
            $condition,
            " AND (created_at, seq) < (?1, ?2) AND created_at >= ?3 \
             ORDER BY created_at DESC, seq DESC LIMIT +?5"
        )
    };
}

/// Findings of `search` after `position`, newest run first.
pub(super) async fn findings(
    pool: &SqlitePool,
    search: &Search,
    level: Option<Level>,
    rule: Option<&str>,
    position: Option<Position>,
    limit: usize,
) -> Result<Found<FoundFinding>, sqlx::Error> {
    let (before, before_seq) = start(search, position);
    // A row at a time: findings can be megabytes, and most calls end early.
    let mut looked_at = 0;
    let needle = needle(&search.text)?;
    let sql = if search.agent.is_some() {
        findings_by!("runs_by_agent", "runs.agent = ?4")
    } else {
        findings_by!("runs_with_findings", "?4 IS NULL")
    };
    let mut matching_runs = sqlx::query(sql)
        .bind(before)
        .bind(before_seq)
        .bind(search.since.map_or(i64::MIN, Timestamp::as_microsecond))
        .bind(&search.agent)
        .bind(&needle)
        .bind(FINDINGS_RUNS_MAX)
        .fetch(pool);
    let wanted = search.text.to_ascii_lowercase();
    let mut found = Vec::new();
    let mut last = None;
    while let Some(row) = matching_runs.try_next().await? {
        let row = &row;
        looked_at += 1;
        last = Some((row.try_get(0)?, row.try_get(1)?));
        let Some(json) = row.try_get::<Option<&str>, _>(4)? else {
            continue;
        };
        let run = rows::id(row, 2)?;
        let agent: String = row.try_get(3)?;
        let created_at = rows::time(row.try_get(0)?)?;
        let matching = rows::from_json::<Vec<Finding>>(json)?
            .into_iter()
            .filter(|finding| {
                let path = finding.location.as_ref().map_or("", |at| at.path.as_str());
                level.is_none_or(|level| finding.level == level)
                    && rule.is_none_or(|rule| finding.rule == rule)
                    && (holds(&finding.message, &wanted)
                        || holds(&finding.rule, &wanted)
                        || holds(path, &wanted))
            })
            .take(HITS_PER_RUN_MAX);
        found.extend(matching.map(|finding| FoundFinding {
            run,
            agent: agent.clone(),
            created_at,
            finding,
        }));
        if found.len() >= limit {
            return Ok((found, last));
        }
    }
    let more = looked_at == FINDINGS_RUNS_MAX;
    Ok((found, last.filter(|_| more)))
}

/// Lines of logs of `search` after `position`, newest run first.
pub(super) async fn lines(
    pool: &SqlitePool,
    search: &Search,
    position: Option<Position>,
    limit: usize,
) -> Result<Found<FoundLine>, sqlx::Error> {
    let (before, before_seq) = start(search, position);
    let sql = if search.agent.is_some() {
        lines_by!("runs_by_agent", "agent = ?4")
    } else {
        lines_by!("runs_by_time", "?4 IS NULL")
    };
    let looked_at = sqlx::query(sql)
        .bind(before)
        .bind(before_seq)
        .bind(search.since.map_or(i64::MIN, Timestamp::as_microsecond))
        .bind(&search.agent)
        .bind(LOGS_RUNS_MAX)
        .fetch_all(pool)
        .await?;
    let (needle, wanted) = (needle(&search.text)?, search.text.to_ascii_lowercase());
    let mut found = Vec::new();
    let mut last = None;
    for row in &looked_at {
        let seq: i64 = row.try_get(1)?;
        last = Some((row.try_get(0)?, seq));
        let run: Uuid = rows::id(row, 2)?;
        let agent: String = row.try_get(3)?;
        let chunks: Vec<String> = sqlx::query_scalar(
            "SELECT lines FROM log_chunks WHERE run = ?1 AND instr(lower(lines), ?2) > 0 ORDER BY first_seq",
        )
        .bind(seq)
        .bind(&needle)
        .fetch_all(pool)
        .await?;
        let mut hits = 0;
        for chunk in chunks {
            for (number, at, level, message) in
                rows::from_json::<Vec<(i64, i64, String, String)>>(&chunk)?
            {
                if hits == HITS_PER_RUN_MAX || !holds(&message, &wanted) {
                    continue;
                }
                hits += 1;
                found.push(FoundLine {
                    run,
                    agent: agent.clone(),
                    line: LogLine {
                        seq: u64::try_from(number).map_err(rows::decode)?,
                        at: rows::time(at)?,
                        level,
                        message,
                    },
                });
            }
        }
        if found.len() >= limit {
            return Ok((found, last));
        }
    }
    let more = looked_at.len() == usize::try_from(LOGS_RUNS_MAX).unwrap_or(usize::MAX);
    Ok((found, last.filter(|_| more)))
}

fn start(search: &Search, position: Option<Position>) -> Position {
    let until = search.until.map_or(i64::MAX, Timestamp::as_microsecond);
    position.map_or((until, 0), |position| position.min((until, 0)))
}
