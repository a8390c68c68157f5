//! How people come in by way of a provider: with a browser (authorisation code and PKCE), or from a terminal (device code); and programs, with tokens that a provider made for them.
//!
//! Invariants: an answer counts once, for the browser that asked and within [`PATIENCE`]; what a provider says of somebody is believed only from itself. Everything that waits is bounded.

use super::issuer::{BadToken, Discovery, Issuer, bounded, claimed_issuer, fetch};
use super::keys::random;
use super::person::{Claims, Person, Stranger};
use crate::config::{Config, Identity, Secret, SignInConfig};
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use lru::LruCache;
use oauth2::basic::{BasicErrorResponse, BasicTokenType};
use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken,
    DeviceAuthorizationUrl, EndpointSet, ExtraTokenFields, HttpRequest, HttpResponse,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope, StandardDeviceAuthorizationResponse,
    StandardRevocableToken, StandardTokenResponse, TokenResponse as _, TokenUrl,
};
use reqwest::Client;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, watch};
use tokio_util::task::AbortOnDropHandle;
use utoipa::ToSchema;

/// How long a person may take to sign in elsewhere.
pub const PATIENCE: Duration = Duration::from_secs(600);

/// People who are signing in at once; who began longest ago makes room.
const WAITING: NonZeroUsize = NonZeroUsize::new(10_000).expect("is not zero");
/// Devices that wait at once, each with a request to its provider every few seconds; likewise.
const DEVICES: NonZeroUsize = NonZeroUsize::new(100).expect("is not zero");

/// Questions about devices that wait at once: a tenth of all connections.
const ASKING_MAX: usize = 50;

/// How long a provider may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// How a host is called in requests.
const AGENT: &str = concat!("infinity/", env!("CARGO_PKG_VERSION"));

/// Organisations and teams of a person: pages of a hundred.
const PAGES_MAX: usize = 10;

/// Why somebody does not come in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// There is no such provider.
    #[error("no provider has this name; `[host.sign_in.NAME]` in `plugins.toml` names one")]
    Unknown,
    /// The answer belongs to no question, or to somebody else's, or came too late or twice.
    #[error(
        "this is no answer to a sign-in that this browser began within ten minutes; begin again"
    )]
    State,
    /// The provider says no.
    #[error("the provider says: {0}")]
    Refused(String),
    /// The provider does not answer as it should.
    #[error("the provider is of no use: {0}")]
    Provider(String),
    /// The provider has no way for devices.
    #[error("the provider has no sign-in for devices")]
    NoDevices,
    /// What it signed is wrong.
    #[error("what the provider signed does not count ({})", .0.as_str())]
    Token(BadToken),
    /// Nobody gave them a role.
    #[error(transparent)]
    Stranger(#[from] Stranger),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
}

/// What a provider gives for a code.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Extra {
    id_token: Option<String>,
}

impl ExtraTokenFields for Extra {}

type Tokens = StandardTokenResponse<Extra, BasicTokenType>;

type OAuth = oauth2::Client<
    BasicErrorResponse,
    Tokens,
    oauth2::basic::BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    oauth2::basic::BasicRevocationErrorResponse,
    EndpointSet,
    oauth2::EndpointMaybeSet,
    oauth2::EndpointNotSet,
    oauth2::EndpointNotSet,
    EndpointSet,
>;

/// A provider that can be signed in with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Offer {
    /// Its name.
    pub name: String,
    /// `oidc` or `github`.
    pub kind: String,
}

/// What a person does to let a device in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeviceView {
    /// What to ask this host with whether they did.
    pub handle: String,
    /// What they type at the provider.
    pub user_code: String,
    /// Where.
    pub verification_uri: String,
    /// Where nothing has to be typed, if there is such a place.
    pub verification_uri_complete: Option<String>,
    /// For how many seconds.
    pub expires_in: u64,
}

struct Waiting {
    provider: String,
    nonce: String,
    verifier: String,
    /// What the browser holds, hashed.
    browser: Vec<u8>,
    redirect: String,
    /// Where the person wanted to go.
    to: String,
    began: Instant,
}

type Outcome = Option<Result<Person, Arc<SignInError>>>;

struct Device {
    provider: String,
    began: Instant,
    outcome: watch::Receiver<Outcome>,
    /// One question at a time waits.
    asking: Arc<Semaphore>,
    /// Ends with the entry.
    _polling: AbortOnDropHandle<()>,
}

