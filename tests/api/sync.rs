//! The agents that change repositories: repo-sync, the watchtower and autodeploy, on real repositories.

use crate::effects::{approve, decide, until, with_policy};
use anyhow::{Context as _, ensure};
use infinity_tests::git;
use infinity_tests::host::{Folder, Host, PATIENCE, poll};
use serde_json::{Value, json};
use std::fs;
use std::process::Command;

/// A repository of people, with a work tree.
struct People(std::path::PathBuf);

impl People {
    fn new(folder: &Folder, name: &str) -> anyhow::Result<Self> {
        let path = folder.path().join(name);
        fs::create_dir(&path)?;
        git(&path, &["init", "--quiet", "--initial-branch=main"])?;
        Ok(Self(path))
    }

    fn write(&self, path: &str, text: &str) -> anyhow::Result<()> {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().context("a folder")?)?;
        Ok(fs::write(path, text)?)
    }

    fn commit(&self, message: &str) -> anyhow::Result<String> {
        git(&self.0, &["add", "--all"])?;
        git(&self.0, &["commit", "--quiet", "--message", message])?;
        git(&self.0, &["rev-parse", "HEAD"])
    }
}

/// A run of an agent, with what it proposes in the order proposed.
fn run(host: &Host, agent: &str, input: &Value) -> anyhow::Result<(Value, Vec<Value>)> {
    let run = host.run(agent, input)?;
    ensure!(run["outcome"] == "succeeded", "{run}");
    let list = host.json(&format!("/v1/effects?limit=500&run={}", crate::id(&run)?))?;
    let mut effects = list["items"].as_array().context("items")?.clone();
    effects.reverse();
    Ok((host.report(&run)?, effects))
}

/// Runs an agent and waits until what it proposes is applied.
fn applied(host: &Host, agent: &str) -> anyhow::Result<(Value, Vec<Value>)> {
    let (report, effects) = run(host, agent, &Value::Null)?;
    let applied = effects.iter().map(|effect| until(host, effect, "applied"));
    let applied = applied.collect::<anyhow::Result<_>>()?;
    Ok((report, applied))
}

fn kinds(effects: &[Value]) -> Vec<&str> {
    let kinds = effects.iter().filter_map(|effect| effect["kind"].as_str());
    kinds.collect()
}

const SYNC: &str = "targets:
  - repo: acme/mvp
    paths: ['src/**', '*.md']
    exclude: ['**/secrets/**']
    auto_merge: true
    reviewers: ['team:mvp-team']
    labels: [sync/foundation, auto-generated]
";

/// A host with the source `foundation`, the target `mvp`, and the agent `repo-sync`.
fn sync_host(autonomy: &str) -> anyhow::Result<(Host, People)> {
    let folder = Folder::new()?;
    folder.component("repo_sync", "repo-sync")?;
    folder.component("test_guests", "guests")?;
    with_policy(&folder)?;
    let source = People::new(&folder, "foundation")?;
    source.write(".sync-config.yaml", SYNC)?;
    source.write("src/a.txt", "one\n")?;
    source.write("src/secrets/key", "hidden\n")?;
    source.write("src/run.sh", "#!/bin/sh\n")?;
    git(&source.0, &["add", "--all"])?;
    git(&source.0, &["update-index", "--chmod=+x", "src/run.sh"])?;
    source.write("other.txt", "not for others\n")?;
    git(&source.0, &["commit", "--quiet", "--message", "Begin"])?;
    folder.config(
        "",
        &format!(
            "[repositories.foundation]\npath = \"foundation\"\n\
             [repositories.mvp]\npath = \"mvp.git\"\ncreate = true\n\
             [agents.judge]\nplugin = \"policy\"\npolicies = \"policies\"\n\
             [agents.ci]\nplugin = \"guests\"\nautonomy = \"auto\"\ngrants = {{ repos = [{{ name = \"mvp\", status = true }}] }}\n\
             [agents.repo-sync]\nplugin = \"repo-sync\"\non = [\"test.push\"]\nautonomy = \"{autonomy}\"\n\
             settings = {{ source = \"foundation\" }}\n[agents.repo-sync.grants]\n\
             repos = [{{ name = \"foundation\" }}, {{ name = \"mvp\", commit = [\"automation/*\"], pull_request = [\"main\"], merge = [\"main\"], issue = true }}]\n"
        ),
    )?;
    Ok((folder.serve()?, source))
}

