//! `/v1/occurrences`, pauses, and `/v1/status`.

use super::access::By;
use super::agents::find_agent;
use super::error::{ApiError, Problem};
use super::json::Json;
use super::params::{FromQuery, Name, NoQuery, Params, Values};
use super::views::{AgentView, OccurrenceList, Status};
use super::{Answer, Plane};
use crate::model::{OccurrenceResult, Principal};
use crate::store::{OccurrenceFilter, PageRequest};
use axum::extract::State;
use jiff::Timestamp;
use utoipa::IntoParams;

const RESULTS: [&str; 4] = ["fired", "coalesced", "skipped", "missed"];

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct OccurrenceQuery {
    /// Only moments of this agent.
    agent: Option<String>,
    /// Only moments that this came of.
    result: Option<OccurrenceResult>,
    /// Only moments at or after this one.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Only moments before this one.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// How many items, 1 to 500.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 500, default = 50)]
    limit: u32,
    /// `next` of the part before.
    cursor: Option<String>,
}

impl FromQuery for OccurrenceQuery {
    fn from_query(values: &Values) -> Result<Self, ApiError> {
        Ok(Self {
            agent: values.text("agent"),
            result: values.word("result", &RESULTS)?,
            since: values.timestamp("since")?,
            until: values.timestamp("until")?,
            limit: values.limit()?,
            cursor: values.text("cursor"),
        })
    }
}

/// List occurrences
///
/// Every moment at which an agent was due and what came of it, the latest first: the ledger of the schedule. It is kept for 90 days.
#[utoipa::path(
    get, path = "/v1/occurrences", operation_id = "list_occurrences", tag = "schedule",
    params(OccurrenceQuery),
    responses(
        (status = 200, description = "The moments", body = OccurrenceList),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_occurrences(
    State(plane): Plane,
    Params(query): Params<OccurrenceQuery>,
) -> Answer<Json<OccurrenceList>> {
    let filter = OccurrenceFilter {
        agent: query.agent,
        result: query.result,
        since: query.since,
        until: query.until,
    };
    let page = PageRequest {
        limit: query.limit,
        cursor: query.cursor,
    };
    let page = plane.store().occurrences(filter, page).await?;
    Ok(Json(OccurrenceList {
        items: page.items,
        next: page.next,
    }))
}

/// Pause an agent
///
/// Nothing of it starts by itself until it is resumed, also after a restart; what is in progress goes on, and who asks for a run gets it. Pausing a paused agent changes nothing.
#[utoipa::path(
    post, path = "/v1/agents/{name}/pause", operation_id = "pause_agent", tag = "agents",
    params(("name" = String, Path, description = "The agent's name")),
    responses(
        (status = 200, description = "The agent", body = AgentView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn pause_agent(
    State(plane): Plane,
    By(by): By,
    Name(name): Name,
    _: Params<NoQuery>,
) -> Answer<Json<AgentView>> {
    hold(plane, name, true, by.principal).await
}

/// Resume an agent
///
/// Also out of quarantine.
#[utoipa::path(
    post, path = "/v1/agents/{name}/resume", operation_id = "resume_agent", tag = "agents",
    params(("name" = String, Path, description = "The agent's name")),
    responses(
        (status = 200, description = "The agent", body = AgentView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn resume_agent(
    State(plane): Plane,
    By(by): By,
    Name(name): Name,
    _: Params<NoQuery>,
) -> Answer<Json<AgentView>> {
    hold(plane, name, false, by.principal).await
}

async fn hold(
    plane: std::sync::Arc<dyn super::ControlPlane>,
    name: String,
    paused: bool,
    by: Principal,
) -> Answer<Json<AgentView>> {
    find_agent(plane.as_ref(), &name)?;
    plane.hold(Some(&name), paused, by).await?;
    find_agent(plane.as_ref(), &name).map(Json)
}

/// Pause everything
///
/// Nothing starts by itself until it is resumed, also after a restart. The file `pause.flag` in the state folder does the same.
#[utoipa::path(
    post, path = "/v1/pause", operation_id = "pause", tag = "host",
    responses(
        (status = 200, description = "The host's state", body = Status),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn pause(
    State(plane): Plane,
    By(by): By,
    _: Params<NoQuery>,
) -> Answer<Json<Status>> {
    plane.hold(None, true, by.principal).await?;
    Ok(Json(plane.status()))
}

/// Resume everything
///
/// Agents that are paused for themselves stay so.
#[utoipa::path(
    post, path = "/v1/resume", operation_id = "resume", tag = "host",
    responses(
        (status = 200, description = "The host's state", body = Status),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn resume(
    State(plane): Plane,
    By(by): By,
    _: Params<NoQuery>,
) -> Answer<Json<Status>> {
    plane.hold(None, false, by.principal).await?;
    Ok(Json(plane.status()))
}

/// What the host is doing
#[utoipa::path(
    get, path = "/v1/status", operation_id = "get_status", tag = "host",
    responses(
        (status = 200, description = "The host's state", body = Status),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_status(State(plane): Plane, _: Params<NoQuery>) -> Answer<Json<Status>> {
    Ok(Json(plane.status()))
}
