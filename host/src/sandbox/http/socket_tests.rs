//! The gate against real sockets on loopback: servers that lie, stall, flood and echo.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, Uri};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty, Full};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;

use super::egress::{GuestHttp, Timeouts};
use super::gate::{EgressGate, GateSettings, Resolver};
use super::grant::{Credential, DenialReason, HttpDenial, HttpGrant};
use super::meter::{EgressError, HttpEvents, HttpLimits, Phase};

/// Long enough for every step on a busy machine; only a hanging test reaches it.
const AGES: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Heard {
    denials: Mutex<Vec<HttpDenial>>,
    limits: Mutex<Vec<&'static str>>,
}

impl Heard {
    fn denials(&self) -> Vec<HttpDenial> {
        self.denials.lock().expect("not poisoned").clone()
    }

    fn limits(&self) -> Vec<&'static str> {
        self.limits.lock().expect("not poisoned").clone()
    }
}

impl HttpEvents for Heard {
    fn denied(&self, denial: HttpDenial) {
        self.denials.lock().expect("not poisoned").push(denial);
    }

    fn limit(&self, what: &'static str) {
        self.limits.lock().expect("not poisoned").push(what);
    }
}

/// Answers from a list, in turn; the last answer stays. It remembers what was asked.
#[derive(Default)]
struct FakeResolver {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    asked: Mutex<Vec<String>>,
}

impl FakeResolver {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let answers = answers
            .iter()
            .map(|list| {
                list.iter()
                    .map(|ip| ip.parse().expect("an address"))
                    .collect()
            })
            .collect();
        Arc::new(Self {
            answers: Mutex::new(answers),
            asked: Mutex::default(),
        })
    }

    fn loopback() -> Arc<Self> {
        Self::new(&[&["127.0.0.1"]])
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("not poisoned").clone()
    }
}

#[async_trait]
impl Resolver for FakeResolver {
    async fn resolve(&self, host: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
        self.asked
            .lock()
            .expect("not poisoned")
            .push(host.to_owned());
        let mut answers = self.answers.lock().expect("not poisoned");
        let answer = if answers.len() > 1 {
            answers.pop_front()
        } else {
            answers.front().cloned()
        };
        Ok(answer
            .unwrap_or_default()
            .into_iter()
            .map(|ip| SocketAddr::new(ip, port))
            .collect())
    }
}

/// A server on loopback that counts the connections it accepts.
struct Server {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
}

impl Server {
    async fn start<F, W>(handler: F) -> Self
    where
        F: Fn(TcpStream) -> W + Send + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        Self::on(
            TcpListener::bind("127.0.0.1:0").await.expect("a socket"),
            handler,
        )
    }

    fn on<F, W>(listener: TcpListener, handler: F) -> Self
    where
        F: Fn(TcpStream) -> W + Send + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        let address = listener.local_addr().expect("an address");
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(handler(stream));
            }
        });
        Self { address, accepted }
    }

    /// Answers every request with the same bytes.
    async fn says(answer: &'static str) -> Self {
        Self::start(move |mut stream| async move {
            read_head(&mut stream).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        })
        .await
    }

    fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    fn port(&self) -> u16 {
        self.address.port()
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// Holds a connection open until the other side closes it.
async fn stall(mut stream: impl AsyncRead + Unpin) {
    let mut buffer = [0; 1024];
    while matches!(stream.read(&mut buffer).await, Ok(count) if count > 0) {}
}

fn grant(url: &str, methods: &[&str]) -> HttpGrant {
    let methods: Vec<String> = methods.iter().map(|&method| method.to_owned()).collect();
    HttpGrant::parse(url, &methods, &["127.0.0.0/8".to_owned()]).expect("a valid grant")
}

fn public_grant(url: &str) -> HttpGrant {
    HttpGrant::parse(url, &[], &[]).expect("a valid grant")
}

struct Guest {
    http: GuestHttp,
    gate: Arc<EgressGate>,
    heard: Arc<Heard>,
}

fn limits() -> HttpLimits {
    HttpLimits {
        total_ms: AGES.as_millis() as u64,
        ..HttpLimits::default()
    }
}

fn gate(resolver: Arc<FakeResolver>) -> Arc<EgressGate> {
    let settings = GateSettings {
        resolver,
        ..GateSettings::default()
    };
    Arc::new(EgressGate::new(settings).expect("a gate"))
}

fn guest_at(gate: Arc<EgressGate>, grants: Vec<HttpGrant>, limits: HttpLimits) -> Guest {
    let heard = Arc::new(Heard::default());
    let http = GuestHttp::new(Arc::clone(&gate), grants.into(), limits, heard.clone());
    Guest { http, gate, heard }
}

fn guest(grants: Vec<HttpGrant>, limits: HttpLimits) -> Guest {
    guest_at(gate(FakeResolver::loopback()), grants, limits)
}

#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Guest {
    async fn request<B>(
        &self,
        request: Request<B>,
        timeouts: Timeouts,
    ) -> Result<Answer, EgressError>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let whole = async {
            let (response, driver) = self.http.send(request, timeouts).await?;
            let driver = tokio::spawn(driver);
            let (parts, body) = response.into_parts();
            let body = body.collect().await;
            driver.abort();
            Ok(Answer {
                status: parts.status,
                headers: parts.headers,
                body: body?.to_bytes(),
            })
        };
        tokio::time::timeout(AGES, whole)
            .await
            .expect("the request ends")
    }

    async fn get(&self, url: &str) -> Result<Answer, EgressError> {
        self.request(get(url), Timeouts::default()).await
    }

    fn only_denial(&self) -> HttpDenial {
        let denials = self.heard.denials();
        assert_eq!(denials.len(), 1, "{denials:?}");
        denials.into_iter().next().expect("one")
    }
}

