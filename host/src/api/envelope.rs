//! What surrounds every route: the request's id, the checks of `Host`, `Origin` and `Accept`, panics, and the body of problems.
//!
//! A web page must not be able to drive the API: a page that resolves its own name to this host's address sends a foreign `Host`, a page that posts across sites sends a
//! foreign `Origin`; both are refused before anybody's key is looked at.

use super::access::{self, By, Entry};
use super::error::{ApiError, PROBLEM_JSON};
use super::server::Connection;
use super::{ControlPlane, Plane};
use crate::access::address::Client;
use crate::audit::calls::Call;
use crate::logging::PERFORMANCE;
use crate::telemetry;
use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use futures::StreamExt as _;
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use std::any::Any;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::CorsLayer;
use uuid::Uuid;

/// The header that carries the request's id.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// That browsers come over TLS from now on, for two years.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=63072000");

/// How long a browser remembers what pages of other origins may do.
const CORS_LASTS: Duration = Duration::from_secs(600);

/// A request that took longer is worth a line of the log, unless its sender asked to wait.
const SLOW: Duration = Duration::from_secs(2);

/// Surrounds all routes.
pub(super) fn wrap(router: Router, plane: Arc<dyn ControlPlane>) -> Router {
    let cors = plane.access().map(|access| access.cors.clone());
    let router = router
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(Arc::clone(&plane), surround))
        .layer(from_fn_with_state(plane, counted));
    match cors {
        Some(origins) if !origins.is_empty() => router.layer(shared_with(origins)),
        _ => router,
    }
}

/// What pages of these origins may read: everything that the key they come with may, and nothing with a cookie.
fn shared_with(origins: Vec<HeaderValue>) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers([
            header::ACCEPT,
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            HeaderName::from_static("idempotency-key"),
            HeaderName::from_static("last-event-id"),
            HeaderName::from_static("x-api-key"),
        ])
        .expose_headers([
            header::ETAG,
            header::LOCATION,
            header::RETRY_AFTER,
            REQUEST_ID,
        ])
        .max_age(CORS_LASTS)
}

/// Surrounds the routes that components answer: who may ask is the same, what is answered is theirs.
pub(super) fn wrap_served(router: Router, plane: Arc<dyn ControlPlane>) -> Router {
    router
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(plane, surround_served))
}

/// Counts and times a request by its route.
async fn counted(State(plane): Plane, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "unmatched".to_owned(), |path| path.as_str().to_owned());
    // Who asks for an answer that waits says nothing of the host's speed by it.
    let waits = request
        .uri()
        .query()
        .is_some_and(|query| query.split('&').any(|one| one.starts_with("wait=")));
    let asked = telemetry::Asked::of(&method, &route, request.headers());
    let answering = next.run(request);
    let response = match &asked {
        Some(asked) => asked.while_answering(answering).await,
        None => answering.await,
    };
    let (status, took) = (response.status().as_u16(), began.elapsed());
    plane
        .metrics()
        .request(&method, &route, status, took, waits);
    if let Some(asked) = asked {
        let id = response.headers().get(REQUEST_ID);
        asked.answered(status, id.and_then(|id| id.to_str().ok()));
    }
    if took >= SLOW && !waits {
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        tracing::warn!(target: PERFORMANCE, took_ms, http.route = %route,
            "a request to `{route}` took {took_ms} ms");
    }
    response
}