#[test]
fn a_sync_is_one_pull_request_that_moves_on_until_it_is_merged() -> anyhow::Result<()> {
    let (host, source) = sync_host("auto")?;
    let mvp = host.path().join("mvp.git");
    let first = git(&source.0, &["rev-parse", "HEAD"])?;
    let (_, effects) = applied(&host, "repo-sync")?;
    assert_eq!(kinds(&effects), ["commit", "pull_request"]);
    let branch = format!("automation/sync-mvp-{}", &first[..12]);
    assert_eq!(effects[0]["action"]["branch"], *branch);
    let listed = git(&mvp, &["ls-tree", "-r", &branch])?;
    assert!(
        listed.contains("100755 blob") && listed.contains("src/run.sh"),
        "{listed}"
    );
    assert_eq!(
        git(&mvp, &["ls-tree", "-r", "--name-only", &branch])?,
        "src/a.txt\nsrc/run.sh"
    );
    let message = git(&mvp, &["log", "-1", "--format=%B", &branch])?;
    for line in [
        format!("Sync-Source: foundation@{first}"),
        "Sync-Author: Ada <ada@example.com>".into(),
        format!("Sync-Branch: {branch}"),
    ] {
        assert!(message.contains(&line), "{message}");
    }
    let requests = host.json("/v1/prs")?;
    let request = &requests["items"][0];
    assert_eq!(
        request["labels"],
        json!(["sync/foundation", "auto-generated"])
    );
    assert_eq!(request["reviewers"], json!(["team:mvp-team"]));
    assert_eq!(
        (&request["head"], &request["base"]),
        (&json!(branch), &json!("main"))
    );

    // More commits at the source move the branch; what the source takes back goes from it.
    source.write("src/b.txt", "two\n")?;
    source.commit("Add b")?;
    let (_, effects) = applied(&host, "repo-sync")?;
    assert_eq!(kinds(&effects), ["commit"]);
    fs::remove_file(source.0.join("src/b.txt"))?;
    source.write("src/c.txt", "three\n")?;
    source.commit("c instead of b")?;
    let (_, effects) = applied(&host, "repo-sync")?;
    assert_eq!(kinds(&effects), ["commit"]);
    assert_eq!(
        git(&mvp, &["ls-tree", "-r", "--name-only", &branch])?,
        "src/a.txt\nsrc/c.txt\nsrc/run.sh"
    );
    assert_eq!(
        host.json("/v1/prs")?["items"].as_array().map(Vec::len),
        Some(1)
    );

    // `auto_merge` proposes the merge, and a person decides on it.
    let (_, effects) = run(&host, "repo-sync", &Value::Null)?;
    assert_eq!(kinds(&effects), ["merge"]);
    let refused = until(&host, &effects[0], "refused")?;
    let message = refused["message"].as_str().context("a message")?;
    assert!(message.contains("CodeQL scan must pass"), "{message}");
    let head = git(&mvp, &["rev-parse", &branch])?;
    let status = json!({ "case": "propose", "effects": [{ "id": "s", "kind": "status", "action": {
        "repository": "mvp", "commit": head, "name": "CodeQL", "state": "success", "summary": "fine" } }] });
    let (_, effects) = run(&host, "ci", &status)?;
    until(&host, &effects[0], "applied")?;
    let (_, effects) = run(&host, "repo-sync", &Value::Null)?;
    until(&host, &effects[0], "waiting")?;
    approve(&host, &effects[0])?;
    assert_eq!(
        git(&mvp, &["ls-tree", "-r", "--name-only", "main"])?,
        "src/a.txt\nsrc/c.txt\nsrc/run.sh"
    );
    let (report, effects) = run(&host, "repo-sync", &Value::Null)?;
    assert!(effects.is_empty(), "{effects:?}");
    assert_eq!(report["output"]["targets"][0]["state"], "in_step");

    // What the target has of its own stays; only what was synced is deleted.
    fs::remove_file(source.0.join("src/c.txt"))?;
    let next = source.commit("Remove c")?;
    let (report, effects) = applied(&host, "repo-sync")?;
    assert_eq!(
        report["output"]["targets"][0]["delete"],
        json!(["src/c.txt"])
    );
    assert_eq!(
        effects[0]["action"]["branch"],
        format!("automation/sync-mvp-{}", &next[..12])
    );
    Ok(())
}

