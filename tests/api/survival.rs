//! What is left of runs when the program is killed, stopped or started twice.

use crate::{folder, host, id, kept, look, ok, start};
use anyhow::Context as _;
use infinity_tests::host::{PATIENCE, poll};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[test]
fn a_kill_loses_nothing_that_was_acknowledged() -> anyhow::Result<()> {
    let host = folder("concurrency = 1", "")?.serve()?;
    let mut ended = Vec::new();
    for number in 0..10 {
        ended.push(host.run("guests", &json!({ "case": "ok", "number": number }))?);
    }
    let stored = host.run(
        "guests",
        &json!({ "case": "artifact", "name": "a.txt", "bytes": 100 }),
    )?;
    let running = start(&host, "guests", &json!({ "case": "sleep_forever" }))?;
    // The row says so after a while; the list is filtered by rows.
    poll(PATIENCE, || {
        let listed = host.json("/v1/runs?state=running").ok()?;
        (listed["items"][0]["id"] == running["id"]).then_some(())
    })
    .context("it is not recorded as running")?;
    let mut queued = Vec::new();
    for number in 0..10 {
        queued.push(start(
            &host,
            "guests",
            &json!({ "case": "ok", "number": number }),
        )?);
    }

    let host = host.kill_and_restart()?;
    for run in &ended {
        assert_eq!(kept(&look(&host, run)?), kept(run));
        assert_eq!(host.report(run)?["passed"], true);
    }
    let bytes = host
        .get(&format!("/v1/runs/{}/artifacts/a.txt", id(&stored)?))?
        .bytes()?;
    assert_eq!(bytes.len(), 100);
    let lost = poll(PATIENCE, || {
        look(&host, &running)
            .ok()
            .filter(|run| run["state"] == "ended")
    })
    .context("the run that was cut short does not end")?;
    assert_eq!(lost["outcome"], "lost", "{lost}");
    for run in &queued {
        let run = poll(PATIENCE, || {
            look(&host, run).ok().filter(|run| run["state"] == "ended")
        })
        .context("a run that waited does not run")?;
        assert_eq!(run["outcome"], "succeeded", "{run}");
        assert_eq!(host.report(&run)?["output"]["run_id"], run["id"]);
    }
    // Every run once, and every end announced once.
    let runs = host.json("/v1/runs?limit=500")?;
    assert_eq!(runs["items"].as_array().map(Vec::len), Some(22));
    let events = host.json("/v1/events?limit=500")?;
    assert_eq!(
        events["items"].as_array().map(Vec::len),
        Some(22),
        "{events}"
    );
    assert_eq!(
        host.json("/v1/events?type=run.lost")?["items"][0]["subject"],
        running["id"]
    );
    // The key of a run that is over is still known.
    assert_eq!(host.run("guests", &ok())?["outcome"], "succeeded");
    Ok(())
}

#[test]
fn a_key_is_remembered_over_a_kill() -> anyhow::Result<()> {
    let mut host = host()?;
    let mut first = Value::Null;
    for round in 0..3 {
        let response = host
            .client()
            .post(host.url("/v1/agents/guests/runs?wait=60s"))
            .header("idempotency-key", "once")
            .json(&ok())
            .send()?;
        assert_eq!(response.status(), if round == 0 { 201 } else { 200 });
        let run: Value = serde_json::from_str(&response.text()?)?;
        if round == 0 {
            first = run;
        } else {
            assert_eq!(kept(&run), kept(&first));
        }
        host = host.kill_and_restart()?;
    }
    assert_eq!(
        host.json("/v1/runs")?["items"].as_array().map(Vec::len),
        Some(1)
    );
    Ok(())
}

#[test]
fn two_hosts_cannot_share_a_folder() -> anyhow::Result<()> {
    let host = host()?;
    let began = Instant::now();
    let output = host.folder().infinity(&["serve"])?;
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr)?;
    assert!(text.contains(&format!("process {}", host.pid())), "{text}");
    assert!(text.contains("hint: "), "{text}");
    // The first one is not disturbed.
    assert_eq!(host.run("guests", &ok())?["outcome"], "succeeded");
    Ok(())
}

#[test]
fn a_stop_lets_runs_end_keeps_what_waits_and_exits_with_0() -> anyhow::Result<()> {
    let host = folder("concurrency = 1", "")?.serve()?;
    let running = start(&host, "guests", &json!({ "case": "sleep", "ms": 1500 }))?;
    poll(PATIENCE, || {
        (look(&host, &running).ok()?["state"] == "running").then_some(())
    })
    .context("it does not start")?;
    let queued = start(&host, "guests", &ok())?;
    let began = Instant::now();
    let (status, folder) = host.stop_and_keep()?;
    assert_eq!(status.code(), Some(0), "{status}");
    assert!(
        began.elapsed() < Duration::from_secs(25),
        "{:?}",
        began.elapsed()
    );

    let host = folder.serve()?;
    let running = look(&host, &running)?;
    assert_eq!(running["outcome"], "succeeded", "{running}");
    let queued = poll(PATIENCE, || {
        look(&host, &queued)
            .ok()
            .filter(|run| run["state"] == "ended")
    })
    .context("a run that waited does not run")?;
    assert_eq!(queued["outcome"], "succeeded", "{queued}");
    assert_eq!(
        host.json("/v1/runs")?["items"].as_array().map(Vec::len),
        Some(2)
    );
    Ok(())
}

#[test]
fn a_host_that_stops_takes_no_new_runs() -> anyhow::Result<()> {
    let host = host()?;
    let run = start(&host, "guests", &json!({ "case": "sleep", "ms": 20_000 }))?;
    poll(PATIENCE, || {
        (look(&host, &run).ok()?["state"] == "running").then_some(())
    })
    .context("it does not start")?;
    let pid = Pid::from_raw(i32::try_from(host.pid())?).context("a process id")?;
    kill_process(pid, Signal::TERM)?;
    // A new client finds no listener, a known one a problem.
    let refused = poll(PATIENCE, || start(&host, "guests", &ok()).err());
    let refused = refused.context("it goes on taking runs")?.to_string();
    assert!(!refused.contains(": 500"), "{refused}");
    Ok(())
}
