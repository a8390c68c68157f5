//! What people are told, in words that every service can show.

use crate::model::{Event, Level};
use jiff::Timestamp;
use serde_json::Value;

/// One thing to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The same each time that it is sent.
    pub id: String,
    /// The event's type, or `notification`.
    pub kind: String,
    /// How bad it is.
    pub level: Level,
    /// Whether it is good news.
    pub good: bool,
    /// One line.
    pub title: String,
    /// Text; may be empty.
    pub body: String,
    /// What it is about, for instance `/agents/mirror`.
    pub source: String,
    /// When it happened.
    pub at: Timestamp,
}

/// Members of an event's data that people are shown, in this order.
const SHOWN: [&str; 12] = [
    "message",
    "why",
    "reason",
    "agent",
    "repository",
    "branch",
    "mirror",
    "light",
    "effect",
    "run",
    "pipeline",
    "degraded",
];

/// Characters of one member.
const MEMBER_MAX: usize = 500;

impl Message {
    /// What an event is for people.
    #[must_use]
    pub fn of_event(event: &Event) -> Self {
        let about = event.subject.as_deref().unwrap_or(&event.source);
        let named = ["agent", "mirror", "pipeline", "title"]
            .iter()
            .find_map(|name| event.data[*name].as_str())
            .unwrap_or(about);
        let body: Vec<String> = SHOWN
            .iter()
            .filter_map(|name| Some((name, text(&event.data[*name])?)))
            .map(|(name, text)| format!("{name}: {text}"))
            .collect();
        Self {
            id: event.id.clone(),
            level: severity(event),
            good: is_good(&event.kind),
            title: format!("{}: {named}", event.kind),
            body: body.join("\n"),
            source: event.source.clone(),
            at: event.time,
            kind: event.kind.clone(),
        }
    }

    /// What makes two messages the same for who reads them.
    pub(super) fn words(&self) -> String {
        // Ids differ each time that the same thing happens.
        let body: Vec<&str> = self
            .body
            .lines()
            .filter(|line| !line.starts_with("effect: ") && !line.starts_with("run: "))
            .collect();
        format!("{}\n{}", self.title, body.join("\n"))
    }

    /// The colour that the message has everywhere: `0xRRGGBB`.
    pub(super) fn color(&self) -> u32 {
        match self.level {
            Level::Error => 0x00e5_484d,
            Level::Warning => 0x00f5_a623,
            Level::Note if self.good => 0x0030_a46c,
            Level::Note => 0x002f_80ed,
        }
    }
}

fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::Null => return None,
        Value::String(text) => text.clone(),
        Value::Array(list) if list.is_empty() => return None,
        other => other.to_string(),
    };
    Some(text.chars().take(MEMBER_MAX).collect())
}

fn is_good(kind: &str) -> bool {
    [
        ".succeeded",
        ".recovered",
        ".resolved",
        ".applied",
        ".resumed",
        ".unban",
        ".unlock",
    ]
    .iter()
    .any(|ending| kind.ends_with(ending))
}

/// How bad an event is: as it says itself, or by its type.
#[must_use]
pub fn severity(event: &Event) -> Level {
    match event.data["level"].as_str() {
        Some("error" | "critical") => return Level::Error,
        Some("warning") => return Level::Warning,
        Some("note" | "info") => return Level::Note,
        _ => {}
    }
    let kind = event.kind.as_str();
    let error = [
        ".failed",
        ".host_error",
        ".lost",
        ".degraded",
        ".quarantined",
        ".trapped",
        ".engaged",
    ]
    .iter()
    .any(|ending| kind.ends_with(ending));
    // One slip of a hand, or one client that asks too often, wakes nobody.
    let warning = [
        ".waiting",
        ".alert",
        ".stale",
        ".limited",
        ".refused",
        ".expired",
        ".unknown",
        ".paused",
        ".awaiting_recovery",
        ".invalid_key",
        ".revoked_key",
        ".expired_key",
        ".ended_session",
        ".forbidden",
        ".rate_limit",
        ".banned_access",
        ".locked_access",
    ]
    .iter()
    .any(|ending| kind.ends_with(ending));
    match kind {
        _ if is_good(kind) => Level::Note,
        _ if error => Level::Error,
        _ if warning => Level::Warning,
        _ if kind.starts_with("security.") => Level::Error,
        _ => Level::Note,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(kind: &str, data: Value) -> Event {
        Event::new("/agents/a".into(), kind, "a".into(), data)
    }

    #[test]
    fn severity_follows_the_type_unless_the_event_says_more() {
        for (kind, level) in [
            ("run.failed", Level::Error),
            ("security.ban", Level::Error),
            ("security.unban", Level::Note),
            ("security.invalid_key", Level::Warning),
            ("security.incident", Level::Error),
            ("killswitch.engaged", Level::Error),
            ("killswitch.recovered", Level::Note),
            ("effect.waiting", Level::Warning),
            ("mirror.stale", Level::Warning),
            ("mirror.recovered", Level::Note),
            ("pipeline.succeeded", Level::Note),
        ] {
            assert_eq!(severity(&event(kind, json!({}))), level, "{kind}");
        }
        assert_eq!(
            severity(&event("build.done", json!({ "level": "critical" }))),
            Level::Error
        );
    }

    #[test]
    fn people_read_what_happened_to_what_and_why() {
        let data =
            json!({ "agent": "mirror", "message": "the branch moved", "run": "1", "findings": 3 });
        let message = Message::of_event(&event("run.failed", data));
        assert_eq!(message.title, "run.failed: mirror");
        assert_eq!(
            message.body,
            "message: the branch moved\nagent: mirror\nrun: 1"
        );
        assert!(!message.words().contains("run: 1"));
    }
}
