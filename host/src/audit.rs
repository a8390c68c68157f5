//! What was done, by whom, and what came of it: records that go into the journal. Pure; [`seal`] encrypts them and takes persons out, [`chain`] joins them, [`calls`] gathers those of the
//! API, and the store writes them.
//!
//! Invariant: a record names no person. What could be one goes through [`Pseudonyms`], whose answer means nothing without the table beside the journal, from which a person can be erased.

pub mod calls;
pub mod chain;
pub mod checkpoints;
pub mod report;
pub mod seal;
pub mod views;

use crate::model::Event;
use crate::topics;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

/// Every action of the journal; there are no others. The first twelve have the names that older systems gave them.
pub const ACTIONS: &[&str] = &[
    "banned_access",
    "lockout",
    "rate_limit",
    "ban",
    "invalid_key",
    "status",
    "pause",
    "resume",
    "deploy",
    "bans_view",
    "unban",
    "audit_view",
    "check.ended",
    "status.reported",
    "access.ended_session",
    "access.expired_key",
    "access.expired_token",
    "access.failed_sign_in",
    "access.forbidden",
    "access.incident",
    "access.locked_access",
    "access.no_role",
    "access.revoked_key",
    "access.unknown_token",
    "access.unlock",
    "agent.paused",
    "agent.quarantined",
    "agent.reloaded",
    "agent.resumed",
    "alert.fired",
    "alert.resolved",
    "alert.silenced",
    "alert.unsilenced",
    "api.change",
    "api.read",
    "audit.erased",
    "audit.rotated",
    "backup.created",
    "backup.drilled",
    "backup.failed",
    "command.accepted",
    "config.applied",
    "config.approved",
    "config.refused",
    "config.rolled_back",
    "config.waiting",
    "effect",
    "event.published",
    "factor.enrolled",
    "factor.removed",
    "factor.shown",
    "host.other",
    "key.created",
    "key.revoked",
    "key.rotated",
    "killswitch.awaiting_recovery",
    "killswitch.engaged",
    "killswitch.recovered",
    "llm.usage",
    "pipeline",
    "policy.denied",
    "run.ended",
    "run.started",
    "secret.overdue",
    "secret.removed",
    "secret.revealed",
    "secret.rotated",
    "secret.set",
    "session.begun",
    "session.ended",
    "system.change",
];

/// Bytes of the details of one record: more is said by its size alone.
const DETAIL_BYTES_MAX: usize = 16 * 1024;

/// Bytes of one text of a record that somebody else wrote.
const TEXT_BYTES_MAX: usize = 512;

/// Names in details whose values are persons, or could be.
const PERSONAL: [&str; 13] = [
    "address",
    "approved_by",
    "author",
    "by",
    "email",
    "ip",
    "login",
    "principal",
    "proposed_by",
    "sender",
    "subject",
    "user",
    "user_agent",
];

/// Types of the host's own events that are no actions: they say every few seconds that all is as it was.
const BEATS: [&str; 2] = ["agent.heartbeat", "system.health"];

/// What was done. Absent fields have nothing to say here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Record {
    /// When, in UTC, to the millisecond.
    #[schema(value_type = String, format = DateTime)]
    pub timestamp: Timestamp,
    /// What belongs together: the run, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<Uuid>,
    /// This record.
    pub action_id: Uuid,
    /// Who, as a pseudonym.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// With what: the id of the API key, or of the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    /// From where, as a pseudonym.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<String>,
    /// The program that asked, as a pseudonym.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// One of a closed set, for instance `run.ended` or `invalid_key`.
    pub action: String,
    /// What was acted on: `run`, `effect`, `key`, …
    pub resource_type: String,
    /// Which one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_id: Option<String>,
    /// Who served a model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub llm_provider: Option<String>,
    /// The model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub llm_model: Option<String>,
    /// The SHA-256 of what the model was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_hash: Option<String>,
    /// Tokens that the model counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens_used: Option<u64>,
    /// What that cost, in US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_estimate_usd: Option<f64>,
    /// Whether it came to what was wanted.
    pub success: bool,
    /// If not, why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// How long it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// The commit that came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit_sha: Option<String>,
    /// The pull request that came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pr_url: Option<String>,
    /// The agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The component that ran, as `sha256:…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin_digest: Option<String>,
    /// What the policies said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy_verdict: Option<String>,
    /// How often within some seconds, for what is the same.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub count: u64,
    /// What else is known; persons are pseudonyms here, too.
    #[serde(skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub detail: Map<String, Value>,
}

