//! Turns one line of `grants.http` and the URL that a guest asks for into "allowed" or a denial
//! with the line that would allow it.
//!
//! Invariants: both sides go through the same normalisation and are then compared exactly; a URL
//! that two programs could read differently is refused, never repaired; nothing here opens a
//! connection or looks a name up, so a denied host is never seen by any name server.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use http::{HeaderName, HeaderValue, Method, Uri, header};
use ipnet::IpNet;
use serde::Serialize;
use thiserror::Error;

use super::address::{AddressClass, AddressRefusal, classify};

/// Longest name that DNS can carry, in bytes.
const HOST_MAX_BYTES: usize = 253;
/// Longest label that DNS can carry, in bytes.
const LABEL_MAX_BYTES: usize = 63;
/// Longest path with query that is sent, in bytes: servers commonly stop at 8 KiB.
const PATH_MAX_BYTES: usize = 8 * 1024;
/// Longest URL written into a denial, in characters: it is read by people in a table.
const SHOWN_URL_MAX_CHARS: usize = 400;
/// Longest first segment of a path written into a suggested grant, in bytes.
const SUGGESTED_SEGMENT_MAX_BYTES: usize = 120;
/// Shortest secret that is accepted, in bytes: masking a shorter one would garble every answer.
const SECRET_MIN_BYTES: usize = 4;
/// Longest secret that is accepted, in bytes: each body chunk is searched for it.
const SECRET_MAX_BYTES: usize = 4 * 1024;

/// Headers that belong to one connection, or that only the gate may set.
pub(super) const GATE_HEADERS: [HeaderName; 12] = [
    header::HOST,
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::EXPECT,
    HeaderName::from_static("http2-settings"),
];

/// Why a line of `grants.http` is not accepted.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum GrantError {
    /// The scheme is neither `https` nor `http`.
    #[error("`{url}`: scheme `{scheme}` cannot be granted, write `https://` or `http://`")]
    Scheme {
        /// The line's URL.
        url: String,
        /// What stands before `://`.
        scheme: String,
    },
    /// The host or port cannot be matched exactly.
    #[error("`{url}`: {why}")]
    Host {
        /// The line's URL.
        url: String,
        /// What is wrong with the host.
        why: &'static str,
    },
    /// The path cannot be matched exactly.
    #[error("`{url}`: {why}")]
    Path {
        /// The line's URL.
        url: String,
        /// What is wrong with the path.
        why: &'static str,
    },
    /// A method that is no method, or that no guest may use.
    #[error("`{url}`: method `{method}` cannot be granted, write one like `GET` or `POST`")]
    Method {
        /// The line's URL.
        url: String,
        /// The method as written.
        method: String,
    },
    /// A range that is no range.
    #[error("`{url}`: `{range}` in `private` is not a range, write one like `10.2.0.0/16`")]
    Range {
        /// The line's URL.
        url: String,
        /// The range as written.
        range: String,
    },
    /// A range in which nothing is ever reachable.
    #[error("`{url}`: `{range}` in `private` can never be granted, it is {kind}")]
    NeverRange {
        /// The line's URL.
        url: String,
        /// The range as written.
        range: String,
        /// What the range holds.
        kind: &'static str,
    },
    /// A credential where more than one host would receive it.
    #[error("`{url}`: a credential needs one exact host, write the host without `*.`")]
    CredentialHost {
        /// The line's URL.
        url: String,
    },
    /// A credential that would travel unencrypted over public networks.
    #[error(
        "`{url}`: a credential would travel unencrypted, write `https://`, or name the `private` range"
    )]
    CredentialInClear {
        /// The line's URL.
        url: String,
    },
    /// A header that a credential cannot use.
    #[error("header `{header}` cannot carry a credential, write one like `authorization`")]
    CredentialHeader {
        /// The header as written.
        header: String,
    },
    /// A secret that cannot be sent or masked.
    #[error("the secret for header `{header}` {why}")]
    CredentialValue {
        /// The header that would carry it.
        header: String,
        /// What is wrong with the secret; never the secret.
        why: &'static str,
    },
}

/// A secret that the gate adds to a granted request. The guest never sees it.
///
/// It replaces whatever the guest put into the same header, and is masked in what comes back.
#[derive(Clone)]
pub struct Credential {
    /// What it is called in records: its header, and the variables that it was made of.
    label: String,
    header: HeaderName,
    value: HeaderValue,
    needles: Vec<Vec<u8>>,
}

impl Credential {
    /// A credential sent as `header: value`, for example `authorization` and `Bearer abc…`.
    ///
    /// In answers both the value and its last word (the token after `Bearer`) are masked.
    ///
    /// # Errors
    ///
    /// When the header belongs to the connection or the body, when the value cannot be a header's
    /// value, or when its last word is shorter than 4 or longer than 4096 bytes.
    pub fn new(header: &str, value: &str) -> Result<Self, GrantError> {
        let name = HeaderName::from_bytes(header.as_bytes())
            .ok()
            .filter(|name| !GATE_HEADERS.contains(name) && *name != header::CONTENT_LENGTH)
            .ok_or_else(|| GrantError::CredentialHeader {
                header: header.to_owned(),
            })?;
        let wrong = |why| GrantError::CredentialValue {
            header: header.to_owned(),
            why,
        };
        let mut header_value = HeaderValue::from_str(value)
            .map_err(|_| wrong("holds characters that a header cannot carry"))?;
        header_value.set_sensitive(true);
        let word = value
            .split_ascii_whitespace()
            .next_back()
            .unwrap_or_default();
        let credential = Self {
            label: format!("`{name}`"),
            header: name,
            value: header_value,
            needles: Vec::new(),
        };
        credential.mask_also(word)
    }

