//! Another configuration, other plugins, policies and secrets while the host runs: what is taken, what is not, what goes on meanwhile, and the way back.

use crate::notify::Service;
use crate::{cancel, folder, host, look, ok, problem, start};
use anyhow::{Context as _, ensure};
use infinity_tests::host::{Folder, Host, PATIENCE, component, marked, poll};
use infinity_tests::{git, soak};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// A key whose signatures count.
const TRUSTED: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIgERmpDLSlXpO69FQ5Opujlb9O6Bk2tSXWOoIJF4Svz";

/// Puts a file in another's place at once, as editors and deployments do.
fn put(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let temporary = path.with_extension("new");
    fs::write(&temporary, bytes)?;
    fs::rename(temporary, path)?;
    Ok(())
}

fn config(host: &Host) -> anyhow::Result<String> {
    Ok(fs::read_to_string(host.path().join("plugins.toml"))?)
}

fn write(host: &Host, text: &str) -> anyhow::Result<()> {
    put(&host.path().join("plugins.toml"), text.as_bytes())
}

/// Hands a text in.
fn apply(host: &Host, text: &str, query: &str) -> anyhow::Result<reqwest::blocking::Response> {
    Ok(host
        .client()
        .put(host.url(&format!("/v1/config{query}")))
        .json(&json!({ "text": text }))
        .send()?)
}

fn applied(host: &Host, text: &str) -> anyhow::Result<Value> {
    let answer = apply(host, text, "")?;
    let status = answer.status();
    let version: Value = answer.json()?;
    ensure!(status.is_success(), "{status}: {version}");
    Ok(version)
}

/// Waits until the configuration is as it has to be.
fn until(host: &Host, what: &str, holds: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
    let mut last = Value::Null;
    poll(PATIENCE, || {
        last = host.json("/v1/config").ok()?;
        holds(&last).then(|| last.clone())
    })
    .with_context(|| format!("not {what}: {last}"))
}

fn change<'v>(version: &'v Value, agent: &str) -> &'v Value {
    let changes = version["changes"].as_array().map_or(&[][..], Vec::as_slice);
    changes
        .iter()
        .find(|change| change["agent"] == agent)
        .unwrap_or(&Value::Null)
}

/// A run at its end.
fn at_end(host: &Host, run: &Value) -> anyhow::Result<Value> {
    let mut last = Value::Null;
    poll(PATIENCE, || {
        last = look(host, run).ok()?;
        (last["state"] == "ended").then(|| last.clone())
    })
    .with_context(|| format!("it does not end: {last}"))
}

fn runs(host: &Host, agent: &str) -> anyhow::Result<Value> {
    host.run(agent, &ok())
}

#[test]
fn a_mistake_in_an_entry_disables_that_agent_alone() -> anyhow::Result<()> {
    let host = folder("", "[agents.other]\nplugin = \"guests\"\n")?.serve()?;
    let good = config(&host)?;
    write(&host, &format!("{good}\nevrey = \"5m\"\n"))?;
    let status = until(&host, "held", |status| {
        status["held"][0]["agent"] == "other"
    })?;
    assert_eq!(status["held"][0]["state"], "disabled", "{status}");
    assert_eq!(status["problems"], json!([]));
    let said = status["held"][0]["message"].as_str().context("a message")?;
    assert!(
        said.contains("plugins.toml:") && said.contains("evrey") && said.contains("every"),
        "{said}"
    );
    assert_eq!(runs(&host, "guests")?["outcome"], "succeeded");
    let run = runs(&host, "other")?;
    assert_eq!(
        (&run["outcome"], &run["reason"]),
        (&json!("refused"), &json!("config")),
        "{run}"
    );
    write(&host, &good)?;
    until(&host, "mended", |status| status["held"] == json!([]))?;
    assert_eq!(runs(&host, "other")?["outcome"], "succeeded");
    Ok(())
}

#[test]
fn a_repository_that_is_gone_costs_those_who_need_it() -> anyhow::Result<()> {
    let folder = folder(
        "",
        "[agents.reader]\nplugin = \"guests\"\ngrants = { repos = [{ name = \"shop\" }] }\n[repositories.shop]\npath = \"shop\"\n",
    )?;
    git(folder.path(), &["init", "--quiet", "shop"])?;
    let host = folder.serve()?;
    assert_eq!(runs(&host, "reader")?["outcome"], "succeeded");
    fs::rename(host.path().join("shop"), host.path().join("elsewhere"))?;
    let good = config(&host)?;
    write(&host, &format!("{good}\n# look again\n"))?;
    let status = until(&host, "held", |status| {
        let problem = status["problems"][0].as_str().unwrap_or_default();
        status["held"][0]["agent"] == "reader" && problem.contains("repository `shop`")
    })?;
    let said = status["held"][0]["message"].as_str().context("a message")?;
    assert!(
        said.contains("repository `shop` is not a directory"),
        "{said}"
    );
    assert_eq!(runs(&host, "reader")?["reason"], "config");
    assert_eq!(runs(&host, "guests")?["outcome"], "succeeded");
    // A text that is handed in has no mistakes or is not taken.
    problem(apply(&host, &good, "")?, 422, "invalid_config")?;
    fs::rename(host.path().join("elsewhere"), host.path().join("shop"))?;
    write(&host, &good)?;
    until(&host, "mended", |status| {
        status["held"] == json!([]) && status["problems"] == json!([])
    })?;
    assert_eq!(runs(&host, "reader")?["outcome"], "succeeded");
    Ok(())
}