#[test]
fn a_burst_of_pushes_leaves_the_target_in_step() -> anyhow::Result<()> {
    let (host, source) = sync_host("auto")?;
    let branch = format!(
        "automation/sync-mvp-{}",
        &git(&source.0, &["rev-parse", "HEAD"])?[..12]
    );
    // Runs overlap, and each sees the target before the changes of the one before have arrived.
    let pushes = 12;
    for push in 0..pushes {
        source.write("src/a.txt", &format!("push {push}\n"))?;
        source.commit("Change a")?;
        let event = json!({ "specversion": "1.0", "id": format!("push-{push}"), "source": "https://git.example.org/", "type": "test.push", "data": {} });
        host.publish(&event)?;
    }
    let mvp = host.path().join("mvp.git");
    let last = format!("push {}", pushes - 1);
    poll(PATIENCE, || {
        let there = git(&mvp, &["show", &format!("{branch}:src/a.txt")]).ok()?;
        (there == last).then_some(())
    })
    .with_context(|| {
        format!(
            "the target stays behind: {:?}",
            host.json("/v1/effects?limit=500")
        )
    })
}

#[test]
fn what_changed_on_both_sides_is_told_once_and_never_overwritten() -> anyhow::Result<()> {
    let (host, source) = sync_host("auto")?;
    let mvp = host.path().join("mvp.git");
    // Somebody works at the target, too.
    let clone = host.path().join("clone");
    git(host.path(), &["clone", "--quiet", "mvp.git", "clone"])?;
    let clone = People(clone);
    clone.write("src/a.txt", "theirs\n")?;
    clone.commit("Ours is better")?;
    git(&clone.0, &["push", "--quiet", "origin", "HEAD:main"])?;
    let (report, effects) = applied(&host, "repo-sync")?;
    assert_eq!(kinds(&effects), ["issue"]);
    assert_eq!(report["findings"][0]["rule"], "sync/conflict");
    assert_eq!(report["findings"][0]["location"]["path"], "src/a.txt");
    assert!(
        effects[0]["action"]["body"]
            .as_str()
            .context("a body")?
            .contains("src/a.txt")
    );
    let (_, effects) = run(&host, "repo-sync", &Value::Null)?;
    assert!(effects.is_empty(), "the issue is open: {effects:?}");
    assert_eq!(git(&mvp, &["show", "main:src/a.txt"])?, "theirs");
    // Both sides agree: the sync goes on.
    source.write("src/a.txt", "theirs\n")?;
    source.commit("Agree")?;
    let (_, effects) = applied(&host, "repo-sync")?;
    assert_eq!(kinds(&effects), ["commit", "pull_request"]);
    Ok(())
}

#[test]
fn a_sync_is_planned_and_rolled_back_from_a_terminal() -> anyhow::Result<()> {
    let (host, source) = sync_host("auto")?;
    let mvp = host.path().join("mvp.git");
    let said = host.folder().infinity(&["sync", "plan"])?;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.status.success(), "{said:?}");
    for part in [
        "mvp",
        "behind",
        "observed: a dry run applies nothing",
        "+one",
    ] {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
    assert_eq!(
        git(&mvp, &["branch", "--list", "--format=%(refname:short)"])?,
        "main"
    );
    let said = host.folder().infinity(&["--json", "sync", "plan", "mvp"])?;
    let plan: Value = serde_json::from_slice(&said.stdout)?;
    assert_eq!(plan["run"]["dry_run"], true);
    assert_eq!(plan["effects"].as_array().map(Vec::len), Some(2));
    let said = host.folder().infinity(&["sync", "plan", "mpv"])?;
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&said.stdout),
        String::from_utf8_lossy(&said.stderr)
    );
    assert!(
        !said.status.success() && text.contains("the targets are mvp"),
        "{text}"
    );

    // Two syncs reach the target; the second is undone.
    let merged = |source: &People, text: &str| -> anyhow::Result<()> {
        source.write("src/a.txt", text)?;
        source.commit("Change a")?;
        let (_, effects) = applied(&host, "repo-sync")?;
        let branch = effects[0]["action"]["branch"]
            .as_str()
            .context("a branch")?;
        git(&mvp, &["update-ref", "refs/heads/main", branch])?;
        Ok(())
    };
    merged(&source, "two\n")?;
    merged(&source, "three\n")?;
    let said = host
        .folder()
        .infinity(&["--json", "sync", "rollback", "mvp"])?;
    let back: Value = serde_json::from_slice(&said.stdout).with_context(|| format!("{said:?}"))?;
    let effects = back["effects"].as_array().context("effects")?;
    let commit = effects
        .iter()
        .find(|effect| effect["kind"] == "commit")
        .context("a commit")?;
    let commit = until(&host, commit, "applied")?;
    let branch = commit["action"]["branch"]
        .as_str()
        .context("a branch")?
        .to_owned();
    assert!(branch.starts_with("automation/rollback-mvp-"), "{branch}");
    assert_eq!(git(&mvp, &["show", &format!("{branch}:src/a.txt")])?, "two");
    git(&mvp, &["update-ref", "refs/heads/main", &branch])?;
    // What was rolled back is not proposed again before it changes.
    let (report, effects) = run(&host, "repo-sync", &Value::Null)?;
    assert!(effects.is_empty(), "{effects:?}");
    assert_eq!(report["output"]["targets"][0]["state"], "in_step");
    source.write("src/a.txt", "four\n")?;
    source.commit("Better")?;
    let (_, effects) = applied(&host, "repo-sync")?;
    assert_eq!(kinds(&effects), ["commit", "pull_request"]);
    Ok(())
}

