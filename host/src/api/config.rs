//! `/v1/config`: what the host runs by: what is in force, what waits or was refused, and the way to another version and back.

use super::access::By;
use super::error::{ApiError, InputError, Problem};
use super::json::{Json, JsonBody};
use super::params::{FromQuery, NoQuery, Only, PageQuery, Params, Values};
use super::{Answer, Plane};
use crate::config::{ConfigErrors, MAX_FILE_BYTES};
use crate::model::Principal;
use crate::reload::{AgentChange, ConfigVersion};
use crate::store::{PageRequest, StoreError};
use axum::extract::State;
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// What is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfigStatus {
    /// The number of the version in force; 0 where none was recorded yet.
    pub version: u64,
    /// The file.
    pub path: String,
    /// `sha256:<hex>` of the file's bytes when it was read.
    pub digest: String,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// Why the file as it is now is not in force, or which repositories, channels and pipelines were left out of it; each mistake with its place. Nothing where all of it is in force.
    pub problems: Vec<String>,
    /// Agents that are not as the file says: refused, waiting, disabled or rolled back.
    pub held: Vec<AgentChange>,
    /// Keys that take effect when the host starts the next time.
    pub restart: Vec<String>,
    /// Runs in progress on an earlier version.
    pub draining: u64,
    /// New components that have a part of their agent's runs only.
    pub canaries: Vec<ConfigCanary>,
}

/// A new component that has a part of its agent's runs for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfigCanary {
    /// The agent.
    pub agent: String,
    /// Of a hundred runs, so many.
    pub percent: u32,
    /// When it gets all of them.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
}

/// A text that is to take the file's place.
#[derive(Clone, Debug)]
pub struct NewConfig {
    /// The whole text.
    pub text: String,
    /// Whether it is only said what would change.
    pub dry_run: bool,
    /// Who hands it in.
    pub principal: Principal,
}

/// Why a version was not taken, or there is none.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The text has mistakes; nothing changed.
    #[error("the text has mistakes; nothing was changed")]
    Mistakes(Box<ConfigErrors>),
    /// No such version, or nothing of this agent waits.
    #[error("there is no such version, or nothing of this agent waits for approval")]
    NotFound,
    /// What waits is another change than the one that was approved.
    #[error("what waits is another change by now; look at it again")]
    Changed,
    /// Why not.
    #[error("{0}")]
    Refused(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<ConfigError> for ApiError {
    fn from(error: ConfigError) -> Self {
        let detail = error.to_string();
        match error {
            ConfigError::Mistakes(errors) => {
                let errors = errors
                    .errors
                    .iter()
                    .map(|error| InputError {
                        pointer: "/text".into(),
                        message: error.brief(&errors.path),
                    })
                    .collect();
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_config", detail)
                    .with_errors(errors)
            }
            ConfigError::NotFound => Self::not_found(detail),
            ConfigError::Changed => Self::new(StatusCode::CONFLICT, "digest_changed", detail),
            ConfigError::Refused(_) => Self::new(StatusCode::CONFLICT, "config_refused", detail),
            ConfigError::Store(error) => error.into(),
        }
    }
}

/// A configuration.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigText {
    /// The whole text of `plugins.toml`, at most 1 MiB.
    #[schema(min_length = 1, max_length = 1_048_576)]
    text: String,
}

/// What a person approves.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigApproval {
    /// The agent whose change waits.
    agent: String,
    /// `digest` of that change as it was seen; the one that waits without it.
    #[serde(default)]
    digest: Option<String>,
}

/// Versions.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct ConfigVersionList {
    /// The newest first.
    items: Vec<ConfigVersion>,
    /// Where the next part begins; none at the end.
    next: Option<String>,
}

/// A version with its text.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct ConfigVersionText {
    /// The version.
    version: ConfigVersion,
    /// The text, with credentials that stand in it masked.
    text: String,
}

/// Whether something is done.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct DryRunQuery {
    /// Whether it is only said what would change.
    #[param(value_type = Option<bool>, default = false)]
    dry_run: bool,
}

impl FromQuery for DryRunQuery {
    fn from_query(values: &Values) -> Result<Self, ApiError> {
        Ok(Self {
            dry_run: values.flag("dry_run")?,
        })
    }
}

fn invalid(pointer: &str, message: impl Into<String>) -> ApiError {
    ApiError::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "invalid_config",
        "the request is not as it must be; see `errors`",
    )
    .with_errors(vec![InputError {
        pointer: pointer.into(),
        message: message.into(),
    }])
}

