//! Looks after a state folder from outside: checks it, counts what it holds, makes it smaller, copies its rows while a host writes, and puts a copy in its place.
//!
//! Invariants: a copy is one moment of the store. Nothing that was there is overwritten without being told to, and even then it is moved aside.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_lc_rs::digest;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, SqliteConnection};
use utoipa::ToSchema;

use super::StoreError;
use super::artifacts::make_directory;
use super::lock::Lock;

/// The database in a state folder.
pub const DATABASE: &str = "infinity.db";
/// The files of artifacts in a state folder.
pub(super) const ARTIFACTS: &str = "artifacts";
/// Other files that belong to what happened.
pub(super) const BESIDE: [&str; 3] = ["pause.flag", "scheduler.log", crate::audit::seal::FILE];
/// Problems that are listed; whoever has more needs a backup and no list.
const PROBLEMS_MAX: i64 = 100;
/// How often the size of a growing copy is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Is told what is being done, how much of it is done, and how much there is.
pub type Progress<'p> = &'p (dyn Fn(&str, u64, u64) + Send + Sync);

/// What a check saw.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// What is wrong; nothing if it is empty.
    pub problems: Vec<String>,
    /// Runs recorded.
    pub runs: u64,
    /// Events kept.
    pub events: u64,
    /// Files of artifacts, each read and compared with its digest.
    pub artifacts: u64,
    /// Bytes of the database and those files.
    pub bytes: u64,
}

/// How much a store holds, and up to when.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = StoreCounts)]
pub struct Counts {
    /// Runs recorded.
    pub runs: u64,
    /// Events kept.
    pub events: u64,
    /// Effects kept.
    pub effects: u64,
    /// Keys of the API, those that are revoked among them.
    pub keys: u64,
    /// Files of artifacts that rows name.
    pub artifacts: u64,
    /// Records of the journal.
    pub journal: u64,
    /// The hash of its last record; empty when it has none.
    pub journal_end: String,
    /// When the newest event or record was written.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub newest_at: Option<Timestamp>,
}

/// What making a store smaller did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vacuumed {
    /// Bytes of the database before.
    pub before_bytes: u64,
    /// Bytes of the database after.
    pub after_bytes: u64,
}

async fn connect(database: &Path, write: bool) -> Result<SqliteConnection, StoreError> {
    if !database.is_file() {
        return Err(StoreError::io(
            database,
            io::Error::new(io::ErrorKind::NotFound, "there is no database"),
        ));
    }
    SqliteConnectOptions::new()
        .filename(database)
        .read_only(!write)
        .busy_timeout(Duration::from_secs(30))
        .pragma("temp_store", "memory")
        .disable_statement_logging()
        .connect()
        .await
        .map_err(|error| StoreError::database(database, error))
}

/// Reads the rows of a store and says what is wrong with them. A host may be writing meanwhile.
///
/// # Errors
/// When there is no database, or it cannot be read at all.
pub async fn check_rows(state: &Path, progress: Progress<'_>) -> Result<Checked, StoreError> {
    let database = state.join(DATABASE);
    let fail = |error| StoreError::database(&database, error);
    let mut connection = connect(&database, false).await?;
    progress("reading the database", 0, 1);
    let mut checked = Checked {
        bytes: length(&database),
        ..Checked::default()
    };
    let found: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!(
        "PRAGMA integrity_check({PROBLEMS_MAX})"
    )))
    .fetch_all(&mut connection)
    .await
    .map_err(fail)?;
    checked
        .problems
        .extend(found.into_iter().filter(|line| line != "ok"));
    let orphans = sqlx::query("PRAGMA foreign_key_check")
        .fetch_all(&mut connection)
        .await
        .map_err(fail)?;
    if !orphans.is_empty() {
        checked.problems.push(format!(
            "{} rows belong to runs that are not there",
            orphans.len()
        ));
    }
    let (runs, events): (i64, i64) =
        sqlx::query_as("SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM events)")
            .fetch_one(&mut connection)
            .await
            .map_err(fail)?;
    checked.runs = u64::try_from(runs).unwrap_or(0);
    checked.events = u64::try_from(events).unwrap_or(0);
    progress("reading the database", 1, 1);
    // A store of an earlier version, which nobody has opened since, has none.
    if has_table(&mut connection, "journal").await.map_err(fail)? {
        match super::journal::verify(state, &[], progress).await {
            Ok(verified) => checked.problems.extend(
                verified
                    .broken
                    .map(|broken| format!("the journal: {broken}")),
            ),
            Err(error) => checked.problems.push(format!("the journal: {error}")),
        }
    }
    let _ = connection.close().await;
    Ok(checked)
}