#[test]
fn a_channel_and_a_pipeline_with_mistakes_are_left_out() -> anyhow::Result<()> {
    let host = folder("", "[pipelines.whole]\nsteps = [\"guests\"]\n")?.serve()?;
    let good = config(&host)?;
    let bad = "[channels.ops]\nkind = \"webhook\"\nurl = \"${NO_SUCH_VARIABLE}\"\n[pipelines.broken]\nsteps = [\"nobody\"]\n\
        [channels.fine]\nkind = \"webhook\"\nurl = \"http://127.0.0.1:9/\"\n";
    write(&host, &format!("{good}\n{bad}"))?;
    let status = until(&host, "left out", |status| {
        status["problems"].as_array().map(Vec::len) == Some(2)
    })?;
    let said = status["problems"].to_string();
    assert!(
        said.contains("NO_SUCH_VARIABLE") && said.contains("no agent `nobody`"),
        "{said}"
    );
    assert_eq!(status["held"], json!([]));
    assert_eq!(runs(&host, "guests")?["outcome"], "succeeded");
    let channels = host.json("/v1/integrations")?.to_string();
    assert!(
        channels.contains("fine") && !channels.contains("ops\""),
        "{channels}"
    );
    let health = host.json("/health")?;
    assert!(
        health["degraded"].to_string().contains("config"),
        "{health}"
    );
    let shown = host.folder().infinity(&["config", "status"])?;
    assert_eq!(shown.status.code(), Some(1));
    write(&host, &good)?;
    until(&host, "mended", |status| status["problems"] == json!([]))?;
    Ok(())
}

#[test]
fn alerts_and_backups_go_by_other_numbers_at_once() -> anyhow::Result<()> {
    let host = host()?;
    let good = config(&host)?;
    let more = "[alerts]\nevery = \"1s\"\n[alerts.rules.disk_high]\nabove = 0\nfor = \"0s\"\n[backup]\nto = \"copies\"\n";
    let version = applied(&host, &format!("{good}\n{more}"))?;
    assert_eq!(version["restart"], json!([]), "{version}");
    let firing = |host: &Host| -> Option<bool> {
        let alerts = host.json("/v1/alerts?state=firing").ok()?;
        let mut items = alerts["items"].as_array()?.iter();
        Some(items.any(|alert| alert["rule"] == "disk_high"))
    };
    poll(PATIENCE, || firing(&host).filter(|fires| *fires)).context("it does not fire")?;
    poll(PATIENCE, || {
        let list = host.json("/v1/backups").ok()?;
        (!list["items"].as_array()?.is_empty()).then_some(())
    })
    .context("no backup is made")?;
    // A rule that is off does not fire any more.
    applied(
        &host,
        &format!("{good}\n[alerts]\nevery = \"1s\"\ndisabled = [\"disk_high\"]\n"),
    )?;
    poll(PATIENCE, || firing(&host).filter(|fires| !*fires)).context("it still fires")?;
    let list = host.json("/v1/backups")?;
    assert!(list["to"].is_null(), "{list}");
    Ok(())
}

#[test]
fn a_broken_or_missing_file_leaves_everything_as_it_was() -> anyhow::Result<()> {
    let host = host()?;
    let file = host.path().join("plugins.toml");
    let good = config(&host)?;
    write(&host, "[host]\nlisten = \n")?;
    let status = until(&host, "refused", |status| status["problems"] != json!([]))?;
    let said = status["problems"].to_string();
    assert!(said.contains("plugins.toml:2:"), "{said}");
    let health = host.json("/health")?;
    assert!(
        health["degraded"].to_string().contains("config"),
        "{health}"
    );
    assert_eq!(runs(&host, "guests")?["outcome"], "succeeded");
    fs::remove_file(&file)?;
    until(&host, "missing", |status| {
        status["problems"].to_string().contains("cannot be read")
    })?;
    assert_eq!(runs(&host, "guests")?["outcome"], "succeeded");
    write(&host, &good)?;
    until(&host, "taken", |status| status["problems"] == json!([]))?;
    let health = host.json("/health")?;
    assert!(
        !health["degraded"].to_string().contains("config"),
        "{health}"
    );
    let events = host.json("/v1/events?type=config.refused")?;
    assert_eq!(
        events["items"].as_array().map(Vec::len),
        Some(2),
        "{events}"
    );
    Ok(())
}

