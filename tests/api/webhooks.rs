//! Signed deliveries: what is believed, what starts a run, and what a kill leaves.

use crate::{folder, look, problem};
use anyhow::Context as _;
use aws_lc_rs::hmac;
use infinity_tests::host::{Host, PATIENCE, poll};
use reqwest::blocking::Response;

use serde_json::{Value, json};
use std::collections::BTreeSet;
use uuid::Uuid;

pub(crate) const SECRET: &str = "a secret that nobody guesses";

const TABLE: &str = "[agents.hook]\nplugin = \"guests\"\nwebhook = { secret = \"a secret that nobody guesses\", events = [\"push\"] }\n\
    [agents.any]\nplugin = \"guests\"\nwebhook = { secret = \"a secret that nobody guesses\" }\n\
    [agents.off]\nplugin = \"guests\"\nenabled = false\nwebhook = { secret = \"a secret that nobody guesses\" }\n";

pub(crate) fn sign(body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let tag = hmac::sign(&key, body);
    let hex: String = tag
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256={hex}")
}

fn send(
    host: &Host,
    agent: &str,
    body: &[u8],
    headers: &[(&str, &str)],
) -> anyhow::Result<Response> {
    let mut request = host
        .client()
        .post(host.url(&format!("/v1/agents/{agent}/webhook")))
        .header("content-type", "application/json")
        .body(body.to_vec());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Ok(request.send()?)
}

pub(crate) fn deliver(
    host: &Host,
    agent: &str,
    id: Uuid,
    event: &str,
    body: &[u8],
) -> anyhow::Result<Response> {
    let (signature, id) = (sign(body), id.to_string());
    send(
        host,
        agent,
        body,
        &[
            ("x-signature-256", &signature),
            ("x-delivery", &id),
            ("x-event", event),
        ],
    )
}

#[test]
fn a_delivery_starts_one_run_however_often_it_comes() -> anyhow::Result<()> {
    let host = folder("", TABLE)?.serve()?;
    let body = br#"{ "case": "ok",  "of": "push" }"#;
    let id = Uuid::now_v7();
    let first = deliver(&host, "hook", id, "push", body)?;
    assert_eq!(first.status(), 202);
    let first: Value = first.json()?;
    assert_eq!(first["duplicate"], false);
    let again = deliver(&host, "hook", id, "push", body)?;
    assert_eq!(again.status(), 200);
    let again: Value = again.json()?;
    assert_eq!(
        (&again["duplicate"], &again["run"]),
        (&json!(true), &first["run"])
    );
    let run = poll(PATIENCE, || {
        look(&host, &json!({ "id": first["run"] }))
            .ok()
            .filter(|run| run["state"] == "ended")
    })
    .context("the run does not end")?;
    assert_eq!(run["trigger"], "webhook");
    assert_eq!(run["input"]["event"], "push");
    assert_eq!(run["input"]["body"]["of"], "push");
    assert_eq!(run["input"]["delivery"], id.to_string());
    let runs = host.json("/v1/runs?agent=hook")?;
    assert_eq!(runs["items"].as_array().map(Vec::len), Some(1));
    // The same id to another agent is another delivery.
    assert_eq!(deliver(&host, "any", id, "push", body)?.status(), 202);
    // As GitHub sends it.
    let (signature, other) = (sign(body), Uuid::now_v7().to_string());
    let github = send(
        &host,
        "hook",
        body,
        &[
            ("x-hub-signature-256", &signature),
            ("x-github-delivery", &other),
            ("x-github-event", "push"),
        ],
    )?;
    assert_eq!(github.status(), 202);
    // Text is a body, too.
    let text = deliver(&host, "any", Uuid::now_v7(), "x", b"not json")?;
    let text: Value = text.json()?;
    let run = look(&host, &json!({ "id": text["run"] }))?;
    assert_eq!(run["input"]["body"], "not json");
    Ok(())
}

#[test]
fn nothing_is_believed_without_the_right_signature() -> anyhow::Result<()> {
    let host = folder("", TABLE)?.serve()?;
    let body = br#"{"a": 1}"#;
    let id = Uuid::now_v7().to_string();
    let right = sign(body);
    let delivery = ("x-delivery", id.as_str());
    problem(
        send(&host, "hook", body, &[delivery])?,
        401,
        "bad_signature",
    )?;
    for wrong in [
        "sha256=00",
        &right.replace("sha256=", ""),
        &right.replace("sha256=", "sha1="),
        &format!("{right}0"),
        &sign(br#"{"a":1}"#),
    ] {
        let answer = send(&host, "hook", body, &[delivery, ("x-signature-256", wrong)])?;
        problem(answer, 401, "bad_signature")?;
    }
    let signed = ("x-signature-256", right.as_str());
    problem(
        send(&host, "hook", body, &[signed])?,
        400,
        "invalid_delivery",
    )?;
    let odd = ("x-delivery", "17");
    problem(
        send(&host, "hook", body, &[signed, odd])?,
        400,
        "invalid_delivery",
    )?;
    problem(
        send(&host, "guests", body, &[signed, delivery])?,
        404,
        "no_webhook",
    )?;
    problem(
        send(&host, "none", body, &[signed, delivery])?,
        404,
        "no_webhook",
    )?;
    problem(
        deliver(&host, "off", Uuid::now_v7(), "push", body)?,
        409,
        "agent_disabled",
    )?;
    let large = vec![b'x'; 1024 * 1024 + 1];
    let answer = deliver(&host, "hook", Uuid::now_v7(), "push", &large)?;
    problem(answer, 413, "body_too_large")?;
    // What is no reason to run: a ping, and what the agent does not ask for.
    assert_eq!(
        deliver(&host, "hook", Uuid::now_v7(), "ping", body)?.status(),
        200
    );
    let ignored = deliver(&host, "hook", Uuid::now_v7(), "issues", body)?;
    assert_eq!(ignored.status(), 202);
    assert_eq!(ignored.json::<Value>()?["ignored"], true);
    assert_eq!(host.json("/v1/runs")?["items"], json!([]));
    Ok(())
}

#[test]
fn what_was_acknowledged_survives_a_kill_and_comes_once() -> anyhow::Result<()> {
    let mut host = folder("concurrency = 2", TABLE)?.serve()?;
    let body = br#"{"case":"ok"}"#;
    let ids: Vec<Uuid> = (0..40).map(|_| Uuid::now_v7()).collect();
    for (number, id) in ids.iter().enumerate() {
        assert_eq!(deliver(&host, "any", *id, "x", body)?.status(), 202);
        if number % 15 == 14 {
            host = host.kill_and_restart()?;
            // A sender that is not sure sends again.
            assert_eq!(deliver(&host, "any", *id, "x", body)?.status(), 200);
        }
    }
    let ended = poll(PATIENCE, || {
        let runs = host.json("/v1/runs?agent=any&limit=500").ok()?;
        let runs = runs["items"].as_array()?.clone();
        let done: BTreeSet<String> = runs
            .iter()
            .filter(|run| run["state"] == "ended" && run["outcome"] != "lost")
            .map(|run| run["input"]["delivery"].to_string())
            .collect();
        (done.len() == ids.len()).then_some(runs)
    })
    .context("not every delivery has its run")?;
    let keys: BTreeSet<String> = ended
        .iter()
        .map(|run| run["idempotency_key"].to_string())
        .collect();
    assert_eq!(keys.len(), ids.len());
    Ok(())
}
