//! What the host says of itself: metrics, health, levels, counts.

use crate::{folder, ok, problem};
use anyhow::Context as _;
use infinity_tests::host::{PATIENCE, poll};
use serde_json::{Value, json};

fn series(text: &str, name: &str) -> Option<f64> {
    text.lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|rest| rest.trim().parse().ok())
}

#[test]
fn metrics_count_what_happened() -> anyhow::Result<()> {
    let host = folder("", "[agents.tick]\nplugin = \"guests\"\nevery = \"1s\"\n")?.serve()?;
    host.run("guests", &ok())?;
    host.run("guests", &json!({ "case": "trap" }))?;
    host.get("/v1/runs")?;
    host.get("/nothing")?;
    poll(PATIENCE, || {
        let ledger = host.json("/v1/occurrences?agent=tick").ok()?;
        (!ledger["items"].as_array()?.is_empty()).then_some(())
    })
    .context("nothing is due")?;
    let answer = host.get("/metrics")?;
    assert!(
        answer.headers()["content-type"]
            .to_str()?
            .starts_with("application/openmetrics-text")
    );
    let text = answer.text()?;
    assert!(text.ends_with("# EOF\n"));
    let value = |name: &str| series(&text, name).with_context(|| format!("no `{name}` in\n{text}"));
    assert!(value("infinity_runs_total{agent=\"guests\",outcome=\"succeeded\"}")? >= 1.0);
    assert!(value("infinity_runs_total{agent=\"guests\",outcome=\"trapped\"}")? >= 1.0);
    assert!(value("infinity_occurrences_total{agent=\"tick\",result=\"fired\"}")? >= 1.0);
    assert!(value("infinity_schedule_lateness_seconds_count")? >= 1.0);
    assert!(
        value("infinity_http_requests_total{method=\"GET\",route=\"/v1/runs\",status=\"2xx\"}")?
            >= 1.0
    );
    assert!(
        value("infinity_http_requests_total{method=\"GET\",route=\"unmatched\",status=\"4xx\"}")?
            >= 1.0
    );
    assert!(
        value("infinity_http_request_duration_seconds_count{method=\"GET\",route=\"/v1/runs\"}")?
            >= 1.0
    );
    assert!(value("infinity_store_commits_total")? >= 2.0);
    assert!(value("infinity_places")? >= 8.0);
    assert!(value("infinity_pool_instances_max")? > 0.0);
    assert!(value("process_resident_memory_bytes")? > 1e6);
    assert!(value("infinity_agent_health_score{agent=\"guests\"}")? <= 1.0);
    // Each series is described once.
    let mut names: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("# TYPE"))
        .collect();
    names.sort_unstable();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all);
    Ok(())
}

#[test]
fn the_level_of_the_log_changes_while_the_host_runs() -> anyhow::Result<()> {
    let host = folder("", "")?.serve()?;
    let put = |body: &Value| {
        host.client()
            .put(host.url("/v1/log-level"))
            .json(body)
            .send()
    };
    assert_eq!(host.json("/v1/log-level")?["filter"], "info");
    assert_eq!(put(&json!({ "level": "debug" }))?.status(), 200);
    host.run("guests", &ok())?;
    poll(PATIENCE, || {
        host.log().contains("run.succeeded").then_some(())
    })
    .context("debug says nothing of events")?;
    assert_eq!(
        put(&json!({ "level": "error" }))?.json::<Value>()?["filter"],
        "error"
    );
    problem(put(&json!({ "level": "loud" }))?, 422, "invalid_level")?;
    problem(
        put(&json!({ "level": "info", "x": 1 }))?,
        422,
        "invalid_level",
    )?;
    Ok(())
}

#[test]
fn every_component_is_looked_at_and_the_host_says_so_every_half_minute() -> anyhow::Result<()> {
    let host = folder("", "[agents.bad]\nplugin = \"guests\"\n")?.serve()?;
    for _ in 0..4 {
        host.run("bad", &json!({ "case": "trap" }))?;
    }
    let health = host.json("/health?verbose")?;
    let found = |name: &str| {
        health["checks"]
            .as_array()
            .and_then(|checks| checks.iter().find(|check| check["component"] == name))
            .cloned()
            .with_context(|| format!("no `{name}` in {health}"))
    };
    for name in [
        "store",
        "agents",
        "runtime",
        "schedule",
        "delivery",
        "pool",
        "agent/guests",
    ] {
        assert_eq!(found(name)?["ok"], true, "{health}");
    }
    assert_eq!(found("agent/bad")?["ok"], false);
    assert_eq!(health["status"], "degraded");
    let score = host.json("/v1/agents/bad/health")?;
    assert_eq!(
        (&score["score"], &score["runs"], &score["succeeded"]),
        (&json!(0.0), &json!(4), &json!(0))
    );
    let events = poll(PATIENCE * 2, || {
        let events = host.json("/v1/events?type=health-metrics").ok()?;
        let items = events["items"].as_array()?.clone();
        (items.len() >= 2).then_some(items)
    })
    .context("the host says nothing of its health")?;
    assert_eq!(events[0]["type"], "system.health");
    assert_eq!(events[0]["data"]["degraded"], json!(["agent/bad"]));
    assert_eq!(events[1]["type"], "system.degraded");
    // The agents' own words come after the host's.
    let of = poll(PATIENCE, || {
        let beats = host.json("/v1/events?type=agent-heartbeats").ok()?;
        beats["items"][0]["data"]["of"].as_u64()
    })
    .context("no agent was heard")?;
    assert_eq!(of, 2);
    // The same is an alert, counted and logged at once; and every event is counted in a batch.
    poll(PATIENCE, || {
        host.log().contains("system.degraded").then_some(())
    })
    .with_context(|| host.log())?;
    let counts = poll(PATIENCE, || {
        let counts = host.json("/v1/events/counts").ok()?;
        let items = counts["items"].as_array()?.clone();
        items
            .iter()
            .any(|count| count["type"] == "system.health")
            .then_some(items)
    })
    .context("events are not counted")?;
    assert!(
        counts
            .iter()
            .any(|count| count["type"] == "run.trapped" && count["count"] == 4),
        "{counts:?}"
    );
    Ok(())
}

#[test]
fn channels_and_sub_resources_answer() -> anyhow::Result<()> {
    let host = folder("", "")?.serve()?;
    let run = host.run("guests", &ok())?;
    let state = host.json("/v1/agents/guests/state")?;
    assert_eq!(
        (&state["state"], &state["last_run"]["id"]),
        (&json!("online"), &run["id"])
    );
    let history = host.json("/v1/agents/guests/history?limit=1")?;
    assert_eq!(history["items"][0]["id"], run["id"]);
    let usage = host.json("/v1/agents/guests/usage")?;
    assert_eq!(
        (&usage["items"][0]["runs"], &usage["items"][0]["succeeded"]),
        (&json!(1), &json!(1))
    );
    assert!(
        usage["items"][0]["wall_us"]
            .as_u64()
            .is_some_and(|wall| wall > 0)
    );
    let builds = host.json("/v1/events?type=builds")?;
    assert_eq!(builds["items"][0]["type"], "run.succeeded");
    assert_eq!(
        host.json("/v1/events?type=deployments")?["items"],
        json!([])
    );
    let status = host.json("/v1/status")?;
    assert_eq!(status["states"], json!({ "online": 1 }));
    problem(host.get("/v1/agents/gusts/usage")?, 404, "unknown_agent")?;
    problem(
        host.get("/v1/agents/guests/usage?hours=0")?,
        422,
        "invalid_parameter",
    )?;
    Ok(())
}
