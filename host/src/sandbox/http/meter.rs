//! Turns what one run sends and receives into counts, and counts beyond a limit into errors.
//!
//! Invariants: a count only grows; whoever charges learns at once that a limit is passed; each
//! limit is reported to the run once, however often it is hit. It knows nothing of sockets.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use http::HeaderMap;
use thiserror::Error;

use super::grant::{DenialReason, HttpDenial};
use crate::sandbox::meter::Outside;
use async_trait::async_trait;

/// Longest deadline of one request: more than any run may take, and safe to add to any clock.
const TOTAL_MAX: Duration = Duration::from_secs(3600);

/// Limits on what one run does over HTTP. Every field is in force; nothing means "unlimited".
///
/// Source: `limits` in `plugins.toml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpLimits {
    /// Requests in one run, denied ones included: default 100.
    pub requests: u32,
    /// Requests of one run on the wire at the same time, at least 1; more wait: default 8.
    pub concurrent: u32,
    /// Headers and bodies sent in one run, in bytes: default 1 MiB.
    pub request_bytes: u64,
    /// Headers and bodies received in one run, in bytes: default 8 MiB.
    pub response_bytes: u64,
    /// Status line and headers of one response, in bytes: 8 KiB to 1 MiB, default 64 KiB.
    pub response_header_bytes: u32,
    /// One request from the guest's call to the last byte of the answer, waiting for a free
    /// place, looking the name up and connecting included, in milliseconds: at most 3_600_000,
    /// default 30_000.
    pub total_ms: u64,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            requests: 100,
            concurrent: 8,
            request_bytes: 1024 * 1024,
            response_bytes: 8 * 1024 * 1024,
            response_header_bytes: 64 * 1024,
            total_ms: 30_000,
        }
    }
}

impl HttpLimits {
    pub(super) fn total(&self) -> Duration {
        Duration::from_millis(self.total_ms).min(TOTAL_MAX)
    }
}

/// What a run did over HTTP so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HttpUsage {
    /// Requests, denied ones included.
    pub requests: u32,
    /// Requests that were denied.
    pub denied: u32,
    /// Bytes of headers and bodies sent.
    pub request_bytes: u64,
    /// Bytes of headers and bodies received.
    pub response_bytes: u64,
}

/// Where a run hears of denials and limits. Called from the runtime's threads; must not block.
#[async_trait]
pub trait HttpEvents: Send + Sync {
    /// A request was denied. Called for each one; the number is bounded by
    /// [`HttpLimits::requests`].
    fn denied(&self, denial: HttpDenial);

    /// An allowed request is about to leave, and does when this is over.
    async fn leaving(&self) {}

    /// It goes to this host, with a credential in this header.
    fn reaches(&self, _method: &str, _host: &str, _credential: Option<&str>) {}

    /// Whether somebody wants to know of [`HttpEvents::exchanged`].
    fn watches(&self) -> bool {
        false
    }

    /// An exchange came to the head of its answer, or failed.
    fn exchanged(&self, _call: Outside) {}

    /// A limit was hit, called once per limit and run: `http_requests`, `http_request_bytes`,
    /// `http_response_bytes`, `http_response_headers` or `http_time`.
    fn limit(&self, what: &'static str);
}

/// A limit of [`HttpLimits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    Requests,
    RequestBytes,
    ResponseBytes,
    ResponseHeaders,
    Time,
}

impl Limit {
    fn name(self) -> &'static str {
        match self {
            Self::Requests => "http_requests",
            Self::RequestBytes => "http_request_bytes",
            Self::ResponseBytes => "http_response_bytes",
            Self::ResponseHeaders => "http_response_headers",
            Self::Time => "http_time",
        }
    }
}

