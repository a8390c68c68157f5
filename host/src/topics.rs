//! Names for sets of event types, usable wherever a type is: one table.

/// A topic: its name, the types it stands for (`*` at the end is any continuation), and what it is for.
pub type Topic = (&'static str, &'static [&'static str], &'static str);

/// All topics.
pub const TOPICS: &[Topic] = &[
    (
        "agent.state-changes",
        &["run.*", "agent.*"],
        "agents at work, paused, resumed, in quarantine, reloaded",
    ),
    (
        "github.webhook-events",
        &["github.*"],
        "what a forge announces",
    ),
    (
        "system.health-checks",
        &["system.*"],
        "the host itself: its components every 30 seconds, and plugins that were added, replaced, removed",
    ),
    (
        "error.critical",
        &[
            "run.host_error",
            "run.lost",
            "agent.quarantined",
            "system.degraded",
            "config.rolled_back",
            "backup.failed",
            "killswitch.engaged",
            "killswitch.awaiting_recovery",
            "security.ban",
            "security.incident",
            "secret.overdue",
        ],
        "what a person should look at now",
    ),
    ("analytics.events", &["*"], "everything, for counting"),
    (
        "builds",
        &["run.*", "pipeline.*"],
        "channel: runs and pipelines",
    ),
    (
        "deployments",
        &["effect.*", "pipeline.*"],
        "channel: what was changed outside",
    ),
    (
        "agent-heartbeats",
        &["agent.heartbeat"],
        "channel: the state of every agent, every 30 seconds",
    ),
    (
        "health-metrics",
        &["system.health", "system.degraded", "system.recovered"],
        "channel: the host's components, every 30 seconds",
    ),
];

/// Whether an event's type is of a topic, or is what a pattern says.
#[must_use]
pub fn matches(pattern: &str, kind: &str) -> bool {
    match TOPICS.iter().find(|(name, _, _)| *name == pattern) {
        Some((_, patterns, _)) => patterns.iter().any(|pattern| is_like(pattern, kind)),
        None => is_like(pattern, kind),
    }
}

/// What types of the host's own events begin with: nobody else says that a run ended.
pub const OWN_TYPES: [&str; 17] = [
    "run.",
    "agent.",
    "alert.",
    "policy.",
    "effect.",
    "system.",
    "pipeline.",
    "check.",
    "command.",
    "config.",
    "key.",
    "killswitch.",
    "session.",
    "status.",
    "factor.",
    "backup.",
    "secret.",
];

/// Whether a type, or some type of a pattern, is one of the host's own.
#[must_use]
pub fn is_own(pattern: &str) -> bool {
    let beginning = pattern.strip_suffix('*');
    OWN_TYPES.iter().any(|own| {
        pattern.starts_with(own) || beginning.is_some_and(|beginning| own.starts_with(beginning))
    })
}

/// The exact types of a topic: those without `*`.
#[must_use]
pub fn types_of(topic: &str) -> Vec<String> {
    TOPICS
        .iter()
        .filter(|(name, _, _)| *name == topic)
        .flat_map(|(_, patterns, _)| patterns.iter())
        .filter(|pattern| !pattern.ends_with('*'))
        .map(|pattern| (*pattern).to_owned())
        .collect()
}

fn is_like(pattern: &str, kind: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => kind.starts_with(beginning),
        None => pattern == kind,
    }
}

/// Whether this can be a type or a pattern of types: small letters, digits, `.`, `_` and `-`, and at the end perhaps `*`; at most 255 characters.
#[must_use]
pub fn is_pattern(text: &str) -> bool {
    let name = text.strip_suffix('*').unwrap_or(text);
    !text.is_empty()
        && text.len() <= 255
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_and_patterns_are_told_apart() {
        for (pattern, kind, expected) in [
            ("run.failed", "run.failed", true),
            ("run.failed", "run.failed.twice", false),
            ("run.*", "run.failed", true),
            ("*", "anything", true),
            ("agent.state-changes", "run.lost", true),
            ("agent.state-changes", "github.push", false),
            ("github.webhook-events", "github.push", true),
            ("system.health-checks", "system.plugin-added", true),
            ("error.critical", "run.failed", false),
            ("error.critical", "agent.quarantined", true),
        ] {
            assert_eq!(matches(pattern, kind), expected, "{pattern} {kind}");
        }
        assert!(is_pattern("github.*") && !is_pattern("Run*x") && !is_pattern(""));
    }
}
