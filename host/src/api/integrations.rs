//! `/v1/integrations`: what the host works with outside of itself, and how each of them is.

use super::error::{ApiError, Problem};
use super::json::Json;
use super::params::{Name, NoQuery, Params};
use super::views::{IntegrationList, IntegrationView};
use super::{Answer, Plane};
use crate::words::nearest;
use axum::extract::State;

/// List integrations
///
/// Every repository and every channel, by name: whether it could be reached when it was last used or looked at.
#[utoipa::path(
    get, path = "/v1/integrations", operation_id = "list_integrations", tag = "host",
    responses(
        (status = 200, description = "The integrations", body = IntegrationList),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_integrations(
    State(plane): Plane,
    _: Params<NoQuery>,
) -> Answer<Json<IntegrationList>> {
    Ok(Json(IntegrationList {
        items: plane.integrations(),
        next: None,
    }))
}

/// Get an integration
#[utoipa::path(
    get, path = "/v1/integrations/{name}", operation_id = "get_integration", tag = "host",
    params(("name" = String, Path, description = "Its name, for instance `forge.ops` or `channel.mail`")),
    responses(
        (status = 200, description = "The integration", body = IntegrationView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_integration(
    State(plane): Plane,
    Name(name): Name,
    _: Params<NoQuery>,
) -> Answer<Json<IntegrationView>> {
    let integrations = plane.integrations();
    if let Some(found) = integrations.iter().find(|one| one.name == name) {
        return Ok(Json(found.clone()));
    }
    let known = integrations.iter().map(|one| one.name.as_str());
    Err(ApiError::not_found(match nearest(&name, known) {
        Some(near) => format!("no integration has this name; did you mean `{near}`?"),
        None => "no integration has this name; `GET /v1/integrations` lists them".into(),
    }))
}
