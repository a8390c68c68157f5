//! `infinity audit`: what was done, by whom, and whether the journal of it is whole.
//!
//! Reading needs no host: the journal is read in the state folder, beside a host that runs. What changes something is asked of the host.

use super::client::Client;
use super::output::{Output, printable};
use super::show::seconds;
use super::{CliError, Done, EXIT_FAILED};
use crate::api::{Erasure, SealKey};
use crate::audit::chain::Checkpoint;
use crate::audit::report::Gather;
use crate::audit::{ACTIONS, checkpoints, views};
use crate::store::{Entry, JournalFilter, JournalReader, StoreError, verify_journal};
use crate::words::nearest;
use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use serde_json::json;
use ssh_key::PublicKey;
use std::collections::BTreeMap;
use std::io::{BufRead as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Records that are read at once.
const PAGE: usize = 2_000;

/// Checkpoints of one file: one an hour for a hundred years.
const CHECKPOINTS_MAX: usize = 1_000_000;

/// What to do with the journal.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Read all of it and say whether it is what was written; fails if it is not
    Verify {
        /// Checkpoints to compare it with, one JSON object a line, instead of those in the state folder; without any a cut tail does not show
        #[arg(long = "checkpoint", value_name = "FILE")]
        checkpoints: Vec<PathBuf>,
        /// The public key that signed them, instead of the state folder's own
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
    },
    /// Show the latest records, the newest last
    Tail {
        #[command(flatten)]
        wanted: Wanted,
        /// How many
        #[arg(short = 'n', long, default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..=10_000))]
        lines: u16,
    },
    /// Write records to a file, one JSON object a line, the oldest first
    Export {
        #[command(flatten)]
        wanted: Wanted,
        /// Put names in the place of pseudonyms
        #[arg(long)]
        named: bool,
        /// The file; standard output without it
        file: Option<PathBuf>,
    },
    /// Show who did what, what was denied and what was approved
    Report {
        #[command(flatten)]
        wanted: Wanted,
        /// In which form
        #[arg(long, value_name = "FORM", default_value = "markdown")]
        format: Form,
    },
    /// Print the journal's end, signed by the running host; keep it elsewhere
    Checkpoint,
    /// Forget who a person or an address was; records stay
    Erase {
        /// The person's name
        #[arg(required_unless_present = "address", conflicts_with = "address")]
        user: Option<String>,
        /// An address instead
        #[arg(long)]
        address: Option<String>,
    },
    /// Seal what comes with a new key; what is there stays readable
    RotateKey,
}

/// In which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// For people
    Markdown,
    /// For tables
    Csv,
    /// For programs
    Json,
}

/// Which records.
#[derive(Debug, Args)]
pub struct Wanted {
    /// Only this action, for instance `run.ended`; may be given several times
    #[arg(long = "action", value_parser = action)]
    actions: Vec<String>,
    /// Only this agent
    #[arg(long)]
    agent: Option<String>,
    /// Only what this person did
    #[arg(long)]
    user: Option<String>,
    /// Only what came from this address
    #[arg(long)]
    address: Option<String>,
    /// From this moment on, RFC 3339
    #[arg(long)]
    since: Option<Timestamp>,
    /// Before this moment, RFC 3339
    #[arg(long)]
    until: Option<Timestamp>,
    /// Only what did not work
    #[arg(long)]
    failed: bool,
}

/// An action as it is typed.
fn action(typed: &str) -> Result<String, String> {
    if ACTIONS.contains(&typed) {
        return Ok(typed.to_owned());
    }
    Err(nearest(typed, ACTIONS.iter().copied()).map_or_else(
        || "there is no such action".to_owned(),
        |meant| format!("there is no such action; did you mean `{meant}`?"),
    ))
}

impl Wanted {
    fn filter(&self, ascending: bool) -> JournalFilter {
        JournalFilter {
            actions: self.actions.clone(),
            agent: self.agent.clone(),
            user: self.user.clone(),
            address: self.address.clone(),
            success: self.failed.then_some(false),
            since: self.since,
            until: self.until,
            ascending,
            ..JournalFilter::default()
        }
    }
}

fn failed(error: &StoreError) -> CliError {
    CliError::failed(match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    })
}

/// Whether a command is done in the state folder, without a host.
pub(super) fn is_offline(command: &AuditCommand) -> bool {
    matches!(
        command,
        AuditCommand::Verify { .. }
            | AuditCommand::Tail { .. }
            | AuditCommand::Export { .. }
            | AuditCommand::Report { .. }
    )
}

