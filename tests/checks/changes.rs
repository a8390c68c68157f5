//! Changes of repositories: as diffs and as branches, over the network and from a terminal, and by the agent that judges pull requests.
//!
//! All tests but one speak to one host, whose state folder stays below the target directory. Its database stays, too, while the repositories are made anew with each start: what a run left open
//! has no branches any more, and branches have names that no other run gave.

use crate::{SCRIPTS, check, languages, runner};
use anyhow::{Context as _, ensure};
use infinity_tests::git;
use infinity_tests::host::{Folder, Host, PATIENCE, fed, poll, root};
use reqwest::blocking::Response;
use serde_json::{Value, json};
use std::fs;
use std::ops::Deref;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// The host of all tests here, as long as one of them is in progress.
static SHARED: Mutex<Weak<Desk>> = Mutex::new(Weak::new());

/// Whether a host is on the state folder: one that nobody needs any more takes a moment to end.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Holds the state folder.
struct Place;

impl Drop for Place {
    fn drop(&mut self) {
        TAKEN.store(false, Ordering::SeqCst);
    }
}

/// A host with repositories, and with agents that judge and propose.
struct Desk {
    // Ends before its state folder is free: fields are dropped in their order.
    host: Host,
    _place: Place,
}

impl Deref for Desk {
    type Target = Host;

    fn deref(&self) -> &Host {
        &self.host
    }
}

const PRICES: &str = "def total(prices):\n    return sum(prices)\n\n\ndef mean(prices):\n    return total(prices) / len(prices)\n";

/// The same with a bug, which `test_mean` finds.
const WRONG_MEAN: &str = "def total(prices):\n    return sum(prices)\n\n\ndef mean(prices):\n    return total(prices) / (len(prices) + 1)\n";

/// The same with another bug, which both tests find.
const WRONG_TOTAL: &str = "def total(prices):\n    return sum(prices) + 1\n\n\ndef mean(prices):\n    return total(prices) / len(prices)\n";

const TESTS: &str = "from shop.prices import mean, total\n\n\ndef test_total():\n    assert total([1, 2, 3]) == 6\n\n\ndef test_mean():\n    assert mean([2, 4]) == 3\n";

/// What nobody has looked at for long: a name that is not there, and what a script of the operator forbids.
const OLD: &str = "# PRINT-NOTHING\n\n\ndef stock():\n    return undefined_shelf\n";

/// A module that uses one that its change does not touch.
const REPORT: &str =
    "from shop.prices import mean\n\n\ndef average(prices):\n    return mean(prices)\n";

/// The repositories. Each agent that judges has one of its own, as it takes the oldest pull request.
const REPOSITORIES: [&str; 8] = [
    "work", "still", "large", "pulls", "waits", "queue", "mixed", "tools",
];

/// Files of code in `large` beside those that all have.
const MANY: usize = 1_001;

/// What no tests have to run for.
const READ_ONLY: &str =
    "check = { reported = [\"mypy\"], steps = [\"policy\", \"analysis\", \"reported\"] }";

/// The agents that judge, with their repositories, settings and further grants.
const JUDGES: [(&str, &str, &str, &str); 5] = [
    ("code-check", "pulls", "", "checks = true"),
    ("patient", "waits", READ_ONLY, "checks = true"),
    ("fair", "queue", READ_ONLY, "checks = true"),
    ("strict", "mixed", READ_ONLY, "checks = true"),
    ("unasked", "tools", "", ""),
];

/// A repository with a package and its tests, on the branch `main`.
fn repository(place: &Path, prices: &str) -> anyhow::Result<()> {
    fs::create_dir(place)?;
    git(place, &["init", "-q", "-b", "main"])?;
    for (path, text) in [
        ("README.md", "# Shop\n"),
        ("shop/__init__.py", ""),
        ("shop/prices.py", prices),
        ("shop/old.py", OLD),
        ("tests/test_prices.py", TESTS),
    ] {
        write(place, path, text.as_bytes())?;
    }
    std::os::unix::fs::symlink("/tmp", place.join("outside"))?;
    git(place, &["add", "-A"])?;
    git(place, &["commit", "-q", "-m", "Begin"])?;
    Ok(())
}

fn write(place: &Path, path: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let file = place.join(path);
    fs::create_dir_all(file.parent().context("no folder")?)?;
    fs::write(file, bytes)?;
    Ok(())
}

/// The folder of the host: its repositories, its components and `plugins.toml`.
fn folder(state: &Path) -> anyhow::Result<Folder> {
    let folder = Folder::new()?;
    for name in REPOSITORIES {
        let prices = if name == "still" { WRONG_MEAN } else { PRICES };
        repository(&folder.path().join(name), prices)?;
    }
    let large = folder.path().join("large");
    write(&large, "parts/__init__.py", b"")?;
    for number in 0..MANY {
        write(
            &large,
            &format!("parts/part_{number}.py"),
            format!("number = {number}\n").as_bytes(),
        )?;
    }
    git(&large, &["add", "-A"])?;
    git(&large, &["commit", "-q", "-m", "Grow"])?;
    for (built, name) in [
        ("policy", "policy"),
        ("analysis", "analysis"),
        ("code_check", "code-check"),
        ("test_guests", "guests"),
    ] {
        folder.component(built, name)?;
    }
    if let Some(file) = runner("python")? {
        let target = folder.path().join("dist/python.wasm");
        // Of some 40 MiB: a link where both are on one file system.
        if fs::hard_link(&file, &target).is_err() {
            fs::copy(&file, &target)?;
        }
        let (name, _, text) = SCRIPTS[0];
        write(folder.path(), &format!("checks/{name}"), text.as_bytes())?;
    }
    let policies = root().join("policies").canonicalize()?;
    let mut text = format!(
        "[host]\nlisten = \"127.0.0.1:0\"\nstate = {:?}\nplugins = \"dist\"\n\
         [agents.policy]\nplugin = \"policy\"\npolicies = {:?}\n\
         [agents.writer]\nplugin = \"guests\"\nautonomy = \"auto\"\neffects_per_hour = 10000\n",
        state.display().to_string(),
        policies.display().to_string()
    );
    let grants = REPOSITORIES.map(|name| format!("{{ name = \"{name}\", pull_request = true }}"));
    text.push_str(&format!(
        "[agents.writer.grants]\nrepos = [{}]\n",
        grants.join(", ")
    ));
    for name in REPOSITORIES {
        text.push_str(&format!("[repositories.{name}]\npath = \"{name}\"\n"));
    }
    for (agent, repository, settings, grants) in JUDGES {
        text.push_str(&format!(
            "[agents.{agent}]\nplugin = \"code-check\"\nautonomy = \"auto\"\neffects_per_hour = 10000\n\
             [agents.{agent}.limits]\ntime = \"5m\"\n\
             [agents.{agent}.settings]\nrepository = \"{repository}\"\n{settings}\n\
             [agents.{agent}.grants]\nrepos = [{{ name = \"{repository}\", read = true, status = true }}]\n{grants}\n"
        ));
    }
    fs::write(folder.path().join("plugins.toml"), text)?;
    Ok(folder)
}

