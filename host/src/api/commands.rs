//! `/v1/commands` and `/v1/status/{job_id}`: commands of people and programs, each a run of the agent that takes them.

use super::access::By;
use super::agents::{idempotency_key, replay};
use super::error::{ApiError, InputError, Problem};
use super::json::{Json, JsonBody};
use super::params::{NoQuery, PageQuery, Params};
use super::runs::{find, view};
use super::views::{CommandAccepted, CommandRequest, RunList, RunView, TemplateList};
use super::{Answer, Plane, StartError, StartRun};
use crate::commands::{COMMAND_MAX, fill};
use crate::model::Trigger;
use crate::store::{PageRequest, RunFilter};
use axum::extract::{FromRequestParts, Path, State};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;

fn no_taker() -> ApiError {
    ApiError::new(
        StatusCode::CONFLICT,
        "no_command_agent",
        "no agent takes commands; set `commands = true` in one agent of `plugins.toml`",
    )
}

fn invalid(errors: Vec<InputError>) -> ApiError {
    ApiError::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "invalid_command",
        "the command cannot be taken as it is; see `errors`",
    )
    .with_errors(errors)
}

fn mistake(pointer: &str, message: impl Into<String>) -> InputError {
    InputError {
        pointer: pointer.to_owned(),
        message: message.into(),
    }
}

