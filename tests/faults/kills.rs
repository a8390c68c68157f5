//! The host is killed again and again, half of the times at any instant and half at a boundary of its stages, while another process starts runs in every way and writes down, synced, what was
//! acknowledged. After each kill nothing of it is lost, nothing is there twice, and the journal is whole.

use crate::{chain_is_whole, rows};
use anyhow::{Context as _, ensure};
use infinity::boundary;
use infinity_tests::host::{Folder, Host, PATIENCE, poll, program};
use infinity_tests::soak::{count, figure};
use serde_json::{Value, json};
use sqlx::Row as _;
use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const TABLES: &str = "[repositories.ops]\npath = \"ops.git\"\ncreate = true\n\
    [agents.judge]\nplugin = \"policy\"\npolicies = \"policies\"\n\
    [agents.guests]\nplugin = \"guests\"\n\
    [agents.hook]\nplugin = \"guests\"\nwebhook = { secret = \"a secret that nobody guesses\" }\n\
    [agents.listener]\nplugin = \"noop\"\non = [\"build.*\"]\n\
    [agents.writer]\nplugin = \"guests\"\nautonomy = \"auto\"\neffects_per_hour = 10000\n\
    [agents.writer.grants]\nrepos = [{ name = \"ops\", commit = true, issue = true, comment = true }]\n";

/// Kills of one state: the whole journal is read after each, so that a state with all of them would take the square of their time.
const KILLS: usize = 20;

/// Everything is allowed: what is looked at here is not the policy.
const POLICY: &str = "package effects\n\n\
    default approvals := 0\n\n\
    default second_person := false\n\n\
    deny contains violation if {\n\tinput.branch == \"never\"\n\tviolation := {\"msg\": \"never\"}\n}\n";

/// Ends with the value.
struct Triggers(Child);

