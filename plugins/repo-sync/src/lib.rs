//! The sync agent: brings files of one repository to those that follow it, as `.sync-config.yaml` in it says.
//!
//! Each target gets at most one open pull request: its branch is made from the target's own, and moves on while the pull request is open. Nothing at a target is overwritten that somebody
//! changed there: such files are conflicts, which stop the target's sync and become an issue. What was synced before is read from the target's history, where each sync says so in its commit.

mod config;
mod plan;
mod rollback;
mod target;
mod yaml;

use infinity_sdk::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

infinity_sdk::agent!(run, manifest = "../manifest.json");

/// What the run is for.
#[derive(Debug, Default, Deserialize)]
struct Input {
    target: Option<String>,
    rollback: Option<String>,
}

/// What all targets have in common.
pub(crate) struct Source {
    /// The repository that the others follow.
    pub(crate) repository: String,
    /// Its commit.
    pub(crate) commit: String,
    /// Where people are told of conflicts.
    pub(crate) channel: Option<String>,
}

/// What came of a target.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) output: Value,
    pub(crate) findings: Vec<Finding>,
    pub(crate) effects: Vec<Effect>,
}

/// Runs the agent once.
///
/// # Errors
/// [`Failure::InvalidInput`] when the settings cannot be used, [`Failure::Unavailable`] when a repository does not answer.
pub fn run(invocation: Invocation) -> Result<Report, Failure> {
    let repository: String = settings::required("source")?;
    let reference = settings::optional("reference")?.unwrap_or_else(|| "HEAD".to_owned());
    let path = settings::optional("config")?.unwrap_or_else(|| ".sync-config.yaml".to_owned());
    let input = input(&invocation.input)?;
    let commit = forge::resolve(&repository, &reference)
        .map_err(|error| failed(&format!("repository `{repository}`"), &error))?;
    let text = match forge::read(&repository, &commit, &path) {
        Ok(bytes) => String::from_utf8(bytes)
            .map_err(|_| Failure::InvalidInput(format!("`{path}` is not UTF-8")))?,
        Err(forge::Error::NotFound(_)) => {
            let finding = Finding::new("sync/config", Level::Error, "the file is not there")
                .at(path, None, None)
                .in_repository(repository)
                .with_help("write one that says what goes where, with `targets`");
            return Ok(Report::failed("there is no configuration").with_findings([finding]));
        }
        Err(error) => return Err(failed(&format!("`{path}` of `{repository}`"), &error)),
    };
    let granted: Vec<String> = forge::repositories()
        .into_iter()
        .map(|repository| repository.name)
        .collect();
    let targets = match config::read(&text, &repository, &path, &granted) {
        Ok(targets) => targets,
        Err(findings) => {
            let count = findings.len();
            return Ok(
                Report::failed(format!("`{path}` has {count} mistakes; nothing is synced"))
                    .with_findings(findings),
            );
        }
    };
    let only = input.rollback.as_ref().or(input.target.as_ref());
    if let Some(only) = only
        && !targets.iter().any(|target| target.name == *only)
    {
        let names: Vec<&str> = targets.iter().map(|target| target.name.as_str()).collect();
        return Err(Failure::InvalidInput(format!(
            "there is no target `{only}`; the targets are {}",
            names.join(", ")
        )));
    }
    let source = Source {
        repository,
        commit,
        channel: settings::optional("channel")?,
    };
    let mut report = Report::passed(String::new());
    let mut outputs = Vec::new();
    let wanted: Vec<&config::Target> = targets
        .iter()
        .filter(|target| only.is_none_or(|only| target.name == *only))
        .collect();
    for (done, target) in wanted.iter().enumerate() {
        progress::report(done as u64, Some(wanted.len() as u64), &target.name);
        let outcome = match &input.rollback {
            Some(_) => rollback::rollback(&source, target)?,
            None => target::sync(&source, target)?,
        };
        outputs.push(outcome.output);
        report.findings.extend(outcome.findings);
        report.effects.extend(outcome.effects);
    }
    report.summary = format!(
        "{} targets, {} changes proposed, {} findings",
        outputs.len(),
        report.effects.len(),
        report.findings.len()
    );
    report.with_output(
        &json!({ "source": source.repository, "commit": source.commit, "targets": outputs }),
    )
}

/// An event starts a sync of everything.
fn input(text: &str) -> Result<Input, Failure> {
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    if value.is_null() || value.get("specversion").is_some() {
        return Ok(Input::default());
    }
    serde_json::from_value(value)
        .map_err(|error| Failure::InvalidInput(format!("the input: {error}")))
}

/// Why a repository could not be read.
pub(crate) fn failed(what: &str, error: &forge::Error) -> Failure {
    let message = format!("{what}: {}", forge::message(error));
    match error {
        forge::Error::Unavailable(_) => Failure::Unavailable(message),
        _ => Failure::Other(message),
    }
}
