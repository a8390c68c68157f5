//! Configuration and plugins that change, or break, while the host runs.

use crate::{chain_is_whole, ended, folder, noop, ok, start};
use anyhow::{Context as _, ensure};
use infinity_tests::host::{Host, PATIENCE, component, poll};
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;

/// Whether health names the configuration.
fn is_degraded(host: &Host) -> Option<bool> {
    let health = host.json("/health").ok()?;
    let names = health["degraded"].as_array()?;
    Some(names.iter().any(|name| name == "config"))
}

/// Waits until health names the configuration, or does not.
fn expect(host: &Host, degraded: bool, what: &str) -> anyhow::Result<()> {
    poll(PATIENCE, || (is_degraded(host)? == degraded).then_some(())).with_context(|| {
        format!(
            "{what}: degraded {degraded} is not so: {:?}",
            host.json("/health?verbose=true")
        )
    })
}

#[test]
fn f20_a_configuration_that_breaks_while_the_host_runs_changes_nothing() -> anyhow::Result<()> {
    let host = folder("", "")?.serve()?;
    let path = host.path().join("plugins.toml");
    let good = fs::read_to_string(&path)?;
    let aside = host.path().join("plugins.toml.aside");
    let replace = |text: &str| -> anyhow::Result<()> {
        let beside = host.path().join("plugins.toml.new");
        fs::write(&beside, text)?;
        Ok(fs::rename(beside, &path)?)
    };
    let syntax = format!("{good}\n[agents.other\n");
    let unknown = good.replace(
        "plugin = \"guests\"",
        "plugin = \"guests\"\nshedule = \"15m\"",
    );
    let faults: [(&str, &dyn Fn() -> anyhow::Result<()>); 5] = [
        ("a syntax error", &|| replace(&syntax)),
        ("an unknown key in `[host]`", &|| {
            replace(&good.replace("[host]\n", "[host]\nlisen = \"127.0.0.1:1\"\n"))
        }),
        ("no text", &|| Ok(fs::write(&path, [0xff, 0xfe, 0x00])?)),
        ("no file", &|| Ok(fs::rename(&path, &aside)?)),
        ("a directory", &|| {
            fs::remove_file(&path)?;
            Ok(fs::create_dir(&path)?)
        }),
    ];
    for (what, fault) in faults {
        fault()?;
        expect(&host, true, what)?;
        let run = host.run("guests", &ok())?;
        ensure!(run["outcome"] == "succeeded", "{what}: {run}");
        if path.is_dir() {
            fs::remove_dir(&path)?;
        }
        replace(&good)?;
        expect(&host, false, what)?;
    }
    // Where it is wrong is said.
    replace(&syntax)?;
    expect(&host, true, "a syntax error")?;
    let health = host.json("/health?verbose=true")?;
    let line = syntax.lines().count();
    ensure!(
        health["checks"].as_array().is_some_and(|checks| {
            checks.iter().any(|check| {
                check["component"] == "config"
                    && check["detail"]
                        .as_str()
                        .is_some_and(|text| text.contains(&format!("plugins.toml:{line}:")))
            })
        }),
        "{health}"
    );
    // A bad entry costs itself alone, and the next good file applies.
    replace(&format!("{unknown}\n[agents.second]\nplugin = \"noop\"\n"))?;
    poll(PATIENCE, || {
        let run = host.run("second", &Value::Null).ok()?;
        (run["outcome"] == "succeeded").then_some(())
    })
    .context("a bad entry keeps a good one from coming")?;
    replace(&format!("{good}\n[agents.second]\nplugin = \"noop\"\n"))?;
    expect(&host, false, "a good file")?;
    poll(PATIENCE, || {
        (host.run("guests", &ok()).ok()?["outcome"] == "succeeded").then_some(())
    })
    .context("the good file does not apply")?;
    chain_is_whole(&host)
}

#[test]
fn f22_a_plugin_that_is_replaced_again_and_again_costs_no_run() -> anyhow::Result<()> {
    let host = folder("concurrency = 4", "[agents.turn]\nplugin = \"turn\"\n")?;
    let place = |host: &std::path::Path, bytes: &[u8]| -> anyhow::Result<()> {
        let beside = host.join("dist/turn.new");
        fs::write(&beside, bytes)?;
        Ok(fs::rename(beside, host.join("dist/turn.wasm"))?)
    };
    let both = [fs::read(component("test_guests"))?, noop()?];
    place(host.path(), &both[0])?;
    let host = host.serve()?;
    let mut begun = Vec::new();
    let mut digests = std::collections::BTreeSet::new();
    for turn in 1..7 {
        let slow = start(&host, "turn", &json!({ "case": "sleep", "ms": 2500 }))?;
        let before = slow["plugin_digest"].clone();
        place(host.path(), &both[turn % 2])?;
        // Until the new one is taken up, and beyond.
        let taken = poll(PATIENCE, || {
            let run = start(&host, "turn", &json!({ "case": "ok" })).ok()?;
            let digest = run["plugin_digest"].clone();
            begun.push(run);
            std::thread::sleep(Duration::from_millis(20));
            (digest != before).then_some(digest)
        });
        let taken = taken.context("the new component is not taken up")?;
        digests.insert(taken.to_string());
        let slow = ended(&host, &slow)?;
        ensure!(
            slow["outcome"] == "succeeded" && slow["plugin_digest"] == before,
            "{slow}"
        );
    }
    ensure!(digests.len() == 2, "{digests:?}");
    for run in &begun {
        let run = ended(&host, run)?;
        ensure!(run["outcome"] == "succeeded", "{run}");
    }
    chain_is_whole(&host)
}
