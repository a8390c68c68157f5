//! `/v1/secrets`: what the values of `${NAME}` are called, where they come from and how old they are; and new values for them.
//!
//! Invariant: no answer has a value, and no route asks for one: who may replace a secret learns nothing of the one before.

use super::access::By;
use super::error::{ApiError, InputError, Problem};
use super::json::{Json, JsonBody, LargeJsonBody};
use super::params::{Name, NoQuery, Params};
use super::{Answer, ControlPlane, Plane};
use crate::model::{Event, Principal};
use crate::secrets::{SecretError, SecretView, Secrets, VaultError};
use axum::extract::State;
use http::StatusCode;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

/// Seconds of the longest grace: 90 days, as in the catalogue.
const GRACE_SECONDS_MAX: u64 = 90 * 24 * 3_600;

impl From<SecretError> for ApiError {
    fn from(error: SecretError) -> Self {
        let detail = error.to_string();
        match error {
            SecretError::Name => invalid("name", "", detail),
            SecretError::Value | SecretError::ByHand(_) => invalid("value", "/value", detail),
            SecretError::Unknown(_) => Self::not_found(detail),
            SecretError::Elsewhere { .. } => {
                Self::new(StatusCode::CONFLICT, "secret_elsewhere", detail)
            }
            SecretError::Full => Self::new(StatusCode::CONFLICT, "too_many_secrets", detail),
            SecretError::Vault(VaultError::Moved(_)) => {
                Self::new(StatusCode::CONFLICT, "secret_moved", detail)
            }
            SecretError::Vault(VaultError::Unreachable { .. } | VaultError::Unavailable(_)) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "vault_unavailable", detail)
            }
            SecretError::Vault(_) => Self::new(StatusCode::CONFLICT, "vault_refused", detail),
            SecretError::Sealed(error) => Self::internal(format!(
                "the sealed file of secrets cannot be used: {error}"
            )),
        }
    }
}

fn invalid(what: &str, pointer: &str, message: impl Into<String>) -> ApiError {
    ApiError::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "invalid_secret",
        format!("the secret's {what} is not as it must be; see `errors`"),
    )
    .with_errors(vec![InputError {
        pointer: pointer.into(),
        message: message.into(),
    }])
}

fn secrets(plane: &dyn ControlPlane) -> Answer<&Secrets> {
    plane.secrets().ok_or_else(|| {
        ApiError::new(
            StatusCode::CONFLICT,
            "no_secrets",
            "this host keeps no secrets",
        )
    })
}

/// Tells of a change, never with the value.
async fn tell(
    plane: &dyn ControlPlane,
    action: &str,
    name: &str,
    principal: &Principal,
    view: Option<&SecretView>,
) -> Answer<()> {
    let data = json!({
        "secret": name,
        "principal": principal,
        "provider": view.and_then(|view| view.provider),
        "version": view.and_then(|view| view.version),
        "previous_until": view.and_then(|view| view.previous_until),
    });
    tracing::info!(
        "{action} of `{name}` by {} `{}`",
        principal.kind,
        principal.name
    );
    plane
        .publish(Event::new("/host".into(), action, name.to_owned(), data))
        .await?;
    Ok(())
}

/// A value for a secret. It is in no answer, no log and no record.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PutSecret {
    /// 1 byte to 64 KiB of text.
    #[schema(min_length = 1, max_length = 65_536, pattern = "^[^\\u0000]+$")]
    value: String,
}

/// How to replace a secret.
#[derive(Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RotateSecret {
    /// The new value. Without it the host makes one, where any random value does.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 65_536)]
    value: Option<String>,
    /// How long the value before counts, in seconds; 0 in an emergency. As the catalogue says without it.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 7_776_000)]
    grace_seconds: Option<u64>,
}

/// The secrets.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SecretList {
    /// By name.
    pub items: Vec<SecretView>,
    /// What keeps secrets from being read, one sentence each.
    pub problems: Vec<String>,
}

