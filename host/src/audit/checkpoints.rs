//! Signs the journal's end every hour and when the host stops, writes that to a file, and announces it, so that channels carry it to where this host cannot change it.

use super::chain::{Checkpoint, End, Unproven};
use crate::model::Event;
use crate::store::Store;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The file in the state folder, one JSON object a line. Half a kilobyte an hour is five megabytes a year.
pub const FILE: &str = "checkpoints.jsonl";

/// The event.
pub const EVENT: &str = "system.checkpoint";

/// What is lost at most unseen, if somebody cuts the journal's end.
const EVERY: Duration = Duration::from_secs(3_600);

/// Signs an end.
pub type Sign = Box<dyn Fn(&[u8], End) -> Result<Checkpoint, Unproven> + Send + Sync>;

/// Makes checkpoints.
pub struct Checkpoints {
    store: Arc<dyn Store>,
    file: PathBuf,
    sign: Sign,
    /// Whether the last one could not be made.
    failed: Arc<AtomicBool>,
}

impl std::fmt::Debug for Checkpoints {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Checkpoints")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl Checkpoints {
    /// Into a file. `failed` is set while the last one could not be made.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, file: &Path, sign: Sign, failed: Arc<AtomicBool>) -> Self {
        Self {
            store,
            file: file.to_owned(),
            sign,
            failed,
        }
    }

    /// Makes one, unless nothing was done since the last; `announced` says whether channels hear of it.
    async fn make(&self, last: &mut i64, announced: bool) -> anyhow::Result<()> {
        let (journal, end) = self.store.journal_end().await?;
        if end.seq == *last {
            return Ok(());
        }
        let checkpoint = (self.sign)(&journal, end)?;
        let line = serde_json::to_string(&checkpoint)?;
        let file = self.file.clone();
        tokio::task::spawn_blocking(move || append(&file, &line)).await??;
        *last = end.seq;
        if announced {
            let data = serde_json::to_value(&checkpoint)?;
            let event = Event::new("/host".into(), EVENT, checkpoint.seq.to_string(), data);
            self.store.publish(event).await?;
            // That it was announced is a record, too, and no reason for another checkpoint.
            let after = self.store.journal_end().await?.1.seq;
            *last = if after == end.seq + 1 { after } else { end.seq };
        }
        Ok(())
    }

    /// Makes them until it is told to end, and then a last one.
    pub async fn run(self, ending: CancellationToken) {
        let mut last = 0;
        loop {
            let stopping = tokio::select! {
                () = ending.cancelled() => true,
                () = tokio::time::sleep(EVERY) => false,
            };
            let made = self.make(&mut last, !stopping).await;
            self.failed.store(made.is_err(), Ordering::Relaxed);
            if let Err(error) = made {
                tracing::error!("the journal's end could not be signed: {error:#}");
            }
            if stopping {
                break;
            }
        }
    }
}

fn append(path: &Path, line: &str) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)?;
    let before = file.metadata()?.len();
    let written = file
        .write_all(format!("{line}\n").as_bytes())
        .and_then(|()| file.sync_data());
    if written.is_err() {
        // A line is whole or not there.
        let _ = file.set_len(before);
    }
    written
}
