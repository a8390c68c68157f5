//! Runs that are tried again, runs that are given up on, and agents that are given a rest.

use crate::{GONE, folder, host, id, look, problem, serve_without_repository, start};
use anyhow::Context as _;
use infinity_tests::host::{Host, PATIENCE, poll};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn post(host: &Host, path: &str) -> anyhow::Result<reqwest::blocking::Response> {
    Ok(host.client().post(host.url(path)).send()?)
}

fn dead(host: &Host) -> anyhow::Result<Vec<Value>> {
    let list = host.json("/v1/dead-letters")?;
    list["items"].as_array().cloned().context("a list")
}

#[test]
fn what_may_pass_is_tried_again_with_growing_pauses_and_then_kept() -> anyhow::Result<()> {
    let keys = "every = \"1s\"\nretries = 2\nretry_delay = \"800ms\"\n";
    let host = serve_without_repository(folder(
        "",
        &format!("[agents.reader]\nplugin = \"guests\"\n{keys}{GONE}"),
    )?)?;
    let letter = poll(PATIENCE, || dead(&host).ok()?.pop()).context("nothing is given up on")?;
    assert_eq!(letter["attempt"], 3, "{letter}");
    assert_eq!(
        (&letter["outcome"], &letter["reason"]),
        (&json!("failed"), &json!("repository"))
    );
    let runs = host.json("/v1/runs?agent=reader&limit=500")?;
    let key = &letter["idempotency_key"];
    let attempts: Vec<&Value> = runs["items"]
        .as_array()
        .context("runs")?
        .iter()
        .filter(|run| run["idempotency_key"] == *key)
        .collect();
    let numbers: Vec<_> = attempts.iter().map(|run| run["attempt"].as_u64()).collect();
    assert_eq!(numbers, [Some(3), Some(2), Some(1)]);
    let time = |run: &Value, field: &str| -> anyhow::Result<jiff::Timestamp> {
        Ok(run[field].as_str().context("a moment")?.parse()?)
    };
    for (pair, least_ms) in attempts.windows(2).zip([800, 400]) {
        let pause = time(pair[0], "started_at")?.duration_since(time(pair[1], "ended_at")?);
        assert!(pause.as_millis() >= least_ms, "{pause:?}");
    }
    // The schedule is not disturbed: each moment is in the ledger, some while attempts were made.
    let ledger = host.json("/v1/occurrences?agent=reader&result=skipped")?;
    assert_eq!(ledger["items"][0]["reason"], "overlap");

    let id = id(&letter)?.to_owned();
    let response = post(&host, &format!("/v1/dead-letters/{id}/retry"))?;
    assert_eq!(response.status(), 201);
    let again: Value = serde_json::from_str(&response.text()?)?;
    assert_eq!(
        (&again["attempt"], &again["idempotency_key"]),
        (&json!(4), key)
    );
    assert!(dead(&host)?.iter().all(|run| run["id"] != *id));
    problem(
        post(&host, &format!("/v1/dead-letters/{id}/retry"))?,
        409,
        "not_dead",
    )?;
    // It fails again and is back.
    let again = poll(PATIENCE, || {
        dead(&host)
            .ok()?
            .into_iter()
            .find(|run| run["attempt"] == 4)
    })
    .context("the further attempt is not given up on")?;
    let path = format!(
        "/v1/dead-letters/{}",
        again["id"].as_str().unwrap_or_default()
    );
    let dropped = host.client().delete(host.url(&path)).send()?;
    assert_eq!(dropped.status(), 204);
    problem(
        host.client().delete(host.url(&path)).send()?,
        409,
        "not_dead",
    )?;
    assert_eq!(look(&host, &again)?["state"], "ended");
    let nobody = "/v1/dead-letters/01890000-0000-7000-8000-000000000000/retry";
    problem(post(&host, nobody)?, 404, "not_found")?;
    Ok(())
}

#[test]
fn what_a_person_asked_for_and_failed_is_not_tried_again() -> anyhow::Result<()> {
    let host = host()?;
    let run = host.run("guests", &json!({ "case": "trap" }))?;
    assert_eq!(run["outcome"], "trapped");
    assert_eq!(
        host.json("/v1/runs")?["items"].as_array().map(Vec::len),
        Some(1)
    );
    assert_eq!(dead(&host)?, [] as [Value; 0]);
    Ok(())
}

#[test]
fn an_agent_that_crashes_five_times_is_given_a_rest_until_somebody_resumes_it() -> anyhow::Result<()>
{
    let host = host()?;
    for _ in 0..4 {
        assert_eq!(
            host.run("guests", &json!({ "case": "trap" }))?["outcome"],
            "trapped"
        );
    }
    assert_eq!(host.json("/v1/agents/guests")?["quarantined"], false);
    assert_eq!(
        host.run("guests", &json!({ "case": "trap" }))?["outcome"],
        "trapped"
    );
    poll(PATIENCE, || {
        (host.json("/v1/agents/guests").ok()?["quarantined"] == true).then_some(())
    })
    .context("it is not in quarantine")?;
    assert_eq!(host.json("/v1/agents/guests")?["state"], "error");
    let events = host.json("/v1/events?type=agent.quarantined")?;
    assert_eq!(events["items"][0]["subject"], "guests");
    // Over a restart, too; and who asks for a run gets it.
    let host = host.kill_and_restart()?;
    assert_eq!(host.json("/v1/agents/guests")?["quarantined"], true);
    assert_eq!(
        host.run("guests", &json!({ "case": "ok" }))?["outcome"],
        "succeeded"
    );
    assert_eq!(post(&host, "/v1/agents/guests/resume")?.status(), 200);
    let agent = host.json("/v1/agents/guests")?;
    assert_eq!(
        (&agent["quarantined"], &agent["state"]),
        (&json!(false), &json!("online"))
    );
    drop(start(&host, "guests", &json!({ "case": "ok" }))?);
    Ok(())
}

#[test]
fn a_server_that_fails_is_left_alone_by_the_agent_that_saw_it_fail() -> anyhow::Result<()> {
    // It hangs up on everybody.
    let server = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/", server.local_addr()?);
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    std::thread::spawn(move || {
        while let Ok((stream, _)) = server.accept() {
            counted.fetch_add(1, Ordering::SeqCst);
            drop(stream);
        }
    });
    let grant = format!("grants.http = [{{ url = \"{url}\", private = [\"127.0.0.0/8\"] }}]");
    let host = folder(
        "",
        &format!("[agents.one]\nplugin = \"guests\"\n{grant}\n[agents.other]\nplugin = \"guests\"\n{grant}\n"),
    )?
    .serve()?;
    let asked = |agent: &str| -> anyhow::Result<Vec<String>> {
        let urls = vec![url.clone(); 8];
        let run = host.run(agent, &json!({ "case": "http_each", "urls": urls }))?;
        let report = host.json(&format!("/v1/runs/{}/report", id(&run)?))?;
        let answers = report["output"]["answers"].as_array().context("answers")?;
        Ok(answers
            .iter()
            .map(|answer| answer["answer"]["error"].to_string())
            .collect())
    };
    let errors = asked("one")?;
    assert_eq!(calls.load(Ordering::SeqCst), 5, "{errors:?}");
    assert_ne!(errors[4], errors[5]);
    // It rests between runs, too, and for this agent alone.
    asked("one")?;
    assert_eq!(calls.load(Ordering::SeqCst), 5);
    asked("other")?;
    assert_eq!(calls.load(Ordering::SeqCst), 10);
    Ok(())
}
