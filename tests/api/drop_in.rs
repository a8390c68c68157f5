//! Components that nobody wrote for the host: programs as agents, and what is put into the folder of plugins while it serves.

use crate::{folder, host, problem, start};
use anyhow::Context as _;
use infinity_tests::host::{Host, PATIENCE, component, poll};
use serde_json::{Value, json};
use std::fs;

fn program() -> anyhow::Result<Host> {
    let folder = folder(
        "",
        "[agents.program]\nplugin = \"program\"\nlimits = { output = \"1MiB\" }\n",
    )?;
    folder.component("test_program", "program")?;
    folder.serve()
}

#[test]
fn a_program_is_an_agent() -> anyhow::Result<()> {
    let host = program()?;
    let run = host.run("program", &json!({ "case": "echo", "number": 7 }))?;
    assert_eq!(run["outcome"], "succeeded", "{run}");
    // Its output was JSON, so it is shown as such: here what it read.
    let output = host.report(&run)?["output"].clone();
    assert_eq!(output["input"], json!({ "case": "echo", "number": 7 }));
    assert_eq!(
        (&output["agent"], &output["run_id"]),
        (&json!("program"), &run["id"])
    );
    assert_eq!(
        (&output["trigger"], &output["attempt"]),
        (&json!("manual"), &json!(1))
    );

    let run = host.run("program", &json!({ "case": "finding" }))?;
    assert_eq!(
        (&run["findings"], &run["summary"]),
        (&json!(1), &json!("looked at one file"))
    );
    let report = host.report(&run)?;
    assert_eq!(report["output"], "looking\nlooked at one file\n");
    assert_eq!(report["findings"][0]["rule"], "demo/tabs");
    assert_eq!(report["findings"][0]["location"]["line"], 2);

    let run = host.run("program", &json!({ "case": "fails" }))?;
    assert_eq!(
        (&run["outcome"], &run["reason"]),
        (&json!("failed"), &Value::Null)
    );
    assert_eq!(run["summary"], "exit code 1: nothing works today");
    let id = run["id"].as_str().context("an id")?;
    let log = host.json(&format!("/v1/runs/{id}/logs"))?;
    assert_eq!(log["items"][0]["message"], "what went wrong");
    Ok(())
}

#[test]
fn a_program_lives_within_the_same_limits_and_grants() -> anyhow::Result<()> {
    let host = program()?;
    let run = host.run("program", &json!({ "case": "flood" }))?;
    assert_eq!(
        (&run["outcome"], &run["reason"]),
        (&json!("limited"), &json!("output")),
        "{run}"
    );
    let run = host.run("program", &json!({ "case": "reads" }))?;
    assert_eq!(run["outcome"], "failed", "{run}");
    let run = host.run("program", &json!({ "case": "panics" }))?;
    assert_eq!(run["outcome"], "trapped", "{run}");
    let inspected = host.folder().infinity(&["plugin", "inspect", "program"])?;
    let text = String::from_utf8_lossy(&inspected.stdout).into_owned();
    assert!(text.contains("wasi:cli/command"), "{text}");
    Ok(())
}

/// Waits until the agent is there, or is not.
fn expect(host: &Host, agent: &str, there: bool) -> anyhow::Result<()> {
    poll(PATIENCE, || {
        let status = host.get(&format!("/v1/agents/{agent}")).ok()?.status();
        (status.is_success() == there).then_some(())
    })
    .with_context(|| format!("`{agent}` there: {there}, is not so"))
}

#[test]
fn what_is_put_into_the_folder_runs_by_its_name_and_is_replaced_while_runs_are_in_flight()
-> anyhow::Result<()> {
    let host = host()?;
    let dist = host.path().join("dist");
    let put = |name: &str, bytes: &[u8]| -> anyhow::Result<()> {
        let temporary = dist.join("new");
        fs::write(&temporary, bytes)?;
        fs::rename(temporary, dist.join(format!("{name}.wasm")))?;
        Ok(())
    };
    problem(host.get("/v1/agents/dropped")?, 404, "unknown_agent")?;
    let guests = fs::read(component("test_guests"))?;
    put("dropped", &guests)?;
    expect(&host, "dropped", true)?;
    let agent = host.json("/v1/agents/dropped")?;
    assert_eq!(agent["grants"]["http"], json!([]));
    assert_eq!(
        host.run("dropped", &json!({ "case": "ok" }))?["outcome"],
        "succeeded"
    );
    poll(PATIENCE, || {
        let events = host.json("/v1/events?type=system.plugin-added").ok()?;
        (events["items"][0]["subject"] == "dropped").then_some(())
    })
    .context("it is not announced")?;

    // A run in flight ends on what it began with; the next one takes what is there.
    let running = start(&host, "dropped", &json!({ "case": "sleep", "ms": 6000 }))?;
    let before = running["plugin_digest"].clone();
    put("dropped", &fs::read(component("test_program"))?)?;
    let after = poll(PATIENCE, || {
        let digest = host.json("/v1/plugins/dropped").ok()?["digest"].clone();
        (digest != before).then_some(digest)
    })
    .context("the new component is not taken up")?;
    let next = host.run("dropped", &json!({ "case": "echo" }))?;
    assert_eq!(
        (&next["plugin_digest"], &next["outcome"]),
        (&after, &json!("succeeded"))
    );
    let ended = poll(PATIENCE, || {
        let id = running["id"].as_str()?;
        let run = host.json(&format!("/v1/runs/{id}")).ok()?;
        (run["state"] == "ended").then_some(run)
    })
    .context("the run in flight does not end")?;
    assert_eq!(
        (&ended["plugin_digest"], &ended["outcome"]),
        (&before, &json!("succeeded"))
    );

    // What is no component is listed with the reason, and runs nothing.
    put("broken", b"not a component")?;
    poll(PATIENCE, || {
        let plugin = host.json("/v1/plugins/broken").ok()?;
        (plugin["status"] == "refused" && plugin["problem"].is_string()).then_some(())
    })
    .context("the broken file is not listed")?;
    expect(&host, "broken", false)?;

    fs::remove_file(dist.join("dropped.wasm"))?;
    expect(&host, "dropped", false)?;
    // The agent that was there all the time did not notice.
    assert_eq!(
        host.run("guests", &json!({ "case": "ok" }))?["outcome"],
        "succeeded"
    );
    Ok(())
}
