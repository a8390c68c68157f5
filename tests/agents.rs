//! The shipped agents through the real program, on real repositories: what they must find is planted, and precision and recall are counted.

use anyhow::{Context as _, ensure};
use infinity_tests::defects;
use infinity_tests::host::{Folder, Host, PATIENCE, poll, root};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

/// What one finding of the policy agent says: rule, message, path, line and the short id of the commit.
type Judgement = (String, String, Option<String>, Option<u64>, String);

/// How often each thing occurs.
type Counts<T> = BTreeMap<T, u32>;

/// Of the reported what was planted, and of the planted what was reported; both from 0 to 1.
#[derive(Debug, PartialEq)]
struct Quality {
    precision: f64,
    recall: f64,
}

/// Compares and prints; what is wrong is printed in full.
fn judge<T: Ord + std::fmt::Debug>(
    name: &str,
    reported: &Counts<T>,
    planted: &Counts<T>,
) -> Quality {
    let sum = |counts: &Counts<T>| counts.values().sum::<u32>();
    let right: u32 = planted
        .iter()
        .map(|(place, count)| *count.min(reported.get(place).unwrap_or(&0)))
        .sum();
    let part = |whole: u32| f64::from(right) / f64::from(whole.max(1));
    let quality = Quality {
        precision: part(sum(reported)),
        recall: part(sum(planted)),
    };
    say(&format!(
        "{name}: planted {}, reported {}, right {right}: precision {:.3}, recall {:.3}",
        sum(planted),
        sum(reported),
        quality.precision,
        quality.recall
    ));
    for (what, these, others) in [
        ("too much", reported, planted),
        ("missed", planted, reported),
    ] {
        for (place, count) in these {
            if others.get(place) != Some(count) {
                say(&format!("  {what}: {place:?} ({count})"));
            }
        }
    }
    quality
}

#[expect(clippy::print_stdout, reason = "the numbers are what the suite is for")]
fn say(line: &str) {
    println!("{line}");
}

const PERFECT: Quality = Quality {
    precision: 1.0,
    recall: 1.0,
};

/// Git without the settings of this machine.
fn git(directory: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    git_as(directory, "Ada", arguments)
}

