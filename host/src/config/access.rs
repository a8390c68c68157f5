//! What `[host]` says of who may call: names, proxies, networks that are never banned, rates.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use http::{HeaderValue, Uri};
use ipnet::IpNet;
use toml::Spanned;

use super::error::{Errors, literal};
use super::reader::Reader;
use super::resolve;
use super::sign_in::{self, SignInConfig};
use super::tls::{self, TlsConfig};
use crate::access::guard;

/// The shortest prefix of a trusted proxy's network: nobody has proxies in half of the internet, and whoever is trusted can be anybody.
const PREFIX_MIN: u8 = 8;

/// Who may call. Source: `[host]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AccessConfig {
    /// Names that the host answers to, beside its addresses. Source: `names`.
    pub names: Vec<String>,
    /// Where browsers reach the host, without a `/` at the end. Source: `url`.
    pub url: Option<String>,
    /// Origins whose pages may read answers. Source: `cors`.
    pub cors: Vec<HeaderValue>,
    /// Whether who has a second factor shows it before they change anything; default no. Source: `factor_for_changes`.
    pub factor_for_changes: bool,
    /// With what the API is served. Source: `[host.tls]`.
    pub tls: Option<TlsConfig>,
    /// Who vouches for people and programs, by name. Source: `[host.sign_in]`.
    pub sign_in: BTreeMap<String, SignInConfig>,
    /// Proxies whose word on a client's address counts. Source: `trusted_proxies`.
    pub trusted_proxies: Vec<IpNet>,
    /// What is counted, and who is kept out. Source: `never_banned`, `ban_at_first_lockout`, `reads`, `changes`, `[[host.rate_limits]]`.
    pub guard: guard::Settings,
    /// What is written down of it.
    pub journal: JournalConfig,
}

/// What is written down of what was done. Source: `[host]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalConfig {
    /// Whether records are encrypted; default yes. Source: `seal_journal`.
    pub sealed: bool,
    /// Whether backups are encrypted; default yes. Source: `seal_backups`.
    pub seals_backups: bool,
    /// Where checkpoints go instead of the state folder. Source: `checkpoints`.
    pub checkpoints: Option<PathBuf>,
    /// Whether files for mirrors name people; default no. Source: `name_people_in_views`.
    pub named_views: bool,
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self {
            sealed: true,
            seals_backups: true,
            checkpoints: None,
            named_views: false,
        }
    }
}

pub(super) fn read(
    root: &Path,
    table: &Reader<'_, '_>,
    environment: &dyn Fn(&str) -> Option<String>,
    errors: &mut Errors,
) -> AccessConfig {
    let mut access = AccessConfig {
        url: table
            .text("url", errors)
            .and_then(|url| origin(&url, "url", errors)),
        cors: cors(table, errors),
        factor_for_changes: table
            .boolean("factor_for_changes", errors)
            .unwrap_or_default(),
        tls: tls::read(root, table, errors),
        sign_in: sign_in::read(table, environment, errors),
        ..AccessConfig::default()
    };
    for name in table.texts("names", errors).unwrap_or_default() {
        let written = name.get_ref();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
        if written.is_empty() || written.len() > 253 || !written.bytes().all(plain) {
            errors
                .at(
                    name.span(),
                    format!("{} is not a host name", literal(written)),
                )
                .help("write the name alone, for instance `infinity.example.com`");
            continue;
        }
        access.names.push(written.clone());
    }
    let host = access.url.as_ref().and_then(|url| url.parse::<Uri>().ok());
    if let Some(host) = host.as_ref().and_then(Uri::host) {
        access.names.push(host.to_owned());
    }
    access.trusted_proxies = networks(table, "trusted_proxies", errors);
    let wide = |network: &&IpNet| network.prefix_len() < PREFIX_MIN;
    if let Some(network) = access.trusted_proxies.iter().find(wide) {
        errors
            .at(
                table.place_of("trusted_proxies"),
                format!("`{network}` trusts more than whole countries"),
            )
            .help("name the addresses of the proxies themselves: whoever is trusted can say that a request is anybody's");
    }
    access.guard.never_banned = networks(table, "never_banned", errors);
    access.guard.ban_at_first_lockout = table
        .boolean("ban_at_first_lockout", errors)
        .unwrap_or_default();
    access.journal = JournalConfig {
        sealed: table.boolean("seal_journal", errors).unwrap_or(true),
        seals_backups: table.boolean("seal_backups", errors).unwrap_or(true),
        checkpoints: table
            .path("checkpoints", errors)
            .map(|path| resolve(root, path.get_ref())),
        named_views: table
            .boolean("name_people_in_views", errors)
            .unwrap_or_default(),
    };
    for (name, field) in [
        ("reads", &mut access.guard.reads),
        ("changes", &mut access.guard.changes),
    ] {
        if let Some(number) = table.number(name, errors).and_then(|n| n.try_into().ok()) {
            *field = number;
        }
    }
    for limit in table.tables("rate_limits", "a rate limit", errors) {
        let route = limit.text("route", errors);
        let requests = limit.number("requests", errors);
        let route = route.filter(|route| check_route(route, errors));
        if let (Some(route), Some(requests)) = (route, requests) {
            let requests = u32::try_from(requests).unwrap_or(u32::MAX);
            access.guard.rates.insert(route.into_inner(), requests);
        }
    }
    access
}

