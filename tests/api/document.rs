//! The OpenAPI document and what is true of every documented route.

use crate::{effects, folder, id, ok};
use anyhow::Context as _;
use infinity_tests::host::root;
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;

#[test]
fn the_document_lists_every_operation() -> anyhow::Result<()> {
    let host = crate::host()?;
    let document = host.json("/openapi.json")?;
    assert!(
        document["openapi"]
            .as_str()
            .is_some_and(|version| version.starts_with("3.1.")),
        "{}",
        document["openapi"]
    );
    assert_eq!(document["info"]["title"], "Infinity");
    let mut operations = Vec::new();
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().context("paths")? {
        for (method, operation) in item.as_object().context("operations")? {
            let name = operation["operationId"].as_str().context("an id")?;
            operations.push(format!("{method} {path} {name}"));
            assert!(ids.insert(name.to_owned()), "`{name}` is there twice");
            assert!(
                operation["responses"]["default"].is_object() || path == "/" || path == "/health",
                "{name} says nothing of problems"
            );
        }
    }
    assert_eq!(
        operations.len(),
        ids.len(),
        "every operation has an id of its own"
    );
    // The document as it stands, for readers and for programs; `UPDATE=1` writes it anew.
    let file = root().join("docs/openapi.json");
    let text = format!("{}\n", serde_json::to_string_pretty(&document)?);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&file, &text)?;
    }
    assert!(
        fs::read_to_string(&file)? == text,
        "`docs/openapi.json` is not the document that the host serves; run this test with `UPDATE=1` and read what changed"
    );
    Ok(())
}

#[test]
fn every_documented_get_route_answers_as_documented() -> anyhow::Result<()> {
    let rest = format!(
        "{}{}",
        "commands = true\n[agents.badge]\nplugin = \"badge\"\n[pipelines.guests]\nsteps = [\"badge\"]\n",
        effects::everything()
    );
    let folder = folder("", &rest)?;
    folder.component("badge", "badge")?;
    effects::with_policy(&folder)?;
    let host = folder.serve()?;
    let begun = host
        .client()
        .post(host.url("/v1/workflows/guests/executions"))
        .send()?;
    assert_eq!(begun.status(), 201);
    let execution: serde_json::Value = begun.json()?;
    let run = host.run("guests", &json!({ "case": "artifact", "name": "a.txt" }))?;
    host.run("guests", &ok())?;
    let made = effects::some(&host)?;
    let checked = host
        .client()
        .post(host.url("/v1/checks?wait=60s"))
        .json(&json!({ "files": { "a.py": "x = 1\n" }, "steps": ["policy"] }))
        .send()?;
    assert_eq!(checked.status(), 200);
    let check: serde_json::Value = checked.json()?;
    let document = host.json("/openapi.json")?;
    let mut requests = BTreeSet::new();
    let mut answered = 0;
    for (path, item) in document["paths"].as_object().context("paths")? {
        // A sign-in leads to a provider, with which `identity.rs` has them.
        if item["get"].is_null() || path.starts_with("/v1/sign-in/") {
            continue;
        }
        let name = match path.as_str() {
            "/badges/{name}" => "guests.svg",
            "/v1/runs/{id}/artifacts/{name}" => "a.txt",
            "/v1/integrations/{name}" => "forge.ops",
            "/v1/repositories/{name}/diff" => "ops",
            _ => "guests",
        };
        let named = match path.split('/').nth(2) {
            Some("checks") => id(&check)?,
            Some("workflows") => id(&execution)?,
            Some("effects") => &made.applied,
            Some("prs") => &made.request,
            _ => id(&run)?,
        };
        let concrete = path
            .replace("{id}", named)
            .replace("{number}", "1")
            .replace("{job_id}", id(&run)?)
            .replace("{name}", name);
        assert!(!concrete.contains('{'), "{concrete}");
        let response = host.get(&concrete)?;
        assert_eq!(response.status(), 200, "{concrete}");
        let request = response.headers()["x-request-id"].to_str()?.to_owned();
        assert!(
            requests.insert(request),
            "{concrete}: the request's id is not new"
        );
        assert_eq!(
            response.headers()["x-content-type-options"],
            "nosniff",
            "{concrete}"
        );
        let media_type = response.headers()["content-type"].to_str()?.to_owned();
        let documented = item["get"]["responses"]["200"]["content"]
            .as_object()
            .context(concrete.clone())?;
        // An artifact has the media type that its guest stated.
        if !path.ends_with("/artifacts/{name}") {
            let essence = media_type.split(';').next().unwrap_or_default();
            assert!(
                documented.contains_key(essence),
                "{concrete}: {media_type} is not among {:?}",
                documented.keys()
            );
        }
        let body = response.text()?;
        if media_type == "application/json" {
            serde_json::from_str::<serde_json::Value>(&body).context(concrete)?;
        }
        answered += 1;
    }
    assert!(answered >= 40, "{answered}");
    Ok(())
}

#[test]
fn answers_match_the_schemas_of_the_document() -> anyhow::Result<()> {
    let host = folder("", "[agents.off]\nplugin = \"guests\"\nenabled = false\n")?.serve()?;
    let run = host.run("guests", &json!({ "case": "finding" }))?;
    host.run("guests", &json!({ "case": "trap" }))?;
    let document = host.json("/openapi.json")?;
    for path in [
        "/v1/plugins",
        "/v1/plugins/{name}",
        "/v1/agents",
        "/v1/agents/{name}",
        "/v1/runs",
        "/v1/runs/{id}",
        "/v1/runs/{id}/report",
        "/v1/runs/{id}/logs",
        "/v1/runs/{id}/findings",
        "/v1/runs/{id}/artifacts",
        "/v1/events",
        "/v1/agents/{name}/state",
        "/v1/agents/{name}/history",
        "/v1/agents/{name}/health",
        "/v1/agents/{name}/usage",
        "/v1/workflows",
        "/v1/findings",
        "/v1/logs",
        "/v1/events/counts",
        "/v1/log-level",
        "/v1/status",
        "/v1/occurrences",
        "/health",
        "/ready",
    ] {
        let schema = &document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]
            ["schema"];
        assert!(schema.is_object(), "{path} has no schema");
        // The references in it are resolved within the document.
        let mut whole = schema.clone();
        whole["components"] = document["components"].clone();
        let validator = jsonschema::validator_for(&whole)?;
        let concrete = path.replace("{id}", id(&run)?).replace("{name}", "guests");
        let answer = host.json(&concrete)?;
        let mistakes: Vec<String> = validator
            .iter_errors(&answer)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(mistakes.is_empty(), "{concrete}: {mistakes:#?}");
    }
    Ok(())
}
