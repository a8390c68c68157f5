//! `infinity store`: looks after the state folder: checks it, and makes it smaller.

use super::output::bytes;
use super::{CliError, Done, EXIT_FAILED, Output};
use crate::store::{StoreError, keep};
use clap::Subcommand;
use indicatif::ProgressBar;
use std::path::Path;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Read everything and say what is wrong; a host may run meanwhile
    Check,
    /// Write the database anew without the room that removed rows left; no host may run
    Vacuum,
}

pub(super) fn failed(error: &StoreError) -> CliError {
    let message = match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    };
    match error {
        StoreError::Occupied { .. } => CliError::input(message),
        StoreError::Backup { .. } => {
            CliError::failed(message).with_hint("`infinity backup list` shows what else there is")
        }
        StoreError::Locked { .. } => CliError::failed(message)
            .with_hint("stop the host first; `store check` and `backup create` need no stop"),
        _ => CliError::failed(message),
    }
}

pub(super) async fn execute(command: &StoreCommand, state: &Path, output: &Output) -> Done {
    let bar = output.spinner("opening");
    let progress = |what: &str, done: u64, total: u64| show(&bar, what, done, total);
    let said = match command {
        StoreCommand::Check => {
            let checked = keep::check(state, &progress).await;
            bar.finish_and_clear();
            let checked = checked.map_err(|error| failed(&error))?;
            if output.is_json() {
                output.value(&checked);
            } else {
                for problem in &checked.problems {
                    output.line(&format!("problem  {problem}"));
                }
                output.line(&format!(
                    "{}: {} runs, {} events, {} artifacts, {}",
                    if checked.problems.is_empty() {
                        "sound"
                    } else {
                        "damaged"
                    },
                    checked.runs,
                    checked.events,
                    checked.artifacts,
                    bytes(checked.bytes)
                ));
            }
            return Ok(if checked.problems.is_empty() {
                0
            } else {
                EXIT_FAILED
            });
        }
        StoreCommand::Vacuum => {
            let vacuumed = keep::vacuum(state, &progress).await;
            bar.finish_and_clear();
            let vacuumed = vacuumed.map_err(|error| failed(&error))?;
            if output.is_json() {
                output.value(&vacuumed);
            }
            format!(
                "the database took {} and takes {}",
                bytes(vacuumed.before_bytes),
                bytes(vacuumed.after_bytes)
            )
        }
    };
    if !output.is_json() {
        output.line(&said);
    }
    Ok(0)
}

/// Says on a bar how far something is.
pub(super) fn show(bar: &ProgressBar, what: &str, done: u64, total: u64) {
    if total > 1 {
        bar.set_message(format!("{what}: {} %", done * 100 / total));
    } else {
        bar.set_message(what.to_owned());
    }
    bar.tick();
}
