//! Turns effects into rows and back, and keeps what local repositories have beside their objects: threads, comments, statuses.
//!
//! Invariant: an effect leaves a state once. Whoever changes it says which state it was in, and nothing is done when it is in another; so two who decide at once do not both decide.

use async_trait::async_trait;
use serde_json::json;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection, SqlitePool};
use uuid::Uuid;

use super::cursor::Position;
use super::events::{EventRow, insert_event};
use super::rows;
use super::runs::SqliteQuery;
use super::writer::{Failure, Operation};
use super::{EffectFilter, ThreadFilter};
use crate::model::{Comment, CommitStatus, Effect, EffectState, ForgeRecord, Thread, ThreadState};

/// Effects removed by one operation: some milliseconds of the writer's time.
const PRUNE_STEP: u32 = 200;

/// Comments of a thread and statuses of a commit that are read at once.
const BESIDE_MAX: u32 = 500;

/// Writes an [`EffectRow`].
pub(super) const INSERT_EFFECT: &str = "INSERT INTO effects (id, run, agent, kind, repository, state, effect, action, created_at, due_at) \
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

/// An effect, ready to be written.
pub(super) struct EffectRow {
    effect: Effect,
    text: String,
    action: Option<String>,
}

/// Records an effect that no run proposed.
pub(super) struct Propose {
    pub(super) effect: EffectRow,
    pub(super) events: Vec<EventRow>,
}

#[async_trait]
impl Operation for Propose {
    type Answer = ();

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<(), Failure> {
        self.effect.insert(connection).await?;
        for event in &self.events {
            insert_event(connection, event).await?;
        }
        Ok(())
    }
}

/// The record of an effect, and its action apart where that is long.
fn texts(effect: &Effect) -> Result<(String, Option<String>), sqlx::Error> {
    match effect.action.elided() {
        None => Ok((rows::to_json(effect)?, None)),
        Some(short) => {
            let whole = rows::to_json(&effect.action)?;
            let record = Effect {
                action: short,
                ..effect.clone()
            };
            Ok((rows::to_json(&record)?, Some(whole)))
        }
    }
}

impl EffectRow {
    pub(super) fn new(effect: Effect) -> Result<Self, sqlx::Error> {
        let (text, action) = texts(&effect)?;
        Ok(Self {
            effect,
            text,
            action,
        })
    }

    pub(super) fn bind<'q>(&'q self, query: SqliteQuery<'q>) -> SqliteQuery<'q> {
        let effect = &self.effect;
        query
            .bind(&effect.id.as_bytes()[..])
            .bind(&effect.run.as_bytes()[..])
            .bind(&effect.agent)
            .bind(effect.action.kind())
            .bind(effect.action.repository())
            .bind(effect.state.as_str())
            .bind(&self.text)
            .bind(&self.action)
            .bind(effect.created_at.as_microsecond())
            .bind(effect.due_at.map(jiff::Timestamp::as_microsecond))
    }

    pub(super) async fn insert(
        &self,
        connection: &mut SqliteConnection,
    ) -> Result<(), sqlx::Error> {
        self.bind(sqlx::query(INSERT_EFFECT))
            .execute(connection)
            .await?;
        Ok(())
    }
}

/// An effect changes its state, with all that comes of it: all or nothing.
pub(super) struct ChangeEffect {
    pub(super) from: EffectState,
    pub(super) effect: Effect,
    /// A further effect that comes of it.
    pub(super) further: Option<EffectRow>,
    pub(super) events: Vec<EventRow>,
    pub(super) records: Vec<ForgeRecord>,
}

