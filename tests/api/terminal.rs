//! What a person at a terminal asks a host that serves: each command as a table, and as JSON for programs.

use crate::folder;
use anyhow::{Context as _, ensure};
use infinity_tests::host::Host;
use serde_json::{Value, json};

/// What a command prints; it must end well.
fn said(host: &Host, arguments: &[&str]) -> anyhow::Result<String> {
    let output = host.folder().infinity(arguments)?;
    ensure!(
        output.status.success(),
        "{arguments:?}: {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout)?;
    ensure!(
        !text.contains('\u{1b}'),
        "{arguments:?}: colour where nobody looks: {text:?}"
    );
    Ok(text)
}

/// The same for programs.
fn json(host: &Host, arguments: &[&str]) -> anyhow::Result<Value> {
    let mut all = vec!["--json"];
    all.extend(arguments);
    let text = said(host, &all)?;
    serde_json::from_str(&text).with_context(|| format!("{arguments:?}: {text}"))
}

/// That all of these are in it.
fn contains(text: &str, words: &[&str]) -> anyhow::Result<()> {
    for word in words {
        ensure!(text.contains(word), "no `{word}` in:\n{text}");
    }
    Ok(())
}

fn served() -> anyhow::Result<Host> {
    let folder = folder(
        "",
        "commands = true\n[agents.badge]\nplugin = \"badge\"\ncron = \"0 0 1 1 *\"\n\
         [pipelines.whole]\nsteps = [\"badge\", { agent = \"guests\", continue = true }]\n",
    )?;
    folder.component("badge", "badge")?;
    folder.serve()
}

#[test]
fn runs_and_agents_are_looked_at_in_a_terminal() -> anyhow::Result<()> {
    let host = served()?;
    let fine = host.run("badge", &json!({}))?["id"]
        .as_str()
        .context("an id")?
        .to_owned();
    let bad = host.run("guests", &json!({ "case": "fails" }))?["id"]
        .as_str()
        .context("an id")?
        .to_owned();

    // The time line is a picture: a row for each part, as wide as its share.
    let shown = said(&host, &["runs", "show", &fine])?;
    contains(
        &shown,
        &["succeeded", "artifact", "instantiated", "guest", "█"],
    )?;
    assert_eq!(
        json(&host, &["runs", "show", &fine])?["run"]["id"],
        fine.as_str()
    );

    // Exit code 1: they differ, as with `diff`.
    let apart = host.folder().infinity(&["runs", "diff", &fine, &bad])?;
    assert_eq!(apart.status.code(), Some(1));
    contains(
        &String::from_utf8(apart.stdout)?,
        &["badge", "guests", "succeeded", "failed"],
    )?;
    let same = said(&host, &["runs", "diff", &fine, &fine])?;
    contains(&same, &[&fine])?;
    let nothing = host.folder().infinity(&["runs", "show", "nonsense"])?;
    assert_eq!(nothing.status.code(), Some(2));
    contains(
        &String::from_utf8(nothing.stderr)?,
        &["`infinity runs` lists them"],
    )?;

    let shown = said(&host, &["agents", "show", "badge"])?;
    contains(&shown, &["health", "-01-01T00:00:00Z", &fine, "succeeded"])?;
    json(&host, &["agents", "show", "badge"])?;

    let status = said(&host, &["status"])?;
    contains(&status, &["2: 1 error, 1 online"])?;
    assert_eq!(json(&host, &["status"])?["states"]["online"], 1);

    contains(&said(&host, &["events"])?, &["run.succeeded", "run.failed"])?;
    Ok(())
}

#[test]
fn pipelines_commands_search_and_the_log_level_are_driven_from_a_terminal() -> anyhow::Result<()> {
    let host = served()?;
    contains(
        &said(&host, &["pipelines", "list"])?,
        &["whole", "badge -> guests"],
    )?;
    contains(
        &said(&host, &["pipelines", "run", "whole"])?,
        &["cycle #1", "1 badge", "2 guests"],
    )?;
    contains(
        &said(&host, &["pipelines", "show", "whole"])?,
        &["1 succeeded", "cycle #1"],
    )?;
    assert_eq!(
        json(&host, &["pipelines", "show", "whole"])?["pipeline"]["name"],
        "whole"
    );

    // Exit code 1: what was asked for was done, and it did not go well.
    let given = host
        .folder()
        .infinity(&["--json", "command", "check", "the", "links"])?;
    assert_eq!(given.status.code(), Some(1));
    let given: Value = serde_json::from_slice(&given.stdout)?;
    assert_eq!(given["run"]["input"]["command"], "check the links");

    host.run("guests", &json!({ "case": "finding" }))?;
    let found = json(&host, &["search", "this file has a problem"])?;
    ensure!(
        found["items"]
            .as_array()
            .is_some_and(|items| !items.is_empty()),
        "{found}"
    );
    ensure!(
        json(&host, &["search", "a text that nobody wrote"])?["items"] == json!([]),
        "it finds what is not there"
    );

    assert_eq!(said(&host, &["log-level"])?, "info\n");
    said(&host, &["log-level", "warn"])?;
    assert_eq!(said(&host, &["log-level"])?, "warn\n");
    Ok(())
}

#[test]
fn what_an_agent_left_is_written_deleted_and_put_back_from_a_terminal() -> anyhow::Result<()> {
    let host = served()?;
    for _ in 0..3 {
        host.run("badge", &json!({}))?;
    }
    let runs = |host: &Host| -> anyhow::Result<usize> {
        Ok(host.json("/v1/runs?agent=badge")?["items"]
            .as_array()
            .context("a list")?
            .len())
    };
    said(&host, &["agents", "export", "badge", "kept.jsonl"])?;
    let refused = host.folder().infinity(&["agents", "delete", "badge"])?;
    assert_eq!(refused.status.code(), Some(2));
    assert_eq!(runs(&host)?, 3);
    said(&host, &["agents", "delete", "--data", "badge"])?;
    assert_eq!(runs(&host)?, 0);
    said(&host, &["agents", "import", "badge", "kept.jsonl"])?;
    assert_eq!(runs(&host)?, 3);
    // Twice is once.
    said(&host, &["agents", "import", "badge", "kept.jsonl"])?;
    assert_eq!(runs(&host)?, 3);
    Ok(())
}
