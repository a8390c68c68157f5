//! The rules of alerts: one table, from which the host decides, and from which the rules for Prometheus and the table in the docs are made.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Somebody has to look now: an incident of class P0 or P1.
    Critical,
    /// Somebody has to look today: P2.
    Warning,
}

impl Severity {
    /// The word in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
        }
    }

    /// The severity of its events, which channels choose by.
    #[must_use]
    pub fn level(self) -> &'static str {
        match self {
            Self::Critical => "error",
            Self::Warning => "warning",
        }
    }
}

/// What a rule's numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Of a hundred.
    Percent,
    /// Thousandths of a second.
    Milliseconds,
    /// So many of them.
    Count,
}

/// What a rule looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Parts of the host that do not work.
    Components,
    /// The share of requests that were answered with a 5xx.
    Errors,
    /// The time within which this share of requests was answered, those left out that asked to wait.
    Answers(u8),
    /// The time within which this share of runs ended, waiting for a place included.
    Runs(u8),
    /// The time within which this share of changes to repositories was applied, after what began their runs.
    Syncs(u8),
    /// Agents in quarantine.
    Quarantined,
    /// Events of the rule's own: see [`Rule::events`].
    Events,
    /// Reasons to fear for data.
    Risks,
    /// Secrets that somebody should have replaced.
    Overdue,
    /// The share of the memory that is in use.
    Memory,
    /// The share of the state folder's disk that is in use.
    Disk,
    /// What models cost today, of what a day may cost.
    Budget,
    /// The fullest of what has a bound.
    Quota,
}

/// One rule. Every number is a default; `[alerts.rules.NAME]` changes them.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Its name.
    pub name: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What it looks at.
    pub measure: Measure,
    /// What [`Rule::above`] is in.
    pub unit: Unit,
    /// It holds above this.
    pub above: u64,
    /// It holds only with so many of what it counts in the window: one of three is no trend. 0 where nothing is counted.
    pub least: u64,
    /// Looks back so far, in milliseconds; 0 looks at what is now.
    pub window_ms: u64,
    /// Has to hold so long before it fires, and not to hold so long before it is over, in milliseconds.
    pub lasts_ms: u64,
    /// One line for people.
    pub summary: &'static str,
    /// What they do.
    pub help: &'static str,
}

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;

const fn now(
    name: &'static str,
    severity: Severity,
    measure: Measure,
    above: (u64, Unit),
    lasts_ms: u64,
) -> Rule {
    Rule {
        name,
        severity,
        measure,
        unit: above.1,
        above: above.0,
        least: 0,
        window_ms: 0,
        lasts_ms,
        summary: "",
        help: "",
    }
}

const fn over(
    name: &'static str,
    severity: Severity,
    measure: Measure,
    above: (u64, Unit),
    window_ms: u64,
    least: u64,
) -> Rule {
    Rule {
        least,
        window_ms,
        ..now(name, severity, measure, above, 0)
    }
}

impl Rule {
    const fn says(self, summary: &'static str, help: &'static str) -> Self {
        Self {
            summary,
            help,
            ..self
        }
    }

    const fn lasting(self, lasts_ms: u64) -> Self {
        Self { lasts_ms, ..self }
    }

    /// The types of events that it counts.
    #[must_use]
    pub fn events(&self) -> &'static [&'static str] {
        match self.name {
            "security_breach" => &["security.ban", "security.incident", "killswitch.engaged"],
            "policy_denied" => &["policy.denied"],
            _ => &[],
        }
    }
}

/// The rule of this name.
#[must_use]
pub fn rule(name: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.name == name)
}