    /// Masks `secret` in answers as well, for example the password inside a `Basic` value.
    ///
    /// # Errors
    ///
    /// When the secret is shorter than 4 or longer than 4096 bytes.
    pub fn mask_also(mut self, secret: &str) -> Result<Self, GrantError> {
        let wrong = |why| GrantError::CredentialValue {
            header: self.header.to_string(),
            why,
        };
        if secret.len() < SECRET_MIN_BYTES {
            return Err(wrong(
                "is shorter than 4 bytes, too short to be masked in answers",
            ));
        }
        if secret.len() > SECRET_MAX_BYTES {
            return Err(wrong("is longer than 4096 bytes"));
        }
        self.needles.push(secret.as_bytes().to_vec());
        Ok(self)
    }

    /// Called by these variables in records.
    #[must_use]
    pub fn named(mut self, names: &[String]) -> Self {
        if !names.is_empty() {
            self.label = format!("`{}` ({})", self.header, names.join(", "));
        }
        self
    }

    pub(super) fn label(&self) -> &str {
        &self.label
    }

    pub(super) fn header(&self) -> &HeaderName {
        &self.header
    }

    pub(super) fn value(&self) -> &HeaderValue {
        &self.value
    }

    pub(super) fn needles(&self) -> &[Vec<u8>] {
        &self.needles
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("header", &self.header)
            .field("value", &"****")
            .finish()
    }
}

/// The two schemes that guests may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UrlScheme {
    Https,
    Http,
}

impl UrlScheme {
    fn parse(text: &str) -> Option<Self> {
        if text.eq_ignore_ascii_case("https") {
            Some(Self::Https)
        } else if text.eq_ignore_ascii_case("http") {
            Some(Self::Http)
        } else {
            None
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Self::Https => 443,
            Self::Http => 80,
        }
    }
}

/// A normalised host: a lower-case ASCII name without a trailing dot, or an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host {
    Name(String),
    Address(IpAddr),
}

impl Host {
    /// Normalises a host as it stands in a URL.
    ///
    /// Accepted are DNS names, four decimal numbers without leading zeros, and IPv6 in brackets.
    /// Resolvers read much more as an address (`127.1`, `0x7f.1`, `2130706433`, `0177.0.0.1`);
    /// whatever could be read so is refused.
    fn parse(text: &str) -> Result<Self, &'static str> {
        if !text.is_ascii() {
            return Err("the host must be ASCII, write an international name as `xn--…`");
        }
        if let Some(rest) = text.strip_prefix('[') {
            let inner = rest
                .strip_suffix(']')
                .ok_or("the host has a bracket without its pair")?;
            return inner
                .parse::<Ipv6Addr>()
                .map(|ip| Self::Address(IpAddr::V6(ip)))
                .map_err(|_| "the host in brackets is not an IPv6 address");
        }
        if let Ok(ip) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Address(IpAddr::V4(ip)));
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        if name.is_empty() || name.len() > HOST_MAX_BYTES {
            return Err("the host is empty or longer than 253 characters");
        }
        for label in name.split('.') {
            let letters = label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
            if label.is_empty()
                || label.len() > LABEL_MAX_BYTES
                || !letters
                || label.starts_with('-')
                || label.ends_with('-')
            {
                return Err("the host is not a valid DNS name");
            }
        }
        let last = name.rsplit('.').next().unwrap_or_default();
        if last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x") {
            return Err("the host is an address in an unusual spelling, write it as `127.0.0.1`");
        }
        Ok(Self::Name(name))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(ip)) => write!(f, "{ip}"),
            Self::Address(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

/// Splits `host` or `host:port`. Neither part is normalised yet, apart from the port's digits.
fn split_authority(authority: &str) -> Result<(&str, Option<u16>), &'static str> {
    if authority.contains('@') {
        return Err("a user or password in the URL is not accepted");
    }
    let (host, port) = match authority.rfind(']') {
        Some(end) => authority.split_at(end + 1),
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    if port.is_empty() {
        return Ok((host, None));
    }
    let digits = port.strip_prefix(':').unwrap_or_default();
    if digits.is_empty() || digits.len() > 5 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err("the port is not a number");
    }
    match digits.parse::<u16>() {
        Ok(port) if port != 0 => Ok((host, Some(port))),
        _ => Err("the port is not between 1 and 65535"),
    }
}

