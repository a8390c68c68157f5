//! Serves a router on a listener within limits: `axum::serve` has none.
//!
//! A connection is either working on a request or idle. When all places are taken the connection that has been idle longest makes room, so that clients
//! who open connections and send nothing cannot keep others out. What a client sends is bounded here up to the end of the headers; bodies are bounded
//! where they are read.

use super::envelope;
use super::error::ApiError;
use super::framing::Framed;
use crate::tls::Tls;
use axum::Router;
use axum::body::Body;
use http::{Request, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::Service;

/// How long a client may take to send its headers, or to send nothing between two requests.
const HEADER_READ_MAX: Duration = Duration::from_secs(10);

/// Headers of one request: browsers send some 20, proxies add a handful.
pub(super) const HEADERS_MAX: usize = 100;

/// Request line and headers together, in bytes: what most servers and proxies take.
pub(super) const HEADER_BYTES_MAX: usize = 16 * 1024;

/// Connections at once. A process usually has 1,024 descriptors, and the store, the checkouts and outgoing requests need their part; idle connections
/// make room, so this bounds how many requests are worked on, not how many clients there are.
const CONNECTIONS_MAX: usize = 512;

/// How long requests that are being worked on may take to end once the host stops.
pub const DRAIN_MAX: Duration = Duration::from_secs(30);

/// How long a refused client may take to read its answer.
const LINGER_MAX: Duration = Duration::from_secs(1);

/// Reads of 4 KiB for what a refused client had sent already: a large header, or a small body.
const LINGER_READS_MAX: usize = 64;

/// How long to wait before accepting again when the process has no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a request knows of the connection that it came over; in the request's extensions.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The address that it was accepted on; none on a socket of the file system.
    pub listen: Option<SocketAddr>,
    /// The client's address; none on a socket of the file system.
    pub peer: Option<SocketAddr>,
    /// Cancelled when the host stops: long answers end then.
    pub stopping: CancellationToken,
}

/// Where connections come from.
pub enum Listener {
    /// The network, or this machine's part of it; with what it is served, or in the open.
    Tcp(TcpListener, Option<Arc<Tls>>),
    /// A socket of the file system: who may open the file may do everything.
    Unix(UnixListener),
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener, None)
    }
}

impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Self {
        Self::Unix(listener)
    }
}

/// Bytes in both directions.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

struct Accepted {
    stream: Box<dyn Stream>,
    listen: Option<SocketAddr>,
    peer: Option<SocketAddr>,
    /// What has to be agreed on before anything is said.
    tls: Option<TlsAcceptor>,
}

impl Listener {
    /// The next connection, with its own address and that of its other end.
    async fn accept(&self) -> std::io::Result<Accepted> {
        match self {
            Self::Tcp(listener, tls) => {
                let (stream, peer) = listener.accept().await?;
                // Answers are small and whole: waiting for more only delays them.
                let _ = stream.set_nodelay(true);
                Ok(Accepted {
                    listen: stream.local_addr().ok(),
                    peer: Some(peer),
                    stream: Box::new(stream),
                    tls: tls.as_ref().map(|tls| tls.acceptor()),
                })
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok(Accepted {
                    stream: Box::new(stream),
                    listen: None,
                    peer: None,
                    tls: None,
                })
            }
        }
    }
}

/// Serves until `shutdown` is over, then lets requests end for at most [`DRAIN_MAX`].
///
/// # Errors
/// None so far: a failing client or a failed `accept` is no error.
pub async fn serve(
    listener: impl Into<Listener>,
    router: Router,
    shutdown: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let listener = listener.into();
    let stopping = CancellationToken::new();
    let places = Arc::new(Places::default());
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        while connections.try_join_next().is_some() {}
        if connections.len() >= CONNECTIONS_MAX && !places.evict() {
            // Everyone is being served: wait for one to end; others wait in the kernel's queue.
            tokio::select! {
                () = &mut shutdown => break,
                _ = connections.join_next() => continue,
            }
        }
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(accepted) => {
                let connection = Connection {
                    listen: accepted.listen,
                    peer: accepted.peer,
                    stopping: stopping.clone(),
                };
                connections.spawn(serve_connection(
                    accepted.stream,
                    accepted.tls,
                    connection,
                    router.clone(),
                    Arc::clone(&places),
                ));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    stopping.cancel();
    let drained = tokio::time::timeout(DRAIN_MAX, async {
        while connections.join_next().await.is_some() {}
    })
    .await;
    if drained.is_err() {
        tracing::warn!(
            "{} connections did not end within {} s and are cut",
            connections.len(),
            DRAIN_MAX.as_secs()
        );
        connections.shutdown().await;
    }
    Ok(())
}

/// The connections, and which of them are idle.
#[derive(Default)]
struct Places {
    state: Mutex<PlacesState>,
}

#[derive(Default)]
struct PlacesState {
    next: u64,
    /// In the order in which they became idle.
    idle: BTreeMap<u64, CancellationToken>,
}

impl Places {
    fn state(&self) -> std::sync::MutexGuard<'_, PlacesState> {
        // The map is whole after every statement, so a panic elsewhere has left nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn idle(&self, evict: &CancellationToken) -> u64 {
        let mut state = self.state();
        state.next += 1;
        let key = state.next;
        state.idle.insert(key, evict.clone());
        key
    }

    fn busy(&self, key: u64) {
        self.state().idle.remove(&key);
    }

    /// Closes the connection that has been idle longest; `false` when none is.
    fn evict(&self) -> bool {
        match self.state().idle.pop_first() {
            Some((_, evict)) => {
                evict.cancel();
                true
            }
            None => false,
        }
    }
}

