//! `infinity doctor`: looks at the machine, the configuration and the host that runs, and says what to do.

use super::client::Client;
use super::output::{Output, printable};
use super::{Done, EXIT_FAILED, GlobalOptions, Launcher};
use crate::api::KeyList;
use crate::api::views::{AgentList, Health};
use crate::backup::BackupList;
use crate::doctor::{self, Item, KEY_DAYS, List, Standing, fail, ok, unknown, warn};
use crate::kill::KillView;
use jiff::Timestamp;
use serde_json::json;
use std::time::Duration;

/// How long a running host may take for what it says of itself.
const ASK_MAX: Duration = Duration::from_secs(5);

pub(super) async fn execute(
    global: &GlobalOptions,
    launcher: &dyn Launcher,
    output: &Output,
) -> Done {
    let bar = output.spinner("looking");
    let looks = async {
        let asked = async {
            match launcher.running(global).await {
                Ok(Some(client)) => told(&client).await,
                Ok(None) => vec![unknown(
                    List::Application,
                    "running host",
                    "none runs with this configuration: what it would say of itself is not known",
                )],
                Err(error) => vec![fail(
                    List::Application,
                    "running host",
                    error.to_string(),
                    "`infinity serve` starts one",
                )],
            }
        };
        let (mut items, told) = tokio::join!(launcher.doctor(global), asked);
        items.extend(told);
        items
    };
    let mut items = match tokio::time::timeout(doctor::ALL_MAX, looks).await {
        Ok(items) => items,
        Err(_) => vec![fail(
            List::Infrastructure,
            "looking",
            "it did not end within 15 s",
            "something does not answer at all; look at disks and name servers",
        )],
    };
    bar.finish_and_clear();
    doctor::sort(&mut items);
    let failed = items.iter().any(|item| item.standing == Standing::Fail);
    if output.is_json() {
        let of =
            |list: List| -> Vec<&Item> { items.iter().filter(|item| item.list == list).collect() };
        output.value(&json!({
            "ok": !failed,
            "infrastructure": of(List::Infrastructure),
            "application": of(List::Application),
            "security": of(List::Security),
        }));
    } else {
        show(&items, output);
    }
    Ok(if failed { EXIT_FAILED } else { 0 })
}

fn show(items: &[Item], output: &Output) {
    let width = items
        .iter()
        .map(|item| item.name.chars().count())
        .max()
        .unwrap_or(0);
    for (list, title) in [
        (List::Infrastructure, "infrastructure"),
        (List::Application, "application"),
        (List::Security, "security"),
    ] {
        output.ready(&output.styled("1", title));
        for item in items.iter().filter(|item| item.list == list) {
            let (word, style) = match item.standing {
                Standing::Ok => ("ok         ", "32"),
                Standing::Warn => ("warning    ", "33"),
                Standing::Fail => ("FAILS      ", "31"),
                Standing::NotChecked => ("not checked", "2"),
            };
            output.ready(&format!(
                "  {}  {:<width$}  {}",
                output.styled(style, word),
                printable(&item.name),
                printable(&item.detail)
            ));
            if let Some(todo) = &item.todo {
                output.ready(&format!(
                    "  {:11}  {:width$}  do: {}",
                    "",
                    "",
                    printable(todo)
                ));
            }
        }
        output.ready("");
    }
    let count = |standing| {
        items
            .iter()
            .filter(|item| item.standing == standing)
            .count()
    };
    output.line(&format!(
        "{} ok, {} warnings, {} failures, {} not checked",
        count(Standing::Ok),
        count(Standing::Warn),
        count(Standing::Fail),
        count(Standing::NotChecked)
    ));
}

/// What a running host says of itself.
async fn told(client: &Client) -> Vec<Item> {
    let list = List::Application;
    let asked = tokio::time::timeout(ASK_MAX, async {
        let mut items = Vec::new();
        match client.get::<Health>("/health?verbose=true").await {
            Ok(health) => items.extend(healthy(&health)),
            Err(error) => items.push(fail(
                list,
                "running host",
                error.to_string(),
                "look at its log",
            )),
        }
        items.extend(agents(client).await);
        items.push(kill(client).await);
        items.push(api_keys(client).await);
        items.extend(backups(client).await);
        items
    });
    asked.await.unwrap_or_else(|_| {
        vec![fail(
            list,
            "running host",
            format!("it did not answer within {} s", ASK_MAX.as_secs()),
            "look at its log, and at the load of the machine",
        )]
    })
}

