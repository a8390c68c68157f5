//! `infinity backup`: makes, reads, lists, tries out and puts back backups.
//!
//! What the host does by itself is asked of it where it runs and nothing else is said; the rest needs no host.

use super::client::Client;
use super::output::{Output, bytes, printable};
use super::show::seconds;
use super::store::{failed, show};
use super::{CliError, Done, EXIT_FAILED, GlobalOptions, Launcher};
use crate::backup::{BackupList, Ended, Work, note_drill};
use crate::store::backups::{self, Backup, Drill, Kind};
use crate::store::parcel;
use clap::Subcommand;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often a host is asked whether it is done.
const ASK_EVERY: Duration = Duration::from_millis(300);

/// What to do.
#[derive(Debug, Subcommand)]
pub enum BackupCommand {
    /// Copy everything, as of one moment, sealed with the keys of `backup.keys`, and read the copy; a host may run meanwhile
    Create {
        /// The folder of backups, instead of that of `[backup]`
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
    },
    /// Read a backup whole and say what is wrong with it; fails if anything is
    Verify {
        /// Its folder, or its name in the folder of `[backup]`
        backup: PathBuf,
        /// The keys of the backup, instead of `backup.keys` in the state folder
        #[arg(long, value_name = "FILE")]
        keys: Option<PathBuf>,
    },
    /// List backups, the newest first
    List {
        /// The folder of backups, instead of that of `[backup]`
        #[arg(long, value_name = "DIR")]
        from: Option<PathBuf>,
    },
    /// Put a backup in the state folder's place; no host may run
    Restore {
        /// Its folder, or its name in the folder of `[backup]`
        backup: PathBuf,
        /// Also where there is a store: it is moved into a folder beside it
        #[arg(long)]
        replace: bool,
        /// The keys of the backup, instead of `backup.keys` in the state folder
        #[arg(long, value_name = "FILE")]
        keys: Option<PathBuf>,
    },
    /// Put the newest backup back into an empty folder, open a store on it, and measure; fails if it is not all there, or late
    Drill {
        /// Another backup than the newest
        backup: Option<PathBuf>,
        /// The folder of backups, instead of that of `[backup]`
        #[arg(long, value_name = "DIR", conflicts_with = "backup")]
        from: Option<PathBuf>,
        /// Keep what was restored, and say where
        #[arg(long)]
        keep: bool,
        /// The keys of the backup, instead of `backup.keys` in the state folder
        #[arg(long, value_name = "FILE")]
        keys: Option<PathBuf>,
    },
    /// Seal backups with a new key from now on; older ones open as before
    RotateKey,
}

/// Where backups are made from and to.
#[derive(Clone, Debug)]
pub struct BackupPlace {
    /// The state folder.
    pub state: PathBuf,
    /// Whether they are sealed.
    pub seals: bool,
    /// The folder of backups, if the configuration names one.
    pub to: Option<PathBuf>,
}

impl BackupPlace {
    /// The folder of backups: that which was said, or that of the configuration.
    fn set(&self, said: Option<&PathBuf>, flag: &str) -> Result<PathBuf, CliError> {
        said.or(self.to.as_ref()).cloned().ok_or_else(|| {
            CliError::input("there is no folder of backups").with_hint(format!(
                "say `{flag} DIR`, or write `to = \"DIR\"` into `[backup]`"
            ))
        })
    }

    /// The folder of a backup that was named.
    fn backup(&self, said: &Path) -> Result<PathBuf, CliError> {
        if said.is_dir() {
            return Ok(said.to_owned());
        }
        self.to
            .as_ref()
            .map(|to| to.join(said))
            .filter(|backup| backup.is_dir())
            .ok_or_else(|| {
                CliError::input(format!("there is no backup `{}`", said.display()))
                    .with_hint("name its folder; `infinity backup list` shows those of `[backup]`")
            })
    }

    fn newest(&self, set: &Path) -> Result<PathBuf, CliError> {
        let newest = backups::list(set).into_iter().next();
        newest.map(|backup| set.join(backup.name)).ok_or_else(|| {
            CliError::failed(format!("there is no backup in `{}`", set.display()))
                .with_hint("`infinity backup create` makes one")
        })
    }
}

