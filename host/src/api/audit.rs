//! `/v1/audit`: the journal in parts, whether it is whole, what the host vouches for, and who is forgotten in it.

use super::access::By;
use super::error::{ApiError, InputError, Problem};
use super::json::{Json, JsonBody};
use super::params::{FromQuery, NoQuery, Params, Values};
use super::{Answer, Plane};
use crate::audit::chain::Checkpoint;
use crate::audit::{ACTIONS, Record, views};
use crate::store::{Entry, JournalFilter, PageRequest, Verified};
use crate::words::nearest;
use axum::extract::State;
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

/// Lines of the older audit view: as many as its page showed.
const OLD_LINES: u32 = 30;

/// Characters of a person's name or address.
const PERSON_MAX: usize = 255;

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditQuery {
    /// Only records of this action, for instance `run.ended`.
    action: Option<String>,
    /// Only records of this agent.
    agent: Option<String>,
    /// Only what this person did: their name or pseudonym.
    user: Option<String>,
    /// Only what came from this address, or its pseudonym.
    address: Option<String>,
    /// Only what was done to this thing: its id.
    resource: Option<String>,
    /// Only what worked, or only what did not.
    #[param(value_type = Option<bool>)]
    success: Option<bool>,
    /// From this moment on, RFC 3339.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Before this moment, RFC 3339.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// How many items, 1 to 500.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 500, default = 50)]
    limit: u32,
    /// `next` of the part before.
    cursor: Option<String>,
}

impl FromQuery for AuditQuery {
    fn from_query(values: &Values) -> Result<Self, ApiError> {
        Ok(Self {
            action: values.text("action"),
            agent: values.text("agent"),
            user: values.text("user"),
            address: values.text("address"),
            resource: values.text("resource"),
            success: values
                .text("success")
                .map(|_| values.flag("success"))
                .transpose()?,
            since: values.timestamp("since")?,
            until: values.timestamp("until")?,
            limit: values.limit()?,
            cursor: values.text("cursor"),
        })
    }
}

/// A part of the journal.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AuditList {
    /// The newest first. Where a filter fits few records a part may hold fewer than asked for, or none, though there are more.
    pub items: Vec<Entry>,
    /// Who the pseudonyms in these records stand for. Who was erased is not among them.
    pub people: BTreeMap<String, String>,
    /// For the part after this one.
    pub next: Option<String>,
}

async fn list(plane: Plane, query: AuditQuery, actions: Vec<String>) -> Answer<Json<AuditList>> {
    let State(plane) = plane;
    let filter = JournalFilter {
        actions,
        agent: query.agent,
        user: query.user,
        address: query.address,
        resource: query.resource,
        success: query.success,
        since: query.since,
        until: query.until,
        ascending: false,
    };
    let request = PageRequest {
        limit: query.limit,
        cursor: query.cursor,
    };
    let page = plane.store().journal(filter, request).await?;
    let people = plane
        .store()
        .people(&views::pseudonyms(&page.items))
        .await?;
    Ok(Json(AuditList {
        items: page.items,
        people,
        next: page.next,
    }))
}

/// The action that is asked for, which has to be one.
fn action(asked: Option<&str>) -> Answer<Vec<String>> {
    let Some(asked) = asked else {
        return Ok(Vec::new());
    };
    if ACTIONS.contains(&asked) {
        return Ok(vec![asked.to_owned()]);
    }
    let meant = nearest(asked, ACTIONS.iter().copied())
        .map_or_else(String::new, |action| format!("; did you mean `{action}`?"));
    Err(ApiError::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "invalid_query",
        "the journal has no such action",
    )
    .with_errors(vec![InputError {
        pointer: "action".into(),
        message: format!("there is no action `{}`{meant}", asked.escape_debug()),
    }]))
}

