//! Secrets of the real program: where values come from, who learns them, and what a replacement changes.

use crate::webhooks::{SECRET, deliver};
use crate::{folder, problem};
use anyhow::{Context as _, ensure};
use aws_lc_rs::hmac;
use infinity_tests::host::{Folder, Host, PATIENCE, fed, poll};
use infinity_tests::vault::{self, Vault};
use jiff::SignedDuration;
use reqwest::Method;
use reqwest::blocking::Response;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use uuid::Uuid;

/// A value that must be nowhere.
const VALUE: &str = "the-value-that-nobody-may-see"; // infinity:allow-secret

fn send(host: &Host, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Response> {
    let mut request = host.client().request(method, host.url(path));
    if let Some(body) = body {
        request = request.json(body);
    }
    Ok(request.send()?)
}

fn put(host: &Host, name: &str, value: &str) -> anyhow::Result<Value> {
    let body = json!({ "value": value });
    let answer = send(
        host,
        Method::PUT,
        &format!("/v1/secrets/{name}"),
        Some(&body),
    )?;
    let status = answer.status();
    let text = answer.text()?;
    ensure!(status == 200, "{status}: {text}");
    Ok(serde_json::from_str(&text)?)
}

/// One secret of the list.
fn listed(host: &Host, name: &str) -> anyhow::Result<Value> {
    let list = host.json("/v1/secrets")?;
    let items = list["items"].as_array().context("items")?;
    let found = items.iter().find(|item| item["name"] == name);
    Ok(found.cloned().unwrap_or(Value::Null))
}

/// Events of a type, oldest first.
fn events(host: &Host, kind: &str) -> anyhow::Result<Vec<Value>> {
    let list = host.json("/v1/events?limit=500")?;
    let items = list["items"].as_array().context("items")?;
    let kept = items.iter().filter(|event| event["type"] == kind);
    Ok(kept.cloned().collect())
}

/// Everything that the program left on the disk, but for what is sealed, says nothing of a value.
fn is_nowhere(folder: &Folder, value: &str) -> anyhow::Result<()> {
    let mut waiting = vec![folder.path().to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in fs::read_dir(&next)?.flatten() {
            let path = entry.path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.is_file() {
                let bytes = fs::read(&path)?;
                let found = bytes
                    .windows(value.len())
                    .any(|part| part == value.as_bytes());
                ensure!(!found, "`{}` has the value", path.display());
            }
        }
    }
    Ok(())
}

#[test]
fn a_value_is_set_listed_replaced_and_removed_and_is_in_no_answer() -> anyhow::Result<()> {
    let host = folder("", "")?.serve()?;
    let view = put(&host, "API_TOKEN", VALUE)?;
    ensure!(
        view["provider"] == "local" && view["version"] == 1,
        "{view}"
    );
    ensure!(!view.to_string().contains(VALUE), "{view}");
    let list = host.json("/v1/secrets")?;
    ensure!(!list.to_string().contains(VALUE), "{list}");
    problem(
        host.get("/v1/secrets/API_TOKEN")?,
        405,
        "method_not_allowed",
    )?;
    for (name, value) in [
        ("API_TOKEN", String::new()),
        ("API_TOKEN", "x".repeat(64 * 1024 + 1)),
        ("API_TOKEN", "x".repeat(1024 * 1024)),
        ("api-token", "a value".into()),
    ] {
        let body = json!({ "value": value });
        let path = format!("/v1/secrets/{name}");
        let answer = send(&host, Method::PUT, &path, Some(&body))?;
        problem(answer, 422, "invalid_secret")?;
    }
    // People's own values are not the host's to make.
    let path = "/v1/secrets/API_TOKEN/rotations";
    problem(
        send(&host, Method::POST, path, None)?,
        422,
        "invalid_secret",
    )?;
    let body = json!({ "value": "another-value-of-people", "grace_seconds": 0 });
    let rotated = send(&host, Method::POST, path, Some(&body))?;
    ensure!(rotated.status() == 201);
    let rotated: Value = rotated.json()?;
    ensure!(
        rotated["version"] == 2 && rotated["previous_until"].is_null(),
        "{rotated}"
    );
    let path = "/v1/secrets/API_TOKEN";
    ensure!(send(&host, Method::DELETE, path, None)?.status() == 204);
    problem(send(&host, Method::DELETE, path, None)?, 404, "not_found")?;
    for kind in ["secret.set", "secret.rotated", "secret.removed"] {
        let told = events(&host, kind)?;
        ensure!(told.len() == 1, "{kind}: {told:?}");
    }
    is_nowhere(host.folder(), VALUE)?;
    is_nowhere(host.folder(), "another-value-of-people")
}

#[test]
fn a_value_is_set_before_there_is_a_host_that_needs_it() -> anyhow::Result<()> {
    let folder = folder(
        "",
        "[agents.hook]\nplugin = \"guests\"\nwebhook = { secret = \"${HOOK_SECRET}\" }\n",
    )?;
    ensure!(folder.infinity(&["config", "check"])?.status.code() == Some(2));
    let typed = format!("{SECRET}\n");
    let set = fed(
        folder.command(&["secret", "set", "HOOK_SECRET"]),
        typed.as_bytes(),
    )?;
    ensure!(
        set.status.success(),
        "{}",
        String::from_utf8_lossy(&set.stderr)
    );
    ensure!(folder.infinity(&["config", "check"])?.status.success());
    let sealed = folder.path().join("var/secrets.sealed");
    ensure!(fs::metadata(&sealed)?.permissions().mode() & 0o777 == 0o600);
    let host = folder.serve()?;
    let answer = deliver(&host, "hook", Uuid::now_v7(), "push", b"{}")?;
    ensure!(answer.status() == 202);
    let view = listed(&host, "HOOK_SECRET")?;
    ensure!(view["used_by"] == json!(["agents.hook"]), "{view}");
    // The journal has it, though no host ran.
    poll(PATIENCE, || {
        events(&host, "secret.set")
            .ok()
            .filter(|told| told.len() == 1)
    })
    .context("no event")?;
    Ok(())
}

#[test]
fn a_replaced_webhook_secret_counts_until_its_grace_ends() -> anyhow::Result<()> {
    let table = "[agents.hook]\nplugin = \"guests\"\nwebhook = { secret = \"${HOOK_SECRET}\" }\n\
                 [secrets.catalogue.HOOK_SECRET]\nby = \"host\"\n";
    let folder = folder("", table)?;
    let set = fed(
        folder.command(&["secret", "set", "HOOK_SECRET"]),
        SECRET.as_bytes(),
    )?;
    ensure!(set.status.success());
    let host = folder.serve()?;
    let path = "/v1/secrets/HOOK_SECRET/rotations";
    ensure!(send(&host, Method::POST, path, None)?.status() == 201);
    ensure!(listed(&host, "HOOK_SECRET")?["version"] == 2);
    // The sender has the old one still.
    let answer = deliver(&host, "hook", Uuid::now_v7(), "push", b"{}")?;
    ensure!(answer.status() == 202, "{}", answer.status());
    // And the new one counts without a restart.
    let body = json!({ "value": "the next secret of the sender" });
    ensure!(send(&host, Method::POST, path, Some(&body))?.status() == 201);
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"the next secret of the sender");
    let tag = hmac::sign(&key, b"{}");
    let hex: String = tag
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let signed = host
        .client()
        .post(host.url("/v1/agents/hook/webhook"))
        .header("x-signature-256", format!("sha256={hex}"))
        .header("x-delivery", Uuid::now_v7().to_string())
        .body("{}")
        .send()?;
    ensure!(signed.status() == 202, "{}", signed.status());
    Ok(())
}