struct Provider {
    config: SignInConfig,
    issuer: Option<Issuer>,
    http: Client,
}

/// The providers of this host.
pub struct SignIn {
    providers: BTreeMap<String, Arc<Provider>>,
    waiting: Mutex<LruCache<String, Waiting>>,
    devices: Mutex<LruCache<String, Device>>,
    /// Questions about devices that wait, each with a connection.
    asking: Semaphore,
}

/// What a browser takes along to a provider.
pub struct Departure {
    /// Where to.
    pub url: String,
    /// What it brings back beside the answer, which nobody else has.
    pub browser: String,
}

/// How far a device is.
pub enum DeviceState {
    /// The person has not said anything.
    Waits,
    /// Who it is.
    Let(Box<Person>),
    /// Why not.
    Refused(Arc<SignInError>),
}

fn sha256(text: &str) -> Vec<u8> {
    digest::digest(&digest::SHA256, text.as_bytes())
        .as_ref()
        .to_vec()
}

fn secret() -> Result<String, SignInError> {
    random::<32>()
        .map(|bytes| URL_SAFE_NO_PAD.encode(bytes))
        .map_err(|_| SignInError::Provider("this host has no randomness".into()))
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Each map is whole after every statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a request did not get its answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unanswered(String);

/// Sends what the OAuth library asks for.
async fn send(http: Client, request: HttpRequest) -> Result<HttpResponse, Unanswered> {
    let (parts, body) = request.into_parts();
    let answer = http
        .request(parts.method, parts.uri.to_string())
        .headers(parts.headers)
        .body(body)
        .timeout(ANSWER_WITHIN)
        .send()
        .await
        .map_err(|error| Unanswered(error.without_url().to_string()))?;
    let mut status = answer.status();
    let body = bounded(answer).await.map_err(Unanswered)?;
    // GitHub says what is wrong with a status that says that nothing is.
    let is_error =
        || serde_json::from_slice::<Value>(&body).is_ok_and(|body| body.get("error").is_some());
    if status.is_success() && is_error() {
        status = http::StatusCode::BAD_REQUEST;
    }
    let mut response = http::Response::new(body);
    *response.status_mut() = status;
    Ok(response)
}

fn wrong<E: std::error::Error, T: oauth2::ErrorResponse + std::fmt::Display>(
    error: oauth2::RequestTokenError<E, T>,
) -> SignInError {
    use oauth2::RequestTokenError as Cause;
    match error {
        Cause::ServerResponse(said) => SignInError::Refused(plain(&said.to_string())),
        Cause::Request(error) => SignInError::Provider(error.to_string()),
        Cause::Parse(error, _) => {
            SignInError::Provider(format!("it answered something else: {error}"))
        }
        Cause::Other(error) => SignInError::Provider(error),
    }
}

impl SignIn {
    /// The providers of the configuration. Nothing is asked of them yet.
    ///
    /// # Errors
    /// When the proxy or `ca_file` cannot be used.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        let mut providers = BTreeMap::new();
        for (name, one) in &config.host.access.sign_in {
            let mut http = Client::builder()
                .no_proxy()
                .user_agent(AGENT)
                .connect_timeout(ANSWER_WITHIN)
                .redirect(reqwest::redirect::Policy::none());
            if let Some(proxy) = &config.host.proxy {
                http = http.proxy(reqwest::Proxy::all(proxy)?);
            }
            if let Some(file) = &config.host.ca_file {
                for one in reqwest::Certificate::from_pem_bundle(&std::fs::read(file)?)? {
                    http = http.add_root_certificate(one);
                }
            }
            let http = http.build()?;
            let issuer = match &one.service {
                Identity::Oidc { issuer } => Some(Issuer::new(issuer, http.clone())),
                Identity::Github { .. } => None,
            };
            let provider = Provider {
                config: one.clone(),
                issuer,
                http,
            };
            providers.insert(name.clone(), Arc::new(provider));
        }
        Ok(Self {
            providers,
            waiting: Mutex::new(LruCache::new(WAITING)),
            devices: Mutex::new(LruCache::new(DEVICES)),
            asking: Semaphore::new(ASKING_MAX),
        })
    }

    /// Those that can be signed in with.
    #[must_use]
    pub fn offers(&self) -> Vec<Offer> {
        self.providers
            .values()
            .map(|provider| Offer {
                name: provider.config.name.clone(),
                kind: if provider.issuer.is_some() {
                    "oidc"
                } else {
                    "github"
                }
                .into(),
            })
            .collect()
    }

    /// Whether tokens of programs are taken.
    #[must_use]
    pub fn takes_tokens(&self) -> bool {
        self.providers
            .values()
            .any(|provider| provider.issuer.is_some())
    }

    fn provider(&self, name: &str) -> Result<Arc<Provider>, SignInError> {
        self.providers
            .get(name)
            .cloned()
            .ok_or(SignInError::Unknown)
    }

    /// Who sends a token that a provider made for this host, and until when it counts.
    ///
    /// # Errors
    /// [`SignInError::Token`], [`SignInError::Stranger`]
    pub async fn bearer(&self, token: &str) -> Result<(Person, Option<Timestamp>), SignInError> {
        // Whose it says to be decides who is asked, and who is asked decides whether it is so.
        let claimed = claimed_issuer(token).ok_or(SignInError::Token(BadToken::Malformed))?;
        let found = self.providers.values().find_map(|provider| {
            let issuer = provider.issuer.as_ref()?;
            (issuer.address() == claimed).then_some((provider, issuer))
        });
        let (provider, issuer) = found.ok_or(SignInError::Token(BadToken::Issuer))?;
        let claims = issuer
            .verify(token, &provider.config.audiences, None)
            .await
            .map_err(SignInError::Token)?;
        let until = claims.get("exp").and_then(Value::as_i64);
        let until = until.and_then(|until| Timestamp::from_second(until).ok());
        let person = Person::of(&provider.config, issuer.address(), &claims)?;
        Ok((person, until))
    }

    /// Sends a browser to a provider. `redirect` is where it comes back to, `to` where the person wants to go then.
    ///
    /// # Errors
    /// When there is no such provider, or it does not say where it is asked.
    pub async fn begin(
        &self,
        name: &str,
        redirect: String,
        to: String,
    ) -> Result<Departure, SignInError> {
        let provider = self.provider(name)?;
        let oauth = provider.oauth(Some(&redirect)).await?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (state, nonce, browser) = (secret()?, secret()?, secret()?);
        let own = state.clone();
        let mut request = oauth
            .authorize_url(|| CsrfToken::new(own))
            .set_pkce_challenge(challenge)
            .add_scopes(provider.scopes());
        if provider.issuer.is_some() {
            request = request.add_extra_param("nonce", nonce.clone());
        }
        let (url, _) = request.url();
        let waiting = Waiting {
            provider: name.to_owned(),
            nonce,
            verifier: verifier.into_secret(),
            browser: sha256(&browser),
            redirect,
            to,
            began: Instant::now(),
        };
        locked(&self.waiting).put(state, waiting);
        Ok(Departure {
            url: url.into(),
            browser,
        })
    }

    /// Who came back from a provider, and where they wanted to go.
    ///
    /// # Errors
    /// [`SignInError`]
    pub async fn finish(
        &self,
        name: &str,
        state: &str,
        code: Result<&str, &str>,
        browser: &str,
    ) -> Result<(Person, String), SignInError> {
        // Gone whatever comes of it: an answer counts once.
        let waiting = locked(&self.waiting).pop(state).ok_or(SignInError::State)?;
        let same =
            aws_lc_rs::constant_time::verify_slices_are_equal(&waiting.browser, &sha256(browser));
        if same.is_err() || waiting.provider != name || waiting.began.elapsed() > PATIENCE {
            return Err(SignInError::State);
        }
        let code = code.map_err(|said| SignInError::Refused(plain(said)))?;
        let provider = self.provider(name)?;
        let oauth = provider.oauth(Some(&waiting.redirect)).await?;
        let http = provider.http.clone();
        let client = move |request| send(http.clone(), request);
        let tokens = oauth
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .set_pkce_verifier(PkceCodeVerifier::new(waiting.verifier))
            .request_async(&client)
            .await
            .map_err(wrong)?;
        let person = provider.person(&tokens, Some(&waiting.nonce)).await?;
        Ok((person, waiting.to))
    }

    /// Begins to let a device in, and asks the provider about it until it is over.
    ///
    /// # Errors
    /// [`SignInError`]
    pub async fn begin_device(&self, name: &str) -> Result<DeviceView, SignInError> {
        let provider = self.provider(name)?;
        let oauth = provider.oauth(None).await?;
        let http = provider.http.clone();
        let client = move |request| send(http.clone(), request);
        let details: StandardDeviceAuthorizationResponse = oauth
            .exchange_device_code()
            .map_err(|_| SignInError::NoDevices)?
            .add_scopes(provider.scopes())
            .request_async(&client)
            .await
            .map_err(wrong)?;
        let handle = secret()?;
        let view = DeviceView {
            handle: handle.clone(),
            user_code: details.user_code().secret().clone(),
            verification_uri: details.verification_uri().to_string(),
            verification_uri_complete: details
                .verification_uri_complete()
                .map(|uri| uri.secret().clone()),
            expires_in: details.expires_in().min(PATIENCE).as_secs(),
        };
        let (told, outcome) = watch::channel(None);
        let polling = tokio::spawn(async move {
            let person = async {
                let tokens = oauth
                    .exchange_device_access_token(&details)
                    .request_async(&client, tokio::time::sleep, Some(PATIENCE))
                    .await
                    .map_err(wrong)?;
                provider.person(&tokens, None).await
            };
            told.send_replace(Some(person.await.map_err(Arc::new)));
        });
        let device = Device {
            provider: name.to_owned(),
            began: Instant::now(),
            asking: Arc::new(Semaphore::new(1)),
            outcome,
            _polling: AbortOnDropHandle::new(polling),
        };
        locked(&self.devices).put(handle, device);
        Ok(view)
    }

    /// How far a device is, after at most `wait`; at once where others wait already. What came of it is told once.
    ///
    /// # Errors
    /// When nothing is known of it.
    pub async fn device(
        &self,
        name: &str,
        handle: &str,
        wait: Duration,
    ) -> Result<DeviceState, SignInError> {
        let (mut outcome, asking) = locked(&self.devices)
            .peek(handle)
            .filter(|device| device.provider == name && device.began.elapsed() < PATIENCE)
            .map(|device| (device.outcome.clone(), Arc::clone(&device.asking)))
            .ok_or(SignInError::State)?;
        let places = (asking.try_acquire(), self.asking.try_acquire());
        let wait = match places {
            (Ok(_), Ok(_)) => wait,
            _ => Duration::ZERO,
        };
        let known = tokio::time::timeout(wait, outcome.wait_for(Option::is_some)).await;
        let state = match known {
            Err(_) => return Ok(DeviceState::Waits),
            Ok(Ok(outcome)) => outcome.clone(),
            Ok(Err(_)) => None,
        };
        // Only who takes it out has it.
        locked(&self.devices)
            .pop(handle)
            .ok_or(SignInError::State)?;
        match state {
            Some(Ok(person)) => Ok(DeviceState::Let(Box::new(person))),
            Some(Err(error)) => Ok(DeviceState::Refused(error)),
            None => Err(SignInError::State),
        }
    }
}