/// All rules, the critical ones first.
pub const RULES: &[Rule] = &[
    now("service_unavailable", Severity::Critical, Measure::Components, (0, Unit::Count), MINUTE).says(
        "A part of the host does not work",
        "`GET /health?verbose` names it. Look at the log and at the disk of the state folder; restart the host if the part stays silent.",
    ),
    over("error_rate", Severity::Critical, Measure::Errors, (1, Unit::Percent), 5 * MINUTE, 50).says(
        "Too many requests are answered with an error of the host",
        "`infinity_http_requests_total{status=\"5xx\"}` says on which routes; the log has each with its request id.",
    ),
    over("latency_p99", Severity::Critical, Measure::Answers(99), (5_000, Unit::Milliseconds), 5 * MINUTE, 50).says(
        "The slowest requests take too long",
        "Look at load, disk and `infinity_runs_queued`; `infinity_http_request_duration_seconds` says which routes are slow.",
    ),
    now("agent_quarantined", Severity::Critical, Measure::Quarantined, (0, Unit::Count), 0).says(
        "An agent failed again and again and is in quarantine",
        "`infinity runs --agent NAME` shows why. Mend it, then `infinity resume NAME`.",
    ),
    over("security_breach", Severity::Critical, Measure::Events, (0, Unit::Count), 15 * MINUTE, 0).says(
        "Somebody was banned, a security incident was announced, or the host threw its own kill switch",
        "`infinity audit tail` and `infinity bans list` show who and what. Revoke the keys that were used: `infinity key revoke`.",
    ),
    now("data_loss_risk", Severity::Critical, Measure::Risks, (0, Unit::Count), 0).says(
        "What is recorded now may be lost",
        "Free space on the disk of the state folder, look at the system's log for errors of the disk, and make a backup: `infinity backup create`.",
    ),
    now("memory_high", Severity::Warning, Measure::Memory, (80, Unit::Percent), 5 * MINUTE).says(
        "Memory is nearly used up",
        "Lower `concurrency` in `[host]` or the `memory` limits of agents, or give the machine more.",
    ),
    now("disk_high", Severity::Warning, Measure::Disk, (70, Unit::Percent), 5 * MINUTE).says(
        "The disk of the state folder fills up",
        "Lower `state_budget` in `[host]`, remove what else is on the disk, or make it larger.",
    ),
    over("agent_latency", Severity::Warning, Measure::Runs(95), (3_000, Unit::Milliseconds), 10 * MINUTE, 20).says(
        "Runs take long, or wait long for a place",
        "`infinity_run_latency_seconds` has all of them, `infinity_run_duration_seconds` each agent's own. Raise `concurrency` if they wait; where agents are meant to take long, raise `above`.",
    ),
    over("sync_latency", Severity::Warning, Measure::Syncs(95), (MINUTE, Unit::Milliseconds), 15 * MINUTE, 3).says(
        "Changes reach repositories late",
        "`infinity effects list --state applying` and `GET /v1/integrations` say whether the forge is slow or refuses.",
    ),
    now("cost_over_budget", Severity::Warning, Measure::Budget, (100, Unit::Percent), 0).says(
        "Models cost more today than a day may cost",
        "`infinity events --type llm.usage` shows who spends. At twice the budget the kill switch is thrown.",
    ),
    now("quota_nearly_reached", Severity::Warning, Measure::Quota, (80, Unit::Percent), 0).says(
        "Something that has a bound is nearly full",
        "The alert names it: raise the bound in `[host]`, or find out what fills it.",
    ),
    now("secret_overdue", Severity::Warning, Measure::Overdue, (0, Unit::Count), 0).says(
        "A secret is ten days past the age at which it should have been replaced",
        "`infinity secret list` names it and who uses it; `infinity secret rotate NAME` replaces it, or whoever issues it does.",
    ),
    over("policy_denied", Severity::Warning, Measure::Events, (0, Unit::Count), 15 * MINUTE, 0).says(
        "The sandbox or a policy denied an agent something",
        "The run's denials name the line that would allow it; `infinity events --type policy.denied` lists them.",
    ),
    over("control_plane_slow", Severity::Warning, Measure::Answers(95), (500, Unit::Milliseconds), 5 * MINUTE, 50)
        .lasting(MINUTE)
        .says(
            "The API answers slowly",
            "Look at load and disk. One host serves one state folder: give it more processors, or spread agents over several hosts.",
        ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::BOUNDS_MS;
    use std::collections::BTreeSet;

    #[test]
    fn every_rule_says_what_and_what_to_do() {
        let names: BTreeSet<&str> = RULES.iter().map(|rule| rule.name).collect();
        assert_eq!(names.len(), RULES.len());
        for rule in RULES {
            assert!(
                !rule.summary.is_empty() && !rule.summary.ends_with('.'),
                "{}",
                rule.name
            );
            assert!(rule.help.ends_with('.'), "{}", rule.name);
            assert_eq!(
                rule.measure == Measure::Events,
                !rule.events().is_empty(),
                "{}",
                rule.name
            );
            // What is counted is counted over a time.
            assert!(rule.least == 0 || rule.window_ms > 0, "{}", rule.name);
        }
        let critical = RULES
            .iter()
            .filter(|rule| rule.severity == Severity::Critical);
        assert_eq!(critical.count(), 6);
    }

    #[test]
    fn thresholds_of_times_are_bounds_of_what_is_counted() {
        for rule in RULES {
            if rule.unit == Unit::Milliseconds {
                assert!(BOUNDS_MS.contains(&rule.above), "{}", rule.name);
            }
        }
    }
}
