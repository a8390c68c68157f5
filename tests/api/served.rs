//! Components that answer HTTP: what they answer, within which limits, and what is left of those that fail.

use crate::{folder, problem};
use anyhow::Context as _;
use infinity_tests::host::{Host, PATIENCE, poll};
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

fn host(rest: &str) -> anyhow::Result<Host> {
    let folder = folder("", rest)?;
    folder.foreign("http_proxy", "web")?;
    folder.serve()
}

#[test]
fn a_component_that_somebody_else_wrote_answers_requests() -> anyhow::Result<()> {
    let host = host("")?;
    for path in ["/agents/web", "/agents/web/", "/agents/web/a/b?c=d"] {
        let answer = host.get(path)?;
        assert_eq!(answer.status(), 200, "{path}");
        let headers = answer.headers().clone();
        assert!(
            headers["content-security-policy"]
                .to_str()?
                .starts_with("sandbox")
        );
        assert!(headers.contains_key("x-request-id"));
        assert_eq!(answer.text()?, "Hello, WASI!", "{path}");
    }
    let head = host.client().head(host.url("/agents/web/")).send()?;
    assert_eq!((head.status().as_u16(), head.text()?.as_str()), (200, ""));
    let post = host
        .client()
        .post(host.url("/agents/web/"))
        .body("x".repeat(100_000))
        .send()?;
    assert_eq!(post.text()?, "Hello, WASI!");
    // Counted, and no row.
    let text = host.get("/metrics")?.text()?;
    assert!(
        text.contains("infinity_served_requests_total{agent=\"web\",outcome=\"succeeded\"} 5"),
        "{text}"
    );
    assert_eq!(host.json("/v1/runs")?["items"], json!([]));
    assert_eq!(host.json("/v1/agents/web")?["serves"], "/agents/web/");
    problem(host.get("/agents/guests/")?, 404, "unknown_agent")?;
    problem(host.get("/agents/none/x")?, 404, "unknown_agent")?;
    // A page of another site may not post here either.
    let foreign = host
        .client()
        .post(host.url("/agents/web/"))
        .header("origin", "http://example.com")
        .send()?;
    problem(foreign, 403, "csrf")?;
    Ok(())
}

#[test]
fn a_component_is_held_like_an_agent() -> anyhow::Result<()> {
    let host = host("")?;
    let post = |path: &str| host.client().post(host.url(path)).send();
    assert_eq!(post("/v1/agents/web/pause")?.status(), 200);
    let body = problem(host.get("/agents/web/")?, 503, "unavailable")?;
    assert!(
        body["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("paused")),
        "{body}"
    );
    assert_eq!(post("/v1/agents/web/resume")?.status(), 200);
    assert_eq!(host.get("/agents/web/")?.status(), 200);
    Ok(())
}

/// A component in the text format whose handler does `body`, and never answers.
fn silent(body: &str) -> String {
    format!(
        r#"(component
  (import "wasi:http/types@0.2.0" (instance $types
    (export "incoming-request" (type $request (sub resource)))
    (export "response-outparam" (type $outparam (sub resource)))))
  (alias export $types "incoming-request" (type $request))
  (alias export $types "response-outparam" (type $outparam))
  (core module $m
    (memory (export "memory") 1)
    (func (export "handle") (param i32 i32) {body}))
  (core instance $i (instantiate $m))
  (type $own-request (own $request))
  (type $own-outparam (own $outparam))
  (func $handle (param "request" $own-request) (param "response-out" $own-outparam)
    (canon lift (core func $i "handle")))
  (component $shim
    (import "request" (type $request (sub resource)))
    (import "outparam" (type $outparam (sub resource)))
    (import "handle" (func $handle (param "request" (own $request)) (param "response-out" (own $outparam))))
    (export $exported "handle" (func $handle)))
  (instance $handler (instantiate $shim
    (with "request" (type $request))
    (with "outparam" (type $outparam))
    (with "handle" (func $handle))))
  (export "wasi:http/incoming-handler@0.2.0" (instance $handler)))"#
    )
}

#[test]
fn a_component_that_fails_is_an_error_with_a_row_and_hurts_nobody() -> anyhow::Result<()> {
    let folder = folder(
        "",
        "[agents.spin]\nplugin = \"spin\"\nlimits = { time = \"300ms\" }\n",
    )?;
    folder.foreign("http_proxy", "web")?;
    for (name, body) in [
        ("trap", "unreachable"),
        ("spin", "(loop (br 0))"),
        ("silent", ""),
    ] {
        folder.bytes(name, &wat::parse_str(silent(body))?)?;
    }
    let host = folder.serve()?;
    problem(host.get("/agents/trap/")?, 502, "component_failed")?;
    problem(host.get("/agents/spin/")?, 504, "component_limited")?;
    problem(host.get("/agents/silent/")?, 502, "no_answer")?;
    assert_eq!(host.get("/agents/web/")?.status(), 200);
    let outcome = |agent: &str| {
        poll(PATIENCE, || {
            let runs = host.json(&format!("/v1/runs?agent={agent}")).ok()?;
            runs["items"].as_array()?.first().cloned()
        })
        .context("there is no row")
    };
    let trapped = outcome("trap")?;
    assert_eq!(
        (&trapped["outcome"], &trapped["principal"]["kind"]),
        (&json!("trapped"), &json!("http"))
    );
    assert_eq!(trapped["input"], json!({ "method": "GET", "path": "/" }));
    assert_eq!(outcome("spin")?["reason"], "time");
    // A flood leaves some rows and then a quarantine, and not a row each.
    for _ in 0..60 {
        host.get("/agents/trap/")?;
    }
    let body = problem(host.get("/agents/trap/")?, 503, "unavailable")?;
    assert!(
        body["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("quarantine")),
        "{body}"
    );
    let runs = host.json("/v1/runs?agent=trap&limit=500")?;
    assert!(
        runs["items"]
            .as_array()
            .is_some_and(|runs| runs.len() <= 60),
        "{}",
        runs["items"].as_array().map_or(0, Vec::len)
    );
    Ok(())
}

#[test]
fn clients_that_go_away_leave_nothing_behind() -> anyhow::Result<()> {
    let host = host("")?;
    for _ in 0..200 {
        let mut stream = TcpStream::connect(host.address())?;
        write!(
            stream,
            "GET /agents/web/ HTTP/1.1\r\nhost: {}\r\n\r\n",
            host.address()
        )?;
        drop(stream);
    }
    let mut stream = TcpStream::connect(host.address())?;
    write!(
        stream,
        "GET /agents/web/ HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n",
        host.address()
    )?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    assert!(
        text.starts_with("HTTP/1.1 200") && text.contains("Hello, WASI!"),
        "{text}"
    );
    poll(PATIENCE, || {
        let text = host.get("/metrics").ok()?.text().ok()?;
        text.contains("infinity_pool_instances 0\n").then_some(())
    })
    .context("instances are left in the pool")?;
    Ok(())
}
