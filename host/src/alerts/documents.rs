//! The rules as documents: for Prometheus, and as the table in the docs. Tests compare both with the files that are shipped.

use super::rules::{Measure, RULES, Rule, Unit};
use serde_json::Value;

/// A length of time as Prometheus reads it.
fn span(ms: u64) -> String {
    match ms / 1_000 {
        0 => "0s".into(),
        seconds if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}

/// Two conditions, the second about how many there were; where none are needed the first alone.
fn with_least(condition: &str, counted: &str, rule: &Rule) -> String {
    match rule.least {
        0 => condition.to_owned(),
        least => format!(
            "{condition} and sum(increase({counted}[{}])) >= {least}",
            span(rule.window_ms)
        ),
    }
}

fn slow(series: &str, percent: u8, rule: &Rule) -> String {
    let window = span(rule.window_ms);
    let share = f64::from(percent) / 100.0;
    let condition = format!(
        "1000 * histogram_quantile({share}, sum by (le) (rate(infinity_{series}_seconds_bucket[{window}]))) > {}",
        rule.above
    );
    with_least(
        &condition,
        &format!("infinity_{series}_seconds_count"),
        rule,
    )
}

/// The condition of a rule in Prometheus' language, with its default numbers.
#[must_use]
pub fn expression(rule: &Rule) -> String {
    let Rule { above, .. } = rule;
    let window = span(rule.window_ms);
    match rule.measure {
        // Who cannot be asked cannot say that it is unwell.
        Measure::Components => {
            format!("infinity_components_broken > {above} or up{{job=\"infinity\"}} == 0")
        }
        Measure::Errors => with_least(
            &format!(
                "100 * sum(rate(infinity_http_requests_total{{status=\"5xx\"}}[{window}])) / sum(rate(infinity_http_requests_total[{window}])) > {above}"
            ),
            "infinity_http_requests_total",
            rule,
        ),
        Measure::Answers(percent) => slow("answer_duration", percent, rule),
        Measure::Runs(percent) => slow("run_latency", percent, rule),
        Measure::Syncs(percent) => slow("sync_latency", percent, rule),
        Measure::Quarantined => format!("infinity_agents_quarantined > {above}"),
        Measure::Events => format!(
            "increase(infinity_rule_events_total{{rule=\"{}\"}}[{window}]) > {above}",
            rule.name
        ),
        Measure::Risks => format!("infinity_data_risks > {above}"),
        Measure::Overdue => format!("infinity_secrets_overdue > {above}"),
        Measure::Memory => {
            format!("100 * infinity_memory_used_bytes / infinity_memory_size_bytes > {above}")
        }
        Measure::Disk => {
            format!("100 * infinity_disk_used_bytes / infinity_disk_size_bytes > {above}")
        }
        Measure::Budget => {
            format!("100 * infinity_llm_cost_today_usd / infinity_llm_budget_usd > {above}")
        }
        Measure::Quota => format!("100 * max(infinity_quota_used_ratio) > {above}"),
    }
}

/// `service_unavailable` as Prometheus' people write names of alerts.
fn title(name: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        let first = letters.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    };
    let words: String = name.split('_').map(word).collect();
    format!("Infinity{words}")
}

/// All rules as a file for Prometheus, in YAML. Texts are JSON strings, which are YAML, too.
#[must_use]
pub fn prometheus() -> String {
    let text = |text: &str| Value::from(text).to_string();
    let mut out = String::from(
        "# The host's own rules, for Prometheus: made from the table in `host/src/alerts/rules.rs`, with its default numbers.\n\
         groups:\n  - name: infinity\n    rules:\n",
    );
    for rule in RULES {
        out.push_str(&format!(
            "      - alert: {}\n        expr: {}\n        for: {}\n        labels:\n          severity: {}\n          rule: {}\n        annotations:\n          summary: {}\n          description: {}\n",
            title(rule.name),
            text(&expression(rule)),
            span(rule.lasts_ms),
            rule.severity.as_str(),
            rule.name,
            text(rule.summary),
            text(rule.help),
        ));
    }
    out
}

/// All rules as a table in Markdown.
#[must_use]
pub fn table() -> String {
    let mut out = String::from(
        "| Rule | Severity | Fires when | Looks back | Has to hold for | What to do |\n|---|---|---|---|---|---|\n",
    );
    for rule in RULES {
        let unit = match rule.unit {
            Unit::Percent => " %",
            Unit::Milliseconds => " ms",
            Unit::Count => "",
        };
        let least = match rule.least {
            0 => String::new(),
            least => format!(", of {least} or more"),
        };
        let window = match rule.window_ms {
            0 => "now".into(),
            ms => span(ms),
        };
        out.push_str(&format!(
            "| `{}` | {} | {}: {} above {}{unit}{least} | {window} | {} | {} |\n",
            rule.name,
            rule.severity.as_str(),
            rule.summary,
            what(rule.measure),
            rule.above,
            span(rule.lasts_ms),
            rule.help,
        ));
    }
    out
}

/// What a rule looks at, in words.
fn what(measure: Measure) -> String {
    match measure {
        Measure::Components => "components that do not work (store, schedule, delivery, pool)".into(),
        Measure::Errors => "share of requests answered with a 5xx".into(),
        Measure::Answers(percent) => {
            format!("time of {percent} % of the requests that did not ask to wait")
        }
        Measure::Runs(percent) => format!("time of {percent} % of the runs, from row to end"),
        Measure::Syncs(percent) => {
            format!("time of {percent} % of the changes of repositories, from cause to applied")
        }
        Measure::Quarantined => "agents in quarantine".into(),
        Measure::Overdue => "secrets that are overdue".into(),
        Measure::Events => "events".into(),
        Measure::Risks => {
            "reasons (the store does not write, under 256 MiB are free, the journal's end cannot be signed)".into()
        }
        Measure::Memory => "memory of the control group or the machine in use".into(),
        Measure::Disk => "disk of the state folder in use".into(),
        Measure::Budget => "today's cost of models, of `daily_budget_usd`".into(),
        Measure::Quota => "the fullest of state folder, queue of runs and day's budget".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alerts::rules::rule;

    #[test]
    fn a_rule_reads_the_same_in_the_language_of_prometheus() {
        let of = |name: &str| expression(rule(name).unwrap());
        assert_eq!(
            of("latency_p99"),
            "1000 * histogram_quantile(0.99, sum by (le) (rate(infinity_answer_duration_seconds_bucket[5m]))) > 5000 \
             and sum(increase(infinity_answer_duration_seconds_count[5m])) >= 50"
        );
        assert_eq!(
            of("policy_denied"),
            "increase(infinity_rule_events_total{rule=\"policy_denied\"}[15m]) > 0"
        );
        assert_eq!(title("latency_p99"), "InfinityLatencyP99");
        assert_eq!(prometheus().matches("- alert:").count(), RULES.len());
        assert_eq!(table().lines().count(), RULES.len() + 2);
    }
}
