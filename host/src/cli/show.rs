//! `infinity plugins`, `agents`, `runs`, `logs` and `findings`: what the API lists, as tables.

use super::client::{Client, encode};
use super::output::bytes;
use super::run::{outcome_word, show};
use super::{CliError, Done, Output, timeline};
use crate::api::views::{AgentList, EventList, FindingList, LogList, RunList};
use crate::api::{RunSummary, RunView};
use crate::model::{Event, Finding, Level, LogLine, Run, RunState, Trigger};
use clap::{Args, Subcommand};
use futures::TryStreamExt;
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;
use uuid::Uuid;

/// How many items are asked for at once: the most that the API gives.
const PAGE: u32 = 500;

/// The longest line of a stream of events: a log line is far below it, and a host that sends more is not one of ours.
const EVENT_MAX_BYTES: usize = 16 * 1024 * 1024;

/// A run's id as it is typed.
pub(super) fn run_id(typed: &str) -> Result<Uuid, String> {
    typed
        .parse()
        .map_err(|_| "that is no run's id; `infinity runs` lists them".to_owned())
}

/// What to do with runs.
#[derive(Debug, Subcommand)]
pub(crate) enum RunsCommand {
    /// Show one with everything it found, and where its time went
    Show {
        /// The run's id
        #[arg(value_parser = run_id)]
        id: Uuid,
    },
    /// Show how two differ; exit code 1 if they do
    Diff {
        /// The earlier one's id
        #[arg(value_parser = run_id)]
        before: Uuid,
        /// The later one's id
        #[arg(value_parser = run_id)]
        after: Uuid,
    },
}

/// Which runs to show.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct RunsOptions {
    #[command(subcommand)]
    command: Option<RunsCommand>,
    /// Show this run alone, with everything it found
    #[arg(value_parser = run_id)]
    id: Option<Uuid>,
    /// Only runs of this agent
    #[arg(long, conflicts_with = "id")]
    agent: Option<String>,
    /// Only runs that ended so, for instance `failed`
    #[arg(long, conflicts_with = "id")]
    outcome: Option<String>,
    /// How many, 1 to 500
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=i64::from(PAGE)))]
    limit: u32,
}

/// Whose log to show.
#[derive(Debug, Args)]
pub struct LogsOptions {
    /// A run's id, or an agent's name for its newest run
    #[arg(value_name = "RUN|AGENT")]
    subject: String,
    /// Go on until the run ends
    #[arg(short, long)]
    follow: bool,
}

/// Which events to show.
#[derive(Debug, Args)]
pub struct EventsOptions {
    /// Only of this type (`run.failed`), with this beginning (`run.*`), or of this topic (`agent.state-changes`)
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Go on as events happen, from now
    #[arg(short, long)]
    follow: bool,
}

/// Whose findings to show.
#[derive(Debug, Args)]
pub struct FindingsOptions {
    /// A run's id, or an agent's name for its newest run
    #[arg(value_name = "RUN|AGENT")]
    subject: String,
}

pub(super) async fn plugins(client: &Client, output: &Output) -> Done {
    let list: Value = client.get("/v1/plugins").await?;
    if output.is_json() {
        output.value(&list);
        return Ok(0);
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let rows = list["items"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|plugin| {
            let worlds: Vec<String> = plugin["inspection"]["worlds"]
                .as_array()
                .into_iter()
                .flatten()
                .map(text)
                .collect();
            let digest = text(&plugin["digest"]);
            vec![
                text(&plugin["name"]),
                text(&plugin["inspection"]["version"]),
                text(&plugin["status"]),
                worlds.join(", "),
                bytes(plugin["size"].as_u64().unwrap_or_default()),
                digest.chars().take("sha256:".len() + 12).collect(),
                if plugin["locked"] == true {
                    "yes"
                } else {
                    "no"
                }
                .to_owned(),
                text(&plugin["signed_by"]),
                text(&plugin["problem"]),
            ]
        })
        .collect();
    output.table(
        &[
            "PLUGIN",
            "VERSION",
            "STATUS",
            "WORLDS",
            "SIZE",
            "DIGEST",
            "LOCKED",
            "SIGNED BY",
            "PROBLEM",
        ],
        rows,
    );
    Ok(0)
}

pub(super) async fn agents(client: &Client, output: &Output) -> Done {
    let list: AgentList = client.get("/v1/agents").await?;
    if output.is_json() {
        output.value(&list);
        return Ok(0);
    }
    let rows = list
        .items
        .iter()
        .map(|agent| {
            let last = agent.last_run.as_ref().map_or("never", last_word);
            vec![
                agent.name.clone(),
                agent.plugin.clone(),
                if agent.enabled {
                    word(&agent.state)
                } else {
                    "disabled".into()
                },
                match &agent.cron {
                    Some(cron) => cron.clone(),
                    None => agent.every_ms.map_or(String::new(), every),
                },
                last.to_owned(),
                agent
                    .next_at
                    .map_or(String::new(), |at| seconds(at).to_string()),
                agent.problem.clone().unwrap_or_default(),
            ]
        })
        .collect();
    output.table(
        &[
            "AGENT", "PLUGIN", "STATE", "WHEN", "LAST RUN", "NEXT RUN", "PROBLEM",
        ],
        rows,
    );
    Ok(0)
}

fn last_word(run: &RunSummary) -> &'static str {
    run.outcome.map_or("running", outcome_word)
}

