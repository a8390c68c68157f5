//! Repositories on GitHub: what agents propose is done there, once, by an App or by a person's token, whatever GitHub does in between.
//!
//! The other side is the stand-in of `tests/forge/`: real repositories, and each request and answer held against GitHub's published description.

use crate::effects::{approve, decide, propose, until, with_policy};
use anyhow::{Context as _, ensure};
use infinity_tests::git;
use infinity_tests::github::{ANN, BOB, Github, OWNER, Setup, manifest};
use infinity_tests::host::{Folder, Host, PATIENCE, poll};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

const ALL: &str = "read = true, commit = true, publication = true, pull_request = true, merge = true, issue = true, comment = true, status = true";

/// `[repositories]` and agents: `ops` is on GitHub, `here` on this machine.
fn tables(github: &str) -> String {
    format!(
        "{github}\n[repositories.ops]\ngithub = \"{OWNER}/ops\"\n[repositories.here]\npath = \"here.git\"\ncreate = true\n\
         [agents.judge]\nplugin = \"policy\"\npolicies = \"policies\"\n\
         [agents.writer]\nplugin = \"guests\"\nautonomy = \"auto\"\neffects_per_hour = 1000\n\
         [agents.writer.grants]\nrepos = [{{ name = \"ops\", {ALL} }}, {{ name = \"here\", {ALL} }}]\n"
    )
}

fn folder(github: &str) -> anyhow::Result<Folder> {
    let folder = Folder::new()?;
    folder.component("test_guests", "guests")?;
    with_policy(&folder)?;
    folder.config("", &tables(github))?;
    Ok(folder)
}

/// GitHub with a repository that has a commit.
fn github(setup: &Setup<'_>) -> anyhow::Result<Option<Github>> {
    let Some(github) = Github::start(setup)? else {
        return Ok(None);
    };
    for name in setup.repositories {
        github.push(
            name,
            "main",
            &[("README.md", "# Read me\n"), ("run.sh", "#!/bin/sh\n")],
        )?;
    }
    Ok(Some(github))
}

fn one(host: &Host, effect: Value) -> anyhow::Result<Value> {
    propose(host, &json!([effect]))?.pop().context("an effect")
}

fn commit(
    repository: &str,
    branch: &str,
    base: Option<&str>,
    start: Option<&str>,
    files: &Value,
) -> Value {
    json!({ "id": "commit", "kind": "commit", "action": {
        "repository": repository, "branch": branch, "base": base, "start": start, "message": "Change files", "files": files,
    } })
}

fn file(path: &str, text: &str) -> Value {
    json!({ "path": path, "content": { "text": text } })
}

fn text<'v>(value: &'v Value, name: &str) -> anyhow::Result<&'v str> {
    value[name]
        .as_str()
        .with_context(|| format!("no `{name}` in {value}"))
}

/// A branch of ours from `main`, with a file of this name.
fn branch(host: &Host, github: &Github, branch: &str, path: &str) -> anyhow::Result<Value> {
    let main = github.git("ops", &["rev-parse", "main"])?;
    let files = json!([file(path, &format!("{path}\n"))]);
    until(
        host,
        &one(host, commit("ops", branch, None, Some(&main), &files))?,
        "applied",
    )
}

fn pull_request(head: &str) -> Value {
    json!({ "id": "ask", "kind": "pull_request", "action": {
        "repository": "ops", "head": head, "base": "main", "title": format!("Merge {head}"), "body": "It is time.",
        "labels": ["automation"], "reviewers": ["bob"] } })
}

#[test]
fn an_app_writes_one_commit_that_github_signs() -> anyhow::Result<()> {
    let Some(github) = github(&Setup::default())? else {
        return Ok(());
    };
    let host = folder(&github.as_app())?.serve()?;
    let main = github.git("ops", &["rev-parse", "main"])?;
    // What is no text, what is one line of five megabytes, and what is text.
    let long = "x".repeat(5 * 1024 * 1024);
    let theirs = github.push(
        "ops",
        "people",
        &[("long.txt", &long), ("picture", "\u{0}\u{1}\u{2}")],
    )?;
    let from = |path: &str| json!({ "path": path, "content": { "repository": "ops", "commit": theirs, "path": path } });
    let files = json!([
        file("docs/a.md", "# A\n"), file("docs/ä b.md", "# Ä\n"), from("long.txt"), from("picture"),
        { "path": "moved.sh", "content": { "repository": "ops", "commit": main, "path": "run.sh" } },
        { "path": "README.md", "content": { "deleted": true } },
    ]);
    let proposed = one(
        &host,
        commit("ops", "automation/a", None, Some(&main), &files),
    )?;
    let seen = host.json(&format!("/v1/effects/{}", crate::id(&proposed)?))?;
    ensure!(
        seen["preview"]
            .as_str()
            .is_some_and(|patch| patch.contains("docs/a.md") || patch.contains("1 MiB")),
        "{seen}"
    );
    let applied = until(&host, &proposed, "applied")?;
    let made = text(&applied["result"], "commit")?;
    ensure!(github.git("ops", &["rev-parse", "automation/a"])? == made);
    ensure!(github.git("ops", &["rev-parse", "automation/a^"])? == main);
    let listed = github.git("ops", &["ls-tree", "-r", "--name-only", "automation/a"])?;
    ensure!(
        listed.lines().collect::<BTreeSet<_>>()
            == BTreeSet::from([
                "docs/a.md",
                "docs/ä b.md",
                "long.txt",
                "moved.sh",
                "picture",
                "run.sh"
            ]),
        "{listed}"
    );
    // What was fetched came as packs: of single objects the commit could be there before its files.
    let objects = host.path().join("var/mirrors/acme/ops.git/objects");
    let mut kinds = std::fs::read_dir(&objects)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<anyhow::Result<Vec<_>>>()?;
    kinds.sort();
    ensure!(kinds == ["info", "pack"], "{kinds:?}");
    // However many files: one commit, by the App, signed by GitHub, with the effect in its message.
    ensure!(github.asked("POST", "/git/commits")? == 1);
    let there = github.json("ops", &format!("/git/commits/{made}"))?;
    ensure!(there["verification"]["verified"] == true, "{there}");
    ensure!(
        text(&there["author"], "name")?.ends_with("[bot]"),
        "{there}"
    );
    ensure!(
        text(&there, "message")?.contains(&format!("Infinity-Effect: {}", crate::id(&applied)?)),
        "{there}"
    );
    // The next change is made to it, and undone.
    let further = one(
        &host,
        commit(
            "ops",
            "automation/a",
            Some(made),
            None,
            &json!([file("docs/a.md", "# A!\n")]),
        ),
    )?;
    let further = until(&host, &further, "applied")?;
    let path = format!("/v1/effects/{}/revert", crate::id(&further)?);
    let undo: Value = host.client().post(host.url(&path)).send()?.json()?;
    until(&host, &undo, "applied")?;
    ensure!(github.git("ops", &["show", "automation/a:docs/a.md"])? == "# A");
    until(&host, &further, "reverted")?;
    // What an agent reads is what is there.
    let read = host.run("writer", &json!({ "case": "forge_read", "repository": "ops", "reference": "automation/a", "path": "docs/a.md" }))?;
    ensure!(host.report(&read)?["output"]["text"] == "# A\n", "{read}");
    let log = host.run("writer", &json!({ "case": "forge_log", "repository": "ops", "reference": "automation/a", "limit": 5 }))?;
    let commits = host.report(&log)?["output"]["commits"].clone();
    ensure!(
        commits[0]["verified"] == true && commits[3]["verified"] == false,
        "{commits}"
    );
    let listed = host.json("/v1/integrations")?;
    let forge = host.json("/v1/integrations/forge.ops")?;
    ensure!(
        listed["items"]
            .as_array()
            .is_some_and(|items| items.len() == 2),
        "{listed}"
    );
    ensure!(forge["kind"] == "github", "{forge}");
    github.ensure_described()
}

