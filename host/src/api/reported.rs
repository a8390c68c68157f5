//! `POST /v1/prs/{id}/checks`: what tools outside the sandbox found in a pull request.

use super::access::By;
use super::effects::pull_request;
use super::error::{ApiError, InputError, Problem};
use super::json::{Json, JsonBody};
use super::params::{NoQuery, Params, RunId};
use super::{Answer, Plane};
use crate::effects::ANNOTATIONS_MAX;
use crate::forge::check_path;
use crate::model::{CommitStatus, Finding, StatusState, now};
use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Characters of a name.
const NAME_MAX: usize = 100;

/// Characters of a summary.
const SUMMARY_MAX: usize = 250;

/// Bytes of all annotations together: they are a part of one row.
const ANNOTATIONS_MAX_BYTES: usize = 64 * 1024;

/// What a tool says of a commit.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReportedCheck {
    /// Which tool, for instance `mypy`: one line of at most 100 characters.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// What it came to.
    state: StatusState,
    /// One line of at most 250 characters.
    #[schema(min_length = 1, max_length = 250)]
    summary: String,
    /// What is wrong at which lines, at most 50 and 64 KiB.
    #[serde(default)]
    annotations: Vec<Finding>,
    /// The commit that it looked at, a full id; the latest of the pull request where it is left out.
    commit: Option<String>,
}

fn invalid(pointer: &str, message: &str) -> ApiError {
    ApiError::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "invalid_check",
        format!("the reported check cannot be taken: `{pointer}` {message}"),
    )
    .with_errors(vec![InputError {
        pointer: pointer.to_owned(),
        message: message.to_owned(),
    }])
}

fn one_line(pointer: &str, text: &str, most: usize) -> Result<(), ApiError> {
    if text.trim().is_empty() || text.chars().count() > most || text.chars().any(char::is_control) {
        return Err(invalid(
            pointer,
            &format!("is not one line of 1 to {most} characters"),
        ));
    }
    Ok(())
}

/// Why an annotation cannot be shown.
fn wrong(finding: &Finding) -> Option<&'static str> {
    if finding
        .help
        .as_ref()
        .is_some_and(|help| help.chars().any(char::is_control))
    {
        return Some("has a help that is not one line");
    }
    let is_line = |text: &str| !text.trim().is_empty() && !text.chars().any(char::is_control);
    if !is_line(&finding.rule) || !is_line(&finding.message) {
        return Some("has no rule or no message, or one that is not one line");
    }
    let location = finding.location.as_ref()?;
    if location.repository.is_some() {
        return Some("names a repository, which is that of the pull request");
    }
    check_path(&location.path)
        .is_err()
        .then_some("has a path that is not one of a repository")
}

/// Report a check
///
/// What a tool found that cannot run in the sandbox, such as a type checker. It stands beside what agents think of the commit; submissions wait for it that name it in `reported`. Of a repository
/// on GitHub, report it there.
#[utoipa::path(
    post, path = "/v1/prs/{id}/checks", operation_id = "report_check", tag = "effects",
    params(("id" = Uuid, Path, description = "The pull request's id, which is that of the effect that opened it")),
    request_body = ReportedCheck,
    responses(
        (status = 201, description = "It is kept", body = CommitStatus),
        (status = 409, description = "`pull_request_not_open`, `commit_outdated`, `name_taken` by an agent's status, or `not_local` for a repository on GitHub", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_check`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn report_check(
    State(plane): Plane,
    By(caller): By,
    RunId(id): RunId,
    _: Params<NoQuery>,
    JsonBody(body): JsonBody,
) -> Answer<(StatusCode, Json<CommitStatus>)> {
    let report: ReportedCheck =
        serde_json::from_value(body).map_err(|error| invalid("", &error.to_string()))?;
    one_line("/name", &report.name, NAME_MAX)?;
    one_line("/summary", &report.summary, SUMMARY_MAX)?;
    if report.annotations.len() > ANNOTATIONS_MAX
        || serde_json::to_vec(&report.annotations)
            .is_ok_and(|bytes| bytes.len() > ANNOTATIONS_MAX_BYTES)
    {
        return Err(invalid(
            "/annotations",
            &format!("are more than {ANNOTATIONS_MAX}, or more than {ANNOTATIONS_MAX_BYTES} bytes"),
        ));
    }
    for (index, finding) in report.annotations.iter().enumerate() {
        if let Some(why) = wrong(finding) {
            return Err(invalid(&format!("/annotations/{index}"), why));
        }
    }
    let thread = pull_request(&plane, id).await?;
    let status = CommitStatus {
        id: Uuid::now_v7(),
        name: report.name,
        state: report.state,
        summary: report.summary,
        annotations: report.annotations,
        reported_by: Some(caller.principal.clone()),
        created_at: now(),
    };
    let commit = report.commit.as_deref();
    let status = plane
        .report_check(&thread, status, commit, caller.principal)
        .await?;
    Ok((StatusCode::CREATED, Json(status)))
}