fn get(url: &str) -> Request<Empty<Bytes>> {
    let uri: Uri = url.parse().expect("a URL");
    Request::get(uri).body(Empty::new()).expect("a request")
}

#[tokio::test]
async fn a_granted_request_passes_and_is_counted() {
    let server = Server::says(OK).await;
    let guest = guest(
        vec![grant(&format!("http://a.test:{}/x/*", server.port()), &[])],
        limits(),
    );
    let answer = guest
        .get(&format!("http://A.test.:{}/x/1?q=2", server.port()))
        .await
        .expect("ok");
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (StatusCode::OK, "ok")
    );
    let usage = guest.http.usage();
    assert_eq!((usage.requests, usage.denied), (1, 0));
    assert!(
        usage.request_bytes > 0 && usage.response_bytes > 2,
        "{usage:?}"
    );
    assert!(guest.heard.denials().is_empty() && guest.heard.limits().is_empty());
}

#[tokio::test]
async fn h36_private_literals_are_denied_without_a_packet() {
    let server = Server::says(OK).await;
    let port = server.port();
    for host in [
        "127.0.0.1",
        "[::1]",
        "[::ffff:7f00:1]",
        "0.0.0.0",
        "169.254.169.254",
        "100.64.0.1",
        "10.0.0.1",
        "[fc00::1]",
        "[fe80::1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[::]",
        "255.255.255.255",
        "224.0.0.1",
        "[fd00:ec2::254]",
    ] {
        let url = format!("http://{host}:{port}/");
        let guest = guest(vec![public_grant(&url)], limits());
        let error = guest.get(&url).await.expect_err(host);
        assert!(
            matches!(error, EgressError::Denied(DenialReason::PrivateAddress)),
            "{host}: {error}"
        );
        assert_eq!(guest.only_denial().reason, DenialReason::PrivateAddress);
    }
    assert_eq!(server.accepted(), 0);
}

