//! The journal over the API, in a terminal and as files: who did what, that it is whole, and who is forgotten.

use crate::access::key;
use crate::{folder, ok, problem};
use anyhow::{Context as _, ensure};
use infinity_tests::host::{Folder, Host, PATIENCE, poll};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;

/// Five failed keys ban, and lock out where nobody is banned.
const BANS: &str = "trusted_proxies = [\"127.0.0.1\"]\nban_at_first_lockout = true\nnever_banned = [\"198.51.100.0/24\"]";

/// Shows wrong keys from behind a proxy, and gives the last answer's status.
fn fail(host: &Host, address: &str, times: usize) -> anyhow::Result<u16> {
    let mut status = 0;
    for _ in 0..times {
        let answer = host
            .client()
            .get(host.url("/v1/runs"))
            .bearer_auth("inf_wrong")
            .header("x-forwarded-for", address)
            .send()?;
        status = answer.status().as_u16();
    }
    Ok(status)
}

fn get(host: &Host, path: &str, key: &str) -> anyhow::Result<Value> {
    let answer = host.client().get(host.url(path)).bearer_auth(key).send()?;
    ensure!(answer.status() == 200, "{path}: {}", answer.text()?);
    Ok(answer.json()?)
}

/// Records of an action, once there are some: calls come within a second, reads within ten.
fn records(host: &Host, key: &str, query: &str) -> anyhow::Result<Vec<Value>> {
    poll(PATIENCE, || {
        let found = get(host, &format!("/v1/audit/actions?limit=500&{query}"), key).ok()?;
        let items = found["items"].as_array()?.clone();
        (!items.is_empty()).then_some(items)
    })
    .with_context(|| format!("no records of `{query}`"))
}

/// A command on the state folder, and what it printed.
fn infinity(folder: &Folder, arguments: &[&str]) -> anyhow::Result<(Option<i32>, String)> {
    let output = folder.infinity(arguments)?;
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Ok((output.status.code(), text))
}

#[test]
fn every_call_is_in_the_journal_with_who_asked_and_what_came_of_it() -> anyhow::Result<()> {
    let host = folder(BANS, "[agents.autodeploy]\nplugin = \"guests\"\n")?.serve()?;
    let admin = key(host.folder(), &["grace", "--role", "admin"])?;
    let from = |method: &str, path: &str, key: &str, client: &str| -> anyhow::Result<u16> {
        let answer = host
            .client()
            .request(method.parse()?, host.url(path))
            .bearer_auth(key)
            .header("x-forwarded-for", client)
            .header("user-agent", "curl/8.0")
            .send()?;
        Ok(answer.status().as_u16())
    };
    for path in ["/status", "/bans", "/audit"] {
        ensure!(from("GET", path, &admin, "203.0.113.1")? == 200, "{path}");
    }
    ensure!(from("POST", "/v1/pause", &admin, "203.0.113.1")? < 300);
    ensure!(from("POST", "/v1/resume", &admin, "203.0.113.1")? < 300);
    ensure!(from("POST", "/deploy", &admin, "203.0.113.1")? < 300);
    for _ in 0..25 {
        from("GET", "/status", &admin, "203.0.113.2")?;
    }
    ensure!(fail(&host, "198.51.100.1", 6)? == 429, "locked out");
    ensure!(fail(&host, "203.0.113.3", 6)? == 403, "banned");
    let seen: BTreeSet<String> = [
        "banned_access",
        "lockout",
        "rate_limit",
        "ban",
        "invalid_key",
        "status",
        "pause",
        "resume",
        "deploy",
        "bans_view",
        "unban",
        "audit_view",
    ]
    .map(str::to_owned)
    .into();
    let lifted = host
        .client()
        .delete(host.url("/v1/bans/203.0.113.3"))
        .bearer_auth(&admin)
        .send()?;
    ensure!(lifted.status() == 204);
    let mut missing = seen.clone();
    let all = poll(PATIENCE, || {
        let found = get(&host, "/v1/audit/events?limit=500", &admin).ok()?;
        for item in found["items"].as_array()? {
            missing.remove(item["action"].as_str()?);
        }
        missing.is_empty().then_some(found)
    });
    let all = all.with_context(|| format!("not all of the twelve are there: {missing:?}"))?;
    ensure!(
        all["items"]
            .as_array()
            .context("items")?
            .iter()
            .all(|item| seen.contains(item["action"].as_str().unwrap_or_default())),
        "{all}"
    );
    // Who it was is said beside the records, to those who may read them.
    let status = records(&host, &admin, "action=status&user=grace")?;
    let one = &status[0];
    ensure!(
        one["resource_id"] == "GET /status" || one["resource_id"] == "GET /v1/status",
        "{one}"
    );
    ensure!(one["detail"]["status"] == 200, "{one}");
    let whole = get(&host, "/v1/audit/actions?action=status&user=grace", &admin)?;
    let user = whole["items"][0]["user_id"].as_str().context("a user")?;
    ensure!(
        user.starts_with("user-") && whole["people"][user] == "grace",
        "{whole}"
    );
    let by_address = records(&host, &admin, "address=203.0.113.3&action=invalid_key")?;
    ensure!(
        by_address.iter().all(|item| item["success"] == false),
        "{by_address:?}"
    );
    // Neither bodies nor keys are anywhere.
    let text = serde_json::to_string(&get(&host, "/v1/audit/actions?limit=500", &admin)?)?;
    ensure!(
        !text.contains(&admin) && !text.contains("inf_wrong"),
        "a key is in the journal"
    );
    // What cannot be asked is said.
    let wrong = host
        .client()
        .get(host.url("/v1/audit/actions?action=invalid_keys"))
        .bearer_auth(&admin)
        .send()?;
    let wrong = problem(wrong, 422, "invalid_query")?;
    ensure!(
        wrong["errors"][0]["message"]
            .as_str()
            .is_some_and(|text| text.contains("`invalid_key`")),
        "{wrong}"
    );
    let viewer = key(host.folder(), &["ann", "--role", "viewer"])?;
    let refused = host
        .client()
        .get(host.url("/v1/audit/actions"))
        .bearer_auth(&viewer)
        .send()?;
    problem(refused, 403, "forbidden")?;
    Ok(())
}

