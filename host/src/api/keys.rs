//! `/v1/keys` and `/v1/session`: who may call this API, and as whom one calls it.

use super::access::{By, CSRF_COOKIE, SESSION_COOKIE, check_factor, session, session_text};
use super::error::{ApiError, InputError, Problem};
use super::json::{Json, JsonBody};
use super::params::{NoQuery, Params, RunId};
use super::{Answer, ControlPlane, Plane};
use crate::access::keys::{
    ApiKey, EXPIRY_MAX, GRACE_MAX, KeyError, KeyRequest, NewKey, SCOPES_MAX,
};
use crate::access::{Access, Caller, Role, Scope};
use crate::model::{Principal, now};
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Characters of a key's name.
const NAME_MAX: usize = 63;

/// How long the old key of a rotation stays valid, in seconds, unless the request says otherwise: a day to hand the new one out.
const GRACE_SECONDS: u64 = 24 * 3600;

impl From<KeyError> for ApiError {
    fn from(error: KeyError) -> Self {
        let detail = error.to_string();
        match error {
            KeyError::Unknown => no_such_key(),
            KeyError::Exists(_) => Self::new(StatusCode::CONFLICT, "key_exists", detail),
            KeyError::Ended(_) => Self::new(StatusCode::CONFLICT, "key_ended", detail),
            KeyError::Full => Self::new(StatusCode::CONFLICT, "too_many_keys", detail),
            KeyError::Store(error) => error.into(),
        }
    }
}

fn no_such_key() -> ApiError {
    ApiError::not_found("no key has this id; `GET /v1/keys` lists them")
}

fn invalid(pointer: &str, message: impl Into<String>) -> ApiError {
    ApiError::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "invalid_key",
        "the key is not as it must be; see `errors`",
    )
    .with_errors(vec![InputError {
        pointer: pointer.into(),
        message: message.into(),
    }])
}

/// What is in front of this host's API.
pub(super) fn access(plane: &dyn ControlPlane) -> Answer<&Access> {
    plane
        .access()
        .ok_or_else(|| ApiError::internal("nothing is in front of the API"))
}

/// A key to make.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateKey {
    /// Who will come with it, in records: lower-case letters, digits and `-`.
    #[schema(pattern = "^[a-z][a-z0-9-]{0,62}$")]
    name: String,
    /// What it may.
    role: Role,
    /// What of that: `resource:verb` or `resource:verb:name`, at most 32. Without any it may everything that its role may, except approve; `effects:approve` and `billing:approve` have to be named.
    #[serde(default)]
    #[schema(max_items = 32)]
    scopes: Vec<String>,
    /// From when it is refused; never without it.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

impl CreateKey {
    fn checked(self) -> Answer<KeyRequest> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if self.name.len() > NAME_MAX
            || !self
                .name
                .starts_with(|first: char| first.is_ascii_lowercase())
            || !self.name.bytes().all(plain)
        {
            return Err(invalid(
                "/name",
                "is no name: 1 to 63 lower-case letters, digits and `-`, beginning with a letter",
            ));
        }
        if self.scopes.len() > SCOPES_MAX {
            return Err(invalid(
                "/scopes",
                format!("has more than {SCOPES_MAX} scopes"),
            ));
        }
        let mut scopes: Vec<Scope> = Vec::new();
        for (number, scope) in self.scopes.iter().enumerate() {
            let scope = scope
                .parse()
                .map_err(|error: String| invalid(&format!("/scopes/{number}"), error))?;
            if !scopes.contains(&scope) {
                scopes.push(scope);
            }
        }
        if self.role == Role::Service && scopes.is_empty() {
            return Err(invalid(
                "/scopes",
                "is empty, and a service may only what its scopes name, for instance `agents:run:badge`",
            ));
        }
        let lasts = self
            .expires_at
            .map(|end| {
                let lasts = end.duration_since(now());
                (lasts > SignedDuration::ZERO && lasts <= EXPIRY_MAX)
                    .then_some(lasts)
                    .ok_or_else(|| {
                        invalid(
                            "/expires_at",
                            "is over already, or more than ten years away",
                        )
                    })
            })
            .transpose()?;
        Ok(KeyRequest {
            name: self.name,
            role: self.role,
            scopes,
            lasts,
        })
    }
}

