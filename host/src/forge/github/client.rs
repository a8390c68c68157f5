//! Requests to GitHub's REST API.
//!
//! Invariants: what changes something is sent one after the other, as GitHub asks; while GitHub wants to be left alone nothing is sent; an answer is bounded, and one that was seen before is asked
//! for by its tag. Only the API's own address ever gets a token: no redirect and no link to elsewhere is followed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::access::Access;
use crate::config::Secret;
use crate::dev::Recorder;
use crate::forge::{ForgeError, shown};
use crate::model::now;
use crate::telemetry;

/// How long a request may take: GitHub itself gives up after ten seconds, and a proxy may stand between.
const DEADLINE: Duration = Duration::from_secs(30);

/// How long the connection may take.
const CONNECT: Duration = Duration::from_secs(10);

/// Bytes of an answer: a page of a hundred pull requests has about two million.
const ANSWER_MAX: usize = 16 * 1024 * 1024;

/// Answers kept with their tags, and how large each may be.
const TAGGED_MAX: usize = 512;
const TAGGED_BYTES_MAX: usize = 256 * 1024;

/// How long GitHub is left alone when it does not say how long.
const PAUSE: SignedDuration = SignedDuration::from_secs(60);

/// The longest time that GitHub is left alone: its own windows last an hour.
const PAUSE_MAX: SignedDuration = SignedDuration::from_hours(1);

/// Characters of GitHub's own words in a message.
const WORDS_MAX: usize = 500;

/// The version of the API whose answers this reads.
const VERSION: &str = "2022-11-28";

/// Entries of a page.
pub(super) const PAGE: usize = 100;

/// Why a request did not do what it was for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RequestError {
    /// GitHub said no.
    #[error("{message}")]
    Status {
        /// The status.
        status: u16,
        /// One sentence.
        message: String,
    },
    /// It may work later. Whether it took effect is for whoever asked to find out.
    #[error("{0}")]
    Later(String),
}

impl From<RequestError> for ForgeError {
    fn from(error: RequestError) -> Self {
        match error {
            // What the host may do is for an operator to mend, and nothing is lost until then.
            RequestError::Status {
                status: 401,
                message,
            } => Self::Unavailable(message),
            RequestError::Status {
                status: 404,
                message,
            } => Self::NotFound(message),
            RequestError::Status { message, .. } => Self::Other(message),
            RequestError::Later(message) => Self::Unavailable(message),
        }
    }
}

/// As whom a request is sent.
#[derive(Clone, Copy, Debug)]
pub(super) enum As<'a> {
    /// The App itself.
    App,
    /// Whoever may work on a repository, `owner/name`.
    Worker(&'a str),
}

/// An answer.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) body: Arc<Value>,
    /// The path of the next page.
    pub(super) next: Option<String>,
}

struct Tagged {
    tag: String,
    answer: Answer,
}

/// The API, and what is known of it.
pub(super) struct Client {
    http: reqwest::Client,
    api: String,
    pub(super) access: Access,
    tagged: Mutex<HashMap<String, Tagged>>,
    /// Nothing is sent before.
    until: Mutex<Option<Timestamp>>,
    /// Requests left in GitHub's window; the highest number while none was told.
    left: AtomicU64,
    /// Held while a change is sent.
    changing: tokio::sync::Mutex<()>,
    /// Held while a token is asked for.
    installing: tokio::sync::Mutex<()>,
    /// Whether nothing is asked of GitHub.
    suspended: AtomicBool,
    /// What takes changes in place of GitHub, in dev mode.
    recorder: Option<Arc<Recorder>>,
}

fn cut(text: &str) -> String {
    let mut short: String = text.chars().take(WORDS_MAX).collect();
    if text.chars().count() > WORDS_MAX {
        short.push('…');
    }
    short
}

impl Client {
    /// A client of the API at `api`.
    pub(super) fn new(
        http: reqwest::ClientBuilder,
        api: &str,
        access: Access,
        recorder: Option<Arc<Recorder>>,
    ) -> reqwest::Result<Self> {
        Ok(Self {
            http: http
                .user_agent(concat!("infinity/", env!("CARGO_PKG_VERSION")))
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(CONNECT)
                .timeout(DEADLINE)
                .build()?,
            api: api.to_owned(),
            access,
            tagged: Mutex::default(),
            until: Mutex::default(),
            left: AtomicU64::new(u64::MAX),
            changing: tokio::sync::Mutex::default(),
            installing: tokio::sync::Mutex::default(),
            suspended: AtomicBool::new(false),
            recorder,
        })
    }