fn one() -> u64 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks like that")]
fn is_one(count: &u64) -> bool {
    *count == 1
}

/// Puts a pseudonym in a person's place.
pub trait Pseudonyms {
    /// The same for the same text, and nothing that leads back to it. `kind` is what it stands for, such as `user` or `address`.
    fn of(&mut self, kind: &str, text: &str) -> String;
}

/// Remembers who was hidden, so that texts which name them can be mended.
struct Remembering<'p> {
    people: &'p mut dyn Pseudonyms,
    hidden: Vec<(String, String)>,
}

impl Pseudonyms for Remembering<'_> {
    fn of(&mut self, kind: &str, text: &str) -> String {
        let pseudonym = self.people.of(kind, text);
        self.hidden.push((text.to_owned(), pseudonym.clone()));
        pseudonym
    }
}

impl Remembering<'_> {
    /// A text that the host wrote of people, such as "grace said no".
    fn mend(&self, text: &str) -> String {
        let mut mended = text.to_owned();
        for (name, pseudonym) in &self.hidden {
            if !name.is_empty() {
                mended = mended.replace(name, pseudonym);
            }
        }
        mended
    }
}

impl Record {
    /// An action, now, that worked.
    #[must_use]
    pub fn new(action: &'static str, resource: &str) -> Self {
        debug_assert!(ACTIONS.contains(&action), "{action}");
        Self {
            timestamp: millisecond(crate::model::now()),
            action_id: Uuid::now_v7(),
            action: action.into(),
            resource_type: resource.into(),
            success: true,
            count: 1,
            ..Self::default()
        }
    }

    /// What an event says that somebody did; none for what only beats.
    #[must_use]
    pub fn of(event: &Event, people: &mut dyn Pseudonyms) -> Option<Self> {
        if BEATS.contains(&event.kind.as_str()) {
            return None;
        }
        if !is_own(event) {
            return Some(Self::of_another(event));
        }
        let people = &mut Remembering {
            people,
            hidden: Vec::new(),
        };
        let data = &event.data;
        let text = |name: &str| data.get(name).and_then(Value::as_str).map(str::to_owned);
        let (action, resource) = action_of(&event.kind);
        let run = text("run").or_else(|| (resource == "run").then(|| event.subject.clone())?);
        let mut record = Self {
            timestamp: millisecond(event.time),
            trace_id: run.and_then(|run| run.parse().ok()),
            action_id: event.id.parse().unwrap_or_else(|_| Uuid::now_v7()),
            resource_id: event.subject.clone(),
            agent: text("agent").or_else(|| agent_of(&event.source)),
            plugin_digest: text("plugin_digest"),
            policy_verdict: policy_verdict(&event.kind),
            success: succeeded(&event.kind),
            error_message: text("message").map(|message| cut(&message)),
            duration_ms: data["duration_ms"].as_u64(),
            commit_sha: data["result"]["commit"].as_str().map(str::to_owned),
            pr_url: data["result"]["url"].as_str().map(str::to_owned),
            user_id: person(data).map(|name| people.of("user", &name)),
            ip_address: text("address").map(|address| people.of("address", &address)),
            ..Self::new(action, resource)
        };
        if record.success {
            record.error_message = None;
        }
        if resource == "client" {
            record.resource_id = event
                .subject
                .as_deref()
                .map(|subject| people.of("address", subject));
        }
        let mut data = data.clone();
        if resource == "key" {
            // What a key is called is who comes with it.
            record.resource_id = text("key");
            if let Some(name) = text("name") {
                data["name"] = json!(people.of("user", &name));
            }
        }
        let mut detail = Map::new();
        detail.insert("event".into(), json!(event.kind));
        match serde_json::to_vec(&data) {
            Ok(bytes) if bytes.len() <= DETAIL_BYTES_MAX => {
                if let Value::Object(fields) = without_people(&data, people) {
                    detail.extend(fields);
                }
            }
            Ok(bytes) => {
                detail.insert("bytes".into(), json!(bytes.len()));
            }
            Err(_) => {}
        }
        for name in ["message", "reason"] {
            if let Some(Value::String(text)) = detail.get_mut(name) {
                *text = people.mend(text);
            }
        }
        record.error_message = record.error_message.map(|text| people.mend(&text));
        record.detail = detail;
        Some(record)
    }

