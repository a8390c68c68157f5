//! What is kept of agents: searched, exported, imported, deleted; events that agents announce; who goes first.

use crate::{folder, ok, problem, start};
use anyhow::{Context as _, ensure};
use infinity_tests::host::{PATIENCE, poll};
use serde_json::{Value, json};
use std::fs;

#[test]
fn findings_and_logs_of_all_runs_are_searched() -> anyhow::Result<()> {
    let host = folder("", "[agents.other]\nplugin = \"guests\"\n")?.serve()?;
    let run = host.run("guests", &json!({ "case": "finding" }))?;
    host.run("other", &ok())?;
    let all = host.json("/v1/findings")?;
    let first = &all["items"][0];
    assert_eq!(first["run"], run["id"]);
    let rule = first["rule"].as_str().context("a rule")?;
    let message = first["message"].as_str().context("a message")?;
    let word: String = message
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .to_uppercase();
    let found = |query: &str| -> anyhow::Result<usize> {
        let list = host.json(&format!("/v1/findings?{query}"))?;
        Ok(list["items"].as_array().map_or(0, Vec::len))
    };
    assert!(found(&format!("q={word}"))? >= 1, "{all}");
    assert!(found(&format!("rule={rule}"))? >= 1);
    assert_eq!(found("q=nothing-says-this")?, 0);
    assert_eq!(found("agent=other")?, 0);
    assert_eq!(found("rule=none")?, 0);
    problem(
        host.get("/v1/findings?level=loud")?,
        422,
        "invalid_parameter",
    )?;
    let logged = host.run("guests", &json!({ "case": "log_inject" }))?;
    let lines = host.json("/v1/logs?agent=guests")?;
    assert!(
        lines["items"]
            .as_array()
            .is_some_and(|lines| lines.iter().any(|line| line["run"] == logged["id"])),
        "{lines}"
    );
    Ok(())
}

#[test]
fn what_an_agent_left_is_exported_deleted_and_imported() -> anyhow::Result<()> {
    let host = folder("", "[agents.tick]\nplugin = \"hello\"\nevery = \"1s\"\n")?;
    host.foreign("hello-world", "hello")?;
    let host = host.serve()?;
    host.run(
        "guests",
        &json!({ "case": "kv_set", "key": "a", "value": "b" }),
    )?;
    host.run("guests", &json!({ "case": "finding" }))?;
    let lines = |name: &str| -> anyhow::Result<Vec<Value>> {
        let text = host.get(&format!("/v1/agents/{name}/export"))?.text()?;
        text.lines()
            .map(|line| Ok(serde_json::from_str(line)?))
            .collect()
    };
    let exported = lines("guests")?;
    let runs = exported
        .iter()
        .filter(|line| line["record"] == "run")
        .count();
    assert_eq!(runs, 2, "{exported:?}");
    let busy = start(&host, "guests", &json!({ "case": "sleep", "ms": 20_000 }))?;
    let delete = || {
        host.client()
            .delete(host.url("/v1/agents/guests/data"))
            .send()
    };
    problem(delete()?, 409, "runs_active")?;
    crate::cancel(&host, &busy)?;
    let gone = poll(PATIENCE, || {
        delete().ok().filter(|answer| answer.status() == 200)
    })
    .context("it cannot be deleted")?;
    assert!(
        gone.json::<Value>()?["rows"]
            .as_u64()
            .is_some_and(|rows| rows >= 3)
    );
    assert_eq!(host.json("/v1/runs?agent=guests")?["items"], json!([]));
    assert_eq!(lines("guests")?, Vec::<Value>::new());
    let import = |body: &Value| {
        host.client()
            .post(host.url("/v1/agents/guests/import"))
            .json(body)
            .send()
    };
    let taken: Value = import(&json!(exported))?.json()?;
    assert_eq!(taken["runs"], 2, "{taken}");
    let again: Value = import(&json!(exported))?.json()?;
    assert_eq!((&again["runs"], &again["keys"]), (&json!(0), &json!(0)));
    assert_eq!(lines("guests")?.len(), exported.len());
    problem(
        import(&json!([{ "record": "run" }, 7]))?,
        422,
        "invalid_record",
    )?;
    problem(import(&json!({}))?, 422, "invalid_record")?;
    // Moments of the ledger go along.
    poll(PATIENCE, || {
        lines("tick")
            .ok()?
            .iter()
            .any(|line| line["record"] == "occurrence")
            .then_some(())
    })
    .context("no moment is exported")?;
    let nobody = host
        .client()
        .delete(host.url("/v1/agents/nobody/data"))
        .send()?;
    problem(nobody, 404, "unknown_agent")?;
    Ok(())
}

