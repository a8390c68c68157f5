//! When agents run by themselves, and what the ledger says of it.

use crate::{host, problem};
use anyhow::{Context as _, ensure};
use infinity_tests::host::{Folder, Host, PATIENCE, poll};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, SqliteConnection};
use std::fs;
use std::path::Path;

/// The ledger of an agent, latest first.
fn ledger(host: &Host, agent: &str, more: &str) -> anyhow::Result<Vec<Value>> {
    let list = host.json(&format!("/v1/occurrences?agent={agent}&limit=500{more}"))?;
    list["items"].as_array().cloned().context("a list")
}

/// Waits until the ledger has a row like this one.
fn expect(host: &Host, agent: &str, result: &str, reason: Option<&str>) -> anyhow::Result<Value> {
    poll(PATIENCE, || {
        let rows = ledger(host, agent, &format!("&result={result}")).ok()?;
        rows.into_iter().find(|row| row["reason"] == json!(reason))
    })
    .with_context(|| format!("no row of `{agent}` says {result}, {reason:?}"))
}

fn post(host: &Host, path: &str) -> anyhow::Result<Value> {
    let response = host.client().post(host.url(path)).send()?;
    let status = response.status();
    let text = response.text()?;
    ensure!(status.is_success(), "POST {path}: {status}: {text}");
    Ok(serde_json::from_str(&text)?)
}

/// A folder with an agent for each of these names and further keys, all of the tests' component, which ends at once.
fn agents(agents: &[(&str, &str)]) -> anyhow::Result<Folder> {
    let folder = Folder::new()?;
    folder.component("test_guests", "guests")?;
    folder.bytes("noop", &wat::parse_str(noop())?)?;
    let tables: String = agents
        .iter()
        .map(|(name, keys)| format!("[agents.{name}]\n{keys}\n"))
        .collect();
    folder.config("", &tables)?;
    Ok(folder)
}

fn noop() -> &'static str {
    test_guests::COMPONENTS
        .iter()
        .find(|(name, _)| *name == "noop_agent")
        .map_or("", |(_, text)| *text)
}

#[test]
fn every_moment_of_an_interval_is_in_the_ledger_once() -> anyhow::Result<()> {
    let host = agents(&[("tick", "plugin = \"noop\"\nevery = \"1s\"")])?.serve()?;
    let rows = poll(PATIENCE, || {
        let rows = ledger(&host, "tick", "").ok()?;
        (rows.len() >= 4).then_some(rows)
    })
    .context("it does not tick")?;
    for pair in rows.windows(2) {
        let at = |row: &Value| -> anyhow::Result<jiff::Timestamp> {
            Ok(row["due_at"].as_str().context("a moment")?.parse()?)
        };
        let apart = at(&pair[0])?.duration_since(at(&pair[1])?);
        assert_eq!(apart, jiff::SignedDuration::from_secs(1));
    }
    for row in &rows {
        assert_eq!(row["result"], "fired", "{row}");
        let run = host.json(&format!(
            "/v1/runs/{}",
            row["run"].as_str().unwrap_or("none")
        ))?;
        assert_eq!(run["trigger"], "every");
        assert_eq!(run["scheduled_at"], row["due_at"]);
        // A shared machine may be busy; the bench measures how late it is on one that is not.
        ensure!(
            row["late_us"].as_u64().context("late")? < 5_000_000,
            "{row}"
        );
    }
    let agent = host.json("/v1/agents/tick")?;
    assert_eq!(agent["every_ms"], 1000);
    ensure!(agent["next_at"].is_string(), "{agent}");
    Ok(())
}

