//! A disk that is full, fails, or does not hold what was written to it.

use crate::shim::{Shim, pairs};
use crate::{chain_is_whole, ended, folder, look, ok, rows, skipped, start, strike};
use anyhow::{Context as _, ensure};
use infinity_tests::host::{Host, PATIENCE, poll};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A file system of its own with so many bytes, for as long as the value lives.
struct Small(TempDir);

impl Small {
    fn mount(bytes: u64) -> anyhow::Result<Option<Self>> {
        let directory = TempDir::new()?;
        let mounted = Command::new("mount")
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={bytes},mode=700"),
                "tmpfs",
            ])
            .arg(directory.path())
            .stderr(Stdio::null())
            .status();
        if matches!(mounted, Ok(status) if status.success()) {
            return Ok(Some(Self(directory)));
        }
        skipped("a file system cannot be mounted");
        Ok(None)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// Starts a run whose row is large.
fn start_large(host: &Host) -> anyhow::Result<(u16, Value)> {
    let input = json!({ "case": "ok", "padding": "x".repeat(100_000) });
    let url = host.url("/v1/agents/guests/runs");
    let answer = host.client().post(url).json(&input).send()?;
    let status = answer.status().as_u16();
    Ok((status, answer.json()?))
}

#[test]
fn f08_a_full_disk_refuses_what_is_new_until_there_is_room() -> anyhow::Result<()> {
    // Compiled components take some of it, once.
    let Some(small) = Small::mount(48 * 1024 * 1024)? else {
        return Ok(());
    };
    let place = small.0.path();
    let state = place.join("var");
    let folder = folder("", "")?;
    let text = fs::read_to_string(folder.path().join("plugins.toml"))?;
    let text = text.replace(
        "state = \"var\"",
        &format!("state = \"{}\"", state.display()),
    );
    fs::write(folder.path().join("plugins.toml"), text)?;
    let host = folder.serve_on(&state)?;
    let first = host.run("guests", &ok())?;
    ensure!(first["outcome"] == "succeeded", "{first}");

    // All but two mebibytes, so that there is something to be written before the end.
    let free = rustix::fs::statvfs(place)?;
    let ballast = (free.f_bavail * free.f_frsize).saturating_sub(2 * 1024 * 1024);
    fs::write(place.join("ballast"), vec![1; usize::try_from(ballast)?])?;
    let mut acknowledged = Vec::new();
    let refused = poll(PATIENCE, || match start_large(&host) {
        Ok((201, run)) => {
            acknowledged.push(run);
            None
        }
        Ok(other) => Some(Ok(other)),
        Err(error) => Some(Err(error)),
    });
    let (status, body) = refused.context("it takes more than there is room for")??;
    ensure!(
        status == 507 && body["code"] == "storage_full",
        "{status}: {body}"
    );
    ensure!(
        body["detail"]
            .as_str()
            .is_some_and(|text| text.contains("free space")),
        "{body}"
    );
    ensure!(!acknowledged.is_empty(), "nothing was taken before");
    // What is there is read.
    for run in acknowledged.iter().chain([&first]) {
        ensure!(look(&host, run)?["id"] == run["id"], "{run}");
    }
    ensure!(host.get("/health")?.status() == 200, "it is gone");

    // With room it goes on by itself.
    fs::remove_file(place.join("ballast"))?;
    let taken = poll(PATIENCE, || match start_large(&host) {
        Ok((201, run)) => Some(run),
        _ => None,
    });
    let taken = taken.context("it does not recover")?;
    for run in acknowledged.iter().chain([&taken]) {
        let run = ended(&host, run)?;
        ensure!(run["outcome"] != "host_error", "{run}");
    }
    chain_is_whole(&host)?;
    let (status, folder) = host.stop_and_keep()?;
    ensure!(status.success(), "{status}");
    let checked = folder.infinity(&["store", "check"])?;
    ensure!(
        checked.status.success(),
        "{}",
        String::from_utf8_lossy(&checked.stdout)
    );
    Ok(())
}

