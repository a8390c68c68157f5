//! Pipelines: in order, ending at the first failure, continued after a kill.

use crate::{folder, problem};
use anyhow::Context as _;
use infinity_tests::host::{Host, PATIENCE, poll};
use serde_json::{Value, json};
use std::fs;

/// Agents of programs: one that passes, one that fails, one that takes a while.
fn agents(rest: &str) -> anyhow::Result<infinity_tests::host::Folder> {
    let folder = folder(
        "",
        &format!(
            "[agents.first]\nplugin = \"hello\"\n[agents.second]\nplugin = \"hello\"\n[agents.bad]\nplugin = \"guests\"\n\
             [agents.badge]\nplugin = \"badge\"\n{rest}"
        ),
    )?;
    folder.foreign("hello-world", "hello")?;
    folder.component("badge", "badge")?;
    Ok(folder)
}

fn begin(host: &Host, pipeline: &str) -> anyhow::Result<Value> {
    let begun = host
        .client()
        .post(host.url(&format!("/v1/workflows/{pipeline}/executions")))
        .send()?;
    assert_eq!(begun.status(), 201);
    Ok(begun.json()?)
}

fn ended(host: &Host, pipeline: &str, execution: &Value) -> anyhow::Result<Value> {
    let id = execution["id"].as_str().context("an id")?;
    let path = format!("/v1/workflows/{pipeline}/executions/{id}");
    poll(PATIENCE, || {
        host.json(&path)
            .ok()
            .filter(|found| found["state"] != "running")
    })
    .context("the execution does not end")
}

fn states(execution: &Value) -> Vec<&str> {
    execution["steps"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|step| step["state"].as_str())
        .collect()
}

#[test]
fn steps_run_in_order_and_the_first_failure_ends_it_unless_the_step_goes_on() -> anyhow::Result<()>
{
    let host = agents(
        "[pipelines.whole]\nsteps = [\"first\", \"second\", \"badge\"]\n\
         [pipelines.broken]\nsteps = [\"first\", \"bad\", \"second\"]\n\
         [pipelines.tolerant]\nsteps = [{ agent = \"bad\", continue = true }, \"first\"]\n",
    )?
    .serve()?;
    let whole = ended(&host, "whole", &begin(&host, "whole")?)?;
    assert_eq!(whole["state"], "succeeded", "{whole}");
    assert_eq!(states(&whole), ["succeeded"; 3]);
    let mut before: Option<jiff::Timestamp> = None;
    for step in whole["steps"].as_array().context("steps")? {
        let run = host.json(&format!(
            "/v1/runs/{}",
            step["run"].as_str().context("a run")?
        ))?;
        assert_eq!(run["agent"], step["agent"]);
        assert_eq!(
            run["principal"],
            json!({ "kind": "pipeline", "name": "whole" })
        );
        let started: jiff::Timestamp = run["started_at"].as_str().context("a start")?.parse()?;
        assert!(before.is_none_or(|before| started >= before), "{whole}");
        before = Some(run["ended_at"].as_str().context("an end")?.parse()?);
    }
    let broken = ended(&host, "broken", &begin(&host, "broken")?)?;
    assert_eq!(broken["state"], "failed");
    assert_eq!(states(&broken), ["succeeded", "failed", "skipped"]);
    assert!(
        broken["error"]
            .as_str()
            .is_some_and(|error| error.starts_with("step 2 (`bad`)")),
        "{broken}"
    );
    let tolerant = ended(&host, "tolerant", &begin(&host, "tolerant")?)?;
    assert_eq!(tolerant["state"], "succeeded");
    assert_eq!(states(&tolerant), ["failed", "succeeded"]);

    let definition = host.json("/v1/workflows/whole")?;
    assert_eq!(definition["steps"][1]["agent"], "second");
    assert_eq!(definition["totals"]["succeeded"], 1);
    let list = host.json("/v1/workflows/whole/executions")?;
    assert_eq!(list["items"][0]["id"], whole["id"]);
    // Each change is an event, in order.
    let events = host.json("/v1/events?type=pipeline.*&limit=500")?;
    let of_whole: Vec<&str> = events["items"]
        .as_array()
        .context("events")?
        .iter()
        .filter(|event| event["subject"] == whole["id"])
        .filter_map(|event| event["data"]["state"].as_str().or(event["type"].as_str()))
        .collect();
    assert_eq!(
        of_whole,
        [
            "running",
            "succeeded",
            "running",
            "succeeded",
            "running",
            "succeeded",
            "pipeline.succeeded"
        ]
    );
    let log = fs::read_to_string(host.path().join("var/scheduler.log"))?;
    for line in [
        "Starting deployment cycle #1",
        "Cycle #1 generating",
        "Cycle #2 error in step 2 (bad): failed",
        "Starting deployment cycle #3",
    ] {
        assert!(log.contains(line), "`{line}` is not in\n{log}");
    }
    problem(host.get("/v1/workflows/whle")?, 404, "unknown_workflow")?;
    problem(
        host.get("/v1/workflows/whole/executions/none")?,
        404,
        "not_found",
    )?;
    let id = whole["id"].as_str().context("an id")?;
    problem(
        host.get(&format!("/v1/workflows/broken/executions/{id}"))?,
        404,
        "not_found",
    )?;
    let late = host
        .client()
        .post(host.url(&format!("/v1/workflows/whole/executions/{id}/cancel")))
        .send()?;
    problem(late, 409, "execution_ended")?;
    Ok(())
}

