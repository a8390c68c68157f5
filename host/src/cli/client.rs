//! One way to the API: over HTTP to a host that runs, or straight into the router of a host in this process. The answers are the same.

use super::CliError;
use crate::api::Problem;
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::path::Path;
use std::time::Duration;
use tower::ServiceExt;

/// The largest answer that is read into memory: a page of the largest findings fits many times.
const ANSWER_MAX_BYTES: usize = 64 * 1024 * 1024;

/// How long a host on this machine may take to accept a connection.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// How long nothing may come: a little longer than the longest `?wait`, and than two keep-alive lines of a log that is followed.
const SILENCE_MAX: Duration = Duration::from_secs(630);

/// The variable that holds the key which is sent to a host over the network.
pub(super) const KEY_VARIABLE: &str = "INFINITY_API_KEY";

/// The variable that names a PEM file with a certificate and its key, for hosts that ask clients for one.
const CERTIFICATE_VARIABLE: &str = "INFINITY_CLIENT_CERT";

/// The variable that names a PEM file with further certificate authorities.
const CA_VARIABLE: &str = "INFINITY_CA_FILE";

/// How a host is called that is reached over its socket.
const SOCKET_URL: &str = "http://localhost";

/// The file that a variable names, if it is set.
fn file_of(variable: &str) -> Result<Option<(String, Vec<u8>)>, CliError> {
    let Ok(file) = std::env::var(variable) else {
        return Ok(None);
    };
    let bytes = std::fs::read(&file).map_err(|error| {
        CliError::input(format!(
            "`{file}`, which `{variable}` names, cannot be read: {error}"
        ))
    })?;
    Ok(Some((file, bytes)))
}

/// Sessions of this person with hosts, in a file of their own.
pub(super) mod sessions {
    use super::CliError;
    use std::collections::BTreeMap;
    use std::io::Write as _;
    use std::os::unix::fs::DirBuilderExt as _;
    use std::path::PathBuf;

    fn file() -> Option<PathBuf> {
        let folder = std::env::var_os("XDG_CONFIG_HOME")
            .map(PathBuf::from)
            .filter(|folder| folder.is_absolute())
            .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config")))?;
        Some(folder.join("infinity").join("sessions.json"))
    }

    fn read() -> BTreeMap<String, String> {
        file()
            .and_then(|file| std::fs::read(file).ok())
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default()
    }

    /// The session with a host, if there is one.
    pub(super) fn of(base_url: &str) -> Option<String> {
        read().remove(base_url)
    }

    /// Keeps the session with a host, or forgets it. The file is its owner's alone.
    pub(in crate::cli) fn keep(base_url: &str, token: Option<&str>) -> Result<(), CliError> {
        let failed = |error: &dyn std::fmt::Display| {
            CliError::failed(format!("the session cannot be kept: {error}"))
        };
        let file = file().ok_or_else(|| failed(&"neither `XDG_CONFIG_HOME` nor `HOME` is set"))?;
        let mut sessions = read();
        match token {
            Some(token) => sessions.insert(base_url.to_owned(), token.to_owned()),
            None => sessions.remove(base_url),
        };
        let folder = file.parent().ok_or_else(|| failed(&"it has no folder"))?;
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| failed(&error))?;
        // A temporary file is its owner's alone, and takes the place of the other as a whole.
        let mut new = tempfile::NamedTempFile::new_in(folder).map_err(|error| failed(&error))?;
        let text = serde_json::to_vec_pretty(&sessions).map_err(|error| failed(&error))?;
        new.write_all(&text).map_err(|error| failed(&error))?;
        new.persist(&file).map_err(|error| failed(&error.error))?;
        Ok(())
    }
}

fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .no_proxy()
        .connect_timeout(CONNECT_MAX)
        .read_timeout(SILENCE_MAX)
        .redirect(reqwest::redirect::Policy::none())
}

/// Speaks to the API.
#[derive(Clone, Debug)]
pub enum Client {
    /// A host that runs.
    Remote {
        /// For instance `http://127.0.0.1:8080`, without a slash at its end.
        base_url: String,
        /// Without a proxy: the host is on this machine.
        http: reqwest::Client,
    },
    /// A host in this process.
    Local(axum::Router),
}

