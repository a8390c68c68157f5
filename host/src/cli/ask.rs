//! `infinity agents show|delete|export|import`, `pipelines`, `command`, `search` and `log-level`: questions and requests to the API, as text.

use super::client::{Client, encode};
use super::output::micros;
use super::show::{finding_table, run_table, seconds, word};
use super::{CliError, Done, EXIT_FAILED, Output};
use crate::api::views::{
    AgentHealth, CommandAccepted, ExecutionList, Forgotten, FoundFindingList, FoundLineList,
    Imported, LogLevelView, OccurrenceList, RunList, TemplateList, UsageList, WorkflowList,
    WorkflowView,
};
use crate::api::{AgentView, RunView};
use crate::logging::LogLevel;
use crate::model::{Execution, ExecutionState, RunState, Step, StepState};
use clap::{Args, Subcommand};
use futures::TryStreamExt;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::time::Duration;

/// How often an execution that is waited for is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Bytes of one part of an import: below what the API takes at once.
const IMPORT_BYTES: usize = 700 * 1024;

/// Bytes of one record: what the API takes in one request, with room around it.
const LINE_MAX: usize = 15 * 1024 * 1024;

/// Records of one part of an import.
const IMPORT_RECORDS: usize = 500;

/// Moments that `agents show` lists.
const MOMENTS: usize = 5;

/// What to do with one agent.
#[derive(Debug, Subcommand)]
pub enum AgentsCommand {
    /// Show one: what it may, how it is, when it was and will be due
    Show {
        /// The agent
        agent: String,
    },
    /// Delete what one left: runs, moments, keys. The agent itself is its entry in the configuration
    Delete {
        /// The agent, of now or of before
        agent: String,
        /// Really
        #[arg(long, required = true)]
        data: bool,
    },
    /// Write what one left to a file, one JSON object a line
    Export {
        /// The agent, of now or of before
        agent: String,
        /// The file; standard output without it
        file: Option<PathBuf>,
    },
    /// Add what a file holds to one
    Import {
        /// The agent
        agent: String,
        /// A file that `export` wrote
        file: PathBuf,
    },
}

/// What to do with pipelines.
#[derive(Debug, Subcommand)]
pub enum PipelinesCommand {
    /// List them
    List,
    /// Show one and its latest executions
    Show {
        /// The pipeline
        pipeline: String,
    },
    /// Run one, step by step
    Run {
        /// The pipeline
        pipeline: String,
        /// Start it and do not wait
        #[arg(long)]
        detach: bool,
    },
    /// End the execution that is in progress
    Cancel {
        /// The pipeline
        pipeline: String,
    },
}

/// What to tell the agent that takes commands.
#[derive(Debug, Args)]
pub struct CommandOptions {
    /// The command in free words
    #[arg(conflicts_with_all = ["template", "list"])]
    text: Vec<String>,
    /// A command that has a name
    #[arg(long, value_name = "NAME")]
    template: Option<String>,
    /// A parameter of the template
    #[arg(long = "set", value_name = "NAME=VALUE", requires = "template")]
    parameters: Vec<String>,
    /// List the commands that have a name, and the latest that were given
    #[arg(long)]
    list: bool,
}

/// What to look for.
#[derive(Debug, Args)]
pub struct SearchOptions {
    /// The text; small and capital letters are the same
    text: String,
    /// Look in logs instead of findings
    #[arg(long)]
    logs: bool,
    /// Only in runs of this agent
    #[arg(long)]
    agent: Option<String>,
    /// How many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
}

pub(super) async fn agents(command: &AgentsCommand, client: &Client, output: &Output) -> Done {
    match command {
        AgentsCommand::Show { agent } => show_agent(agent, client, output).await,
        AgentsCommand::Delete { agent, .. } => {
            let path = format!("/v1/agents/{}/data", encode(agent));
            let forgotten: Forgotten = client.delete_with_answer(&path).await?;
            if output.is_json() {
                output.value(&forgotten);
            } else {
                output.line(&format!("{} rows of `{agent}` are deleted", forgotten.rows));
            }
            Ok(0)
        }
        AgentsCommand::Export { agent, file } => {
            export(agent, file.as_deref(), client, output).await
        }
        AgentsCommand::Import { agent, file } => import(agent, file, client, output).await,
    }
}

