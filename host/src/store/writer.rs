//! Turns the operations of many callers into few transactions on the one connection that writes.
//!
//! While a transaction is on its way to the disk, the next operations gather in the queue; then they are taken together. So nobody waits for company, and under load one sync serves many.
//! Invariants: a caller is answered after the commit that holds its operation; an operation that fails leaves nothing behind and does not touch its neighbours; after a commit failed on the disk there is no other, as the kernel may have dropped what it could not write while a later sync succeeds.
//! What the operations do is theirs.

use std::path::PathBuf;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use sqlx::{Connection, SqliteConnection};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::events;
use super::journal::Journal;
use super::lock::Lock;
use super::{StoreError, rows};
use crate::audit::Record;
use crate::model::Event;

/// Operations that can wait. Each belongs to a caller that holds its bytes anyway, so this bounds the wait, not the memory: at a few thousand operations a second it is well under a second.
const QUEUE_MAX: usize = 1_024;

/// Operations of one transaction: enough to make the sync cheap for each, few enough to be written in some milliseconds.
const BATCH_MAX: usize = 256;

/// Why an operation did not work.
pub(super) enum Failure {
    /// It refused before it changed anything, so its neighbours are not concerned.
    Refused(StoreError),
    /// The database refused, perhaps half-way.
    Database(sqlx::Error),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

/// A change. It can be applied again after it was rolled back, and refuses only before its first change.
#[async_trait]
pub(super) trait Operation: Send + Sync + 'static {
    /// What the caller learns.
    type Answer: Send + 'static;

    /// Whether it makes the journal's people others than they were.
    const FORGETS: bool = false;

    /// Makes the change in the transaction that is open.
    async fn apply(&self, connection: &mut SqliteConnection) -> Result<Self::Answer, Failure>;

    /// Opens a transaction, makes the change in it and reads the events that it wrote, which are those behind the place; where all that is one query. What failed is rolled back by the caller,
    /// and what did not is committed by it.
    async fn apply_alone(
        &self,
        _: &mut SqliteConnection,
        _: i64,
    ) -> Option<Result<Alone<Self::Answer>, Failure>> {
        None
    }

    /// What goes into the journal with it, beside the events that it writes.
    fn records(&self, _: &Self::Answer) -> Vec<Record> {
        Vec::new()
    }
}

/// What an operation did by itself.
pub(super) struct Alone<A> {
    pub(super) answer: A,
    /// The events that it wrote, with their places.
    pub(super) events: Vec<(i64, Event)>,
}

/// An operation whose kind of answer the queue need not know.
#[async_trait]
trait Job: Send {
    /// Applies the operation and keeps its answer.
    async fn apply(&mut self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error>;

    /// As [`Job::apply`], with the beginning of the transaction, if the operation can: [`Operation::apply_alone`]. Gives the events that it wrote; none if there is nothing to commit.
    async fn apply_alone(
        &mut self,
        connection: &mut SqliteConnection,
        since: i64,
    ) -> Option<Result<Option<Vec<(i64, Event)>>, sqlx::Error>>;

    /// What goes into the journal with what was applied.
    fn records(&self) -> Vec<Record>;

    /// Whether the journal has to look its people up again.
    fn forgets(&self) -> bool;

    /// Answers the caller: with what was kept, or with the error.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Pending<O: Operation> {
    operation: O,
    kept: Option<Result<O::Answer, StoreError>>,
    caller: oneshot::Sender<Result<O::Answer, StoreError>>,
}

impl<O: Operation> Pending<O> {
    fn keep(&mut self, answer: Result<O::Answer, Failure>) -> Result<(), sqlx::Error> {
        self.kept = match answer {
            Ok(answer) => Some(Ok(answer)),
            Err(Failure::Refused(error)) => Some(Err(error)),
            Err(Failure::Database(error)) => return Err(error),
        };
        Ok(())
    }
}

#[async_trait]
impl<O: Operation> Job for Pending<O> {
    async fn apply(&mut self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let answer = self.operation.apply(connection).await;
        self.keep(answer)
    }

