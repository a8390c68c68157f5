//! Routes that clients of older systems know: other addresses of what `/v1` has, with the old systems' rates. They are beside the document.

use super::access::By;
use super::error::{ApiError, InputError};
use super::json::{Json, JsonBody};
use super::params::{Name, NoQuery, Params};
use super::{Answer, ControlPlane, Plane, audit, autodeploy, bans, schedule};
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use std::sync::Arc;

/// The routes.
pub(super) fn routes() -> Router<Arc<dyn ControlPlane>> {
    Router::new()
        .route("/status", get(schedule::get_status))
        .route("/pause", post(schedule::pause))
        .route("/resume", post(schedule::resume))
        .route("/deploy", post(deploy))
        .route("/audit", get(audit::old_view))
        .route("/bans", get(bans::list_bans))
        .route("/unban", post(unban))
}

/// `POST /autodeploy/deploy`.
async fn deploy(
    plane: Plane,
    by: By,
    query: Params<NoQuery>,
    headers: HeaderMap,
) -> Answer<Response> {
    autodeploy::start_deployment(plane, by, Name("deploy".into()), query, headers).await
}

/// `DELETE /v1/bans/{address}`, with the address in the body: `{ "ip": "203.0.113.7" }`. Answers with the bans that are left.
async fn unban(
    State(plane): Plane,
    by: By,
    query: Params<NoQuery>,
    JsonBody(body): JsonBody,
) -> Answer<Json<bans::BanList>> {
    let address = body
        .as_object()
        .filter(|fields| fields.len() == 1)
        .and_then(|fields| fields.get("ip").or_else(|| fields.get("address")))
        .and_then(Value::as_str);
    let Some(address) = address else {
        return Err(ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid_unban",
            "the body is `{ \"ip\": \"203.0.113.7\" }`",
        )
        .with_errors(vec![InputError {
            pointer: String::new(),
            message: "must be an object with `ip` alone".into(),
        }]));
    };
    bans::lift(&plane, by, address).await?;
    bans::list_bans(State(plane), query).await
}
