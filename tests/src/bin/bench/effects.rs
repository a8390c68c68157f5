//! What agents change in local repositories, against git on the same files: a mirror's commit, a sync's plan, and from a person's word to the commit.

use crate::table::Section;
use anyhow::{Context as _, ensure};
use infinity_tests::git;
use infinity_tests::host::{Folder, Host, PATIENCE, poll, root};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Files that a mirror's run changes.
const MIRRORED: usize = 1_000;

/// Files of the tree that a sync is planned over.
const TREE: usize = 50_000;

/// Files of it that changed.
const CHANGED: usize = 50;

/// Rounds of each side.
const ROUNDS: usize = 5;

/// Changes that a person says yes to.
const APPROVED: usize = 30;

/// Writes numbered files of about a kilobyte.
pub(crate) fn write(directory: &Path, count: usize, round: usize) -> anyhow::Result<()> {
    for number in 0..count {
        let folder = directory.join(format!("files/{:03}", number % 200));
        fs::create_dir_all(&folder)?;
        let line = format!("file {number} in round {round}, and some words to fill the line\n");
        fs::write(folder.join(format!("{number}.txt")), line.repeat(16))?;
    }
    Ok(())
}

pub(crate) fn commit(directory: &Path) -> anyhow::Result<()> {
    git(directory, &["add", "--all"])?;
    git(directory, &["commit", "--quiet", "--message", "Round"])?;
    Ok(())
}

pub(crate) fn repository(path: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(path)?;
    git(path, &["init", "--quiet", "--initial-branch=main"])?;
    Ok(())
}

/// Puts plugins, by the names of what was built, and the shipped policies into a folder.
pub(crate) fn judged(folder: &Folder, plugins: &[&str]) -> anyhow::Result<()> {
    for built in plugins.iter().chain(&["policy"]) {
        let name = built.strip_prefix("test_").unwrap_or(built);
        folder.component(built, &name.replace('_', "-"))?;
    }
    let copied = Command::new("cp")
        .arg("-r")
        .arg(root().join("policies"))
        .arg(folder.path())
        .status()?;
    ensure!(copied.success(), "cp: {copied}");
    Ok(())
}

/// Serves these tables beside an agent that judges, once its policies have a snapshot.
pub(crate) fn served(folder: Folder, tables: &str) -> anyhow::Result<Host> {
    folder.config(
        "",
        &format!("[agents.judge]\nplugin = \"policy\"\npolicies = \"policies\"\n{tables}"),
    )?;
    let host = folder.serve()?;
    poll(PATIENCE, || {
        let run = host.run("judge", &Value::Null).ok()?;
        (run["usage"]["snapshot"] == true).then_some(())
    })
    .context("the policies have no snapshot")?;
    Ok(host)
}

/// The host over these repositories.
fn host() -> anyhow::Result<Host> {
    let folder = Folder::new()?;
    judged(&folder, &["mirror_sync", "repo_sync", "test_guests"])?;
    for name in ["source", "tree"] {
        repository(&folder.path().join(name))?;
    }
    let source = folder.path().join("source");
    write(&source, MIRRORED, 0)?;
    commit(&source)?;
    let tree = folder.path().join("tree");
    write(&tree, TREE, 0)?;
    fs::write(
        tree.join(".sync-config.yaml"),
        "targets:\n  - repo: follower\n    paths: ['files/**']\n",
    )?;
    commit(&tree)?;
    // The follower has all of it, by a sync that says so.
    git(
        folder.path(),
        &["clone", "--quiet", "--bare", "tree", "follower.git"],
    )?;
    let begun = git(&tree, &["rev-parse", "HEAD"])?;
    let message = format!(
        "Sync\n\nSync-Source: tree@{}\nSync-Branch: automation/sync-follower-0\n",
        begun.trim()
    );
    let follower = folder.path().join("follower.git");
    let synced = git(
        &follower,
        &["commit-tree", "-p", "main", "-m", &message, "main^{tree}"],
    )?;
    git(&follower, &["update-ref", "refs/heads/main", &synced])?;
    for number in 0..CHANGED {
        fs::write(
            tree.join(format!("files/{number:03}/{number}.txt")),
            format!("changed {number}\n"),
        )?;
    }
    commit(&tree)?;
    served(
        folder,
        "[repositories.source]\npath = \"source\"\n[repositories.mirror]\npath = \"mirror.git\"\ncreate = true\n\
         [repositories.tree]\npath = \"tree\"\n[repositories.follower]\npath = \"follower.git\"\n\
         [agents.mirror]\nplugin = \"mirror-sync\"\nautonomy = \"auto\"\nlimits = { memory = \"256MiB\" }\n\
         settings = { sources = [{ repository = \"source\" }], target = { repository = \"mirror\", branch = \"founder_mirror\" } }\n\
         grants = { repos = [{ name = \"source\" }, { name = \"mirror\", commit = [\"founder_mirror\"] }] }\n\
         [agents.sync]\nplugin = \"repo-sync\"\nlimits = { memory = \"512MiB\", time = \"60s\", cpu = \"60s\", output = \"64MiB\" }\nsettings = { source = \"tree\" }\n\
         grants = { repos = [{ name = \"tree\" }, { name = \"follower\", commit = [\"automation/*\"], pull_request = true, issue = true }] }\n\
         [agents.writer]\nplugin = \"guests\"\ngrants = { repos = [{ name = \"mirror\", commit = true }] }\n",
    )
}

