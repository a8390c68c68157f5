//! What a run leaves: report, log, findings, SARIF, artifacts.

use crate::{host, id, look, problem, start};
use anyhow::Context as _;
use infinity_tests::host::{PATIENCE, poll};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};

#[test]
fn findings_are_listed_in_pages_and_in_the_report() -> anyhow::Result<()> {
    let host = host()?;
    let run = host.run("guests", &json!({ "case": "finding" }))?;
    assert_eq!(run["outcome"], "failed");
    assert_eq!(run["findings"], 2);
    let path = format!("/v1/runs/{}/findings", id(&run)?);
    let all = host.json(&path)?;
    assert_eq!(
        all,
        json!({
            "items": [
                {
                    "rule": "test/placed",
                    "level": "error",
                    "message": "this file has a problem",
                    "location": { "repository": "ops", "path": "src/lib.rs", "line": 3, "column": 7 },
                    "help": "remove the problem"
                },
                { "rule": "test/general", "level": "note", "message": "this is good to know", "location": null, "help": null }
            ],
            "next": null
        })
    );
    assert_eq!(host.report(&run)?["findings"], all["items"]);
    let first = host.json(&format!("{path}?limit=1"))?;
    let next = first["next"].as_str().context("more")?;
    let second = host.json(&format!("{path}?limit=1&cursor={next}"))?;
    assert_eq!(first["items"][0], all["items"][0]);
    assert_eq!(second["items"], json!([all["items"][1]]));
    assert_eq!(second["next"], Value::Null);
    // A cursor belongs to its list.
    problem(
        host.get(&format!("/v1/runs?cursor={next}"))?,
        400,
        "invalid_cursor",
    )?;
    Ok(())
}

#[test]
fn findings_are_valid_sarif() -> anyhow::Result<()> {
    let schema: Value = serde_json::from_str(include_str!("sarif-schema-2.1.0.json"))?;
    let validator = jsonschema::validator_for(&schema)?;
    let host = host()?;
    let mut documents = Vec::new();
    for input in [
        json!({ "case": "finding" }),
        json!({ "case": "ok" }),
        json!({ "case": "trap" }),
        json!({ "case": "log_inject" }),
        json!({ "case": "findings_bomb", "count": 200, "bytes": 50 }),
    ] {
        let run = host.run("guests", &input)?;
        let response = host.get(&format!("/v1/runs/{}/sarif", id(&run)?))?;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/sarif+json");
        let sarif: Value = serde_json::from_str(&response.text()?)?;
        let mistakes: Vec<String> = validator
            .iter_errors(&sarif)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(mistakes.is_empty(), "{input}: {mistakes:#?}");
        assert_eq!(
            sarif["runs"][0]["results"].as_array().map(Vec::len),
            run["findings"]
                .as_u64()
                .and_then(|count| usize::try_from(count).ok()),
            "{input}"
        );
        documents.push(sarif);
    }
    let run = &documents[0]["runs"][0];
    assert_eq!(run["tool"]["driver"]["name"], "guests");
    assert_eq!(run["tool"]["driver"]["version"], "0.1.0");
    assert_eq!(run["results"][0]["ruleId"], "test/placed");
    assert_eq!(
        run["results"][0]["locations"][0]["physicalLocation"],
        json!({
            "artifactLocation": { "uri": "src/lib.rs", "uriBaseId": "ops" },
            "region": { "startLine": 3, "startColumn": 7 }
        })
    );
    assert_eq!(run["invocations"][0]["executionSuccessful"], true);
    assert_eq!(
        documents[2]["runs"][0]["invocations"][0]["executionSuccessful"],
        false
    );
    Ok(())
}

#[test]
fn artifacts_come_back_byte_for_byte_and_never_as_a_page() -> anyhow::Result<()> {
    let host = host()?;
    let run = host.run(
        "guests",
        &json!({ "case": "artifact", "name": "a.html", "media_type": "text/html", "bytes": 5000 }),
    )?;
    let list = host.json(&format!("/v1/runs/{}/artifacts", id(&run)?))?;
    let info = &list["items"][0];
    assert_eq!(list["items"].as_array().map(Vec::len), Some(1), "{list}");
    assert_eq!(info["name"], "a.html");
    assert_eq!(info["media_type"], "text/html");
    assert_eq!(info["size"], 5000);
    assert_eq!(info["digest"], host.report(&run)?["output"]["digest"]);
    let response = host.get(&format!("/v1/runs/{}/artifacts/a.html", id(&run)?))?;
    assert_eq!(response.status(), 200);
    let headers = response.headers().clone();
    assert_eq!(headers["content-type"], "text/html");
    assert_eq!(
        headers["content-disposition"],
        "attachment; filename*=UTF-8''a.html"
    );
    assert_eq!(
        headers["content-security-policy"],
        "default-src 'none'; sandbox"
    );
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert_eq!(
        headers["etag"].to_str()?.trim_matches('"'),
        info["digest"].as_str().unwrap_or_default()
    );
    assert_eq!(response.bytes()?.len(), 5000);
    problem(
        host.get(&format!("/v1/runs/{}/artifacts/none", id(&run)?))?,
        404,
        "not_found",
    )?;
    for name in ["..%2F..%2Finfinity.db", "%00", "%2Fetc%2Fpasswd"] {
        let response = host.get(&format!("/v1/runs/{}/artifacts/{name}", id(&run)?))?;
        problem(response, 404, "not_found")?;
    }

    let run = host.run(
        "guests",
        &json!({ "case": "artifacts", "count": 20, "bytes": 100 }),
    )?;
    let list = host.json(&format!("/v1/runs/{}/artifacts", id(&run)?))?;
    let items = list["items"].as_array().context("items")?;
    assert_eq!(items.len(), 20);
    for item in items {
        let name = item["name"].as_str().context("a name")?.replace('/', "%2F");
        let bytes = host
            .get(&format!("/v1/runs/{}/artifacts/{name}", id(&run)?))?
            .bytes()?;
        assert_eq!(bytes.len(), 100);
    }
    Ok(())
}