#[test]
fn f10_after_a_sync_failed_nothing_more_is_believed() -> anyhow::Result<()> {
    let Some(shim) = Shim::new()? else {
        return Ok(());
    };
    let environment = shim.environment()?;
    let host = folder("", "")?.serve_with(&pairs(&environment))?;
    let before = host.run("guests", &ok())?;
    ensure!(before["outcome"] == "succeeded", "{before}");
    shim.syncs_fail(true)?;
    let post = || -> anyhow::Result<u16> {
        let url = host.url("/v1/agents/guests/runs");
        Ok(host
            .client()
            .post(url)
            .json(&ok())
            .send()?
            .status()
            .as_u16())
    };
    let status = post()?;
    ensure!(status >= 500, "{status} although it is not on the disk");
    // A sync that succeeds later says nothing of what the one before dropped.
    shim.syncs_fail(false)?;
    for _ in 0..3 {
        let status = post()?;
        ensure!(status >= 500, "{status} after a sync failed");
    }
    ensure!(look(&host, &before)?["outcome"] == "succeeded", "reading");
    let log = host.log();
    ensure!(log.contains("the store stops writing"), "{log}");

    let host = host.kill_and_restart()?;
    ensure!(
        look(&host, &before)?["outcome"] == "succeeded",
        "it is gone"
    );
    ensure!(
        host.run("guests", &ok())?["outcome"] == "succeeded",
        "a run"
    );
    chain_is_whole(&host)
}

/// A host that was killed with some rows in the database itself and none in its log.
fn killed() -> anyhow::Result<Host> {
    let host = folder("", "")?.serve()?;
    for number in 0..40 {
        let run = host.run("guests", &json!({ "case": "ok", "number": number }))?;
        ensure!(run["outcome"] == "succeeded", "{run}");
    }
    let (_, folder) = host.stop_and_keep()?;
    let mut host = folder.serve()?;
    strike(&mut host, Signal::KILL)?;
    Ok(host)
}

#[test]
fn f11_a_database_that_is_damaged_is_not_served() -> anyhow::Result<()> {
    let host = killed()?;
    let path = host.path().join("var/infinity.db");
    let sound = fs::read(&path)?;
    let log = host.path().join("var/infinity.db-wal");
    let sound_log = fs::read(&log).unwrap_or_default();
    let file = OpenOptions::new().write(true).open(&path)?;
    // In the middle of the pages, and at a page's own head.
    let middle = u64::try_from(sound.len())? / 2 / 4096 * 4096;
    for at in [middle, 4096 * 3] {
        file.write_all_at(&[0xff; 4096], at)?;
    }
    drop(file);
    let said = host.folder().infinity(&["serve"])?;
    let text = String::from_utf8_lossy(&said.stderr).into_owned();
    ensure!(said.status.code() == Some(1), "{}: {text}", said.status);
    ensure!(
        text.contains("infinity.db` is damaged") && text.contains("backup"),
        "{text}"
    );
    let checked = host.folder().infinity(&["--json", "store", "check"])?;
    ensure!(!checked.status.success(), "the check finds nothing");
    // Put back, it is as before.
    fs::write(&path, &sound)?;
    fs::write(&log, &sound_log)?;
    let host = host.kill_and_restart()?;
    let runs = host.json("/v1/runs?limit=100")?;
    ensure!(runs["items"].as_array().map(Vec::len) == Some(40), "{runs}");
    chain_is_whole(&host)
}

