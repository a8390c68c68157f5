//! An OpenID Connect provider: where it is asked, with which keys it signs, and whether a token is one of its.
//!
//! Invariants: a token's own words choose nothing but which of the provider's published keys is tried, and never how; keys are asked for again at most once a minute, whatever tokens come, and those
//! that are known count for a day while the provider does not answer.

use super::person::Claims;
use arc_swap::ArcSwapOption;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, errors::ErrorKind};
use reqwest::Client;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// How long keys are used without asking again.
const FRESH: Duration = Duration::from_secs(3600);

/// How long they count while the provider does not answer.
const STALE_MAX: Duration = Duration::from_secs(24 * 3600);

/// How often the provider is asked at most.
const ASK_EVERY: Duration = Duration::from_secs(60);

/// How long it may take to answer: a request waits for it.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Bytes of an answer: a provider of many tenants publishes some dozen keys of a few hundred bytes.
const ANSWER_MAX: usize = 256 * 1024;

/// Keys of a provider.
const KEYS_MAX: usize = 100;

/// Bytes of a token: as much as all headers of a request together.
pub const TOKEN_MAX: usize = 16 * 1024;

/// How much clocks may differ, in seconds.
const LEEWAY: u64 = 60;

/// Why a token is refused. The caller is told no more than that; the journal has the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadToken {
    /// It is no token that is signed in one of the ways that count.
    Malformed,
    /// No key of the provider has its `kid`.
    UnknownKey,
    /// It is signed by somebody else, or in a way that is not the key's.
    Signature,
    /// It is over, or not valid yet.
    Time,
    /// It was made by another.
    Issuer,
    /// It was made for another.
    Audience,
    /// It answers another question than the one that was asked.
    Nonce,
    /// The provider does not answer, and no keys are known.
    Unreachable,
}

impl BadToken {
    /// The word in records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "token_malformed",
            Self::UnknownKey => "token_key",
            Self::Signature => "token_signature",
            Self::Time => "token_time",
            Self::Issuer => "token_issuer",
            Self::Audience => "token_audience",
            Self::Nonce => "token_nonce",
            Self::Unreachable => "issuer_unreachable",
        }
    }
}

/// What a provider says of itself.
#[derive(Clone, Debug, Deserialize)]
pub struct Discovery {
    issuer: String,
    /// Where people are sent to; none where only programs come from.
    pub authorization_endpoint: Option<String>,
    /// Where codes become tokens, likewise.
    pub token_endpoint: Option<String>,
    jwks_uri: String,
    /// Where more is said of somebody.
    pub userinfo_endpoint: Option<String>,
    /// Where a device begins.
    pub device_authorization_endpoint: Option<String>,
    /// How this host says who it is.
    #[serde(default)]
    pub token_endpoint_auth_methods_supported: Vec<String>,
}

struct SigningKey {
    key: DecodingKey,
    algorithms: Vec<Algorithm>,
}

/// What is known of a provider.
struct Known {
    discovery: Arc<Discovery>,
    /// By `kid`; a key without one has the empty one.
    keys: HashMap<String, SigningKey>,
    at: Instant,
}

/// A provider.
#[derive(Clone)]
pub struct Issuer(Arc<Asking>);

struct Asking {
    address: String,
    http: Client,
    known: ArcSwapOption<Known>,
    /// Held while the provider is asked; when it was asked last, and when for the sake of an unknown key.
    asked: Mutex<Asked>,
}

#[derive(Default)]
struct Asked {
    last: Option<Instant>,
    for_key: Option<Instant>,
}

impl Asked {
    fn may(last: Option<Instant>) -> bool {
        last.is_none_or(|last| last.elapsed() >= ASK_EVERY)
    }
}

/// Whether a text has the form of a signed token, and not that of a key of this host.
#[must_use]
pub fn is_token(text: &str) -> bool {
    text.starts_with("ey") && text.bytes().filter(|byte| *byte == b'.').count() >= 2
}

