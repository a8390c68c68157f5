//! `/v1/workflows`: the pipelines of `plugins.toml`, and each time that one ran.

use super::access::By;
use super::error::{ApiError, Problem};
use super::json::Json;
use super::params::{Name, NoQuery, PageQuery, Params};
use super::views::{ExecutionList, WorkflowList, WorkflowView};
use super::{Answer, ControlPlane, Plane, WorkflowError};
use crate::model::{Execution, ExecutionState};
use crate::store::PageRequest;
use crate::words::nearest;
use axum::extract::{FromRequestParts, Path, State};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;

/// A pipeline's name and an execution's id from the path.
pub(super) struct ExecutionPath {
    name: String,
    id: Uuid,
}

impl<S: Send + Sync> FromRequestParts<S> for ExecutionPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(mut path) = Path::<BTreeMap<String, String>>::from_request_parts(parts, state)
            .await
            .map_err(|_| no_such_execution())?;
        let id = path
            .get("id")
            .and_then(|text| {
                Uuid::parse_str(text)
                    .ok()
                    .filter(|id| id.as_hyphenated().to_string() == *text)
            })
            .ok_or_else(no_such_execution)?;
        let name = path.remove("name").ok_or_else(no_such_execution)?;
        Ok(Self { name, id })
    }
}

fn no_such_execution() -> ApiError {
    ApiError::not_found("the workflow has no execution with this id")
}

fn find(plane: &dyn ControlPlane, name: &str) -> Answer<WorkflowView> {
    let workflows = plane.workflows();
    if let Some(found) = workflows.iter().find(|workflow| workflow.name == name) {
        return Ok(found.clone());
    }
    let near = nearest(
        name,
        workflows.iter().map(|workflow| workflow.name.as_str()),
    );
    Err(ApiError::new(
        StatusCode::NOT_FOUND,
        "unknown_workflow",
        match near {
            Some(near) => format!("no pipeline has this name; did you mean `{near}`?"),
            None => "no pipeline has this name; `GET /v1/workflows` lists them".into(),
        },
    ))
}

/// List workflows
#[utoipa::path(
    get, path = "/v1/workflows", operation_id = "list_workflows", tag = "workflows",
    responses(
        (status = 200, description = "The pipelines of `plugins.toml`, by name", body = WorkflowList),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_workflows(
    State(plane): Plane,
    _: Params<NoQuery>,
) -> Answer<Json<WorkflowList>> {
    Ok(Json(WorkflowList {
        items: plane.workflows(),
        next: None,
    }))
}

/// Get a workflow
///
/// What it consists of, and what became of its executions.
#[utoipa::path(
    get, path = "/v1/workflows/{name}", operation_id = "get_workflow", tag = "workflows",
    params(("name" = String, Path, description = "The pipeline's name")),
    responses(
        (status = 200, description = "The pipeline", body = WorkflowView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_workflow(
    State(plane): Plane,
    Name(name): Name,
    _: Params<NoQuery>,
) -> Answer<Json<WorkflowView>> {
    let mut workflow = find(plane.as_ref(), &name)?;
    workflow.totals = Some(plane.store().execution_totals(&name).await?);
    Ok(Json(workflow))
}

/// List executions
///
/// Newest first, each with its steps. They can be followed at `/v1/events?type=pipeline.*`.
#[utoipa::path(
    get, path = "/v1/workflows/{name}/executions", operation_id = "list_executions", tag = "workflows",
    params(("name" = String, Path, description = "The pipeline's name"), PageQuery),
    responses(
        (status = 200, description = "The executions", body = ExecutionList),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_executions(
    State(plane): Plane,
    Name(name): Name,
    Params(query): Params<PageQuery>,
) -> Answer<Json<ExecutionList>> {
    find(plane.as_ref(), &name)?;
    let page = PageRequest {
        limit: query.limit,
        cursor: query.cursor,
    };
    let page = plane.store().executions(&name, page).await?;
    Ok(Json(ExecutionList {
        items: page.items,
        next: page.next,
    }))
}

/// Start an execution
#[utoipa::path(
    post, path = "/v1/workflows/{name}/executions", operation_id = "start_execution", tag = "workflows",
    params(("name" = String, Path, description = "The pipeline's name")),
    responses(
        (status = 201, description = "The execution", body = Execution, headers(("location" = String, description = "Where the execution is")),
         links(
            ("execution" = (operation_id = "get_execution", parameters(("name" = "$response.body#/pipeline"), ("id" = "$response.body#/id")))),
            ("cancel" = (operation_id = "cancel_execution", parameters(("name" = "$response.body#/pipeline"), ("id" = "$response.body#/id")))),
        )),
        (status = 409, description = "`workflow_running`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`stopping`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn start_execution(
    State(plane): Plane,
    By(by): By,
    Name(name): Name,
    _: Params<NoQuery>,
) -> Answer<Response> {
    find(plane.as_ref(), &name)?;
    let execution = plane.begin_workflow(&name, by.principal).await?;
    let location = format!("/v1/workflows/{name}/executions/{}", execution.id);
    let mut response = (StatusCode::CREATED, Json(execution)).into_response();
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

async fn execution(plane: &Arc<dyn ControlPlane>, path: &ExecutionPath) -> Answer<Execution> {
    plane
        .store()
        .execution(path.id)
        .await?
        .filter(|execution| execution.pipeline == path.name)
        .ok_or_else(no_such_execution)
}

/// Get an execution
#[utoipa::path(
    get, path = "/v1/workflows/{name}/executions/{id}", operation_id = "get_execution", tag = "workflows",
    params(
        ("name" = String, Path, description = "The pipeline's name"),
        ("id" = Uuid, Path, description = "The execution's id"),
    ),
    responses(
        (status = 200, description = "The execution", body = Execution),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_execution(
    State(plane): Plane,
    path: ExecutionPath,
    _: Params<NoQuery>,
) -> Answer<Json<Execution>> {
    execution(&plane, &path).await.map(Json)
}

/// Cancel an execution
///
/// Its run in progress is cancelled, and no further step begins.
#[utoipa::path(
    post, path = "/v1/workflows/{name}/executions/{id}/cancel", operation_id = "cancel_execution", tag = "workflows",
    params(
        ("name" = String, Path, description = "The pipeline's name"),
        ("id" = Uuid, Path, description = "The execution's id"),
    ),
    responses(
        (status = 202, description = "It is being cancelled", body = Execution),
        (status = 409, description = "`execution_ended`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn cancel_execution(
    State(plane): Plane,
    By(by): By,
    path: ExecutionPath,
    _: Params<NoQuery>,
) -> Answer<(StatusCode, Json<Execution>)> {
    let found = execution(&plane, &path).await?;
    if found.state != ExecutionState::Running || !plane.cancel_workflow(path.id, by.principal) {
        return Err(ApiError::new(
            StatusCode::CONFLICT,
            "execution_ended",
            "the execution has ended already; nothing is left to cancel",
        ));
    }
    Ok((StatusCode::ACCEPTED, Json(execution(&plane, &path).await?)))
}

impl From<WorkflowError> for ApiError {
    fn from(error: WorkflowError) -> Self {
        match error {
            WorkflowError::Running(id) => Self::new(
                StatusCode::CONFLICT,
                "workflow_running",
                format!("the pipeline runs already, as execution `{id}`"),
            ),
            WorkflowError::Killed => Self::killed(),
            WorkflowError::Stopping => Self::stopping(),
            WorkflowError::Store(error) => error.into(),
        }
    }
}