    /// Until when GitHub wants to be left alone.
    pub(super) fn until(&self) -> Option<Timestamp> {
        self.until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .filter(|until| *until > now())
    }

    /// Requests left in GitHub's window, if it said.
    pub(super) fn left(&self) -> Option<u64> {
        Some(self.left.load(Ordering::Relaxed)).filter(|left| *left != u64::MAX)
    }

    /// Asks nothing of GitHub any more, or asks again.
    pub(super) fn suspend(&self, suspended: bool) {
        self.suspended.store(suspended, Ordering::SeqCst);
    }

    /// Gives all tokens back, so that nobody can use them, and answers how many were given back.
    pub(super) async fn give_back(&self) -> usize {
        let mut given = 0;
        for token in self.access.take() {
            let sent = self
                .http
                .delete(format!("{}/installation/token", self.api))
                .bearer_auth(token.expose())
                .header("accept", "application/vnd.github+json")
                .header("x-github-api-version", VERSION)
                .send()
                .await;
            match sent {
                Ok(answer) if answer.status().is_success() => given += 1,
                Ok(answer) => {
                    tracing::warn!("GitHub did not take a token back: {}", answer.status())
                }
                Err(error) => {
                    tracing::warn!("GitHub did not take a token back: {}", reason(&error))
                }
            }
        }
        given
    }

    fn check_suspended(&self) -> Result<(), RequestError> {
        if self.suspended.load(Ordering::SeqCst) {
            return Err(RequestError::Later(
                "the kill switch is thrown, so nothing is asked of GitHub".into(),
            ));
        }
        Ok(())
    }

    /// The token for a repository, asked for where there is none that lasts.
    pub(super) async fn token(&self, repository: &str) -> Result<Secret, RequestError> {
        self.check_suspended()?;
        if !self.access.is_app() {
            return self.access.token().map_err(RequestError::Later);
        }
        if let Some(token) = self.access.installed(repository, now()) {
            return Ok(token);
        }
        let _alone = self.installing.lock().await;
        if let Some(token) = self.access.installed(repository, now()) {
            return Ok(token);
        }
        let path = format!("/repos/{repository}/installation");
        let found = match self.once(Method::GET, &path, None, As::App).await {
            Err(RequestError::Status { status: 404, .. }) => Err(RequestError::Status {
                status: 404,
                message: format!(
                    "the GitHub App is not installed on {}; its page on GitHub has `Install App`",
                    shown(repository)
                ),
            }),
            other => other.map_err(in_the_way),
        }?;
        let id = found.body["id"].as_u64().unwrap_or_default();
        let name = repository
            .split_once('/')
            .map_or(repository, |(_, name)| name);
        let path = format!("/app/installations/{id}/access_tokens");
        let body = json!({ "repositories": [name] });
        let made = self.once(Method::POST, &path, Some(&body), As::App).await;
        let made = made.map_err(in_the_way)?;
        let token = made.body["token"].as_str();
        let expires = made.body["expires_at"]
            .as_str()
            .and_then(|text| text.parse::<Timestamp>().ok());
        let (Some(token), Some(expires)) = (token, expires) else {
            return Err(RequestError::Later(
                "GitHub's answer to the request for a token has none".into(),
            ));
        };
        let token = Secret::new(token);
        self.access
            .install(repository, token.clone(), expires, now());
        Ok(token)
    }

    /// Asks for something.
    pub(super) async fn get(&self, path: &str, who: As<'_>) -> Result<Answer, RequestError> {
        self.sent(Method::GET, path, None, who).await
    }

    /// All entries of a list, at most so many pages of it.
    pub(super) async fn pages(
        &self,
        path: &str,
        who: As<'_>,
        member: Option<&str>,
        pages_max: usize,
    ) -> Result<Vec<Value>, RequestError> {
        let mut entries = Vec::new();
        let mut next = Some(path.to_owned());
        for _ in 0..pages_max {
            let Some(path) = next else { break };
            let answer = self.get(&path, who).await?;
            let list = match member {
                Some(member) => &answer.body[member],
                None => &*answer.body,
            };
            entries.extend(list.as_array().into_iter().flatten().cloned());
            next = answer.next;
        }
        Ok(entries)
    }