async fn surround_served(State(plane): Plane, mut request: Request, next: Next) -> Response {
    let id = Uuid::now_v7().to_string();
    let accept = Accept { ranges: Vec::new() };
    let safe = request.method() == Method::HEAD || request.method() == Method::GET;
    let mut asked = Asked::of(&plane, &request);
    let admitted = admitted(plane.as_ref(), &mut request, safe, |_| Ok(())).await;
    asked.by(&request);
    let response = match admitted {
        Ok(Entry::Answered(response)) => finish(*response, &id, &accept, safe),
        Ok(Entry::In) => {
            // A component gets what is meant for it, and not what opens this host.
            access::strip(plane.as_ref(), request.headers_mut());
            let mut response = next.run(request).await;
            if response.extensions().get::<ApiError>().is_some() {
                finish(response, &id, &accept, safe)
            } else {
                if let Ok(id) = HeaderValue::from_str(&id) {
                    response.headers_mut().insert(REQUEST_ID, id);
                }
                response
            }
        }
        Err(error) => finish(error.into_response(), &id, &accept, safe),
    };
    asked.status = response.status().as_u16();
    response
}

/// The checks of a request, in their order: bans before everything, then what it says of where it wants to go and comes from, then who sent it.
async fn admitted(
    plane: &dyn ControlPlane,
    request: &mut Request,
    safe: bool,
    further: impl FnOnce(&Request) -> Result<(), ApiError>,
) -> Result<Entry, ApiError> {
    let listen = request
        .extensions()
        .get::<Connection>()
        .and_then(|connection| connection.listen);
    let client = plane
        .access()
        .and_then(|access| access::client(access, request));
    let mut own = Own {
        listen,
        names: &[],
        cors: &[],
    };
    if let Some(access) = plane.access() {
        own.names = &access.names;
        own.cors = &access.cors;
        access::check_ban(access, client).await?;
    }
    check_host(request, own)?;
    check_origin(request, safe, own)?;
    further(request)?;
    access::enter(plane, request, client).await
}

/// What this host is called.
#[derive(Clone, Copy, Debug)]
struct Own<'a> {
    /// The address that the connection was accepted on; none in this process and on the socket of the state folder.
    listen: Option<SocketAddr>,
    /// Names from the configuration.
    names: &'a [String],
    /// Origins whose pages may read answers.
    cors: &'a [HeaderValue],
}

fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let cause = panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "a panic without a message".into());
    ApiError::internal(format!("a handler panicked: {cause}")).into_response()
}

/// What the journal says of a request: taken before it is handled, written once it is answered.
struct Asked {
    began: Instant,
    method: Method,
    route: Option<MatchedPath>,
    user_agent: Option<HeaderValue>,
    client: Option<Client>,
    user: Option<String>,
    key: Option<Uuid>,
    plane: Arc<dyn ControlPlane>,
    /// As the answer has it; who went away before there was one has what nginx writes of them.
    status: u16,
}

/// What a client did not wait for.
const CLIENT_CLOSED: u16 = 499;

impl Drop for Asked {
    /// Also when the client goes away, and with it whoever was to answer: what it asked for may be done all the same.
    fn drop(&mut self) {
        self.note();
    }
}

impl Asked {
    fn of(plane: &Arc<dyn ControlPlane>, request: &Request) -> Self {
        let known = [
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
            Method::OPTIONS,
        ];
        let method = request.method();
        Self {
            began: Instant::now(),
            // Others are as long as somebody likes, and nothing takes them.
            method: if known.contains(method) {
                method.clone()
            } else {
                Method::TRACE
            },
            route: request.extensions().get::<MatchedPath>().cloned(),
            user_agent: request.headers().get(header::USER_AGENT).cloned(),
            client: plane
                .access()
                .and_then(|access| access::client(access, request)),
            user: None,
            key: None,
            plane: Arc::clone(plane),
            status: CLIENT_CLOSED,
        }
    }

    /// Who it is, once that is known and before a handler takes the request.
    fn by(&mut self, request: &Request) {
        if let Some(By(caller)) = request.extensions().get::<By>() {
            self.user = Some(caller.principal.name.clone());
            self.key = caller.key.as_ref().map(|key| key.id);
        }
    }

