//! A stand-in for Vault: a KV store of version 2 at `kv/`, log-in by role and by token, as its HTTP API answers.

use anyhow::Context as _;
use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// A token that never ends.
pub const ROOT: &str = "hvs.root-token-of-the-stand-in"; // infinity:allow-secret

/// The role that logs in, and what proves it.
pub const ROLE_ID: &str = "role-infinity-0001";
pub const SECRET_ID: &str = "secret-id-infinity-0001"; // infinity:allow-secret

/// Seconds of a token that came by a role.
const TOKEN_SECONDS: u64 = 3_600;

struct Version {
    data: Map<String, Value>,
    created_at: Timestamp,
    is_deleted: bool,
}

#[derive(Default)]
struct Kept {
    secrets: BTreeMap<String, Vec<Version>>,
    tokens: BTreeSet<String>,
    logins: u64,
    /// What every request is answered with instead, if anything.
    down: Option<u16>,
    /// Whether changes are refused.
    is_read_only: bool,
}

type Shared = Arc<Mutex<Kept>>;

/// The stand-in, serving until it is dropped.
pub struct Vault {
    address: SocketAddr,
    kept: Shared,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

fn lock(kept: &Shared) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Vault {
    /// Starts it on a free port.
    ///
    /// # Errors
    /// When it cannot listen.
    pub fn start() -> anyhow::Result<Self> {
        let kept = Shared::default();
        let router = Router::new()
            .route("/v1/sys/health", get(health))
            .route("/v1/auth/approle/login", post(login))
            .route("/v1/auth/token/renew-self", post(renew))
            .route("/v1/kv/data/{*path}", get(read).post(write).put(write))
            .route("/v1/kv/metadata/{*path}", get(metadata))
            .route("/v1/kv/delete/{*path}", post(delete).put(delete))
            .with_state(Arc::clone(&kept));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                let ended = async {
                    let _ = stopped.await;
                };
                tokio::select! {
                    _ = axum::serve(listener, router).into_future() => {}
                    () = ended => {}
                }
            });
        });
        Ok(Self {
            address,
            kept,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Writes a new version, made a while ago.
    pub fn put(&self, path: &str, field: &str, value: &str, ago: SignedDuration) {
        let version = Version {
            data: Map::from_iter([(field.to_owned(), json!(value))]),
            created_at: Timestamp::now() - ago,
            is_deleted: false,
        };
        let mut kept = lock(&self.kept);
        kept.secrets
            .entry(path.to_owned())
            .or_default()
            .push(version);
    }

    /// The value of a field in the latest version, and its number.
    ///
    /// # Errors
    /// When there is none.
    pub fn latest(&self, path: &str, field: &str) -> anyhow::Result<(String, usize)> {
        let kept = lock(&self.kept);
        let versions = kept.secrets.get(path).context("nothing is there")?;
        let latest = versions.last().context("no version")?;
        let value = latest.data[field].as_str().context("no text")?;
        Ok((value.to_owned(), versions.len()))
    }

    /// Whether a version was taken back.
    #[must_use]
    pub fn is_deleted(&self, path: &str, version: usize) -> bool {
        let kept = lock(&self.kept);
        let version = kept
            .secrets
            .get(path)
            .and_then(|versions| versions.get(version - 1));
        version.is_some_and(|version| version.is_deleted)
    }

    /// Answers everything with this status, or serves again.
    pub fn set_down(&self, status: Option<u16>) {
        lock(&self.kept).down = status;
    }

    /// Refuses changes, or takes them.
    pub fn set_read_only(&self, is_read_only: bool) {
        lock(&self.kept).is_read_only = is_read_only;
    }

    /// Ends all tokens of roles.
    pub fn end_tokens(&self) {
        lock(&self.kept).tokens.clear();
    }

    /// How often a role logged in.
    #[must_use]
    pub fn logins(&self) -> u64 {
        lock(&self.kept).logins
    }
}

impl Drop for Vault {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn answer(status: u16, body: &Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (
        status,
        [("content-type", "application/json")],
        body.to_string(),
    )
        .into_response()
}

fn errors(status: u16, words: &[&str]) -> Response {
    answer(status, &json!({ "errors": words }))
}

/// Why a request is not answered, if so.
fn refused(kept: &Kept, headers: &HeaderMap) -> Option<Response> {
    if let Some(status) = kept.down {
        let words: &[&str] = match status {
            503 => &["Vault is sealed"],
            429 => &["request path \"kv\": rate limit quota exceeded"],
            _ => &["internal error"],
        };
        return Some(errors(status, words));
    }
    let token = token(headers);
    let is_known = token == ROOT || kept.tokens.contains(token);
    (!is_known).then(|| errors(403, &["permission denied"]))
}

fn token(headers: &HeaderMap) -> &str {
    headers
        .get("x-vault-token")
        .and_then(|token| token.to_str().ok())
        .unwrap_or_default()
}

fn auth(token: &str, is_renewable: bool) -> Value {
    json!({ "auth": { "client_token": token, "lease_duration": TOKEN_SECONDS, "renewable": is_renewable,
        "policies": ["infinity"], "token_type": "service" } })
}

/// How it is, which it tells anybody.
async fn health(State(kept): State<Shared>) -> Response {
    let sealed = lock(&kept).down.is_some();
    let body = json!({ "initialized": true, "sealed": sealed, "standby": false, "performance_standby": false,
        "replication_performance_mode": "disabled", "replication_dr_mode": "disabled",
        "server_time_utc": Timestamp::now().as_second(), "version": "1.20.0", "cluster_name": "vault", "cluster_id": "1" });
    answer(if sealed { 503 } else { 200 }, &body)
}

async fn login(State(kept): State<Shared>, body: String) -> Response {
    let mut kept = lock(&kept);
    if let Some(status) = kept.down {
        return errors(status, &["Vault is sealed"]);
    }
    let body: Value = serde_json::from_str(&body).unwrap_or_default();
    if body["role_id"] != ROLE_ID || body["secret_id"] != SECRET_ID {
        return errors(400, &["invalid role or secret ID"]);
    }
    kept.logins += 1;
    let token = format!("hvs.token-{}", kept.logins);
    kept.tokens.insert(token.clone());
    answer(200, &auth(&token, true))
}

async fn renew(State(kept): State<Shared>, headers: HeaderMap) -> Response {
    let kept = lock(&kept);
    match refused(&kept, &headers) {
        None => answer(200, &auth(token(&headers), true)),
        Some(refused) => refused,
    }
}

/// As the real one tells of a version.
fn told(number: usize, version: &Version) -> Value {
    let deleted_at = if version.is_deleted {
        Timestamp::now().to_string()
    } else {
        String::new()
    };
    json!({ "version": number, "created_time": version.created_at.to_string(), "deletion_time": deleted_at,
        "destroyed": false, "custom_metadata": null })
}

async fn read(
    State(kept): State<Shared>,
    Path(path): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let kept = lock(&kept);
    if let Some(refused) = refused(&kept, &headers) {
        return refused;
    }
    let Some(versions) = kept.secrets.get(&path) else {
        return errors(404, &[]);
    };
    let asked = query
        .as_deref()
        .and_then(|query| query.strip_prefix("version="))
        .and_then(|number| number.parse::<usize>().ok())
        .filter(|number| *number > 0);
    let number = asked.unwrap_or(versions.len());
    match versions.get(number - 1) {
        None => errors(404, &[]),
        Some(version) if version.is_deleted => answer(
            404,
            &json!({ "data": { "data": null, "metadata": told(number, version) } }),
        ),
        Some(version) => answer(
            200,
            &json!({ "data": { "data": version.data, "metadata": told(number, version) } }),
        ),
    }
}

async fn metadata(
    State(kept): State<Shared>,
    Path(path): Path<String>,
    headers: HeaderMap,
) -> Response {
    let kept = lock(&kept);
    if let Some(refused) = refused(&kept, &headers) {
        return refused;
    }
    match kept.secrets.get(&path) {
        None => errors(404, &[]),
        Some(versions) => answer(
            200,
            &json!({ "data": { "current_version": versions.len() } }),
        ),
    }
}

async fn write(
    State(kept): State<Shared>,
    Path(path): Path<String>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let mut kept = lock(&kept);
    if let Some(refused) = refused(&kept, &headers) {
        return refused;
    }
    if kept.is_read_only {
        return errors(403, &["1 error occurred:\n\t* permission denied\n\n"]);
    }
    let body: Value = serde_json::from_str(&body).unwrap_or_default();
    let Some(data) = body["data"].as_object().cloned() else {
        return errors(400, &["no data provided"]);
    };
    let versions = kept.secrets.entry(path).or_default();
    let cas = body["options"]["cas"].as_u64();
    if cas.is_some_and(|cas| cas != versions.len() as u64) {
        return errors(
            400,
            &["check-and-set parameter did not match the current version"],
        );
    }
    versions.push(Version {
        data,
        created_at: Timestamp::now(),
        is_deleted: false,
    });
    let number = versions.len();
    match versions.last() {
        Some(version) => answer(200, &json!({ "data": told(number, version) })),
        None => errors(500, &["internal error"]),
    }
}

async fn delete(
    State(kept): State<Shared>,
    Path(path): Path<String>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let mut kept = lock(&kept);
    if let Some(refused) = refused(&kept, &headers) {
        return refused;
    }
    let body: Value = serde_json::from_str(&body).unwrap_or_default();
    let versions = kept.secrets.entry(path).or_default();
    for number in body["versions"].as_array().into_iter().flatten() {
        let index = number
            .as_u64()
            .and_then(|number| usize::try_from(number).ok());
        let version = index
            .and_then(|number| number.checked_sub(1))
            .and_then(|index| versions.get_mut(index));
        if let Some(version) = version {
            version.is_deleted = true;
        }
    }
    StatusCode::NO_CONTENT.into_response()
}