#[async_trait]
impl Operation for ChangeEffect {
    /// The effect as it is now; none when it was in another state.
    type Answer = Option<Effect>;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<Option<Effect>, Failure> {
        let there = sqlx::query("SELECT 1 FROM effects WHERE id = ? AND state = ?")
            .bind(&self.effect.id.as_bytes()[..])
            .bind(self.from.as_str())
            .fetch_all(&mut *connection)
            .await?;
        if there.is_empty() {
            return Ok(None);
        }
        let mut effect = self.effect.clone();
        for record in &self.records {
            if let Some(number) = write_record(connection, record).await? {
                effect.result = Some(json!({ "number": number }));
            }
        }
        let applied = (effect.state == EffectState::Applied && self.from != EffectState::Applied)
            .then(|| effect.ended_at.map(jiff::Timestamp::as_microsecond))
            .flatten();
        sqlx::query(
            "UPDATE effects SET state = ?2, effect = ?3, due_at = ?4, applied_at = coalesce(?5, applied_at) WHERE id = ?1",
        )
        .bind(&effect.id.as_bytes()[..])
        .bind(effect.state.as_str())
        .bind(texts(&effect)?.0)
        .bind(effect.due_at.map(jiff::Timestamp::as_microsecond))
        .bind(applied)
        .execute(&mut *connection)
        .await?;
        if let Some(undone) = effect.reverts.filter(|_| effect.state.is_final()) {
            settle_undone(connection, undone, effect.state).await?;
        }
        if let Some(further) = &self.further {
            further.insert(connection).await?;
        }
        for event in &self.events {
            insert_event(connection, event).await?;
        }
        Ok(Some(effect))
    }
}

/// What became of the undoing of an effect is known: it is undone, or may be tried again.
async fn settle_undone(
    connection: &mut SqliteConnection,
    id: Uuid,
    state: EffectState,
) -> Result<(), sqlx::Error> {
    let found = sqlx::query("SELECT effect FROM effects WHERE id = ? AND state = 'applied'")
        .bind(&id.as_bytes()[..])
        .fetch_all(&mut *connection)
        .await?;
    let Some(row) = found.first() else {
        return Ok(());
    };
    let mut undone: Effect = rows::from_json(row.try_get(0)?)?;
    if state == EffectState::Applied {
        undone.state = EffectState::Reverted;
    } else {
        undone.reverted_by = None;
    }
    sqlx::query("UPDATE effects SET state = ?2, effect = ?3 WHERE id = ?1")
        .bind(&id.as_bytes()[..])
        .bind(undone.state.as_str())
        .bind(rows::to_json(&undone)?)
        .execute(connection)
        .await?;
    Ok(())
}

fn thread_state(state: ThreadState) -> &'static str {
    match state {
        ThreadState::Open => "open",
        ThreadState::Merged => "merged",
        ThreadState::Closed => "closed",
    }
}

/// Writes a record, and gives the number of a thread that it opened. What is there already stays.
async fn write_record(
    connection: &mut SqliteConnection,
    record: &ForgeRecord,
) -> Result<Option<u64>, sqlx::Error> {
    match record {
        // One that is kept elsewhere has its number from there; a record of another repository of the same name gives way.
        ForgeRecord::Open(thread) if thread.number > 0 => {
            insert_thread(connection, thread).await?;
        }
        ForgeRecord::Open(thread) => {
            let highest: i64 = sqlx::query_scalar(
                "SELECT coalesce(max(number), 0) FROM threads WHERE repository = ?",
            )
            .bind(&thread.repository)
            .fetch_one(&mut *connection)
            .await?;
            let number = u64::try_from(highest).unwrap_or(0) + 1;
            let thread = Thread {
                number,
                ..(**thread).clone()
            };
            insert_thread(connection, &thread).await?;
            return Ok(Some(number));
        }
        ForgeRecord::Change(thread) => {
            change_thread(connection, thread).await?;
        }
        ForgeRecord::Comment {
            repository,
            number,
            comment,
        } => {
            sqlx::query(
                "INSERT INTO comments (id, repository, number, comment) VALUES (?, ?, ?, ?)",
            )
            .bind(&comment.id.as_bytes()[..])
            .bind(repository)
            .bind(rows::integer(*number))
            .bind(rows::to_json(comment)?)
            .execute(connection)
            .await?;
        }
        ForgeRecord::Uncomment(id) => {
            sqlx::query("DELETE FROM comments WHERE id = ?")
                .bind(&id.as_bytes()[..])
                .execute(connection)
                .await?;
        }
        ForgeRecord::Status {
            repository,
            commit,
            status,
        } => {
            sqlx::query(
                "INSERT INTO commit_statuses (id, repository, commit_id, status) VALUES (?, ?, ?, ?)",
            )
            .bind(&status.id.as_bytes()[..])
            .bind(repository)
            .bind(commit)
            .bind(rows::to_json(status)?)
            .execute(connection)
            .await?;
        }
    }
    Ok(None)
}

