//! `/v1/events`.

use super::error::{ApiError, Problem};
use super::params::{FromQuery, Params, Values};
use super::views::EventList;
use super::{Answer, Plane};
use axum::Json;
use axum::extract::State;
use utoipa::IntoParams;

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct EventQuery {
    /// Only events of this type, for instance `run.failed`.
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
/// Oldest first, as CloudEvents 1.0 envelopes. `next` is always there: who sends it again later gets what came since.
#[utoipa::path(
    get, path = "/v1/events", operation_id = "list_events", tag = "events",
    params(EventQuery),
    responses(
        (status = 200, description = "The events", body = EventList),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_events(
    State(plane): Plane,
    Params(query): Params<EventQuery>,
) -> Answer<Json<EventList>> {
    let kinds: Vec<String> = query.kind.into_iter().collect();
    let page = plane
        .store()
        .events(&kinds, query.cursor.as_deref(), query.limit)
        .await?;
    Ok(Json(EventList {
        items: page.items,
        next: page.next,
    }))
}