/// What is done in the state folder.
pub(super) async fn offline(command: &AuditCommand, state: &Path, output: &Output) -> Done {
    match command {
        AuditCommand::Verify { checkpoints, key } => {
            verify(state, checkpoints, key.as_deref(), output).await
        }
        AuditCommand::Tail { wanted, lines } => {
            tail(state, wanted, usize::from(*lines), output).await
        }
        AuditCommand::Export {
            wanted,
            named,
            file,
        } => export(state, wanted, *named, file.as_deref(), output).await,
        AuditCommand::Report { wanted, format } => report(state, wanted, *format, output).await,
        AuditCommand::Checkpoint | AuditCommand::Erase { .. } | AuditCommand::RotateKey => Ok(0),
    }
}

/// What is asked of the host.
pub(super) async fn online(command: &AuditCommand, client: &Client, output: &Output) -> Done {
    match command {
        AuditCommand::Checkpoint => {
            let checkpoint: Checkpoint = client.get("/v1/audit/checkpoint").await?;
            output.value_line(&checkpoint);
        }
        AuditCommand::Erase { user, address } => {
            let body = match (user, address) {
                (Some(user), _) => json!({ "user": user }),
                (None, address) => json!({ "address": address }),
            };
            let erasure: Erasure = client.post("/v1/audit/erasures", &body).await?;
            if output.is_json() {
                output.value(&erasure);
            } else if erasure.erased {
                output.line("erased: their records stay, and say no longer whose they are");
            } else {
                output.line("the journal knows nobody of that name");
            }
        }
        AuditCommand::RotateKey => {
            let key: SealKey = client.post("/v1/audit/rotate-key", &json!(null)).await?;
            if output.is_json() {
                output.value(&key);
            } else {
                output.line(&format!(
                    "records are sealed with key {} from now on; keep a copy of `journal.keys` apart from the database's",
                    key.key
                ));
            }
        }
        _ => {}
    }
    Ok(0)
}

/// The checkpoints of a file.
fn read_checkpoints(path: &Path, key: &PublicKey) -> Result<Vec<Checkpoint>, CliError> {
    let wrong = |line: usize, what: &str| {
        CliError::input(format!("{}, line {line}: {what}", path.display()))
    };
    let file = std::fs::File::open(path).map_err(|error| {
        CliError::input(format!("`{}` cannot be read: {error}", path.display()))
    })?;
    let mut found = Vec::new();
    for (index, line) in std::io::BufReader::new(file).lines().enumerate() {
        let number = index + 1;
        if number > CHECKPOINTS_MAX {
            return Err(wrong(number, "there are too many checkpoints"));
        }
        let line = line.map_err(|error| wrong(number, &error.to_string()))?;
        if line.trim().is_empty() {
            continue;
        }
        let checkpoint: Checkpoint = serde_json::from_str(&line)
            .map_err(|error| wrong(number, &format!("this is no checkpoint: {error}")))?;
        checkpoint
            .verify(key)
            .map_err(|error| wrong(number, &error.to_string()))?;
        found.push(checkpoint);
    }
    Ok(found)
}

async fn verify(state: &Path, files: &[PathBuf], key: Option<&Path>, output: &Output) -> Done {
    let mut checkpoints = Vec::new();
    let own = state.join(checkpoints::FILE);
    let mut files = files.to_vec();
    if files.is_empty() && own.is_file() {
        files.push(own);
    }
    if !files.is_empty() {
        let path = key.map_or_else(|| state.join("signing_key.pub"), Path::to_owned);
        let key = PublicKey::read_openssh_file(&path).map_err(|error| {
            CliError::input(format!(
                "the key in `{}` cannot be read: {error}",
                path.display()
            ))
        })?;
        for file in &files {
            checkpoints.extend(read_checkpoints(file, &key)?);
        }
    }
    let bar = output.spinner("verifying");
    let progress = |what: &str, done: u64, total: u64| {
        bar.set_message(format!("{what}: {} %", done * 100 / total));
        bar.tick();
    };
    let verified = verify_journal(state, &checkpoints, &progress).await;
    bar.finish_and_clear();
    let verified = verified.map_err(|error| failed(&error))?;
    if output.is_json() {
        output.value(&verified);
    } else if let Some(broken) = &verified.broken {
        output.line(&format!("broken: {broken}"));
        output.note("records before it are what was written; look for who could write to the database, and compare with a backup");
    } else {
        output.line(&format!(
            "whole: {} records, {} checkpoints",
            verified.seq, verified.checkpoints
        ));
        if verified.checkpoints == 0 {
            output.note("nothing shows whether the end was cut off; `--checkpoint FILE` compares with what was signed before");
        }
    }
    Ok(if verified.broken.is_some() {
        EXIT_FAILED
    } else {
        0
    })
}