/// What another says, on one line and not at any length.
fn plain(said: &str) -> String {
    said.chars()
        .map(|one| if one.is_control() { ' ' } else { one })
        .take(200)
        .collect()
}

impl Provider {
    fn scopes(&self) -> impl Iterator<Item = Scope> {
        self.config.scopes.iter().cloned().map(Scope::new)
    }

    async fn oauth(&self, redirect: Option<&str>) -> Result<OAuth, SignInError> {
        let discovered: Option<Arc<Discovery>> = match &self.issuer {
            Some(issuer) => Some(issuer.discovery().await.map_err(SignInError::Provider)?),
            None => None,
        };
        let (authorization, token, device, in_body) = match (&discovered, &self.config.service) {
            (Some(discovery), _) => {
                let methods = &discovery.token_endpoint_auth_methods_supported;
                let no_people = || SignInError::Provider("it has no sign-in for people".into());
                (
                    discovery
                        .authorization_endpoint
                        .clone()
                        .ok_or_else(no_people)?,
                    discovery.token_endpoint.clone().ok_or_else(no_people)?,
                    discovery.device_authorization_endpoint.clone(),
                    !methods.is_empty() && !methods.iter().any(|one| one == "client_secret_basic"),
                )
            }
            (None, Identity::Github { url, .. }) => (
                format!("{url}/login/oauth/authorize"),
                format!("{url}/login/oauth/access_token"),
                Some(format!("{url}/login/device/code")),
                true,
            ),
            (None, Identity::Oidc { .. }) => return Err(SignInError::Unknown),
        };
        let no_address = |error: oauth2::url::ParseError| {
            SignInError::Provider(format!("it names no address: {error}"))
        };
        let device = device
            .map(DeviceAuthorizationUrl::new)
            .transpose()
            .map_err(no_address)?;
        let mut oauth = oauth2::Client::new(ClientId::new(self.config.client_id.clone()))
            .set_auth_uri(AuthUrl::new(authorization).map_err(no_address)?)
            .set_token_uri(TokenUrl::new(token).map_err(no_address)?)
            .set_device_authorization_url_option(device)
            .set_auth_type(if in_body {
                AuthType::RequestBody
            } else {
                AuthType::BasicAuth
            });
        if let Some(secret) = self.config.client_secret.as_ref().map(Secret::expose) {
            oauth = oauth.set_client_secret(ClientSecret::new(secret.to_owned()));
        }
        if let Some(redirect) = redirect {
            let redirect = RedirectUrl::new(redirect.to_owned()).map_err(no_address)?;
            oauth = oauth.set_redirect_uri(redirect);
        }
        Ok(oauth)
    }