#[test]
fn people_decide_on_the_latest_form_of_a_change_and_only_once() -> anyhow::Result<()> {
    let (host, source) = sync_host("approve")?;
    let (_, first) = run(&host, "repo-sync", &Value::Null)?;
    for effect in &first {
        until(&host, effect, "waiting")?;
    }
    // The same again adds nothing.
    let (_, same) = run(&host, "repo-sync", &Value::Null)?;
    assert_eq!(same.len(), 2);
    for effect in &same {
        let repeated = until(&host, effect, "expired")?;
        let message = repeated["message"].as_str().context("a message")?;
        assert!(message.contains("proposes the same"), "{message}");
    }
    // Something else for the same place takes the earlier one's.
    source.write("src/a.txt", "newer\n")?;
    source.commit("Newer")?;
    let (_, second) = run(&host, "repo-sync", &Value::Null)?;
    for (effect, earlier) in second.iter().zip(&first) {
        until(&host, effect, "waiting")?;
        let replaced = until(&host, earlier, "expired")?;
        let message = replaced["message"].as_str().context("a message")?;
        assert!(message.contains("proposes this anew"), "{message}");
    }
    for effect in &second {
        let body = json!({ "effect_id": effect["id"], "decision": "approve" });
        ensure!(decide(&host, &body)?.status() == 200, "{effect}");
    }
    until(&host, &second[1], "applied")?;
    Ok(())
}

#[test]
fn a_wrong_configuration_is_shown_with_its_lines() -> anyhow::Result<()> {
    let (host, source) = sync_host("auto")?;
    source.write(
        ".sync-config.yaml",
        "targets:\n  - repo: acme/nowhere\n    path: ['a[']\n    create_pr: 3\n",
    )?;
    source.commit("Break it")?;
    let run = host.run("repo-sync", &Value::Null)?;
    assert_eq!(run["outcome"], "failed", "{run}");
    let report = host.report(&run)?;
    let findings = report["findings"].as_array().context("findings")?;
    let lines: Vec<u64> = findings
        .iter()
        .filter_map(|finding| finding["location"]["line"].as_u64())
        .collect();
    assert_eq!(lines, [3, 2, 2, 4], "{findings:#?}");
    Ok(())
}