    fn note(&self) {
        let Some(access) = self.plane.access() else {
            return;
        };
        let route = self.route.as_ref().map_or("unmatched", MatchedPath::as_str);
        // Where nobody has to say who comes nobody is written down: badges are looked at by the whole world. Of those who are not let in the events of the guard have the address; a record
        // for each of them and what they call themselves would be theirs to fill the disk with.
        let open =
            self.user.is_none() || self.route.is_none() || access::is_open(&self.method, route);
        let user_agent = self
            .user_agent
            .as_ref()
            .and_then(|value| value.to_str().ok());
        access.calls.note(&Call {
            user: self.user.as_deref().filter(|_| !open),
            key: self.key.filter(|_| !open),
            address: self.client.filter(|_| !open),
            user_agent: user_agent.filter(|_| !open),
            method: &self.method,
            route,
            status: self.status,
            took: self.began.elapsed(),
        });
    }
}

async fn surround(State(plane): Plane, mut request: Request, next: Next) -> Response {
    let id = Uuid::now_v7().to_string();
    let mut asked = Asked::of(&plane, &request);
    let accept = Accept::of(request.headers());
    let head = request.method() == Method::HEAD;
    let safe = head || request.method() == Method::GET;
    let cors = plane.access().map_or(&[][..], |access| &access.cors);
    let admitted = admitted(plane.as_ref(), &mut request, safe, |request| {
        check_fetch(request, cors)?;
        // What changes something answers in JSON; who cannot take that must learn it before the change.
        if safe || accept.admits("application/json") {
            Ok(())
        } else {
            Err(not_acceptable("application/json"))
        }
    });
    let admitted = admitted.await;
    asked.by(&request);
    let caller = request.extensions().get::<By>().cloned();
    let response = match admitted {
        Ok(Entry::In) => while_let_in(run(request, next, safe).await, caller, &plane),
        Ok(Entry::Answered(response)) => *response,
        Err(error) => error.into_response(),
    };
    let mut response = finish(response, &id, &accept, safe);
    if plane.access().is_some_and(|access| access.secure) {
        response
            .headers_mut()
            .insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
    asked.status = response.status().as_u16();
    if head {
        *response.body_mut() = axum::body::Body::empty();
    }
    response
}

/// Who may come in is changed to the end, in the store and in memory, also for a client that goes away meanwhile.
async fn run(request: Request, next: Next, safe: bool) -> Response {
    let path = request.uri().path();
    let whole = ["/v1/keys", "/v1/session", "/v1/factors"]
        .iter()
        .any(|about| path.starts_with(about));
    if safe || !whole {
        return next.run(request).await;
    }
    match tokio::spawn(next.run(request)).await {
        Ok(response) => response,
        Err(error) => ApiError::internal(format!("a handler ended: {error}")).into_response(),
    }
}

/// Ends what somebody follows when what they came with no longer counts: before the next line of it.
fn while_let_in(response: Response, caller: Option<By>, plane: &Arc<dyn ControlPlane>) -> Response {
    let follows = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
    let Some(By(caller)) = caller.filter(|By(caller)| follows && caller.key.is_some()) else {
        return response;
    };
    let plane = Arc::clone(plane);
    response.map(|body| {
        let lines = body.into_data_stream().take_while(move |_| {
            let counts = plane
                .access()
                .is_none_or(|access| access.counts_still(&caller));
            std::future::ready(counts)
        });
        axum::body::Body::from_stream(lines)
    })
}

/// Writes the body of a problem and the headers that every answer has.
fn finish(mut response: Response, id: &str, accept: &Accept, safe: bool) -> Response {
    if safe && response.status().is_success() {
        let media_type = response
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        if let Some(media_type) = media_type
            && !accept.admits(media_type)
        {
            response = not_acceptable(media_type).into_response();
        }
    }
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        let problem = error.problem(id);
        // Strings and numbers alone: this cannot fail, and an empty body with the right status is still an answer.
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        response.headers_mut().remove(header::CONTENT_LENGTH);
        *response.body_mut() = body.into();
    }
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// The answer to bytes that are no request, as it goes over the wire.
pub(super) fn bare(error: &ApiError) -> Vec<u8> {
    let id = Uuid::now_v7().to_string();
    let problem = error.problem(&id);
    // As in `finish`.
    let body = serde_json::to_vec(&problem).unwrap_or_default();
    let mut answer = format!(
        "HTTP/1.1 {} {}\r\ncontent-type: {PROBLEM_JSON}\r\ncontent-length: {}\r\n{REQUEST_ID}: {id}\r\n\
         x-content-type-options: nosniff\r\ncache-control: no-store\r\nconnection: close\r\n\r\n",
        problem.status,
        problem.title,
        body.len()
    )
    .into_bytes();
    answer.extend(body);
    answer
}

fn check_host(request: &Request, own: Own<'_>) -> Result<(), ApiError> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (first, second) = (hosts.next(), hosts.next());
    let invalid = |detail| {
        Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "invalid_host",
            detail,
        ))
    };
    if second.is_some() {
        return invalid("the request has more than one `Host`");
    }
    let authority = match (request.uri().authority(), first) {
        (Some(authority), _) => Some(authority.clone()),
        (None, Some(host)) => match Authority::try_from(host.as_bytes()) {
            Ok(authority) => Some(authority),
            Err(_) => return invalid("the `Host` is no host name or address"),
        },
        (None, None) => None,
    };
    match authority {
        Some(authority) if is_own(&authority, own) => Ok(()),
        Some(_) => Err(ApiError::new(
            StatusCode::MISDIRECTED_REQUEST,
            "misdirected_request",
            "this host answers to `localhost`, loopback addresses, the address it listens on and the `names` of `[host]` in `plugins.toml`; use one of them",
        )),
        // A call from inside the process has no connection, and HTTP/1.0 knows no `Host`.
        None if own.listen.is_none() || request.version() == Version::HTTP_10 => Ok(()),
        None => invalid("the request has no `Host`"),
    }
}