    /// The same with pseudonyms for the persons in it.
    #[must_use]
    pub fn hidden(&self, people: &mut dyn Pseudonyms) -> Self {
        let mut hide =
            |kind: &str, text: &Option<String>| text.as_deref().map(|text| people.of(kind, text));
        let user_id = hide("user", &self.user_id);
        let ip_address = hide("address", &self.ip_address);
        let user_agent = hide("program", &self.user_agent);
        let detail = match without_people(&Value::Object(self.detail.clone()), people) {
            Value::Object(detail) => detail,
            _ => Map::new(),
        };
        Self {
            user_id,
            ip_address,
            user_agent,
            detail,
            ..self.clone()
        }
    }

    /// An event of somebody else: that it came, and nothing of what it holds.
    fn of_another(event: &Event) -> Self {
        // The moment is the host's own: what the event says of that is its source's word.
        let is_usage = event.kind == "llm.usage";
        let mut record = Self::new(
            if is_usage {
                "llm.usage"
            } else {
                "event.published"
            },
            "event",
        );
        if is_usage {
            let text = |name: &str| event.data.get(name).and_then(Value::as_str).map(cut);
            record.llm_provider = text("provider");
            record.llm_model = text("model");
            record.prompt_hash = text("prompt_hash");
            record.tokens_used = event.data["tokens"].as_u64();
            record.cost_estimate_usd = event.data["cost_usd"].as_f64();
        }
        record.resource_id = Some(cut(&event.id));
        record.detail = Map::from_iter([
            ("event".to_owned(), json!(cut(&event.kind))),
            ("source".to_owned(), json!(cut(&event.source))),
        ]);
        record
    }
}

/// Whether the host itself says so: nobody else publishes such an event.
pub(crate) fn is_own(event: &Event) -> bool {
    topics::is_own(&event.kind) || is_ours(event)
}

/// Security events may be published by others, too; those of the host say where they come from.
fn is_ours(event: &Event) -> bool {
    event.source == "/access" || event.source == "/host"
}

/// The action and the resource of an event's type.
fn action_of(kind: &str) -> (&'static str, &'static str) {
    let (family, rest) = kind.split_once('.').unwrap_or((kind, ""));
    match (family, rest) {
        ("run", "started") => ("run.started", "run"),
        ("run", _) => ("run.ended", "run"),
        ("effect", _) => ("effect", "effect"),
        ("pipeline", _) => ("pipeline", "pipeline"),
        ("policy", _) => ("policy.denied", "run"),
        ("backup", _) => (known(kind), "backup"),
        ("check", _) => (known(kind), "check"),
        ("command", _) => ("command.accepted", "command"),
        ("config", _) => (known(kind), "host"),
        ("key", _) => (known(kind), "key"),
        ("session", _) => (known(kind), "session"),
        ("status", _) => (known(kind), "commit"),
        ("factor", _) => (known(kind), "factor"),
        ("secret", _) => (known(kind), "secret"),
        ("killswitch", _) => (known(kind), "host"),
        ("agent", _) => (known(kind), "agent"),
        ("alert", _) => (known(kind), "alert"),
        ("security", "invalid_key" | "lockout" | "ban" | "unban" | "rate_limit")
        | ("security", "banned_access") => (known(rest), "client"),
        ("security", "incident") => ("access.incident", "host"),
        ("security", _) => (known(&format!("access.{rest}")), "client"),
        ("system", _) => ("system.change", "host"),
        _ => ("host.other", "host"),
    }
}

