//! What is left of runs when the program is killed, stopped or started twice.

use crate::{cancel, folder, host, id, kept, look, ok, start};
use anyhow::Context as _;
use infinity_tests::host::{PATIENCE, poll};
use infinity_tests::soak::{count, figure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, SqliteConnection};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// What a run's row says.
#[tokio::main(flavor = "current_thread")]
async fn state_of(folder: &Path, run: Uuid) -> anyhow::Result<String> {
    let options = SqliteConnectOptions::new()
        .filename(folder.join("var/infinity.db"))
        .read_only(true);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    Ok(sqlx::query_scalar("SELECT state FROM runs WHERE id = ?")
        .bind(&run.as_bytes()[..])
        .fetch_one(&mut connection)
        .await?)
}

#[test]
fn a_kill_loses_nothing_that_was_acknowledged() -> anyhow::Result<()> {
    let host = folder("concurrency = 1", "")?.serve()?;
    let mut ended = Vec::new();
    for number in 0..10 {
        ended.push(host.run("guests", &json!({ "case": "ok", "number": number }))?);
    }
    let stored = host.run(
        "guests",
        &json!({ "case": "artifact", "name": "a.txt", "bytes": 100 }),
    )?;
    let running = start(&host, "guests", &json!({ "case": "sleep_forever" }))?;
    let listed = host.json("/v1/runs?state=running")?;
    assert_eq!(listed["items"][0]["id"], running["id"]);
    // The API knows before the row does, and the row is what is left of it.
    let row = Uuid::parse_str(id(&running)?)?;
    poll(PATIENCE, || {
        (state_of(host.path(), row).ok()? == "running").then_some(())
    })
    .context("it is not recorded as running")?;
    let mut queued = Vec::new();
    for number in 0..10 {
        queued.push(start(
            &host,
            "guests",
            &json!({ "case": "ok", "number": number }),
        )?);
    }

    let host = host.kill_and_restart()?;
    for run in &ended {
        assert_eq!(kept(&look(&host, run)?), kept(run));
        assert_eq!(host.report(run)?["passed"], true);
    }
    let bytes = host
        .get(&format!("/v1/runs/{}/artifacts/a.txt", id(&stored)?))?
        .bytes()?;
    assert_eq!(bytes.len(), 100);
    let lost = poll(PATIENCE, || {
        look(&host, &running)
            .ok()
            .filter(|run| run["state"] == "ended")
    })
    .context("the run that was cut short does not end")?;
    assert_eq!(lost["outcome"], "lost", "{lost}");
    // What the host lost it tries again: the same trigger, one attempt on.
    let again = poll(PATIENCE, || {
        let runs = host.json("/v1/runs?state=running").ok()?;
        Some(runs["items"][0].clone()).filter(|run| run["attempt"] == 2)
    })
    .context("the run that was cut short is not tried again")?;
    assert_eq!(again["idempotency_key"], lost["idempotency_key"]);
    assert_eq!(cancel(&host, &again)?.status(), 200);
    for run in &queued {
        let run = poll(PATIENCE, || {
            look(&host, run).ok().filter(|run| run["state"] == "ended")
        })
        .context("a run that waited does not run")?;
        assert_eq!(run["outcome"], "succeeded", "{run}");
        assert_eq!(host.report(&run)?["output"]["run_id"], run["id"]);
    }
    // Every run once, and every end announced once.
    let runs = host.json("/v1/runs?limit=500")?;
    assert_eq!(runs["items"].as_array().map(Vec::len), Some(23));
    let events = host.json("/v1/events?limit=500&type=run.*")?;
    let ends = events["items"].as_array().context("events")?.iter();
    let ends = ends.filter(|event| event["type"] != "run.started").count();
    assert_eq!(ends, 23, "{events}");
    assert_eq!(
        host.json("/v1/events?type=run.lost")?["items"][0]["subject"],
        running["id"]
    );
    // The key of a run that is over is still known.
    assert_eq!(host.run("guests", &ok())?["outcome"], "succeeded");
    Ok(())
}

