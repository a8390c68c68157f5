//! Who may use which route: the layers that every request passes before a handler sees it, and the permission that each route states.
//!
//! The order: ban, rate of the client, lockout, key, permission, second factor, rate of who came. A route that states nothing is for admins alone, and a test compares the list with the document.
//! A refusal of a key says the same whatever is wrong with it; the journal has the reason.

use super::ControlPlane;
use super::error::ApiError;
use super::server::Connection;
use crate::access::address::Client;
use crate::access::guard::{Barred, Subject};
use crate::access::issuer::{self, BadToken};
use crate::access::keys::Refused;
use crate::access::sessions::is_session;
use crate::access::sign_in::SignInError;
use crate::access::{Access, Caller, Permission, Role, Shown};
use crate::model::Principal;
use axum::RequestExt as _;
use axum::extract::{FromRequestParts, MatchedPath, RawPathParams, Request};
use axum::response::{IntoResponse as _, Response};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use serde_json::{Value, json};
use std::convert::Infallible;
use uuid::Uuid;

use Needs::{Caller as Anyone, Nothing};

/// What a route asks of who comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing: what everybody may see, or what is signed by other means.
    Nothing,
    /// Any key.
    Caller,
    /// A key that may.
    May(Permission),
}

const fn may(resource: &'static str, verb: &'static str, least: Role) -> Needs {
    Needs::May(Permission {
        resource,
        verb,
        least,
    })
}

const fn read(resource: &'static str) -> Needs {
    may(resource, "read", Role::Viewer)
}

const fn change(resource: &'static str) -> Needs {
    may(resource, "change", Role::Editor)
}

const fn run(resource: &'static str) -> Needs {
    may(resource, "run", Role::Editor)
}

const fn admin(resource: &'static str, verb: &'static str) -> Needs {
    may(resource, verb, Role::Admin)
}

