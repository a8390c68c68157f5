//! Bytes that no well-behaved client sends, over bare TCP: the host answers or closes, and goes on serving others.

use crate::host;
use infinity_tests::host::Host;
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

const POST: &str =
    "POST /v1/agents/guests/runs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";

/// Sends bytes and reads until the host closes.
fn exchange(host: &Host, bytes: &[u8]) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(host.address())?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    // The host may answer and close before it has read all.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => answer.extend_from_slice(&buffer[..count]),
            // A reset after the answer is a way to close, too; a time-out is none.
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
            Err(error) => anyhow::bail!(
                "the host does not close ({error}): {}",
                String::from_utf8_lossy(&answer)
            ),
        }
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

#[test]
fn a_body_over_the_limit_is_refused_by_its_length_and_by_its_chunks() -> anyhow::Result<()> {
    let host = host()?;
    // By its length: before a byte of it was sent.
    let answer = exchange(
        &host,
        format!("{POST}content-length: 1048577\r\n\r\n").as_bytes(),
    )?;
    assert_eq!(status(&answer), "413", "{answer}");
    assert!(answer.contains("\"code\":\"body_too_large\""), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    let answer = exchange(
        &host,
        format!("{POST}content-length: 99999999999999\r\n\r\n").as_bytes(),
    )?;
    assert_eq!(status(&answer), "413", "{answer}");
    // By its chunks: at the limit, though the body never ends.
    let mut request = format!("{POST}transfer-encoding: chunked\r\n\r\n").into_bytes();
    for _ in 0..17 {
        request.extend_from_slice(b"10000\r\n");
        request.extend(std::iter::repeat_n(b' ', 0x1_0000));
        request.extend_from_slice(b"\r\n");
    }
    let answer = exchange(&host, &request)?;
    assert_eq!(status(&answer), "413", "{answer}");
    // At the limit it is read.
    let padding = " ".repeat(1024 * 1024 - 13);
    let answer = exchange(
        &host,
        format!(
            "{POST}connection: close\r\ncontent-length: 1048576\r\n\r\n{{\"case\":\"ok\"}}{padding}"
        )
        .as_bytes(),
    )?;
    assert_eq!(status(&answer), "201", "{answer}");
    assert_eq!(
        host.json("/v1/runs")?["items"].as_array().map(Vec::len),
        Some(1)
    );
    Ok(())
}

#[test]
fn requests_with_unclear_framing_are_refused_and_the_connection_closed() -> anyhow::Result<()> {
    let host = host()?;
    for (name, rest) in [
        (
            "a bad chunk",
            "transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        ),
        (
            "two lengths",
            "content-length: 4\r\ncontent-length: 5\r\n\r\n{}   ",
        ),
        ("a negative length", "content-length: -4\r\n\r\n{}  "),
        ("a list of lengths", "content-length: 2, 3\r\n\r\n{} "),
        ("a line feed in a name", "x\n y: 1\r\n: z\r\n\r\n"),
        ("two hosts", "host: localhost\r\nconnection: close\r\n\r\n"),
    ] {
        let answer = exchange(&host, format!("{POST}{rest}").as_bytes())?;
        assert_eq!(status(&answer), "400", "{name}: {answer}");
    }
    for (name, request) in [
        ("no HTTP", "\u{16}\u{3}\u{1}\u{2}\r\n\r\n"),
        (
            "no host",
            "GET /health HTTP/1.1\r\nconnection: close\r\n\r\n",
        ),
    ] {
        let answer = exchange(&host, request.as_bytes())?;
        assert_eq!(status(&answer), "400", "{name}: {answer}");
    }
    // Length and chunks at once, in either order: refused before anything starts, and nothing that follows on the connection is read as a request.
    for both in [
        "content-length: 4\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 4\r\n",
    ] {
        let answer = exchange(
            &host,
            format!("{POST}{both}\r\n0\r\n\r\nGET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
                .as_bytes(),
        )?;
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
        assert_eq!(status(&answer), "400", "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
        assert!(answer.contains("x-request-id: "), "{answer}");
        assert!(
            answer.contains("\"code\":\"malformed_request\""),
            "{answer}"
        );
    }
    assert_eq!(
        host.json("/v1/runs")?["items"].as_array().map(Vec::len),
        Some(0)
    );

    // A body that ends before its length starts nothing.
    let count = || anyhow::Ok(host.json("/v1/runs")?["items"].as_array().map(Vec::len));
    let before = count()?;
    let mut stream = TcpStream::connect(host.address())?;
    stream.write_all(format!("{POST}content-length: 20\r\n\r\n{{\"case\":\"ok\"}}").as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let _ = stream.read_to_string(&mut answer);
    assert!(answer.is_empty() || status(&answer) == "400", "{answer}");
    assert_eq!(count()?, before);
    Ok(())
}

#[test]
fn too_many_or_too_long_headers_are_refused() -> anyhow::Result<()> {
    let host = host()?;
    let many: String = (0..101)
        .map(|number| format!("x-{number}: 1\r\n"))
        .collect();
    let long = format!("x: {}\r\n", "a".repeat(17 * 1024));
    for headers in [many, long] {
        let answer = exchange(
            &host,
            format!("GET /health HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n").as_bytes(),
        )?;
        assert_eq!(status(&answer), "431", "{answer}");
        assert!(answer.contains("x-request-id: "), "{answer}");
        assert!(
            answer.contains("\"code\":\"headers_too_large\""),
            "{answer}"
        );
    }
    // A browser's measure is no trouble.
    let fine: String = (0..80)
        .map(|number| format!("x-{number}: {}\r\n", "a".repeat(100)))
        .collect();
    let answer = exchange(
        &host,
        format!("GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{fine}\r\n")
            .as_bytes(),
    )?;
    assert_eq!(status(&answer), "200", "{answer}");
    Ok(())
}

#[test]
fn headers_and_bodies_that_do_not_come_are_given_up_on() -> anyhow::Result<()> {
    let host = host()?;
    std::thread::scope(|scope| {
        let timed = |bytes: String| {
            let host = &host;
            scope.spawn(move || {
                let began = Instant::now();
                exchange(host, bytes.as_bytes()).map(|answer| (answer, began.elapsed()))
            })
        };
        let headers = timed("GET /health HTTP/1.1\r\nhost: local".into());
        let body = timed(format!("{POST}content-length: 100\r\n\r\n{{"));
        for thread in [headers, body] {
            let (answer, elapsed) = thread
                .join()
                .map_err(|_| anyhow::anyhow!("a client failed"))??;
            assert_eq!(status(&answer), "408", "{answer}");
            assert!(answer.contains("\"code\":\"request_timeout\""), "{answer}");
            assert!(elapsed > Duration::from_secs(9), "{elapsed:?}");
            assert!(elapsed < Duration::from_secs(20), "{elapsed:?}");
        }
        anyhow::Ok(())
    })?;
    assert_eq!(host.json("/v1/runs")?["items"], json!([]));
    Ok(())
}

#[test]
fn silent_clients_do_not_keep_others_out() -> anyhow::Result<()> {
    let host = host()?;
    // More than the host has places for: the longest idle make room.
    let silent: Vec<TcpStream> = (0..600)
        .map(|_| TcpStream::connect(host.address()))
        .collect::<Result<_, _>>()?;
    let began = Instant::now();
    assert_eq!(host.get("/health")?.status(), 200);
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    drop(silent);
    Ok(())
}