/// The action of this name.
fn known(name: &str) -> &'static str {
    ACTIONS
        .iter()
        .find(|action| **action == name)
        .copied()
        .unwrap_or("host.other")
}

/// Whether an event's type says that what was wanted came to be.
fn succeeded(kind: &str) -> bool {
    let last = kind.rsplit('.').next().unwrap_or_default();
    let refused = kind.starts_with("security.") && !matches!(last, "unban" | "unlock");
    let fine = matches!(
        last,
        "succeeded" | "findings" | "skipped" | "started" | "reloaded" | "created"
    );
    let failed = kind.starts_with("run.")
        || matches!(
            last,
            "failed" | "refused" | "rejected" | "vetoed" | "expired" | "denied" | "quarantined"
        );
    !refused && (fine || !failed)
}

fn policy_verdict(kind: &str) -> Option<String> {
    match kind {
        "policy.denied" | "effect.refused" => Some("denied".into()),
        "effect.waiting" => Some("approval".into()),
        "effect.approved" | "effect.applied" => Some("allowed".into()),
        _ => None,
    }
}

/// The agent in a source such as `/agents/badge`.
fn agent_of(source: &str) -> Option<String> {
    let name = source.strip_prefix("/agents/")?;
    Some(name.split('/').next().unwrap_or(name).to_owned())
}

/// Who did it, of what an event holds.
fn person(data: &Value) -> Option<String> {
    ["principal", "by", "proposed_by", "approved_by"]
        .iter()
        .find_map(|name| match &data[*name] {
            Value::String(name) => Some(name.clone()),
            Value::Object(fields) if !is_machine(fields) => {
                fields.get("name")?.as_str().map(str::to_owned)
            }
            _ => None,
        })
}

/// The host's own clock and agents are nobody.
fn is_machine(principal: &Map<String, Value>) -> bool {
    matches!(principal.get("kind"), Some(Value::String(kind)) if kind == "host" || kind == "agent")
}

/// The same value with pseudonyms for persons, as far down as it goes: what serde read has a bound.
fn without_people(value: &Value, people: &mut dyn Pseudonyms) -> Value {
    match value {
        Value::Array(items) => items
            .iter()
            .map(|item| without_people(item, people))
            .collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| {
                let value = if PERSONAL.contains(&name.as_str()) {
                    hidden(name, value, people)
                } else {
                    without_people(value, people)
                };
                (name.clone(), value)
            })
            .collect(),
        other => other.clone(),
    }
}

/// What a person's place holds: a name, or an object with one.
fn hidden(place: &str, value: &Value, people: &mut dyn Pseudonyms) -> Value {
    let kind = match place {
        "address" | "ip" | "subject" => "address",
        "user_agent" => "program",
        _ => "user",
    };
    match value {
        Value::String(text) => Value::String(people.of(kind, text)),
        Value::Array(items) => items
            .iter()
            .map(|item| hidden(place, item, people))
            .collect(),
        Value::Object(fields) if is_machine(fields) => value.clone(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| {
                let value = match value {
                    Value::String(_) if name == "kind" || name == "type" => value.clone(),
                    _ => hidden(place, value, people),
                };
                (name.clone(), value)
            })
            .collect(),
        other => other.clone(),
    }
}

