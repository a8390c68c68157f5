//! Keeps the journal of what was done: one chain, written by the one writer, in the transaction of what it records.
//!
//! Invariants: every event that is written is in the journal by the same commit, whichever operation wrote it; a row is joined to the one that was committed before it; rows are never changed or
//! removed. A record without a name stands for a person of whom the table of people knows, until they are erased.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use lru::LruCache;
use serde::{Deserialize, Serialize};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions, SqliteRow};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, QueryBuilder, Row as _, SqliteConnection, SqlitePool,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use utoipa::ToSchema;

use super::keep::Progress;
use super::writer::{Failure, Operation};
use super::{StoreError, rows};
use crate::access::address::Client;
use crate::audit::chain::{self, Broken, Checkpoint, End};
use crate::audit::seal::Sealer;
use crate::audit::{Pseudonyms, Record};
use crate::model::Event;

/// People whose pseudonyms are in memory.
const KNOWN_MAX: usize = 10_000;

/// People that are kept: beyond that a new one is nobody in particular. At a hundred bytes each this is what a flood of addresses may take of a disk.
const PEOPLE_MAX: i64 = 1_000_000;

/// Rows of one statement: six parameters each, of the 32,766 that SQLite takes, in a text that is small enough to be prepared each time.
const ROWS_OF_ONE: usize = 64;

/// Rows that one page of the journal looks at: a filter that fits none ends there, with a cursor to go on from.
const LOOKED_AT_MAX: usize = 50_000;

/// Rows that are read at once.
const READ_AT_ONCE: usize = 2_000;

/// Rows of one part that is verified by itself, from the hash before it.
const PART: i64 = 50_000;

/// The newest records that a quick look verifies: some hundredths of a second.
const TAIL: i64 = 10_000;

/// Which records are wanted; what is absent is not looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalFilter {
    /// With one of these actions; any, if there are none.
    pub actions: Vec<String>,
    /// Of this agent.
    pub agent: Option<String>,
    /// By this person, or their pseudonym.
    pub user: Option<String>,
    /// From this address, or its pseudonym.
    pub address: Option<String>,
    /// On this thing.
    pub resource: Option<String>,
    /// That worked, or did not.
    pub success: Option<bool>,
    /// From this moment on.
    pub since: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
    /// The oldest first instead of the newest.
    pub ascending: bool,
}

/// A record in its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Entry {
    /// The place: 1, 2, 3 and so on.
    pub seq: i64,
    /// The hash of the record and of all before it, SHA-256 in hexadecimal.
    pub hash: String,
    /// Why nothing but the action and the time can be read, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<String>,
    /// The record.
    #[serde(flatten)]
    pub record: Record,
}

/// What a look at the whole journal saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Verified {
    /// The journal's id, in hexadecimal.
    pub journal: String,
    /// Records that were read.
    pub records: i64,
    /// The last one's place; 0 in an empty journal.
    pub seq: i64,
    /// The last one's hash, in hexadecimal.
    pub hash: String,
    /// The first place that is not what was written; none in a journal that is whole.
    pub broken: Option<Broken>,
    /// Checkpoints that were compared.
    pub checkpoints: u64,
}

/// The writer's end of the journal.
pub(super) struct Journal {
    end: End,
    /// The place of the last event that is in the journal.
    events: i64,
    sealer: Arc<Sealer>,
    /// By what [`Sealer::person`] gives.
    people: LruCache<[u8; 32], String>,
    counted: i64,
}

/// Where a journal was, to go back to.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    end: End,
    events: i64,
    counted: i64,
}

impl Mark {
    /// The place of the last event that is in the journal.
    pub(super) fn events(&self) -> i64 {
        self.events
    }
}

/// The pseudonyms that are known, and who is asked for and is not.
struct Lookup<'j> {
    sealer: &'j Sealer,
    known: &'j mut LruCache<[u8; 32], String>,
    missing: HashMap<[u8; 32], (String, String)>,
}

impl Pseudonyms for Lookup<'_> {
    fn of(&mut self, kind: &str, text: &str) -> String {
        let lookup = self.sealer.person(kind, text);
        if let Some(pseudonym) = self.known.get(&lookup) {
            return pseudonym.clone();
        }
        self.missing
            .insert(lookup, (kind.to_owned(), text.to_owned()));
        format!("{kind}-unkept")
    }
}