    /// Whose tokens these are.
    async fn person(&self, tokens: &Tokens, nonce: Option<&str>) -> Result<Person, SignInError> {
        match (&self.issuer, &self.config.service) {
            (Some(issuer), _) => self.person_of_oidc(issuer, tokens, nonce).await,
            (None, Identity::Github { url, api_url }) => {
                self.person_of_github(url, api_url, tokens).await
            }
            (None, Identity::Oidc { .. }) => Err(SignInError::Unknown),
        }
    }

    async fn person_of_oidc(
        &self,
        issuer: &Issuer,
        tokens: &Tokens,
        nonce: Option<&str>,
    ) -> Result<Person, SignInError> {
        let token = tokens.extra_fields().id_token.as_deref().ok_or_else(|| {
            SignInError::Provider("it gave no `id_token`; is `openid` among the `scopes`?".into())
        })?;
        let own = [self.config.client_id.clone()];
        let mut claims = issuer
            .verify(token, &own, nonce)
            .await
            .map_err(SignInError::Token)?;
        let discovery = issuer.discovery().await.map_err(SignInError::Provider)?;
        // Many say of whom it is alone in the token, and the rest when asked.
        if let Some(address) = &discovery.userinfo_endpoint {
            let request = self
                .http
                .get(address)
                .bearer_auth(tokens.access_token().secret());
            let more: Claims = fetch(request).await.map_err(SignInError::Provider)?;
            if more.get("sub") != claims.get("sub") {
                return Err(SignInError::Provider(
                    "what it says of somebody is about somebody else".into(),
                ));
            }
            for (name, value) in more {
                claims.entry(name).or_insert(value);
            }
        }
        Ok(Person::of(&self.config, issuer.address(), &claims)?)
    }

