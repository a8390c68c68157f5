//! `/v1/factors` and `/v1/session/factor`: second factors, which people enrol for themselves and show before they approve.

use super::access::{By, CameFrom, check_factor, failed};
use super::error::{ApiError, InputError, Problem};
use super::json::{Json, JsonBody};
use super::keys::access;
use super::params::{NoQuery, Params, RunId};
use super::{Answer, Plane};
use crate::access::factors::{Factor, FactorError, FactorKind, LABEL_MAX, LASTS, NewTotp};
use crate::access::passkeys::PasskeyError;
use crate::access::{Access, Caller};
use crate::api::ControlPlane;
use axum::extract::State;
use http::StatusCode;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

impl From<FactorError> for ApiError {
    fn from(error: FactorError) -> Self {
        let detail = error.to_string();
        match error {
            FactorError::Unknown => Self::not_found(detail),
            FactorError::None(_) => Self::new(StatusCode::CONFLICT, "no_factor", detail),
            FactorError::Wrong | FactorError::Passkey(PasskeyError::Refused(_)) => {
                Self::new(StatusCode::FORBIDDEN, "wrong_factor", detail)
            }
            FactorError::Full => Self::new(StatusCode::CONFLICT, "too_many_factors", detail),
            FactorError::Passkey(PasskeyError::NotBegun) => {
                Self::new(StatusCode::CONFLICT, "not_begun", detail)
            }
            FactorError::Passkey(_) => invalid("/passkey", detail),
            FactorError::NoAddress => Self::new(StatusCode::CONFLICT, "no_address", detail),
            FactorError::Store(error) => error.into(),
        }
    }
}

fn invalid(pointer: &str, message: impl Into<String>) -> ApiError {
    ApiError::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "invalid_factor",
        "the factor is not as it must be; see `errors`",
    )
    .with_errors(vec![InputError {
        pointer: pointer.into(),
        message: message.into(),
    }])
}

fn read<T: DeserializeOwned>(body: Value) -> Answer<T> {
    serde_json::from_value(body).map_err(|error| invalid("", error.to_string()))
}

fn label(text: Option<String>, otherwise: &str) -> Answer<String> {
    let label = text.unwrap_or_else(|| otherwise.to_owned());
    let length = label.trim().chars().count();
    if (1..=LABEL_MAX).contains(&length) && !label.chars().any(char::is_control) {
        Ok(label.trim().to_owned())
    } else {
        Err(invalid(
            "/label",
            format!("is not one line of 1 to {LABEL_MAX} characters"),
        ))
    }
}

/// Whoever has a factor shows it before they change what they have: a session that was stolen gives itself none.
fn check_own(access: &Access, caller: &Caller) -> Answer<()> {
    if access.factors.has(&caller.principal) {
        return check_factor(access, caller);
    }
    // The first one is believed, so a person has to be there who came in a moment ago.
    let since = caller.key.as_ref().and_then(|key| key.since);
    let at = access.guard.now();
    if since.is_some_and(|since| at.duration_since(since) > LASTS) {
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "sign_in_again",
            "the first factor is added within ten minutes of signing in; sign in again",
        ));
    }
    Ok(())
}

/// The factors.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct FactorList {
    /// The newest first.
    pub items: Vec<Factor>,
}

/// List second factors
///
/// One's own; a person at the host's own machine sees everybody's.
#[utoipa::path(
    get, path = "/v1/factors", operation_id = "list_factors", tag = "access",
    responses(
        (status = 200, description = "The factors", body = FactorList),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_factors(
    State(plane): Plane,
    By(caller): By,
    _: Params<NoQuery>,
) -> Answer<Json<FactorList>> {
    let own = caller.key.is_some().then_some(&caller.principal);
    Ok(Json(FactorList {
        items: access(plane.as_ref())?.factors.list(own),
    }))
}

/// An authenticator app to add.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AddTotp {
    /// What to call it; `authenticator` without it.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 60)]
    label: Option<String>,
}

