//! Backups that the host makes by itself: copies and snapshots at their time, a trial of putting the newest back, and the end of what is old.
//!
//! Invariants: one thing at a time. The work is done by a thread of the lowest priority with a runtime of its own, so that no run and no request waits for it. Whatever does not work is an event,
//! `backup.failed`, and is tried again when the next copy is due.

use crate::config::BackupConfig;
use crate::model::{Event, Principal};
use crate::store::backups::{self, Backup, Drill, Kind, LOSS_MAX};
use crate::store::{Store, StoreError};
use arc_swap::ArcSwapOption;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use utoipa::ToSchema;

/// Where trials are noted that were made while no host ran, in the state folder: one JSON object a line.
const DRILLS_FILE: &str = "drills.jsonl";

/// Bytes of that file that are taken up: hundreds of trials.
const DRILLS_MAX: usize = 1 << 20;

/// Where the store keeps the latest trial.
const DRILL_FLAG: &str = "backup/drill";

/// How long it waits between looks at the clock, at most: the clock may be set meanwhile.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// And at least.
const LOOK_LEAST: Duration = Duration::from_millis(100);

/// After how long it tries again where another process works in the same folder.
const BUSY_FOR: SignedDuration = SignedDuration::from_secs(30);

/// Backups of one answer: several times what stays of them.
const LIST_MAX: usize = 1_000;

/// How nice the thread is that does the work: it gives way to everything.
const NICE: i32 = 19;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = BackupWork)]
pub enum Work {
    /// A copy is made.
    Copy,
    /// A snapshot is made.
    Snapshot,
    /// The newest backup is put back into an empty folder.
    Drill,
}

impl Work {
    /// As in events and messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::Snapshot => "snapshot",
            Self::Drill => "drill",
        }
    }
}

/// What is being done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = BackupInProgress)]
pub struct InProgress {
    /// What.
    pub work: Work,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub began_at: Timestamp,
}

/// What was done last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = BackupEnded)]
pub struct Ended {
    /// What.
    pub work: Work,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    pub began_at: Timestamp,
    /// When it ended.
    #[schema(value_type = String, format = DateTime)]
    pub ended_at: Timestamp,
    /// Whether it worked.
    pub ok: bool,
    /// If not, why.
    pub message: Option<String>,
    /// The backup that was made or tried out.
    pub backup: Option<String>,
}

/// The backups of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupList {
    /// The folder that they are in; none when the host makes none by itself.
    pub to: Option<String>,
    /// The newest first, at most 1,000.
    pub items: Vec<Backup>,
    /// What is being done now.
    pub in_progress: Option<InProgress>,
    /// What was done last of each kind of work since the host began, the newest first.
    pub last: Vec<Ended>,
    /// The latest trial.
    pub drill: Option<Drill>,
    /// When the next copy is due.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_copy_at: Option<Timestamp>,
    /// When the next snapshot is due.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_snapshot_at: Option<Timestamp>,
    /// When the next trial is due.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_drill_at: Option<Timestamp>,
}

/// Why nothing was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BeginError {
    /// There is no folder.
    #[error("this host makes no backups; `to` in `[backup]` names the folder for them")]
    Off,
    /// Something is in progress.
    #[error("a backup is being made or tried out; try again when it has ended")]
    Busy,
    /// There is nothing to try out.
    #[error("there is no backup yet")]
    None,
}

/// What is known of the backups.
#[derive(Debug, Default)]
struct Standing {
    in_progress: Option<InProgress>,
    /// Of each kind of work, the newest first.
    last: Vec<Ended>,
    drill: Option<Drill>,
    /// When the newest backup was made.
    newest_at: Option<Timestamp>,
    /// When the newest snapshot was made.
    snapshot_at: Option<Timestamp>,
    /// Nothing begins by itself before.
    wait_until: Option<Timestamp>,
    /// When this began to look after them.
    since: Option<Timestamp>,
}

/// Looks after the backups of a host.
pub struct Backups {
    config: ArcSwapOption<BackupConfig>,
    changed: Notify,
    state: PathBuf,
    seals: bool,
    store: Arc<dyn Store>,
    standing: Mutex<Standing>,
}

impl std::fmt::Debug for Backups {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Backups")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// What came of some work.
enum Came {
    Made(Backup, Vec<String>),
    Drilled(Drill),
}

impl Backups {
    /// For a state folder whose backups are sealed or not.
    #[must_use]
    pub fn new(
        config: Option<BackupConfig>,
        state: &Path,
        seals: bool,
        store: Arc<dyn Store>,
    ) -> Self {
        Self {
            config: ArcSwapOption::from(config.map(Arc::new)),
            changed: Notify::new(),
            state: state.to_owned(),
            seals,
            store,
            standing: Mutex::default(),
        }
    }

