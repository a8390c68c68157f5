//! Code that is handed in, and the verdicts: against the program, its real interpreters and the languages' own programs on this machine.
//!
//! All tests speak to one host, whose state folder stays below the target directory: compiling CPython takes half a minute, once.

mod assistant;
mod bad_input;
mod changes;
mod documents;
mod exact;
mod forgeries;
mod hostile;
mod runners;
mod shown;
mod verdicts;

use anyhow::{Context as _, ensure};
use infinity_tests::host::{Folder, Host, root};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The host of all tests, as long as one of them is in progress.
static SHARED: Mutex<Weak<Host>> = Mutex::new(Weak::new());

/// Scripts of the operator's own.
const SCRIPTS: [(&str, &str, &str); 2] = [
    (
        "no_print.py",
        "python",
        "def check(submission):\n    for path, text in submission['files'].items():\n        for number, line in enumerate(text.splitlines(), 1):\n            if 'PRINT-NOTHING' in line:\n                yield {'rule': 'marker', 'message': 'the marker is there', 'path': path, 'line': number}\n",
    ),
    (
        "short.js",
        "javascript",
        "exports.check = (submission) => Object.entries(submission.files).filter(([, text]) => text.includes('PRINT-NOTHING')).map(([path]) => ({ level: 'warning', rule: 'short', message: 'seen', path }));\n",
    ),
];

/// The components of a language, which are made where its tools are.
fn runner(name: &str) -> anyhow::Result<Option<std::path::PathBuf>> {
    let file = root().join(format!("plugins/dist/{name}.wasm"));
    if file.exists() {
        return Ok(Some(file));
    }
    ensure!(
        std::env::var_os("CI").is_none(),
        "`{}` is missing: run `cargo xtask test`",
        file.display()
    );
    Ok(None)
}

/// The folder of a host that checks.
fn folder() -> anyhow::Result<Folder> {
    let folder = Folder::new()?;
    folder.component("policy", "policy")?;
    folder.component("analysis", "analysis")?;
    for name in ["python", "javascript"] {
        if let Some(file) = runner(name)? {
            let target = folder.path().join(format!("dist/{name}.wasm"));
            // Of some 40 MiB: a link where both are on one file system.
            if fs::hard_link(&file, &target).is_err() {
                fs::copy(&file, &target)?;
            }
        }
    }
    let scripts = folder.path().join("checks");
    fs::create_dir(&scripts)?;
    for (name, language, text) in SCRIPTS {
        if runner(language)?.is_some() {
            fs::write(scripts.join(name), text)?;
        }
    }
    let policies = root().join("policies").canonicalize()?;
    let state = Path::new(env!("CARGO_TARGET_TMPDIR")).join("checks");
    fs::create_dir_all(&state)?;
    let text = format!(
        "[host]\nlisten = \"127.0.0.1:0\"\nstate = {:?}\nplugins = \"dist\"\n\
         [agents.policy]\nplugin = \"policy\"\npolicies = {:?}\n",
        state.display().to_string(),
        policies.display().to_string()
    );
    fs::write(folder.path().join("plugins.toml"), text)?;
    Ok(folder)
}

/// The host that all tests share.
fn host() -> anyhow::Result<Arc<Host>> {
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(host) = shared.upgrade() {
        return Ok(host);
    }
    let host =
        Arc::new(folder()?.serve_on(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("checks"))?);
    *shared = Arc::downgrade(&host);
    Ok(host)
}

/// A submission's verdict.
fn check(host: &Host, submission: &Value) -> anyhow::Result<Value> {
    let answer = host
        .client()
        .post(host.url("/v1/checks?wait=100s"))
        .json(submission)
        .send()?;
    let status = answer.status();
    let text = answer.text()?;
    ensure!(status == 200, "{status}: {text}");
    Ok(serde_json::from_str(&text)?)
}

/// The verdicts of many, in their order.
fn check_all(host: &Host, submissions: &[Value]) -> anyhow::Result<Vec<Value>> {
    let mut checks = Vec::new();
    // As many at once as the answer comes in time.
    for part in submissions.chunks(100) {
        let answer = host
            .client()
            .post(host.url("/v1/checks/batch?wait=110s"))
            .json(&json!({ "submissions": part }))
            .send()?;
        let status = answer.status();
        let text = answer.text()?;
        ensure!(status == 200, "{status}: {text}");
        let mut answer: Value = serde_json::from_str(&text)?;
        let items = answer["items"].as_array_mut().context("no items")?;
        ensure!(items.len() == part.len());
        for item in items {
            ensure!(!item["verdict"].is_null(), "no verdict in time: {item}");
            checks.push(item.take());
        }
    }
    Ok(checks)
}

/// A file of the material.
fn material(name: &str) -> anyhow::Result<Value> {
    let file = root().join("tests/checks").join(name);
    let text = fs::read_to_string(&file).with_context(|| format!("{}", file.display()))?;
    Ok(serde_json::from_str(&text)?)
}

/// The languages whose interpreters are there.
fn languages() -> anyhow::Result<Vec<&'static str>> {
    let mut languages = Vec::new();
    for name in ["python", "javascript"] {
        if runner(name)?.is_some() {
            languages.push(name);
        }
    }
    Ok(languages)
}