#[tokio::test]
async fn h36_the_suggested_line_allows_a_private_address() {
    let server = Server::says(OK).await;
    let url = format!("http://in.test:{}/a", server.port());
    let denied = guest(vec![public_grant(&url)], limits());
    denied.get(&url).await.expect_err("private");
    let allow = denied.only_denial().allow;
    assert!(allow.contains(r#"private = ["127.0.0.1/32"]"#), "{allow}");
    // The line is added beside the first grant, so both must count.
    let added = HttpGrant::parse(&url, &[], &["127.0.0.1/32".to_owned()]).expect("valid");
    let allowed = guest(vec![public_grant(&url), added], limits());
    assert_eq!(allowed.get(&url).await.expect("allowed").text(), "ok");
}

#[tokio::test]
async fn h36_own_listeners_are_denied_although_loopback_is_granted() {
    let server = Server::says(OK).await;
    let url = format!("http://a.test:{}/", server.port());
    for own in [
        server.address,
        format!("0.0.0.0:{}", server.port()).parse().expect("valid"),
    ] {
        let guest = guest(vec![grant(&url, &[])], limits());
        guest.gate.set_own_listeners(vec![own]);
        guest.get(&url).await.expect_err("an own listener");
        let denial = guest.only_denial();
        assert_eq!(denial.reason, DenialReason::OwnListener);
        assert!(
            denial.allow.starts_with("nothing can allow it"),
            "{}",
            denial.allow
        );
    }
    assert_eq!(server.accepted(), 0);
}

/// Two servers on one port of two loopback addresses.
async fn twins() -> (Server, Server) {
    for _ in 0..50 {
        let good = TcpListener::bind("127.0.0.2:0").await.expect("a socket");
        let port = good.local_addr().expect("an address").port();
        let Ok(trap) = TcpListener::bind(("127.0.0.1", port)).await else {
            continue;
        };
        let answer = |mut stream: TcpStream| async move {
            read_head(&mut stream).await;
            let _ = stream.write_all(OK.as_bytes()).await;
        };
        return (Server::on(good, answer), Server::on(trap, answer));
    }
    panic!("no free port on both addresses");
}

#[tokio::test]
async fn h37_a_rebound_name_is_looked_up_once_and_never_dialled() {
    let (good, trap) = twins().await;
    let url = format!("http://a.test:{}/", good.port());
    let only_good = HttpGrant::parse(&url, &[], &["127.0.0.2".to_owned()]).expect("valid");
    let resolver = FakeResolver::new(&[&["127.0.0.2"], &["127.0.0.1"]]);
    let guest = guest_at(gate(resolver.clone()), vec![only_good], limits());
    assert_eq!(guest.get(&url).await.expect("vetted").text(), "ok");
    assert_eq!(resolver.asked(), ["a.test"]);
    guest.get(&url).await.expect_err("rebound");
    assert_eq!(guest.only_denial().reason, DenialReason::PrivateAddress);
    assert_eq!(
        (resolver.asked().len(), good.accepted(), trap.accepted()),
        (2, 1, 0)
    );
}

#[tokio::test]
async fn h37_of_mixed_answers_only_the_vetted_are_dialled() {
    let (good, trap) = twins().await;
    let url = format!("http://a.test:{}/", good.port());
    let only_good = HttpGrant::parse(&url, &[], &["127.0.0.2".to_owned()]).expect("valid");
    let resolver = FakeResolver::new(&[&["127.0.0.1", "::1", "169.254.169.254", "127.0.0.2"]]);
    let guest = guest_at(gate(resolver.clone()), vec![only_good], limits());
    assert_eq!(guest.get(&url).await.expect("vetted").text(), "ok");
    assert_eq!(
        (resolver.asked().len(), good.accepted(), trap.accepted()),
        (1, 1, 0)
    );
}

#[tokio::test]
async fn h38_a_redirect_goes_back_to_the_guest() {
    for status in [
        "302 Found",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        let trap = Server::says(OK).await;
        let location = format!("http://127.0.0.1:{}/", trap.port());
        let answer =
            format!("HTTP/1.1 {status}\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
        let server = Server::start(move |mut stream| {
            let answer = answer.clone();
            async move {
                read_head(&mut stream).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        })
        .await;
        let url = format!("http://a.test:{}/", server.port());
        let guest = guest(vec![grant(&url, &[]), grant(&location, &[])], limits());
        let answer = guest.get(&url).await.expect("the redirect itself");
        assert!(answer.status.is_redirection());
        assert_eq!(answer.headers["location"], location.as_str());
        assert_eq!(trap.accepted(), 0);
    }
}

#[tokio::test]
async fn h39_the_host_header_is_the_gates() {
    let (heads, mut seen) = mpsc::unbounded_channel();
    let server = Server::start(move |mut stream| {
        let heads = heads.clone();
        async move {
            let _ = heads.send(read_head(&mut stream).await);
            let _ = stream.write_all(OK.as_bytes()).await;
        }
    })
    .await;
    let authority = format!("a.test:{}", server.port());
    let guest = guest(vec![grant(&format!("http://{authority}"), &[])], limits());
    let request = Request::get(format!("http://{authority}/p"))
        .header("host", "evil.test")
        .header("proxy-authorization", "Basic x")
        .header("proxy-connection", "keep-alive")
        .header("connection", "x-hop")
        .header("x-hop", "1")
        .header("te", "trailers")
        .header("upgrade", "websocket")
        .header("x-kept", "1")
        .body(Empty::<Bytes>::new())
        .expect("a request");
    guest
        .request(request, Timeouts::default())
        .await
        .expect("ok");
    let head = seen.recv().await.expect("a head").to_ascii_lowercase();
    assert!(head.starts_with("get /p http/1.1\r\n"), "{head}");
    assert!(
        head.contains(&format!("\r\nhost: {authority}\r\n")),
        "{head}"
    );
    assert!(head.contains("\r\nx-kept: 1\r\n"), "{head}");
    for gone in ["evil", "proxy-", "x-hop", "\r\nte:", "upgrade"] {
        assert!(!head.contains(gone), "{gone} in {head}");
    }
}

/// Sends `head`, then `piece` until the other side closes; gives the bytes that were taken.
async fn flood(mut stream: TcpStream, head: &str, piece: &[u8]) {
    read_head(&mut stream).await;
    let mut result = stream.write_all(head.as_bytes()).await;
    while result.is_ok() {
        result = stream.write_all(piece).await;
    }
}

#[tokio::test]
async fn h41_an_endless_body_ends_at_the_limit() {
    const MAX: u64 = 256 * 1024;
    for head in [
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
    ] {
        let server = Server::start(move |stream| async move {
            let piece = [b"1000\r\n".as_slice(), &[b'x'; 0x1000], b"\r\n"].concat();
            flood(stream, head, &piece).await;
        })
        .await;
        let url = format!("http://a.test:{}/", server.port());
        let guest = guest(
            vec![grant(&url, &[])],
            HttpLimits {
                response_bytes: MAX,
                ..limits()
            },
        );
        let error = guest.get(&url).await.expect_err("endless");
        assert!(matches!(error, EgressError::ResponseBytes(MAX)), "{error}");
        assert_eq!(guest.heard.limits(), ["http_response_bytes"]);
        // What the parser buffered at most comes on top.
        assert!(guest.http.usage().response_bytes < MAX + 1024 * 1024);
        // The run is at its limit: the next answer is refused as well.
        guest.get(&url).await.expect_err("still at the limit");
    }
}

#[tokio::test]
async fn h41_an_announced_giant_is_refused_before_it_is_read() {
    let server = Server::says("HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n").await;
    let url = format!("http://a.test:{}/", server.port());
    let guest = guest(vec![grant(&url, &[])], limits());
    let error = guest.get(&url).await.expect_err("too large");
    assert!(matches!(error, EgressError::ResponseBytes(_)), "{error}");
}

#[tokio::test]
async fn h41_header_bombs_and_broken_framing_are_refused() {
    let many = |count: usize| {
        let lines: String = (0..count).map(|n| format!("x-{n}: 1\r\n")).collect();
        format!("HTTP/1.1 200 OK\r\n{lines}\r\n")
    };
    let cases = [
        (many(101), "http_response_headers"),
        (many(100_000), "http_response_headers"),
        (
            format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(70 * 1024)),
            "http_response_headers",
        ),
        (
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n".to_owned(),
            "",
        ),
        ("SSH-2.0-OpenSSH_9.6\r\n\r\n".to_owned(), ""),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n".to_owned(),
            "",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc".to_owned(),
            "",
        ),
    ];
    for (answer, limit) in cases {
        let shown: String = answer.chars().take(60).collect();
        let server = Server::start(move |mut stream| {
            let answer = answer.clone();
            async move {
                read_head(&mut stream).await;
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        })
        .await;
        let url = format!("http://a.test:{}/", server.port());
        let guest = guest(vec![grant(&url, &[])], limits());
        let error = guest.get(&url).await.expect_err(&shown);
        if limit.is_empty() {
            assert!(
                matches!(error, EgressError::Protocol | EgressError::Incomplete),
                "{shown}: {error}"
            );
        } else {
            assert!(
                matches!(error, EgressError::ResponseHeaders(_)),
                "{shown}: {error}"
            );
            assert_eq!(guest.heard.limits(), [limit], "{shown}");
        }
    }
    let server = Server::start(move |mut stream| {
        let answer = format!("{}ok", many(95));
        async move {
            read_head(&mut stream).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    })
    .await;
    let url = format!("http://a.test:{}/", server.port());
    let answer = guest(vec![grant(&url, &[])], limits())
        .get(&url)
        .await
        .expect("within");
    assert_eq!(answer.text(), "ok");
}

#[tokio::test]
async fn h42_one_deadline_covers_every_step() {
    let cases: [(&str, &str, &[u8], Phase); 3] = [
        ("https", "no TLS", b"", Phase::Connect),
        (
            "http",
            "half a head",
            b"HTTP/1.1 200 OK\r\nx: ",
            Phase::Head,
        ),
        (
            "http",
            "half a body",
            b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf",
            Phase::Body,
        ),
    ];
    for (scheme, what, bytes, expected) in cases {
        let server = Server::start(move |mut stream| async move {
            let _ = stream.write_all(bytes).await;
            stall(stream).await;
        })
        .await;
        let url = format!("{scheme}://a.test:{}/", server.port());
        let guest = guest(
            vec![grant(&url, &[])],
            HttpLimits {
                total_ms: 1000,
                ..limits()
            },
        );
        let started = Instant::now();
        let error = guest.get(&url).await.expect_err(what);
        assert!(
            matches!(error, EgressError::Time(phase) if phase == expected),
            "{what}: {error}"
        );
        assert!(started.elapsed() >= Duration::from_millis(1000), "{what}");
        assert!(started.elapsed() < AGES / 2, "{what}");
        assert_eq!(guest.heard.limits(), ["http_time"], "{what}");
    }
}

#[tokio::test]
async fn h42_a_guest_may_be_less_patient_than_the_gate() {
    let short = Some(Duration::from_millis(50));
    let long = Some(Duration::from_secs(100_000));
    let cases: [(&str, &[u8], Timeouts, Phase); 3] = [
        (
            "https",
            b"",
            Timeouts {
                connect: short,
                ..Timeouts::default()
            },
            Phase::Connect,
        ),
        (
            "http",
            b"",
            Timeouts {
                first_byte: short,
                connect: long,
                ..Timeouts::default()
            },
            Phase::Head,
        ),
        (
            "http",
            b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf",
            Timeouts {
                between_bytes: short,
                ..Timeouts::default()
            },
            Phase::BetweenBytes,
        ),
    ];
    for (scheme, bytes, timeouts, expected) in cases {
        let server = Server::start(move |mut stream| async move {
            let _ = stream.write_all(bytes).await;
            stall(stream).await;
        })
        .await;
        let url = format!("{scheme}://a.test:{}/", server.port());
        let guest = guest(vec![grant(&url, &[])], limits());
        let started = Instant::now();
        let error = guest
            .request(get(&url), timeouts)
            .await
            .expect_err("impatient");
        assert!(
            matches!(error, EgressError::Time(phase) if phase == expected),
            "{error}"
        );
        assert!(started.elapsed() < AGES / 2);
        assert!(
            guest.heard.limits().is_empty(),
            "the guest's own patience is no limit"
        );
    }
    // And a longer one changes nothing; zero does not panic.
    let server = Server::start(stall).await;
    let url = format!("http://a.test:{}/", server.port());
    let guest = guest(
        vec![grant(&url, &[])],
        HttpLimits {
            total_ms: 200,
            ..limits()
        },
    );
    for patience in [long, Some(Duration::ZERO), Some(Duration::MAX)] {
        let timeouts = Timeouts {
            connect: patience,
            first_byte: patience,
            between_bytes: patience,
        };
        let error = guest
            .request(get(&url), timeouts)
            .await
            .expect_err("no answer");
        assert!(matches!(error, EgressError::Time(_)), "{error}");
    }
}

/// A request body without an end.
struct Endless;

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b'x'; 4096])))))
    }
}

