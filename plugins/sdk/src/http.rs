//! A small blocking HTTP client over `wasi:http/outgoing-handler`.
//!
//! Only hosts, methods and paths that `plugins.toml` grants are reached, redirects are not followed, and a credential is added by the host: a guest
//! never sees one.

use crate::host::on_host;
use crate::types::Failure;

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// In capitals.
    pub method: String,
    /// Absolute, `https` or `http`.
    pub url: String,
    /// Names and values, sent in this order.
    pub headers: Vec<(String, String)>,
    /// Empty for no body.
    pub body: Vec<u8>,
    /// The most bytes of an answer that are read: 1 MiB unless set.
    pub max_response_bytes: usize,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// At most [`Request::max_response_bytes`].
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// Nothing grants the request; the denial is on the run.
    Denied(String),
    /// The URL cannot be used.
    InvalidUrl(String),
    /// The answer is longer than was asked for.
    TooLarge,
    /// No connection, no answer in time, or a broken answer.
    Failed(String),
}

impl std::fmt::Display for Error {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Denied(message) => write!(formatter, "denied: {message}"),
            Self::InvalidUrl(url) => write!(formatter, "`{url}` is no http or https URL"),
            Self::TooLarge => formatter.write_str("the answer is too large"),
            Self::Failed(message) => formatter.write_str(message),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Failed(message) => Self::Unavailable(message),
            other => Self::Other(other.to_string()),
        }
    }
}

impl Request {
    /// A request without headers or body.
    #[must_use]
    pub fn new(method: &str, url: &str) -> Self {
        Self {
            method: method.to_owned(),
            url: url.to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            max_response_bytes: 1024 * 1024,
        }
    }

    /// A `GET` request.
    #[must_use]
    pub fn get(url: &str) -> Self {
        Self::new("GET", url)
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends the request and waits for the whole answer.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn send(&self) -> Result<Response, Error> {
        on_host!(
            wasm => wasm::send(self),
            native => |host| match &mut host.http {
                Some(responder) => responder(self),
                None => Err(Error::Denied(format!("{} {}", self.method, self.url))),
            }
        )
    }
}

/// Sends a `GET` request.
///
/// # Errors
/// See [`Error`].
pub fn get(url: &str) -> Result<Response, Error> {
    Request::get(url).send()
}

/// Splits a URL into scheme, authority and the path with its query.
#[cfg_attr(
    not(any(target_arch = "wasm32", test)),
    expect(dead_code, reason = "wasm only")
)]
fn split(url: &str) -> Option<(&str, &str, &str)> {
    let (scheme, rest) = url.split_once("://")?;
    let at = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(at);
    let path = path.split('#').next().unwrap_or_default();
    let path = if path.is_empty() { "/" } else { path };
    (!authority.is_empty() && matches!(scheme, "http" | "https"))
        .then_some((scheme, authority, path))
}

#[cfg(target_arch = "wasm32")]
mod wasm {
    use super::{Error, Request, Response, split};
    use wasip2::http::outgoing_handler;
    use wasip2::http::types::{
        ErrorCode, Fields, IncomingBody, Method, OutgoingBody, OutgoingRequest, Scheme,
    };
    use wasip2::io::streams::StreamError;

    /// The most bytes that one `blocking-write-and-flush` takes.
    const CHUNK_BYTES: usize = 4096;

    fn failed(error: ErrorCode) -> Error {
        match error {
            ErrorCode::HttpRequestDenied => Error::Denied("see the denials of the run".into()),
            ErrorCode::InternalError(Some(message)) => Error::Failed(message),
            other => Error::Failed(format!("{other:?}")),
        }
    }

    pub(super) fn send(request: &Request) -> Result<Response, Error> {
        let (scheme, authority, path) =
            split(&request.url).ok_or_else(|| Error::InvalidUrl(request.url.clone()))?;
        let invalid = |()| Error::InvalidUrl(request.url.clone());
        let headers = Fields::new();
        for (name, value) in &request.headers {
            headers
                .append(name, &value.clone().into_bytes())
                .map_err(|error| Error::Failed(format!("header `{name}`: {error:?}")))?;
        }
        let outgoing = OutgoingRequest::new(headers);
        let method = match request.method.as_str() {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "DELETE" => Method::Delete,
            "PATCH" => Method::Patch,
            "OPTIONS" => Method::Options,
            other => Method::Other(other.to_owned()),
        };
        outgoing.set_method(&method).map_err(invalid)?;
        let scheme = if scheme == "https" {
            Scheme::Https
        } else {
            Scheme::Http
        };
        outgoing.set_scheme(Some(&scheme)).map_err(invalid)?;
        outgoing.set_authority(Some(authority)).map_err(invalid)?;
        outgoing.set_path_with_query(Some(path)).map_err(invalid)?;
        let body = outgoing.body().map_err(invalid)?;
        let pending = outgoing_handler::handle(outgoing, None).map_err(failed)?;
        if !request.body.is_empty() {
            let stream = body.write().map_err(invalid)?;
            for chunk in request.body.chunks(CHUNK_BYTES) {
                stream
                    .blocking_write_and_flush(chunk)
                    .map_err(|error| Error::Failed(format!("sending the body: {error:?}")))?;
            }
            drop(stream);
        }
        OutgoingBody::finish(body, None).map_err(failed)?;
        pending.subscribe().block();
        let response = pending
            .get()
            .ok_or_else(|| Error::Failed("no answer".into()))?
            .map_err(|()| Error::Failed("the answer was taken twice".into()))?
            .map_err(failed)?;
        let status = response.status();
        let headers = response
            .headers()
            .entries()
            .into_iter()
            .map(|(name, value)| (name, String::from_utf8_lossy(&value).into_owned()))
            .collect();
        let incoming = response
            .consume()
            .map_err(|()| Error::Failed("the answer has no body".into()))?;
        let stream = incoming
            .stream()
            .map_err(|()| Error::Failed("the body was taken twice".into()))?;
        let mut body = Vec::new();
        loop {
            match stream.blocking_read(64 * 1024) {
                Ok(bytes) => body.extend(bytes),
                Err(StreamError::Closed) => break,
                Err(StreamError::LastOperationFailed(error)) => {
                    return Err(Error::Failed(error.to_debug_string()));
                }
            }
            if body.len() > request.max_response_bytes {
                return Err(Error::TooLarge);
            }
        }
        drop(stream);
        drop(IncomingBody::finish(incoming));
        Ok(Response {
            status,
            headers,
            body,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn splits_urls_and_refuses_others() {
        let check = |url, expected| assert_eq!(split(url), expected, "{url}");
        check(
            "https://a.example/x?y=1#z",
            Some(("https", "a.example", "/x?y=1")),
        );
        check("http://a.example", Some(("http", "a.example", "/")));
        check(
            "http://a.example:8080",
            Some(("http", "a.example:8080", "/")),
        );
        check("http://a.example?q", Some(("http", "a.example", "?q")));
        check("ftp://a.example/", None);
        check("https:///x", None);
        check("no url", None);
    }
}