#[test]
fn the_watchtower_shows_how_far_a_mirror_is_behind() -> anyhow::Result<()> {
    let folder = Folder::new()?;
    folder.component("mirror_sync", "mirror-sync")?;
    folder.component("watchtower", "watchtower")?;
    with_policy(&folder)?;
    let source = People::new(&folder, "source")?;
    source.write("a.json", "1\n")?;
    source.commit("Begin")?;
    let files = "sources = [{ repository = \"source\", paths = [\"*.json\"] }]\ntarget = { repository = \"mirror\", branch = \"founder_mirror\" }\n";
    folder.config(
        "",
        &format!(
            "[repositories.source]\npath = \"source\"\n[repositories.mirror]\npath = \"mirror.git\"\ncreate = true\n\
             [agents.judge]\nplugin = \"policy\"\npolicies = \"policies\"\n\
             [agents.mirror]\nplugin = \"mirror-sync\"\nautonomy = \"auto\"\n[agents.mirror.settings]\n{files}\
             [agents.mirror.grants]\nrepos = [{{ name = \"source\" }}, {{ name = \"mirror\", commit = [\"founder_mirror\"] }}]\n\
             [agents.tower]\nplugin = \"watchtower\"\n[[agents.tower.settings.mirrors]]\nname = \"founder\"\nagent = \"mirror\"\n{files}\
             [agents.tower.grants]\nrepos = [{{ name = \"source\" }}, {{ name = \"mirror\" }}]\nevents = [\"mirror.*\"]\n"
        ),
    )?;
    let host = folder.serve()?;
    let look = || -> anyhow::Result<Value> {
        let (report, _) = run(&host, "tower", &Value::Null)?;
        Ok(report["output"]["mirrors"][0].clone())
    };
    let empty = look()?;
    assert_eq!(
        (&empty["light"], &empty["in_step"]),
        (&json!("red"), &json!(false)),
        "{empty}"
    );
    applied(&host, "mirror")?;
    let fresh = look()?;
    assert_eq!(
        (&fresh["light"], &fresh["in_step"]),
        (&json!("green"), &json!(true)),
        "{fresh}"
    );
    assert_eq!(fresh["commits_behind"], 0);
    ensure!(
        fresh["commit"].is_string() && fresh["committed_at"].is_string(),
        "{fresh}"
    );
    // Two commits, of which one is old: the mirror is behind since the first that it lacks.
    for (text, age) in [("2\n", 160), ("3\n", 10)] {
        source.write("a.json", text)?;
        git(&source.0, &["add", "--all"])?;
        let when = ago(age)?;
        let made = Command::new("git")
            .env("GIT_COMMITTER_DATE", &when)
            .env("GIT_AUTHOR_DATE", &when)
            .args([
                "-c",
                "user.name=Ada",
                "-c",
                "user.email=a@example.com",
                "-C",
            ])
            .arg(&source.0)
            .args(["commit", "--quiet", "--message", "Change"])
            .status()?;
        ensure!(made.success(), "{made}");
    }
    let behind = look()?;
    assert_eq!(
        (&behind["light"], &behind["commits_behind"]),
        (&json!("red"), &json!(2)),
        "{behind}"
    );
    assert_eq!(
        behind["differences"],
        json!([{ "path": "a.json", "change": "change" }])
    );
    let lag = behind["lag_seconds"].as_u64().context("a lag")?;
    assert!((159 * 60..165 * 60).contains(&lag), "{lag}");
    let told = poll(PATIENCE, || {
        let events = host.get("/v1/events?type=mirror.*").ok()?.text().ok()?;
        (events.matches("mirror.stale").count() >= 2).then_some(events)
    });
    ensure!(told.is_some(), "`mirror.stale` is not announced twice");
    applied(&host, "mirror")?;
    assert_eq!(look()?["light"], "green");
    Ok(())
}

/// A time some minutes ago, as git reads it.
fn ago(minutes: u64) -> anyhow::Result<String> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    Ok(format!("{} +0000", now.as_secs() - minutes * 60))
}

