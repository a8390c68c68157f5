//! Faults of the machine, of its disk, its clock and its processes, put to the real program: what must hold afterwards is the table in `docs/faults.md`.
//!
//! A test is named after its row. What a host acknowledged is written down outside it, or is looked at in its database by another connection. Some faults need more than a program has anywhere:
//! a file system of its own (`mount`), or the C compiler for [`shim`]; where they are missing, the test says so, and in CI it fails.

mod changes;
mod clients;
mod clock;
mod crashes;
mod disk;
mod kills;
mod page;
mod power;
mod shim;
mod versions;

use anyhow::{Context as _, ensure};
use infinity_tests::host::{Folder, Host, PATIENCE, poll};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqliteConnection};
use std::path::Path;

/// A folder with the component of the tests as `guests` and `[host]` with these lines; `rest` are more tables.
fn folder(host: &str, rest: &str) -> anyhow::Result<Folder> {
    let folder = Folder::new()?;
    folder.component("test_guests", "guests")?;
    folder.bytes("noop", &noop()?)?;
    folder.config(
        host,
        &format!("[agents.guests]\nplugin = \"guests\"\n{rest}"),
    )?;
    Ok(folder)
}

/// The component that ends at once.
fn noop() -> anyhow::Result<Vec<u8>> {
    let found = test_guests::COMPONENTS
        .iter()
        .find(|(name, _)| *name == "noop_agent");
    Ok(wat::parse_str(found.context("the component")?.1)?)
}

/// What the guest's case `ok` takes.
fn ok() -> Value {
    json!({ "case": "ok" })
}

/// Starts a run and does not wait.
fn start(host: &Host, agent: &str, input: &Value) -> anyhow::Result<Value> {
    let url = host.url(&format!("/v1/agents/{agent}/runs"));
    let response = host.client().post(url).json(input).send()?;
    let status = response.status();
    let text = response.text()?;
    ensure!(status == 201, "POST run of {agent}: {status}: {text}");
    Ok(serde_json::from_str(&text)?)
}

/// A run as it is now.
fn look(host: &Host, run: &Value) -> anyhow::Result<Value> {
    host.json(&format!(
        "/v1/runs/{}",
        run["id"].as_str().context("a run has an id")?
    ))
}

/// A run at its end.
fn ended(host: &Host, run: &Value) -> anyhow::Result<Value> {
    poll(PATIENCE, || {
        look(host, run).ok().filter(|run| run["state"] == "ended")
    })
    .with_context(|| format!("the run does not end: {run}"))
}

/// Waits until a run's row says that it is in progress: the API knows a little earlier, and the row is what a crash leaves.
fn running(host: &Host, run: &Value) -> anyhow::Result<()> {
    let id: uuid::Uuid = run["id"].as_str().context("a run has an id")?.parse()?;
    let wanted = format!(
        "SELECT count(*) FROM runs WHERE id = x'{}' AND state = 'running'",
        id.simple()
    );
    poll(PATIENCE, || {
        (number(&host.path().join("var"), &wanted).ok()? == 1).then_some(())
    })
    .context("the run does not begin")
}

/// Sends a signal to a host and waits for its end.
fn strike(host: &mut Host, signal: Signal) -> anyhow::Result<()> {
    let pid = Pid::from_raw(host.pid().cast_signed()).context("a process")?;
    poll(PATIENCE, || {
        // A first SIGSEGV may only take the handler away that looks for faults of guests.
        let _ = kill_process(pid, signal);
        std::thread::sleep(std::time::Duration::from_millis(20));
        host.ended()
    })
    .context("it does not die")?;
    Ok(())
}

/// How `infinity audit verify` and the API see the journal: whole, or an error.
fn chain_is_whole(host: &Host) -> anyhow::Result<()> {
    let verified = host.json("/v1/audit/verification")?;
    ensure!(verified["broken"].is_null(), "{verified}");
    Ok(())
}

/// Runs SQL on the database of a state folder, as somebody else does who can write to the file.
#[tokio::main(flavor = "current_thread")]
async fn tamper(state: &Path, sql: &str) -> anyhow::Result<()> {
    let options = SqliteConnectOptions::new().filename(state.join("infinity.db"));
    let mut connection = SqliteConnection::connect_with(&options).await?;
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(&mut connection)
        .await?;
    connection.close().await?;
    Ok(())
}

/// The one number that a query finds in the database of a state folder.
fn number(state: &Path, sql: &str) -> anyhow::Result<i64> {
    let rows = rows(state, sql)?;
    let row = rows.first().context("a row")?;
    Ok(row.try_get(0)?)
}

/// The rows that a query finds in the database of a state folder.
#[tokio::main(flavor = "current_thread")]
async fn rows(state: &Path, sql: &str) -> anyhow::Result<Vec<sqlx::sqlite::SqliteRow>> {
    let options = SqliteConnectOptions::new()
        .filename(state.join("infinity.db"))
        .read_only(true);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let rows = sqlx::query(AssertSqlSafe(sql.to_owned()))
        .fetch_all(&mut connection)
        .await?;
    connection.close().await?;
    Ok(rows)
}

/// Says that a fault cannot be made on this machine. In CI it has to be.
#[expect(
    clippy::print_stderr,
    reason = "whoever reads the output should know what was not tested"
)]
fn skipped(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "{why}");
    eprintln!("skipped: {why}");
}
