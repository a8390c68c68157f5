//! Secrets in a Vault: its KV store of version 2, over its HTTP API.
//!
//! Invariants: a token goes to the configured address alone, as no redirect is followed; every request has a deadline and every answer a bound; a new value is written by compare-and-set, so that two
//! hosts never overwrite one another's; no value is in a message.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use reqwest::{Method, StatusCode};
use serde_json::{Map, Value, json};

use crate::config::{Secret, VaultConfig, VaultLogin, VaultPlace};

/// How long a request may take: Vault is asked while people wait for a start.
const DEADLINE: Duration = Duration::from_secs(10);

/// How long the connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// Bytes of an answer: what Vault's store takes for one secret.
const ANSWER_MAX: usize = 1024 * 1024;

/// Characters of Vault's own words in a message.
const WORDS_MAX: usize = 200;

/// What of a token's time is left when it is renewed: a third.
const RENEW_AT: u32 = 3;

/// Why Vault did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// No answer came.
    #[error("Vault at {address} cannot be reached: {reason}")]
    Unreachable {
        /// Its address.
        address: String,
        /// One clause.
        reason: String,
    },
    /// It knows who asks, or does not, and says no.
    #[error("Vault does not let this host {what}: {words}")]
    Denied {
        /// What was to be done.
        what: String,
        /// Vault's own.
        words: String,
    },
    /// There is nothing.
    #[error("Vault has nothing at `{0}`")]
    Missing(String),
    /// It was changed meanwhile.
    #[error("`{0}` in Vault was changed by somebody else meanwhile; try again")]
    Moved(String),
    /// It wants to be left alone, is sealed or stands by.
    #[error("Vault is not available: {0}")]
    Unavailable(String),
    /// It said what nobody expects.
    #[error("Vault answered what the host does not understand: {0}")]
    Odd(String),
}

/// What is at a place.
pub(super) struct Found {
    pub(super) value: Secret,
    pub(super) version: u64,
    pub(super) created_at: Timestamp,
}

/// The secret at a path, with all its fields.
struct Document {
    fields: Map<String, Value>,
    version: u64,
    created_at: Timestamp,
}

struct Token {
    value: Secret,
    /// When it has to be renewed, and when it ends; none for one that never ends.
    ends: Option<(Instant, Instant)>,
    renewable: bool,
}

/// A Vault, and the token for it.
pub(super) struct Vault {
    http: reqwest::Client,
    pub(super) config: VaultConfig,
    token: Option<Token>,
}

