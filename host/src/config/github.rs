//! `[github]` to [`GithubConfig`], and `owner/name` to a place there.

use std::path::{Path, PathBuf};

use http::Uri;
use toml::Spanned;

use super::Place;
use super::agent::SECRET_MIN;
use super::error::{Errors, literal};
use super::grants::fill;
use super::paths::resolve;
use super::reader::Reader;
use super::secret::Secret;

/// GitHub. Source: `[github]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GithubConfig {
    /// Who the host is there; none when it reaches nothing there.
    pub access: Option<GithubAccess>,
    /// Where the REST API is, without a `/` at the end; default `https://api.github.com`. Source: `api_url`.
    pub api_url: String,
    /// What it signs its deliveries with: at most two, each of at least 16 characters. Source: `webhook_secrets`.
    pub webhook_secrets: Vec<Secret>,
}

impl Default for GithubConfig {
    fn default() -> Self {
        Self {
            access: None,
            api_url: DEFAULT_API_URL.into(),
            webhook_secrets: Vec::new(),
        }
    }
}

/// Who the host is on GitHub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GithubAccess {
    /// A GitHub App, with tokens that it asks for. Source: `app_id`.
    App {
        /// Its id.
        id: u64,
        /// Its private key.
        key: KeySource,
    },
    /// Whoever the token belongs to. Source: `token`.
    Token {
        /// A personal access token.
        token: Secret,
        /// The committer's name and mail address. Source: `author`.
        author: Option<(String, String)>,
    },
}

/// Where an App's private key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// In PEM. Source: `private_key`.
    Text(Secret),
    /// In a file, which is read at each use. Source: `private_key_file`.
    File(PathBuf),
}

/// Where GitHub's REST API is.
pub(super) const DEFAULT_API_URL: &str = "https://api.github.com";

/// Secrets in force at once: the old one and the new one.
const SECRETS_MAX: usize = 2;

/// Reads `[github]`, if there is one. `environment` gives the value of an environment variable.
pub(super) fn read(
    root: &Reader<'_, '_>,
    root_path: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
    errors: &mut Errors,
) -> GithubConfig {
    let Some(table) = root.table("github", "`[github]`".to_owned(), errors) else {
        return GithubConfig::default();
    };
    GithubConfig {
        access: access(&table, root_path, environment, errors),
        api_url: api_url(&table, errors).unwrap_or_else(|| DEFAULT_API_URL.into()),
        webhook_secrets: webhook_secrets(&table, environment, errors),
    }
}

fn access(
    table: &Reader<'_, '_>,
    root_path: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
    errors: &mut Errors,
) -> Option<GithubAccess> {
    let secret = |name: &str, errors: &mut Errors| {
        let written = table.raw_text(name, errors)?;
        fill(&written, "`[github]`", true, environment, errors).map(Secret::new)
    };
    let id = table.number("app_id", errors);
    let text = secret("private_key", errors);
    let file = table.path("private_key_file", errors);
    let token = secret("token", errors);
    let author = table.text("author", errors);
    let written = |name: &str| table.span(name).is_some();
    if written("app_id") && written("token") {
        errors
            .at(
                table.place_of("token"),
                "`[github]` has `app_id` and `token`",
            )
            .help("keep the one that the host is to act as; an App needs no token");
    }
    if written("private_key") && written("private_key_file") {
        errors
            .at(
                table.place_of("private_key"),
                "`[github]` has `private_key` and `private_key_file`",
            )
            .help("keep one of them");
    }
    let has_key = written("private_key") || written("private_key_file");
    if written("app_id") && !has_key {
        errors
            .at(table.place_of("app_id"), "`[github]` has `app_id` and no private key")
            .help("`private_key_file = \"github-app.pem\"` or `private_key = \"${GITHUB_APP_PRIVATE_KEY}\"` names the App's");
    }
    if has_key && !written("app_id") {
        errors
            .at(
                table.place(),
                "`[github]` has a private key and no `app_id`",
            )
            .help("the App's id is on its settings page");
    }
    if let Some(text) = text.as_ref().filter(|text| !is_pem(text.expose())) {
        let _ = text;
        errors
            .at(table.place_of("private_key"), "`private_key` of `[github]` is no private key in PEM")
            .help("the file that GitHub gives begins with `-----BEGIN RSA PRIVATE KEY-----`; its line breaks belong to it");
    }
    let file = file.map(|written| {
        let path = resolve(root_path, written.get_ref());
        if !path.is_file() {
            errors
                .at(
                    written.span(),
                    format!("{} is no file that can be read", literal(written.get_ref())),
                )
                .help("relative paths start at the directory of this file");
        }
        path
    });
    let author = author.and_then(|written| {
        let mailbox = written.get_ref().parse::<lettre::message::Mailbox>();
        match mailbox {
            Ok(mailbox) => Some((
                mailbox.name.unwrap_or_else(|| "Infinity".into()),
                mailbox.email.to_string(),
            )),
            Err(_) => {
                errors
                    .at(
                        written.span(),
                        format!("{} is no mail address", literal(written.get_ref())),
                    )
                    .help("write for instance `Infinity <infinity@example.com>`");
                None
            }
        }
    });
    let key = text.map(KeySource::Text).or(file.map(KeySource::File));
    match (id, key, token) {
        (Some(id), Some(key), _) => {
            if written("author") {
                errors
                    .at(
                        table.place_of("author"),
                        "`author` of `[github]` is for a `token`",
                    )
                    .help("an App's commits are by the App, and GitHub signs them");
            }
            Some(GithubAccess::App { id, key })
        }
        (_, _, Some(token)) => Some(GithubAccess::Token { token, author }),
        _ => None,
    }
}