/// How a request failed.
#[derive(Debug, Error)]
pub(super) enum EgressError {
    #[error("denied: {0}")]
    Denied(DenialReason),
    #[error("the limit of {0} requests per run is used up")]
    Requests(u32),
    #[error("the limit of {0} bytes sent per run is used up")]
    RequestBytes(u64),
    #[error("the limit of {0} bytes received per run is used up")]
    ResponseBytes(u64),
    #[error("the headers of the response are larger than {0} bytes or more than 100")]
    ResponseHeaders(u32),
    /// Our deadline, or a shorter one of the guest.
    #[error("no time left while {0}")]
    Time(Phase),
    #[error("the name could not be looked up")]
    Lookup(#[source] io::Error),
    #[error("the name has no address")]
    NoAddress,
    #[error("could not connect")]
    Connect(#[source] io::Error),
    #[error("the TLS handshake failed")]
    Tls(#[source] io::Error),
    #[error("the proxy refused: {0}")]
    Proxy(String),
    /// It failed too often in a row.
    #[error("the server failed too often and rests for another {0} s")]
    Resting(u64),
    #[error("the answer ended early")]
    Incomplete,
    #[error("the answer is not HTTP/1.1")]
    Protocol,
    /// The guest's own request body failed, for example because it was dropped unfinished.
    #[error("the request's body was not finished")]
    RequestBody,
    #[error("{0}")]
    Internal(&'static str),
}

impl EgressError {
    /// Whether this speaks against the server, and not against the request. A server that takes its time may only be asked for much, and a run that waits for it ends by its own limit.
    pub(super) fn is_outage(&self) -> bool {
        matches!(
            self,
            Self::Time(Phase::Lookup | Phase::Connect)
                | Self::Lookup(_)
                | Self::NoAddress
                | Self::Connect(_)
                | Self::Tls(_)
                | Self::Incomplete
        )
    }
}

/// What a request was doing when its time was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Queue,
    Lookup,
    Connect,
    Head,
    Body,
    BetweenBytes,
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Queue => "waiting for a free place",
            Self::Lookup => "looking the name up",
            Self::Connect => "connecting",
            Self::Head => "waiting for the answer",
            Self::Body => "reading the answer",
            Self::BetweenBytes => "waiting for more of the answer",
        })
    }
}

/// The counters of one run.
pub(super) struct Meter {
    limits: HttpLimits,
    events: Arc<dyn HttpEvents>,
    requests: AtomicU32,
    denied: AtomicU32,
    sent: AtomicU64,
    received: AtomicU64,
    /// One bit per [`Limit`] that was reported.
    reported: AtomicU8,
}

impl Meter {
    pub(super) fn new(limits: HttpLimits, events: Arc<dyn HttpEvents>) -> Self {
        Self {
            limits,
            events,
            requests: AtomicU32::new(0),
            denied: AtomicU32::new(0),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            reported: AtomicU8::new(0),
        }
    }

    pub(super) fn limits(&self) -> &HttpLimits {
        &self.limits
    }

    pub(super) fn usage(&self) -> HttpUsage {
        HttpUsage {
            requests: self.requests.load(Ordering::Relaxed),
            denied: self.denied.load(Ordering::Relaxed),
            request_bytes: self.sent.load(Ordering::Relaxed),
            response_bytes: self.received.load(Ordering::Relaxed),
        }
    }

