//! A wall clock that is set while the host runs. Its other clock, which measures time, goes on: nobody can set that.

use crate::shim::{Shim, pairs};
use crate::{chain_is_whole, ended, folder, number, ok, rows, running, start};
use anyhow::{Context as _, ensure};
use infinity_tests::host::{Host, PATIENCE, poll};
use infinity_tests::soak::figure;
use serde_json::json;
use sqlx::Row as _;
use std::fmt::Write as _;
use std::time::Duration;

const DAY: i64 = 24 * 3600;

const TABLES: &str = "limits = { time = \"20s\" }\n\
    [agents.hourly]\nplugin = \"noop\"\nevery = \"1h\"\n\
    [agents.tick]\nplugin = \"noop\"\nevery = \"1s\"\n";

/// Moments of `hourly` that fired and that were missed.
fn counted(host: &Host) -> anyhow::Result<(i64, i64)> {
    let count = |result: &str| {
        let sql = format!(
            "SELECT coalesce(sum(moments), 0) FROM occurrences WHERE agent = 'hourly' AND result = '{result}'"
        );
        number(&host.path().join("var"), &sql)
    };
    Ok((count("fired")?, count("missed")?))
}

/// Waits for a run of `tick` that starts after now.
fn ticks(host: &Host) -> anyhow::Result<()> {
    let count = || {
        number(
            &host.path().join("var"),
            "SELECT count(*) FROM runs WHERE agent = 'tick'",
        )
    };
    let before = count()?;
    poll(PATIENCE, || (count().ok()? > before).then_some(()))
        .with_context(|| format!("it ticks no more: {}", host.log()))
}

#[test]
fn f16_a_clock_that_is_put_forward_ends_no_run_and_starts_one_for_all_that_was_missed()
-> anyhow::Result<()> {
    let Some(shim) = Shim::new()? else {
        return Ok(());
    };
    let environment = shim.environment()?;
    let host = folder("", TABLES)?.serve_with(&pairs(&environment))?;
    poll(PATIENCE, || (counted(&host).ok()?.0 == 1).then_some(()))
        .context("the first moment does not come")?;
    ticks(&host)?;
    for (days, hours) in [(1, 24), (3653, 3653 * 24)] {
        let before = counted(&host)?;
        let run = start(&host, "guests", &json!({ "case": "sleep", "ms": 4000 }))?;
        running(&host, &run)?;
        shim.clock_ahead(if days == 1 { DAY } else { DAY + 3653 * DAY })?;
        // A run's time is measured, and not by this clock.
        let run = ended(&host, &run)?;
        ensure!(run["outcome"] == "succeeded", "{days} days: {run}");
        let took = run["usage"]["wall_us"].as_u64().context("a time")?;
        ensure!((3_000_000..20_000_000).contains(&took), "{run}");
        poll(PATIENCE, || {
            let now = counted(&host).ok()?;
            let (fired, missed) = (now.0 - before.0, now.1 - before.1);
            (fired == 1 && fired + missed >= hours - 1 && fired + missed <= hours + 1).then_some(())
        })
        .with_context(|| {
            format!(
                "{days} days are not made up for once: {before:?}, then {:?}",
                counted(&host)
            )
        })?;
        ticks(&host)?;
        chain_is_whole(&host)?;
    }
    // And back.
    shim.clock_ahead(0)?;
    ensure!(
        host.run("guests", &ok())?["outcome"] == "succeeded",
        "a run"
    );
    ticks(&host)?;
    chain_is_whole(&host)?;
    ensure!(
        host.json("/health")?["status"] == "ok",
        "{}",
        host.json("/health")?
    );
    Ok(())
}

