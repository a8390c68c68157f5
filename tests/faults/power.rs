//! The power is cut: what was written and not synced is not on the disk.
//!
//! The library of [`crate::shim`] notes what each write overwrites until the file is synced. After a kill the test takes back from the files what the disk owed nobody: everything, or the end of it.

use crate::shim::{Shim, pairs};
use crate::{chain_is_whole, folder, look};
use anyhow::{Context as _, ensure};
use infinity_tests::host::{Host, PATIENCE, poll};
use infinity_tests::soak::{count, figure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// What a write overwrote.
struct Noted {
    file: usize,
    offset: u64,
    /// How long the file was.
    size: u64,
    old: Vec<u8>,
}

/// What was not synced, in the order of writing.
fn unsynced(undo: &Path) -> anyhow::Result<Vec<Noted>> {
    let bytes = fs::read(undo)?;
    let mut noted: Vec<Noted> = Vec::new();
    let mut rest = &bytes[..];
    while let Some((head, after)) = rest.split_at_checked(24) {
        let word = |at: usize| -> anyhow::Result<u64> {
            Ok(u64::from_ne_bytes(head[at..at + 8].try_into()?))
        };
        let kind = usize::try_from(u32::from_ne_bytes(head[..4].try_into()?))?;
        let old = usize::try_from(u32::from_ne_bytes(head[4..8].try_into()?))?;
        // The process ended in the middle of a note: the write that it belongs to did not begin.
        let Some((old, after)) = after.split_at_checked(old) else {
            break;
        };
        rest = after;
        if kind >= 2 {
            noted.retain(|noted| noted.file != kind - 2);
        } else {
            noted.push(Noted {
                file: kind,
                offset: word(8)?,
                size: word(16)?,
                old: old.to_vec(),
            });
        }
    }
    Ok(noted)
}

/// Takes back the last `count` of what was not synced.
fn take_back(state: &Path, noted: &[Noted], count: usize) -> anyhow::Result<()> {
    let names = ["infinity.db", "infinity.db-wal"];
    for write in noted.iter().rev().take(count) {
        let path = state.join(names[write.file]);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        file.write_all_at(&write.old, write.offset)?;
        file.set_len(write.size)?;
    }
    Ok(())
}

/// Starts runs until the host is gone; those that were acknowledged.
fn load(host: &Host, time: Duration) -> anyhow::Result<Vec<Value>> {
    let url = host.url("/v1/agents/guests/runs");
    let started = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|_| {
                let (url, client, started) = (&url, host.client(), &started);
                scope.spawn(move || {
                    let mut runs = Vec::new();
                    let input = json!({ "case": "ok", "padding": "x".repeat(3_000) });
                    while let Ok(answer) = client.post(url).json(&input).send() {
                        if answer.status() == 201
                            && let Ok(run) = answer.json::<Value>()
                        {
                            runs.push(run);
                            started.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    runs
                })
            })
            .collect();
        poll(PATIENCE, || {
            (started.load(Ordering::Relaxed) > 2).then_some(())
        });
        std::thread::sleep(time);
        let pid = Pid::from_raw(host.pid().cast_signed()).context("a process");
        let killed = pid.map(|pid| kill_process(pid, Signal::KILL));
        let runs = clients
            .into_iter()
            .flat_map(|client| client.join().unwrap_or_default())
            .collect();
        killed??;
        Ok(runs)
    })
}

#[test]
fn f07_what_was_acknowledged_is_there_after_the_power_was_cut() -> anyhow::Result<()> {
    let cuts: u64 = count(8, 300);
    let Some(shim) = Shim::new()? else {
        return Ok(());
    };
    let environment = shim.noting()?;
    let mut host = folder("concurrency = 4", "")?.serve_with(&pairs(&environment))?;
    let mut acknowledged: Vec<Value> = Vec::new();
    let mut taken_back = 0;
    for cut in 0..cuts {
        let runs = load(&host, Duration::from_millis(200 + cut * 131 % 700))?;
        // The process is gone once nobody answers; its files are as it left them.
        while host.ended().is_none() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let noted = unsynced(&shim.undo())?;
        // Everything, or as much as a disk may not have come to.
        let count = if cut % 2 == 0 {
            noted.len()
        } else {
            noted.len() * usize::try_from(cut % 5)? / 5
        };
        take_back(&host.path().join("var"), &noted, count)?;
        taken_back += count;
        host = host.kill_and_restart_with(&pairs(&environment))?;
        for run in runs.iter().rev().take(200) {
            look(&host, run).with_context(|| format!("after cut {cut}: {run} is lost"))?;
        }
        chain_is_whole(&host)?;
        acknowledged.extend(runs);
    }
    ensure!(acknowledged.len() > 20, "hardly anything was started");
    for run in &acknowledged {
        look(&host, run)?;
    }
    let checked = host.folder().infinity(&["--json", "store", "check"])?;
    ensure!(
        checked.status.success(),
        "{}",
        String::from_utf8_lossy(&checked.stdout)
    );
    figure(
        "cuts of the power",
        cuts,
        &format!(
            "{taken_back} unsynced writes taken back, {} acknowledged starts there",
            acknowledged.len()
        ),
    );
    Ok(())
}
