//! `infinity policy`: tests of policies, printed as `opa test` prints them, and questions to policies.

use super::output::printable;
use super::{
    CliError, Done, EXIT_FAILED, GlobalOptions, Launcher, Output, PolicyAnswer, PolicyEvalOptions,
    PolicyTest, PolicyTestOptions, PolicyTestOutcome,
};
use crate::sandbox::call::Decision;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// The largest input of a query, in bytes: a tree of facts, far below what a sandbox may hold.
const INPUT_MAX_BYTES: u64 = 16 * 1024 * 1024;

/// What to do with policies.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Run tests: rules whose name begins with `test_`
    Test(TestOptions),
    /// Evaluate a query
    Eval(EvalOptions),
}

/// Which tests to run.
#[derive(Debug, Args)]
pub struct TestOptions {
    /// A file or directory of policies and tests
    path: Option<PathBuf>,
    /// Only tests whose full name matches
    #[arg(long, value_name = "REGEX")]
    run: Option<String>,
}

/// What to evaluate.
#[derive(Debug, Args)]
pub struct EvalOptions {
    /// A Rego query, for instance `data.github.commit.secrets.deny`
    #[arg(required_unless_present = "package", conflicts_with = "package")]
    query: Option<String>,
    /// Instead of a query: decide by `deny` and `warn` of every package at or below this one; a denial is exit code 1
    #[arg(long)]
    package: Option<String>,
    /// A JSON file that becomes `input`
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// The directory of policies
    #[arg(long, value_name = "DIR")]
    policies: Option<PathBuf>,
    /// A directory whose tracked files, every line of them, become the files of a commit in `input`
    #[arg(long, value_name = "DIR")]
    tree: Option<PathBuf>,
}

pub(super) async fn execute(
    command: &PolicyCommand,
    global: &GlobalOptions,
    launcher: &dyn Launcher,
    output: &Output,
) -> Done {
    match command {
        PolicyCommand::Test(options) => {
            let options = PolicyTestOptions {
                path: options.path.clone(),
                run: options.run.clone(),
            };
            let spinner = output.spinner("testing policies");
            let tests = launcher.policy_test(global, &options).await;
            spinner.finish_and_clear();
            Ok(report(&tests?, output))
        }
        PolicyCommand::Eval(options) => {
            let options = PolicyEvalOptions {
                query: options.query.clone(),
                package: options.package.clone(),
                input: options
                    .input
                    .as_deref()
                    .map_or(Ok(Value::Null), read_input)?,
                policies: options.policies.clone(),
                tree: options.tree.clone(),
            };
            let spinner = output.spinner("evaluating");
            let answer = launcher.policy_eval(global, &options).await;
            spinner.finish_and_clear();
            match answer? {
                PolicyAnswer::Result(value) => {
                    output.value(&value);
                    Ok(0)
                }
                PolicyAnswer::Decision(decision) => Ok(decided(&decision, output)),
            }
        }
    }
}

/// Prints a decision as a compiler prints its findings.
fn decided(decision: &Decision, output: &Output) -> u8 {
    let code = if decision.allowed { 0 } else { EXIT_FAILED };
    if output.is_json() {
        output.value(&json!(decision));
        return code;
    }
    let denials = decision
        .denials
        .iter()
        .map(|violation| ("denied", violation));
    let warnings = decision
        .warnings
        .iter()
        .map(|violation| ("warning", violation));
    for (word, violation) in denials.chain(warnings) {
        let mut place = String::new();
        if let Some(path) = &violation.path {
            place = format!("{}:", printable(path));
            if let Some(line) = violation.line {
                place = format!("{place}{line}:");
            }
            place.push(' ');
        }
        let message = printable(&violation.message);
        let rule = printable(&violation.rule);
        output.line(&format!("{place}{word}: {message} [{rule}]"));
        if let Some(help) = &violation.help {
            output.line(&format!("  hint: {}", printable(help)));
        }
    }
    output.line(&format!(
        "{}: {} denials, {} warnings",
        if decision.allowed {
            "allowed"
        } else {
            "denied"
        },
        decision.denials.len(),
        decision.warnings.len()
    ));
    code
}

fn read_input(path: &Path) -> Result<Value, CliError> {
    let fail = |error: &dyn std::fmt::Display| {
        CliError::input(format!("cannot read `{}`: {error}", path.display()))
    };
    let size = std::fs::metadata(path).map_err(|error| fail(&error))?.len();
    if size > INPUT_MAX_BYTES {
        return Err(fail(&format!("it is over {INPUT_MAX_BYTES} bytes")));
    }
    let bytes = std::fs::read(path).map_err(|error| fail(&error))?;
    serde_json::from_slice(&bytes).map_err(|error| fail(&error))
}

/// Prints the tests by file, then how many there were of each outcome.
fn report(tests: &[PolicyTest], output: &Output) -> u8 {
    let failed = tests.iter().any(|test| {
        matches!(
            test.outcome,
            PolicyTestOutcome::Fail | PolicyTestOutcome::Error
        )
    });
    let code = if failed { EXIT_FAILED } else { 0 };
    if output.is_json() {
        output.value(&json!({ "tests": tests }));
        return code;
    }
    let mut file = "";
    for test in tests {
        if test.path != file {
            file = &test.path;
            output.line(&format!("{file}:"));
        }
        let (word, style) = words(test.outcome);
        let time = match test.outcome {
            PolicyTestOutcome::Skipped => String::new(),
            _ => format!(" ({})", super::output::micros(test.duration_ns / 1000)),
        };
        output.ready(&format!(
            "{}.{}: {}{time}",
            printable(&test.package),
            printable(&test.name),
            output.styled(style, word)
        ));
        if let Some(message) = &test.message {
            for line in message.lines() {
                output.line(&format!("  {line}"));
            }
        }
    }
    if tests.is_empty() {
        output.note("no tests found: a test is a rule whose name begins with `test_`");
        return code;
    }
    output.line(&"-".repeat(80));
    for outcome in [
        PolicyTestOutcome::Pass,
        PolicyTestOutcome::Fail,
        PolicyTestOutcome::Error,
        PolicyTestOutcome::Skipped,
    ] {
        let count = tests.iter().filter(|test| test.outcome == outcome).count();
        if count > 0 {
            output.line(&format!("{}: {count}/{}", words(outcome).0, tests.len()));
        }
    }
    code
}

fn words(outcome: PolicyTestOutcome) -> (&'static str, &'static str) {
    match outcome {
        PolicyTestOutcome::Pass => ("PASS", "32"),
        PolicyTestOutcome::Fail => ("FAIL", "1;31"),
        PolicyTestOutcome::Error => ("ERROR", "1;31"),
        PolicyTestOutcome::Skipped => ("SKIPPED", "33"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_test_fails_the_command_and_a_skipped_one_does_not() {
        let output = Output::new(true, super::super::ColorChoice::Never);
        let code = |outcomes: &[PolicyTestOutcome]| {
            let tests: Vec<PolicyTest> = outcomes
                .iter()
                .map(|outcome| PolicyTest {
                    package: "data.a".into(),
                    name: "test_b".into(),
                    outcome: *outcome,
                    message: None,
                    duration_ns: 1,
                    path: "a.rego".into(),
                })
                .collect();
            report(&tests, &output)
        };
        assert_eq!(
            code(&[PolicyTestOutcome::Pass, PolicyTestOutcome::Skipped]),
            0
        );
        assert_eq!(code(&[PolicyTestOutcome::Pass, PolicyTestOutcome::Fail]), 1);
        assert_eq!(code(&[PolicyTestOutcome::Error]), 1);
    }
}