/// Reads a store whole, its rows and the files that they name, and says what is wrong with it. A host may be writing meanwhile.
///
/// # Errors
/// When there is no database, or it cannot be read at all.
pub async fn check(state: &Path, progress: Progress<'_>) -> Result<Checked, StoreError> {
    let database = state.join(DATABASE);
    let fail = |error| StoreError::database(&database, error);
    let mut checked = check_rows(state, progress).await?;
    let named = named(state).await?;
    let mut connection = connect(&database, false).await?;
    let total = named.len() as u64;
    for (done, digest) in named.into_iter().enumerate() {
        progress("reading artifacts", done as u64, total);
        let path = artifact(state, &digest);
        let read = tokio::task::spawn_blocking(move || {
            fs::read(&path).map(|bytes| {
                (
                    digest::digest(&digest::SHA256, &bytes).as_ref().to_vec(),
                    bytes.len() as u64,
                )
            })
        })
        .await
        .map_err(|_| StoreError::Closed)?;
        match read {
            Ok((found, bytes)) if found == digest => {
                checked.artifacts += 1;
                checked.bytes += bytes;
            }
            Ok(_) => checked.problems.push(format!(
                "artifact sha256:{} does not hold what was stored",
                hex::encode(&digest)
            )),
            // A host that prunes while we read removes rows and files; then the row is gone, too.
            Err(_) if !is_named(&mut connection, &digest).await.map_err(fail)? => {}
            Err(error) => checked
                .problems
                .push(format!("artifact sha256:{}: {error}", hex::encode(&digest))),
        }
    }
    progress("reading artifacts", total, total);
    let _ = connection.close().await;
    Ok(checked)
}

async fn is_named(connection: &mut SqliteConnection, digest: &[u8]) -> Result<bool, sqlx::Error> {
    let there = sqlx::query("SELECT 1 FROM artifacts WHERE digest = ? LIMIT 1")
        .bind(digest)
        .fetch_optional(connection)
        .await?;
    Ok(there.is_some())
}

pub(super) fn artifact(state: &Path, digest: &[u8]) -> PathBuf {
    let first = digest.first().copied().unwrap_or(0);
    state
        .join(ARTIFACTS)
        .join(hex::encode([first]))
        .join(hex::encode(digest))
}

pub(super) fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// Writes the database anew without the room that removed rows left. No host may run on the folder.
///
/// # Errors
/// [`StoreError::Locked`] while a host runs; [`StoreError::Full`] when there is no room for the second copy that this needs for a while.
pub async fn vacuum(state: &Path, progress: Progress<'_>) -> Result<Vacuumed, StoreError> {
    let database = state.join(DATABASE);
    let (mut lock, unclean) = Lock::take(state)?;
    let fail = |error| StoreError::database(&database, error);
    let mut connection = connect(&database, true).await?;
    let before_bytes = length(&database);
    progress("writing the database anew", 0, 1);
    for sql in [
        // The copy would be in memory otherwise.
        "PRAGMA temp_store = FILE",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "VACUUM",
        "PRAGMA wal_checkpoint(TRUNCATE)",
    ] {
        sqlx::query(sql)
            .execute(&mut connection)
            .await
            .map_err(fail)?;
    }
    connection.close().await.map_err(fail)?;
    progress("writing the database anew", 1, 1);
    if !unclean {
        lock.mark_clean()?;
    }
    Ok(Vacuumed {
        before_bytes,
        after_bytes: length(&database),
    })
}

/// Copies the database and what lies beside it, but no files of artifacts, into a new folder, as of one moment. A host may be writing meanwhile and is not held up.
///
/// # Errors
/// [`StoreError::Occupied`] when the folder holds something already.
pub async fn copy(state: &Path, to: &Path, progress: Progress<'_>) -> Result<(), StoreError> {
    let database = state.join(DATABASE);
    let mut connection = connect(&database, false).await?;
    empty(to)?;
    let fail_io = |error| StoreError::io(to, error);
    make_directory(to).map_err(fail_io)?;
    let copy = to.join(DATABASE);
    let total = length(&database);
    {
        let copying = copy_database(&mut connection, &copy);
        tokio::pin!(copying);
        loop {
            tokio::select! {
                done = &mut copying => {
                    done?;
                    break;
                }
                () = tokio::time::sleep(LOOK_EVERY) => {
                    progress("copying the database", length(&copy).min(total), total);
                }
            }
        }
    }
    progress("copying the database", total, total);
    // What is copied goes back to a write-ahead log when a host opens it; until then it is one file.
    let _ = connection.close().await;
    for name in BESIDE {
        let from = state.join(name);
        if from.is_file() {
            fs::copy(&from, to.join(name)).map_err(fail_io)?;
        }
    }
    File::open(to)
        .and_then(|folder| folder.sync_all())
        .map_err(fail_io)
}