async fn tail(state: &Path, wanted: &Wanted, lines: usize, output: &Output) -> Done {
    let reader = JournalReader::open(state)
        .await
        .map_err(|error| failed(&error))?;
    let filter = wanted.filter(false);
    let mut found: Vec<Entry> = Vec::new();
    let mut from = None;
    loop {
        let (page, next) = reader
            .page(&filter, from, lines - found.len())
            .await
            .map_err(|error| failed(&error))?;
        found.extend(page);
        match next {
            Some(next) if found.len() < lines => from = Some(next),
            _ => break,
        }
    }
    found.reverse();
    let people = reader
        .people(&views::pseudonyms(&found))
        .await
        .map_err(|error| failed(&error))?;
    if output.is_json() {
        output.value(&json!({ "items": found, "people": people }));
        return Ok(0);
    }
    let rows = found.iter().map(|entry| row(entry, &people)).collect();
    output.table(&["record", "when", "who", "action", "on what", ""], rows);
    Ok(0)
}

fn row(entry: &Entry, people: &BTreeMap<String, String>) -> Vec<String> {
    let record = &entry.record;
    let named = |text: &String| printable(people.get(text).unwrap_or(text));
    let who = record
        .user_id
        .as_ref()
        .or(record.ip_address.as_ref())
        .map(named)
        .or_else(|| record.agent.clone())
        .unwrap_or_else(|| "host".into());
    let mut came = if record.success { "" } else { "failed" }.to_owned();
    if record.count > 1 {
        came = format!("{came} {} times", record.count).trim().to_owned();
    }
    if let Some(why) = &entry.unreadable {
        came.clone_from(why);
    }
    let action = match record.detail.get("event").and_then(|event| event.as_str()) {
        Some(event) => printable(event),
        None => record.action.clone(),
    };
    vec![
        entry.seq.to_string(),
        seconds(record.timestamp).to_string(),
        who,
        action,
        record.resource_id.as_ref().map(named).unwrap_or_default(),
        came,
    ]
}

/// Gives each part of the journal that is wanted, the oldest first.
async fn each(
    state: &Path,
    wanted: &Wanted,
    named: bool,
    mut take: impl FnMut(Vec<Entry>, BTreeMap<String, String>) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let reader = JournalReader::open(state)
        .await
        .map_err(|error| failed(&error))?;
    let filter = wanted.filter(true);
    let mut from = None;
    loop {
        let (page, next) = reader
            .page(&filter, from, PAGE)
            .await
            .map_err(|error| failed(&error))?;
        let people = if named {
            reader
                .people(&views::pseudonyms(&page))
                .await
                .map_err(|error| failed(&error))?
        } else {
            BTreeMap::new()
        };
        take(page, people)?;
        match next {
            Some(next) => from = Some(next),
            None => return Ok(()),
        }
    }
}

async fn export(
    state: &Path,
    wanted: &Wanted,
    named: bool,
    file: Option<&Path>,
    output: &Output,
) -> Done {
    let cannot =
        |error: std::io::Error| CliError::failed(format!("the export cannot be written: {error}"));
    let mut sink: Box<dyn std::io::Write + Send> = match file {
        Some(path) => Box::new(std::io::BufWriter::new(
            std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)
                .map_err(|error| {
                    CliError::input(format!("`{}` cannot be made: {error}", path.display()))
                })?,
        )),
        None => Box::new(std::io::BufWriter::new(std::io::stdout())),
    };
    let mut written = 0_u64;
    each(state, wanted, named, |entries, people| {
        for mut entry in entries {
            let record = &mut entry.record;
            for text in [
                &mut record.user_id,
                &mut record.ip_address,
                &mut record.user_agent,
                &mut record.resource_id,
            ]
            .into_iter()
            .flatten()
            {
                if let Some(name) = people.get(text.as_str()) {
                    text.clone_from(name);
                }
            }
            let line = serde_json::to_string(&entry)
                .map_err(|error| CliError::failed(error.to_string()))?;
            writeln!(sink, "{line}").map_err(cannot)?;
            written += 1;
        }
        Ok(())
    })
    .await?;
    sink.flush().map_err(cannot)?;
    if file.is_some() {
        output.note(&format!("{written} records"));
    }
    Ok(0)
}

async fn report(state: &Path, wanted: &Wanted, format: Form, output: &Output) -> Done {
    let mut gather = Gather::new(wanted.since, wanted.until);
    each(state, wanted, true, |entries, people| {
        for entry in &entries {
            gather.take(entry, &people);
        }
        Ok(())
    })
    .await?;
    let report = gather.finish();
    if output.is_json() || format == Form::Json {
        output.value(&report);
        return Ok(0);
    }
    let text = match format {
        Form::Csv => report.csv(),
        _ => report.markdown(),
    };
    output.raw(text.as_bytes());
    Ok(0)
}