#[test]
fn a_log_is_read_in_parts() -> anyhow::Result<()> {
    let host = host()?;
    let run = host.run(
        "guests",
        &json!({ "case": "print", "text": "one\ntwo\n\u{1b}[31mthree\n" }),
    )?;
    let path = format!("/v1/runs/{}/logs", id(&run)?);
    let all = host.json(&path)?;
    let messages: Vec<&str> = all["items"]
        .as_array()
        .context("items")?
        .iter()
        .filter_map(|line| line["message"].as_str())
        .collect();
    assert_eq!(messages[..2], ["one", "two"]);
    assert!(
        messages[2].contains("three") && !messages[2].contains('\u{1b}'),
        "{messages:?}"
    );
    assert_eq!(all["next"], Value::Null);
    let first = host.json(&format!("{path}?limit=2"))?;
    assert_eq!(first["next"], "1");
    let rest = host.json(&format!("{path}?after=1"))?;
    assert_eq!(rest["items"], json!([all["items"][2]]));
    Ok(())
}

/// The events of a stream, up to `end`: name, id and data.
fn follow(
    host: &infinity_tests::host::Host,
    path: &str,
    last: Option<&str>,
) -> anyhow::Result<Vec<(String, String, Value)>> {
    let mut request = host
        .client()
        .get(host.url(path))
        .header("accept", "text/event-stream");
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    let response = request.send()?;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut events = Vec::new();
    let (mut name, mut number, mut data) = (String::new(), String::new(), String::new());
    for line in BufReader::new(response).lines() {
        let line = line?;
        if line.is_empty() {
            if !name.is_empty() {
                events.push((
                    std::mem::take(&mut name),
                    std::mem::take(&mut number),
                    serde_json::from_str(&data)?,
                ));
            }
        } else if let Some(value) = line.strip_prefix("event: ") {
            name = value.to_owned();
        } else if let Some(value) = line.strip_prefix("id: ") {
            number = value.to_owned();
        } else if let Some(value) = line.strip_prefix("data: ") {
            data = value.to_owned();
        }
    }
    Ok(events)
}

#[test]
fn a_log_is_followed_until_the_run_ends() -> anyhow::Result<()> {
    let host = host()?;
    // Followed from before its end to its end.
    let run = start(&host, "guests", &json!({ "case": "sleep_forever" }))?;
    let path = format!("/v1/runs/{}/logs", id(&run)?);
    let events = std::thread::scope(|scope| {
        let follower = scope.spawn(|| follow(&host, &path, None));
        let started = poll(PATIENCE, || {
            (look(&host, &run).ok()?["state"] == "running").then_some(())
        });
        assert!(started.is_some());
        crate::cancel(&host, &run)?;
        follower
            .join()
            .map_err(|_| anyhow::anyhow!("the follower failed"))?
    })?;
    let (name, _, end) = events.last().context("an event")?;
    assert_eq!(name, "end");
    assert_eq!(end["outcome"], "cancelled");
    assert_eq!(end["id"], run["id"]);

    // Followed after its end, and from a place on.
    let run = host.run(
        "guests",
        &json!({ "case": "print", "text": "one\ntwo\nthree\n" }),
    )?;
    let path = format!("/v1/runs/{}/logs", id(&run)?);
    let events = follow(&host, &path, None)?;
    let names: Vec<&str> = events.iter().map(|event| event.0.as_str()).collect();
    assert_eq!(names, ["log", "log", "log", "end"]);
    assert_eq!(events[1].1, "1");
    assert_eq!(events[1].2["message"], "two");
    let events = follow(&host, &path, Some("1"))?;
    assert_eq!(events.len(), 2);
    assert_eq!(events[0].2["message"], "three");
    Ok(())
}
