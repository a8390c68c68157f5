//! `infinity effects`: what runs propose to change, as a person sees, approves, refuses or undoes it.

use super::client::{Client, encode};
use super::output::{Output, micros, printable};
use super::show::{seconds, word};
use super::{CliError, Done, sign_in};
use crate::api::views::{EffectList, EffectView};
use crate::model::{Action, Effect, EffectState};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use uuid::Uuid;

/// An effect's id as it is typed.
fn effect_id(typed: &str) -> Result<Uuid, String> {
    typed
        .parse()
        .map_err(|_| "that is no effect's id; `infinity effects` lists them".to_owned())
}

/// What to do with effects.
#[derive(Debug, Subcommand)]
pub enum EffectsCommand {
    /// List them, newest first
    List(ListOptions),
    /// Show one, and what it would change
    Show {
        /// The effect's id
        #[arg(value_parser = effect_id)]
        id: Uuid,
    },
    /// Say yes to one that waits
    Approve(DecideOptions),
    /// Say no to one that waits, or object before it is applied
    Reject(DecideOptions),
    /// Undo one that was applied
    Revert {
        /// The effect's id
        #[arg(value_parser = effect_id)]
        id: Uuid,
    },
}

/// Which effects to list.
#[derive(Debug, Default, Args)]
pub struct ListOptions {
    /// Only those in this state, for instance `waiting`
    #[arg(long)]
    state: Option<String>,
    /// Only those of this agent
    #[arg(long)]
    agent: Option<String>,
    /// Only those of this kind, for instance `commit`
    #[arg(long)]
    kind: Option<String>,
    /// How many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
}

/// On what to decide.
#[derive(Debug, Args)]
pub struct DecideOptions {
    /// The effect's id
    #[arg(value_parser = effect_id)]
    id: Uuid,
    /// Why
    #[arg(long, short = 'm')]
    comment: Option<String>,
    /// Who decides, where more than one person has to
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Only if the effect still has this digest
    #[arg(long)]
    digest: Option<String>,
    /// The code of your authenticator app, where approving takes one
    #[arg(long)]
    code: Option<String>,
}

pub(super) async fn execute(
    command: Option<&EffectsCommand>,
    client: &Client,
    output: &Output,
) -> Done {
    match command {
        None => {
            list(
                &ListOptions {
                    limit: 50,
                    ..ListOptions::default()
                },
                client,
                output,
            )
            .await
        }
        Some(EffectsCommand::List(options)) => list(options, client, output).await,
        Some(EffectsCommand::Show { id }) => show(*id, client, output).await,
        Some(EffectsCommand::Approve(options)) => decide(options, "approve", client, output).await,
        Some(EffectsCommand::Reject(options)) => decide(options, "reject", client, output).await,
        Some(EffectsCommand::Revert { id }) => {
            let path = format!("/v1/effects/{id}/revert");
            let effect: Effect = client.post(&path, &Value::Null).await?;
            if output.is_json() {
                output.value(&effect);
            } else if effect.id == *id {
                output.line(&format!("{id} is undone"));
            } else {
                output.line(&format!(
                    "{} undoes it; `infinity effects show {0}`",
                    effect.id
                ));
            }
            Ok(0)
        }
    }
}

async fn list(options: &ListOptions, client: &Client, output: &Output) -> Done {
    let mut path = format!("/v1/effects?limit={}", options.limit);
    for (name, value) in [
        ("state", &options.state),
        ("agent", &options.agent),
        ("kind", &options.kind),
    ] {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={}", encode(value)));
        }
    }
    let list: EffectList = client.get(&path).await?;
    if output.is_json() {
        output.value(&list);
        return Ok(0);
    }
    let rows = list
        .items
        .iter()
        .map(|effect| {
            vec![
                effect.id.to_string(),
                effect.agent.clone(),
                effect.action.kind().into(),
                target(&effect.action),
                word(&effect.state),
                seconds(effect.created_at).to_string(),
                effect
                    .message
                    .clone()
                    .unwrap_or_else(|| effect.reason.clone()),
            ]
        })
        .collect();
    output.table(
        &[
            "EFFECT", "AGENT", "KIND", "WHERE", "STATE", "PROPOSED", "WHY",
        ],
        rows,
    );
    let waiting = list
        .items
        .iter()
        .filter(|effect| effect.state == EffectState::Waiting)
        .count();
    if waiting > 0 {
        output.note(&format!(
            "{waiting} wait for a decision: `infinity effects show ID`, then `approve` or `reject`"
        ));
    }
    Ok(0)
}

