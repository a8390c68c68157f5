//! `/v1/bans` and `/v1/lockouts`: who is kept out after keys that failed.

use super::access::By;
use super::error::{ApiError, Problem};
use super::json::Json;
use super::keys::access;
use super::params::{NoQuery, Only, Params};
use super::{Answer, Plane};
use crate::access::guard::{Ban, Lockout};
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

/// Items in one answer: a person lifts what they know of, and programs follow the feed.
const ITEMS_MAX: usize = 1_000;

/// The bans.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct BanList {
    /// The newest first, at most 1,000.
    pub items: Vec<Ban>,
}

/// The lockouts.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct LockoutList {
    /// The longest first, at most 1,000.
    pub items: Vec<Lockout>,
}

/// List bans
#[utoipa::path(
    get, path = "/v1/bans", operation_id = "list_bans", tag = "access",
    responses(
        (status = 200, description = "The bans", body = BanList),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_bans(State(plane): Plane, _: Params<NoQuery>) -> Answer<Json<BanList>> {
    let mut items = access(plane.as_ref())?.guard.bans();
    items.truncate(ITEMS_MAX);
    Ok(Json(BanList { items }))
}

/// Lift a ban
#[utoipa::path(
    delete, path = "/v1/bans/{address}", operation_id = "lift_ban", tag = "access",
    params(("address" = String, Path, description = "The address, as `GET /v1/bans` writes it")),
    responses(
        (status = 204, description = "It is lifted"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn lift_ban(
    State(plane): Plane,
    by: By,
    Only(address): Only,
    _: Params<NoQuery>,
) -> Answer<StatusCode> {
    lift(&plane, by, &address).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lets a client in again.
pub(super) async fn lift(
    plane: &std::sync::Arc<dyn super::ControlPlane>,
    By(by): By,
    address: &str,
) -> Answer<()> {
    let missing =
        || ApiError::not_found("this address is not banned; `GET /v1/bans` lists those that are");
    let client = address.parse().map_err(|_| missing())?;
    let guard = &access(plane.as_ref())?.guard;
    if guard.unban(client, &json!(by.principal)).await? {
        Ok(())
    } else {
        Err(missing())
    }
}

/// List lockouts
#[utoipa::path(
    get, path = "/v1/lockouts", operation_id = "list_lockouts", tag = "access",
    responses(
        (status = 200, description = "The lockouts", body = LockoutList),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_lockouts(
    State(plane): Plane,
    _: Params<NoQuery>,
) -> Answer<Json<LockoutList>> {
    let mut items = access(plane.as_ref())?.guard.lockouts();
    items.truncate(ITEMS_MAX);
    Ok(Json(LockoutList { items }))
}

/// End a lockout
#[utoipa::path(
    delete, path = "/v1/lockouts/{subject}", operation_id = "end_lockout", tag = "access",
    params(("subject" = String, Path, description = "The subject, as `GET /v1/lockouts` writes it")),
    responses(
        (status = 204, description = "It is over"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn end_lockout(
    State(plane): Plane,
    By(by): By,
    Only(subject): Only,
    _: Params<NoQuery>,
) -> Answer<StatusCode> {
    let missing = || {
        ApiError::not_found("nothing of that name is locked out; `GET /v1/lockouts` lists what is")
    };
    let guard = &access(plane.as_ref())?.guard;
    if guard.unlock(&subject, &json!(by.principal)).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(missing())
    }
}