/// Refuses a path that a server may read as another one.
fn check_path(path: &str) -> Result<(), &'static str> {
    if !path.starts_with('/') {
        return Err("the path must start with `/`");
    }
    if !path.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("the path must be percent-encoded ASCII");
    }
    if path.contains('\\') {
        return Err("a backslash in the path is not accepted");
    }
    let lower = path.to_ascii_lowercase();
    // `%25` before them: servers behind a proxy often decode twice.
    for hidden in ["%2e", "%2f", "%5c", "%00", "%252e", "%252f", "%255c"] {
        if lower.contains(hidden) {
            return Err("an encoded dot, slash, backslash or NUL in the path is not accepted");
        }
    }
    // `/..;x/` is `/../` for servers that strip path parameters.
    let is_dots =
        |segment: &str| matches!(segment.split(';').next().unwrap_or_default(), "." | "..");
    if path.split('/').any(is_dots) {
        return Err("`.` and `..` in the path are not accepted");
    }
    Ok(())
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum HostPattern {
    Exact(Host),
    /// `*.suffix`: one or more labels before the suffix, which is stored with its leading dot.
    Below(String),
}

impl HostPattern {
    fn matches(&self, host: &Host) -> bool {
        match (self, host) {
            (Self::Exact(granted), host) => granted == host,
            (Self::Below(suffix), Host::Name(name)) => {
                name.len() > suffix.len() && name.ends_with(suffix.as_str())
            }
            (Self::Below(_), Host::Address(_)) => false,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum PathPattern {
    All,
    Exact(String),
    /// Stored with its last `/` and without the `*`.
    Prefix(String),
}

impl PathPattern {
    fn parse(path: &str) -> Result<Self, &'static str> {
        if path.is_empty() || path == "/*" {
            return Ok(Self::All);
        }
        let (fixed, prefix) = match path.strip_suffix("/*") {
            Some(_) => (&path[..path.len() - 1], true),
            None => (path, false),
        };
        if fixed.contains('*') {
            return Err("`*` in a path is accepted only as a last `/*`");
        }
        if fixed.contains(['?', '#']) {
            return Err("a query or fragment cannot be granted, leave it out");
        }
        check_path(fixed)?;
        Ok(if prefix {
            Self::Prefix(fixed.to_owned())
        } else {
            Self::Exact(fixed.to_owned())
        })
    }

    fn matches(&self, path: &str) -> bool {
        match self {
            Self::All => true,
            Self::Exact(granted) => granted == path,
            Self::Prefix(granted) => path.starts_with(granted.as_str()),
        }
    }
}

/// One line of `grants.http` in `plugins.toml`, parsed and normalised.
#[derive(Debug, Clone)]
pub struct HttpGrant {
    scheme: UrlScheme,
    host: HostPattern,
    port: u16,
    methods: Vec<Method>,
    path: PathPattern,
    private: Vec<IpNet>,
    credential: Option<Arc<Credential>>,
}

impl HttpGrant {
    /// The same for `GET` and `HEAD` alone; none if it allows neither.
    #[must_use]
    pub fn reading(&self) -> Option<Self> {
        let reads = |method: &&Method| [Method::GET, Method::HEAD].contains(method);
        let methods: Vec<Method> = self.methods.iter().filter(reads).cloned().collect();
        (!methods.is_empty()).then(|| Self {
            methods,
            ..self.clone()
        })
    }

    /// Reads a line: a URL such as `https://api.github.com/repos/*`, methods, private ranges.
    ///
    /// Without a scheme it is `https`; without a path every path is meant; a path is exact, or
    /// ends with `/*` and then means everything below (`/repos/*` is not `/repos`). A host is
    /// exact, or starts with `*.` and then means every name below (`*.a.com` is not `a.com`).
    /// Without methods they are `GET` and `HEAD`. `private` holds ranges or single addresses that
    /// the host's name may resolve to although they are not public.
    ///
    /// # Errors
    ///
    /// The first mistake of the line.
    pub fn parse(url: &str, methods: &[String], private: &[String]) -> Result<Self, GrantError> {
        let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
        let scheme = UrlScheme::parse(scheme).ok_or_else(|| GrantError::Scheme {
            url: url.to_owned(),
            scheme: scheme.to_owned(),
        })?;
        let host_error = |why| GrantError::Host {
            url: url.to_owned(),
            why,
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (host, port) = split_authority(authority).map_err(host_error)?;
        let host = match host.strip_prefix("*.") {
            Some(suffix) => match Host::parse(suffix).map_err(host_error)? {
                Host::Name(name) if name.contains('.') => HostPattern::Below(format!(".{name}")),
                _ => {
                    return Err(host_error(
                        "`*.` needs a name with at least two labels after it, like `*.example.com`",
                    ));
                }
            },
            None => HostPattern::Exact(Host::parse(host).map_err(host_error)?),
        };
        let path = PathPattern::parse(path).map_err(|why| GrantError::Path {
            url: url.to_owned(),
            why,
        })?;
        let methods = if methods.is_empty() {
            vec![Method::GET, Method::HEAD]
        } else {
            methods
                .iter()
                .map(|method| {
                    Method::from_bytes(method.to_ascii_uppercase().as_bytes())
                        .ok()
                        .filter(|method| !is_never_method(method))
                        .ok_or_else(|| GrantError::Method {
                            url: url.to_owned(),
                            method: method.clone(),
                        })
                })
                .collect::<Result<_, _>>()?
        };
        let private = private
            .iter()
            .map(|range| parse_range(url, range))
            .collect::<Result<_, _>>()?;
        let port = port.unwrap_or(scheme.default_port());
        Ok(Self {
            scheme,
            host,
            port,
            methods,
            path,
            private,
            credential: None,
        })
    }

    /// Binds a credential to this grant: it is added to requests that the grant matches.
    ///
    /// # Errors
    ///
    /// When the host is a pattern, or when the scheme is `http` and no private range is named.
    pub fn with_credential(mut self, credential: Arc<Credential>) -> Result<Self, GrantError> {
        if matches!(self.host, HostPattern::Below(_)) {
            return Err(GrantError::CredentialHost { url: self.url() });
        }
        if self.scheme == UrlScheme::Http && self.private.is_empty() {
            return Err(GrantError::CredentialInClear { url: self.url() });
        }
        self.credential = Some(credential);
        Ok(self)
    }

    /// The URL of the grant in its normalised spelling.
    pub fn url(&self) -> String {
        let host = match &self.host {
            HostPattern::Exact(host) => host.to_string(),
            HostPattern::Below(suffix) => format!("*{suffix}"),
        };
        let port = shown_port(self.scheme, self.port);
        let path = match &self.path {
            PathPattern::All => "/*".to_owned(),
            PathPattern::Exact(path) => path.clone(),
            PathPattern::Prefix(path) => format!("{path}*"),
        };
        format!("{}://{host}{port}{path}", self.scheme.as_str())
    }
}

fn is_never_method(method: &Method) -> bool {
    // CONNECT would open a tunnel around the gate, TRACE sends the credential back.
    *method == Method::CONNECT || *method == Method::TRACE
}

fn parse_range(url: &str, range: &str) -> Result<IpNet, GrantError> {
    let net = range
        .parse::<IpNet>()
        .or_else(|_| range.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| GrantError::Range {
            url: url.to_owned(),
            range: range.to_owned(),
        })?
        .trunc();
    match (classify(net.network()), classify(net.broadcast())) {
        // A wide range may start and end in such addresses and still hold others.
        (AddressClass::Never(first), AddressClass::Never(last)) if first == last => {
            Err(GrantError::NeverRange {
                url: url.to_owned(),
                range: range.to_owned(),
                kind: first,
            })
        }
        _ => Ok(net),
    }
}

fn shown_port(scheme: UrlScheme, port: u16) -> String {
    if port == scheme.default_port() {
        String::new()
    } else {
        format!(":{port}")
    }
}

/// Where a guest wants to go, normalised like a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) scheme: UrlScheme,
    pub(super) host: Host,
    pub(super) port: u16,
    path: String,
    query: Option<String>,
}

impl Target {
    pub(super) fn parse(uri: &Uri) -> Result<Self, Refusal> {
        let scheme = uri.scheme_str().unwrap_or("https");
        let scheme = UrlScheme::parse(scheme).ok_or(Refusal::Scheme)?;
        let authority = uri
            .authority()
            .ok_or(Refusal::BadUrl("the URL has no host"))?;
        let (host, port) = split_authority(authority.as_str()).map_err(Refusal::BadUrl)?;
        let host = Host::parse(host).map_err(Refusal::BadUrl)?;
        let path = match uri.path() {
            "" => "/",
            path => path,
        };
        if path.len() + uri.query().map_or(0, str::len) > PATH_MAX_BYTES {
            return Err(Refusal::BadUrl("the path and query are longer than 8 KiB"));
        }
        check_path(path).map_err(Refusal::BadUrl)?;
        Ok(Self {
            scheme,
            host,
            port: port.unwrap_or(scheme.default_port()),
            path: path.to_owned(),
            query: uri.query().map(str::to_owned),
        })
    }

    /// What the `Host` header says: without the scheme's own port.
    pub(super) fn authority(&self) -> String {
        format!("{}{}", self.host, shown_port(self.scheme, self.port))
    }

    pub(super) fn path_and_query(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }

    pub(super) fn absolute_form(&self) -> String {
        format!(
            "{}://{}{}",
            self.scheme.as_str(),
            self.authority(),
            self.path_and_query()
        )
    }

    pub(super) fn is_https(&self) -> bool {
        self.scheme == UrlScheme::Https
    }
}

/// What a request may use, from every grant that matches it.
#[derive(Debug)]
pub(super) struct Permit {
    /// The ranges of all matching grants: adding the line that a denial suggests is enough.
    pub(super) private: Vec<IpNet>,
    /// The credential of the first matching grant that has one.
    pub(super) credential: Option<Arc<Credential>>,
}

/// Why a request goes no further, before it is told to people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    BadUrl(&'static str),
    NoGrant,
    Scheme,
    Port,
    Path,
    Method,
    /// Every address of the host was refused, for these reasons.
    Addresses(Vec<AddressRefusal>),
}

/// Whether a grant allows the request.
///
/// The refusal names the first step at which the last grant dropped out: host, scheme, port,
/// path, method.
pub(super) fn permit(
    grants: &[HttpGrant],
    target: &Target,
    method: &Method,
) -> Result<Permit, Refusal> {
    if is_never_method(method) {
        return Err(Refusal::Method);
    }
    let mut left: Vec<&HttpGrant> = grants.iter().collect();
    type Step<'a> = (&'a dyn Fn(&HttpGrant) -> bool, Refusal);
    let steps: [Step<'_>; 5] = [
        (&|grant| grant.host.matches(&target.host), Refusal::NoGrant),
        (&|grant| grant.scheme == target.scheme, Refusal::Scheme),
        (&|grant| grant.port == target.port, Refusal::Port),
        (&|grant| grant.path.matches(&target.path), Refusal::Path),
        (&|grant| grant.methods.contains(method), Refusal::Method),
    ];
    for (keeps, refusal) in steps {
        left.retain(|grant| keeps(grant));
        if left.is_empty() {
            return Err(refusal);
        }
    }
    Ok(Permit {
        private: left
            .iter()
            .flat_map(|grant| grant.private.iter().copied())
            .collect(),
        credential: left.iter().find_map(|grant| grant.credential.clone()),
    })
}

