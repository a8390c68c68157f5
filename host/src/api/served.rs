//! `/agents/{name}/…`: requests that components answer (`wasi:http/incoming-handler`). They are beside the API: nothing here is described in the document, and what comes back is the
//! component's own.
//!
//! A component's page runs in the browser of whoever can drive the API, so every answer is put into a sandbox of the browser, where it has an origin of its own.

use super::Plane;
use super::error::ApiError;
use crate::model::Outcome;
use crate::runtime::ServeError;
use crate::sandbox::serve::ServedBody;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Limited};

/// The largest body of a request, in bytes; the agent's own limits count what the guest reads of it.
const BODY_MAX_BYTES: usize = 32 * 1024 * 1024;

/// What a browser lets a component's page do: run, with an origin that is nobody's, from which nothing can be changed here.
const SANDBOX: HeaderValue = HeaderValue::from_static("sandbox allow-scripts");

/// Where the component is mounted.
const PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

/// Answers with what the agent's component says.
pub(super) async fn serve(State(plane): Plane, request: Request) -> Response {
    // As it is written: what stands behind it need not be text.
    let name = request
        .uri()
        .path()
        .split('/')
        .nth(2)
        .unwrap_or_default()
        .to_owned();
    let request = match rewritten(request, &name) {
        Ok(request) => request,
        Err(error) => return error.into_response(),
    };
    match plane.serve(&name, request).await {
        Ok(response) => {
            let mut response = response.map(|body: ServedBody| Body::new(body));
            response
                .headers_mut()
                .append(header::CONTENT_SECURITY_POLICY, SANDBOX);
            response
        }
        Err(error) => ApiError::from(error).into_response(),
    }
}

/// The request as the component sees it: with the path behind its prefix.
fn rewritten(
    request: Request,
    name: &str,
) -> Result<http::Request<wasmtime_wasi_http::WasiBody>, ApiError> {
    if request.method() == Method::CONNECT {
        return Err(ApiError::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "a component is no proxy",
        ));
    }
    if request.headers().get(header::HOST).is_none() && request.uri().authority().is_none() {
        return Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "invalid_host",
            "the request has no `Host`",
        ));
    }
    let prefix = format!("/agents/{name}");
    let (mut parts, body) = request.into_parts();
    // In absolute form the host stands here alone.
    let authority = parts
        .uri
        .authority()
        .and_then(|own| HeaderValue::from_str(own.as_str()).ok());
    let whole = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str);
    // Cut behind the second segment as it was written, whatever is encoded in it.
    let (path, query) = whole
        .split_once('?')
        .map_or((whole, None), |(path, query)| (path, Some(query)));
    let behind = path
        .match_indices('/')
        .nth(2)
        .map_or("/", |(at, _)| &path[at..]);
    let rest = format!(
        "{}{}",
        behind,
        query.map_or_else(String::new, |query| format!("?{query}"))
    );
    parts.uri = PathAndQuery::try_from(rest).map(Uri::from).map_err(|_| {
        ApiError::new(
            StatusCode::BAD_REQUEST,
            "invalid_path",
            "the path behind the agent's name is no path",
        )
    })?;
    if let Some(host) = authority {
        parts.headers.insert(header::HOST, host);
    }
    if let Ok(prefix) = HeaderValue::from_str(&prefix) {
        parts.headers.insert(PREFIX, prefix);
    }
    let body = Limited::new(body, BODY_MAX_BYTES)
        .map_err(|error| {
            if error.is::<http_body_util::LengthLimitError>() {
                wasmtime_wasi_http::Error::HttpRequestBodySize(Some(BODY_MAX_BYTES as u64))
            } else {
                wasmtime_wasi_http::Error::HttpProtocolError
            }
        })
        .boxed_unsync();
    Ok(http::Request::from_parts(parts, body))
}

impl From<ServeError> for ApiError {
    fn from(error: ServeError) -> Self {
        let message = error.to_string();
        match error {
            ServeError::Unknown { .. } => Self::new(
                StatusCode::NOT_FOUND,
                "unknown_agent",
                format!(
                    "{message}; `GET /v1/agents` lists the agents, and a component that exports `wasi:http/incoming-handler` answers"
                ),
            ),
            ServeError::Unavailable(_) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message).retry_later()
            }
            ServeError::Busy => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message).retry_later()
            }
            ServeError::NoAnswer(_) => Self::new(StatusCode::BAD_GATEWAY, "no_answer", message),
            ServeError::Stopped {
                outcome, reason, ..
            } => match (outcome, reason.as_deref()) {
                (Outcome::Limited, Some("time")) => Self::new(
                    StatusCode::GATEWAY_TIMEOUT,
                    "component_limited",
                    format!("the component was stopped: {message}"),
                ),
                (Outcome::Limited, _) => Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "component_limited",
                    format!("the component was stopped: {message}"),
                ),
                (Outcome::HostError, _) => Self::internal(message),
                _ => Self::new(
                    StatusCode::BAD_GATEWAY,
                    "component_failed",
                    format!("the component failed: {message}"),
                ),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_sees_the_path_behind_its_prefix() {
        for (whole, expected) in [
            ("/agents/a", "/"),
            ("/agents/a/", "/"),
            ("/agents/a?x=1/2", "/?x=1/2"),
            ("/agents/a/b/c?x=1", "/b/c?x=1"),
            ("/agents/a/?x", "/?x"),
            ("/agents/a//b", "//b"),
            ("/agents/a/%2e%2e/b", "/%2e%2e/b"),
        ] {
            let request = http::Request::builder()
                .uri(whole)
                .header(header::HOST, "localhost")
                .body(Body::empty())
                .unwrap();
            let seen = rewritten(request, "a").unwrap();
            assert_eq!(seen.uri(), expected, "{whole}");
            assert_eq!(seen.headers()[PREFIX], "/agents/a");
        }
    }
}
