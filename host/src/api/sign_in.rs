//! `/v1/sign-in` and `/v1/sessions`: how people come in by way of a provider, with a browser or from a terminal, and who is in.

use super::access::{By, CameFrom, cookie, cookies};
use super::docs::escaped;
use super::error::{ApiError, Problem};
use super::json::{Json, JsonBody};
use super::keys::access;
use super::params::{FromQuery, Name, NoQuery, Params, RunId, Values};
use super::server::Connection;
use super::{Answer, Plane};
use crate::access::Access;
use crate::access::issuer::BadToken;
use crate::access::sessions::Session;
use crate::access::sign_in::{DeviceState, DeviceView, Offer, PATIENCE, SignInError};
use axum::extract::{FromRequestParts, Query, State};
use axum::response::{Html, IntoResponse as _, Response};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

/// What tells the browser that began from all others. It is sent along when the provider sends the person back, which is another site's doing.
const BROWSER_COOKIE: &str = "infinity_sign_in";

/// How long a question about a device waits for the person.
const DEVICE_WAIT: Duration = Duration::from_secs(20);

/// What the page may do: show itself, and go on.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

impl From<SignInError> for ApiError {
    fn from(error: SignInError) -> Self {
        let detail = error.to_string();
        match error {
            SignInError::Unknown => Self::not_found(detail),
            SignInError::State | SignInError::Refused(_) | SignInError::Token(BadToken::Nonce) => {
                Self::new(StatusCode::BAD_REQUEST, "oidc_state", detail)
            }
            SignInError::Token(_) => Self::new(StatusCode::BAD_REQUEST, "invalid_token", detail),
            SignInError::Provider(_) => {
                Self::new(StatusCode::BAD_GATEWAY, "provider_unreachable", detail)
            }
            SignInError::NoDevices => Self::new(StatusCode::CONFLICT, "no_devices", detail),
            SignInError::Stranger(_) => Self::new(StatusCode::FORBIDDEN, "no_role", detail),
            SignInError::Store(error) => error.into(),
        }
    }
}

/// The providers.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct OfferList {
    /// By name.
    pub items: Vec<Offer>,
}

/// List the providers that people can sign in with
#[utoipa::path(
    get, path = "/v1/sign-in", operation_id = "list_providers", tag = "access",
    responses(
        (status = 200, description = "The providers", body = OfferList),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_providers(
    State(plane): Plane,
    _: Params<NoQuery>,
) -> Answer<Json<OfferList>> {
    Ok(Json(OfferList {
        items: access(plane.as_ref())?.sign_in.offers(),
    }))
}

/// Where to go afterwards.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ToQuery {
    /// A path of this host; `/` without it.
    to: Option<String>,
}

impl FromQuery for ToQuery {
    fn from_query(values: &Values) -> Result<Self, ApiError> {
        let to = values.text("to");
        // Two slashes, or one of the other kind, would be another host.
        let own = |to: &String| {
            to.starts_with('/')
                && !to.starts_with("//")
                && !to.contains(['\\', '`', '"', '<', '>'])
                && PathAndQuery::try_from(to.as_str()).is_ok()
        };
        if to.as_ref().is_some_and(|to| !own(to)) {
            return Err(ApiError::invalid_parameter(
                "`to` is a path of this host, such as `/docs`",
            ));
        }
        Ok(Self { to })
    }
}

/// Where the browser comes back to.
fn callback(access: &Access, headers: &HeaderMap, name: &str) -> Answer<String> {
    let base = match &access.url {
        Some(url) => url.clone(),
        None => {
            let host = headers
                .get(header::HOST)
                .and_then(|host| host.to_str().ok())
                .ok_or_else(|| {
                    ApiError::new(
                        StatusCode::BAD_REQUEST,
                        "invalid_host",
                        "the request has no `Host`",
                    )
                })?;
            let scheme = if access.secure { "https" } else { "http" };
            format!("{scheme}://{host}")
        }
    };
    Ok(format!("{base}/v1/sign-in/{name}/callback"))
}