/// The digests of all artifacts that rows of a store name, each once.
///
/// # Errors
/// When the database cannot be read.
pub(super) async fn named(state: &Path) -> Result<Vec<Vec<u8>>, StoreError> {
    let database = state.join(DATABASE);
    let mut connection = connect(&database, false).await?;
    let named = sqlx::query_scalar("SELECT DISTINCT digest FROM artifacts ORDER BY digest")
        .fetch_all(&mut connection)
        .await
        .map_err(|error| StoreError::database(&database, error))?;
    let _ = connection.close().await;
    Ok(named)
}

/// Counts what a store holds.
///
/// # Errors
/// When the database cannot be read.
pub async fn counts(state: &Path) -> Result<Counts, StoreError> {
    let database = state.join(DATABASE);
    let fail = |error| StoreError::database(&database, error);
    let mut connection = connect(&database, false).await?;
    let mut counts = Counts::default();
    for (table, field) in [
        ("runs", &mut counts.runs),
        ("events", &mut counts.events),
        ("effects", &mut counts.effects),
        ("api_keys", &mut counts.keys),
        ("journal", &mut counts.journal),
    ] {
        // A store of an earlier version, which nobody has opened since, may not have it.
        if has_table(&mut connection, table).await.map_err(fail)? {
            let rows: i64 =
                sqlx::query_scalar(AssertSqlSafe(format!("SELECT count(*) FROM {table}")))
                    .fetch_one(&mut connection)
                    .await
                    .map_err(fail)?;
            *field = u64::try_from(rows).unwrap_or(0);
        }
    }
    let event: Option<i64> = sqlx::query_scalar("SELECT max(time) FROM events")
        .fetch_one(&mut connection)
        .await
        .map_err(fail)?;
    counts.newest_at = event.and_then(|time| Timestamp::from_microsecond(time).ok());
    if counts.journal > 0 {
        let (hash, at): (Vec<u8>, i64) =
            sqlx::query_as("SELECT hash, at FROM journal ORDER BY seq DESC LIMIT 1")
                .fetch_one(&mut connection)
                .await
                .map_err(fail)?;
        counts.journal_end = hex::encode(hash);
        counts.newest_at = counts.newest_at.max(Timestamp::from_microsecond(at).ok());
    }
    counts.artifacts = sqlx::query_scalar::<_, i64>("SELECT count(DISTINCT digest) FROM artifacts")
        .fetch_one(&mut connection)
        .await
        .map_err(fail)?
        .try_into()
        .unwrap_or(0);
    let _ = connection.close().await;
    Ok(counts)
}

/// The hash of the journal's record at a place; none when there is no such record.
///
/// # Errors
/// When the database cannot be read.
pub(super) async fn journal_hash(state: &Path, seq: u64) -> Result<Option<String>, StoreError> {
    let database = state.join(DATABASE);
    let fail = |error| StoreError::database(&database, error);
    let mut connection = connect(&database, false).await?;
    let found: Option<Vec<u8>> = sqlx::query_scalar("SELECT hash FROM journal WHERE seq = ?")
        .bind(i64::try_from(seq).unwrap_or(i64::MAX))
        .fetch_optional(&mut connection)
        .await
        .map_err(fail)?;
    let _ = connection.close().await;
    Ok(found.map(hex::encode))
}

async fn has_table(connection: &mut SqliteConnection, name: &str) -> Result<bool, sqlx::Error> {
    let there = sqlx::query("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?")
        .bind(name)
        .fetch_optional(connection)
        .await?;
    Ok(there.is_some())
}

