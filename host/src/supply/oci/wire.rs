//! One request to a registry: where it may go, who asks, and how much of the answer is read.

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Response, StatusCode, Url};

use super::challenge::{self, Challenge};
use super::credentials::{self, Credentials};
use super::{OciError, Options};
use crate::sandbox::http::vet;
use crate::supply::reference::Reference;

/// How long the connection may take.
const CONNECT: Duration = Duration::from_secs(10);

/// How long nothing may come.
const SILENCE: Duration = Duration::from_secs(30);

/// How long one request may take: the largest component over a line of two megabits.
const DEADLINE: Duration = Duration::from_secs(600);

/// Redirects of one request: registries keep blobs in a store of their own, one step away.
const REDIRECTS_MAX: usize = 5;

/// Bytes of a token service's answer.
const TOKEN_MAX_BYTES: u64 = 64 * 1024;

/// Bytes of an answer that are read for its words.
const WORDS_MAX_BYTES: u64 = 16 * 1024;

/// Characters of a registry's own words in a message.
const WORDS_MAX: usize = 300;

/// A way to one registry.
pub(super) struct Wire {
    http: reqwest::Client,
    registry: String,
    base: Url,
    /// Besides public addresses.
    private: Vec<IpNet>,
    /// Whether anything but the registry itself may be asked without TLS.
    plain_http: bool,
    credentials: Option<Credentials>,
    /// What says who asks, once the registry wanted to know.
    authorization: Mutex<Option<HeaderValue>>,
}

/// Looks names up, and answers addresses that may be dialled, or none.
struct Vetted(Vec<IpNet>);

impl Resolve for Vetted {
    fn resolve(&self, name: Name) -> Resolving {
        let private = self.0.clone();
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            // All of them: which is dialled is not decided here.
            for address in &found {
                vetted(address.ip(), &private).map_err(Refused)?;
            }
            let addresses: Addrs = Box::new(found.into_iter());
            Ok(addresses)
        })
    }
}

/// An address that is not dialled.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refused(String);

/// The text of a header, if it has one.
pub(super) fn header(answer: &Response, name: &str) -> Option<String> {
    let value = answer.headers().get(name)?;
    value.to_str().ok().map(str::to_owned)
}

impl Wire {
    pub(super) fn new(reference: &Reference, options: &Options) -> Result<Self, OciError> {
        let plain = options.plain_http || reference.is_loopback();
        let scheme = if plain { "http" } else { "https" };
        let registry = reference.registry.as_str();
        // Docker's own is reached by another name than it has.
        let host = if registry == "docker.io" {
            "registry-1.docker.io"
        } else {
            registry
        };
        let base = Url::parse(&format!("{scheme}://{host}"))
            .map_err(|error| OciError::Here(format!("`{registry}` is no host: {error}")))?;
        let private = ranges_of(options.private, reference.is_loopback());
        let mut http = reqwest::Client::builder()
            .no_proxy()
            .user_agent(concat!("infinity/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .timeout(DEADLINE);
        let here = |error: &dyn std::fmt::Display| OciError::Here(error.to_string());
        match &options.proxy {
            // Behind a proxy the proxy looks names up, and its own address was chosen by the operator.
            Some(proxy) if !reference.is_loopback() => {
                http = http.proxy(reqwest::Proxy::all(proxy).map_err(|error| here(&error))?);
            }
            _ => http = http.dns_resolver(Arc::new(Vetted(private.clone()))),
        }
        if let Some(file) = &options.ca_file {
            http = authorities(http, file)?;
        }
        let credentials = match credentials::file(&|name| std::env::var(name).ok()) {
            Some(file) => credentials::read(&file, &reference.registry).map_err(OciError::Here)?,
            None => None,
        };
        Ok(Self {
            http: http.build().map_err(|error| here(&error))?,
            registry: registry.to_owned(),
            base,
            private,
            plain_http: plain,
            credentials,
            authorization: Mutex::default(),
        })
    }

    /// Asks for something.
    pub(super) async fn get(
        &self,
        path: &str,
        accept: Option<HeaderValue>,
    ) -> Result<Response, OciError> {
        let mut headers = HeaderMap::new();
        if let Some(accept) = accept {
            headers.insert(ACCEPT, accept);
        }
        let url = self.at(path)?;
        self.send(Method::GET, url, headers, Bytes::new()).await
    }

    /// Asks whether something is there.
    pub(super) async fn head(&self, path: &str) -> Result<Response, OciError> {
        let url = self.at(path)?;
        self.send(Method::HEAD, url, HeaderMap::new(), Bytes::new())
            .await
    }

    /// Begins something.
    pub(super) async fn post(&self, path: &str) -> Result<Response, OciError> {
        let url = self.at(path)?;
        self.send(Method::POST, url, HeaderMap::new(), Bytes::new())
            .await
    }

    /// Puts a manifest.
    pub(super) async fn put(
        &self,
        path: &str,
        media_type: &'static str,
        body: Bytes,
    ) -> Result<Response, OciError> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        let url = self.at(path)?;
        self.send(Method::PUT, url, headers, body).await
    }

    /// Puts bytes where the registry said.
    pub(super) async fn upload(
        &self,
        location: &str,
        digest: &str,
        body: Bytes,
    ) -> Result<Response, OciError> {
        let mut url = self.at(location)?;
        url.query_pairs_mut().append_pair("digest", digest);
        let mut headers = HeaderMap::new();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        );
        self.send(Method::PUT, url, headers, body).await
    }

