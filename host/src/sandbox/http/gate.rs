//! Turns a permitted target into an open connection: looks up, vets, dials, and speaks TLS.
//!
//! Invariants: a name is looked up once per request and only after a grant allowed it; the address
//! that is dialled is one that was vetted; the name in the TLS handshake is the granted one; every
//! wait ends at the request's deadline. Connections are not pooled: each request has its own, so
//! no guest meets a connection, a session or a server's memory of another one. It does not know of
//! grants' methods and paths, nor of bodies.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use http::{HeaderValue, Uri};
use ipnet::IpNet;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use super::address::{AddressClass, AddressRefusal, classify, vet};
use super::breaker::Breaker;
use super::grant::{Host, Refusal, Target};
use super::meter::{EgressError, Phase};

/// Requests of all guests on the wire at the same time: each holds one or two descriptors.
pub const DEFAULT_CONNECTIONS: usize = 256;

/// Look-ups at the same time. Each holds a thread of the blocking pool, and the system's resolver
/// does not stop when the request that asked has given up.
const LOOKUPS_MAX: usize = 32;

/// Addresses of one name that are vetted; more than any honest name has.
const ADDRESSES_MAX: usize = 32;

/// Vetted addresses that are tried in turn, so that a name cannot make the host scan a network.
const DIALS_MAX: usize = 4;

/// Longest answer to `CONNECT`, in bytes.
const PROXY_HEAD_MAX_BYTES: usize = 8 * 1024;

/// Names of metadata services. They matter behind a proxy, where names are not looked up here.
const METADATA_NAMES: [&str; 3] = ["metadata", "metadata.google.internal", "metadata.goog"];

/// Looks names up. Replaceable, so that tests need no name server.
#[async_trait]
pub trait Resolver: Send + Sync {
    /// All addresses of `host`, with `port` filled in.
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>>;
}

/// The system's resolver, with at most 32 look-ups at the same time.
pub struct SystemResolver {
    places: Arc<Semaphore>,
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(LOOKUPS_MAX)),
        }
    }
}

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        let place = Arc::clone(&self.places)
            .acquire_owned()
            .await
            .map_err(io::Error::other)?;
        let host = host.to_owned();
        tokio::task::spawn_blocking(move || {
            // Held by the thread: it stays busy even when nobody waits for it any more.
            let _place = place;
            (host.as_str(), port)
                .to_socket_addrs()
                .map(Iterator::collect)
        })
        .await
        .map_err(io::Error::other)?
    }
}

/// How the gate is built.
pub struct GateSettings {
    /// A PEM file with certificates to trust besides the system's. Source: `host.ca_file`.
    pub ca_file: Option<PathBuf>,
    /// An `http://` proxy, with `user:password@` if it wants one. Source: `host.proxy`.
    pub proxy: Option<Uri>,
    /// Where this host listens; see [`EgressGate::set_own_listeners`].
    pub own_listeners: Vec<SocketAddr>,
    /// Requests of all guests on the wire at the same time, at least 1.
    pub connections: usize,
    /// Looks names up.
    pub resolver: Arc<dyn Resolver>,
}

impl Default for GateSettings {
    fn default() -> Self {
        Self {
            ca_file: None,
            proxy: None,
            own_listeners: Vec::new(),
            connections: DEFAULT_CONNECTIONS,
            resolver: Arc::new(SystemResolver::default()),
        }
    }
}