#[test]
fn f16_a_clock_that_is_set_lets_nobody_in_who_was_kept_out() -> anyhow::Result<()> {
    let Some(shim) = Shim::new()? else {
        return Ok(());
    };
    let environment = shim.environment()?;
    let proxies = "trusted_proxies = [\"127.0.0.1\"]";
    let host = folder(proxies, "")?.serve_with(&pairs(&environment))?;
    let admin = host.folder().key(&["root", "--role", "admin"])?;
    let short = host
        .folder()
        .key(&["short", "--role", "viewer", "--expires", "1h"])?;
    let ask = |host: &Host, key: &str| -> anyhow::Result<u16> {
        let request = host.client().get(host.url("/v1/runs")).bearer_auth(key);
        let request = request.header("x-forwarded-for", "203.0.113.9");
        Ok(request.send()?.status().as_u16())
    };
    ensure!(ask(&host, &short)? == 200, "a key");
    shim.clock_ahead(2 * 3600)?;
    // The host goes by the time that passed since it started; one that starts now goes by this clock, and is not told otherwise by setting it back.
    let host = host.kill_and_restart_with(&pairs(&environment))?;
    let status = ask(&host, &short)?;
    ensure!(status == 401, "{status} after its time");
    shim.clock_ahead(0)?;
    let status = ask(&host, &short)?;
    ensure!(status == 401, "{status} once the clock is put back");
    ensure!(ask(&host, &admin)? == 200, "one without an end");
    // Failures until the client is locked out.
    for _ in 0..30 {
        ask(&host, "inf_no_key_at_all")?;
    }
    ensure!(ask(&host, &admin)? != 200, "nobody is locked out");
    // A lockout lasts minutes that pass, and no clock that is put forward or back ends it.
    for ahead in [DAY, 3653 * DAY, 0] {
        shim.clock_ahead(ahead)?;
        ensure!(ask(&host, &admin)? != 200, "{ahead}: the lockout is over");
    }
    Ok(())
}

#[test]
fn f46_five_thousand_schedules_at_midnight_all_run_once() -> anyhow::Result<()> {
    const AGENTS: usize = 5_000;
    const PLACES: i32 = 8;
    let Some(shim) = Shim::new()? else {
        return Ok(());
    };
    let mut tables = String::new();
    for number in 0..AGENTS {
        write!(
            tables,
            "[agents.a{number}]\nplugin = \"noop\"\ncron = \"0 0 * * *\"\ntz = \"UTC\"\njitter = \"5s\"\n"
        )?;
    }
    let environment = shim.environment()?;
    let limits = format!("concurrency = {PLACES}\nconcurrency_max = {PLACES}");
    let host = folder(&limits, &tables)?.serve_with(&pairs(&environment))?;
    // Five seconds before the next midnight of the wall clock.
    let now = jiff::Timestamp::now().as_second();
    shim.clock_ahead(DAY - now.rem_euclid(DAY) - 5)?;
    let ended = poll(PATIENCE * 5, || {
        let state = host.path().join("var");
        let sql = "SELECT count(*) FROM runs WHERE trigger_kind = 'cron' AND outcome = 'succeeded'";
        std::thread::sleep(Duration::from_millis(100));
        (number(&state, sql).ok()? >= i64::try_from(AGENTS).ok()?).then_some(())
    });
    let count = |sql: &str| number(&host.path().join("var"), sql);
    let runs = count("SELECT count(*) FROM runs WHERE trigger_kind = 'cron'")?;
    let fired = count("SELECT count(*) FROM occurrences WHERE result = 'fired'")?;
    let agents = count("SELECT count(DISTINCT agent) FROM occurrences WHERE result = 'fired'")?;
    let every = i64::try_from(AGENTS)?;
    ensure!(
        ended.is_some() && (runs, fired, agents) == (every, every, every),
        "{runs} runs, {fired} moments of {agents} agents"
    );
    // By their rows: a run is over when its guest is, and in the status until its row says so.
    let state = host.path().join("var");
    let mut steps: Vec<(i64, i32)> = Vec::new();
    for row in rows(
        &state,
        "SELECT started_at, ended_at FROM runs WHERE trigger_kind = 'cron'",
    )? {
        steps.extend([(row.try_get(0)?, 1), (row.try_get(1)?, -1)]);
    }
    steps.sort_unstable();
    let mut now = 0;
    let mut most = 0;
    for (_, step) in steps {
        now += step;
        most = most.max(now);
    }
    ensure!(most <= PLACES, "{most} at once");
    chain_is_whole(&host)?;
    figure("schedules at one moment", AGENTS, "each ran once");
    Ok(())
}
