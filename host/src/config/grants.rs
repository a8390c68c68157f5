//! `grants` of an agent: what it may reach and what it may propose. What is not listed is denied.
//!
//! Addresses are only checked for what a person can get wrong when writing them; what a request may reach is decided at the egress gate.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::Range;
use std::path::PathBuf;

use http::{HeaderName, HeaderValue, Uri};
use ipnet::IpNet;
use toml::Spanned;
use toml::de::DeValue;

use super::Context;
use super::error::{Errors, literal, nearest};
use super::paths::{granted_directory, overlap, wrong_guest_path};
use super::reader::{Reader, found};
use super::secret::{Piece, Secret, is_variable_name, pieces};
use super::secrets::{NAME_HELP, is_secret_name};
use crate::topics;

/// What an agent may reach. Source: `[agents.NAME.grants]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// Repositories, at most one entry for each. Source: `repos`.
    pub repositories: Vec<RepositoryGrant>,
    /// Requests. Source: `http`.
    pub http: Vec<HttpGrantConfig>,
    /// Directories of this machine. Source: `directories`.
    pub directories: Vec<DirectoryGrant>,
    /// Environment variables of the guest, with `${NAME}` filled in, for which they print as `****`. Source: `env`.
    pub environment: BTreeMap<String, Secret>,
    /// Types of events, or beginnings of types with `*` behind them, that it may emit. Source: `events`.
    pub events: Vec<String>,
    /// Agents that it may propose to steer. Source: `agents`.
    pub agents: Vec<String>,
    /// Channels that it may propose to write to. Source: `channels`.
    pub channels: Vec<String>,
    /// Views of the host that it may read. Source: `views`.
    pub views: Vec<String>,
    /// Whether it may have code judged; default `false`. Source: `checks`.
    pub checks: bool,
    /// Secrets that the guest may read. Source: `reveal`.
    pub reveal: Vec<String>,
}

/// What an agent may do with one repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryGrant {
    /// A key of `Config::repositories`.
    pub name: String,
    /// Whether it may list, read, log and diff; default `true`.
    pub read: bool,
    /// Where the guest sees the checkout, read-only: `checkout`, or `/repos/<name>` where `files = true`, or nowhere.
    pub checkout: Option<String>,
    /// What it may propose; a kind that is absent may not be proposed.
    pub effects: BTreeMap<EffectKind, EffectScope>,
}

/// The effects that a repository grant can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EffectKind {
    /// A commit.
    Commit,
    /// A pull request.
    PullRequest,
    /// A merge.
    Merge,
    /// An issue.
    Issue,
    /// A comment.
    Comment,
    /// A commit status.
    Status,
    /// A publication.
    Publication,
}

impl EffectKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Commit,
        Self::PullRequest,
        Self::Merge,
        Self::Issue,
        Self::Comment,
        Self::Status,
        Self::Publication,
    ];

    /// The key in `plugins.toml`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::PullRequest => "pull_request",
            Self::Merge => "merge",
            Self::Issue => "issue",
            Self::Comment => "comment",
            Self::Status => "status",
            Self::Publication => "publication",
        }
    }
}

/// Where an effect may land.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EffectScope {
    /// Any branch. Source: `true`.
    AnyBranch,
    /// Branches that match one of these patterns, in which `*` stands for any characters; at least one.
    Branches(Vec<String>),
}

/// Requests that an agent may send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpGrantConfig {
    /// `http` or `https`, host, and port and path where they matter; no user, no query.
    pub url: String,
    /// In capitals, at least one; default `GET` and `HEAD`.
    pub methods: Vec<String>,
    /// Ranges of non-public addresses, as `address/bits` without bits behind the prefix; never one that covers link-local addresses.
    pub private: Vec<String>,
    /// A header that the host adds.
    pub credential: Option<CredentialConfig>,
}

/// A header that the host sets and the guest never sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialConfig {
    /// In small letters; default `authorization`.
    pub header: String,
    /// Its value, with `${NAME}` filled in; a valid header value.
    pub value: Secret,
    /// The variables in it: by what it is called in records.
    pub names: Vec<String>,
}

/// A directory of this machine that a guest sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryGrant {
    /// Canonical, and a directory when it was checked.
    pub host: PathBuf,
    /// Absolute, normalised, unique in the agent.
    pub guest: String,
    /// Whether the guest may change it; default `false`.
    pub write: bool,
}

