//! The host's own alerts: rules that fire, are told, silenced and over; where `/metrics` is answered; and the documents that are made of the rules.

use crate::notify::Service;
use crate::{folder, ok, problem};
use anyhow::{Context as _, ensure};
use infinity::alerts::documents;
use infinity_tests::host::{Host, PATIENCE, poll, root};
use regex::Regex;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::{Duration, SystemTime};

/// A rule that always holds, or never: every disk has something on it, and none is fuller than full.
fn disk(above: u32) -> String {
    format!(
        "[alerts]\nevery = \"1s\"\n[alerts.rules.disk_high]\nabove = {above}\nfor = \"0s\"\n[alerts.rules.security_breach]\nwindow = \"4s\"\n"
    )
}

/// A channel that is told of everything about alerts, and one that is told of the critical ones.
fn channels(service: &Service) -> String {
    format!(
        "[channels.hook]\nkind = \"webhook\"\nurl = \"{}\"\non = [\"alert.*\"]\n\
         [channels.page]\nkind = \"pagerduty\"\nkey = \"routing\"\nurl = \"{}\"\non = [\"alert.*\"]\nlevel = \"error\"\n",
        service.url("/hook"),
        service.url("")
    )
}

/// The first alert of a rule in a state.
fn alert(host: &Host, rule: &str, state: &str) -> anyhow::Result<Value> {
    poll(PATIENCE, || {
        let list = host.json(&format!("/v1/alerts?state={state}")).ok()?;
        let items = list["items"].as_array()?;
        items.iter().find(|alert| alert["rule"] == rule).cloned()
    })
    .with_context(|| format!("`{rule}` is not {state}: {}", host.log()))
}

fn silence(host: &Host, rule: &str, body: &Value) -> anyhow::Result<reqwest::blocking::Response> {
    let url = host.url(&format!("/v1/alerts/{rule}/silences"));
    Ok(host.client().post(url).json(body).send()?)
}

/// How often the feed says that a rule fired.
fn fired(host: &Host, rule: &str) -> anyhow::Result<usize> {
    let feed = host.json("/v1/events?type=alert.fired&limit=500")?;
    let events = feed["items"].as_array().context("events")?;
    Ok(events
        .iter()
        .filter(|event| event["subject"] == rule)
        .count())
}

/// Waits until the rules were looked at: the series says so.
fn looked_at(host: &Host, rule: &str, fires: bool) -> anyhow::Result<()> {
    let wanted = format!("rule=\"{rule}\",severity=\"warning\"}} {}", u8::from(fires));
    poll(PATIENCE, || {
        let text = host.get("/metrics").ok()?.text().ok()?;
        text.lines()
            .any(|line| line.starts_with("infinity_alerts_firing") && line.contains(&wanted))
            .then_some(())
    })
    .with_context(|| format!("`{rule}` never comes to {fires}"))
}

#[test]
fn a_secret_that_nobody_replaced_is_an_alert_until_somebody_does() -> anyhow::Result<()> {
    const DAY: Duration = Duration::from_hours(24);
    let folder = folder(
        "",
        "[alerts]\nevery = \"1s\"\n[secrets]\nfiles = \"keys\"\n[secrets.catalogue.OLD_KEY]\nrotate = \"1d\"\n",
    )?;
    let file = folder.path().join("keys/OLD_KEY");
    fs::create_dir(folder.path().join("keys"))?;
    fs::write(&file, "a value of long ago")?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
    // A day, ten more, and a few hours.
    fs::File::options()
        .write(true)
        .open(&file)?
        .set_modified(SystemTime::now() - DAY * 11 - DAY / 4)?;
    let host = folder.serve()?;
    let firing = alert(&host, "secret_overdue", "firing")?;
    assert_eq!(
        (&firing["severity"], &firing["value"]),
        (&json!("warning"), &json!(1.0)),
        "{firing}"
    );
    ensure!(firing.to_string().contains("OLD_KEY"), "{firing}");
    let said = host.json("/v1/events?type=secret.overdue&limit=10")?;
    ensure!(said["items"][0]["subject"] == "OLD_KEY", "{said}");
    let metrics = host.get("/metrics")?.text()?;
    ensure!(metrics.contains("infinity_secrets_overdue 1"), "{metrics}");
    fs::write(&file, "a value of today")?;
    // Secrets are looked at when the configuration is, and every minute.
    let path = host.path().join("plugins.toml");
    fs::write(
        &path,
        format!("{}# looked at\n", fs::read_to_string(&path)?),
    )?;
    let past = alert(&host, "secret_overdue", "past")?;
    assert_eq!(past["state"], "resolved", "{past}");
    Ok(())
}