/// What each route asks for, in the order of the document.
pub(crate) const STATED: &[(&str, &str, Needs)] = &[
    ("GET", "/", Nothing),
    ("GET", "/openapi.json", Nothing),
    ("POST", "/autodeploy/{name}", run("pipelines")),
    ("GET", "/badge.svg", Nothing),
    ("GET", "/badges/system.json", Nothing),
    ("GET", "/badges/system.svg", Nothing),
    ("GET", "/badges/{name}", Nothing),
    ("GET", "/docs", Nothing),
    ("GET", "/health", Nothing),
    ("GET", "/metrics", read("host")),
    ("GET", "/ready", Nothing),
    ("GET", "/v1/agents", read("agents")),
    ("GET", "/v1/agents/{name}", read("agents")),
    (
        "DELETE",
        "/v1/agents/{name}/data",
        admin("agents", "delete"),
    ),
    ("GET", "/v1/agents/{name}/export", read("agents")),
    ("GET", "/v1/agents/{name}/health", read("agents")),
    ("GET", "/v1/agents/{name}/history", read("agents")),
    (
        "POST",
        "/v1/agents/{name}/import",
        admin("agents", "change"),
    ),
    ("POST", "/v1/agents/{name}/pause", change("agents")),
    ("POST", "/v1/agents/{name}/resume", change("agents")),
    ("POST", "/v1/agents/{name}/runs", run("agents")),
    ("GET", "/v1/agents/{name}/state", read("agents")),
    ("GET", "/v1/agents/{name}/usage", read("agents")),
    ("POST", "/v1/agents/{name}/webhook", Nothing),
    ("GET", "/v1/alerts", read("alerts")),
    ("POST", "/v1/alerts/{rule}/silences", change("alerts")),
    ("DELETE", "/v1/alerts/{rule}/silences", change("alerts")),
    (
        "POST",
        "/v1/approvals",
        may("effects", "approve", Role::Editor),
    ),
    ("GET", "/v1/audit/actions", admin("audit", "read")),
    ("GET", "/v1/audit/checkpoint", admin("audit", "read")),
    ("POST", "/v1/audit/erasures", admin("audit", "delete")),
    ("GET", "/v1/audit/events", admin("audit", "read")),
    ("POST", "/v1/audit/rotate-key", admin("audit", "change")),
    ("GET", "/v1/audit/verification", admin("audit", "read")),
    ("GET", "/v1/backups", admin("backups", "read")),
    ("POST", "/v1/backups", admin("backups", "run")),
    ("POST", "/v1/backups/drills", admin("backups", "run")),
    ("GET", "/v1/bans", admin("bans", "read")),
    ("DELETE", "/v1/bans/{address}", admin("bans", "delete")),
    ("GET", "/v1/billing/proposals", read("billing")),
    (
        "POST",
        "/v1/billing/proposals",
        may("billing", "propose", Role::Editor),
    ),
    (
        "POST",
        "/v1/billing/proposals/{id}/approve",
        may("billing", "approve", Role::Editor),
    ),
    (
        "POST",
        "/v1/billing/proposals/{id}/reject",
        may("billing", "approve", Role::Editor),
    ),
    ("GET", "/v1/commands", read("commands")),
    ("POST", "/v1/commands", run("commands")),
    ("GET", "/v1/commands/templates", read("commands")),
    ("GET", "/v1/dead-letters", read("runs")),
    ("DELETE", "/v1/dead-letters/{id}", change("runs")),
    ("POST", "/v1/dead-letters/{id}/retry", change("runs")),
    ("GET", "/v1/effects", read("effects")),
    ("GET", "/v1/effects/{id}", read("effects")),
    ("POST", "/v1/effects/{id}/revert", change("effects")),
    ("GET", "/v1/events", read("events")),
    ("POST", "/v1/events", change("events")),
    ("GET", "/v1/events/counts", read("events")),
    ("GET", "/v1/factors", Anyone),
    ("POST", "/v1/factors/passkey", Anyone),
    ("POST", "/v1/factors/passkey/options", Anyone),
    ("POST", "/v1/factors/totp", Anyone),
    ("POST", "/v1/factors/totp/{id}/confirmation", Anyone),
    ("DELETE", "/v1/factors/{id}", Anyone),
    ("GET", "/v1/config", admin("config", "read")),
    ("PUT", "/v1/config", admin("config", "change")),
    (
        "POST",
        "/v1/config/approvals",
        may("config", "approve", Role::Editor),
    ),
    ("GET", "/v1/config/versions", admin("config", "read")),
    (
        "GET",
        "/v1/config/versions/{number}",
        admin("config", "read"),
    ),
    (
        "POST",
        "/v1/config/versions/{number}/rollback",
        admin("config", "change"),
    ),
    ("GET", "/v1/findings", read("runs")),
    ("GET", "/v1/integrations", read("integrations")),
    ("GET", "/v1/integrations/{name}", read("integrations")),
    ("GET", "/v1/keys", admin("keys", "read")),
    ("POST", "/v1/keys", admin("keys", "change")),
    ("DELETE", "/v1/keys/{id}", admin("keys", "delete")),
    ("POST", "/v1/keys/{id}/rotate", admin("keys", "change")),
    ("GET", "/v1/killswitch", read("killswitch")),
    ("POST", "/v1/killswitch", admin("killswitch", "change")),
    ("POST", "/v1/killswitch/recover", admin("killswitch", "run")),
    ("GET", "/v1/lockouts", admin("bans", "read")),
    ("DELETE", "/v1/lockouts/{subject}", admin("bans", "delete")),
    ("GET", "/v1/log-level", read("host")),
    ("PUT", "/v1/log-level", admin("host", "change")),
    ("GET", "/v1/logs", read("runs")),
    ("GET", "/v1/occurrences", read("schedule")),
    ("POST", "/v1/pause", change("host")),
    ("GET", "/v1/plugins", read("plugins")),
    ("GET", "/v1/plugins/{name}", read("plugins")),
    ("GET", "/v1/prs", read("effects")),
    ("GET", "/v1/prs/{id}", read("effects")),
    (
        "POST",
        "/v1/prs/{id}/checks",
        may("checks", "deliver", Role::Editor),
    ),
    ("GET", "/v1/repositories/{name}/diff", read("repositories")),
    ("POST", "/v1/resume", change("host")),
    ("GET", "/v1/checks", read("checks")),
    ("POST", "/v1/checks", run("checks")),
    ("POST", "/v1/checks/batch", run("checks")),
    ("GET", "/v1/checks/{id}", read("checks")),
    ("GET", "/v1/checks/{id}/news", read("checks")),
    ("GET", "/v1/runs", read("runs")),
    ("GET", "/v1/runs/{id}", read("runs")),
    ("GET", "/v1/runs/{id}/artifacts", read("runs")),
    ("GET", "/v1/runs/{id}/artifacts/{name}", read("runs")),
    ("POST", "/v1/runs/{id}/cancel", change("runs")),
    ("GET", "/v1/runs/{id}/findings", read("runs")),
    ("GET", "/v1/runs/{id}/logs", read("runs")),
    ("GET", "/v1/runs/{id}/report", read("runs")),
    ("GET", "/v1/runs/{id}/sarif", read("runs")),
    ("GET", "/v1/secrets", admin("secrets", "read")),
    ("DELETE", "/v1/secrets/{name}", admin("secrets", "delete")),
    ("PUT", "/v1/secrets/{name}", admin("secrets", "change")),
    (
        "POST",
        "/v1/secrets/{name}/rotations",
        admin("secrets", "change"),
    ),
    ("DELETE", "/v1/session", Nothing),
    ("GET", "/v1/session", Anyone),
    ("POST", "/v1/session/factor", Anyone),
    ("POST", "/v1/session/factor/options", Anyone),
    ("GET", "/v1/sessions", admin("keys", "read")),
    ("DELETE", "/v1/sessions/{id}", admin("keys", "delete")),
    ("GET", "/v1/sign-in", Nothing),
    ("GET", "/v1/sign-in/{name}", Nothing),
    ("GET", "/v1/sign-in/{name}/callback", Nothing),
    ("POST", "/v1/sign-in/{name}/device", Nothing),
    ("POST", "/v1/sign-in/{name}/device/session", Nothing),
    ("GET", "/v1/status", read("host")),
    ("GET", "/v1/status/{job_id}", read("commands")),
    ("GET", "/v1/workflows", read("pipelines")),
    ("GET", "/v1/workflows/{name}", read("pipelines")),
    ("GET", "/v1/workflows/{name}/executions", read("pipelines")),
    ("POST", "/v1/workflows/{name}/executions", run("pipelines")),
    (
        "GET",
        "/v1/workflows/{name}/executions/{id}",
        read("pipelines"),
    ),
    (
        "POST",
        "/v1/workflows/{name}/executions/{id}/cancel",
        change("pipelines"),
    ),
    ("POST", "/webhooks/github", Nothing),
];

