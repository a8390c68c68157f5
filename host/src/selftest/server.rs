//! Servers on this machine that guests talk to: one that answers as its path says, well, badly or never, and one that nobody may reach.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Bytes of a request's head that are read.
const HEAD_MAX: usize = 64 * 1024;

/// Header lines of the answer with too many: far beyond what a head may hold.
const HEADER_LINES: usize = 20_000;

/// A server on a free port of 127.0.0.1, until it is dropped.
pub(super) struct Server {
    pub(super) port: u16,
    connections: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Server {
    pub(super) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let connections = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                seen.fetch_add(1, Ordering::Relaxed);
                // A broken connection is how most of these attacks end.
                tokio::spawn(async move { drop(answer(stream).await) });
            }
        });
        Ok(Self {
            port,
            connections,
            task,
        })
    }

    /// Connections so far.
    pub(super) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(mut stream: TcpStream) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > HEAD_MAX {
            return Ok(());
        }
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    match head.split(' ').nth(1).unwrap_or_default() {
        "/redirect" => {
            let answer =
                b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1/\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(answer).await
        }
        "/endless" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
            loop {
                stream.write_all(&[b'x'; 64 * 1024]).await?;
            }
        }
        "/announced" => {
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\nabc";
            stream.write_all(answer).await
        }
        "/headers" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n").await?;
            for number in 0..HEADER_LINES {
                stream
                    .write_all(format!("x-{number}: y\r\n").as_bytes())
                    .await?;
            }
            stream.write_all(b"\r\n").await
        }
        "/chunk" => {
            let answer =
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\nabc";
            stream.write_all(answer).await
        }
        // Until the host gives up.
        "/silent" => stream.read_u8().await.map(drop),
        "/slow" => {
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\na";
            stream.write_all(answer).await?;
            stream.read_u8().await.map(drop)
        }
        "/upload" => {
            let mut chunk = [0; 16 * 1024];
            while stream.read(&mut chunk).await? > 0 {}
            Ok(())
        }
        _ => {
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
            stream.write_all(answer).await?;
            stream.shutdown().await
        }
    }
}