    /// A path, or an address that the registry named.
    fn at(&self, path: &str) -> Result<Url, OciError> {
        self.base.join(path).map_err(|_| OciError::Unreachable {
            host: self.registry.clone(),
            why: "it names an address that is none".into(),
        })
    }

    async fn send(
        &self,
        method: Method,
        mut url: Url,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response, OciError> {
        let mut asked_who = false;
        let mut redirects = 0;
        loop {
            self.check(&url)?;
            let own = url.origin() == self.base.origin();
            let mut request = self
                .http
                .request(method.clone(), url.clone())
                .headers(headers.clone());
            if own && let Some(authorization) = self.authorization() {
                request = request.header(AUTHORIZATION, authorization);
            }
            if method == Method::POST || method == Method::PUT {
                request = request.body(body.clone());
            }
            let answer = request.send().await.map_err(|error| failed(&url, &error))?;
            let status = answer.status();
            if status == StatusCode::UNAUTHORIZED && own && !asked_who {
                asked_who = true;
                self.say_who(&answer).await?;
                continue;
            }
            let follows =
                status.is_redirection() && (method == Method::GET || method == Method::HEAD);
            let Some(location) = header(&answer, "location").filter(|_| follows) else {
                return Ok(answer);
            };
            redirects += 1;
            if redirects > REDIRECTS_MAX {
                return Err(OciError::Unreachable {
                    host: shown(&url),
                    why: "it sends on and on".into(),
                });
            }
            url = url.join(&location).map_err(|_| OciError::Unreachable {
                host: shown(&url),
                why: "it sends to an address that is none".into(),
            })?;
        }
    }

    /// Whether an address may be asked. Names are vetted when they are looked up.
    fn check(&self, url: &Url) -> Result<(), OciError> {
        let denied = |why: String| OciError::Denied {
            host: shown(url),
            why,
        };
        match url.scheme() {
            "https" => {}
            "http" if self.plain_http => {}
            "http" => {
                return Err(denied(
                    "it would be asked without TLS; `--plain-http` allows that".into(),
                ));
            }
            other => return Err(denied(format!("`{other}:` is not fetched from"))),
        }
        let address = url
            .host_str()
            .map(|host| host.trim_start_matches('[').trim_end_matches(']'))
            .and_then(|host| host.parse::<IpAddr>().ok());
        if let Some(address) = address {
            vetted(address, &self.private).map_err(denied)?;
        }
        Ok(())
    }

    fn authorization(&self) -> Option<HeaderValue> {
        self.authorization
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Does what the registry wants of who asks.
    async fn say_who(&self, answer: &Response) -> Result<(), OciError> {
        let unauthorized = |why: &str| OciError::Unauthorized {
            registry: self.registry.clone(),
            why: why.to_owned(),
        };
        let challenge = answer
            .headers()
            .get_all("www-authenticate")
            .iter()
            .find_map(|value| challenge::parse(value.to_str().ok()?))
            .ok_or_else(|| unauthorized("it does not say how"))?;
        let mut value = match challenge {
            Challenge::Basic => self.basic().ok_or_else(|| {
                unauthorized(
                    "no name and password for it are in `auths` of `~/.docker/config.json`",
                )
            })?,
            Challenge::Bearer {
                realm,
                service,
                scope,
            } => {
                let token = self.token(&realm, service, scope).await?;
                HeaderValue::try_from(format!("Bearer {token}"))
                    .map_err(|_| unauthorized("its token service answers no token"))?
            }
        };
        value.set_sensitive(true);
        *self
            .authorization
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(value);
        Ok(())
    }

    fn basic(&self) -> Option<HeaderValue> {
        let credentials = self.credentials.as_ref()?;
        let pair = format!("{}:{}", credentials.name, credentials.password.expose());
        let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair))).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    async fn token(
        &self,
        realm: &str,
        service: Option<String>,
        scope: Option<String>,
    ) -> Result<String, OciError> {
        let unauthorized = |why: String| OciError::Unauthorized {
            registry: self.registry.clone(),
            why,
        };
        let mut url = Url::parse(realm)
            .map_err(|_| unauthorized("its token service has no address".into()))?;
        self.check(&url)?;
        for (name, value) in [("service", service), ("scope", scope)] {
            if let Some(value) = value {
                url.query_pairs_mut().append_pair(name, &value);
            }
        }
        let mut request = self.http.get(url.clone());
        if let Some(basic) = self.basic() {
            request = request.header(AUTHORIZATION, basic);
        }
        let answer = request.send().await.map_err(|error| failed(&url, &error))?;
        let status = answer.status();
        if !status.is_success() {
            let known = if self.credentials.is_some() {
                "the name and password in `~/.docker/config.json` are not taken"
            } else {
                "no name and password for it are in `auths` of `~/.docker/config.json`"
            };
            return Err(unauthorized(format!(
                "its token service answers {}, and {known}",
                status.as_u16()
            )));
        }
        let bytes = self
            .body(answer, TOKEN_MAX_BYTES, "the token service's answer")
            .await?;
        let answer: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
        ["token", "access_token"]
            .iter()
            .find_map(|name| answer[name].as_str())
            .map(str::to_owned)
            .ok_or_else(|| unauthorized("its token service answers no token".into()))
    }