/// The header of a credential that names none.
const DEFAULT_HEADER: &str = "authorization";
/// Methods of a grant that names none.
const DEFAULT_METHODS: [&str; 2] = ["GET", "HEAD"];
/// Methods that can be granted. `CONNECT` and `TRACE` are not among them: the one makes a tunnel, the other returns credentials.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
/// Headers that frame the message or belong to the connection; a credential in one of them would break the request or leave with the wrong peer.
const FRAMING_HEADERS: [&str; 9] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// Bytes of a credential: what servers take for one header line.
const MAX_CREDENTIAL: usize = 8 * 1024;
/// Bytes of a branch pattern: what file systems take for a name.
const MAX_PATTERN: usize = 255;

/// Reads the grants. `enabled` is whether the agent runs, so that what it needs must be there.
pub(super) fn read(
    grants: &Reader<'_, '_>,
    agent: &str,
    enabled: bool,
    context: &Context<'_>,
    errors: &mut Errors,
) -> Grants {
    let mut mounts = Mounts::default();
    let read = Grants {
        repositories: repositories(grants, agent, &mut mounts, context, errors),
        directories: directories(grants, agent, enabled, &mut mounts, context, errors),
        http: grants
            .tables("http", &format!("an `http` grant of {agent}"), errors)
            .iter()
            .filter_map(|grant| http(grant, agent, enabled, context, errors))
            .collect(),
        environment: environment(grants, agent, enabled, context, errors),
        events: events(grants, agent, errors),
        agents: names(grants, "agents", errors),
        channels: names(grants, "channels", errors),
        views: names(grants, "views", errors),
        checks: grants.boolean("checks", errors).unwrap_or(false),
        reveal: names(grants, "reveal", errors),
    };
    secrets(grants, &read, agent, enabled, context, errors);
    read
}

/// Checks that an agent names only secrets that it is granted, and that there are.
fn secrets(
    grants: &Reader<'_, '_>,
    read: &Grants,
    agent: &str,
    enabled: bool,
    context: &Context<'_>,
    errors: &mut Errors,
) {
    let granted = grants.texts("secrets", errors);
    for name in granted.iter().flatten() {
        let text = name.get_ref();
        if !is_secret_name(text) {
            errors
                .at(
                    name.span(),
                    format!(
                        "{} in the grants of {agent} is no name of a secret",
                        literal(text)
                    ),
                )
                .help(format!(
                    "{NAME_HELP}; each secret is granted by its whole name"
                ));
        } else if enabled && (context.environment)(text).is_none_or(|value| value.is_empty()) {
            errors
                .at(
                    name.span(),
                    format!(
                        "{agent} is granted the secret {}, which there is none of",
                        literal(text)
                    ),
                )
                .help(format!("give it a value: `infinity secret set {text}`"));
        }
    }
    let is_granted = |name: &str| {
        let mut granted = granted.iter().flatten();
        granted.any(|granted| granted.get_ref() == name)
    };
    for name in read.reveal.iter().filter(|name| !is_granted(name)) {
        errors
            .at(
                grants.place_of("reveal"),
                format!(
                    "{agent} may read the secret {}, which is not among its `secrets`",
                    literal(name)
                ),
            )
            .help(format!("add it there: `secrets = [\"{name}\"]`"));
    }
    if granted.is_none() {
        return;
    }
    let mut named: BTreeSet<String> = BTreeSet::new();
    for grant in &read.http {
        named.extend(grant.credential.iter().flat_map(|one| one.names.clone()));
    }
    // What is wrong with these was said when they were read.
    for (_, value) in grants.entries("env", &mut Errors::default()) {
        if let DeValue::String(text) = value.get_ref() {
            named.extend(pieces(text).into_iter().filter_map(|piece| match piece {
                Piece::Variable(name) => Some(name.to_owned()),
                _ => None,
            }));
        }
    }
    for name in named.iter().filter(|name| !is_granted(name)) {
        errors
            .at(
                grants.place_of("secrets"),
                format!(
                    "{agent} uses the secret {}, which is not among its `secrets`",
                    literal(name)
                ),
            )
            .help(format!(
                "add {} to the list, or do not use it",
                literal(name)
            ));
    }
}

fn names(grants: &Reader<'_, '_>, key: &str, errors: &mut Errors) -> Vec<String> {
    let names = grants.texts(key, errors).unwrap_or_default();
    names.into_iter().map(Spanned::into_inner).collect()
}

