//! Which kind of line a line of the log is. This is the one place that decides it.

use serde::Serialize;
use tracing::{Level, Metadata};

/// Where lines are written from that are about who may do what, whatever module says them.
pub(crate) const SECURITY: &str = "infinity::security";

/// Where lines are written from that are about what took too long, whatever module says them.
pub(crate) const PERFORMANCE: &str = "infinity::performance";

/// The kinds of lines: a closed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// What agents, schedules and effects do.
    Application,
    /// What the host stands on: store, sandbox, network, other services.
    Infrastructure,
    /// Who came, who was refused, what was stopped.
    Security,
    /// What took too long or came too late.
    Performance,
    /// What went wrong.
    Error,
}

impl Kind {
    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::Infrastructure => "infrastructure",
            Self::Security => "security",
            Self::Performance => "performance",
            Self::Error => "error",
        }
    }
}

/// Families of events that are about who may do what.
const SECURITY_EVENTS: &[&str] = &[
    "security.",
    "key.",
    "session.",
    "factor.",
    "killswitch.",
    "policy.denied",
];

/// Modules whose lines are about who may do what.
const SECURITY_MODULES: &[&str] = &[
    "infinity::access",
    "infinity::api::access",
    "infinity::app::kill",
    "infinity::audit",
    "infinity::kill",
];

/// Modules whose lines are about what the host does for its agents. Those of the others, and of libraries, are about what it stands on.
const APPLICATION_MODULES: &[&str] = &[
    "infinity::alert",
    "infinity::app::ways",
    "infinity::app::control",
    "infinity::checks",
    "infinity::delivery",
    "infinity::dev",
    "infinity::effects",
    "infinity::events",
    "infinity::observers",
    "infinity::pipelines",
    "infinity::registry",
    "infinity::runtime",
    "infinity::schedule",
];

/// The kind of a line. What is said of an event of the feed goes by the event's type, as does nothing else; a line that says itself what it is comes next, then its level, then its module.
pub(crate) fn of(line: &Metadata<'_>, event_type: Option<&str>) -> Kind {
    decide(*line.level(), line.target(), event_type)
}

fn decide(level: Level, target: &str, event_type: Option<&str>) -> Kind {
    let begins = |text: &str, with: &[&str]| with.iter().any(|one| text.starts_with(one));
    if event_type.is_some_and(|kind| begins(kind, SECURITY_EVENTS)) || target == SECURITY {
        return Kind::Security;
    }
    if target == PERFORMANCE {
        return Kind::Performance;
    }
    if level == Level::ERROR {
        return Kind::Error;
    }
    let within = |modules: &[&str]| {
        modules.iter().any(|module| {
            target
                .strip_prefix(module)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        })
    };
    if within(SECURITY_MODULES) {
        Kind::Security
    } else if within(APPLICATION_MODULES) {
        Kind::Application
    } else {
        Kind::Infrastructure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_kind_of_what_it_is_about() {
        for (level, target, event, expected) in [
            (Level::WARN, "infinity::api::access", None, Kind::Security),
            (Level::ERROR, "infinity::api::access", None, Kind::Error),
            (
                Level::ERROR,
                "infinity::alert",
                Some("security.ban"),
                Kind::Security,
            ),
            (
                Level::ERROR,
                "infinity::alert",
                Some("agent.quarantined"),
                Kind::Error,
            ),
            (
                Level::DEBUG,
                "infinity::events",
                Some("run.succeeded"),
                Kind::Application,
            ),
            (Level::WARN, PERFORMANCE, None, Kind::Performance),
            (Level::INFO, SECURITY, None, Kind::Security),
            (Level::WARN, "infinity::runtime", None, Kind::Application),
            (
                Level::WARN,
                "infinity::accessory",
                None,
                Kind::Infrastructure,
            ),
            (
                Level::WARN,
                "infinity::store::sqlite",
                None,
                Kind::Infrastructure,
            ),
            (Level::INFO, "hyper_util", None, Kind::Infrastructure),
        ] {
            assert_eq!(decide(level, target, event), expected, "{target} {event:?}");
        }
    }
}
