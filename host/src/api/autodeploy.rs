//! `/autodeploy/…`: the steps of a deployment under names of their own. Each is an agent's run, the whole of them a pipeline.

use super::access::By;
use super::agents::idempotency_key;
use super::error::{ApiError, Problem};
use super::json::Json;
use super::params::{Name, NoQuery, Params};
use super::{Answer, ControlPlane, Plane, StartRun};
use crate::model::{Execution, Principal, Run, Trigger};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// The steps, each with the agent or the pipeline that it is.
const STEPS: [(&str, Does); 5] = [
    ("mirror", Does::Agent("mirror-sync")),
    ("docs", Does::Agent("docs")),
    ("deploy", Does::Agent("autodeploy")),
    ("refresh", Does::Agent("badge")),
    ("full", Does::Pipeline("autodeploy")),
];

#[derive(Clone, Copy)]
enum Does {
    Agent(&'static str),
    Pipeline(&'static str),
}

/// What a step started.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Deployment {
    /// A run of an agent.
    Run(Box<Run>),
    /// All steps, one after the other.
    Execution(Box<Execution>),
}

/// Start a step of a deployment
///
/// `mirror` copies to the mirror, `docs` builds the documents, `deploy` publishes them, `refresh` draws the badges, and `full` does all of it, in this order, with a record of each step.
#[utoipa::path(
    post, path = "/autodeploy/{name}", operation_id = "start_deployment", tag = "workflows",
    params(
        ("name" = String, Path, description = "`mirror`, `docs`, `deploy`, `refresh`: a run of the agent `mirror-sync`, `docs`, `autodeploy`, `badge`; or `full`: the pipeline `autodeploy`"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters; for all but `full`"),
    ),
    responses(
        (status = 201, description = "What was started", body = Deployment, headers(("location" = String, description = "Where it is"))),
        (status = 409, description = "`workflow_running`, `agent_disabled`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`queue_full`, `stopping`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn start_deployment(
    State(plane): Plane,
    By(by): By,
    Name(step): Name,
    _: Params<NoQuery>,
    headers: HeaderMap,
) -> Answer<Response> {
    let does = STEPS.iter().find(|(name, _)| *name == step);
    let Some((_, does)) = does else {
        return Err(ApiError::not_found(
            "there is no such step; the steps are `mirror`, `docs`, `deploy`, `refresh` and `full`",
        ));
    };
    let (location, started) = match *does {
        Does::Agent(agent) => {
            let run = run(&plane, agent, by.principal, &headers).await?;
            let location = format!("/v1/runs/{}", run.id);
            (location, Deployment::Run(Box::new(run)))
        }
        Does::Pipeline(name) => {
            if !plane
                .workflows()
                .iter()
                .any(|workflow| workflow.name == name)
            {
                return Err(missing(&format!(
                    "there is no pipeline `{name}`; `[pipelines.{name}]` with `steps = [\"mirror-sync\", \"docs\", \"autodeploy\", \"badge\"]` makes it"
                )));
            }
            let execution = plane.begin_workflow(name, by.principal).await?;
            let location = format!("/v1/workflows/{name}/executions/{}", execution.id);
            (location, Deployment::Execution(Box::new(execution)))
        }
    };
    let mut response = (StatusCode::CREATED, Json(started)).into_response();
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

fn missing(message: &str) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "step_not_configured", message)
}

async fn run(
    plane: &std::sync::Arc<dyn ControlPlane>,
    agent: &str,
    principal: Principal,
    headers: &HeaderMap,
) -> Answer<Run> {
    if !plane.agents().iter().any(|one| one.name == agent) {
        return Err(missing(&format!(
            "there is no agent `{agent}`; `[agents.{agent}]` in `plugins.toml` makes it"
        )));
    }
    let request = StartRun {
        agent: agent.to_owned(),
        input: Value::Null,
        principal,
        trigger: Trigger::Manual,
        idempotency_key: idempotency_key(headers)?,
        dry_run: false,
    };
    match plane.start_run(request).await {
        Ok(run) => Ok(run),
        Err(super::StartError::Duplicate(id)) => {
            super::agents::replay(plane, id, agent, &Value::Null, false).await
        }
        Err(error) => Err(error.into()),
    }
}
