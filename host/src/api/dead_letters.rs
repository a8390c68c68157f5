//! `/v1/dead-letters`: runs that were given up on after all their attempts.

use super::access::By;
use super::error::{ApiError, Problem, no_such_run};
use super::json::Json;
use super::params::{NoQuery, PageQuery, Params, RunId};
use super::runs::view;
use super::views::{RunList, RunView};
use super::{Answer, Plane};
use crate::store::{PageRequest, RunFilter};
use axum::extract::State;
use http::StatusCode;

/// List dead letters
///
/// Runs that started by themselves and were given up on after all their attempts, newest first, until a person starts them again or drops them.
#[utoipa::path(
    get, path = "/v1/dead-letters", operation_id = "list_dead_letters", tag = "runs",
    params(PageQuery),
    responses(
        (status = 200, description = "The runs", body = RunList),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_dead_letters(
    State(plane): Plane,
    Params(query): Params<PageQuery>,
) -> Answer<Json<RunList>> {
    let filter = RunFilter {
        dead: true,
        ..RunFilter::default()
    };
    let page = PageRequest {
        limit: query.limit,
        cursor: query.cursor,
    };
    let page = plane.store().runs(filter, page).await?;
    Ok(Json(RunList {
        items: page
            .items
            .into_iter()
            .map(|run| view(plane.as_ref(), run))
            .collect(),
        next: page.next,
    }))
}

/// Start a dead letter again
///
/// Answers with the next attempt, which starts at once.
#[utoipa::path(
    post, path = "/v1/dead-letters/{id}/retry", operation_id = "retry_dead_letter", tag = "runs",
    params(("id" = uuid::Uuid, Path, description = "The run's id")),
    responses(
        (status = 201, description = "The next attempt", body = RunView),
        (status = 409, description = "`agent_disabled`, `not_dead`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn retry_dead_letter(
    State(plane): Plane,
    By(by): By,
    RunId(id): RunId,
    _: Params<NoQuery>,
) -> Answer<(StatusCode, Json<RunView>)> {
    match plane.retry_dead(id, by.principal).await? {
        Some(run) => Ok((StatusCode::CREATED, Json(view(plane.as_ref(), run)))),
        None => Err(absent(&plane, id).await?),
    }
}

/// Drop a dead letter
///
/// The run stays in the list of runs.
#[utoipa::path(
    delete, path = "/v1/dead-letters/{id}", operation_id = "drop_dead_letter", tag = "runs",
    params(("id" = uuid::Uuid, Path, description = "The run's id")),
    responses(
        (status = 204, description = "It is dropped"),
        (status = 409, description = "`not_dead`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn drop_dead_letter(
    State(plane): Plane,
    RunId(id): RunId,
    _: Params<NoQuery>,
) -> Answer<StatusCode> {
    if plane.store().bury(id, None).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(absent(&plane, id).await?)
    }
}

/// Why a run is not among them.
async fn absent(
    plane: &std::sync::Arc<dyn super::ControlPlane>,
    id: uuid::Uuid,
) -> Answer<ApiError> {
    Ok(match plane.store().run(id).await? {
        Some(_) => ApiError::new(
            StatusCode::CONFLICT,
            "not_dead",
            "the run is not among the dead letters; `GET /v1/dead-letters` lists them",
        ),
        None => no_such_run(),
    })
}
