//! `infinity run`: starts a run, waits for it, and shows what came of it: outcome, findings, denials with the lines that would allow them, usage.

use super::client::{Client, encode};
use super::output::{bytes, micros, plural, printable};
use super::show::finding_table;
use super::{CliError, Done, EXIT_FAILED, Output};
use crate::api::RunView;
use crate::model::{Outcome, Report, Run, RunState};
use clap::Args;
use jiff::SignedDuration;
use serde_json::{Value, json};
use std::io::Read;
use std::time::{Duration, Instant};

/// How long the first answer may take: a short run needs no second request, and a long one shows its progress soon.
const FIRST_WAIT: &str = "1s";

/// How often a run that takes longer is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The largest input, in bytes: what the API takes.
const INPUT_MAX_BYTES: u64 = 1024 * 1024;

/// What to run.
#[derive(Debug, Args)]
pub struct RunOptions {
    /// The agent
    agent: String,
    /// The run's input: JSON, `@FILE`, or `-` for standard input
    #[arg(long, value_name = "JSON|@FILE|-")]
    input: Option<String>,
    /// Only look at what it proposes: nothing is applied
    #[arg(long)]
    dry_run: bool,
    /// How long to wait for its end
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = length_of_time)]
    wait: Duration,
    /// Start it and do not wait
    #[arg(long, conflicts_with = "wait")]
    detach: bool,
}

impl RunOptions {
    /// A run of an agent that is waited for.
    pub(super) fn of(agent: &str, dry_run: bool) -> Self {
        Self {
            agent: agent.to_owned(),
            input: None,
            dry_run,
            wait: Duration::from_secs(600),
            detach: false,
        }
    }
}

pub(super) fn length_of_time(text: &str) -> Result<Duration, String> {
    text.parse::<SignedDuration>()
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok())
        .ok_or_else(|| "a length of time is written like `30s` or `5m`".to_owned())
}

/// The input that was asked for.
pub(super) fn input(options: &RunOptions) -> Result<Value, CliError> {
    input_of(options.input.as_deref())
}

/// An input as it is written on a command line.
pub(super) fn input_of(argument: Option<&str>) -> Result<Value, CliError> {
    let (text, source) = match argument {
        None => return Ok(Value::Null),
        Some("-") => (
            read(std::io::stdin().lock(), "standard input")?,
            "standard input".into(),
        ),
        Some(argument) => match argument.strip_prefix('@') {
            Some(path) => {
                let file = std::fs::File::open(path)
                    .map_err(|error| CliError::input(format!("cannot read `{path}`: {error}")))?;
                (read(file, path)?, format!("`{path}`"))
            }
            None => (argument.to_owned(), "`--input`".to_owned()),
        },
    };
    serde_json::from_str(&text).map_err(|error| {
        CliError::input(format!("{source} is no valid JSON: {error}"))
            .with_hint("write `--input '{\"key\": \"value\"}'`, or `--input @FILE`")
    })
}

