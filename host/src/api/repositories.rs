//! `/v1/repositories`: what is in the repositories that the host knows.

use super::error::{ApiError, Problem};
use super::json::Json;
use super::params::{FromQuery, Name, Params, Values};
use super::views::{ChangedFileView, DifferenceView};
use super::{Answer, Plane};
use crate::forge::ForgeError;
use axum::extract::State;
use http::StatusCode;
use utoipa::IntoParams;

impl From<ForgeError> for ApiError {
    fn from(error: ForgeError) -> Self {
        let detail = error.to_string();
        match error {
            ForgeError::NotFound(_) => Self::not_found(detail),
            ForgeError::TooLarge(_) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "too_large", detail)
            }
            ForgeError::Unavailable(_) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "repository_unavailable",
                detail,
            ),
            ForgeError::Other(_) => Self::invalid_parameter(detail),
        }
    }
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct DifferenceQuery {
    /// A branch, a tag or a commit id, the earlier one; the first parent of `head` without it.
    base: Option<String>,
    /// A branch, a tag or a commit id, the later one; the default branch without it.
    head: Option<String>,
}

impl FromQuery for DifferenceQuery {
    fn from_query(values: &Values) -> Result<Self, ApiError> {
        Ok(Self {
            base: values.text("base"),
            head: values.text("head"),
        })
    }
}

/// Get a difference
///
/// What changed between two commits of a repository, here or on GitHub: files with the lines that they gained and lost, and the patch.
#[utoipa::path(
    get, path = "/v1/repositories/{name}/diff", operation_id = "get_difference", tag = "effects",
    params(("name" = String, Path, description = "The repository's name in `plugins.toml`"), DifferenceQuery),
    responses(
        (status = 200, description = "The difference", body = DifferenceView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_difference(
    State(plane): Plane,
    Name(name): Name,
    Params(query): Params<DifferenceQuery>,
) -> Answer<Json<DifferenceView>> {
    let head = query.head.as_deref().unwrap_or("HEAD");
    let found = plane.compare(&name, query.base.as_deref(), head).await?;
    let files = found.files.into_iter().map(|file| ChangedFileView {
        path: file.path,
        change: file.change,
        binary: file.binary,
        added: file.added.len() as u64,
        removed: u64::from(file.removed),
    });
    Ok(Json(DifferenceView {
        repository: name,
        base: found.base,
        head: found.head,
        files: files.collect(),
        patch: found.patch,
    }))
}
