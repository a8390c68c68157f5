//! `/v1/events`: the feed in parts or as it grows, and events from outside.

use super::envelope::Accept;
use super::error::{ApiError, InputError, Problem};
use super::followers;
use super::json::{Json, JsonBody};
use super::params::{FromQuery, NoQuery, Params, Values};
use super::server::Connection;
use super::views::{EventList, EventRequest, Published};
use super::{Answer, ControlPlane, Plane};
use crate::model::{Event, SpecVersion, json_depth, now};
use crate::store::StoreError;
use crate::topics::{self, TOPICS};
use axum::extract::{Extension, State};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use utoipa::IntoParams;

/// The media type that asks to follow.
const EVENT_STREAM: &str = "text/event-stream";

/// How often a follower looks for what is new.
const FOLLOW_EVERY: Duration = Duration::from_millis(250);

/// Events taken in one go while following.
const FOLLOW_EVENTS: usize = 100;

/// Reads for one part of a pattern's events, so that a pattern that nothing fits does not read the whole feed.
const PATTERN_READS_MAX: usize = 20;

/// Events of one request.
const BATCH_MAX: usize = 100;

/// Bytes of an attribute.
const ATTRIBUTE_MAX_BYTES: usize = 255;

/// Bytes of an event's data: an event says that something happened, and where to look.
const DATA_MAX_BYTES: usize = 64 * 1024;

/// Levels of an event's data: it becomes part of a run's input, which is read again as JSON, where 128 levels are the end.
const DEPTH_MAX: usize = 64;

/// How far another machine's clock may be ahead.
const CLOCKS_APART_MAX: SignedDuration = SignedDuration::from_mins(5);

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct EventQuery {
    /// Only events of this type (`run.failed`), with this beginning (`run.*`), or of this topic (`agent.state-changes`).
    #[param(rename = "type")]
    kind: Option<String>,
    /// How many items, 1 to 500.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 500, default = 50)]
    limit: u32,
    /// `next` of the part before.
    cursor: Option<String>,
}

impl FromQuery for EventQuery {
    fn from_query(values: &Values) -> Result<Self, ApiError> {
        Ok(Self {
            kind: values.text("type"),
            limit: values.limit()?,
            cursor: values.text("cursor"),
        })
    }
}

