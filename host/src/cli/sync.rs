//! `infinity sync`: what the sync agent would do, and the way back.

use super::client::Client;
use super::output::Output;
use super::run::{RunOptions, run_to_end};
use super::{CliError, Done, effects, run};
use crate::api::views::EffectList;
use crate::model::{EffectState, Outcome, Report, Run};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long the host may take to look at what a run proposes.
const JUDGED_WITHIN: Duration = Duration::from_secs(10);

/// What to do with what is synced.
#[derive(Debug, Subcommand)]
pub enum SyncCommand {
    /// Show what a sync would change: nothing is applied
    Plan {
        /// The target; all without it
        target: Option<String>,
        #[command(flatten)]
        of: Agent,
    },
    /// Propose to undo the last sync of a target, as a pull request
    Rollback {
        /// The target
        target: String,
        #[command(flatten)]
        of: Agent,
    },
}

/// Which agent syncs.
#[derive(Debug, Args)]
pub struct Agent {
    /// The agent that syncs
    #[arg(long, default_value = "repo-sync")]
    agent: String,
}

pub(super) async fn execute(command: &SyncCommand, client: &Client, output: &Output) -> Done {
    let (options, input) = match command {
        SyncCommand::Plan { target, of } => {
            let input = target
                .as_ref()
                .map_or(Value::Null, |target| json!({ "target": target }));
            (RunOptions::of(&of.agent, true), input)
        }
        SyncCommand::Rollback { target, of } => (
            RunOptions::of(&of.agent, false),
            json!({ "rollback": target }),
        ),
    };
    let ran = run_to_end(&options, input, client, output).await?;
    if ran.outcome != Some(Outcome::Succeeded) {
        return run::show(&ran, client, output).await;
    }
    let report: Report = client.get(&format!("/v1/runs/{}/report", ran.id)).await?;
    let proposed = proposed(&ran, client).await?;
    if output.is_json() {
        output.value(&json!({ "run": ran, "report": report, "effects": proposed.items }));
        return Ok(0);
    }
    targets(&report, output);
    for finding in &report.findings {
        output.line(&format!("{}: {}", finding.rule, finding.message));
    }
    for effect in &proposed.items {
        output.line("");
        effects::show(effect.id, client, output).await?;
    }
    if proposed.items.is_empty() {
        output.line("there is nothing to change");
    }
    Ok(0)
}

/// What a run proposes, once the host has looked at it.
async fn proposed(run: &Run, client: &Client) -> Result<EffectList, CliError> {
    let began = Instant::now();
    loop {
        let list: EffectList = client
            .get(&format!("/v1/effects?limit=500&run={}", run.id))
            .await?;
        let judged = list
            .items
            .iter()
            .all(|effect| effect.state != EffectState::Proposed);
        if judged || began.elapsed() > JUDGED_WITHIN {
            return Ok(list);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The targets, a line each.
fn targets(report: &Report, output: &Output) {
    let listed = report.output.as_ref().map(|output| &output["targets"]);
    let count = |value: &Value| value.as_array().map_or(0, Vec::len).to_string();
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let rows = listed
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|target| {
            vec![
                text(&target["target"]),
                text(&target["repository"]),
                text(&target["state"]),
                count(&target["write"]),
                count(&target["delete"]),
                count(&target["conflicts"]),
                text(&target["last"]).chars().take(12).collect(),
            ]
        })
        .collect();
    output.table(
        &[
            "TARGET",
            "REPOSITORY",
            "STATE",
            "WRITE",
            "DELETE",
            "CONFLICTS",
            "LAST SYNC",
        ],
        rows,
    );
}
