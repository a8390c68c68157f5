//! Requests that are wrong: each gets one RFC 9457 problem with a stable code, and starts nothing.

use crate::{host, ok, problem};
use reqwest::Method;
use serde_json::json;

#[test]
fn unknown_paths_and_methods_are_named() -> anyhow::Result<()> {
    let host = host()?;
    for path in [
        "/nowhere",
        "/v1",
        "/v2/runs",
        "/v1/runs/",
        "/v1/agents/guests/runs/x",
    ] {
        problem(host.get(path)?, 404, "not_found")?;
    }
    for (method, path, allow) in [
        (Method::PUT, "/v1/runs", "GET"),
        (Method::DELETE, "/v1/agents/guests", "GET"),
        (Method::GET, "/v1/agents/guests/runs", "POST"),
        (Method::POST, "/health", "GET"),
    ] {
        let response = host.client().request(method, host.url(path)).send()?;
        let allowed = response.headers()["allow"].to_str()?.to_owned();
        assert!(
            allowed.split(',').any(|method| method.trim() == allow),
            "{path}: {allowed}"
        );
        problem(response, 405, "method_not_allowed")?;
    }
    // HEAD answers like GET, without a body.
    let response = host.client().head(host.url("/v1/runs")).send()?;
    assert_eq!(response.status(), 200);
    assert!(response.headers().contains_key("x-request-id"));
    assert_eq!(response.text()?, "");
    Ok(())
}

#[test]
fn media_types_are_checked_both_ways() -> anyhow::Result<()> {
    let host = host()?;
    let post = || host.client().post(host.url("/v1/agents/guests/runs"));
    for media_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/xml",
    ] {
        let response = post()
            .header("content-type", media_type)
            .body("{}")
            .send()?;
        problem(response, 415, "unsupported_media_type")?;
    }
    problem(post().body("{}").send()?, 415, "unsupported_media_type")?;
    let response = post()
        .header("content-type", "application/json")
        .header("content-encoding", "gzip")
        .body("{}")
        .send()?;
    problem(response, 415, "unsupported_media_type")?;
    let response = host
        .client()
        .get(host.url("/v1/runs"))
        .header("accept", "text/html")
        .send()?;
    problem(response, 406, "not_acceptable")?;
    // Who cannot read the answer starts nothing.
    problem(
        post().header("accept", "image/png").json(&ok()).send()?,
        406,
        "not_acceptable",
    )?;
    assert_eq!(host.json("/v1/runs")?["items"], json!([]));
    for accept in ["*/*", "application/*", "text/html, application/json;q=0.5"] {
        let response = host
            .client()
            .get(host.url("/v1/runs"))
            .header("accept", accept)
            .send()?;
        assert_eq!(response.status(), 200, "{accept}");
    }
    Ok(())
}

#[test]
fn a_body_that_two_parsers_could_read_differently_is_refused() -> anyhow::Result<()> {
    let host = host()?;
    for (body, says) in [
        (&b"{\"case\": }"[..], "line 1 column 10"),
        (b"{\"a\":\n  tru}", "line 2 column"),
        (
            b"{\"case\":\"ok\"} x",
            "trailing characters at line 1 column 15",
        ),
        (b"{\"case\":\"ok\"}{}", "trailing characters"),
        (
            b"{\"case\":\"ok\",\"case\":\"spin\"}",
            "duplicate key `case`",
        ),
        (b"{\"a\":{\"b\":1,\"\\u0062\":2}}", "duplicate key `b`"),
        (b"\xEF\xBB\xBF{\"case\":\"ok\"}", "byte order mark"),
        (b"{\"case\":\"\xff\"}", "line 1 column"),
        (b"{\"case\":1e999}", "out of range"),
        (b"{'case':'ok'}", "line 1 column 2"),
        (b"   ", "line 1 column"),
    ] {
        let response = host
            .client()
            .post(host.url("/v1/agents/guests/runs"))
            .header("content-type", "application/json")
            .body(body)
            .send()?;
        let body = problem(response, 400, "invalid_json")?;
        assert!(
            body["detail"]
                .as_str()
                .is_some_and(|detail| detail.contains(says)),
            "{says}: {body}"
        );
    }
    let response = host
        .client()
        .post(host.url("/v1/agents/guests/runs"))
        .header("content-type", "application/json")
        .body("[".repeat(100_000))
        .send()?;
    problem(response, 400, "invalid_json")?;
    assert_eq!(host.json("/v1/runs")?["items"], json!([]));
    Ok(())
}

