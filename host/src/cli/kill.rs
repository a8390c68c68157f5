//! `infinity kill` and `infinity recover`: everything stops, and goes on once a dry run has passed.

use super::client::Client;
use super::output::{Output, printable};
use super::show::seconds;
use super::{CliError, Done};
use crate::kill::{KillState, KillView, MINUTES_MAX};
use clap::Args;
use serde_json::{Value, json};

/// Why everything has to stop.
#[derive(Debug, Args)]
pub struct KillOptions {
    /// Why
    #[arg(default_value = "thrown by hand")]
    reason: String,
    /// For how many minutes at least
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=i64::from(MINUTES_MAX)))]
    minutes: Option<u32>,
}

/// How to see that everything is well again.
#[derive(Debug, Args)]
pub struct RecoverOptions {
    /// The agent of which a dry run has to pass
    agent: String,
    /// Its input, JSON
    #[arg(long)]
    input: Option<String>,
}

pub(super) async fn kill(options: &KillOptions, client: &Client, output: &Output) -> Done {
    let body = json!({ "reason": options.reason, "duration_minutes": options.minutes });
    let view: KillView = client.post("/v1/killswitch", &body).await?;
    shown(&view, output);
    Ok(0)
}

pub(super) async fn recover(options: &RecoverOptions, client: &Client, output: &Output) -> Done {
    let input: Value = options
        .input
        .as_ref()
        .map(|text| serde_json::from_str(text))
        .transpose()
        .map_err(|error| CliError::input(format!("`--input` is no JSON: {error}")))?
        .unwrap_or_default();
    let body = json!({ "agent": options.agent, "input": input });
    let view: KillView = client.post("/v1/killswitch/recover", &body).await?;
    shown(&view, output);
    Ok(0)
}

fn shown(view: &KillView, output: &Output) {
    if output.is_json() {
        output.value(view);
        return;
    }
    output.line(&line(view));
    if view.state != KillState::Off {
        output.note("nothing starts and nothing is applied; `infinity recover AGENT` runs that agent with nothing applied, and lets everything go on if it succeeds");
    }
}

/// The switch in one line.
pub(super) fn line(view: &KillView) -> String {
    let Some(kill) = &view.kill else {
        return "the kill switch is off".into();
    };
    let state = match (view.state, kill.until) {
        (KillState::Engaged, Some(until)) => format!("thrown until {}", seconds(until)),
        _ => "thrown, and waits for recovery".into(),
    };
    format!(
        "the kill switch is {state}, by {} at {}: {}",
        printable(&kill.by.name),
        seconds(kill.engaged_at),
        printable(&kill.reason)
    )
}