#[test]
fn what_is_handed_in_is_taken_whole_or_not_at_all() -> anyhow::Result<()> {
    let host = host()?;
    let good = config(&host)?;
    let mistaken = format!("{good}\nevrey = \"5m\"\n[agents.b]\nplugn = 1\n");
    let answer = problem(apply(&host, &mistaken, "")?, 422, "invalid_config")?;
    let errors = answer["errors"].to_string();
    assert!(
        errors.contains("evrey") && errors.contains("plugn"),
        "{errors}"
    );
    assert_eq!(config(&host)?, good);

    let more = format!("{good}\n[agents.more]\nplugin = \"guests\"\n");
    let dry: Value = apply(&host, &more, "?dry_run=true")?.json()?;
    assert_eq!(change(&dry, "more")["kind"], "added", "{dry}");
    assert_eq!(config(&host)?, good);
    problem(host.get("/v1/agents/more")?, 404, "unknown_agent")?;

    let version = applied(&host, &more)?;
    assert_eq!(
        (&change(&version, "more")["state"], &version["cause"]),
        (&json!("applied"), &json!("apply")),
        "{version}"
    );
    assert_eq!(config(&host)?, more);
    assert_eq!(runs(&host, "more")?["outcome"], "succeeded");

    // What the host settles when it starts waits for the next one, and says so.
    let port = more.replace("plugins = \"dist\"", "plugins = \"dist\"\nqueue = 77");
    let version = applied(&host, &port)?;
    assert_eq!(version["restart"], json!(["host.queue"]), "{version}");

    // Back to the beginning, by the command.
    let printed = host.folder().infinity(&["config", "history"])?;
    let text = String::from_utf8_lossy(&printed.stdout).into_owned();
    assert!(text.contains("more added"), "{text}");
    let back = host.folder().infinity(&["config", "rollback", "1"])?;
    assert!(back.status.success(), "{back:?}");
    assert_eq!(config(&host)?, good);
    problem(host.get("/v1/agents/more")?, 404, "unknown_agent")?;
    problem(
        host.client()
            .post(host.url("/v1/config/versions/999/rollback"))
            .send()?,
        404,
        "not_found",
    )?;
    Ok(())
}

#[test]
fn a_difference_is_shown_before_it_is_taken() -> anyhow::Result<()> {
    let host = host()?;
    let text = format!(
        "{}\ngrants = {{ http = [{{ url = \"https://a.example/\" }}] }}\n",
        config(&host)?
    );
    let file = host.path().join("next.toml");
    fs::write(&file, &text)?;
    let shown = host.folder().infinity(&["config", "diff", "next.toml"])?;
    let printed = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.status.success(), "{shown:?}");
    assert!(printed.contains("+grants ="), "{printed}");
    assert!(
        printed.contains("  + http GET https://a.example/"),
        "{printed}"
    );
    assert_eq!(host.json("/v1/config")?["version"], 1);
    let taken = host.folder().infinity(&["config", "apply", "next.toml"])?;
    assert!(taken.status.success(), "{taken:?}");
    let status = host.folder().infinity(&["config", "status", "--json"])?;
    let status: Value = serde_json::from_slice(&status.stdout)?;
    assert_eq!(status["version"], 2, "{status}");
    Ok(())
}

#[test]
fn runs_end_on_what_they_began_with_unless_that_is_taken_back() -> anyhow::Result<()> {
    let grant = "grants = { events = [\"custom.*\"] }\n";
    let host = folder("", grant)?.serve()?;
    let good = config(&host)?;
    let sleeping = json!({ "case": "sleep", "ms": 4000 });
    let run = start(&host, "guests", &sleeping)?;
    poll(PATIENCE, || {
        (look(&host, &run).ok()?["state"] == "running").then_some(())
    })
    .context("it does not run")?;
    // More than before ends nothing.
    let more = good.replace("custom.*\"]", "custom.*\", \"other.*\"]");
    applied(&host, &more)?;
    let status = host.json("/v1/config")?;
    assert_eq!(status["draining"], 1, "{status}");
    let ended = at_end(&host, &run)?;
    assert_eq!(ended["outcome"], "succeeded", "{ended}");

    let run = start(&host, "guests", &json!({ "case": "sleep", "ms": 60_000 }))?;
    poll(PATIENCE, || {
        (look(&host, &run).ok()?["state"] == "running").then_some(())
    })
    .context("it does not run")?;
    applied(&host, &good.replace(grant, ""))?;
    let ended = at_end(&host, &run)?;
    assert_eq!(
        (&ended["outcome"], &ended["reason"]),
        (&json!("cancelled"), &json!("revoked")),
        "{ended}"
    );
    Ok(())
}