    async fn person_of_github(
        &self,
        url: &str,
        api_url: &str,
        tokens: &Tokens,
    ) -> Result<Person, SignInError> {
        let token = tokens.access_token().secret();
        let user: Value = self.github(format!("{api_url}/user"), token).await?;
        let mut orgs = Vec::new();
        let mut teams = Vec::new();
        if self.config.scopes.iter().any(|scope| scope == "read:org") {
            for page in 1..=PAGES_MAX {
                let address = format!("{api_url}/user/orgs?per_page=100&page={page}");
                let found: Vec<Value> = self.github(address, token).await?;
                orgs.extend(found.iter().map(|org| org["login"].clone()));
                if found.len() < 100 {
                    break;
                }
            }
            for page in 1..=PAGES_MAX {
                let address = format!("{api_url}/user/teams?per_page=100&page={page}");
                let found: Vec<Value> = self.github(address, token).await?;
                teams.extend(found.iter().filter_map(|team| {
                    let org = team["organization"]["login"].as_str()?;
                    Some(json!(format!("{org}/{}", team["slug"].as_str()?)))
                }));
                if found.len() < 100 {
                    break;
                }
            }
        }
        let claims = json!({
            "sub": user["id"].to_string(), "login": user["login"], "name": user["name"],
            "email": user["email"], "orgs": orgs, "teams": teams,
        });
        let claims = claims.as_object().cloned().unwrap_or_default();
        Ok(Person::of(&self.config, url, &claims)?)
    }

    async fn github<T: serde::de::DeserializeOwned>(
        &self,
        address: String,
        token: &str,
    ) -> Result<T, SignInError> {
        let request = self
            .http
            .get(address)
            .bearer_auth(token)
            .header(http::header::ACCEPT, "application/vnd.github+json")
            .header("x-github-api-version", "2022-11-28");
        fetch(request).await.map_err(SignInError::Provider)
    }
}