    async fn apply_alone(
        &mut self,
        connection: &mut SqliteConnection,
        since: i64,
    ) -> Option<Result<Option<Vec<(i64, Event)>>, sqlx::Error>> {
        let (answer, events) = match self.operation.apply_alone(connection, since).await? {
            Ok(alone) => (Ok(alone.answer), Some(alone.events)),
            Err(failure) => (Err(failure), None),
        };
        Some(self.keep(answer).map(|()| events))
    }

    fn records(&self) -> Vec<Record> {
        match &self.kept {
            Some(Ok(answer)) => self.operation.records(answer),
            _ => Vec::new(),
        }
    }

    fn forgets(&self) -> bool {
        O::FORGETS
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let answer = match committed {
            Ok(()) => self.kept.unwrap_or(Err(StoreError::Closed)),
            Err(error) => Err(error),
        };
        // A caller who went away does not want to know.
        let _ = self.caller.send(answer);
    }
}

/// The callers' end.
#[derive(Debug)]
pub(super) struct Writer {
    queue: mpsc::Sender<Box<dyn Job>>,
    closing: Arc<Notify>,
    commits: Arc<AtomicU64>,
}

impl Writer {
    /// Starts writing on `connection` to the database at `path`. The lock is let go of when the task ends.
    pub(super) fn start(
        connection: SqliteConnection,
        journal: Journal,
        path: PathBuf,
        lock: Lock,
    ) -> (Self, JoinHandle<Result<(), StoreError>>) {
        let (queue, jobs) = mpsc::channel(QUEUE_MAX);
        let writer = Self {
            queue,
            closing: Arc::default(),
            commits: Arc::default(),
        };
        let task = Task {
            connection,
            journal,
            path,
            failed: false,
            commits: Arc::clone(&writer.commits),
        };
        let closing = Arc::clone(&writer.closing);
        let handle = tokio::spawn(task.run(jobs, closing, lock));
        (writer, handle)
    }

    /// Makes a change durable.
    pub(super) async fn write<O: Operation>(&self, operation: O) -> Result<O::Answer, StoreError> {
        let (caller, answer) = oneshot::channel();
        let job = Box::new(Pending {
            operation,
            kept: None,
            caller,
        });
        self.queue.send(job).await.map_err(|_| StoreError::Closed)?;
        answer.await.map_err(|_| StoreError::Closed)?
    }

    /// Takes no more operations; those that wait are still written.
    pub(super) fn close(&self) {
        self.closing.notify_one();
    }

    /// Transactions committed so far.
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }
}

/// Why a transaction came to nothing.
struct Trouble {
    error: sqlx::Error,
    /// Whether its operations can be tried one by one.
    apart: bool,
}

/// The end that writes.
struct Task {
    connection: SqliteConnection,
    journal: Journal,
    path: PathBuf,
    failed: bool,
    commits: Arc<AtomicU64>,
}

impl Task {
    async fn run(
        mut self,
        mut jobs: mpsc::Receiver<Box<dyn Job>>,
        closing: Arc<Notify>,
        mut lock: Lock,
    ) -> Result<(), StoreError> {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        let mut closed = false;
        loop {
            tokio::select! {
                // First, as under load there is always a job.
                biased;
                () = closing.notified(), if !closed => {
                    jobs.close();
                    closed = true;
                }
                taken = jobs.recv_many(&mut batch, BATCH_MAX) => {
                    if taken == 0 {
                        break;
                    }
                    self.write(&mut batch).await;
                }
            }
        }
        self.end(closed, &mut lock).await
    }