    /// Changes something. In dev mode it is recorded and refused: what GitHub would have answered nobody knows.
    pub(super) async fn change(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        who: As<'_>,
    ) -> Result<Answer, RequestError> {
        if let Some(recorder) = &self.recorder {
            let what = json!({ "method": method.as_str(), "path": path, "body": body });
            recorder.would_send("github", &self.api, &what);
            return Err(RequestError::Status {
                status: 403,
                message: format!(
                    "nothing is changed on GitHub in dev mode; what would have been sent is in `{}`",
                    recorder.file().display()
                ),
            });
        }
        let _alone = self.changing.lock().await;
        self.sent(method, path, body, who).await
    }

    async fn sent(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        who: As<'_>,
    ) -> Result<Answer, RequestError> {
        match (self.once(method.clone(), path, body, who).await, who) {
            // Tokens are taken back, too: by a person, or by the end of an installation.
            (Err(RequestError::Status { status: 401, .. }), As::Worker(repository))
                if self.access.is_app() =>
            {
                self.access.forget(repository);
                self.once(method, path, body, who).await
            }
            (answer, _) => answer,
        }
    }

    async fn once(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        who: As<'_>,
    ) -> Result<Answer, RequestError> {
        self.check_suspended()?;
        if let Some(until) = self.until() {
            return Err(RequestError::Later(format!(
                "GitHub wants to be left alone until {until}"
            )));
        }
        let token = match who {
            As::App => self.access.jwt(now()).map_err(RequestError::Later)?,
            As::Worker(repository) => Box::pin(self.token(repository)).await?,
        };
        let asks = method == Method::GET;
        let what = format!("`{method} {}`", path.split('?').next().unwrap_or_default());
        let verb = method.clone();
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.api))
            .bearer_auth(token.expose())
            .header("accept", "application/vnd.github+json")
            .header("x-github-api-version", VERSION);
        // What a token may see is its own, so another's answer is not taken for it.
        let key = match who {
            As::App => path.to_owned(),
            As::Worker(repository) => format!("{repository} {path}"),
        };
        if asks && let Some(tag) = self.tag(&key) {
            request = request.header("if-none-match", tag);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let host = self.api.split('/').nth(2).unwrap_or_default();
        let sent = telemetry::sending(verb.as_str(), host, request.send(), |answer| match answer {
            Ok(answer) => (Some(answer.status().as_u16()), None),
            Err(error) => (None, Some(reason(error))),
        });
        let answer = sent.await.map_err(|error| {
            RequestError::Later(format!(
                "GitHub did not answer to {what}: {}",
                if error.is_timeout() {
                    "it took too long".to_owned()
                } else {
                    reason(&error)
                }
            ))
        })?;
        self.note_limits(&answer);
        let status = answer.status();
        if status == StatusCode::NOT_MODIFIED {
            let tagged = self.tagged.lock().unwrap_or_else(PoisonError::into_inner);
            return tagged
                .get(&key)
                .map(|one| one.answer.clone())
                .ok_or_else(|| {
                    RequestError::Later(format!("GitHub's answer to {what} was dropped meanwhile"))
                });
        }
        let header = |name: &str| {
            let value = answer.headers().get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        let (tag, link, needs, wait, left) = (
            header("etag"),
            header("link"),
            header("x-accepted-github-permissions"),
            header("retry-after").and_then(|text| text.parse::<i64>().ok()),
            header("x-ratelimit-remaining"),
        );
        let reset = header("x-ratelimit-reset")
            .and_then(|text| text.parse::<i64>().ok())
            .and_then(|seconds| Timestamp::from_second(seconds).ok());
        let bytes = read(answer, &what).await?;
        let body: Value = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).unwrap_or(Value::Null)
        };
        if status.is_success() {
            let answer = Answer {
                body: Arc::new(body),
                next: link.as_deref().and_then(|link| self.next(link)),
            };
            if asks
                && bytes.len() <= TAGGED_BYTES_MAX
                && let Some(tag) = tag
            {
                let mut tagged = self.tagged.lock().unwrap_or_else(PoisonError::into_inner);
                if tagged.len() >= TAGGED_MAX {
                    tagged.clear();
                }
                let answer = answer.clone();
                tagged.insert(key, Tagged { tag, answer });
            }
            return Ok(answer);
        }
        let words = words(&body);
        let limited = matches!(status.as_u16(), 403 | 429)
            && (wait.is_some()
                || left.as_deref() == Some("0")
                || status == StatusCode::TOO_MANY_REQUESTS
                || words.contains("secondary rate limit"));
        if limited {
            let until = match wait {
                Some(seconds) => now()
                    .saturating_add(SignedDuration::from_secs(seconds.max(0)))
                    .ok(),
                None => reset.filter(|_| left.as_deref() == Some("0")),
            };
            self.rest(until);
            return Err(RequestError::Later(format!(
                "GitHub limits the rate of requests: {words}"
            )));
        }
        let message = format!("GitHub answered {} to {what}: {words}", status.as_u16());
        if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT {
            return Err(RequestError::Later(message));
        }
        let help = match status.as_u16() {
            401 => "; the App's key or the token in `[github]` is not (or no longer) accepted"
                .to_owned(),
            403 => needs.map_or_else(String::new, |needs| {
                format!("; it takes the permission {}", shown(&needs))
            }),
            _ => String::new(),
        };
        Err(RequestError::Status {
            status: status.as_u16(),
            message: message + &help,
        })
    }

    fn tag(&self, key: &str) -> Option<String> {
        let tagged = self.tagged.lock().unwrap_or_else(PoisonError::into_inner);
        tagged.get(key).map(|one| one.tag.clone())
    }

    /// GitHub is left alone until then.
    fn rest(&self, until: Option<Timestamp>) {
        let now = now();
        let after = |span: SignedDuration| now.saturating_add(span).unwrap_or(now);
        let until = until.unwrap_or_else(|| after(PAUSE)).min(after(PAUSE_MAX));
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }

    fn note_limits(&self, answer: &Response) {
        let number = |name: &str| {
            let value = answer.headers().get(name)?.to_str().ok()?;
            value.parse::<u64>().ok()
        };
        if let Some(left) = number("x-ratelimit-remaining") {
            self.left.store(left, Ordering::Relaxed);
        }
    }

    /// The path of the next page, if it is one of this API.
    fn next(&self, link: &str) -> Option<String> {
        link.split(',').find_map(|one| {
            let (target, rest) = one.trim().strip_prefix('<')?.split_once('>')?;
            let path = target.strip_prefix(&self.api)?;
            (rest.contains("rel=\"next\"") && path.starts_with('/')).then(|| path.to_owned())
        })
    }
}