#[test]
fn a_rule_that_fires_reaches_the_channels_of_its_severity_and_is_over() -> anyhow::Result<()> {
    let service = Service::new()?;
    let host = folder("", &format!("{}{}", disk(0), channels(&service)))?.serve()?;
    let title = |body: &Value, kind: &str, rule: &str| {
        body["type"] == kind && body["source"] == format!("/alerts/{rule}")
    };
    let (_, _, body) = service.until("/hook", |body| title(body, "alert.fired", "disk_high"))?;
    assert_eq!(body["data"]["level"], "warning");
    ensure!(
        body["data"]["title"] == "alert.fired: The disk of the state folder fills up",
        "{body}"
    );
    let warning = alert(&host, "disk_high", "firing")?;
    assert_eq!(
        (&warning["severity"], &warning["state"], &warning["told"]),
        (&json!("warning"), &json!("firing"), &json!(true))
    );
    ensure!(warning["value"].as_f64() > Some(0.0), "{warning}");
    // Critical: whoever is on call is paged, and the page ends with the alert.
    let event = json!({ "specversion": "1.0", "id": "1", "source": "/tests", "type": "security.incident",
        "time": "2026-01-01T00:00:00Z", "data": { "title": "a token leaked" } });
    host.publish(&event)?;
    let of = |body: &Value, action: &str| {
        body["event_action"] == action && body["dedup_key"] == "infinity:/alerts/security_breach"
    };
    let (_, _, page) = service.until("/v2/enqueue", |body| of(body, "trigger"))?;
    assert_eq!(page["payload"]["severity"], "critical");
    ensure!(
        page["payload"]["custom_details"]["body"]
            .as_str()
            .is_some_and(|body| body.contains("security.incident")),
        "{page}"
    );
    service.until("/v2/enqueue", |body| of(body, "resolve"))?;
    let past = alert(&host, "security_breach", "past")?;
    assert_eq!(past["state"], "resolved");
    ensure!(past["resolved_at"].is_string(), "{past}");
    // Nobody is paged for a warning.
    ensure!(
        !service
            .told()
            .iter()
            .any(|(path, _, body)| path == "/v2/enqueue"
                && body["dedup_key"] == "infinity:/alerts/disk_high"),
        "{:?}",
        service.told()
    );
    // All of it is in the journal.
    for action in ["alert.fired", "alert.resolved"] {
        let journal = host.json(&format!("/v1/audit/actions?action={action}"))?;
        ensure!(journal["items"][0].is_object(), "{action}: {journal}");
    }
    Ok(())
}

#[test]
fn a_restart_fires_nothing_again_and_ends_what_is_over() -> anyhow::Result<()> {
    let host = folder("", &disk(0))?.serve()?;
    let before = alert(&host, "disk_high", "firing")?;
    let host = host.kill_and_restart()?;
    looked_at(&host, "disk_high", true)?;
    let after = alert(&host, "disk_high", "firing")?;
    assert_eq!(after["id"], before["id"]);
    assert_eq!(fired(&host, "disk_high")?, 1);
    let (_, folder) = host.stop_and_keep()?;
    folder.config(
        "",
        &format!("[agents.guests]\nplugin = \"guests\"\n{}", disk(100)),
    )?;
    let host = folder.serve()?;
    let past = alert(&host, "disk_high", "past")?;
    assert_eq!(past["id"], before["id"]);
    // A rule that is switched off ends, too.
    let (_, folder) = host.stop_and_keep()?;
    folder.config(
        "",
        &format!("[agents.guests]\nplugin = \"guests\"\n{}", disk(0)),
    )?;
    let host = folder.serve()?;
    let again = alert(&host, "disk_high", "firing")?;
    ensure!(again["id"] != before["id"], "{again}");
    let (_, folder) = host.stop_and_keep()?;
    folder.config(
        "",
        "[agents.guests]\nplugin = \"guests\"\n[alerts]\nevery = \"1s\"\ndisabled = [\"disk_high\"]\n",
    )?;
    let host = folder.serve()?;
    poll(PATIENCE, || {
        let list = host.json("/v1/alerts?state=past").ok()?;
        let ended = list["items"].as_array()?.iter();
        (ended.filter(|alert| alert["rule"] == "disk_high").count() == 2).then_some(())
    })
    .context("it does not end")?;
    Ok(())
}

