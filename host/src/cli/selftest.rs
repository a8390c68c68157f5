//! `infinity selftest`: proves on this machine that guests are contained.

use super::output::{Output, micros, plural};
use super::run::length_of_time;
use super::{CliError, Done, EXIT_FAILED};
use crate::selftest::{
    self, CaseResult, SelftestError, SelftestOptions, SelftestReport, SoakResult,
};
use clap::Args;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

/// The shortest soak: in less, hardly an attack ends.
const SOAK_MIN: Duration = Duration::from_secs(1);

/// The longest soak: a week. Beyond it nothing new is shown.
const SOAK_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What to attack with, and for how long.
#[derive(Debug, Args)]
pub struct SelftestArguments {
    /// Only these rows, for instance `H01,H13`, or names of cases
    #[arg(long, value_name = "ROWS", value_delimiter = ',')]
    only: Vec<String>,
    /// Then repeat all of them in no order, eight at once, for this long, for instance `30m`
    #[arg(long, value_name = "TIME", value_parser = soak_time)]
    soak: Option<Duration>,
    /// Write the result as a page, too
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

/// A length of time within bounds.
fn soak_time(text: &str) -> Result<Duration, String> {
    let time = length_of_time(text)?;
    if time < SOAK_MIN || time > SOAK_MAX {
        return Err("a soak takes from one second to a week".into());
    }
    Ok(time)
}

impl From<SelftestError> for CliError {
    fn from(error: SelftestError) -> Self {
        let message = error.to_string();
        match error {
            SelftestError::Unknown { .. } => Self::input(message),
            SelftestError::Folder(_) => Self::failed(message).with_hint(
                "it needs some 50 MiB in the folder for temporary files; `TMPDIR` names another",
            ),
            _ => Self::failed(message),
        }
    }
}

pub(super) async fn execute(arguments: &SelftestArguments, output: &Output) -> Done {
    let options = SelftestOptions {
        only: arguments.only.clone(),
        soak: arguments.soak,
    };
    let bar = output.bar();
    let report = selftest::run(&options, &|done, all, what| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
        bar.set_message(what.to_owned());
    })
    .await;
    bar.finish_and_clear();
    let report = report?;
    if output.is_json() {
        output.value(&report);
    } else {
        print(&report, output);
    }
    if let Some(file) = &arguments.markdown {
        std::fs::write(file, page(&report)).map_err(|error| {
            CliError::failed(format!("`{}` cannot be written: {error}", file.display()))
        })?;
    }
    Ok(if report.passed() { 0 } else { EXIT_FAILED })
}

fn print(report: &SelftestReport, output: &Output) {
    let rows = report
        .cases
        .iter()
        .map(|case| {
            vec![
                case.row.to_owned(),
                case.does.to_owned(),
                case.got.clone(),
                case.layer.to_owned(),
                overrun(case),
                verdict(case).to_owned(),
            ]
        })
        .collect();
    output.table(
        &["ROW", "THE GUEST", "ENDS AS", "CONTAINED BY", "OVER", ""],
        rows,
    );
    let color = |grave| if grave { "31" } else { "33" };
    for case in &report.cases {
        for remark in &case.remarks {
            let text = format!("{} {}: {}", case.row, case.name, remark.what);
            output.ready(&output.styled(color(remark.grave), &text));
        }
    }
    for row in &report.not_here {
        output.line(&format!("{} is not tried here: {}", row.row, row.reason));
    }
    output.line(&measured(report));
    if let Some(soak) = &report.soak {
        output.line(&soaked(soak));
        for remark in &soak.remarks {
            output.ready(&output.styled(color(remark.grave), &remark.what));
        }
    }
    let style = if report.passed() { "32" } else { "31" };
    output.ready(&output.styled(style, &total(report)));
}

/// Milliseconds over a limit of time, beside those that are aimed at.
fn overrun(case: &CaseResult) -> String {
    match case.overrun_ms {
        Some(over) => format!("{over} of {} ms", case.allowed_ms),
        None => String::new(),
    }
}

fn verdict(case: &CaseResult) -> &'static str {
    match (case.contained, case.remarks.is_empty()) {
        (false, _) => "NOT CONTAINED",
        (true, true) => "contained",
        (true, false) => "contained, late",
    }
}

fn total(report: &SelftestReport) -> String {
    let took = micros(report.took_ms * 1_000);
    if report.passed() {
        let cases = plural(report.contained as u64, "attack");
        return format!("all contained: {cases} in {took}");
    }
    if report.failed == 0 {
        return format!("not all contained during the soak, in {took}");
    }
    format!(
        "{} not contained, {} contained, in {took}",
        plural(report.failed as u64, "attack"),
        report.contained
    )
}

/// What was measured over all of it, in one sentence.
fn measured(report: &SelftestReport) -> String {
    let host = &report.host;
    format!(
        "meanwhile: {} of the canary, the latest {} ms late ({} ms before anything attacked); {} answers of the API, 99 of 100 within {:.0} ms ({:.1} ms before); memory {} to {} MiB, open files {} to {}, threads {} to {}; {} records of the journal verified",
        plural(host.canary_runs, "run"),
        host.canary_late_ms,
        host.canary_late_alone_ms,
        host.api_answers,
        host.api_p99_ms,
        host.api_p99_alone_ms,
        host.rss_before_kib / 1024,
        host.rss_after_kib / 1024,
        host.fds_before,
        host.fds_after,
        host.threads_before,
        host.threads_after,
        host.journal_records,
    )
}