/// Why the gate could not be built.
#[derive(Debug, Error)]
pub enum GateError {
    /// `host.ca_file` could not be read as PEM.
    #[error("`ca_file` {path} could not be read, write a file of PEM certificates")]
    CaFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// `host.ca_file` holds no certificate that can be trusted.
    #[error("`ca_file` {path} holds no usable certificate, write a file of PEM certificates")]
    CaFileEmpty {
        /// The file.
        path: PathBuf,
    },
    /// `host.proxy` is not a proxy that the gate can use. The URL is not shown: it may hold a
    /// password.
    #[error("`proxy` {why}, write one like `http://proxy.example.com:3128`")]
    Proxy {
        /// What is wrong.
        why: &'static str,
    },
    /// TLS could not be set up.
    #[error("TLS could not be set up")]
    Tls(#[source] rustls::Error),
}

pub(super) struct Proxy {
    host: Host,
    port: u16,
    authorization: Option<HeaderValue>,
}

impl Proxy {
    fn parse(uri: &Uri) -> Result<Self, GateError> {
        let wrong = |why| GateError::Proxy { why };
        if uri.scheme_str().is_some_and(|scheme| scheme != "http") {
            return Err(wrong("must be reached by `http://`"));
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(wrong("must not have a path"));
        }
        let authority = uri
            .authority()
            .ok_or_else(|| wrong("has no host"))?
            .as_str();
        let (user, authority) = match authority.rsplit_once('@') {
            Some((user, authority)) => (Some(user), authority),
            None => (None, authority),
        };
        // The same reading as for guests; the path is not used.
        let plain = format!("http://{authority}/")
            .parse()
            .map_err(|_| wrong("is not a URL"))?;
        let target = Target::parse(&plain).map_err(|_| wrong("has no valid host"))?;
        let authorization = match user {
            None => None,
            Some(user) => {
                let pair = percent_decoded(user).ok_or_else(|| wrong("has a wrong password"))?;
                let mut value = HeaderValue::from_str(&format!("Basic {}", base64(&pair)))
                    .map_err(|_| wrong("has a wrong password"))?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        Ok(Self {
            host: target.host,
            port: target.port,
            authorization,
        })
    }

    pub(super) fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }
}

fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let high = char::from(bytes.next()?).to_digit(16)?;
            let low = char::from(bytes.next()?).to_digit(16)?;
            decoded.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            decoded.push(byte);
        }
    }
    Some(decoded)
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let group = (byte(0) << 16) | (byte(1) << 8) | byte(2);
        for index in 0..4 {
            if index <= chunk.len() {
                let letter = (group >> (18 - 6 * index)) & 0x3f;
                text.push(char::from(LETTERS[letter as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

/// What all guests of this host share on their way out. Built once.
pub struct EgressGate {
    tls: Arc<ClientConfig>,
    resolver: Arc<dyn Resolver>,
    proxy: Option<Proxy>,
    own_listeners: RwLock<Arc<[SocketAddr]>>,
    pub(super) places: Arc<Semaphore>,
    pub(super) breaker: Breaker,
}

impl EgressGate {
    /// Builds the gate: reads the system's certificates and `ca_file`, checks the proxy.
    ///
    /// A system without certificates is a warning in the log, as plain `http` still works.
    ///
    /// # Errors
    ///
    /// When `ca_file` or `proxy` cannot be used.
    pub fn new(settings: GateSettings) -> Result<Self, GateError> {
        let roots = roots(settings.ca_file.as_deref())?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(GateError::Tls)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        // A ticket would let a server tell that two agents run on the same host.
        tls.resumption = rustls::client::Resumption::disabled();
        Ok(Self {
            tls: Arc::new(tls),
            resolver: settings.resolver,
            proxy: settings.proxy.as_ref().map(Proxy::parse).transpose()?,
            own_listeners: RwLock::new(settings.own_listeners.into()),
            places: Arc::new(Semaphore::new(settings.connections.max(1))),
            breaker: Breaker::default(),
        })
    }

    /// Tells the gate where this host listens, once the sockets are bound.
    ///
    /// An unspecified address (`0.0.0.0`, `[::]`) means every address of this machine.
    pub fn set_own_listeners(&self, listeners: Vec<SocketAddr>) {
        *self
            .own_listeners
            .write()
            .unwrap_or_else(PoisonError::into_inner) = listeners.into();
    }

    fn own_listeners(&self) -> Arc<[SocketAddr]> {
        Arc::clone(
            &self
                .own_listeners
                .read()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// The addresses to dial for `target`, each vetted; with them the proxy, if one is used.
    pub(super) async fn route(
        &self,
        target: &Target,
        private: &[IpNet],
        deadline: Instant,
    ) -> Result<Route<'_>, RouteError> {
        let own = self.own_listeners();
        let Some(proxy) = &self.proxy else {
            let found = self.lookup(&target.host, target.port, deadline).await?;
            let mut refused = Vec::new();
            let mut addresses = Vec::new();
            for address in found {
                match vet(address, private, &own) {
                    Ok(()) => addresses.push(address),
                    Err(refusal) => refused.push(refusal),
                }
            }
            if addresses.is_empty() {
                return Err(RouteError::Refused(Refusal::Addresses(refused)));
            }
            return Ok(Route {
                addresses,
                proxy: None,
            });
        };
        refuse_behind_proxy(target, private, &own)?;
        let addresses: Vec<SocketAddr> = self
            .lookup(&proxy.host, proxy.port, deadline)
            .await?
            .into_iter()
            // The operator named the proxy, so it may be private, but never one of the addresses
            // that nothing may reach.
            .filter(|address| {
                !matches!(classify(address.ip()), AddressClass::Never(_))
                    && !matches!(
                        vet(*address, &[], &own),
                        Err(AddressRefusal::OwnListener(_))
                    )
            })
            .collect();
        if addresses.is_empty() {
            return Err(EgressError::Proxy("its address cannot be used".to_owned()).into());
        }
        Ok(Route {
            addresses,
            proxy: Some(proxy),
        })
    }

    async fn lookup(
        &self,
        host: &Host,
        port: u16,
        deadline: Instant,
    ) -> Result<Vec<SocketAddr>, EgressError> {
        let name = match host {
            Host::Address(ip) => return Ok(vec![SocketAddr::new(*ip, port)]),
            Host::Name(name) => name,
        };
        let mut found = timeout_at(deadline, self.resolver.resolve(name, port))
            .await
            .map_err(|_| EgressError::Time(Phase::Lookup))?
            .map_err(EgressError::Lookup)?;
        found.truncate(ADDRESSES_MAX);
        // The resolver's word is taken for the address alone.
        found.iter_mut().for_each(|address| address.set_port(port));
        if found.is_empty() {
            Err(EgressError::NoAddress)
        } else {
            Ok(found)
        }
    }

    /// Opens the connection: TCP, the proxy's tunnel, TLS.
    pub(super) async fn connect(
        &self,
        target: &Target,
        route: &Route<'_>,
        deadline: Instant,
    ) -> Result<Box<dyn Wire>, EgressError> {
        timeout_at(deadline, self.connect_untimed(target, route, deadline))
            .await
            .unwrap_or(Err(EgressError::Time(Phase::Connect)))
    }

    async fn connect_untimed(
        &self,
        target: &Target,
        route: &Route<'_>,
        deadline: Instant,
    ) -> Result<Box<dyn Wire>, EgressError> {
        let mut tcp = dial(&route.addresses, deadline).await?;
        if !target.is_https() {
            return Ok(Box::new(tcp));
        }
        if let Some(proxy) = route.proxy {
            open_tunnel(&mut tcp, proxy, target).await?;
        }
        let name = match &target.host {
            Host::Address(ip) => ServerName::from(*ip),
            Host::Name(name) => ServerName::try_from(name.clone())
                .map_err(|_| EgressError::Internal("the host cannot be a TLS name"))?,
        };
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        let stream = connector
            .connect(name, tcp)
            .await
            .map_err(EgressError::Tls)?;
        Ok(Box::new(stream))
    }
}

/// A connection that HTTP is spoken over.
pub(super) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// Where to dial.
pub(super) struct Route<'a> {
    addresses: Vec<SocketAddr>,
    pub(super) proxy: Option<&'a Proxy>,
}

/// Why there is nowhere to dial.
#[derive(Debug)]
pub(super) enum RouteError {
    Refused(Refusal),
    Failed(EgressError),
}

impl From<EgressError> for RouteError {
    fn from(error: EgressError) -> Self {
        Self::Failed(error)
    }
}

/// Behind a proxy the proxy looks names up, so only literals and well-known names can be vetted.
fn refuse_behind_proxy(
    target: &Target,
    private: &[IpNet],
    own: &[SocketAddr],
) -> Result<(), RouteError> {
    let refused = match &target.host {
        Host::Address(ip) => vet(SocketAddr::new(*ip, target.port), private, own).err(),
        Host::Name(name) if name == "localhost" || name.ends_with(".localhost") => {
            let loopback = IpAddr::from([127, 0, 0, 1]);
            vet(SocketAddr::new(loopback, target.port), private, own).err()
        }
        Host::Name(name) if METADATA_NAMES.contains(&name.as_str()) => {
            return Err(RouteError::Refused(Refusal::Addresses(Vec::new())));
        }
        Host::Name(_) => None,
    };
    match refused {
        Some(refusal) => Err(RouteError::Refused(Refusal::Addresses(vec![refusal]))),
        None => Ok(()),
    }
}

/// Tries the addresses in turn, each with its share of the time that is left.
async fn dial(addresses: &[SocketAddr], deadline: Instant) -> Result<TcpStream, EgressError> {
    let tried = &addresses[..addresses.len().min(DIALS_MAX)];
    let mut last = EgressError::NoAddress;
    for (index, address) in tried.iter().enumerate() {
        let now = Instant::now();
        let share = deadline.saturating_duration_since(now) / (tried.len() - index) as u32;
        last = match timeout_at(now + share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Small requests would wait for an acknowledgement otherwise; not fatal.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => EgressError::Connect(error),
            Err(_) => EgressError::Time(Phase::Connect),
        };
    }
    Err(last)
}

async fn open_tunnel(
    tcp: &mut TcpStream,
    proxy: &Proxy,
    target: &Target,
) -> Result<(), EgressError> {
    let authority = format!("{}:{}", target.host, target.port);
    let mut head = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n").into_bytes();
    if let Some(value) = proxy.authorization() {
        head.extend_from_slice(b"Proxy-Authorization: ");
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    tcp.write_all(&head).await.map_err(EgressError::Connect)?;
    let mut answer = Vec::with_capacity(256);
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() >= PROXY_HEAD_MAX_BYTES {
            return Err(EgressError::Proxy("its answer is too long".to_owned()));
        }
        // Byte by byte, as what follows the head belongs to the TLS handshake.
        answer.push(tcp.read_u8().await.map_err(EgressError::Connect)?);
    }
    let status = answer
        .strip_prefix(b"HTTP/1.")
        .and_then(|rest| rest.get(2..5))
        .and_then(|status| std::str::from_utf8(status).ok())
        .and_then(|status| status.parse::<u16>().ok());
    match status {
        Some(200..=299) => Ok(()),
        Some(status) => Err(EgressError::Proxy(format!("status {status}"))),
        None => Err(EgressError::Proxy("its answer is not HTTP".to_owned())),
    }
}

fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, GateError> {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        tracing::warn!(%error, "a certificate store of the system could not be read");
    }
    roots.add_parsable_certificates(native.certs);
    if let Some(path) = ca_file {
        let read_error = |source| GateError::CaFile {
            path: path.to_owned(),
            source,
        };
        let certificates = CertificateDer::pem_file_iter(path)
            .map_err(read_error)?
            .collect::<Result<Vec<_>, _>>()
            .map_err(read_error)?;
        let (added, _) = roots.add_parsable_certificates(certificates);
        if added == 0 {
            return Err(GateError::CaFileEmpty {
                path: path.to_owned(),
            });
        }
    }
    if roots.is_empty() {
        tracing::warn!("the system has no certificates to trust, `https` requests will fail");
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_read_with_its_password() {
        let proxy = |url: &str| Proxy::parse(&url.parse().expect("a URL"));
        let plain = proxy("http://proxy.example.com:3128").expect("valid");
        assert_eq!(
            (plain.host.to_string().as_str(), plain.port),
            ("proxy.example.com", 3128)
        );
        assert!(plain.authorization().is_none());
        let user = proxy("http://user:p%40ss@10.0.0.1:3128/").expect("valid");
        assert_eq!(user.authorization().expect("a value"), "Basic dXNlcjpwQHNz");
        for wrong in [
            "https://proxy:1",
            "http://proxy/path",
            "http://u:%4@proxy",
            "/x",
        ] {
            let error = proxy(wrong).err().expect(wrong).to_string();
            assert!(error.starts_with("`proxy` "), "{error}");
        }
    }

    #[test]
    fn base64_pads_like_the_standard() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn a_wrong_ca_file_is_named() {
        let missing = GateSettings {
            ca_file: Some(PathBuf::from("no-such-file.pem")),
            ..GateSettings::default()
        };
        let error = EgressGate::new(missing)
            .err()
            .expect("an error")
            .to_string();
        assert!(error.contains("no-such-file.pem"), "{error}");
    }

    #[tokio::test]
    async fn the_systems_resolver_answers_with_the_port() {
        // A literal needs no name server.
        let found = SystemResolver::default()
            .resolve("127.0.0.1", 81)
            .await
            .expect("an answer");
        assert_eq!(found, ["127.0.0.1:81".parse().expect("an address")]);
    }
}