/// What the routes of older systems ask for; they are not in the document, and have the old systems' rates.
pub(crate) const OLD: &[(&str, &str, Needs)] = &[
    ("GET", "/audit", admin("audit", "read")),
    ("GET", "/status", read("host")),
    ("POST", "/pause", change("host")),
    ("POST", "/resume", change("host")),
    ("POST", "/deploy", run("pipelines")),
    ("GET", "/bans", admin("bans", "read")),
    ("POST", "/unban", admin("bans", "delete")),
];

/// Where components answer themselves.
const SERVED: &str = "/agents/{name}";

/// Things that scopes can name.
const NAMED: [&str; 5] = ["agents", "pages", "pipelines", "plugins", "repositories"];

/// The header of a key, beside `Authorization`.
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The header by which a page of this host says that it is one.
const CSRF: HeaderName = HeaderName::from_static("x-csrf-token");

/// The parameter of a key in an address that a person opens.
const KEY_PARAMETER: &str = "api_key";

/// The cookie of a session, and that of its token for what changes something.
pub(super) const SESSION_COOKIE: &str = "infinity_session";
pub(super) const CSRF_COOKIE: &str = "infinity_csrf";

/// What a request asks for.
fn needs(method: &Method, path: &str) -> Needs {
    let safe = *method == Method::GET || *method == Method::HEAD;
    // What is answered with `GET` is answered with `HEAD`.
    let name = if *method == Method::HEAD {
        "GET"
    } else {
        method.as_str()
    };
    if path == SERVED || path.starts_with("/agents/{name}/") {
        return if safe { read("pages") } else { change("pages") };
    }
    STATED
        .iter()
        .chain(OLD)
        .find(|(stated, route, _)| *stated == name && *route == path)
        .map_or(admin("host", "change"), |(_, _, needs)| *needs)
}

/// Whether nobody has to say who comes.
pub(super) fn is_open(method: &Method, path: &str) -> bool {
    needs(method, path) == Nothing
}

/// How a key is shown, in the document.
pub(super) fn security_schemes() -> Value {
    json!({
        "bearer": { "type": "http", "scheme": "bearer", "description": "An API key, `inf_…`; a session, `ins_…`; or a token that a provider of `[host.sign_in]` made for this host" },
        "api_key": { "type": "apiKey", "in": "header", "name": "X-API-KEY", "description": "An API key" },
    })
}

/// Adds to an operation of the document what it asks of who comes: `x-scope` is what a key's scopes have to cover, `x-role` the least role.
pub(super) fn describe(method: &str, path: &str, operation: &mut Value) {
    let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap_or_default();
    let needs = needs(&method, path);
    if needs == Nothing {
        return;
    }
    operation["security"] = json!([{ "bearer": [] }, { "api_key": [] }]);
    if let Needs::May(permission) = needs {
        let named = NAMED.contains(&permission.resource) && path.contains("{name}");
        let scope = permission.scope(named.then_some("{name}"));
        operation["x-scope"] = json!(scope.to_string());
        operation["x-role"] = json!(permission.least);
    }
}