#[test]
fn a_single_command_after_a_kill_leaves_what_waits_to_the_next_host() -> anyhow::Result<()> {
    let host = folder("concurrency = 1", "")?.serve()?;
    let running = start(&host, "guests", &json!({ "case": "sleep_forever" }))?;
    let row = Uuid::parse_str(id(&running)?)?;
    poll(PATIENCE, || {
        (state_of(host.path(), row).ok()? == "running").then_some(())
    })
    .context("it is not recorded as running")?;
    let queued = start(&host, "guests", &json!({ "case": "ok" }))?;
    let pid = Pid::from_raw(host.pid().cast_signed()).context("a process")?;
    kill_process(pid, Signal::KILL)?;
    let listed = poll(PATIENCE, || {
        let said = host.folder().infinity(&["--json", "runs"]).ok()?;
        serde_json::from_slice::<Value>(&said.stdout).ok()
    })
    .context("the command does not answer")?;
    let of = |id: &Value| {
        let items = listed["items"].as_array()?;
        items.iter().find(|run| run["id"] == *id).cloned()
    };
    assert_eq!(of(&queued["id"]).context("the run")?["state"], "queued");
    assert_eq!(of(&running["id"]).context("the run")?["outcome"], "lost");

    let host = host.kill_and_restart()?;
    let again = poll(PATIENCE, || {
        let runs = host.json("/v1/runs?state=running").ok()?;
        Some(runs["items"][0].clone()).filter(|run| run["attempt"] == 2)
    })
    .context("the run that was cut short is not tried again")?;
    assert_eq!(cancel(&host, &again)?.status(), 200);
    let ended = poll(PATIENCE, || {
        look(&host, &queued)
            .ok()
            .filter(|run| run["state"] == "ended")
    })
    .context("the run that waited does not run")?;
    assert_eq!(ended["outcome"], "succeeded", "{ended}");
    Ok(())
}

/// Clients start runs while the host is killed at random instants: what was acknowledged ends once.
#[test]
fn every_acknowledged_start_ends_once_however_often_the_host_is_killed() -> anyhow::Result<()> {
    let kills = count(8, 1_000);
    let mut host = folder("concurrency = 4", "")?.serve()?;
    let mut acknowledged = Vec::new();
    for kill in 0..kills {
        let url = host.url("/v1/agents/guests/runs");
        let killed = AtomicBool::new(false);
        let instant = Duration::from_millis(20 + kill * 37 % 300);
        let runs = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..3)
                .map(|_| {
                    let (url, client, killed) = (&url, host.client(), &killed);
                    scope.spawn(move || {
                        let mut runs = Vec::new();
                        for number in 0.. {
                            if killed.load(Ordering::Relaxed) {
                                break;
                            }
                            let case = if number % 5 == 4 { "sleep" } else { "ok" };
                            let input = json!({ "case": case, "ms": 50 });
                            let Ok(answer) = client.post(url).json(&input).send() else {
                                continue;
                            };
                            if answer.status() == 201
                                && let Ok(run) = answer.json::<Value>()
                            {
                                runs.push(run["id"].clone());
                            }
                        }
                        runs
                    })
                })
                .collect();
            std::thread::sleep(instant);
            let pid = Pid::from_raw(host.pid().cast_signed());
            let sent = pid.map(|pid| kill_process(pid, Signal::KILL));
            killed.store(true, Ordering::Relaxed);
            let runs: Vec<Value> = clients
                .into_iter()
                .flat_map(|client| client.join().unwrap_or_default())
                .collect();
            sent.context("the host has no process")??;
            anyhow::Ok(runs)
        })?;
        acknowledged.extend(runs);
        host = host.kill_and_restart()?;
    }
    anyhow::ensure!(acknowledged.len() > 10, "hardly anything was started");
    poll(PATIENCE, || {
        let listed = host.json("/v1/runs?state=queued").ok()?;
        let running = host.json("/v1/runs?state=running").ok()?;
        (listed["items"] == json!([]) && running["items"] == json!([])).then_some(())
    })
    .context("not every run ends")?;
    let mut ends: BTreeMap<String, u64> = BTreeMap::new();
    for id in &acknowledged {
        let run = host.json(&format!("/v1/runs/{}", id.as_str().unwrap_or_default()))?;
        anyhow::ensure!(run["state"] == "ended", "{run}");
        let outcome = run["outcome"].as_str().unwrap_or_default().to_owned();
        anyhow::ensure!(outcome == "succeeded" || outcome == "lost", "{run}");
        *ends.entry(outcome).or_default() += 1;
    }
    // Each end was announced once: the events of all pages, by run.
    let mut announced: BTreeMap<String, u64> = BTreeMap::new();
    let mut path = "/v1/events?limit=500".to_owned();
    loop {
        let page = host.json(&path)?;
        let items = page["items"].as_array().context("a page")?;
        if items.is_empty() {
            break;
        }
        for event in items {
            let subject = event["subject"].as_str().unwrap_or_default().to_owned();
            *announced.entry(subject).or_default() += 1;
        }
        let next = page["next"].as_str().context("a cursor")?;
        path = format!("/v1/events?limit=500&cursor={next}");
    }
    for id in &acknowledged {
        let times = announced.get(id.as_str().unwrap_or_default());
        anyhow::ensure!(
            times == Some(&1),
            "the end of {id} was announced {times:?} times"
        );
    }
    // And recorded once, in a journal that is whole.
    let verified = host.json("/v1/audit/verification")?;
    anyhow::ensure!(verified["broken"].is_null(), "{verified}");
    for id in acknowledged.iter().rev().take(50) {
        let id = id.as_str().unwrap_or_default();
        let path = format!("/v1/audit/actions?action=run.ended&resource={id}");
        let found = host.json(&path)?;
        let records = found["items"].as_array().context("records")?.len();
        anyhow::ensure!(
            records == 1,
            "the end of {id} is in the journal {records} times"
        );
    }
    figure(
        "kills of the host under load",
        kills,
        &format!("{} acknowledged starts, ends: {ends:?}", acknowledged.len()),
    );
    Ok(())
}