pub(super) async fn execute(
    command: &BackupCommand,
    global: &GlobalOptions,
    launcher: &dyn Launcher,
    output: &Output,
) -> Done {
    // A host elsewhere has its backups there.
    let place = match &global.url {
        Some(_) => None,
        None => Some(launcher.backups(global)?),
    };
    let host = match command {
        BackupCommand::Create { to: None }
        | BackupCommand::List { from: None }
        | BackupCommand::Drill {
            backup: None,
            from: None,
            keep: false,
            keys: None,
        } => launcher.running(global).await?,
        _ => None,
    };
    // One that makes none by itself leaves it to this process.
    let host = host.filter(|_| place.as_ref().is_none_or(|place| place.to.is_some()));
    if let Some(client) = host {
        return of_host(command, &client, output).await;
    }
    let Some(place) = place else {
        return Err(
            CliError::input("this is done on the machine of the host").with_hint(
                "of a host elsewhere, `create`, `list` and `drill` can be asked, without a folder",
            ),
        );
    };
    here(command, &place, output).await
}

/// Asks the host.
async fn of_host(command: &BackupCommand, client: &Client, output: &Output) -> Done {
    let (path, work) = match command {
        BackupCommand::Create { .. } => ("/v1/backups", Work::Snapshot),
        BackupCommand::Drill { .. } => ("/v1/backups/drills", Work::Drill),
        _ => {
            let list: BackupList = client.get("/v1/backups").await?;
            listed(&list, output);
            return Ok(0);
        }
    };
    let bar = output.spinner("the host is at work");
    let begun = begin(client, path).await?;
    let began_at = begun
        .in_progress
        .map_or(Timestamp::MIN, |progress| progress.began_at);
    let (list, ended) = loop {
        tokio::time::sleep(ASK_EVERY).await;
        let list: BackupList = client.get("/v1/backups").await?;
        // Of this kind: what the host does by itself may have begun and ended since.
        let of_it = |last: &&Ended| last.work == work && last.began_at >= began_at;
        if let Some(ended) = list.last.iter().find(of_it).cloned() {
            break (list, ended);
        }
    };
    bar.finish_and_clear();
    if let (BackupCommand::Drill { .. }, Some(drill)) = (command, &list.drill)
        && ended.backup.as_ref() == Some(&drill.backup)
    {
        return Ok(drilled(drill, output));
    }
    if !ended.ok {
        return Err(CliError::failed(ended.message.unwrap_or_default()));
    }
    let made = list
        .items
        .iter()
        .find(|backup| Some(&backup.name) == ended.backup.as_ref());
    if let Some(made) = made {
        let folder = Path::new(list.to.as_deref().unwrap_or_default()).join(&made.name);
        created(made, &folder, output);
    }
    Ok(0)
}

/// Has the host begin, once it is done with what it does by itself.
async fn begin(client: &Client, path: &str) -> Result<BackupList, CliError> {
    loop {
        match client.post(path, &Value::Null).await {
            Err(CliError::Problem(problem)) if problem.code == "backup_in_progress" => {
                tokio::time::sleep(ASK_EVERY).await;
            }
            answer => return answer,
        }
    }
}