#[test]
fn agents_announce_events_within_their_grants() -> anyhow::Result<()> {
    let table = "grants = { events = [\"build.*\"] }\n[agents.next]\nplugin = \"guests\"\non = [\"build.done\"]\n";
    let host = folder("", table)?.serve()?;
    let input =
        json!({ "case": "emit", "kinds": "build.done build.other deploy.done run.failed Build" });
    let run = host.run("guests", &input)?;
    let said = host.report(&run)?["output"]["said"].clone();
    assert_eq!((&said[0], &said[1]), (&json!("ok"), &json!("ok")));
    assert!(said[2].to_string().contains("may not announce"), "{said}");
    assert!(said[3].to_string().contains("may not announce"), "{said}");
    let denials = run["denials"].as_array().context("denials")?;
    assert!(denials.iter().any(|denial| denial["allow"] == "events = [\"deploy.done\"] in [agents.guests.grants]"), "{denials:?}");
    let events = host.json("/v1/events?type=build.*")?;
    let kinds: Vec<&str> = events["items"]
        .as_array()
        .context("events")?
        .iter()
        .filter_map(|event| event["type"].as_str())
        .collect();
    assert_eq!(kinds, ["build.done", "build.other"]);
    assert_eq!(events["items"][0]["source"], "/agents/guests");
    assert_eq!(events["items"][0]["subject"], "subject");
    poll(PATIENCE, || {
        let runs = host.json("/v1/runs?agent=next").ok()?;
        (runs["items"].as_array()?.len() == 1).then_some(())
    })
    .context("nobody is woken by the event")?;
    // What a run that is not content announced does not count.
    host.run(
        "guests",
        &json!({ "case": "emit", "kinds": "build.failed", "fail": "yes" }),
    )?;
    assert_eq!(
        host.json("/v1/events?type=build.failed")?["items"],
        json!([])
    );
    // A flood is refused.
    let many = vec!["build.x"; 150].join(" ");
    let run = host.run("guests", &json!({ "case": "emit", "kinds": many }))?;
    assert_eq!(
        host.json("/v1/events?type=build.x&limit=500")?["items"]
            .as_array()
            .map(Vec::len),
        Some(100),
        "{run}"
    );
    Ok(())
}

#[test]
fn who_is_more_important_goes_first() -> anyhow::Result<()> {
    let table = "concurrency = 1\n[agents.low]\nplugin = \"guests\"\npriority = \"low\"\n[agents.high]\nplugin = \"guests\"\npriority = \"high\"\n";
    let host = folder("concurrency = 1\nconcurrency_max = 1", table)?.serve()?;
    let blocker = start(&host, "guests", &json!({ "case": "sleep", "ms": 20_000 }))?;
    poll(PATIENCE, || {
        crate::look(&host, &blocker)
            .ok()
            .filter(|run| run["state"] == "running")
    })
    .context("it does not start")?;
    let low = start(&host, "low", &ok())?;
    let high = start(&host, "high", &ok())?;
    crate::cancel(&host, &blocker)?;
    let ended = |run: &Value| {
        poll(PATIENCE, || {
            crate::look(&host, run)
                .ok()
                .filter(|run| run["state"] == "ended")
        })
        .context("it does not end")
    };
    let (low, high) = (ended(&low)?, ended(&high)?);
    let time = |run: &Value| -> anyhow::Result<jiff::Timestamp> {
        Ok(run["started_at"].as_str().context("a start")?.parse()?)
    };
    assert!(time(&high)? < time(&low)?, "{high} {low}");
    Ok(())
}

