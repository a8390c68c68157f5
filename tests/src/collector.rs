//! A collector of traces and logs: takes what is sent by OTLP over HTTP, and reads it with the published schema.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a collector was sent.
#[derive(Default)]
pub struct Taken {
    /// All spans, in the order in which they came.
    pub spans: Vec<Span>,
    /// All lines.
    pub lines: Vec<LogRecord>,
    /// What those who sent call themselves, once for each request.
    pub services: Vec<String>,
    /// The heads of all requests, in small letters.
    pub heads: Vec<String>,
}

/// A collector, until the test ends.
pub struct Collector {
    address: String,
    taken: Arc<Mutex<Taken>>,
}

impl Collector {
    /// One that answers.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn new() -> anyhow::Result<Self> {
        Self::start(true)
    }

    /// One that takes connections and never says a word.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn deaf() -> anyhow::Result<Self> {
        Self::start(false)
    }

    fn start(answers: bool) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let collector = Self {
            address: listener.local_addr()?.to_string(),
            taken: Arc::default(),
        };
        let taken = Arc::clone(&collector.taken);
        std::thread::spawn(move || {
            let mut held = Vec::new();
            for stream in listener.incoming().flatten() {
                if !answers {
                    held.push(stream);
                    continue;
                }
                let taken = Arc::clone(&taken);
                std::thread::spawn(move || {
                    let _ = take(stream, &taken);
                });
            }
        });
        Ok(collector)
    }

    /// `http://127.0.0.1:PORT`
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it was sent so far.
    pub fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The spans of a trace so far, by its id in hexadecimal.
    #[must_use]
    pub fn trace(&self, id: &str) -> Vec<Span> {
        let taken = self.taken();
        let spans = taken.spans.iter();
        spans
            .filter(|span| hex(&span.trace_id) == id)
            .cloned()
            .collect()
    }
}

/// Takes one request and answers it.
fn take(stream: TcpStream, taken: &Mutex<Taken>) -> anyhow::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut head = String::new();
    while reader.read_line(&mut head)? > 2 {}
    let head = head.to_lowercase();
    let length = head
        .split("content-length: ")
        .nth(1)
        .and_then(|rest| rest.split("\r\n").next()?.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let status = {
        let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.heads.push(head);
        match path.as_str() {
            "/v1/traces" => match ExportTraceServiceRequest::decode(body.as_slice()) {
                Ok(request) => {
                    for from in request.resource_spans {
                        let resource = from.resource.map(|resource| resource.attributes);
                        let service = text(&resource.unwrap_or_default(), "service.name");
                        taken.services.extend(service);
                        let spans = from.scope_spans.into_iter().flat_map(|scope| scope.spans);
                        taken.spans.extend(spans);
                    }
                    "200 OK"
                }
                Err(_) => "400 Bad Request",
            },
            "/v1/logs" => match ExportLogsServiceRequest::decode(body.as_slice()) {
                Ok(request) => {
                    for from in request.resource_logs {
                        let lines = from.scope_logs.into_iter();
                        taken
                            .lines
                            .extend(lines.flat_map(|scope| scope.log_records));
                    }
                    "200 OK"
                }
                Err(_) => "400 Bad Request",
            },
            _ => "404 Not Found",
        }
    };
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    )?;
    Ok(())
}

/// Bytes in hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// An attribute that is a text.
#[must_use]
pub fn text(attributes: &[KeyValue], name: &str) -> Option<String> {
    let found = attributes.iter().find(|one| one.key == name)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        _ => None,
    }
}

/// An attribute that is a number.
#[must_use]
pub fn number(attributes: &[KeyValue], name: &str) -> Option<i64> {
    let found = attributes.iter().find(|one| one.key == name)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::IntValue(number) => Some(*number),
        _ => None,
    }
}

/// What a line says.
#[must_use]
pub fn said(line: &LogRecord) -> String {
    match line.body.as_ref().and_then(|body| body.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        _ => String::new(),
    }
}