fn git_as(directory: &Path, author: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(directory)
        .args(["-c", "core.autocrlf=false", "-c", "safe.directory=*"])
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_AUTHOR_NAME", author)
        .env("GIT_AUTHOR_EMAIL", format!("{author}@example.com"))
        .env("GIT_COMMITTER_NAME", author)
        .env("GIT_COMMITTER_EMAIL", format!("{author}@example.com"))
        .output()?;
    ensure!(
        output.status.success(),
        "git {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// JSON as an inline value of TOML.
fn toml(value: &Value) -> String {
    match value {
        Value::Object(entries) => {
            let entries: Vec<String> = entries
                .iter()
                .map(|(key, value)| format!("{} = {}", json!(key), toml(value)))
                .collect();
            format!("{{ {} }}", entries.join(", "))
        }
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(toml).collect();
            format!("[{}]", items.join(", "))
        }
        other => other.to_string(),
    }
}

/// All findings of a run, a few at a time.
fn findings(host: &Host, run: &Value, limit: usize) -> anyhow::Result<Vec<Value>> {
    let id = run["id"].as_str().context("an id")?;
    let mut findings = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = host.json(&format!(
            "/v1/runs/{id}/findings?limit={limit}&cursor={cursor}"
        ))?;
        let items = page["items"].as_array().context("items")?;
        ensure!(items.len() <= limit, "a page has {} items", items.len());
        findings.extend(items.iter().cloned());
        match page["next"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    ensure!(
        run["findings"] == findings.len(),
        "the run counts {} and lists {}",
        run["findings"],
        findings.len()
    );
    Ok(findings)
}

/// Rule, path and line.
type Place = (String, String, Option<u64>);

fn places(findings: &[Value]) -> Counts<Place> {
    let mut places = Counts::new();
    for finding in findings {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let place = (
            text(&finding["rule"]),
            text(&finding["location"]["path"]),
            finding["location"]["line"].as_u64(),
        );
        *places.entry(place).or_default() += 1;
    }
    places
}

#[test]
fn validation_finds_every_planted_defect_of_this_repository_and_nothing_else() -> anyhow::Result<()>
{
    let folder = Folder::new()?;
    folder.component("validation", "validation")?;
    let copy = folder.path().join("repo");
    let source = root().canonicalize()?;
    git(
        folder.path(),
        &[
            "clone",
            "-q",
            "--no-hardlinks",
            &source.display().to_string(),
            &copy.display().to_string(),
        ],
    )?;
    let settings = defects::settings("/repos/infinity", Some("infinity"));
    // The schemas and checksums that the settings name are planted: before there is nothing to name.
    let mut bare = settings.clone();
    bare["schemas"] = json!([]);
    bare["checksums"] = json!([]);
    let mut agents = String::from("[repositories.infinity]\npath = \"repo\"\n");
    for (name, settings) in [("before", &bare), ("after", &settings)] {
        agents.push_str(&format!(
            "[agents.{name}]\nplugin = \"validation\"\nlimits = {{ time = \"60s\", cpu = \"30s\", memory = \"256MiB\" }}\n\
             settings = {}\n[agents.{name}.grants]\nrepos = [{{ name = \"infinity\", read = true, files = true }}]\n",
            toml(settings)
        ));
    }
    folder.config("", &agents)?;
    let host = folder.serve()?;

    let before = host.run("before", &Value::Null)?;
    ensure!(
        before["outcome"] == "succeeded" || before["outcome"] == "failed",
        "{before}"
    );
    let before = places(&findings(&host, &before, 500)?);

    let planted = defects::plant(&copy)?;
    assert_eq!(planted.len(), defects::DEFECTS);
    git(&copy, &["add", "-A", "-f"])?;
    git(&copy, &["commit", "-q", "-m", "Plant defects"])?;

    let run = host.run("after", &Value::Null)?;
    assert_eq!(run["outcome"], "failed", "{run}");
    // Where a link leads that leaves the checkout is not told: the one thing that the sandbox refuses here.
    for denial in run["denials"].as_array().into_iter().flatten() {
        assert_eq!(
            denial["attempt"], "read the link `planted/links/absolute`",
            "{run}"
        );
    }
    let all = findings(&host, &run, 7)?;
    for finding in &all {
        assert_eq!(finding["location"]["repository"], "infinity", "{finding}");
    }
    let mut reported = places(&all);
    for (place, count) in &before {
        say(&format!("already there: {place:?} ({count})"));
        let left = reported.entry(place.clone()).or_default();
        *left = left.saturating_sub(*count);
    }
    reported.retain(|_, count| *count > 0);
    let mut expected: Counts<Place> = Counts::new();
    for defect in planted {
        let place = (defect.rule, defect.path, defect.line.map(u64::from));
        *expected.entry(place).or_default() += 1;
    }
    assert_eq!(judge("validation", &reported, &expected), PERFECT);
    Ok(())
}

/// A repository with commits to judge, and what must be said of them.
struct Planted {
    /// Rule, message, path, line and the commit's short id.
    expected: Counts<Judgement>,
    /// Whether commits can be signed here.
    signs: bool,
}

impl Planted {
    fn expect(&mut self, commit: &str, rule: &str, message: &str, place: Option<(&str, u64)>) {
        let commit = commit.chars().take(12).collect();
        let key = (
            rule.to_owned(),
            message.to_owned(),
            place.map(|(path, _)| path.to_owned()),
            place.map(|(_, line)| line),
            commit,
        );
        *self.expected.entry(key).or_default() += 1;
    }

    fn unsigned(&mut self, commit: &str) {
        self.expect(
            commit,
            "github.commit.signed",
            "All commits must be GPG signed",
            None,
        );
    }
}

fn commit(repository: &Path, author: &str, files: &[(&str, String)]) -> anyhow::Result<String> {
    commit_with(repository, author, files, &[])
}

fn commit_with(
    repository: &Path,
    author: &str,
    files: &[(&str, String)],
    options: &[&str],
) -> anyhow::Result<String> {
    for (path, text) in files {
        let file = repository.join(path);
        fs::create_dir_all(file.parent().context("a parent")?)?;
        fs::write(file, text)?;
    }
    git(repository, &["add", "-A", "-f"])?;
    let arguments = [
        &["commit", "-q", "--allow-empty", "-m", "A change"],
        options,
    ]
    .concat();
    git_as(repository, author, &arguments)?;
    git(repository, &["rev-parse", "HEAD"])
}

/// Prepares signatures by SSH; `false` where `ssh-keygen` is missing.
fn prepare_signing(repository: &Path, keys: &Path) -> anyhow::Result<bool> {
    fs::create_dir_all(keys)?;
    let key = keys.join("key");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "Ada", "-f"])
        .arg(&key)
        .status();
    if !made.is_ok_and(|status| status.success()) {
        return Ok(false);
    }
    let public = fs::read_to_string(keys.join("key.pub"))?;
    let signers = keys.join("signers");
    fs::write(&signers, format!("Ada@example.com {public}"))?;
    for (name, value) in [
        ("gpg.format", "ssh"),
        ("gpg.ssh.allowedSignersFile", &signers.display().to_string()),
        ("user.signingKey", &key.display().to_string()),
    ] {
        git(repository, &["config", name, value])?;
    }
    Ok(true)
}