fn read(source: impl Read, name: &str) -> Result<String, CliError> {
    let mut text = String::new();
    let length = source
        .take(INPUT_MAX_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(|error| CliError::input(format!("cannot read `{name}`: {error}")))?;
    if length as u64 > INPUT_MAX_BYTES {
        return Err(CliError::input(format!(
            "`{name}` is over the limit of {INPUT_MAX_BYTES} bytes"
        )));
    }
    Ok(text)
}

/// Runs an agent and shows what came of it.
pub(super) async fn start_and_show(
    agent: &str,
    input: &Value,
    client: &Client,
    output: &Output,
) -> Done {
    let options = RunOptions::of(agent, false);
    execute(&options, input.clone(), client, output).await
}

pub(super) async fn execute(
    options: &RunOptions,
    input: Value,
    client: &Client,
    output: &Output,
) -> Done {
    if options.detach {
        let run = start(options, &input, client).await?.run;
        if output.is_json() {
            output.value(&json!({ "run": run, "report": null }));
        } else {
            output.line(&format!("started  run {}", run.id));
        }
        return Ok(0);
    }
    let run = run_to_end(options, input, client, output).await?;
    show(&run, client, output).await
}

async fn start(options: &RunOptions, input: &Value, client: &Client) -> Result<RunView, CliError> {
    let agent = encode(&options.agent);
    let mut path = format!("/v1/agents/{agent}/runs?dry_run={}", options.dry_run);
    if !options.detach && options.wait >= Duration::from_secs(1) {
        path.push_str(&format!("&wait={FIRST_WAIT}"));
    }
    client.post(&path, input).await
}

/// Starts a run and waits for its end.
pub(super) async fn run_to_end(
    options: &RunOptions,
    input: Value,
    client: &Client,
    output: &Output,
) -> Result<Run, CliError> {
    let spinner = output.spinner(&format!("{}: starting", options.agent));
    let began = Instant::now();
    let mut view = start(options, &input, client).await?;
    while view.run.state != RunState::Ended && began.elapsed() < options.wait {
        spinner.set_message(printable(&progress(&view)));
        tokio::time::sleep(LOOK_EVERY).await;
        view = client.get(&format!("/v1/runs/{}", view.run.id)).await?;
    }
    spinner.finish_and_clear();
    let run = view.run;
    if run.state == RunState::Ended {
        return Ok(run);
    }
    if output.is_json() {
        output.value(&json!({ "run": run, "report": null }));
    } else {
        output.line(&format!("started  run {}", run.id));
    }
    Err(CliError::failed("the run has not ended yet")
        .with_hint(format!("follow it with `infinity logs -f {}`", run.id)))
}

fn progress(view: &RunView) -> String {
    let state = match view.run.state {
        RunState::Queued => "queued",
        RunState::Running | RunState::Ended => "running",
    };
    match &view.progress {
        Some(progress) => {
            let total = progress
                .total
                .map_or(String::new(), |total| format!("/{total}"));
            format!(
                "{}: {}{total} {}",
                view.run.agent, progress.done, progress.message
            )
        }
        None => format!("{}: {state}", view.run.agent),
    }
}

/// Shows a run that has ended.
pub(super) async fn show(run: &Run, client: &Client, output: &Output) -> Done {
    let report: Report = client.get(&format!("/v1/runs/{}/report", run.id)).await?;
    let code = if run.outcome == Some(Outcome::Succeeded) {
        0
    } else {
        EXIT_FAILED
    };
    if output.is_json() {
        output.value(&json!({ "run": run, "report": report }));
        return Ok(code);
    }
    headline(run, output);
    for text in [&run.summary, &run.message].into_iter().flatten() {
        output.line(text);
    }
    if let Some(hint) = &run.hint {
        output.line(&format!("hint: {hint}"));
    }
    if !report.findings.is_empty() {
        output.line("");
        finding_table(&report.findings, output);
    }
    denials(run, output);
    if !report.backtrace.is_empty() {
        output.line("");
        output.line("where it stopped, innermost first");
        for frame in &report.backtrace {
            let place = match (&frame.file, frame.line) {
                (Some(file), Some(line)) => format!(" at {file}:{line}"),
                (Some(file), None) => format!(" at {file}"),
                (None, _) => String::new(),
            };
            output.line(&format!("  {}{place}", frame.function));
        }
    }
    if !report.artifacts.is_empty() {
        output.line("");
        for artifact in &report.artifacts {
            output.line(&format!(
                "artifact  {}  {}  {}",
                artifact.name,
                artifact.media_type,
                bytes(artifact.size)
            ));
        }
    }
    output.line("");
    usage(run, output);
    Ok(code)
}

fn headline(run: &Run, output: &Output) {
    let outcome = run.outcome.map_or("running", outcome_word);
    let style = if run.outcome == Some(Outcome::Succeeded) {
        "1;32"
    } else {
        "1;31"
    };
    let reason = run
        .reason
        .as_deref()
        .map_or(String::new(), |reason| format!(" ({})", printable(reason)));
    output.ready(&format!(
        "{}{reason}  {}  {}  run {}",
        output.styled(style, outcome),
        printable(&run.agent),
        plural(run.findings, "finding"),
        run.id
    ));
}

fn denials(run: &Run, output: &Output) {
    if run.denials.is_empty() {
        return;
    }
    output.line("");
    for denial in &run.denials {
        let times = match denial.count {
            0 | 1 => String::new(),
            count => format!(" ({count} times)"),
        };
        output.ready(&format!(
            "{} {}: {}{times}: {}",
            output.styled("1;33", "denied"),
            printable(&denial.capability),
            printable(&denial.attempt),
            printable(&denial.reason)
        ));
        for (index, line) in denial.allow.lines().enumerate() {
            let margin = if index == 0 { "to allow it:" } else { "" };
            output.line(&format!("  {margin:12} {line}"));
        }
    }
}

fn usage(run: &Run, output: &Output) {
    let usage = &run.usage;
    let mut parts = vec![
        format!("wall {}", micros(usage.wall_us)),
        format!("cpu {}", micros(usage.cpu_us)),
        format!("memory {}", bytes(usage.peak_memory_bytes)),
        plural(usage.host_calls, "host call"),
    ];
    if usage.http_requests > 0 {
        parts.push(format!(
            "{}, {} sent, {} received",
            plural(usage.http_requests, "request"),
            bytes(usage.http_sent_bytes),
            bytes(usage.http_received_bytes)
        ));
    }
    if let Some(fuel) = usage.fuel {
        parts.push(format!("fuel {fuel}"));
    }
    if usage.log_truncated {
        parts.push("log cut".into());
    }
    output.line(&format!("used  {}", parts.join(", ")));
    output.line(&format!(
        "time  queue {}, compile {}, instantiate {}, guest {}, host calls {}",
        micros(usage.queue_us),
        micros(usage.compile_us),
        micros(usage.instantiate_us),
        micros(usage.guest_us),
        micros(usage.host_calls_us)
    ));
}

/// An outcome as the API spells it.
pub(super) fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "succeeded",
        Outcome::Failed => "failed",
        Outcome::Trapped => "trapped",
        Outcome::Limited => "limited",
        Outcome::Refused => "refused",
        Outcome::Cancelled => "cancelled",
        Outcome::Lost => "lost",
        Outcome::HostError => "host_error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(input: Option<&str>) -> RunOptions {
        RunOptions {
            agent: "check".into(),
            input: input.map(str::to_owned),
            dry_run: false,
            wait: Duration::ZERO,
            detach: false,
        }
    }

    #[test]
    fn input_is_json_from_the_line_or_from_a_file() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "{\"a\": 1}").expect("writes");
        let at = format!("@{}", file.path().display());
        assert_eq!(input(&options(None)).expect("none"), Value::Null);
        assert_eq!(input(&options(Some("[1]"))).expect("JSON"), json!([1]));
        assert_eq!(input(&options(Some(&at))).expect("JSON"), json!({"a": 1}));
        for bad in ["{", "@/nothing/there"] {
            let error = input(&options(Some(bad))).expect_err("is bad");
            assert_eq!(error.exit_code(), 2, "{bad}");
        }
    }
}
