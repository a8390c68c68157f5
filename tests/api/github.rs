//! GitHub's deliveries: what is believed, what becomes an event, and that one delivery is one.

use crate::problem;
use crate::webhooks::SECRET;
use anyhow::Context as _;
use aws_lc_rs::hmac;
use infinity_tests::host::{Folder, Host, PATIENCE, poll};
use reqwest::blocking::Response;
use serde_json::{Value, json};

const OTHER: &str = "the secret that comes after it";

fn signature(secret: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, body);
    let digits: String = tag
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256={digits}")
}

fn send(
    host: &Host,
    secret: &str,
    delivery: &str,
    event: &str,
    body: &[u8],
) -> anyhow::Result<Response> {
    let request = host
        .client()
        .post(host.url("/webhooks/github"))
        .header("content-type", "application/json")
        .header("x-github-event", event)
        .header("x-github-delivery", delivery)
        .header("x-hub-signature-256", signature(secret, body))
        .body(body.to_vec());
    Ok(request.send()?)
}

#[test]
fn a_delivery_is_believed_by_its_signature_and_starts_one_run() -> anyhow::Result<()> {
    let folder = Folder::new()?;
    folder.component("test_guests", "guests")?;
    folder.config(
        "",
        &format!("[github]\nwebhook_secrets = [\"{SECRET}\", \"{OTHER}\"]\n[agents.asks]\nplugin = \"guests\"\non = [\"github.push\", \"github.pull_request\"]\n"),
    )?;
    let host = folder.serve()?;
    let body = json!({ "ref": "refs/heads/main", "after": "1", "repository": { "full_name": "acme/ops" } }).to_string();
    let first = "11111111-1111-4111-8111-111111111111";
    let taken = send(&host, SECRET, first, "push", body.as_bytes())?;
    assert_eq!(taken.status(), 202);
    assert_eq!(taken.json::<Value>()?["event"], "github.push");
    // Again, and under the secret that is on its way in.
    for secret in [SECRET, OTHER] {
        let again = send(&host, secret, first, "push", body.as_bytes())?;
        assert_eq!(again.status(), 200);
        assert_eq!(again.json::<Value>()?["duplicate"], true);
    }
    let second = "22222222-2222-4222-8222-222222222222";
    let number = json!({ "action": "opened", "number": 7, "pull_request": { "number": 7 }, "repository": { "full_name": "acme/ops" } }).to_string();
    assert_eq!(
        send(&host, OTHER, second, "pull_request", number.as_bytes())?.status(),
        202
    );
    let runs = poll(PATIENCE, || {
        let runs = host.json("/v1/runs?agent=asks").ok()?["items"]
            .as_array()?
            .clone();
        (runs.len() >= 2).then_some(runs)
    })
    .context("there are not two runs")?;
    assert_eq!(runs.len(), 2, "{runs:?}");
    let push = runs
        .iter()
        .find(|run| run["input"]["type"] == "github.push")
        .context("a push")?;
    assert_eq!(push["input"]["source"], "/github/acme/ops");
    assert_eq!(push["input"]["subject"], "refs/heads/main");
    assert_eq!(push["input"]["data"]["after"], "1");
    // What is not asked for, and what only asks whether somebody is there.
    let third = "33333333-3333-4333-8333-333333333333";
    assert_eq!(
        send(&host, SECRET, third, "star", b"{}")?.json::<Value>()?["event"],
        Value::Null
    );
    assert_eq!(send(&host, SECRET, third, "ping", b"{}")?.status(), 200);
    // What is not believed.
    problem(
        send(
            &host,
            "a secret that somebody guesses",
            third,
            "push",
            b"{}",
        )?,
        401,
        "bad_signature",
    )?;
    problem(
        send(&host, SECRET, "no uuid", "push", b"{}")?,
        400,
        "invalid_delivery",
    )?;
    let other = host
        .client()
        .post(host.url("/webhooks/github"))
        .header("x-hub-signature-256", signature(SECRET, b"{}"))
        .body("{ }")
        .send()?;
    problem(other, 401, "bad_signature")?;
    // More than other bodies may have, of which the event keeps what names things.
    let large = json!({ "ref": "refs/heads/main", "after": "2", "commits": vec!["x".repeat(1_000); 3_000], "repository": { "full_name": "acme/ops" } }).to_string();
    assert_eq!(
        send(&host, SECRET, third, "push", large.as_bytes())?.status(),
        202
    );
    let found = poll(PATIENCE, || {
        let runs = host.json("/v1/runs?agent=asks").ok()?;
        let runs = runs["items"].as_array()?;
        runs.iter()
            .find(|run| run["input"]["data"]["after"] == "2")
            .cloned()
    })
    .context("the large push started nothing")?;
    assert_eq!(found["input"]["data"]["truncated"], true);
    Ok(())
}

#[test]
fn nobody_listens_without_a_secret() -> anyhow::Result<()> {
    let folder = Folder::new()?;
    folder.component("test_guests", "guests")?;
    folder.config("", "[agents.asks]\nplugin = \"guests\"\n")?;
    let host = folder.serve()?;
    let id = "11111111-1111-4111-8111-111111111111";
    problem(send(&host, SECRET, id, "push", b"{}")?, 404, "no_webhook")?;
    Ok(())
}
