//! A folder of backups: makes one of a state folder while a host writes, lists them, reads them again, puts one in a state folder's place, tries that out, and removes what is old.
//!
//! A backup is a folder named by its moment, with what it holds in `backup.json`, the rows in one sealed file, and `files`, the names of the artifacts that its rows name. Artifacts are the same
//! for ever, so each is sealed once and lies in `artifacts/` for all backups: another backup costs its rows and what is new. In a folder of sealed backups the artifacts' names say nothing, as they
//! are made with a secret that is sealed, too.
//!
//! Invariants: what has the name of a backup was read again: its rows with their journal, and each artifact that was added for it, in a snapshot all of them. Nothing in the clear is outside of the
//! state folder, unless backups are not sealed. What is not a backup of ours is never removed.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use aws_lc_rs::{digest, hmac, rand};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::artifacts::make_directory;
use super::keep::{self, ARTIFACTS, BESIDE, Checked, Counts, DATABASE, Progress};
use super::parcel::{self, CONTENT, blocking};
use super::{SqliteStore, Store as _, StoreError};
use crate::audit::seal::Sealer;

/// What a backup says of itself.
const MANIFEST: &str = "backup.json";

/// The names of the artifacts of a backup, one a line.
const FILES: &str = "files";

/// The secret from which artifacts of sealed backups have their names.
const NAMES: &str = "names.sealed";

/// Held by whoever makes, reads or removes backups.
const LOCK: &str = "lock";

/// What ends the name of a folder or file that is not whole yet.
const PART: &str = ".part";

/// The form of a backup's name.
const NAME: &str = "%Y%m%dT%H%M%S%.3fZ";

/// Bytes of [`MANIFEST`] at most: it has about 700.
const MANIFEST_MAX: u64 = 64 << 10;

/// Problems that are listed; whoever has more needs another backup and no list.
const PROBLEMS_MAX: usize = 100;

/// Room that is left free in the folder of backups, in bytes: a disk that is full to its end stops more than this.
const ROOM_LEFT: u64 = 64 << 20;

/// The folder in the state folder in which copies lie in the clear while they are made or read.
const SCRATCH: &str = "scratch";

/// After how long what a process left there is removed, though one of its number lives: nothing takes that long.
const SCRATCH_OLD: Duration = Duration::from_secs(24 * 3600);

/// How long copies stay: until well after the next snapshot.
const COPIES_FOR: SignedDuration = SignedDuration::from_hours(8);

/// How long every snapshot stays.
const SNAPSHOTS_FOR: SignedDuration = SignedDuration::from_hours(2 * 24);

/// How long the last snapshot of each day stays.
const DAYS_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How many calendar years' first snapshots stay.
const YEARS: i16 = 10;

/// The most that may be lost: what was written since the newest backup.
pub const LOSS_MAX: Duration = Duration::from_secs(15 * 60);

/// The longest that putting a backup back may take.
pub const RESTORE_MAX: Duration = Duration::from_secs(3600);

/// How thoroughly a backup was read again when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = BackupKind)]
pub enum Kind {
    /// Its rows, their journal, and artifacts that no backup had before.
    Copy,
    /// All of it.
    Snapshot,
}

/// A backup, as it says itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Backup {
    /// Its folder's name.
    pub name: String,
    /// How it was read again.
    pub kind: Kind,
    /// When the host's rows were copied.
    #[schema(value_type = String, format = DateTime)]
    pub made_at: Timestamp,
    /// The version of the program that made it.
    pub version: String,
    /// Whether it is encrypted.
    pub sealed: bool,
    /// What it holds.
    pub counts: Counts,
}

/// How a trial of putting a backup back went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = BackupDrill)]
pub struct Drill {
    /// The backup.
    pub backup: String,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub made_at: Timestamp,
    /// When the trial began.
    #[schema(value_type = String, format = DateTime)]
    pub drilled_at: Timestamp,
    /// Whether all of it is there and both times are within what is aimed at.
    pub passed: bool,
    /// What is wrong.
    pub problems: Vec<String>,
    /// From the start to a store that is opened and verified, in milliseconds.
    pub restore_ms: u64,
    /// The longest that may take: an hour.
    pub restore_max_ms: u64,
    /// What would be lost: from the newest row of the backup to the newest of the store, or to the trial where the store is gone, in milliseconds.
    pub loss_ms: u64,
    /// The most that may be lost: a quarter of an hour.
    pub loss_max_ms: u64,
    /// What was restored.
    pub counts: Counts,
    /// Where it was left, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<String>,
}