#[test]
fn what_waits_begins_on_what_is_in_force_then() -> anyhow::Result<()> {
    let host = folder("", "concurrency = 1\nsettings = { word = \"old\" }\n")?.serve()?;
    let good = config(&host)?;
    let first = start(&host, "guests", &json!({ "case": "sleep", "ms": 3000 }))?;
    let second = start(&host, "guests", &ok())?;
    applied(&host, &good.replace("old", "new"))?;
    let ended = at_end(&host, &second)?;
    assert_eq!(ended["outcome"], "succeeded", "{ended}");
    let output = host.report(&ended)?["output"].clone();
    assert_eq!(output["settings"]["word"], "new", "{output}");
    assert_eq!(ended["config_digest"], host.json("/v1/config")?["digest"]);
    let _ = cancel(&host, &first)?;
    Ok(())
}

#[test]
fn a_version_that_crashes_is_rolled_back_by_itself() -> anyhow::Result<()> {
    let host = folder("", "settings = { word = \"old\" }\n")?.serve()?;
    let good = config(&host)?;
    let bad = good.replace("old", "new");
    applied(&host, &bad)?;
    // A run that succeeds in between begins the count again.
    for case in ["trap", "trap", "ok", "trap", "trap", "trap"] {
        host.run("guests", &json!({ "case": case }))?;
    }
    let status = until(&host, "rolled back", |status| {
        status["held"][0]["state"] == "rolled_back"
    })?;
    assert_eq!(status["held"][0]["agent"], "guests", "{status}");
    let word = |host: &Host| -> anyhow::Result<Value> {
        let run = runs(host, "guests")?;
        Ok(host.report(&run)?["output"]["settings"]["word"].clone())
    };
    assert_eq!(word(&host)?, "old");
    let events = host.json("/v1/events?type=config.rolled_back")?;
    assert_eq!(
        events["items"].as_array().map(Vec::len),
        Some(1),
        "{events}"
    );
    // Neither looking at the file again nor a restart brings it back.
    write(&host, &format!("{bad}\n# looked at again\n"))?;
    until(&host, "looked at", |status| {
        status["version"].as_u64() > Some(3) || status["digest"] != Value::Null
    })?;
    assert_eq!(word(&host)?, "old");
    let host = host.kill_and_restart()?;
    assert_eq!(word(&host)?, "old");
    let status = host.json("/v1/config")?;
    assert_eq!(status["held"][0]["state"], "rolled_back", "{status}");
    let taken = host.folder().infinity(&["config", "approve", "guests"])?;
    assert!(taken.status.success(), "{taken:?}");
    assert_eq!(word(&host)?, "new");
    Ok(())
}

#[test]
fn a_new_version_is_tried_on_recorded_inputs_and_nothing_of_that_stays() -> anyhow::Result<()> {
    let host = folder("", "shadow = 3\nsettings = { word = \"w0\" }\n")?.serve()?;
    let good = config(&host)?;
    let count = json!({ "case": "kv_increment", "key": "n" });
    let counted = |host: &Host| -> anyhow::Result<Value> {
        let run = host.run("guests", &count)?;
        Ok(host.report(&run)?["output"]["value"].clone())
    };
    assert_eq!(counted(&host)?, 1);
    host.run("guests", &json!({ "case": "kv_get", "key": "n" }))?;
    host.run("guests", &json!({ "case": "trap" }))?;
    runs(&host, "guests")?;
    let before = host.json("/v1/runs?limit=100")?;
    // What says the same of it, and what is part of what it says.
    let version = applied(&host, &good.replace("w0", "w1"))?;
    let change = change(&version, "guests").clone();
    assert_eq!(change["state"], "applied", "{version}");
    assert_eq!(change["shadows"]["runs"], 3, "{version}");
    assert_eq!(change["shadows"]["different"], 1, "{version}");
    let reached = change["shadows"]["reached"].to_string();
    assert!(reached.contains("key_value"), "{reached}");
    let after = host.json("/v1/runs?limit=100")?;
    assert_eq!(before["items"], after["items"]);
    assert_eq!(counted(&host)?, 2);
    // One that ends worse is not taken; a dry run says so before.
    let worse = good.replace("w0", "w2") + "limits = { host_calls = 1 }\n";
    for query in ["?dry_run=true", ""] {
        let version: Value = apply(&host, &worse, query)?.json()?;
        let change = self::change(&version, "guests");
        assert_eq!(change["state"], "refused", "{version}");
        let said = change["message"].as_str().context("a message")?;
        assert!(
            said.contains("shadow run") && said.contains("limited"),
            "{said}"
        );
    }
    let run = runs(&host, "guests")?;
    assert_eq!(host.report(&run)?["output"]["settings"]["word"], "w1");
    let shown = host.folder().infinity(&["config", "status"])?;
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("guests: changed"), "{shown}");
    // Who wants it all the same asks for no shadow runs.
    let version = applied(&host, &worse.replace("shadow = 3\n", ""))?;
    assert_eq!(self::change(&version, "guests")["state"], "applied");
    assert_eq!(runs(&host, "guests")?["outcome"], "limited");
    Ok(())
}

