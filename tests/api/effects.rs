//! What runs propose to change: who has to agree, what is applied, what is undone, and what a kill leaves.

use crate::problem;
use anyhow::{Context as _, ensure};
use infinity_tests::host::{Folder, Host, PATIENCE, poll, root};
use infinity_tests::soak::{count, figure};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Everything that can be proposed to the repository `ops`.
const ALL: &str = "commit = true, publication = true, pull_request = true, merge = true, issue = true, comment = true, status = true";

/// A host with an empty repository `ops`, policies, and the agent `writer` with this autonomy; `keys` are more of its keys.
fn desk(autonomy: &str, keys: &str) -> anyhow::Result<Host> {
    written(autonomy, keys, "", ALL)?.serve()
}

fn written(autonomy: &str, keys: &str, repository: &str, grant: &str) -> anyhow::Result<Folder> {
    let folder = Folder::new()?;
    folder.component("test_guests", "guests")?;
    with_policy(&folder)?;
    folder.config("", &tables(autonomy, keys, repository, grant))?;
    Ok(folder)
}

/// Tables of a repository `ops`, of who judges, and of who writes.
fn tables(autonomy: &str, keys: &str, repository: &str, grant: &str) -> String {
    format!(
        "[repositories.ops]\npath = \"ops.git\"\ncreate = true\n{repository}\n\
         [agents.judge]\nplugin = \"policy\"\npolicies = \"policies\"\n\
         [agents.other]\nplugin = \"guests\"\n\
         [agents.writer]\nplugin = \"guests\"\nautonomy = \"{autonomy}\"\n{keys}\n\
         [agents.writer.grants]\nrepos = [{{ name = \"ops\", {grant} }}]\nagents = [\"other\"]\n"
    )
}

/// Tables for hosts of other tests: [`some`] makes effects with them.
pub(crate) fn everything() -> String {
    tables("auto", "", "", ALL)
}

/// What there is to look at after [`some`].
pub(crate) struct Some {
    /// The id of an effect that waits for a person.
    pub(crate) waiting: String,
    /// The id of an applied effect that can be undone.
    pub(crate) applied: String,
    /// The id of a pull request.
    pub(crate) request: String,
}

/// Makes one of each.
pub(crate) fn some(host: &Host) -> anyhow::Result<Some> {
    let proposed = propose(
        host,
        &json!([
            { "id": "base", "kind": "commit", "action": { "repository": "ops", "branch": "automation/base", "base": null, "message": "Begin", "files": [file("a.md", "# A\n")] } },
            { "id": "head", "kind": "commit", "action": { "repository": "ops", "branch": "automation/head", "base": null, "message": "Begin", "files": [file("b.md", "# B\n")] } },
            { "id": "ask", "depends_on": ["base", "head"], "kind": "pull_request", "action": {
                "repository": "ops", "head": "automation/head", "base": "automation/base", "title": "Add b", "body": "It was missing." } },
            { "id": "issue", "kind": "issue", "action": { "repository": "ops", "title": "A matter", "body": "Look at it." } },
            { "id": "wait", "kind": "commit", "action": { "repository": "ops", "branch": "trunk", "base": null, "message": "Begin", "files": [file("a.md", "# A\n")] } },
        ]),
    )?;
    let text = |effect: &Value| crate::id(effect).map(str::to_owned);
    let request = until(host, &proposed[2], "applied")?;
    let issue = until(host, &proposed[3], "applied")?;
    let waiting = until(host, &proposed[4], "waiting")?;
    Ok(Some {
        waiting: text(&waiting)?,
        applied: text(&issue)?,
        request: text(&request)?,
    })
}

/// A folder with the policies compiled and snapshotted, as a state folder has them: made once for all tests of this program, as it takes some seconds.
fn warm() -> anyhow::Result<&'static Path> {
    static WARM: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let made = WARM.get_or_init(|| {
        let warm = || {
            let folder = Folder::new()?;
            folder.component("policy", "policy")?;
            policies(&folder)?;
            folder.config("", &tables("auto", "", "", ALL))?;
            let host = folder.serve()?;
            poll(PATIENCE, || {
                let run = host.run("judge", &Value::Null).ok()?;
                (run["usage"]["snapshot"] == true).then_some(())
            })
            .context("there is no snapshot")?;
            let (_, folder) = host.stop_and_keep()?;
            let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("warm-policies");
            let _ = fs::remove_dir_all(&kept);
            fs::create_dir_all(&kept)?;
            copy(&folder.path().join("var/cache"), &kept)?;
            anyhow::Ok(kept)
        };
        warm().map_err(|error| format!("{error:#}"))
    });
    match made {
        Ok(kept) => Ok(kept),
        Err(error) => Err(anyhow::anyhow!("{error}")),
    }
}

/// Puts the plugin in that decides, and its policies.
pub(crate) fn with_policy(folder: &Folder) -> anyhow::Result<()> {
    folder.component("policy", "policy")?;
    policies(folder)?;
    // Of the same key as what is compiled already.
    copy(&warm()?.join("cache"), &folder.path().join("var"))?;
    Ok(())
}

/// Copies a file or folder into a folder.
fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status()?;
    ensure!(copied.success(), "cp: {copied}");
    Ok(())
}