/// Sign in with a browser
///
/// Sends it to the provider, which sends it back to `/v1/sign-in/{name}/callback`: that address has to be among those that the provider knows of this host.
#[utoipa::path(
    get, path = "/v1/sign-in/{name}", operation_id = "sign_in", tag = "access",
    params(("name" = String, Path, description = "The provider"), ToQuery),
    responses(
        (status = 303, description = "The way to the provider", headers(("location" = String, description = "Where the person signs in"))),
        (status = 502, description = "`provider_unreachable`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn sign_in(
    State(plane): Plane,
    Name(name): Name,
    Params(query): Params<ToQuery>,
    headers: HeaderMap,
) -> Answer<Response> {
    let access = access(plane.as_ref())?;
    let redirect = callback(access, &headers, &name)?;
    let to = query.to.unwrap_or_else(|| "/".into());
    let departure = access.sign_in.begin(&name, redirect, to).await?;
    let location = HeaderValue::from_str(&departure.url)
        .map_err(|_| SignInError::Provider("it names no address".into()))?;
    let mut response = (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response();
    browser_cookie(
        access,
        &departure.browser,
        PATIENCE.as_secs(),
        &mut response,
    );
    Ok(response)
}

fn browser_cookie(access: &Access, value: &str, seconds: u64, response: &mut Response) {
    let secure = if access.secure { "; Secure" } else { "" };
    let text = format!(
        "{BROWSER_COOKIE}={value}; Path=/v1/sign-in; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}"
    );
    if let Ok(value) = HeaderValue::from_str(&text) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

/// What a provider sends along.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct CallbackQuery {
    /// What this host sent there.
    state: Option<String>,
    /// What becomes a token.
    code: Option<String>,
    /// Why there is none.
    error: Option<String>,
    /// The same in words.
    error_description: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for CallbackQuery {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        // Each provider sends more of its own, which is nothing to this host.
        let Query(mut pairs) = Query::<BTreeMap<String, String>>::try_from_uri(&parts.uri)
            .map_err(|_| ApiError::from(SignInError::State))?;
        let mut take = |name: &str| pairs.remove(name).filter(|value| !value.is_empty());
        Ok(Self {
            state: take("state"),
            code: take("code"),
            error: take("error"),
            error_description: take("error_description"),
        })
    }
}

/// Come back from a provider
///
/// Begins a session, and shows a page that leads on.
#[utoipa::path(
    get, path = "/v1/sign-in/{name}/callback", operation_id = "finish_sign_in", tag = "access",
    params(("name" = String, Path, description = "The provider"), CallbackQuery),
    responses(
        (status = 200, description = "A page that leads on", content((String = "text/html"))),
        (status = 400, description = "`oidc_state`, `invalid_token`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`no_role`", body = Problem, content_type = "application/problem+json"),
        (status = 502, description = "`provider_unreachable`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn finish_sign_in(
    State(plane): Plane,
    Name(name): Name,
    CameFrom(client): CameFrom,
    query: CallbackQuery,
    headers: HeaderMap,
) -> Answer<Response> {
    let access = access(plane.as_ref())?;
    let browser = cookie(&headers, BROWSER_COOKIE).unwrap_or_default();
    let said = query.error_description.or(query.error);
    let code = match (&query.code, &said) {
        (Some(code), None) => Ok(code.as_str()),
        (_, Some(said)) => Err(said.as_str()),
        (None, None) => Err("nothing"),
    };
    let state = query.state.unwrap_or_default();
    let finished = access.sign_in.finish(&name, &state, code, &browser).await;
    let finished = match finished {
        Ok((person, to)) => access.people.known(person).await.map(|person| (person, to)),
        Err(error) => Err(error),
    };
    let (person, to) = match finished {
        Ok(finished) => finished,
        Err(error) => {
            if let Some(client) = client {
                let kind = match &error {
                    SignInError::Stranger(_) => "no_role",
                    _ => "failed_sign_in",
                };
                access.guard.refused(client, kind).await;
            }
            return Err(error.into());
        }
    };
    let named = person.name.clone();
    let device = user_agent(&headers);
    let (text, _) = access
        .sessions
        .begin(person, device, access.guard.now())
        .await?;
    // A cookie that only this site sends is not sent along with the redirect of another: the page leads on.
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <meta http-equiv=\"refresh\" content=\"0;url={to}\"><title>Signed in</title>\
         <style>body{{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:4rem auto;padding:0 1rem}}</style>\
         <h1>Signed in</h1><p>as {named}. <a href=\"{to}\">Go on</a></p>",
        to = escaped(&to),
        named = escaped(&named),
    );
    let mut response = Html(page).into_response();
    for value in cookies(access, &text) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    browser_cookie(access, "", 0, &mut response);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(
        HeaderName::from_static("referrer-policy"),
        HeaderValue::from_static("no-referrer"),
    );
    Ok(response)
}

fn user_agent(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::USER_AGENT)?.to_str().ok()
}

/// Let a terminal in
///
/// The answer says what the person does at the provider; `POST /v1/sign-in/{name}/device/session` says whether they did.
#[utoipa::path(
    post, path = "/v1/sign-in/{name}/device", operation_id = "begin_device", tag = "access",
    params(("name" = String, Path, description = "The provider")),
    responses(
        (status = 201, description = "What the person does", body = DeviceView),
        (status = 409, description = "`no_devices`", body = Problem, content_type = "application/problem+json"),
        (status = 502, description = "`provider_unreachable`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn begin_device(
    State(plane): Plane,
    Name(name): Name,
    _: Params<NoQuery>,
) -> Answer<(StatusCode, Json<DeviceView>)> {
    let view = access(plane.as_ref())?.sign_in.begin_device(&name).await?;
    Ok((StatusCode::CREATED, Json(view)))
}

/// Which terminal.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DeviceRequest {
    /// As the answer had it.
    handle: String,
}

/// A session as it is begun: the only time that its text is there.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct NewSession {
    /// What to send as `Authorization: Bearer`. It is shown this once.
    pub token: String,
    /// What is kept of it.
    #[serde(flatten)]
    pub session: Session,
}