#[test]
fn a_shadow_run_reads_and_changes_nothing_outside() -> anyhow::Result<()> {
    let service = Service::new()?;
    let grants = format!(
        "shadow = 3\nsettings = {{ word = \"w0\" }}\n[agents.guests.grants]\n\
         http = [{{ url = \"{}\", methods = [\"GET\", \"POST\"], private = [\"127.0.0.0/8\"] }}]\n\
         directories = [{{ host = \"data\", guest = \"/data\", write = true }}]\n",
        service.url("/*")
    );
    let folder = folder("", &grants)?;
    let file = folder.path().join("data/made");
    fs::create_dir(folder.path().join("data"))?;
    let host = folder.serve()?;
    let methods = || -> Vec<String> {
        let told = service.told();
        told.iter()
            .map(|(_, head, _)| head.split(' ').next().unwrap_or_default().to_owned())
            .collect()
    };
    for input in [
        json!({ "case": "http", "method": "POST", "url": service.url("/made") }),
        json!({ "case": "http", "url": service.url("/read") }),
        json!({ "case": "write_file", "path": "/data/made", "text": "by the run" }),
    ] {
        let run = host.run("guests", &input)?;
        let output = host.report(&run)?["output"].clone();
        ensure!(output["error"].is_null(), "{output}");
    }
    assert_eq!(methods(), ["post", "get"]);
    fs::write(&file, "by hand")?;
    let version = applied(&host, &config(&host)?.replace("w0", "w1"))?;
    let change = change(&version, "guests");
    assert_eq!(
        (&change["state"], &change["shadows"]["runs"]),
        (&json!("applied"), &json!(3)),
        "{version}"
    );
    // Each of the two versions asked for what can be read; neither sent or wrote.
    assert_eq!(methods(), ["post", "get", "get", "get"]);
    assert_eq!(fs::read_to_string(&file)?, "by hand");
    // The version that took over may do all that it is granted.
    let input = json!({ "case": "write_file", "path": "/data/made", "text": "by the run" });
    host.run("guests", &input)?;
    assert_eq!(fs::read_to_string(&file)?, "by the run");
    Ok(())
}

#[test]
fn a_canary_ends_where_other_things_are_asked_of_components() -> anyhow::Result<()> {
    let host = folder("", "canary = { percent = 50, for = \"1h\" }\n")?.serve()?;
    let bytes = marked(&fs::read(component("test_guests"))?, "second");
    put(&host.path().join("dist/guests.wasm"), &bytes)?;
    until(&host, "shared", |status| {
        status["canaries"][0]["agent"] == "guests"
    })?;
    // What says nothing of it leaves it alone.
    let good = config(&host)?;
    applied(&host, &format!("{good}# looked at\n"))?;
    assert_eq!(host.json("/v1/config")?["canaries"][0]["agent"], "guests");
    let trusted = format!("[plugins.trusted]\nteam = \"{TRUSTED}\"\n");
    applied(&host, &format!("{good}{trusted}"))?;
    assert_eq!(host.json("/v1/config")?["canaries"], json!([]));
    let digest = infinity::sandbox::digest(&bytes);
    for _ in 0..20 {
        assert_eq!(runs(&host, "guests")?["plugin_digest"], digest);
    }
    Ok(())
}