/// A request that a grant allows, as it would be made.
#[cfg(any(test, fuzzing))]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) scheme: &'static str,
    /// What is looked up, or dialled where it is an address.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) path: String,
    /// All of it, as a proxy gets it.
    pub(crate) url: String,
}

/// What becomes of a request under one grant; none if it is denied.
#[cfg(any(test, fuzzing))]
pub(crate) fn granted(grant: &HttpGrant, method: &Method, uri: &Uri) -> Option<Asked> {
    let target = Target::parse(uri).ok()?;
    permit(std::slice::from_ref(grant), &target, method).ok()?;
    Some(Asked {
        scheme: target.scheme.as_str(),
        host: target.host.to_string(),
        port: target.port,
        url: target.absolute_form(),
        path: target.path,
    })
}

/// Why a request was denied; a closed set that runs record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DenialReason {
    /// The URL could be read in more than one way.
    BadUrl,
    /// No grant names the host.
    NoGrant,
    /// The host is granted with another scheme, or the scheme is not HTTP.
    Scheme,
    /// The host is granted with another port.
    Port,
    /// The host is granted with other paths.
    Path,
    /// The URL is granted with other methods.
    Method,
    /// The host is, or resolves to, addresses that are not public and not granted.
    PrivateAddress,
    /// The host resolves to an address on which this host itself listens.
    OwnListener,
}

