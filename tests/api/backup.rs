//! Backups that a host makes by itself, what it says of them, and the trial of putting one back.

use crate::{folder, host, ok, problem};
use anyhow::{Context as _, ensure};
use infinity_tests::host::{Folder, Host, PATIENCE, poll};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// What a command says in JSON, and its exit code.
fn said(folder: &Folder, arguments: &[&str]) -> anyhow::Result<(Option<i32>, Value)> {
    let mut all = vec!["--json"];
    all.extend(arguments);
    let said = folder.infinity(&all)?;
    let value = serde_json::from_slice(&said.stdout)
        .with_context(|| String::from_utf8_lossy(&said.stderr).into_owned())?;
    Ok((said.status.code(), value))
}

/// The list of a host once something is true of it.
fn until(host: &Host, what: &str, is: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
    poll(PATIENCE, || {
        host.json("/v1/backups").ok().filter(|list| is(list))
    })
    .with_context(|| format!("{what}: {:?}", host.json("/v1/backups")))
}

/// The only file of this name below a folder.
fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    fs::read_dir(folder).ok()?.flatten().find_map(|entry| {
        let path = entry.path();
        if path.is_dir() {
            find(&path, name)
        } else {
            (entry.file_name() == name).then_some(path)
        }
    })
}

#[test]
fn a_host_makes_backups_by_itself_and_tries_them_out() -> anyhow::Result<()> {
    let table =
        "[backup]\nto = \"copies\"\nevery = \"1h\"\njournal_every = \"2s\"\ndrill_every = \"3s\"\n";
    let host = folder("", table)?.serve()?;
    host.run("guests", &json!({ "case": "artifact", "name": "a.txt" }))?;
    // The first is a snapshot, what follows copies.
    let list = until(&host, "no copy with the file is made", |list| {
        list["items"].as_array().is_some_and(|items| {
            items.len() > 1 && items[0]["kind"] == "copy" && items[0]["counts"]["artifacts"] == 1
        })
    })?;
    ensure!(list["items"][0]["sealed"] == true, "{list}");
    let oldest = list["items"].as_array().and_then(|items| items.last());
    ensure!(
        oldest.is_some_and(|one| one["kind"] == "snapshot"),
        "{list}"
    );
    // The first trial may be of the host as it began, which is empty.
    until(&host, "none with records is tried out", |list| {
        list["drill"]["passed"] == true && list["drill"]["counts"]["journal"].as_u64() > Some(0)
    })?;
    // One can be asked for, of the host.
    let (code, made) = said(host.folder(), &["backup", "create"])?;
    ensure!(
        code == Some(0) && made["backup"]["kind"] == "snapshot",
        "{made}"
    );
    let (code, drill) = said(host.folder(), &["backup", "drill"])?;
    ensure!(code == Some(0) && drill["passed"] == true, "{drill}");
    let (_, listed) = said(host.folder(), &["backup", "list"])?;
    ensure!(
        listed["items"]
            .as_array()
            .is_some_and(|items| items.len() > 2)
    );
    for kind in ["created", "drilled"] {
        let events = host.json(&format!("/v1/events?type=backup.{kind}&limit=5"))?;
        ensure!(
            !events["items"].as_array().is_none_or(Vec::is_empty),
            "{events}"
        );
    }
    let journal = host.folder().infinity(&["audit", "export"])?;
    ensure!(String::from_utf8_lossy(&journal.stdout).contains("backup.drilled"));
    let health = host.get("/health?verbose=true")?.text()?;
    ensure!(health.contains("the newest is 0 min old"), "{health}");
    // A folder that cannot be written to is an event, and the host is not well.
    fs::rename(host.path().join("copies"), host.path().join("before"))?;
    fs::write(host.path().join("copies"), "no folder")?;
    poll(PATIENCE, || {
        let events = host.json("/v1/events?type=backup.failed&limit=5").ok()?;
        (!events["items"].as_array()?.is_empty()).then_some(())
    })
    .context("that a backup failed is not announced")?;
    poll(PATIENCE, || {
        let health = host.json("/health").ok()?;
        health["degraded"]
            .as_array()?
            .contains(&json!("backups"))
            .then_some(())
    })
    .context("the host says that all is well")?;
    host.stop()?;
    Ok(())
}