/// The host that the tests share.
fn desk() -> anyhow::Result<Arc<Desk>> {
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(desk) = shared.upgrade() {
        return Ok(desk);
    }
    poll(PATIENCE, || {
        (!TAKEN.swap(true, Ordering::SeqCst)).then_some(())
    })
    .context("the host before does not end")?;
    let place = Place;
    let state = Path::new(env!("CARGO_TARGET_TMPDIR")).join("changes");
    fs::create_dir_all(&state)?;
    let desk = Arc::new(Desk {
        host: folder(&state)?.serve_on(&state)?,
        _place: place,
    });
    *shared = Arc::downgrade(&desk);
    Ok(desk)
}

/// Whether Python's interpreter is there.
fn has_python() -> anyhow::Result<bool> {
    Ok(languages()?.contains(&"python"))
}

/// A name for a branch that no other test gives, now or in another run.
fn branch(what: &str) -> anyhow::Result<String> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    Ok(format!("{what}-{now}-{count}"))
}

/// A person's own clone of a repository, on its branch `main`: nobody works in the repository itself.
struct Draft(TempDir);

impl Draft {
    fn of(host: &Host, repository: &str) -> anyhow::Result<Self> {
        let place = tempfile::tempdir()?;
        let from = host.path().join(repository).display().to_string();
        git(place.path(), &["clone", "-q", &from, "."])?;
        Ok(Self(place))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn git(&self, arguments: &[&str]) -> anyhow::Result<String> {
        git(self.path(), arguments)
    }

    fn write(&self, path: &str, text: impl AsRef<[u8]>) -> anyhow::Result<&Self> {
        write(self.path(), path, text.as_ref())?;
        Ok(self)
    }

    /// What differs from the latest commit. By way of a file, as its last line may be a space.
    fn diff(&self) -> anyhow::Result<String> {
        let file = self.path().join(".git/made.patch");
        self.git(&["add", "-A"])?;
        let output = format!("--output={}", file.display());
        self.git(&["diff", "--cached", "--binary", &output, "HEAD"])?;
        Ok(fs::read_to_string(file)?)
    }

    /// Commits everything, and has the repository's branch be at it.
    fn push(&self, branch: &str) -> anyhow::Result<String> {
        self.git(&["add", "-A"])?;
        // Of two branches with the same files made in the same second the commits would be one.
        let message = format!("Change the shop for {branch}");
        self.git(&["commit", "-q", "-m", &message])?;
        self.git(&["push", "-q", "origin", &format!("HEAD:refs/heads/{branch}")])?;
        self.git(&["rev-parse", "HEAD"])
    }
}

/// A patch that adds a file of one line.
fn adding(path: &str) -> String {
    format!(
        "diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+x = 1\n"
    )
}

/// A secret, put together here so that a search for secrets does not find this file.
fn secret() -> String {
    ["AKIA", "IOSFODNN7EXAMPL3"].concat()
}

/// A submission of a diff against `main` of the repository `work`.
fn of_diff(diff: &str) -> Value {
    json!({ "patch": { "repository": "work", "diff": diff } })
}

/// The same, with these steps alone.
fn with_steps(mut submission: Value, steps: &[&str]) -> Value {
    submission["steps"] = json!(steps);
    submission
}

/// A step of a verdict.
fn step<'a>(verdict: &'a Value, name: &str) -> anyhow::Result<&'a Value> {
    let mut steps = verdict["steps"].as_array().context("no steps")?.iter();
    steps
        .find(|step| step["step"] == name)
        .with_context(|| format!("no step `{name}`: {verdict:#}"))
}

/// Rule, path and line of each finding of a step.
fn found(verdict: &Value, name: &str) -> anyhow::Result<Vec<(String, String, u64)>> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let findings = step(verdict, name)?["findings"].as_array();
    Ok(findings
        .context("no findings")?
        .iter()
        .map(|finding| {
            let location = &finding["location"];
            (
                text(&finding["rule"]),
                text(&location["path"]),
                location["line"].as_u64().unwrap_or_default(),
            )
        })
        .collect())
}

/// A test of a verdict.
fn test<'a>(verdict: &'a Value, name: &str) -> anyhow::Result<&'a Value> {
    let tests = step(verdict, "tests")?["tests"].as_array();
    let mut tests = tests.context("no tests")?.iter();
    tests
        .find(|test| test["name"] == name)
        .with_context(|| format!("no test `{name}`: {verdict:#}"))
}

fn post(host: &Host, path: &str, body: &Value) -> anyhow::Result<Response> {
    Ok(host.client().post(host.url(path)).json(body).send()?)
}

/// Checks that an answer is this problem, and gives it.
fn problem(answer: Response, status: u16, code: &str) -> anyhow::Result<Value> {
    let found = answer.status().as_u16();
    let text = answer.text()?;
    let problem: Value = serde_json::from_str(&text).context(text)?;
    ensure!(
        found == status && problem["code"] == code,
        "{found} instead of {status} {code}: {problem:#}"
    );
    Ok(problem)
}

/// Checks that a submission is not taken, for a mistake at this place, and that the next request is answered.
fn refused(host: &Host, submission: &Value, pointer: &str, text: &str) -> anyhow::Result<()> {
    let answer = post(host, "/v1/checks?wait=10s", submission)?;
    let problem = problem(answer, 422, "invalid_submission")
        .with_context(|| format!("{pointer} of {submission:#}"))?;
    let errors = problem["errors"].as_array().context("no errors")?;
    ensure!(
        errors.iter().any(|error| error["pointer"] == pointer
            && error["message"]
                .as_str()
                .is_some_and(|message| message.contains(text))),
        "no `{pointer}` with `{text}` of {submission:#}: {problem:#}"
    );
    ensure!(host.get("/health")?.status() == 200);
    Ok(())
}