/// Does it in this process.
async fn here(command: &BackupCommand, place: &BackupPlace, output: &Output) -> Done {
    let bar = output.spinner("opening");
    let progress = |what: &str, done: u64, total: u64| show(&bar, what, done, total);
    let state = &place.state;
    match command {
        BackupCommand::Create { to } => {
            let set = place.set(to.as_ref(), "--to")?;
            let made = backups::create(state, &set, Kind::Snapshot, place.seals, &progress).await;
            bar.finish_and_clear();
            let made = made.map_err(|error| failed(&error))?;
            created(&made, &set.join(&made.name), output);
            if place.seals {
                output.note(&format!(
                    "it opens with `{}` alone: keep a copy of that elsewhere",
                    state.join(parcel::KEYS).display()
                ));
            }
        }
        BackupCommand::Verify { backup, keys } => {
            let backup = place.backup(backup)?;
            let verified = backups::verify(&backup, state, keys.as_deref(), &progress).await;
            bar.finish_and_clear();
            let (said, checked) = verified.map_err(|error| failed(&error))?;
            if output.is_json() {
                output.value(&json!({ "path": backup, "backup": said, "checked": checked }));
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
            if !checked.problems.is_empty() {
                return Ok(EXIT_FAILED);
            }
        }
        BackupCommand::List { from } => {
            bar.finish_and_clear();
            let set = place.set(from.as_ref(), "--from")?;
            let list = BackupList {
                to: Some(set.display().to_string()),
                items: backups::list(&set),
                ..BackupList::default()
            };
            listed(&list, output);
        }
        BackupCommand::Restore {
            backup,
            replace,
            keys,
        } => {
            let backup = place.backup(backup)?;
            let restored =
                backups::restore(&backup, state, keys.as_deref(), *replace, &progress).await;
            bar.finish_and_clear();
            let (restored, aside) = restored.map_err(|error| failed(&error))?;
            if output.is_json() {
                output.value(&json!({ "checked": restored, "replaced": aside }));
            } else {
                let moved = aside.map_or_else(String::new, |aside| {
                    format!("; what was there is in {}", aside.display())
                });
                output.line(&format!(
                    "restored {} runs and {} events{moved}",
                    restored.runs, restored.events
                ));
            }
        }
        BackupCommand::Drill {
            backup,
            from,
            keep,
            keys,
        } => {
            let backup = match backup {
                Some(backup) => place.backup(backup)?,
                None => place.newest(&place.set(from.as_ref(), "--from")?)?,
            };
            let drill = backups::drill(&backup, state, keys.as_deref(), *keep, &progress).await;
            bar.finish_and_clear();
            let drill = drill.map_err(|error| failed(&error))?;
            note_drill(state, &drill).map_err(|error| {
                CliError::failed(format!("what came of it cannot be noted: {error}"))
            })?;
            return Ok(drilled(&drill, output));
        }
        BackupCommand::RotateKey => {
            bar.finish_and_clear();
            let number = parcel::rotate_key(state).map_err(|error| failed(&error))?;
            if output.is_json() {
                output.value(&json!({ "key": number }));
            } else {
                output.line(&format!(
                    "backups are sealed with key {number} of `{}` from now on; keep a copy of that elsewhere",
                    state.join(parcel::KEYS).display()
                ));
            }
        }
    }
    Ok(0)
}

fn created(made: &Backup, folder: &Path, output: &Output) {
    if output.is_json() {
        output.value(&json!({ "path": folder, "backup": made }));
        return;
    }
    let counts = &made.counts;
    output.line(&format!(
        "copied to {} and read again: {} runs, {} events, {} effects, {} artifacts",
        folder.display(),
        counts.runs,
        counts.events,
        counts.effects,
        counts.artifacts
    ));
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Copy => "copy",
        Kind::Snapshot => "snapshot",
    }
}

fn listed(list: &BackupList, output: &Output) {
    if output.is_json() {
        output.value(list);
        return;
    }
    let rows = list
        .items
        .iter()
        .map(|backup| {
            vec![
                backup.name.clone(),
                word(backup.kind).to_owned(),
                seconds(backup.made_at).to_string(),
                if backup.sealed {
                    "sealed"
                } else {
                    "in the clear"
                }
                .to_owned(),
                backup.counts.runs.to_string(),
                backup.counts.events.to_string(),
                backup.counts.artifacts.to_string(),
            ]
        })
        .collect();
    output.table(
        &["NAME", "KIND", "MADE", "", "RUNS", "EVENTS", "ARTIFACTS"],
        rows,
    );
    if let Some(last) = list.last.first().filter(|last| !last.ok) {
        output.note(&format!(
            "the last {} failed: {}",
            last.work.as_str(),
            last.message.as_deref().unwrap_or_default()
        ));
    }
    if let Some(next) = list.next_copy_at {
        output.note(&format!("the next copy is due at {}", seconds(next)));
    }
}

/// Shows how a trial went, and gives the exit code.
fn drilled(drill: &Drill, output: &Output) -> u8 {
    if output.is_json() {
        output.value(drill);
    } else {
        for problem in &drill.problems {
            output.line(&format!("problem  {problem}"));
        }
        let counts = &drill.counts;
        let (word, style) = if drill.passed {
            ("passed", "32")
        } else {
            ("failed", "31")
        };
        output.ready(&format!(
            "{}: {} was back and verified after {:.1} s (at most {} s); {:.1} s would be lost (at most {} s)",
            output.styled(style, word),
            printable(&drill.backup),
            drill.restore_ms as f64 / 1e3,
            drill.restore_max_ms / 1_000,
            drill.loss_ms as f64 / 1e3,
            drill.loss_max_ms / 1_000,
        ));
        output.line(&format!(
            "{} runs, {} events, {} effects, {} keys, {} artifacts, {} records of the journal",
            counts.runs,
            counts.events,
            counts.effects,
            counts.keys,
            counts.artifacts,
            counts.journal
        ));
        if let Some(kept) = &drill.kept {
            output.line(&format!("it is in {kept}"));
        }
    }
    if drill.passed { 0 } else { EXIT_FAILED }
}
