//! What GitHub says happened: deliveries as events, and those that did not arrive, which GitHub keeps for some days and does not send again by itself.
//!
//! One delivery is one event of the same id, however it got here. Whoever asks for missed ones gets the payloads, so nothing has to reach the host from outside: the same code serves a host that was down and one that GitHub cannot reach.

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::client::{As, PAGE};
use super::{ForgeError, Github};
use crate::model::{Event, json_depth};

/// What becomes an event; the rest is acknowledged and forgotten.
const EVENTS: [&str; 6] = [
    "push",
    "pull_request",
    "pull_request_review",
    "check_run",
    "workflow_run",
    "issues",
];

/// Bytes of a payload that an event holds whole: an event is a run's input, which has 1 MiB at most. Of a larger one only what names things stays.
const WHOLE_MAX: usize = 512 * 1024;

/// Levels of a payload: it is read again as part of an event.
const DEPTH_MAX: usize = 64;

/// Members that a large payload keeps.
const NAMES: [&str; 9] = [
    "action", "ref", "before", "after", "created", "deleted", "forced", "number", "compare",
];

/// Pages of deliveries that are looked at: a thousand. GitHub keeps three days of them.
const PAGES_MAX: usize = 10;

/// Whether deliveries of this name become events.
#[must_use]
pub fn is_event(name: &str) -> bool {
    EVENTS.contains(&name)
}

/// A delivery as an event; none when its payload is nested too deeply.
#[must_use]
pub fn event(name: &str, delivery: Uuid, payload: Value) -> Option<Event> {
    if json_depth(&payload) > DEPTH_MAX {
        return None;
    }
    let length = serde_json::to_string(&payload).map_or(usize::MAX, |text| text.len());
    let payload = if length > WHOLE_MAX {
        named(&payload)
    } else {
        payload
    };
    let repository = payload["repository"]["full_name"].as_str().unwrap_or("-");
    let mut event = Event::new(
        format!("/github/{repository}"),
        format!("github.{name}"),
        about(&payload),
        payload.clone(),
    );
    event.id = delivery.to_string();
    Some(event)
}

/// A delivery that did not arrive.
#[derive(Clone, Debug, PartialEq)]
pub struct Missed {
    /// GitHub's number of it.
    pub id: u64,
    /// The same for every attempt at it: what `X-GitHub-Delivery` says.
    pub guid: String,
    /// What `X-GitHub-Event` says.
    pub event: String,
    /// When it was tried.
    pub at: Timestamp,
}

/// What a delivery holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivered {
    /// The payload.
    pub payload: Value,
}

impl Github {
    /// Whether GitHub can be asked: it keeps deliveries of Apps, and of a repository's own webhooks for who administers it.
    #[must_use]
    pub fn keeps_deliveries(&self) -> bool {
        self.client.access.is_app()
    }

    /// The deliveries since a moment of which no attempt arrived, the oldest first.
    ///
    /// # Errors
    /// When GitHub does not answer.
    pub async fn missed(&self, since: Timestamp) -> Result<Vec<Missed>, ForgeError> {
        let mut path = Some(format!("/app/hook/deliveries?per_page={PAGE}"));
        let mut arrived = std::collections::BTreeSet::new();
        let mut missed: Vec<Missed> = Vec::new();
        'pages: for _ in 0..PAGES_MAX {
            let Some(page) = path else { break };
            let answer = self.client.get(&page, As::App).await?;
            for one in answer.body.as_array().into_iter().flatten() {
                let at = one["delivered_at"]
                    .as_str()
                    .and_then(|text| text.parse().ok());
                let (Some(at), Some(guid), Some(id)) =
                    (at, one["guid"].as_str(), one["id"].as_u64())
                else {
                    continue;
                };
                if at < since {
                    break 'pages;
                }
                let code = one["status_code"].as_u64().unwrap_or_default();
                if (200..300).contains(&code) {
                    arrived.insert(guid.to_owned());
                } else {
                    missed.push(Missed {
                        id,
                        guid: guid.to_owned(),
                        event: one["event"].as_str().unwrap_or_default().to_owned(),
                        at,
                    });
                }
            }
            path = answer.next;
        }
        missed.retain(|one| !arrived.contains(&one.guid));
        missed.reverse();
        missed.dedup_by(|one, other| one.guid == other.guid);
        Ok(missed)
    }

    /// What a delivery holds.
    ///
    /// # Errors
    /// As [`Github::missed`].
    pub async fn delivered(&self, missed: &Missed) -> Result<Delivered, ForgeError> {
        let path = format!("/app/hook/deliveries/{}", missed.id);
        let answer = self.client.get(&path, As::App).await?;
        Ok(Delivered {
            payload: answer.body["request"]["payload"].clone(),
        })
    }
}

/// What a payload is about: a branch, or the number of a thread.
fn about(payload: &Value) -> String {
    let number = ["/number", "/pull_request/number", "/issue/number"]
        .iter()
        .find_map(|place| payload.pointer(place)?.as_u64());
    let name = payload["ref"]
        .as_str()
        .or_else(|| payload.pointer("/check_run/name")?.as_str())
        .or_else(|| payload.pointer("/workflow_run/name")?.as_str());
    match (name, number) {
        (Some(name), _) => name.chars().take(255).collect(),
        (None, Some(number)) => number.to_string(),
        (None, None) => "-".into(),
    }
}

/// What names things in a payload that is too large to be kept.
fn named(payload: &Value) -> Value {
    let mut short = json!({ "truncated": true });
    for name in NAMES {
        if let Some(value) = payload.get(name) {
            short[name] = value.clone();
        }
    }
    for place in [
        "repository",
        "sender",
        "installation",
        "pull_request",
        "issue",
        "check_run",
        "workflow_run",
    ] {
        let Some(Value::Object(whole)) = payload.get(place) else {
            continue;
        };
        let plain = whole
            .iter()
            .filter(|(_, value)| !value.is_object() && !value.is_array())
            .filter(|(_, value)| value.as_str().is_none_or(|text| text.len() < 1_000));
        short[place] = Value::Object(
            plain
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        );
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_payload_keeps_what_names_things() {
        let payload = json!({
            "ref": "refs/heads/main", "before": "a", "after": "b", "commits": vec!["x"; 1_000],
            "repository": { "full_name": "acme/ops", "owner": { "login": "acme" }, "description": "d".repeat(2_000) },
        });
        let short = named(&payload);
        assert_eq!(short["repository"], json!({ "full_name": "acme/ops" }));
        assert_eq!(
            (&short["after"], &short["truncated"]),
            (&json!("b"), &json!(true))
        );
        assert!(short.get("commits").is_none());
        assert_eq!(about(&payload), "refs/heads/main");
        assert_eq!(about(&json!({ "pull_request": { "number": 7 } })), "7");
    }
}