/// List secrets
///
/// Where each comes from, how old it is and what names it; never its value.
#[utoipa::path(
    get, path = "/v1/secrets", operation_id = "list_secrets", tag = "secrets",
    responses(
        (status = 200, description = "The secrets", body = SecretList),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_secrets(
    State(plane): Plane,
    _: Params<NoQuery>,
) -> Answer<Json<SecretList>> {
    let secrets = secrets(plane.as_ref())?;
    Ok(Json(SecretList {
        items: secrets.list(),
        problems: secrets.problems(),
    }))
}

/// Set a secret
///
/// In Vault where the catalogue says that it is there, in the sealed file of the state folder otherwise. The value before counts for the secret's grace.
#[utoipa::path(
    put, path = "/v1/secrets/{name}", operation_id = "put_secret", tag = "secrets",
    params(("name" = String, Path, description = "The secret's name: capital letters, digits and `_`")),
    request_body(content = PutSecret),
    responses(
        (status = 200, description = "The secret, without its value", body = SecretView),
        (status = 409, description = "`secret_elsewhere`, `secret_moved`, `too_many_secrets`, `vault_refused`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_secret`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`vault_unavailable`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn put_secret(
    State(plane): Plane,
    By(by): By,
    Name(name): Name,
    _: Params<NoQuery>,
    LargeJsonBody(body): LargeJsonBody,
) -> Answer<Json<SecretView>> {
    // What is wrong with the body is said without its words, as they may be the value.
    let body: PutSecret = serde_json::from_value(body)
        .map_err(|_| invalid("value", "", "is not `{ \"value\": \"…\" }`"))?;
    let plane = plane.as_ref();
    let view = secrets(plane)?.set(&name, &body.value).await?;
    tell(plane, "secret.set", &name, &by.principal, Some(&view)).await?;
    Ok(Json(view))
}

/// Replace a secret now
///
/// With the given value, or with one that the host makes where the catalogue says `by = "host"`. In an emergency `grace_seconds` is 0: then the value before counts no longer.
#[utoipa::path(
    post, path = "/v1/secrets/{name}/rotations", operation_id = "rotate_secret", tag = "secrets",
    params(("name" = String, Path, description = "The secret's name")),
    request_body(content = Option<RotateSecret>),
    responses(
        (status = 201, description = "The secret, without its value", body = SecretView),
        (status = 409, description = "`secret_elsewhere`, `secret_moved`, `vault_refused`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_secret`", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "`vault_unavailable`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn rotate_secret(
    State(plane): Plane,
    By(by): By,
    Name(name): Name,
    _: Params<NoQuery>,
    JsonBody(body): JsonBody,
) -> Answer<(StatusCode, Json<SecretView>)> {
    let body: Option<RotateSecret> = match body {
        Value::Null => None,
        body => serde_json::from_value(body).map_err(|_| {
            invalid(
                "value",
                "",
                "is not `{ \"value\": \"…\", \"grace_seconds\": 0 }`, each optional",
            )
        })?,
    };
    let body = body.unwrap_or_default();
    let grace = match body.grace_seconds {
        None => None,
        Some(seconds) if seconds <= GRACE_SECONDS_MAX => {
            i64::try_from(seconds).ok().map(SignedDuration::from_secs)
        }
        Some(_) => {
            return Err(invalid("grace", "/grace_seconds", "is more than 90 days"));
        }
    };
    let plane = plane.as_ref();
    let view = secrets(plane)?
        .rotate(&name, body.value.as_deref(), grace)
        .await?;
    tell(plane, "secret.rotated", &name, &by.principal, Some(&view)).await?;
    Ok((StatusCode::CREATED, Json(view)))
}

/// Remove a secret
///
/// From the sealed file of the state folder, with the value before it. What is elsewhere is removed there.
#[utoipa::path(
    delete, path = "/v1/secrets/{name}", operation_id = "remove_secret", tag = "secrets",
    params(("name" = String, Path, description = "The secret's name")),
    responses(
        (status = 204, description = "It is removed"),
        (status = 409, description = "`secret_elsewhere`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn remove_secret(
    State(plane): Plane,
    By(by): By,
    Name(name): Name,
    _: Params<NoQuery>,
) -> Answer<StatusCode> {
    let plane = plane.as_ref();
    secrets(plane)?.remove(&name).await?;
    tell(plane, "secret.removed", &name, &by.principal, None).await?;
    Ok(StatusCode::NO_CONTENT)
}