#[tokio::test]
async fn h44_an_endless_upload_ends_at_the_limit() {
    const MAX: u64 = 100_000;
    let answers: [&[u8]; 2] = [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"];
    for answer in answers {
        let received = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&received);
        let server = Server::start(move |mut stream| {
            let count = Arc::clone(&count);
            async move {
                let _ = stream.write_all(answer).await;
                let mut buffer = [0; 4096];
                while let Ok(read) = stream.read(&mut buffer).await
                    && read > 0
                {
                    count.fetch_add(read, Ordering::SeqCst);
                }
            }
        })
        .await;
        let url = format!("http://a.test:{}/", server.port());
        let guest = guest(
            vec![grant(&url, &["POST"])],
            HttpLimits {
                request_bytes: MAX,
                ..limits()
            },
        );
        let request = Request::post(&url).body(Endless).expect("a request");
        let error = guest
            .request(request, Timeouts::default())
            .await
            .expect_err("endless");
        assert!(matches!(error, EgressError::RequestBytes(MAX)), "{error}");
        assert_eq!(guest.heard.limits(), ["http_request_bytes"]);
        // Chunk sizes and the head come on top.
        assert!(received.load(Ordering::SeqCst) < MAX as usize + 8192);
    }
}

#[tokio::test]
async fn h44_an_announced_giant_is_refused_before_dialling() {
    let server = Server::says(OK).await;
    let url = format!("http://a.test:{}/", server.port());
    let guest = guest(
        vec![grant(&url, &["POST"])],
        HttpLimits {
            request_bytes: 1000,
            ..limits()
        },
    );
    let body = Full::new(Bytes::from_static(&[b'x'; 2000]));
    let request = Request::post(&url).body(body).expect("a request");
    let error = guest
        .request(request, Timeouts::default())
        .await
        .expect_err("too large");
    assert!(matches!(error, EgressError::RequestBytes(1000)), "{error}");
    assert_eq!(server.accepted(), 0);
}