pub(super) fn every(ms: u64) -> String {
    let (value, unit) = match ms {
        _ if ms.is_multiple_of(3_600_000) => (ms / 3_600_000, "h"),
        _ if ms.is_multiple_of(60_000) => (ms / 60_000, "m"),
        _ if ms.is_multiple_of(1_000) => (ms / 1_000, "s"),
        _ => (ms, "ms"),
    };
    format!("{value}{unit}")
}

/// A moment without parts of a second.
pub(super) fn seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// A word of a closed set as the API spells it.
pub(super) fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}

pub(super) async fn runs(options: &RunsOptions, client: &Client, output: &Output) -> Done {
    match (&options.command, options.id) {
        (Some(RunsCommand::Show { id }), _) => return one_run(*id, client, output).await,
        (None, Some(id)) => {
            return one_run(id, client, output).await;
        }
        (Some(RunsCommand::Diff { before, after }), _) => {
            return timeline::diff(*before, *after, client, output).await;
        }
        (None, None) => {}
    }
    let mut path = format!("/v1/runs?limit={}", options.limit);
    for (name, value) in [("agent", &options.agent), ("outcome", &options.outcome)] {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={}", encode(value)));
        }
    }
    let list: RunList = client.get(&path).await?;
    if output.is_json() {
        output.value(&list);
        return Ok(0);
    }
    run_table(&list, output);
    if list.next.is_some() {
        output.note(&format!("there are more; `--limit` takes up to {PAGE}"));
    }
    Ok(0)
}

/// Runs under a head.
pub(super) fn run_table(list: &RunList, output: &Output) {
    let rows = list.items.iter().map(|view| run_row(&view.run)).collect();
    output.table(
        &[
            "RUN", "AGENT", "TRIGGER", "OUTCOME", "FINDINGS", "CREATED", "SUMMARY",
        ],
        rows,
    );
}

fn run_row(run: &Run) -> Vec<String> {
    let outcome = run
        .outcome
        .map_or_else(|| word(&run.state), |outcome| outcome_word(outcome).into());
    let outcome = match &run.reason {
        Some(reason) => format!("{outcome} ({reason})"),
        None => outcome,
    };
    let trigger: Trigger = run.trigger;
    vec![
        run.id.to_string(),
        run.agent.clone(),
        word(&trigger),
        outcome,
        run.findings.to_string(),
        seconds(run.created_at).to_string(),
        run.summary
            .clone()
            .or_else(|| run.message.clone())
            .unwrap_or_default(),
    ]
}

async fn one_run(id: Uuid, client: &Client, output: &Output) -> Done {
    let view: RunView = client.get(&format!("/v1/runs/{id}")).await?;
    if view.run.state == RunState::Ended {
        // Showing a run that failed is no failure.
        show(&view.run, client, output).await?;
        if !output.is_json() {
            timeline::line(&view.run, output);
        }
    } else if output.is_json() {
        output.value(&serde_json::json!({ "run": view, "report": null }));
    } else {
        output.line(&format!(
            "{}  {}  run {id}",
            word(&view.run.state),
            view.run.agent
        ));
        if let Some(progress) = &view.progress {
            output.line(&progress.message);
        }
    }
    Ok(0)
}

