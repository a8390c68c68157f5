//! `/v1/killswitch`: stops everything, and lets it go on once a dry run has passed.

use super::access::By;
use super::error::{ApiError, InputError, Problem};
use super::json::{Json, JsonBody};
use super::params::{NoQuery, Params};
use super::{Answer, Plane, RecoverError, StartRun};
use crate::kill::{KillView, MINUTES_MAX, REASON_MAX};
use crate::model::Trigger;
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

fn invalid(pointer: &str, message: impl Into<String>) -> ApiError {
    ApiError::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "invalid_killswitch",
        "the request is not as it must be; see `errors`",
    )
    .with_errors(vec![InputError {
        pointer: pointer.into(),
        message: message.into(),
    }])
}

impl From<RecoverError> for ApiError {
    fn from(error: RecoverError) -> Self {
        let detail = error.to_string();
        match error {
            RecoverError::Off => Self::new(StatusCode::CONFLICT, "killswitch_off", detail),
            RecoverError::Busy => Self::new(StatusCode::CONFLICT, "recovery_in_progress", detail),
            RecoverError::DryRun { .. } => {
                Self::new(StatusCode::CONFLICT, "dry_run_failed", detail)
            }
            RecoverError::Start(error) => error.into(),
            RecoverError::Store(error) => error.into(),
        }
    }
}

/// Why everything has to stop.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EngageRequest {
    /// Why, for instance `security_incident`; at most 1,000 characters.
    #[schema(min_length = 1, max_length = 1000)]
    reason: String,
    /// After how many minutes it says that it waits for recovery; at once without it.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 44_640)]
    duration_minutes: Option<u32>,
}

/// How to see that everything is well again.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RecoverRequest {
    /// The agent of which a dry run has to pass.
    agent: String,
    /// Its input.
    #[serde(default)]
    input: Value,
}

/// See the kill switch
#[utoipa::path(
    get, path = "/v1/killswitch", operation_id = "get_killswitch", tag = "host",
    responses(
        (status = 200, description = "How it is", body = KillView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_killswitch(State(plane): Plane, _: Params<NoQuery>) -> Json<KillView> {
    Json(plane.killswitch())
}

/// Stop everything
///
/// What runs is cancelled, nothing new starts whoever asks, no effect is applied, and tokens are given back; also after a restart. What waits stays and does not run. When the time is over it waits for recovery and says so: nothing resumes by itself.
#[utoipa::path(
    post, path = "/v1/killswitch", operation_id = "engage_killswitch", tag = "host",
    request_body(content = EngageRequest),
    responses(
        (status = 200, description = "It is thrown", body = KillView),
        (status = 422, description = "`invalid_killswitch`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn engage_killswitch(
    State(plane): Plane,
    By(by): By,
    _: Params<NoQuery>,
    JsonBody(body): JsonBody,
) -> Answer<Json<KillView>> {
    let request: EngageRequest =
        serde_json::from_value(body).map_err(|error| invalid("", error.to_string()))?;
    let length = request.reason.chars().count();
    if request.reason.trim().is_empty() || length > REASON_MAX {
        return Err(invalid("/reason", "is not a text of 1 to 1,000 characters"));
    }
    if request
        .duration_minutes
        .is_some_and(|minutes| !(1..=MINUTES_MAX).contains(&minutes))
    {
        return Err(invalid(
            "/duration_minutes",
            format!("is not from 1 to {MINUTES_MAX}"),
        ));
    }
    let view = plane
        .kill(request.reason, request.duration_minutes, by.principal)
        .await?;
    Ok(Json(view))
}

/// Let everything go on
///
/// Runs one agent with nothing applied, and lets everything go on if it succeeds.
#[utoipa::path(
    post, path = "/v1/killswitch/recover", operation_id = "recover_killswitch", tag = "host",
    request_body(content = RecoverRequest),
    responses(
        (status = 200, description = "It is off", body = KillView),
        (status = 409, description = "`killswitch_off`, `recovery_in_progress`, `dry_run_failed`, `agent_disabled`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_killswitch`, `invalid_input`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn recover_killswitch(
    State(plane): Plane,
    By(by): By,
    _: Params<NoQuery>,
    JsonBody(body): JsonBody,
) -> Answer<Json<KillView>> {
    let request: RecoverRequest =
        serde_json::from_value(body).map_err(|error| invalid("", error.to_string()))?;
    let run = StartRun {
        agent: request.agent,
        input: request.input,
        principal: by.principal,
        trigger: Trigger::Manual,
        idempotency_key: None,
        dry_run: true,
    };
    Ok(Json(plane.recover(run).await?))
}