/// Puts a backup in a state folder's place. What is there is refused unless `replace`, and is then moved into a folder beside it, whose path is the answer.
///
/// # Errors
/// [`StoreError::Locked`] while a host runs; [`StoreError::Occupied`] when there is a store and `replace` is not said; [`StoreError::Corrupt`] when the backup is not whole.
pub async fn restore(
    from: &Path,
    state: &Path,
    replace: bool,
    progress: Progress<'_>,
) -> Result<(Checked, Option<PathBuf>), StoreError> {
    if let (Ok(source), Ok(target)) = (from.canonicalize(), state.canonicalize())
        && source == target
    {
        return Err(StoreError::Occupied {
            path: state.to_owned(),
        });
    }
    let checked = check(from, progress).await?;
    if let Some(problem) = checked.problems.first() {
        return Err(StoreError::Corrupt {
            path: from.join(DATABASE),
            detail: problem.clone(),
        });
    }
    let fail = |error| StoreError::io(state, error);
    make_directory(state).map_err(fail)?;
    let (mut lock, _) = Lock::take(state)?;
    let names = [
        DATABASE,
        "infinity.db-wal",
        "infinity.db-shm",
        ARTIFACTS,
        BESIDE[0],
        BESIDE[1],
        BESIDE[2],
    ];
    if !replace && state.join(DATABASE).exists() {
        return Err(StoreError::Occupied {
            path: state.to_owned(),
        });
    }
    // Also what an interrupted attempt left: a write-ahead log of another database would be written over the restored one.
    let mut aside = None;
    let old: Vec<&str> = names
        .into_iter()
        .filter(|name| state.join(name).exists())
        .collect();
    if !old.is_empty() {
        let beside = state.join(format!(
            "replaced-{}",
            jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S%.3fZ")
        ));
        make_directory(&beside).map_err(fail)?;
        for name in old {
            fs::rename(state.join(name), beside.join(name)).map_err(fail)?;
        }
        File::open(state)
            .and_then(|folder| folder.sync_all())
            .map_err(fail)?;
        aside = Some(beside);
    }
    copy_artifacts(from, state, progress).await?;
    for name in BESIDE {
        if from.join(name).is_file() {
            fs::copy(from.join(name), state.join(name)).map_err(fail)?;
        }
    }
    // The database last and in one step: a folder that has it has everything.
    let unfinished = state.join("infinity.db.restoring");
    let _ = fs::remove_file(&unfinished);
    // By the database itself, which reads a write-ahead log along.
    let mut source = connect(&from.join(DATABASE), false).await?;
    copy_database(&mut source, &unfinished).await?;
    let _ = source.close().await;
    fs::rename(&unfinished, state.join(DATABASE))
        .and_then(|()| File::open(state)?.sync_all())
        .map_err(fail)?;
    lock.mark_clean()?;
    Ok((checked, aside))
}

/// Copies a database, as of one moment, into a file that is the owner's alone.
async fn copy_database(connection: &mut SqliteConnection, to: &Path) -> Result<(), StoreError> {
    let fail = |error| StoreError::io(to, error);
    let text = to.to_str().ok_or_else(|| {
        fail(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the path is not UTF-8",
        ))
    })?;
    // SQLite fills an empty file that is there, and would make one that all can read.
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)
        .map_err(fail)?;
    sqlx::query("VACUUM INTO ?")
        .bind(text)
        .execute(connection)
        .await
        .map_err(|error| StoreError::database(to, error))?;
    File::open(to)
        .and_then(|file| file.sync_all())
        .map_err(fail)
}

fn empty(folder: &Path) -> Result<(), StoreError> {
    if entries(folder).is_empty() {
        return Ok(());
    }
    Err(StoreError::Occupied {
        path: folder.to_owned(),
    })
}

/// Copies the files of artifacts that are not there yet.
async fn copy_artifacts(from: &Path, to: &Path, progress: Progress<'_>) -> Result<(), StoreError> {
    let root = from.join(ARTIFACTS);
    let mut files = Vec::new();
    for shard in entries(&root) {
        files.extend(entries(&shard).into_iter().filter(|path| path.is_file()));
    }
    let total = files.len() as u64;
    for (done, file) in files.into_iter().enumerate() {
        progress("copying artifacts", done as u64, total);
        let Ok(relative) = file.strip_prefix(from) else {
            continue;
        };
        let target = to.join(relative);
        // A name is a digest of 64 digits; anything else is a file that was being written.
        let whole = file.file_name().is_some_and(|name| name.len() == 64);
        if !whole || target.exists() {
            continue;
        }
        let copied = tokio::task::spawn_blocking(move || {
            if let Some(folder) = target.parent() {
                make_directory(folder)?;
            }
            // Under another name until it is whole.
            let part = target.with_extension("part");
            match fs::copy(&file, &part) {
                Ok(_) => {
                    File::open(&part)?.sync_all()?;
                    fs::rename(&part, &target)?;
                    match target.parent() {
                        Some(folder) => File::open(folder)?.sync_all(),
                        None => Ok(()),
                    }
                }
                // Pruned meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                Err(error) => Err(error),
            }
        })
        .await
        .map_err(|_| StoreError::Closed)?;
        copied.map_err(|error| StoreError::io(to, error))?;
    }
    progress("copying artifacts", total, total);
    Ok(())
}

pub(super) fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect()
}