#[test]
fn with_a_token_the_host_signs() -> anyhow::Result<()> {
    let Some(github) = github(&Setup::default())? else {
        return Ok(());
    };
    let host = folder(&github.as_ann())?.serve()?;
    let key = std::fs::read_to_string(host.path().join("var/signing_key.pub"))?;
    let body = json!({ "title": "infinity", "key": key.trim() });
    let answer = github.by(ANN, Method::POST, "/user/ssh_signing_keys", Some(&body))?;
    ensure!(answer.status() == 201, "{}", answer.text()?);
    let applied = branch(&host, &github, "automation/a", "a.md")?;
    let made = text(&applied["result"], "commit")?;
    let there = github.json("ops", &format!("/git/commits/{made}"))?;
    ensure!(there["verification"]["verified"] == true, "{there}");
    ensure!(
        there["author"]["name"] == "writer" && there["committer"]["name"] == "Infinity",
        "{there}"
    );
    // A token has no check runs: it is a commit status.
    let status = json!({ "id": "s", "kind": "status", "action": {
        "repository": "ops", "commit": made, "name": "validation", "state": "success", "summary": "All is well" } });
    until(&host, &one(&host, status)?, "applied")?;
    let said = github.json("ops", &format!("/commits/{made}/status"))?;
    ensure!(
        said["statuses"][0]["context"] == "validation" && said["state"] == "success",
        "{said}"
    );
    github.ensure_described()
}

#[test]
fn a_change_goes_from_a_branch_to_main_with_the_word_of_people() -> anyhow::Result<()> {
    let Some(github) = github(&Setup::default())? else {
        return Ok(());
    };
    let host = folder(&github.as_app())?.serve()?;
    let made = branch(&host, &github, "automation/a", "a.md")?;
    let head = text(&made["result"], "commit")?.to_owned();
    let asked = until(&host, &one(&host, pull_request("automation/a"))?, "applied")?;
    let number = asked["result"]["number"].as_u64().context("a number")?;
    let pull = github.json("ops", &format!("/pulls/{number}"))?;
    ensure!(
        pull["labels"][0]["name"] == "automation"
            && pull["requested_reviewers"][0]["login"] == "bob",
        "{pull}"
    );
    // The same branches have one pull request.
    let again = until(&host, &one(&host, pull_request("automation/a"))?, "applied");
    ensure!(github.asked("POST", "/pulls")? == 1, "{again:?}");
    // A comment, an issue and a check.
    let beside = propose(
        &host,
        &json!([
            { "id": "say", "kind": "comment", "action": { "repository": "ops", "number": number, "body": "Looked at." } },
            { "id": "open", "kind": "issue", "action": { "repository": "ops", "title": "A matter", "body": "Look at it.", "labels": ["x"] } },
            { "id": "check", "kind": "status", "action": { "repository": "ops", "commit": head, "name": "CodeQL", "state": "success", "summary": "All is well" } },
        ]),
    )?;
    let (say, open) = (
        until(&host, &beside[0], "applied")?,
        until(&host, &beside[1], "applied")?,
    );
    until(&host, &beside[2], "applied")?;
    let comments = github.json("ops", &format!("/issues/{number}/comments"))?;
    ensure!(
        comments.as_array().is_some_and(|all| all.len() == 1),
        "{comments}"
    );
    ensure!(
        text(&comments[0], "body")?.starts_with("Looked at."),
        "{comments}"
    );
    let checks = github.json("ops", &format!("/commits/{head}/check-runs"))?;
    ensure!(
        checks["check_runs"][0]["conclusion"] == "success",
        "{checks}"
    );
    for effect in [&say, &open] {
        let path = format!("/v1/effects/{}/revert", crate::id(effect)?);
        let answer = host.client().post(host.url(&path)).send()?;
        ensure!(answer.status().is_success(), "{}", answer.text()?);
    }
    let comments = github.json("ops", &format!("/issues/{number}/comments"))?;
    ensure!(comments.as_array().is_some_and(Vec::is_empty), "{comments}");
    let issue = github.json("ops", &format!("/issues/{}", open["result"]["number"]))?;
    ensure!(issue["state"] == "closed", "{issue}");
    // A person reviews at GitHub, another one here.
    let review = json!({ "event": "APPROVE", "commit_id": head });
    github.change(
        BOB,
        Method::POST,
        "ops",
        &format!("/pulls/{number}/reviews"),
        &review,
    )?;
    let answer = decide(
        &host,
        &json!({ "pr_id": asked["id"], "decision": "approve", "comment": "fine", "by": "cyd" }),
    )?;
    ensure!(answer.status() == 200, "{}", answer.text()?);
    let reviews = github.json("ops", &format!("/pulls/{number}/reviews"))?;
    ensure!(
        reviews.as_array().is_some_and(|all| all.len() == 2),
        "{reviews}"
    );
    let seen = host.json(&format!("/v1/prs/{}", crate::id(&asked)?))?;
    ensure!(
        seen["reviews"].as_array().is_some_and(|all| all.len() == 2),
        "{seen}"
    );
    ensure!(
        text(&seen, "diff")?.contains("a.md") && seen["statuses"][0]["name"] == "CodeQL",
        "{seen}"
    );
    // A merge passes the rules on the facts of the pull request, and waits for a person whatever the autonomy.
    let merge = json!({ "id": "merge", "kind": "merge", "action": { "repository": "ops", "number": number, "head": head } });
    let waiting = until(&host, &one(&host, merge.clone())?, "waiting")?;
    ensure!(github.asked("PUT", "/merge")? == 0);
    let merged = approve(&host, &waiting)?;
    ensure!(github.git("ops", &["rev-parse", "main"])? == text(&merged["result"], "commit")?);
    let pull = github.json("ops", &format!("/pulls/{number}"))?;
    ensure!(pull["merged"] == true, "{pull}");
    let seen = host.json(&format!("/v1/prs/{}", crate::id(&asked)?))?;
    ensure!(seen["state"] == "merged", "{seen}");
    // And is undone by a commit.
    let path = format!("/v1/effects/{}/revert", crate::id(&merged)?);
    let undo: Value = host.client().post(host.url(&path)).send()?.json()?;
    until(&host, &undo, "applied")?;
    ensure!(
        github
            .git("ops", &["ls-tree", "--name-only", "main"])?
            .lines()
            .all(|name| name != "a.md")
    );
    github.ensure_described()
}

