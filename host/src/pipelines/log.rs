//! `scheduler.log` in the state folder: what pipelines did, in lines that people and older tools read. Nothing in the host reads it; typed states are the truth.

use super::facts;
use crate::model::{Execution, ExecutionState, Report, StepState};
use crate::sandbox::meter::escape;
use jiff::Timestamp;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// The file in the state folder.
pub const LOG_FILE: &str = "scheduler.log";

/// Bytes after which the file is moved to `scheduler.log.1`: years of a cycle every five minutes.
const LOG_MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Characters of a message: one line stays one.
const MESSAGE_MAX: usize = 500;

/// Appends to the file.
pub struct SchedulerLog {
    path: Mutex<PathBuf>,
}

impl SchedulerLog {
    /// For the file at `path`, which is made with the first line.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self {
            path: Mutex::new(path),
        }
    }

    pub(super) fn begun(&self, execution: &Execution) {
        self.add(&format!("Starting deployment cycle #{}", execution.cycle));
        self.add(&format!("Cycle #{} generating", execution.cycle));
    }

    pub(super) fn stepped(&self, execution: &Execution, index: usize, report: Option<&Report>) {
        let step = &execution.steps[index];
        if step.state != StepState::Succeeded {
            let message = step.error.as_deref().unwrap_or("failed");
            self.add(&format!(
                "Cycle #{} error in step {} ({}): {message}",
                execution.cycle,
                index + 1,
                step.agent
            ));
            return;
        }
        let (pages, deployed) = facts(report);
        if let Some(pages) = pages {
            self.add(&format!("Build complete - {pages} pages"));
        }
        if let Some(target) = deployed {
            self.add(&format!("Deploy success - {target} updated"));
            self.add(&format!("Cycle #{} deployed", execution.cycle));
        }
    }

    pub(super) fn ended(&self, execution: &Execution) {
        let word = match execution.state {
            ExecutionState::Running => return,
            ExecutionState::Succeeded => "complete",
            ExecutionState::Failed => "ended with an error",
            ExecutionState::Cancelled => "cancelled",
        };
        self.add(&format!("Cycle #{} {word}", execution.cycle));
    }

    fn add(&self, message: &str) {
        // Held while writing, so that lines stay whole and the file is moved once.
        let path = self.path.lock().unwrap_or_else(PoisonError::into_inner);
        let cut: String = message.chars().take(MESSAGE_MAX).collect();
        let line = format!(
            "[{}] {}\n",
            Timestamp::now().strftime("%Y-%m-%d %H:%M:%S"),
            escape(&cut)
        );
        let write = || {
            if path.metadata().is_ok_and(|file| file.len() > LOG_MAX_BYTES) {
                std::fs::rename(&*path, path.with_extension("log.1"))?;
            }
            OpenOptions::new()
                .create(true)
                .append(true)
                .mode(0o600)
                .open(&*path)?
                .write_all(line.as_bytes())
        };
        if let Err(error) = write() {
            tracing::warn!(path = %path.display(), "the scheduler's log cannot be written: {error}");
        }
    }
}
