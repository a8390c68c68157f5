//! The OpenAPI document and what is true of every documented route.

use crate::{folder, id, ok};
use anyhow::Context as _;
use serde_json::json;
use std::collections::BTreeSet;

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
    insta::assert_snapshot!(operations.join("\n"), @r"
    get / get_index
    get /badge.svg get_badge
    get /badges/system.json get_system_badge_endpoint
    get /badges/system.svg get_system_badge
    get /badges/{name} get_agent_badge
    get /health get_health
    get /ready get_ready
    get /v1/agents list_agents
    get /v1/agents/{name} get_agent
    post /v1/agents/{name}/pause pause_agent
    post /v1/agents/{name}/resume resume_agent
    post /v1/agents/{name}/runs start_run
    get /v1/dead-letters list_dead_letters
    delete /v1/dead-letters/{id} drop_dead_letter
    post /v1/dead-letters/{id}/retry retry_dead_letter
    get /v1/events list_events
    post /v1/events publish_events
    get /v1/occurrences list_occurrences
    post /v1/pause pause
    get /v1/plugins list_plugins
    get /v1/plugins/{name} get_plugin
    post /v1/resume resume
    get /v1/runs list_runs
    get /v1/runs/{id} get_run
    get /v1/runs/{id}/artifacts list_artifacts
    get /v1/runs/{id}/artifacts/{name} get_artifact
    post /v1/runs/{id}/cancel cancel_run
    get /v1/runs/{id}/findings list_findings
    get /v1/runs/{id}/logs get_logs
    get /v1/runs/{id}/report get_report
    get /v1/runs/{id}/sarif get_sarif
    get /v1/status get_status
    ");
    Ok(())
}

#[test]
fn every_documented_get_route_answers_as_documented() -> anyhow::Result<()> {
    let folder = folder("", "[agents.badge]\nplugin = \"badge\"\n")?;
    folder.component("badge", "badge")?;
    let host = folder.serve()?;
    let run = host.run("guests", &json!({ "case": "artifact", "name": "a.txt" }))?;
    host.run("guests", &ok())?;
    let document = host.json("/openapi.json")?;
    let mut requests = BTreeSet::new();
    let mut answered = 0;
    for (path, item) in document["paths"].as_object().context("paths")? {
        if item["get"].is_null() {
            continue;
        }
        let name = match path.as_str() {
            "/badges/{name}" => "guests.svg",
            "/v1/runs/{id}/artifacts/{name}" => "a.txt",
            _ => "guests",
        };
        let concrete = path.replace("{id}", id(&run)?).replace("{name}", name);
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
    assert!(answered >= 18, "{answered}");
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