#[test]
fn a_store_is_checked_copied_under_load_and_put_back() -> anyhow::Result<()> {
    let host = folder("", "[agents.tick]\nplugin = \"guests\"\nevery = \"1s\"\n")?.serve()?;
    host.run("guests", &json!({ "case": "artifact", "name": "a.txt" }))?;
    let infinity = |arguments: &[&str]| -> anyhow::Result<(Option<i32>, Value, String)> {
        let mut all = vec!["--json"];
        all.extend(arguments);
        let said = host.folder().infinity(&all)?;
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        Ok((
            said.status.code(),
            serde_json::from_str(&text).unwrap_or(Value::Null),
            String::from_utf8_lossy(&said.stderr).into_owned(),
        ))
    };
    let (code, checked, said) = infinity(&["store", "check"])?;
    assert_eq!(
        (code, &checked["problems"]),
        (Some(0), &json!([])),
        "{said}"
    );
    assert_eq!(checked["artifacts"], 1);
    // While runs go on.
    let copied = std::thread::scope(|scope| {
        let load = scope.spawn(|| {
            for _ in 0..60 {
                let _ = host.run("guests", &ok());
            }
        });
        let copied = infinity(&["backup", "create", "--to", "copies"]);
        let _ = load.join();
        copied
    })?;
    assert_eq!(copied.0, Some(0), "{}", copied.2);
    let copy = copied.1["path"].as_str().context("a path")?.to_owned();
    assert_eq!(copied.1["backup"]["counts"]["artifacts"], 1);
    let verified = infinity(&["backup", "verify", &copy])?;
    assert_eq!(
        (verified.0, &verified.1["checked"]["problems"]),
        (Some(0), &json!([])),
        "{}",
        verified.2
    );
    assert_eq!(verified.1["checked"]["artifacts"], 1);
    // A host that runs keeps its folder.
    assert_eq!(infinity(&["store", "vacuum"])?.0, Some(1));
    assert_eq!(
        infinity(&["backup", "restore", &copy, "--replace"])?.0,
        Some(1)
    );
    let (_, folder) = host.stop_and_keep()?;
    let call = |arguments: &[&str]| folder.infinity(arguments);
    assert_eq!(call(&["backup", "restore", &copy])?.status.code(), Some(2));
    let restored = call(&["backup", "restore", &copy, "--replace"])?;
    assert!(
        restored.status.success(),
        "{}",
        String::from_utf8_lossy(&restored.stderr)
    );
    let vacuumed = call(&["store", "vacuum"])?;
    assert!(
        vacuumed.status.success(),
        "{}",
        String::from_utf8_lossy(&vacuumed.stderr)
    );
    let aside = fs::read_dir(folder.path().join("var"))?
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().starts_with("replaced-"));
    assert!(aside, "what was there is moved aside");
    let host = folder.serve()?;
    let runs = host.json("/v1/runs?agent=guests&limit=500&sort=created_at")?;
    let first = &runs["items"][0];
    let artifact = host.get(&format!(
        "/v1/runs/{}/artifacts/a.txt",
        first["id"].as_str().context("an id")?
    ))?;
    assert_eq!(artifact.status(), 200);
    // It says nothing to who finds it, and opens with its keys alone.
    let sealed = host.path().join(&copy).join("backup.sealed");
    let bytes = fs::read(&sealed)?;
    ensure!(
        !bytes
            .windows(6)
            .any(|part| part == b"guests" || part == b"SQLite")
    );
    let elsewhere = crate::folder("", "")?;
    let moved = std::process::Command::new("cp")
        .arg("-r")
        .arg(host.path().join("copies"))
        .arg(elsewhere.path())
        .status()?;
    ensure!(moved.success(), "cp: {moved}");
    let without = elsewhere.infinity(&["backup", "restore", &copy])?;
    let said = String::from_utf8_lossy(&without.stderr).into_owned();
    ensure!(
        without.status.code() == Some(1) && said.contains("backup.keys"),
        "{said}"
    );
    let keys = host.path().join("var/backup.keys");
    fs::copy(&keys, elsewhere.path().join("kept.keys"))?;
    let with = elsewhere.infinity(&["backup", "restore", &copy, "--keys", "kept.keys"])?;
    ensure!(
        with.status.success(),
        "{}",
        String::from_utf8_lossy(&with.stderr)
    );
    let runs = elsewhere.infinity(&["--json", "runs"])?;
    ensure!(String::from_utf8_lossy(&runs.stdout).contains("\"agent\": \"guests\""));
    // A new key seals what comes, and opens what was.
    ensure!(
        host.folder()
            .infinity(&["backup", "rotate-key"])?
            .status
            .success()
    );
    ensure!(
        host.folder()
            .infinity(&["backup", "create", "--to", "copies"])?
            .status
            .success()
    );
    // Damage is found.
    let mut damaged = bytes;
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    fs::write(&sealed, &damaged)?;
    let (_, folder) = host.stop_and_keep()?;
    let refused = folder.infinity(&["backup", "restore", &copy, "--replace"])?;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    ensure!(refused.status.code() == Some(1), "{said}");
    // One that is not sealed is a folder, and what is damaged in it is found, too.
    folder.config(
        "seal_backups = false",
        "[agents.guests]\nplugin = \"guests\"\n",
    )?;
    let made = folder.infinity(&["--json", "backup", "create", "--to", "plain"])?;
    ensure!(made.status.success());
    let made: Value = serde_json::from_slice(&made.stdout)?;
    let plain = made["path"].as_str().context("a path")?;
    ensure!(
        folder
            .infinity(&["backup", "verify", plain])?
            .status
            .success()
    );
    let file = walk(&folder.path().join("plain/artifacts")).context("a file")?;
    fs::write(file, b"damaged")?;
    let refused = folder.infinity(&["backup", "restore", plain, "--replace"])?;
    ensure!(refused.status.code() == Some(1));
    ensure!(folder.infinity(&["backup", "verify", plain])?.status.code() == Some(1));
    Ok(())
}

/// Some file below a folder.
fn walk(folder: &std::path::Path) -> Option<std::path::PathBuf> {
    for entry in fs::read_dir(folder).ok()?.flatten() {
        let path = entry.path();
        if path.is_dir() {
            if let Some(found) = walk(&path) {
                return Some(found);
            }
        } else {
            return Some(path);
        }
    }
    None
}
