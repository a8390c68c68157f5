//! Processes that end when nobody asked them to.

use crate::{chain_is_whole, ended, folder, look, number, ok, running, start, strike};
use anyhow::{Context as _, ensure};
use infinity_tests::host::{Host, PATIENCE, component, poll};
use infinity_tests::soak::{count, figure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

#[test]
fn f01_what_may_run_once_is_not_tried_again_after_a_kill() -> anyhow::Result<()> {
    let rest =
        "retries = 0\n[agents.again]\nplugin = \"guests\"\nretries = 2\nretry_delay = \"100ms\"\n";
    let mut host = folder("concurrency = 4", rest)?.serve()?;
    let sleep = json!({ "case": "sleep", "ms": 4000 });
    let once = start(&host, "guests", &sleep)?;
    let again = start(&host, "again", &sleep)?;
    for run in [&once, &again] {
        running(&host, run)?;
    }
    strike(&mut host, Signal::KILL)?;
    let host = host.kill_and_restart()?;
    for run in [&once, &again] {
        let run = ended(&host, run)?;
        ensure!(run["outcome"] == "lost", "{run}");
    }
    let of = |agent: &str| -> Option<Vec<Value>> {
        let runs = host.json(&format!("/v1/runs?agent={agent}")).ok()?;
        Some(runs["items"].as_array()?.clone())
    };
    let second = poll(PATIENCE, || {
        of("again")?.into_iter().find(|run| run["attempt"] == 2)
    })
    .context("it is not tried again")?;
    ensure!(
        second["idempotency_key"] == again["idempotency_key"],
        "{second}"
    );
    ensure!(ended(&host, &second)?["outcome"] == "succeeded", "{second}");
    let runs = of("guests").context("a list")?;
    ensure!(runs.len() == 1, "{runs:?}");
    chain_is_whole(&host)
}

#[test]
fn f06_what_does_not_end_in_time_is_cancelled_when_the_host_stops() -> anyhow::Result<()> {
    let limits = "limits = { time = \"5m\" }\n";
    let host = folder("", limits)?.serve()?;
    let run = start(&host, "guests", &json!({ "case": "sleep_forever" }))?;
    running(&host, &run)?;
    let began = Instant::now();
    let pid = Pid::from_raw(host.pid().cast_signed()).context("a process")?;
    kill_process(pid, Signal::TERM)?;
    let mut host = host;
    let status = poll(PATIENCE, || host.ended()).context("it does not stop")?;
    let took = began.elapsed();
    ensure!(status.code() == Some(0), "{status}: {}", host.log());
    ensure!(
        (Duration::from_secs(25)..Duration::from_secs(45)).contains(&took),
        "{took:?}"
    );
    let host = host.kill_and_restart()?;
    let run = look(&host, &run)?;
    ensure!(run["outcome"] == "cancelled", "{run}");
    chain_is_whole(&host)
}

/// What compiles for a host.
fn compiler(host: &Host) -> Option<Pid> {
    let parent = format!("PPid:\t{}\n", host.pid());
    fs::read_dir("/proc").ok()?.flatten().find_map(|process| {
        let line = fs::read(process.path().join("cmdline")).ok()?;
        let status = fs::read_to_string(process.path().join("status")).ok()?;
        let is =
            String::from_utf8_lossy(&line).contains("compile-worker") && status.contains(&parent);
        let pid: i32 = process.file_name().to_str()?.parse().ok()?;
        is.then(|| Pid::from_raw(pid)).flatten()
    })
}

#[test]
fn f42_a_compiler_that_is_killed_costs_its_component_and_nothing_else() -> anyhow::Result<()> {
    let host = folder("", "")?.serve()?;
    let put = |name: &str| -> anyhow::Result<()> {
        let (from, beside) = (component("policy"), host.path().join("dist/new"));
        fs::copy(from, &beside)?;
        Ok(fs::rename(
            beside,
            host.path().join(format!("dist/{name}.wasm")),
        )?)
    };
    put("dropped")?;
    let pid = poll(PATIENCE, || compiler(&host)).context("nothing is compiled")?;
    // As the kernel does to the largest when memory is short.
    kill_process(pid, Signal::KILL)?;
    let told = |text: &str| {
        let agent = host.json("/v1/agents/dropped").ok()?;
        agent.to_string().contains(text).then_some(agent)
    };
    poll(PATIENCE, || told("the child was killed")).with_context(|| host.log())?;
    ensure!(
        host.run("guests", &ok())?["outcome"] == "succeeded",
        "a run"
    );
    // Put there again it is compiled again.
    fs::remove_file(host.path().join("dist/dropped.wasm"))?;
    poll(PATIENCE, || {
        let status = host.get("/v1/plugins/dropped").ok()?.status();
        (status == 404).then_some(())
    })
    .context("it is still listed")?;
    put("dropped")?;
    poll(PATIENCE * 3, || {
        let agent = host.json("/v1/agents/dropped").ok()?;
        (!agent.to_string().contains("the child was killed")).then_some(())
    })
    .context("it is not taken")?;
    chain_is_whole(&host)
}

#[test]
fn f58_a_host_that_crashes_is_restarted_and_tries_its_runs_again() -> anyhow::Result<()> {
    let crashes = count(6, 200);
    // Room for those of earlier crashes, too.
    let keys = "retry_delay = \"100ms\"\nconcurrency = 32\n";
    let mut host = folder("concurrency = 32\nconcurrency_max = 64", keys)?.serve()?;
    let mut begun: Vec<Value> = Vec::new();
    for crash in 0..crashes {
        for number in 0..3 {
            let input = json!({ "case": "sleep", "ms": 1500, "number": number });
            begun.push(start(&host, "guests", &input)?);
        }
        running(&host, begun.last().context("a run")?)?;
        let signal = [Signal::SEGV, Signal::ABORT, Signal::BUS, Signal::KILL];
        strike(&mut host, signal[crash % signal.len()])?;
        // What its service manager does.
        host = host.kill_and_restart()?;
    }
    let mut ends = [0_u64; 2];
    for run in &begun {
        let first = ended(&host, run)?;
        let key = first["idempotency_key"].as_str().context("a key")?;
        match first["outcome"].as_str() {
            Some("succeeded") => ends[0] += 1,
            Some("lost") => {
                ends[1] += 1;
                poll(PATIENCE, || {
                    let path = "/v1/runs?agent=guests&outcome=succeeded&limit=500";
                    let runs = host.json(path).ok()?;
                    let found = runs["items"].as_array()?.iter();
                    let found = found.filter(|run| run["idempotency_key"] == key).count();
                    (found == 1).then_some(())
                })
                .with_context(|| format!("a lost run has no second end: {first}"))?;
            }
            _ => anyhow::bail!("{first}"),
        }
    }
    ensure!(ends[1] > 0, "no run was lost");
    chain_is_whole(&host)?;
    figure(
        "crashes of the host by signals of memory faults",
        crashes,
        &format!(
            "{} runs ended, {} were lost and ended at another attempt",
            ends[0], ends[1]
        ),
    );
    Ok(())
}

/// How many files are in a folder and below.
fn files(folder: &Path) -> anyhow::Result<usize> {
    let mut sum = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sum += files(&entry.path())?;
        } else {
            sum += 1;
        }
    }
    Ok(sum)
}