/// Who comes, of a request that was let in.
#[derive(Clone, Debug)]
pub(crate) struct By(pub(crate) Caller);

/// From where, of a request over the network that was let in.
#[derive(Clone, Copy, Debug)]
pub(super) struct CameFrom(pub(super) Option<Client>);

impl<S: Send + Sync> FromRequestParts<S> for CameFrom {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().copied().unwrap_or(Self(None)))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for By {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        // A route without the layers is called by the program itself.
        Ok(parts
            .extensions
            .get::<Self>()
            .cloned()
            .unwrap_or_else(|| Self(Caller::local())))
    }
}

/// Who asks where nobody has to say.
fn nobody() -> Caller {
    Caller {
        principal: Principal {
            kind: "user".into(),
            name: "anonymous".into(),
        },
        key: Some(Shown {
            id: Uuid::nil(),
            device: Uuid::nil(),
            since: None,
            until: None,
            role: Role::Viewer,
            scopes: Vec::new(),
        }),
    }
}

fn unauthenticated() -> ApiError {
    ApiError::new(
        StatusCode::UNAUTHORIZED,
        "unauthenticated",
        "this takes a valid key: send `Authorization: Bearer inf_…` or `X-API-KEY: inf_…`; on the host's own machine `infinity key create NAME --role viewer` makes one",
    )
    .with_header(
        header::WWW_AUTHENTICATE,
        HeaderValue::from_static("Bearer realm=\"infinity\""),
    )
}

fn wait(status: StatusCode, code: &'static str, detail: String, seconds: u64) -> ApiError {
    ApiError::new(status, code, detail).with_header(header::RETRY_AFTER, HeaderValue::from(seconds))
}

pub(super) fn locked_out(seconds: u64) -> ApiError {
    wait(
        StatusCode::TOO_MANY_REQUESTS,
        "locked_out",
        format!(
            "too many keys failed; try again in {seconds} s, or have an admin run `infinity bans unlock`"
        ),
        seconds,
    )
}

/// Why a banned client goes no further.
fn banned() -> ApiError {
    ApiError::new(
        StatusCode::FORBIDDEN,
        "banned",
        "this address is banned; an admin can lift that with `infinity bans lift ADDRESS`",
    )
}

fn too_many(seconds: u64) -> ApiError {
    wait(
        StatusCode::TOO_MANY_REQUESTS,
        "rate_limited",
        format!("too many requests; try again in {seconds} s"),
        seconds,
    )
}

/// A token of a provider does not count. Whoever sends one knows what the provider is told, and nothing of this host.
fn invalid_token() -> ApiError {
    ApiError::new(
        StatusCode::UNAUTHORIZED,
        "invalid_token",
        "the token is not one that a provider of `[host.sign_in]` made for this host and that is valid now; the host's journal has the reason",
    )
    .with_header(
        header::WWW_AUTHENTICATE,
        HeaderValue::from_static("Bearer realm=\"infinity\", error=\"invalid_token\""),
    )
}

/// A provider does not answer, and its keys are not known.
fn no_issuer() -> ApiError {
    wait(
        StatusCode::SERVICE_UNAVAILABLE,
        "issuer_unreachable",
        "the provider that made the token cannot be asked for its keys; API keys work all the same"
            .into(),
        60,
    )
}

/// Who approves shows a second factor, once anybody has one.
pub(super) fn check_factor(access: &Access, caller: &Caller) -> Result<(), ApiError> {
    let at = access.guard.now();
    if !access.factors.required() || access.factors.shown_until(caller, at).is_some() {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::FORBIDDEN,
        "second_factor_required",
        "this takes a second factor that was shown within ten minutes: `POST /v1/session/factor`, or `infinity factor show CODE`; `infinity factor totp` adds an authenticator app",
    ))
}

/// What would let the caller do it.
fn forbidden(caller: &Caller, permission: &Permission, name: Option<&str>) -> ApiError {
    let scope = permission.scope(name);
    let role = permission.least;
    ApiError::new(
        StatusCode::FORBIDDEN,
        "forbidden",
        format!(
            "the key `{}` may not `{scope}`; one that may is made by `infinity key create NAME --role {role} --scope {scope}`",
            caller.principal.name
        ),
    )
}

/// What a request shows.
enum Credential {
    Key(String),
    /// In the address, where it must not stay.
    Address(String),
    Session(String),
}

pub(super) fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .find_map(|pair| {
            let (own, value) = pair.trim().split_once('=')?;
            (own == name).then(|| value.to_owned())
        })
}