#[test]
fn a_diff_that_fixes_a_bug_passes_and_leaves_nothing_behind() -> anyhow::Result<()> {
    if !has_python()? {
        return Ok(());
    }
    let desk = desk()?;
    let place = desk.path().join("still");
    let diff = Draft::of(&desk, "still")?
        .write("shop/prices.py", PRICES)?
        .write("shop/report.py", REPORT)?
        .diff()?;
    let seen = || -> anyhow::Result<[String; 4]> {
        Ok([
            git(&place, &["count-objects", "-v"])?,
            git(&place, &["for-each-ref"])?,
            git(&place, &["status", "--porcelain"])?,
            git(&place, &["rev-parse", "HEAD"])?,
        ])
    };
    let before = seen()?;
    let submission = json!({ "patch": { "repository": "still", "diff": diff } });
    let verdict = check(&desk, &submission)?;
    ensure!(verdict["verdict"] == "passed", "{verdict:#}");
    ensure!(verdict["language"] == "python", "{verdict:#}");
    for name in ["policy", "analysis", "scripts", "tests"] {
        ensure!(
            step(&verdict, name)?["outcome"] == "passed",
            "{name}: {verdict:#}"
        );
    }
    for name in ["cases", "reported"] {
        ensure!(
            step(&verdict, name)?["outcome"] == "skipped",
            "{name}: {verdict:#}"
        );
    }
    for name in ["test_total", "test_mean"] {
        let test = test(&verdict, &format!("tests/test_prices.py::{name}"))?;
        ensure!(test["outcome"] == "passed", "{verdict:#}");
    }
    let change = json!({ "repository": "still", "base": before[3], "head": null });
    ensure!(verdict["change"] == change, "{verdict:#}");
    let after = seen()?;
    ensure!(before == after, "{before:?} became {after:?}");
    // The record is there later, too, and the code is not.
    let id = verdict["id"].as_str().context("an id")?;
    let again = desk.json(&format!("/v1/checks/{id}"))?;
    ensure!(again == verdict, "{again:#}");
    ensure!(!again.to_string().contains("def average"), "{again:#}");

    // Without the fix the same repository does not pass, so the verdict is about what comes of the diff.
    let diff = Draft::of(&desk, "still")?
        .write("README.md", "# A shop\n")?
        .diff()?;
    let submission = json!({ "patch": { "repository": "still", "diff": diff } });
    let verdict = check(&desk, &submission)?;
    ensure!(verdict["verdict"] == "failed", "{verdict:#}");
    let test = test(&verdict, "tests/test_prices.py::test_mean")?;
    ensure!(test["outcome"] == "failed", "{verdict:#}");
    Ok(())
}

#[test]
fn a_diff_that_breaks_a_test_fails_and_the_test_is_named() -> anyhow::Result<()> {
    if !has_python()? {
        return Ok(());
    }
    let desk = desk()?;
    let diff = Draft::of(&desk, "work")?
        .write("shop/prices.py", WRONG_MEAN)?
        .diff()?;
    let verdict = check(&desk, &with_steps(of_diff(&diff), &["tests"]))?;
    ensure!(verdict["verdict"] == "failed", "{verdict:#}");
    let name = "tests/test_prices.py::test_mean";
    let summary = verdict["summary"].as_str().context("a summary")?;
    ensure!(summary.contains(name), "{summary}");
    let broken = test(&verdict, name)?;
    ensure!(broken["outcome"] == "failed", "{verdict:#}");
    ensure!(
        broken["path"] == "tests/test_prices.py" && broken["line"] == 9,
        "{verdict:#}"
    );
    let whole = test(&verdict, "tests/test_prices.py::test_total")?;
    ensure!(whole["outcome"] == "passed", "{verdict:#}");
    Ok(())
}

#[test]
fn a_branch_is_judged_from_where_its_history_meets_the_base() -> anyhow::Result<()> {
    let desk = desk()?;
    let start = git(&desk.path().join("work"), &["rev-parse", "main"])?;
    // The base moves on, with what the branch has nothing to do with.
    let base = branch("base")?;
    Draft::of(&desk, "work")?
        .write("shop/keys.py", format!("key = '{}'\n", secret()))?
        .push(&base)?;
    let topic = branch("topic")?;
    let draft = Draft::of(&desk, "work")?;
    draft.write("shop/report.py", REPORT)?;
    let head = draft.push(&topic)?;
    let submission = with_steps(
        json!({ "patch": { "repository": "work", "base": base, "head": topic } }),
        &["policy", "analysis"],
    );
    let verdict = check(&desk, &submission)?;
    ensure!(verdict["verdict"] == "passed", "{verdict:#}");
    let change = json!({ "repository": "work", "base": start, "head": head });
    ensure!(verdict["change"] == change, "{verdict:#}");

    // What the branch adds itself is its own.
    draft.write(
        "shop/tokens.py",
        format!("# How the shop gets in.\nkey = '{}'\n", secret()),
    )?;
    let head = draft.push(&topic)?;
    let verdict = check(&desk, &submission)?;
    ensure!(verdict["verdict"] == "failed", "{verdict:#}");
    ensure!(verdict["change"]["head"] == head, "{verdict:#}");
    let expected = (
        "github.commit.secrets".to_owned(),
        "shop/tokens.py".to_owned(),
        2,
    );
    ensure!(found(&verdict, "policy")? == [expected], "{verdict:#}");
    ensure!(
        !verdict.to_string().contains(&secret()),
        "the secret is shown"
    );
    Ok(())
}