#[test]
fn a_key_is_remembered_over_a_kill() -> anyhow::Result<()> {
    let mut host = host()?;
    let mut first = Value::Null;
    for round in 0..3 {
        let response = host
            .client()
            .post(host.url("/v1/agents/guests/runs?wait=60s"))
            .header("idempotency-key", "once")
            .json(&ok())
            .send()?;
        assert_eq!(response.status(), if round == 0 { 201 } else { 200 });
        let run: Value = serde_json::from_str(&response.text()?)?;
        if round == 0 {
            first = run;
        } else {
            assert_eq!(kept(&run), kept(&first));
        }
        host = host.kill_and_restart()?;
    }
    assert_eq!(
        host.json("/v1/runs")?["items"].as_array().map(Vec::len),
        Some(1)
    );
    Ok(())
}

#[test]
fn two_hosts_cannot_share_a_folder() -> anyhow::Result<()> {
    let host = host()?;
    let began = Instant::now();
    let output = host.folder().infinity(&["serve"])?;
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr)?;
    assert!(text.contains(&format!("process {}", host.pid())), "{text}");
    assert!(text.contains("hint: "), "{text}");
    // The first one is not disturbed.
    assert_eq!(host.run("guests", &ok())?["outcome"], "succeeded");
    Ok(())
}

#[test]
fn a_stop_lets_runs_end_keeps_what_waits_and_exits_with_0() -> anyhow::Result<()> {
    let host = folder("concurrency = 1", "")?.serve()?;
    let running = start(&host, "guests", &json!({ "case": "sleep", "ms": 1500 }))?;
    poll(PATIENCE, || {
        (look(&host, &running).ok()?["state"] == "running").then_some(())
    })
    .context("it does not start")?;
    let queued = start(&host, "guests", &ok())?;
    let began = Instant::now();
    let (status, folder) = host.stop_and_keep()?;
    assert_eq!(status.code(), Some(0), "{status}");
    assert!(
        began.elapsed() < Duration::from_secs(25),
        "{:?}",
        began.elapsed()
    );

    let host = folder.serve()?;
    let running = look(&host, &running)?;
    assert_eq!(running["outcome"], "succeeded", "{running}");
    let queued = poll(PATIENCE, || {
        look(&host, &queued)
            .ok()
            .filter(|run| run["state"] == "ended")
    })
    .context("a run that waited does not run")?;
    assert_eq!(queued["outcome"], "succeeded", "{queued}");
    assert_eq!(
        host.json("/v1/runs")?["items"].as_array().map(Vec::len),
        Some(2)
    );
    Ok(())
}

#[test]
fn a_host_that_stops_takes_no_new_runs() -> anyhow::Result<()> {
    let host = host()?;
    let run = start(&host, "guests", &json!({ "case": "sleep", "ms": 20_000 }))?;
    poll(PATIENCE, || {
        (look(&host, &run).ok()?["state"] == "running").then_some(())
    })
    .context("it does not start")?;
    let pid = Pid::from_raw(i32::try_from(host.pid())?).context("a process id")?;
    kill_process(pid, Signal::TERM)?;
    // A new client finds no listener, a known one a problem.
    let refused = poll(PATIENCE, || start(&host, "guests", &ok()).err());
    let refused = refused.context("it goes on taking runs")?.to_string();
    assert!(!refused.contains(": 500"), "{refused}");
    Ok(())
}

/// Processes that compile for a host whose folder this is.
fn compilers(folder: &Path) -> usize {
    let own = |process: &std::fs::DirEntry| {
        let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        line.contains("compile-worker") && line.contains(&*folder.to_string_lossy())
    };
    std::fs::read_dir("/proc").map_or(0, |processes| {
        processes.flatten().filter(|process| own(process)).count()
    })
}

#[test]
fn who_compiles_for_a_host_ends_with_it() -> anyhow::Result<()> {
    let folder = folder("", "[agents.judge]\nplugin = \"policy\"\n")?;
    folder.component("policy", "policy")?;
    let mut host = folder.command(&["serve"]).spawn()?;
    let began = poll(PATIENCE, || (compilers(folder.path()) > 0).then_some(()));
    host.kill()?;
    host.wait()?;
    began.context("nothing is compiled")?;
    // It would go on for many seconds by itself.
    poll(Duration::from_secs(5), || {
        (compilers(folder.path()) == 0).then_some(())
    })
    .context("it goes on without its host")?;
    Ok(())
}