#[test]
fn a_file_that_others_can_read_is_refused_and_said() -> anyhow::Result<()> {
    let folder = folder("", "[secrets]\nfiles = \"keys\"\n")?;
    let keys = folder.path().join("keys");
    fs::create_dir(&keys)?;
    for (name, mode) in [("GOOD_KEY", 0o600), ("OPEN_KEY", 0o644)] {
        let file = keys.join(name);
        fs::write(&file, format!("{name}-value\n"))?;
        fs::set_permissions(&file, fs::Permissions::from_mode(mode))?;
    }
    let host = folder.serve()?;
    ensure!(listed(&host, "GOOD_KEY")?["provider"] == "files");
    ensure!(listed(&host, "OPEN_KEY")?.is_null());
    let list = host.json("/v1/secrets")?;
    let said = list["problems"].to_string();
    ensure!(
        said.contains("chmod 600") && said.contains("OPEN_KEY"),
        "{said}"
    );
    let body = json!({ "value": "a new value" });
    let answer = send(&host, Method::PUT, "/v1/secrets/GOOD_KEY", Some(&body))?;
    problem(answer, 409, "secret_elsewhere")?;
    Ok(())
}

#[test]
fn what_a_guest_prints_of_a_known_value_is_masked_everywhere() -> anyhow::Result<()> {
    let table = "grants = { env = { TOKEN = \"${GUEST_TOKEN}\" } }\n";
    let host = folder("", table)?.serve_with(&[("GUEST_TOKEN", VALUE)])?;
    let input = json!({ "case": "print", "text": VALUE });
    let answer = host
        .client()
        .post(host.url("/v1/agents/guests/runs?wait=60s"))
        .json(&input)
        .send()?;
    let run: Value = answer.json()?;
    let id = run["id"].as_str().context("an id")?;
    for path in ["logs", "report"] {
        let text = host.get(&format!("/v1/runs/{id}/{path}"))?.text()?;
        ensure!(!text.contains(VALUE), "{path}: {text}");
    }
    ensure!(listed(&host, "GUEST_TOKEN")?["provider"] == "environment");
    ensure!(!host.log().contains(VALUE));
    Ok(())
}