/// The guest's paths that are taken.
#[derive(Default)]
struct Mounts(BTreeSet<String>);

impl Mounts {
    fn take(&mut self, guest: &str, span: Range<usize>, errors: &mut Errors) -> bool {
        if let Some(reason) = wrong_guest_path(guest) {
            errors.at(
                span,
                format!("guest path {} cannot be used: {reason}", literal(guest)),
            );
            return false;
        }
        let free = self.0.insert(guest.to_owned());
        if !free {
            errors
                .at(span, format!("guest path {} is used twice", literal(guest)))
                .help("give each directory and checkout of the agent a path of its own");
        }
        free
    }
}

fn repositories(
    grants: &Reader<'_, '_>,
    agent: &str,
    mounts: &mut Mounts,
    context: &Context<'_>,
    errors: &mut Errors,
) -> Vec<RepositoryGrant> {
    let mut names = BTreeSet::new();
    let mut repositories = Vec::new();
    for grant in grants.tables("repos", &format!("a `repos` grant of {agent}"), errors) {
        let read = grant.boolean("read", errors).unwrap_or(true);
        let files = grant.boolean("files", errors);
        let checkout = grant.text("checkout", errors);
        let effects = EffectKind::ALL
            .into_iter()
            .filter_map(|kind| Some((kind, scope(&grant, kind, errors)?)))
            .collect();
        let Some(name) = grant.text("name", errors) else {
            continue;
        };
        if !context.repositories.contains(name.get_ref()) {
            unknown_repository(&name, context, errors);
            continue;
        }
        let span = name.span();
        let name = name.into_inner();
        if !names.insert(name.clone()) {
            errors
                .at(
                    span,
                    format!("{agent} is granted repository {} twice", literal(&name)),
                )
                .help("put both grants into one");
            continue;
        }
        let checkout = match (checkout, files) {
            (Some(checkout), Some(false)) => {
                errors
                    .at(
                        checkout.span(),
                        "`checkout` has no use with `files = false`",
                    )
                    .help("drop one of the two");
                None
            }
            (Some(checkout), _) => Some((checkout.span(), checkout.into_inner())),
            (None, Some(true)) => Some((span, format!("/repos/{name}"))),
            (None, _) => None,
        };
        let checkout = checkout
            .filter(|(span, guest)| mounts.take(guest, span.clone(), errors))
            .map(|(_, guest)| guest);
        repositories.push(RepositoryGrant {
            name,
            read,
            checkout,
            effects,
        });
    }
    repositories
}

fn unknown_repository(name: &Spanned<String>, context: &Context<'_>, errors: &mut Errors) {
    let near = (errors.room() > 0)
        .then(|| {
            nearest(
                name.get_ref(),
                context.repositories.iter().map(String::as_str),
            )
        })
        .flatten();
    let help = near.map_or_else(
        || "add it: `[repositories.NAME]` with `path = \"…\"`".to_owned(),
        |near| format!("did you mean `{near}`?"),
    );
    errors
        .at(
            name.span(),
            format!("there is no repository {}", literal(name.get_ref())),
        )
        .help(help);
}

fn scope(grant: &Reader<'_, '_>, kind: EffectKind, errors: &mut Errors) -> Option<EffectScope> {
    let patterns = match grant.branches(kind.as_str(), errors)? {
        Ok(whether) => return whether.then_some(EffectScope::AnyBranch),
        Err(patterns) => patterns,
    };
    if patterns.is_empty() {
        errors
            .at(
                grant.place_of(kind.as_str()),
                format!("`{}` in {} names no branch", kind.as_str(), grant.what()),
            )
            .help("name branches, or write `true` for any branch or `false` for none");
        return None;
    }
    for pattern in &patterns {
        if let Some((reason, help)) = wrong_pattern(pattern.get_ref()) {
            errors
                .at(
                    pattern.span(),
                    format!("branch pattern {} {reason}", literal(pattern.get_ref())),
                )
                .help(help);
        }
    }
    Some(EffectScope::Branches(
        patterns.into_iter().map(Spanned::into_inner).collect(),
    ))
}