#[test]
fn a_new_component_gets_a_part_of_the_runs_first() -> anyhow::Result<()> {
    let host = folder("", "canary = { percent = 50, for = \"1h\" }\n")?.serve()?;
    let bytes = fs::read(component("test_guests"))?;
    let guests = host.path().join("dist/guests.wasm");
    let take = |bytes: &[u8], number: u64| {
        put(&guests, bytes)?;
        until(&host, "replaced", |status| {
            status["version"].as_u64() >= Some(number)
        })
    };
    // The digests of the runs of a while, and how often.
    let spread = |count: usize| -> anyhow::Result<BTreeMap<String, usize>> {
        let mut spread = BTreeMap::new();
        for _ in 0..count {
            let run = runs(&host, "guests")?;
            ensure!(run["outcome"] == "succeeded", "{run}");
            let digest = run["plugin_digest"].as_str().context("a digest")?;
            *spread.entry(digest.to_owned()).or_default() += 1;
        }
        Ok(spread)
    };
    let status = take(&marked(&bytes, "second"), 2)?;
    assert_eq!(status["canaries"][0]["agent"], "guests", "{status}");
    assert_eq!(status["canaries"][0]["percent"], 50, "{status}");
    assert_eq!(status["draining"], 0, "{status}");
    // Of sixty runs fewer than ten on one side are less likely than one in a hundred million.
    let parts = spread(60)?;
    assert_eq!(parts.len(), 2, "{parts:?}");
    assert!(parts.values().all(|part| *part >= 10), "{parts:?}");
    let shown = host.folder().infinity(&["config", "status"])?;
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("50 % of its runs"), "{shown}");

    // One that crashes costs its part of three runs, and is gone.
    let trap = test_guests::component_text("start_trap").context("a component")?;
    take(&wat::parse_str(trap)?, 3)?;
    poll(PATIENCE, || {
        runs(&host, "guests").ok()?;
        let status = host.json("/v1/config").ok()?;
        (status["held"][0]["state"] == "rolled_back" && status["canaries"] == json!([]))
            .then_some(())
    })
    .context("it is not rolled back")?;
    assert_eq!(spread(10)?.len(), 1);

    // After its time a component has all runs.
    let good = config(&host)?;
    applied(&host, &good.replace("1h", "1s"))?;
    let version = host.json("/v1/config")?["version"]
        .as_u64()
        .context("a version")?;
    let last = marked(&bytes, "last");
    take(&last, version + 1)?;
    until(&host, "all of them", |status| {
        status["canaries"] == json!([])
    })?;
    let digest = infinity::sandbox::digest(&last);
    assert_eq!(spread(20)?, BTreeMap::from([(digest, 20)]));
    Ok(())
}

/// A host with the policies of this repository and an agent whose component asks for little.
fn judged() -> anyhow::Result<Folder> {
    let folder = folder(
        "",
        "[agents.judge]\nplugin = \"policy\"\npolicies = \"policies\"\nlimits = { memory = \"256MiB\", time = \"60s\", cpu = \"30s\" }\n\
         [agents.small]\nplugin = \"small\"\n[repositories.shop]\npath = \"shop\"\nenvironment = \"production\"\n",
    )?;
    folder.component("policy", "policy")?;
    let text = test_guests::component_text("noop_agent").context("a component")?;
    folder.bytes("small", &wat::parse_str(text)?)?;
    let policies = folder.path().join("policies");
    let copied = Command::new("cp")
        .arg("-r")
        .arg(infinity_tests::host::root().join("policies"))
        .arg(&policies)
        .status()?;
    ensure!(copied.success());
    let made = Command::new("git")
        .args(["init", "--quiet", "--bare"])
        .arg(folder.path().join("shop"))
        .status()?;
    ensure!(made.success());
    Ok(folder)
}

#[test]
fn a_component_that_asks_for_more_waits_for_a_person() -> anyhow::Result<()> {
    let host = judged()?.serve()?;
    let first = runs(&host, "small")?;
    assert_eq!(first["outcome"], "succeeded");
    let before = host.json("/v1/agents/small")?;
    let larger = fs::read(component("test_guests"))?;
    let small = host.path().join("dist/small.wasm");
    put(&small, &larger)?;
    let status = until(&host, "waiting", |status| {
        status["held"].to_string().contains("\"waiting\"")
    })?;
    let held = status["held"][0].clone();
    assert_eq!(held["agent"], "small", "{status}");
    assert!(
        held["gains"]
            .to_string()
            .contains("plugin imports wasi:http"),
        "{held}"
    );
    // What was there goes on.
    let run = runs(&host, "small")?;
    assert_eq!(run["outcome"], "succeeded", "{run}");
    // Over a restart the one before goes on.
    let host = host.kill_and_restart()?;
    let run = runs(&host, "small")?;
    assert_eq!(
        (&run["outcome"], &run["plugin_digest"]),
        (&json!("succeeded"), &first["plugin_digest"]),
        "{run}"
    );
    // Where that is gone it does not run before somebody approves.
    fs::remove_dir_all(host.path().join("var/components"))?;
    let host = host.kill_and_restart()?;
    let run = runs(&host, "small")?;
    assert_eq!(
        (&run["outcome"], &run["reason"]),
        (&json!("refused"), &json!("approval")),
        "{run} {before}"
    );
    let other = host
        .client()
        .post(host.url("/v1/config/approvals"))
        .json(&json!({ "agent": "small", "digest": "sha256:0" }))
        .send()?;
    problem(other, 409, "digest_changed")?;
    let taken = host
        .client()
        .post(host.url("/v1/config/approvals"))
        .json(&json!({ "agent": "small", "digest": held["digest"] }))
        .send()?;
    ensure!(taken.status().is_success(), "{}", taken.text()?);
    assert_eq!(host.json("/v1/config")?["held"], json!([]));
    let run = runs(&host, "small")?;
    assert_eq!(run["summary"], "ok", "{run}");
    // And it stays approved.
    let host = host.kill_and_restart()?;
    assert_eq!(runs(&host, "small")?["summary"], "ok");
    Ok(())
}

