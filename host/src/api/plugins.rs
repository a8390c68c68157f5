//! `/v1/plugins`.

use super::error::{ApiError, Problem};
use super::json::Json;
use super::params::{Name, NoQuery, Params};
use super::views::{PluginList, PluginView};
use super::{Answer, Plane};
use crate::words::nearest;
use axum::extract::State;

/// List plugins
///
/// Every component in the folder of plugins, by name, with those that cannot be loaded.
#[utoipa::path(
    get, path = "/v1/plugins", operation_id = "list_plugins", tag = "plugins",
    responses(
        (status = 200, description = "The plugins", body = PluginList),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_plugins(
    State(plane): Plane,
    _: Params<NoQuery>,
) -> Answer<Json<PluginList>> {
    Ok(Json(PluginList {
        items: plane.plugins(),
        next: None,
    }))
}

/// Get a plugin
#[utoipa::path(
    get, path = "/v1/plugins/{name}", operation_id = "get_plugin", tag = "plugins",
    params(("name" = String, Path, description = "The plugin's name")),
    responses(
        (status = 200, description = "The plugin", body = PluginView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_plugin(
    State(plane): Plane,
    Name(name): Name,
    _: Params<NoQuery>,
) -> Answer<Json<PluginView>> {
    let plugins = plane.plugins();
    if let Some(plugin) = plugins.iter().find(|plugin| plugin.name == name) {
        return Ok(Json(plugin.clone()));
    }
    let known = plugins.iter().map(|plugin| plugin.name.as_str());
    Err(ApiError::not_found(match nearest(&name, known) {
        Some(nearest) => format!("no plugin has this name; did you mean `{nearest}`?"),
        None => "no plugin has this name; `GET /v1/plugins` lists them".into(),
    }))
}
