//! A sync under load: from a push to the source until the targets have it, while other agents change another repository as fast as they can.

use crate::effects::{commit, judged, repository, served, write};
use crate::table::Section;
use anyhow::{Context as _, bail, ensure};
use infinity_tests::git;
use infinity_tests::host::{Folder, Host, poll};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Files of the source.
const FILES: usize = 500;

/// Repositories that follow it.
const TARGETS: usize = 8;

/// Pushes to the source, each of some files.
const PUSHES: usize = 100;

/// Files that a push changes.
const CHANGED: usize = 5;

/// The time between pushes.
const PACE: Duration = Duration::from_millis(250);

/// Clients that start runs of another agent, each as soon as its last one ended.
const CLIENTS: usize = 4;

/// How long everything may take to come to rest afterwards.
const REST: Duration = Duration::from_secs(120);

/// What the requirements promise, in milliseconds.
const AIM_MS: f64 = 30_000.0;

fn host() -> anyhow::Result<Host> {
    let folder = Folder::new()?;
    judged(&folder, &["repo_sync", "test_guests"])?;
    let source = folder.path().join("source");
    repository(&source)?;
    write(&source, FILES, 0)?;
    let mut targets = "targets:\n".to_owned();
    let mut tables =
        "[repositories.source]\npath = \"source\"\n[repositories.busy]\npath = \"busy.git\"\ncreate = true\n"
            .to_owned();
    let mut grants = "{ name = \"source\" }".to_owned();
    for target in 0..TARGETS {
        writeln!(targets, "  - repo: t{target}\n    paths: ['files/**']")?;
        writeln!(
            tables,
            "[repositories.t{target}]\npath = \"t{target}.git\"\ncreate = true"
        )?;
        write!(
            grants,
            ", {{ name = \"t{target}\", commit = [\"automation/*\"], pull_request = true }}"
        )?;
    }
    fs::write(source.join(".sync-config.yaml"), targets)?;
    commit(&source)?;
    served(
        folder,
        &format!(
            "{tables}[agents.sync]\nplugin = \"repo-sync\"\non = [\"bench.push\"]\nautonomy = \"auto\"\neffects_per_hour = 10000\n\
             settings = {{ source = \"source\" }}\ngrants = {{ repos = [{grants}] }}\n\
             [agents.writer]\nplugin = \"guests\"\nautonomy = \"auto\"\neffects_per_hour = 10000\ngrants = {{ repos = [{{ name = \"busy\", commit = true }}] }}\n"
        ),
    )
}