fn soaked(soak: &SoakResult) -> String {
    let ends: Vec<String> = soak
        .ends
        .iter()
        .map(|(end, count)| format!("{count} {end}"))
        .collect();
    format!(
        "soak: {} in {} s, eight at once ({}); the oracle looked {}; memory {} MiB after a tenth of the time, {} MiB at the end",
        plural(soak.attacks, "attack"),
        soak.seconds,
        ends.join(", "),
        plural(soak.looks as u64, "time"),
        soak.rss_early_kib / 1024,
        soak.rss_late_kib / 1024,
    )
}

/// The result as a page of the documents.
fn page(report: &SelftestReport) -> String {
    let machine = &report.machine;
    let build = if report.debug_build {
        "a debug build, in which the host is several times slower than a released one"
    } else {
        "a release build"
    };
    let mut text = format!(
        "# Selftest\n\n\
        `infinity selftest` proves on your own machine that guests are contained. It starts a host of its own in a temporary folder, has it attacked by small guests that the program carries, and looks after each attack \
        whether the host, its other agents and its records are as they should be. It needs no `plugins.toml`, no account and no network, attacks nothing else, and leaves nothing behind. The rows are those of \
        [hostile guests](hostile.md).\n\n\
        ```console\n$ infinity selftest\n$ infinity selftest --only H01,H13\n$ infinity selftest --soak 30m\n$ infinity selftest --json\n```\n\n\
        The exit code is 0 if everything was contained, else 1.\n\n\
        ## What is looked at after each attack\n\n\
        - The run ended as it has to, with one terminal record that names the plugin's digest and stays within the limits, one event, and a sentence; what was limited has a hint.\n\
        - The host is alive. A canary that runs each second was at most 250 ms late, and 99 of 100 answers of the API took at most 50 ms. Where the machine was slower before anything attacked, three times that.\n\
        - The neighbour's keys and files and everything else in the folder are byte for byte as they were, and a server that nobody may reach saw no connection.\n\
        - Memory is back within 16 MiB in five seconds; open files and threads are back.\n\
        - The journal's chain verifies.\n\n\
        What is only late is shown as late: a busy machine does that to any program. Ten times the aim, 64 MiB, or 500 ms over a limit is not contained. In a soak eight attack at once, each with a part of the processors: time may end what another limit would, and four times as far over it.\n\n\
        ## The last result\n\n\
        {}.\n\n\
        | | |\n|---|---|\n| Version | {}, {build} |\n| Began | {} |\n| System | {}, Linux {}, {} |\n| Processor | {}, {} in use |\n| Memory | {} MiB |\n\n",
        capital(&total(report)),
        report.version,
        report.started_at.strftime("%Y-%m-%d %H:%M UTC"),
        cell(&machine.system),
        cell(&machine.kernel),
        machine.architecture,
        cell(&machine.processor),
        machine.processors,
        machine.memory_mib,
    );
    text.push_str("| Row | The guest | Has to end as | Ended as | Contained by | Over the limit | |\n|---|---|---|---|---|---|---|\n");
    for case in &report.cases {
        // Writing into a string does not fail.
        let _ = writeln!(
            text,
            "| {} | {} | `{}` | `{}` | {} | {} | {} |",
            case.row,
            cell(case.does),
            cell(&case.expected),
            cell(&case.got),
            cell(case.layer),
            overrun(case),
            verdict(case)
        );
    }
    let _ = write!(text, "\n{}.\n", capital(&measured(report)));
    if let Some(soak) = &report.soak {
        let _ = write!(text, "\n{}.\n", capital(&soaked(soak)));
    }
    let remarks: Vec<String> = report
        .cases
        .iter()
        .flat_map(|case| {
            case.remarks
                .iter()
                .map(|remark| format!("- {} `{}`: {}", case.row, case.name, cell(&remark.what)))
        })
        .chain(
            report
                .soak
                .iter()
                .flat_map(|soak| &soak.remarks)
                .map(|remark| format!("- soak: {}", cell(&remark.what))),
        )
        .collect();
    if !remarks.is_empty() {
        let _ = write!(
            text,
            "\n### What was not as it should be\n\n{}\n",
            remarks.join("\n")
        );
    }
    text.push_str("\n## Not in the selftest\n\n| Row | Why, and where it is tested |\n|---|---|\n");
    for row in &report.not_here {
        let _ = writeln!(text, "| {} | {} |", row.row, row.reason);
    }
    text
}

/// Text that may stand in a cell of a table.
fn cell(text: &str) -> String {
    super::printable(text).replace('|', "\\|")
}

/// A sentence from a line of the terminal.
fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters
        .next()
        .map(|first| first.to_uppercase().chain(characters).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_soak_has_bounds() {
        assert_eq!(soak_time("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(soak_time("30m"), Ok(Duration::from_secs(1_800)));
        for wrong in ["", "30", "0s", "169h", "-1m"] {
            assert!(soak_time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn text_of_the_machine_cannot_leave_its_cell() {
        assert_eq!(cell("a|b\n\u{1b}"), "a\\|b\\n\\u{1b}");
        assert_eq!(capital("all contained"), "All contained");
        assert_eq!(capital(""), "");
    }
}
