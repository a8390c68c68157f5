//! `/metrics` and `/v1/log-level`.

use super::error::{ApiError, InputError, Problem};
use super::json::{Json, JsonBody};
use super::params::{NoQuery, Params};
use super::views::{LogLevelRequest, LogLevelView};
use super::{Answer, Plane};
use crate::logging;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

/// The media type of Prometheus' text format as it is written here.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Get all metrics
///
/// In the OpenMetrics text format, as Prometheus reads it. Labels are bounded: the first 200 agents have series of their own.
#[utoipa::path(
    get, path = "/metrics", operation_id = "get_metrics", tag = "host",
    responses(
        (status = 200, description = "The series", content((String = "application/openmetrics-text"))),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_metrics(State(plane): Plane, _: Params<NoQuery>) -> Answer<Response> {
    let text = plane.metrics_text().await.map_err(ApiError::internal)?;
    let mut response = text.into_response();
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(OPEN_METRICS));
    Ok(response)
}

fn no_log() -> ApiError {
    ApiError::new(
        StatusCode::CONFLICT,
        "no_log",
        "this process started no log of its own",
    )
}

/// Get the log's level
#[utoipa::path(
    get, path = "/v1/log-level", operation_id = "get_log_level", tag = "host",
    responses(
        (status = 200, description = "The filter in force", body = LogLevelView),
        (status = 409, description = "`no_log`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_log_level(_: Params<NoQuery>) -> Answer<Json<LogLevelView>> {
    logging::current()
        .map(|filter| Json(LogLevelView { filter }))
        .ok_or_else(no_log)
}

/// Change the log's level
///
/// From now on and until the host stops.
#[utoipa::path(
    put, path = "/v1/log-level", operation_id = "put_log_level", tag = "host",
    request_body(content = LogLevelRequest, example = json!({ "level": "info" })),
    responses(
        (status = 200, description = "The filter in force", body = LogLevelView),
        (status = 409, description = "`no_log`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_level`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn put_log_level(
    _: Params<NoQuery>,
    JsonBody(body): JsonBody,
) -> Answer<Json<LogLevelView>> {
    let request: LogLevelRequest = serde_json::from_value(body).map_err(|error| {
        ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid_level",
            "send `{ \"level\": \"error\" }`, or `warn`, `info`, `debug`",
        )
        .with_errors(vec![InputError {
            pointer: "/level".into(),
            message: error.to_string(),
        }])
    })?;
    if !logging::set(request.level) {
        return Err(no_log());
    }
    tracing::info!("the log's level is `{}` now", request.level.as_str());
    get_log_level(Params(NoQuery {})).await
}
