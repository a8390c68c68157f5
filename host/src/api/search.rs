//! `/v1/findings`, `/v1/logs` and `/v1/events/counts`: questions over all runs.

use super::error::{ApiError, Problem};
use super::json::Json;
use super::params::{FromQuery, Params, Values};
use super::views::{CountList, FoundFindingList, FoundLineList};
use super::{Answer, Plane};
use crate::model::Level;
use crate::store::{PageRequest, Search};
use axum::extract::State;
use jiff::{SignedDuration, Timestamp};
use utoipa::IntoParams;

/// Characters of what is looked for.
const TEXT_MAX: usize = 200;

const LEVELS: [&str; 3] = ["note", "warning", "error"];

fn text(values: &Values) -> Result<String, ApiError> {
    let text = values.text("q").unwrap_or_default();
    if text.chars().count() > TEXT_MAX {
        return Err(ApiError::invalid_parameter(format!(
            "`q` has at most {TEXT_MAX} characters"
        )));
    }
    Ok(text)
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct FindingQuery {
    /// Text in message, rule or path; small and capital letters are the same.
    #[param(max_length = 200)]
    q: Option<String>,
    /// Only findings of this agent.
    agent: Option<String>,
    /// Only findings of this rule.
    rule: Option<String>,
    /// Only findings of this level.
    level: Option<Level>,
    /// Only in runs created at or after this moment.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Only in runs created before this moment.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// About how many items, 1 to 500: those of one run come together.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 500, default = 50)]
    limit: u32,
    /// `next` of the part before.
    cursor: Option<String>,
}

impl FromQuery for FindingQuery {
    fn from_query(values: &Values) -> Result<Self, ApiError> {
        Ok(Self {
            q: Some(text(values)?),
            agent: values.text("agent"),
            rule: values.text("rule"),
            level: values.word("level", &LEVELS)?,
            since: values.timestamp("since")?,
            until: values.timestamp("until")?,
            limit: values.limit()?,
            cursor: values.text("cursor"),
        })
    }
}

/// Search findings
///
/// Over all runs, newest first. A part looks at some thousand runs at most, so it may be short or empty while `next` says that there is more.
#[utoipa::path(
    get, path = "/v1/findings", operation_id = "search_findings", tag = "runs",
    params(FindingQuery),
    responses(
        (status = 200, description = "The findings", body = FoundFindingList),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn search_findings(
    State(plane): Plane,
    Params(query): Params<FindingQuery>,
) -> Answer<Json<FoundFindingList>> {
    let search = Search {
        text: query.q.unwrap_or_default(),
        agent: query.agent,
        since: query.since,
        until: query.until,
    };
    let page = PageRequest {
        limit: query.limit,
        cursor: query.cursor,
    };
    let page = plane
        .store()
        .search_findings(search, query.level, query.rule.as_deref(), page)
        .await?;
    Ok(Json(FoundFindingList {
        items: page.items,
        next: page.next,
    }))
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct LineQuery {
    /// Text in the line; small and capital letters are the same.
    #[param(max_length = 200)]
    q: Option<String>,
    /// Only lines of this agent.
    agent: Option<String>,
    /// Only in runs created at or after this moment.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Only in runs created before this moment.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
    /// About how many items, 1 to 500: those of one run come together.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 500, default = 50)]
    limit: u32,
    /// `next` of the part before.
    cursor: Option<String>,
}

impl FromQuery for LineQuery {
    fn from_query(values: &Values) -> Result<Self, ApiError> {
        Ok(Self {
            q: Some(text(values)?),
            agent: values.text("agent"),
            since: values.timestamp("since")?,
            until: values.timestamp("until")?,
            limit: values.limit()?,
            cursor: values.text("cursor"),
        })
    }
}

/// Search logs
///
/// Over all runs of the last 30 days, newest first; older logs can be read run by run. A part looks at some hundred runs at most, so it may be short or empty while `next` says that there
/// is more.
#[utoipa::path(
    get, path = "/v1/logs", operation_id = "search_logs", tag = "runs",
    params(LineQuery),
    responses(
        (status = 200, description = "The lines", body = FoundLineList),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn search_logs(
    State(plane): Plane,
    Params(query): Params<LineQuery>,
) -> Answer<Json<FoundLineList>> {
    let search = Search {
        text: query.q.unwrap_or_default(),
        agent: query.agent,
        since: query.since,
        until: query.until,
    };
    let page = PageRequest {
        limit: query.limit,
        cursor: query.cursor,
    };
    let page = plane.store().search_logs(search, page).await?;
    Ok(Json(FoundLineList {
        items: page.items,
        next: page.next,
    }))
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct CountQuery {
    /// From this moment on; the last day without it.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
}

impl FromQuery for CountQuery {
    fn from_query(values: &Values) -> Result<Self, ApiError> {
        Ok(Self {
            since: values.timestamp("since")?,
        })
    }
}

/// Count events
///
/// How many of each type there were in each hour, the latest hour first; at most 1,000 items. Counted in batches, so that the last ten seconds may be missing. Kept for a year.
#[utoipa::path(
    get, path = "/v1/events/counts", operation_id = "count_events", tag = "events",
    params(CountQuery),
    responses(
        (status = 200, description = "The counts", body = CountList),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn count_events(
    State(plane): Plane,
    Params(query): Params<CountQuery>,
) -> Answer<Json<CountList>> {
    let since = query.since.unwrap_or_else(|| {
        Timestamp::now()
            .checked_sub(SignedDuration::from_hours(24))
            .unwrap_or(Timestamp::MIN)
    });
    Ok(Json(CountList {
        items: plane.store().event_counts(since).await?,
        next: None,
    }))
}