#[test]
fn what_a_change_does_not_touch_is_not_blamed_on_it() -> anyhow::Result<()> {
    let desk = desk()?;
    let mut steps = vec!["policy", "analysis"];
    if has_python()? {
        steps.push("scripts");
    }
    let draft = Draft::of(&desk, "work")?;
    let diff = draft.write("shop/report.py", REPORT)?.diff()?;
    let verdict = check(&desk, &with_steps(of_diff(&diff), &steps))?;
    ensure!(verdict["verdict"] == "passed", "{verdict:#}");
    for name in &steps {
        ensure!(found(&verdict, name)?.is_empty(), "{name}: {verdict:#}");
    }
    // A module that is not even handed in is there all the same.
    let mut narrow = with_steps(of_diff(&diff), &["analysis"]);
    narrow["patch"]["paths"] = json!(["tests"]);
    let verdict = check(&desk, &narrow)?;
    ensure!(verdict["verdict"] == "passed", "{verdict:#}");
    ensure!(found(&verdict, "analysis")?.is_empty(), "{verdict:#}");
    // One that is nowhere is not.
    let diff = draft
        .write("shop/report.py", REPORT.replace("shop.prices", "shop.gone"))?
        .diff()?;
    let verdict = check(&desk, &with_steps(of_diff(&diff), &["analysis"]))?;
    let expected = ("python/import-missing".into(), "shop/report.py".into(), 1);
    ensure!(
        found(&verdict, "analysis")?.contains(&expected),
        "{verdict:#}"
    );

    // Who touches the old file answers for all of it.
    let diff = Draft::of(&desk, "work")?
        .write(
            "shop/old.py",
            format!("{OLD}\n\ndef shelf():\n    return 1\n"),
        )?
        .diff()?;
    let verdict = check(&desk, &with_steps(of_diff(&diff), &steps))?;
    ensure!(verdict["verdict"] == "failed", "{verdict:#}");
    let expected = ("python/undefined-name".into(), "shop/old.py".into(), 5);
    ensure!(
        found(&verdict, "analysis")?.contains(&expected),
        "{verdict:#}"
    );
    if has_python()? {
        let expected = ("no_print/marker".into(), "shop/old.py".into(), 1);
        ensure!(found(&verdict, "scripts")? == [expected], "{verdict:#}");
    }
    Ok(())
}

#[test]
fn a_patch_that_makes_no_sense_gets_a_clear_problem() -> anyhow::Result<()> {
    let desk = desk()?;
    let stale = format!(
        "diff --git a/{0} b/{0}\n--- a/{0}\n+++ b/{0}\n@@ -1,2 +1,2 @@\n def total(goods):\n-    return 3\n+    return 4\n",
        "shop/prices.py"
    );
    let missing = adding("shop/nowhere.py").replace("/dev/null", "a/shop/nowhere.py");
    for (diff, text) in [
        (stale.as_str(), "shop/prices.py:1"),
        (missing.as_str(), ""),
        (adding("../x.py").as_str(), "invalid path '../x.py'"),
        (
            adding("shop/../../x.py").as_str(),
            "invalid path 'shop/../../x.py'",
        ),
        (adding("/tmp/x.py").as_str(), "invalid path '/tmp/x.py'"),
        (adding(".git/config").as_str(), "invalid path '.git/config'"),
        (adding("a/.GIT/x.py").as_str(), "invalid path 'a/.GIT/x.py'"),
        (adding("outside/x.py").as_str(), "beyond a symbolic link"),
        (adding("shop/prices.py").as_str(), "shop/prices.py"),
        ("", "not empty"),
        ("\n", "it does not apply"),
        ("This is a letter, not a patch.\n", "it does not apply"),
        (
            "diff --git a/x.py b/x.py\n--- a/x.py\n+++ b/x.py\n@@ -1,2 +1,9 @@\n x\n",
            "corrupt",
        ),
        // By its id it could be any object that the repository ever had.
        (
            "diff --git a/x b/x\nnew file mode 100644\nindex 0000000000000000000000000000000000000000..e69de29bb2d1d6434b8b29ae775ad8c2e48c5391\nBinary files /dev/null and b/x differ\n",
            "it has a binary file",
        ),
    ] {
        refused(&desk, &of_diff(diff), "/patch/diff", text)?;
    }
    ensure!(!Path::new("/tmp/x.py").exists(), "it is outside");
    Ok(())
}

#[test]
fn a_submission_of_a_patch_that_makes_no_sense_gets_a_clear_problem() -> anyhow::Result<()> {
    let desk = desk()?;
    let diff = adding("shop/new.py");
    let good = of_diff(&diff);
    let other = |key: &str, value: Value| {
        let mut submission = good.clone();
        submission["patch"][key] = value;
        submission
    };
    let beside = |key: &str, value: Value| {
        let mut submission = good.clone();
        submission[key] = value;
        submission
    };
    let of = |patch: Value| json!({ "patch": patch });
    for (submission, pointer, text) in [
        (json!({}), "/files", "nothing to check"),
        (of(Value::Null), "/patch", "an object"),
        (of(json!("a diff")), "/patch", "an object"),
        (
            of(json!({ "repository": "work" })),
            "/patch",
            "say what changes",
        ),
        (
            of(json!({ "diff": diff })),
            "/patch/repository",
            "say which",
        ),
        (
            other("repository", json!("nowhere")),
            "/patch/repository",
            "nowhere",
        ),
        (
            other("repository", json!("../work")),
            "/patch/repository",
            "",
        ),
        (other("repository", json!(3)), "/patch/repository", "a text"),
        (
            other("base", json!("no-such-branch")),
            "/patch/base",
            "no-such-branch",
        ),
        (
            other("base", json!("--output=x")),
            "/patch/base",
            "begins with",
        ),
        (other("head", json!("main")), "/patch", "not both"),
        (other("hed", json!("main")), "/patch/hed", "no such key"),
        (other("diff", json!(["a"])), "/patch/diff", "a text"),
        (other("paths", json!([])), "/patch/paths", "a list"),
        (
            other("paths", json!(["shop", "../x"])),
            "/patch/paths/1",
            "leads down",
        ),
        (
            beside("files", json!({ "a.py": "" })),
            "/files",
            "those of `patch`",
        ),
        (
            beside("tests", json!({ "test_a.py": "" })),
            "/tests",
            "those of `patch`",
        ),
        (beside("reported", json!(["mypy"])), "/reported", "`head`"),
        (beside("reported", json!("mypy")), "/reported", "a list"),
        (
            of(json!({ "repository": "work", "head": "no-such-branch" })),
            "/patch/head",
            "no-such-branch",
        ),
        (
            of(json!({ "repository": "work", "head": "main" })),
            "/patch",
            "changes nothing",
        ),
        (
            json!({ "files": { "a.py": "" }, "reported": ["mypy"] }),
            "/reported",
            "`head`",
        ),
    ] {
        refused(&desk, &submission, pointer, text)?;
    }
    let topic = branch("topic")?;
    Draft::of(&desk, "work")?
        .write("shop/report.py", REPORT)?
        .push(&topic)?;
    let names = json!({
        "patch": { "repository": "work", "head": topic }, "reported": ["mypy", "", 3],
    });
    refused(&desk, &names, "/reported/1", "a name has")?;
    refused(&desk, &names, "/reported/2", "a name has")?;
    // A branch with a history of its own has nothing that it could be judged against.
    let draft = Draft::of(&desk, "work")?;
    let orphan = branch("orphan")?;
    draft.git(&["checkout", "-q", "--orphan", &orphan])?;
    draft.write("shop/report.py", REPORT)?.push(&orphan)?;
    let submission = of(json!({ "repository": "work", "head": orphan }));
    refused(&desk, &submission, "/patch/head", "")
}

