//! Who the host is on GitHub: a GitHub App with tokens that last an hour, or the owner of one token.
//!
//! Invariants: a token is for one repository and is only in memory; it is renewed before its hour ends, and dropped when GitHub does not know it any more. Whoever asks for a key or a token
//! asks [`Keys`], each time it is used: where they are kept is no business of this module.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;

use crate::config::{GithubAccess, KeySource, Secret};

/// How long the host's own word for who it is lasts: GitHub takes ten minutes at most.
const JWT_FOR: SignedDuration = SignedDuration::from_mins(9);

/// How far GitHub's clock may be behind the host's.
const CLOCKS_APART: SignedDuration = SignedDuration::from_secs(60);

/// A token is renewed when it has this left, or a quarter of its time where that is less.
const RENEW_BEFORE: SignedDuration = SignedDuration::from_mins(5);

/// Tokens kept at once, one for each repository: as many as a configuration has in practice. Beyond it all are asked for anew.
const TOKENS_MAX: usize = 1_000;

/// Where the App's key and the token are kept.
pub trait Keys: Send + Sync {
    /// The App's private key in PEM.
    ///
    /// # Errors
    /// One sentence: why it cannot be had.
    fn private_key(&self) -> Result<Secret, String>;

    /// The personal access token.
    ///
    /// # Errors
    /// As [`Keys::private_key`].
    fn token(&self) -> Result<Secret, String>;
}

/// Keys that `plugins.toml` holds or names.
#[derive(Debug)]
pub struct Configured(pub GithubAccess);

impl Keys for Configured {
    fn private_key(&self) -> Result<Secret, String> {
        match &self.0 {
            GithubAccess::App {
                key: KeySource::Text(text),
                ..
            } => Ok(text.clone()),
            GithubAccess::App {
                key: KeySource::File(path),
                ..
            } => std::fs::read_to_string(path)
                .map(Secret::new)
                .map_err(|error| {
                    format!(
                        "`private_key_file` of `[github]` cannot be read: {}",
                        error.kind()
                    )
                }),
            GithubAccess::Token { .. } => Err("`[github]` has no App".into()),
        }
    }

    fn token(&self) -> Result<Secret, String> {
        match &self.0 {
            GithubAccess::Token { token, .. } => Ok(token.clone()),
            GithubAccess::App { .. } => Err("`[github]` has no token".into()),
        }
    }
}

/// A token of an App for one repository.
#[derive(Clone)]
struct Installed {
    token: Secret,
    renew_at: Timestamp,
}

/// What the host shows to GitHub.
pub(super) struct Access {
    pub(super) access: GithubAccess,
    keys: Arc<dyn Keys>,
    installed: Mutex<HashMap<String, Installed>>,
}

impl Access {
    pub(super) fn new(access: GithubAccess, keys: Arc<dyn Keys>) -> Self {
        Self {
            access,
            keys,
            installed: Mutex::default(),
        }
    }

    /// Whether the host is an App.
    pub(super) fn is_app(&self) -> bool {
        matches!(self.access, GithubAccess::App { .. })
    }

    /// The host's own word for being the App.
    pub(super) fn jwt(&self, now: Timestamp) -> Result<Secret, String> {
        let GithubAccess::App { id, .. } = &self.access else {
            return Err("`[github]` has no App".into());
        };
        let key = self.keys.private_key()?;
        let key = EncodingKey::from_rsa_pem(key.expose().as_bytes())
            .map_err(|_| "the App's private key is no RSA key in PEM".to_owned())?;
        let claims = json!({
            "iat": now.saturating_sub(CLOCKS_APART).unwrap_or(now).as_second(),
            "exp": now.saturating_add(JWT_FOR).unwrap_or(now).as_second(),
            "iss": id.to_string(),
        });
        jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key)
            .map(Secret::new)
            .map_err(|error| format!("the App's word cannot be signed: {error}"))
    }

    /// The personal access token.
    pub(super) fn token(&self) -> Result<Secret, String> {
        self.keys.token()
    }

    /// The token for a repository, if there is one that lasts.
    pub(super) fn installed(&self, repository: &str, now: Timestamp) -> Option<Secret> {
        let installed = self
            .installed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        installed
            .get(repository)
            .filter(|one| one.renew_at > now)
            .map(|one| one.token.clone())
    }

    pub(super) fn install(
        &self,
        repository: &str,
        token: Secret,
        expires_at: Timestamp,
        now: Timestamp,
    ) {
        let quarter = expires_at.duration_since(now) / 4;
        let renew_at = expires_at
            .saturating_sub(RENEW_BEFORE.min(quarter))
            .unwrap_or(now);
        let mut installed = self
            .installed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if installed.len() >= TOKENS_MAX {
            installed.clear();
        }
        installed.insert(repository.to_owned(), Installed { token, renew_at });
    }

    /// All tokens, which are not known here any more.
    pub(super) fn take(&self) -> Vec<Secret> {
        self.installed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .drain()
            .map(|(_, one)| one.token)
            .collect()
    }

    /// GitHub does not know a token any more.
    pub(super) fn forget(&self, repository: &str) {
        self.installed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(repository);
    }
}