#[tokio::test]
async fn an_upload_within_the_limit_arrives_whole() {
    let server = Server::start(|mut stream| async move {
        let head = read_head(&mut stream).await;
        assert!(
            head.to_ascii_lowercase().contains("content-length: 5"),
            "{head}"
        );
        let mut body = [0; 5];
        stream.read_exact(&mut body).await.expect("a body");
        let text = String::from_utf8_lossy(&body).into_owned();
        let _ = stream
            .write_all(
                format!("HTTP/1.1 201 Created\r\ncontent-length: 5\r\n\r\n{text}").as_bytes(),
            )
            .await;
    })
    .await;
    let url = format!("http://a.test:{}/", server.port());
    let guest = guest(vec![grant(&url, &["POST"])], limits());
    let body = Full::new(Bytes::from_static(b"hello"));
    let request = Request::post(&url).body(body).expect("a request");
    let answer = guest
        .request(request, Timeouts::default())
        .await
        .expect("ok");
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (StatusCode::CREATED, "hello")
    );
}

/// A server that tells of each request and answers one for each permit.
async fn gated() -> (Server, mpsc::UnboundedReceiver<usize>, Arc<Semaphore>) {
    let (told, accepted) = mpsc::unbounded_channel();
    let release = Arc::new(Semaphore::new(0));
    let open = Arc::new(AtomicUsize::new(0));
    let permits = Arc::clone(&release);
    let server = Server::start(move |mut stream| {
        let (told, permits, open) = (told.clone(), Arc::clone(&permits), Arc::clone(&open));
        async move {
            read_head(&mut stream).await;
            let _ = told.send(open.fetch_add(1, Ordering::SeqCst) + 1);
            permits.acquire().await.expect("not closed").forget();
            open.fetch_sub(1, Ordering::SeqCst);
            let _ = stream.write_all(OK.as_bytes()).await;
        }
    })
    .await;
    (server, accepted, release)
}