impl Journal {
    /// The journal as the database has it.
    pub(super) async fn open(
        connection: &mut SqliteConnection,
        sealer: Arc<Sealer>,
    ) -> Result<Self, sqlx::Error> {
        let (_, end) = end(connection).await?;
        // Everything up to here was written with its record, or before there was a journal.
        let events: Option<i64> =
            sqlx::query_scalar("SELECT seq FROM sqlite_sequence WHERE name = 'events'")
                .fetch_optional(&mut *connection)
                .await?;
        let counted = sqlx::query_scalar("SELECT count(*) FROM journal_people")
            .fetch_one(connection)
            .await?;
        Ok(Self {
            end,
            events: events.unwrap_or(0),
            sealer,
            people: LruCache::new(
                std::num::NonZeroUsize::new(KNOWN_MAX).unwrap_or(std::num::NonZeroUsize::MIN),
            ),
            counted,
        })
    }

    /// Where it is now.
    pub(super) fn mark(&self) -> Mark {
        Mark {
            end: self.end,
            events: self.events,
            counted: self.counted,
        }
    }

    /// Forgets what was rolled back.
    pub(super) fn go_back(&mut self, mark: Mark) {
        self.end = mark.end;
        self.events = mark.events;
        self.counted = mark.counted;
        self.people.clear();
    }

    /// Commits the open transaction with the records of what it did: the events that it wrote, with their places, and `drafts`, whose persons are still named.
    pub(super) async fn commit(
        &mut self,
        connection: &mut SqliteConnection,
        written: Vec<(i64, Event)>,
        drafts: Vec<Record>,
    ) -> Result<(), sqlx::Error> {
        if let Some((place, _)) = written.last() {
            self.events = *place;
        }
        // Twice where somebody is new: the second time everybody has a pseudonym.
        let mut records = Vec::new();
        for _ in 0..2 {
            let mut lookup = Lookup {
                sealer: &self.sealer,
                known: &mut self.people,
                missing: HashMap::new(),
            };
            records.clear();
            records.extend(
                written
                    .iter()
                    .filter_map(|(_, event)| Record::of(event, &mut lookup)),
            );
            records.extend(drafts.iter().map(|draft| draft.hidden(&mut lookup)));
            let missing = lookup.missing;
            if missing.is_empty() {
                break;
            }
            for (lookup, (kind, text)) in missing {
                self.meet(connection, lookup, &kind, &text).await?;
            }
        }
        let mut chunks = records.chunks(ROWS_OF_ONE).peekable();
        if chunks.peek().is_none() {
            sqlx::query("COMMIT").execute(connection).await?;
            return Ok(());
        }
        while let Some(records) = chunks.next() {
            let last = chunks.peek().is_none();
            self.insert(connection, records, last).await?;
        }
        Ok(())
    }

    /// Joins records, and with the last ones commits: a query less, as each is a change of threads.
    async fn insert(
        &mut self,
        connection: &mut SqliteConnection,
        records: &[Record],
        commits: bool,
    ) -> Result<(), sqlx::Error> {
        let mut sql =
            String::from("INSERT INTO journal (seq, at, action, sealed, hash) VALUES (?,?,?,?,?)");
        for _ in 1..records.len() {
            sql.push_str(",(?,?,?,?,?)");
        }
        if commits {
            sql.push_str("; COMMIT");
        }
        let mut query = sqlx::query(AssertSqlSafe(sql)).persistent(records.len() <= 4);
        for record in records {
            let seq = self.end.seq + 1;
            let at = record.timestamp.as_microsecond();
            let sealed = self
                .sealer
                .seal(
                    &place(seq, at, &record.action),
                    rows::to_json(record)?.as_bytes(),
                )
                .map_err(sqlx::Error::Io)?;
            let hash = self.end.next(at, &record.action, &sealed);
            self.end = End { seq, hash };
            query = query
                .bind(seq)
                .bind(at)
                .bind(&record.action)
                .bind(sealed)
                .bind(hash.to_vec());
        }
        query.execute(connection).await?;
        Ok(())
    }