/// Takes what the request shows; a key in the address is taken out of it.
fn credential(request: &mut Request) -> Option<Credential> {
    let in_address = take_parameter(request);
    let headers = request.headers();
    let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or(""));
    if let Some(value) = text(&header::AUTHORIZATION) {
        // A scheme that is not ours is no key that failed: it may be a proxy's.
        let bearer = value
            .split_once(' ')
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        if let Some((_, key)) = bearer {
            return Some(Credential::Key(key.trim().to_owned()));
        }
    }
    if let Some(key) = text(&API_KEY) {
        return Some(Credential::Key(key.trim().to_owned()));
    }
    in_address
        .map(Credential::Address)
        .or_else(|| cookie(headers, SESSION_COOKIE).map(Credential::Session))
}

fn take_parameter(request: &mut Request) -> Option<String> {
    let query = request.uri().query()?;
    if !query.contains(KEY_PARAMETER) {
        return None;
    }
    let mut key = None;
    let mut rest = Vec::new();
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some((KEY_PARAMETER, value)) => {
                let decoded = percent_decoded(value);
                key = key.or(Some(decoded));
            }
            _ => rest.push(pair),
        }
    }
    let key = key?;
    let path = request.uri().path();
    let whole = if rest.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{}", rest.join("&"))
    };
    let mut parts = request.uri().clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(whole).ok()?);
    *request.uri_mut() = Uri::from_parts(parts).ok()?;
    Some(key)
}

/// Keys are plain text; a client may encode it all the same.
fn percent_decoded(value: &str) -> String {
    let pair = format!("k={value}");
    let uri = format!("/?{pair}");
    uri.parse::<Uri>()
        .ok()
        .and_then(|uri| {
            axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&uri)
                .ok()
                .and_then(|query| query.0.into_iter().next())
        })
        .map_or_else(String::new, |(_, value)| value)
}

/// What became of a request at the door.
pub(super) enum Entry {
    /// It goes on.
    In,
    /// It is answered.
    Answered(Box<Response>),
}

/// Who comes to the door: none for a caller in this process or on the socket of the state folder, whose files say who may.
pub(super) fn client(access: &Access, request: &Request) -> Option<Client> {
    let connection = request.extensions().get::<Connection>()?;
    let peer = connection.peer?;
    Some(access.client(peer.ip(), request.headers()))
}

/// The first layer, before anything else of a request is looked at.
pub(super) async fn check_ban(access: &Access, client: Option<Client>) -> Result<(), ApiError> {
    match client {
        Some(client) if access.guard.is_banned(client) => {
            access.guard.refused(client, "banned_access").await;
            Err(banned())
        }
        _ => Ok(()),
    }
}

/// The layers behind the first one.
pub(super) async fn enter(
    plane: &dyn ControlPlane,
    request: &mut Request,
    client: Option<Client>,
) -> Result<Entry, ApiError> {
    let let_in = |request: &mut Request, caller: Caller| {
        request.extensions_mut().insert(By(caller));
        request.extensions_mut().insert(CameFrom(client));
        Ok(Entry::In)
    };
    let (Some(access), Some(client)) = (plane.access(), client) else {
        // People of this machine may do everything, but approve with less than others.
        if let (Some(access), Some(path)) =
            (plane.access(), request.extensions().get::<MatchedPath>())
            && let Needs::May(permission) = needs(request.method(), path.as_str())
            && permission.is_approval()
        {
            check_factor(access, &Caller::local())?;
        }
        return let_in(request, Caller::local());
    };
    let Some(path) = request.extensions().get::<MatchedPath>().cloned() else {
        let safe = request.method() == Method::GET || request.method() == Method::HEAD;
        let route = || "unmatched".to_owned();
        if access.keys.required()
            && let Err(seconds) = access
                .guard
                .count(Subject::Client(client), route, safe, false)
        {
            access.guard.refused(client, "rate_limit").await;
            return Err(too_many(seconds));
        }
        // There is no such path, which the answer says.
        return let_in(request, nobody());
    };
    let path = path.as_str();
    let method = request.method().clone();
    let safe = method == Method::GET || method == Method::HEAD;
    let needs = needs(&method, path);
    let required = access.keys.required();
    let route = || format!("{method} {path}");
    let old = OLD.iter().any(|(_, old, _)| *old == path);
    if required
        && let Err(seconds) = access
            .guard
            .count(Subject::Client(client), route, safe, old)
    {
        access.guard.refused(client, "rate_limit").await;
        return Err(too_many(seconds));
    }
    if needs == Nothing {
        return let_in(request, nobody());
    }
    let shown = credential(request);
    let caller = match &shown {
        None if required => return Err(unauthenticated()),
        None => Caller::local(),
        Some(shown) => check(access, client, shown).await?,
    };
    if let (Some(Credential::Session(session)), false) = (&shown, safe) {
        check_csrf(access, request.headers(), session)?;
    }
    if let Needs::May(permission) = &needs {
        let name = thing(request, permission.resource).await;
        if !caller.may(permission, name.as_deref()) {
            access.guard.refused(client, "forbidden").await;
            return Err(forbidden(&caller, permission, name.as_deref()));
        }
        if permission.is_approval() {
            check_factor(access, &caller)?;
        }
    }
    // What is shown a factor with cannot take one.
    if access.factor_for_changes
        && !safe
        && !path.starts_with("/v1/session")
        && access.factors.has(&caller.principal)
    {
        check_factor(access, &caller)?;
    }
    if let Some(key) = &caller.key {
        // Who comes from many devices is one all the same.
        let count = |id| access.guard.count(Subject::Key(id), route, safe, old);
        let mut counted = count(key.id);
        if counted.is_ok() && key.device != key.id {
            counted = count(key.device);
        }
        if let Err(seconds) = counted {
            access.guard.refused(client, "rate_limit").await;
            return Err(too_many(seconds));
        }
    }
    if let Some(Credential::Address(_)) = &shown
        && safe
        && let Some(response) = redirect(access, request, &caller)
    {
        return Ok(Entry::Answered(Box::new(response)));
    }
    let_in(request, caller)
}

