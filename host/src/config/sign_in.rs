//! `[host.sign_in.NAME]` to [`SignInConfig`]: by whom people and programs are known to the host, and what they may.

use std::collections::BTreeMap;

use http::Uri;
use toml::Spanned;
use toml::de::DeValue;

use super::agent::is_name;
use super::error::{Errors, literal};
use super::grants::fill;
use super::keys;
use super::reader::{Reader, found};
use super::secret::Secret;
use crate::access::{Role, Scope};

/// Who vouches for people and programs. Source: `[host.sign_in.NAME]`.
#[derive(Clone, Debug, PartialEq)]
pub struct SignInConfig {
    /// What it is called in addresses and in the names of who comes through it. Source: `NAME`.
    pub name: String,
    /// What it speaks. Source: `kind`, `issuer`, `url`, `api_url`.
    pub service: Identity,
    /// What this host is called there. Source: `client_id`.
    pub client_id: String,
    /// By what it is known there; none for a public client. Source: `client_secret`.
    pub client_secret: Option<Secret>,
    /// For whom tokens of programs are made; default the client's id. Source: `audiences`.
    pub audiences: Vec<String>,
    /// The claim that is the name in records; default `sub`, at GitHub `login`. Source: `name_claim`.
    pub name_claim: String,
    /// What is asked for; default `openid email profile`, at GitHub `read:org`. Source: `scopes`.
    pub scopes: Vec<String>,
    /// What people and programs may: the first that fits. Source: `roles`.
    pub roles: Vec<RoleRule>,
}

/// What an identity provider speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// OpenID Connect.
    Oidc {
        /// Its address, as its tokens name it.
        issuer: String,
    },
    /// OAuth as GitHub has it, and its API to ask who came.
    Github {
        /// Where people sign in, without a `/` at the end; default `https://github.com`.
        url: String,
        /// Where the REST API is, likewise; default `https://api.github.com`.
        api_url: String,
    },
}

/// What somebody may of whom this is said. Source: `roles`.
#[derive(Clone, Debug, PartialEq)]
pub struct RoleRule {
    /// Claims and what they hold; of a list one of its elements. Source: `when`.
    pub when: BTreeMap<String, String>,
    /// Source: `role`.
    pub role: Role,
    /// Source: `scopes`.
    pub scopes: Vec<Scope>,
}

/// Choices of `kind`.
pub(super) const KIND: &[&str] = &["oidc", "github"];

/// Choices of `role`.
pub(super) const ROLE: &[&str] = &["viewer", "editor", "admin", "service"];

/// Providers at once: a page has a button for each.
const PROVIDERS_MAX: usize = 20;

/// Reads all of `[host.sign_in]`.
pub(super) fn read(
    host: &Reader<'_, '_>,
    environment: &dyn Fn(&str) -> Option<String>,
    errors: &mut Errors,
) -> BTreeMap<String, SignInConfig> {
    let mut read = BTreeMap::new();
    for (name, value) in host.entries("sign_in", errors) {
        if !is_name(name.get_ref(), "-") {
            errors
                .at(
                    name.span(),
                    format!(
                        "{} cannot be the name of a provider",
                        literal(name.get_ref())
                    ),
                )
                .help("use 1 to 63 lower-case letters, digits and `-`, and begin with a letter");
            continue;
        }
        let what = format!("`[host.sign_in.{}]`", name.get_ref());
        let table = Reader::open(value, &keys::SIGN_IN, what, name.span(), errors);
        let config = table.and_then(|table| one(name.get_ref(), &table, environment, errors));
        if let Some(config) = config {
            read.insert(config.name.clone(), config);
        }
    }
    if read.len() > PROVIDERS_MAX {
        errors
            .at(
                host.place_of("sign_in"),
                format!("there are more than {PROVIDERS_MAX} providers"),
            )
            .help("one OpenID Connect provider can stand for many");
    }
    read
}

