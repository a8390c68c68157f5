//! `infinity store`: looks after the state folder: checks it, makes it smaller, copies it while a host runs, and puts a copy in its place.

use super::output::bytes;
use super::{CliError, Done, EXIT_FAILED, Output};
use crate::store::{StoreError, keep, parcel};
use clap::Subcommand;
use indicatif::ProgressBar;
use serde_json::json;
use std::path::{Path, PathBuf};

/// What to do.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Read everything and say what is wrong; a host may run meanwhile
    Check,
    /// Write the database anew without the room that removed rows left; no host may run
    Vacuum,
    /// Copy everything into a new folder, as of one moment, sealed with the keys of `backup.keys`, and read the copy; a host may run meanwhile
    Backup {
        /// A folder that is empty or not there
        #[arg(value_name = "DIR")]
        to: PathBuf,
    },
    /// Seal backups with a new key from now on; older ones open as before
    RotateKey,
    /// Put a backup in the state folder's place; no host may run
    Restore {
        /// The folder of a backup
        #[arg(value_name = "DIR")]
        from: PathBuf,
        /// Also where there is a store: it is moved into a folder beside it
        #[arg(long)]
        replace: bool,
        /// The keys of the backup, instead of `backup.keys` in the state folder
        #[arg(long, value_name = "FILE")]
        keys: Option<PathBuf>,
    },
}

fn failed(error: &StoreError) -> CliError {
    let message = match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    };
    match error {
        StoreError::Occupied { .. } => CliError::input(message),
        StoreError::Locked { .. } => CliError::failed(message)
            .with_hint("stop the host first; `check` and `backup` need no stop"),
        _ => CliError::failed(message),
    }
}

pub(super) async fn execute(
    command: &StoreCommand,
    state: &Path,
    seals: bool,
    output: &Output,
) -> Done {
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
        StoreCommand::Backup { to } => {
            let copied = if seals {
                parcel::backup(state, to, &progress).await
            } else {
                keep::backup(state, to, &progress).await
            };
            bar.finish_and_clear();
            let copied = copied.map_err(|error| failed(&error))?;
            if output.is_json() {
                output.value(&json!({ "path": to, "checked": copied }));
            }
            if seals {
                output.note(&format!(
                    "it opens with `{}` alone: keep a copy of that elsewhere",
                    state.join(parcel::KEYS).display()
                ));
            }
            format!(
                "copied to {} and read again: {} runs, {} events, {} artifacts, {}",
                to.display(),
                copied.runs,
                copied.events,
                copied.artifacts,
                bytes(copied.bytes)
            )
        }
        StoreCommand::RotateKey => {
            bar.finish_and_clear();
            let number = parcel::rotate_key(state).map_err(|error| failed(&error))?;
            if output.is_json() {
                output.value(&json!({ "key": number }));
            }
            format!(
                "backups are sealed with key {number} of `{}` from now on; keep a copy of that elsewhere",
                state.join(parcel::KEYS).display()
            )
        }
        StoreCommand::Restore {
            from,
            replace,
            keys,
        } => {
            let restored = parcel::restore(from, state, keys.as_deref(), *replace, &progress).await;
            bar.finish_and_clear();
            let (restored, aside) = restored.map_err(|error| failed(&error))?;
            if output.is_json() {
                output.value(&json!({ "checked": restored, "replaced": aside }));
            }
            let moved = aside.map_or_else(String::new, |aside| {
                format!("; what was there is in {}", aside.display())
            });
            format!(
                "restored {} runs and {} events{moved}",
                restored.runs, restored.events
            )
        }
    };
    if !output.is_json() {
        output.line(&said);
    }
    Ok(0)
}

fn show(bar: &ProgressBar, what: &str, done: u64, total: u64) {
    if total > 1 {
        bar.set_message(format!("{what}: {} %", done * 100 / total));
    } else {
        bar.set_message(what.to_owned());
    }
    bar.tick();
}