    /// Finds a person's pseudonym, or makes one.
    async fn meet(
        &mut self,
        connection: &mut SqliteConnection,
        lookup: [u8; 32],
        kind: &str,
        text: &str,
    ) -> Result<(), sqlx::Error> {
        let found: Option<String> =
            sqlx::query_scalar("SELECT pseudonym FROM journal_people WHERE lookup = ?")
                .bind(&lookup[..])
                .fetch_optional(&mut *connection)
                .await?;
        let pseudonym = match found {
            Some(pseudonym) => pseudonym,
            None if self.counted >= PEOPLE_MAX => format!("{kind}-unkept"),
            None => {
                let mut random = [0; 8];
                aws_lc_rs::rand::fill(&mut random)
                    .map_err(|_| sqlx::Error::Io(io::Error::other("there is no randomness")))?;
                let pseudonym = format!("{kind}-{}", hex::encode(random));
                let sealed = self
                    .sealer
                    .seal(pseudonym.as_bytes(), text.as_bytes())
                    .map_err(sqlx::Error::Io)?;
                sqlx::query(
                    "INSERT INTO journal_people (pseudonym, lookup, sealed) VALUES (?, ?, ?)",
                )
                .bind(&pseudonym)
                .bind(&lookup[..])
                .bind(sealed)
                .execute(connection)
                .await?;
                self.counted += 1;
                pseudonym
            }
        };
        self.people.put(lookup, pseudonym);
        Ok(())
    }

    /// Somebody whose row is gone is not remembered here either.
    pub(super) fn forget_people(&mut self) {
        self.people.clear();
    }
}

/// What says where a record belongs, so that it opens nowhere else.
fn place(seq: i64, at: i64, action: &str) -> Vec<u8> {
    [&seq.to_be_bytes()[..], &at.to_be_bytes(), action.as_bytes()].concat()
}

/// The id of the journal and its end.
async fn end(connection: &mut SqliteConnection) -> Result<(Vec<u8>, End), sqlx::Error> {
    let id: Vec<u8> = sqlx::query_scalar("SELECT value FROM meta WHERE name = 'journal_id'")
        .fetch_one(&mut *connection)
        .await?;
    let last = sqlx::query("SELECT seq, hash FROM journal ORDER BY seq DESC LIMIT 1")
        .fetch_optional(connection)
        .await?;
    let end = match last {
        Some(row) => End {
            seq: row.try_get(0)?,
            hash: hash(&row, 1)?,
        },
        None => End::start(&id),
    };
    Ok((id, end))
}

fn hash(row: &SqliteRow, column: usize) -> Result<chain::Hash, sqlx::Error> {
    row.try_get::<&[u8], _>(column)?
        .try_into()
        .map_err(|_| sqlx::Error::Decode("a hash has another length".into()))
}

fn row(row: &SqliteRow) -> Result<chain::Row, sqlx::Error> {
    Ok(chain::Row {
        seq: row.try_get(0)?,
        at: row.try_get(1)?,
        action: row.try_get(2)?,
        sealed: row.try_get(3)?,
        hash: hash(row, 4)?,
    })
}

/// Records of others than events. Their persons are named and are hidden on the way into the journal.
pub(super) struct Append(pub(super) Vec<Record>);

#[async_trait]
impl Operation for Append {
    type Answer = ();

    async fn apply(&self, _: &mut SqliteConnection) -> Result<(), Failure> {
        Ok(())
    }

    fn records(&self, (): &()) -> Vec<Record> {
        self.0.clone()
    }
}

/// Removes who a pseudonym stands for, and notes that. Answers whether there was somebody.
pub(super) struct Erase {
    pub(super) lookups: Vec<[u8; 32]>,
    pub(super) note: Record,
}

#[async_trait]
impl Operation for Erase {
    type Answer = bool;

    const FORGETS: bool = true;

    async fn apply(&self, connection: &mut SqliteConnection) -> Result<bool, Failure> {
        // What is erased is not left in pages that are free.
        sqlx::query("PRAGMA secure_delete = ON")
            .execute(&mut *connection)
            .await?;
        let mut gone = 0;
        for lookup in &self.lookups {
            gone += sqlx::query("DELETE FROM journal_people WHERE lookup = ?")
                .bind(&lookup[..])
                .execute(&mut *connection)
                .await?
                .rows_affected();
        }
        sqlx::query("PRAGMA secure_delete = OFF")
            .execute(&mut *connection)
            .await?;
        Ok(gone > 0)
    }