/// Add an authenticator app
///
/// It counts once a code of it was shown to `/v1/factors/totp/{id}/confirmation`, within 15 minutes.
#[utoipa::path(
    post, path = "/v1/factors/totp", operation_id = "add_totp", tag = "access",
    request_body(content = Option<AddTotp>),
    responses(
        (status = 201, description = "What the app is given", body = NewTotp,
         links(("remove" = (operation_id = "remove_factor", parameters(("id" = "$response.body#/id")))))),
        (status = 403, description = "`second_factor_required`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`too_many_factors`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_factor`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn add_totp(
    State(plane): Plane,
    By(caller): By,
    _: Params<NoQuery>,
    JsonBody(body): JsonBody,
) -> Answer<(StatusCode, Json<NewTotp>)> {
    let access = access(plane.as_ref())?;
    let request: Option<AddTotp> = read(body)?;
    let label = label(request.and_then(|request| request.label), "authenticator")?;
    check_own(access, &caller)?;
    let new = access
        .factors
        .begin_totp(&caller.principal, &label, access.guard.now())
        .await?;
    Ok((StatusCode::CREATED, Json(new)))
}

/// A code.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CodeRequest {
    /// The six digits that the app shows.
    #[schema(pattern = "^[0-9]{6}$")]
    code: String,
}

