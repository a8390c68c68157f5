//! The examples of the OpenAPI document: what a host was asked and answered.

use crate::commands::SYNC;
use crate::factors::code;
use crate::webhooks::{SECRET, sign};
use crate::{GONE, effects, folder, serve_without_repository};
use anyhow::{Context as _, ensure};
use infinity_tests::authenticator::Browser;
use infinity_tests::host::{Host, PATIENCE, poll, root};
use serde_json::{Map, Value, json};
use std::fs;
use totp_rs::Totp;
use uuid::Uuid;

/// Asks every operation that answers in JSON once, and gives what was said by operation.
fn collect() -> anyhow::Result<Map<String, Value>> {
    let folder = folder(
        "",
        &format!(
            "commands = true\n\
             [agents.deploy]\nplugin = \"guests\"\nwebhook = {{ secret = \"{SECRET}\" }}\nretries = 0\n{GONE}\
             [agents.badge]\nplugin = \"badge\"\n[agents.nightly]\nplugin = \"guests\"\nevery = \"1s\"\n\
             [backup]\nto = \"copies\"\nevery = \"7d\"\n\
             [github]\nwebhook_secrets = [\"{SECRET}\"]\n\
             [alerts]\nevery = \"1s\"\n[alerts.rules.disk_high]\nabove = 0\nfor = \"0s\"\n\
             [pipelines.full]\nsteps = [\"guests\", \"nightly\"]\n{}",
            effects::everything()
        ),
    )?;
    folder.component("badge", "badge")?;
    effects::with_policy(&folder)?;
    fs::create_dir(folder.path().join("commands"))?;
    fs::write(folder.path().join("commands/sync.toml"), SYNC)?;
    let host = serve_without_repository(folder)?;
    let document = host.json("/openapi.json")?;
    let mut examples = Map::new();
    // Once there is one, everything takes a key.
    let key = std::cell::RefCell::new(None::<String>);
    let mut keep = |method: &str, path: &str, request: Option<&Value>, concrete: &str| {
        let id = document["paths"][path][method]["operationId"]
            .as_str()
            .with_context(|| format!("{method} {path} is no operation"))?;
        let mut call = host
            .client()
            .request(method.to_uppercase().parse()?, host.url(concrete))
            .header("accept", "application/json");
        if let Some(key) = key.borrow().as_ref() {
            call = call.bearer_auth(key);
        }
        if path.ends_with("/webhook") || path == "/webhooks/github" {
            let body = request.context("a body")?.to_string();
            call = call
                .header("x-hub-signature-256", sign(body.as_bytes()))
                .header("x-github-event", "push")
                .header("x-github-delivery", Uuid::now_v7().to_string());
        }
        if let Some(request) = request {
            call = call
                .header("content-type", "application/json")
                .body(request.to_string());
        }
        let answer = call.send()?;
        let status = answer.status();
        let text = answer.text()?;
        ensure!(status.is_success(), "{method} {concrete}: {status} {text}");
        let mut example = json!({ "status": status.as_str() });
        if let Some(request) = request {
            example["request"] = request.clone();
        }
        let answered: Value = serde_json::from_str(&text).context(concrete.to_owned())?;
        example["response"] = answered.clone();
        examples.insert(id.to_owned(), example);
        anyhow::Ok(answered)
    };

    poll(PATIENCE, || {
        let list = host.json("/v1/alerts").ok()?;
        (!list["items"].as_array()?.is_empty()).then_some(())
    })
    .context("no alert fires")?;
    let reason = json!({ "for": "2h", "reason": "The disk is being moved." });
    keep(
        "post",
        "/v1/alerts/{rule}/silences",
        Some(&reason),
        "/v1/alerts/disk_high/silences",
    )?;
    let finding = json!({ "case": "finding" });
    let run = keep(
        "post",
        "/v1/agents/{name}/runs",
        Some(&finding),
        "/v1/agents/guests/runs?wait=60s",
    )?;
    let run = run["id"].as_str().context("an id")?.to_owned();
    let stored = json!({ "case": "artifact", "name": "a.txt" });
    let stored = host.run("guests", &stored)?;
    let stored = stored["id"].as_str().context("an id")?;
    keep(
        "post",
        "/v1/agents/{name}/webhook",
        Some(&json!({ "ref": "refs/heads/main" })),
        "/v1/agents/deploy/webhook",
    )?;
    keep(
        "post",
        "/webhooks/github",
        Some(&json!({ "ref": "refs/heads/main", "repository": { "full_name": "acme/ops" } })),
        "/webhooks/github",
    )?;
    keep("post", "/autodeploy/{name}", None, "/autodeploy/refresh")?;
    let proposal = json!({ "title": "A larger database", "resource": "database/production", "monthly_usd": 120, "reason": "It is nearly full.", "by": "ada" });
    for verdict in ["approve", "reject"] {
        let made = keep(
            "post",
            "/v1/billing/proposals",
            Some(&proposal),
            "/v1/billing/proposals",
        )?;
        let id = made["id"].as_str().context("an id")?;
        keep(
            "post",
            &format!("/v1/billing/proposals/{{id}}/{verdict}"),
            Some(&json!({ "by": "bob", "comment": "Looked at the numbers." })),
            &format!("/v1/billing/proposals/{id}/{verdict}"),
        )?;
    }
    let dead = poll(PATIENCE, || {
        let list = host.json("/v1/dead-letters").ok()?;
        Some(list["items"].get(0)?["id"].as_str()?.to_owned())
    })
    .context("nothing is given up on")?;
    let event = json!({ "specversion": "1.0", "id": "1", "source": "ci/ops", "type": "build.done", "data": { "passed": true } });
    let begun = keep(
        "post",
        "/v1/workflows/{name}/executions",
        None,
        "/v1/workflows/full/executions",
    )?;
    let execution = begun["id"].as_str().context("an id")?.to_owned();
    keep(
        "post",
        "/v1/commands",
        Some(&json!({ "template": "sync", "parameters": { "repo": "ops" } })),
        "/v1/commands",
    )?;
    keep("post", "/v1/events", Some(&event), "/v1/events")?;
    let submission = json!({
        "files": { "solution.py": "def double(x):\n    return x + x\n" },
        "steps": ["policy"],
    });
    let check = keep(
        "post",
        "/v1/checks",
        Some(&submission),
        "/v1/checks?wait=60s",
    )?;
    let check = check["id"].as_str().context("an id")?.to_owned();
    keep(
        "post",
        "/v1/checks/batch",
        Some(&json!({ "submissions": [submission] })),
        "/v1/checks/batch?wait=60s",
    )?;
    fired(&host)?;
    let made = effects::some(&host)?;

    let paths = document["paths"].as_object().context("paths")?;
    for (path, item) in paths {
        let answers = &item["get"]["responses"]["200"]["content"]["application/json"];
        if answers.is_null() {
            continue;
        }
        let mut concrete = path
            .replace("/badges/{name}", "/badges/guests.json")
            .replace("/integrations/{name}", "/integrations/forge.ops")
            .replace("/repositories/{name}", "/repositories/ops")
            .replace("/v1/workflows/{name}", "/v1/workflows/full")
            .replace("/executions/{id}", &format!("/executions/{execution}"))
            .replace("/runs/{id}/artifacts", &format!("/runs/{stored}/artifacts"))
            .replace("/checks/{id}", &format!("/checks/{check}"))
            .replace("/effects/{id}", &format!("/effects/{}", made.waiting))
            .replace("/prs/{id}", &format!("/prs/{}", made.request))
            .replace("{id}", &run)
            .replace("{number}", "1")
            .replace("{job_id}", &run)
            .replace("{name}", "guests");
        let parameters = item["get"]["parameters"].as_array();
        if parameters
            .into_iter()
            .flatten()
            .any(|one| one["name"] == "limit")
        {
            concrete.push_str("?limit=1");
        }
        keep("get", path, None, &concrete)?;
    }

    keep(
        "post",
        "/v1/prs/{id}/checks",
        Some(&json!({ "name": "mypy", "state": "success", "summary": "no problems in 12 files" })),
        &format!("/v1/prs/{}/checks", made.request),
    )?;
    keep(
        "post",
        "/v1/approvals",
        Some(
            &json!({ "effect_id": made.waiting, "decision": "approve", "comment": "Looks right." }),
        ),
        "/v1/approvals",
    )?;
    keep(
        "post",
        "/v1/effects/{id}/revert",
        None,
        &format!("/v1/effects/{}/revert", made.applied),
    )?;
    keep(
        "post",
        "/v1/dead-letters/{id}/retry",
        None,
        &format!("/v1/dead-letters/{dead}/retry"),
    )?;
    for all in ["/v1/pause", "/v1/resume"] {
        keep("post", all, None, all)?;
    }
    for path in ["/v1/agents/{name}/pause", "/v1/agents/{name}/resume"] {
        keep("post", path, None, &path.replace("{name}", "guests"))?;
    }
    keep(
        "put",
        "/v1/log-level",
        Some(&json!({ "level": "info" })),
        "/v1/log-level",
    )?;
    let sleeps = json!({ "case": "sleep_forever" });
    let asleep = crate::start(&host, "guests", &sleeps)?;
    keep(
        "post",
        "/v1/runs/{id}/cancel",
        None,
        &format!("/v1/runs/{}/cancel", crate::id(&asleep)?),
    )?;
    let asleep = crate::start(&host, "guests", &sleeps)?;
    host.client()
        .put(host.url("/v1/log-level"))
        .json(&json!({ "level": "info" }))
        .send()?;
    host.client()
        .post(host.url("/v1/agents/nightly/pause"))
        .send()?;
    let begun: Value = {
        // The step waits for its agent, which is paused.
        host.client()
            .post(host.url("/v1/agents/guests/pause"))
            .send()?;
        host.client()
            .post(host.url("/v1/workflows/full/executions"))
            .send()?
            .json()?
    };
    keep(
        "post",
        "/v1/workflows/{name}/executions/{id}/cancel",
        None,
        &format!(
            "/v1/workflows/full/executions/{}/cancel",
            begun["id"].as_str().context("an id")?
        ),
    )?;
    crate::cancel(&host, &asleep)?;
    keep(
        "post",
        "/v1/agents/{name}/import",
        Some(&json!([{ "record": "key", "key": "cursor", "text": "42" }])),
        "/v1/agents/guests/import",
    )?;
    poll(PATIENCE, || {
        let status = host.json("/v1/status").ok()?;
        (status["queued"] == 0 && status["running"] == 0).then_some(())
    })
    .context("not everything ends")?;
    keep(
        "delete",
        "/v1/agents/{name}/data",
        None,
        "/v1/agents/guests/data",
    )?;
    // Nobody takes a file that names what is not there.
    fs::create_dir(host.path().join("gone"))?;
    let file = fs::read_to_string(host.path().join("plugins.toml"))?;
    let more = format!(
        "{file}\n[repositories.shop]\npath = \"shop\"\ncreate = true\nenvironment = \"production\"\n[agents.more]\nplugin = \"guests\"\ngrants = {{ repos = [{{ name = \"shop\", commit = [\"main\"] }}] }}\n"
    );
    keep(
        "put",
        "/v1/config",
        Some(&json!({ "text": more })),
        "/v1/config",
    )?;
    let approved = json!({ "agent": "more" });
    keep(
        "post",
        "/v1/config/approvals",
        Some(&approved),
        "/v1/config/approvals",
    )?;
    let path = "/v1/config/versions/{number}/rollback";
    keep("post", path, None, &path.replace("{number}", "1"))?;
    // The first is made by itself, and asked for once it is there.
    backed_up(&host, None)?;
    let begun = keep("post", "/v1/backups", None, "/v1/backups")?;
    backed_up(&host, begun["in_progress"]["began_at"].as_str())?;
    let begun = keep("post", "/v1/backups/drills", None, "/v1/backups/drills")?;
    backed_up(&host, begun["in_progress"]["began_at"].as_str())?;
    keep("get", "/v1/backups", None, "/v1/backups")?;
    let incident = json!({ "reason": "security_incident", "duration_minutes": 60 });
    keep("post", "/v1/killswitch", Some(&incident), "/v1/killswitch")?;
    keep("get", "/v1/killswitch", None, "/v1/killswitch")?;
    let well = json!({ "agent": "guests", "input": { "case": "ok" } });
    keep(
        "post",
        "/v1/killswitch/recover",
        Some(&well),
        "/v1/killswitch/recover",
    )?;
    let admin = json!({ "name": "root", "role": "admin", "scopes": ["*", "effects:approve"] });
    let made = keep("post", "/v1/keys", Some(&admin), "/v1/keys")?;
    *key.borrow_mut() = made["secret"].as_str().map(str::to_owned);
    let service = json!({ "name": "ci", "role": "service", "scopes": ["agents:run:badge"], "expires_at": "2030-01-01T00:00:00Z" });
    let made = keep("post", "/v1/keys", Some(&service), "/v1/keys")?;
    let id = made["id"].as_str().context("an id")?;
    keep(
        "post",
        "/v1/keys/{id}/rotate",
        Some(&json!({ "grace_seconds": 3600 })),
        &format!("/v1/keys/{id}/rotate"),
    )?;
    keep("delete", "/v1/keys/{id}", None, &format!("/v1/keys/{id}"))?;
    let value = json!({ "value": "a value that is in no answer" });
    let path = "/v1/secrets/{name}";
    keep("put", path, Some(&value), "/v1/secrets/API_TOKEN")?;
    let now = json!({ "value": "the value after it", "grace_seconds": 0 });
    let path = "/v1/secrets/{name}/rotations";
    keep("post", path, Some(&now), "/v1/secrets/API_TOKEN/rotations")?;
    keep("get", "/v1/secrets", None, "/v1/secrets")?;
    for path in [
        "/v1/keys",
        "/v1/session",
        "/v1/audit/checkpoint",
        "/v1/audit/verification",
    ] {
        keep("get", path, None, path)?;
    }
    for path in ["/v1/audit/actions", "/v1/audit/events"] {
        keep("get", path, None, &format!("{path}?limit=2"))?;
    }
    keep("post", "/v1/audit/rotate-key", None, "/v1/audit/rotate-key")?;
    let nobody = json!({ "user": "nobody" });
    keep(
        "post",
        "/v1/audit/erasures",
        Some(&nobody),
        "/v1/audit/erasures",
    )?;
    let made = keep(
        "post",
        "/v1/factors/totp",
        Some(&json!({ "label": "phone" })),
        "/v1/factors/totp",
    )?;
    let app = Totp::from_url(made["uri"].as_str().context("an address")?)?;
    let id = made["id"].as_str().context("an id")?;
    for (path, steps) in [
        ("/v1/factors/totp/{id}/confirmation", -1),
        ("/v1/session/factor", 0),
    ] {
        let shown = json!({ "code": code(&app, steps)? });
        keep("post", path, Some(&shown), &path.replace("{id}", id))?;
    }
    let path = "/v1/factors/passkey/options";
    let options = keep("post", path, None, path)?;
    let made = Browser::default().create("http://localhost:0", &options);
    let made = made.map_err(anyhow::Error::msg)?;
    let added = json!({ "label": "laptop", "passkey": made });
    keep(
        "post",
        "/v1/factors/passkey",
        Some(&added),
        "/v1/factors/passkey",
    )?;
    let path = "/v1/session/factor/options";
    keep("post", path, None, path)?;
    keep("get", "/v1/factors", None, "/v1/factors")?;
    keep(
        "delete",
        "/v1/factors/{id}",
        None,
        &format!("/v1/factors/{id}"),
    )?;
    // Of a whole file the example needs no more than an entry.
    let short = json!(
        "[host]\nlisten = \"127.0.0.1:8080\"\n\n[agents.badge]\nplugin = \"badge\"\nevery = \"1h\"\n"
    );
    examples["apply_config"]["request"]["text"] = short.clone();
    examples["get_config_version"]["response"]["text"] = short;
    // Nothing that looks like a key stands in a document.
    examples["add_totp"]["response"]["secret"] = json!("… (shown this once)");
    examples["add_totp"]["response"]["uri"] = json!("otpauth://totp/Infinity:… (shown this once)");
    for operation in ["create_key", "rotate_key"] {
        examples[operation]["response"]["secret"] = json!("inf_… (shown this once)");
    }
    // Every operation was asked for, so nearly every event of the host is in the journal: each by a name of its own.
    let journal = host.folder().infinity(&["audit", "export"])?;
    let journal = String::from_utf8_lossy(&journal.stdout).into_owned();
    ensure!(journal.lines().count() > 50, "{journal}");
    let unnamed = journal.lines().find(|line| line.contains("host.other"));
    ensure!(unnamed.is_none(), "{unnamed:?}");
    host.stop()?;
    // A terminal is let in by a provider, and a host with one asks for keys from the start.
    examples.insert(
        "finish_device".into(),
        json!({ "request": { "handle": "kZ0t5Yq0S8m4rQmM1fJw2b6oXoT7c3n9uVhE8aLd1gI" } }),
    );
    Ok(examples)
}