/// With what artifacts and rows are sealed, if they are, and how artifacts are named.
struct Form {
    sealer: Option<Arc<Sealer>>,
    names: hmac::Key,
}

impl Form {
    /// The form of backups in a folder; what it needs is made if `making`.
    fn open(set: &Path, sealer: Option<Sealer>, making: bool) -> Result<Self, StoreError> {
        let mut secret = vec![0; 32];
        if let Some(sealer) = &sealer {
            let path = set.join(NAMES);
            let fail = |error| StoreError::io(&path, error);
            match fs::read(&path) {
                Ok(sealed) => {
                    secret = sealer
                        .open_sealed(b"backup names\0", &sealed)
                        .map_err(|error| StoreError::Backup {
                            path: set.to_owned(),
                            detail: format!("these keys do not open `{NAMES}` ({error}); the keys are `{}` of the state folder that was copied", parcel::KEYS),
                        })?;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound && making => {
                    rand::fill(&mut secret)
                        .map_err(|_| fail(io::Error::other("there is no randomness")))?;
                    let sealed = sealer.protect(b"backup names\0", &secret).map_err(fail)?;
                    place(&path, &sealed).map_err(fail)?;
                }
                // A backup of an earlier version has its artifacts within, and one that has none needs no names.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(fail(error)),
            }
        }
        Ok(Self {
            sealer: sealer.map(Arc::new),
            names: hmac::Key::new(hmac::HMAC_SHA256, &secret),
        })
    }

    /// What an artifact is called here.
    fn name(&self, digest: &[u8]) -> String {
        match self.sealer {
            Some(_) => hex::encode(hmac::sign(&self.names, digest)),
            None => hex::encode(digest),
        }
    }

    /// Puts an artifact into the folder, unless it is there, and reads it again. `false` when it is gone from the state folder.
    fn put(&self, set: &Path, state: &Path, digest: &[u8]) -> io::Result<bool> {
        let to = pooled(set, &self.name(digest));
        if to.is_file() {
            return Ok(true);
        }
        let bytes = match fs::read(keep::artifact(state, digest)) {
            Ok(bytes) => bytes,
            // Pruned meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let sealed = match &self.sealer {
            Some(sealer) => sealer.protect(&artifact_place(digest), &bytes)?,
            None => bytes,
        };
        if let Some(folder) = to.parent() {
            make_directory(folder)?;
        }
        place(&to, &sealed)?;
        match self.get(set, digest) {
            Ok(_) => Ok(true),
            Err(detail) => {
                let _ = fs::remove_file(&to);
                Err(io::Error::new(io::ErrorKind::InvalidData, detail))
            }
        }
    }

    /// An artifact of the folder, if it is what its digest says; else why not.
    fn get(&self, set: &Path, digest: &[u8]) -> Result<Vec<u8>, String> {
        let wrong =
            |why: &dyn std::fmt::Display| format!("artifact sha256:{}: {why}", hex::encode(digest));
        let bytes = fs::read(pooled(set, &self.name(digest))).map_err(|error| wrong(&error))?;
        let bytes = match &self.sealer {
            Some(sealer) => sealer
                .open_sealed(&artifact_place(digest), &bytes)
                .map_err(|error| wrong(&error))?,
            None => bytes,
        };
        if digest::digest(&digest::SHA256, &bytes).as_ref() == digest {
            Ok(bytes)
        } else {
            Err(wrong(&"does not hold what was stored"))
        }
    }

    /// Writes rows that were copied into a backup's folder.
    async fn pack(&self, plain: &Path, backup: &Path) -> Result<(), StoreError> {
        let Some(sealer) = self.sealer.clone() else {
            return copy_rows(plain, backup).await;
        };
        let (plain, content) = (plain.to_owned(), backup.join(CONTENT));
        blocking(backup, move || parcel::seal(&sealer, &plain, &content))
            .await
            .map_err(|error| of_backup(backup, error))
    }

    /// Writes the rows of a backup into a new folder.
    async fn unpack(&self, backup: &Path, to: &Path) -> Result<(), StoreError> {
        make_directory(to).map_err(|error| StoreError::io(to, error))?;
        let Some(sealer) = self.sealer.clone() else {
            return copy_rows(backup, to).await;
        };
        let (content, to) = (backup.join(CONTENT), to.to_owned());
        blocking(backup, move || parcel::unseal(&sealer, &content, &to))
            .await
            .map_err(|error| of_backup(backup, error))
    }
}

/// What damage is called that was found in a backup and not in the store.
fn of_backup(backup: &Path, error: StoreError) -> StoreError {
    match error {
        StoreError::Corrupt { detail, .. } => StoreError::Backup {
            path: backup.to_owned(),
            detail,
        },
        error => error,
    }
}

fn artifact_place(digest: &[u8]) -> Vec<u8> {
    [b"backup artifact\0", digest].concat()
}

fn pooled(set: &Path, name: &str) -> PathBuf {
    let shard = name.get(..2).unwrap_or("00");
    set.join(ARTIFACTS).join(shard).join(name)
}

/// Writes a file that is there whole or not at all.
fn place(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().suffix(PART).tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}

/// Copies the database and what lies beside it, as files that nobody writes to.
async fn copy_rows(from: &Path, to: &Path) -> Result<(), StoreError> {
    let (from, target) = (from.to_owned(), to.to_owned());
    blocking(to, move || {
        for name in BESIDE.iter().chain(&[DATABASE, MANIFEST]) {
            let file = from.join(name);
            if file.is_file() {
                fs::copy(&file, target.join(name))?;
                File::open(target.join(name))?.sync_all()?;
            }
        }
        Ok(())
    })
    .await
}

/// A folder in the state folder that is gone when this is. It holds what is in the clear.
fn scratch(state: &Path) -> Result<tempfile::TempDir, StoreError> {
    let folder = state.join(SCRATCH);
    let fail = |error| StoreError::io(&folder, error);
    make_directory(state).map_err(fail)?;
    make_directory(&folder).map_err(fail)?;
    for left in keep::entries(&folder) {
        if is_left(&left) {
            let _ = fs::remove_dir_all(&left);
        }
    }
    tempfile::Builder::new()
        .prefix(&format!("{}-", std::process::id()))
        .permissions(fs::Permissions::from_mode(0o700))
        .tempdir_in(&folder)
        .map_err(fail)
}

/// Whether the process that made a folder of [`scratch`] is gone, or it is a day old.
fn is_left(folder: &Path) -> bool {
    let maker = folder
        .file_name()
        .and_then(|name| name.to_str()?.split('-').next()?.parse::<u32>().ok());
    let lives = maker.is_some_and(|pid| Path::new("/proc").join(pid.to_string()).exists());
    let old = fs::metadata(folder)
        .and_then(|metadata| metadata.modified())
        .is_ok_and(|at| {
            SystemTime::now()
                .duration_since(at)
                .is_ok_and(|age| age > SCRATCH_OLD)
        });
    // What was asked to be kept has another name.
    maker.is_some() && (!lives || old)
}

/// Holds the folder of backups, alone or with others who read, until the file is dropped.
fn hold(set: &Path, alone: bool) -> Result<Option<File>, StoreError> {
    let path = set.join(LOCK);
    let opened = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create(alone)
        .truncate(false)
        .mode(0o600)
        .open(&path);
    let file = match opened {
        Ok(file) => file,
        // Whoever only reads may read from where nobody writes, and of an earlier version's.
        Err(_) if !alone => return Ok(None),
        Err(error) => return Err(StoreError::io(&path, error)),
    };
    let operation = if alone {
        FlockOperation::NonBlockingLockExclusive
    } else {
        FlockOperation::NonBlockingLockShared
    };
    match rustix::fs::flock(&file, operation) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(StoreError::Busy {
            path: set.to_owned(),
        }),
        Err(error) => Err(StoreError::io(&path, error.into())),
    }
}