    /// An answer that says yes, or why it does not.
    pub(super) async fn well(&self, answer: Response) -> Result<Response, OciError> {
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let host = shown(answer.url());
        let words = self.body(answer, WORDS_MAX_BYTES, "the answer").await;
        let words = words.unwrap_or_default();
        let said = said(&String::from_utf8_lossy(&words));
        if status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN {
            return Err(OciError::Unauthorized {
                registry: self.registry.clone(),
                why: format!("it answers {}: {said}", status.as_u16()),
            });
        }
        Err(OciError::Status {
            host,
            status: status.as_u16(),
            said,
        })
    }

    /// The body, if it has at most so many bytes.
    pub(super) async fn body(
        &self,
        mut answer: Response,
        max: u64,
        what: &str,
    ) -> Result<Bytes, OciError> {
        let too_large = || OciError::TooLarge {
            what: what.to_owned(),
            max,
        };
        if answer.content_length().is_some_and(|length| length > max) {
            return Err(too_large());
        }
        let url = answer.url().clone();
        let mut bytes = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| failed(&url, &error))? {
            if (bytes.len() + chunk.len()) as u64 > max {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.freeze())
    }
}

/// Whether an address may be dialled, and what would allow it.
fn vetted(address: IpAddr, private: &[IpNet]) -> Result<(), String> {
    vet(address, private).map_err(|why| {
        if vet(address, &ranges_of(true, false)).is_ok() {
            format!("{why}; `--private` allows private networks")
        } else {
            why
        }
    })
}

