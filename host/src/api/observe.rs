//! `/metrics` and `/v1/log-level`.

use super::access::CameFrom;
use super::error::{ApiError, InputError, Problem};
use super::json::{Json, JsonBody};
use super::params::{NoQuery, Params};
use super::views::{LogLevelRequest, LogLevelView};
use super::{Answer, Connection, Plane};
use crate::access::address::Client;
use crate::logging;
use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

/// The media type of Prometheus' text format as it is written here.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// In the extensions of a request that came over a listener of an inner network.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inner;

/// Get all metrics
///
/// In the OpenMetrics text format, as Prometheus reads it. Labels are bounded: the first 200 agents have series of their own. It is answered to callers of this machine, and on `metrics_listen` of `[host]`; elsewhere it is not.
#[utoipa::path(
    get, path = "/metrics", operation_id = "get_metrics", tag = "host",
    responses(
        (status = 200, description = "The series", content((String = "application/openmetrics-text"))),
        (status = 403, description = "`internal_only`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_metrics(
    State(plane): Plane,
    inner: Option<Extension<Inner>>,
    connection: Option<Extension<Connection>>,
    CameFrom(client): CameFrom,
    _: Params<NoQuery>,
) -> Answer<Response> {
    if inner.is_none() && !is_of_this_machine(connection.as_deref(), client) {
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "internal_only",
            "metrics are answered on loopback addresses and on `metrics_listen` of `[host]` alone",
        ));
    }
    let text = plane.metrics_text().await.map_err(ApiError::internal)?;
    let mut response = text.into_response();
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(OPEN_METRICS));
    Ok(response)
}

/// Whether a request came from this machine: over the socket of the state folder, or over loopback from who is not a proxy of somebody else.
fn is_of_this_machine(connection: Option<&Connection>, client: Option<Client>) -> bool {
    let Some(listen) = connection.and_then(|connection| connection.listen) else {
        return true;
    };
    listen.ip().to_canonical().is_loopback() && client.is_none_or(|client| client.is_loopback())
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;
    use tokio_util::sync::CancellationToken;

    #[test]
    fn this_machine_is_the_socket_and_loopback_without_a_proxy() {
        let over = |listen: Option<&str>, client: Option<&str>| {
            let address = |text: &str| -> SocketAddr { text.parse().unwrap() };
            let connection = Connection {
                listen: listen.map(address),
                peer: None,
                stopping: CancellationToken::new(),
            };
            let client = client.map(|client| Client::of(client.parse().unwrap()));
            is_of_this_machine(Some(&connection), client)
        };
        assert!(is_of_this_machine(None, None));
        assert!(over(None, None));
        assert!(over(Some("127.0.0.1:8080"), Some("127.0.0.1")));
        assert!(over(Some("[::1]:8080"), Some("::1")));
        assert!(over(Some("[::ffff:127.0.0.1]:8080"), Some("127.0.0.1")));
        assert!(!over(Some("10.2.0.7:8080"), Some("10.2.0.7")));
        // A trusted proxy on this machine says who asks.
        assert!(!over(Some("127.0.0.1:8080"), Some("203.0.113.7")));
    }
}