fn plant_commits(repository: &Path, keys: &Path) -> anyhow::Result<Planted> {
    fs::create_dir_all(repository)?;
    git(repository, &["init", "-q", "-b", "main"])?;
    let mut planted = Planted {
        expected: Counts::new(),
        signs: prepare_signing(repository, keys)?,
    };
    let secrets = "github.commit.secrets";
    let secret = |what: &str| format!("Commit contains potential secret: {what}");

    // Nothing wrong but the missing signature; among look-alikes of a secret.
    let look_alikes =
        "token = \"${TOKEN}\"\npassword = os.getenv(\"PASSWORD\")\napi_key: your_api_key_here\n";
    let id = commit(
        repository,
        "Ada",
        &[
            ("README.md", "# A shop\n".into()),
            ("config.txt", look_alikes.into()),
        ],
    )?;
    planted.unsigned(&id);

    // Put together here, so that no search for secrets finds this file.
    let github = ["gh", "p_", "q7Rk2mZx9TbW4nVc8LyJ3dHs6FgP1aQe5UoB"].concat();
    let aws = ["AK", "IA", "Q7RK2MZX9TBW4NVC"].concat();
    let id = commit(
        repository,
        "Ada",
        &[(
            "src/deploy.py",
            format!("import os\n\nA = '{github}'\nB = 1\nC = '{aws}'\n"),
        )],
    )?;
    planted.unsigned(&id);
    planted.expect(
        &id,
        secrets,
        &secret("GitHub token"),
        Some(("src/deploy.py", 3)),
    );
    planted.expect(
        &id,
        secrets,
        &secret("AWS access key"),
        Some(("src/deploy.py", 5)),
    );

    let header = ["-----BEGIN ", "RSA PRIVATE", " KEY-----"].concat();
    let id = commit(
        repository,
        "Ada",
        &[("keys/server", format!("{header}\nMIIE\n"))],
    )?;
    planted.unsigned(&id);
    planted.expect(
        &id,
        secrets,
        &secret("private key"),
        Some(("keys/server", 1)),
    );

    let marker = ["TO", "DO"].concat();
    let id = commit(
        repository,
        "automation-bot",
        &[("src/made.rs", format!("fn a() {{}}\n// {marker}: finish\n"))],
    )?;
    planted.unsigned(&id);
    planted.expect(
        &id,
        "github.commit.todo",
        &format!("Generated code cannot contain {marker} markers"),
        Some(("src/made.rs", 2)),
    );

    // A person may leave the marker, and a bot may write a word that holds it.
    let id = commit(
        repository,
        "Ada",
        &[("src/mine.rs", format!("// {marker}: think\n"))],
    )?;
    planted.unsigned(&id);
    let id = commit(
        repository,
        "automation-bot",
        &[("src/list.rs", format!("struct {marker}List;\n"))],
    )?;
    planted.unsigned(&id);

    if planted.signs {
        commit_with(
            repository,
            "Ada",
            &[("src/good.rs", "fn good() {}\n".into())],
            &["-S"],
        )?;
        // By somebody whom the repository does not trust.
        let stranger = keys.join("stranger");
        Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "Eve", "-f"])
            .arg(&stranger)
            .status()?;
        let signed = format!("-S{}", stranger.display());
        let id = commit_with(
            repository,
            "Eve",
            &[("src/strange.rs", "fn strange() {}\n".into())],
            &[&signed],
        )?;
        planted.unsigned(&id);
    }
    Ok(planted)
}