/// Who comes with what is shown.
async fn check(access: &Access, client: Client, shown: &Credential) -> Result<Caller, ApiError> {
    let named = match shown {
        Credential::Key(key) | Credential::Address(key) => access.keys.named(key),
        Credential::Session(_) => None,
    };
    if let Some(seconds) = access.guard.is_locked(client, named) {
        access.guard.refused(client, "locked_access").await;
        return Err(locked_out(seconds));
    }
    let at = access.guard.now();
    let checked = match shown {
        Credential::Key(text) | Credential::Session(text) if is_session(text) => {
            access.sessions.resume(text, at)
        }
        Credential::Key(token) if issuer::is_token(token) && access.sign_in.takes_tokens() => {
            return bearer(access, client, token).await;
        }
        Credential::Key(key) | Credential::Address(key) => access.keys.check(key, at),
        Credential::Session(session) => access.keys.resume(session, at),
    };
    let refused = match checked {
        Ok(caller) => return Ok(caller),
        Err(refused) => refused,
    };
    // Who has a key that was valid once guesses nothing: a program that nobody told sends it all day, and so does a browser that was left open.
    let ended = match (shown, refused) {
        (Credential::Session(_), _) | (_, Refused::Session) => Some("ended_session"),
        (_, Refused::Revoked) => Some("revoked_key"),
        (_, Refused::Expired) => Some("expired_key"),
        _ => None,
    };
    if let Some(ended) = ended {
        access.guard.refused(client, ended).await;
        return Err(unauthenticated());
    }
    // Only who knows half of a key can make others wait for it.
    let attacked = named.filter(|_| refused == Refused::Wrong);
    failed(access, client, attacked, refused.as_str()).await;
    Err(unauthenticated())
}

/// Counts what a client showed and what is wrong.
pub(super) async fn failed(
    access: &Access,
    client: Client,
    attacked: Option<Uuid>,
    reason: &'static str,
) {
    match access.guard.failed(client, attacked, reason).await {
        Ok(Some(Barred::Banned)) => tracing::warn!("{client} is banned: too many keys failed"),
        Ok(Some(_)) => tracing::warn!("{client} is locked out: too many keys failed"),
        Ok(None) => tracing::info!("what {client} shows is refused: {reason}"),
        Err(error) => tracing::error!("a failed key of {client} could not be recorded: {error}"),
    }
}