#[test]
fn a_calendar_is_kept_over_a_restart() -> anyhow::Result<()> {
    let keys = "plugin = \"noop\"\ncron = \"*/2 * * * * *\"\ntz = \"Asia/Kolkata\"";
    let host = agents(&[("tick", keys)])?.serve()?;
    let fired = |host: &Host, least: usize| {
        poll(PATIENCE, || {
            let rows = ledger(host, "tick", "&result=fired").ok()?;
            (rows.len() >= least).then_some(rows.len())
        })
        .context("it does not tick")
    };
    let before = fired(&host, 2)?;
    let host = host.kill_and_restart()?;
    fired(&host, before + 2)?;
    let rows = ledger(&host, "tick", "")?;
    for pair in rows.windows(2) {
        let at = |field: &Value| -> anyhow::Result<jiff::Timestamp> {
            Ok(field.as_str().context("a moment")?.parse()?)
        };
        // Without a gap and without a double, whatever was missed meanwhile.
        let apart = at(&pair[0]["due_at"])?.duration_since(at(&pair[1]["until"])?);
        assert_eq!(apart, jiff::SignedDuration::from_secs(2), "{rows:#?}");
    }
    assert_eq!(
        host.json("/v1/agents/tick")?["cron"],
        "*/2 * * * * * Asia/Kolkata"
    );
    Ok(())
}

#[test]
fn a_run_that_takes_longer_than_its_interval_shows_in_the_ledger() -> anyhow::Result<()> {
    // A component that never ends by itself.
    let slow = "plugin = \"slow\"\nevery = \"1s\"\nlimits = { time = \"2500ms\" }\nretries = 0\n";
    let folder = agents(&[
        ("skip", slow),
        ("queue", &format!("{slow}overlap = \"queue\"")),
        ("cancel", &format!("{slow}overlap = \"cancel\"")),
        (
            "allow",
            &format!("{slow}overlap = \"allow\"\nconcurrency = 3"),
        ),
    ])?;
    let spin = test_guests::COMPONENTS
        .iter()
        .find(|(name, _)| *name == "start_loop")
        .context("a guest that never ends")?;
    folder.bytes("slow", &wat::parse_str(spin.1)?)?;
    let host = folder.serve()?;
    // First, as an agent whose runs end like these is given a rest after five of them.
    poll(PATIENCE, || {
        let runs = host.json("/v1/runs?agent=allow&state=running").ok()?;
        (runs["items"].as_array()?.len() >= 2).then_some(())
    })
    .context("no two runs overlap")?;
    expect(&host, "skip", "skipped", Some("overlap"))?;
    let taken = expect(&host, "queue", "coalesced", Some("overlap"))?;
    ensure!(taken["moments"].as_u64() >= Some(1), "{taken}");
    expect(&host, "cancel", "fired", None)?;
    poll(PATIENCE, || {
        let runs = host.json("/v1/runs?agent=cancel&outcome=cancelled").ok()?;
        (runs["items"].as_array()?.len() >= 2).then_some(())
    })
    .context("no run was ended by the next moment")?;
    let late = poll(PATIENCE, || {
        ledger(&host, "queue", "&result=fired")
            .ok()?
            .into_iter()
            .find(|row| row["late_us"].as_u64() > Some(500_000))
    });
    ensure!(late.is_some(), "no moment waited");
    Ok(())
}