/// What a run of `policy` says, in the words of [`Planted::expected`].
fn judged(findings: &[Value]) -> Counts<Judgement> {
    let mut counts = Counts::new();
    for finding in findings {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let help = text(&finding["help"]).unwrap_or_default();
        let commit = help
            .split_once("commit ")
            .map(|(_, rest)| rest.chars().take(12).collect())
            .unwrap_or_default();
        let path = text(&finding["location"]["path"]).filter(|path| !path.is_empty());
        let key = (
            text(&finding["rule"]).unwrap_or_default(),
            text(&finding["message"]).unwrap_or_default(),
            path,
            finding["location"]["line"].as_u64(),
            commit,
        );
        *counts.entry(key).or_default() += 1;
    }
    counts
}

fn policy_host() -> anyhow::Result<(Host, Planted)> {
    let folder = Folder::new()?;
    folder.component("policy", "policy")?;
    let planted = plant_commits(&folder.path().join("shop"), &folder.path().join("keys"))?;
    let policies = root().canonicalize()?.join("policies");
    let mut agents = String::from("[repositories.shop]\npath = \"shop\"\n");
    for (name, more) in [
        ("warm", ""),
        ("policy", ""),
        ("plain", "snapshot = false\n"),
    ] {
        agents.push_str(&format!(
            "[agents.{name}]\nplugin = \"policy\"\npolicies = \"{}\"\n{more}\
             limits = {{ time = \"60s\", cpu = \"30s\", memory = \"256MiB\" }}\nsettings = {{ package = \"github.commit\" }}\n\
             [agents.{name}.grants]\nrepos = [{{ name = \"shop\", read = true }}]\n",
            policies.display()
        ));
    }
    folder.config("", &agents)?;
    Ok((folder.serve()?, planted))
}