#[test]
fn policy_refuses_a_change_and_asks_for_people() -> anyhow::Result<()> {
    let host = judged()?.serve()?;
    let good = config(&host)?;
    put(
        &host.path().join("policies/mine.rego"),
        b"package config.mine\n\ndeny contains \"nobody announces things here\" if {\n\tsome gain in input.gains\n\tgain == \"events custom.*\"\n}\n",
    )?;
    until(&host, "the new policy", |status| status["version"] == 2)?;
    let loud = good.replace(
        "[agents.small]\n",
        "[agents.small]\ngrants = { events = [\"custom.*\"] }\n",
    );
    let version = applied(&host, &loud)?;
    let refused = change(&version, "small");
    assert_eq!(refused["state"], "refused", "{version}");
    assert!(
        refused["message"]
            .to_string()
            .contains("nobody announces things here"),
        "{refused}"
    );
    let guarded = good.replace(
        "[agents.small]\n",
        "[agents.small]\ngrants = { repos = [{ name = \"shop\", commit = [\"main\"] }] }\n",
    );
    let version = applied(&host, &guarded)?;
    let waits = change(&version, "small");
    assert_eq!(
        (&waits["state"], &waits["approvals_needed"]),
        (&json!("waiting"), &json!(1)),
        "{version}"
    );
    let version = applied(&host, &good)?;
    assert_eq!(change(&version, "small"), &Value::Null, "{version}");
    Ok(())
}

#[test]
fn policies_that_do_not_load_leave_those_in_force() -> anyhow::Result<()> {
    let host = judged()?.serve()?;
    let folder = host.path().join("policies");
    let broken = folder.join("broken.rego");
    put(&broken, b"package broken\n\ndeny contains { if\n")?;
    let status = until(&host, "refused", |status| {
        status["held"].to_string().contains("\"refused\"")
    })?;
    assert!(
        status["held"].to_string().contains("broken.rego"),
        "{status}"
    );
    // It judges as before.
    let run = host.run(
        "judge",
        &json!({ "package": "github.commit.secrets", "input": { "files": [] } }),
    )?;
    assert_ne!(run["outcome"], "refused", "{run}");
    fs::remove_file(&broken)?;
    until(&host, "mended", |status| status["held"] == json!([]))?;
    Ok(())
}

/// Uses the host from several sides at once until told to stop, and counts what it was refused.
fn under_load(host: &Host, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<u64> {
    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let users: Vec<_> = (0..4)
            .map(|user| {
                let (stop, done) = (&stop, &done);
                scope.spawn(move || -> anyhow::Result<()> {
                    while !stop.load(Ordering::Relaxed) {
                        if user % 2 == 0 {
                            let run = host.run("guests", &ok())?;
                            ensure!(run["outcome"] == "succeeded", "{run}");
                        } else {
                            let agents = host.get("/v1/agents")?;
                            ensure!(agents.status().is_success(), "{}", agents.status());
                        }
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(())
                })
            })
            .collect();
        let worked = work();
        stop.store(true, Ordering::Relaxed);
        for user in users {
            user.join().expect("a user does not panic")?;
        }
        worked
    })?;
    Ok(done.into_inner())
}

#[test]
fn reloads_under_load_lose_no_run_and_fail_no_request() -> anyhow::Result<()> {
    let host = folder(
        "",
        "[agents.turning]\nplugin = \"guests\"\nsettings = { word = \"w0\" }\n",
    )?
    .serve()?;
    let good = config(&host)?;
    let reloads = soak::count(100, 10_000);
    let mut slowest = 0;
    let asked = under_load(&host, || {
        for number in 1..=reloads {
            let version = applied(&host, &good.replace("w0", &format!("w{number}")))?;
            let state = &change(&version, "turning")["state"];
            ensure!(*state == "applied", "{version}");
            slowest = slowest.max(version["swap_us"].as_u64().unwrap_or(u64::MAX));
            if number % 10 == 0 {
                let run = host.run("turning", &ok())?;
                let word = host.report(&run)?["output"]["settings"]["word"].clone();
                ensure!(word == format!("w{number}"), "{number}: {word}");
            }
        }
        Ok(())
    })?;
    // Every run that was acknowledged came to its end.
    poll(PATIENCE, || {
        let open = host.json("/v1/runs?state=running").ok()?;
        open["items"].as_array()?.is_empty().then_some(())
    })
    .context("runs are in progress")?;
    for outcome in ["lost", "host_error", "refused", "cancelled"] {
        let runs = host.json(&format!("/v1/runs?outcome={outcome}"))?;
        assert_eq!(runs["items"], json!([]), "{outcome}");
    }
    soak::figure(
        "reloads under load",
        reloads,
        &format!("{asked} runs and requests beside them, none failed; slowest swap {slowest} us"),
    );
    Ok(())
}