fn is_pem(text: &str) -> bool {
    text.trim_start().starts_with("-----BEGIN ") && text.contains("PRIVATE KEY-----")
}

/// `https` anywhere; without TLS a token would travel in the open, so `http` is for this machine alone.
fn api_url(table: &Reader<'_, '_>, errors: &mut Errors) -> Option<String> {
    let written = table.text("api_url", errors)?;
    let text = written.get_ref().trim_end_matches('/');
    let uri: Option<Uri> = text.parse().ok();
    let host = uri.as_ref().and_then(Uri::host).unwrap_or_default();
    let fits = match uri.as_ref().and_then(Uri::scheme_str) {
        Some("https") => !host.is_empty(),
        Some("http") => matches!(host, "127.0.0.1" | "[::1]" | "localhost"),
        _ => false,
    };
    let plain = uri.as_ref().is_some_and(|uri| {
        uri.query().is_none()
            && uri
                .authority()
                .is_some_and(|whole| !whole.as_str().contains('@'))
    });
    if fits && plain {
        return Some(text.to_owned());
    }
    errors
        .at(
            written.span(),
            format!("{} is no address of an API", literal(written.get_ref())),
        )
        .help("write `https://HOST/api/v3` for GitHub Enterprise, and nothing for github.com");
    None
}

fn webhook_secrets(
    table: &Reader<'_, '_>,
    environment: &dyn Fn(&str) -> Option<String>,
    errors: &mut Errors,
) -> Vec<Secret> {
    let written: Vec<Spanned<String>> = table
        .raw_texts("webhook_secrets", errors)
        .unwrap_or_default();
    if written.len() > SECRETS_MAX {
        errors
            .at(
                table.place_of("webhook_secrets"),
                format!("`webhook_secrets` has more than {SECRETS_MAX} secrets"),
            )
            .help("keep the old one beside the new one until GitHub signs with the new one, then drop it");
    }
    let mut secrets = Vec::new();
    for one in &written {
        let Some(secret) = fill(one, "`[github]`", true, environment, errors) else {
            continue;
        };
        if secret.len() < SECRET_MIN {
            errors
                .at(one.span(), "a secret of `[github]` is too short")
                .help(format!("use at least {SECRET_MIN} characters that nobody can guess, for instance those of `openssl rand -hex 32`"));
        }
        secrets.push(Secret::new(secret));
    }
    secrets
}

/// `owner/name`, as GitHub names repositories.
pub(super) fn place(written: &str) -> Option<Place> {
    // GitHub's own limits are 39 and 100 characters.
    let part = |text: &str, max: usize| {
        !text.is_empty()
            && text.len() <= max
            && !matches!(text, "." | "..")
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    let (owner, name) = written.split_once('/')?;
    (part(owner, 39) && part(name, 100) && !name.ends_with(".git")).then(|| Place::Github {
        owner: owner.to_owned(),
        name: name.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_on_github_is_an_owner_and_a_name() {
        assert!(place("acme/infra").is_some());
        assert!(place("acme/in.fra_2").is_some());
        for wrong in [
            "acme",
            "acme/",
            "/infra",
            "acme/a/b",
            "acme/..",
            "ac me/x",
            "acme/x.git",
            "https://github.com/a/b",
        ] {
            assert!(place(wrong).is_none(), "{wrong}");
        }
    }
}