/// Fetches JSON, within bounds.
pub(super) async fn fetch<T: DeserializeOwned>(
    request: reqwest::RequestBuilder,
) -> Result<T, String> {
    let answer = request
        .timeout(ANSWER_WITHIN)
        .send()
        .await
        .map_err(|error| error.without_url().to_string())?;
    let status = answer.status();
    let body = bounded(answer).await?;
    if !status.is_success() {
        return Err(format!("it answered {status}"));
    }
    serde_json::from_slice(&body).map_err(|error| format!("it answered something else: {error}"))
}

/// The body of an answer, if it is not too long.
pub(super) async fn bounded(mut answer: reqwest::Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = answer
        .chunk()
        .await
        .map_err(|error| error.without_url().to_string())?
    {
        if body.len() + chunk.len() > ANSWER_MAX {
            return Err(format!("it answered more than {ANSWER_MAX} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

impl Issuer {
    /// The provider at this address. Nothing is asked of it yet.
    #[must_use]
    pub fn new(address: &str, http: Client) -> Self {
        Self(Arc::new(Asking {
            address: address.to_owned(),
            http,
            known: ArcSwapOption::empty(),
            asked: Mutex::default(),
        }))
    }

    /// What it says of itself.
    ///
    /// # Errors
    /// When it does not answer, in words.
    pub async fn discovery(&self) -> Result<Arc<Discovery>, String> {
        let known = self.known().await;
        known
            .map(|known| Arc::clone(&known.discovery))
            .ok_or_else(|| {
                format!(
                    "`{}` cannot be reached; the log has the reason",
                    self.0.address
                )
            })
    }

    /// What is known, asked for in a task of its own: a client that goes away does not end it.
    async fn known(&self) -> Option<Arc<Known>> {
        if let Some(known) = self.0.fresh() {
            return Some(known);
        }
        let asking = Arc::clone(&self.0);
        tokio::spawn(async move { asking.known().await })
            .await
            .ok()?
    }

    async fn renewed(&self) -> Option<Arc<Known>> {
        let asking = Arc::clone(&self.0);
        tokio::spawn(async move { asking.renewed().await })
            .await
            .ok()?
    }

    /// What a token says, if it is the provider's, for one of the audiences and valid now.
    ///
    /// # Errors
    /// [`BadToken`]
    pub async fn verify(
        &self,
        token: &str,
        audiences: &[String],
        nonce: Option<&str>,
    ) -> Result<Claims, BadToken> {
        let (kid, algorithm) = header(token)?;
        let mut known = self.known().await.ok_or(BadToken::Unreachable)?;
        if find(&known, kid.as_deref()).is_none() {
            known = self.renewed().await.ok_or(BadToken::Unreachable)?;
        }
        let key = find(&known, kid.as_deref()).ok_or(BadToken::UnknownKey)?;
        if !key.algorithms.contains(&algorithm) {
            return Err(BadToken::Signature);
        }
        let mut validation = Validation::new(algorithm);
        validation.set_audience(audiences);
        // As it calls itself, with or without a slash at its end.
        validation.set_issuer(&[&known.discovery.issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.validate_nbf = true;
        validation.leeway = LEEWAY;
        let claims = jsonwebtoken::decode::<Claims>(token, &key.key, &validation)
            .map_err(|error| reason(error.kind()))?
            .claims;
        match nonce {
            Some(nonce) if claims.get("nonce").and_then(Value::as_str) != Some(nonce) => {
                Err(BadToken::Nonce)
            }
            _ => Ok(claims),
        }
    }

    /// As what it names itself in tokens.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.0.address
    }
}

impl Asking {
    fn fresh(&self) -> Option<Arc<Known>> {
        let known = self.known.load_full();
        known.filter(|known| known.at.elapsed() < FRESH)
    }

    async fn known(&self) -> Option<Arc<Known>> {
        let usable = self
            .known
            .load_full()
            .filter(|known| known.at.elapsed() < STALE_MAX);
        let mut asked = match (self.asked.try_lock(), &usable) {
            (Ok(asked), _) => asked,
            // Somebody asks already, and what is known is good enough until then.
            (Err(_), Some(_)) => return usable,
            (Err(_), None) => self.asked.lock().await,
        };
        if !Asked::may(asked.last) {
            return self
                .known
                .load_full()
                .filter(|known| known.at.elapsed() < STALE_MAX);
        }
        asked.last = Some(Instant::now());
        self.ask().await.or(usable)
    }

    /// Asks the provider again because of a key that is not known.
    async fn renewed(&self) -> Option<Arc<Known>> {
        let mut asked = self.asked.lock().await;
        if Asked::may(asked.for_key) {
            asked.for_key = Some(Instant::now());
            asked.last = asked.for_key;
            return self.ask().await;
        }
        self.known.load_full()
    }

    async fn ask(&self) -> Option<Arc<Known>> {
        match self.asked_for().await {
            Ok(known) => {
                let known = Arc::new(known);
                self.known.store(Some(Arc::clone(&known)));
                Some(known)
            }
            Err(why) => {
                tracing::warn!(
                    "the identity provider `{}` is of no use: {why}",
                    self.address
                );
                None
            }
        }
    }

    async fn asked_for(&self) -> Result<Known, String> {
        let address = format!("{}/.well-known/openid-configuration", self.address);
        let discovery: Discovery = fetch(self.http.get(&address)).await?;
        if discovery.issuer.trim_end_matches('/') != self.address {
            return Err(format!(
                "it calls itself `{}`",
                discovery.issuer.escape_debug()
            ));
        }
        // What is wrong with one key is no reason to do without the others.
        let listed: Value = fetch(self.http.get(&discovery.jwks_uri)).await?;
        let keys = listed["keys"].as_array().map_or(&[][..], Vec::as_slice);
        let keys: HashMap<String, SigningKey> = keys
            .iter()
            .take(KEYS_MAX)
            .filter_map(|key| {
                let set: JwkSet =
                    serde_json::from_value(serde_json::json!({ "keys": [key] })).ok()?;
                signing_key(set.keys.first()?)
            })
            .collect();
        if keys.is_empty() {
            return Err("it publishes no key to verify signatures with".into());
        }
        Ok(Known {
            discovery: Arc::new(discovery),
            keys,
            at: Instant::now(),
        })
    }
}

/// Who a token says that made it: whom to ask, and nothing to be believed.
#[must_use]
pub fn claimed_issuer(token: &str) -> Option<String> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: Claims = serde_json::from_slice(&claims).ok()?;
    let issuer = claims.get("iss")?.as_str()?;
    Some(issuer.trim_end_matches('/').to_owned())
}

/// Which key a token says that it is signed with, and how. Ways that need no key, or one that both sides have, are none.
///
/// # Errors
/// [`BadToken::Malformed`]
pub fn header(token: &str) -> Result<(Option<String>, Algorithm), BadToken> {
    let malformed = BadToken::Malformed;
    if token.len() > TOKEN_MAX || token.bytes().filter(|byte| *byte == b'.').count() != 2 {
        return Err(malformed);
    }
    let first = token.split('.').next().unwrap_or_default();
    let raw = URL_SAFE_NO_PAD.decode(first).map_err(|_| malformed)?;
    let raw: Value = serde_json::from_slice(&raw).map_err(|_| malformed)?;
    // What is critical to the issuer and unknown here cannot be ignored.
    if raw.get("crit").is_some() {
        return Err(malformed);
    }
    // Other kinds of tokens have other meanings: one that ends sessions lets nobody in.
    let kind = raw["typ"].as_str().unwrap_or("JWT").to_ascii_lowercase();
    if !matches!(kind.trim_start_matches("application/"), "jwt" | "at+jwt") {
        return Err(malformed);
    }
    let algorithm = match raw["alg"].as_str() {
        Some("RS256") => Algorithm::RS256,
        Some("RS384") => Algorithm::RS384,
        Some("RS512") => Algorithm::RS512,
        Some("PS256") => Algorithm::PS256,
        Some("PS384") => Algorithm::PS384,
        Some("PS512") => Algorithm::PS512,
        Some("ES256") => Algorithm::ES256,
        Some("ES384") => Algorithm::ES384,
        Some("EdDSA") => Algorithm::EdDSA,
        _ => return Err(malformed),
    };
    match &raw["kid"] {
        Value::Null => Ok((None, algorithm)),
        Value::String(kid) => Ok((Some(kid.clone()), algorithm)),
        _ => Err(malformed),
    }
}

fn find<'k>(known: &'k Known, kid: Option<&str>) -> Option<&'k SigningKey> {
    match kid {
        Some(kid) => known.keys.get(kid),
        // Without a name it can only be the one there is.
        None if known.keys.len() == 1 => known.keys.values().next(),
        None => None,
    }
}

fn signing_key(jwk: &jsonwebtoken::jwk::Jwk) -> Option<(String, SigningKey)> {
    if matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption)) {
        return None;
    }
    let fit: &[Algorithm] = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => &[
            Algorithm::RS256,
            Algorithm::RS384,
            Algorithm::RS512,
            Algorithm::PS256,
            Algorithm::PS384,
            Algorithm::PS512,
        ],
        AlgorithmParameters::EllipticCurve(curve) => match curve.curve {
            EllipticCurve::P256 => &[Algorithm::ES256],
            EllipticCurve::P384 => &[Algorithm::ES384],
            _ => &[],
        },
        AlgorithmParameters::OctetKeyPair(_) => &[Algorithm::EdDSA],
        _ => &[],
    };
    let named = jwk.common.key_algorithm.map(|name| format!("{name:?}"));
    let algorithms: Vec<Algorithm> = fit
        .iter()
        .filter(|one| {
            named
                .as_ref()
                .is_none_or(|named| *named == format!("{one:?}"))
        })
        .copied()
        .collect();
    if algorithms.is_empty() {
        return None;
    }
    let key = DecodingKey::from_jwk(jwk).ok()?;
    let kid = jwk.common.key_id.clone().unwrap_or_default();
    Some((kid, SigningKey { key, algorithms }))
}