async fn insert_thread(
    connection: &mut SqliteConnection,
    thread: &Thread,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT OR REPLACE INTO threads (id, repository, number, kind, state, thread, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&thread.id.as_bytes()[..])
    .bind(&thread.repository)
    .bind(rows::integer(thread.number))
    .bind(kind(thread.kind))
    .bind(thread_state(thread.state))
    .bind(rows::to_json(thread)?)
    .bind(thread.created_at.as_microsecond())
    .execute(connection)
    .await?;
    Ok(())
}

/// What a tool reported of a commit.
pub(super) struct PutStatus {
    pub(super) record: ForgeRecord,
    pub(super) events: Vec<EventRow>,
}

#[async_trait]
impl Operation for PutStatus {
    type Answer = ();

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<(), Failure> {
        if let ForgeRecord::Status {
            repository,
            commit,
            status,
        } = &self.record
        {
            // A tool's later word replaces its earlier one.
            sqlx::query(
                "DELETE FROM commit_statuses WHERE repository = ? AND commit_id = ? \
                 AND json_extract(status, '$.name') = ? \
                 AND json_extract(status, '$.reported_by') IS NOT NULL",
            )
            .bind(repository)
            .bind(commit)
            .bind(&status.name)
            .execute(&mut *connection)
            .await?;
        }
        write_record(connection, &self.record).await?;
        for event in &self.events {
            insert_event(connection, event).await?;
        }
        Ok(())
    }
}

/// A thread as its forge has it now.
pub(super) struct KeepThread(pub(super) Thread);

#[async_trait]
impl Operation for KeepThread {
    type Answer = ();

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<(), Failure> {
        change_thread(connection, &self.0).await?;
        Ok(())
    }
}

async fn change_thread(
    connection: &mut SqliteConnection,
    thread: &Thread,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE threads SET state = ?2, thread = ?3 WHERE id = ?1")
        .bind(&thread.id.as_bytes()[..])
        .bind(thread_state(thread.state))
        .bind(rows::to_json(thread)?)
        .execute(connection)
        .await?;
    Ok(())
}

fn kind(kind: crate::model::ThreadKind) -> &'static str {
    match kind {
        crate::model::ThreadKind::PullRequest => "pull_request",
        crate::model::ThreadKind::Issue => "issue",
    }
}

/// What people said of a pull request; a person's later word replaces the earlier one on the same commit.
pub(super) struct Review {
    pub(super) repository: String,
    pub(super) number: u64,
    pub(super) review: crate::model::Approval,
    pub(super) events: Vec<EventRow>,
}

#[async_trait]
impl Operation for Review {
    type Answer = Option<Thread>;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<Option<Thread>, Failure> {
        let found = sqlx::query("SELECT thread FROM threads WHERE repository = ? AND number = ?")
            .bind(&self.repository)
            .bind(rows::integer(self.number))
            .fetch_all(&mut *connection)
            .await?;
        let Some(row) = found.first() else {
            return Ok(None);
        };
        let mut thread: Thread = rows::from_json(row.try_get(0)?)?;
        if thread.state != ThreadState::Open {
            return Ok(None);
        }
        let review = &self.review;
        thread
            .reviews
            .retain(|other| other.principal != review.principal || other.digest != review.digest);
        thread.reviews.push(review.clone());
        change_thread(connection, &thread).await?;
        for event in &self.events {
            insert_event(connection, event).await?;
        }
        Ok(Some(thread))
    }
}

/// Removes some effects that came to their end before a moment, and answers how many.
pub(super) struct PruneEffects {
    pub(super) before: i64,
}