/// The run that is meant: by id, or an agent's newest.
async fn find(subject: &str, client: &Client) -> Result<Uuid, CliError> {
    if let Ok(id) = subject.parse() {
        return Ok(id);
    }
    // Asked first, so that a misspelt name gets the hint with the right one.
    let agent = encode(subject);
    let _: Value = client.get(&format!("/v1/agents/{agent}")).await?;
    let list: RunList = client
        .get(&format!("/v1/runs?agent={agent}&limit=1"))
        .await?;
    list.items.first().map(|view| view.run.id).ok_or_else(|| {
        CliError::failed(format!("agent `{subject}` has not run yet"))
            .with_hint(format!("start it with `infinity run {subject}`"))
    })
}

pub(super) async fn findings(options: &FindingsOptions, client: &Client, output: &Output) -> Done {
    let id = find(&options.subject, client).await?;
    let mut findings = Vec::new();
    let mut cursor = String::new();
    loop {
        let list: FindingList = client
            .get(&format!("/v1/runs/{id}/findings?limit={PAGE}{cursor}"))
            .await?;
        findings.extend(list.items);
        match list.next {
            Some(next) => cursor = format!("&cursor={}", encode(&next)),
            None => break,
        }
    }
    if output.is_json() {
        output.value(&FindingList {
            items: findings,
            next: None,
        });
    } else if findings.is_empty() {
        output.note("no findings");
    } else {
        finding_table(&findings, output);
    }
    Ok(0)
}

/// Findings with their places as editors and terminals open them.
pub(super) fn finding_table(findings: &[Finding], output: &Output) {
    let rows = findings
        .iter()
        .map(|finding| {
            let level = match finding.level {
                Level::Note => "note",
                Level::Warning => "warning",
                Level::Error => "error",
            };
            let message = match &finding.help {
                Some(help) => format!("{} ({help})", finding.message),
                None => finding.message.clone(),
            };
            vec![level.into(), place(finding), finding.rule.clone(), message]
        })
        .collect();
    output.table(&["LEVEL", "PLACE", "RULE", "MESSAGE"], rows);
}

fn place(finding: &Finding) -> String {
    let Some(location) = &finding.location else {
        return String::new();
    };
    let mut place = location.path.clone();
    for number in [location.line, location.column] {
        match number {
            Some(number) => place.push_str(&format!(":{number}")),
            None => break,
        }
    }
    match &location.repository {
        Some(repository) if place.is_empty() => repository.clone(),
        Some(repository) => format!("{repository}/{place}"),
        None => place,
    }
}

pub(super) async fn logs(options: &LogsOptions, client: &Client, output: &Output) -> Done {
    let id = find(&options.subject, client).await?;
    if options.follow {
        return follow(id, client, output).await;
    }
    let mut after = String::new();
    loop {
        let list: LogList = client
            .get(&format!("/v1/runs/{id}/logs?limit={PAGE}{after}"))
            .await?;
        let whole = list.items.len() < PAGE as usize;
        for line in &list.items {
            log_line(line, output);
        }
        match list.next {
            Some(next) if !whole => after = format!("&after={}", encode(&next)),
            _ => return Ok(0),
        }
    }
}

async fn follow(id: Uuid, client: &Client, output: &Output) -> Done {
    let mut stream = client.events(&format!("/v1/runs/{id}/logs")).await?;
    let mut parser = EventParser::default();
    while let Some(chunk) = stream.try_next().await? {
        for (kind, data) in parser.push(&chunk)? {
            match kind.as_str() {
                "log" => {
                    if let Ok(line) = serde_json::from_str::<LogLine>(&data) {
                        log_line(&line, output);
                    }
                }
                "end" => return Ok(0),
                _ => {}
            }
        }
    }
    Err(CliError::failed("the host stopped before the run ended")
        .with_hint(format!("read the rest later with `infinity logs {id}`")))
}

