//! Which runs may start, and which have to wait: limits of the queue, schemas of inputs, agents that cannot run.

use crate::{cancel, folder, id, look, ok, problem, start};
use anyhow::Context as _;
use infinity_tests::host::{Folder, PATIENCE, poll};
use serde_json::{Value, json};

#[test]
fn runs_beyond_the_limit_wait_and_beyond_the_queue_are_refused() -> anyhow::Result<()> {
    let host = folder("concurrency = 1\nqueue = 2", "")?.serve()?;
    let forever = json!({ "case": "sleep_forever" });
    let first = start(&host, "guests", &forever)?;
    poll(PATIENCE, || {
        (look(&host, &first).ok()?["state"] == "running").then_some(())
    })
    .context("it does not start")?;
    let second = start(&host, "guests", &ok())?;
    let third = start(&host, "guests", &ok())?;
    assert_eq!(look(&host, &second)?["state"], "queued");
    let response = host
        .client()
        .post(host.url("/v1/agents/guests/runs"))
        .json(&ok())
        .send()?;
    assert!(response.headers().contains_key("retry-after"));
    problem(response, 503, "queue_full")?;
    // A refused start leaves no row.
    assert_eq!(
        host.json("/v1/runs")?["items"].as_array().map(Vec::len),
        Some(3)
    );

    // What waits can be cancelled as it waits; the others move up.
    assert_eq!(cancel(&host, &third)?.status(), 200);
    let third = poll(PATIENCE, || {
        look(&host, &third)
            .ok()
            .filter(|run| run["state"] == "ended")
    })
    .context("it does not end")?;
    assert_eq!(third["outcome"], "cancelled");
    assert_eq!(third["started_at"], Value::Null);
    cancel(&host, &first)?;
    let second = poll(PATIENCE, || {
        look(&host, &second)
            .ok()
            .filter(|run| run["state"] == "ended")
    })
    .context("it does not run")?;
    assert_eq!(second["outcome"], "succeeded");
    Ok(())
}

#[test]
fn an_agent_that_cannot_run_says_so() -> anyhow::Result<()> {
    let folder = folder(
        "",
        "[agents.off]\nplugin = \"guests\"\nenabled = false\n[agents.missing]\nplugin = \"nowhere\"\n[agents.broken]\nplugin = \"broken\"\n",
    )?;
    folder.bytes("broken", b"\0asm\x01\0\0\0")?;
    let host = folder.serve()?;
    let post = |agent: &str| {
        host.client()
            .post(host.url(&format!("/v1/agents/{agent}/runs")))
            .json(&ok())
            .send()
    };
    problem(post("off")?, 409, "agent_disabled")?;
    let body = problem(post("gests")?, 404, "unknown_agent")?;
    assert_eq!(
        body["detail"],
        "no agent has this name; did you mean `guests`?"
    );
    let body = problem(host.get("/v1/agents/gests")?, 404, "unknown_agent")?;
    assert_eq!(
        body["detail"],
        "no agent has this name; did you mean `guests`?"
    );
    problem(host.get("/v1/plugins/gests")?, 404, "not_found")?;
    // What the folder holds wrongly does not keep the others from running.
    for agent in ["missing", "broken"] {
        let run = host.run(agent, &ok())?;
        assert_eq!(run["outcome"], "refused", "{run}");
        assert!(run["message"].is_string(), "{run}");
        let view = host.json(&format!("/v1/agents/{agent}"))?;
        assert_eq!(view["state"], "error", "{view}");
        assert!(view["problem"].is_string(), "{view}");
    }
    let view = host.json("/v1/plugins/broken")?;
    assert_eq!(view["status"], "refused");
    assert!(
        view["problem"]
            .as_str()
            .is_some_and(|problem| problem.contains("core module")),
        "{view}"
    );
    assert_eq!(host.run("guests", &ok())?["outcome"], "succeeded");
    assert_eq!(host.json("/v1/agents/off")?["state"], "paused");
    Ok(())
}

/// A component with a custom section at its end.
fn with_section(component: Vec<u8>, name: &str, data: &[u8]) -> anyhow::Result<Vec<u8>> {
    fn length(mut value: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            // Masked to seven bits, so it always fits.
            let byte = (value & 0x7f) as u8;
            value >>= 7;
            if value == 0 {
                bytes.push(byte);
                return bytes;
            }
            bytes.push(byte | 0x80);
        }
    }
    let content = [&length(name.len()), name.as_bytes(), data].concat();
    let mut bytes = component;
    bytes.push(0);
    bytes.extend(length(content.len()));
    bytes.extend(content);
    Ok(bytes)
}

#[test]
fn an_input_must_match_the_schema_that_the_plugin_declares() -> anyhow::Result<()> {
    let manifest = json!({
        "name": "strict",
        "version": "1.2.3",
        "description": "Takes a list of names",
        "world": "agent",
        "wants": {},
        "input_schema": {
            "type": "object",
            "additionalProperties": false,
            "required": ["names"],
            "properties": {
                "names": { "type": "array", "items": { "type": "string", "minLength": 1 } },
                "a/b": { "type": "integer" }
            }
        }
    });
    let text = test_guests::component_text("noop_agent").context("a component")?;
    let component = with_section(
        wat::parse_str(text)?,
        "infinity:manifest",
        manifest.to_string().as_bytes(),
    )?;
    let folder = Folder::new()?;
    folder.bytes("strict", &component)?;
    folder.config("", "[agents.strict]\nplugin = \"strict\"\n")?;
    let host = folder.serve()?;
    assert_eq!(
        host.json("/v1/agents/strict")?["input_schema"],
        manifest["input_schema"]
    );
    for (input, pointer) in [
        (json!({ "names": ["a", ""] }), "/names/1"),
        (json!({ "names": ["a", 3] }), "/names/1"),
        (json!({ "names": "a" }), "/names"),
        (json!({ "names": [], "a/b": "x" }), "/a~1b"),
        (json!({}), ""),
        (json!(null), ""),
    ] {
        let response = host
            .client()
            .post(host.url("/v1/agents/strict/runs"))
            .json(&input)
            .send()?;
        let body = problem(response, 422, "invalid_input")?;
        assert_eq!(body["errors"][0]["pointer"], pointer, "{input}: {body}");
        assert!(body["errors"][0]["message"].is_string(), "{body}");
    }
    // An unknown key is named.
    let response = host
        .client()
        .post(host.url("/v1/agents/strict/runs"))
        .json(&json!({ "names": [], "nmes": [] }))
        .send()?;
    let body = problem(response, 422, "invalid_input")?;
    assert!(body["errors"][0].to_string().contains("nmes"), "{body}");
    assert_eq!(host.json("/v1/runs")?["items"], json!([]));
    let run = host.run("strict", &json!({ "names": ["a"] }))?;
    assert_eq!(run["outcome"], "succeeded", "{}", id(&run)?);
    Ok(())
}