#[test]
fn what_an_agent_reached_is_in_the_record_of_its_run() -> anyhow::Result<()> {
    let host = crate::host()?;
    let run = host.run(
        "guests",
        &json!({ "case": "kv_set", "key": "a", "value": "b" }),
    )?;
    let admin = key(host.folder(), &["root", "--role", "admin"])?;
    let id = crate::id(&run)?;
    let ended = records(&host, &admin, &format!("action=run.ended&resource={id}"))?;
    let record = &ended[0];
    ensure!(
        record["trace_id"] == id && record["agent"] == "guests",
        "{record}"
    );
    ensure!(record["plugin_digest"] == run["plugin_digest"], "{record}");
    let reached = record["detail"]["reached"].as_array().context("a list")?;
    ensure!(
        reached.iter().any(|one| one["kind"] == "key_value"),
        "{record}"
    );
    // Nobody else can say that something was done.
    for (source, kind) in [("/access", "security.ban"), ("/else", "security.ban")] {
        let published = host
            .client()
            .post(host.url("/v1/events"))
            .bearer_auth(&admin)
            .header("content-type", "application/cloudevents+json")
            .body(json!({ "specversion": "1.0", "id": "1", "source": source, "type": kind, "data": { "address": "192.0.2.1" } }).to_string())
            .send()?;
        ensure!(
            (published.status() == 422) == (source == "/access"),
            "{}",
            published.status()
        );
    }
    let noted = records(&host, &admin, "action=event.published")?;
    ensure!(noted[0]["detail"]["event"] == "security.ban", "{noted:?}");
    ensure!(
        !serde_json::to_string(&noted)?.contains("192.0.2.1"),
        "{noted:?}"
    );
    let bans = get(&host, "/v1/audit/actions?action=ban", &admin)?;
    ensure!(bans["items"] == json!([]), "{bans}");
    Ok(())
}