/// Give a command
///
/// Either a `text`, or the name of a `template` with its `parameters`. It becomes a run of the agent with `commands = true`, whose input is `{ "command", "template", "parameters" }`.
/// With an `Idempotency-Key` the same request starts one run only.
#[utoipa::path(
    post, path = "/v1/commands", operation_id = "give_command", tag = "commands",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters")),
    request_body(content = CommandRequest, example = json!({ "text": "check the links of the handbook" })),
    responses(
        (status = 202, description = "It is recorded", body = CommandAccepted, headers(("location" = String, description = "Where its status is")),
         links(("status" = (operation_id = "get_job_status", parameters(("job_id" = "$response.body#/job_id")))))),
        (status = 409, description = "`no_command_agent`, `agent_disabled`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_command`: what is wrong with it is in `errors`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`queue_full`, `stopping`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn give_command(
    State(plane): Plane,
    By(by): By,
    _: Params<NoQuery>,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> Answer<Response> {
    let agent = plane.command_agent().ok_or_else(no_taker)?;
    let Some(fields) = body.as_object() else {
        return Err(invalid(vec![mistake(
            "",
            "must be an object with `text` or `template`",
        )]));
    };
    let mut errors = Vec::new();
    for name in fields.keys() {
        if !["text", "template", "parameters"].contains(&name.as_str()) {
            errors.push(mistake(
                &format!("/{}", name.replace('~', "~0").replace('/', "~1")),
                "is unknown; there are `text`, `template` and `parameters`",
            ));
        }
    }
    let parameters = match fields.get("parameters") {
        None | Some(Value::Null) => serde_json::Map::new(),
        Some(Value::Object(parameters)) => parameters.clone(),
        Some(_) => {
            errors.push(mistake("/parameters", "must be an object"));
            serde_json::Map::new()
        }
    };
    let given = |name: &str| fields.get(name).filter(|value| !value.is_null());
    let mut template = None;
    let mut command = String::new();
    match (given("text"), given("template")) {
        (Some(Value::String(text)), None) => {
            if text.trim().is_empty() || text.chars().count() > COMMAND_MAX {
                errors.push(mistake(
                    "/text",
                    format!("must have 1 to {COMMAND_MAX} characters"),
                ));
            }
            if !parameters.is_empty() {
                errors.push(mistake("/parameters", "belong to a template"));
            }
            command.clone_from(text);
        }
        (Some(_), None) => errors.push(mistake("/text", "must be text")),
        (None, Some(Value::String(name))) => {
            match plane
                .templates()
                .into_iter()
                .find(|known| known.name == *name)
            {
                None => errors.push(mistake(
                    "/template",
                    "there is no such template; `GET /v1/commands/templates` lists them",
                )),
                Some(known) => match (&known.problem, fill(&known, &parameters)) {
                    (Some(problem), _) => {
                        errors.push(mistake("/template", format!("cannot be used: {problem}")))
                    }
                    (None, Ok(text)) => command = text,
                    (None, Err(mistakes)) => {
                        errors.extend(mistakes.into_iter().map(|(name, message)| {
                            mistake(
                                &format!(
                                    "/parameters/{}",
                                    name.replace('~', "~0").replace('/', "~1")
                                ),
                                message,
                            )
                        }))
                    }
                },
            }
            template = Some(name.clone());
        }
        (None, Some(_)) => errors.push(mistake("/template", "must be the name of a template")),
        (Some(_), Some(_)) => errors.push(mistake("", "must have `text` or `template`, not both")),
        (None, None) => errors.push(mistake("", "must have `text` or `template`")),
    }
    if !errors.is_empty() {
        return Err(invalid(errors));
    }
    let input = json!({ "command": command, "template": template, "parameters": parameters });
    let request = StartRun {
        agent: agent.clone(),
        input: input.clone(),
        principal: by.principal,
        trigger: Trigger::Manual,
        idempotency_key: idempotency_key(&headers)?,
        dry_run: false,
    };
    let run = match plane.start_run(request).await {
        Ok(run) => run,
        Err(StartError::Duplicate(id)) => replay(&plane, id, &agent, &input, false).await?,
        Err(error) => return Err(error.into()),
    };
    let location = format!("/v1/status/{}", run.id);
    let accepted = CommandAccepted {
        job_id: run.id,
        status: location.clone(),
    };
    let mut response = (StatusCode::ACCEPTED, Json(accepted)).into_response();
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// List commands
///
/// What the agent that takes commands was asked by people and programs, newest first.
#[utoipa::path(
    get, path = "/v1/commands", operation_id = "list_commands", tag = "commands",
    params(PageQuery),
    responses(
        (status = 200, description = "The runs", body = RunList),
        (status = 409, description = "`no_command_agent`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_commands(
    State(plane): Plane,
    Params(query): Params<PageQuery>,
) -> Answer<Json<RunList>> {
    let filter = RunFilter {
        agent: Some(plane.command_agent().ok_or_else(no_taker)?),
        trigger: Some(Trigger::Manual),
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

/// List templates
///
/// Commands that have a name: the files of the directory `command_templates`.
#[utoipa::path(
    get, path = "/v1/commands/templates", operation_id = "list_templates", tag = "commands",
    responses(
        (status = 200, description = "The templates, by name", body = TemplateList),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_templates(
    State(plane): Plane,
    _: Params<NoQuery>,
) -> Answer<Json<TemplateList>> {
    Ok(Json(TemplateList {
        items: plane.templates(),
        next: None,
    }))
}

/// A job's id from the path.
pub(super) struct JobId(Uuid);

impl<S: Send + Sync> FromRequestParts<S> for JobId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let missing = || {
            ApiError::not_found("no job has this id; a job is a run, and `GET /v1/runs` lists them")
        };
        let Path(path) = Path::<BTreeMap<String, String>>::from_request_parts(parts, state)
            .await
            .map_err(|_| missing())?;
        path.get("job_id")
            .and_then(|text| {
                Uuid::parse_str(text)
                    .ok()
                    .filter(|id| id.as_hyphenated().to_string() == *text)
            })
            .map(Self)
            .ok_or_else(missing)
    }
}

/// Get the status of a job
///
/// A job is a run; this is `/v1/runs/{id}` under the name that programs of older systems know.
#[utoipa::path(
    get, path = "/v1/status/{job_id}", operation_id = "get_job_status", tag = "commands",
    params(("job_id" = Uuid, Path, description = "As `POST /v1/commands` answered")),
    responses(
        (status = 200, description = "The run", body = RunView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_job_status(
    State(plane): Plane,
    JobId(id): JobId,
    _: Params<NoQuery>,
) -> Answer<Json<RunView>> {
    let run = find(&plane, id).await?;
    Ok(Json(view(plane.as_ref(), run)))
}
