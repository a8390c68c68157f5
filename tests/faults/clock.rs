//! A wall clock that is set while the host runs. Its other clock, which measures time, goes on: nobody can set that.

use crate::shim::{Shim, pairs};
use crate::{chain_is_whole, ended, folder, ok, running, start};
use anyhow::{Context as _, ensure};
use infinity_tests::host::{Host, PATIENCE, poll};
use serde_json::{Value, json};

const DAY: i64 = 24 * 3600;

const TABLES: &str = "limits = { time = \"20s\" }\n\
    [agents.hourly]\nplugin = \"noop\"\nevery = \"1h\"\n\
    [agents.tick]\nplugin = \"noop\"\nevery = \"1s\"\n";

/// The ledger of an agent, latest first.
fn ledger(host: &Host, agent: &str) -> Option<Vec<Value>> {
    let list = host
        .json(&format!("/v1/occurrences?agent={agent}&limit=500"))
        .ok()?;
    list["items"].as_array().cloned()
}

fn moments(rows: &[Value], result: &str) -> u64 {
    let rows = rows.iter().filter(|row| row["result"] == result);
    rows.filter_map(|row| row["moments"].as_u64()).sum()
}

/// Waits for a run of `tick` that starts after now.
fn ticks(host: &Host) -> anyhow::Result<()> {
    let count = |host: &Host| {
        let rows = ledger(host, "tick")?;
        let latest = rows.iter().find(|row| row["result"] == "fired")?;
        Some(latest["run"].clone())
    };
    let before = count(host);
    poll(PATIENCE, || {
        let now = count(host)?;
        (Some(&now) != before.as_ref()).then_some(())
    })
    .context("it ticks no more")
}

#[test]
fn f16_a_clock_that_is_put_forward_ends_no_run_and_starts_one_for_all_that_was_missed()
-> anyhow::Result<()> {
    let Some(shim) = Shim::new()? else {
        return Ok(());
    };
    let environment = shim.environment()?;
    let host = folder("", TABLES)?.serve_with(&pairs(&environment))?;
    poll(PATIENCE, || {
        (moments(&ledger(&host, "hourly")?, "fired") == 1).then_some(())
    })
    .context("the first moment does not come")?;
    ticks(&host)?;
    for (days, hours) in [(1, 24), (3653, 3653 * 24)] {
        let before = ledger(&host, "hourly").context("a ledger")?;
        let run = start(&host, "guests", &json!({ "case": "sleep", "ms": 4000 }))?;
        running(&host, &run)?;
        shim.clock_ahead(if days == 1 { DAY } else { DAY + 3653 * DAY })?;
        // A run's time is measured, and not by this clock.
        let run = ended(&host, &run)?;
        ensure!(run["outcome"] == "succeeded", "{days} days: {run}");
        let took = run["usage"]["wall_us"].as_u64().context("a time")?;
        ensure!((3_000_000..20_000_000).contains(&took), "{run}");
        poll(PATIENCE, || {
            let rows = ledger(&host, "hourly")?;
            let fired = moments(&rows, "fired") - moments(&before, "fired");
            let missed = moments(&rows, "missed") - moments(&before, "missed");
            (fired == 1 && fired + missed >= hours - 1 && fired + missed <= hours + 1).then_some(())
        })
        .with_context(|| format!("{days} days are not made up for once: {:?}", ledger(&host, "hourly")))?;
        ticks(&host)?;
        chain_is_whole(&host)?;
    }
    // And back.
    shim.clock_ahead(0)?;
    ensure!(host.run("guests", &ok())?["outcome"] == "succeeded", "a run");
    ticks(&host)?;
    chain_is_whole(&host)?;
    ensure!(host.json("/health")?["status"] == "ok", "{}", host.json("/health")?);
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
    let short = host.folder().key(&["short", "--role", "viewer", "--expires", "1h"])?;
    let ask = |key: &str| -> anyhow::Result<u16> {
        let request = host.client().get(host.url("/v1/runs")).bearer_auth(key);
        let request = request.header("x-forwarded-for", "203.0.113.9");
        Ok(request.send()?.status().as_u16())
    };
    ensure!(ask(&short)? == 200, "{}", ask(&short)?);
    shim.clock_ahead(2 * 3600)?;
    ensure!(ask(&short)? == 401, "it is valid after its time");
    ensure!(ask(&admin)? == 200, "one without an end");
    // Failures until the client is locked out.
    for _ in 0..30 {
        ask("inf_no_key_at_all")?;
    }
    ensure!(ask(&admin)? != 200, "nobody is locked out");
    // A lockout lasts minutes that pass, and no clock that is put forward or back ends it.
    for ahead in [DAY, 3653 * DAY, 0] {
        shim.clock_ahead(ahead)?;
        ensure!(ask(&admin)? != 200, "{ahead}: the lockout is over");
    }
    Ok(())
}
