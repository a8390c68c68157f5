//! The host is killed every few seconds for minutes, while another process starts runs in every way and writes down, synced, what was acknowledged. In the end every acknowledged trigger has
//! exactly one record that says how it ended, and the ledger has every moment once.

use crate::folder;
use anyhow::{Context as _, ensure};
use infinity_tests::host::{Host, PATIENCE, poll, program};
use infinity_tests::soak::{count, figure};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const TABLE: &str = "[agents.hook]\nplugin = \"guests\"\nwebhook = { secret = \"a secret that nobody guesses\" }\n\
    [agents.listener]\nplugin = \"hello\"\non = [\"build.*\"]\n\
    [agents.tick]\nplugin = \"hello\"\nevery = \"1s\"\ncatch_up = \"all\"\ncatch_up_max = 3\noverlap = \"queue\"\n\
    [pipelines.steps]\nsteps = [\"tick\", \"listener\"]\nevery = \"2s\"\n";

/// All items of a list.
fn all(host: &Host, path: &str) -> anyhow::Result<Vec<Value>> {
    let mut items = Vec::new();
    let mut cursor = String::new();
    loop {
        let sign = if path.contains('?') { '&' } else { '?' };
        let page = host.json(&format!("{path}{sign}limit=500{cursor}"))?;
        items.extend(page["items"].as_array().context("items")?.iter().cloned());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(items),
        }
    }
}

#[test]
fn a_host_that_is_killed_for_minutes_keeps_every_promise() -> anyhow::Result<()> {
    let time = Duration::from_secs(count(25, 600));
    let folder = folder("concurrency = 4", TABLE)?;
    folder.foreign("hello-world", "hello")?;
    let mut host = folder.serve()?;
    let log = host.path().join("acknowledged");
    let mut triggers = Command::new(program("triggers"))
        .arg(host.path().join("var/address"))
        .arg(&log)
        .stdin(Stdio::null())
        .spawn()?;
    let began = Instant::now();
    let mut kills = 0_u64;
    while began.elapsed() < time {
        // Half of them when something was just acknowledged, half at any instant.
        let patience = Duration::from_millis(700 + kills * 997 % 2_300);
        if kills.is_multiple_of(2) {
            std::thread::sleep(patience);
        } else {
            std::thread::sleep(patience / 2);
            let before = fs::metadata(&log).map_or(0, |file| file.len());
            poll(patience, || {
                (fs::metadata(&log).ok()?.len() > before).then_some(())
            });
        }
        host = host.kill_and_restart()?;
        kills += 1;
    }
    let _ = triggers.kill();
    let _ = triggers.wait();
    poll(PATIENCE * 2, || {
        let status = host.json("/v1/status").ok()?;
        (status["queued"] == 0 && status["running"].as_u64()? <= 1).then_some(())
    })
    .context("not everything ends")?;
    let acknowledged = fs::read_to_string(&log)?;
    let acknowledged: Vec<(&str, &str)> = acknowledged
        .lines()
        .filter_map(|line| line.split_once(' '))
        .collect();
    ensure!(
        acknowledged.len() > 50,
        "{} triggers were acknowledged",
        acknowledged.len()
    );
    // Events are handed over a little later.
    let last_event = acknowledged
        .iter()
        .rev()
        .find(|(kind, _)| *kind == "event")
        .map(|(_, id)| *id);
    poll(PATIENCE, || {
        let runs = host
            .json("/v1/runs?agent=listener&trigger=event&limit=500")
            .ok()?;
        let found = runs["items"]
            .as_array()?
            .iter()
            .any(|run| run["input"]["id"].as_str() == last_event && run["state"] == "ended");
        found.then_some(())
    })
    .context("the last event starts nothing")?;

    // By key: every attempt of every trigger.
    let mut attempts: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for agent in ["guests", "hook", "listener", "tick"] {
        for run in all(&host, &format!("/v1/runs?agent={agent}"))? {
            let key = format!(
                "{agent} {}",
                run["idempotency_key"].as_str().unwrap_or_default()
            );
            attempts.entry(key).or_default().push(run);
        }
    }
    for (kind, id) in &acknowledged {
        let key = match *kind {
            "manual" => format!("guests {id}"),
            "webhook" => format!("hook webhook/{id}"),
            _ => format!("listener event/8/triggers/{id}"),
        };
        let runs = attempts
            .get(&key)
            .with_context(|| format!("`{key}` was acknowledged and has no run"))?;
        let ends: Vec<&Value> = runs.iter().filter(|run| run["outcome"] != "lost").collect();
        ensure!(
            ends.len() == 1 && ends[0]["state"] == "ended",
            "`{key}` ended {} times: {runs:?}",
            ends.len()
        );
    }
    // The ledger has every second once, from its first to its last.
    let mut rows = all(&host, "/v1/occurrences?agent=tick")?;
    rows.reverse();
    let time_of = |row: &Value, field: &str| -> anyhow::Result<Timestamp> {
        Ok(row[field].as_str().context("a moment")?.parse()?)
    };
    let second = SignedDuration::from_secs(1);
    let mut before: Option<Timestamp> = None;
    let mut moments = 0;
    for row in &rows {
        let (due, until) = (time_of(row, "due_at")?, time_of(row, "until")?);
        if let Some(before) = before {
            ensure!(
                due.duration_since(before) == second,
                "after {before} comes {row}"
            );
        }
        let covered = until.duration_since(due).as_secs() + 1;
        ensure!(row["moments"] == covered, "{row}");
        moments += covered;
        before = Some(until);
        if row["result"] == "fired" {
            let key = format!("tick schedule/{due}");
            let runs = attempts
                .get(&key)
                .with_context(|| format!("{row} fired and has no run"))?;
            ensure!(runs.iter().any(|run| run["id"] == row["run"]), "{row}");
        }
    }
    ensure!(
        moments >= i64::try_from(time.as_secs())? - 2,
        "{moments} moments in {} s",
        time.as_secs()
    );
    // Executions ended, one after the other, and no step of one ran twice.
    let executions = all(&host, "/v1/workflows/steps/executions")?;
    let running = executions
        .iter()
        .filter(|execution| execution["state"] == "running")
        .count();
    ensure!(running <= 1, "{running} executions are in progress");
    let mut cycles: Vec<u64> = executions
        .iter()
        .filter_map(|execution| execution["cycle"].as_u64())
        .collect();
    cycles.reverse();
    ensure!(
        cycles
            .iter()
            .zip(1..)
            .all(|(cycle, number)| *cycle == number),
        "{cycles:?}"
    );
    let health = host.json("/health")?;
    ensure!(
        !health["degraded"].to_string().contains("store"),
        "{health}"
    );
    let checked = host.folder().infinity(&["--json", "store", "check"])?;
    ensure!(
        checked.status.success(),
        "{}",
        String::from_utf8_lossy(&checked.stdout)
    );
    figure(
        "kills of the host while another process starts runs in every way",
        kills,
        &format!(
            "{} acknowledged triggers, each with one end; {moments} moments in {} rows; {} executions",
            acknowledged.len(),
            rows.len(),
            executions.len()
        ),
    );
    Ok(())
}