#[tokio::test]
async fn h45_a_flood_waits_in_its_own_queue_and_ends_at_the_limit() {
    let (server, mut accepted, release) = gated().await;
    let url = format!("http://a.test:{}/", server.port());
    let shared = gate(FakeResolver::loopback());
    let few = HttpLimits {
        requests: 6,
        concurrent: 2,
        ..limits()
    };
    let flooding = Arc::new(guest_at(Arc::clone(&shared), vec![grant(&url, &[])], few));
    let mut flood = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let (guest, url) = (Arc::clone(&flooding), url.clone());
        flood.spawn(async move { guest.get(&url).await });
    }
    // Two are on the wire and hold there; another guest passes all the same.
    assert!(accepted.recv().await.is_some());
    assert!(accepted.recv().await.is_some());
    let quiet = Server::says(OK).await;
    let quiet_url = format!("http://a.test:{}/", quiet.port());
    let other = guest_at(shared, vec![grant(&quiet_url, &[])], limits());
    assert_eq!(other.get(&quiet_url).await.expect("passes").text(), "ok");
    let mut most = 2;
    release.add_permits(1);
    for _ in 0..4 {
        most = most.max(accepted.recv().await.expect("the next in the queue"));
        release.add_permits(1);
    }
    release.add_permits(1);
    let results = flood.join_all().await;
    assert_eq!(most, 2);
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 6);
    assert!(
        results
            .iter()
            .flat_map(|r| r.as_ref().err())
            .all(|e| matches!(e, EgressError::Requests(6)))
    );
    assert_eq!(flooding.heard.limits(), ["http_requests"]);
    assert_eq!(flooding.http.usage().requests, 6);
}

#[tokio::test]
async fn h45_waiting_for_a_place_counts_against_the_deadline() {
    let server = Server::start(stall).await;
    let url = format!("http://a.test:{}/", server.port());
    let settings = GateSettings {
        resolver: FakeResolver::loopback(),
        connections: 1,
        ..GateSettings::default()
    };
    let shared = Arc::new(EgressGate::new(settings).expect("a gate"));
    let holder = guest_at(Arc::clone(&shared), vec![grant(&url, &[])], limits());
    let holding = tokio::spawn(async move { holder.get(&url).await.map(|_| ()) });
    while server.accepted() == 0 {
        tokio::task::yield_now().await;
    }
    let quiet = Server::says(OK).await;
    let url = format!("http://a.test:{}/", quiet.port());
    let waiting = guest_at(
        Arc::clone(&shared),
        vec![grant(&url, &[])],
        HttpLimits {
            total_ms: 200,
            ..limits()
        },
    );
    let error = waiting.get(&url).await.expect_err("no place");
    assert!(matches!(error, EgressError::Time(Phase::Queue)), "{error}");
    // A request that is given up frees its place.
    holding.abort();
    let patient = guest_at(shared, vec![grant(&url, &[])], limits());
    assert_eq!(patient.get(&url).await.expect("a place").text(), "ok");
}

#[tokio::test]
async fn h45_a_guest_that_stops_reading_frees_its_place_at_the_deadline() {
    let server =
        Server::start(|stream| flood(stream, "HTTP/1.1 200 OK\r\n\r\n", &[b'x'; 4096])).await;
    let url = format!("http://a.test:{}/", server.port());
    let settings = GateSettings {
        resolver: FakeResolver::loopback(),
        connections: 1,
        ..GateSettings::default()
    };
    let shared = Arc::new(EgressGate::new(settings).expect("a gate"));
    let lazy = guest_at(
        Arc::clone(&shared),
        vec![grant(&url, &[])],
        HttpLimits {
            total_ms: 1500,
            ..limits()
        },
    );
    let (response, driver) = lazy
        .http
        .send(get(&url), Timeouts::default())
        .await
        .expect("an answer");
    tokio::spawn(driver);
    let quiet = Server::says(OK).await;
    let quiet_url = format!("http://a.test:{}/", quiet.port());
    let other = guest_at(shared, vec![grant(&quiet_url, &[])], limits());
    assert_eq!(other.get(&quiet_url).await.expect("a place").text(), "ok");
    let error = response.into_body().collect().await.expect_err("too late");
    assert!(matches!(error, EgressError::Time(Phase::Body)), "{error}");
    assert_eq!(lazy.heard.limits(), ["http_time"]);
}

#[tokio::test]
async fn h46_no_name_is_looked_up_without_a_grant() {
    let resolver = FakeResolver::loopback();
    let guest = guest_at(
        gate(resolver.clone()),
        vec![grant("https://evil.test/only/*", &["GET"])],
        limits(),
    );
    for (url, reason) in [
        ("https://c2VjcmV0.evil.io/", DenialReason::NoGrant),
        ("https://x.evil.test/only/1", DenialReason::NoGrant),
        ("http://evil.test/only/1", DenialReason::Scheme),
        ("https://evil.test:444/only/1", DenialReason::Port),
        ("https://evil.test/other", DenialReason::Path),
        ("https://u:p@evil.test/only/1", DenialReason::BadUrl),
        ("gopher://evil.test/only/1", DenialReason::Scheme),
    ] {
        let error = guest.get(url).await.expect_err(url);
        assert!(
            matches!(error, EgressError::Denied(found) if found == reason),
            "{url}: {error}"
        );
    }
    let post = Request::post("https://evil.test/only/1").body(Empty::<Bytes>::new());
    guest
        .request(post.expect("a request"), Timeouts::default())
        .await
        .expect_err("a method");
    assert!(resolver.asked().is_empty());
    assert_eq!(guest.heard.denials().len(), 8);
    assert_eq!(guest.http.usage().denied, 8);
}