    fn records(&self, erased: &bool) -> Vec<Record> {
        if *erased {
            vec![self.note.clone()]
        } else {
            Vec::new()
        }
    }
}

/// Who some pseudonyms stand for. Those who were erased are left out.
pub(super) async fn people(
    pool: &SqlitePool,
    sealer: &Sealer,
    pseudonyms: &[String],
) -> Result<BTreeMap<String, String>, sqlx::Error> {
    let mut found = BTreeMap::new();
    for pseudonyms in pseudonyms.chunks(500) {
        let mut query =
            QueryBuilder::new("SELECT pseudonym, sealed FROM journal_people WHERE pseudonym IN (");
        let mut listed = query.separated(", ");
        for pseudonym in pseudonyms {
            listed.push_bind(pseudonym);
        }
        query.push(")");
        for row in query.build().fetch_all(pool).await? {
            let pseudonym: String = row.try_get(0)?;
            let sealed: Vec<u8> = row.try_get(1)?;
            if let Ok(text) = sealer.open_sealed(pseudonym.as_bytes(), &sealed) {
                found.insert(pseudonym, String::from_utf8_lossy(&text).into_owned());
            }
        }
    }
    Ok(found)
}

/// The pseudonyms of some people; of those who have none they are left out.
pub(super) async fn pseudonyms(
    pool: &SqlitePool,
    sealer: &Sealer,
    kind: &str,
    people: &[String],
) -> Result<Vec<String>, sqlx::Error> {
    let mut found = Vec::new();
    for people in people.chunks(500) {
        let mut query = QueryBuilder::new("SELECT pseudonym FROM journal_people WHERE lookup IN (");
        let mut listed = query.separated(", ");
        for person in people {
            listed.push_bind(sealer.person(kind, person).to_vec());
        }
        query.push(") ORDER BY pseudonym");
        found.extend(query.build_query_scalar::<String>().fetch_all(pool).await?);
    }
    Ok(found)
}

/// A person as records have them: an address of IPv6 is that of its subscriber.
pub(super) fn normal(kind: &str, text: &str) -> String {
    match text.parse() {
        Ok(address) if kind == "address" => Client::of(address).to_string(),
        _ => text.to_owned(),
    }
}

/// The pseudonym of a person, as a filter needs it. One that nobody has is a pseudonym already, or fits nothing.
async fn pseudonym(
    pool: &SqlitePool,
    sealer: &Sealer,
    kind: &str,
    text: Option<&str>,
) -> Result<Option<String>, sqlx::Error> {
    let Some(text) = text else { return Ok(None) };
    let found = sqlx::query_scalar("SELECT pseudonym FROM journal_people WHERE lookup = ?")
        .bind(sealer.person(kind, &normal(kind, text)).to_vec())
        .fetch_optional(pool)
        .await?;
    Ok(found.or_else(|| Some(text.to_owned())))
}

fn entry(sealer: &Sealer, row: chain::Row) -> Result<Entry, sqlx::Error> {
    let read = sealer
        .open_sealed(&place(row.seq, row.at, &row.action), &row.sealed)
        .map_err(|error| error.to_string())
        .and_then(|text| {
            serde_json::from_slice::<Record>(&text).map_err(|error| error.to_string())
        });
    let (record, unreadable) = match read {
        Ok(record) => (record, None),
        Err(why) => {
            let record = Record {
                timestamp: rows::time(row.at)?,
                action: row.action,
                count: 1,
                ..Record::default()
            };
            (record, Some(why))
        }
    };
    Ok(Entry {
        seq: row.seq,
        hash: hex::encode(row.hash),
        unreadable,
        record,
    })
}

