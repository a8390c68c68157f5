//! `infinity runs show` and `infinity runs diff`: where a run's time went, as a line, and how two runs differ.

use super::client::Client;
use super::output::micros;
use super::run::outcome_word;
use super::show::word;
use super::{Done, EXIT_FAILED, Output};
use crate::api::RunView;
use crate::model::{Finding, Report, Run};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Characters of the line.
const WIDTH: u64 = 48;

/// Shows where a run's time went.
pub(super) fn line(run: &Run, output: &Output) {
    let usage = &run.usage;
    let parts = [
        ("waited", usage.queue_us),
        ("compiled", usage.compile_us),
        ("instantiated", usage.instantiate_us),
        ("guest", usage.guest_us),
        ("host calls", usage.host_calls_us),
    ];
    let whole: u64 = parts.iter().map(|(_, time)| time).sum();
    if whole == 0 {
        return;
    }
    output.line("");
    let mut before = 0;
    for (name, time) in parts {
        if time == 0 {
            continue;
        }
        let from = before * WIDTH / whole;
        // Whatever took time is seen.
        let length = (time * WIDTH / whole).max(1);
        let bar: String = (0..WIDTH)
            .map(|at| {
                if at >= from && at < from + length {
                    '█'
                } else {
                    '·'
                }
            })
            .collect();
        output.line(&format!("  {name:<13} {bar} {:>9}", micros(time)));
        before += time;
    }
}

/// What of a finding makes it the same in another run: a line moves when something above it changes.
fn key(finding: &Finding) -> String {
    let path = finding.location.as_ref().map_or(String::new(), |at| {
        format!("{} {}", at.repository.as_deref().unwrap_or(""), at.path)
    });
    format!("{} {path} {}", finding.rule, finding.message)
}

/// Shows how two runs differ. Fails when they do, as `diff` does.
pub(super) async fn diff(before: Uuid, after: Uuid, client: &Client, output: &Output) -> Done {
    let mut runs = Vec::new();
    for id in [before, after] {
        let view: RunView = client.get(&format!("/v1/runs/{id}")).await?;
        let report: Report = client.get(&format!("/v1/runs/{id}/report")).await?;
        runs.push((view.run, report));
    }
    let (Some((b, new)), Some((a, old))) = (runs.pop(), runs.pop()) else {
        return Ok(0);
    };
    let mut changed: Vec<(&str, Value, Value)> = Vec::new();
    for (name, left, right) in [
        ("agent", json!(a.agent), json!(b.agent)),
        (
            "plugin digest",
            json!(a.plugin_digest),
            json!(b.plugin_digest),
        ),
        (
            "configuration",
            json!(a.config_digest),
            json!(b.config_digest),
        ),
        ("trigger", json!(a.trigger), json!(b.trigger)),
        ("input", a.input.clone(), b.input.clone()),
        ("outcome", json!(a.outcome), json!(b.outcome)),
        ("reason", json!(a.reason), json!(b.reason)),
        ("summary", json!(a.summary), json!(b.summary)),
        ("message", json!(a.message), json!(b.message)),
        ("output", json!(old.output), json!(new.output)),
    ] {
        if left != right {
            changed.push((name, left, right));
        }
    }
    let keys = |report: &Report| report.findings.iter().map(key).collect::<BTreeSet<_>>();
    let (was, is) = (keys(&old), keys(&new));
    let gone: Vec<&String> = was.difference(&is).collect();
    let come: Vec<&String> = is.difference(&was).collect();
    let same = changed.is_empty() && gone.is_empty() && come.is_empty();
    if output.is_json() {
        let fields: Vec<Value> = changed
            .iter()
            .map(|(name, left, right)| json!({ "field": name, "before": left, "after": right }))
            .collect();
        output.value(
            &json!({ "same": same, "fields": fields, "findings_gone": gone, "findings_new": come,
            "usage_before": a.usage, "usage_after": b.usage }),
        );
        return Ok(if same { 0 } else { EXIT_FAILED });
    }
    let shown = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut rows: Vec<Vec<String>> = changed
        .iter()
        .map(|(name, left, right)| vec![(*name).to_owned(), shown(left), shown(right)])
        .collect();
    for (name, left, right) in [
        ("wall", a.usage.wall_us, b.usage.wall_us),
        ("cpu", a.usage.cpu_us, b.usage.cpu_us),
    ] {
        rows.push(vec![name.to_owned(), micros(left), micros(right)]);
    }
    let head = |run: &Run| {
        format!(
            "{} ({})",
            run.id,
            run.outcome
                .map_or_else(|| word(&run.state), |outcome| outcome_word(outcome).into())
        )
    };
    output.table(&["", &head(&a), &head(&b)], rows);
    for (sign, style, findings) in [("-", "31", gone), ("+", "32", come)] {
        for finding in findings {
            output.ready(&output.styled(style, &format!("{sign} {finding}")));
        }
    }
    if same {
        output.note("they say the same");
    }
    Ok(if same { 0 } else { EXIT_FAILED })
}