#[test]
fn what_github_refuses_is_told_and_nothing_is_half_done() -> anyhow::Result<()> {
    let Some(github) = github(&Setup {
        repositories: &["ops", "other"],
        ..Setup::default()
    })?
    else {
        return Ok(());
    };
    let host = folder(&github.as_app())?.serve()?;
    let main = github.git("ops", &["rev-parse", "main"])?;
    let failed = |effect: Value, state: &str, words: &str| -> anyhow::Result<()> {
        let ended = until(&host, &one(&host, effect)?, state)?;
        let message = text(&ended, "message")?;
        ensure!(message.contains(words), "`{words}` is not in `{message}`");
        Ok(())
    };
    // A protected branch.
    let protect = json!({
        "required_status_checks": null, "enforce_admins": true, "restrictions": null,
        "required_pull_request_reviews": { "required_approving_review_count": 1 },
    });
    branch(&host, &github, "automation/kept", "a.md")?;
    let kept = github.git("ops", &["rev-parse", "automation/kept"])?;
    github.change(
        ANN,
        Method::PUT,
        "ops",
        "/branches/automation%2Fkept/protection",
        &protect,
    )?;
    failed(
        commit(
            "ops",
            "automation/kept",
            Some(&kept),
            None,
            &json!([file("b", "b\n")]),
        ),
        "failed",
        "rotected",
    )?;
    ensure!(github.git("ops", &["rev-parse", "automation/kept"])? == kept);
    // A branch that somebody moved.
    branch(&host, &github, "automation/moved", "a.md")?;
    let old = github.git("ops", &["rev-parse", "automation/moved"])?;
    github.push("ops", "automation/moved", &[("theirs", "x\n")])?;
    failed(
        commit(
            "ops",
            "automation/moved",
            Some(&old),
            None,
            &json!([file("b", "b\n")]),
        ),
        "expired",
        "moved on",
    )?;
    // Things that are not there.
    failed(
        json!({ "id": "c", "kind": "comment", "action": { "repository": "ops", "number": 4711, "body": "x" } }),
        "failed",
        "404",
    )?;
    failed(pull_request("automation/none"), "failed", "no branch")?;
    failed(
        json!({ "id": "s", "kind": "status", "action": { "repository": "ops", "commit": "0".repeat(40), "name": "v", "state": "success", "summary": "s" } }),
        "failed",
        "no commit",
    )?;
    // A pull request without a difference.
    github.git("ops", &["branch", "automation/same", "main"])?;
    failed(pull_request("automation/same"), "failed", "422")?;
    // Paths that no tree may have never leave the host.
    for path in ["../x", ".git/config", "a/../b", "/etc/passwd", "a/.GIT/x"] {
        let effect = one(
            &host,
            commit(
                "ops",
                "automation/x",
                None,
                Some(&main),
                &json!([file(path, "x")]),
            ),
        )?;
        let ended = poll(PATIENCE, || {
            let now = host
                .json(&format!("/v1/effects/{}", crate::id(&effect).ok()?))
                .ok()?;
            ["refused", "failed"]
                .contains(&now["state"].as_str()?)
                .then_some(now)
        });
        ended.with_context(|| format!("`{path}` is not refused"))?;
    }
    ensure!(
        github
            .git("ops", &["branch", "--list", "automation/x"])?
            .is_empty()
    );
    // A merge over a head that moved is not made.
    let asked = until(
        &host,
        &one(&host, pull_request("automation/moved"))?,
        "applied",
    )?;
    let merge = json!({ "id": "m", "kind": "merge", "action": { "repository": "ops", "number": asked["result"]["number"], "head": old } });
    failed(merge, "expired", "not at the commit")?;
    // A repository in which the App is not installed.
    github.ensure_described()
}

#[test]
fn what_the_app_may_not_do_says_which_permission_it_takes() -> anyhow::Result<()> {
    let permissions = json!({ "contents": "write", "metadata": "read", "pull_requests": "write" });
    let setup = Setup {
        permissions: Some(permissions),
        ..Setup::default()
    };
    let Some(github) = github(&setup)? else {
        return Ok(());
    };
    let host = folder(&github.as_app())?.serve()?;
    let issue = json!({ "id": "i", "kind": "issue", "action": { "repository": "ops", "title": "A matter", "body": "x" } });
    let ended = until(&host, &one(&host, issue)?, "failed")?;
    ensure!(text(&ended, "message")?.contains("403"), "{ended}");
    branch(&host, &github, "automation/a", "a.md")?;
    github.ensure_described()
}

