//! The API against its own document: schemathesis makes requests from it, valid and invalid, follows its links, and checks every answer.

use crate::commands::SYNC;
use crate::{effects, folder, id, ok, start};
use anyhow::{Context as _, ensure};
use infinity_tests::host::{PATIENCE, language, poll};
use infinity_tests::soak::count;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;
use std::process::Command;

/// The share of operations that have to be reached with a 2xx.
const REACHED_MIN: f64 = 0.95;

/// What other tests reach: it would end what the rest needs, or there is nothing of it here.
const ELSEWHERE: [&str; 25] = [
    "PUT /v1/config",
    "POST /v1/config/approvals",
    "POST /v1/config/versions/{number}/rollback",
    "DELETE /v1/agents/{name}/data",
    "DELETE /v1/alerts/{rule}/silences",
    "DELETE /v1/bans/{address}",
    "DELETE /v1/lockouts/{subject}",
    "DELETE /v1/secrets/{name}",
    "DELETE /v1/sessions/{id}",
    "GET /v1/checks/{id}/news",
    "GET /v1/sign-in/{name}",
    "GET /v1/sign-in/{name}/callback",
    "POST /v1/backups",
    "POST /v1/backups/drills",
    "POST /v1/factors/passkey",
    "POST /v1/factors/passkey/options",
    "POST /v1/factors/totp/{id}/confirmation",
    "POST /v1/session/factor",
    "POST /v1/session/factor/options",
    "POST /v1/sign-in/{name}/device",
    "POST /v1/sign-in/{name}/device/session",
    "DELETE /v1/factors/{id}",
    "POST /v1/killswitch",
    "POST /v1/killswitch/recover",
    "POST /webhooks/github",
];

/// What is checked of every answer.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance";

