//! The API of the real program, as clients see it; a module for each group of routes.

mod access;
mod alerts;
mod audit;
mod backup;
mod commands;
mod compatibility;
mod doctor;
mod document;
mod drop_in;
mod effects;
mod events;
mod examples;
mod factors;
mod foreign;
mod fuzz;
mod github;
mod identity;
mod kill;
mod notify;
mod observe;
mod on_github;
mod pipelines;
mod problems;
mod queue;
mod records;
mod reload;
mod reports;
mod retries;
mod runs;
mod schedule;
mod secrets;
mod served;
mod survival;
mod sync;
mod telemetry;
mod ten_minutes;
mod terminal;
mod tls;
mod webhooks;
mod wire;

use anyhow::{Context as _, ensure};
use infinity_tests::host::{Folder, Host, language, root};
use reqwest::blocking::Response;
use serde_json::{Value, json};

/// A folder with the component of the tests as `guests` and `[host]` with these lines; `rest` are more tables.
fn folder(host: &str, rest: &str) -> anyhow::Result<Folder> {
    let folder = Folder::new()?;
    folder.component("test_guests", "guests")?;
    folder.config(
        host,
        &format!("[agents.guests]\nplugin = \"guests\"\n{rest}"),
    )?;
    Ok(folder)
}

/// A host with the agent `guests`.
fn host() -> anyhow::Result<Host> {
    folder("", "")?.serve()
}

/// Grants of an agent whose runs fail in a way that may pass, once [`serve_without_repository`] served.
const GONE: &str = "grants = { repos = [{ name = \"gone\", files = true }] }\n[repositories.gone]\npath = \"gone\"\n";

/// Serves, and then removes the repository `gone`: a checkout cannot be made of what is not there.
fn serve_without_repository(folder: Folder) -> anyhow::Result<Host> {
    let repository = folder.path().join("gone");
    let made = std::process::Command::new("git")
        .args(["init", "--quiet", "--bare"])
        .arg(&repository)
        .status()?;
    ensure!(made.success(), "git init: {made}");
    let host = folder.serve()?;
    std::fs::remove_dir_all(&repository)?;
    Ok(host)
}

/// Runs the tests that a stand-in has of itself, where its packages are.
fn node_tests(packages: &str, folder: &str, file: &str) -> anyhow::Result<()> {
    let Some(modules) = language(packages) else {
        return Ok(());
    };
    let said = std::process::Command::new("node")
        .args(["--test", file])
        .current_dir(root().join(folder))
        .env("INFINITY_NODE_MODULES", modules)
        .output()?;
    let text = String::from_utf8_lossy(&said.stdout);
    ensure!(said.status.success(), "{text}");
    Ok(())
}

/// Starts a run and does not wait.
fn start(host: &Host, agent: &str, input: &Value) -> anyhow::Result<Value> {
    let response = host
        .client()
        .post(host.url(&format!("/v1/agents/{agent}/runs")))
        .json(input)
        .send()?;
    let status = response.status();
    let text = response.text()?;
    ensure!(status == 201, "POST run of {agent}: {status}: {text}");
    Ok(serde_json::from_str(&text)?)
}

/// Cancels a run.
fn cancel(host: &Host, run: &Value) -> anyhow::Result<Response> {
    Ok(host
        .client()
        .post(host.url(&format!("/v1/runs/{}/cancel", id(run)?)))
        .send()?)
}

/// A run as it is now.
fn look(host: &Host, run: &Value) -> anyhow::Result<Value> {
    host.json(&format!("/v1/runs/{}", id(run)?))
}

fn id(run: &Value) -> anyhow::Result<&str> {
    run["id"].as_str().context("a run has an id")
}

/// Checks that an answer is a problem as every problem is, and gives its body.
fn problem(response: Response, status: u16, code: &str) -> anyhow::Result<Value> {
    let headers = response.headers().clone();
    let found = response.status().as_u16();
    let text = response.text()?;
    ensure!(found == status, "{found} instead of {status}: {text}");
    ensure!(
        headers["content-type"] == "application/problem+json",
        "{headers:?}"
    );
    let body: Value = serde_json::from_str(&text)?;
    ensure!(body["type"] == "about:blank", "{body}");
    ensure!(body["status"] == status, "{body}");
    ensure!(body["code"] == code, "not `{code}`: {body}");
    ensure!(
        body["request_id"].as_str() == headers["x-request-id"].to_str().ok(),
        "{body}"
    );
    Ok(body)
}

/// A run without what is finer than the store keeps: moments are rows' in microseconds.
fn kept(run: &Value) -> Value {
    let mut run = run.clone();
    for key in ["scheduled_at", "created_at", "started_at", "ended_at"] {
        let moment: Option<jiff::Timestamp> =
            run[key].as_str().and_then(|moment| moment.parse().ok());
        run[key] = json!(moment.map(jiff::Timestamp::as_microsecond));
    }
    run
}

/// What the guest's case `ok` takes.
fn ok() -> Value {
    json!({ "case": "ok" })
}