#[test]
fn a_secret_is_revealed_by_its_own_grant_on_record_and_masked_in_what_comes_out()
-> anyhow::Result<()> {
    let table = "grants = { secrets = [\"GIVEN_KEY\", \"KEPT_KEY\"], reveal = [\"GIVEN_KEY\"] }\n";
    let host = folder("", table)?.serve_with(&[
        ("GIVEN_KEY", VALUE),
        ("KEPT_KEY", "a-value-that-stays-here"),
    ])?;
    let reveal = |name: &str| -> anyhow::Result<Value> {
        host.run(
            "guests",
            &json!({ "case": "reveal", "name": name, "print": true }),
        )
    };
    let run = reveal("GIVEN_KEY")?;
    ensure!(run["outcome"] == "succeeded", "{run}");
    let id = run["id"].as_str().context("an id")?;
    let report = host.json(&format!("/v1/runs/{id}/report"))?;
    ensure!(report["output"]["length"] == VALUE.len(), "{report}");
    for path in ["", "/logs", "/report", "/artifacts/secret.txt"] {
        let text = host.get(&format!("/v1/runs/{id}{path}"))?.text()?;
        ensure!(!text.contains(VALUE), "{path}: {text}");
    }
    ensure!(report["output"]["value"] == "****", "{report}");
    let told = events(&host, "secret.revealed")?;
    ensure!(
        told.len() == 1 && told[0]["data"]["agent"] == "guests",
        "{told:?}"
    );
    // One that is only granted, one that is not and one that does not exist look the same.
    for name in ["KEPT_KEY", "OTHER_KEY"] {
        let run = reveal(name)?;
        let id = run["id"].as_str().context("an id")?;
        let report = host.json(&format!("/v1/runs/{id}/report"))?;
        let said = format!("secret_denied: reading the secret `{name}` is not granted");
        ensure!(report["output"]["error"] == said, "{report}");
        let run = host.json(&format!("/v1/runs/{id}"))?;
        ensure!(run["denials"][0]["capability"] == "secret", "{run}");
        let allow = run["denials"][0]["allow"].as_str().context("a line")?;
        ensure!(allow.contains(&format!("reveal = [\"{name}\"]")), "{allow}");
    }
    ensure!(events(&host, "secret.revealed")?.len() == 1);
    Ok(())
}