#[test]
fn what_is_silenced_is_recorded_and_told_only_when_the_silence_ends() -> anyhow::Result<()> {
    let service = Service::new()?;
    let rest = |above| format!("{}{}", disk(above), channels(&service));
    let host = folder("", &rest(100))?.serve()?;
    let body = json!({ "for": "1h", "reason": "the disk is being moved" });
    let answer = silence(&host, "disk_high", &body)?;
    ensure!(answer.status() == 200, "{}", answer.text()?);
    for (wrong, rule, status, code) in [
        (
            json!({ "for": "1h", "reason": " " }),
            "disk_high",
            422,
            "invalid_silence",
        ),
        (
            json!({ "for": "31d", "reason": "r" }),
            "disk_high",
            422,
            "invalid_silence",
        ),
        (
            json!({ "for": "-1h", "reason": "r" }),
            "disk_high",
            422,
            "invalid_silence",
        ),
        (
            json!({ "until": "soon" }),
            "disk_high",
            422,
            "invalid_silence",
        ),
        (body.clone(), "disk_hihg", 404, "not_found"),
    ] {
        problem(silence(&host, rule, &wrong)?, status, code)?;
    }
    let (_, folder) = host.stop_and_keep()?;
    folder.config(
        "",
        &format!("[agents.guests]\nplugin = \"guests\"\n{}", rest(0)),
    )?;
    let host = folder.serve()?;
    let silenced = alert(&host, "disk_high", "silenced")?;
    assert_eq!(silenced["told"], false);
    assert_eq!(silenced["silence"]["reason"], "the disk is being moved");
    let shown = host.folder().infinity(&["alerts"])?;
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    ensure!(
        shown.contains("disk_high") && shown.contains("the disk is being moved"),
        "{shown}"
    );
    // The fired one is in the feed, and the channel passes over it.
    assert_eq!(fired(&host, "disk_high")?, 1);
    let ended = host
        .folder()
        .infinity(&["alerts", "unsilence", "disk_high"])?;
    ensure!(ended.status.success(), "{ended:?}");
    let is =
        |body: &Value, kind: &str| body["type"] == kind && body["source"] == "/alerts/disk_high";
    service.until("/hook", |body| is(body, "alert.fired"))?;
    let told = service.told();
    let first = |kind| told.iter().position(|(_, _, body)| is(body, kind));
    ensure!(
        first("alert.unsilenced") < first("alert.fired") && first("alert.unsilenced").is_some(),
        "{told:?}"
    );
    assert_eq!(alert(&host, "disk_high", "firing")?["told"], true);
    let url = host.url("/v1/alerts/disk_high/silences");
    problem(host.client().delete(url).send()?, 404, "not_found")?;
    for action in ["alert.silenced", "alert.unsilenced"] {
        let journal = host.json(&format!("/v1/audit/actions?action={action}"))?;
        ensure!(journal["items"][0].is_object(), "{action}: {journal}");
    }
    Ok(())
}

#[test]
fn a_rule_that_does_not_hold_for_long_enough_is_pending() -> anyhow::Result<()> {
    let rest = disk(0).replace("for = \"0s\"", "for = \"1h\"");
    let host = folder("", &rest)?.serve()?;
    let pending = alert(&host, "disk_high", "pending")?;
    assert_eq!(pending["state"], "pending");
    assert_eq!(fired(&host, "disk_high")?, 0);
    let all = host.json("/v1/alerts")?;
    assert_eq!(all["items"], json!([]));
    Ok(())
}

