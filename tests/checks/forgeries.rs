//! Code that does not do what it should and tries to pass.

use crate::{check_all, host, languages, material};
use anyhow::{Context as _, ensure};
use infinity::checks::submission::read;
use infinity_tests::host::root;
use serde_json::{Value, json};
use std::fs;

/// Forgeries whose returned values are right: what is wrong with them only tests can see.
const RIGHT_VALUES: [&str; 2] = ["checks-type-by-name-only", "error-as-a-value"];

/// The list of what passes where tests compare inside the sandbox, as a document has it.
fn known(document: &str, isolation: &str) -> anyhow::Result<String> {
    let text = fs::read_to_string(root().join(document))?;
    let heading = format!("<!-- accepted: {isolation} -->\n");
    let list = text
        .split(&heading)
        .nth(1)
        .and_then(|rest| rest.split("<!-- end -->").next());
    Ok(list.context("no list")?.to_owned())
}

/// The same list of these. With `UPDATE` set the document gets it.
fn listed(document: &str, isolation: &str, passed: &[(String, String)]) -> anyhow::Result<()> {
    let mut lines: Vec<String> = passed
        .iter()
        .map(|(name, how)| format!("- `{name}`: {how}\n"))
        .collect();
    lines.sort();
    let (known, list) = (known(document, isolation)?, lines.concat());
    if known != list && std::env::var_os("UPDATE").is_some() {
        let text = fs::read_to_string(root().join(document))?;
        let heading = format!("<!-- accepted: {isolation} -->\n");
        let text = text.replacen(&(heading.clone() + &known), &(heading + &list), 1);
        fs::write(root().join(document), text)?;
        return Ok(());
    }
    ensure!(
        known == list,
        "`UPDATE=1` writes into `{document}` what passes:\n{list}"
    );
    Ok(())
}

/// Those that pass, judged by tests or by cases, and how they do it.
fn accepted(language: &str, step: &str, isolation: &str) -> anyhow::Result<Vec<(String, String)>> {
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
        if read(&submission, None).is_err() {
            refused += 1;
            continue;
        }
        let text = |key: &str| forgery[key].as_str().unwrap_or_default().to_owned();
        names.push((text("name"), text("how")));
        submissions.push(submission);
    }
    ensure!(refused <= 10, "{refused} are refused and say nothing");
    ensure!(names.len() >= 80, "only {} forgeries", names.len());
    let verdicts = check_all(&host, &submissions)?;
    let mut accepted = Vec::new();
    let mut unjudged = Vec::new();
    for (name, verdict) in names.into_iter().zip(verdicts) {
        if verdict["verdict"] == "error" {
            unjudged.push(format!("{}: {}", name.0, verdict["summary"]));
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
        passed.retain(|(name, _)| !RIGHT_VALUES.contains(&name.as_str()));
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
    listed("docs/checks.md", "apart", &passed)
}

#[test]
fn those_that_pass_in_one_interpreter_are_in_the_documents() -> anyhow::Result<()> {
    let languages = languages()?;
    let mut passed = Vec::new();
    for language in &languages {
        passed.extend(accepted(language, "tests", "shared")?);
    }
    if languages.len() < 2 {
        return Ok(());
    }
    listed("docs/forgeries.md", "shared", &passed)
}