async fn show_agent(agent: &str, client: &Client, output: &Output) -> Done {
    let path = format!("/v1/agents/{}", encode(agent));
    let view: AgentView = client.get(&path).await?;
    let health: AgentHealth = client.get(&format!("{path}/health")).await?;
    let runs: RunList = client.get(&format!("{path}/history?limit=5")).await?;
    let usage: UsageList = client.get(&format!("{path}/usage?hours=24")).await?;
    let past: OccurrenceList = client
        .get(&format!(
            "/v1/occurrences?agent={}&limit={MOMENTS}",
            encode(agent)
        ))
        .await?;
    if output.is_json() {
        output.value(&json!({ "agent": view, "health": health, "history": runs, "usage": usage, "occurrences": past }));
        return Ok(0);
    }
    let mut rows = vec![
        vec!["plugin".to_owned(), view.plugin.clone()],
        vec!["state".to_owned(), word(&view.state)],
        vec![
            "health".to_owned(),
            format!(
                "{:.2} ({} of {} runs succeeded)",
                health.score, health.succeeded, health.runs
            ),
        ],
        vec!["autonomy".to_owned(), view.autonomy.clone()],
        vec!["priority".to_owned(), view.priority.clone()],
    ];
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            rows.push(vec![name.to_owned(), value]);
        }
    };
    add("about", view.description.clone());
    add("problem", view.problem.clone());
    add("when", view.cron.clone());
    add("every", view.every_ms.map(super::show::every));
    add("on", (!view.on.is_empty()).then(|| view.on.join(", ")));
    add(
        "webhook",
        view.webhook.then(|| format!("POST {path}/webhook")),
    );
    add("answers", view.serves.clone());
    add("grants", Some(view.grants.to_string()));
    output.table(&["AGENT", agent], rows);

    output.line("");
    output.line("next and past moments");
    if let Some(next) = view.next_at {
        let away = next.duration_since(Timestamp::now());
        output.line(&format!(
            "  {}  next, {}",
            seconds(next),
            away_in_words(away)
        ));
    } else {
        output.line("  none to come: it runs when somebody or something asks");
    }
    for moment in &past.items {
        let late = moment
            .late_us
            .map_or(String::new(), |late| format!(", {} late", micros(late)));
        let reason = moment
            .reason
            .as_ref()
            .map_or(String::new(), |reason| format!(" ({reason})"));
        output.line(&format!(
            "  {}  {}{reason}{late}",
            seconds(moment.due_at),
            word(&moment.result)
        ));
    }
    if !runs.items.is_empty() {
        output.line("");
        run_table(&runs, output);
    }
    if !usage.items.is_empty() {
        output.line("");
        let rows = usage
            .items
            .iter()
            .map(|day| {
                vec![
                    day.from.strftime("%Y-%m-%d").to_string(),
                    day.runs.to_string(),
                    day.succeeded.to_string(),
                    micros(day.wall_us),
                    micros(day.cpu_us),
                    super::output::bytes(day.peak_memory_bytes),
                ]
            })
            .collect();
        output.table(
            &["DAY", "RUNS", "SUCCEEDED", "WALL", "CPU", "PEAK MEMORY"],
            rows,
        );
    }
    Ok(0)
}

fn away_in_words(away: SignedDuration) -> String {
    let seconds = away.as_secs();
    match seconds {
        ..0 => "due now".into(),
        0..120 => format!("in {seconds} s"),
        120..7_200 => format!("in {} min", seconds / 60),
        7_200..172_800 => format!("in {} h", seconds / 3_600),
        _ => format!("in {} days", seconds / 86_400),
    }
}

