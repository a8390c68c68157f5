//! `triggers ADDRESS_FILE LOG`: starts runs in every way that is acknowledged, and writes each acknowledgement to a file, synced, before it goes on: what is in the file was promised, whatever
//! became of the host. It ends when it is killed.

use anyhow::{Context as _, bail};
use aws_lc_rs::hmac;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;
use uuid::Uuid;

/// What the host's agent `hook` knows, too.
const SECRET: &[u8] = b"a secret that nobody guesses";

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments
        .next()
        .context("the file with the host's address")?;
    let log = arguments.next().context("the file to write to")?;
    let mut log = OpenOptions::new().create(true).append(true).open(log)?;
    for number in 0_u64.. {
        let id = Uuid::now_v7();
        // A host that is down, or goes down, acknowledges nothing.
        if let Ok(true) = send(&address, number, id) {
            note(&mut log, number, id)?;
        } else {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    Ok(())
}

/// What kind of trigger a number is.
fn kind(number: u64) -> &'static str {
    ["manual", "webhook", "event"][usize::try_from(number % 3).unwrap_or(0)]
}

fn note(log: &mut File, number: u64, id: Uuid) -> anyhow::Result<()> {
    log.write_all(format!("{} {id}\n", kind(number)).as_bytes())?;
    log.sync_data()?;
    Ok(())
}

/// Whether the host acknowledged it.
fn send(address: &str, number: u64, id: Uuid) -> anyhow::Result<bool> {
    let address = std::fs::read_to_string(address)?;
    let (path, body, headers) = match kind(number) {
        "manual" => (
            "/v1/agents/guests/runs",
            r#"{"case":"ok"}"#.to_owned(),
            format!("idempotency-key: {id}\r\n"),
        ),
        "webhook" => {
            let body = r#"{"case":"ok"}"#.to_owned();
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), body.as_bytes());
            let hex: String = tag
                .as_ref()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            (
                "/v1/agents/hook/webhook",
                body,
                format!("x-delivery: {id}\r\nx-signature-256: sha256={hex}\r\n"),
            )
        }
        _ => (
            "/v1/events",
            format!(
                r#"{{"specversion":"1.0","id":"{id}","source":"triggers","type":"build.done","data":1}}"#
            ),
            String::new(),
        ),
    };
    let mut stream = TcpStream::connect(address.trim())?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{headers}\r\n{body}",
        address.trim(),
        body.len()
    )?;
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    match &head[9..10] {
        b"2" => Ok(true),
        b"5" => Ok(false),
        _ => bail!("{}", String::from_utf8_lossy(&head)),
    }
}
