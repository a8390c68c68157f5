//! `infinity pause | resume | status | occurrences | dead-letters`: what runs by itself, and what came of it.

use super::client::{Client, encode};
use super::output::Output;
use super::show::{run_id, run_table, seconds, word};
use super::{CliError, Done};
use crate::api::views::{OccurrenceList, RunList};
use crate::api::{AgentView, RunView, Status};
use clap::{Args, Subcommand};
use serde_json::Value;
use uuid::Uuid;

/// Which moments to list.
#[derive(Debug, Args)]
pub struct OccurrencesOptions {
    /// Only those of this agent
    pub agent: Option<String>,
    /// Only those that this came of: fired, coalesced, skipped, missed
    #[arg(long, value_name = "WORD")]
    pub result: Option<String>,
    /// How many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    pub limit: u32,
}

/// What to do with runs that were given up on.
#[derive(Debug, Subcommand)]
pub enum DeadLettersCommand {
    /// List them, newest first
    List,
    /// Start one again
    Retry {
        /// The run's id
        #[arg(value_parser = run_id)]
        id: Uuid,
    },
    /// Drop one; the run itself stays
    Drop {
        /// The run's id
        #[arg(value_parser = run_id)]
        id: Uuid,
    },
}

/// Lists, starts again or drops runs that were given up on.
pub(super) async fn dead_letters(
    command: &DeadLettersCommand,
    client: &Client,
    output: &Output,
) -> Done {
    match command {
        DeadLettersCommand::List => {
            let list: RunList = client.get("/v1/dead-letters?limit=500").await?;
            if output.is_json() {
                output.value(&list);
            } else {
                run_table(&list, output);
            }
        }
        DeadLettersCommand::Retry { id } => {
            let path = format!("/v1/dead-letters/{id}/retry");
            let view: RunView = client.post(&path, &Value::Null).await?;
            if output.is_json() {
                output.value(&view);
            } else {
                output.line(&format!(
                    "attempt {} of `{}` started: {}",
                    view.run.attempt, view.run.agent, view.run.id
                ));
            }
        }
        DeadLettersCommand::Drop { id } => {
            client.delete(&format!("/v1/dead-letters/{id}")).await?;
            if output.is_json() {
                output.value(&serde_json::json!({ "dropped": id }));
            } else {
                output.line(&format!("dropped {id}"));
            }
        }
    }
    Ok(0)
}

/// Pauses or resumes one agent or everything.
pub(super) async fn hold(
    agent: Option<&str>,
    word: &str,
    client: &Client,
    output: &Output,
) -> Done {
    match agent {
        Some(agent) => {
            let path = format!("/v1/agents/{}/{word}", encode(agent));
            let view: AgentView = client.post(&path, &Value::Null).await?;
            if output.is_json() {
                output.value(&view);
            } else {
                let state = if view.paused {
                    "is paused"
                } else {
                    "runs by itself again"
                };
                output.line(&format!("`{}` {state}", view.name));
            }
        }
        None => {
            let status: Status = client.post(&format!("/v1/{word}"), &Value::Null).await?;
            if output.is_json() {
                output.value(&status);
            } else if status.paused {
                output.line("everything is paused; `infinity resume` goes on");
            } else {
                output.line("agents run by themselves again");
            }
        }
    }
    Ok(0)
}

pub(super) async fn status(client: &Client, output: &Output) -> Done {
    let status: Status = client.get("/v1/status").await?;
    if output.is_json() {
        output.value(&status);
        return Ok(0);
    }
    let mut rows = vec![
        vec!["state".to_owned(), word(&status.state)],
        vec!["agents".to_owned(), in_states(&status)],
        vec![
            "runs".to_owned(),
            format!("{} in progress, {} wait", status.running, status.queued),
        ],
        vec!["since".to_owned(), seconds(status.started_at).to_string()],
    ];
    if status.killswitch.kill.is_some() {
        rows.push(vec![
            "kill switch".to_owned(),
            super::kill::line(&status.killswitch),
        ]);
    }
    if status.paused {
        rows.push(vec![
            "paused".to_owned(),
            "everything; `infinity resume` goes on".to_owned(),
        ]);
    } else if !status.paused_agents.is_empty() {
        rows.push(vec!["paused".to_owned(), status.paused_agents.join(", ")]);
    }
    if !status.running_workflows.is_empty() {
        rows.push(vec![
            "pipelines".to_owned(),
            format!("{} in progress", status.running_workflows.join(", ")),
        ]);
    }
    if status.maintenance {
        rows.push(vec![
            "maintenance".to_owned(),
            "a window is on: nothing starts by itself".to_owned(),
        ]);
    }
    output.table(&["HOST", ""], rows);
    Ok(0)
}

/// How many agents there are, and in which states: `7: 1 error, 6 online`.
fn in_states(status: &Status) -> String {
    let states: Vec<_> = status
        .states
        .iter()
        .map(|(state, agents)| format!("{agents} {state}"))
        .collect();
    match states.is_empty() {
        true => status.agents.to_string(),
        false => format!("{}: {}", status.agents, states.join(", ")),
    }
}

pub(super) async fn occurrences(
    options: &OccurrencesOptions,
    client: &Client,
    output: &Output,
) -> Result<u8, CliError> {
    let mut path = format!("/v1/occurrences?limit={}", options.limit);
    for (name, value) in [("agent", &options.agent), ("result", &options.result)] {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={}", encode(value)));
        }
    }
    let list: OccurrenceList = client.get(&path).await?;
    if output.is_json() {
        output.value(&list);
        return Ok(0);
    }
    let rows = list
        .items
        .iter()
        .map(|occurrence| {
            let due = seconds(occurrence.due_at).to_string();
            vec![
                if occurrence.moments > 1 {
                    format!("{due} and {} more", occurrence.moments - 1)
                } else {
                    due
                },
                occurrence.agent.clone(),
                match &occurrence.reason {
                    Some(reason) => format!("{} ({reason})", word(&occurrence.result)),
                    None => word(&occurrence.result),
                },
                occurrence
                    .late_us
                    .map_or(String::new(), |late| format!("{} ms", late / 1_000)),
                occurrence.run.map_or(String::new(), |run| run.to_string()),
            ]
        })
        .collect();
    output.table(&["DUE", "AGENT", "RESULT", "LATE", "RUN"], rows);
    if list.next.is_some() {
        output.note("there are more; `--limit` takes up to 500");
    }
    Ok(0)
}