/// A scanner of somebody else says that a commit is fine.
fn scanned(github: &Github, name: &str, commit: &str) -> anyhow::Result<()> {
    let status = json!({ "state": "success", "context": "CodeQL", "description": "No findings" });
    github.change(
        ANN,
        Method::POST,
        name,
        &format!("/statuses/{commit}"),
        &status,
    )?;
    Ok(())
}

/// What is proposed in one go, and how it is counted at GitHub.
fn everything(github: &Github, branch: &str) -> anyhow::Result<Value> {
    let main = github.git("ops", &["rev-parse", "main"])?;
    let files = json!([file(&format!("{branch}.md"), "text\n")]);
    let mut commit = commit("ops", branch, None, Some(&main), &files);
    commit["id"] = json!("commit");
    let mut ask = pull_request(branch);
    ask["depends_on"] = json!(["commit"]);
    Ok(json!([
        commit, ask,
        { "id": "issue", "kind": "issue", "action": { "repository": "ops", "title": format!("About {branch}"), "body": "x" } },
        { "id": "say", "kind": "comment", "action": { "repository": "ops", "number": 1, "body": format!("About {branch}") } },
        { "id": "check", "kind": "status", "action": { "repository": "ops", "commit": main, "name": branch, "state": "success", "summary": "fine" } },
    ]))
}

/// How often what [`everything`] proposes is there, in its order.
fn times(github: &Github, branch: &str) -> anyhow::Result<[usize; 5]> {
    let count = |list: &Value, is: &dyn Fn(&Value) -> bool| {
        list.as_array()
            .map_or(0, |all| all.iter().filter(|one| is(one)).count())
    };
    let named = github.git("ops", &["branch", "--list", branch])?;
    let commits = match named.as_str() {
        "" => 0,
        _ => github
            .git("ops", &["rev-list", "--count", &format!("main..{branch}")])?
            .parse()?,
    };
    let pulls = github.json(
        "ops",
        &format!("/pulls?state=all&per_page=100&head={OWNER}:{branch}"),
    )?;
    let issues = github.json("ops", "/issues?state=all&per_page=100")?;
    let comments = github.json("ops", "/issues/1/comments?per_page=100")?;
    let main = github.git("ops", &["rev-parse", "main"])?;
    let checks = github.json(
        "ops",
        &format!("/commits/{main}/check-runs?per_page=100&filter=all"),
    )?;
    let title = format!("About {branch}");
    Ok([
        commits,
        count(&pulls, &|one| one["head"]["ref"] == branch),
        count(&issues, &|one| one["title"] == title.as_str()),
        count(&comments, &|one| {
            one["body"]
                .as_str()
                .is_some_and(|body| body.starts_with(&format!("{title}\n")))
        }),
        count(&checks["check_runs"], &|one| one["name"] == branch),
    ])
}

/// Fails unless everything of a branch is there once.
fn once(github: &Github, branch: &str) -> anyhow::Result<()> {
    let times = times(github, branch)?;
    ensure!(
        times == [1; 5],
        "commit, pull request, issue, comment, check of {branch}: {times:?} times"
    );
    Ok(())
}

/// The calls by which [`everything`] is done.
const CALLS: [&str; 10] = [
    "POST .*/git/trees",
    "POST .*/git/commits",
    "POST .*/git/refs",
    "POST .*/pulls$",
    "POST .*/issues$",
    "POST .*/comments",
    "POST .*/check-runs",
    "GET .*",
    "POST .*/labels",
    "POST .*/requested_reviewers",
];

#[test]
fn answers_that_are_lost_and_outages_at_each_call_lose_nothing_and_do_nothing_twice()
-> anyhow::Result<()> {
    let Some(github) = github(&Setup::default())? else {
        return Ok(());
    };
    let host = folder(&github.as_app())?.serve()?;
    // Number 1 is there to be commented on.
    until(
        &host,
        &one(
            &host,
            json!({ "id": "i", "kind": "issue", "action": { "repository": "ops", "title": "One", "body": "x" } }),
        )?,
        "applied",
    )?;
    let mut proposed = Vec::new();
    for (number, only) in CALLS.iter().enumerate() {
        let outage = ["503", "refuse"][number % 2];
        let branch = format!("automation/lost-{number}");
        // The change is made and its answer is lost, or it is not made: the host cannot tell.
        let lost = !only.starts_with("GET");
        github.knobs(&json!({ "outage": outage, "only": only, "after_applying": lost }))?;
        let effects = propose(&host, &everything(&github, &branch)?)?;
        let struck = poll(PATIENCE, || {
            let tried = effects.iter().any(|effect| {
                let now = crate::id(effect)
                    .ok()
                    .and_then(|id| host.json(&format!("/v1/effects/{id}")).ok());
                now.is_some_and(|now| {
                    now["message"].as_str().is_some_and(|message| {
                        message.contains("GitHub") || message.contains("fetched")
                    })
                })
            });
            tried.then_some(())
        });
        struck.with_context(|| format!("the outage of {only} is not seen: {effects:?}"))?;
        github.knobs(&json!({ "outage": "none" }))?;
        proposed.push((branch, effects));
    }
    for (branch, effects) in &proposed {
        for effect in effects {
            until(&host, effect, "applied").with_context(|| branch.clone())?;
        }
        once(&github, branch).with_context(|| branch.clone())?;
    }
    github.ensure_described()
}

#[test]
fn what_is_refused_at_any_call_is_told_and_done_once_or_not_at_all() -> anyhow::Result<()> {
    let Some(github) = github(&Setup::default())? else {
        return Ok(());
    };
    let host = folder(&github.as_app())?.serve()?;
    let first = json!({ "id": "i", "kind": "issue", "action": { "repository": "ops", "title": "One", "body": "x" } });
    until(&host, &one(&host, first)?, "applied")?;
    // As the App's tokens, permissions, repositories or installation go while it works.
    let changes = [
        ("revoke", 401),
        ("withdraw", 403),
        ("remove", 404),
        ("suspend", 401),
    ];
    for (number, only) in CALLS.iter().enumerate() {
        for (turn, (change, status)) in changes.into_iter().enumerate() {
            // Each call with each change in a soak, otherwise each call with one.
            if !infinity_tests::soak::is_soak() && turn != number % changes.len() {
                continue;
            }
            let before = github.answered(status)?;
            refused_at(&host, &github, only, change)
                .with_context(|| format!("{change} at {only}"))?;
            ensure!(
                github.answered(status)? > before,
                "{change} at {only}: nothing was answered {status}"
            );
        }
    }
    github.ensure_described()
}