/// The shipped policies, but for the branches `automation/*` and `gh-pages`: they belong to the guest, too.
fn policies(folder: &Folder) -> anyhow::Result<()> {
    copy(&root().join("policies"), folder.path())?;
    let file = folder.path().join("policies/effects/data.json");
    let mut data: Value = serde_json::from_str(&fs::read_to_string(&file)?)?;
    for branch in data["machine_owned"].as_array_mut().context("a list")? {
        if branch["branch"] != "founder_mirror" {
            let plugins = branch["plugins"].as_array_mut().context("a list")?;
            plugins.push(json!("guests"));
        }
    }
    fs::write(file, data.to_string())?;
    Ok(())
}

/// Proposes effects and gives them as recorded, in the order proposed.
pub(crate) fn propose(host: &Host, effects: &Value) -> anyhow::Result<Vec<Value>> {
    by(host, "writer", effects)
}

fn by(host: &Host, agent: &str, effects: &Value) -> anyhow::Result<Vec<Value>> {
    let run = host.run(agent, &json!({ "case": "propose", "effects": effects }))?;
    ensure!(run["outcome"] == "succeeded", "{run}");
    let run = run["id"].as_str().context("an id")?;
    let list = host.json(&format!("/v1/effects?run={run}&limit=500"))?;
    let mut found = list["items"].as_array().context("items")?.clone();
    found.reverse();
    Ok(found)
}

fn one(host: &Host, effect: Value) -> anyhow::Result<Value> {
    propose(host, &json!([effect]))?.pop().context("an effect")
}

fn look(host: &Host, effect: &Value) -> anyhow::Result<Value> {
    host.json(&format!("/v1/effects/{}", crate::id(effect)?))
}

/// The effect once it is in this state.
pub(crate) fn until(host: &Host, effect: &Value, state: &str) -> anyhow::Result<Value> {
    let mut last = Value::Null;
    let found = poll(PATIENCE, || {
        last = look(host, effect).ok()?;
        let now = last["state"].as_str()?;
        let goes_on = ["proposed", "waiting", "approved", "applying"].contains(&now)
            || (now == "applied" && state == "reverted");
        (now == state || !goes_on).then(|| last.clone())
    });
    found
        .filter(|found| found["state"] == state)
        .with_context(|| format!("it is not `{state}`: {last}"))
}

pub(crate) fn decide(host: &Host, body: &Value) -> anyhow::Result<reqwest::blocking::Response> {
    Ok(host
        .client()
        .post(host.url("/v1/approvals"))
        .json(body)
        .send()?)
}

pub(crate) fn approve(host: &Host, effect: &Value) -> anyhow::Result<Value> {
    let body =
        json!({ "effect_id": effect["id"], "decision": "approve", "digest": effect["digest"] });
    let answer = decide(host, &body)?;
    ensure!(answer.status() == 200, "{}", answer.text()?);
    until(host, effect, "applied")
}

fn revert(host: &Host, effect: &Value) -> anyhow::Result<reqwest::blocking::Response> {
    let path = format!("/v1/effects/{}/revert", crate::id(effect)?);
    Ok(host.client().post(host.url(&path)).send()?)
}

fn repository(host: &Host) -> PathBuf {
    host.path().join("ops.git")
}

/// What git says in the repository.
fn git(host: &Host, arguments: &[&str]) -> anyhow::Result<String> {
    let signers = host.path().join("var/allowed_signers");
    let said = Command::new("git")
        .args([
            "-c",
            &format!("gpg.ssh.allowedSignersFile={}", signers.display()),
        ])
        .arg("-C")
        .arg(repository(host))
        .args(arguments)
        .output()?;
    ensure!(
        said.status.success(),
        "git {arguments:?}: {}",
        String::from_utf8_lossy(&said.stderr)
    );
    Ok(String::from_utf8_lossy(&said.stdout).trim().to_owned())
}

fn commit(branch: &str, base: Option<&str>, files: &Value) -> Value {
    json!({ "id": "commit", "kind": "commit", "action": {
        "repository": "ops", "branch": branch, "base": base, "message": "Change files", "files": files,
    } })
}

fn file(path: &str, text: &str) -> Value {
    json!({ "path": path, "content": { "text": text } })
}

/// Commits a file to a branch that agents own, and gives the commit.
fn seed(
    host: &Host,
    branch: &str,
    base: Option<&str>,
    path: &str,
    text: &str,
) -> anyhow::Result<String> {
    let proposed = one(host, commit(branch, base, &json!([file(path, text)])))?;
    let applied = match look(host, &proposed)?["state"].as_str() {
        Some("waiting") => approve(host, &proposed)?,
        _ => match until(host, &proposed, "waiting") {
            Ok(_) => approve(host, &proposed)?,
            Err(_) => until(host, &proposed, "applied")?,
        },
    };
    Ok(applied["result"]["commit"]
        .as_str()
        .context("a commit")?
        .to_owned())
}