#[test]
fn policy_denies_what_was_planted_once_and_nothing_else() -> anyhow::Result<()> {
    let (host, planted) = policy_host()?;
    let run = host.run("plain", &Value::Null)?;
    assert_eq!(run["outcome"], "failed", "{run}");
    assert_eq!(run["usage"]["snapshot"], false);
    let found = findings(&host, &run, 3)?;
    if !planted.signs {
        say("`ssh-keygen` is missing: no signed commit is among those judged");
    }
    assert_eq!(judge("policy", &judged(&found), &planted.expected), PERFECT);

    // Each denial is announced.
    let events = host.json("/v1/events?type=policy.denied&limit=500")?;
    let events = events["items"].as_array().context("items")?;
    assert_eq!(events.len(), found.len());
    let announced: BTreeSet<(String, String, String)> = events
        .iter()
        .map(|event| {
            assert_eq!(event["source"], "/agents/plain", "{event}");
            assert_eq!(event["data"]["run"], run["id"], "{event}");
            (
                event["data"]["rule"].to_string(),
                event["data"]["message"].to_string(),
                event["subject"].as_str().unwrap_or_default().to_owned(),
            )
        })
        .collect();
    let expected: BTreeSet<(String, String, String)> = found
        .iter()
        .map(|finding| {
            let path = finding["location"]["path"].as_str().unwrap_or_default();
            (
                finding["rule"].to_string(),
                finding["message"].to_string(),
                format!("shop/{path}"),
            )
        })
        .collect();
    assert_eq!(announced, expected);

    // What was judged is not judged again.
    let run = host.run("plain", &Value::Null)?;
    assert_eq!(run["outcome"], "succeeded", "{run}");
    assert_eq!(host.report(&run)?["output"]["judged"], 0);
    let id = commit(
        &host.path().join("shop"),
        "Ada",
        &[("src/later.rs", "fn later() {}\n".into())],
    )?;
    let run = host.run("plain", &Value::Null)?;
    assert_eq!(run["outcome"], "failed", "{run}");
    let report = host.report(&run)?;
    assert_eq!(report["output"]["judged"], 1, "{report}");
    assert_eq!(report["output"]["decisions"][0]["commit"], id, "{report}");
    assert_eq!(run["findings"], 1);
    Ok(())
}

#[test]
fn policy_finds_the_same_from_a_snapshot_as_without() -> anyhow::Result<()> {
    let (host, planted) = policy_host()?;
    // The snapshot is made in the background. `warm` shares it: the same component, policies and settings.
    let snapshot = poll(PATIENCE, || {
        let run = host.run("warm", &Value::Null).ok()?;
        (run["usage"]["snapshot"] == true).then_some(run)
    });
    ensure!(snapshot.is_some(), "no run used a snapshot: {}", host.log());
    let run = host.run("policy", &Value::Null)?;
    assert_eq!(run["usage"]["snapshot"], true, "{run}");
    let from_snapshot = findings(&host, &run, 500)?;
    let run = host.run("plain", &Value::Null)?;
    assert_eq!(run["usage"]["snapshot"], false, "{run}");
    assert_eq!(from_snapshot, findings(&host, &run, 500)?);
    assert_eq!(
        judge(
            "policy from a snapshot",
            &judged(&from_snapshot),
            &planted.expected
        ),
        PERFECT
    );
    Ok(())
}