/// A part of the journal and, where there may be more, the place to go on from.
pub(super) async fn page(
    pool: &SqlitePool,
    sealer: &Sealer,
    filter: &JournalFilter,
    from: Option<i64>,
    limit: usize,
) -> Result<(Vec<Entry>, Option<i64>), sqlx::Error> {
    let user = pseudonym(pool, sealer, "user", filter.user.as_deref()).await?;
    let address = pseudonym(pool, sealer, "address", filter.address.as_deref()).await?;
    let fits = |entry: &Entry| {
        let record = &entry.record;
        let is = |wanted: &Option<String>, own: &Option<String>| wanted.is_none() || wanted == own;
        is(&filter.agent, &record.agent)
            && is(&user, &record.user_id)
            && is(&address, &record.ip_address)
            && is(&filter.resource, &record.resource_id)
            && filter.success.is_none_or(|wanted| wanted == record.success)
    };
    let mut found = Vec::new();
    let mut looked_at = 0;
    let mut at = from;
    loop {
        let mut query =
            QueryBuilder::new("SELECT seq, at, action, sealed, hash FROM journal WHERE TRUE");
        if let Some(at) = at {
            query.push(if filter.ascending {
                " AND seq > "
            } else {
                " AND seq < "
            });
            query.push_bind(at);
        }
        if let Some(since) = filter.since {
            query.push(" AND at >= ").push_bind(since.as_microsecond());
        }
        if let Some(until) = filter.until {
            query.push(" AND at < ").push_bind(until.as_microsecond());
        }
        if !filter.actions.is_empty() {
            query.push(" AND action IN (");
            let mut listed = query.separated(", ");
            for action in &filter.actions {
                listed.push_bind(action);
            }
            query.push(")");
        }
        query.push(if filter.ascending {
            " ORDER BY seq LIMIT +"
        } else {
            " ORDER BY seq DESC LIMIT +"
        });
        let wanted = READ_AT_ONCE.min(limit * 4 + 100);
        query.push_bind(rows::integer(wanted as u64));
        let read = query.build().fetch_all(pool).await?;
        let ended = read.len() < wanted;
        for one in &read {
            let one = entry(sealer, row(one)?)?;
            at = Some(one.seq);
            if fits(&one) {
                found.push(one);
                if found.len() == limit {
                    return Ok((found, at));
                }
            }
        }
        looked_at += read.len();
        if ended {
            return Ok((found, None));
        }
        if looked_at >= LOOKED_AT_MAX {
            return Ok((found, at));
        }
    }
}

/// A journal that is read beside a host, or without one.
#[derive(Debug)]
pub struct JournalReader {
    pool: SqlitePool,
    sealer: Sealer,
    path: std::path::PathBuf,
}

impl JournalReader {
    /// The journal in a state folder. Nothing is written there.
    ///
    /// # Errors
    /// When there is no database, or no keys.
    pub async fn open(state: &Path) -> Result<Self, StoreError> {
        let path = state.join(super::keep::DATABASE);
        if !path.is_file() {
            return Err(StoreError::io(
                &path,
                io::Error::new(io::ErrorKind::NotFound, "there is no database"),
            ));
        }
        let sealer = Sealer::open_to_read(state)
            .map_err(|error| StoreError::io(&state.join(crate::audit::seal::FILE), error))?;
        let pool = pool(&path);
        Ok(Self { pool, sealer, path })
    }

    /// As [`Store::journal`](super::Store::journal), from a place on.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn page(
        &self,
        filter: &JournalFilter,
        from: Option<i64>,
        limit: usize,
    ) -> Result<(Vec<Entry>, Option<i64>), StoreError> {
        page(&self.pool, &self.sealer, filter, from, limit)
            .await
            .map_err(|error| StoreError::database(&self.path, error))
    }

    /// As [`Store::people`](super::Store::people).
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn people(
        &self,
        pseudonyms: &[String],
    ) -> Result<BTreeMap<String, String>, StoreError> {
        people(&self.pool, &self.sealer, pseudonyms)
            .await
            .map_err(|error| StoreError::database(&self.path, error))
    }
}

fn pool(path: &Path) -> SqlitePool {
    let readers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    SqlitePoolOptions::new()
        .max_connections(u32::try_from(readers.min(8)).unwrap_or(1))
        .connect_lazy_with(
            SqliteConnectOptions::new()
                .filename(path)
                .read_only(true)
                .busy_timeout(Duration::from_secs(30))
                .pragma("temp_store", "memory")
                // A reader of everything would wait for its thread at every fiftieth row.
                .row_buffer_size(READ_AT_ONCE)
                .disable_statement_logging(),
        )
}