#[test]
fn metrics_are_answered_on_inner_listeners_alone() -> anyhow::Result<()> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let folder = folder(&format!("metrics_listen = \"127.0.0.1:{port}\""), "")?;
    let config = folder.path().join("plugins.toml");
    let text = fs::read_to_string(&config)?.replace("127.0.0.1:0", "0.0.0.0:0");
    fs::write(&config, text)?;
    let host = folder.serve()?;
    let viewer = host.folder().key(&["prometheus", "--role", "viewer"])?;
    let main = host
        .address()
        .rsplit(':')
        .next()
        .context("a port")?
        .to_owned();
    let get = |address: &str, path: &str| {
        let request = host.client().get(format!("http://{address}{path}"));
        request.bearer_auth(&viewer).send()
    };
    let inner = format!("127.0.0.1:{port}");
    let answer = get(&inner, "/metrics")?;
    ensure!(answer.status() == 200);
    ensure!(answer.text()?.contains("infinity_build_info{version="));
    // There is nothing else.
    ensure!(get(&inner, "/v1/runs")?.status() == 404);
    let nobody = host
        .client()
        .get(format!("http://{inner}/metrics"))
        .send()?;
    problem(nobody, 401, "unauthenticated")?;
    // Over loopback the main port does, too; from elsewhere it does not.
    ensure!(get(&format!("127.0.0.1:{main}"), "/metrics")?.status() == 200);
    let outside = UdpSocket::bind("0.0.0.0:0")?;
    if outside.connect("192.0.2.1:9").is_ok() {
        let address = outside.local_addr()?.ip();
        if !address.is_loopback() {
            let address = format!("{address}:{main}");
            problem(get(&address, "/metrics")?, 403, "internal_only")?;
            ensure!(get(&address, "/v1/runs")?.status() == 200);
        }
    }
    Ok(())
}

/// Compares a document with what it has to be; with `UPDATE` set it is written.
fn same(file: &str, wanted: &str) -> anyhow::Result<()> {
    let path = root().join(file);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, wanted)?;
    }
    ensure!(
        fs::read_to_string(&path)? == wanted,
        "`{file}` is not what the rules say; run this test with `UPDATE=1` and read what changed"
    );
    Ok(())
}

#[test]
fn the_rules_for_prometheus_and_the_docs_are_those_of_the_host() -> anyhow::Result<()> {
    same("deploy/prometheus/alerts.yml", &documents::prometheus())?;
    let docs = fs::read_to_string(root().join("docs/alerts.md"))?;
    let (before, rest) = docs
        .split_once("<!-- rules -->\n")
        .context("no place for the table")?;
    let (_, after) = rest
        .split_once("<!-- end -->")
        .context("the table has no end")?;
    let table = documents::table();
    same(
        "docs/alerts.md",
        &format!("{before}<!-- rules -->\n{table}<!-- end -->{after}"),
    )?;
    // Prometheus' own tool, where it is there.
    let file = root().join("deploy/prometheus/alerts.yml");
    if let Ok(checked) = Command::new("promtool")
        .args(["check", "rules"])
        .arg(file)
        .output()
    {
        ensure!(
            checked.status.success(),
            "{}",
            String::from_utf8_lossy(&checked.stderr)
        );
    }
    Ok(())
}

/// The names that samples of a host have.
fn series(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .flat_map(|(name, kind)| {
            let endings: &[&str] = match kind {
                "counter" => &["_total"],
                "histogram" => &["_bucket", "_sum", "_count"],
                _ => &[""],
            };
            endings
                .iter()
                .map(|ending| format!("{name}{ending}"))
                .collect::<Vec<_>>()
        })
        .collect()
}

/// What a member `expr` says, anywhere in a document.
fn expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| expressions(item, found)),
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(text) if name == "expr" => found.push(text.clone()),
                    other => expressions(other, found),
                }
            }
        }
        _ => {}
    }
}

