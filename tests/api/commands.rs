//! Commands: free words, templates, jobs.

use crate::{folder, problem};
use anyhow::Context as _;
use serde_json::{Value, json};
use std::fs;

/// A template with two parameters, `commands/sync.toml`.
pub(crate) const SYNC: &str = "description = \"Sync a repository\"\ntext = \"sync {repo} to {branch}\"\n[parameters.repo]\n[parameters.branch]\ndefault = \"main\"\n";

#[test]
fn a_command_is_a_run_of_the_agent_that_takes_them() -> anyhow::Result<()> {
    let folder = folder("", "commands = true\n")?;
    fs::create_dir(folder.path().join("commands"))?;
    fs::write(folder.path().join("commands/sync.toml"), SYNC)?;
    let host = folder.serve()?;
    let give = |body: &Value| {
        host.client()
            .post(host.url("/v1/commands"))
            .json(body)
            .send()
    };
    let accepted = give(&json!({ "text": "check the links" }))?;
    assert_eq!(accepted.status(), 202);
    let location = accepted.headers()["location"].to_str()?.to_owned();
    let accepted: Value = accepted.json()?;
    assert_eq!(accepted["status"], location);
    let job = host.json(&location)?;
    assert_eq!(job["id"], accepted["job_id"]);
    assert_eq!(job["input"]["command"], "check the links");
    assert_eq!(job["agent"], "guests");

    let templates = host.json("/v1/commands/templates")?;
    assert_eq!(templates["items"][0]["name"], "sync");
    let filled = give(&json!({ "template": "sync", "parameters": { "repo": "ops" } }))?;
    let filled: Value = filled.json()?;
    let job = host.json(filled["status"].as_str().context("a path")?)?;
    assert_eq!(job["input"]["command"], "sync ops to main");
    let history = host.json("/v1/commands")?;
    assert_eq!(history["items"][0]["id"], filled["job_id"]);
    assert_eq!(history["items"][1]["id"], accepted["job_id"]);

    // All mistakes at once.
    let body = problem(
        give(&json!({ "template": "sync", "parameters": { "x": 1 }, "txt": 1 }))?,
        422,
        "invalid_command",
    )?;
    let pointers: Vec<&str> = body["errors"]
        .as_array()
        .context("errors")?
        .iter()
        .filter_map(|error| error["pointer"].as_str())
        .collect();
    assert_eq!(pointers, ["/txt", "/parameters/x", "/parameters/repo"]);
    for wrong in [
        json!({}),
        json!({ "text": "" }),
        json!([1]),
        json!({ "text": "a", "template": "sync" }),
        json!({ "template": "none" }),
    ] {
        problem(give(&wrong)?, 422, "invalid_command")?;
    }
    problem(host.get("/v1/status/none")?, 404, "not_found")?;
    Ok(())
}

#[test]
fn a_command_needs_an_agent_that_takes_it() -> anyhow::Result<()> {
    let host = crate::host()?;
    let answer = host
        .client()
        .post(host.url("/v1/commands"))
        .json(&json!({ "text": "x" }))
        .send()?;
    problem(answer, 409, "no_command_agent")?;
    problem(host.get("/v1/commands")?, 409, "no_command_agent")?;
    Ok(())
}