#[test]
fn a_commit_waits_for_a_person_and_is_applied_as_it_was_shown() -> anyhow::Result<()> {
    let host = desk("approve", "")?;
    let proposed = one(
        &host,
        commit(
            "trunk",
            None,
            &json!([file("docs/a.md", "hello\n"), { "path": "b.txt", "content": { "artifact": { "text": "staged\n" } } }]),
        ),
    )?;
    let waiting = until(&host, &proposed, "waiting")?;
    assert_eq!(waiting["autonomy"], "approve");
    assert_eq!(waiting["approvals_needed"], 1);
    let preview = waiting["preview"].as_str().context("a preview")?;
    assert!(
        preview.contains("+hello") && preview.contains("+staged"),
        "{preview}"
    );
    // Nothing of the preview stays, and nothing is there before somebody agrees but the commit that the repository began with, and its tree.
    assert_eq!(git(&host, &["count-objects"])?, "2 objects, 8 kilobytes");

    let other = json!({ "effect_id": waiting["id"], "decision": "approve", "digest": "sha256:00" });
    problem(decide(&host, &other)?, 409, "digest_mismatch")?;
    let applied = approve(&host, &waiting)?;
    let commit = applied["result"]["commit"].as_str().context("a commit")?;
    assert_eq!(git(&host, &["rev-parse", "refs/heads/trunk"])?, commit);
    assert_eq!(git(&host, &["show", "trunk:docs/a.md"])?, "hello");
    assert_eq!(git(&host, &["show", "trunk:b.txt"])?, "staged");
    git(&host, &["verify-commit", commit])?;
    let message = git(&host, &["log", "-1", "--format=%B", "trunk"])?;
    for line in [
        "Change files",
        &format!("Infinity-Effect: {}", crate::id(&applied)?),
        "Infinity-Agent: writer",
        "Infinity-Approved-By: local",
    ] {
        assert!(message.contains(line), "{message}");
    }
    assert_eq!(git(&host, &["fsck", "--full", "--strict"])?, "");
    // What is decided is decided.
    let again = json!({ "effect_id": applied["id"], "decision": "reject" });
    problem(decide(&host, &again)?, 409, "effect_not_waiting")?;
    // The host trusts its own signature.
    let events = host.json("/v1/events?type=effect.applied")?;
    assert_eq!(events["items"][0]["subject"], applied["id"]);
    Ok(())
}

#[test]
fn what_grants_or_policy_forbid_is_refused_with_the_line_that_would_allow_it() -> anyhow::Result<()>
{
    let host = written("auto", "", "", "commit = [\"automation/*\"]")?.serve()?;
    let refused = |effect: Value, message: &str, hint: &str| -> anyhow::Result<()> {
        let proposed = one(&host, effect)?;
        let refused = until(&host, &proposed, "refused")?;
        let text = |name: &str| refused[name].as_str().unwrap_or_default().to_owned();
        ensure!(text("message").contains(message), "{refused}");
        ensure!(text("hint").contains(hint), "{refused}");
        Ok(())
    };
    let files = json!([file("a", "x")]);
    refused(
        commit("trunk", None, &files),
        "branch `trunk`",
        "commit = [\"trunk\"]",
    )?;
    refused(
        json!({ "id": "i", "kind": "issue", "action": { "repository": "ops", "title": "t", "body": "" } }),
        "may not propose a issue",
        "issue = true",
    )?;
    refused(
        json!({ "id": "c", "kind": "agent_control", "action": { "agent": "judge", "control": "pause" } }),
        "may not steer `judge`",
        "grants.agents",
    )?;
    let write = |path: &str, text: &str| commit("automation/x", None, &json!([file(path, text)]));
    refused(
        write(".github/workflows/ci.yml", "on: push\n"),
        "not for agents",
        "policies/effects/data.json",
    )?;
    // Put together here, so that a search for secrets does not find this file.
    let token = ["ghp", "_", "x9Qm2Lr7Vt4Bw8Kz1Nc5", "Hd3Jf6Gp0Ys2Aa4E"].concat();
    refused(write("a.txt", &format!("{token}\n")), "policy says no", "")?;
    // Paths that are none.
    for path in [
        "../a",
        "/etc/passwd",
        "a/../b",
        ".git/config",
        "a/.GIT/config",
        "a//b",
    ] {
        let proposed = one(&host, write(path, "x"))?;
        let state = poll(PATIENCE, || {
            let effect = look(&host, &proposed).ok()?;
            matches!(effect["state"].as_str(), Some("refused" | "failed")).then_some(effect)
        });
        ensure!(state.is_some(), "{path}: {}", look(&host, &proposed)?);
    }
    // Names that are one on many file systems; a file below a file.
    for files in [
        json!([file("Read.me", "x"), file("read.me", "y")]),
        json!([file("a", "x"), file("a/b", "y")]),
        json!([file("a", "x"), file("a", "y")]),
        json!([{ "path": "gone", "content": { "deleted": true } }]),
    ] {
        let proposed = one(&host, commit("automation/x", None, &files))?;
        until(&host, &proposed, "failed")?;
    }
    // There is what the repository began with.
    assert_eq!(
        git(&host, &["for-each-ref", "--format=%(refname)"])?,
        "refs/heads/main"
    );
    Ok(())
}

#[test]
fn without_policy_nothing_is_applied() -> anyhow::Result<()> {
    let folder = Folder::new()?;
    folder.component("test_guests", "guests")?;
    folder.config("", "[repositories.ops]\npath = \"ops.git\"\ncreate = true\n[agents.writer]\nplugin = \"guests\"\nautonomy = \"auto\"\ngrants = { repos = [{ name = \"ops\", commit = true }] }\n")?;
    let host = folder.serve()?;
    let proposed = one(
        &host,
        commit("automation/x", None, &json!([file("a", "x")])),
    )?;
    let refused = until(&host, &proposed, "refused")?;
    assert!(
        refused["message"]
            .as_str()
            .context("why")?
            .contains("no decision"),
        "{refused}"
    );
    Ok(())
}

