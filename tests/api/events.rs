//! Events: published from outside, handed to agents, followed by clients.

use crate::{folder, host, problem};
use anyhow::{Context as _, ensure};
use infinity_tests::host::{Host, PATIENCE, poll};
use reqwest::blocking::Response;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};

const ONE: &str = "application/cloudevents+json";
const BATCH: &str = "application/cloudevents-batch+json";

fn publish(host: &Host, media_type: &str, body: &Value) -> anyhow::Result<Response> {
    let request = host.client().post(host.url("/v1/events"));
    Ok(request
        .header("content-type", media_type)
        .body(body.to_string())
        .send()?)
}

fn accepted(response: Response) -> anyhow::Result<Value> {
    let status = response.status();
    let text = response.text()?;
    ensure!(status == 202, "{status}: {text}");
    Ok(serde_json::from_str(&text)?)
}

fn event(id: &str, kind: &str) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "https://ci.example.org/7", "type": kind,
        "subject": "main", "time": "2026-01-01T00:00:00Z", "data": { "ok": true }
    })
}

fn runs(host: &Host, agent: &str) -> anyhow::Result<Vec<Value>> {
    let list = host.json(&format!("/v1/runs?agent={agent}&limit=500"))?;
    list["items"].as_array().cloned().context("a list")
}

#[test]
fn events_from_outside_are_recorded_once_in_each_of_their_forms() -> anyhow::Result<()> {
    let host = host()?;
    let first = event("1", "build.done");
    let told = |accepted: u64, known: u64| json!({ "accepted": accepted, "known": known });
    assert_eq!(accepted(publish(&host, ONE, &first)?)?, told(1, 0));
    assert_eq!(accepted(publish(&host, ONE, &first)?)?, told(0, 1));
    let batch = json!([first, event("2", "build.done"), event("3", "build.failed")]);
    assert_eq!(accepted(publish(&host, BATCH, &batch)?)?, told(2, 1));
    let binary = host
        .client()
        .post(host.url("/v1/events"))
        .header("ce-specversion", "1.0")
        .header("ce-id", "4")
        .header("ce-source", "https://ci.example.org/7")
        .header("ce-type", "deploy.done")
        .json(&json!({ "pages": 12 }))
        .send()?;
    assert_eq!(accepted(binary)?["accepted"], 1);

    let ids = |query: &str| -> anyhow::Result<Vec<String>> {
        let list = host.json(&format!("/v1/events?{query}"))?;
        let items = list["items"].as_array().context("a list")?;
        Ok(items.iter().map(|event| event["id"].to_string()).collect())
    };
    assert_eq!(ids("type=build.*")?, ["\"1\"", "\"2\"", "\"3\""]);
    assert_eq!(ids("type=build.failed")?, ["\"3\""]);
    assert_eq!(ids("type=agent.state-changes")?.len(), 0);
    assert_eq!(ids("type=analytics.events")?.len(), 4);
    let whole = host.json("/v1/events?type=build.failed")?["items"][0].clone();
    let mut expected = event("3", "build.failed");
    expected["hops"] = 0.into();
    assert_eq!(whole, expected);
    Ok(())
}

#[test]
fn an_event_with_mistakes_is_refused_with_all_of_them_and_nothing_is_recorded() -> anyhow::Result<()>
{
    let host = host()?;
    let wrong = json!({ "specversion": "0.3", "id": "", "source": "/agents/x", "type": "Build Done", "time": "soon" });
    let body = problem(publish(&host, ONE, &wrong)?, 422, "invalid_event")?;
    let pointers: Vec<_> = body["errors"]
        .as_array()
        .context("errors")?
        .iter()
        .filter_map(|error| error["pointer"].as_str())
        .collect();
    assert_eq!(
        pointers,
        ["/specversion", "/id", "/source", "/type", "/time"]
    );
    // Nobody else says that a run ended.
    let own = json!([event("1", "build.done"), event("2", "run.failed")]);
    let body = problem(publish(&host, BATCH, &own)?, 422, "invalid_event")?;
    assert_eq!(body["errors"][0]["pointer"], "/1/type");
    let many: Vec<Value> = (0..101).map(|id| event(&id.to_string(), "a.b")).collect();
    problem(publish(&host, BATCH, &json!(many))?, 422, "invalid_event")?;
    problem(publish(&host, BATCH, &json!([]))?, 422, "invalid_event")?;
    let mut large = event("1", "a.b");
    large["data"] = "x".repeat(70_000).into();
    problem(publish(&host, ONE, &large)?, 422, "invalid_event")?;
    problem(
        publish(&host, "text/plain", &large)?,
        415,
        "unsupported_media_type",
    )?;
    // What would be read again with one level more than JSON may have.
    let deep = format!("{}{}", "[".repeat(127), "]".repeat(127));
    let binary = host
        .client()
        .post(host.url("/v1/events"))
        .header("ce-specversion", "1.0")
        .header("ce-id", "4")
        .header("ce-source", "x")
        .header("ce-type", "a.b")
        .header("content-type", "application/json")
        .body(deep)
        .send()?;
    problem(binary, 422, "invalid_event")?;
    let mut late = event("1", "a.b");
    late["time"] = "2999-01-01T00:00:00Z".into();
    problem(publish(&host, ONE, &late)?, 422, "invalid_event")?;
    let encoded = json!({ "specversion": "1.0", "id": "1", "source": "x", "type": "a.b", "data_base64": "AAAA" });
    problem(publish(&host, ONE, &encoded)?, 422, "invalid_event")?;
    assert_eq!(host.json("/v1/events")?["items"], json!([]));
    Ok(())
}