fn reason(kind: &ErrorKind) -> BadToken {
    match kind {
        ErrorKind::ExpiredSignature | ErrorKind::ImmatureSignature => BadToken::Time,
        ErrorKind::InvalidIssuer => BadToken::Issuer,
        ErrorKind::InvalidAudience => BadToken::Audience,
        ErrorKind::InvalidSignature
        | ErrorKind::InvalidAlgorithm
        | ErrorKind::InvalidKeyFormat
        | ErrorKind::InvalidEcdsaKey => BadToken::Signature,
        _ => BadToken::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str) -> String {
        format!("{}.e30.c2ln", URL_SAFE_NO_PAD.encode(header))
    }

    #[test]
    fn only_signatures_with_published_keys_are_looked_at() {
        for (text, expected) in [
            (
                r#"{"alg":"RS256","kid":"a"}"#,
                Ok((Some("a".into()), Algorithm::RS256)),
            ),
            (r#"{"alg":"EdDSA"}"#, Ok((None, Algorithm::EdDSA))),
            (
                r#"{"alg":"RS256","typ":"at+JWT"}"#,
                Ok((None, Algorithm::RS256)),
            ),
            (
                r#"{"alg":"RS256","typ":"logout+jwt"}"#,
                Err(BadToken::Malformed),
            ),
            (r#"{"alg":"none"}"#, Err(BadToken::Malformed)),
            (r#"{"alg":"HS256","kid":"a"}"#, Err(BadToken::Malformed)),
            (r#"{"alg":["RS256"]}"#, Err(BadToken::Malformed)),
            (r#"{"alg":"RS256","kid":1}"#, Err(BadToken::Malformed)),
            (
                r#"{"alg":"RS256","crit":["exp"]}"#,
                Err(BadToken::Malformed),
            ),
            ("{}", Err(BadToken::Malformed)),
            ("", Err(BadToken::Malformed)),
            ("\u{1}", Err(BadToken::Malformed)),
        ] {
            assert_eq!(header(&token(text)), expected, "{text}");
        }
        let whole = token(r#"{"alg":"RS256"}"#);
        for text in [
            String::new(),
            "..".into(),
            whole.replace('.', ""),
            // An encrypted one has five parts.
            format!("{whole}.a.b"),
            format!("{whole}{}", "a".repeat(TOKEN_MAX)),
        ] {
            assert_eq!(header(&text), Err(BadToken::Malformed));
        }
        assert!(is_token(&whole));
        assert!(!is_token("inf_ey.."));
    }
}