/// A token is a device of its own: what was shown with one does not count for another.
fn device_of(token: &str) -> Uuid {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.as_ref()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// Who comes with a token of a provider.
async fn bearer(access: &Access, client: Client, token: &str) -> Result<Caller, ApiError> {
    match access.sign_in.bearer(token).await {
        Ok((person, until)) => {
            let person = access.people.known(person).await?;
            Ok(person.caller(device_of(token), None, until))
        }
        Err(SignInError::Token(BadToken::Unreachable)) => Err(no_issuer()),
        // A provider that changed its keys a moment ago makes such tokens, and nothing can be guessed with one.
        Err(SignInError::Token(BadToken::UnknownKey)) => {
            access.guard.refused(client, "unknown_token").await;
            Err(invalid_token())
        }
        // Programs send it until they notice.
        Err(SignInError::Token(BadToken::Time)) => {
            access.guard.refused(client, "expired_token").await;
            Err(invalid_token())
        }
        Err(SignInError::Token(reason)) => {
            failed(access, client, None, reason.as_str()).await;
            Err(invalid_token())
        }
        Err(error) => {
            access.guard.refused(client, "no_role").await;
            Err(ApiError::new(
                StatusCode::FORBIDDEN,
                "no_role",
                error.to_string(),
            ))
        }
    }
}

/// A browser sends its cookies whoever made the page; only a page of this host can read the token.
fn check_csrf(access: &Access, headers: &HeaderMap, session: &str) -> Result<(), ApiError> {
    let own = access.keys.csrf_token(session);
    let shown = headers.get(CSRF).map_or(&b""[..], HeaderValue::as_bytes);
    aws_lc_rs::constant_time::verify_slices_are_equal(own.as_bytes(), shown).map_err(|_| {
        ApiError::new(
            StatusCode::FORBIDDEN,
            "csrf",
            format!(
                "a session changes something only with the header `{CSRF}`; its value is in the cookie `{CSRF_COOKIE}` and in `GET /v1/session`"
            ),
        )
    })
}

/// The name of the thing that a request is about, where scopes can name it.
async fn thing(request: &mut Request, resource: &str) -> Option<String> {
    if !NAMED.contains(&resource) {
        return None;
    }
    let parameters = request.extract_parts::<RawPathParams>().await.ok()?;
    parameters
        .iter()
        .find(|(name, _)| *name == "name")
        .map(|(_, value)| value.to_owned())
}

/// To the same address without the key, which would stay in histories and logs.
fn redirect(access: &Access, request: &Request, caller: &Caller) -> Option<Response> {
    let session = access.keys.session(caller, access.guard.now())?;
    let place = request.uri().path_and_query()?.as_str();
    // Two slashes would be another host.
    let place = format!("/{}", place.trim_start_matches('/'));
    let mut response = StatusCode::SEE_OTHER.into_response();
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, HeaderValue::from_str(&place).ok()?);
    for value in cookies(access, &session) {
        headers.append(header::SET_COOKIE, value);
    }
    Some(response)
}

/// The cookies of a session. That of the token can be read by the page, as it has to be.
pub(super) fn cookies(access: &Access, session: &str) -> Vec<HeaderValue> {
    let token = access.keys.csrf_token(session);
    let secure = if access.secure { "; Secure" } else { "" };
    [
        format!(
            "{SESSION_COOKIE}={session}; Path=/; HttpOnly; SameSite=Strict; Max-Age=43200{secure}"
        ),
        format!("{CSRF_COOKIE}={token}; Path=/; SameSite=Strict; Max-Age=43200{secure}"),
    ]
    .iter()
    .filter_map(|text| HeaderValue::from_str(text).ok())
    .collect()
}

/// Takes out what a request shows to this host: its cookies, and keys where they are asked for. The rest is between client and component.
pub(super) fn strip(plane: &dyn ControlPlane, headers: &mut HeaderMap) {
    if !plane.access().is_some_and(|access| access.keys.required()) {
        return;
    }
    take_credentials(headers);
}

fn take_credentials(headers: &mut HeaderMap) {
    headers.remove(API_KEY);
    let is_bearer = |value: &HeaderValue| {
        value
            .to_str()
            .ok()
            .and_then(|text| text.split_once(' '))
            .is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
    };
    if headers.get(header::AUTHORIZATION).is_some_and(is_bearer) {
        headers.remove(header::AUTHORIZATION);
    }
    let own = |pair: &&str| {
        let name = pair.split('=').next().unwrap_or_default().trim();
        name != SESSION_COOKIE && name != CSRF_COOKIE
    };
    let lines: Vec<HeaderValue> = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| {
            let kept: Vec<&str> = line.to_str().ok()?.split(';').filter(own).collect();
            HeaderValue::from_str(kept.join(";").trim())
                .ok()
                .filter(|line| !line.is_empty())
        })
        .collect();
    headers.remove(header::COOKIE);
    for line in lines {
        headers.append(header::COOKIE, line);
    }
}

/// The session that a request comes with, in a cookie or as a terminal has it.
pub(super) fn session_text(headers: &HeaderMap) -> Option<String> {
    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.split_once(' '))
        .map(|(_, text)| text.trim().to_owned());
    bearer
        .or_else(|| session(headers))
        .filter(|text| is_session(text))
}