#[async_trait]
impl Operation for PruneEffects {
    type Answer = u64;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<u64, Failure> {
        let removed = sqlx::query(
            "DELETE FROM effects WHERE seq IN (SELECT seq FROM effects INDEXED BY effects_by_time \
             WHERE created_at < ?1 AND state NOT IN ('proposed', 'waiting', 'approved', 'applying', 'unknown') \
             ORDER BY created_at LIMIT +?2)",
        )
        .bind(self.before)
        .bind(PRUNE_STEP)
        .execute(connection)
        .await?;
        Ok(removed.rows_affected())
    }
}

fn effect(row: &SqliteRow) -> Result<(Position, Effect), sqlx::Error> {
    Ok((
        (row.try_get(1)?, row.try_get(0)?),
        rows::from_json(row.try_get(2)?)?,
    ))
}

pub(super) async fn one(pool: &SqlitePool, id: Uuid) -> Result<Option<Effect>, sqlx::Error> {
    let row = sqlx::query("SELECT seq, created_at, effect, action FROM effects WHERE id = ?")
        .bind(&id.as_bytes()[..])
        .fetch_optional(pool)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let (_, mut effect) = effect(&row)?;
    if let Some(action) = row.try_get::<Option<&str>, _>(3)? {
        effect.action = rows::from_json(action)?;
    }
    Ok(Some(effect))
}

/// The effects of `filter` that come after `position`, newest first, each with its own position.
pub(super) async fn page(
    pool: &SqlitePool,
    filter: &EffectFilter,
    position: Option<Position>,
    limit: i64,
) -> Result<Vec<(Position, Effect)>, sqlx::Error> {
    macro_rules! by {
        ($index:literal, $condition:literal) => {
            concat!(
                "SELECT seq, created_at, effect FROM effects INDEXED BY ",
                $index,
                " WHERE ",
                $condition,
                " AND (created_at, seq) < (?1, ?2) AND (?3 IS NULL OR state = ?3) AND (?4 IS NULL OR agent = ?4) \
                 AND (?5 IS NULL OR kind = ?5) AND (?6 IS NULL OR run = ?6) AND (?7 IS NULL OR repository = ?7) \
                 ORDER BY created_at DESC, seq DESC LIMIT +?8"
            )
        };
    }
    let sql = match filter {
        EffectFilter { run: Some(_), .. } => by!("effects_by_run", "run = ?6"),
        EffectFilter { state: Some(_), .. } => by!("effects_by_state", "state = ?3"),
        EffectFilter { agent: Some(_), .. } => by!("effects_by_agent", "agent = ?4"),
        _ => by!("effects_by_time", "true"),
    };
    let (before, before_seq) = position.unwrap_or((i64::MAX, 0));
    let run = filter.run.map(|run| run.as_bytes().to_vec());
    let found = sqlx::query(sql)
        .bind(before)
        .bind(before_seq)
        .bind(filter.state.map(EffectState::as_str))
        .bind(&filter.agent)
        .bind(&filter.kind)
        .bind(run)
        .bind(&filter.repository)
        .bind(limit)
        .fetch_all(pool)
        .await?;
    found.iter().map(effect).collect()
}

/// The effects to which something is to happen by a moment, the first proposed first, each with its lane; and when the next one is due after that. What is in a lane of `busy` is left out.
pub(super) async fn due(
    pool: &SqlitePool,
    now: i64,
    busy: &[String],
    limit: u32,
) -> Result<(Vec<(Uuid, String)>, Option<i64>), sqlx::Error> {
    let found = sqlx::query(
        "SELECT id, coalesce(repository, kind) AS lane FROM effects INDEXED BY effects_open \
         WHERE state IN ('proposed', 'waiting', 'approved', 'applying') AND due_at <= ?1 \
         AND coalesce(repository, kind) NOT IN (SELECT value FROM json_each(?3)) ORDER BY seq LIMIT +?2",
    )
    .bind(now)
    .bind(limit)
    .bind(rows::to_json(&busy)?)
    .fetch_all(pool)
    .await?;
    let next: Option<i64> = sqlx::query_scalar(
        "SELECT min(due_at) FROM effects INDEXED BY effects_open \
         WHERE state IN ('proposed', 'waiting', 'approved', 'applying') AND due_at > ?1",
    )
    .bind(now)
    .fetch_one(pool)
    .await?;
    let effects = found
        .iter()
        .map(|row| Ok((rows::id(row, 0)?, row.try_get(1)?)))
        .collect::<Result<_, sqlx::Error>>()?;
    Ok((effects, next))
}