/// Proposes everything, and has something happen to the App at a call.
fn refused_at(host: &Host, github: &Github, only: &str, change: &str) -> anyhow::Result<()> {
    let tag: String = only.chars().filter(char::is_ascii_alphabetic).collect();
    let branch = format!("automation/{change}-{tag}");
    github.moment(&json!({ "only": only, "change": change }))?;
    let effects = propose(host, &everything(github, &branch)?)?;
    let now = |effect: &Value| {
        host.json(&format!("/v1/effects/{}", crate::id(effect).ok()?))
            .ok()
    };
    let mut shown = Vec::new();
    let settled = poll(PATIENCE, || {
        shown = effects.iter().map(&now).collect::<Option<Vec<Value>>>()?;
        let told = |effect: &Value| {
            !effect["ended_at"].is_null()
                || effect["message"].is_string()
                || effect["state"] == "waiting"
        };
        // What depends on another effect says nothing before that one has ended.
        let first = shown
            .iter()
            .filter(|effect| effect["kind"] != "pull_request");
        (github.happened().ok()? && first.into_iter().all(told)).then_some(())
    });
    settled.with_context(|| format!("not all say why they are not done: {shown:#?}"))?;
    github.moment(&json!({}))?;
    let ended = poll(PATIENCE, || {
        shown = effects.iter().map(&now).collect::<Option<Vec<Value>>>()?;
        shown
            .iter()
            .all(|effect| !effect["ended_at"].is_null())
            .then_some(())
    });
    ended.with_context(|| format!("not all come to an end: {shown:#?}"))?;
    let mut wanted = [0; 5];
    for (effect, wanted) in shown.iter().zip(&mut wanted) {
        *wanted = usize::from(effect["state"] == "applied");
        ensure!(
            *wanted == 1 || !text(effect, "message")?.is_empty(),
            "{effect}"
        );
        // Who gets new tokens goes on.
        ensure!(
            *wanted == 1 || !matches!(change, "revoke" | "suspend"),
            "{effect}"
        );
    }
    let times = times(github, &branch)?;
    ensure!(
        times == wanted,
        "{times:?} instead of {wanted:?}: {shown:#?}"
    );
    Ok(())
}

#[test]
fn a_host_that_is_killed_at_each_boundary_finds_what_it_did_on_github() -> anyhow::Result<()> {
    let Some(github) = github(&Setup::default())? else {
        return Ok(());
    };
    let mut host = folder(&github.as_app())?.serve()?;
    until(
        &host,
        &one(
            &host,
            json!({ "id": "i", "kind": "issue", "action": { "repository": "ops", "title": "One", "body": "x" } }),
        )?,
        "applied",
    )?;
    for (number, name) in infinity::boundary::NAMES.iter().enumerate() {
        for time in [1, 3] {
            let (_, kept) = host.stop_and_keep()?;
            let branch = format!("automation/killed-{number}-{time}");
            let mut doomed =
                kept.serve_with(&[(infinity::boundary::VARIABLE, &format!("{name}:{time}"))])?;
            let body = json!({ "case": "propose", "effects": everything(&github, &branch)? });
            doomed.start_doomed("writer", &body, &branch);
            // One effect of these writes files.
            let passed = time == 1 || *name != "effect.written";
            let died = poll(
                if passed {
                    PATIENCE
                } else {
                    Duration::from_secs(5)
                },
                || doomed.ended(),
            );
            ensure!(
                died.is_some() || !passed,
                "it does not die at {name}:{time}"
            );
            host = doomed.kill_and_restart()?;
            let run = host.run_of_key("writer", &body, &branch)?;
            let list = host.json(&format!("/v1/effects?run={}&limit=500", crate::id(&run)?))?;
            let effects = list["items"].as_array().context("items")?.clone();
            ensure!(effects.len() == 5, "{name}:{time}: {list}");
            for effect in &effects {
                until(&host, effect, "applied").with_context(|| format!("{name}:{time}"))?;
            }
            once(&github, &branch).with_context(|| format!("{name}:{time}"))?;
        }
    }
    github.ensure_described()
}

#[test]
fn an_outage_holds_up_what_is_on_github_and_nothing_else() -> anyhow::Result<()> {
    let Some(github) = github(&Setup {
        token_seconds: 2,
        ..Setup::default()
    })?
    else {
        return Ok(());
    };
    let host = folder(&github.as_app())?.serve()?;
    let main = github.git("ops", &["rev-parse", "main"])?;
    branch(&host, &github, "automation/before", "a.md")?;
    github.knobs(&json!({ "outage": "hang" }))?;
    let away = one(
        &host,
        commit(
            "ops",
            "automation/away",
            None,
            Some(&main),
            &json!([file("a", "a\n")]),
        ),
    )?;
    // What is here goes on meanwhile.
    for number in 0..5 {
        let began = Instant::now();
        let branch = format!("automation/{number}");
        let here = one(
            &host,
            commit("here", &branch, None, None, &json!([file("a", "a\n")])),
        )?;
        until(&host, &here, "applied")?;
        ensure!(
            began.elapsed() < Duration::from_secs(20),
            "it took {:?}",
            began.elapsed()
        );
    }
    let integration = host.json(&format!("/v1/effects/{}", crate::id(&away)?))?;
    ensure!(
        ["proposed", "approved", "applying"].contains(&text(&integration, "state")?),
        "{integration}"
    );
    github.knobs(&json!({ "outage": "none" }))?;
    // What hung gives up first, and then there is a pause of up to a minute.
    let applied = poll(PATIENCE * 3, || {
        let now = host
            .json(&format!("/v1/effects/{}", crate::id(&away).ok()?))
            .ok()?;
        (now["state"] == "applied").then_some(())
    });
    applied.context("it is not applied after the outage")?;
    // Tokens that lasted two seconds were renewed, one that was taken back too.
    ensure!(github.asked("POST", "/access_tokens")? > 1);
    github.ensure_described()
}