#[test]
fn a_pipeline_goes_on_where_a_kill_cut_it_short_and_runs_no_step_twice() -> anyhow::Result<()> {
    let table = "[agents.slow]\nplugin = \"guests\"\nconcurrency = 1\n[pipelines.whole]\nsteps = [\"first\", \"slow\", \"second\"]\n";
    let host = agents(table)?.serve()?;
    // The only place of the second step's agent is taken, so the pipeline waits there.
    let blocker = crate::start(&host, "slow", &json!({ "case": "sleep", "ms": 20_000 }))?;
    let begun = begin(&host, "whole")?;
    let path = format!(
        "/v1/workflows/whole/executions/{}",
        begun["id"].as_str().context("an id")?
    );
    let first = poll(PATIENCE, || {
        let found = host.json(&path).ok()?;
        (states(&found) == ["succeeded", "running", "waiting"]).then_some(found)
    })
    .context("the pipeline does not get to its second step")?;
    let again = host
        .client()
        .post(host.url("/v1/workflows/whole/executions"))
        .send()?;
    problem(again, 409, "workflow_running")?;
    let host = host.kill_and_restart()?;
    // What blocked it was lost and is tried again; a person ends that.
    let retried = poll(PATIENCE, || {
        let runs = host.json("/v1/runs?agent=slow&state=running").ok()?;
        let found = runs["items"].as_array()?.first().cloned();
        found.filter(|run| run["id"] != blocker["id"])
    });
    if let Some(run) = retried {
        crate::cancel(&host, &run)?;
    }
    let done = ended(&host, "whole", &begun)?;
    // The second step's agent is given no input and says that this is a failure.
    assert_eq!(states(&done), ["succeeded", "failed", "skipped"], "{done}");
    assert_eq!(done["steps"][0], first["steps"][0]);
    assert_eq!(done["cycle"], 1);
    let runs = host.json("/v1/runs?agent=first")?;
    assert_eq!(runs["items"].as_array().map(Vec::len), Some(1));
    // The number of the cycle goes on.
    let next = begin(&host, "whole")?;
    assert_eq!(next["cycle"], 2);
    ended(&host, "whole", &next)?;
    Ok(())
}

#[test]
fn a_pipeline_is_due_like_an_agent_and_can_be_cancelled() -> anyhow::Result<()> {
    let table = "[agents.slow]\nplugin = \"guests\"\nconcurrency = 1\n[pipelines.often]\nevery = \"1s\"\nsteps = [\"first\"]\n\
        [pipelines.stuck]\nsteps = [\"slow\", \"first\"]\n";
    let host = agents(table)?.serve()?;
    let ledger = poll(PATIENCE, || {
        let list = host.json("/v1/occurrences?agent=pipelines/often").ok()?;
        let fired = list["items"]
            .as_array()?
            .iter()
            .filter(|row| row["result"] == "fired")
            .count();
        (fired >= 2).then_some(list)
    })
    .context("the pipeline is never due")?;
    assert_eq!(ledger["items"][0]["agent"], "pipelines/often");
    let list = host.json("/v1/workflows/often/executions")?;
    assert_eq!(list["items"][0]["trigger"], "every");
    crate::start(&host, "slow", &json!({ "case": "sleep", "ms": 20_000 }))?;
    let begun = begin(&host, "stuck")?;
    let path = format!(
        "/v1/workflows/stuck/executions/{}/cancel",
        begun["id"].as_str().context("an id")?
    );
    assert_eq!(host.client().post(host.url(&path)).send()?.status(), 202);
    let done = ended(&host, "stuck", &begun)?;
    assert_eq!(done["state"], "cancelled", "{done}");
    assert_eq!(states(&done), ["failed", "skipped"]);
    Ok(())
}
