//! `/health`, `/ready` and `/`.

use super::error::{ApiError, Problem};
use super::json::Json;
use super::params::{FromQuery, NoQuery, Params, Values};
use super::views::{Health, HealthStatus, Index, Ready};
use super::{Answer, Plane};
use axum::extract::State;
use http::StatusCode;
use utoipa::IntoParams;

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct HealthQuery {
    /// List every check.
    #[param(value_type = Option<bool>)]
    verbose: bool,
}

impl FromQuery for HealthQuery {
    fn from_query(values: &Values) -> Result<Self, ApiError> {
        Ok(Self {
            verbose: values.flag("verbose")?,
        })
    }
}

/// How the host is
///
/// 200 as long as the host answers; `status` says whether everything works.
#[utoipa::path(
    get, path = "/health", operation_id = "get_health", tag = "host",
    params(HealthQuery),
    responses(
        (status = 200, description = "How the host is", body = Health),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn health(
    State(plane): Plane,
    Params(query): Params<HealthQuery>,
) -> Answer<Json<Health>> {
    let checks = plane.health().await;
    let degraded: Vec<String> = checks
        .iter()
        .filter(|check| !check.ok)
        .map(|check| check.component.clone())
        .collect();
    Ok(Json(Health {
        status: if degraded.is_empty() {
            HealthStatus::Ok
        } else {
            HealthStatus::Degraded
        },
        version: env!("CARGO_PKG_VERSION").into(),
        degraded,
        checks: query.verbose.then_some(checks),
    }))
}

/// Whether the host takes runs
#[utoipa::path(
    get, path = "/ready", operation_id = "get_ready", tag = "host",
    responses(
        (status = 200, description = "It does", body = Ready),
        (status = 503, description = "`not_ready`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn ready(State(plane): Plane, _: Params<NoQuery>) -> Answer<Json<Ready>> {
    match plane.ready() {
        Ok(()) => Ok(Json(Ready {
            status: "ready".into(),
        })),
        Err(reason) => {
            Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", reason).retry_later())
        }
    }
}

/// Where everything is
#[utoipa::path(
    get, path = "/", operation_id = "get_index", tag = "host",
    responses(
        (status = 200, description = "Paths worth a look", body = Index),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn index(_: Params<NoQuery>) -> Answer<Json<Index>> {
    Ok(Json(Index {
        name: "infinity".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        links: [
            "/v1/agents",
            "/v1/plugins",
            "/v1/runs",
            "/v1/events",
            "/badge.svg",
            "/health",
            "/ready",
            "/v1/workflows",
            "/v1/status",
            "/metrics",
            "/docs",
            "/openapi.json",
        ]
        .map(str::to_owned)
        .to_vec(),
    }))
}