    /// Writes a batch and answers it.
    async fn write(&mut self, batch: &mut Vec<Box<dyn Job>>) {
        let whole = self.transaction(batch).await;
        let apart = matches!(&whole, Err(trouble) if trouble.apart) && batch.len() > 1;
        if apart {
            for mut job in batch.drain(..) {
                let alone = self.transaction(slice::from_mut(&mut job)).await;
                job.answer(alone.map_err(|trouble| self.error(trouble)));
            }
        } else {
            let result = whole.map_err(|trouble| self.error(trouble));
            for job in batch.drain(..) {
                job.answer(result.clone());
            }
        }
    }

    async fn transaction(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<(), Trouble> {
        if self.failed {
            // Told apart from others by `failed` alone.
            return Err(Trouble {
                error: sqlx::Error::WorkerCrashed,
                apart: false,
            });
        }
        let before = self.journal.mark();
        let alone = match &mut *jobs {
            [job] => job.apply_alone(&mut self.connection, before.events()).await,
            _ => None,
        };
        let written = match alone {
            Some(Ok(Some(events))) => Ok(events),
            Some(Ok(None)) => {
                self.roll_back().await;
                return Ok(());
            }
            Some(Err(error)) => Err(error),
            None => {
                self.apply(jobs).await?;
                events::since(&mut self.connection, before.events()).await
            }
        };
        let written = match written {
            Ok(written) => written,
            Err(error) => {
                self.roll_back().await;
                return Err(Trouble {
                    error,
                    apart: jobs.len() > 1,
                });
            }
        };
        let records = jobs.iter().flat_map(|job| job.records()).collect();
        let committed = self
            .journal
            .commit(&mut self.connection, written, records)
            .await;
        match committed {
            Ok(()) => {
                self.commits.fetch_add(1, Ordering::Relaxed);
                if jobs.iter().any(|job| job.forgets()) {
                    self.journal.forget_people();
                }
                Ok(())
            }
            // What cannot be recorded is not done.
            Err(error) => {
                self.journal.go_back(before);
                Err(self.commit_failed(error).await)
            }
        }
    }

    /// Opens a transaction and applies operations in it.
    async fn apply(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<(), Trouble> {
        if let Err(error) = self.execute("BEGIN IMMEDIATE").await {
            return Err(Trouble {
                error,
                apart: false,
            });
        }
        for job in jobs {
            if let Err(error) = job.apply(&mut self.connection).await {
                self.roll_back().await;
                return Err(Trouble { error, apart: true });
            }
        }
        Ok(())
    }

    async fn commit_failed(&mut self, error: sqlx::Error) -> Trouble {
        self.roll_back().await;
        let code = rows::primary_code(&error);
        if code == Some(rows::SQLITE_IOERR) {
            self.failed = true;
            tracing::error!(
                %error,
                path = %self.path.display(),
                "a commit failed on the disk, so the store stops writing",
            );
        }
        Trouble {
            error,
            // One large operation may not fit where the others do, and one record may be what is refused.
            apart: matches!(code, Some(rows::SQLITE_FULL | rows::SQLITE_CONSTRAINT)),
        }
    }

    fn error(&self, trouble: Trouble) -> StoreError {
        match trouble.error {
            sqlx::Error::WorkerCrashed if self.failed => StoreError::Failed,
            error => StoreError::database(&self.path, error),
        }
    }

    async fn execute(&mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        sqlx::query(sql).execute(&mut self.connection).await?;
        Ok(())
    }

    /// Some errors roll back by themselves, after which this one fails; there is nothing to do about either.
    async fn roll_back(&mut self) {
        if let Err(error) = self.execute("ROLLBACK").await {
            tracing::debug!(%error, "nothing to roll back");
        }
    }

    async fn end(mut self, closed: bool, lock: &mut Lock) -> Result<(), StoreError> {
        let folded = self.execute("PRAGMA wal_checkpoint(TRUNCATE)").await;
        let ended = self.connection.close().await;
        if self.failed {
            return Err(StoreError::Failed);
        }
        folded
            .and(ended)
            .map_err(|error| StoreError::database(&self.path, error))?;
        // A store that was only dropped may have readers left.
        if closed { lock.mark_clean() } else { Ok(()) }
    }
}