/// What git forbids in the name of a branch, but for `*`, which is ours.
fn wrong_pattern(pattern: &str) -> Option<(&'static str, &'static str)> {
    const HELP: &str = "write a branch's name, with `*` for any characters";
    if pattern.starts_with("refs/") {
        return Some((
            "starts with `refs/`",
            "write the branch's name alone, such as `main`",
        ));
    }
    if pattern.is_empty() || pattern.len() > MAX_PATTERN {
        return Some(("is empty or too long", HELP));
    }
    let forbidden = |c: char| c.is_control() || c.is_whitespace() || "~^:?[\\".contains(c);
    let misplaced = pattern.starts_with(['/', '-'])
        || pattern.ends_with(['/', '.'])
        || pattern.ends_with(".lock")
        || ["..", "//", "@{"].iter().any(|part| pattern.contains(part));
    (pattern.contains(forbidden) || misplaced).then_some(("cannot match any branch", HELP))
}

fn directories(
    grants: &Reader<'_, '_>,
    agent: &str,
    enabled: bool,
    mounts: &mut Mounts,
    context: &Context<'_>,
    errors: &mut Errors,
) -> Vec<DirectoryGrant> {
    let what = format!("a `directories` grant of {agent}");
    let mut directories: Vec<DirectoryGrant> = Vec::new();
    for grant in grants.tables("directories", &what, errors) {
        let write = grant.boolean("write", errors).unwrap_or(false);
        let guest = grant
            .text("guest", errors)
            .filter(|guest| mounts.take(guest.get_ref(), guest.span(), errors));
        let Some(written) = grant.path("host", errors) else {
            continue;
        };
        let Some(host) = granted_directory(&written, write, enabled, context.paths, errors) else {
            continue;
        };
        let clash = directories
            .iter()
            .find(|other| (write || other.write) && overlap(&other.host, &host));
        if let Some(other) = clash {
            errors
                .at(
                    written.span(),
                    format!(
                        "directory {} overlaps with the one at {}, and one of them is writable",
                        literal(written.get_ref()),
                        literal(&other.guest)
                    ),
                )
                .help("grant directories that do not hold one another, or make both read-only");
        }
        if let Some(guest) = guest {
            directories.push(DirectoryGrant {
                host,
                guest: guest.into_inner(),
                write,
            });
        }
    }
    directories
}

fn http(
    grant: &Reader<'_, '_>,
    agent: &str,
    enabled: bool,
    context: &Context<'_>,
    errors: &mut Errors,
) -> Option<HttpGrantConfig> {
    let methods = grant.texts("methods", errors);
    if methods.as_ref().is_some_and(Vec::is_empty) {
        errors
            .at(
                grant.place_of("methods"),
                format!("`methods` in {} is empty", grant.what()),
            )
            .help("name at least one method, or drop `methods` for `GET` and `HEAD`");
    }
    for method in methods.iter().flatten() {
        check_method(method, errors);
    }
    let private = grant.texts("private", errors).unwrap_or_default();
    for range in &private {
        check_range(range, errors);
    }
    let credential = grant
        .table("credential", format!("a `credential` of {agent}"), errors)
        .and_then(|reader| credential(&reader, agent, enabled, context, errors));
    let url = grant.text("url", errors)?;
    if let Some((reason, help)) = wrong_url(url.get_ref()) {
        errors
            .at(
                url.span(),
                format!("address {} {reason}", literal(url.get_ref())),
            )
            .help(help);
        return None;
    }
    Some(HttpGrantConfig {
        url: url.into_inner(),
        methods: methods.map_or_else(
            || DEFAULT_METHODS.map(str::to_owned).to_vec(),
            |methods| methods.into_iter().map(Spanned::into_inner).collect(),
        ),
        private: private.into_iter().map(Spanned::into_inner).collect(),
        credential,
    })
}

fn check_method(method: &Spanned<String>, errors: &mut Errors) {
    let written = method.get_ref().as_str();
    if METHODS.contains(&written) {
        return;
    }
    let upper = written.to_ascii_uppercase();
    let help = if METHODS.contains(&upper.as_str()) {
        format!("write `{upper}`")
    } else {
        format!(
            "the methods are {}",
            METHODS.map(|m| format!("`{m}`")).join(", ")
        )
    };
    errors
        .at(
            method.span(),
            format!("method {} cannot be granted", literal(written)),
        )
        .help(help);
}