#[test]
fn limits_of_the_rate_are_waited_for() -> anyhow::Result<()> {
    let Some(github) = github(&Setup::default())? else {
        return Ok(());
    };
    let host = folder(&github.as_app())?.serve()?;
    branch(&host, &github, "automation/before", "a.md")?;
    let issue = |name: &str| json!({ "id": "i", "kind": "issue", "action": { "repository": "ops", "title": name, "body": "x" } });
    for (name, limit) in [
        ("primary", json!({ "remaining": 0, "reset_in_s": 4 })),
        (
            "secondary",
            json!({ "secondary_after": 0, "retry_after_s": 4 }),
        ),
        // GitHub answers either way.
        (
            "primary, as 429",
            json!({ "remaining": 0, "reset_in_s": 4, "status": 429 }),
        ),
    ] {
        github.knobs(&json!({ "rate_limit": limit }))?;
        let status = u16::try_from(limit["status"].as_u64().unwrap_or(403))?;
        let refused = github.answered(status)?;
        let effect = one(&host, issue(name))?;
        let waits = poll(PATIENCE, || {
            let now = host
                .json(&format!("/v1/effects/{}", crate::id(&effect).ok()?))
                .ok()?;
            let message = now["message"].as_str()?;
            (message.contains("rate") || message.contains("left alone")).then_some(now)
        });
        let waits = waits.with_context(|| format!("{name}: it does not say that it waits"))?;
        ensure!(waits["state"] == "approved", "{waits}");
        ensure!(github.answered(status)? > refused, "{name}: never {status}");
        let before = github.record()?["requests"].as_array().map_or(0, Vec::len);
        // The stand-in's own window ends by itself; until then the host asks nothing.
        if name == "secondary" {
            github.knobs(&json!({ "rate_limit": null }))?;
        }
        until(&host, &effect, "applied")?;
        let after = github.record()?["requests"].as_array().map_or(0, Vec::len);
        ensure!(after - before < 30, "{name}: {} requests", after - before);
        github.knobs(&json!({ "rate_limit": null }))?;
    }
    github.ensure_described()
}

#[test]
fn a_token_that_is_taken_back_is_asked_for_anew() -> anyhow::Result<()> {
    let Some(github) = github(&Setup::default())? else {
        return Ok(());
    };
    let host = folder(&github.as_app())?.serve()?;
    branch(&host, &github, "automation/before", "a.md")?;
    let installation = "/app/installations/11/suspended";
    let jwt = github.jwt()?;
    let answer = github.by(&jwt, Method::PUT, installation, None)?;
    ensure!(answer.status() == 204, "{}", answer.text()?);
    let main = github.git("ops", &["rev-parse", "main"])?;
    let held = one(
        &host,
        commit(
            "ops",
            "automation/held",
            None,
            Some(&main),
            &json!([file("a", "a\n")]),
        ),
    )?;
    poll(PATIENCE, || {
        let now = host
            .json(&format!("/v1/effects/{}", crate::id(&held).ok()?))
            .ok()?;
        now["message"].as_str().map(|_| ())
    })
    .context("the effect does not say why it waits")?;
    let answer = github.by(&github.jwt()?, Method::DELETE, installation, None)?;
    ensure!(answer.status() == 204, "{}", answer.text()?);
    until(&host, &held, "applied")?;
    github.ensure_described()
}

#[test]
fn the_manifest_asks_for_what_is_used() -> anyhow::Result<()> {
    let Some(github) = github(&Setup::default())? else {
        return Ok(());
    };
    let host = folder(&github.as_app())?.serve()?;
    branch(&host, &github, "automation/a", "a.md")?;
    let head = github.git("ops", &["rev-parse", "automation/a"])?;
    let asked = until(&host, &one(&host, pull_request("automation/a"))?, "applied")?;
    for effect in propose(&host, &everything(&github, "automation/b")?)? {
        until(&host, &effect, "applied")?;
    }
    let number = asked["result"]["number"].clone();
    let review = json!({ "event": "APPROVE", "commit_id": head });
    github.change(
        BOB,
        Method::POST,
        "ops",
        &format!("/pulls/{number}/reviews"),
        &review,
    )?;
    scanned(&github, "ops", &head)?;
    let merge = json!({ "id": "m", "kind": "merge", "action": { "repository": "ops", "number": number, "head": head } });
    approve(&host, &until(&host, &one(&host, merge)?, "waiting")?)?;
    let record = github.record()?;
    let mut needed: BTreeMap<String, String> = BTreeMap::new();
    for request in record["requests"].as_array().context("requests")? {
        if request["principal"] != "installation" || request["permission"].is_null() {
            continue;
        }
        let name = text(&request["permission"], "name")?.to_owned();
        let access = text(&request["permission"], "access")?;
        let held = needed.entry(name).or_insert_with(|| access.to_owned());
        if access == "write" {
            "write".clone_into(held);
        }
    }
    let manifest = manifest()?;
    let asked = manifest["default_permissions"]
        .as_object()
        .context("permissions")?;
    for (name, access) in &needed {
        let held = asked.get(name).and_then(Value::as_str);
        ensure!(
            held == Some("write") || held == Some(access),
            "`{name}: {access}` is used, and the manifest asks for {held:?}"
        );
    }
    for name in [
        "contents",
        "pull_requests",
        "issues",
        "checks",
        "statuses",
        "metadata",
    ] {
        ensure!(
            needed.contains_key(name),
            "`{name}` is asked for and not used: {needed:?}"
        );
    }
    // What the manifest asks for and no request of the host takes: `workflow_run` deliveries, and teams as reviewers.
    let more: BTreeSet<&str> = asked
        .keys()
        .map(String::as_str)
        .filter(|name| !needed.contains_key(*name))
        .collect();
    ensure!(more == BTreeSet::from(["actions", "members"]), "{more:?}");
    let events = manifest["default_events"].as_array().context("events")?;
    ensure!(events.len() == 6, "{events:?}");
    github.ensure_described()
}

/// A port that nobody listens on.
fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?
        .local_addr()?
        .port())
}

const SYNC: &str = "targets:\n  - repo: acme/mvp\n    paths: ['src/**']\n    create_pr: true\n    auto_merge: true\n    labels: [sync/foundation]\n";