#[test]
fn autonomy_decides_who_has_to_agree() -> anyhow::Result<()> {
    let issue = json!({ "id": "i", "kind": "issue", "action": { "repository": "ops", "title": "A matter", "body": "b" } });
    let mut agents = String::from(
        "environment = \"staging\"\n[repositories.shop]\npath = \"shop.git\"\ncreate = true\nenvironment = \"production\"\n",
    );
    let cases = [
        ("observe", "observed", "effect.observed"),
        ("alert", "observed", "effect.alert"),
        ("approve", "waiting", "effect.waiting"),
        ("auto", "applied", "effect.applied"),
    ];
    for (autonomy, _, _) in cases {
        agents.push_str(&format!(
            "[agents.{autonomy}]\nplugin = \"guests\"\nautonomy = \"{autonomy}\"\ngrants.repos = [{{ name = \"ops\", issue = true }}]\n"
        ));
    }
    agents.push_str(
        "[agents.dry]\nplugin = \"guests\"\nautonomy = \"auto\"\ndry_run = true\ngrants.repos = [{ name = \"ops\", issue = true }]\n\
         [agents.guarded]\nplugin = \"guests\"\nautonomy = \"auto\"\ngrants.repos = [{ name = \"shop\", issue = true }]\n",
    );
    let host = written("auto", "", &agents, ALL)?.serve()?;
    for (autonomy, state, event) in cases {
        let proposed = by(&host, autonomy, &json!([issue]))?
            .pop()
            .context("an effect")?;
        let effect = until(&host, &proposed, state)?;
        assert_eq!(effect["autonomy"], autonomy);
        let events = host.json(&format!("/v1/events?type={event}"))?;
        assert_eq!(events["items"][0]["subject"], effect["id"], "{autonomy}");
    }
    // A dry run, whatever the autonomy.
    let dry = by(&host, "dry", &json!([issue]))?
        .pop()
        .context("an effect")?;
    assert_eq!(
        until(&host, &dry, "observed")?["message"],
        "a dry run applies nothing"
    );
    // Production is nobody's to change alone.
    let mut shop = issue;
    shop["action"]["repository"] = json!("shop");
    let guarded = by(&host, "guarded", &json!([shop]))?
        .pop()
        .context("an effect")?;
    let guarded = until(&host, &guarded, "waiting")?;
    assert!(
        guarded["message"]
            .as_str()
            .context("why")?
            .contains("production"),
        "{guarded}"
    );
    // Four eyes: whoever started the run is not the second person.
    let own = decide(
        &host,
        &json!({ "effect_id": guarded["id"], "decision": "approve" }),
    )?;
    assert_eq!(own.status(), 403);
    let own: Value = own.json()?;
    assert!(
        own["detail"]
            .as_str()
            .context("why")?
            .contains("somebody else"),
        "{own}"
    );
    let other = json!({ "effect_id": guarded["id"], "decision": "approve", "by": "ada" });
    assert_eq!(decide(&host, &other)?.status(), 200);
    until(&host, &guarded, "applied")?;
    // A branch on which people work is not left to a machine; one of its own is.
    let files = json!([file("a", "x\n")]);
    let main = one(&host, commit("trunk", None, &files))?;
    let main = until(&host, &main, "waiting")?;
    assert_eq!(main["message"], "policy asks for a person's approval");
    let own = one(&host, commit("automation/x", None, &files))?;
    until(&host, &own, "applied")?;
    let no =
        json!({ "effect_id": main["id"], "decision": "reject", "comment": "not now", "by": "ada" });
    assert_eq!(decide(&host, &no)?.status(), 200);
    let rejected = until(&host, &main, "rejected")?;
    assert_eq!(rejected["approvals"][0]["principal"]["name"], "ada");
    assert_eq!(rejected["approvals"][0]["comment"], "not now");
    Ok(())
}

#[test]
fn silence_applies_after_a_while_unless_somebody_objects_also_over_a_restart() -> anyhow::Result<()>
{
    let host = desk("auto_after", "veto = \"10s\"")?;
    let issue = |title: &str| json!({ "id": "i", "kind": "issue", "action": { "repository": "ops", "title": title, "body": "b" } });
    let first = one(&host, issue("first"))?;
    let second = one(&host, issue("second"))?;
    let waiting = until(&host, &second, "waiting")?;
    assert_eq!(waiting["approvals_needed"], 0);
    let no = json!({ "effect_id": second["id"], "decision": "reject" });
    assert_eq!(decide(&host, &no)?.status(), 200);
    until(&host, &second, "vetoed")?;
    let host = host.kill_and_restart()?;
    let applied = until(&host, &first, "applied")?;
    assert_eq!(applied["result"]["number"], 1);
    assert_eq!(look(&host, &second)?["state"], "vetoed");
    Ok(())
}