/// Starts runs of the other agent until told to stop, each with a commit.
fn keep_busy(
    host: &Host,
    client: usize,
    stop: &AtomicBool,
    ended: &AtomicU64,
) -> anyhow::Result<()> {
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let files = json!([{ "path": format!("{client}.txt"), "content": { "text": format!("{number}\n") } }]);
        let proposed = json!([{ "id": "c", "kind": "commit", "action": {
            "repository": "busy", "branch": format!("automation/{client}-{number}"), "base": null, "message": "Change", "files": files } }]);
        let run = host.run("writer", &json!({ "case": "propose", "effects": proposed }))?;
        ensure!(run["outcome"] == "succeeded", "{run}");
        ended.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// The end of a log.
fn last(log: &str) -> String {
    let lines: Vec<&str> = log.lines().rev().take(20).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

/// All effects of the agent that syncs.
fn effects(host: &Host) -> anyhow::Result<Vec<Value>> {
    let mut all = Vec::new();
    let mut next = String::new();
    loop {
        let list = host.json(&format!("/v1/effects?agent=sync&limit=500{next}"))?;
        all.extend(list["items"].as_array().context("items")?.iter().cloned());
        match list["next"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => return Ok(all),
        }
    }
}

/// Whether every target's branch has the source's files.
fn in_step(host: &Host) -> anyhow::Result<bool> {
    let files = git(&host.path().join("source"), &["rev-parse", "HEAD:files"])?;
    for target in 0..TARGETS {
        let target = host.path().join(format!("t{target}.git"));
        let branches = git(
            &target,
            &["branch", "--list", "--format=%(refname)", "automation/*"],
        )?;
        let Some(branch) = branches.lines().next() else {
            return Ok(false);
        };
        if git(&target, &["rev-parse", &format!("{branch}:files")])? != files {
            return Ok(false);
        }
    }
    Ok(true)
}

pub(crate) fn measure() -> anyhow::Result<Section> {
    let mut section = Section::new(
        "sync",
        &["p50 ms", "p99 ms", "max ms", "applied", "a second"],
    );
    let host = host()?;
    let source = host.path().join("source");
    let (stop, ended) = (AtomicBool::new(false), AtomicU64::new(0));
    let began = Instant::now();
    std::thread::scope(|scope| -> anyhow::Result<()> {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (host, stop, ended) = (&host, &stop, &ended);
                scope.spawn(move || keep_busy(host, client, stop, ended))
            })
            .collect();
        let pushed = pushes(&host, &source);
        stop.store(true, Ordering::Relaxed);
        for client in clients {
            client
                .join()
                .map_err(|_| anyhow::anyhow!("a client panicked"))?
                .with_context(|| format!("the host says: {}", last(&host.log())))?;
        }
        pushed
    })?;
    let loaded = began.elapsed();
    let rested = poll(REST, || {
        let unfinished = effects(&host)
            .ok()?
            .iter()
            .any(|effect| effect["ended_at"].is_null());
        (!unfinished && in_step(&host).ok()?).then_some(())
    });
    if rested.is_none() {
        let mut states: BTreeMap<String, usize> = BTreeMap::new();
        for effect in effects(&host)? {
            let state = format!(
                "{} {}: {}",
                effect["kind"], effect["state"], effect["message"]
            );
            *states.entry(state.chars().take(200).collect()).or_default() += 1;
        }
        bail!(
            "the targets do not come to have what the source has: {states:#?}\n{}",
            last(&host.log())
        );
    }
    let mut took: Vec<f64> = effects(&host)?
        .iter()
        .filter(|effect| effect["state"] == "applied")
        .filter_map(|effect| effect["latency_us"].as_f64())
        .map(|micros| micros / 1_000.0)
        .collect();
    took.sort_by(f64::total_cmp);
    ensure!(
        took.len() >= TARGETS,
        "only {} changes were applied",
        took.len()
    );
    let at = |part: f64| took[((took.len() - 1) as f64 * part).round() as usize];
    section.row(
        "from push to applied, of 8 targets",
        &[
            at(0.5),
            at(0.99),
            at(1.0),
            took.len() as f64,
            took.len() as f64 / loaded.as_secs_f64(),
        ],
    );
    section.at_most("from push to applied, p99 in ms", AIM_MS, at(0.99));
    section.note(format!(
        "{PUSHES} pushes of {CHANGED} files, one each {} ms, while {CLIENTS} clients made {:.1} commits a second elsewhere",
        PACE.as_millis(),
        ended.load(Ordering::Relaxed) as f64 / loaded.as_secs_f64(),
    ));
    host.stop()?;
    Ok(section)
}

/// Commits to the source, and says so to the host.
fn pushes(host: &Host, source: &std::path::Path) -> anyhow::Result<()> {
    for push in 0..PUSHES {
        let due = Instant::now() + PACE;
        for file in 0..CHANGED {
            let number = (push * CHANGED + file) % FILES;
            let path = source.join(format!("files/{:03}/{number}.txt", number % 200));
            fs::write(path, format!("push {push}\n"))?;
        }
        commit(source)?;
        let event = json!({
            "specversion": "1.0", "id": format!("push-{push}"), "source": "https://bench.example.org/", "type": "bench.push", "data": {} });
        host.publish(&event)?;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    Ok(())
}