#[test]
fn unknown_and_repeated_parameters_are_refused() -> anyhow::Result<()> {
    let host = host()?;
    let injected = host.get("/v1/runs?sort=created_at%3Bdrop%20table%20runs")?;
    problem(injected, 422, "unknown_column")?;
    for (path, says) in [
        ("/v1/runs?agnt=x", "did you mean `agent`?"),
        ("/v1/occurrences?sort=due_at", "unknown parameter `sort`"),
        ("/v1/agents?limit=3", "this route takes none"),
        ("/v1/events?typ=x", "did you mean `type`?"),
        ("/openapi.json?x=1", "this route takes none"),
    ] {
        let body = problem(host.get(path)?, 422, "unknown_parameter")?;
        assert!(
            body["detail"]
                .as_str()
                .is_some_and(|detail| detail.contains(says)),
            "{body}"
        );
    }
    for path in [
        "/v1/runs?limit=0",
        "/v1/runs?limit=-1",
        "/v1/runs?limit=1000000000",
        "/v1/runs?limit=501",
        "/v1/runs?limit=x",
        "/v1/runs?limit=",
        "/v1/runs?limit=1&limit=2",
        "/v1/runs?state=stopped",
        "/v1/runs?outcome=' or 1=1 --",
        "/v1/runs?trigger=tick",
        "/v1/runs?since=yesterday",
    ] {
        problem(host.get(path)?, 422, "invalid_parameter")?;
    }
    // A filter is a value and never part of a statement.
    assert_eq!(
        host.json("/v1/runs?agent=%27%20or%201=1%20--")?["items"],
        json!([])
    );
    Ok(())
}

#[test]
fn a_cursor_that_was_tampered_with_is_refused() -> anyhow::Result<()> {
    let host = host()?;
    for _ in 0..3 {
        host.run("guests", &ok())?;
    }
    let page = host.json("/v1/runs?limit=1")?;
    let cursor = page["next"].as_str().unwrap_or_default().to_owned();
    assert!(cursor.len() > 8, "{cursor}");
    for place in [0, cursor.len() / 2, cursor.len() - 1] {
        let mut bytes = cursor.clone().into_bytes();
        bytes[place] = if bytes[place] == b'0' { b'1' } else { b'0' };
        let tampered = String::from_utf8(bytes)?;
        problem(
            host.get(&format!("/v1/runs?cursor={tampered}"))?,
            400,
            "invalid_cursor",
        )?;
    }
    for bad in ["x", "%F0%9F%92%A5", &"f".repeat(5000), &cursor[1..]] {
        problem(
            host.get(&format!("/v1/runs?cursor={bad}"))?,
            400,
            "invalid_cursor",
        )?;
    }
    problem(
        host.get(&format!("/v1/events?cursor={cursor}"))?,
        400,
        "invalid_cursor",
    )?;
    Ok(())
}

#[test]
fn what_is_no_id_is_not_found() -> anyhow::Result<()> {
    let host = host()?;
    let long = "a".repeat(10_000);
    for id in [
        "null",
        "%F0%9F%92%A5",
        "%00",
        "..%2F..",
        "01890000-0000-7000-8000-00000000000A",
        "0189000000007000800000000000000a",
        "01890000-0000-7000-8000-00000000000a",
        &long,
    ] {
        for rest in [
            "",
            "/report",
            "/logs",
            "/findings",
            "/sarif",
            "/artifacts",
            "/artifacts/a",
        ] {
            problem(host.get(&format!("/v1/runs/{id}{rest}"))?, 404, "not_found")?;
        }
        problem(host.get(&format!("/v1/plugins/{id}"))?, 404, "not_found")?;
        problem(host.get(&format!("/v1/agents/{id}"))?, 404, "unknown_agent")?;
    }
    Ok(())
}

#[test]
fn pages_of_other_sites_cannot_drive_the_host() -> anyhow::Result<()> {
    let host = host()?;
    for name in [
        "evil.example",
        "evil.example:8080",
        "127.0.0.1.evil.example",
        "10.0.0.1",
    ] {
        let response = host
            .client()
            .get(host.url("/v1/runs"))
            .header("host", name)
            .send()?;
        problem(response, 421, "misdirected_request")?;
    }
    for name in ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:9"] {
        let response = host
            .client()
            .get(host.url("/v1/runs"))
            .header("host", name)
            .send()?;
        assert_eq!(response.status(), 200, "{name}");
    }
    for origin in [
        "https://evil.example",
        "null",
        "http://localhost.evil.example",
    ] {
        let response = host
            .client()
            .post(host.url("/v1/agents/guests/runs"))
            .header("origin", origin)
            .json(&ok())
            .send()?;
        problem(response, 403, "csrf")?;
    }
    assert_eq!(host.json("/v1/runs")?["items"], json!([]));
    Ok(())
}