#[test]
fn the_shipped_policies_pass_their_tests_and_broken_ones_do_not() -> anyhow::Result<()> {
    let folder = Folder::new()?;
    folder.component("policy", "policy")?;
    folder.config("", "")?;
    let policies = root()
        .canonicalize()?
        .join("policies")
        .display()
        .to_string();
    let output = folder.infinity(&["policy", "test", &policies])?;
    let text = String::from_utf8(output.stdout)?;
    assert_eq!(
        output.status.code(),
        Some(0),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let last = text.lines().last().unwrap_or_default();
    let (passed, all) = last
        .strip_prefix("PASS: ")
        .and_then(|counts| counts.split_once('/'))
        .with_context(|| text.clone())?;
    assert_eq!(passed, all);
    assert!(all.parse::<u32>()? >= 20, "{last}");

    let output = folder.infinity(&["--json", "policy", "test", &policies])?;
    let value: Value = serde_json::from_slice(&output.stdout)?;
    let tests = value["tests"].as_array().context("tests")?;
    assert_eq!(tests.len(), all.parse::<usize>()?);
    assert!(
        tests.iter().all(|test| test["outcome"] == "pass"),
        "{value}"
    );

    // A test that fails is a failure, a policy that is no Rego is wrong input.
    for (name, text, code, says) in [
        (
            "fails",
            "package a_test\n\ntest_no if false\n",
            1,
            "a_test.test_no: FAIL",
        ),
        (
            "broken",
            "package a\n\ndeny contains \"x\" if {\n",
            2,
            "a.rego:4:1",
        ),
    ] {
        fs::create_dir(folder.path().join(name))?;
        fs::write(folder.path().join(name).join("a.rego"), text)?;
        let output = folder.infinity(&["policy", "test", name])?;
        let shown = [output.stdout, output.stderr].concat();
        let shown = String::from_utf8_lossy(&shown);
        assert_eq!(output.status.code(), Some(code), "{shown}");
        assert!(shown.contains(says), "{shown}");
    }
    Ok(())
}

/// The right text and colour of an agent's badge, checked in both forms.
fn badge(host: &Host, name: &str) -> anyhow::Result<(String, String)> {
    let response = host.get(&format!("/badges/{name}.json"))?;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["cache-control"], "no-store");
    let value: Value = serde_json::from_str(&response.text()?)?;
    assert_eq!(value["schemaVersion"], 1, "{value}");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (message, color) = (text(&value["message"]), text(&value["color"]));

    let response = host.get(&format!("/badges/{name}.svg"))?;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "image/svg+xml");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let svg = response.text()?;
    let fill = match color.as_str() {
        "orange" => "#fe7d37",
        "red" => "#e05d44",
        "blue" => "#007ec6",
        "green" => "#97ca00",
        other => anyhow::bail!("the colour `{other}` is none of the four"),
    };
    assert!(svg.starts_with("<svg "), "{svg}");
    assert!(svg.contains(&format!("fill=\"{fill}\"")), "{svg}");
    assert!(
        svg.contains(&format!(
            "<title>{}: {message}</title>",
            text(&value["label"])
        )),
        "{svg}"
    );
    Ok((message, color))
}

#[test]
fn badges_show_the_state_of_agents_and_of_the_host() -> anyhow::Result<()> {
    let folder = Folder::new()?;
    folder.component("badge", "badge")?;
    folder.component("test_guests", "guests")?;
    folder.config(
        "",
        "[agents.badge]\nplugin = \"badge\"\n[agents.guests]\nplugin = \"guests\"\n\
         [agents.off]\nplugin = \"guests\"\nenabled = false\n",
    )?;
    let host = folder.serve()?;
    let shown = |name: &str| badge(&host, name);
    let state = |message: &str, color: &str| (message.to_owned(), color.to_owned());

    assert_eq!(shown("guests")?, state("Online", "green"));
    assert_eq!(shown("off")?, state("Paused", "orange"));

    host.run("guests", &json!({ "case": "fails" }))?;
    assert_eq!(shown("guests")?, state("Error", "red"));
    assert_eq!(shown("system")?, state("Error", "red"));

    // It sleeps until it is told to stop, so that the badge is looked at in time.
    let response = host
        .client()
        .post(host.url("/v1/agents/guests/runs"))
        .json(&json!({ "case": "sleep", "ms": 25_000 }))
        .send()?;
    let run: Value = serde_json::from_str(&response.text()?)?;
    let id = run["id"].as_str().context("an id")?;
    let while_running = shown("guests")?;
    host.client()
        .post(host.url(&format!("/v1/runs/{id}/cancel")))
        .send()?;
    // Else it is in progress beside the next one.
    poll(PATIENCE, || {
        let run = host.json(&format!("/v1/runs/{id}")).ok()?;
        (run["state"] == "ended").then_some(())
    })
    .context("it does not end")?;
    // Error goes before Generating, and the run before this one failed.
    assert_eq!(while_running, state("Error", "red"));

    host.run("guests", &json!({ "case": "ok" }))?;
    assert_eq!(shown("guests")?, state("Online", "green"));
    assert_eq!(shown("system")?, state("Online", "green"));

    let response = host
        .client()
        .post(host.url("/v1/agents/guests/runs"))
        .json(&json!({ "case": "sleep", "ms": 25_000 }))
        .send()?;
    let run: Value = serde_json::from_str(&response.text()?)?;
    let id = run["id"].as_str().context("an id")?;
    assert_eq!(shown("guests")?, state("Generating", "blue"));
    assert_eq!(shown("system")?, state("Generating", "blue"));
    let response = host
        .client()
        .post(host.url(&format!("/v1/runs/{id}/cancel")))
        .send()?;
    assert_eq!(response.status(), 200);
    Ok(())
}