/// A scheme and a host, perhaps with a port, and nothing else.
fn origin(written: &Spanned<String>, key: &str, errors: &mut Errors) -> Option<String> {
    let text = written.get_ref().trim_end_matches('/');
    let uri: Option<Uri> = text.parse().ok();
    let fits = uri.as_ref().is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
            && uri.path_and_query().is_none_or(|path| path == "/")
    });
    if fits && !text.contains(['@', '#']) {
        // As browsers write it: in small letters, and without the port that goes without saying.
        let text = text.to_ascii_lowercase();
        let usual = match uri.as_ref().and_then(Uri::scheme_str) {
            Some("https") => ":443",
            _ => ":80",
        };
        return Some(text.strip_suffix(usual).unwrap_or(&text).to_owned());
    }
    errors
        .at(
            written.span(),
            format!("{} of `{key}` is no origin", literal(written.get_ref())),
        )
        .help("write scheme and host alone, for instance `https://infinity.example.com`");
    None
}

fn cors(table: &Reader<'_, '_>, errors: &mut Errors) -> Vec<HeaderValue> {
    table
        .texts("cors", errors)
        .unwrap_or_default()
        .iter()
        .filter_map(|written| origin(written, "cors", errors)?.parse().ok())
        .collect()
}

fn check_route(route: &Spanned<String>, errors: &mut Errors) -> bool {
    let well = route
        .get_ref()
        .split_once(' ')
        .is_some_and(|(method, path)| {
            ["GET", "POST", "PUT", "DELETE"].contains(&method) && path.starts_with('/')
        });
    if !well {
        errors
            .at(
                route.span(),
                format!("{} is not a route", literal(route.get_ref())),
            )
            .help("write method and path as in `GET /openapi.json`, for instance `POST /v1/agents/{name}/runs`");
    }
    well
}

fn networks(table: &Reader<'_, '_>, name: &str, errors: &mut Errors) -> Vec<IpNet> {
    let mut networks = Vec::new();
    for network in table.texts(name, errors).unwrap_or_default() {
        let written = network.get_ref();
        let parsed = written
            .parse::<IpNet>()
            .or_else(|_| written.parse::<IpAddr>().map(IpNet::from));
        match parsed {
            Ok(parsed) if parsed.trunc() == parsed => networks.push(parsed),
            Ok(parsed) => {
                errors
                    .at(
                        network.span(),
                        format!("{} has bits set behind its prefix", literal(written)),
                    )
                    .help(format!("write `{}`", parsed.trunc()));
            }
            Err(_) => {
                errors
                    .at(
                        network.span(),
                        format!("{} is not an address or a range of them", literal(written)),
                    )
                    .help("write for instance `10.2.0.5` or `10.2.0.0/16`");
            }
        }
    }
    networks
}