/// See the configuration in force
#[utoipa::path(
    get, path = "/v1/config", operation_id = "get_config", tag = "config",
    responses(
        (status = 200, description = "What is in force", body = ConfigStatus),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_config(State(plane): Plane, _: Params<NoQuery>) -> Json<ConfigStatus> {
    Json(plane.config_status())
}

/// Apply a configuration
///
/// Takes the text in the file's place, if it has no mistakes: with it go compiling, linking, comparing grants and asking policy, and then everything is swapped at once. What policy refuses or holds back stays as it was; see `changes`.
#[utoipa::path(
    put, path = "/v1/config", operation_id = "apply_config", tag = "config",
    params(DryRunQuery),
    request_body(content = ConfigText),
    responses(
        (status = 200, description = "The version", body = ConfigVersion),
        (status = 422, description = "`invalid_config`: every mistake", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn apply_config(
    State(plane): Plane,
    By(by): By,
    Params(query): Params<DryRunQuery>,
    JsonBody(body): JsonBody,
) -> Answer<Json<ConfigVersion>> {
    let request: ConfigText =
        serde_json::from_value(body).map_err(|error| invalid("", error.to_string()))?;
    if request.text.len() as u64 > MAX_FILE_BYTES {
        return Err(invalid("/text", "is larger than 1 MiB"));
    }
    let new = NewConfig {
        text: request.text,
        dry_run: query.dry_run,
        principal: by.principal,
    };
    Ok(Json(brief(plane.apply_config(new).await?)))
}

/// List versions of the configuration
///
/// Newest first; the last hundred are kept.
#[utoipa::path(
    get, path = "/v1/config/versions", operation_id = "list_config_versions", tag = "config",
    params(PageQuery),
    responses(
        (status = 200, description = "The versions", body = ConfigVersionList),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_versions(
    State(plane): Plane,
    Params(query): Params<PageQuery>,
) -> Answer<Json<ConfigVersionList>> {
    let page = PageRequest {
        limit: query.limit,
        cursor: query.cursor,
    };
    let page = plane.store().versions(page).await?;
    Ok(Json(ConfigVersionList {
        items: page.items.into_iter().map(brief).collect(),
        next: page.next,
    }))
}

/// A version without the list of all that each agent may do, which `GET /v1/config/versions/{number}` has.
fn brief(mut version: ConfigVersion) -> ConfigVersion {
    version.agents.clear();
    version
}

fn number(text: &str) -> Result<u64, ApiError> {
    text.parse()
        .map_err(|_| ApiError::not_found("there is no version of this number"))
}

/// Get a version of the configuration
#[utoipa::path(
    get, path = "/v1/config/versions/{number}", operation_id = "get_config_version", tag = "config",
    params(("number" = u64, Path, description = "The version's number")),
    responses(
        (status = 200, description = "The version and its text", body = ConfigVersionText),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_version(
    State(plane): Plane,
    Only(text): Only,
    _: Params<NoQuery>,
) -> Answer<Json<ConfigVersionText>> {
    let found = plane.store().version(number(&text)?).await?;
    let (version, text) =
        found.ok_or_else(|| ApiError::not_found("there is no version of this number"))?;
    Ok(Json(ConfigVersionText {
        version,
        text: crate::config::masked_whole(&text),
    }))
}

/// Go back to a version of the configuration
///
/// Its text takes the file's place, and components that were replaced since come back.
#[utoipa::path(
    post, path = "/v1/config/versions/{number}/rollback", operation_id = "roll_back_config", tag = "config",
    params(("number" = u64, Path, description = "The version's number")),
    responses(
        (status = 200, description = "The new version", body = ConfigVersion),
        (status = 409, description = "`config_refused`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_config`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn roll_back(
    State(plane): Plane,
    By(by): By,
    Only(text): Only,
    _: Params<NoQuery>,
) -> Answer<Json<ConfigVersion>> {
    Ok(Json(brief(
        plane.roll_back_config(number(&text)?, by.principal).await?,
    )))
}

/// Approve a change that waits
///
/// Of an agent that may more than before, or whose new version crashed.
#[utoipa::path(
    post, path = "/v1/config/approvals", operation_id = "approve_config", tag = "config",
    request_body(content = ConfigApproval),
    responses(
        (status = 200, description = "The version in force", body = ConfigVersion),
        (status = 409, description = "`config_refused`, `digest_changed`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_config`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn approve(
    State(plane): Plane,
    By(by): By,
    _: Params<NoQuery>,
    JsonBody(body): JsonBody,
) -> Answer<Json<ConfigVersion>> {
    let request: ConfigApproval =
        serde_json::from_value(body).map_err(|error| invalid("", error.to_string()))?;
    let approved = plane.approve_config(&request.agent, request.digest.as_deref(), by.principal);
    Ok(Json(brief(approved.await?)))
}