#[test]
fn a_bad_file_plugin_policy_and_secret_cost_themselves_alone() -> anyhow::Result<()> {
    let folder = judged()?;
    let good = fs::read_to_string(folder.path().join("plugins.toml"))?;
    let secrets = folder.path().join("secrets");
    fs::create_dir(&secrets)?;
    let secret = secrets.join("TOKEN");
    fs::write(&secret, "the-first-value-of-it")?;
    let private = |path: &Path| -> anyhow::Result<()> {
        use std::os::unix::fs::PermissionsExt as _;
        Ok(fs::set_permissions(
            path,
            fs::Permissions::from_mode(0o600),
        )?)
    };
    private(&secret)?;
    let good = format!(
        "{good}\n[secrets]\nfiles = \"secrets\"\n[agents.bearer]\nplugin = \"guests\"\ngrants = {{ env = {{ TOKEN = \"${{TOKEN}}\" }} }}\n"
    );
    put(&folder.path().join("plugins.toml"), good.as_bytes())?;
    let host = folder.serve()?;
    let held = |status: &Value, agent: &str| {
        let held = status["held"].as_array().map_or(&[][..], Vec::as_slice);
        held.iter().any(|change| change["agent"] == agent)
    };
    let asked = under_load(&host, || {
        write(&host, "[host]\nlisten = \n")?;
        until(&host, "a bad file", |status| {
            status["problems"] != json!([])
        })?;
        write(&host, &good)?;
        until(&host, "a good file", |status| {
            status["problems"] == json!([])
        })?;

        let small = host.path().join("dist/small.wasm");
        let was = fs::read(&small)?;
        put(&small, b"\0asm no component")?;
        until(&host, "a bad plugin", |status| held(status, "small"))?;
        put(&small, &was)?;
        until(&host, "a good plugin", |status| !held(status, "small"))?;

        let broken = host.path().join("policies/broken.rego");
        put(&broken, b"package broken\n\ndeny contains { if\n")?;
        until(&host, "a bad policy", |status| held(status, "judge"))?;
        fs::remove_file(&broken)?;
        until(&host, "good policies", |status| !held(status, "judge"))?;

        // A secret that is gone: whoever needs it does not run.
        fs::remove_file(&secret)?;
        write(&host, &format!("{good}\n# look again\n"))?;
        until(&host, "a bad secret", |status| held(status, "bearer"))?;
        fs::write(&secret, "the-second-value-of-it")?;
        private(&secret)?;
        write(&host, &good)?;
        until(&host, "a good secret", |status| !held(status, "bearer"))?;
        Ok(())
    })?;
    assert!(asked > 100, "{asked}");
    let run = runs(&host, "bearer")?;
    assert_eq!(run["outcome"], "succeeded", "{run}");
    let env = host.report(&run)?["output"]["env"].to_string();
    // It has the value, which nobody sees in what it returns.
    assert!(
        env.contains("****") && !env.contains("second-value"),
        "{env}"
    );
    assert_eq!(runs(&host, "small")?["outcome"], "succeeded");
    let verified = host.json("/v1/audit/verification")?;
    assert!(verified["broken"].is_null(), "{verified}");
    Ok(())
}

#[test]
fn a_replaced_component_comes_back_with_its_version() -> anyhow::Result<()> {
    let folder = folder("", "[agents.small]\nplugin = \"small\"\n")?;
    let text = test_guests::component_text("noop_agent").context("a component")?;
    let first = wat::parse_str(text)?;
    folder.bytes("small", &first)?;
    let host = folder.serve()?;
    let small = host.path().join("dist/small.wasm");
    put(&small, &fs::read(component("test_guests"))?)?;
    until(&host, "replaced", |status| status["version"] == 2)?;
    assert_eq!(runs(&host, "small")?["summary"], "ok");
    let back = host
        .client()
        .post(host.url("/v1/config/versions/1/rollback"))
        .timeout(Duration::from_secs(60))
        .send()?;
    ensure!(back.status().is_success(), "{}", back.text()?);
    assert_eq!(fs::read(&small)?, first);
    assert_ne!(runs(&host, "small")?["summary"], "ok");
    Ok(())
}
