//! A small HTTP server that answers as its path says: well, badly or never.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Heads of requests that are kept, so that a flood does not grow the test.
const HEADS_MAX: usize = 1_000;

/// What the server saw.
#[derive(Default)]
pub(crate) struct Seen {
    /// Connections so far.
    pub(crate) connections: AtomicU64,
    /// Body bytes so far.
    pub(crate) body_bytes: AtomicU64,
    /// Requests for `/flood` that are open.
    silent: AtomicU64,
    /// The most of them at once.
    pub(crate) silent_most: AtomicU64,
    /// The heads of requests.
    heads: Mutex<Vec<String>>,
}

/// The server, on a free port of 127.0.0.1.
pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) seen: Arc<Seen>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Seen::default());
        let shared = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let seen = Arc::clone(&shared);
                seen.connections.fetch_add(1, Ordering::SeqCst);
                std::thread::spawn(move || {
                    // A broken connection is how most of these attacks end.
                    drop(answer(stream, &seen));
                });
            }
        });
        Self { port, seen }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn connections(&self) -> u64 {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// The heads of requests for a path.
    pub(crate) fn heads(&self, path: &str) -> Vec<String> {
        let wanted = format!(" {path} ");
        let heads = self.seen.heads.lock().unwrap();
        heads
            .iter()
            .filter(|head| head.contains(&wanted))
            .cloned()
            .collect()
    }
}

fn answer(mut stream: TcpStream, seen: &Seen) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > 64 * 1024 || stream.read(&mut byte)? == 0 {
            return Ok(());
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or("").to_owned();
    {
        let mut heads = seen.heads.lock().unwrap();
        if heads.len() < HEADS_MAX {
            heads.push(head.clone());
        }
    }
    match path.as_str() {
        "/redirect-302" | "/redirect-307" | "/redirect-308" => {
            let code = path.trim_start_matches("/redirect-");
            write!(
                stream,
                "HTTP/1.1 {code} Moved\r\nlocation: /redirected\r\ncontent-length: 0\r\n\r\n"
            )
        }
        "/endless" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
            loop {
                stream.write_all(&[b'x'; 64 * 1024])?;
            }
        }
        "/announced" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\nabc")
        }
        "/headers" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
            for number in 0..100_000 {
                write!(stream, "x-{number}: y\r\n")?;
            }
            stream.write_all(b"\r\n")
        }
        "/chunk" => stream.write_all(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\nabc",
        ),
        // Until the host gives up.
        "/silent" => stream.read(&mut byte).map(|_| ()),
        // As well, and counted: an address of its own, as other cases ask for the other meanwhile.
        "/flood" => {
            let now = seen.silent.fetch_add(1, Ordering::SeqCst) + 1;
            seen.silent_most.fetch_max(now, Ordering::SeqCst);
            let ended = stream.read(&mut byte);
            seen.silent.fetch_sub(1, Ordering::SeqCst);
            ended.map(|_| ())
        }
        "/slow" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\na")?;
            // One byte of a hundred, then none, until the host gives up.
            stream.read(&mut byte).map(|_| ())
        }
        "/upload" => {
            let mut chunk = [0; 64 * 1024];
            loop {
                let bytes = stream.read(&mut chunk)?;
                if bytes == 0 {
                    return Ok(());
                }
                seen.body_bytes.fetch_add(bytes as u64, Ordering::SeqCst);
            }
        }
        _ => {
            write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{head}",
                head.len()
            )?;
            stream.shutdown(Shutdown::Write)
        }
    }
}
