//! `/v1/agents`, and the start of a run.

use super::access::By;
use super::error::{ApiError, Problem, unknown_agent};
use super::json::{Json, JsonBody};
use super::params::{FromQuery, Name, NoQuery, Params, Values};
use super::runs::{view, waited};
use super::server::Connection;
use super::views::{AgentList, AgentView, RunView};
use super::{Answer, ControlPlane, Plane, StartError, StartRun};
use crate::model::{Run, Trigger};
use crate::words::nearest;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use utoipa::IntoParams;
use uuid::Uuid;

/// The longest `Idempotency-Key`, in characters.
const IDEMPOTENCY_KEY_MAX: usize = 255;

/// What the host's own keys begin with.
const OWN_KEYS: [&str; 4] = ["event/", "schedule/", "webhook/", "pipeline/"];

/// Says that the answer is a run that an earlier request started.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// List agents
#[utoipa::path(
    get, path = "/v1/agents", operation_id = "list_agents", tag = "agents",
    responses(
        (status = 200, description = "The agents of `plugins.toml`, by name", body = AgentList),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_agents(
    State(plane): Plane,
    _: Params<NoQuery>,
) -> Answer<Json<AgentList>> {
    Ok(Json(AgentList {
        items: plane.agents(),
        next: None,
    }))
}

/// Get an agent
#[utoipa::path(
    get, path = "/v1/agents/{name}", operation_id = "get_agent", tag = "agents",
    params(("name" = String, Path, description = "The agent's name")),
    responses(
        (status = 200, description = "The agent", body = AgentView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_agent(
    State(plane): Plane,
    Name(name): Name,
    _: Params<NoQuery>,
) -> Answer<Json<AgentView>> {
    find_agent(plane.as_ref(), &name).map(Json)
}

/// The agent of a name, or the problem that names the one that was likely meant.
pub(super) fn find_agent(plane: &dyn ControlPlane, name: &str) -> Answer<AgentView> {
    let agents = plane.agents();
    match agents.iter().find(|agent| agent.name == name) {
        Some(agent) => Ok(agent.clone()),
        None => Err(unknown_agent(nearest(
            name,
            agents.iter().map(|agent| agent.name.as_str()),
        ))),
    }
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct StartQuery {
    /// Answer when the run has ended, or after this time (`0s` to `10m`) with the run as it is then.
    #[param(value_type = Option<String>, example = "1s")]
    wait: Option<Duration>,
    /// Whether what it proposes is only looked at, whatever the agent's autonomy.
    #[param(default = false)]
    dry_run: bool,
}

impl FromQuery for StartQuery {
    fn from_query(values: &Values) -> Result<Self, ApiError> {
        Ok(Self {
            wait: values.wait("wait")?,
            dry_run: values.flag("dry_run")?,
        })
    }
}

/// Start a run
///
/// The body is the run's input, checked against the schema that the plugin declares; an empty body is `null`. With an `Idempotency-Key` the same
/// request starts one run only: a second one answers 200 with the first one's run.
#[utoipa::path(
    post, path = "/v1/agents/{name}/runs", operation_id = "start_run", tag = "agents",
    params(
        ("name" = String, Path, description = "The agent's name"),
        ("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters"),
        StartQuery,
    ),
    request_body(content = Option<Object>, content_type = "application/json", description = "The run's input"),
    responses(
        (status = 201, description = "The run", body = RunView, headers(("location" = String, description = "Where the run is")),
         links(
            ("run" = (operation_id = "get_run", parameters(("id" = "$response.body#/id")))),
            ("cancel" = (operation_id = "cancel_run", parameters(("id" = "$response.body#/id")))),
            ("report" = (operation_id = "get_report", parameters(("id" = "$response.body#/id")))),
            ("logs" = (operation_id = "get_logs", parameters(("id" = "$response.body#/id")))),
            ("findings" = (operation_id = "list_findings", parameters(("id" = "$response.body#/id")))),
            ("sarif" = (operation_id = "get_sarif", parameters(("id" = "$response.body#/id")))),
            ("artifacts" = (operation_id = "list_artifacts", parameters(("id" = "$response.body#/id")))),
            ("status" = (operation_id = "get_job_status", parameters(("job_id" = "$response.body#/id")))),
        )),
        (status = 200, description = "The run that an earlier request with this key started", body = RunView),
        (status = 409, description = "`agent_disabled`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_input`, `idempotency_key_reused`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`queue_full`, `stopping`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn start_run(
    State(plane): Plane,
    By(by): By,
    Name(agent): Name,
    Params(query): Params<StartQuery>,
    connection: Option<Extension<Connection>>,
    headers: HeaderMap,
    JsonBody(input): JsonBody,
) -> Answer<Response> {
    let request = StartRun {
        agent: agent.clone(),
        input: input.clone(),
        principal: by.principal,
        trigger: Trigger::Manual,
        idempotency_key: idempotency_key(&headers)?,
        dry_run: query.dry_run,
    };
    let (run, replayed) = match plane.start_run(request).await {
        Ok(run) => (run, false),
        Err(StartError::Duplicate(id)) => (
            replay(&plane, id, &agent, &input, query.dry_run).await?,
            true,
        ),
        Err(error) => return Err(error.into()),
    };
    let run = match query.wait {
        Some(wait) => waited(&plane, run, wait, connection.as_deref()).await?,
        None => run,
    };
    let location = format!("/v1/runs/{}", run.id);
    let mut response = Json(view(plane.as_ref(), run)).into_response();
    if replayed {
        response
            .headers_mut()
            .insert(REPLAYED, HeaderValue::from_static("true"));
    } else {
        *response.status_mut() = StatusCode::CREATED;
    }
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

pub(super) fn idempotency_key(headers: &HeaderMap) -> Answer<Option<String>> {
    let mut keys = headers.get_all("idempotency-key").iter();
    let Some(key) = keys.next() else {
        return Ok(None);
    };
    let valid = key.to_str().ok().filter(|key| {
        (1..=IDEMPOTENCY_KEY_MAX).contains(&key.len())
            && key.bytes().all(|b| b.is_ascii_graphic())
            && !OWN_KEYS.iter().any(|own| key.starts_with(own))
    });
    match (valid, keys.next()) {
        (Some(key), None) => Ok(Some(key.to_owned())),
        _ => Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "invalid_idempotency_key",
            format!(
                "`Idempotency-Key` is given once, as 1 to {IDEMPOTENCY_KEY_MAX} visible ASCII characters, and does not begin with `{}`",
                OWN_KEYS.join("`, `")
            ),
        )),
    }
}

/// The run that an earlier request with the same key started, if it was the same request.
pub(super) async fn replay(
    plane: &Arc<dyn ControlPlane>,
    id: Uuid,
    agent: &str,
    input: &Value,
    dry_run: bool,
) -> Answer<Run> {
    match plane.store().run(id).await? {
        Some(run) if run.agent == agent && run.input == *input && run.dry_run == dry_run => Ok(run),
        Some(_) => Err(ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency_key_reused",
            format!("this `Idempotency-Key` started `{id}` with another input; use a new key"),
        )),
        None => Err(StartError::Duplicate(id).into()),
    }
}