#[test]
fn a_touched_file_that_is_no_text_is_named() -> anyhow::Result<()> {
    let desk = desk()?;
    let draft = Draft::of(&desk, "work")?;
    draft.write("shop/picture.py", b"\x89PNG\0\x01\x02\x03".as_slice())?;
    // A patch of a few kilobytes may stand for gigabytes.
    refused(
        &desk,
        &of_diff(&draft.diff()?),
        "/patch/diff",
        "it has a binary file, which is taken from a branch only",
    )?;
    draft.write("shop/picture.py", b"x = '\0'\n".as_slice())?;
    let topic = branch("picture")?;
    draft.push(&topic)?;
    let of_head = json!({ "patch": { "repository": "work", "head": topic } });
    refused(
        &desk,
        &of_head,
        "/patch",
        "`shop/picture.py`: it has a NUL character",
    )?;
    draft.write("shop/picture.py", b"x = '\xff'\n".as_slice())?;
    draft.push(&topic)?;
    refused(&desk, &of_head, "/patch", "not UTF-8 from byte 5 on")?;
    // What is no code may be what it likes.
    let topic = branch("pictures")?;
    Draft::of(&desk, "work")?
        .write("shop/picture.png", b"\x89PNG\0\x01\x02\x03".as_slice())?
        .write("shop/report.py", REPORT)?
        .push(&topic)?;
    let of_head = json!({ "patch": { "repository": "work", "head": topic } });
    let verdict = check(&desk, &with_steps(of_head, &["analysis"]))?;
    ensure!(verdict["verdict"] == "passed", "{verdict:#}");
    Ok(())
}

#[test]
fn a_large_repository_is_judged_by_the_part_that_is_needed() -> anyhow::Result<()> {
    let desk = desk()?;
    let diff = Draft::of(&desk, "large")?
        .write(
            "parts/part_7.py",
            "from parts.part_8 import number\n\nseven = number - 1\n",
        )?
        .diff()?;
    let mut submission = json!({ "patch": { "repository": "large", "diff": diff } });
    refused(&desk, &submission, "/patch/paths", "1000 files")?;
    submission["patch"]["paths"] = json!(["shop", "tests", "parts/part_8.py"]);
    if !has_python()? {
        submission["steps"] = json!(["policy", "analysis"]);
    }
    let verdict = check(&desk, &submission)?;
    ensure!(verdict["verdict"] == "passed", "{verdict:#}");
    Ok(())
}

/// Makes a key on the host's own machine, where nobody is asked for one.
fn key(host: &Host, name: &str, scopes: &[&str]) -> anyhow::Result<String> {
    let mut arguments = vec![name, "--role", "service"];
    for scope in scopes {
        arguments.extend(["--scope", scope]);
    }
    host.folder().key(&arguments)
}