#[test]
fn f04_files_that_a_kill_cut_off_are_whole_or_not_there() -> anyhow::Result<()> {
    let kills: u64 = count(6, 100);
    let mut host = folder("concurrency = 4", "")?.serve()?;
    let mut kept: Vec<(Value, usize)> = Vec::new();
    for kill in 0..kills {
        let url = host.url("/v1/agents/guests/runs?wait=60s");
        let written = AtomicUsize::new(0);
        let acknowledged = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..3)
                .map(|writer| {
                    let (url, client, written) = (&url, host.client(), &written);
                    scope.spawn(move || {
                        let mut done = Vec::new();
                        for number in 0.. {
                            // Each its own bytes: files are named by what is in them.
                            let bytes = 20_000
                                + usize::try_from(kill).unwrap_or(0) * 500
                                + writer * 100
                                + number % 100;
                            let input =
                                json!({ "case": "artifact", "name": "a.bin", "bytes": bytes });
                            let Ok(answer) = client.post(url).json(&input).send() else {
                                break;
                            };
                            let Ok(run) = answer.json::<Value>() else {
                                break;
                            };
                            if run["outcome"] == "succeeded" {
                                done.push((run, bytes));
                                written.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                        done
                    })
                })
                .collect();
            // However busy the machine is: in the middle of it.
            poll(PATIENCE, || {
                (written.load(Ordering::Relaxed) > 2).then_some(())
            });
            std::thread::sleep(Duration::from_millis(kill * 83 % 400));
            let pid = Pid::from_raw(host.pid().cast_signed());
            let struck = pid.map(|pid| kill_process(pid, Signal::KILL));
            let done: Vec<_> = writers
                .into_iter()
                .flat_map(|writer| writer.join().unwrap_or_default())
                .collect();
            struck.context("a process")??;
            anyhow::Ok(done)
        })?;
        kept.extend(acknowledged);
        host = host.kill_and_restart()?;
    }
    ensure!(kept.len() > 10, "hardly anything was written");
    // What no row names goes.
    let state = host.path().join("var");
    poll(PATIENCE, || {
        let named = number(&state, "SELECT count(DISTINCT digest) FROM artifacts").ok()?;
        (files(&state.join("artifacts")).ok()? == usize::try_from(named).ok()?).then_some(())
    })
    .context("files are left that nobody has")?;
    for (run, bytes) in &kept {
        let id = run["id"].as_str().context("an id")?;
        let path = format!("/v1/runs/{id}/artifacts/a.bin");
        let got = host.get(&path)?.bytes()?;
        ensure!(
            got.len() == *bytes,
            "{} of {bytes} bytes of {path}",
            got.len()
        );
    }
    figure(
        "kills of a host that writes files",
        kills,
        &format!("{} files whole", kept.len()),
    );
    Ok(())
}

#[test]
fn f04_a_component_that_is_copied_in_parts_is_taken_once_it_is_whole() -> anyhow::Result<()> {
    let host = folder("", "")?.serve()?;
    let whole = fs::read(component("test_guests"))?;
    let place = host.path().join("dist/dropped.wasm");
    let half = whole.len() / 2;
    fs::write(&place, &whole[..half])?;
    let refused = |host: &Host| {
        poll(PATIENCE, || {
            let plugin = host.json("/v1/plugins/dropped").ok()?;
            (plugin["status"] == "refused" && plugin["problem"].is_string()).then_some(())
        })
        .context("half of it is not refused")
    };
    refused(&host)?;
    ensure!(
        host.run("guests", &ok())?["outcome"] == "succeeded",
        "a run"
    );
    let host = host.kill_and_restart()?;
    refused(&host)?;
    ensure!(
        host.run("guests", &ok())?["outcome"] == "succeeded",
        "a run"
    );
    let mut file = fs::OpenOptions::new().append(true).open(&place)?;
    file.write_all(&whole[half..])?;
    drop(file);
    let run = poll(PATIENCE, || {
        let run = host.run("dropped", &ok()).ok()?;
        (run["outcome"] == "succeeded").then_some(run)
    });
    ensure!(run.is_some(), "it is not taken");
    Ok(())
}