impl DenialReason {
    /// The word that is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadUrl => "bad_url",
            Self::NoGrant => "no_grant",
            Self::Scheme => "scheme",
            Self::Port => "port",
            Self::Path => "path",
            Self::Method => "method",
            Self::PrivateAddress => "private_address",
            Self::OwnListener => "own_listener",
        }
    }
}

impl fmt::Display for DenialReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadUrl => "the URL can be read in more than one way",
            Self::NoGrant => "no grant names the host",
            Self::Scheme => "the host is granted with another scheme",
            Self::Port => "the host is granted with another port",
            Self::Path => "the host is granted with other paths",
            Self::Method => "the URL is granted with other methods",
            Self::PrivateAddress => "the address is not public, and no grant names its range",
            Self::OwnListener => "the address is one on which this host itself listens",
        })
    }
}

/// A request that the gate refused, as it is listed on the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HttpDenial {
    /// The method that the guest used.
    pub method: String,
    /// The URL without the values of its query, cut at 400 characters.
    pub url: String,
    /// Why it was refused.
    pub reason: DenialReason,
    /// The line for `[agents.NAME.grants]` that would allow it, or why nothing would.
    ///
    /// It holds text that a guest chose, escaped for TOML; show it as text.
    pub allow: String,
}

/// Puts a refusal into words.
pub(super) fn denial(
    refusal: &Refusal,
    method: &Method,
    uri: &Uri,
    target: Option<&Target>,
) -> HttpDenial {
    let (reason, allow) = match refusal {
        Refusal::BadUrl(why) => (DenialReason::BadUrl, format!("nothing can allow it: {why}")),
        Refusal::NoGrant => (DenialReason::NoGrant, allow_line(method, target, &[])),
        Refusal::Port => (DenialReason::Port, allow_line(method, target, &[])),
        Refusal::Path => (DenialReason::Path, allow_line(method, target, &[])),
        Refusal::Method => (DenialReason::Method, allow_line(method, target, &[])),
        Refusal::Scheme => (DenialReason::Scheme, allow_line(method, target, &[])),
        Refusal::Addresses(refused) => allow_addresses(method, target, refused),
    };
    HttpDenial {
        method: shorten(method.as_str()),
        url: shown_url(uri),
        reason,
        allow,
    }
}