pub(super) async fn events(options: &EventsOptions, client: &Client, output: &Output) -> Done {
    let kind = options
        .kind
        .as_ref()
        .map_or_else(String::new, |kind| format!("&type={}", encode(kind)));
    if options.follow {
        let path = format!("/v1/events?limit=1{kind}");
        let mut stream = client.events(&path).await?;
        let mut parser = EventParser::default();
        while let Some(chunk) = stream.try_next().await? {
            for (_, data) in parser.push(&chunk)? {
                if let Ok(event) = serde_json::from_str::<Event>(&data) {
                    event_line(&event, output);
                }
            }
        }
        return Err(CliError::failed("the host stopped"));
    }
    let mut cursor = String::new();
    loop {
        let list: EventList = client
            .get(&format!("/v1/events?limit={PAGE}{kind}{cursor}"))
            .await?;
        for event in &list.items {
            event_line(event, output);
        }
        let next = list.next.map(|next| format!("&cursor={}", encode(&next)));
        match next {
            // A part of a pattern can be short, or empty, before the end.
            Some(next) if next != cursor => cursor = next,
            _ => return Ok(0),
        }
    }
}

fn event_line(event: &Event, output: &Output) {
    if output.is_json() {
        output.value_line(event);
    } else {
        let subject = event.subject.as_deref().unwrap_or_default();
        output.line(&format!(
            "{} {:20} {} {subject}",
            seconds(event.time),
            event.kind,
            event.source
        ));
    }
}

fn log_line(line: &LogLine, output: &Output) {
    if output.is_json() {
        output.value_line(line);
    } else {
        let at = line.at.strftime("%H:%M:%S%.3f");
        output.line(&format!("{at} {:8} {}", line.level, line.message));
    }
}

/// Server-sent events out of pieces of any size.
#[derive(Default)]
struct EventParser {
    rest: Vec<u8>,
    fields: BTreeMap<&'static str, String>,
}

impl EventParser {
    /// The events, as type and data, that are whole with these bytes.
    fn push(&mut self, chunk: &[u8]) -> Result<Vec<(String, String)>, CliError> {
        self.rest.extend_from_slice(chunk);
        let mut events = Vec::new();
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\n', '\r']);
            if line.is_empty() {
                let kind = self.fields.remove("event");
                if let Some(data) = self.fields.remove("data") {
                    events.push((kind.unwrap_or_default(), data));
                }
            } else if let Some((name, value)) = line.split_once(':') {
                let value = value.strip_prefix(' ').unwrap_or(value);
                match name {
                    "event" => drop(self.fields.insert("event", value.to_owned())),
                    "data" => self.fields.entry("data").or_default().push_str(value),
                    _ => {}
                }
            }
        }
        if self.rest.len() > EVENT_MAX_BYTES {
            return Err(CliError::failed(format!(
                "a line of the log is over {EVENT_MAX_BYTES} bytes"
            )));
        }
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Location;

    #[test]
    fn events_are_read_from_pieces_of_any_size() {
        let text =
            b"event: log\nid: 1\ndata: {\"a\":1}\n\n: keep-alive\n\nevent: end\r\ndata: {}\r\n\r\n";
        for size in [1, 3, text.len()] {
            let mut parser = EventParser::default();
            let events: Vec<_> = text
                .chunks(size)
                .flat_map(|chunk| parser.push(chunk).expect("short lines"))
                .collect();
            let expected = [("log", "{\"a\":1}"), ("end", "{}")]
                .map(|(kind, data)| (kind.to_owned(), data.to_owned()));
            assert_eq!(events, expected, "{size}");
        }
    }

    #[test]
    fn a_place_can_be_opened() {
        let finding = |repository: Option<&str>, path: &str, line, column| Finding {
            rule: "r".into(),
            level: Level::Note,
            message: "m".into(),
            location: Some(Location {
                repository: repository.map(str::to_owned),
                path: path.into(),
                line,
                column,
            }),
            help: None,
        };
        assert_eq!(place(&finding(None, "a/b", Some(3), Some(4))), "a/b:3:4");
        assert_eq!(place(&finding(Some("ops"), "a", Some(3), None)), "ops/a:3");
        assert_eq!(place(&finding(Some("ops"), "", None, None)), "ops");
    }

    #[test]
    fn an_interval_is_written_as_in_the_configuration() {
        assert_eq!(every(600_000), "10m");
        assert_eq!(every(3_600_000), "1h");
        assert_eq!(every(1_500), "1500ms");
    }
}