async fn export(
    agent: &str,
    file: Option<&std::path::Path>,
    client: &Client,
    output: &Output,
) -> Done {
    if file.is_none() && std::io::IsTerminal::is_terminal(&std::io::stdout()) {
        return Err(
            CliError::input("an export is for a file or for another program")
                .with_hint("name a file"),
        );
    }
    let path = format!("/v1/agents/{}/export", encode(agent));
    let mut stream = client.bytes(&path, "application/x-ndjson").await?;
    let fail =
        |error: std::io::Error| CliError::failed(format!("cannot write the export: {error}"));
    let mut target: Box<dyn Write + Send> = match file {
        Some(file) => {
            let opened = std::fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(file)
                .map_err(|error| {
                    CliError::input(format!("`{}` cannot be made: {error}", file.display()))
                        .with_hint("name a file that is not there yet")
                })?;
            Box::new(opened)
        }
        None => Box::new(std::io::stdout()),
    };
    let copied = async {
        let mut lines = 0;
        while let Some(chunk) = stream.try_next().await? {
            lines += chunk.iter().filter(|byte| **byte == b'\n').count();
            target.write_all(&chunk).map_err(fail)?;
        }
        target.flush().map_err(fail)?;
        Ok::<_, CliError>(lines)
    };
    let lines = match (copied.await, file) {
        (Ok(lines), _) => lines,
        (Err(error), file) => {
            // A part would look like the whole.
            if let Some(file) = file {
                let _ = std::fs::remove_file(file);
            }
            return Err(error);
        }
    };
    if let Some(file) = file {
        output.note(&format!("{lines} records in {}", file.display()));
    }
    Ok(0)
}

async fn import(agent: &str, file: &std::path::Path, client: &Client, output: &Output) -> Done {
    let path = format!("/v1/agents/{}/import", encode(agent));
    let opened = std::fs::File::open(file)
        .map_err(|error| CliError::input(format!("cannot read `{}`: {error}", file.display())))?;
    let spinner = output.spinner("importing");
    let mut sum = Imported::default();
    let mut part: Vec<Value> = Vec::new();
    let mut size = 0;
    let mut skipped = 0;
    let mut add = async |part: &mut Vec<Value>| -> Result<(), CliError> {
        if part.is_empty() {
            return Ok(());
        }
        let done: Imported = client
            .post(&path, &Value::Array(std::mem::take(part)))
            .await?;
        sum.keys += done.keys;
        sum.runs += done.runs;
        sum.occurrences += done.occurrences;
        sum.known += done.known;
        spinner.set_message(format!("{} runs, {} keys", sum.runs, sum.keys));
        Ok(())
    };
    for (number, line) in std::io::BufReader::new(opened).lines().enumerate() {
        let line = line.map_err(|error| {
            CliError::input(format!("cannot read `{}`: {error}", file.display()))
        })?;
        if line.len() > LINE_MAX {
            output.note(&format!(
                "line {} is over {LINE_MAX} bytes and left out",
                number + 1
            ));
            skipped += 1;
            continue;
        }
        if size + line.len() > IMPORT_BYTES || part.len() == IMPORT_RECORDS {
            add(&mut part).await?;
            size = 0;
        }
        size += line.len();
        part.push(serde_json::from_str(&line).map_err(|error| {
            CliError::input(format!(
                "line {} of `{}`: {error}",
                number + 1,
                file.display()
            ))
        })?);
    }
    add(&mut part).await?;
    spinner.finish_and_clear();
    if output.is_json() {
        output.value(&sum);
    } else {
        output.line(&format!(
            "{} keys, {} runs and {} moments imported; {} were there already",
            sum.keys, sum.runs, sum.occurrences, sum.known
        ));
    }
    Ok(if skipped > 0 { EXIT_FAILED } else { 0 })
}