fn check_origin(request: &Request, safe: bool, own: Own<'_>) -> Result<(), ApiError> {
    if safe {
        return Ok(());
    }
    let Some(origin) = request.headers().get(header::ORIGIN) else {
        return Ok(());
    };
    if own.cors.contains(origin) {
        return Ok(());
    }
    let is_ours = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.split_once("://"))
        .and_then(|(_, authority)| Authority::try_from(authority).ok())
        .is_some_and(|authority| is_own(&authority, own));
    if is_ours {
        Ok(())
    } else {
        Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "csrf",
            "a page of another site may not change anything here",
        ))
    }
}

/// A page of another site cannot read an answer, but it could make the host work for it. Badges are made to be shown elsewhere, and a person may follow a link.
fn check_fetch(request: &Request, cors: &[HeaderValue]) -> Result<(), ApiError> {
    let origin = request.headers().get(header::ORIGIN);
    if origin.is_some_and(|origin| cors.contains(origin)) {
        return Ok(());
    }
    let is = |name: &str, value: &str| {
        request
            .headers()
            .get(name)
            .is_some_and(|given| given == value)
    };
    if is("sec-fetch-site", "cross-site")
        && !is("sec-fetch-mode", "navigate")
        && !request.uri().path().starts_with("/badge")
    {
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "csrf",
            "a page of another site may not read anything here",
        ));
    }
    Ok(())
}

fn is_own(authority: &Authority, own: Own<'_>) -> bool {
    if authority.as_str().contains('@') {
        return false;
    }
    let host = authority.host();
    let host = host.strip_suffix('.').unwrap_or(host);
    let named = |name: &String| host.eq_ignore_ascii_case(name);
    if host.eq_ignore_ascii_case("localhost") || own.names.iter().any(named) {
        return true;
    }
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    bare.parse::<IpAddr>().is_ok_and(|address| {
        address.is_loopback()
            || own
                .listen
                .is_some_and(|listen| listen.ip().to_canonical() == address.to_canonical())
    })
}