fn effect(host: &Host, run: &Value, state: &str) -> anyhow::Result<Value> {
    let id = run["id"].as_str().context("an id")?;
    let found = poll(PATIENCE, || {
        let list = host.json(&format!("/v1/effects?run={id}")).ok()?;
        let effect = list["items"].get(0)?.clone();
        (effect["state"] == state).then_some(effect)
    });
    found.with_context(|| format!("nothing of {run} is {state}"))
}

fn between(effect: &Value, from: &str) -> anyhow::Result<f64> {
    let at = |name: &str| {
        effect[name]
            .as_str()
            .context("a time")?
            .parse::<jiff::Timestamp>()
            .context("a time")
    };
    let span = at("ended_at")?.duration_since(at(from)?);
    Ok(span.as_secs_f64() * 1_000.0)
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn ms(took: Duration) -> f64 {
    took.as_secs_f64() * 1_000.0
}

pub(crate) fn measure() -> anyhow::Result<Section> {
    let mut section = Section::new("effects", &["p50 ms", "git's ms", "ratio"]);
    let host = host()?;
    mirror(&host, &mut section)?;
    plan(&host, &mut section)?;
    approval(&host, &mut section)?;
    host.stop()?;
    Ok(section)
}

/// A mirror's run of which every file changed, from the request to the commit; and the commit alone.
fn mirror(host: &Host, section: &mut Section) -> anyhow::Result<()> {
    let source = host.path().join("source");
    let peer = host.path().join("peer");
    repository(&peer)?;
    write(&peer, MIRRORED, 0)?;
    commit(&peer)?;
    effect(host, &host.run("mirror", &Value::Null)?, "applied")?;
    let (mut whole, mut applying, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        write(&source, MIRRORED, round)?;
        commit(&source)?;
        let began = Instant::now();
        let run = host.run("mirror", &Value::Null)?;
        let applied = effect(host, &run, "applied")?;
        whole.push(ms(began.elapsed()));
        applying.push(between(&applied, "approved_at")?);
        write(&peer, MIRRORED, round)?;
        let began = Instant::now();
        commit(&peer)?;
        theirs.push(ms(began.elapsed()));
    }
    let (whole, applying, theirs) = (middle(whole), middle(applying), middle(theirs));
    section.row(
        "mirror of 1,000 changed files, from request to commit",
        &[whole, theirs, whole / theirs],
    );
    section.row(
        "its commit, from approved to applied",
        &[applying, theirs, applying / theirs],
    );
    section.at_most(
        "the mirror's commit, of `git add -A && git commit`",
        2.0,
        applying / theirs,
    );
    section.note("git's: `git add --all && git commit` of the same files in a work tree; the host's commit is signed, synced to the disk and recorded");
    Ok(())
}

/// A plan over a large tree.
fn plan(host: &Host, section: &mut Section) -> anyhow::Result<()> {
    let tree = host.path().join("tree");
    let (mut own, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let answer: Value = host
            .client()
            .post(host.url("/v1/agents/sync/runs?wait=60s&dry_run=true"))
            .json(&Value::Null)
            .send()?
            .json()?;
        own.push(ms(began.elapsed()));
        ensure!(answer["outcome"] == "succeeded", "{answer}");
        let report = host.report(&answer)?;
        let planned = report["output"]["targets"][0]["write"]
            .as_array()
            .map(Vec::len);
        ensure!(planned == Some(CHANGED), "{report}");
        let began = Instant::now();
        let names = git(&tree, &["diff", "--name-only", "HEAD~1", "HEAD"])?;
        for name in names.lines() {
            std::hint::black_box(fs::read(tree.join(name))?);
        }
        theirs.push(ms(began.elapsed()));
    }
    let (own, theirs) = (middle(own), middle(theirs));
    section.row(
        "plan of a sync over 50,000 files, 50 of them changed",
        &[own, theirs, own / theirs],
    );
    section.at_most(
        "the plan, of `git diff --name-only` and reading",
        2.0,
        own / theirs,
    );
    Ok(())
}

/// From a person's yes to the commit.
fn approval(host: &Host, section: &mut Section) -> anyhow::Result<()> {
    let mut took = Vec::new();
    for number in 0..APPROVED {
        let files = json!([{ "path": "a.txt", "content": { "text": format!("{number}\n") } }]);
        let proposed = json!([{ "id": "c", "kind": "commit", "action": {
            "repository": "mirror", "branch": format!("work/{number}"), "base": null, "message": "Change a", "files": files } }]);
        let run = host.run("writer", &json!({ "case": "propose", "effects": proposed }))?;
        let waiting = effect(host, &run, "waiting")?;
        let body = json!({ "effect_id": waiting["id"], "decision": "approve" });
        let answer = host
            .client()
            .post(host.url("/v1/approvals"))
            .json(&body)
            .send()?;
        ensure!(answer.status() == 200, "{}", answer.text()?);
        took.push(between(&effect(host, &run, "applied")?, "approved_at")?);
    }
    let took = middle(took);
    section.row("from approval to applied", &[took, f64::NAN, f64::NAN]);
    section.at_most("from approval to applied, p50 in ms", 50.0, took);
    Ok(())
}