/// List events
///
/// Oldest first, as CloudEvents 1.0 envelopes. `next` is always there: who sends it again later gets what came since. With `Accept: text/event-stream` the events
/// come as they happen; `Last-Event-ID` resumes, and without it the stream begins now.
#[utoipa::path(
    get, path = "/v1/events", operation_id = "list_events", tag = "events",
    params(
        EventQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "Where a stream was left: the `id` of its last event"),
    ),
    responses(
        (status = 200, description = "The events", content((EventList = "application/json"), (String = "text/event-stream"))),
        (status = 503, description = "`too_many_followers`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_events(
    State(plane): Plane,
    Params(query): Params<EventQuery>,
    connection: Option<Extension<Connection>>,
    headers: HeaderMap,
) -> Answer<Response> {
    if Accept::of(&headers).names(EVENT_STREAM) {
        let resumed = headers
            .get("last-event-id")
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
            .or(query.cursor);
        let after = match resumed {
            Some(after) => {
                // Refused before the stream begins, not in it.
                plane.store().events(&[], Some(&after), 1).await?;
                after
            }
            None => plane.store().events_end().await?,
        };
        let place = followers::take(connection.as_deref())?;
        let stopping = connection
            .map(|Extension(connection)| connection.stopping)
            .unwrap_or_default();
        return follow(plane, query.kind, after, stopping, place);
    }
    let (items, next) = read(&plane, query.kind.as_deref(), query.cursor, query.limit).await?;
    Ok(Json(EventList { items, next }).into_response())
}

/// Events of a type, pattern or topic. Of a pattern a part may hold fewer than asked for, though there are more.
async fn read(
    plane: &Arc<dyn ControlPlane>,
    kind: Option<&str>,
    cursor: Option<String>,
    limit: u32,
) -> Answer<(Vec<Event>, Option<String>)> {
    let Some(kind) = kind else {
        let page = plane.store().events(&[], cursor.as_deref(), limit).await?;
        return Ok((page.items, page.next));
    };
    let is_topic = TOPICS.iter().any(|(name, _, _)| *name == kind);
    if !is_topic && !kind.ends_with('*') {
        let kinds = [kind.to_owned()];
        let page = plane
            .store()
            .events(&kinds, cursor.as_deref(), limit)
            .await?;
        return Ok((page.items, page.next));
    }
    let mut cursor = cursor;
    let mut items = Vec::new();
    for _ in 0..PATTERN_READS_MAX {
        // So many that all that match fit into the answer.
        let wanted = limit - u32::try_from(items.len()).unwrap_or(limit);
        let page = plane.store().events(&[], cursor.as_deref(), wanted).await?;
        let read = page.items.len();
        items.extend(
            page.items
                .into_iter()
                .filter(|event| topics::matches(kind, &event.kind)),
        );
        cursor = page.next;
        if read < wanted as usize || items.len() >= limit as usize {
            break;
        }
    }
    Ok((items, cursor))
}

struct Follower {
    plane: Arc<dyn ControlPlane>,
    kind: Option<String>,
    after: String,
    stopping: CancellationToken,
    ready: VecDeque<sse::Event>,
    _place: followers::Place,
}

fn follow(
    plane: Arc<dyn ControlPlane>,
    kind: Option<String>,
    after: String,
    stopping: CancellationToken,
    place: followers::Place,
) -> Answer<Response> {
    let follower = Follower {
        plane,
        kind,
        after,
        stopping,
        ready: VecDeque::new(),
        _place: place,
    };
    let stream = futures::stream::try_unfold(follower, |mut follower| async move {
        loop {
            if follower.stopping.is_cancelled() {
                return Ok::<_, axum::Error>(None);
            }
            if let Some(event) = follower.ready.pop_front() {
                return Ok(Some((event, follower)));
            }
            match follower.fill().await {
                Ok(true) => {}
                Ok(false) => {
                    tokio::select! {
                        () = tokio::time::sleep(FOLLOW_EVERY) => {}
                        () = follower.stopping.cancelled() => return Ok(None),
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "the feed of events cannot be followed: {error}");
                    return Ok(None);
                }
            }
        }
    });
    Ok(Sse::new(stream)
        .keep_alive(KeepAlive::default())
        .into_response())
}

impl Follower {
    /// Takes what is new; `false` when nothing is. One by one, as each event carries the place after it.
    async fn fill(&mut self) -> Result<bool, StoreError> {
        let mut moved = false;
        for _ in 0..FOLLOW_EVENTS {
            let page = self.plane.store().events(&[], Some(&self.after), 1).await?;
            let (Some(event), Some(next)) = (page.items.into_iter().next(), page.next) else {
                break;
            };
            moved = true;
            self.after = next;
            let wanted = self
                .kind
                .as_ref()
                .is_none_or(|kind| topics::matches(kind, &event.kind));
            if wanted
                && let Ok(told) = sse::Event::default()
                    .event(&event.kind)
                    .id(&self.after)
                    .json_data(&event)
            {
                self.ready.push_back(told);
            }
        }
        Ok(moved)
    }
}

/// Publish events
///
/// CloudEvents 1.0 with JSON data: one (`application/cloudevents+json`), up to 100 (`application/cloudevents-batch+json`), or one in binary mode (its attributes in `ce-` headers, its
/// data as the JSON body). Kept are id, source, type, subject, time and data. They are on the disk before the answer. Source and id make an event unique: one that is there already is not added again.
#[utoipa::path(
    post, path = "/v1/events", operation_id = "publish_events", tag = "events",
    params(
        ("ce-specversion" = Option<String>, Header, description = "`1.0`: binary mode"),
        ("ce-id" = Option<String>, Header, description = "In binary mode"),
        ("ce-source" = Option<String>, Header, description = "In binary mode"),
        ("ce-type" = Option<String>, Header, description = "In binary mode"),
        ("ce-subject" = Option<String>, Header, description = "In binary mode"),
        ("ce-time" = Option<String>, Header, description = "In binary mode"),
    ),
    request_body(content((EventRequest = "application/cloudevents+json"), (Vec<EventRequest> = "application/cloudevents-batch+json"), (EventRequest = "application/json")), description = "The events"),
    responses(
        (status = 202, description = "They are recorded", body = Published),
        (status = 422, description = "`invalid_event`: something is wrong with one of them, and none is recorded", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn publish_events(
    State(plane): Plane,
    _: Params<NoQuery>,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Answer<(StatusCode, Json<Published>)> {
    let header = |name: &str| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    let mut batch = false;
    let given = match (header("ce-specversion"), body) {
        (Some(version), data) => {
            let mut event = json!({ "specversion": version, "data": data });
            for name in ["id", "source", "type", "subject", "time"] {
                if let Some(value) = header(&format!("ce-{name}")) {
                    event[name] = value.into();
                }
            }
            vec![event]
        }
        (None, Value::Array(events)) => {
            batch = true;
            events
        }
        (None, event) => vec![event],
    };
    if given.is_empty() || given.len() > BATCH_MAX {
        return Err(invalid(vec![InputError {
            pointer: String::new(),
            message: format!("a batch has 1 to {BATCH_MAX} events, not {}", given.len()),
        }]));
    }
    let mut errors = Vec::new();
    let mut events = Vec::new();
    for (index, event) in given.into_iter().enumerate() {
        let at = if batch {
            format!("/{index}")
        } else {
            String::new()
        };
        match parse(event, &at) {
            Ok(event) => events.push(event),
            Err(mistakes) => errors.extend(mistakes),
        }
    }
    if !errors.is_empty() {
        return Err(invalid(errors));
    }
    let mut published = Published {
        accepted: 0,
        known: 0,
    };
    for event in events {
        if plane.publish(event).await? {
            published.accepted += 1;
        } else {
            published.known += 1;
        }
    }
    Ok((StatusCode::ACCEPTED, Json(published)))
}

fn invalid(errors: Vec<InputError>) -> ApiError {
    ApiError::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "invalid_event",
        "not every event is one of CloudEvents 1.0 that this host takes; see `errors`",
    )
    .with_errors(errors)
}

/// An event from outside, or everything that is wrong with it.
fn parse(event: Value, at: &str) -> Result<Event, Vec<InputError>> {
    let mut errors = Vec::new();
    let mut wrong = |name: &str, message: &str| {
        errors.push(InputError {
            pointer: format!("{at}/{name}"),
            message: message.to_owned(),
        });
    };
    let text = |name: &str| event.get(name).and_then(Value::as_str);
    if text("specversion") != Some("1.0") {
        wrong("specversion", "must be `1.0`");
    }
    for name in ["id", "source"] {
        let fits = text(name).is_some_and(|value| {
            !value.is_empty()
                && value.len() <= ATTRIBUTE_MAX_BYTES
                && !value.contains(char::is_control)
        });
        if !fits {
            wrong(name, "must be 1 to 255 bytes of text on one line");
        }
    }
    if text("source").is_some_and(|source| {
        ["/access", "/agents/", "/pipelines/", "/host"]
            .iter()
            .any(|own| source.starts_with(own))
    }) {
        wrong(
            "source",
            "begins like the source of the host's own events: `/access`, `/agents/`, `/pipelines/`, `/host`",
        );
    }
    let kind = text("type").unwrap_or_default();
    if !topics::is_pattern(kind) || kind.ends_with('*') {
        wrong(
            "type",
            "must be small letters, digits, `.`, `_` and `-`, at most 255 of them",
        );
    } else if topics::is_own(kind) {
        wrong("type", "begins like an event of the host itself");
    }
    let subject = match event.get("subject") {
        None | Some(Value::Null) => None,
        Some(Value::String(subject)) if subject.len() <= ATTRIBUTE_MAX_BYTES => {
            Some(subject.clone())
        }
        Some(_) => {
            wrong("subject", "must be text of at most 255 bytes");
            None
        }
    };
    let latest = now()
        .checked_add(CLOCKS_APART_MAX)
        .unwrap_or(Timestamp::MAX);
    let time = match text("time").map(str::parse::<Timestamp>) {
        Some(Ok(time)) if time <= latest => time,
        Some(Ok(_)) => {
            wrong("time", "lies in the future");
            now()
        }
        None if event.get("time").is_none_or(Value::is_null) => now(),
        _ => {
            wrong("time", "must be a moment as in RFC 3339");
            now()
        }
    };
    if event.get("data_base64").is_some() {
        wrong("data_base64", "is not taken; send JSON in `data`");
    }
    let data = event.get("data").cloned().unwrap_or(Value::Null);
    if data.to_string().len() > DATA_MAX_BYTES {
        wrong("data", "has more than 65536 bytes; refer to what is larger");
    }
    if json_depth(&data) > DEPTH_MAX {
        wrong("data", "is nested more than 64 levels deep");
    }
    let parsed = Event {
        specversion: SpecVersion::V1,
        id: text("id").unwrap_or_default().to_owned(),
        source: text("source").unwrap_or_default().to_owned(),
        kind: kind.to_owned(),
        subject,
        time,
        data,
        hops: 0,
    };
    if errors.is_empty() {
        Ok(parsed)
    } else {
        Err(errors)
    }
}