#[test]
fn the_shipped_agents_work_on_github_from_push_to_merge() -> anyhow::Result<()> {
    let port = free_port()?;
    let setup = Setup {
        repositories: &["foundation", "mvp", "mirror"],
        webhook: Some(format!("http://127.0.0.1:{port}/webhooks/github")),
        ..Setup::default()
    };
    let Some(github) = Github::start(&setup)? else {
        return Ok(());
    };
    github.push(
        "foundation",
        "main",
        &[
            (".sync-config.yaml", SYNC),
            ("src/a.txt", "one\n"),
            ("docs/index.md", "# Hello\n"),
        ],
    )?;
    github.push("mvp", "main", &[("README.md", "# Follower\n")])?;
    github.push("mirror", "main", &[("README.md", "# Mirror\n")])?;
    let folder = Folder::new()?;
    for (built, name) in [
        ("repo_sync", "repo-sync"),
        ("mirror_sync", "mirror-sync"),
        ("watchtower", "watchtower"),
        ("autodeploy", "autodeploy"),
    ] {
        folder.component(built, name)?;
    }
    with_policy(&folder)?;
    let mirror = "settings = { sources = [{ repository = \"foundation\", paths = [\"src/**\"] }, { views = [\"pause.flag\", \"audit.log\"] }], target = { repository = \"mirror\", branch = \"founder_mirror\" } }";
    folder.config(
        "",
        &format!(
            "{}\n[repositories.foundation]\ngithub = \"{OWNER}/foundation\"\n[repositories.mvp]\ngithub = \"{OWNER}/mvp\"\n[repositories.mirror]\ngithub = \"{OWNER}/mirror\"\n\
             [agents.judge]\nplugin = \"policy\"\npolicies = \"policies\"\n\
             [agents.sync]\nplugin = \"repo-sync\"\non = [\"github.push\"]\nautonomy = \"auto\"\nsettings = {{ source = \"foundation\" }}\n\
             grants = {{ repos = [{{ name = \"foundation\" }}, {{ name = \"mvp\", commit = [\"automation/*\"], pull_request = true, merge = true, issue = true }}] }}\n\
             [agents.mirror]\nplugin = \"mirror-sync\"\nautonomy = \"auto\"\n{mirror}\n\
             grants = {{ repos = [{{ name = \"foundation\" }}, {{ name = \"mirror\", commit = [\"founder_mirror\"] }}], views = [\"pause.flag\", \"audit.log\"] }}\n\
             [agents.watch]\nplugin = \"watchtower\"\nsettings = {{ mirrors = [{{ name = \"founder\", agent = \"mirror\", sources = [{{ repository = \"foundation\", paths = [\"src/**\"] }}], target = {{ repository = \"mirror\", branch = \"founder_mirror\" }} }}] }}\n\
             grants = {{ repos = [{{ name = \"foundation\" }}, {{ name = \"mirror\" }}], events = [\"mirror.*\"] }}\n\
             [agents.site]\nplugin = \"autodeploy\"\nautonomy = \"auto\"\nsettings = {{ source = \"foundation\", target = {{ repository = \"mirror\", branch = \"gh-pages\" }} }}\n\
             grants = {{ repos = [{{ name = \"foundation\" }}, {{ name = \"mirror\", publication = [\"gh-pages\"] }}] }}\n",
            github.as_app()
        ),
    )?;
    let file = folder.path().join("plugins.toml");
    let config = std::fs::read_to_string(&file)?;
    std::fs::write(
        &file,
        config.replace(
            "listen = \"127.0.0.1:0\"",
            &format!("listen = \"127.0.0.1:{port}\""),
        ),
    )?;
    let host = folder.serve()?;
    // A push starts a sync, which opens a pull request.
    let began = Instant::now();
    github.push("foundation", "main", &[("src/b.txt", "two\n")])?;
    let pull = github.until("there is no pull request", || {
        let pulls = github.json("mvp", "/pulls").ok()?;
        pulls.get(0).cloned()
    })?;
    ensure!(
        began.elapsed() < Duration::from_secs(30),
        "from push to pull request: {:?}",
        began.elapsed()
    );
    let branch = text(&pull["head"], "ref")?.to_owned();
    ensure!(branch.starts_with("automation/sync-"), "{pull}");
    ensure!(github.git("mvp", &["show", &format!("{branch}:src/b.txt")])? == "two");
    // A later push moves the same branch.
    github.push("foundation", "main", &[("src/b.txt", "three\n")])?;
    github.until("the branch does not move on", || {
        (github
            .git("mvp", &["show", &format!("{branch}:src/b.txt")])
            .ok()?
            == "three")
            .then_some(())
    })?;
    let pulls = github.json("mvp", "/pulls?state=all")?;
    ensure!(
        pulls.as_array().is_some_and(|all| all.len() == 1),
        "{pulls}"
    );
    // The host hears of a person's approval and of the merge.
    let number = pull["number"].clone();
    let head = github.git("mvp", &["rev-parse", &branch])?;
    let review = json!({ "event": "APPROVE", "commit_id": head });
    github.change(
        BOB,
        Method::POST,
        "mvp",
        &format!("/pulls/{number}/reviews"),
        &review,
    )?;
    scanned(&github, "mvp", &head)?;
    let waiting = poll(PATIENCE, || {
        host.run("sync", &Value::Null).ok()?;
        let list = host.json("/v1/effects?kind=merge&state=waiting").ok()?;
        list["items"].get(0).cloned()
    })
    .context("no merge is proposed")?;
    approve(&host, &waiting)?;
    let prs = poll(PATIENCE, || {
        let list = host.json("/v1/prs?state=merged").ok()?;
        list["items"].get(0).cloned()
    });
    prs.context("the host does not hear of the merge")?;
    // The mirror, and who watches it.
    let run = host.run("mirror", &Value::Null)?;
    ensure!(run["outcome"] == "succeeded", "{run}");
    let report = host.report(&run)?;
    ensure!(
        report["findings"][0]["rule"] == "mirror/no-view",
        "{report}"
    );
    github.until("the mirror is not made", || {
        (github
            .git("mirror", &["show", "founder_mirror:src/b.txt"])
            .ok()?
            == "three")
            .then_some(())
    })?;
    // A copy is read as it was up to two seconds ago.
    let green = poll(PATIENCE, || {
        let run = host.run("watch", &Value::Null).ok()?;
        let report = host.report(&run).ok()?;
        report["output"].to_string().contains("green").then_some(())
    });
    green.context("the watchtower does not see the mirror")?;
    // The site.
    let run = host.run("site", &Value::Null)?;
    ensure!(run["outcome"] == "succeeded", "{run}");
    github.until("the site is not published", || {
        github.git("mirror", &["show", "gh-pages:index.html"]).ok()
    })?;
    github.ensure_described()
}