#[test]
fn what_is_paused_starts_nothing_by_itself_and_stays_so_over_a_restart() -> anyhow::Result<()> {
    let tick = "plugin = \"noop\"\nevery = \"1s\"";
    let host = agents(&[("one", tick), ("two", tick)])?.serve()?;
    expect(&host, "one", "fired", None)?;
    let agent = post(&host, "/v1/agents/one/pause")?;
    assert_eq!(
        (&agent["paused"], &agent["state"]),
        (&json!(true), &json!("paused"))
    );
    expect(&host, "one", "skipped", Some("paused"))?;
    assert_eq!(host.json("/v1/status")?["paused_agents"], json!(["one"]));
    assert_eq!(
        host.json("/v1/events?type=agent.paused")?["items"][0]["subject"],
        "one"
    );
    // Who asks for a run gets it.
    assert_eq!(host.run("one", &Value::Null)?["outcome"], "succeeded");

    let host = host.kill_and_restart()?;
    assert_eq!(host.json("/v1/agents/one")?["paused"], true);
    let fired = ledger(&host, "one", "&result=fired")?.len();
    let skipped = ledger(&host, "one", "&result=skipped")?.len();
    poll(PATIENCE, || {
        (ledger(&host, "one", "&result=skipped").ok()?.len() > skipped + 1).then_some(())
    })
    .context("no further moment is skipped")?;
    assert_eq!(ledger(&host, "one", "&result=fired")?.len(), fired);
    post(&host, "/v1/agents/one/resume")?;
    poll(PATIENCE, || {
        (ledger(&host, "one", "&result=fired").ok()?.len() > fired).then_some(())
    })
    .context("it does not go on")?;

    // Everything: by the API, and by the file.
    let status = post(&host, "/v1/pause")?;
    assert_eq!(
        (&status["paused"], &status["state"]),
        (&json!(true), &json!("paused"))
    );
    ensure!(
        host.path().join("var/pause.flag").exists(),
        "there is no `pause.flag`"
    );
    expect(&host, "two", "skipped", Some("paused"))?;
    fs::remove_file(host.path().join("var/pause.flag"))?;
    assert_eq!(host.json("/v1/status")?["paused"], false);
    fs::write(host.path().join("var/pause.flag"), "")?;
    assert_eq!(host.json("/v1/agents/two")?["state"], "paused");
    assert_eq!(post(&host, "/v1/resume")?["paused"], false);
    ensure!(
        !host.path().join("var/pause.flag").exists(),
        "`pause.flag` is still there"
    );

    let response = host
        .client()
        .post(host.url("/v1/agents/onee/pause"))
        .send()?;
    let body = problem(response, 404, "unknown_agent")?;
    ensure!(
        body["detail"]
            .as_str()
            .is_some_and(|text| text.contains("`one`")),
        "{body}"
    );
    Ok(())
}

/// Writes a row into the ledger of a host that is not running.
#[tokio::main(flavor = "current_thread")]
async fn backdate(folder: &Path, agent: &str, seconds: i64) -> anyhow::Result<()> {
    let options = SqliteConnectOptions::new().filename(folder.join("var/infinity.db"));
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let due = jiff::Timestamp::now().as_microsecond() - seconds * 1_000_000;
    sqlx::query("DELETE FROM occurrences")
        .execute(&mut connection)
        .await?;
    sqlx::query("UPDATE agents SET last_scheduled_at = ?")
        .bind(due)
        .execute(&mut connection)
        .await?;
    sqlx::query(
        "INSERT INTO occurrences (agent, due_at, until, moments, result, recorded_at) VALUES (?, ?, ?, 1, 'skipped', ?)",
    )
    .bind(agent)
    .bind(due)
    .bind(due)
    .bind(due)
    .execute(&mut connection)
    .await?;
    connection.close().await?;
    Ok(())
}

#[test]
fn six_hours_away_are_made_up_for_once_and_each_moment_is_accounted_for() -> anyhow::Result<()> {
    let minutely = "plugin = \"noop\"\nevery = \"1m\"";
    let host = agents(&[("tick", minutely)])?.serve()?;
    expect(&host, "tick", "fired", None)?;
    let (_, folder) = host.stop_and_keep()?;
    backdate(folder.path(), "tick", 6 * 3600 + 20)?;
    let host = folder.serve()?;
    expect(&host, "tick", "fired", None)?;
    let rows = ledger(&host, "tick", "")?;
    let moments = |result: &str| -> u64 {
        rows.iter()
            .filter(|row| row["result"] == result)
            .filter_map(|row| row["moments"].as_u64())
            .sum()
    };
    assert_eq!((moments("fired"), moments("missed")), (1, 359));
    Ok(())
}

#[test]
fn an_unknown_result_is_refused() -> anyhow::Result<()> {
    let host = host()?;
    problem(
        host.get("/v1/occurrences?result=late")?,
        422,
        "invalid_parameter",
    )?;
    problem(
        host.get("/v1/occurrences?cursor=00")?,
        400,
        "invalid_cursor",
    )?;
    Ok(())
}
