//! Requests over real sockets, as fast as the other side answers, from as many connections as are asked for; and the bare server that some benches compare with.

use crate::samples::Samples;
use anyhow::{Context as _, bail, ensure};
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// The longest answer that is read.
const ANSWER_MAX: usize = 16 * 1024 * 1024;

/// One connection that is kept.
struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::new(stream),
        })
    }

    /// Sends a request and reads the answer to its end; gives its status.
    async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<u16> {
        self.stream.get_mut().write_all(request).await?;
        let mut line = String::new();
        self.stream.read_line(&mut line).await?;
        let status: u16 = line
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .with_context(|| format!("no answer but `{}`", line.trim()))?;
        let (mut length, mut chunked) = (0_usize, false);
        loop {
            line.clear();
            self.stream.read_line(&mut line).await?;
            let header = line.trim().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
            chunked |= header.starts_with("transfer-encoding:") && header.contains("chunked");
        }
        let mut body = Vec::new();
        if chunked {
            loop {
                line.clear();
                self.stream.read_line(&mut line).await?;
                let size = usize::from_str_radix(line.trim(), 16)?;
                ensure!(size <= ANSWER_MAX, "a chunk of {size} bytes");
                body.resize(size + 2, 0);
                self.stream.read_exact(&mut body).await?;
                if size == 0 {
                    break;
                }
            }
        } else {
            ensure!(length <= ANSWER_MAX, "an answer of {length} bytes");
            body.resize(length, 0);
            self.stream.read_exact(&mut body).await?;
        }
        Ok(status)
    }
}

/// Asks for `time` from `connections` connections, each request made by `request` from its number; gives the times of all answers, which have to be 2xx.
pub(crate) async fn ask(
    address: SocketAddr,
    connections: usize,
    time: Duration,
    request: Arc<dyn Fn() -> Vec<u8> + Send + Sync>,
) -> anyhow::Result<(Samples, f64)> {
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        let request = Arc::clone(&request);
        tasks.spawn(async move {
            let mut connection = Connection::open(address).await?;
            let mut times = Vec::new();
            while began.elapsed() < time {
                let bytes = request();
                let before = Instant::now();
                let status = connection.exchange(&bytes).await?;
                times.push(before.elapsed());
                ensure!((200..300).contains(&status), "the answer is {status}");
            }
            anyhow::Ok(times)
        });
    }
    let mut samples = Samples::default();
    while let Some(task) = tasks.join_next().await {
        for time in task?? {
            samples.push(time);
        }
    }
    Ok((samples, began.elapsed().as_secs_f64()))
}

/// A GET request.
pub(crate) fn get(address: SocketAddr, path: &str) -> Arc<dyn Fn() -> Vec<u8> + Send + Sync> {
    let bytes = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n").into_bytes();
    Arc::new(move || bytes.clone())
}

/// A bare axum server in a process of its own, which answers every request with the same bytes.
pub(crate) struct Bare {
    child: Child,
    pub(crate) address: SocketAddr,
}

/// What makes this program that server.
pub(crate) const BARE: &str = "--bare-server";

impl Bare {
    pub(crate) fn start(body: &[u8]) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(BARE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut stdin = child.stdin.take().context("a pipe")?;
        stdin.write_all(body)?;
        drop(stdin);
        let mut line = String::new();
        let stdout = child.stdout.take().context("a pipe")?;
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line)?;
        Ok(Self {
            child,
            address: line.trim().parse()?,
        })
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves what stands on standard input until it is killed.
pub(crate) async fn bare_server() -> anyhow::Result<()> {
    let mut body = Vec::new();
    std::io::Read::read_to_end(&mut std::io::stdin(), &mut body)?;
    let body = bytes::Bytes::from(body);
    let router = axum::Router::new().fallback(move || {
        let body = body.clone();
        async move { ([("content-type", "image/svg+xml")], body) }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", listener.local_addr()?)?;
    out.flush()?;
    axum::serve(listener, router).await?;
    bail!("the server ended")
}