fn not_acceptable(media_type: &str) -> ApiError {
    ApiError::new(
        StatusCode::NOT_ACCEPTABLE,
        "not_acceptable",
        format!("this route answers `{media_type}`, which the header `Accept` does not admit"),
    )
}

/// What a client takes.
#[derive(Clone, Debug)]
pub(crate) struct Accept {
    /// Type, subtype and whether its quality is above zero; empty means anything.
    ranges: Vec<(String, String, bool)>,
}

impl Accept {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let ranges = headers
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|range| {
                let mut parts = range.split(';').map(str::trim);
                let (kind, subtype) = parts.next()?.split_once('/')?;
                let refused = parts.any(|parameter| {
                    parameter
                        .strip_prefix("q=")
                        .and_then(|quality| quality.parse::<f32>().ok())
                        == Some(0.0)
                });
                Some((
                    kind.to_ascii_lowercase(),
                    subtype.to_ascii_lowercase(),
                    !refused,
                ))
            })
            .collect();
        Self { ranges }
    }

    /// Whether the client takes this media type: the most specific range decides.
    pub(crate) fn admits(&self, media_type: &str) -> bool {
        if self.ranges.is_empty() {
            return true;
        }
        let essence = media_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        let Some((kind, subtype)) = essence.split_once('/') else {
            return true;
        };
        // A client that takes JSON takes a JSON dialect too: `application/sarif+json` is no surprise to `curl -H 'Accept: application/json'`.
        let matches = |range: &(String, String, bool)| match (range.0.as_str(), range.1.as_str()) {
            (a, b) if a == kind && b == subtype => 3,
            ("application", "json") if kind == "application" && subtype.ends_with("+json") => 2,
            (a, "*") if a == kind => 1,
            ("*", "*") => 0,
            _ => -1,
        };
        self.ranges
            .iter()
            .filter(|range| matches(range) >= 0)
            .max_by_key(|range| matches(range))
            .is_some_and(|range| range.2)
    }

    /// Whether the client names this media type itself.
    pub(crate) fn names(&self, media_type: &str) -> bool {
        self.ranges
            .iter()
            .any(|(kind, subtype, admitted)| *admitted && media_type == format!("{kind}/{subtype}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(accept: &str, media_type: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::ACCEPT,
            HeaderValue::from_str(accept).expect("valid"),
        );
        Accept::of(&headers).admits(media_type)
    }

    #[test]
    fn the_most_specific_range_decides() {
        assert!(admits("*/*", "image/svg+xml"));
        assert!(admits("image/*, */*;q=0.1", "image/svg+xml"));
        assert!(admits(
            "text/html, application/*;q=0.9",
            "application/json; charset=utf-8"
        ));
        assert!(admits("application/json", "application/sarif+json"));
        assert!(!admits("text/html", "application/json"));
        assert!(!admits("*/*, application/json;q=0", "application/json"));
    }

    #[test]
    fn only_own_names_are_own() {
        let names = ["infinity.example.com".to_owned()];
        let this = Own {
            listen: Some(SocketAddr::from(([192, 0, 2, 1], 8080))),
            names: &names,
            cors: &[],
        };
        let own = |host: &str| is_own(&Authority::try_from(host).expect("valid"), this);
        for host in [
            "localhost",
            "LOCALHOST:1",
            "localhost.:80",
            "127.0.0.1:8080",
            "127.1.2.3",
            "[::1]:8080",
            "192.0.2.1:80",
            "Infinity.example.com:443",
        ] {
            assert!(own(host), "{host}");
        }
        for host in [
            "example.com",
            "localhost.example.com",
            "127.0.0.1.example.com",
            "192.0.2.2",
            "x@localhost",
            "0.0.0.0:8080",
        ] {
            assert!(!own(host), "{host}");
        }
    }
}