#[test]
fn deliveries_that_did_not_arrive_are_fetched() -> anyhow::Result<()> {
    let port = free_port()?;
    let setup = Setup {
        webhook: Some(format!("http://127.0.0.1:{port}/webhooks/github")),
        ..Setup::default()
    };
    let Some(github) = github(&setup)? else {
        return Ok(());
    };
    // Nobody listens yet: all of this is missed.
    let pushed = github.push("ops", "main", &[("missed.md", "x\n")])?;
    let host = folder(&github.as_app())?.serve()?;
    let event = poll(PATIENCE, || {
        let list = host.json("/v1/events?type=github.push&limit=500").ok()?;
        let items = list["items"].as_array()?.clone();
        items
            .into_iter()
            .find(|event| event["data"]["after"] == pushed.as_str())
    });
    let event = event.context("the push is not heard of")?;
    // Sent again it is known.
    let deliveries = github
        .by(&github.jwt()?, Method::GET, "/app/hook/deliveries", None)?
        .json::<Value>()?;
    let id = deliveries
        .as_array()
        .context("deliveries")?
        .iter()
        .find(|one| one["guid"] == event["id"]);
    let id = id.context("its delivery")?["id"].clone();
    github.by(
        &github.jwt()?,
        Method::POST,
        &format!("/app/hook/deliveries/{id}/attempts"),
        None,
    )?;
    let list = host.json("/v1/events?type=github.push&limit=500")?;
    let same = list["items"].as_array().map_or(0, |all| {
        all.iter().filter(|one| one["id"] == event["id"]).count()
    });
    ensure!(same == 1, "{list}");
    github.ensure_described()
}

#[test]
fn a_repository_that_grew_while_nobody_looked_is_read_as_it_is() -> anyhow::Result<()> {
    let Some(github) = github(&Setup::default())? else {
        return Ok(());
    };
    let host = folder(&github.as_app())?.serve()?;
    let read = |path: &str| -> anyhow::Result<Value> {
        let run = host.run(
            "writer",
            &json!({ "case": "forge_read", "repository": "ops", "path": path }),
        )?;
        Ok(host.report(&run)?["output"].clone())
    };
    ensure!(read("README.md")?["text"] == "# Read me\n");
    // Ten thousand files, and the history rewritten.
    let work = tempfile::tempdir()?;
    let path = work.path().join("work");
    github.clone("ops", &path)?;
    std::fs::create_dir(path.join("many"))?;
    for number in 0..10_000 {
        std::fs::write(path.join(format!("many/{number}")), number.to_string())?;
    }
    git(&path, &["add", "--all"])?;
    git(
        &path,
        &["commit", "--quiet", "--amend", "--message", "Other"],
    )?;
    git(&path, &["push", "--quiet", "--force", "origin", "main"])?;
    let found = poll(PATIENCE, || {
        let output = read("many/9999").ok()?;
        (output["text"] == "9999").then_some(())
    });
    found.context("the new files are not seen")?;
    github.ensure_described()
}

#[test]
fn the_stand_in_is_as_github_describes_itself() -> anyhow::Result<()> {
    crate::node_tests("github", "tests/forge", "github.test.mjs")
}

#[test]
fn the_kill_switch_gives_tokens_back_and_nothing_is_asked_until_recovery() -> anyhow::Result<()> {
    let Some(github) = github(&Setup::default())? else {
        return Ok(());
    };
    let host = folder(&github.as_app())?.serve()?;
    branch(&host, &github, "automation/a", "a.md")?;
    ensure!(github.asked("DELETE", "/installation/token")? == 0);
    let answer = host
        .client()
        .post(host.url("/v1/killswitch"))
        .json(&json!({ "reason": "security_incident" }))
        .send()?;
    ensure!(answer.status() == 200, "{}", answer.text()?);
    poll(PATIENCE, || {
        (github.asked("DELETE", "/installation/token").ok()? >= 1).then_some(())
    })
    .context("the token is not given back")?;
    let asked = || -> anyhow::Result<usize> {
        let record = github.record()?;
        Ok(record["requests"].as_array().context("requests")?.len())
    };
    let before = asked()?;
    let refused = host
        .client()
        .post(host.url("/v1/agents/writer/runs"))
        .json(&json!({ "case": "ok" }))
        .send()?;
    ensure!(refused.status() == 503, "{}", refused.text()?);
    let main = github.git("ops", &["rev-parse", "main"])?;
    let _ = host
        .client()
        .get(host.url(&format!(
            "/v1/repositories/ops/diff?base={main}&head=automation/a"
        )))
        .send()?;
    ensure!(asked()? == before, "something is asked of GitHub");
    let tokens = github.asked("POST", "/access_tokens")?;
    let recovered = host
        .client()
        .post(host.url("/v1/killswitch/recover"))
        .json(&json!({ "agent": "writer", "input": { "case": "ok" } }))
        .send()?;
    ensure!(recovered.status() == 200, "{}", recovered.text()?);
    branch(&host, &github, "automation/b", "b.md")?;
    ensure!(github.asked("POST", "/access_tokens")? > tokens);
    Ok(())
}

#[test]
fn a_commit_that_came_a_moment_ago_is_found_however_new_the_copy_is() -> anyhow::Result<()> {
    let Some(github) = github(&Setup::default())? else {
        return Ok(());
    };
    let host = folder(&github.as_app())?.serve()?;
    let read = |reference: &str| -> anyhow::Result<Value> {
        let run = host.run("writer", &json!({ "case": "forge_read", "repository": "ops", "reference": reference, "path": "README.md" }))?;
        host.report(&run)
    };
    for number in 0..5 {
        // The copy is brought up to date, and a moment later it is not.
        ensure!(read("main")?["output"]["text"].is_string());
        let text = format!("# {number}\n");
        let newer = github.push("ops", &format!("people-{number}"), &[("README.md", &text)])?;
        let found = read(&newer)?;
        ensure!(found["output"]["text"] == text, "{found}");
    }
    Ok(())
}