/// What may be dialled besides public addresses. Some addresses never may, whatever is allowed.
fn ranges_of(private: bool, loopback: bool) -> Vec<IpNet> {
    let written: &[&str] = match (private, loopback) {
        (true, _) => &["0.0.0.0/0", "::/0"],
        (false, true) => &["127.0.0.0/8", "::1/128"],
        (false, false) => &[],
    };
    written
        .iter()
        .filter_map(|range| range.parse().ok())
        .collect()
}

fn authorities(
    mut http: reqwest::ClientBuilder,
    file: &Path,
) -> Result<reqwest::ClientBuilder, OciError> {
    let wrong = |why: String| OciError::Here(format!("`{}` cannot be used: {why}", file.display()));
    let pem = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
    let found =
        reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| wrong(error.to_string()))?;
    for one in found {
        http = http.add_root_certificate(one);
    }
    Ok(http)
}

/// Host and port of an address; its path and query may be secret.
fn shown(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Why there was no answer.
fn failed(url: &Url, error: &reqwest::Error) -> OciError {
    let host = shown(url);
    // The innermost cause is the one that says something.
    let mut cause: &(dyn std::error::Error + 'static) = error;
    while let Some(inner) = cause.source() {
        if inner.downcast_ref::<Refused>().is_some() {
            return OciError::Denied {
                host,
                why: inner.to_string(),
            };
        }
        cause = inner;
    }
    let why = if error.is_timeout() {
        "it takes too long".to_owned()
    } else {
        cause.to_string()
    };
    OciError::Unreachable { host, why }
}

/// What a registry says, as far as a person wants to read it.
fn said(text: &str) -> String {
    let answer: serde_json::Value = serde_json::from_str(text).unwrap_or_default();
    let first = &answer["errors"][0];
    let words = match (first["code"].as_str(), first["message"].as_str()) {
        (Some(code), Some(message)) => format!("{code}, {message}"),
        (Some(code), None) => code.to_owned(),
        _ => text.trim().to_owned(),
    };
    let mut short: String = words.chars().take(WORDS_MAX).collect();
    if words.chars().count() > WORDS_MAX {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(registry: &str, options: &Options) -> Wire {
        let reference: Reference = format!("{registry}/a:1").parse().unwrap();
        Wire::new(&reference, options).unwrap()
    }

    fn allowed(wire: &Wire, url: &str) -> bool {
        wire.check(&Url::parse(url).unwrap()).is_ok()
    }

    #[test]
    fn a_registry_far_away_leads_nowhere_near() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let far = wire("registry.example", &Options::default());
        assert_eq!(far.base.as_str(), "https://registry.example/");
        assert!(allowed(&far, "https://blobs.example/x"));
        for near in [
            "http://blobs.example/x",
            "https://10.0.0.1/x",
            "https://127.0.0.1/x",
            "https://[::1]/x",
            "https://169.254.169.254/x",
            "file:///etc/passwd",
        ] {
            assert!(!allowed(&far, near), "{near}");
        }
        let private = Options {
            private: true,
            ..Options::default()
        };
        let far = wire("registry.example", &private);
        assert!(allowed(&far, "https://10.0.0.1/x"));
        assert!(!allowed(&far, "https://169.254.169.254/x"));
    }

    #[test]
    fn a_registry_on_this_machine_is_asked_without_tls() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let near = wire("127.0.0.1:5000", &Options::default());
        assert_eq!(near.base.as_str(), "http://127.0.0.1:5000/");
        assert!(allowed(&near, "http://127.0.0.1:5000/v2/"));
        assert!(!allowed(&near, "http://10.0.0.1/v2/"));
    }

    #[test]
    fn an_errors_words_are_the_registrys() {
        assert_eq!(
            said(r#"{"errors":[{"code":"DENIED","message":"no"}]}"#),
            "DENIED, no"
        );
        assert_eq!(said(" nothing "), "nothing");
        assert_eq!(said(&"x".repeat(400)).chars().count(), WORDS_MAX + 1);
    }
}