#[test]
fn a_change_its_pull_request_and_its_merge() -> anyhow::Result<()> {
    let host = desk("auto", "")?;
    let base = seed(&host, "automation/base", None, "README.md", "# Ops\n")?;
    git(&host, &["update-ref", "refs/heads/main", &base])?;
    let proposed = propose(
        &host,
        &json!([
            { "id": "say", "depends_on": ["ask"], "kind": "comment", "action": { "repository": "ops", "number": 1, "body": "Please look." } },
            { "id": "ask", "depends_on": ["change"], "kind": "pull_request", "action": {
                "repository": "ops", "head": "automation/links", "base": "main", "title": "Mend links", "body": "They were broken." } },
            { "id": "change", "kind": "commit", "action": {
                "repository": "ops", "branch": "automation/links", "base": null, "message": "Mend links",
                "files": [file("README.md", "# Ops\n\nSee [a](a.md).\n"), file("a.md", "# A\n")] } },
        ]),
    )?;
    for effect in &proposed {
        until(&host, effect, "applied")?;
    }
    // Two commits beside each other.
    let diff = host.json("/v1/repositories/ops/diff?base=main&head=automation/links")?;
    let first = &diff["files"][0];
    ensure!(
        first["added"].as_u64() > Some(0) && diff["head"].as_str().map(str::len) == Some(40),
        "{diff}"
    );
    let path = first["path"].as_str().context("a path")?;
    ensure!(
        diff["patch"].as_str().context("a patch")?.contains(path),
        "{diff}"
    );
    for (query, status, code) in [
        ("ops/diff?head=nowhere", 404, "not_found"),
        ("nobody/diff", 404, "not_found"),
        ("ops/diff?base=a..b", 422, "invalid_parameter"),
    ] {
        let answer = host.get(&format!("/v1/repositories/{query}"))?;
        crate::problem(answer, status, code)?;
    }
    let list = host.json("/v1/prs?repository=ops&state=open")?;
    let request = &list["items"][0];
    assert_eq!(
        (&request["number"], &request["title"]),
        (&json!(1), &json!("Mend links"))
    );
    let request = host.json(&format!("/v1/prs/{}", crate::id(request)?))?;
    assert_eq!(request["comments"][0]["body"], "Please look.");
    // The branches have no history in common, as the change was made for an empty branch.
    let head = request["head_commit"]
        .as_str()
        .context("a head")?
        .to_owned();

    let merge = |head: &str| json!({ "id": "m", "kind": "merge", "action": { "repository": "ops", "number": 2, "head": head } });
    // One that can be merged: made for the branch as it is.
    let branch = "automation/more";
    git(&host, &["branch", branch, &base])?;
    let change = one(
        &host,
        commit(branch, Some(&base), &json!([file("b.md", "# B\n")])),
    )?;
    let change = until(&host, &change, "applied")?;
    let head_of = change["result"]["commit"]
        .as_str()
        .context("a commit")?
        .to_owned();
    let ask = json!({ "id": "ask", "kind": "pull_request", "action": { "repository": "ops", "head": branch, "base": "main", "title": "More", "body": "" } });
    let asked = one(&host, ask.clone())?;
    assert_eq!(until(&host, &asked, "applied")?["result"]["number"], 2);
    // The same branches have one pull request.
    let again = one(&host, ask)?;
    assert_eq!(until(&host, &again, "applied")?["result"]["number"], 2);
    // A merge is judged by the rules for merges: the scan has not passed.
    let early = one(&host, merge(&head_of))?;
    let refused = until(&host, &early, "refused")?;
    assert!(
        refused["message"]
            .as_str()
            .context("why")?
            .contains("CodeQL"),
        "{refused}"
    );
    let status = json!({ "id": "s", "kind": "status", "action": { "repository": "ops", "commit": head_of, "name": "CodeQL", "state": "success", "summary": "clean" } });
    let status = one(&host, status)?;
    until(&host, &status, "applied")?;
    // Whatever the autonomy, a person has to agree.
    let stale = one(&host, merge(&head))?;
    until(&host, &stale, "expired")?;
    let due = one(&host, merge(&head_of))?;
    let due = until(&host, &due, "waiting")?;
    let merged = approve(&host, &due)?;
    let commit = merged["result"]["commit"].as_str().context("a commit")?;
    assert_eq!(git(&host, &["rev-parse", "main"])?, commit);
    assert_eq!(
        git(&host, &["rev-parse", "main^1", "main^2"])?,
        format!("{base}\n{head_of}")
    );
    git(&host, &["verify-commit", commit])?;
    assert_eq!(host.json("/v1/prs?state=merged")?["items"][0]["number"], 2);
    // And undone.
    let undoing = revert(&host, &merged)?;
    assert_eq!(undoing.status(), 200);
    let undoing: Value = undoing.json()?;
    until(&host, &undoing, "applied")?;
    until(&host, &merged, "reverted")?;
    assert_eq!(
        git(&host, &["ls-tree", "--name-only", "main"])?,
        "README.md"
    );
    Ok(())
}

#[test]
fn people_review_pull_requests_and_some_changes_need_two_of_them() -> anyhow::Result<()> {
    let host = desk("auto", "")?;
    let base = seed(&host, "automation/base", None, "a", "1\n")?;
    git(&host, &["update-ref", "refs/heads/main", &base])?;
    git(&host, &["branch", "automation/x", &base])?;
    let change = one(
        &host,
        commit("automation/x", Some(&base), &json!([file("a", "2\n")])),
    )?;
    until(&host, &change, "applied")?;
    let ask = json!({ "id": "ask", "kind": "pull_request", "action": { "repository": "ops", "head": "automation/x", "base": "main", "title": "t", "body": "" } });
    let asked = one(&host, ask)?;
    until(&host, &asked, "applied")?;
    let request = host.json("/v1/prs")?["items"][0].clone();
    let review = |by: &str, decision: &str| -> anyhow::Result<Value> {
        let answer = decide(
            &host,
            &json!({ "pr_id": request["id"], "decision": decision, "by": by }),
        )?;
        ensure!(answer.status() == 200, "{}", answer.text()?);
        let answer: Value = answer.json()?;
        Ok(answer["pull_request"]["reviews"].clone())
    };
    review("ada", "reject")?;
    review("ada", "approve")?;
    let reviews = review("grace", "approve")?;
    assert_eq!(reviews.as_array().context("reviews")?.len(), 2, "{reviews}");
    assert_eq!(
        host.json(&format!("/v1/prs/{}", crate::id(&request)?))?["diff"]
            .as_str()
            .map(|diff| diff.contains("+2")),
        Some(true)
    );
    // Closed by undoing what opened it; then nobody reviews it.
    assert_eq!(revert(&host, &asked)?.status(), 200);
    until(&host, &asked, "reverted")?;
    let late = decide(
        &host,
        &json!({ "pr_id": request["id"], "decision": "approve" }),
    )?;
    problem(late, 409, "pull_request_not_open")?;
    Ok(())
}