const SECRET: &str = "ghp_0123456789abcdef";

fn credential() -> Arc<Credential> {
    let value = format!("Bearer {SECRET}");
    Arc::new(Credential::new("authorization", &value).expect("a credential"))
}

#[tokio::test]
async fn a_credential_replaces_the_guests_header_and_is_masked_in_the_answer() {
    let (heads, mut seen) = mpsc::unbounded_channel();
    let server = Server::start(move |mut stream| {
        let heads = heads.clone();
        async move {
            let head = read_head(&mut stream).await;
            let _ = heads.send(head.clone());
            // The secret in a header, in the body across two chunks, and in a trailer.
            let (first, second) = head.split_at(head.find("0123").unwrap_or(0));
            let _ = stream
                .write_all(
                    format!(
                        "HTTP/1.1 200 OK\r\nx-echo: Bearer {SECRET}\r\ntransfer-encoding: chunked\r\n\
                         trailer: x-tail\r\n\r\n{:x}\r\n{first}\r\n",
                        first.len()
                    )
                    .as_bytes(),
                )
                .await;
            let _ = stream.flush().await;
            let _ = stream
                .write_all(format!("{:x}\r\n{second}\r\n0\r\nx-tail: {SECRET}\r\n\r\n", second.len()).as_bytes())
                .await;
        }
    })
    .await;
    let base = format!("http://a.test:{}", server.port());
    let bound = grant(&format!("{base}/in/*"), &["GET"])
        .with_credential(credential())
        .expect("a bound credential");
    let guest = guest(vec![grant(&format!("{base}/out/*"), &[]), bound], limits());
    let request = Request::get(format!("{base}/in/1"))
        .header("Authorization", "Bearer mine")
        .header("authorization", "Bearer mine-too")
        .header("accept-encoding", "gzip")
        .header("range", "bytes=0-3")
        .body(Empty::<Bytes>::new())
        .expect("a request");
    let answer = guest
        .request(request, Timeouts::default())
        .await
        .expect("ok");
    let head = seen.recv().await.expect("a head");
    assert_eq!(head.matches(SECRET).count(), 1, "{head}");
    assert!(
        !head.contains("mine") && !head.contains("gzip") && !head.contains("range"),
        "{head}"
    );
    assert_eq!(
        answer.headers["x-echo"],
        format!("Bearer {}", "*".repeat(SECRET.len())).as_str()
    );
    assert_eq!(
        answer.text(),
        head.replace(SECRET, &"*".repeat(SECRET.len()))
    );
    assert!(!format!("{answer:?}").contains(SECRET));

    let request = Request::get(format!("{base}/out/1"))
        .header("authorization", "Bearer mine")
        .body(Empty::<Bytes>::new())
        .expect("a request");
    guest
        .request(request, Timeouts::default())
        .await
        .expect("ok");
    let head = seen.recv().await.expect("a head");
    assert!(
        !head.contains(SECRET) && head.contains("Bearer mine"),
        "{head}"
    );
}

/// A server with a certificate for `tls.test`, and the PEM file of its authority.
struct TlsServer {
    server: Server,
    names: mpsc::UnboundedReceiver<Option<String>>,
    authority: tempfile::NamedTempFile,
}

impl TlsServer {
    async fn start() -> Self {
        let mut params = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca_key = rcgen::KeyPair::generate().expect("a key");
        let ca = params.self_signed(&ca_key).expect("a certificate");
        let issuer = rcgen::Issuer::new(params, ca_key);
        let key = rcgen::KeyPair::generate().expect("a key");
        let certificate = rcgen::CertificateParams::new(vec!["tls.test".to_owned()])
            .and_then(|params| params.signed_by(&key, &issuer))
            .expect("a certificate");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("protocols")
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )
            .expect("a configuration");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let (told, names) = mpsc::unbounded_channel();
        let server = Server::start(move |stream| {
            let (acceptor, told) = (acceptor.clone(), told.clone());
            async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                let _ = told.send(stream.get_ref().1.server_name().map(str::to_owned));
                read_head(&mut stream).await;
                let _ = stream.write_all(OK.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        })
        .await;
        let authority = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(authority.path(), ca.pem()).expect("written");
        Self {
            server,
            names,
            authority,
        }
    }

    fn gate(&self, proxy: Option<Uri>, resolver: Arc<FakeResolver>) -> Arc<EgressGate> {
        let settings = GateSettings {
            ca_file: Some(self.authority.path().to_owned()),
            resolver,
            proxy,
            ..GateSettings::default()
        };
        Arc::new(EgressGate::new(settings).expect("a gate"))
    }
}