/// List actions
///
/// What was done, newest first: everything that the host announces, what was asked of the API, and what agents reached.
#[utoipa::path(
    get, path = "/v1/audit/actions", operation_id = "list_audit_actions", tag = "audit",
    params(AuditQuery),
    responses(
        (status = 200, description = "The records", body = AuditList),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_audit_actions(
    plane: Plane,
    Params(query): Params<AuditQuery>,
) -> Answer<Json<AuditList>> {
    let actions = action(query.action.as_deref())?;
    list(plane, query, actions).await
}

/// List security events
///
/// As the actions, but only the twelve that older systems know: `banned_access`, `lockout`, `rate_limit`, `ban`, `invalid_key`, `status`, `pause`, `resume`, `deploy`, `bans_view`, `unban`, `audit_view`.
#[utoipa::path(
    get, path = "/v1/audit/events", operation_id = "list_audit_events", tag = "audit",
    params(AuditQuery),
    responses(
        (status = 200, description = "The records", body = AuditList),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_audit_events(
    plane: Plane,
    Params(query): Params<AuditQuery>,
) -> Answer<Json<AuditList>> {
    let events = views::events();
    let mut actions = action(query.action.as_deref())?;
    if actions.is_empty() {
        actions = events;
    } else if !events.contains(&actions[0]) {
        return Ok(Json(AuditList {
            items: Vec::new(),
            people: BTreeMap::new(),
            next: None,
        }));
    }
    list(plane, query, actions).await
}

/// Verify the journal
///
/// Reads all of it and compares each record with the hash that it and the next one carry. A cut tail and an older copy show only against a checkpoint: `infinity audit verify --checkpoint FILE`.
#[utoipa::path(
    get, path = "/v1/audit/verification", operation_id = "verify_audit", tag = "audit",
    responses(
        (status = 200, description = "What was seen; `broken` is the first place that is not what was written", body = Verified),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn verify_audit(
    State(plane): Plane,
    _: Params<NoQuery>,
) -> Answer<Json<Verified>> {
    Ok(Json(plane.store().verify_journal().await?))
}

/// Sign a checkpoint
///
/// The end of the journal as it is now, signed with the host's key. Keep it where this host cannot write: it shows later that the journal was cut or replaced.
#[utoipa::path(
    get, path = "/v1/audit/checkpoint", operation_id = "get_audit_checkpoint", tag = "audit",
    responses(
        (status = 200, description = "The checkpoint", body = Checkpoint),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_audit_checkpoint(
    State(plane): Plane,
    _: Params<NoQuery>,
) -> Answer<Json<Checkpoint>> {
    let (journal, end) = plane.store().journal_end().await?;
    plane
        .checkpoint(&journal, end)
        .map(Json)
        .map_err(|error| ApiError::internal(error.to_string()))
}

/// Whom to erase.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ErasureRequest {
    /// A person's name, as records show it.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 255)]
    user: Option<String>,
    /// An address.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 255)]
    address: Option<String>,
}

/// What was erased.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Erasure {
    /// Whether the journal knew them.
    pub erased: bool,
}

/// Erase a person
///
/// The journal's records stay as they are, and nothing tells any more who the pseudonym in them stood for. What the person does from then on goes by another.
#[utoipa::path(
    post, path = "/v1/audit/erasures", operation_id = "erase_person", tag = "audit",
    request_body(content = ErasureRequest, description = "Whom"),
    responses(
        (status = 200, description = "Done", body = Erasure),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn erase_person(
    State(plane): Plane,
    By(by): By,
    _: Params<NoQuery>,
    JsonBody(body): JsonBody,
) -> Answer<Json<Erasure>> {
    let invalid = |pointer: &str, message: &str| {
        ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid_erasure",
            "the request is not as it must be; see `errors`",
        )
        .with_errors(vec![InputError {
            pointer: pointer.into(),
            message: message.into(),
        }])
    };
    let request: ErasureRequest =
        serde_json::from_value(body).map_err(|error| invalid("", &error.to_string()))?;
    let (kind, text) = match (&request.user, &request.address) {
        (Some(user), None) => ("user", user),
        (None, Some(address)) => ("address", address),
        _ => return Err(invalid("", "must have either `user` or `address`")),
    };
    if text.is_empty() || text.chars().count() > PERSON_MAX {
        return Err(invalid(
            &format!("/{kind}"),
            "must have 1 to 255 characters",
        ));
    }
    let mut note = Record::new("audit.erased", "person");
    note.user_id = Some(by.principal.name);
    // What the person asked a moment ago belongs to who they were.
    if let Some(access) = plane.access() {
        access.calls.flush(true).await?;
    }
    let erased = plane.store().erase_person(kind, text, note).await?;
    Ok(Json(Erasure { erased }))
}

/// Which key seals from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SealKey {
    /// Its number in `journal.keys`.
    pub key: u32,
}

/// Rotate the journal's key
///
/// What comes from now on is sealed with a new key; what is there stays readable.
#[utoipa::path(
    post, path = "/v1/audit/rotate-key", operation_id = "rotate_audit_key", tag = "audit",
    responses(
        (status = 200, description = "Done", body = SealKey),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn rotate_audit_key(
    State(plane): Plane,
    By(by): By,
    _: Params<NoQuery>,
) -> Answer<Json<SealKey>> {
    let mut note = Record::new("audit.rotated", "journal");
    note.user_id = Some(by.principal.name);
    let key = plane.store().rotate_journal_key(note).await?;
    Ok(Json(SealKey { key }))
}

/// The older audit view: the last lines, the oldest first.
pub(super) async fn old_view(
    State(plane): Plane,
    _: Params<NoQuery>,
) -> Answer<Json<Vec<views::AuditLine>>> {
    let filter = JournalFilter {
        actions: views::events(),
        ..JournalFilter::default()
    };
    let request = PageRequest {
        limit: OLD_LINES,
        ..PageRequest::default()
    };
    let mut found = plane.store().journal(filter, request).await?.items;
    found.reverse();
    let people = plane.store().people(&views::pseudonyms(&found)).await?;
    Ok(Json(
        found
            .iter()
            .map(|entry| views::line(entry, &people))
            .collect(),
    ))
}