/// How many effects of an agent were applied since a moment, and when the first of them was.
pub(super) async fn applied_since(
    pool: &SqlitePool,
    agent: &str,
    since: i64,
) -> Result<(u64, Option<i64>), sqlx::Error> {
    let row = sqlx::query(
        "SELECT count(*), min(applied_at) FROM effects INDEXED BY effects_applied \
         WHERE agent = ?1 AND applied_at >= ?2 AND applied_at IS NOT NULL",
    )
    .bind(agent)
    .bind(since)
    .fetch_one(pool)
    .await?;
    Ok((rows::count(&row, 0)?, row.try_get(1)?))
}

pub(super) async fn thread(
    pool: &SqlitePool,
    repository: &str,
    number: u64,
) -> Result<Option<Thread>, sqlx::Error> {
    let row = sqlx::query("SELECT thread FROM threads WHERE repository = ? AND number = ?")
        .bind(repository)
        .bind(rows::integer(number))
        .fetch_optional(pool)
        .await?;
    row.map(|row| rows::from_json(row.try_get(0)?)).transpose()
}

pub(super) async fn thread_of(
    pool: &SqlitePool,
    effect: Uuid,
) -> Result<Option<Thread>, sqlx::Error> {
    let row = sqlx::query("SELECT thread FROM threads WHERE id = ?")
        .bind(&effect.as_bytes()[..])
        .fetch_optional(pool)
        .await?;
    row.map(|row| rows::from_json(row.try_get(0)?)).transpose()
}

pub(super) async fn threads(
    pool: &SqlitePool,
    filter: &ThreadFilter,
    position: Option<Position>,
    limit: i64,
) -> Result<Vec<(Position, Thread)>, sqlx::Error> {
    let (before, before_seq) = position.unwrap_or((i64::MAX, 0));
    let found = sqlx::query(
        "SELECT seq, created_at, thread FROM threads INDEXED BY threads_by_time WHERE kind = ?1 \
         AND (created_at, seq) < (?2, ?3) AND (?4 IS NULL OR repository = ?4) AND (?5 IS NULL OR state = ?5) \
         ORDER BY created_at DESC, seq DESC LIMIT +?6",
    )
    .bind(kind(filter.kind))
    .bind(before)
    .bind(before_seq)
    .bind(&filter.repository)
    .bind(filter.state.map(thread_state))
    .bind(limit)
    .fetch_all(pool)
    .await?;
    found
        .iter()
        .map(|row| {
            Ok((
                (row.try_get(1)?, row.try_get(0)?),
                rows::from_json(row.try_get(2)?)?,
            ))
        })
        .collect()
}

pub(super) async fn comments(
    pool: &SqlitePool,
    repository: &str,
    number: u64,
) -> Result<Vec<Comment>, sqlx::Error> {
    let found = sqlx::query(
        "SELECT comment FROM comments WHERE repository = ? AND number = ? ORDER BY seq LIMIT +?",
    )
    .bind(repository)
    .bind(rows::integer(number))
    .bind(BESIDE_MAX)
    .fetch_all(pool)
    .await?;
    found
        .iter()
        .map(|row| rows::from_json(row.try_get(0)?))
        .collect()
}

/// What was said of a commit last under each name, the latest first.
pub(super) async fn statuses(
    pool: &SqlitePool,
    repository: &str,
    commit: &str,
) -> Result<Vec<CommitStatus>, sqlx::Error> {
    let found = sqlx::query(
        "SELECT status FROM commit_statuses WHERE repository = ?1 AND commit_id = ?2 AND seq IN \
         (SELECT MAX(seq) FROM commit_statuses WHERE repository = ?1 AND commit_id = ?2 \
         GROUP BY json_extract(status, '$.name')) ORDER BY seq DESC LIMIT +?3",
    )
    .bind(repository)
    .bind(commit)
    .bind(BESIDE_MAX)
    .fetch_all(pool)
    .await?;
    found
        .iter()
        .map(|row| rows::from_json(row.try_get(0)?))
        .collect()
}