/// One connection's place: idle while no request of it is being worked on.
struct Place {
    places: Arc<Places>,
    evict: CancellationToken,
    working: AtomicUsize,
    key: Mutex<u64>,
}

impl Place {
    fn new(places: Arc<Places>) -> Arc<Self> {
        let evict = CancellationToken::new();
        let key = places.idle(&evict);
        Arc::new(Self {
            places,
            evict,
            working: AtomicUsize::new(0),
            key: Mutex::new(key),
        })
    }

    fn key(&self) -> std::sync::MutexGuard<'_, u64> {
        self.key.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(self: &Arc<Self>) -> Working {
        if self.working.fetch_add(1, Ordering::SeqCst) == 0 {
            self.places.busy(*self.key());
        }
        Working(Arc::clone(self))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.busy(*self.key());
    }
}

/// A request that is being worked on.
struct Working(Arc<Place>);

impl Drop for Working {
    fn drop(&mut self) {
        if self.0.working.fetch_sub(1, Ordering::SeqCst) == 1 {
            *self.0.key() = self.0.places.idle(&self.0.evict);
        }
    }
}

/// A stream of which the first byte was read already.
struct Begun {
    first: Option<u8>,
    rest: Box<dyn Stream>,
}

impl AsyncRead for Begun {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if buffer.remaining() > 0
            && let Some(first) = self.first.take()
        {
            buffer.put_slice(&[first]);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.rest).poll_read(context, buffer)
    }
}

impl AsyncWrite for Begun {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.rest).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.rest).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.rest).poll_shutdown(context)
    }
}

/// What the first record of TLS begins with.
const HANDSHAKE: u8 = 0x16;

/// Agrees on TLS; none when the client does not. Who speaks in the open is told so.
async fn agreed(mut stream: Box<dyn Stream>, tls: TlsAcceptor) -> Option<Box<dyn Stream>> {
    let agreed = async {
        let first = stream.read_u8().await?;
        if first != HANDSHAKE {
            let error = ApiError::new(
                StatusCode::BAD_REQUEST,
                "tls_required",
                "this port speaks TLS; write `https://` instead of `http://`",
            );
            say(stream, &error).await;
            return Ok(None);
        }
        let begun = Begun {
            first: Some(first),
            rest: stream,
        };
        let agreed: Box<dyn Stream> = Box::new(tls.accept(begun).await?);
        std::io::Result::Ok(Some(agreed))
    };
    match tokio::time::timeout(HEADER_READ_MAX, agreed).await {
        Ok(Ok(agreed)) => agreed,
        Ok(Err(error)) => {
            tracing::debug!(%error, "a client did not agree on TLS: {error}");
            None
        }
        Err(_) => None,
    }
}

async fn serve_connection(
    stream: Box<dyn Stream>,
    tls: Option<TlsAcceptor>,
    connection: Connection,
    router: Router,
    places: Arc<Places>,
) {
    let place = Place::new(places);
    let evict = place.evict.clone();
    let stopping = connection.stopping.clone();
    let stream = match tls {
        None => stream,
        Some(tls) => {
            let agreed = tokio::select! {
                agreed = agreed(stream, tls) => agreed,
                () = evict.cancelled() => None,
                () = stopping.cancelled() => None,
            };
            let Some(stream) = agreed else { return };
            stream
        }
    };
    let service = tower::service_fn(move |request: Request<Incoming>| {
        let working = place.work();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(connection.clone());
        let answer = router.clone().call(request);
        async move {
            let response = answer.await;
            response.map(|response| {
                response.map(|body| {
                    Body::new(Held {
                        body,
                        _working: working,
                    })
                })
            })
        }
    });
    let framed = Framed::new(stream);
    let refusal = framed.refusal();
    let mut served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_MAX)
        .max_headers(HEADERS_MAX)
        .max_header_size(HEADER_BYTES_MAX)
        .max_buf_size(HEADER_BYTES_MAX + 1024)
        .serve_connection(TokioIo::new(framed), TowerToHyperService::new(service));
    let mut draining = false;
    let result = loop {
        tokio::select! {
            result = &mut served => break result,
            () = evict.cancelled() => return,
            () = stopping.cancelled(), if !draining => {
                draining = true;
                Pin::new(&mut served).graceful_shutdown();
            }
            // The request that is being worked on is still answered; what came between it and the bad head is not.
            () = refusal.happened(), if !draining => {
                draining = true;
                Pin::new(&mut served).graceful_shutdown();
            }
        }
    };
    let timed_out = match &result {
        Ok(()) => false,
        Err(error) => {
            tracing::debug!(%error, "a connection ended: {error}");
            error.is_timeout()
        }
    };
    let framed = served.into_parts().io.into_inner();
    if let Some(error) = refusal.error() {
        say(framed.into_inner(), error).await;
    } else if timed_out && framed.is_in_head() {
        let error = ApiError::new(
            StatusCode::REQUEST_TIMEOUT,
            "request_timeout",
            format!(
                "the headers took longer than {} seconds",
                HEADER_READ_MAX.as_secs()
            ),
        );
        say(framed.into_inner(), &error).await;
    }
}