impl Client {
    /// A client of a host that runs.
    ///
    /// # Errors
    /// When the HTTP client cannot be made.
    pub fn remote(base_url: &str) -> Result<Self, CliError> {
        let mut headers = HeaderMap::new();
        let base_url = base_url.trim_end_matches('/');
        let shown = match std::env::var(KEY_VARIABLE) {
            Ok(key) => Some(key),
            Err(_) => sessions::of(base_url),
        };
        if let Some(key) = shown {
            let mut value = HeaderValue::from_str(&format!("Bearer {key}"))
                .map_err(|_| CliError::input(format!("`{KEY_VARIABLE}` is no key")))?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        let mut builder = builder().default_headers(headers);
        if let Some((file, pem)) = file_of(CERTIFICATE_VARIABLE)? {
            let identity = reqwest::Identity::from_pem(&pem).map_err(|_| {
                CliError::input(format!("`{file}` has no certificate with its key"))
            })?;
            builder = builder.identity(identity);
        }
        if let Some((file, pem)) = file_of(CA_VARIABLE)? {
            let certificates = reqwest::Certificate::from_pem_bundle(&pem)
                .map_err(|_| CliError::input(format!("`{file}` has no certificate")))?;
            for certificate in certificates {
                builder = builder.add_root_certificate(certificate);
            }
        }
        Self::made(base_url, builder)
    }

    /// Where the host is that is reached over the network; none for one on this machine's socket or in this process.
    pub(super) fn base_url(&self) -> Option<String> {
        match self {
            Self::Remote { base_url, .. } if base_url != SOCKET_URL => Some(base_url.clone()),
            _ => None,
        }
    }

    /// Asks for something to be done that may take a while: none when it is not done yet.
    pub(super) async fn post_or_wait<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Value,
    ) -> Result<Option<T>, CliError> {
        let (status, stream) = self
            .send(Method::POST, path, "application/json", Some(body))
            .await?;
        let bytes = collect(stream).await?;
        if status == StatusCode::ACCEPTED {
            return Ok(None);
        }
        read_json(status, &bytes).map(Some)
    }

    /// A client of a host that runs on this machine, over the socket in its state folder.
    ///
    /// # Errors
    /// When the HTTP client cannot be made.
    pub fn on_socket(socket: &Path) -> Result<Self, CliError> {
        Self::made(SOCKET_URL, builder().unix_socket(socket))
    }

    fn made(base_url: &str, builder: reqwest::ClientBuilder) -> Result<Self, CliError> {
        let http = builder
            .build()
            .map_err(|error| CliError::failed(format!("cannot make an HTTP client: {error}")))?;
        Ok(Self::Remote {
            base_url: base_url.trim_end_matches('/').to_owned(),
            http,
        })
    }

    /// A client of a host in this process.
    #[must_use]
    pub fn local(router: axum::Router) -> Self {
        Self::Local(router)
    }