/// The session of a browser's request.
pub(super) fn session(headers: &HeaderMap) -> Option<String> {
    cookie(headers, SESSION_COOKIE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{RESOURCES, VERBS};
    use std::collections::BTreeSet;

    #[test]
    fn every_route_of_the_document_states_what_it_needs() {
        let document = crate::api::openapi();
        let mut documented: BTreeSet<(String, String)> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, item)| {
                item.as_object()
                    .unwrap()
                    .keys()
                    .map(|method| (method.to_uppercase(), path.clone()))
            })
            .collect();
        documented.insert(("GET".into(), "/openapi.json".into()));
        let stated: BTreeSet<(String, String)> = STATED
            .iter()
            .map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned()))
            .collect();
        assert_eq!(stated.len(), STATED.len(), "a route is stated twice");
        assert_eq!(stated, documented);
        for (method, path, needs) in STATED {
            let Needs::May(permission) = needs else {
                continue;
            };
            assert!(RESOURCES.contains(&permission.resource), "{path}");
            assert!(VERBS.contains(&permission.verb), "{path}");
            // Whoever reads changes nothing.
            assert_eq!(
                permission.least == Role::Viewer,
                *method == "GET"
                    && !["keys", "bans", "audit", "backups", "config", "secrets"]
                        .contains(&permission.resource),
                "{method} {path}"
            );
        }
        assert_eq!(needs(&Method::HEAD, "/v1/runs"), read("runs"));
        assert_eq!(needs(&Method::POST, "/not/stated"), admin("host", "change"));
        assert_eq!(needs(&Method::GET, "/agents/{name}/{*path}"), read("pages"));
        assert_eq!(needs(&Method::PUT, "/agents/{name}"), change("pages"));
    }

    #[test]
    fn a_key_leaves_the_address() {
        for (whole, key, rest) in [
            ("/v1/runs?api_key=k", Some("k"), "/v1/runs"),
            (
                "/v1/runs?limit=1&api_key=k%2D&agent=a",
                Some("k-"),
                "/v1/runs?limit=1&agent=a",
            ),
            ("/v1/runs?api_key=a&api_key=b", Some("a"), "/v1/runs"),
            ("/v1/runs?api_keys=k", None, "/v1/runs?api_keys=k"),
            ("/v1/runs", None, "/v1/runs"),
            (
                "http://localhost/v1/runs?api_key=k",
                Some("k"),
                "http://localhost/v1/runs",
            ),
        ] {
            let mut request = http::Request::builder()
                .uri(whole)
                .body(axum::body::Body::empty())
                .unwrap();
            assert_eq!(take_parameter(&mut request).as_deref(), key, "{whole}");
            assert_eq!(request.uri().to_string(), rest);
        }
    }

    #[test]
    fn a_component_gets_what_is_meant_for_it() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Bearer inf_x"),
            ("x-api-key", "inf_x"),
            ("cookie", "own=1; infinity_session=s; other=2"),
            ("cookie", "infinity_csrf=t"),
            ("accept", "*/*"),
        ] {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        take_credentials(&mut headers);
        assert_eq!(headers.len(), 2, "{headers:?}");
        assert_eq!(headers["cookie"], "own=1; other=2");
        headers.insert("authorization", HeaderValue::from_static("Basic x"));
        take_credentials(&mut headers);
        assert_eq!(headers["authorization"], "Basic x");
    }

    #[test]
    fn what_is_shown_is_found_wherever_it_stands() {
        let shown = |headers: &[(&str, &str)]| {
            let mut request = http::Request::builder().uri("/");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let mut request = request.body(axum::body::Body::empty()).unwrap();
            match credential(&mut request) {
                Some(Credential::Key(key)) => format!("key {key}"),
                Some(Credential::Address(key)) => format!("address {key}"),
                Some(Credential::Session(session)) => format!("session {session}"),
                None => "nothing".to_owned(),
            }
        };
        assert_eq!(shown(&[]), "nothing");
        assert_eq!(shown(&[("authorization", "Bearer k")]), "key k");
        assert_eq!(shown(&[("authorization", "bearer  k ")]), "key k");
        assert_eq!(shown(&[("authorization", "Basic k")]), "nothing");
        assert_eq!(
            shown(&[("authorization", "Basic k"), ("x-api-key", "x")]),
            "key x"
        );
        assert_eq!(
            shown(&[("cookie", "a=b; infinity_session=s; c=d")]),
            "session s"
        );
        assert_eq!(
            shown(&[("cookie", "infinity_session=s"), ("x-api-key", "x")]),
            "key x"
        );
    }
}