#[test]
fn the_journal_is_verified_read_and_reported_in_a_terminal() -> anyhow::Result<()> {
    let host = folder("", "")?.serve()?;
    let run = host.run("guests", &ok())?;
    let admin = key(host.folder(), &["grace", "--role", "admin"])?;
    records(&host, &admin, "action=key.created")?;
    // Beside the host that writes.
    let (code, text) = infinity(host.folder(), &["audit", "verify"])?;
    ensure!(code == Some(0) && text.contains("whole: "), "{text}");
    let (code, checkpoint) = infinity(host.folder(), &["audit", "checkpoint"])?;
    ensure!(code == Some(0), "{checkpoint}");
    let kept = host.path().join("kept.jsonl");
    fs::write(&kept, &checkpoint)?;
    let kept = kept.to_string_lossy().into_owned();
    let (code, text) = infinity(
        host.folder(),
        &["audit", "tail", "-n", "5", "--action", "run.ended"],
    )?;
    ensure!(code == Some(0) && text.contains(crate::id(&run)?), "{text}");
    let (code, text) = infinity(host.folder(), &["audit", "tail", "--action", "run.endet"])?;
    ensure!(code == Some(2) && text.contains("`run.ended`"), "{text}");
    let (code, text) = infinity(host.folder(), &["audit", "report"])?;
    ensure!(
        code == Some(0) && text.contains("| local | run.succeeded | 1 |"),
        "{text}"
    );
    let (code, text) = infinity(host.folder(), &["audit", "report", "--format", "csv"])?;
    ensure!(
        code == Some(0) && text.contains("actor,,,local,run.succeeded"),
        "{text}"
    );
    let (code, text) = infinity(host.folder(), &["--json", "audit", "report"])?;
    let report: Value = serde_json::from_str(&text)?;
    ensure!(code == Some(0) && report["unreadable"] == 0, "{report}");
    let (code, text) = infinity(host.folder(), &["audit", "export"])?;
    let lines: Vec<Value> = text
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    ensure!(code == Some(0) && lines[0]["seq"] == 1, "{text}");
    let (_, erased) = infinity(host.folder(), &["audit", "erase", "grace"])?;
    ensure!(erased.contains("erased"), "{erased}");
    let (_, rotated) = infinity(host.folder(), &["audit", "rotate-key"])?;
    ensure!(rotated.contains("key 2"), "{rotated}");
    let found = get(&host, "/v1/audit/verification", &admin)?;
    ensure!(
        found["broken"].is_null() && found["seq"].as_i64() > Some(3),
        "{found}"
    );
    let (status, folder) = host.stop_and_keep()?;
    ensure!(status.success());
    // A host that stops leaves a checkpoint of its own.
    let own = folder.path().join("var/checkpoints.jsonl");
    let own = own.to_string_lossy().into_owned();
    let verify = |more: &[&str]| {
        infinity(
            &folder,
            &[&["audit", "verify", "--checkpoint", &kept], more].concat(),
        )
    };
    let (code, text) = verify(&["--checkpoint", &own])?;
    ensure!(code == Some(0) && text.contains("2 checkpoints"), "{text}");
    let forged = checkpoint.replace("\"seq\":", "\"seq\":1");
    let path = folder.path().join("forged.jsonl");
    fs::write(&path, forged)?;
    let (code, text) = verify(&["--checkpoint", &path.to_string_lossy()])?;
    ensure!(
        code == Some(2) && text.contains("line 1: the checkpoint of record"),
        "{text}"
    );
    // Somebody cuts the end off: the journal alone does not show it.
    let database = folder.path().join("var/infinity.db");
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        use sqlx::Connection as _;
        let url = format!("sqlite://{}", database.display());
        let mut connection = sqlx::SqliteConnection::connect(&url).await?;
        sqlx::raw_sql("DROP TRIGGER journal_is_not_removed; DELETE FROM journal WHERE seq > 1")
            .execute(&mut connection)
            .await?;
        connection.close().await
    })?;
    let (code, text) = infinity(&folder, &["audit", "verify"])?;
    ensure!(
        code == Some(1) && text.contains("record 2 is missing"),
        "{text}"
    );
    fs::remove_file(&own)?;
    let (code, text) = infinity(&folder, &["audit", "verify"])?;
    ensure!(code == Some(0) && text.contains("--checkpoint"), "{text}");
    let (code, text) = verify(&[])?;
    ensure!(
        code == Some(1) && text.contains("broken: record 2 is missing"),
        "{text}"
    );
    Ok(())
}

#[test]
fn older_tools_find_their_files_and_nobody_is_named_in_them() -> anyhow::Result<()> {
    for named in [false, true] {
        let host = folder(&format!("{BANS}\nname_people_in_views = {named}"), "")?.serve()?;
        let admin = key(host.folder(), &["root", "--role", "admin"])?;
        ensure!(fail(&host, "203.0.113.9", 6)? == 403, "banned");
        let read = |name: &str| -> Option<Value> {
            serde_json::from_slice(&fs::read(host.path().join("var").join(name)).ok()?).ok()
        };
        let (audit, bans) = poll(PATIENCE, || {
            let bans = read("banned_ips.json").filter(|bans| bans != &json!([]))?;
            Some((read("security_audit.json")?, bans))
        })
        .context("no files")?;
        let lines = audit.as_array().context("an array")?;
        let keys: BTreeSet<&str> = lines[0]
            .as_object()
            .context("an object")?
            .keys()
            .map(String::as_str)
            .collect();
        ensure!(
            keys == BTreeSet::from(["detail", "event", "ip", "timestamp"]),
            "{keys:?}"
        );
        ensure!(lines.iter().any(|line| line["event"] == "ban"), "{audit}");
        let text = format!("{audit}{bans}");
        ensure!(text.contains("203.0.113.9") == named, "{text}");
        ensure!(
            named
                || bans[0]
                    .as_str()
                    .is_some_and(|ban| ban.starts_with("address-")),
            "{bans}"
        );
        // Who may read the journal sees who it was.
        let view = get(&host, "/audit", &admin)?;
        ensure!(view.to_string().contains("203.0.113.9"), "{view}");
    }
    Ok(())
}