#[test]
fn agents_get_the_events_they_ask_for_once_also_over_a_kill() -> anyhow::Result<()> {
    let table = "[agents.builds]\nplugin = \"guests\"\non = [\"build.*\"]\n\
        [agents.critical]\nplugin = \"guests\"\non = [\"error.critical\"]\n";
    let host = folder("", table)?.serve()?;
    // Delivery begins with the host; what is published from then on is handed over.
    let mut warm = 0;
    poll(PATIENCE, || {
        warm += 1;
        let event = event(&format!("warm-{warm}"), "build.warm");
        accepted(publish(&host, ONE, &event).ok()?).ok()?;
        (!runs(&host, "builds").ok()?.is_empty()).then_some(())
    })
    .context("nothing is handed over")?;
    for id in 0..20 {
        accepted(publish(&host, ONE, &event(&id.to_string(), "build.done"))?)?;
    }
    let host = host.kill_and_restart()?;
    for id in 10..30 {
        accepted(publish(&host, ONE, &event(&id.to_string(), "build.done"))?)?;
    }
    let all = poll(PATIENCE, || {
        let mut runs = runs(&host, "builds").ok()?;
        runs.retain(|run| run["input"]["type"] == "build.done" && run["state"] == "ended");
        let ids: BTreeSet<String> = runs
            .iter()
            .map(|run| run["input"]["id"].to_string())
            .collect();
        (ids.len() == 30).then_some(runs)
    })
    .context("not every event has its run")?;
    for run in &all {
        assert_eq!(run["trigger"], "event", "{run}");
    }
    // A run that the kill cut short has a second attempt; the trigger is one.
    let keys: BTreeSet<String> = all
        .iter()
        .map(|run| run["idempotency_key"].to_string())
        .collect();
    assert_eq!(keys.len(), 30);
    assert_eq!(runs(&host, "critical")?.len(), 0);
    Ok(())
}

#[test]
fn events_wait_for_a_paused_agent() -> anyhow::Result<()> {
    let table = "[agents.builds]\nplugin = \"guests\"\non = [\"build.*\"]\n";
    let host = folder("", table)?.serve()?;
    let post = |path: &str| host.client().post(host.url(path)).send();
    assert_eq!(post("/v1/agents/builds/pause")?.status(), 200);
    let mut tries = 0;
    let waiting = poll(PATIENCE, || {
        tries += 1;
        let event = event(&tries.to_string(), "build.done");
        accepted(publish(&host, ONE, &event).ok()?).ok()?;
        runs(&host, "builds").ok()?.pop()
    })
    .context("the event has no run")?;
    assert_eq!(waiting["state"], "queued", "{waiting}");
    assert_eq!(post("/v1/agents/builds/resume")?.status(), 200);
    poll(PATIENCE, || {
        let runs = runs(&host, "builds").ok()?;
        runs.iter().all(|run| run["state"] == "ended").then_some(())
    })
    .context("the runs do not start")?;
    Ok(())
}

#[test]
fn agents_that_wake_each_other_come_to_rest() -> anyhow::Result<()> {
    let table = "[agents.echo]\nplugin = \"noop\"\non = [\"run.succeeded\"]\n";
    let folder = folder("", table)?;
    let noop = test_guests::COMPONENTS
        .iter()
        .find(|(name, _)| *name == "noop_agent")
        .context("a guest that does nothing")?;
    folder.bytes("noop", &wat::parse_str(noop.1)?)?;
    let host = folder.serve()?;
    poll(PATIENCE, || {
        host.run("guests", &json!({ "case": "ok" })).ok()?;
        (!runs(&host, "echo").ok()?.is_empty()).then_some(())
    })
    .context("nothing is handed over")?;
    // One circle for each run that was asked for and seen, eight long.
    poll(PATIENCE, || {
        let woken = runs(&host, "echo").ok()?.len();
        let events = host.json("/v1/events?limit=500").ok()?;
        let last = events["items"]
            .as_array()?
            .iter()
            .filter(|event| event["hops"] == 8)
            .count();
        (last > 0 && woken == last * 8).then_some(())
    })
    .context("they do not come to rest")?;
    Ok(())
}

/// The next event of a stream: its place, and its id.
fn next(
    lines: &mut impl Iterator<Item = std::io::Result<String>>,
) -> anyhow::Result<(String, String)> {
    let mut place = String::new();
    for line in lines {
        let line = line?;
        if let Some(id) = line.strip_prefix("id: ") {
            place = id.to_owned();
        } else if let Some(data) = line.strip_prefix("data: ") {
            let event: Value = serde_json::from_str(data)?;
            return Ok((place, event["id"].to_string()));
        }
    }
    anyhow::bail!("the stream ended")
}

#[test]
fn the_feed_can_be_followed_and_resumed() -> anyhow::Result<()> {
    let host = host()?;
    let open = |last: Option<&str>| -> anyhow::Result<Response> {
        let mut request = host
            .client()
            .get(host.url("/v1/events?type=build.*"))
            .header("accept", "text/event-stream");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        Ok(request.send()?)
    };
    let stream = open(None)?;
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let mut lines = BufReader::new(stream).lines();
    host.run("guests", &json!({ "case": "ok" }))?;
    for id in ["1", "2", "3"] {
        accepted(publish(&host, ONE, &event(id, "build.done"))?)?;
    }
    let (first, id) = next(&mut lines)?;
    assert_eq!(id, "\"1\"");
    assert_eq!(next(&mut lines)?.1, "\"2\"");
    drop(lines);
    let mut resumed = BufReader::new(open(Some(&first))?).lines();
    assert_eq!(next(&mut resumed)?.1, "\"2\"");
    assert_eq!(next(&mut resumed)?.1, "\"3\"");
    problem(open(Some("zz"))?, 400, "invalid_cursor")?;
    Ok(())
}