pub(super) async fn pipelines(
    command: &PipelinesCommand,
    client: &Client,
    output: &Output,
) -> Done {
    match command {
        PipelinesCommand::List => {
            let list: WorkflowList = client.get("/v1/workflows").await?;
            if output.is_json() {
                output.value(&list);
                return Ok(0);
            }
            let rows = list
                .items
                .iter()
                .map(|pipeline| {
                    vec![
                        pipeline.name.clone(),
                        steps(pipeline),
                        if pipeline.running { "running" } else { "" }.to_owned(),
                        pipeline.schedule.clone().unwrap_or_default(),
                        pipeline
                            .next_at
                            .map_or(String::new(), |at| seconds(at).to_string()),
                    ]
                })
                .collect();
            output.table(&["PIPELINE", "STEPS", "STATE", "WHEN", "NEXT"], rows);
            Ok(0)
        }
        PipelinesCommand::Show { pipeline } => {
            let path = format!("/v1/workflows/{}", encode(pipeline));
            let view: WorkflowView = client.get(&path).await?;
            let list: ExecutionList = client.get(&format!("{path}/executions?limit=10")).await?;
            if output.is_json() {
                output.value(&json!({ "pipeline": view, "executions": list }));
                return Ok(0);
            }
            output.line(&format!("{}: {}", view.name, steps(&view)));
            if let Some(totals) = view.totals {
                output.line(&format!(
                    "{} executions: {} succeeded, {} failed, {} cancelled; {} on average, {} at most",
                    totals.executions,
                    totals.succeeded,
                    totals.failed,
                    totals.cancelled,
                    micros(totals.mean_us),
                    micros(totals.longest_us)
                ));
            }
            for execution in &list.items {
                output.line("");
                show_execution(execution, output);
            }
            Ok(0)
        }
        PipelinesCommand::Run { pipeline, detach } => {
            let path = format!("/v1/workflows/{}/executions", encode(pipeline));
            let mut execution: Execution = client.post(&path, &Value::Null).await?;
            let spinner = output.spinner(pipeline);
            while !detach && execution.state == ExecutionState::Running {
                if let Some(at) = execution
                    .steps
                    .iter()
                    .position(|step| step.state == StepState::Running)
                {
                    spinner.set_message(format!(
                        "{pipeline}: step {} of {}, {}",
                        at + 1,
                        execution.steps.len(),
                        execution.steps[at].agent
                    ));
                }
                tokio::time::sleep(LOOK_EVERY).await;
                execution = client.get(&format!("{path}/{}", execution.id)).await?;
            }
            spinner.finish_and_clear();
            if output.is_json() {
                output.value(&execution);
            } else {
                show_execution(&execution, output);
            }
            Ok(match execution.state {
                ExecutionState::Failed | ExecutionState::Cancelled => EXIT_FAILED,
                ExecutionState::Running | ExecutionState::Succeeded => 0,
            })
        }
        PipelinesCommand::Cancel { pipeline } => {
            let path = format!("/v1/workflows/{}/executions", encode(pipeline));
            let list: ExecutionList = client.get(&format!("{path}?limit=1")).await?;
            let Some(latest) = list.items.first() else {
                return Err(CliError::failed(format!("`{pipeline}` never ran")));
            };
            let execution: Execution = client
                .post(&format!("{path}/{}/cancel", latest.id), &Value::Null)
                .await?;
            if output.is_json() {
                output.value(&execution);
            } else {
                output.line(&format!("cycle #{} is being cancelled", execution.cycle));
            }
            Ok(0)
        }
    }
}

fn steps(pipeline: &WorkflowView) -> String {
    let names: Vec<&str> = pipeline
        .steps
        .iter()
        .map(|step| step.agent.as_str())
        .collect();
    names.join(" -> ")
}

fn show_execution(execution: &Execution, output: &Output) {
    output.line(&format!(
        "cycle #{}  {}  {}  {}",
        execution.cycle,
        word(&execution.state),
        seconds(execution.created_at),
        execution.id
    ));
    for (number, step) in execution.steps.iter().enumerate() {
        output.line(&format!(
            "  {} {:<20} {:<10} {:>9}  {}",
            number + 1,
            step.agent,
            word(&step.state),
            took(step),
            step.error.as_deref().unwrap_or_default()
        ));
    }
}

fn took(step: &Step) -> String {
    match (step.started_at, step.ended_at) {
        (Some(from), Some(to)) => {
            micros(u64::try_from(to.duration_since(from).as_micros()).unwrap_or(0))
        }
        _ => String::new(),
    }
}

