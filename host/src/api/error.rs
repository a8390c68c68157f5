//! Turns every failure of a request into one RFC 9457 problem with a stable `code`; the only place where that happens.
//!
//! A problem with status 500 or above never carries what went wrong inside; that goes to the log, once, with the request's id.
//! [`ApiError::into_response`] leaves the problem in the response's extensions: the request's id is known only to the outermost layer
//! (`envelope`), which writes the body.

use super::{BadgeError, CancelError, StartError};
use crate::checks::CheckError;
use crate::holds::HoldError;
use crate::store::StoreError;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The media type of a problem.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// Seconds after which a refused start is worth another try: a slot of the queue is free again within a few runs.
const RETRY_AFTER_SECONDS: u16 = 5;

/// One thing wrong with the input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InputError {
    /// A JSON pointer into the request's body; empty for the whole.
    pub pointer: String,
    /// What is wrong there.
    pub message: String,
}

/// A problem as the client reads it (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`: `code` tells problems apart.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// The status code.
    pub status: u16,
    /// What happened and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Stable; for programs.
    pub code: String,
    /// The same as in the header `x-request-id`.
    pub request_id: String,
    /// What is wrong with the input, where that is the problem.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<InputError>,
}

/// Why a request failed.
#[derive(Clone, Debug)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    detail: Option<String>,
    errors: Vec<InputError>,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// For the log alone.
    cause: Option<String>,
}

impl ApiError {
    /// A problem with a message for the caller.
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: Some(detail.into()),
            errors: Vec::new(),
            headers: Vec::new(),
            cause: None,
        }
    }

    /// There is nothing of that name.
    #[must_use]
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    /// A query parameter or header has a value outside its range.
    #[must_use]
    pub fn invalid_parameter(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid_parameter",
            detail,
        )
    }

    /// The host failed. The caller learns the request's id, the log learns `cause`.
    #[must_use]
    pub fn internal(cause: impl Into<String>) -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            code: "internal",
            detail: None,
            errors: Vec::new(),
            headers: Vec::new(),
            cause: Some(cause.into()),
        }
    }

    /// Adds what is wrong with the input.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<InputError>) -> Self {
        self.errors = errors;
        self
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Says when to try again.
    #[must_use]
    pub fn retry_later(self) -> Self {
        self.with_header(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS))
    }

    /// Keeps a cause for the log.
    #[must_use]
    fn caused_by(mut self, cause: impl ToString) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// The problem's body, and a line in the log if the host is to blame.
    pub(crate) fn problem(&self, request_id: &str) -> Problem {
        if let Some(cause) = &self.cause {
            tracing::error!(request.id = request_id, problem.code = self.code, error = %cause, "request {request_id} failed");
        }
        Problem {
            kind: "about:blank".into(),
            title: self.status.canonical_reason().unwrap_or("Problem").into(),
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            code: self.code.into(),
            request_id: request_id.into(),
            errors: self.errors.clone(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        for (name, value) in &self.headers {
            response.headers_mut().append(name, value.clone());
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Cursor => Self::new(
                StatusCode::BAD_REQUEST,
                "invalid_cursor",
                "the cursor is not one that this list gave out; start again without `cursor`",
            ),
            StoreError::Full { .. } => Self::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "storage_full",
                "the state folder is full; free space on its disk, then try again",
            )
            .caused_by(error),
            StoreError::PageLimit { .. } => Self::invalid_parameter(error.to_string()),
            StoreError::UnknownRun { .. } => no_such_run(),
            other => {
                let cause = causes(&other);
                Self::internal(cause)
            }
        }
    }
}

impl From<HoldError> for ApiError {
    fn from(error: HoldError) -> Self {
        match error {
            HoldError::Store(error) => error.into(),
            HoldError::File { .. } => Self::internal(error.to_string()),
        }
    }
}

impl From<StartError> for ApiError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::UnknownAgent { nearest } => unknown_agent(nearest.as_deref()),
            StartError::Disabled => Self::new(
                StatusCode::CONFLICT,
                "agent_disabled",
                "the agent is disabled; set `enabled = true` in `plugins.toml` or mend the problem that `GET /v1/agents/{name}` names",
            ),
            StartError::InvalidInput { pointer, message } => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid_input",
                "the input does not match the schema that the plugin declares; see `errors`",
            )
            .with_errors(vec![InputError { pointer, message }]),
            StartError::QueueFull => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "queue_full",
                "too many runs are waiting; try again in a few seconds",
            )
            .retry_later(),
            StartError::Killed => Self::killed(),
            StartError::Stopping => Self::stopping(),
            StartError::Store(error) => error.into(),
            StartError::Duplicate(id) => Self::new(
                StatusCode::CONFLICT,
                "idempotency_key_in_flight",
                format!("a run with this `Idempotency-Key` is being started as `{id}`; try again"),
            )
            .retry_later(),
        }
    }
}

impl From<CheckError> for ApiError {
    fn from(error: CheckError) -> Self {
        match error {
            CheckError::Full => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "queue_full",
                error.to_string(),
            )
            .retry_later(),
            CheckError::Killed => Self::killed(),
            CheckError::Stopping => Self::stopping(),
            CheckError::Store(error) => error.into(),
        }
    }
}

impl ApiError {
    /// The kill switch is thrown.
    #[must_use]
    pub fn killed() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "kill_switch",
            crate::runtime::KILLED,
        )
    }

    /// The host is on its way out.
    #[must_use]
    pub fn stopping() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "stopping",
            "the host is stopping and takes no new runs",
        )
        .retry_later()
    }
}

impl From<CancelError> for ApiError {
    fn from(error: CancelError) -> Self {
        match error {
            CancelError::NotFound => no_such_run(),
            CancelError::Ended => Self::new(
                StatusCode::CONFLICT,
                "run_ended",
                "the run has ended already; nothing is left to cancel",
            ),
            CancelError::Store(error) => error.into(),
        }
    }
}

impl From<BadgeError> for ApiError {
    fn from(error: BadgeError) -> Self {
        match error {
            BadgeError::UnknownAgent { nearest } => unknown_agent(nearest.as_deref()),
            BadgeError::InvalidLabel(reason) => Self::invalid_parameter(reason),
            BadgeError::Unavailable(cause) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "badge_unavailable",
                "the badge cannot be drawn now; `GET /v1/plugins/badge` says whether its plugin is ready",
            )
            .retry_later()
            .caused_by(cause),
        }
    }
}

/// There is no such run, or the id is none.
pub(crate) fn no_such_run() -> ApiError {
    ApiError::not_found("no run has this id; `GET /v1/runs` lists them")
}

/// No agent has that name.
pub(crate) fn unknown_agent(nearest: Option<&str>) -> ApiError {
    let detail = match nearest {
        Some(nearest) => format!("no agent has this name; did you mean `{nearest}`?"),
        None => "no agent has this name; `GET /v1/agents` lists them".into(),
    };
    ApiError::new(StatusCode::NOT_FOUND, "unknown_agent", detail)
}

/// An error and everything below it, for the log.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