/// As records have it.
fn millisecond(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}

/// The beginning of a text.
pub(crate) fn cut(text: &str) -> String {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Marks;

    impl Pseudonyms for Marks {
        fn of(&mut self, kind: &str, text: &str) -> String {
            format!("{kind}-{}", text.len())
        }
    }

    fn event(source: &str, kind: &str, data: Value) -> Event {
        Event::new(source.into(), kind, "it".into(), data)
    }

    #[test]
    fn a_record_names_nobody() {
        let kept = event(
            "/access",
            "security.ban",
            json!({ "address": "203.0.113.7", "by": { "kind": "key", "name": "grace" }, "seconds": 3,
                "approvals": [{ "principal": { "kind": "user", "name": "grace" } }] }),
        );
        let record = Record::of(&kept, &mut Marks).unwrap();
        let text = serde_json::to_string(&record).unwrap();
        assert!(
            !text.contains("grace") && !text.contains("203.0.113.7"),
            "{text}"
        );
        assert_eq!(record.action, "ban");
        assert_eq!(record.ip_address.as_deref(), Some("address-11"));
        assert_eq!(record.user_id.as_deref(), Some("user-5"));
        assert_eq!(
            record.detail["by"],
            json!({ "kind": "key", "name": "user-5" })
        );
        assert_eq!(record.detail["seconds"], 3);
        assert!(!record.success);
    }

    #[test]
    fn what_the_host_says_of_people_says_it_of_pseudonyms() {
        let rejected = event(
            "/agents/a",
            "effect.rejected",
            json!({ "message": "grace said no", "by": { "kind": "key", "name": "grace" } }),
        );
        let record = Record::of(&rejected, &mut Marks).unwrap();
        assert_eq!(record.error_message.as_deref(), Some("user-5 said no"));
        assert_eq!(record.detail["message"], "user-5 said no");
        assert_eq!(record.user_id.as_deref(), Some("user-5"));
    }

    #[test]
    fn a_key_is_recorded_by_its_id_and_not_by_whose_it_is() {
        let made = Event::new(
            "/keys/7".into(),
            "key.created",
            "grace".into(),
            json!({ "key": "7", "name": "grace", "by": { "kind": "user", "name": "ann" } }),
        );
        let record = Record::of(&made, &mut Marks).unwrap();
        let text = serde_json::to_string(&record).unwrap();
        assert!(!text.contains("grace") && !text.contains("ann"), "{text}");
        assert_eq!(record.resource_id.as_deref(), Some("7"));
        assert_eq!(record.detail["name"], "user-5");
    }

    #[test]
    fn what_others_publish_is_noted_and_not_kept() {
        let record = Record::of(
            &event("/else", "shop.sold", json!({ "customer": "grace" })),
            &mut Marks,
        )
        .unwrap();
        assert_eq!(record.action, "event.published");
        assert!(
            !serde_json::to_string(&record).unwrap().contains("grace"),
            "{record:?}"
        );
        // Nobody else can say that somebody was banned.
        let record = Record::of(
            &event("/else", "security.ban", json!({ "address": "203.0.113.7" })),
            &mut Marks,
        );
        assert_eq!(record.unwrap().action, "event.published");
    }

    #[test]
    fn beats_are_no_actions_and_large_details_are_a_size() {
        assert_eq!(
            Record::of(&event("/host", "system.health", json!({})), &mut Marks),
            None
        );
        let large = event(
            "/agents/a",
            "run.failed",
            json!({ "message": "m".repeat(17_000) }),
        );
        let record = Record::of(&large, &mut Marks).unwrap();
        assert_eq!(record.agent.as_deref(), Some("a"));
        assert_eq!(record.error_message.map(|text| text.len()), Some(512));
        assert_eq!(record.detail["bytes"], 17_014);
        assert!(!record.success);
    }
}