/// Ask whether a terminal was let in
///
/// Waits up to 20 seconds for the person; 202 means that they have not said anything.
#[utoipa::path(
    post, path = "/v1/sign-in/{name}/device/session", operation_id = "finish_device", tag = "access",
    params(("name" = String, Path, description = "The provider")),
    request_body(content = DeviceRequest),
    responses(
        (status = 201, description = "The session", body = NewSession),
        (status = 202, description = "Nobody has said anything yet"),
        (status = 400, description = "`oidc_state`, `invalid_token`", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "`no_role`", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_device`", body = Problem, content_type = "application/problem+json"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn finish_device(
    State(plane): Plane,
    Name(name): Name,
    connection: Option<axum::Extension<Connection>>,
    headers: HeaderMap,
    _: Params<NoQuery>,
    JsonBody(body): JsonBody,
) -> Answer<Response> {
    let access = access(plane.as_ref())?;
    let request: DeviceRequest = serde_json::from_value(body).map_err(|error| {
        ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid_device",
            error.to_string(),
        )
    })?;
    // A host that stops does not wait for people.
    let stopping = async {
        match connection {
            Some(axum::Extension(connection)) => connection.stopping.cancelled_owned().await,
            None => std::future::pending().await,
        }
    };
    let state = tokio::select! {
        state = access.sign_in.device(&name, &request.handle, DEVICE_WAIT) => state,
        () = stopping => Ok(DeviceState::Waits),
    };
    let person = match state {
        Ok(DeviceState::Waits) => return Ok(StatusCode::ACCEPTED.into_response()),
        Ok(DeviceState::Let(person)) => *person,
        Ok(DeviceState::Refused(error)) => {
            let status = match *error {
                SignInError::Stranger(_) => (StatusCode::FORBIDDEN, "no_role"),
                SignInError::Provider(_) => (StatusCode::BAD_GATEWAY, "provider_unreachable"),
                SignInError::Token(_) => (StatusCode::BAD_REQUEST, "invalid_token"),
                _ => (StatusCode::BAD_REQUEST, "oidc_state"),
            };
            return Err(ApiError::new(status.0, status.1, error.to_string()));
        }
        Err(error) => return Err(error.into()),
    };
    let person = access.people.known(person).await?;
    let device = user_agent(&headers);
    let (token, session) = access
        .sessions
        .begin(person, device, access.guard.now())
        .await?;
    Ok((StatusCode::CREATED, Json(NewSession { token, session })).into_response())
}

/// The sessions.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SessionList {
    /// The newest first.
    pub items: Vec<Session>,
}

/// List sessions
///
/// Those of people who came by way of a provider and are not over.
#[utoipa::path(
    get, path = "/v1/sessions", operation_id = "list_sessions", tag = "access",
    responses(
        (status = 200, description = "The sessions", body = SessionList),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list_sessions(
    State(plane): Plane,
    _: Params<NoQuery>,
) -> Answer<Json<SessionList>> {
    let access = access(plane.as_ref())?;
    Ok(Json(SessionList {
        items: access.sessions.list(access.guard.now()),
    }))
}

/// End somebody's session
///
/// It is refused from the answer on.
#[utoipa::path(
    delete, path = "/v1/sessions/{id}", operation_id = "revoke_session", tag = "access",
    params(("id" = Uuid, Path, description = "The session's id")),
    responses(
        (status = 204, description = "It is over"),
        (status = "default", description = "A problem", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn revoke_session(
    State(plane): Plane,
    By(by): By,
    RunId(id): RunId,
    _: Params<NoQuery>,
) -> Answer<StatusCode> {
    if access(plane.as_ref())?
        .sessions
        .end(id, &by.principal)
        .await?
    {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::not_found(
            "no session has this id; `GET /v1/sessions` lists them",
        ))
    }
}