#[test]
fn whoever_may_not_read_a_repository_has_no_change_of_it_judged() -> anyhow::Result<()> {
    // A host of its own: the first key closes it to all who have none.
    let folder = Folder::new()?;
    folder.component("analysis", "analysis")?;
    folder.component("test_guests", "guests")?;
    for name in ["work", "other"] {
        repository(&folder.path().join(name), PRICES)?;
    }
    folder.config(
        "",
        "[repositories.work]\npath = \"work\"\n[repositories.other]\npath = \"other\"\n[agents.other]\nplugin = \"guests\"\n",
    )?;
    let host = folder.serve()?;
    let blind = key(&host, "blind", &["checks:run"])?;
    let one = key(&host, "one", &["checks:run", "repositories:read:work"])?;
    let all = key(&host, "all", &["checks:run", "repositories:read"])?;
    let ask = |key: &str, body: &Value| -> anyhow::Result<Response> {
        Ok(host
            .client()
            .post(host.url("/v1/checks?wait=100s"))
            .bearer_auth(key)
            .json(body)
            .send()?)
    };
    let of = |repository: &str| json!({ "steps": ["analysis"], "patch": { "repository": repository, "diff": adding("shop/new.py") } });
    let passes = |key: &str, body: &Value| -> anyhow::Result<()> {
        let answer = ask(key, body)?;
        let status = answer.status();
        let text = answer.text()?;
        ensure!(status == 200, "{status}: {text}");
        let verdict: Value = serde_json::from_str(&text)?;
        ensure!(verdict["verdict"] == "passed", "{verdict:#}");
        Ok(())
    };
    let code = json!({ "steps": ["analysis"], "files": { "a.py": "x = 1\n" } });
    passes(&blind, &code)?;
    let refusal = problem(ask(&blind, &of("work"))?, 403, "forbidden")?;
    ensure!(
        refusal["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("repositories:read")),
        "{refusal:#}"
    );
    passes(&one, &of("work"))?;
    passes(&all, &of("work"))?;
    passes(&all, &of("other"))?;
    // Which repositories there are is told to those alone who may read them.
    problem(ask(&one, &of("other"))?, 403, "forbidden")?;
    problem(ask(&one, &of("nowhere"))?, 403, "forbidden")?;
    problem(ask(&all, &of("nowhere"))?, 422, "invalid_submission")?;
    // Nor is one among others a way around.
    let many = json!({ "submissions": [code, of("work")] });
    let answer = host
        .client()
        .post(host.url("/v1/checks/batch?wait=100s"))
        .bearer_auth(&blind)
        .json(&many)
        .send()?;
    problem(answer, 403, "forbidden")?;
    Ok(())
}

/// What the command says: exit code, standard output, standard error.
fn infinity(desk: &Desk, arguments: &[&str], input: &str) -> anyhow::Result<(i32, String, String)> {
    let said = fed(desk.folder().command(arguments), input.as_bytes())?;
    Ok((
        said.status.code().unwrap_or(-1),
        String::from_utf8(said.stdout)?,
        String::from_utf8(said.stderr)?,
    ))
}

#[test]
fn a_diff_and_a_branch_are_checked_from_a_terminal() -> anyhow::Result<()> {
    let desk = desk()?;
    let still = ["--step", "policy", "--step", "analysis"];
    let with = |arguments: &[&'static str]| [&["check"], arguments, &still[..]].concat();
    let good = Draft::of(&desk, "work")?
        .write("shop/report.py", REPORT)?
        .diff()?;
    let bad = Draft::of(&desk, "work")?
        .write("shop/report.py", "print(nothing)\n")?
        .diff()?;
    let diff = with(&["-", "--repository", "work"]);
    let (code, out, err) = infinity(&desk, &diff, &good)?;
    ensure!(code == 0 && out.contains("passed  python"), "{out}{err}");
    let (code, out, _) = infinity(&desk, &diff, &bad)?;
    ensure!(code == 1 && out.contains("python/undefined-name"), "{out}");
    let (code, out, _) = infinity(&desk, &[&diff[..], &["--json"][..]].concat(), &good)?;
    let verdict: Value = serde_json::from_str(&out)?;
    ensure!(
        code == 0 && verdict["change"]["repository"] == "work",
        "{out}"
    );
    let narrow = with(&[
        "-",
        "--repository",
        "work",
        "--base",
        "main",
        "--with",
        "tests",
    ]);
    let (code, out, err) = infinity(&desk, &narrow, &good)?;
    ensure!(code == 0, "{out}{err}");

    // What is missing is said.
    let (code, out, err) = infinity(&desk, &with(&["-"]), &good)?;
    ensure!(code == 2 && err.contains("--repository"), "{out}{err}");
    let (code, out, err) = infinity(&desk, &diff, "")?;
    ensure!(code == 2 && err.contains("empty"), "{out}{err}");
    let stale = good
        .replace("new file mode 100644\n", "")
        .replace("/dev/null", "a/shop/report.py");
    let (code, out, err) = infinity(&desk, &diff, &stale)?;
    ensure!(code != 0 && err.contains("shop/report.py"), "{out}{err}");
    let (code, out, err) = infinity(&desk, &with(&["-", "--repository", "nowhere"]), &good)?;
    ensure!(code != 0 && err.contains("nowhere"), "{out}{err}");

    let topic = branch("topic")?;
    let draft = Draft::of(&desk, "work")?;
    draft.write("shop/report.py", REPORT)?.push(&topic)?;
    let head = ["check", "--repository", "work", "--head", &topic];
    let head = [&head[..], &still[..]].concat();
    let (code, out, err) = infinity(&desk, &head, "")?;
    ensure!(code == 0 && out.contains("passed  python"), "{out}{err}");
    draft
        .write("shop/report.py", "print(nothing)\n")?
        .push(&topic)?;
    let (code, out, _) = infinity(&desk, &head, "")?;
    ensure!(code == 1 && out.contains("python/undefined-name"), "{out}");
    let (code, out, err) = infinity(&desk, &["check", "--head", &topic], "")?;
    ensure!(code == 2 && err.contains("--repository"), "{out}{err}");
    Ok(())
}

/// Opens a pull request for a branch, and gives its id.
fn open(host: &Host, repository: &str, head: &str) -> anyhow::Result<String> {
    let effect = json!({ "id": "ask", "kind": "pull_request", "action": {
        "repository": repository, "head": head, "base": "main", "title": "Change the shop", "body": "It was time." } });
    let run = host.run("writer", &json!({ "case": "propose", "effects": [effect] }))?;
    ensure!(run["outcome"] == "succeeded", "{run}");
    let run = run["id"].as_str().context("an id")?;
    let mut last = Value::Null;
    let applied = poll(PATIENCE, || {
        last = host.json(&format!("/v1/effects?run={run}")).ok()?;
        let effect = last["items"].get(0)?;
        (effect["state"] == "applied").then(|| effect["id"].as_str().map(str::to_owned))?
    });
    applied.with_context(|| format!("there is no pull request: {last:#}"))
}

/// Pushes a branch with one file changed, and opens a pull request for it: the draft, the branch and the request's id.
fn opened(
    host: &Host,
    repository: &str,
    path: &str,
    text: &str,
) -> anyhow::Result<(Draft, String, String)> {
    let draft = Draft::of(host, repository)?;
    let topic = branch("topic")?;
    draft.write(path, text)?.push(&topic)?;
    let id = open(host, repository, &topic)?;
    Ok((draft, topic, id))
}

/// Has an agent judge once. Code that is no good is no failure of the agent, as what a run that failed proposes is not done.
fn judge(host: &Host, agent: &str) -> anyhow::Result<Value> {
    let run = host.run(agent, &Value::Null)?;
    ensure!(run["outcome"] == "succeeded", "{agent}: {run:#}");
    Ok(run)
}

/// The latest status of this name of a pull request's latest commit.
fn status_of(host: &Host, id: &str, name: &str) -> anyhow::Result<Option<Value>> {
    let request = host.json(&format!("/v1/prs/{id}"))?;
    let statuses = request["statuses"].as_array().context("no statuses")?;
    Ok(statuses
        .iter()
        .find(|status| status["name"] == name)
        .cloned())
}

/// The status `code-check` of a pull request's latest commit, once it is in this state.
fn until(host: &Host, id: &str, state: &str) -> anyhow::Result<Value> {
    let mut last = None;
    let found = poll(PATIENCE, || {
        last = status_of(host, id, "code-check").ok()?;
        last.clone().filter(|status| status["state"] == state)
    });
    found.with_context(|| format!("the status is not `{state}`: {last:#?}"))
}

/// What a type checker says of a line.
fn annotation(path: &str, line: u64) -> Value {
    json!({
        "rule": "mypy/arg-type", "level": "error", "message": "the argument is no list of numbers",
        "location": { "repository": null, "path": path, "line": line, "column": null }, "help": null,
    })
}

/// Reports a check of a pull request.
fn report(host: &Host, id: &str, body: &Value) -> anyhow::Result<Response> {
    post(host, &format!("/v1/prs/{id}/checks"), body)
}

/// Reports what mypy found, which is taken.
fn mypy(host: &Host, id: &str, state: &str, annotations: &Value) -> anyhow::Result<Value> {
    let summary = if state == "success" {
        "no issues found"
    } else {
        "1 error found"
    };
    let body =
        json!({ "name": "mypy", "state": state, "summary": summary, "annotations": annotations });
    let answer = report(host, id, &body)?;
    let status = answer.status();
    let text = answer.text()?;
    ensure!(status == 201, "{status}: {text}");
    Ok(serde_json::from_str(&text)?)
}

#[test]
fn a_pull_request_gets_the_verdict_on_its_latest_commit() -> anyhow::Result<()> {
    if !has_python()? {
        return Ok(());
    }
    let desk = desk()?;
    // Whoever comes first has the interpreter compiled; that it takes half a minute is none of the agent's matters.
    let warm = with_steps(of_diff(&adding("shop/new.py")), &["tests"]);
    let verdict = check(&desk, &warm)?;
    ensure!(verdict["verdict"] == "passed", "{verdict:#}");

    let (draft, topic, id) = opened(&desk, "pulls", "shop/prices.py", WRONG_TOTAL)?;
    judge(&desk, "code-check")?;
    let status = until(&desk, &id, "failure")?;
    let annotations = status["annotations"].as_array().context("no annotations")?;
    let named = |name: &str| {
        annotations.iter().any(|finding| {
            let location = &finding["location"];
            finding["message"]
                .as_str()
                .is_some_and(|message| message.contains(name))
                && location["repository"] == "pulls"
                && location["path"] == "tests/test_prices.py"
                && location["line"].as_u64().is_some()
        })
    };
    ensure!(named("test_total") && named("test_mean"), "{status:#}");

    // The next commit is judged anew.
    draft.write("shop/prices.py", format!("# Prices are whole.\n{PRICES}"))?;
    let head = draft.push(&topic)?;
    let run = judge(&desk, "code-check")?;
    let status = until(&desk, &id, "success")?;
    ensure!(status["annotations"].is_null(), "{status:#}");
    let report = desk.report(&run)?;
    ensure!(report["output"]["commit"] == head, "{report:#}");
    ensure!(
        report["output"]["checks"][0]["verdict"] == "passed",
        "{report:#}"
    );
    // Its check is there like any other.
    let check = report["output"]["checks"][0]["id"]
        .as_str()
        .context("an id")?;
    let check = desk.json(&format!("/v1/checks/{check}"))?;
    ensure!(
        check["principal"] == json!({ "kind": "agent", "name": "code-check" }),
        "{check:#}"
    );
    ensure!(check["change"]["head"] == head, "{check:#}");

    // And then there is nothing to do.
    let run = judge(&desk, "code-check")?;
    ensure!(
        run["summary"] == "every pull request has a verdict",
        "{run:#}"
    );
    let effects = desk.json(&format!(
        "/v1/effects?run={}",
        run["id"].as_str().context("an id")?
    ))?;
    ensure!(effects["items"] == json!([]), "{effects:#}");
    Ok(())
}

#[test]
fn an_agent_without_the_grant_learns_the_line_that_would_give_it() -> anyhow::Result<()> {
    let desk = desk()?;
    opened(&desk, "tools", "shop/report.py", REPORT)?;
    let run = desk.run("unasked", &Value::Null)?;
    let denials = run["denials"].as_array().context("no denials")?;
    ensure!(
        denials.iter().any(|denial| denial["capability"] == "checks"
            && denial["allow"]
                .as_str()
                .is_some_and(|allow| allow.contains("checks = true"))),
        "{run:#}"
    );
    Ok(())
}

#[test]
fn a_verdict_waits_for_what_other_tools_report() -> anyhow::Result<()> {
    let desk = desk()?;
    let (draft, topic, id) = opened(&desk, "waits", "shop/report.py", REPORT)?;
    judge(&desk, "patient")?;
    let status = until(&desk, &id, "pending")?;
    let summary = status["summary"].as_str().context("a summary")?;
    ensure!(summary.contains("`mypy` has not reported"), "{status:#}");
    // What is not done is not done however often somebody looks.
    mypy(&desk, &id, "pending", &json!([]))?;
    judge(&desk, "patient")?;
    let status = poll(PATIENCE, || {
        let status = status_of(&desk, &id, "code-check").ok()??;
        status["summary"]
            .as_str()
            .is_some_and(|summary| summary.contains("`mypy` is not done"))
            .then_some(status)
    });
    let status = status.context("it does not say that mypy is not done")?;
    ensure!(status["state"] == "pending", "{status:#}");
    mypy(&desk, &id, "success", &json!([]))?;
    judge(&desk, "patient")?;
    until(&desk, &id, "success")?;

    // Another commit is another matter, and what is found is shown where it is.
    draft.write(
        "shop/report.py",
        format!("{REPORT}\n\nlast = average([1])\n"),
    )?;
    draft.push(&topic)?;
    mypy(
        &desk,
        &id,
        "failure",
        &json!([annotation("shop/report.py", 8)]),
    )?;
    judge(&desk, "patient")?;
    let status = until(&desk, &id, "failure")?;
    let annotations = status["annotations"].as_array().context("no annotations")?;
    ensure!(
        annotations
            .iter()
            .any(|finding| finding["rule"] == "mypy/arg-type"
                && finding["location"]["path"] == "shop/report.py"
                && finding["location"]["repository"] == "waits"
                && finding["location"]["line"] == 8),
        "{status:#}"
    );
    Ok(())
}

#[test]
fn a_pull_request_that_waits_does_not_hold_up_the_others() -> anyhow::Result<()> {
    let desk = desk()?;
    let (_, _, first) = opened(&desk, "queue", "shop/report.py", REPORT)?;
    let (_, _, second) = opened(&desk, "queue", "shop/report.py", REPORT)?;
    mypy(&desk, &second, "success", &json!([]))?;
    for _ in 0..3 {
        judge(&desk, "fair")?;
    }
    until(&desk, &first, "pending")?;
    until(&desk, &second, "success")?;
    Ok(())
}

#[test]
fn what_is_wrong_is_said_while_a_tool_is_still_waited_for() -> anyhow::Result<()> {
    let desk = desk()?;
    let (_, _, id) = opened(&desk, "mixed", "shop/report.py", "print(nothing)\n")?;
    judge(&desk, "strict")?;
    let status = until(&desk, &id, "failure")?;
    let annotations = status["annotations"].as_array().context("no annotations")?;
    ensure!(
        annotations
            .iter()
            .any(|finding| finding["rule"] == "python/undefined-name"),
        "{status:#}"
    );
    Ok(())
}

#[test]
fn a_submission_waits_for_reported_checks_by_itself() -> anyhow::Result<()> {
    let desk = desk()?;
    let (_, topic, id) = opened(&desk, "tools", "shop/report.py", REPORT)?;
    let submission = json!({
        "patch": { "repository": "tools", "head": topic },
        "steps": ["analysis", "reported"], "reported": ["mypy"],
    });
    let verdict = check(&desk, &submission)?;
    ensure!(verdict["verdict"] == "error", "{verdict:#}");
    ensure!(
        step(&verdict, "reported")?["summary"] == "`mypy` has not reported",
        "{verdict:#}"
    );
    mypy(
        &desk,
        &id,
        "failure",
        &json!([annotation("shop/report.py", 1)]),
    )?;
    let verdict = check(&desk, &submission)?;
    ensure!(verdict["verdict"] == "failed", "{verdict:#}");
    let found = found(&verdict, "reported")?;
    ensure!(
        found.contains(&("mypy/arg-type".into(), "shop/report.py".into(), 1)),
        "{verdict:#}"
    );
    // The latest word counts.
    mypy(&desk, &id, "success", &json!([]))?;
    let verdict = check(&desk, &submission)?;
    ensure!(verdict["verdict"] == "passed", "{verdict:#}");
    Ok(())
}

/// Whether a commit's reported check is among the events, the oldest of which come first.
fn is_announced(host: &Host, commit: &str) -> anyhow::Result<bool> {
    let mut path = "/v1/events?type=status.reported&limit=500".to_owned();
    loop {
        let events = host.json(&path)?;
        let items = events["items"].as_array().context("no items")?;
        if items.iter().any(|event| event["data"]["commit"] == commit) {
            return Ok(true);
        }
        match events["next"].as_str() {
            Some(next) if !items.is_empty() => {
                path = format!("/v1/events?type=status.reported&limit=500&cursor={next}");
            }
            _ => return Ok(false),
        }
    }
}

#[test]
fn a_reported_check_is_kept_and_announced() -> anyhow::Result<()> {
    let desk = desk()?;
    let (draft, topic, id) = opened(&desk, "tools", "shop/report.py", REPORT)?;
    let head = draft.git(&["rev-parse", "HEAD"])?;
    let said = mypy(
        &desk,
        &id,
        "failure",
        &json!([annotation("shop/report.py", 4)]),
    )?;
    let kept = status_of(&desk, &id, "mypy")?.context("it is not kept")?;
    ensure!(
        kept["id"] == said["id"] && kept["state"] == "failure",
        "{kept:#}"
    );
    ensure!(
        kept["annotations"] == json!([annotation("shop/report.py", 4)]),
        "{kept:#}"
    );
    ensure!(is_announced(&desk, &head)?, "it is not announced");
    // Whoever says which commit it was is heard if that is the latest one.
    let of = |commit: &str| json!({ "name": "ruff", "state": "success", "summary": "fine", "commit": commit });
    let answer = report(&desk, &id, &of(&head))?;
    ensure!(answer.status() == 201, "{}", answer.text()?);
    draft.write("shop/report.py", format!("# Means.\n{REPORT}"))?;
    draft.push(&topic)?;
    problem(report(&desk, &id, &of(&head))?, 409, "commit_outdated")?;
    Ok(())
}

#[test]
fn a_reported_check_that_makes_no_sense_is_not_taken() -> anyhow::Result<()> {
    let desk = desk()?;
    let (draft, topic, id) = opened(&desk, "tools", "shop/report.py", REPORT)?;
    let good = json!({ "name": "mypy", "state": "success", "summary": "no issues found" });
    let other = |key: &str, value: Value| {
        let mut body = good.clone();
        body[key] = value;
        body
    };
    let many: Vec<Value> = (1..=51).map(|line| annotation("a.py", line)).collect();
    let mut long = annotation("a.py", 1);
    long["message"] = json!("x".repeat(64 * 1024));
    for (body, pointer) in [
        (other("name", json!("my\npy")), "/name"),
        (other("name", json!("")), "/name"),
        (other("name", json!(" ")), "/name"),
        (other("name", json!("x".repeat(101))), "/name"),
        (other("summary", json!("one\ntwo")), "/summary"),
        (other("summary", json!("\u{1b}[31mred")), "/summary"),
        (other("summary", json!("x".repeat(251))), "/summary"),
        (other("annotations", json!(many)), "/annotations"),
        (other("annotations", json!([long])), "/annotations"),
        (other("annotations", json!([{ "rule": "x" }])), ""),
        (other("state", json!("fine")), ""),
        (other("colour", json!("red")), ""),
        (json!({}), ""),
    ] {
        let answer = report(&desk, &id, &body)?;
        let problem = problem(answer, 422, "invalid_check").with_context(|| body.to_string())?;
        ensure!(
            problem["errors"][0]["pointer"] == pointer,
            "{body}: {problem:#}"
        );
        ensure!(desk.get("/health")?.status() == 200);
    }
    let zeros = "0".repeat(40);
    let outdated = problem(
        report(&desk, &id, &other("commit", json!(zeros)))?,
        409,
        "commit_outdated",
    )?;
    // It says which commit it would be.
    let head = draft.git(&["rev-parse", "HEAD"])?;
    ensure!(outdated.to_string().contains(&head), "{outdated:#}");
    for unknown in ["00000000-0000-7000-8000-000000000000", "nonsense"] {
        problem(report(&desk, unknown, &good)?, 404, "not_found")?;
    }
    ensure!(status_of(&desk, &id, "mypy")?.is_none(), "it is taken");
    // Of a branch that is gone there is nothing to say.
    draft.git(&["push", "-q", "origin", &format!(":refs/heads/{topic}")])?;
    problem(report(&desk, &id, &good)?, 409, "pull_request_not_open")?;
    Ok(())
}
