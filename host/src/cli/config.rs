//! `infinity config`: the same check as a start, stopped there, and the schema for editors; and what a running host goes by: what is in force, what another file would change, and the way back.

use super::client::Client;
use super::output::{Output, plural};
use super::show::{seconds, word};
use super::{CliError, Done, EXIT_FAILED, GlobalOptions, Launcher, sign_in};
use crate::api::ConfigStatus;
use crate::config::{self, Config, masked_whole, schema};
use crate::reload::{AgentChange, ChangeState, ConfigVersion, VersionState};
use clap::Subcommand;
use serde::Deserialize;
use serde_json::{Value, json};
use similar::{ChangeTag, TextDiff};
use std::path::{Path, PathBuf};

/// Lines around a difference.
const CONTEXT: usize = 3;

/// What to do with the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Report every mistake, with its place and what to do
    Check,
    /// Print the JSON Schema of `plugins.toml`
    Schema,
    /// Show what is in force, and what of the file is not
    Status,
    /// Show what a file would change, without changing anything
    Diff {
        /// The file; `plugins.toml` where it is left out
        file: Option<PathBuf>,
    },
    /// Take a file in the place of `plugins.toml`, if it has no mistakes
    Apply {
        /// The file
        file: PathBuf,
    },
    /// List the versions that were looked at, newest first
    History {
        /// How many
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100))]
        limit: u32,
    },
    /// Go back to a version: its text, and the components of its plugins
    Rollback {
        /// Its number; the one in force before this one where it is left out
        number: Option<u64>,
    },
    /// Approve what an agent may more than before, or take a version that crashed
    Approve {
        /// The agent
        agent: String,
        /// Only if its change still has this digest
        #[arg(long)]
        digest: Option<String>,
        /// The code of your authenticator app, where approving takes one
        #[arg(long)]
        code: Option<String>,
    },
}

/// One page of versions.
#[derive(Deserialize)]
struct Versions {
    items: Vec<ConfigVersion>,
}

/// A version and its text.
#[derive(Deserialize)]
struct VersionText {
    text: String,
}

pub(super) async fn execute(
    command: &ConfigCommand,
    global: &GlobalOptions,
    launcher: &dyn Launcher,
    output: &Output,
) -> Done {
    match command {
        ConfigCommand::Schema => {
            output.value(&schema());
            return Ok(0);
        }
        ConfigCommand::Check => {
            let config = launcher.config(global).await?;
            return Ok(checked(&config, global, output));
        }
        _ => {}
    }
    let client = launcher.connect(global).await?;
    match command {
        ConfigCommand::Check | ConfigCommand::Schema => Ok(0),
        ConfigCommand::Status => status(&client, output).await,
        ConfigCommand::Diff { file } => {
            diff(file.as_deref().unwrap_or(&global.config), &client, output).await
        }
        ConfigCommand::Apply { file } => {
            let body = json!({ "text": read(file)? });
            let version: ConfigVersion = client.put("/v1/config", &body).await?;
            shown(&version, output)
        }
        ConfigCommand::History { limit } => history(*limit, &client, output).await,
        ConfigCommand::Rollback { number } => {
            let number = match number {
                Some(number) => *number,
                None => before(&client).await?,
            };
            let path = format!("/v1/config/versions/{number}/rollback");
            let version: ConfigVersion = client.post(&path, &Value::Null).await?;
            shown(&version, output)
        }
        ConfigCommand::Approve {
            agent,
            digest,
            code,
        } => {
            if let Some(code) = code {
                sign_in::show(code, &client).await?;
            }
            let body = json!({ "agent": agent, "digest": digest });
            let version: ConfigVersion = client.post("/v1/config/approvals", &body).await?;
            shown(&version, output)
        }
    }
}

fn checked(config: &Config, global: &GlobalOptions, output: &Output) -> u8 {
    let count = config.agents.len();
    if output.is_json() {
        output.value(&json!({ "errors": [], "more": 0, "agents": count }));
    } else {
        output.line(&format!(
            "{}: no mistakes, {}",
            global.config.display(),
            plural(count as u64, "agent")
        ));
    }
    0
}

fn read(file: &Path) -> Result<String, CliError> {
    config::read(file).map_err(CliError::from)
}

/// The number of the version that was in force before the one that is.
async fn before(client: &Client) -> Result<u64, CliError> {
    let status: ConfigStatus = client.get("/v1/config").await?;
    let versions: Versions = client.get("/v1/config/versions?limit=100").await?;
    let earlier = versions
        .items
        .iter()
        .find(|version| version.number < status.version && version.state == VersionState::Applied);
    earlier
        .map(|version| version.number)
        .ok_or_else(|| CliError::input("there is no version before the one in force".to_owned()))
}