/// Waits until nothing of a backup is in progress, and what began at `since` has ended.
fn backed_up(host: &Host, since: Option<&str>) -> anyhow::Result<()> {
    poll(PATIENCE, || {
        let list = host.json("/v1/backups").ok()?;
        let ended = list["last"][0]["began_at"].as_str()?;
        let done = list["in_progress"].is_null() && !list["drill"].is_null();
        (done && since.is_none_or(|since| since == ended)).then_some(())
    })
    .context("backups come to no end")
}

/// Waits until the schedule has started something.
fn fired(host: &Host) -> anyhow::Result<()> {
    poll(PATIENCE, || {
        let list = host.json("/v1/occurrences?result=fired").ok()?;
        (!list["items"].as_array()?.is_empty()).then_some(())
    })
    .context("the schedule starts nothing")
}

/// With `UPDATE=1` the examples are written anew; they are part of the program, so it is built again afterwards.
#[test]
fn every_operation_has_an_example_that_its_schema_allows() -> anyhow::Result<()> {
    let collected = collect()?;
    if std::env::var_os("UPDATE").is_some() {
        let text = serde_json::to_string_pretty(&collected)?;
        fs::write(
            root().join("host/src/api/examples.json"),
            format!("{text}\n"),
        )?;
        return Ok(());
    }
    let document = infinity::api::openapi();
    let mut checked = 0;
    for item in document["paths"].as_object().context("paths")?.values() {
        for operation in item.as_object().context("operations")?.values() {
            let name = operation["operationId"].as_str().context("an id")?;
            let answers = operation["responses"].as_object().context("answers")?;
            let bodies = answers
                .iter()
                .filter(|(status, _)| {
                    collected
                        .get(name)
                        .is_some_and(|example| example["status"] == **status)
                })
                .map(|(_, answer)| answer)
                .chain(operation.get("requestBody"));
            for body in bodies {
                let content = &body["content"]["application/json"];
                let example = content
                    .get("example")
                    .with_context(|| format!("{name} has no example"))?;
                let mut whole = content["schema"].clone();
                whole["components"] = document["components"].clone();
                for (what, value) in [
                    ("example", example),
                    ("answer", &collected[name]["response"]),
                ] {
                    if what == "answer" && operation.get("requestBody") == Some(body) {
                        continue;
                    }
                    let mistakes: Vec<String> = jsonschema::validator_for(&whole)?
                        .iter_errors(value)
                        .map(|error| format!("{}: {error}", error.instance_path()))
                        .collect();
                    ensure!(mistakes.is_empty(), "{name}, {what}: {mistakes:#?}");
                }
                checked += 1;
            }
        }
    }
    ensure!(checked >= 50, "{checked} examples");
    Ok(())
}