/// Where an effect lands, in few words.
fn target(action: &Action) -> String {
    match action {
        Action::Commit(action) => format!("{}:{}", action.repository, action.branch),
        Action::Publication(action) => format!("{}:{}", action.repository, action.branch),
        Action::PullRequest(action) => {
            format!("{}:{} to {}", action.repository, action.head, action.base)
        }
        Action::Merge(action) => format!("{}#{}", action.repository, action.number),
        Action::Comment(action) => format!("{}#{}", action.repository, action.number),
        Action::Issue(action) => action.repository.clone(),
        Action::Status(action) => format!(
            "{}@{}",
            action.repository,
            action.commit.get(..12).unwrap_or(&action.commit)
        ),
        Action::Notification(action) => action.channel.clone(),
        Action::Billing(action) => action.resource.clone(),
        Action::AgentControl(action) => format!("{} {}", word(&action.control), action.agent),
    }
}

pub(super) async fn show(id: Uuid, client: &Client, output: &Output) -> Done {
    let view: EffectView = client.get(&format!("/v1/effects/{id}")).await?;
    if output.is_json() {
        output.value(&view);
        return Ok(0);
    }
    let effect = &view.effect;
    let line = |name: &str, value: &str| output.line(&format!("{name:<10} {value}"));
    line("effect", &effect.id.to_string());
    line("agent", &format!("{} (run {})", effect.agent, effect.run));
    line(
        "change",
        &format!(
            "{} {}",
            effect.action.kind().replace('_', " "),
            target(&effect.action)
        ),
    );
    line("reason", &effect.reason);
    let state = word(&effect.state);
    line(
        "state",
        &effect
            .message
            .as_ref()
            .map_or_else(|| state.clone(), |message| format!("{state}: {message}")),
    );
    if let Some(hint) = &effect.hint {
        line("hint", hint);
    }
    if let Some(autonomy) = &effect.autonomy {
        line("autonomy", autonomy);
    }
    for approval in &effect.approvals {
        let comment = approval
            .comment
            .as_ref()
            .map_or_else(String::new, |comment| format!(": {comment}"));
        line(
            &word(&approval.decision),
            &format!(
                "{} at {}{comment}",
                approval.principal.name,
                seconds(approval.at)
            ),
        );
    }
    if let Some(result) = &effect.result {
        line("result", &result.to_string());
    }
    if let Some(latency) = effect.latency_us {
        line("latency", &micros(latency));
    }
    line("digest", &effect.digest);
    if let Some(preview) = &view.preview {
        output.line("");
        for text in preview.lines() {
            output.ready(&colored(text, output));
        }
    }
    Ok(0)
}

/// A line of a patch, as patches are coloured everywhere.
fn colored(text: &str, output: &Output) -> String {
    let style = if text.starts_with("+++") || text.starts_with("---") || text.starts_with("diff ") {
        "1"
    } else if text.starts_with("@@") {
        "36"
    } else if text.starts_with('+') {
        "32"
    } else if text.starts_with('-') {
        "31"
    } else {
        return printable(text);
    };
    output.styled(style, text)
}

async fn decide(options: &DecideOptions, decision: &str, client: &Client, output: &Output) -> Done {
    if let Some(code) = &options.code {
        sign_in::show(code, client).await?;
    }
    let body = json!({
        "effect_id": options.id, "decision": decision, "comment": options.comment, "by": options.by,
        "digest": options.digest,
    });
    let answer: Value = client.post("/v1/approvals", &body).await?;
    if output.is_json() {
        output.value(&answer);
        return Ok(0);
    }
    let effect: Effect = serde_json::from_value(answer["effect"].clone())
        .map_err(|error| CliError::failed(format!("the host answered something else: {error}")))?;
    let state = word(&effect.state);
    output.line(&effect.message.as_ref().map_or_else(
        || format!("{} is {state}", effect.id),
        |message| format!("{} is {state}: {message}", effect.id),
    ));
    Ok(0)
}