#[test]
fn no_request_that_the_document_allows_breaks_its_word() -> anyhow::Result<()> {
    let Some(tools) = language("python") else {
        return Ok(());
    };
    // Of each kind of thing there is one: a dead letter, a run that goes on, an execution that waits, a file.
    let table = format!(
        "{}{}",
        "commands = true\nwebhook = { secret = \"0123456789abcdef\" }\n\
        [agents.badge]\nplugin = \"badge\"\n[agents.slow]\nplugin = \"guests\"\nconcurrency = 1\nlimits = { time = \"600s\" }\n\
        [agents.reader]\nplugin = \"guests\"\nevery = \"1s\"\nretries = 0\ngrants = { repos = [{ name = \"gone\", files = true }] }\n\
        [repositories.gone]\npath = \"gone\"\n\
        [pipelines.full]\nsteps = [\"badge\"]\n[pipelines.stuck]\nsteps = [\"slow\"]\n",
        effects::everything()
    );
    let folder = folder("queue = 100000\nreads = 1000000\nchanges = 1000000", &table)?;
    effects::with_policy(&folder)?;
    folder.component("badge", "badge")?;
    fs::create_dir(folder.path().join("commands"))?;
    fs::write(folder.path().join("commands/sync.toml"), SYNC)?;
    let gone = folder.path().join("gone");
    let made = Command::new("git")
        .args(["init", "--quiet", "--bare"])
        .arg(&gone)
        .status()?;
    ensure!(made.success(), "no repository");
    let host = folder.serve()?;
    fs::remove_dir_all(&gone)?;
    let run = host.run("guests", &json!({ "case": "artifact", "name": "a.txt" }))?;
    let busy = start(&host, "slow", &json!({ "case": "sleep", "ms": 600_000 }))?;
    let waiting = start(&host, "slow", &ok())?;
    let begun = host
        .client()
        .post(host.url("/v1/workflows/stuck/executions"))
        .send()?;
    let execution: Value = begun.json()?;
    let checked = host
        .client()
        .post(host.url("/v1/checks?wait=60s"))
        .json(&json!({ "files": { "a.py": "x = 1\n" }, "steps": ["policy"] }))
        .send()?;
    let check: Value = checked.json()?;
    let letters = poll(PATIENCE, || {
        let list = host.json("/v1/dead-letters").ok()?;
        let items = list["items"].as_array()?.clone();
        (items.len() >= 2).then_some(items)
    })
    .context("nothing is given up on")?;

    let made = effects::some(&host)?;
    let mut proposals = Vec::new();
    for _ in 0..2 {
        let proposal = json!({ "title": "More", "resource": "r", "monthly_usd": 1, "reason": "why", "by": "ada" });
        let answer = host
            .client()
            .post(host.url("/v1/billing/proposals"))
            .json(&proposal)
            .send()?;
        proposals.push(answer.json::<Value>()?);
    }

    // Requests make keys, so they need one themselves. A command reads the configuration, whose repository has to be there for it.
    let again = Command::new("git")
        .args(["init", "--quiet", "--bare"])
        .arg(&gone)
        .status()?;
    ensure!(again.success(), "no repository");
    let key = |arguments: &[&str]| crate::access::key(host.folder(), arguments);
    let full = key(&[
        "fuzz",
        "--role",
        "admin",
        "--scope",
        "*",
        "--scope",
        "effects:approve",
        "--scope",
        "billing:approve",
    ])?;
    let spare = key(&["spare", "--role", "viewer"])?;
    let service = key(&["one", "--role", "service", "--scope", "agents:run:guests"])?;
    let editor = key(&["two", "--role", "editor"])?;
    let keys = host.folder().infinity(&["--json", "key", "list"])?;
    let keys: Value = serde_json::from_slice(&keys.stdout)?;
    let id_of = |name: &str| {
        let items = keys["items"].as_array().into_iter().flatten();
        let mut named = items.filter(|key| key["name"] == name);
        let id = named.next().and_then(|key| key["id"].as_str());
        id.map(str::to_owned).context("an id")
    };
    let (spare_id, service_id) = (id_of("spare")?, id_of("one")?);
    fs::remove_dir_all(host.path().join("gone"))?;

    let mut config = String::new();
    for (operation, parameters) in [
        ("GET /badges/{name}", vec![("path.name", "guests.svg")]),
        (
            "GET /v1/repositories/{name}/diff",
            vec![
                ("path.name", "ops"),
                ("query.base", "main"),
                ("query.head", "main"),
            ],
        ),
        (
            "GET /v1/integrations/{name}",
            vec![("path.name", "forge.ops")],
        ),
        (
            "POST /v1/alerts/{rule}/silences",
            vec![("path.rule", "disk_high")],
        ),
        ("POST /autodeploy/{name}", vec![("path.name", "refresh")]),
        (
            "GET /v1/runs/{id}/artifacts/{name}",
            vec![("path.id", id(&run)?), ("path.name", "a.txt")],
        ),
        ("GET /v1/status/{job_id}", vec![("path.job_id", id(&run)?)]),
        (
            "POST /v1/runs/{id}/cancel",
            vec![("path.id", id(&waiting)?)],
        ),
        (
            "POST /v1/workflows/{name}/executions/{id}/cancel",
            vec![("path.name", "stuck"), ("path.id", id(&execution)?)],
        ),
        (
            "POST /v1/dead-letters/{id}/retry",
            vec![("path.id", id(&letters[0])?)],
        ),
        ("GET /v1/checks/{id}", vec![("path.id", id(&check)?)]),
        (
            "GET /v1/effects/{id}",
            vec![("path.id", made.waiting.as_str())],
        ),
        (
            "POST /v1/effects/{id}/revert",
            vec![("path.id", made.applied.as_str())],
        ),
        (
            "POST /v1/billing/proposals/{id}/approve",
            vec![("path.id", id(&proposals[0])?)],
        ),
        (
            "POST /v1/billing/proposals/{id}/reject",
            vec![("path.id", id(&proposals[1])?)],
        ),
        ("GET /v1/prs/{id}", vec![("path.id", made.request.as_str())]),
        (
            "POST /v1/prs/{id}/checks",
            vec![("path.id", made.request.as_str())],
        ),
        (
            "POST /v1/keys/{id}/rotate",
            vec![("path.id", service_id.as_str())],
        ),
        ("DELETE /v1/keys/{id}", vec![("path.id", spare_id.as_str())]),
        ("PUT /v1/secrets/{name}", vec![("path.name", "FUZZ_TOKEN")]),
        (
            "POST /v1/secrets/{name}/rotations",
            vec![("path.name", "FUZZ_TOKEN")],
        ),
        (
            "DELETE /v1/dead-letters/{id}",
            vec![("path.id", id(&letters[1])?)],
        ),
    ] {
        writeln!(
            config,
            "[[operations]]\ninclude-name = \"{operation}\"\n[operations.parameters]"
        )?;
        for (name, value) in parameters {
            writeln!(config, "\"{name}\" = \"{value}\"")?;
        }
    }
    let place = host.path().join("fuzz");
    fs::create_dir(&place)?;
    fs::write(place.join("schemathesis.toml"), config)?;
    let examples = count("8", "200");
    let schemathesis =
        |key: Option<&str>, phases: &str, alone: Option<&str>| -> anyhow::Result<String> {
            let mut command = Command::new(tools.join("bin/schemathesis"));
            command
                .current_dir(&place)
                .env("NO_COLOR", "1")
                .arg("run")
                .arg(host.url("/openapi.json"))
                .args([
                    "--checks",
                    CHECKS,
                    "--phases",
                    phases,
                    "--max-examples",
                    examples,
                ])
                // The same requests each time; a soak looks further.
                .args([
                    "--seed",
                    "1",
                    "--continue-on-failure",
                    "--request-timeout",
                    "60",
                ]);
            if let Some(operation) = alone {
                command.args(["--include-operation-id", operation]);
            } else {
                // These would end what the others need, or lock out who asks for it: a guessed code is a wrong one.
                for operation in [
                    "confirm_totp",
                    "show_factor",
                    "delete_agent_data",
                    "engage_killswitch",
                    "recover_killswitch",
                    "apply_config",
                    "roll_back_config",
                    "approve_config",
                    // A stream alone, whose document is its text; `tests/checks` follows one.
                    "follow_check",
                ] {
                    command.args(["--exclude-operation-id", operation]);
                }
            }
            if let Some(key) = key {
                command.args(["--header", &format!("Authorization: Bearer {key}")]);
            }
            let said = command.output()?;
            let text = format!(
                "{}{}",
                String::from_utf8_lossy(&said.stdout),
                String::from_utf8_lossy(&said.stderr)
            );
            ensure!(said.status.success(), "{text}");
            Ok(text)
        };
    // Who has less finds fewer ways, and each of them keeps its word as well.
    let roles = [None, Some(service), Some(spare), Some(editor)];
    for key in &roles {
        schemathesis(key.as_deref(), "examples", None)?;
    }
    let text = schemathesis(Some(&full), "examples,coverage,fuzzing,stateful", None)?;
    let fetch = |path: &str| -> anyhow::Result<String> {
        let answer = host
            .client()
            .get(host.url(path))
            .bearer_auth(&full)
            .send()?;
        Ok(answer.text()?)
    };
    // The host itself counts which operations were answered with a 2xx.
    let metrics = fetch("/metrics")?;
    let document = host.json("/openapi.json")?;
    let (mut operations, mut unreached) = (0, Vec::new());
    for (path, item) in document["paths"].as_object().context("paths")? {
        for method in item.as_object().context("operations")?.keys() {
            let method = method.to_uppercase();
            if ELSEWHERE.contains(&format!("{method} {path}").as_str()) {
                continue;
            }
            operations += 1;
            let series = format!(
                "infinity_http_requests_total{{method=\"{method}\",route=\"{path}\",status=\"2xx\"}}"
            );
            if !metrics.contains(&series) {
                unreached.push(format!("{method} {path}"));
            }
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "some dozen operations")]
    let reached = (operations - unreached.len()) as f64 / operations as f64;
    ensure!(operations >= 50, "{operations} operations are documented");
    ensure!(
        reached >= REACHED_MIN,
        "not reached with a 2xx: {unreached:#?}\n{text}"
    );
    // What it stops would stop the rest, so it is asked last.
    for operation in [
        "apply_config",
        "roll_back_config",
        "approve_config",
        "engage_killswitch",
        "recover_killswitch",
        "confirm_totp",
        "show_factor",
    ] {
        schemathesis(Some(&full), "examples,coverage,fuzzing", Some(operation))?;
    }
    fetch(&format!("/v1/runs/{}", id(&busy)?))?;
    let log = host.log();
    ensure!(
        !log.contains("panicked") && !log.contains("host_error"),
        "{log}"
    );
    Ok(())
}