/// Reads a whole journal and compares it with what it says of itself and with checkpoints. A host may be writing meanwhile; what it adds then is not looked at.
///
/// # Errors
/// When the database cannot be read.
pub async fn verify(
    state: &Path,
    checkpoints: &[Checkpoint],
    progress: Progress<'_>,
) -> Result<Verified, StoreError> {
    let path = state.join(super::keep::DATABASE);
    if !path.is_file() {
        return Err(StoreError::io(
            &path,
            io::Error::new(io::ErrorKind::NotFound, "there is no database"),
        ));
    }
    let pool = pool(&path);
    let verified = verify_pool(&pool, checkpoints, progress).await;
    pool.close().await;
    verified.map_err(|error| StoreError::database(&path, error))
}

/// As [`verify`], of the newest records alone, some ten thousand at most. That what is before them is whole is not said.
///
/// # Errors
/// When the database cannot be read.
pub async fn verify_tail(state: &Path) -> Result<Verified, StoreError> {
    let path = state.join(super::keep::DATABASE);
    let pool = pool(&path);
    let verified = tail(&pool).await;
    pool.close().await;
    verified.map_err(|error| StoreError::database(&path, error))
}

async fn tail(pool: &SqlitePool) -> Result<Verified, sqlx::Error> {
    let (id, last) = end_of(pool).await?;
    let read = AtomicI64::new(0);
    let first = (last.seq - TAIL).max(0);
    let broken = verify_part(pool, &id, first, last.seq, &read).await?;
    Ok(Verified {
        journal: hex::encode(&id),
        records: read.load(Ordering::Relaxed),
        seq: last.seq,
        hash: hex::encode(last.hash),
        broken,
        checkpoints: 0,
    })
}

/// As [`verify`], through connections that are open.
pub(super) async fn verify_pool(
    pool: &SqlitePool,
    checkpoints: &[Checkpoint],
    progress: Progress<'_>,
) -> Result<Verified, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    let (id, last) = end(&mut connection).await?;
    drop(connection);
    let parts = Arc::new(Parts {
        pool: pool.clone(),
        id,
        last: last.seq,
        next: AtomicI64::new(0),
        read: AtomicI64::new(0),
    });
    let workers = pool.options().get_max_connections();
    let (told, mut heard) = mpsc::channel(16);
    let mut verifying = JoinSet::new();
    for _ in 0..workers {
        verifying.spawn(Arc::clone(&parts).verify(told.clone()));
    }
    drop(told);
    while heard.recv().await.is_some() {
        progress(
            "verifying the journal",
            u64::try_from(parts.read.load(Ordering::Relaxed)).unwrap_or(0),
            u64::try_from(last.seq).unwrap_or(1).max(1),
        );
    }
    let mut broken: Option<Broken> = None;
    while let Some(ended) = verifying.join_next().await {
        let found = ended.map_err(|_| sqlx::Error::WorkerCrashed)??;
        broken = broken
            .into_iter()
            .chain(found)
            .min_by_key(|broken| broken.seq);
    }
    let before: Option<i64> = sqlx::query_scalar("SELECT min(seq) FROM journal WHERE seq < 1")
        .fetch_one(pool)
        .await?;
    if let Some(seq) = before {
        broken = Some(Broken {
            seq,
            what: "was put in before the first".into(),
        });
    }
    let journal = hex::encode(&parts.id);
    let mut compared = 0;
    for checkpoint in checkpoints {
        compared += 1;
        let wrong = compare(pool, &journal, last, checkpoint).await?;
        if let Some(wrong) = wrong
            && broken.as_ref().is_none_or(|broken| wrong.seq < broken.seq)
        {
            broken = Some(wrong);
        }
    }
    Ok(Verified {
        journal,
        records: parts.read.load(Ordering::Relaxed),
        seq: last.seq,
        hash: hex::encode(last.hash),
        broken,
        checkpoints: compared,
    })
}

/// A journal in parts that several tasks verify, each from the hash before it: if all of them are whole, the chain is.
struct Parts {
    pool: SqlitePool,
    id: Vec<u8>,
    last: i64,
    /// The last place of the part before the next one.
    next: AtomicI64,
    read: AtomicI64,
}