#[test]
fn what_was_applied_is_undone_unless_others_changed_it_since() -> anyhow::Result<()> {
    let host = desk("auto", "")?;
    let first = seed(&host, "automation/x", None, "a", "1\n")?;
    let change = one(
        &host,
        commit(
            "automation/x",
            Some(&first),
            &json!([file("a", "2\n"), file("new", "n\n")]),
        ),
    )?;
    let change = until(&host, &change, "applied")?;
    let undoing: Value = revert(&host, &change)?.json()?;
    assert_eq!(undoing["reverts"], change["id"]);
    let undone = until(&host, &undoing, "applied")?;
    until(&host, &change, "reverted")?;
    assert_eq!(git(&host, &["show", "automation/x:a"])?, "1");
    assert_eq!(
        git(&host, &["ls-tree", "--name-only", "automation/x"])?,
        "a"
    );
    problem(revert(&host, &change)?, 409, "effect_not_waiting")?;

    let head = undone["result"]["commit"]
        .as_str()
        .context("a commit")?
        .to_owned();
    let second = one(
        &host,
        commit("automation/x", Some(&head), &json!([file("a", "3\n")])),
    )?;
    let second = until(&host, &second, "applied")?;
    let at = second["result"]["commit"]
        .as_str()
        .context("a commit")?
        .to_owned();
    let third = one(
        &host,
        commit("automation/x", Some(&at), &json!([file("a", "4\n")])),
    )?;
    until(&host, &third, "applied")?;
    let body = problem(revert(&host, &second)?, 409, "not_revertible")?;
    assert!(
        body["detail"].as_str().context("why")?.contains("`a`"),
        "{body}"
    );
    // A change for a branch that moved on is not made.
    let stale = one(
        &host,
        commit("automation/x", Some(&at), &json!([file("b", "x")])),
    )?;
    until(&host, &stale, "expired")?;

    // Steering has an opposite; a status has none.
    let pause = one(
        &host,
        json!({ "id": "p", "kind": "agent_control", "action": { "agent": "other", "control": "pause" } }),
    )?;
    let pause = until(&host, &pause, "applied")?;
    assert_eq!(host.json("/v1/agents/other")?["paused"], true);
    let undoing: Value = revert(&host, &pause)?.json()?;
    until(&host, &undoing, "applied")?;
    assert_eq!(host.json("/v1/agents/other")?["paused"], false);
    let status = json!({ "id": "s", "kind": "status", "action": { "repository": "ops", "commit": head, "name": "check", "state": "success", "summary": "fine" } });
    let status = one(&host, status)?;
    let status = until(&host, &status, "applied")?;
    problem(revert(&host, &status)?, 409, "not_revertible")?;
    Ok(())
}

#[test]
fn a_site_is_published_whole_and_only_when_it_differs() -> anyhow::Result<()> {
    let host = desk("auto", "")?;
    let publish = |files: Value| json!({ "id": "p", "kind": "publication", "action": { "repository": "ops", "branch": "gh-pages", "files": files } });
    let first = one(
        &host,
        publish(json!([
            file("index.html", "<h1>1</h1>"),
            file("old.html", "old")
        ])),
    )?;
    until(&host, &first, "applied")?;
    let second = one(&host, publish(json!([file("index.html", "<h1>2</h1>")])))?;
    let second = until(&host, &second, "applied")?;
    assert_eq!(
        git(&host, &["ls-tree", "--name-only", "gh-pages"])?,
        "index.html"
    );
    let third = one(&host, publish(json!([file("index.html", "<h1>2</h1>")])))?;
    let third = until(&host, &third, "applied")?;
    assert_eq!(third["message"], "there was nothing to change");
    assert_eq!(git(&host, &["rev-list", "--count", "gh-pages"])?, "2");
    let undoing: Value = revert(&host, &second)?.json()?;
    until(&host, &undoing, "applied")?;
    assert_eq!(git(&host, &["show", "gh-pages:old.html"])?, "old");
    Ok(())
}