fn check_range(range: &Spanned<String>, errors: &mut Errors) {
    let written = range.get_ref().as_str();
    let Ok(network) = written.parse::<IpNet>() else {
        let help = match written.parse::<IpAddr>() {
            Ok(address) => format!("write `{}` for one address", IpNet::from(address)),
            Err(_) => {
                "write an address and the bits of its prefix, for instance `10.2.0.0/16`".to_owned()
            }
        };
        errors
            .at(
                range.span(),
                format!("{} is not a range of addresses", literal(written)),
            )
            .help(help);
        return;
    };
    if network.trunc() != network {
        errors
            .at(
                range.span(),
                format!("range {} has bits set behind its prefix", literal(written)),
            )
            .help(format!("write `{}`", network.trunc()));
    }
    let link_local = [
        IpNet::new_assert([169, 254, 0, 0].into(), 16),
        IpNet::new_assert([0xfe80, 0, 0, 0, 0, 0, 0, 0].into(), 10),
    ];
    if link_local
        .iter()
        .any(|never| never.contains(&network) || network.contains(never))
    {
        errors
            .at(
                range.span(),
                format!(
                    "range {} covers link-local addresses, which are never reachable",
                    literal(written)
                ),
            )
            .help("they hold the metadata of cloud machines; name the range that the server is in");
    }
}

/// Why a granted address cannot be used, if so.
fn wrong_url(url: &str) -> Option<(&'static str, &'static str)> {
    const EXAMPLE: &str = "write for instance `https://api.example.com/v1/*`";
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return Some(("does not start with `http://` or `https://`", EXAMPLE));
    }
    if url.contains(['?', '#']) {
        return Some((
            "has a query or a fragment",
            "grants end with the path; drop `?` or `#` and what follows",
        ));
    }
    let Ok(uri) = url.parse::<Uri>() else {
        return Some(("is not an address", EXAMPLE));
    };
    let authority = uri.authority().map_or("", http::uri::Authority::as_str);
    if authority.contains('@') {
        return Some((
            "holds a user name or a password",
            "use `credential = { value = \"…${NAME}\" }`",
        ));
    }
    if uri.host().is_none_or(|host| host.is_empty() || host == "*") {
        return Some(("names no host", EXAMPLE));
    }
    // `Uri` takes a port that is none, and gives `None` for it.
    let host_length = uri.host().map_or(0, str::len);
    if authority.len() > host_length && uri.port_u16().is_none_or(|port| port == 0) {
        return Some(("has a port that is not between 1 and 65_535", EXAMPLE));
    }
    None
}

fn credential(
    reader: &Reader<'_, '_>,
    agent: &str,
    enabled: bool,
    context: &Context<'_>,
    errors: &mut Errors,
) -> Option<CredentialConfig> {
    let header = match reader.text("header", errors) {
        None => DEFAULT_HEADER.to_owned(),
        Some(header) => {
            let name = HeaderName::from_bytes(header.get_ref().as_bytes());
            match name {
                Ok(name) if !FRAMING_HEADERS.contains(&name.as_str()) => name.as_str().to_owned(),
                _ => {
                    errors
                        .at(
                            header.span(),
                            format!(
                                "header {} cannot carry a credential",
                                literal(header.get_ref())
                            ),
                        )
                        .help("write for instance `authorization` or `x-api-key`");
                    DEFAULT_HEADER.to_owned()
                }
            }
        }
    };
    let written = reader.raw_text("value", errors)?;
    let value = filled_in(&written, agent, enabled, context, errors)?;
    // The message must not show the value.
    if value.len() > MAX_CREDENTIAL || HeaderValue::from_str(&value).is_err() {
        errors
            .at(
                written.span(),
                format!("the credential of {agent} is not a valid header value"),
            )
            .help("it may hold visible ASCII characters and spaces, at most 8 KiB; a line break at the end of a variable is a common reason");
        return None;
    }
    let names = pieces(written.get_ref())
        .into_iter()
        .filter_map(|piece| match piece {
            Piece::Variable(name) => Some(name.to_owned()),
            _ => None,
        })
        .collect();
    Some(CredentialConfig {
        header,
        value: Secret::new(value),
        names,
    })
}

/// Types that an agent may emit: anything but what the host says of itself.
fn events(grants: &Reader<'_, '_>, agent: &str, errors: &mut Errors) -> Vec<String> {
    let mut patterns = Vec::new();
    for pattern in grants.texts("events", errors).unwrap_or_default() {
        let text = pattern.get_ref();
        if !topics::is_pattern(text) {
            errors
                .at(
                    pattern.span(),
                    format!("{} in the grants of {agent} is no type of events", literal(text)),
                )
                .help("write a type such as `\"build.finished\"`, or the beginning of some such as `\"build.*\"`");
        } else if topics::is_own(text) {
            errors
                .at(
                    pattern.span(),
                    format!(
                        "{} in the grants of {agent} covers events of the host itself",
                        literal(text)
                    ),
                )
                .help("choose a beginning of your own, for instance `\"build.*\"`");
        }
        patterns.push(pattern.into_inner());
    }
    patterns
}