impl Parts {
    /// Verifies parts until there are no more, and gives what is wrong first in them.
    async fn verify(
        self: Arc<Self>,
        done: mpsc::Sender<()>,
    ) -> Result<Option<Broken>, sqlx::Error> {
        loop {
            let first = self.next.fetch_add(PART, Ordering::Relaxed);
            if first >= self.last {
                return Ok(None);
            }
            let found = verify_part(&self.pool, &self.id, first, self.last, &self.read).await?;
            // Whoever only watches may have gone.
            let _ = done.send(()).await;
            // What this task would look at next lies behind it.
            if found.is_some() {
                return Ok(found);
            }
        }
    }
}

/// Reads rows in two columns instead of five: what a column costs on its way here is most of the time.
const PACKED: &str = "SELECT seq || ' ' || at || ' ' || hex(hash) || ' ' || action, sealed FROM journal \
    WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT +?";

fn unpacked(row: &SqliteRow) -> Result<chain::Row, sqlx::Error> {
    let wrong = || sqlx::Error::Decode("a row is not in its form".into());
    let mut fields = row.try_get::<&str, _>(0)?.splitn(4, ' ');
    let mut field = || fields.next().ok_or_else(wrong);
    let seq = field()?.parse().map_err(|_| wrong())?;
    let at = field()?.parse().map_err(|_| wrong())?;
    let mut hash = [0; 32];
    hex::decode_to_slice(field()?, &mut hash).map_err(|_| wrong())?;
    Ok(chain::Row {
        seq,
        at,
        action: field()?.to_owned(),
        sealed: row.try_get(1)?,
        hash,
    })
}

/// What is wrong first behind `first`, within its part.
async fn verify_part(
    pool: &SqlitePool,
    id: &[u8],
    first: i64,
    last: i64,
    read: &AtomicI64,
) -> Result<Option<Broken>, sqlx::Error> {
    let missing = |seq| {
        Some(Broken {
            seq,
            what: "is missing".into(),
        })
    };
    let mut end = if first == 0 {
        End::start(id)
    } else {
        let found = sqlx::query("SELECT hash FROM journal WHERE seq = ?")
            .bind(first)
            .fetch_optional(pool)
            .await?;
        match found {
            Some(row) => End {
                seq: first,
                hash: hash(&row, 0)?,
            },
            None => return Ok(missing(first)),
        }
    };
    let until = last.min(first + PART);
    while end.seq < until {
        let found = sqlx::query(PACKED)
            .bind(end.seq)
            .bind(until)
            .bind(rows::integer(READ_AT_ONCE as u64))
            .fetch_all(pool)
            .await?;
        if found.is_empty() {
            return Ok(missing(end.seq + 1));
        }
        read.fetch_add(found.len() as i64, Ordering::Relaxed);
        for one in &found {
            let Ok(one) = unpacked(one) else {
                return Ok(Some(Broken {
                    seq: end.seq + 1,
                    what: "cannot be read".into(),
                }));
            };
            if let Err(broken) = end.follow(&one) {
                return Ok(Some(broken));
            }
        }
    }
    Ok(None)
}

/// What a checkpoint shows that the journal does not.
async fn compare(
    pool: &SqlitePool,
    journal: &str,
    last: End,
    checkpoint: &Checkpoint,
) -> Result<Option<Broken>, sqlx::Error> {
    let broken = |seq, what: &str| {
        Some(Broken {
            seq,
            what: what.into(),
        })
    };
    if checkpoint.journal != journal {
        return Ok(broken(
            1,
            "is of another journal than the checkpoint: it was replaced",
        ));
    }
    if checkpoint.seq > last.seq {
        return Ok(broken(
            last.seq + 1,
            "is missing, and a checkpoint has it: the end was cut off, or an older copy put in place",
        ));
    }
    if checkpoint.seq == 0 {
        return Ok(None);
    }
    let found: Option<Vec<u8>> = sqlx::query_scalar("SELECT hash FROM journal WHERE seq = ?")
        .bind(checkpoint.seq)
        .fetch_optional(pool)
        .await?;
    match found {
        Some(hash) if hex::encode(&hash) == checkpoint.hash => Ok(None),
        Some(_) => Ok(broken(
            checkpoint.seq,
            "or one before it is another than the checkpoint has",
        )),
        None => Ok(broken(checkpoint.seq, "is missing")),
    }
}

/// The journal's id and end.
pub(super) async fn end_of(pool: &SqlitePool) -> Result<(Vec<u8>, End), sqlx::Error> {
    let mut connection = pool.acquire().await?;
    end(&mut connection).await
}