#[test]
fn dashboards_and_rules_name_series_that_a_host_has() -> anyhow::Result<()> {
    let service = Service::new()?;
    let every = "[agents.nightly]\nplugin = \"guests\"\nevery = \"1s\"\n";
    let rest = format!("{every}{}", channels(&service));
    let host = folder("daily_budget_usd = 10", &rest)?.serve()?;
    // Some series begin with what they count.
    host.json("/health")?;
    host.run("guests", &ok())?;
    host.publish(
        &json!({ "specversion": "1.0", "id": "1", "source": "/ci", "type": "llm.usage",
        "time": "2026-01-01T00:00:00Z",
        "data": { "provider": "acme", "model": "m", "tokens": 100, "cost_usd": 0.5 } }),
    )?;
    // One that it may not propose is one, too.
    host.run("guests", &json!({ "case": "effects" }))?;
    let known = poll(PATIENCE, || {
        let known = series(&host.get("/metrics").ok()?.text().ok()?);
        let late = [
            "infinity_llm_tokens_total",
            "infinity_effects_total",
            "infinity_occurrences_total",
        ];
        late.iter()
            .all(|name| known.contains(*name))
            .then_some(known)
    })
    .context("what is counted later is not there")?;
    let name = Regex::new(r"\b(?:infinity|process)_[a-z0-9_]+")?;
    let mut all: Vec<(String, String)> = infinity::alerts::rules::RULES
        .iter()
        .map(|rule| (rule.name.to_owned(), documents::expression(rule)))
        .collect();
    let mut boards = 0;
    for file in fs::read_dir(root().join("deploy/grafana"))? {
        let path = file?.path();
        let board: Value = serde_json::from_str(&fs::read_to_string(&path)?)
            .with_context(|| path.display().to_string())?;
        let mut found = Vec::new();
        expressions(&board, &mut found);
        ensure!(found.len() >= 5, "{}", path.display());
        let ids: BTreeSet<_> = board["panels"]
            .as_array()
            .context("panels")?
            .iter()
            .map(|panel| panel["id"].as_u64())
            .collect();
        ensure!(Some(ids.len()) == board["panels"].as_array().map(Vec::len));
        all.extend(
            found
                .into_iter()
                .map(|expression| (path.display().to_string(), expression)),
        );
        boards += 1;
    }
    assert_eq!(boards, 5);
    let quoted = Regex::new("\"[^\"]*\"")?;
    for (file, expression) in all {
        // What stands in quotes is a value of a label.
        let bare = quoted.replace_all(&expression, "\"\"");
        ensure!(name.is_match(&bare), "{file}: {expression}");
        for found in name.find_iter(&bare) {
            ensure!(
                known.contains(found.as_str()),
                "{file} names `{}`, which no host has: {expression}",
                found.as_str()
            );
        }
    }
    Ok(())
}

#[test]
fn models_and_keys_that_fail_have_series() -> anyhow::Result<()> {
    let host = folder("daily_budget_usd = 10", "[alerts]\nevery = \"1s\"\n")?.serve()?;
    for (id, provider, cost) in [("1", "acme", 8.5), ("2", "acme", 3.0)] {
        host.publish(
            &json!({ "specversion": "1.0", "id": id, "source": "/ci", "type": "llm.usage",
            "time": "2026-01-01T00:00:00Z",
            "data": { "provider": provider, "model": "m", "tokens": 100, "cost_usd": cost } }),
        )?;
    }
    let wanted = [
        "infinity_llm_tokens_total{provider=\"acme\"} 200",
        "infinity_llm_cost_usd_total{provider=\"acme\"} 11.5",
        "infinity_llm_cost_today_usd 11.5",
        "infinity_events_total{kind=\"security.invalid_key\"} 0",
    ];
    poll(PATIENCE * 2, || {
        let text = host.get("/metrics").ok()?.text().ok()?;
        wanted
            .iter()
            .all(|line| text.lines().any(|found| found == *line))
            .then_some(())
    })
    .with_context(|| format!("{:?}", host.get("/metrics").map(|answer| answer.text())))?;
    Ok(())
}