/// Whether a file system has this many bytes for us.
fn room(folder: &Path, bytes: u64) -> Result<(), StoreError> {
    let found =
        rustix::fs::statvfs(folder).map_err(|error| StoreError::io(folder, error.into()))?;
    if found.f_bavail.saturating_mul(found.f_frsize) < bytes {
        return Err(StoreError::Full {
            path: folder.to_owned(),
        });
    }
    Ok(())
}

fn manifest(folder: &Path) -> Option<Backup> {
    let path = folder.join(MANIFEST);
    if fs::metadata(&path).ok()?.len() > MANIFEST_MAX {
        return None;
    }
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Makes a backup of a state folder in a folder of backups. A host may be writing meanwhile and is not held up.
///
/// # Errors
/// [`StoreError::Busy`] while another is made there; [`StoreError::Full`] when there is no room, before the disk is full; [`StoreError::Backup`] when what was written cannot be read again.
pub async fn create(
    state: &Path,
    set: &Path,
    kind: Kind,
    seals: bool,
    progress: Progress<'_>,
) -> Result<Backup, StoreError> {
    let fail = |error| StoreError::io(set, error);
    make_directory(set).map_err(fail)?;
    let _alone = hold(set, true)?;
    for left in keep::entries(set) {
        if left.to_str().is_some_and(|name| name.ends_with(PART)) {
            let _ = if left.is_dir() {
                fs::remove_dir_all(&left)
            } else {
                fs::remove_file(&left)
            };
        }
    }
    let database = keep::length(&state.join(DATABASE));
    room(set, database.saturating_add(ROOM_LEFT))?;
    // The copy, and the same again as it is read back.
    room(state, database.saturating_mul(2).saturating_add(ROOM_LEFT))?;
    let sealer = seals.then(|| parcel::keys(state, true)).transpose()?;
    let form = Arc::new(Form::open(set, sealer, true)?);
    let scratch = scratch(state)?;
    let plain = scratch.path().join("copy");
    // Files before and after the rows: what is pruned meanwhile was put there before, what is written meanwhile is put there after.
    let there: Vec<Vec<u8>> = keep::entries(&state.join(ARTIFACTS))
        .iter()
        .flat_map(|shard| keep::entries(shard))
        .filter_map(|file| hex::decode(file.file_name()?.to_str()?).ok())
        .filter(|digest| digest.len() == 32)
        .collect();
    put_all(&form, set, state, there, progress).await?;
    keep::copy(state, &plain, progress).await?;
    let made_at = Timestamp::now();
    let named = keep::named(&plain).await?;
    let mut files: Vec<String> = named.iter().map(|digest| form.name(digest)).collect();
    files.sort_unstable();
    put_all(&form, set, state, named, progress).await?;
    let backup = Backup {
        name: made_at.strftime(NAME).to_string(),
        kind,
        made_at,
        version: env!("CARGO_PKG_VERSION").into(),
        sealed: seals,
        counts: keep::counts(&plain).await?,
    };
    let text = serde_json::to_vec_pretty(&backup).map_err(|error| fail(error.into()))?;
    place(&plain.join(MANIFEST), &text).map_err(fail)?;
    let part = set.join(format!("{}{PART}", backup.name));
    make_directory(&part).map_err(fail)?;
    let whole = async {
        progress("sealing", 0, 1);
        form.pack(&plain, &part).await?;
        place(&part.join(FILES), files.join("\n").as_bytes()).map_err(fail)?;
        place(&part.join(MANIFEST), &text).map_err(fail)?;
        progress("reading it again", 0, 1);
        let again = scratch.path().join("again");
        let every = kind == Kind::Snapshot;
        let (_, checked) = read(&form, set, &part, &again, every, progress).await?;
        match checked.problems.into_iter().next() {
            None => Ok(()),
            Some(detail) => Err(StoreError::Backup {
                path: part.clone(),
                detail,
            }),
        }
    };
    let ended = whole.await.and_then(|()| {
        fs::rename(&part, set.join(&backup.name))
            .and_then(|()| File::open(set)?.sync_all())
            .map_err(fail)
    });
    if let Err(error) = ended {
        let _ = fs::remove_dir_all(&part);
        return Err(error);
    }
    Ok(backup)
}

/// Puts artifacts into the folder that are not there.
async fn put_all(
    form: &Arc<Form>,
    set: &Path,
    state: &Path,
    digests: Vec<Vec<u8>>,
    progress: Progress<'_>,
) -> Result<(), StoreError> {
    let total = digests.len() as u64;
    for (done, digest) in digests.into_iter().enumerate() {
        if done % 64 == 0 {
            progress("copying artifacts", done as u64, total);
        }
        let (form, to, from) = (Arc::clone(form), set.to_owned(), state.to_owned());
        // One that is gone is missed where the backup is read again, if a row of it names it.
        blocking(set, move || form.put(&to, &from, &digest).map(|_| ()))
            .await
            .map_err(|error| of_backup(set, error))?;
    }
    progress("copying artifacts", total, total);
    Ok(())
}

/// Reads a backup: its rows in a new folder, and its artifacts if `every`. Gives what it says of itself, and what is wrong.
async fn read(
    form: &Arc<Form>,
    set: &Path,
    backup: &Path,
    to: &Path,
    every: bool,
    progress: Progress<'_>,
) -> Result<(Option<Backup>, Checked), StoreError> {
    form.unpack(backup, to).await?;
    let mut checked = keep::check_rows(to, progress).await?;
    let inner = manifest(to);
    compare(inner.as_ref(), backup, to, &mut checked.problems).await?;
    if every {
        let named = keep::named(to).await?;
        let total = named.len() as u64;
        for (done, digest) in named.into_iter().enumerate() {
            progress("reading artifacts", done as u64, total);
            // One of an earlier version has them within.
            if keep::artifact(to, &digest).is_file() {
                continue;
            }
            let (form, set) = (Arc::clone(form), set.to_owned());
            let got = tokio::task::spawn_blocking(move || {
                form.get(&set, &digest).map(|bytes| bytes.len() as u64)
            });
            match got.await.map_err(|_| StoreError::Closed)? {
                Ok(bytes) => {
                    checked.artifacts += 1;
                    checked.bytes += bytes;
                }
                Err(problem) if checked.problems.len() < PROBLEMS_MAX => {
                    checked.problems.push(problem);
                }
                Err(_) => {}
            }
        }
    }
    Ok((inner, checked))
}

/// Whether a backup holds what it says.
async fn compare(
    inner: Option<&Backup>,
    backup: &Path,
    opened: &Path,
    problems: &mut Vec<String>,
) -> Result<(), StoreError> {
    let outer = manifest(backup);
    match (inner, outer) {
        (Some(inner), Some(outer)) if *inner != outer => problems.push(format!(
            "`{MANIFEST}` beside it is not the one within: somebody changed it"
        )),
        (Some(_), None) => problems.push(format!("`{MANIFEST}` beside it cannot be read")),
        (None, Some(_)) => problems.push(format!("`{MANIFEST}` within it cannot be read")),
        _ => {}
    }
    if let Some(inner) = inner
        && keep::counts(opened).await? != inner.counts
    {
        problems.push("it does not hold as much as was counted when it was made".into());
    }
    Ok(())
}

/// The folder of backups that one is in.
fn set_of(backup: &Path) -> PathBuf {
    match backup.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// The form of a backup that is there.
fn form_of(backup: &Path, state: &Path, keys: Option<&Path>) -> Result<Arc<Form>, StoreError> {
    let sealed = backup.join(CONTENT).is_file();
    if !sealed && !backup.join(DATABASE).is_file() {
        return Err(StoreError::Backup {
            path: backup.to_owned(),
            detail: format!("it is a folder neither with `{CONTENT}` nor with `{DATABASE}`"),
        });
    }
    let sealer = match keys {
        _ if !sealed => None,
        Some(path) => {
            Some(Sealer::open_file_to_read(path).map_err(|error| StoreError::io(path, error))?)
        }
        None => Some(parcel::keys(state, false)?),
    };
    Form::open(&set_of(backup), sealer, false).map(Arc::new)
}

/// Reads a backup whole, with the keys of the state folder or of a file, and says what is wrong with it.
///
/// # Errors
/// When it cannot be opened at all.
pub async fn verify(
    backup: &Path,
    state: &Path,
    keys: Option<&Path>,
    progress: Progress<'_>,
) -> Result<(Option<Backup>, Checked), StoreError> {
    let set = set_of(backup);
    let _held = hold(&set, false)?;
    let form = form_of(backup, state, keys)?;
    let scratch = scratch(state)?;
    progress("opening", 0, 1);
    let to = scratch.path().join("copy");
    read(&form, &set, backup, &to, true, progress).await
}

/// Writes a backup into a new folder that is then a state folder, and says how it is.
async fn assemble(
    backup: &Path,
    form: &Arc<Form>,
    to: &Path,
    progress: Progress<'_>,
) -> Result<(Option<Backup>, Checked), StoreError> {
    let set = set_of(backup);
    progress("opening", 0, 1);
    form.unpack(backup, to).await?;
    let named = keep::named(to).await?;
    let total = named.len() as u64;
    for (done, digest) in named.into_iter().enumerate() {
        progress("copying artifacts", done as u64, total);
        let target = keep::artifact(to, &digest);
        // One of an earlier version has them within, or beside itself.
        let own = keep::artifact(backup, &digest);
        if target.is_file() {
            continue;
        }
        let (form, set) = (Arc::clone(form), set.clone());
        blocking(backup, move || {
            let bytes = if own.is_file() {
                fs::read(&own)?
            } else {
                form.get(&set, &digest)
                    .map_err(|detail| io::Error::new(io::ErrorKind::InvalidData, detail))?
            };
            if let Some(folder) = target.parent() {
                make_directory(folder)?;
            }
            place(&target, &bytes)
        })
        .await
        .map_err(|error| of_backup(backup, error))?;
    }
    let mut checked = keep::check(to, progress).await?;
    let inner = manifest(to);
    compare(inner.as_ref(), backup, to, &mut checked.problems).await?;
    Ok((inner, checked))
}

/// Puts a backup in a state folder's place, with the keys of the state folder or of a file. What is there is refused unless `replace`, and is then moved into a folder beside it, whose path is the answer.
///
/// # Errors
/// As [`keep::restore`]; [`StoreError::Backup`] when it is not what was put into it.
pub async fn restore(
    backup: &Path,
    state: &Path,
    keys: Option<&Path>,
    replace: bool,
    progress: Progress<'_>,
) -> Result<(Checked, Option<PathBuf>), StoreError> {
    if !replace && state.join(DATABASE).exists() {
        return Err(StoreError::Occupied {
            path: state.to_owned(),
        });
    }
    let _held = hold(&set_of(backup), false)?;
    let form = form_of(backup, state, keys)?;
    let scratch = scratch(state)?;
    let to = scratch.path().join("copy");
    let (_, checked) = assemble(backup, &form, &to, progress).await?;
    if let Some(detail) = checked.problems.into_iter().next() {
        return Err(StoreError::Backup {
            path: backup.to_owned(),
            detail,
        });
    }
    keep::restore(&to, state, replace, progress).await
}

/// Puts a backup back into an empty folder, opens a store on it, verifies it, and measures both times. The folder is removed unless `keeps`.
///
/// # Errors
/// When there is no such backup or no room. That it cannot be put back is no error, but a trial that did not pass.
pub async fn drill(
    backup: &Path,
    state: &Path,
    keys: Option<&Path>,
    keeps: bool,
    progress: Progress<'_>,
) -> Result<Drill, StoreError> {
    let began = Instant::now();
    let drilled_at = Timestamp::now();
    let said = manifest(backup).ok_or_else(|| StoreError::Backup {
        path: backup.to_owned(),
        detail: format!("it has no `{MANIFEST}` that can be read"),
    })?;
    let _held = hold(&set_of(backup), false)?;
    let form = form_of(backup, state, keys)?;
    let scratch = scratch(state)?;
    let to = scratch.path().join("copy");
    let mut problems = Vec::new();
    let counts = match put_back(backup, &form, &to, &mut problems, progress).await {
        Ok(counts) => counts,
        Err(error @ StoreError::Full { .. }) => return Err(error),
        Err(error) => {
            let cause = std::error::Error::source(&error)
                .map_or_else(String::new, |cause| format!(": {cause}"));
            problems.push(format!("{error}{cause}"));
            Counts::default()
        }
    };
    let restore = began.elapsed();
    let live = keep::counts(state).await.ok();
    if live.is_some() && said.counts.journal > 0 {
        let hash = keep::journal_hash(state, said.counts.journal).await?;
        if hash.as_ref() != Some(&said.counts.journal_end) {
            problems.push(
                "the end of its journal is not in the store's journal: one of them was replaced"
                    .into(),
            );
        }
    }
    let until = live.and_then(|live| live.newest_at).unwrap_or(drilled_at);
    let newest = said.counts.newest_at.unwrap_or(said.made_at);
    let loss = Duration::try_from(until.duration_since(newest)).unwrap_or_default();
    if restore > RESTORE_MAX {
        problems.push("putting it back took more than an hour".into());
    }
    if loss > LOSS_MAX {
        problems.push(format!(
            "{} minutes would be lost, and 15 are the most",
            loss.as_secs() / 60
        ));
    }
    problems.truncate(PROBLEMS_MAX);
    let milliseconds = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    Ok(Drill {
        backup: said.name,
        made_at: said.made_at,
        drilled_at,
        passed: problems.is_empty(),
        problems,
        restore_ms: milliseconds(restore),
        restore_max_ms: milliseconds(RESTORE_MAX),
        loss_ms: milliseconds(loss),
        loss_max_ms: milliseconds(LOSS_MAX),
        counts,
        kept: keeps
            .then(|| keep_copy(state, &to))
            .transpose()?
            .map(|kept| kept.display().to_string()),
    })
}

/// Moves what was restored to where it stays, beside the state folder's own files.
fn keep_copy(state: &Path, copy: &Path) -> Result<PathBuf, StoreError> {
    let kept = state.join(format!("drill-{}", Timestamp::now().strftime(NAME)));
    fs::rename(copy, &kept).map_err(|error| StoreError::io(&kept, error))?;
    Ok(kept)
}

/// Puts a backup into a new folder and opens a store on it; gives what it holds.
async fn put_back(
    backup: &Path,
    form: &Arc<Form>,
    to: &Path,
    problems: &mut Vec<String>,
    progress: Progress<'_>,
) -> Result<Counts, StoreError> {
    let (_, checked) = assemble(backup, form, to, progress).await?;
    problems.extend(checked.problems);
    let counts = keep::counts(to).await?;
    progress("opening a store on it", 0, 1);
    // As a host does, which brings an older schema up to date.
    let seals = to.join(crate::audit::seal::FILE).is_file();
    let store = SqliteStore::open_with(to, seals).await?;
    let verified = store.verify_journal().await?;
    store.close().await?;
    problems.extend(
        verified
            .broken
            .map(|broken| format!("the journal: {broken}")),
    );
    Ok(counts)
}

/// The backups in a folder, the newest first. What is no backup is not among them.
#[must_use]
pub fn list(set: &Path) -> Vec<Backup> {
    let mut found: Vec<Backup> = keep::entries(set)
        .into_iter()
        .filter_map(|folder| {
            let backup = manifest(&folder)?;
            (folder.file_name()?.to_str()? == backup.name).then_some(backup)
        })
        .collect();
    found.sort_unstable_by_key(|one| std::cmp::Reverse(one.made_at));
    found
}

/// Removes backups that are old, as [`kept`] says, and artifacts that no other names. Gives the names of the backups.
///
/// # Errors
/// [`StoreError::Busy`] while one is made or read; when something cannot be removed.
pub fn prune(set: &Path, now: Timestamp) -> Result<Vec<String>, StoreError> {
    let _alone = hold(set, true)?;
    let fail = |error| StoreError::io(set, error);
    let backups = list(set);
    let moments: Vec<_> = backups
        .iter()
        .map(|backup| (backup.made_at, backup.kind))
        .collect();
    let mut removed = Vec::new();
    for (backup, stays) in backups.into_iter().zip(kept(&moments, now)) {
        if stays {
            continue;
        }
        // Under a name that is no backup's first: one that is half there is none.
        let part = set.join(format!("{}{PART}", backup.name));
        fs::rename(set.join(&backup.name), &part)
            .and_then(|()| fs::remove_dir_all(&part))
            .map_err(fail)?;
        removed.push(backup.name);
    }
    if !removed.is_empty() {
        remove_unnamed(set).map_err(fail)?;
    }
    Ok(removed)
}

/// Removes artifacts that no backup in the folder names.
fn remove_unnamed(set: &Path) -> io::Result<()> {
    let mut named = BTreeSet::new();
    for folder in keep::entries(set) {
        // Also of a backup that says nothing of itself any more: its artifacts may be wanted yet.
        match fs::read_to_string(folder.join(FILES)) {
            Ok(files) => named.extend(files.lines().map(str::to_owned)),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) => {}
            Err(error) => return Err(error),
        }
    }
    for shard in keep::entries(&set.join(ARTIFACTS)) {
        for file in keep::entries(&shard) {
            let name = file.file_name().and_then(|name| name.to_str());
            if name.is_some_and(|name| !named.contains(name)) {
                fs::remove_file(&file)?;
            }
        }
    }
    Ok(())
}

/// Which backups stay: copies for 8 hours, snapshots for 2 days, the last snapshot of each day in UTC for 30 days, the first of each calendar year for ten years; and the newest of all and the
/// newest snapshot, however old.
#[must_use]
pub fn kept(backups: &[(Timestamp, Kind)], now: Timestamp) -> Vec<bool> {
    let date = |at: Timestamp| at.to_zoned(TimeZone::UTC).date();
    let year = date(now).year();
    let snapshots = || {
        backups
            .iter()
            .filter(|(_, kind)| *kind == Kind::Snapshot)
            .map(|(at, _)| *at)
    };
    let newest = backups.iter().map(|(at, _)| *at).max();
    let newest_snapshot = snapshots().max();
    backups
        .iter()
        .map(|&(at, kind)| {
            let age = now.duration_since(at);
            if Some(at) == newest {
                return true;
            }
            if kind == Kind::Copy {
                return age < COPIES_FOR;
            }
            let day = date(at);
            let last_of_day = || snapshots().filter(|at| date(*at) == day).max() == Some(at);
            let first_of_year = || {
                snapshots()
                    .filter(|at| date(*at).year() == day.year())
                    .min()
                    == Some(at)
            };
            Some(at) == newest_snapshot
                || age < SNAPSHOTS_FOR
                || (age < DAYS_FOR && last_of_day())
                || (year - day.year() < YEARS && first_of_year())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets a year pass with a copy every two hours and a snapshot every six, and removes every day what is old.
    fn after(days: i64) -> (Vec<(Timestamp, Kind)>, Timestamp) {
        let start: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
        let mut there = Vec::new();
        let mut now = start;
        for hour in 0..days * 24 {
            now = start + SignedDuration::from_hours(hour);
            if hour % 6 == 0 {
                there.push((now, Kind::Snapshot));
            } else if hour % 2 == 0 {
                there.push((now, Kind::Copy));
            }
            if hour % 24 == 23 {
                let stays = kept(&there, now);
                there = there
                    .into_iter()
                    .zip(stays)
                    .filter_map(|(one, stays)| stays.then_some(one))
                    .collect();
            }
        }
        (there, now)
    }

    #[test]
    fn a_year_of_backups_is_thirty_days_and_the_first_of_each_year() {
        let (there, now) = after(400);
        let of = |kind| there.iter().filter(move |(_, other)| *other == kind);
        // The last eight hours, without those at which a snapshot was made.
        assert!(of(Kind::Copy).all(|(at, _)| now.duration_since(*at) < COPIES_FOR));
        let days: BTreeSet<_> = of(Kind::Snapshot)
            .map(|(at, _)| at.to_zoned(TimeZone::UTC).date())
            .collect();
        let yearly: Vec<_> = there
            .iter()
            .filter(|(at, _)| now.duration_since(*at) >= DAYS_FOR)
            .map(|(at, _)| at.to_string())
            .collect();
        assert_eq!(yearly, ["2026-03-01T00:00:00Z", "2027-01-01T00:00:00Z"]);
        // Thirty days with one each, and the two of the years.
        assert_eq!(days.len(), 32, "{days:?}");
        let recent = of(Kind::Snapshot)
            .filter(|(at, _)| now.duration_since(*at) < SNAPSHOTS_FOR)
            .count();
        assert_eq!(recent, 8);
        assert!(there.len() < 60, "{}", there.len());
    }

    #[test]
    fn the_newest_stays_however_old_it_is() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let there = [
            (at("2020-05-01T00:00:00Z"), Kind::Snapshot),
            (at("2020-05-02T00:00:00Z"), Kind::Snapshot),
            (at("2020-05-02T01:00:00Z"), Kind::Copy),
            (at("2020-05-02T02:00:00Z"), Kind::Copy),
        ];
        // The first of that year, too, until ten years are over.
        assert_eq!(
            kept(&there, at("2026-01-01T00:00:00Z")),
            [true, true, false, true]
        );
        assert_eq!(
            kept(&there, at("2030-01-01T00:00:00Z")),
            [false, true, false, true]
        );
        // A clock that was set back removes nothing.
        assert_eq!(kept(&there, at("2020-04-01T00:00:00Z")), [true; 4]);
        assert!(kept(&[], at("2026-01-01T00:00:00Z")).is_empty());
    }
}