#[test]
fn f12_a_log_that_ends_in_the_middle_of_a_write_loses_nothing_that_was_acknowledged()
-> anyhow::Result<()> {
    let mut host = folder("", "")?.serve()?;
    let mut acknowledged = Vec::new();
    for round in 0..4_u8 {
        for _ in 0..5 {
            acknowledged.push(ended(&host, &start(&host, "guests", &ok())?)?);
        }
        strike(&mut host, Signal::KILL)?;
        let path = host.path().join("var/infinity.db-wal");
        let log = fs::read(&path)?;
        ensure!(log.len() > 4096, "the log is empty");
        // A write that was never synced: a head without a page, a page that was cut, a frame of another time, noise.
        let tail = match round {
            0 => vec![0; 24],
            1 => log[log.len() - 2000..].to_vec(),
            2 => log[32..32 + 24 + 4096].to_vec(),
            _ => vec![0xa5; 10_000],
        };
        let file = OpenOptions::new().append(true).open(&path)?;
        std::io::Write::write_all(&mut &file, &tail)?;
        drop(file);
        host = host.kill_and_restart()?;
        for run in &acknowledged {
            ensure!(look(&host, run)?["outcome"] == run["outcome"], "{run}");
        }
        chain_is_whole(&host)?;
    }
    // Where the disk lost the end of it, what is before is whole.
    strike(&mut host, Signal::KILL)?;
    let path = host.path().join("var/infinity.db-wal");
    let file = OpenOptions::new().write(true).open(&path)?;
    let length = file.metadata()?.len();
    file.set_len(length - 1000)?;
    drop(file);
    let host = host.kill_and_restart()?;
    chain_is_whole(&host)?;
    ensure!(
        host.run("guests", &ok())?["outcome"] == "succeeded",
        "a run"
    );
    Ok(())
}

/// The files of compiled code.
fn compiled(state: &Path) -> anyhow::Result<Vec<std::path::PathBuf>> {
    let files = fs::read_dir(state.join("cache"))?.flatten();
    let mut files: Vec<_> = files.map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "bin"));
    files.sort();
    Ok(files)
}

#[test]
fn f13_compiled_code_that_changed_is_never_run() -> anyhow::Result<()> {
    let mut host = folder("", "[agents.other]\nplugin = \"noop\"\n")?.serve()?;
    // In its tag, in its first bytes, in the middle, at its end; cut off; another component's under its name.
    for fault in 0..6 {
        strike(&mut host, Signal::KILL)?;
        let paths = compiled(&host.path().join("var"))?;
        ensure!(paths.len() >= 2, "two components are compiled");
        let kept = paths.iter().map(fs::read).collect::<Result<Vec<_>, _>>()?;
        for (number, path) in paths.iter().enumerate() {
            let mut bytes = kept[number].clone();
            let end = bytes.len() - 1;
            match fault {
                0 => bytes[5] ^= 1,
                1 => bytes[32] ^= 1,
                2 => bytes[end / 2] ^= 0x10,
                3 => bytes[end] ^= 0x80,
                4 => bytes.truncate(end / 2),
                _ => bytes.clone_from(&kept[(number + 1) % kept.len()]),
            }
            fs::write(path, &bytes)?;
        }
        host = host.kill_and_restart()?;
        let run = host.run("guests", &ok())?;
        ensure!(run["outcome"] == "succeeded", "{fault}: {run}");
        let log = host.log();
        ensure!(
            log.contains("is not what this host wrote; it is deleted and compiled again"),
            "{fault}: {log}"
        );
    }
    Ok(())
}

#[test]
fn f45_what_cannot_be_put_into_the_journal_does_not_happen() -> anyhow::Result<()> {
    let host = folder("", "")?.serve()?;
    ensure!(
        host.run("guests", &ok())?["outcome"] == "succeeded",
        "a run"
    );
    let state = host.path().join("var");
    let keys = || rows(&state, "SELECT 1 FROM api_keys").map(|rows| rows.len());
    let before = keys()?;
    crate::tamper(
        &state,
        "CREATE TRIGGER broken BEFORE INSERT ON journal BEGIN SELECT RAISE(ABORT, 'no'); END",
    )?;
    let make = || {
        let body = json!({ "name": "late", "role": "viewer" });
        host.client().post(host.url("/v1/keys")).json(&body).send()
    };
    let refused = make()?;
    let (status, text) = (refused.status().as_u16(), refused.text()?);
    ensure!(status >= 500, "{status}: {text}");
    ensure!(!text.contains("journal"), "{text}");
    ensure!(keys()? == before, "a key that nobody recorded");
    crate::tamper(&state, "DROP TRIGGER broken")?;
    let made = make()?;
    ensure!(made.status() == 201, "{}", made.text()?);
    ensure!(keys()? == before + 1, "no key");
    Ok(())
}
