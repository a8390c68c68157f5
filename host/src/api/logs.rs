//! `/v1/runs/{id}/logs`: a run's log in parts, or as it is written.
//!
//! A running run's log is in memory and becomes rows when the run ends; a reader who pages by line number does not notice.

use super::error::{ApiError, Problem};
use super::followers;
use super::json::Json;
use super::params::{FromQuery, Params, RunId, Values};
use super::runs::{find, view};
use super::server::Connection;
use super::views::LogList;
use super::{Answer, ControlPlane, Plane, envelope::Accept};
use crate::model::{LogLine, Run, RunState};
use crate::store::StoreError;
use axum::extract::{Extension, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::Stream;
use http::HeaderMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use utoipa::IntoParams;
use uuid::Uuid;

/// The media type that asks to follow.
const EVENT_STREAM: &str = "text/event-stream";

/// How often a follower looks for new lines: often enough to look immediate, seldom enough to cost nothing.
const FOLLOW_EVERY: Duration = Duration::from_millis(200);

/// Lines read from the store in one go while following.
const FOLLOW_LINES: u32 = 500;

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct LogQuery {
    /// Only lines after the one with this number.
    after: Option<u64>,
    /// How many lines, 1 to 500.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 500, default = 50)]
    limit: u32,
}

impl FromQuery for LogQuery {
    fn from_query(values: &Values) -> Result<Self, ApiError> {
        Ok(Self {
            after: values.number("after")?,
            limit: values.limit()?,
        })
    }
}

/// Get a run's log
///
/// In parts; or with `Accept: text/event-stream` as it is written: events `log` with a line each, and at last `end` with the run. `Last-Event-ID`
/// resumes.
#[utoipa::path(
    get, path = "/v1/runs/{id}/logs", operation_id = "get_logs", tag = "runs",
    params(("id" = Uuid, Path, description = "The run's id"), LogQuery),
    responses(
        (status = 200, description = "The lines", content((LogList = "application/json"), (String = "text/event-stream"))),
        (status = 503, description = "`too_many_followers`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_logs(
    State(plane): Plane,
    RunId(id): RunId,
    Params(query): Params<LogQuery>,
    connection: Option<Extension<Connection>>,
    headers: HeaderMap,
) -> Answer<Response> {
    if Accept::of(&headers).names(EVENT_STREAM) {
        find(&plane, id).await?;
        let after = headers
            .get("last-event-id")
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.parse().ok())
            .or(query.after);
        let place = followers::take(connection.as_deref())?;
        let stopping = connection
            .map(|Extension(connection)| connection.stopping)
            .unwrap_or_default();
        return follow(plane, id, after, stopping, place);
    }
    let part = read(&plane, id, query.after, query.limit).await?;
    let last = part.lines.last().map(|line| line.seq).or(query.after);
    let more = part.lines.len() == query.limit as usize || !part.ended;
    let list = LogList {
        items: part.lines,
        next: more.then(|| last.map(|seq| seq.to_string())).flatten(),
    };
    Ok(Json(list).into_response())
}

/// Some lines, and whether the run has ended.
struct Part {
    lines: Vec<LogLine>,
    ended: bool,
}

async fn read(
    plane: &Arc<dyn ControlPlane>,
    id: Uuid,
    after: Option<u64>,
    limit: u32,
) -> Answer<Part> {
    if let Some(mut lines) = plane.live_log(id, after).await {
        lines.truncate(limit as usize);
        return Ok(Part {
            lines,
            ended: false,
        });
    }
    let run = find(plane, id).await?;
    let lines = plane.store().log(id, after, limit).await?;
    Ok(Part {
        lines,
        ended: run.state == RunState::Ended,
    })
}

struct Follower {
    plane: Arc<dyn ControlPlane>,
    id: Uuid,
    after: Option<u64>,
    stopping: CancellationToken,
    ready: VecDeque<Event>,
    over: bool,
    _place: followers::Place,
}

fn follow(
    plane: Arc<dyn ControlPlane>,
    id: Uuid,
    after: Option<u64>,
    stopping: CancellationToken,
    place: followers::Place,
) -> Answer<Response> {
    let follower = Follower {
        plane,
        id,
        after,
        stopping,
        ready: VecDeque::new(),
        over: false,
        _place: place,
    };
    Ok(Sse::new(events(follower))
        .keep_alive(KeepAlive::default())
        .into_response())
}

fn events(follower: Follower) -> impl Stream<Item = Result<Event, axum::Error>> {
    futures::stream::try_unfold(follower, |mut follower| async move {
        loop {
            if let Some(event) = follower.ready.pop_front() {
                return Ok(Some((event, follower)));
            }
            if follower.over {
                return Ok(None);
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
                    tracing::error!(run.id = %follower.id, %error, "cannot follow the log of run {}: {error}", follower.id);
                    return Ok(None);
                }
            }
        }
    })
}

impl Follower {
    /// Takes what is new; `false` when nothing is.
    async fn fill(&mut self) -> Result<bool, FollowError> {
        let lines = match self.plane.live_log(self.id, self.after).await {
            Some(lines) if lines.is_empty() => return Ok(false),
            Some(lines) => lines,
            None => {
                // The run is looked at before its log: a run that is over has all its lines.
                let Some(run) = self.plane.store().run(self.id).await? else {
                    self.over = true;
                    return Ok(true);
                };
                let lines = self
                    .plane
                    .store()
                    .log(self.id, self.after, FOLLOW_LINES)
                    .await?;
                if lines.is_empty() {
                    return if run.state == RunState::Ended {
                        self.end(run)?;
                        Ok(true)
                    } else {
                        Ok(false)
                    };
                }
                lines
            }
        };
        for line in lines {
            self.after = Some(line.seq);
            let event = Event::default()
                .event("log")
                .id(line.seq.to_string())
                .json_data(&line)?;
            self.ready.push_back(event);
        }
        Ok(true)
    }

    fn end(&mut self, run: Run) -> Result<(), FollowError> {
        self.over = true;
        let run = view(self.plane.as_ref(), run);
        self.ready
            .push_back(Event::default().event("end").json_data(&run)?);
        Ok(())
    }
}

/// Why a follower cannot go on.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a line is no JSON: {0}")]
    Json(#[from] axum::Error),
}