/// Gives a client that never got as far as a request its answer, and closes.
async fn say(mut stream: Box<dyn Stream>, error: &ApiError) {
    let answer = envelope::bare(error);
    let last_words = async {
        stream.write_all(&answer).await?;
        stream.shutdown().await?;
        // Closing with bytes unread resets the connection, and the client might never see its answer.
        let mut rest = [0; 4096];
        for _ in 0..LINGER_READS_MAX {
            if stream.read(&mut rest).await? == 0 {
                break;
            }
        }
        std::io::Result::Ok(())
    };
    // A client that neither reads nor closes gets no second chance.
    let _ = tokio::time::timeout(LINGER_MAX, last_words).await;
}

/// A body whose request counts as being worked on until the last byte is written.
struct Held {
    body: Body,
    _working: Working,
}

impl http_body::Body for Held {
    type Data = bytes::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use tokio::net::TcpStream;

    async fn start(router: Router) -> (SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("has an address");
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            serve(listener, router, async move { stopped.cancelled().await })
                .await
                .expect("serves");
        });
        (address, stop, task)
    }

    async fn exchange(address: SocketAddr, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).await.expect("connects");
        stream.write_all(request).await.expect("writes");
        let mut answer = Vec::new();
        // The server may reset after its answer when it has not read everything; what came before counts.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn hello() -> Router {
        Router::new().route("/", get(async || "hello"))
    }

    #[tokio::test]
    async fn refuses_too_many_and_too_large_headers() {
        let (address, stop, task) = start(hello()).await;
        let many = format!(
            "GET / HTTP/1.1\r\nhost: x\r\n{}\r\n",
            "a: b\r\n".repeat(101)
        );
        let answer = exchange(address, many.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
        let large = format!(
            "GET / HTTP/1.1\r\nhost: x\r\na: {}\r\n\r\n",
            "b".repeat(20_000)
        );
        let answer = exchange(address, large.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
        let fine = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        assert!(exchange(address, fine.as_bytes()).await.ends_with("hello"));
        stop.cancel();
        task.await.expect("ends");
    }

    #[tokio::test]
    async fn refuses_ambiguous_framing() {
        let (address, stop, task) = start(hello()).await;
        for request in [
            "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
            "GET / HTTP/1.1\r\nhost : x\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n",
        ] {
            let answer = exchange(address, request.as_bytes()).await;
            assert!(answer.starts_with("HTTP/1.1 400"), "{request}: {answer}");
            assert!(answer.contains("x-request-id: "), "{request}: {answer}");
            assert!(
                answer.contains("\"code\":\"malformed_request\""),
                "{request}: {answer}"
            );
        }
        stop.cancel();
        task.await.expect("ends");
    }

    #[tokio::test]
    async fn connections_that_send_nothing_do_not_keep_others_out() {
        let (address, stop, task) = start(hello()).await;
        let mut silent = Vec::new();
        for _ in 0..CONNECTIONS_MAX + 20 {
            silent.push(TcpStream::connect(address).await.expect("connects"));
        }
        let fine = "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        let answer =
            tokio::time::timeout(Duration::from_secs(5), exchange(address, fine.as_bytes()))
                .await
                .expect("is served before a silent connection times out");
        assert!(answer.ends_with("hello"), "{answer}");
        stop.cancel();
        task.await.expect("ends");
    }

    #[tokio::test]
    async fn a_request_that_is_being_worked_on_ends_before_the_server_does() {
        let reached = Arc::new(tokio::sync::Notify::new());
        let release = Arc::new(tokio::sync::Notify::new());
        let router = {
            let (reached, release) = (Arc::clone(&reached), Arc::clone(&release));
            Router::new().route(
                "/",
                get(move || {
                    let (reached, release) = (Arc::clone(&reached), Arc::clone(&release));
                    async move {
                        reached.notify_one();
                        release.notified().await;
                        "done"
                    }
                }),
            )
        };
        let (address, stop, task) = start(router).await;
        let request =
            tokio::spawn(
                async move { exchange(address, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await },
            );
        reached.notified().await;
        stop.cancel();
        release.notify_one();
        assert!(request.await.expect("ends").ends_with("done"));
        task.await.expect("ends");
    }
}
