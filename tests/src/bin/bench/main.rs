//! The benches: each measures one promise against a named peer in the same process and the same minutes, and prints the ratio beside its aim.
//!
//! Absolute times belong to a machine, ratios travel: so every figure stands beside its peer's, rounds of both take turns, and nothing here fails because
//! something was slow. `bench [NAME…] [--json]`; all of them without a name. Tables for people, `--json` for programs, progress on standard error.

mod checks;
mod control;
mod effects;
mod load;
mod machine;
mod policy;
mod reload;
mod runs;
mod samples;
mod sandbox;
mod scene;
mod sync;
mod table;
mod whole;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use std::io::Write as _;
use table::Section;

/// The benches by name.
const NAMES: [&str; 14] = [
    "checks", "sandbox", "runs", "policy", "schedule", "api", "badge", "serve", "webhooks",
    "effects", "sync", "control", "reload", "density",
];

fn main() -> anyhow::Result<()> {
    if std::env::args().nth(1).as_deref() == Some(load::BARE) {
        return tokio::runtime::Runtime::new()?.block_on(load::bare_server());
    }
    let mut wanted = Vec::new();
    let mut as_json = false;
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--json" => as_json = true,
            name if NAMES.contains(&name) => wanted.push(argument),
            other => bail!(
                "`{other}` is no bench: choose among `{}`, with `--json` for programs",
                NAMES.join("`, `")
            ),
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("host")
        .enable_all()
        .build()?;
    let mut sections = Vec::new();
    for name in NAMES {
        if !wanted.is_empty() && !wanted.iter().any(|wanted| wanted == name) {
            continue;
        }
        say(&format!("measuring `{name}`"))?;
        let measured: Section = runtime
            .block_on(async {
                match name {
                    "checks" => checks::measure().await,
                    "sandbox" => sandbox::measure().await,
                    "runs" => runs::measure().await,
                    "policy" => policy::measure().await,
                    "schedule" => whole::schedule().await,
                    "api" => whole::api().await,
                    "badge" => whole::badge().await,
                    "serve" => whole::serve().await,
                    "webhooks" => whole::webhooks().await,
                    "effects" => tokio::task::block_in_place(effects::measure),
                    "control" => control::measure().await,
                    "reload" => reload::measure().await,
                    "sync" => tokio::task::block_in_place(sync::measure),
                    _ => whole::density().await,
                }
            })
            .with_context(|| format!("the bench `{name}` could not be run"))?;
        sections.push(measured);
    }
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    let machine = machine::Machine::this();
    let mut out = std::io::stdout().lock();
    if as_json {
        let benches: Vec<Value> = sections.iter().map(Section::json).collect();
        let all = json!({ "machine": machine.json(), "benches": benches });
        writeln!(out, "{}", serde_json::to_string_pretty(&all)?)?;
    } else {
        writeln!(out, "{}", machine.line())?;
        for section in &sections {
            write!(out, "\n{}", section.text())?;
        }
    }
    Ok(())
}

/// Progress, for who waits.
fn say(text: &str) -> std::io::Result<()> {
    writeln!(std::io::stderr(), "{text}")
}