    /// Takes another folder and other times, or none. What is in progress ends as it began.
    pub fn adopt(&self, config: Option<&BackupConfig>) {
        if self.config.load().as_deref() != config {
            self.config.store(config.cloned().map(Arc::new));
            self.changed.notify_one();
        }
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The backups, and what is due.
    pub async fn view(&self) -> BackupList {
        let config = self.config.load_full();
        let mut items = match &config {
            Some(config) => listed(&config.to).await,
            None => Vec::new(),
        };
        items.truncate(LIST_MAX);
        let standing = self.standing();
        let next = |of: fn(&BackupConfig) -> Duration, last: Option<Timestamp>| {
            let every = of(config.as_ref()?);
            Some(after(last?, every))
        };
        BackupList {
            to: config
                .as_ref()
                .map(|config| config.to.display().to_string()),
            items,
            in_progress: standing.in_progress.clone(),
            last: standing.last.clone(),
            drill: standing.drill.clone(),
            next_copy_at: next(|config| config.journal_every, standing.newest_at),
            next_snapshot_at: next(|config| config.every, standing.snapshot_at),
            next_drill_at: next(
                |config| config.drill_every,
                standing.drill.as_ref().map(|drill| drill.drilled_at),
            ),
        }
    }

    /// Whether backups are as they should be, and what there is to say.
    #[must_use]
    pub fn health(&self, now: Timestamp) -> (bool, String) {
        let check = |ok, detail: String| (ok, detail);
        let Some(config) = self.config.load_full() else {
            return check(
                true,
                "the host makes none: `[backup]` names no folder".into(),
            );
        };
        let standing = self.standing();
        if let Some(Ended {
            ok: false,
            work,
            message,
            ..
        }) = standing.last.first()
        {
            let message = message.as_deref().unwrap_or_default();
            return check(
                false,
                format!("the last {} failed: {message}", work.as_str()),
            );
        }
        if let Some(drill) = standing.drill.as_ref().filter(|drill| !drill.passed) {
            return check(
                false,
                format!("`{}` cannot be put back as it should", drill.backup),
            );
        }
        let Some(last) = standing.newest_at.max(standing.since) else {
            return check(true, "not looked at: this process serves nothing".into());
        };
        let age = now.duration_since(last);
        let most = LOSS_MAX.max(config.journal_every.saturating_mul(2));
        check(
            age < SignedDuration::try_from(most).unwrap_or(SignedDuration::MAX),
            match standing.newest_at {
                Some(_) => format!("the newest is {} min old", age.as_mins().max(0)),
                None => "there is none yet".into(),
            },
        )
    }

    /// Begins something that somebody asks for, and goes on with it behind the answer.
    ///
    /// # Errors
    /// When there is no folder, no backup to try out, or something is in progress.
    pub async fn begin(self: &Arc<Self>, work: Work, by: Principal) -> Result<(), BeginError> {
        let config = self.config.load_full().ok_or(BeginError::Off)?;
        if work == Work::Drill && listed(&config.to).await.is_empty() {
            return Err(BeginError::None);
        }
        if !self.enter(work) {
            return Err(BeginError::Busy);
        }
        let own = Arc::clone(self);
        tokio::spawn(async move { own.work(work, &by).await });
        Ok(())
    }

    /// Notes that something begins, unless something is in progress.
    fn enter(&self, work: Work) -> bool {
        let mut standing = self.standing();
        if standing.in_progress.is_some() {
            return false;
        }
        standing.in_progress = Some(InProgress {
            work,
            began_at: Timestamp::now(),
        });
        true
    }

    /// Makes backups at their time. Ends never.
    pub async fn run(self: Arc<Self>) {
        self.take_up().await;
        let by = Principal {
            kind: "host".into(),
            name: "backup".into(),
        };
        let mut folder = None;
        loop {
            let Some(config) = self.config.load_full() else {
                folder = None;
                self.changed.notified().await;
                continue;
            };
            if folder.as_ref() != Some(&config.to) {
                self.look_into(&config.to).await;
                folder = Some(config.to.clone());
            }
            let (due, wait) = self.due(&config, Timestamp::now());
            match due {
                Some(work) if self.enter(work) => {
                    // To its end, though this is told to stop meanwhile: what is half made is swept up by the next one.
                    let own = Arc::clone(&self);
                    let by = by.clone();
                    let _ = tokio::spawn(async move { own.work(work, &by).await }).await;
                }
                _ => tokio::select! {
                    () = tokio::time::sleep(wait.clamp(LOOK_LEAST, LOOK_EVERY)) => {}
                    () = self.changed.notified() => {}
                },
            }
        }
    }

    /// Begins to look after a folder: what is in it was made, and nothing failed in it yet.
    async fn look_into(&self, folder: &Path) {
        let there = listed(folder).await;
        let mut standing = self.standing();
        standing.since = Some(Timestamp::now());
        standing.wait_until = None;
        standing.last.clear();
        standing.newest_at = there.first().map(|backup| backup.made_at);
        standing.snapshot_at = there
            .iter()
            .find(|backup| backup.kind == Kind::Snapshot)
            .map(|backup| backup.made_at);
    }

    /// What is due, or how long it is until something is.
    fn due(&self, config: &BackupConfig, now: Timestamp) -> (Option<Work>, Duration) {
        let standing = self.standing();
        let left = |at: Timestamp| Duration::try_from(at.duration_since(now)).unwrap_or_default();
        if let Some(until) = standing.wait_until.filter(|until| *until > now) {
            // A clock that was set back waits no longer than it would have.
            let longest = config.journal_every.max(LOOK_EVERY);
            if left(until) <= longest {
                return (None, left(until));
            }
        }
        // A moment ahead of the clock was written before that was set.
        let at = |last: Option<Timestamp>, every: Duration| match last {
            Some(last) if last <= now => after(last, every),
            _ => Timestamp::MIN,
        };
        let drilled = standing.drill.as_ref().map(|drill| drill.drilled_at);
        let mut all = vec![
            (at(standing.snapshot_at, config.every), Work::Snapshot),
            (at(standing.newest_at, config.journal_every), Work::Copy),
        ];
        if standing.newest_at.is_some() {
            all.push((at(drilled, config.drill_every), Work::Drill));
        }
        // What has waited longest goes first, so that nothing waits for ever behind what is always due.
        match all.into_iter().min_by_key(|(at, _)| *at) {
            Some((at, work)) if at <= now => (Some(work), Duration::ZERO),
            Some((at, _)) => (None, left(at)),
            None => (None, LOOK_EVERY),
        }
    }

    /// Does it, and says what came of it.
    async fn work(&self, work: Work, by: &Principal) {
        let Some(config) = self.config.load_full() else {
            self.standing().in_progress = None;
            return;
        };
        let began_at = self
            .standing()
            .in_progress
            .as_ref()
            .map_or_else(Timestamp::now, |progress| progress.began_at);
        let (state, set, seals) = (self.state.clone(), config.to.clone(), self.seals);
        let result = apart(move || async move { done(work, &state, &set, seals).await }).await;
        let ended_at = Timestamp::now();
        let mut ended = Ended {
            work,
            began_at,
            ended_at,
            ok: true,
            message: None,
            backup: None,
        };
        let took_ms = ended_at.duration_since(began_at).as_millis();
        let mut events = Vec::new();
        let failed = |message: &str, backup: Option<&str>| {
            let data = json!({ "work": work.as_str(), "message": message, "backup": backup, "principal": by });
            Event::new("/host".into(), "backup.failed", work.as_str().into(), data)
        };
        let mut retry = None;
        match result {
            Ok(Came::Made(backup, removed)) => {
                let data = json!({
                    "backup": backup.name, "kind": backup.kind, "took_ms": took_ms, "counts": backup.counts,
                    "removed": removed.len(), "principal": by,
                });
                events.push(Event::new(
                    "/host".into(),
                    "backup.created",
                    backup.name.clone(),
                    data,
                ));
                tracing::info!(
                    "the {} `{}` was made in {took_ms} ms",
                    work.as_str(),
                    backup.name
                );
                let mut standing = self.standing();
                standing.newest_at = Some(backup.made_at);
                if backup.kind == Kind::Snapshot {
                    standing.snapshot_at = Some(backup.made_at);
                }
                ended.backup = Some(backup.name);
            }
            Ok(Came::Drilled(drill)) => {
                events.extend(self.drilled(&drill).await);
                if !drill.passed {
                    ended.ok = false;
                    ended.message = Some(drill.problems.join("; "));
                    events.push(failed(&drill.problems.join("; "), Some(&drill.backup)));
                }
                ended.backup = Some(drill.backup);
            }
            // Nobody asked, and it is made in half a minute.
            Err(StoreError::Busy { .. }) if by.kind == "host" => {
                let mut standing = self.standing();
                standing.in_progress = None;
                standing.wait_until = ended_at.checked_add(BUSY_FOR).ok();
                return;
            }
            Err(error) => {
                let message = said(&error);
                tracing::error!(
                    "a backup failed: {} of {}: {message}",
                    work.as_str(),
                    config.to.display()
                );
                events.push(failed(&message, None));
                ended.ok = false;
                ended.message = Some(message);
                retry = Some(after(ended_at, config.journal_every));
            }
        }
        for event in events {
            if let Err(error) = self.store.publish(event).await {
                tracing::warn!("what came of a backup could not be announced: {error}");
            }
        }
        let mut standing = self.standing();
        standing.in_progress = None;
        standing.wait_until = retry;
        standing.last.retain(|last| last.work != work);
        standing.last.insert(0, ended);
    }

    /// Keeps what came of a trial, and gives the event that says so.
    async fn drilled(&self, drill: &Drill) -> Option<Event> {
        let text = serde_json::to_string(drill).ok()?;
        if let Err(error) = self.store.set_flag(DRILL_FLAG, Some(&text)).await {
            tracing::warn!("what came of trying a backup out is not kept: {error}");
        }
        self.standing().drill = Some(drill.clone());
        let data = serde_json::to_value(drill).ok()?;
        Some(Event::new(
            "/host".into(),
            "backup.drilled",
            drill.backup.clone(),
            data,
        ))
    }

    /// Remembers the latest trial, and announces those that were made while no host ran.
    async fn take_up(&self) {
        let kept = self.store.flags().await.unwrap_or_default();
        let kept = kept
            .get(DRILL_FLAG)
            .and_then(|text| serde_json::from_str(text).ok());
        self.standing().drill = kept;
        let path = self.state.join(DRILLS_FILE);
        let Ok(text) = tokio::fs::read_to_string(&path).await else {
            return;
        };
        let drills = text
            .get(..text.len().min(DRILLS_MAX))
            .unwrap_or_default()
            .lines()
            .filter_map(|line| serde_json::from_str::<Drill>(line).ok());
        for drill in drills {
            let Some(event) = self.drilled(&drill).await else {
                continue;
            };
            // Twice, if this ends before the file is removed: better than not at all.
            if let Err(error) = self.store.publish(event).await {
                tracing::warn!("what came of trying a backup out could not be announced: {error}");
                return;
            }
        }
        let _ = tokio::fs::remove_file(&path).await;
    }
}

/// An error with its cause.
fn said(error: &StoreError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

fn after(at: Timestamp, span: Duration) -> Timestamp {
    SignedDuration::try_from(span)
        .ok()
        .and_then(|span| at.checked_add(span).ok())
        .unwrap_or(Timestamp::MAX)
}

async fn listed(set: &Path) -> Vec<Backup> {
    let set = set.to_owned();
    tokio::task::spawn_blocking(move || backups::list(&set))
        .await
        .unwrap_or_default()
}

async fn done(work: Work, state: &Path, set: &Path, seals: bool) -> Result<Came, StoreError> {
    let quiet = |_: &str, _: u64, _: u64| {};
    let kind = match work {
        Work::Copy => Kind::Copy,
        Work::Snapshot => Kind::Snapshot,
        Work::Drill => {
            let newest = backups::list(set).into_iter().next();
            let newest = newest.ok_or_else(|| StoreError::Backup {
                path: set.to_owned(),
                detail: "there is none".into(),
            })?;
            let drill = backups::drill(&set.join(newest.name), state, None, false, &quiet).await?;
            return Ok(Came::Drilled(drill));
        }
    };
    let backup = backups::create(state, set, kind, seals, &quiet).await?;
    let removed = match backups::prune(set, Timestamp::now()) {
        Ok(removed) => removed,
        // It is made all the same; the next one removes what this one could not.
        Err(error) => {
            tracing::warn!("old backups cannot be removed: {}", said(&error));
            Vec::new()
        }
    };
    Ok(Came::Made(backup, removed))
}

/// Has work done by a thread of its own that gives way to all others, with a runtime of its own: what it waits for and what it starts is as nice.
async fn apart<T, F>(work: impl FnOnce() -> F + Send + 'static) -> Result<T, StoreError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, StoreError>>,
{
    let (told, heard) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new()
        .name("backup".into())
        .spawn(move || {
            // In Linux this is of the thread that asks, and of those that it starts.
            if let Err(error) = rustix::process::setpriority_process(None, NICE) {
                tracing::debug!("backups are made at the usual priority: {error}");
            }
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let done = match runtime {
                Ok(runtime) => runtime.block_on(work()),
                Err(_) => Err(StoreError::Closed),
            };
            let _ = told.send(done);
        });
    if thread.is_err() {
        return Err(StoreError::Closed);
    }
    heard.await.unwrap_or(Err(StoreError::Closed))
}

/// Notes a trial that was made while no host ran; the next one takes it up.
///
/// # Errors
/// When the file cannot be written.
pub fn note_drill(state: &Path, drill: &Drill) -> std::io::Result<()> {
    let mut line = serde_json::to_string(drill)?;
    line.push('\n');
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(state.join(DRILLS_FILE))?;
    file.write_all(line.as_bytes())?;
    file.sync_all()
}