impl Drop for Triggers {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How the runs of each trigger ended, by agent and key, as the rows say it.
fn ends(host: &Host) -> anyhow::Result<BTreeMap<String, Vec<Option<String>>>> {
    let sql = "SELECT agent, idempotency_key, outcome FROM runs ORDER BY seq";
    let mut found: BTreeMap<String, Vec<Option<String>>> = BTreeMap::new();
    for row in rows(&host.path().join("var"), sql)? {
        let (agent, key): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        found
            .entry(format!("{agent} {key}"))
            .or_default()
            .push(row.try_get(2)?);
    }
    Ok(found)
}

/// What was acknowledged so far, by agent and key; what is acknowledged as an event becomes a run a little later.
fn acknowledged(log: &std::path::Path) -> anyhow::Result<Vec<(bool, String)>> {
    let text = fs::read_to_string(log).unwrap_or_default();
    // The last line may be in the middle of being written.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole
        .lines()
        .map(|line| {
            let (kind, id) = line.split_once(' ').context("a line")?;
            Ok(match kind {
                "manual" => (true, format!("guests {id}")),
                "webhook" => (true, format!("hook webhook/{id}")),
                _ => (false, format!("listener event/8/triggers/{id}")),
            })
        })
        .collect()
}

fn proposal(branch: &str) -> Value {
    json!({ "case": "propose", "effects": [
        { "id": "change", "kind": "commit", "action": { "repository": "ops", "branch": branch, "base": null, "message": "Change",
            "files": [{ "path": "a", "content": { "text": format!("{branch}\n") } }] } },
        { "id": "issue", "depends_on": ["change"], "kind": "issue", "action": { "repository": "ops", "title": branch, "body": "b" } },
        { "id": "say", "depends_on": ["issue"], "kind": "comment", "action": { "repository": "ops", "number": 1, "body": branch } },
    ] })
}

/// After a kill: what was acknowledged is there, nothing ended twice, and the journal is whole.
fn holds(host: &Host, log: &std::path::Path, from: usize) -> anyhow::Result<usize> {
    let promised = acknowledged(log)?;
    let found = ends(host)?;
    for (at_once, key) in promised.iter().skip(from) {
        ensure!(
            !at_once || found.contains_key(key),
            "`{key}` was acknowledged and is not there"
        );
    }
    for (key, outcomes) in &found {
        let over = outcomes
            .iter()
            .flatten()
            .filter(|outcome| *outcome != "lost")
            .count();
        ensure!(over <= 1, "`{key}` ended {over} times: {outcomes:?}");
    }
    chain_is_whole(host)?;
    Ok(promised.len())
}

/// Kills a host with a state of its own; answers how many triggers were acknowledged.
fn round(kills: Range<usize>) -> anyhow::Result<usize> {
    let folder = Folder::new()?;
    folder
        .component("test_guests", "guests")?
        .component("policy", "policy")?;
    folder.bytes("noop", &crate::noop()?)?;
    fs::create_dir_all(folder.path().join("policies/effects"))?;
    fs::write(folder.path().join("policies/effects/effects.rego"), POLICY)?;
    folder.config("concurrency = 4", TABLES)?;
    let mut host = folder.serve()?;
    poll(PATIENCE * 3, || {
        let run = host.run("judge", &Value::Null).ok()?;
        (run["usage"]["snapshot"] == true).then_some(())
    })
    .context("the policies are not prepared")?;
    let log = host.path().join("acknowledged");
    let triggers = Triggers(
        Command::new(program("triggers"))
            .arg(host.path().join("var/address"))
            .arg(&log)
            .stdin(Stdio::null())
            .spawn()?,
    );
    let mut seen = 0;
    let mut proposals = Vec::new();
    for kill in kills.clone() {
        let branch = format!("automation/b-{kill}");
        let input = proposal(&branch);
        if kill % 2 == 0 {
            host.start_doomed("writer", &input, &branch);
            std::thread::sleep(Duration::from_micros(
                u64::try_from(kill)? * 17_389 % 250_000,
            ));
            host = host.kill_and_restart()?;
        } else {
            let names = boundary::NAMES;
            let turn = kill / 2;
            let name = names[turn % names.len()];
            // Only what changes files is written apart.
            let time = if name == "effect.written" {
                1
            } else {
                1 + turn / names.len() % 3
            };
            let at = format!("{name}:{time}");
            let mut doomed = host.kill_and_restart_with(&[(boundary::VARIABLE, &at)])?;
            doomed.start_doomed("writer", &input, &branch);
            ensure!(
                poll(PATIENCE, || doomed.ended()).is_some(),
                "it does not die at {at}"
            );
            host = doomed.kill_and_restart()?;
        }
        seen = holds(&host, &log, seen)?;
        proposals.push((branch, input));
    }
    drop(triggers);

    // In the end each has one end, and each change is there once.
    poll(PATIENCE * 2, || {
        let status = host.json("/v1/status").ok()?;
        (status["queued"] == 0 && status["running"] == 0).then_some(())
    })
    .context("not everything ends")?;
    let promised = acknowledged(&log)?;
    ensure!(
        promised.len() > kills.len(),
        "only {} were acknowledged",
        promised.len()
    );
    poll(PATIENCE, || {
        let found = ends(&host).ok()?;
        let once = |key: &String| {
            let outcomes = found.get(key).map_or(&[][..], Vec::as_slice);
            let over = outcomes
                .iter()
                .flatten()
                .filter(|outcome| *outcome != "lost");
            over.count() == 1 && outcomes.iter().all(Option::is_some)
        };
        promised.iter().all(|(_, key)| once(key)).then_some(())
    })
    .context("an acknowledged trigger has no end, or two")?;
    for (branch, input) in &proposals {
        let run = host.run_of_key("writer", input, branch)?;
        let path = format!("/v1/effects?run={}", run["id"].as_str().context("an id")?);
        poll(PATIENCE, || {
            let list = host.json(&path).ok()?;
            let effects = list["items"].as_array()?;
            (effects.len() == 3 && effects.iter().all(|effect| effect["state"] == "applied"))
                .then_some(())
        })
        .with_context(|| format!("not everything is applied: {:?}", host.json(&path)))?;
        let counted = Command::new("git")
            .args(["rev-list", "--count", &format!("refs/heads/{branch}")])
            .current_dir(host.path().join("ops.git"))
            .output()?;
        ensure!(counted.stdout == b"1\n", "{branch}: {counted:?}");
    }
    holds(&host, &log, 0)?;
    Ok(promised.len())
}

#[test]
fn f02_a_host_that_is_killed_anywhere_loses_nothing_and_records_nothing_twice() -> anyhow::Result<()>
{
    let kills: usize = count(KILLS, 1_000);
    let mut promised = 0;
    for first in (0..kills).step_by(KILLS) {
        promised +=
            round(first..first + KILLS).with_context(|| format!("of the kills from {first} on"))?;
    }
    figure(
        "kills of the host, half of them at a boundary",
        kills,
        &format!(
            "{promised} acknowledged triggers with one end each, {} changes made once",
            kills * 3
        ),
    );
    Ok(())
}