fn allow_addresses(
    method: &Method,
    target: Option<&Target>,
    refused: &[AddressRefusal],
) -> (DenialReason, String) {
    let grantable: Vec<IpAddr> = refused
        .iter()
        .filter_map(|refusal| match refusal {
            AddressRefusal::NotGranted(ip) => Some(*ip),
            _ => None,
        })
        // A name may resolve to many; a line that people check stays short.
        .take(4)
        .collect();
    if !grantable.is_empty() {
        return (
            DenialReason::PrivateAddress,
            allow_line(method, target, &grantable),
        );
    }
    match refused.first() {
        Some(AddressRefusal::OwnListener(address)) => (
            DenialReason::OwnListener,
            format!("nothing can allow it: this host itself listens on `{address}`"),
        ),
        Some(AddressRefusal::Never(ip, kind)) => (
            DenialReason::PrivateAddress,
            format!("nothing can allow it: `{ip}` is {kind}"),
        ),
        _ => (
            DenialReason::PrivateAddress,
            "nothing can allow it: the name stands for this machine or its metadata".to_owned(),
        ),
    }
}

/// The TOML line that allows the request, as narrow as can be said with one path pattern.
fn allow_line(method: &Method, target: Option<&Target>, private: &[IpAddr]) -> String {
    if is_never_method(method) {
        return format!("nothing can allow it: `{method}` cannot be granted");
    }
    let Some(target) = target else {
        return "nothing can allow it: write an `https://` or `http://` URL".to_owned();
    };
    let mut segments = target.path.splitn(3, '/').skip(1);
    let first = segments.next().unwrap_or_default();
    if first.contains('*') || first.len() > SUGGESTED_SEGMENT_MAX_BYTES {
        return format!(
            "no line is suggested, as the path cannot be written as a pattern: grant a wider one of `{}://{}`",
            target.scheme.as_str(),
            target.authority()
        );
    }
    let below = if segments.next().is_some() { "/*" } else { "" };
    let url = format!(
        "{}://{}/{first}{below}",
        target.scheme.as_str(),
        target.authority()
    );
    let mut line = format!(
        "http = [{{ url = {}, methods = [{}]",
        toml_string(&url),
        toml_string(method.as_str())
    );
    if !private.is_empty() {
        let ranges: Vec<String> = private
            .iter()
            .map(|ip| toml_string(&IpNet::from(*ip).to_string()))
            .collect();
        line.push_str(&format!(", private = [{}]", ranges.join(", ")));
    }
    line.push_str(" }]");
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        line
    } else {
        format!(
            "changes are proposed as effects in the report; if this `{method}` only reads: {line}"
        )
    }
}

