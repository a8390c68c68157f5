//! Programs (`wasi:cli/command`) as agents: standard input is the invocation as JSON, the exit code says whether it passed, standard output is the output, and lines of it
//! that begin with `{"infinity.finding":` are findings.

use super::call::{Answer, GuestFailure, GuestReport, Invocation};
use super::meter::{Meter, escape};
use crate::model::{Finding, Level, Limit, Location};
use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

/// What a line with a finding begins with.
const FINDING: &str = "{\"infinity.finding\":";

/// The most bytes one write may carry, so that one call does not compute for long.
const WRITE_MAX_BYTES: usize = 64 * 1024;

/// Characters of the last line that make a summary.
const SUMMARY_MAX: usize = 200;

/// The standard output of one run, within its output limit.
#[derive(Clone)]
pub(super) struct Captured {
    meter: Arc<Meter>,
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl Captured {
    pub(super) fn new(meter: Arc<Meter>) -> Self {
        Self {
            meter,
            bytes: Arc::default(),
        }
    }

    fn keep(&self, bytes: &[u8]) -> Result<(), wasmtime::Error> {
        if !self.meter.charge_output(bytes.len() as u64) {
            return Err(self.meter.stop(
                Limit::Output,
                format!(
                    "standard output has more than {} bytes",
                    self.meter.budget.output_bytes
                ),
            ));
        }
        let mut kept = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(bytes);
        Ok(())
    }

    /// Everything that was written.
    pub(super) fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.bytes.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl IsTerminal for Captured {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Captured {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Captured {
    async fn ready(&mut self) {}
}

impl OutputStream for Captured {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.keep(&bytes).map_err(StreamError::Trap)
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_MAX_BYTES)
    }
}

impl AsyncWrite for Captured {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        match self.keep(bytes) {
            Ok(()) => Poll::Ready(Ok(bytes.len())),
            Err(error) => Poll::Ready(Err(std::io::Error::other(error.to_string()))),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The invocation as a program reads it: one line.
pub(super) fn input(invocation: &Invocation) -> Vec<u8> {
    let value = json!({
        "run_id": invocation.run_id,
        "agent": invocation.agent,
        "trigger": invocation.trigger,
        "attempt": invocation.attempt,
        "idempotency_key": invocation.idempotency_key,
        "scheduled_at": invocation.scheduled_at,
        // It was JSON when it came.
        "input": serde_json::from_str::<Value>(&invocation.input).unwrap_or_default(),
    });
    format!("{value}\n").into_bytes()
}

/// What a program left behind, as a report.
pub(super) fn report(code: i32, captured: &Captured) -> Answer {
    let bytes = captured.take();
    // Counted again as part of the report.
    captured.meter.return_output(bytes.len() as u64);
    match read(code, &bytes) {
        Ok(report) => Answer::Report(Box::new(report)),
        Err(message) => Answer::Failure(GuestFailure::Other(message)),
    }
}

fn read(code: i32, bytes: &[u8]) -> Result<GuestReport, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        format!(
            "standard output is not UTF-8 from byte {} on",
            error.valid_up_to()
        )
    })?;
    let mut findings = Vec::new();
    let mut output = String::new();
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if !line.starts_with(FINDING) {
            output.push_str(line);
            continue;
        }
        let told: Told = serde_json::from_str(line).map_err(|error| {
            format!(
                "line {} of standard output is no finding: {error}",
                index + 1
            )
        })?;
        findings.push(told.finding.into());
    }
    let trimmed = output.trim();
    let last = trimmed.lines().next_back().unwrap_or_default();
    let summary = match (code, trimmed.starts_with(['{', '[']) || last.is_empty()) {
        (0, true) => match findings.len() {
            0 => "passed".to_owned(),
            1 => "1 finding".to_owned(),
            count => format!("{count} findings"),
        },
        (0, false) => last.chars().take(SUMMARY_MAX).collect(),
        (code, true) => format!("exit code {code}"),
        (code, false) => {
            let last: String = last.chars().take(SUMMARY_MAX).collect();
            format!("exit code {code}: {last}")
        }
    };
    let output = match trimmed {
        "" => None,
        // Without a tree of values, which takes many times the memory of the text.
        _ if serde_json::from_str::<IgnoredAny>(trimmed).is_ok() => Some(trimmed.to_owned()),
        _ => Some(Value::String(output).to_string()),
    };
    Ok(GuestReport {
        passed: code == 0,
        summary: escape(&summary),
        findings,
        output,
        effects: Vec::new(),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    #[serde(rename = "infinity.finding")]
    finding: ToldFinding,
}

/// A finding as a program writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToldFinding {
    rule: String,
    level: Level,
    message: String,
    repository: Option<String>,
    path: Option<String>,
    line: Option<u32>,
    column: Option<u32>,
    help: Option<String>,
}

impl From<ToldFinding> for Finding {
    fn from(told: ToldFinding) -> Self {
        Self {
            rule: escape(&told.rule),
            level: told.level,
            message: escape(&told.message),
            location: told.path.map(|path| Location {
                repository: told.repository.map(|repository| escape(&repository)),
                path: escape(&path),
                line: told.line,
                column: told.column,
            }),
            help: told.help.map(|help| escape(&help)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_output_becomes_output_and_findings() {
        let text = "looking\n{\"infinity.finding\": {\"rule\": \"a/b\", \"level\": \"error\", \"message\": \"no\", \"path\": \"x.txt\", \"line\": 3}}\ndone\n";
        let report = read(0, text.as_bytes()).unwrap();
        assert!(report.passed);
        assert_eq!(report.summary, "done");
        assert_eq!(report.output.as_deref(), Some("\"looking\\ndone\\n\""));
        assert_eq!(report.findings.len(), 1);
        assert_eq!(
            report.findings[0].location.as_ref().and_then(|at| at.line),
            Some(3)
        );

        let json = read(3, b"{\"a\": 1}\n").unwrap();
        assert!(!json.passed);
        assert_eq!(json.summary, "exit code 3");
        assert_eq!(json.output.as_deref(), Some("{\"a\": 1}"));
        assert_eq!(read(0, b"").unwrap().output, None);

        let bad = read(0, b"x\n{\"infinity.finding\": {\"rule\": \"a\"}}\n").unwrap_err();
        assert!(
            bad.starts_with("line 2 of standard output is no finding"),
            "{bad}"
        );
        assert!(read(0, b"\xff").is_err());
    }
}