/// A refusal that is about the host and not about what it asks for: an installation that is suspended, a key that was changed. Nothing is lost until somebody mends it.
fn in_the_way(error: RequestError) -> RequestError {
    RequestError::Later(error.to_string())
}

/// The innermost reason of a failed request; the outer ones repeat the address.
fn reason(error: &reqwest::Error) -> String {
    let mut deepest: &dyn std::error::Error = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

/// GitHub's own words for what is wrong.
fn words(body: &Value) -> String {
    let mut words = body["message"]
        .as_str()
        .unwrap_or("no reason given")
        .to_owned();
    for error in body["errors"].as_array().into_iter().flatten().take(5) {
        let said = error["message"]
            .as_str()
            .or(error.as_str())
            .map(str::to_owned)
            .or_else(|| {
                let field = error["field"].as_str()?;
                Some(format!(
                    "{field} is {}",
                    error["code"].as_str().unwrap_or("wrong")
                ))
            });
        if let Some(said) = said {
            words.push_str("; ");
            words.push_str(&said);
        }
    }
    cut(words.trim_end_matches('.')).escape_debug().to_string()
}

async fn read(mut answer: Response, what: &str) -> Result<Vec<u8>, RequestError> {
    let mut bytes = Vec::new();
    loop {
        match answer.chunk().await {
            Ok(Some(chunk)) if bytes.len() + chunk.len() <= ANSWER_MAX => {
                bytes.extend_from_slice(&chunk);
            }
            Ok(Some(_)) => {
                return Err(RequestError::Status {
                    status: 200,
                    message: format!("GitHub's answer to {what} has more than 16 MiB"),
                });
            }
            Ok(None) => return Ok(bytes),
            Err(error) => {
                return Err(RequestError::Later(format!(
                    "GitHub's answer to {what} broke off: {}",
                    reason(&error)
                )));
            }
        }
    }
}