    /// Counts a request. A refused one is not counted, so that the usage ends at the limit.
    pub(super) fn request(&self) -> Result<(), EgressError> {
        let max = self.limits.requests;
        self.requests
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                (count < max).then_some(count + 1)
            })
            .map(|_| ())
            .map_err(|_| {
                self.report(Limit::Requests);
                EgressError::Requests(max)
            })
    }

    /// Says where a request goes, and with whose secret.
    pub(super) fn reaches(&self, method: &str, host: &str, credential: Option<&str>) {
        self.events.reaches(method, host, credential);
    }

    pub(super) fn watches(&self) -> bool {
        self.events.watches()
    }

    pub(super) fn exchanged(&self, call: Outside) {
        self.events.exchanged(call);
    }

    /// Lets a request leave.
    pub(super) async fn leaving(&self) {
        self.events.leaving().await;
    }

    pub(super) fn denied(&self, denial: HttpDenial) -> EgressError {
        let reason = denial.reason;
        self.denied.fetch_add(1, Ordering::Relaxed);
        self.events.denied(denial);
        EgressError::Denied(reason)
    }

    pub(super) fn sent(&self, bytes: u64) -> Result<(), EgressError> {
        let max = self.limits.request_bytes;
        if self
            .sent
            .fetch_add(bytes, Ordering::Relaxed)
            .saturating_add(bytes)
            > max
        {
            self.report(Limit::RequestBytes);
            return Err(EgressError::RequestBytes(max));
        }
        Ok(())
    }

    /// Fails at once where a body of a known size cannot fit, before any of it is sent.
    pub(super) fn may_send(&self, bytes: u64) -> Result<(), EgressError> {
        let max = self.limits.request_bytes;
        if self.sent.load(Ordering::Relaxed).saturating_add(bytes) > max {
            self.report(Limit::RequestBytes);
            return Err(EgressError::RequestBytes(max));
        }
        Ok(())
    }

    pub(super) fn received(&self, bytes: u64) -> Result<(), EgressError> {
        let max = self.limits.response_bytes;
        if self
            .received
            .fetch_add(bytes, Ordering::Relaxed)
            .saturating_add(bytes)
            > max
        {
            self.report(Limit::ResponseBytes);
            return Err(EgressError::ResponseBytes(max));
        }
        Ok(())
    }

    /// Fails at once where a body of a known size cannot fit, before any of it is read.
    pub(super) fn may_receive(&self, bytes: u64) -> Result<(), EgressError> {
        let max = self.limits.response_bytes;
        if self.received.load(Ordering::Relaxed).saturating_add(bytes) > max {
            self.report(Limit::ResponseBytes);
            return Err(EgressError::ResponseBytes(max));
        }
        Ok(())
    }

    /// Our own deadline passed.
    pub(super) fn time(&self, phase: Phase) -> EgressError {
        self.report(Limit::Time);
        EgressError::Time(phase)
    }

    pub(super) fn response_headers(&self) -> EgressError {
        self.report(Limit::ResponseHeaders);
        EgressError::ResponseHeaders(self.limits.response_header_bytes)
    }

    fn report(&self, limit: Limit) {
        let bit = 1 << (limit as u8);
        if self.reported.fetch_or(bit, Ordering::Relaxed) & bit == 0 {
            self.events.limit(limit.name());
        }
    }
}

/// The size of headers on the wire, in bytes.
pub(super) fn header_bytes(headers: &HeaderMap) -> u64 {
    headers
        .iter()
        // `: ` and the line's end.
        .map(|(name, value)| (name.as_str().len() + value.len() + 4) as u64)
        .sum()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Default)]
    struct Heard(Mutex<Vec<&'static str>>);

    impl HttpEvents for Heard {
        fn denied(&self, _: HttpDenial) {}
        fn limit(&self, what: &'static str) {
            self.0.lock().expect("not poisoned").push(what);
        }
    }

    #[test]
    fn limits_hold_over_the_run_and_are_reported_once() {
        let heard = Arc::new(Heard::default());
        let limits = HttpLimits {
            requests: 2,
            request_bytes: 10,
            response_bytes: 10,
            ..HttpLimits::default()
        };
        let meter = Meter::new(limits, heard.clone());
        assert!(meter.request().is_ok());
        assert!(meter.request().is_ok());
        assert!(matches!(meter.request(), Err(EgressError::Requests(2))));
        assert!(meter.request().is_err());
        assert!(meter.sent(6).is_ok());
        assert!(meter.sent(4).is_ok());
        assert!(matches!(meter.sent(1), Err(EgressError::RequestBytes(10))));
        assert!(meter.may_receive(10).is_ok());
        assert!(meter.received(10).is_ok());
        assert!(meter.may_receive(1).is_err());
        assert!(meter.received(u64::MAX).is_err());
        assert_eq!(meter.usage().requests, 2);
        assert_eq!(
            *heard.0.lock().expect("not poisoned"),
            ["http_requests", "http_request_bytes", "http_response_bytes"]
        );
    }
}