#[tokio::test]
async fn https_checks_the_certificate_against_the_granted_name() {
    let mut tls = TlsServer::start().await;
    let url = format!("https://TLS.test:{}/", tls.server.port());
    let trusting = guest_at(
        tls.gate(None, FakeResolver::loopback()),
        vec![grant(&url, &[])],
        limits(),
    );
    assert_eq!(trusting.get(&url).await.expect("trusted").text(), "ok");
    assert_eq!(
        tls.names.recv().await.expect("a name").as_deref(),
        Some("tls.test")
    );

    let unknown = guest(vec![grant(&url, &[])], limits());
    let error = unknown.get(&url).await.expect_err("an unknown authority");
    assert!(matches!(error, EgressError::Tls(_)), "{error}");

    let other = format!("https://other.test:{}/", tls.server.port());
    let wrong = guest_at(
        tls.gate(None, FakeResolver::loopback()),
        vec![grant(&other, &[])],
        limits(),
    );
    let error = wrong.get(&other).await.expect_err("another name");
    assert!(matches!(error, EgressError::Tls(_)), "{error}");
}

/// A proxy that tunnels everything to one address, and tells what it was asked.
async fn proxy_to(target: SocketAddr) -> (Server, mpsc::UnboundedReceiver<String>) {
    let (told, asked) = mpsc::unbounded_channel();
    let server = Server::start(move |mut stream| {
        let told = told.clone();
        async move {
            let head = read_head(&mut stream).await;
            let tunnel = head.starts_with("CONNECT tls.test");
            let refuse = head.starts_with("CONNECT ") && !tunnel;
            let _ = told.send(head);
            if refuse {
                let _ = stream.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n").await;
            } else if tunnel {
                let _ = stream
                    .write_all(b"HTTP/1.1 200 Connected\r\nx: y\r\n\r\n")
                    .await;
                let mut inner = TcpStream::connect(target).await.expect("the server");
                let _ = copy_bidirectional(&mut stream, &mut inner).await;
            } else {
                answer(&mut stream, OK).await;
            }
        }
    })
    .await;
    (server, asked)
}

async fn answer(stream: &mut (impl AsyncWrite + Unpin), text: &str) {
    let _ = stream.write_all(text.as_bytes()).await;
}

#[tokio::test]
async fn behind_a_proxy_only_the_proxy_is_looked_up_and_dialled() {
    let mut tls = TlsServer::start().await;
    let (proxy, mut asked) = proxy_to(tls.server.address).await;
    let resolver = FakeResolver::loopback();
    let uri: Uri = format!("http://user:pass@proxy.test:{}", proxy.port())
        .parse()
        .expect("a URL");
    let gate = tls.gate(Some(uri), resolver.clone());
    // The targets are no private grants: their names are not looked up here.
    let grants = || {
        vec![
            public_grant("https://tls.test"),
            public_grant("http://plain.test:81"),
            public_grant("https://refused.test"),
            public_grant("http://127.0.0.1"),
            public_grant("http://localhost"),
            public_grant("http://169.254.169.254"),
            public_grant("http://metadata.google.internal"),
        ]
    };
    let guest = guest_at(Arc::clone(&gate), grants(), limits());

    assert_eq!(
        guest
            .get("https://tls.test/x")
            .await
            .expect("tunnelled")
            .text(),
        "ok"
    );
    let head = asked.recv().await.expect("a head");
    assert!(
        head.starts_with("CONNECT tls.test:443 HTTP/1.1\r\nHost: tls.test:443\r\n"),
        "{head}"
    );
    assert!(
        head.contains("Proxy-Authorization: Basic dXNlcjpwYXNz\r\n"),
        "{head}"
    );
    assert_eq!(
        tls.names.recv().await.expect("a name").as_deref(),
        Some("tls.test")
    );

    assert_eq!(
        guest
            .get("http://plain.test:81/x?y=1")
            .await
            .expect("passed on")
            .text(),
        "ok"
    );
    let head = asked.recv().await.expect("a head").to_ascii_lowercase();
    assert!(
        head.starts_with("get http://plain.test:81/x?y=1 http/1.1\r\n"),
        "{head}"
    );
    assert!(head.contains("host: plain.test:81\r\n"), "{head}");
    assert!(head.contains("proxy-authorization: basic "), "{head}");
    assert_eq!(resolver.asked(), ["proxy.test", "proxy.test"]);

    let error = guest
        .get("https://refused.test/")
        .await
        .expect_err("refused by the proxy");
    assert!(matches!(error, EgressError::Proxy(_)), "{error}");
    assert!(asked.recv().await.is_some());

    for url in [
        "http://127.0.0.1/",
        "http://localhost/",
        "http://169.254.169.254/",
        "http://metadata.google.internal/",
    ] {
        let error = guest.get(url).await.expect_err(url);
        assert!(
            matches!(error, EgressError::Denied(DenialReason::PrivateAddress)),
            "{url}: {error}"
        );
    }
    assert_eq!(proxy.accepted(), 3);

    // The proxy's own address is vetted: never one where this host listens.
    gate.set_own_listeners(vec![proxy.address]);
    let error = guest
        .get("https://tls.test/x")
        .await
        .expect_err("an own listener");
    assert!(matches!(error, EgressError::Proxy(_)), "{error}");
    assert_eq!(proxy.accepted(), 3);
}