#[test]
fn a_grant_that_names_a_missing_secret_is_a_mistake() -> anyhow::Result<()> {
    let folder = folder(
        "",
        "grants = { secrets = [\"NOT_THERE\"], reveal = [\"NOT_THERE\"] }\n",
    )?;
    let checked = folder.infinity(&["config", "check"])?;
    ensure!(checked.status.code() == Some(2));
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    ensure!(said.contains("infinity secret set NOT_THERE"), "{said}");
    Ok(())
}

#[test]
fn vault_is_asked_written_and_outlived() -> anyhow::Result<()> {
    let vault = Vault::start()?;
    let hours = SignedDuration::from_hours;
    vault.put(
        "team/webhook",
        "value",
        "the first value in vault",
        hours(3),
    );
    vault.put("team/webhook", "value", SECRET, hours(2));
    let table = format!(
        "[agents.hook]\nplugin = \"guests\"\nwebhook = {{ secret = \"${{HOOK_SECRET}}\" }}\n\
         [secrets.vault]\naddress = \"{}\"\nmount = \"kv\"\nrole_id = \"${{ROLE_ID}}\"\nsecret_id = \"${{SECRET_ID}}\"\nrefresh = \"10s\"\n\
         [secrets.catalogue.HOOK_SECRET]\nvault = \"team/webhook#value\"\nby = \"host\"\n",
        vault.url()
    );
    let host = folder("", &table)?
        .serve_with(&[("ROLE_ID", vault::ROLE_ID), ("SECRET_ID", vault::SECRET_ID)])?;
    let view = listed(&host, "HOOK_SECRET")?;
    ensure!(
        view["provider"] == "vault" && view["version"] == 2,
        "{view}"
    );
    ensure!(!view["previous_until"].is_null(), "{view}");
    let delivered = || deliver(&host, "hook", Uuid::now_v7(), "push", b"{}");
    ensure!(delivered()?.status() == 202);
    // A token that ended is replaced by itself.
    vault.end_tokens();
    let path = "/v1/secrets/HOOK_SECRET/rotations";
    ensure!(send(&host, Method::POST, path, None)?.status() == 201);
    ensure!(vault.logins() == 2, "{} log-ins", vault.logins());
    let (made, version) = vault.latest("team/webhook", "value")?;
    ensure!(version == 3 && made.len() == 64);
    ensure!(delivered()?.status() == 202, "the value before counts");
    // In an emergency it does not, and Vault gives it to nobody else.
    let now = json!({ "grace_seconds": 0 });
    ensure!(send(&host, Method::POST, path, Some(&now))?.status() == 201);
    ensure!(vault.is_deleted("team/webhook", 3));
    vault.set_read_only(true);
    problem(send(&host, Method::POST, path, None)?, 409, "vault_refused")?;
    vault.set_read_only(false);
    for status in [429, 503] {
        vault.set_down(Some(status));
        problem(
            send(&host, Method::POST, path, None)?,
            503,
            "vault_unavailable",
        )?;
    }
    // What was known stays known, and the host's health says what is wrong.
    let said = poll(PATIENCE, || {
        let health = host.json("/v1/secrets").ok()?["problems"].to_string();
        health.contains("not available").then_some(health)
    });
    ensure!(said.is_some(), "nothing is said");
    ensure!(listed(&host, "HOOK_SECRET")?["version"] == 4);
    vault.set_down(None);
    poll(PATIENCE, || {
        let list = host.json("/v1/secrets").ok()?;
        (list["problems"] == json!([])).then_some(())
    })
    .context("it does not recover")?;
    is_nowhere(host.folder(), &made)
}