fn environment(
    grants: &Reader<'_, '_>,
    agent: &str,
    enabled: bool,
    context: &Context<'_>,
    errors: &mut Errors,
) -> BTreeMap<String, Secret> {
    let mut environment = BTreeMap::new();
    for (name, value) in grants.entries("env", errors) {
        if !is_variable_name(name.get_ref()) {
            errors
                .at(
                    name.span(),
                    format!(
                        "{} cannot be the name of an environment variable",
                        literal(name.get_ref())
                    ),
                )
                .help("use letters, digits and `_`, and start with no digit");
        }
        let DeValue::String(text) = value.get_ref() else {
            errors
                .at(
                    value.span(),
                    format!(
                        "environment variables of {agent} must be strings, not {}",
                        found(value)
                    ),
                )
                .label("expected a string");
            continue;
        };
        let text = Spanned::new(value.span(), text.clone().into_owned());
        let Some(filled) = filled_in(&text, agent, enabled, context, errors) else {
            continue;
        };
        if filled.contains('\0') {
            errors.at(
                value.span(),
                format!(
                    "environment variable {} holds a null character",
                    literal(name.get_ref())
                ),
            );
            continue;
        }
        environment.insert((*name.get_ref()).to_owned(), Secret::new(filled));
    }
    environment
}

/// Replaces each `${NAME}` by the host's variable. A missing variable is a mistake only for an agent that runs; else it counts as empty.
pub(super) fn filled_in(
    written: &Spanned<String>,
    agent: &str,
    enabled: bool,
    context: &Context<'_>,
    errors: &mut Errors,
) -> Option<String> {
    fill(written, agent, enabled, context.environment, errors)
}

/// As [`filled_in`], for whatever needs it: an agent, or a channel, which always runs.
pub(super) fn fill(
    written: &Spanned<String>,
    what: &str,
    enabled: bool,
    environment: &dyn Fn(&str) -> Option<String>,
    errors: &mut Errors,
) -> Option<String> {
    let mut out = String::new();
    let mut complete = true;
    for piece in pieces(written.get_ref()) {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Escaped => out.push_str("${"),
            Piece::Broken => {
                errors
                    .at(written.span(), "`${` without a name and `}` behind it")
                    .help("write `${NAME}`, or `$${` for the characters themselves");
                complete = false;
            }
            Piece::Variable(name) => {
                let value = environment(name).filter(|value| !value.is_empty());
                if value.is_none() && enabled {
                    errors
                        .at(
                            written.span(),
                            format!(
                                "{what} needs the environment variable {}, which is not set",
                                literal(name)
                            ),
                        )
                        .help(if what.starts_with("agent") {
                            format!("set it before starting the host, or set `enabled = false` in {what}")
                        } else {
                            format!("set it before starting the host, or drop {what}")
                        });
                    complete = false;
                }
                out.push_str(&value.unwrap_or_default());
            }
        }
    }
    complete.then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judges_addresses() {
        for good in [
            "https://api.example.com",
            "https://api.example.com/v1/*",
            "http://127.0.0.1:8080/",
            "http://[::1]:8080/x",
            "https://*.example.com/",
        ] {
            assert_eq!(wrong_url(good), None, "{good}");
        }
        for bad in [
            "",
            "api.example.com",
            "ftp://example.com/",
            "https://",
            "https:///path",
            "https://*",
            "https://user@example.com/",
            "https://example.com/?q=1",
            "https://example.com/#top",
            "https://example.com:0/",
            "https://example.com:99999/",
            "https://example.com:/",
            "https://exa mple.com/",
        ] {
            assert!(wrong_url(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn judges_branch_patterns() {
        for good in ["main", "release/*", "*", "feature/a-b_c.d"] {
            assert_eq!(wrong_pattern(good), None, "{good}");
        }
        for bad in [
            "",
            "refs/heads/main",
            "-x",
            "/x",
            "x/",
            "a..b",
            "a b",
            "a~1",
            "a:b",
            "x.lock",
            "a//b",
            "@{1}",
        ] {
            assert!(wrong_pattern(bad).is_some(), "{bad}");
        }
    }
}