/// Its components; of those that work their number.
fn healthy(health: &Health) -> Vec<Item> {
    let list = List::Application;
    let checks = health.checks.as_deref().unwrap_or_default();
    let mut items: Vec<Item> = checks
        .iter()
        .filter(|check| !check.ok)
        .map(|check| {
            fail(
                list,
                &check.component,
                check.detail.clone(),
                "`/health?verbose=true` and the log say more",
            )
        })
        .collect();
    let working = checks.len() - items.len();
    items.push(ok(
        list,
        "running host",
        format!(
            "version {}: {working} of {} components work",
            health.version,
            checks.len()
        ),
    ));
    if health.version != env!("CARGO_PKG_VERSION") {
        items.push(warn(
            list,
            "version",
            format!(
                "the host is {} and this program {}",
                health.version,
                env!("CARGO_PKG_VERSION")
            ),
            "start the host again with the program that is there now",
        ));
    }
    items
}

async fn agents(client: &Client) -> Vec<Item> {
    let list = List::Application;
    let agents: AgentList = match client.get("/v1/agents").await {
        Ok(agents) => agents,
        Err(error) => return vec![unknown(list, "agents", error.to_string())],
    };
    let mut items = Vec::new();
    for agent in &agents.items {
        if agent.quarantined {
            items.push(fail(
                list,
                &format!("agent {}", agent.name),
                "in quarantine: it crashed too often",
                &format!(
                    "`infinity runs --agent {0}` shows why; `infinity resume {0}` lets it go on",
                    agent.name
                ),
            ));
        }
    }
    if items.is_empty() {
        items.push(ok(list, "quarantine", "no agent is in it"));
    }
    items
}

async fn kill(client: &Client) -> Item {
    let (list, name) = (List::Security, "kill switch");
    match client.get::<KillView>("/v1/killswitch").await {
        Ok(view) if view.kill.is_none() => ok(list, name, "off"),
        Ok(view) => fail(
            list,
            name,
            super::kill::line(&view),
            "`infinity recover AGENT` lets everything go on once a dry run has passed",
        ),
        Err(error) => unknown(list, name, error.to_string()),
    }
}

async fn api_keys(client: &Client) -> Item {
    let (list, name) = (List::Security, "keys of the API");
    let keys: KeyList = match client.get("/v1/keys").await {
        Ok(keys) => keys,
        Err(error) => return unknown(list, name, error.to_string()),
    };
    let now = Timestamp::now();
    let valid: Vec<_> = keys
        .items
        .iter()
        .filter(|key| key.revoked_at.is_none() && key.expires_at.is_none_or(|end| end > now))
        .collect();
    let old = valid
        .iter()
        .filter(|key| now.duration_since(key.created_at).as_hours() >= KEY_DAYS * 24)
        .count();
    if old > 0 {
        return warn(
            list,
            name,
            format!("{old} of {} are older than {KEY_DAYS} days", valid.len()),
            "`infinity key rotate ID` makes a new one in place of an old one",
        );
    }
    ok(
        list,
        name,
        format!("{} are valid, none older than {KEY_DAYS} days", valid.len()),
    )
}

/// How the latest trial of a backup went.
async fn backups(client: &Client) -> Option<Item> {
    let (list, name) = (List::Infrastructure, "trial of a backup");
    let backups: BackupList = match client.get("/v1/backups").await {
        Ok(backups) => backups,
        Err(error) => return Some(unknown(list, name, error.to_string())),
    };
    backups.to.as_ref()?;
    let todo = "`infinity backup drill` tries the newest out";
    Some(match backups.drill {
        None => warn(list, name, "none was made yet", todo),
        Some(drill) if drill.passed => ok(
            list,
            name,
            format!(
                "passed at {}: back after {} ms",
                drill.drilled_at, drill.restore_ms
            ),
        ),
        Some(drill) => fail(list, name, drill.problems.join("; "), todo),
    })
}
