//! `infinity alerts`: what the host's own rules came to, and what keeps them from being told.

use super::Done;
use super::access::length;
use super::client::{Client, encode};
use super::output::{Output, printable};
use super::show::{seconds, word};
use crate::alerts::rules::Unit;
use crate::alerts::{AlertState, Silence};
use crate::api::{AlertList, AlertView};
use clap::{Args, Subcommand, ValueEnum};
use jiff::SignedDuration;
use serde_json::json;

/// Which alerts to show, or what to do.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct AlertsOptions {
    #[command(subcommand)]
    command: Option<AlertsCommand>,
    /// Only those in this state
    #[arg(long, value_name = "STATE")]
    state: Option<Asked>,
    /// How many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
}

/// States of alerts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Asked {
    /// Their rules hold, and not for long enough yet
    Pending,
    /// They fire, and people were told
    Firing,
    /// They fire, and nobody is told
    Silenced,
    /// They are over
    Past,
}

/// What to do with a rule.
#[derive(Debug, Subcommand)]
pub(super) enum AlertsCommand {
    /// Tell nobody of a rule's alerts for a while; they are recorded as before
    Silence {
        /// The rule, for instance `disk_high`
        rule: String,
        /// For how long, for instance `2h`; 30 days at most
        #[arg(long = "for", value_name = "TIME", value_parser = length)]
        lasts: SignedDuration,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Tell people of a rule's alerts again
    Unsilence {
        /// The rule
        rule: String,
    },
}

pub(super) async fn execute(options: &AlertsOptions, client: &Client, output: &Output) -> Done {
    match &options.command {
        None => list(options, client, output).await,
        Some(AlertsCommand::Silence {
            rule,
            lasts,
            reason,
        }) => {
            let body = json!({ "for": format!("{}m", lasts.as_mins()), "reason": reason });
            let path = format!("/v1/alerts/{}/silences", encode(rule));
            let silence: Silence = client.post(&path, &body).await?;
            if output.is_json() {
                output.value(&silence);
            } else {
                output.line(&format!(
                    "nobody is told of `{}` until {}",
                    silence.rule,
                    seconds(silence.until)
                ));
            }
            Ok(0)
        }
        Some(AlertsCommand::Unsilence { rule }) => {
            client
                .delete(&format!("/v1/alerts/{}/silences", encode(rule)))
                .await?;
            if output.is_json() {
                output.value(&json!({ "unsilenced": rule }));
            } else {
                output.line(&format!("people are told of `{rule}` again"));
            }
            Ok(0)
        }
    }
}

async fn list(options: &AlertsOptions, client: &Client, output: &Output) -> Done {
    let mut path = format!("/v1/alerts?limit={}", options.limit);
    let state = options.state.and_then(|state| state.to_possible_value());
    if let Some(state) = &state {
        path.push_str(&format!("&state={}", state.get_name()));
    }
    let list: AlertList = client.get(&path).await?;
    if output.is_json() {
        output.value(&list);
        return Ok(0);
    }
    let rows = list.items.iter().map(row).collect();
    output.table(
        &["RULE", "SEVERITY", "STATE", "SINCE", "VALUE", "WHAT"],
        rows,
    );
    if list.items.is_empty() {
        output.note(match state {
            None => "no rule fired in the last 90 days",
            Some(_) => "there are none in this state",
        });
    }
    for view in list.items.iter().filter(|view| is_live(view)) {
        output.note(&format!("{}: {}", view.alert.rule, view.alert.help));
    }
    if list.next.is_some() {
        output.note("there are more; `--limit` shows up to 500");
    }
    Ok(0)
}

fn is_live(view: &AlertView) -> bool {
    view.alert.state != AlertState::Resolved
}

fn row(view: &AlertView) -> Vec<String> {
    let alert = &view.alert;
    let state = match (&view.silence, alert.resolved_at) {
        (_, Some(at)) => format!("over since {}", seconds(at)),
        (Some(silence), _) => format!(
            "silenced until {} by {}: {}",
            seconds(silence.until),
            printable(&silence.by.name),
            printable(&silence.reason)
        ),
        (None, None) => word(&alert.state),
    };
    let unit = match alert.unit {
        Unit::Percent => " %",
        Unit::Milliseconds => " ms",
        Unit::Count => "",
    };
    vec![
        alert.rule.clone(),
        alert.severity.as_str().to_owned(),
        state,
        seconds(alert.fired_at.unwrap_or(alert.since)).to_string(),
        format!("{}{unit} > {}{unit}", alert.value, alert.above),
        format!("{}: {}", alert.summary, printable(&alert.detail)),
    ]
}