/// How to replace a key.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RotateKey {
    /// How long the old key stays valid beside the new one, in seconds; a day without it.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 2_592_000, default = 86_400)]
    grace_seconds: Option<u64>,
}

/// The keys.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct KeyList {
    /// The newest first.
    pub items: Vec<ApiKey>,
}

/// List keys
///
/// Without what is secret of them, ended ones included.
#[utoipa::path(
    get, path = "/v1/keys", operation_id = "list_keys", tag = "access",
    responses(
        (status = 200, description = "The keys", body = KeyList),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_keys(State(plane): Plane, _: Params<NoQuery>) -> Answer<Json<KeyList>> {
    Ok(Json(KeyList {
        items: access(plane.as_ref())?.keys.list(),
    }))
}

/// Make a key
///
/// The answer is the only one that has the key itself. From the first one on the host asks everybody for a key. Nobody gives more than they have.
#[utoipa::path(
    post, path = "/v1/keys", operation_id = "create_key", tag = "access",
    request_body(content = CreateKey),
    responses(
        (status = 201, description = "The key", body = NewKey,
         links(
            ("rotate" = (operation_id = "rotate_key", parameters(("id" = "$response.body#/id")))),
            ("revoke" = (operation_id = "revoke_key", parameters(("id" = "$response.body#/id")))),
        )),
        (status = 403, description = "`beyond_own`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`key_exists`, `too_many_keys`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_key`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn create_key(
    State(plane): Plane,
    By(by): By,
    _: Params<NoQuery>,
    JsonBody(body): JsonBody,
) -> Answer<(StatusCode, Json<NewKey>)> {
    let request: CreateKey =
        serde_json::from_value(body).map_err(|error| invalid("", error.to_string()))?;
    let request = request.checked()?;
    check_gift(&by, request.role, &request.scopes)?;
    let access = access(plane.as_ref())?;
    check_approvals(access, &by, &request.scopes)?;
    let key = access.keys.create(request, &by.principal).await?;
    Ok((StatusCode::CREATED, Json(key)))
}

fn check_gift(by: &Caller, role: Role, scopes: &[Scope]) -> Answer<()> {
    if by.may_give(role, scopes) {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::FORBIDDEN,
        "beyond_own",
        format!(
            "the key `{}` cannot give what it does not have itself; `infinity key create` on the host's own machine can",
            by.principal.name
        ),
    ))
}

/// Who hands out approvals shows what approving takes: otherwise a key that was stolen would make itself another that has shown everything.
fn check_approvals(access: &Access, by: &Caller, scopes: &[Scope]) -> Answer<()> {
    if by.key.is_some() && scopes.iter().any(Scope::approves) {
        check_factor(access, by)?;
    }
    Ok(())
}

/// Replace a key
///
/// Makes a new key with the same name, role and scopes. The old one stays valid for a while.
#[utoipa::path(
    post, path = "/v1/keys/{id}/rotate", operation_id = "rotate_key", tag = "access",
    params(("id" = Uuid, Path, description = "The key's id")),
    request_body(content = Option<RotateKey>),
    responses(
        (status = 201, description = "The new key", body = NewKey),
        (status = 403, description = "`beyond_own`", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`key_ended`, `too_many_keys`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_key`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn rotate_key(
    State(plane): Plane,
    By(by): By,
    RunId(id): RunId,
    _: Params<NoQuery>,
    JsonBody(body): JsonBody,
) -> Answer<(StatusCode, Json<NewKey>)> {
    let request: Option<RotateKey> =
        serde_json::from_value(body).map_err(|error| invalid("", error.to_string()))?;
    let seconds = request
        .and_then(|request| request.grace_seconds)
        .unwrap_or(GRACE_SECONDS);
    let grace = i64::try_from(seconds)
        .ok()
        .map(SignedDuration::from_secs)
        .filter(|grace| *grace <= GRACE_MAX)
        .ok_or_else(|| invalid("/grace_seconds", "is more than 30 days"))?;
    let access = access(plane.as_ref())?;
    let keys = &access.keys;
    let old = keys.list().into_iter().find(|key| key.id == id);
    let old = old.ok_or_else(no_such_key)?;
    check_gift(&by, old.role, &old.scopes)?;
    check_approvals(access, &by, &old.scopes)?;
    let key = keys.rotate(id, grace, &by.principal).await?;
    Ok((StatusCode::CREATED, Json(key)))
}

/// Revoke a key
///
/// It is refused from the answer on, and sessions that began with it end.
#[utoipa::path(
    delete, path = "/v1/keys/{id}", operation_id = "revoke_key", tag = "access",
    params(("id" = Uuid, Path, description = "The key's id")),
    responses(
        (status = 200, description = "The key", body = ApiKey),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn revoke_key(
    State(plane): Plane,
    By(by): By,
    RunId(id): RunId,
    _: Params<NoQuery>,
) -> Answer<Json<ApiKey>> {
    let keys = &access(plane.as_ref())?.keys;
    Ok(Json(keys.revoke(id, &by.principal).await?))
}

/// As whom one calls.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SessionView {
    /// The name in records.
    pub principal: Principal,
    /// What the key may; none for a person at the host's own machine, who may everything.
    pub role: Option<Role>,
    /// What of that.
    pub scopes: Vec<String>,
    /// What the header `x-csrf-token` has to be for changes, where a cookie says who calls.
    pub csrf_token: Option<String>,
    /// Whether approving takes a second factor.
    pub factor_required: bool,
    /// Until when the one counts that was shown, if one was.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub factor_shown_until: Option<Timestamp>,
}

/// See as whom one calls
#[utoipa::path(
    get, path = "/v1/session", operation_id = "get_session", tag = "access",
    responses(
        (status = 200, description = "As whom", body = SessionView),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_session(
    State(plane): Plane,
    By(by): By,
    _: Params<NoQuery>,
    headers: HeaderMap,
) -> Answer<Json<SessionView>> {
    let access = access(plane.as_ref())?;
    let csrf_token = session(&headers).map(|session| access.keys.csrf_token(&session));
    Ok(Json(SessionView {
        factor_required: access.factors.required(),
        factor_shown_until: access.factors.shown_until(&by, access.guard.now()),
        principal: by.principal,
        role: by.key.as_ref().map(|key| key.role),
        scopes: by
            .key
            .map(|key| key.scopes.iter().map(ToString::to_string).collect())
            .unwrap_or_default(),
        csrf_token,
    }))
}

/// End a session
///
/// Takes the cookies back, and ends the session of who came by way of a provider. A key stays valid.
#[utoipa::path(
    delete, path = "/v1/session", operation_id = "end_session", tag = "access",
    responses(
        (status = 204, description = "There is no session any more"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn end_session(
    State(plane): Plane,
    _: Params<NoQuery>,
    headers: HeaderMap,
) -> Answer<Response> {
    let access = access(plane.as_ref())?;
    let shown = session_text(&headers);
    let caller = shown.and_then(|text| access.sessions.resume(&text, access.guard.now()).ok());
    if let Some(caller) = caller
        && let Some(key) = &caller.key
    {
        access.sessions.end(key.device, &caller.principal).await?;
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    for name in [SESSION_COOKIE, CSRF_COOKIE] {
        let text = format!("{name}=; Path=/; SameSite=Strict; Max-Age=0");
        if let Ok(value) = HeaderValue::from_str(&text) {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }
    Ok(response)
}