#[test]
fn a_badge_that_did_not_change_is_not_sent_again() -> anyhow::Result<()> {
    let folder = Folder::new()?;
    folder.component("badge", "badge")?;
    folder.component("test_guests", "guests")?;
    folder.config(
        "",
        "[agents.badge]\nplugin = \"badge\"\n[agents.guests]\nplugin = \"guests\"\n",
    )?;
    let host = folder.serve()?;
    let system = host.get("/badges/system.svg")?;
    let tag = system.headers()["etag"].clone();
    let svg = system.text()?;
    // The short address answers the same.
    let short = host.get("/badge.svg")?;
    assert_eq!(short.headers()["etag"], tag);
    assert_eq!(short.headers()["content-type"], "image/svg+xml");
    assert_eq!(short.text()?, svg);

    let again = |path: &str| {
        host.client()
            .get(host.url(path))
            .header("if-none-match", &tag)
            .send()
    };
    for path in ["/badge.svg", "/badges/system.svg"] {
        let response = again(path)?;
        assert_eq!(response.status(), 304, "{path}");
        assert_eq!(response.headers()["etag"], tag);
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.text()?, "");
    }
    host.run("guests", &json!({ "case": "fails" }))?;
    let response = again("/badge.svg")?;
    assert_eq!(response.status(), 200);
    assert_ne!(response.headers()["etag"], tag);

    // Styles and labels; and what is neither.
    let styles: BTreeSet<String> = ["flat", "flat-square", "plastic", "for-the-badge", "social"]
        .iter()
        .map(|style| Ok(host.get(&format!("/badge.svg?style={style}"))?.text()?))
        .collect::<anyhow::Result<_>>()?;
    assert_eq!(styles.len(), 5);
    let labelled = host.get("/badges/guests.svg?label=%3Cb%3E%26%22")?.text()?;
    assert!(!labelled.contains("<b>"), "{labelled}");
    assert_eq!(host.get("/badge.svg?style=round")?.status(), 422);
    assert_eq!(
        host.get(&format!("/badge.svg?label={}", "a".repeat(101)))?
            .status(),
        422
    );
    assert_eq!(host.get("/badges/guests.png")?.status(), 404);
    let unknown = host.get("/badges/gests.svg")?;
    assert_eq!(unknown.status(), 404);
    assert!(unknown.text()?.contains("did you mean `guests`?"));
    Ok(())
}

#[test]
fn badge_as_an_agent_leaves_its_images_as_artifacts() -> anyhow::Result<()> {
    let folder = Folder::new()?;
    folder.component("badge", "badge")?;
    folder.config("", "[agents.badge]\nplugin = \"badge\"\n")?;
    let host = folder.serve()?;
    let run = host.run("badge", &Value::Null)?;
    assert_eq!(run["outcome"], "succeeded", "{run}");
    let report = host.report(&run)?;
    let artifacts = report["artifacts"].as_array().context("artifacts")?;
    assert!(!artifacts.is_empty(), "{report}");
    for artifact in artifacts {
        assert_eq!(artifact["media_type"], "image/svg+xml", "{artifact}");
        let path = format!(
            "/v1/runs/{}/artifacts/{}",
            run["id"].as_str().context("an id")?,
            artifact["name"]
                .as_str()
                .context("a name")?
                .replace('/', "%2F")
        );
        assert!(host.get(&path)?.text()?.starts_with("<svg "), "{artifact}");
    }
    Ok(())
}