fn one(
    name: &str,
    table: &Reader<'_, '_>,
    environment: &dyn Fn(&str) -> Option<String>,
    errors: &mut Errors,
) -> Option<SignInConfig> {
    // Without a kind the rest is read all the same: every mistake is told at once.
    let kind = table.choice("kind", errors);
    let is_github = kind == Some(1);
    let mut address = |key: &str| {
        let written = table.text(key, errors)?;
        checked_address(written, errors)
    };
    let (issuer, url, api_url) = (address("issuer"), address("url"), address("api_url"));
    for (key, belongs) in [
        ("issuer", !is_github),
        ("audiences", !is_github),
        ("url", is_github),
        ("api_url", is_github),
    ] {
        if kind.is_some() && table.span(key).is_some() && !belongs {
            errors
                .at(
                    table.place_of(key),
                    format!("`{key}` of {} is not of its `kind`", table.what()),
                )
                .help("`issuer` and `audiences` belong to `oidc`, `url` and `api_url` to `github`");
        }
    }
    if kind == Some(0) && table.span("issuer").is_none() {
        errors
            .at(table.place(), format!("{} has no `issuer`", table.what()))
            .help("it is the address below which `/.well-known/openid-configuration` is");
    }
    let client_id = table.text("client_id", errors).map(Spanned::into_inner);
    let client_secret = table
        .raw_text("client_secret", errors)
        .and_then(|written| fill(&written, table.what(), true, environment, errors))
        .map(Secret::new);
    let texts = |key: &str, errors: &mut Errors| {
        table
            .texts(key, errors)
            .map(|all| all.into_iter().map(Spanned::into_inner).collect::<Vec<_>>())
    };
    let audiences = texts("audiences", errors);
    let scopes = texts("scopes", errors);
    let name_claim = table.text("name_claim", errors).map(Spanned::into_inner);
    let roles: Vec<RoleRule> = table
        .tables("roles", "a role", errors)
        .iter()
        .filter_map(|rule| role(rule, errors))
        .collect();
    if table.span("roles").is_none() {
        errors
            .at(
                table.place(),
                format!("{} gives nobody a role", table.what()),
            )
            .help(
                "add for instance `roles = [{ role = \"viewer\", when = { groups = \"staff\" } }]`",
            );
    }
    kind?;
    let service = if is_github {
        Identity::Github {
            url: url.unwrap_or_else(|| "https://github.com".into()),
            api_url: api_url.unwrap_or_else(|| super::github::DEFAULT_API_URL.into()),
        }
    } else {
        Identity::Oidc { issuer: issuer? }
    };
    let client_id = client_id?;
    let words = |text: &str| text.split(' ').map(str::to_owned).collect();
    Some(SignInConfig {
        name: name.to_owned(),
        audiences: audiences.unwrap_or_else(|| vec![client_id.clone()]),
        client_id,
        client_secret,
        name_claim: name_claim.unwrap_or_else(|| if is_github { "login" } else { "sub" }.into()),
        scopes: scopes.unwrap_or_else(|| {
            words(if is_github {
                "read:org"
            } else {
                "openid email profile"
            })
        }),
        service,
        roles,
    })
}

fn role(rule: &Reader<'_, '_>, errors: &mut Errors) -> Option<RoleRule> {
    let chosen = rule.choice("role", errors);
    let mut when = BTreeMap::new();
    let claims = rule.entries("when", errors);
    let is_empty = claims.is_empty();
    for (claim, value) in claims {
        match value.get_ref() {
            DeValue::String(text) => {
                when.insert(claim.into_inner().to_owned(), text.clone().into_owned());
            }
            _ => {
                errors
                    .at(
                        value.span(),
                        format!("a claim of `when` must be a string, not {}", found(value)),
                    )
                    .label("expected a string");
            }
        }
    }
    if is_empty && rule.span("when").is_some() {
        errors
            .at(rule.place_of("when"), "`when` names no claim, so everybody would have the role")
            .help("name one, for instance `when = { groups = \"staff\" }`; for everybody `when = { sub = \"*\" }`");
    }
    let mut scopes = Vec::new();
    for written in rule.texts("scopes", errors).unwrap_or_default() {
        match written.get_ref().parse::<Scope>() {
            Ok(scope) => scopes.push(scope),
            Err(error) => {
                errors.at(written.span(), error);
            }
        }
    }
    let role: Role = ROLE.get(chosen?)?.parse().ok()?;
    if role == Role::Service && scopes.is_empty() {
        errors
            .at(
                rule.place(),
                "a service may only what its `scopes` name, and there are none",
            )
            .help("add for instance `scopes = [\"agents:run:badge\"]`");
    }
    Some(RoleRule { when, role, scopes })
}

/// `https` anywhere; without TLS who listens could be anybody, so `http` is for this machine alone.
fn checked_address(written: Spanned<String>, errors: &mut Errors) -> Option<String> {
    let text = written.get_ref();
    let uri: Option<Uri> = text.parse().ok();
    let host = uri.as_ref().and_then(Uri::host).unwrap_or_default();
    let fits = match uri.as_ref().and_then(Uri::scheme_str) {
        Some("https") => !host.is_empty(),
        Some("http") => matches!(host, "127.0.0.1" | "[::1]" | "localhost"),
        _ => false,
    };
    if fits && !text.contains(['?', '#', '@']) {
        return Some(text.trim_end_matches('/').to_owned());
    }
    errors
        .at(
            written.span(),
            format!("{} is no address of a provider", literal(text)),
        )
        .help("write for instance `https://id.example.com`; `http` is for this machine alone");
    None
}