#[test]
fn files_are_mirrored_by_one_commit_with_what_changed() -> anyhow::Result<()> {
    let folder = Folder::new()?;
    for plugin in ["mirror-sync", "policy"] {
        folder.component(&plugin.replace('-', "_"), plugin)?;
    }
    policies(&folder)?;
    fs::create_dir(folder.path().join("local"))?;
    fs::write(folder.path().join("local/scheduler.log"), "one\n")?;
    let source = folder.path().join("source");
    let shell = |script: &str| -> anyhow::Result<()> {
        let done = Command::new("sh")
            .args(["-ec", script])
            .current_dir(&source)
            .status()?;
        ensure!(done.success(), "{script}: {done}");
        Ok(())
    };
    fs::create_dir(&source)?;
    let commit_all = "git add -A && git -c user.name=t -c user.email=t@example.com commit -qm c";
    shell(&format!(
        "git init -q && mkdir -p docs/deep && echo a > docs/a.md && echo b > docs/deep/b.md && echo no > other.txt && {commit_all}"
    ))?;
    folder.config(
        "",
        "[repositories.source]\npath = \"source\"\n[repositories.ops]\npath = \"ops.git\"\ncreate = true\n\
         [agents.judge]\nplugin = \"policy\"\npolicies = \"policies\"\n\
         [agents.writer]\nplugin = \"mirror-sync\"\nautonomy = \"auto\"\n[agents.writer.settings]\n\
         sources = [{ repository = \"source\", paths = [\"docs/*.md\", \"docs/deep/**\"] }, { directory = \"/local\", to = \"state\" }]\n\
         target = { repository = \"ops\", branch = \"founder_mirror\" }\n\
         [agents.writer.grants]\nrepos = [{ name = \"source\" }, { name = \"ops\", commit = [\"founder_mirror\"] }]\n\
         directories = [{ host = \"local\", guest = \"/local\" }]\n",
    )?;
    let host = folder.serve()?;
    let mirror = || -> anyhow::Result<Option<Value>> {
        let run = host.run("writer", &Value::Null)?;
        ensure!(run["outcome"] == "succeeded", "{run}");
        let list = host.json(&format!("/v1/effects?run={}", crate::id(&run)?))?;
        match list["items"].get(0) {
            Some(effect) => until(&host, effect, "applied").map(Some),
            None => Ok(None),
        }
    };
    let listed = || git(&host, &["ls-tree", "-r", "--name-only", "founder_mirror"]);
    mirror()?.context("nothing is mirrored")?;
    assert_eq!(listed()?, "docs/a.md\ndocs/deep/b.md\nstate/scheduler.log");
    // Nothing to do is no commit.
    assert_eq!(mirror()?, None);
    // What changed goes over, what is gone goes, and what others put there stays.
    let head = git(&host, &["rev-parse", "founder_mirror"])?;
    shell(&format!(
        "echo aa > docs/a.md && rm docs/deep/b.md && {commit_all}"
    ))?;
    fs::write(host.path().join("local/scheduler.log"), "one\ntwo\n")?;
    let second = mirror()?.context("nothing is mirrored")?;
    assert_eq!(
        second["action"]["files"].as_array().context("files")?.len(),
        3,
        "{second}"
    );
    assert_eq!(listed()?, "docs/a.md\nstate/scheduler.log");
    assert_eq!(
        git(&host, &["show", "founder_mirror:state/scheduler.log"])?,
        "one\ntwo"
    );
    assert_eq!(git(&host, &["rev-parse", "founder_mirror^"])?, head);
    git(&host, &["verify-commit", "founder_mirror"])?;
    Ok(())
}

#[test]
fn a_person_decides_at_a_terminal() -> anyhow::Result<()> {
    let host = desk("approve", "")?;
    let proposed = one(
        &host,
        commit("trunk", None, &json!([file("a.txt", "hello\n")])),
    )?;
    until(&host, &proposed, "waiting")?;
    let id = crate::id(&proposed)?;
    let infinity = |arguments: &[&str]| -> anyhow::Result<(Option<i32>, String)> {
        let said = host.folder().infinity(arguments)?;
        let text = format!(
            "{}{}",
            String::from_utf8_lossy(&said.stdout),
            String::from_utf8_lossy(&said.stderr)
        );
        Ok((said.status.code(), text))
    };
    let (code, text) = infinity(&["effects"])?;
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains(id) && text.contains("ops:trunk") && text.contains("waiting"),
        "{text}"
    );
    let (_, text) = infinity(&["--color", "always", "effects", "show", id])?;
    assert!(text.contains("\u{1b}[32m+hello\u{1b}[0m"), "{text}");
    let (_, text) = infinity(&["effects", "show", id])?;
    assert!(
        text.contains("\n+hello\n") && text.contains("reason     the test asks for it"),
        "{text}"
    );
    let (code, text) = infinity(&["effects", "approve", id, "-m", "fine"])?;
    assert_eq!(code, Some(0), "{text}");
    let applied = until(&host, &proposed, "applied")?;
    assert_eq!(applied["approvals"][0]["comment"], "fine");
    let (code, text) = infinity(&["effects", "reject", id])?;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("the effect is applied"), "{text}");
    let (code, text) = infinity(&["effects", "show", "nonsense"])?;
    assert_eq!(code, Some(2), "{text}");
    let (_, text) = infinity(&["--json", "effects", "list", "--state", "applied"])?;
    let list: Value = serde_json::from_str(&text)?;
    assert_eq!(list["items"][0]["id"], *id);
    Ok(())
}