/// Confirm an authenticator app
///
/// From now on it counts, and was shown; and whoever approves on this host shows theirs.
#[utoipa::path(
    post, path = "/v1/factors/totp/{id}/confirmation", operation_id = "confirm_totp", tag = "access",
    params(("id" = Uuid, Path, description = "The factor's id")),
    request_body(content = CodeRequest),
    responses(
        (status = 200, description = "The factor", body = Factor),
        (status = 403, description = "`wrong_factor`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_factor`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn confirm_totp(
    State(plane): Plane,
    By(caller): By,
    from: CameFrom,
    RunId(id): RunId,
    _: Params<NoQuery>,
    JsonBody(body): JsonBody,
) -> Answer<Json<Factor>> {
    let request: CodeRequest = read(body)?;
    check_own(access(plane.as_ref())?, &caller)?;
    let shown = ShowFactor {
        code: Some(request.code),
        passkey: None,
    };
    show(plane.as_ref(), &caller, from, Some(id), shown)
        .await
        .map(Json)
}

/// What a browser makes a passkey from
///
/// For `PublicKeyCredential.parseCreationOptionsFromJSON`.
#[utoipa::path(
    post, path = "/v1/factors/passkey/options", operation_id = "begin_passkey", tag = "access",
    responses(
        (status = 200, description = "The options", body = Object),
        (status = 403, description = "`second_factor_required`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`no_address`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn begin_passkey(
    State(plane): Plane,
    By(caller): By,
    _: Params<NoQuery>,
) -> Answer<Json<Value>> {
    let access = access(plane.as_ref())?;
    check_own(access, &caller)?;
    Ok(Json(access.factors.begin_passkey(&caller.principal)?))
}

/// A passkey to add.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AddPasskey {
    /// What to call it; `passkey` without it.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 60)]
    label: Option<String>,
    /// What `navigator.credentials.create` gave, as `toJSON` writes it.
    #[schema(value_type = Object)]
    passkey: Value,
}

/// Add a passkey
///
/// It was shown thereby.
#[utoipa::path(
    post, path = "/v1/factors/passkey", operation_id = "add_passkey", tag = "access",
    request_body(content = AddPasskey),
    responses(
        (status = 201, description = "The factor", body = Factor),
        (status = 403, description = "`wrong_factor`, `second_factor_required`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`not_begun`, `too_many_factors`, `no_address`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_factor`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn add_passkey(
    State(plane): Plane,
    By(caller): By,
    _: Params<NoQuery>,
    JsonBody(body): JsonBody,
) -> Answer<(StatusCode, Json<Factor>)> {
    let access = access(plane.as_ref())?;
    let request: AddPasskey = read(body)?;
    let label = label(request.label, "passkey")?;
    check_own(access, &caller)?;
    let factor = access
        .factors
        .finish_passkey(&caller, &label, &request.passkey, access.guard.now())
        .await?;
    Ok((StatusCode::CREATED, Json(factor)))
}

/// Remove a second factor
///
/// One's own, after it or another was shown. Who lost theirs is helped at the host's own machine, where anybody's can be removed.
#[utoipa::path(
    delete, path = "/v1/factors/{id}", operation_id = "remove_factor", tag = "access",
    params(("id" = Uuid, Path, description = "The factor's id")),
    responses(
        (status = 200, description = "The factor", body = Factor),
        (status = 403, description = "`second_factor_required`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn remove_factor(
    State(plane): Plane,
    By(caller): By,
    RunId(id): RunId,
    _: Params<NoQuery>,
) -> Answer<Json<Factor>> {
    let access = access(plane.as_ref())?;
    if caller.key.is_some() {
        let own = access.factors.list(Some(&caller.principal));
        let factor = own
            .iter()
            .find(|factor| factor.id == id)
            .ok_or(FactorError::Unknown)?;
        // One that was begun and never confirmed opens nothing.
        if factor.confirmed {
            check_own(access, &caller)?;
        }
    }
    let removed = access.factors.remove(id, &caller.principal).await?;
    if caller.key.is_none() {
        access.factors.forget().await?;
    }
    Ok(Json(removed))
}

/// What a browser shows a passkey with
///
/// For `PublicKeyCredential.parseRequestOptionsFromJSON`.
#[utoipa::path(
    post, path = "/v1/session/factor/options", operation_id = "begin_factor", tag = "access",
    responses(
        (status = 200, description = "The options", body = Object),
        (status = 409, description = "`no_factor`, `no_address`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn begin_factor(
    State(plane): Plane,
    By(caller): By,
    _: Params<NoQuery>,
) -> Answer<Json<Value>> {
    let factors = &access(plane.as_ref())?.factors;
    Ok(Json(factors.begin_assertion(&caller.principal)?))
}

/// What is shown: one of the two.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ShowFactor {
    /// The six digits that an authenticator app shows.
    #[serde(default)]
    #[schema(pattern = "^[0-9]{6}$")]
    code: Option<String>,
    /// What `navigator.credentials.get` gave, as `toJSON` writes it.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    passkey: Option<Value>,
}

/// For how long what was shown counts.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct FactorShown {
    /// Which one.
    pub factor: Uuid,
    /// What it is.
    pub kind: FactorKind,
    /// Until when it counts, on this device or with this key.
    #[schema(value_type = String, format = DateTime)]
    pub until: Timestamp,
}

/// Show a second factor
///
/// It counts for ten minutes, on this device or with this key alone. Five wrong ones lock out for 15 minutes.
#[utoipa::path(
    post, path = "/v1/session/factor", operation_id = "show_factor", tag = "access",
    request_body(content = ShowFactor),
    responses(
        (status = 200, description = "For how long it counts", body = FactorShown),
        (status = 403, description = "`wrong_factor`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`no_factor`, `not_begun`, `no_address`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_factor`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn show_factor(
    State(plane): Plane,
    By(caller): By,
    from: CameFrom,
    _: Params<NoQuery>,
    JsonBody(body): JsonBody,
) -> Answer<Json<FactorShown>> {
    let request: ShowFactor = read(body)?;
    let factor = show(plane.as_ref(), &caller, from, None, request).await?;
    let access = access(plane.as_ref())?;
    let until = access.factors.shown_until(&caller, access.guard.now());
    Ok(Json(FactorShown {
        factor: factor.id,
        kind: factor.kind,
        until: until.unwrap_or_else(|| access.guard.now()),
    }))
}

async fn show(
    plane: &dyn ControlPlane,
    caller: &Caller,
    CameFrom(client): CameFrom,
    unconfirmed: Option<Uuid>,
    shown: ShowFactor,
) -> Answer<Factor> {
    let access = access(plane)?;
    let at = access.guard.now();
    let who = caller.key.as_ref().map(|key| key.id);
    let _alone = access.factors.trying.lock().await;
    // Six digits can be guessed: who tries waits, from wherever they try.
    if let Some(client) = client
        && let Some(seconds) = access.guard.is_locked(client, who)
    {
        access.guard.refused(client, "locked_access").await;
        return Err(super::access::locked_out(seconds));
    }
    let taken = match (shown.code, shown.passkey) {
        (Some(code), None) => {
            access
                .factors
                .show_code(caller, unconfirmed, &code, at)
                .await
        }
        (None, Some(passkey)) => access.factors.finish_assertion(caller, &passkey, at).await,
        _ => return Err(invalid("", "has to have either `code` or `passkey`")),
    };
    let wrong = matches!(
        taken,
        Err(FactorError::Wrong | FactorError::Passkey(PasskeyError::Refused(_)))
    );
    if let (true, Some(client)) = (wrong, client) {
        failed(access, client, who, "second_factor").await;
    }
    Ok(taken?)
}