    /// Reads.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CliError> {
        self.json(Method::GET, path, None).await
    }

    /// Asks for something to be done.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Value,
    ) -> Result<T, CliError> {
        self.json(Method::POST, path, Some(body)).await
    }

    /// Removes.
    pub(super) async fn delete(&self, path: &str) -> Result<(), CliError> {
        let (status, stream) = self
            .send(Method::DELETE, path, "application/json", None)
            .await?;
        let bytes = collect(stream).await?;
        if status.is_success() {
            Ok(())
        } else {
            Err(problem(status, &bytes))
        }
    }

    /// Removes, and gives the answer.
    pub(super) async fn delete_with_answer<T: DeserializeOwned>(
        &self,
        path: &str,
    ) -> Result<T, CliError> {
        self.json(Method::DELETE, path, None).await
    }

    /// Changes.
    pub(super) async fn put<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Value,
    ) -> Result<T, CliError> {
        self.json(Method::PUT, path, Some(body)).await
    }

    async fn json<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T, CliError> {
        let (status, stream) = self.send(method, path, "application/json", body).await?;
        let bytes = collect(stream).await?;
        read_json(status, &bytes)
    }

    /// The bytes of a server-sent event stream.
    pub(super) async fn events(
        &self,
        path: &str,
    ) -> Result<BoxStream<'static, Result<Bytes, CliError>>, CliError> {
        self.bytes(path, "text/event-stream").await
    }

    /// The bytes of an answer, as they come.
    pub(super) async fn bytes(
        &self,
        path: &str,
        accept: &str,
    ) -> Result<BoxStream<'static, Result<Bytes, CliError>>, CliError> {
        let (status, stream) = self.send(Method::GET, path, accept, None).await?;
        if status.is_success() {
            return Ok(stream);
        }
        let bytes = collect(stream).await?;
        Err(problem(status, &bytes))
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        accept: &str,
        body: Option<&Value>,
    ) -> Result<(StatusCode, BoxStream<'static, Result<Bytes, CliError>>), CliError> {
        let body = body.map(Value::to_string);
        match self {
            Self::Remote { base_url, http } => {
                let mut request = http
                    .request(method, format!("{base_url}{path}"))
                    .header(header::ACCEPT, accept);
                if let Some(body) = body {
                    request = request
                        .header(header::CONTENT_TYPE, "application/json")
                        .body(body);
                }
                let response = request.send().await.map_err(|error| {
                    CliError::failed(format!("no answer from `{base_url}`: {}", root(&error)))
                        .with_hint("start a host with `infinity serve`, or look at its log")
                })?;
                let status = response.status();
                let stream = response.bytes_stream().map_err(|error| broken(&error));
                Ok((status, stream.boxed()))
            }
            Self::Local(router) => {
                let request = Request::builder()
                    .method(method)
                    .uri(path)
                    .header(header::ACCEPT, accept)
                    .header(header::CONTENT_TYPE, "application/json")
                    .body(body.map_or_else(Body::empty, Body::from))
                    .map_err(|error| CliError::input(format!("`{path}` is no path: {error}")))?;
                let response = match router.clone().oneshot(request).await {
                    Ok(response) => response,
                    Err(never) => match never {},
                };
                let status = response.status();
                let stream = response
                    .into_body()
                    .into_data_stream()
                    .map_err(|error| broken(&error));
                Ok((status, stream.boxed()))
            }
        }
    }
}

fn broken(error: &dyn std::error::Error) -> CliError {
    CliError::failed(format!("the answer broke off: {}", root(error)))
}

/// The innermost cause: the outer ones only say that a request failed.
fn root(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(cause) = deepest.source() {
        deepest = cause;
    }
    deepest.to_string()
}

async fn collect(
    mut stream: BoxStream<'static, Result<Bytes, CliError>>,
) -> Result<Bytes, CliError> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = stream.try_next().await? {
        if bytes.len() + chunk.len() > ANSWER_MAX_BYTES {
            return Err(CliError::failed(format!(
                "the answer is over {ANSWER_MAX_BYTES} bytes"
            )));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

fn read_json<T: DeserializeOwned>(status: StatusCode, bytes: &[u8]) -> Result<T, CliError> {
    if !status.is_success() {
        return Err(problem(status, bytes));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        CliError::failed(format!("the answer is not what was expected: {error}"))
            .with_hint("is the host that runs of the same version? compare `infinity --version` with `/health`")
    })
}

fn problem(status: StatusCode, bytes: &[u8]) -> CliError {
    match serde_json::from_slice::<Problem>(bytes) {
        Ok(problem) => CliError::Problem(Box::new(problem)),
        Err(_) => CliError::failed(format!("the host answered {status}")),
    }
}

/// A part of a path or query, percent-encoded.
pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Json;
    use axum::routing::get;

    #[test]
    fn a_part_of_a_path_stays_one_part() {
        assert_eq!(encode("a/b?c&d é.json"), "a%2Fb%3Fc%26d%20%C3%A9.json");
    }

    #[tokio::test]
    async fn a_local_host_answers_like_a_remote_one() {
        let router = axum::Router::new()
            .route("/ok", get(async || Json(serde_json::json!({"a": 1}))))
            .route("/bad", get(async || StatusCode::NOT_FOUND));
        let client = Client::local(router);
        let value: Value = client.get("/ok").await.expect("answers");
        assert_eq!(value["a"], 1);
        let error = client.get::<Value>("/bad").await.expect_err("is not there");
        assert!(error.to_string().contains("404"), "{error}");
    }
}