#[test]
fn a_host_that_is_killed_applies_each_change_once() -> anyhow::Result<()> {
    let kills = count(20, 200);
    let mut host = desk("auto", "effects_per_hour = 10000")?;
    let mut expected = Vec::new();
    let mut head: Option<String> = None;
    for number in 0..kills {
        let branch = format!("automation/b-{number}");
        let run = json!({ "case": "propose", "effects": [
            { "id": "change", "kind": "commit", "action": { "repository": "ops", "branch": branch, "base": null, "message": format!("Change {number}"),
                "files": [file("a", &format!("{number}\n"))] } },
            { "id": "issue", "depends_on": ["change"], "kind": "issue", "action": { "repository": "ops", "title": format!("Issue {number}"), "body": "b" } },
            { "id": "say", "depends_on": ["issue"], "kind": "comment", "action": { "repository": "ops", "number": 1, "body": format!("Comment {number}") } },
        ] });
        if number % 2 == 0 {
            // At any moment: judging takes some milliseconds, so does each commit.
            let ended = host.run("writer", &run)?;
            ensure!(ended["outcome"] == "succeeded", "{ended}");
            std::thread::sleep(std::time::Duration::from_micros(
                u64::try_from(number)? * 7_919 % 40_000,
            ));
            expected.push(ended["id"].as_str().context("an id")?.to_owned());
            host = host.kill_and_restart()?;
        } else {
            // At each boundary of its stages, for the first effect and for later ones.
            let names = infinity::boundary::NAMES;
            let turn = usize::try_from(number)? / 2;
            let name = names[turn % names.len()];
            // Only what changes files is written apart.
            let time = if name == "effect.written" {
                1
            } else {
                1 + turn / names.len() % 3
            };
            let at = format!("{name}:{time}");
            let mut doomed = host.kill_and_restart_with(&[(infinity::boundary::VARIABLE, &at)])?;
            doomed.start_doomed("writer", &run, &branch);
            let died = poll(PATIENCE, || doomed.ended());
            ensure!(died.is_some(), "it does not die at {at}");
            host = doomed.kill_and_restart()?;
            let ended = host.run_of_key("writer", &run, &branch)?;
            expected.push(ended["id"].as_str().context("an id")?.to_owned());
        }
        head = Some(branch);
    }
    ensure!(head.is_some(), "nothing was killed");
    for run in &expected {
        let path = format!("/v1/effects?run={run}");
        let ended = poll(PATIENCE, || {
            let list = host.json(&path).ok()?;
            let items = list["items"].as_array()?.clone();
            (items.len() == 3 && items.iter().all(|effect| effect["state"] == "applied"))
                .then_some(items)
        });
        ensure!(ended.is_some(), "{}", host.json(&path)?);
    }
    // Each branch has its one commit, and each issue and comment is there once.
    for number in 0..kills {
        let branch = format!("refs/heads/automation/b-{number}");
        ensure!(
            git(&host, &["rev-list", "--count", &branch])? == "1",
            "{branch}"
        );
    }
    let issues = issues(&host)?;
    ensure!(issues == usize::try_from(kills)?, "{issues} issues");
    ensure!(
        git(&host, &["fsck", "--full", "--strict"])?
            .lines()
            .all(|line| line.starts_with("dangling")),
        "the repository is damaged"
    );
    figure(
        "kills of the host while effects are judged and applied",
        kills,
        "each commit, issue and comment there once, each record true",
    );
    Ok(())
}

/// How many issues there are: each has a number, and comments on them succeed up to the last.
fn issues(host: &Host) -> anyhow::Result<usize> {
    let mut numbers = std::collections::BTreeSet::new();
    let mut cursor = String::new();
    loop {
        let list = host.json(&format!(
            "/v1/effects?kind=issue&state=applied&limit=500{cursor}"
        ))?;
        for effect in list["items"].as_array().context("items")? {
            ensure!(
                numbers.insert(effect["result"]["number"].as_u64()),
                "{effect} has another's number"
            );
        }
        match list["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(numbers.len()),
        }
    }
}

#[test]
fn what_is_paid_for_changes_only_when_two_others_agree() -> anyhow::Result<()> {
    let folder = Folder::new()?;
    folder.component("test_guests", "guests")?;
    folder.config("", "[agents.other]\nplugin = \"guests\"\n")?;
    let host = folder.serve()?;
    let post = |path: &str, body: &Value| host.client().post(host.url(path)).json(body).send();
    let request = json!({ "title": "A larger database", "resource": "database/production", "monthly_usd": 120, "reason": "It is full.", "by": "ada" });
    let made = post("/v1/billing/proposals", &request)?;
    assert_eq!(made.status(), 201);
    let proposal: Value = made.json()?;
    assert_eq!(
        (&proposal["state"], &proposal["approvals_needed"]),
        (&json!("waiting"), &json!(2))
    );
    let id = crate::id(&proposal)?;
    let approve = format!("/v1/billing/proposals/{id}/approve");
    problem(
        post(&approve, &json!({ "by": "ada" }))?,
        403,
        "own_proposal",
    )?;
    let one: Value = post(&approve, &json!({ "by": "bob" }))?.json()?;
    assert_eq!(one["message"], "1 of 2 people approved");
    // The same person twice is one person.
    let again: Value = post(&approve, &json!({ "by": "bob" }))?.json()?;
    assert_eq!(again["state"], "waiting");
    // The other way to say yes knows the rule, too.
    let own = decide(
        &host,
        &json!({ "effect_id": id, "decision": "approve", "by": "ada" }),
    )?;
    problem(own, 403, "own_proposal")?;
    post(&approve, &json!({ "by": "eve", "comment": "fine" }))?.error_for_status()?;
    let agreed = until(&host, &proposal, "applied")?;
    assert_eq!(agreed["approvals"].as_array().map(Vec::len), Some(2));
    problem(
        post(&approve, &json!({ "by": "joe" }))?,
        409,
        "effect_not_waiting",
    )?;
    let refused: Value = post("/v1/billing/proposals", &request)?.json()?;
    let reject = format!("/v1/billing/proposals/{}/reject", crate::id(&refused)?);
    post(&reject, &json!({ "by": "bob" }))?.error_for_status()?;
    until(&host, &refused, "rejected")?;
    let list = host.json("/v1/billing/proposals")?;
    assert_eq!(list["items"].as_array().map(Vec::len), Some(2));
    let wrong = json!({ "title": "", "resource": "x", "monthly_usd": 1, "reason": "r" });
    problem(
        post("/v1/billing/proposals", &wrong)?,
        422,
        "invalid_proposal",
    )?;
    let events = host.get("/v1/events?type=effect.applied")?.text()?;
    assert!(events.contains(id), "{events}");
    Ok(())
}
