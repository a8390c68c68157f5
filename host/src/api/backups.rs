//! `/v1/backups`: what the host keeps for the day on which its disk is gone.

use super::access::By;
use super::error::{ApiError, Problem};
use super::json::Json;
use super::params::{NoQuery, Params};
use super::{Answer, ControlPlane, Plane};
use crate::backup::{BackupList, Backups, BeginError, Work};
use axum::extract::State;
use http::StatusCode;
use std::sync::Arc;

impl From<BeginError> for ApiError {
    fn from(error: BeginError) -> Self {
        let code = match error {
            BeginError::Off => "backups_off",
            BeginError::Busy => "backup_in_progress",
            BeginError::None => "no_backup",
        };
        Self::new(StatusCode::CONFLICT, code, error.to_string())
    }
}

fn backups(plane: &dyn ControlPlane) -> Answer<Arc<Backups>> {
    Ok(plane.backups().ok_or(BeginError::Off)?)
}

/// List backups
///
/// With what is being done, what was done last, how the latest trial went and when the next of each is due.
#[utoipa::path(
    get, path = "/v1/backups", operation_id = "list_backups", tag = "host",
    responses(
        (status = 200, description = "The backups", body = BackupList),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_backups(
    State(plane): Plane,
    _: Params<NoQuery>,
) -> Answer<Json<BackupList>> {
    Ok(Json(backups(plane.as_ref())?.view().await))
}

/// Make a backup
///
/// A snapshot, in the folder of `[backup]`. It goes on behind the answer; `GET /v1/backups` says how it ended.
#[utoipa::path(
    post, path = "/v1/backups", operation_id = "create_backup", tag = "host",
    responses(
        (status = 202, description = "It is being made", body = BackupList),
        (status = 409, description = "`backups_off`, `backup_in_progress`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn create_backup(
    State(plane): Plane,
    by: By,
    _: Params<NoQuery>,
) -> Answer<(StatusCode, Json<BackupList>)> {
    begin(plane.as_ref(), Work::Snapshot, by).await
}

/// Try the newest backup out
///
/// Puts it back into an empty folder, opens a store on it, verifies it, and measures how long that takes and what would be lost. It goes on behind the answer; `GET /v1/backups` says how it ended.
#[utoipa::path(
    post, path = "/v1/backups/drills", operation_id = "drill_backup", tag = "host",
    responses(
        (status = 202, description = "It is being tried out", body = BackupList),
        (status = 409, description = "`backups_off`, `backup_in_progress`, `no_backup`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn drill_backup(
    State(plane): Plane,
    by: By,
    _: Params<NoQuery>,
) -> Answer<(StatusCode, Json<BackupList>)> {
    begin(plane.as_ref(), Work::Drill, by).await
}

async fn begin(
    plane: &dyn ControlPlane,
    work: Work,
    By(by): By,
) -> Answer<(StatusCode, Json<BackupList>)> {
    let backups = backups(plane)?;
    backups.begin(work, by.principal).await?;
    Ok((StatusCode::ACCEPTED, Json(backups.view().await)))
}