#[test]
fn a_flipped_byte_is_found_and_a_trial_without_a_host_is_taken_up() -> anyhow::Result<()> {
    let host = folder("", "[backup]\nto = \"copies\"\n")?.serve()?;
    host.run("guests", &json!({ "case": "artifact", "name": "a.txt" }))?;
    host.run("guests", &ok())?;
    until(&host, "no backup is made", |list| {
        list["in_progress"].is_null() && !list["drill"].is_null()
    })?;
    let (_, folder) = host.stop_and_keep()?;
    let (code, made) = said(&folder, &["backup", "create", "--to", "copies"])?;
    ensure!(code == Some(0), "{made}");
    let name = made["backup"]["name"].as_str().context("a name")?;
    let (code, drill) = said(&folder, &["backup", "drill", "--from", "copies", "--keep"])?;
    ensure!(code == Some(0) && drill["backup"] == name, "{drill}");
    let kept = drill["kept"].as_str().context("a folder")?;
    ensure!(folder.path().join(kept).join("infinity.db").is_file());
    // By its name in the folder of `[backup]`, too.
    ensure!(said(&folder, &["backup", "verify", name])?.0 == Some(0));
    for file in ["backup.sealed", "backup.json"] {
        let path = folder.path().join("copies").join(name).join(file);
        let bytes = fs::read(&path)?;
        let mut changed = bytes.clone();
        let at = bytes.len() / 2;
        // Still JSON, with another count.
        if let Some(digit) = changed[at..].iter_mut().find(|byte| byte.is_ascii_digit()) {
            *digit = if *digit == b'9' { b'8' } else { *digit + 1 };
        } else {
            changed[at] ^= 1;
        }
        fs::write(&path, &changed)?;
        let verified = folder.infinity(&["backup", "verify", name])?;
        ensure!(verified.status.code() == Some(1), "{file}");
        let restored = folder.infinity(&["backup", "restore", name, "--replace"])?;
        ensure!(restored.status.code() == Some(1), "{file}");
        fs::write(&path, &bytes)?;
    }
    // An artifact that all backups share.
    let shards = folder.path().join("copies/artifacts");
    let shard = fs::read_dir(&shards)?.flatten().next().context("a shard")?;
    let artifact = fs::read_dir(shard.path())?
        .flatten()
        .next()
        .context("a file")?;
    let bytes = fs::read(artifact.path())?;
    fs::write(artifact.path(), &bytes[..bytes.len() - 1])?;
    ensure!(said(&folder, &["backup", "verify", name])?.0 == Some(1));
    let (code, drill) = said(&folder, &["backup", "drill", name])?;
    ensure!(code == Some(1) && drill["passed"] == false, "{drill}");
    fs::write(artifact.path(), &bytes)?;
    ensure!(said(&folder, &["backup", "verify", name])?.0 == Some(0));
    // Nothing in the clear lies where backups are.
    ensure!(find(&folder.path().join("copies"), "infinity.db").is_none());
    let host = folder.serve()?;
    // The host takes them up beside its other work.
    poll(PATIENCE, || {
        let events = host.json("/v1/events?type=backup.drilled&limit=20").ok()?;
        let passed = |is: bool| {
            let mut items = events["items"].as_array().into_iter().flatten();
            items.any(|event| event["data"]["passed"] == is)
        };
        (passed(true) && passed(false)).then_some(())
    })
    .context("the trials that were made without the host are not announced")?;
    Ok(())
}

#[test]
fn a_host_without_a_folder_for_backups_says_so() -> anyhow::Result<()> {
    let host = host()?;
    let list = host.json("/v1/backups")?;
    ensure!(list["to"].is_null() && list["items"] == json!([]), "{list}");
    for path in ["/v1/backups", "/v1/backups/drills"] {
        problem(
            host.client().post(host.url(path)).send()?,
            409,
            "backups_off",
        )?;
    }
    let create = host.folder().infinity(&["backup", "create"])?;
    ensure!(create.status.code() == Some(2));
    ensure!(String::from_utf8_lossy(&create.stderr).contains("--to DIR"));
    Ok(())
}