impl Vault {
    /// A client.
    ///
    /// # Errors
    /// When `ca_file` cannot be used.
    pub(super) fn new(config: VaultConfig) -> Result<Self, VaultError> {
        let unusable = |reason: String| VaultError::Unreachable {
            address: config.address.clone(),
            reason,
        };
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("infinity/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .timeout(DEADLINE);
        if let Some(file) = &config.ca_file {
            let pem = std::fs::read(file)
                .map_err(|error| unusable(format!("`{}`: {}", file.display(), error.kind())))?;
            for certificate in reqwest::Certificate::from_pem_bundle(&pem)
                .map_err(|_| unusable(format!("`{}` has no certificate", file.display())))?
            {
                builder = builder.add_root_certificate(certificate);
            }
        }
        let http = builder
            .build()
            .map_err(|_| unusable("no client can be made".into()))?;
        Ok(Self {
            http,
            config,
            token: None,
        })
    }

    /// The value at a place.
    ///
    /// # Errors
    /// See [`VaultError`].
    pub(super) async fn read(&mut self, place: &VaultPlace) -> Result<Found, VaultError> {
        let document = self.document(place, None).await?;
        found(&document, place)
    }

    /// The value of an earlier version; none where it is gone.
    ///
    /// # Errors
    /// See [`VaultError`].
    pub(super) async fn read_version(
        &mut self,
        place: &VaultPlace,
        version: u64,
    ) -> Result<Option<Secret>, VaultError> {
        match self.document(place, Some(version)).await {
            Ok(document) => Ok(found(&document, place).ok().map(|found| found.value)),
            Err(VaultError::Missing(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes a new version with another value in one field, and gives the number of the version before, if there is one.
    ///
    /// # Errors
    /// See [`VaultError`]; [`VaultError::Moved`] when somebody else wrote meanwhile.
    pub(super) async fn write(
        &mut self,
        place: &VaultPlace,
        value: &str,
    ) -> Result<Option<u64>, VaultError> {
        let (mut fields, version) = match self.document(place, None).await {
            Ok(document) => (document.fields, document.version),
            Err(VaultError::Missing(_)) => (Map::new(), self.latest(place).await?),
            Err(error) => return Err(error),
        };
        fields.insert(place.field.clone(), json!(value));
        let path = format!("{}/data/{}", self.config.mount, place.path);
        let body = json!({ "options": { "cas": version }, "data": fields });
        self.ask(Method::POST, &path, Some(&body), &format!("write `{path}`"))
            .await?;
        Ok((version > 0).then_some(version))
    }

    /// Takes an earlier version back, so that nobody reads it any more.
    ///
    /// # Errors
    /// See [`VaultError`].
    pub(super) async fn drop_version(
        &mut self,
        place: &VaultPlace,
        version: u64,
    ) -> Result<(), VaultError> {
        let path = format!("{}/delete/{}", self.config.mount, place.path);
        let body = json!({ "versions": [version] });
        let what = format!("take back version {version} of `{}`", place.path);
        self.ask(Method::POST, &path, Some(&body), &what).await?;
        Ok(())
    }

    /// The number of the latest version, also where that was taken back; 0 where there never was one.
    async fn latest(&mut self, place: &VaultPlace) -> Result<u64, VaultError> {
        let path = format!("{}/metadata/{}", self.config.mount, place.path);
        match self
            .ask(Method::GET, &path, None, &format!("read `{path}`"))
            .await
        {
            Ok(answer) => Ok(answer["data"]["current_version"].as_u64().unwrap_or(0)),
            Err(VaultError::Missing(_)) => Ok(0),
            Err(error) => Err(error),
        }
    }

    async fn document(
        &mut self,
        place: &VaultPlace,
        version: Option<u64>,
    ) -> Result<Document, VaultError> {
        let shown = format!("{}/data/{}", self.config.mount, place.path);
        let path = match version {
            Some(version) => format!("{shown}?version={version}"),
            None => shown.clone(),
        };
        let answer = self
            .ask(Method::GET, &path, None, &format!("read `{shown}`"))
            .await?;
        let data = &answer["data"];
        let metadata = &data["metadata"];
        let document = || {
            Some(Document {
                fields: data["data"].as_object()?.clone(),
                version: metadata["version"].as_u64()?,
                created_at: metadata["created_time"].as_str()?.parse().ok()?,
            })
        };
        document().ok_or_else(|| {
            VaultError::Odd(format!("`{shown}` is no secret of a KV store of version 2"))
        })
    }

    /// Asks with a token that is valid, and once more with a new one where it turns out not to be.
    async fn ask(
        &mut self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        what: &str,
    ) -> Result<Value, VaultError> {
        let token = self.token().await?;
        let answer = self
            .send(method.clone(), path, body, Some(&token), what)
            .await;
        let by_role = matches!(self.config.login, VaultLogin::AppRole { .. });
        if by_role && matches!(answer, Err(VaultError::Denied { .. })) {
            self.token = None;
            let token = self.token().await?;
            return self.send(method, path, body, Some(&token), what).await;
        }
        answer
    }

    /// The token, renewed or asked for where its time is short.
    async fn token(&mut self) -> Result<Secret, VaultError> {
        let (role_id, secret_id) = match self.config.login.clone() {
            VaultLogin::Token(token) => return Ok(token),
            VaultLogin::AppRole { role_id, secret_id } => (role_id, secret_id),
        };
        let now = Instant::now();
        if let Some(token) = &self.token {
            let value = token.value.clone();
            match token.ends {
                None => return Ok(value),
                Some((renew, _)) if now < renew => return Ok(value),
                Some((_, end)) if now < end && token.renewable => {
                    let renewed = self
                        .send(
                            Method::POST,
                            "auth/token/renew-self",
                            Some(&json!({})),
                            Some(&value),
                            "renew its token",
                        )
                        .await;
                    if let Ok(token) = renewed.and_then(|answer| taken(&answer)) {
                        // A token near the end of all its renewals comes back with little time; then a new one is asked for.
                        let is_long = token
                            .ends
                            .is_none_or(|(renew, _)| renew > now + Duration::from_secs(1));
                        let value = token.value.clone();
                        self.token = is_long.then_some(token);
                        if is_long {
                            return Ok(value);
                        }
                    }
                }
                Some(_) => {}
            }
        }
        let body = json!({ "role_id": role_id.expose(), "secret_id": secret_id.expose() });
        let answer = self
            .send(
                Method::POST,
                "auth/approle/login",
                Some(&body),
                None,
                "log in",
            )
            .await?;
        let token = taken(&answer)?;
        let value = token.value.clone();
        self.token = Some(token);
        Ok(value)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        token: Option<&Secret>,
        what: &str,
    ) -> Result<Value, VaultError> {
        let unreachable = |error: &reqwest::Error| VaultError::Unreachable {
            address: self.config.address.clone(),
            reason: if error.is_timeout() {
                format!("no answer within {} s", DEADLINE.as_secs())
            } else if error.is_connect() {
                "no connection can be made".into()
            } else {
                "the connection broke".into()
            },
        };
        let mut request = self
            .http
            .request(method, format!("{}/v1/{path}", self.config.address))
            .header("x-vault-request", "true");
        if let Some(namespace) = &self.config.namespace {
            request = request.header("x-vault-namespace", namespace);
        }
        if let Some(token) = token {
            request = request.header("x-vault-token", token.expose());
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let mut answer = request.send().await.map_err(|error| unreachable(&error))?;
        let status = answer.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| unreachable(&error))? {
            if bytes.len() + chunk.len() > ANSWER_MAX {
                return Err(VaultError::Odd("more than 1 MiB".into()));
            }
            bytes.extend_from_slice(&chunk);
        }
        let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if status.is_success() {
            return Ok(answer);
        }
        Err(refusal(status, &answer, path, what))
    }
}

/// Why an answer is none.
fn refusal(status: StatusCode, answer: &Value, path: &str, what: &str) -> VaultError {
    let words: Vec<&str> = answer["errors"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let words: String = match words.join("; ") {
        words if words.is_empty() => status.to_string(),
        words => words.chars().take(WORDS_MAX).collect(),
    };
    let place = || path.split('?').next().unwrap_or(path).to_owned();
    match status.as_u16() {
        400 if words.contains("check-and-set") => VaultError::Moved(place()),
        // A login with wrong proof is refused with 400, too.
        400 | 401 | 403 => VaultError::Denied {
            what: what.to_owned(),
            words,
        },
        404 => VaultError::Missing(place()),
        429 => VaultError::Unavailable("it asks for fewer requests".into()),
        // Stand-by and recovery have codes of their own.
        472 | 473 | 500..=599 => VaultError::Unavailable(words),
        _ => VaultError::Odd(format!("{what}: {words}")),
    }
}

/// The token of a login or a renewal.
fn taken(answer: &Value) -> Result<Token, VaultError> {
    let auth = &answer["auth"];
    let value = auth["client_token"]
        .as_str()
        .filter(|token| !token.is_empty())
        .ok_or_else(|| VaultError::Odd("a login without a token".into()))?;
    let seconds = auth["lease_duration"].as_u64().unwrap_or(0);
    let lasts = Duration::from_secs(seconds.min(u64::from(u32::MAX)));
    let now = Instant::now();
    Ok(Token {
        value: Secret::new(value),
        ends: (seconds > 0).then(|| (now + lasts - lasts / RENEW_AT, now + lasts)),
        renewable: auth["renewable"].as_bool().unwrap_or(false),
    })
}

fn found(document: &Document, place: &VaultPlace) -> Result<Found, VaultError> {
    let value = document.fields.get(&place.field).and_then(Value::as_str);
    let value = value.filter(|value| !value.is_empty()).ok_or_else(|| {
        VaultError::Missing(format!("{}` in the field `{}", place.path, place.field))
    })?;
    if value.len() > super::VALUE_BYTES_MAX {
        return Err(VaultError::Odd(format!(
            "`{}` has more than 64 KiB",
            place.path
        )));
    }
    Ok(Found {
        value: Secret::new(value),
        version: document.version,
        created_at: document.created_at,
    })
}