pub(super) async fn command(options: &CommandOptions, client: &Client, output: &Output) -> Done {
    if options.list {
        let templates: TemplateList = client.get("/v1/commands/templates").await?;
        let given: RunList = client.get("/v1/commands?limit=20").await?;
        if output.is_json() {
            output.value(&json!({ "templates": templates, "commands": given }));
            return Ok(0);
        }
        let rows = templates
            .items
            .iter()
            .map(|template| {
                let parameters: Vec<&str> =
                    template.parameters.keys().map(String::as_str).collect();
                vec![
                    template.name.clone(),
                    parameters.join(", "),
                    template
                        .problem
                        .clone()
                        .unwrap_or_else(|| template.description.clone()),
                ]
            })
            .collect();
        output.table(&["TEMPLATE", "PARAMETERS", "ABOUT"], rows);
        output.line("");
        run_table(&given, output);
        return Ok(0);
    }
    let body = match &options.template {
        Some(template) => {
            let mut parameters = serde_json::Map::new();
            for pair in &options.parameters {
                let (name, value) = pair
                    .split_once('=')
                    .ok_or_else(|| CliError::input(format!("`{pair}` is no `NAME=VALUE`")))?;
                parameters.insert(name.to_owned(), value.into());
            }
            json!({ "template": template, "parameters": parameters })
        }
        None => json!({ "text": options.text.join(" ") }),
    };
    let accepted: CommandAccepted = client.post("/v1/commands", &body).await?;
    let spinner = output.spinner("waiting for the agent");
    loop {
        let view: RunView = client.get(&accepted.status).await?;
        if view.run.state == RunState::Ended {
            spinner.finish_and_clear();
            return super::run::show(&view.run, client, output).await;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

pub(super) async fn search(options: &SearchOptions, client: &Client, output: &Output) -> Done {
    let what = if options.logs { "logs" } else { "findings" };
    let agent = options
        .agent
        .as_ref()
        .map_or_else(String::new, |agent| format!("&agent={}", encode(agent)));
    let path = format!(
        "/v1/{what}?limit={}&q={}{agent}",
        options.limit,
        encode(&options.text)
    );
    // A part can be empty before the end.
    let mut cursor = String::new();
    if options.logs {
        let mut found = FoundLineList {
            items: Vec::new(),
            next: None,
        };
        loop {
            let part: FoundLineList = client.get(&format!("{path}{cursor}")).await?;
            found.items.extend(part.items);
            match part.next {
                Some(next) if found.items.len() < options.limit as usize => {
                    cursor = format!("&cursor={}", encode(&next));
                }
                next => {
                    found.next = next;
                    break;
                }
            }
        }
        if output.is_json() {
            output.value(&found);
        } else {
            for line in &found.items {
                output.line(&format!(
                    "{} {} {} {:8} {}",
                    seconds(line.line.at),
                    line.agent,
                    line.run,
                    line.line.level,
                    line.line.message
                ));
            }
            if found.items.is_empty() {
                output.note("nothing found");
            }
        }
        return Ok(0);
    }
    let mut found = FoundFindingList {
        items: Vec::new(),
        next: None,
    };
    loop {
        let part: FoundFindingList = client.get(&format!("{path}{cursor}")).await?;
        found.items.extend(part.items);
        match part.next {
            Some(next) if found.items.len() < options.limit as usize => {
                cursor = format!("&cursor={}", encode(&next));
            }
            next => {
                found.next = next;
                break;
            }
        }
    }
    if output.is_json() {
        output.value(&found);
    } else if found.items.is_empty() {
        output.note("nothing found");
    } else {
        let findings: Vec<_> = found
            .items
            .iter()
            .map(|found| found.finding.clone())
            .collect();
        finding_table(&findings, output);
        let runs: std::collections::BTreeSet<_> =
            found.items.iter().map(|found| found.run).collect();
        output.note(&format!("in {} runs", runs.len()));
    }
    Ok(0)
}

pub(super) async fn log_level(level: Option<LogLevel>, client: &Client, output: &Output) -> Done {
    let view: LogLevelView = match level {
        Some(level) => {
            client
                .put("/v1/log-level", &json!({ "level": level }))
                .await?
        }
        None => client.get("/v1/log-level").await?,
    };
    if output.is_json() {
        output.value(&view);
    } else {
        output.line(&view.filter);
    }
    Ok(0)
}