/// A TOML basic string. The guest chooses parts of it, so quotes must not end it early.
fn toml_string(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// The URL for people: no user, no password, no values of the query.
fn shown_url(uri: &Uri) -> String {
    let mut url = String::new();
    if let Some(scheme) = uri.scheme_str() {
        url.push_str(scheme);
        url.push_str("://");
    }
    if let Some(authority) = uri.authority() {
        match authority.as_str().rsplit_once('@') {
            Some((_, host)) => {
                url.push_str("****@");
                url.push_str(host);
            }
            None => url.push_str(authority.as_str()),
        }
    }
    url.push_str(uri.path());
    if let Some(query) = uri.query() {
        for (index, pair) in query.split('&').enumerate() {
            url.push(if index == 0 { '?' } else { '&' });
            match pair.split_once('=') {
                Some((key, _)) => {
                    url.push_str(key);
                    url.push_str("=*");
                }
                // Without `=` the whole of it may be the value.
                None => url.push('*'),
            }
        }
    }
    shorten(&url)
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(SHOWN_URL_MAX_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(url: &str, methods: &[&str], private: &[&str]) -> Result<HttpGrant, GrantError> {
        let owned = |list: &[&str]| list.iter().map(|&s| s.to_owned()).collect::<Vec<_>>();
        HttpGrant::parse(url, &owned(methods), &owned(private))
    }

    /// `ok`, or the reason, for a request under the given grants.
    fn ask(grants: &[&str], method: &str, url: &str) -> String {
        let grants: Vec<HttpGrant> = grants
            .iter()
            .map(|url| grant(url, &[], &[]).expect("a valid grant"))
            .collect();
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let Ok(uri) = url.parse::<Uri>() else {
            return "not_a_url".to_owned();
        };
        let target = Target::parse(&uri);
        let answer = match &target {
            Ok(target) => permit(&grants, target, &method).map(|_| ()),
            Err(refusal) => Err(refusal.clone()),
        };
        match answer {
            Ok(()) => "ok".to_owned(),
            Err(refusal) => denial(&refusal, &method, &uri, target.as_ref().ok())
                .reason
                .as_str()
                .to_owned(),
        }
    }

    #[test]
    fn h39_look_alikes_of_a_granted_host_are_denied() {
        let grants = ["https://a.com"];
        for (url, expected) in [
            ("https://a.com/", "ok"),
            ("https://A.COM/x", "ok"),
            ("HTTPS://a.com./x?q=1", "ok"),
            ("https://a.com:443/", "ok"),
            ("https://a.com.evil.io/", "no_grant"),
            ("https://xa.com/", "no_grant"),
            ("https://b.a.com/", "no_grant"),
            ("https://a.co/", "no_grant"),
            ("https://a.com../", "bad_url"),
            ("https://.a.com/", "bad_url"),
            ("https://a.com@evil.io/", "bad_url"),
            ("https://u:p@a.com/", "bad_url"),
            ("https://a.com:8443/", "port"),
            ("https://a.com:0/", "bad_url"),
            ("http://a.com/", "scheme"),
            ("http://a.com:443/", "scheme"),
            ("ftp://a.com/", "scheme"),
            ("https://xn--a-0ga.com/", "no_grant"),
            ("https://a.com%2eevil.io/", "not_a_url"),
        ] {
            assert_eq!(ask(&grants, "GET", url), expected, "{url}");
        }
        // A look-alike in Cyrillic does not even parse as a URL, or is refused as a host.
        assert_ne!(ask(&grants, "GET", "https://\u{430}.com/"), "ok");
    }

    #[test]
    fn h36_odd_spellings_of_addresses_are_refused() {
        for host in [
            "127.1",
            "2130706433",
            "0x7f.1",
            "0177.0.0.1",
            "0x7f000001",
            "127.0.0.01",
            "1.2.3.4.5",
            "127.0.0.1.",
            "0",
            "256.256.256.256",
            "[::1",
            "[fe80::1%25eth0]",
            "[1.2.3.4]",
        ] {
            let url = format!("http://{host}/");
            let answer = ask(&["http://127.0.0.1"], "GET", &url);
            assert!(
                answer == "bad_url" || answer == "not_a_url",
                "{host}: {answer}"
            );
            assert!(grant(&url, &[], &[]).is_err(), "{host} as a grant");
        }
        assert_eq!(ask(&["http://127.0.0.1"], "GET", "http://127.0.0.1/"), "ok");
        assert_eq!(
            ask(&["http://[::1]"], "GET", "http://[0:0:0:0:0:0:0:1]/"),
            "ok"
        );
        assert_eq!(
            ask(&["http://127.0.0.1"], "GET", "http://[::ffff:7f00:1]/"),
            "no_grant"
        );
    }

    #[test]
    fn patterns_match_below_and_not_beside() {
        let grants = ["https://*.example.com/repos/*", "https://x.org/exact"];
        for (url, expected) in [
            ("https://a.example.com/repos/1", "ok"),
            ("https://a.b.example.com/repos/", "ok"),
            ("https://example.com/repos/1", "no_grant"),
            ("https://aexample.com/repos/1", "no_grant"),
            ("https://a.example.com/repos", "path"),
            ("https://a.example.com/reposx/1", "path"),
            ("https://a.example.com/repos/../admin", "bad_url"),
            ("https://a.example.com/repos/./admin", "bad_url"),
            ("https://a.example.com/repos/..;x/admin", "bad_url"),
            ("https://a.example.com/repos/%2e%2e/admin", "bad_url"),
            ("https://a.example.com/repos/%2E./admin", "bad_url"),
            ("https://a.example.com/repos/..%2fadmin", "bad_url"),
            ("https://a.example.com/repos/%252e%252e/admin", "bad_url"),
            ("https://a.example.com/repos/..%5cadmin", "bad_url"),
            ("https://a.example.com/repos/...", "ok"),
            ("https://x.org/exact", "ok"),
            ("https://x.org/exact?a=/../b", "ok"),
            ("https://x.org/exact/", "path"),
        ] {
            assert_eq!(ask(&grants, "GET", url), expected, "{url}");
        }
        assert_eq!(ask(&["https://x.org"], "HEAD", "https://x.org"), "ok");
        assert_eq!(ask(&["https://x.org"], "POST", "https://x.org/"), "method");
        assert_eq!(
            ask(&["https://x.org"], "CONNECT", "https://x.org/"),
            "method"
        );
        assert_eq!(ask(&[], "GET", "https://x.org/"), "no_grant");
    }

    #[test]
    fn a_wrong_line_says_what_to_write() {
        let message = |url: &str, methods: &[&str], private: &[&str]| {
            grant(url, methods, private).expect_err(url).to_string()
        };
        assert_eq!(
            message("ftp://a.com", &[], &[]),
            "`ftp://a.com`: scheme `ftp` cannot be granted, write `https://` or `http://`"
        );
        assert!(message("https://u@a.com", &[], &[]).contains("user or password"));
        assert!(message("https://*.com", &[], &[]).contains("two labels"));
        assert!(message("https://*", &[], &[]).contains("not a valid DNS name"));
        assert!(message("https://a.com/x*", &[], &[]).contains("last `/*`"));
        assert!(message("https://a.com/x?y=1", &[], &[]).contains("query"));
        assert!(message("https://a.com?y=1", &[], &[]).contains("query"));
        assert!(message("https://a.com/../x", &[], &[]).contains("`..`"));
        assert!(message("https://a.com", &["CONNECT"], &[]).contains("`CONNECT`"));
        assert!(message("https://a.com", &["G T"], &[]).contains("`G T`"));
        assert!(message("https://a.com", &[], &["10.0.0.0/40"]).contains("not a range"));
        assert!(message("https://a.com", &[], &["169.254.0.0/16"]).contains("link-local"));
        assert!(message("https://\u{430}.com", &[], &[]).contains("xn--"));
        assert_eq!(
            grant("API.github.com./repos/*", &["post"], &["10.1.2.3"])
                .expect("valid")
                .url(),
            "https://api.github.com/repos/*"
        );
    }

    fn told(grants: &[HttpGrant], method: Method, url: &str) -> HttpDenial {
        let uri: Uri = url.parse().expect("a URL");
        let target = Target::parse(&uri);
        let refusal = match &target {
            Ok(target) => permit(grants, target, &method).expect_err("a refusal"),
            Err(refusal) => refusal.clone(),
        };
        denial(&refusal, &method, &uri, target.as_ref().ok())
    }

    #[test]
    fn a_denial_carries_the_line_that_allows_it() {
        let denied = told(
            &[],
            Method::GET,
            "https://API.github.com/repos/a/b?token=abc&x",
        );
        assert_eq!(denied.url, "https://API.github.com/repos/a/b?token=*&*");
        assert_eq!(
            denied.allow,
            r#"http = [{ url = "https://api.github.com/repos/*", methods = ["GET"] }]"#
        );
        // The line, read back, allows the request.
        for (method, url) in [
            ("GET", "https://api.github.com/repos/a/b"),
            ("GET", "https://api.github.com"),
            ("HEAD", "http://x.org:8080/one"),
            ("GET", "https://x.org/a\"b/c"),
            ("GET", "https://[2606:4700::1]/x/y"),
        ] {
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            let denied = told(&[], method.clone(), url);
            let (_, rest) = denied.allow.split_once("url = \"").expect("a line");
            let (granted, _) = rest.split_once("\", methods").expect("a line");
            let granted = granted.replace("\\\"", "\"");
            let granted = grant(&granted, &[method.as_str()], &[]).expect("a valid grant");
            let target = Target::parse(&url.parse().expect("a URL")).expect("a target");
            assert!(permit(&[granted], &target, &method).is_ok(), "{url}");
        }
        let post = told(&[], Method::POST, "https://x.org/graphql");
        assert!(
            post.allow.starts_with("changes are proposed as effects"),
            "{}",
            post.allow
        );
        let connect = told(&[], Method::CONNECT, "https://x.org/");
        assert!(
            connect.allow.starts_with("nothing can allow it"),
            "{}",
            connect.allow
        );
        // A guest must not talk a person into granting more than the request.
        let star = told(&[], Method::GET, "https://x.org/*");
        assert!(!star.allow.contains("http = ["), "{}", star.allow);
        let user = told(&[], Method::GET, "https://u:secret@x.org/");
        assert!(!format!("{user:?}").contains("secret"));
    }

    #[test]
    fn address_denials_name_the_range_or_say_never() {
        let uri: Uri = "https://in.example.com/a".parse().expect("a URL");
        let target = Target::parse(&uri).expect("a target");
        let told = |refused: Vec<AddressRefusal>| {
            denial(
                &Refusal::Addresses(refused),
                &Method::GET,
                &uri,
                Some(&target),
            )
        };
        let ip: IpAddr = "10.2.3.4".parse().expect("an address");
        assert_eq!(
            told(vec![AddressRefusal::NotGranted(ip)]).allow,
            r#"http = [{ url = "https://in.example.com/a", methods = ["GET"], private = ["10.2.3.4/32"] }]"#
        );
        let ip: IpAddr = "169.254.169.254".parse().expect("an address");
        let never = told(vec![AddressRefusal::Never(ip, "a link-local address")]);
        assert_eq!(never.reason, DenialReason::PrivateAddress);
        assert_eq!(
            never.allow,
            "nothing can allow it: `169.254.169.254` is a link-local address"
        );
        let own = "127.0.0.1:8080".parse().expect("an address");
        assert_eq!(
            told(vec![AddressRefusal::OwnListener(own)]).reason,
            DenialReason::OwnListener
        );
    }

    #[test]
    fn credentials_are_hidden_and_bound_to_one_host() {
        let credential = Credential::new("Authorization", "Bearer s3cr3t-token").expect("valid");
        assert!(!format!("{credential:?}").contains("s3cr3t"));
        assert_eq!(credential.needles(), [b"s3cr3t-token".to_vec()]);
        let credential = Arc::new(credential);
        let bind = |url: &str, private: &[&str]| {
            grant(url, &[], private)
                .expect("valid")
                .with_credential(Arc::clone(&credential))
        };
        let bound = bind("https://a.com", &[]).expect("bound");
        assert!(!format!("{bound:?}").contains("s3cr3t"));
        assert!(matches!(
            bind("https://*.a.com", &[]),
            Err(GrantError::CredentialHost { .. })
        ));
        assert!(matches!(
            bind("http://a.com", &[]),
            Err(GrantError::CredentialInClear { .. })
        ));
        assert!(bind("http://a.com", &["10.0.0.0/8"]).is_ok());
        for header in ["Host", "Proxy-Authorization", "content-length", "a b", ""] {
            assert!(
                Credential::new(header, "Bearer abcdef").is_err(),
                "{header}"
            );
        }
        let short = Credential::new("x-key", "abc")
            .expect_err("too short")
            .to_string();
        assert!(!short.contains("abc"), "{short}");
        assert!(Credential::new("x-key", "line\nbreak").is_err());
    }
}