#[test]
fn a_site_is_built_published_and_left_alone_until_its_documents_change() -> anyhow::Result<()> {
    let folder = Folder::new()?;
    folder.component("autodeploy", "autodeploy")?;
    folder.component("badge", "badge")?;
    folder.component("mirror_sync", "mirror-sync")?;
    with_policy(&folder)?;
    let source = People::new(&folder, "source")?;
    source.write(
        "README.md",
        "# Home\n\nSee [a](docs/a.md) and [nothing](docs/none.md).\n\n```rust\nfn main() {}\n```\n",
    )?;
    source.write("docs/a.md", "# A\n\n![i](i.svg)\n")?;
    source.write(
        "docs/i.svg",
        "<svg xmlns=\"http://www.w3.org/2000/svg\"/>\n",
    )?;
    source.write("code.rs", "// not a document\n")?;
    source.commit("Begin")?;
    fs::create_dir(folder.path().join("docs_build"))?;
    let port = {
        let free = std::net::TcpListener::bind("127.0.0.1:0")?;
        free.local_addr()?.port()
    };
    folder.config(
        &format!("autodeploy_port = {port}"),
        "[repositories.source]\npath = \"source\"\n[repositories.site]\npath = \"site.git\"\ncreate = true\n\
         [repositories.mirror]\npath = \"mirror.git\"\ncreate = true\n\
         [agents.judge]\nplugin = \"policy\"\npolicies = \"policies\"\n\
         [agents.badge]\nplugin = \"badge\"\n\
         [agents.mirror-sync]\nplugin = \"mirror-sync\"\nautonomy = \"auto\"\n\
         settings = { sources = [{ repository = \"source\" }], target = { repository = \"mirror\", branch = \"founder_mirror\" } }\n\
         grants = { repos = [{ name = \"source\" }, { name = \"mirror\", commit = [\"founder_mirror\"] }] }\n\
         [agents.docs]\nplugin = \"autodeploy\"\nsettings = { source = \"source\", output = \"/docs_build\" }\n\
         grants = { repos = [{ name = \"source\" }], directories = [{ host = \"docs_build\", guest = \"/docs_build\", write = true }] }\n\
         [agents.autodeploy]\nplugin = \"autodeploy\"\nautonomy = \"auto\"\nsettings = { source = \"source\", title = \"T\", target = { repository = \"site\" } }\n\
         grants = { repos = [{ name = \"source\" }, { name = \"site\", publication = [\"gh-pages\"] }] }\n\
         [pipelines.autodeploy]\nsteps = [\"mirror-sync\", \"docs\", \"autodeploy\", \"badge\"]\n",
    )?;
    let host = folder.serve()?;
    let site = host.path().join("site.git");
    let post = |step: &str| {
        host.client()
            .post(host.url(&format!("/autodeploy/{step}")))
            .send()
    };
    let docs: Value = post("docs")?.json()?;
    let built = crate::id(&docs["run"])?.to_owned();
    poll(PATIENCE, || {
        let run = host.json(&format!("/v1/runs/{built}")).ok()?;
        (run["outcome"] == "succeeded").then_some(())
    })
    .context("the documents are not built")?;
    let home = fs::read_to_string(host.path().join("docs_build/index.html"))?;
    assert!(
        home.contains("href=\"docs/a.html\"") && home.contains("class=\"c-"),
        "{home}"
    );
    assert!(host.path().join("docs_build/docs/i.svg").exists());
    let report = host.json(&format!("/v1/runs/{built}/report"))?;
    assert_eq!(report["summary"], "Build complete - 2 pages");
    assert_eq!(report["findings"][0]["rule"], "site/link");

    let (_, effects) = applied(&host, "autodeploy")?;
    assert_eq!(kinds(&effects), ["publication"]);
    let listed = git(&site, &["ls-tree", "-r", "--name-only", "gh-pages"])?;
    for file in [
        "index.html",
        "docs/a.html",
        "docs/i.svg",
        "search.json",
        "assets/style.css",
    ] {
        assert!(listed.lines().any(|line| line == file), "{listed}");
    }
    assert!(!listed.contains("code.rs"), "{listed}");
    let (report, effects) = run(&host, "autodeploy", &Value::Null)?;
    assert!(
        effects.is_empty() && report["output"]["skipped"] == true,
        "{report}"
    );
    source.write("docs/b.md", "# B\n")?;
    source.commit("Add b")?;

    // The whole, a record for each step.
    let full: Value = post("full")?.json()?;
    let id = crate::id(&full["execution"])?.to_owned();
    let ended = poll(PATIENCE, || {
        let path = format!("/v1/workflows/autodeploy/executions/{id}");
        let execution = host.json(&path).ok()?;
        (execution["state"] != "running").then_some(execution)
    })
    .context("the pipeline does not end")?;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    assert_eq!(ended["steps"].as_array().map(Vec::len), Some(4));
    poll(PATIENCE, || {
        let listed = git(&site, &["ls-tree", "-r", "--name-only", "gh-pages"]).ok()?;
        listed.contains("docs/b.html").then_some(())
    })
    .context("the site has no new page")?;
    // The listener for deployments serves these alone.
    let there = |path: &str| {
        host.client()
            .get(format!("http://127.0.0.1:{port}{path}"))
            .send()
    };
    assert_eq!(there("/health")?.status(), 200);
    assert_eq!(there("/v1/runs")?.status(), 404);
    let refreshed = host
        .client()
        .post(format!("http://127.0.0.1:{port}/autodeploy/refresh"))
        .send()?;
    assert_eq!(refreshed.status(), 201);
    assert_eq!(post("undeploy")?.status(), 404);
    for step in ["mirror", "deploy", "refresh"] {
        assert_eq!(post(step)?.status(), 201, "{step}");
    }
    Ok(())
}
