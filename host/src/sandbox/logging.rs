//! `wasi:logging` into the run's log, and progress for people who watch.

use super::contract::agent::infinity::agent::progress;
use super::contract::agent::wasi::logging::logging::{Host, Level};
use super::meter::{Progress, escape};
use super::state::RunState;

/// The longest progress message, in characters: one line of a terminal and some.
const PROGRESS_MAX_CHARACTERS: usize = 200;

impl Host for RunState {
    async fn log(
        &mut self,
        level: Level,
        context: String,
        message: String,
    ) -> wasmtime::Result<()> {
        self.meter.cross((context.len() + message.len()) as u64)?;
        let level = match level {
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
            Level::Critical => "critical",
        };
        if context.is_empty() {
            self.meter.log(level, &message);
        } else {
            self.meter.log(level, &format!("{context}: {message}"));
        }
        Ok(())
    }
}

impl progress::Host for RunState {
    async fn report(
        &mut self,
        done: u64,
        total: Option<u64>,
        message: String,
    ) -> wasmtime::Result<()> {
        let message: String = message.chars().take(PROGRESS_MAX_CHARACTERS).collect();
        self.meter.set_progress(Progress {
            done,
            total,
            message: escape(&message),
        });
        Ok(())
    }
}