async fn status(client: &Client, output: &Output) -> Done {
    let status: ConfigStatus = client.get("/v1/config").await?;
    let whole = status.problems.is_empty();
    if output.is_json() {
        output.value(&status);
    } else {
        output.line(&format!(
            "version {} of {} is in force since {}",
            status.version,
            status.path,
            seconds(status.since)
        ));
        for problem in &status.problems {
            output.line(&format!("not in force: {}", problem));
        }
        for change in &status.held {
            output.line(&line(change));
        }
        if !status.restart.is_empty() {
            output.line(&format!(
                "from the next start on: {}",
                status.restart.join(", ")
            ));
        }
        for canary in &status.canaries {
            output.line(&format!(
                "{}: {} % of its runs on the new component until {}, then all",
                canary.agent,
                canary.percent,
                seconds(canary.until)
            ));
        }
        if status.draining > 0 {
            output.line(&format!(
                "{} on an earlier version",
                plural(status.draining, "run")
            ));
        }
    }
    Ok(if whole { 0 } else { EXIT_FAILED })
}

async fn diff(file: &Path, client: &Client, output: &Output) -> Done {
    let text = read(file)?;
    let body = json!({ "text": text });
    let version: ConfigVersion = client.put("/v1/config?dry_run=true", &body).await?;
    let status: ConfigStatus = client.get("/v1/config").await?;
    let known: Option<VersionText> = match status.version {
        0 => None,
        number => {
            let path = format!("/v1/config/versions/{number}");
            Some(client.get(&path).await?)
        }
    };
    if output.is_json() {
        output.value(&version);
        return Ok(0);
    }
    if let Some(known) = known {
        let new = masked_whole(&text);
        let lines = TextDiff::from_lines(&known.text, &new);
        for group in lines.grouped_ops(CONTEXT) {
            for change in group.iter().flat_map(|op| lines.iter_changes(op)) {
                let line = change.value().trim_end_matches('\n');
                match change.tag() {
                    ChangeTag::Delete => output.ready(&output.styled("31", &format!("-{line}"))),
                    ChangeTag::Insert => output.ready(&output.styled("32", &format!("+{line}"))),
                    ChangeTag::Equal => output.line(&format!(" {line}")),
                }
            }
        }
    }
    for change in &version.changes {
        told(change, output);
    }
    if version.changes.is_empty() {
        output.line("no agent would be different");
    }
    if !version.restart.is_empty() {
        output.line(&format!(
            "from the next start on: {}",
            version.restart.join(", ")
        ));
    }
    Ok(0)
}

async fn history(limit: u32, client: &Client, output: &Output) -> Done {
    let path = format!("/v1/config/versions?limit={limit}");
    let whole: Value = client.get(&path).await?;
    if output.is_json() {
        output.value(&whole);
        return Ok(0);
    }
    let versions: Versions = serde_json::from_value(whole).map_err(|error| {
        CliError::failed(format!("the host's answer is not as it must be: {error}"))
    })?;
    let rows = versions
        .items
        .iter()
        .map(|version| {
            let mut what: Vec<String> = version
                .changes
                .iter()
                .take(5)
                .map(|change| match change.state {
                    ChangeState::Applied => format!("{} {}", change.agent, word(&change.kind)),
                    _ => format!("{} {}", change.agent, word(&change.state)),
                })
                .collect();
            if version.changes.len() > 5 {
                what.push(format!("and {} more", version.changes.len() - 5));
            }
            what.extend(version.problems.first().cloned());
            vec![
                version.number.to_string(),
                seconds(version.at).to_string(),
                word(&version.cause),
                word(&version.state),
                version.principal.name.clone(),
                what.join(", "),
            ]
        })
        .collect();
    output.table(&["NUMBER", "AT", "CAUSE", "STATE", "BY", "WHAT"], rows);
    Ok(0)
}

/// A version that was just made.
fn shown(version: &ConfigVersion, output: &Output) -> Done {
    let taken = version.state == VersionState::Applied;
    if output.is_json() {
        output.value(version);
    } else if taken {
        output.line(&format!(
            "version {} is in force: {}",
            version.number,
            plural(version.changes.len() as u64, "change")
        ));
        for problem in &version.problems {
            output.line(&format!("left out: {}", problem));
        }
        for change in &version.changes {
            told(change, output);
        }
        if !version.restart.is_empty() {
            output.line(&format!(
                "from the next start on: {}",
                version.restart.join(", ")
            ));
        }
    } else {
        for problem in &version.problems {
            output.line(&format!("not taken: {}", problem));
        }
    }
    Ok(if taken { 0 } else { EXIT_FAILED })
}

fn told(change: &AgentChange, output: &Output) {
    output.line(&line(change));
    if let Some(shadows) = &change.shadows {
        output.line(&format!(
            "  {}, {} with another end",
            plural(shadows.runs.into(), "shadow run"),
            shadows.different
        ));
    }
    if let Some(percent) = change.canary_percent {
        output.line(&format!("  {percent} % of its runs first"));
    }
    for gain in &change.gains {
        output.line(&format!("  + {}", gain));
    }
    for loss in &change.loses {
        output.line(&format!("  - {}", loss));
    }
}

/// A change in one line.
fn line(change: &AgentChange) -> String {
    let mut text = format!("{}: {}", change.agent, word(&change.kind));
    if !change.keys.is_empty() {
        text.push_str(&format!(" ({})", change.keys.join(", ")));
    }
    if change.state != ChangeState::Applied {
        text.push_str(&format!(", {}", word(&change.state)));
    }
    if let Some(message) = &change.message {
        text.push_str(&format!(": {}", message));
    }
    text
}
