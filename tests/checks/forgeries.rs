//! Code that does not do what it should and tries to pass.

use crate::{check_all, host, languages, material};
use anyhow::{Context as _, ensure};
use infinity::checks::submission::read;
use serde_json::{Value, json};

/// Forgeries whose returned values are right: what is wrong with them only tests can see.
const RIGHT_VALUES: [&str; 2] = ["checks-type-by-name-only", "error-as-a-value"];

/// What passes where tests compare inside the sandbox, as `docs/checks.md` says.
fn known(isolation: &str) -> Vec<String> {
    let docs = include_str!("../../docs/checks.md");
    let heading = format!("<!-- accepted: {isolation} -->");
    docs.split(&heading)
        .nth(1)
        .and_then(|rest| rest.split("<!-- end -->").next())
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.strip_prefix("- `")?.split('`').next())
        .map(str::to_owned)
        .collect()
}

/// The names of those that pass, judged by tests or by cases.
fn accepted(language: &str, step: &str, isolation: &str) -> anyhow::Result<Vec<String>> {
    let host = host()?;
    let tasks = material("tasks.json")?;
    let forgeries = material(&format!("forgeries-{language}.json"))?;
    let key = if step == "tests" { "tests" } else { "cases" };
    let mut names = Vec::new();
    let mut refused = 0;
    let mut submissions: Vec<Value> = Vec::new();
    for forgery in forgeries.as_array().context("no list")? {
        let task = &tasks[forgery["task"].as_str().unwrap_or_default()];
        let judged = match &task[key] {
            Value::Array(cases) => !cases.is_empty(),
            Value::Object(tests) => !tests.is_empty(),
            _ => false,
        };
        if !judged {
            continue;
        }
        let submission = json!({
            "language": language,
            "files": forgery["files"],
            key: task[key],
            "entry": task["correct"].as_object().and_then(|files| files.keys().next()),
            "steps": [step],
            "isolation": isolation,
            "limits": { "time_ms": 3000 },
        });
        // Paths that climb, and files in the place of the tests: refused before anything runs.
        if read(&submission).is_err() {
            refused += 1;
            continue;
        }
        names.push(forgery["name"].as_str().unwrap_or_default().to_owned());
        submissions.push(submission);
    }
    ensure!(refused <= 10, "{refused} are refused and say nothing");
    ensure!(names.len() >= 80, "only {} forgeries", names.len());
    let verdicts = check_all(&host, &submissions)?;
    let mut accepted = Vec::new();
    let mut unjudged = Vec::new();
    for (name, verdict) in names.into_iter().zip(verdicts) {
        if verdict["verdict"] == "error" {
            unjudged.push(format!("{name}: {}", verdict["summary"]));
        }
        if verdict["verdict"] == "passed" {
            accepted.push(name);
        }
    }
    // What could not be judged did not pass, but many of these would say that the setup is broken.
    ensure!(unjudged.len() <= 12, "{}", unjudged.join("\n"));
    Ok(accepted)
}

#[test]
fn none_passes_where_the_host_compares() -> anyhow::Result<()> {
    for language in languages()? {
        let mut passed = accepted(language, "cases", "apart")?;
        passed.retain(|name| !RIGHT_VALUES.contains(&name.as_str()));
        ensure!(passed.is_empty(), "{language}: {passed:?}");
    }
    Ok(())
}

#[test]
fn those_that_pass_apart_are_in_the_documents() -> anyhow::Result<()> {
    let mut passed = Vec::new();
    for language in languages()? {
        passed.extend(accepted(language, "tests", "apart")?);
    }
    let mut known = known("apart");
    passed.sort();
    known.sort();
    ensure!(passed == known, "passed: {passed:?}\nknown:  {known:?}");
    Ok(())
}
